//! `isogloss train` as a user meets it: a run from start to end, interrupted and continued,
//! and what it says to bad input.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::support::Sandbox;

/// Number words in three toy languages: `aa` counts, `bb` counts backwards, `cc` repeats.
fn corpus(n: usize) -> String {
    corpus_from(0, n)
}

/// The same, beginning further on.
pub fn corpus_from(first: usize, n: usize) -> String {
    let digits = ["nul", "uno", "dos", "tri", "kat", "kin", "ses", "sep", "ok", "nau"];
    let mut out = String::new();
    for i in first..first + n {
        let a: Vec<&str> = (0..3 + i % 3).map(|k| digits[(i * 7 + k * (3 + i % 4)) % 10]).collect();
        let b: Vec<&str> = a.iter().rev().copied().collect();
        let (lang, t) = if i % 3 == 0 { ("cc", &a) } else { ("bb", &b) };
        let record = serde_json::json!({
            "src_lang": "aa", "tgt_lang": lang, "src": a.join(" "), "tgt": t.join(" "),
        });
        out.push_str(&format!("{record}\n"));
    }
    out
}

/// A directory with text and an untrained model.
fn prepared() -> Sandbox {
    let t = Sandbox::new();
    t.write("train.jsonl", corpus(120));
    t.write("dev.jsonl", corpus(12));
    t.isogloss(["init", "-o", "model", "--vocab-size", "60", "--preset", "tiny", "train.jsonl"])
        .run()
        .ok();
    t
}

const BASE: [&str; 17] = [
    "train",
    "-m",
    "model",
    "--train",
    "train.jsonl",
    "--valid",
    "dev.jsonl",
    "--batch-tokens",
    "64",
    "--grad-accum",
    "2",
    "--warmup-steps",
    "4",
    "--save-every",
    "5",
    "--log-every",
    "1",
];

fn train<'a>(extra: &[&'a str]) -> Vec<&'a str> {
    BASE.iter().copied().chain(extra.iter().copied()).collect()
}

/// Weights and moments of a checkpoint.
pub fn checkpoint(t: &Sandbox, run: &str, step: u64) -> (Vec<u8>, Vec<u8>) {
    let dir = t.path(run).join(format!("checkpoints/step-{step:08}"));
    let read = |name: &str| fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    (read("model.safetensors"), read("optimizer.safetensors"))
}

/// Waits until the log shows a step of at least `step`.
fn wait_for_step(log: &Path, step: u64, child: &mut Child) {
    let start = Instant::now();
    loop {
        let seen = fs::read_to_string(log).unwrap_or_default();
        let last = seen
            .lines()
            .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
            .filter(|r| r["type"] == "train_step")
            .filter_map(|r| r["step"].as_u64())
            .max();
        if last.is_some_and(|l| l >= step) {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the run ended before step {step}");
        assert!(start.elapsed() < Duration::from_secs(120), "no step {step} in {seen}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn signal(child: &Child, name: &str) {
    let done = std::process::Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .expect("kill");
    assert!(done.success());
}

#[test]
fn a_run_learns_and_leaves_what_it_should() {
    let t = prepared();
    let run = t
        .isogloss(train(&[
            "--max-steps",
            "400",
            "--lr",
            "5e-3",
            "--valid-every",
            "200",
            "--save-every",
            "100",
            "--dropout",
            "0",
            "--json",
            "--log-pairs",
            "-o",
            "run",
        ]))
        .run();
    run.ok();
    let records = run.records();
    let valid: Vec<f64> = records
        .iter()
        .filter(|r| r["type"] == "valid" && r["group"] == "all")
        .filter_map(|r| r["nll"].as_f64())
        .collect();
    assert_eq!(valid.len(), 2);
    assert!(valid[1] < 0.8 && valid[1] < valid[0], "{valid:?}");
    // Standard output and the log hold the same records.
    let log: Vec<serde_json::Value> =
        t.read("run/log.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(log, records);
    let first = &records[0];
    assert_eq!(first["type"], "train_step");
    assert_eq!((first["step"].as_u64(), first["lr"].as_f64()), (Some(1), Some(5e-3 / 4.0)));
    assert!(first["by_pair"].as_object().is_some_and(|m| !m.is_empty()));
    for pair in ["aa-bb", "bb-aa", "aa-cc", "cc-aa"] {
        assert!(records.iter().any(|r| r["lang_pair"] == pair), "{pair}");
    }
    for name in ["config.json", "model.safetensors", "tokenizer.json", "state.json"] {
        assert!(t.exists(&format!("run/checkpoints/step-00000400/{name}")), "{name}");
    }
    assert!(t.read("run/best").starts_with("step-00000400 nll "));
    // `--keep-last 2`: steps 300 and 400.
    let names: Vec<String> = fs::read_dir(t.path("run/checkpoints"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");

    // The run is finished; more steps continue it, other settings do not.
    let again = train(&[
        "--max-steps",
        "400",
        "--lr",
        "5e-3",
        "--valid-every",
        "200",
        "--dropout",
        "0",
        "--log-pairs",
        "-o",
        "run",
    ]);
    t.isogloss(again.clone()).run().code(2).says("the run is finished (max steps)");
    let other: Vec<&str> = again.iter().map(|a| if *a == "5e-3" { "1e-3" } else { a }).collect();
    t.isogloss(other).run().code(2).says("lr: 0.005 -> 0.001");
    let more: Vec<&str> = again.iter().map(|a| if *a == "400" { "401" } else { a }).collect();
    t.isogloss(more).run().ok();
    assert!(t.exists("run/checkpoints/step-00000401/model.safetensors"));
    // A run stands for its best checkpoint wherever a model is expected.
    t.isogloss(train(&["--max-steps", "1", "-m", "run", "-o", "second"])).run().ok();
}

#[test]
fn killed_and_continued_equals_unbroken() {
    let t = prepared();
    let common =
        ["--max-steps", "40", "--valid-every", "7", "--temperature", "2", "--average", "2"];
    let of = |run: &'static str| train(&[&common[..], &["-o", run]].concat());
    t.isogloss(of("whole")).run().ok();

    // Killed at once, in the middle and near the end; then stopped politely.
    for (kind, code, at) in
        [("-KILL", None, 3), ("-KILL", None, 17), ("-TERM", Some(143), 24), ("-INT", Some(130), 33)]
    {
        let mut child = t
            .isogloss(of("broken"))
            .into_command()
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_for_step(&t.path("broken/log.jsonl"), at, &mut child);
        signal(&child, kind);
        assert_eq!(child.wait().unwrap().code(), code);
    }
    t.isogloss(of("broken")).run().ok();
    assert!(checkpoint(&t, "whole", 40) == checkpoint(&t, "broken", 40), "parameters differ");
    let average = |run: &str| fs::read(t.path(run).join("checkpoints/average/model.safetensors"));
    assert_eq!(average("whole").unwrap(), average("broken").unwrap());
    assert_eq!(t.read("whole/best"), t.read("broken/best"));
    // Nothing half written is left.
    assert!(!t.files().iter().any(|f| f.contains(".isogloss-")), "{:?}", t.files());
}

#[test]
fn a_seed_decides_everything() {
    let t = prepared();
    for (run, seed, threads) in [("a", "7", "2"), ("b", "7", "1"), ("c", "8", "2")] {
        t.isogloss(train(&["--max-steps", "6", "--seed", seed, "--threads", threads, "-o", run]))
            .run()
            .ok();
    }
    // The number of threads changes nothing either.
    assert!(checkpoint(&t, "a", 6) == checkpoint(&t, "b", 6));
    assert!(checkpoint(&t, "a", 6) != checkpoint(&t, "c", 6));
}

#[test]
fn frozen_parameters_stay_as_they_are() {
    let t = prepared();
    t.isogloss(train(&[
        "--max-steps",
        "4",
        "--freeze",
        "encoder",
        "--freeze",
        "embeddings",
        "-o",
        "run",
    ]))
    .run()
    .ok();
    let before = fs::read(t.path("model/model.safetensors")).unwrap();
    let (after, _) = checkpoint(&t, "run", 4);
    let before = safetensors::SafeTensors::deserialize(&before).unwrap();
    let after = safetensors::SafeTensors::deserialize(&after).unwrap();
    let (mut same, mut changed) = (0, 0);
    for (name, tensor) in before.iter() {
        let equal = tensor.data() == after.tensor(name).unwrap().data();
        let frozen = name.starts_with("model.encoder.") || name == "model.shared.weight";
        assert_eq!(equal, frozen, "{name}");
        if equal { same += 1 } else { changed += 1 }
    }
    assert!(same > 10 && changed > 10);
    t.isogloss(train(&["--max-steps", "4", "--freeze", "all", "-o", "none"]))
        .run()
        .code(2)
        .says("nothing would be trained");
    t.isogloss(train(&["--max-steps", "4", "--freeze", "decodr", "-o", "none"]))
        .run()
        .code(2)
        .says("did you mean `decoder`");
}

#[test]
fn a_loss_that_explodes_stops_the_run() {
    let t = prepared();
    let run = t
        .isogloss(train(&[
            "--max-steps",
            "200",
            "--lr",
            "1e30",
            "--warmup-steps",
            "0",
            "--clip-norm",
            "0",
            "-o",
            "run",
        ]))
        .run();
    run.code(3).says("not finite at step").says("train.jsonl:").says("--lr");
    let state: serde_json::Value = {
        let name = t.read("run/latest");
        serde_json::from_str(&t.read(&format!("run/checkpoints/{}/state.json", name.trim())))
            .unwrap()
    };
    assert!(state["finished"].is_null());
}

#[test]
fn two_writers_are_refused() {
    let t = prepared();
    let args = train(&["--max-steps", "100000", "-o", "run"]);
    let mut child = t
        .isogloss(args.clone())
        .into_command()
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_step(&t.path("run/log.jsonl"), 1, &mut child);
    let second = t.isogloss(args).run();
    signal(&child, "-KILL");
    child.wait().unwrap();
    second.code(5).says("another process is writing here");
}

#[test]
fn bad_input_is_named() {
    let t = prepared();
    let with = |file: &'static str| {
        ["train", "-m", "model", "--train", file, "--max-steps", "1", "-o", "run"]
    };
    let record = |src_lang: &str, tgt: serde_json::Value| {
        format!(
            "{}\n",
            serde_json::json!({"src_lang": src_lang, "tgt_lang": "bb", "src": "uno", "tgt": tgt})
        )
    };
    let cases: [(&'static str, String, i32, &[&str]); 6] = [
        (
            "lang.jsonl",
            corpus(2) + &record("ab", "x".into()),
            3,
            &["lang.jsonl:3", "src_lang", "aa, bb, cc"],
        ),
        ("type.jsonl", record("aa", 7.into()), 3, &["type.jsonl:1", "tgt"]),
        ("json.jsonl", corpus(1) + "{\"src\":", 3, &["json.jsonl:2", "not a JSON object"]),
        ("empty.jsonl", String::new(), 3, &["empty.jsonl", "no records"]),
        (
            "blank.jsonl",
            record("aa", " ".into()),
            3,
            &["no usable sentence pairs", "1 with an empty side"],
        ),
        (
            "missing.jsonl",
            "{\"src\":\"uno\",\"tgt\":\"dos\"}\n".into(),
            3,
            &["missing.jsonl:1", "src_lang"],
        ),
    ];
    for (name, text, code, says) in cases {
        t.write(name, text);
        let run = t.isogloss(with(name)).run();
        run.code(code);
        for s in says {
            run.says(s);
        }
        assert!(!t.exists("run"), "{name}: nothing may be written");
    }
    t.write("latin1.jsonl", b"{\"src\":\"\xE9\"}\n");
    t.isogloss(with("latin1.jsonl")).run().code(3).says("invalid UTF-8");
    t.isogloss(with("nowhere.jsonl")).run().code(4).says("nowhere.jsonl");
    t.isogloss(["train", "-m", "model", "--train", "train.jsonl", "-o", "run"])
        .run()
        .code(2)
        .says("--max-steps");
    t.write("occupied/file", "x");
    t.isogloss(train(&["--max-steps", "1", "-o", "occupied"]))
        .run()
        .code(5)
        .says("not a training run");
    assert_eq!(t.read("occupied/file"), "x");
}

#[test]
fn long_pairs_are_left_out_cut_or_refused() {
    let t = prepared();
    let long = serde_json::json!({
        "src_lang": "aa", "tgt_lang": "bb", "src": "uno ".repeat(3000), "tgt": "dos",
    });
    t.write("long.jsonl", format!("{}{long}\n", corpus(6)));
    let of = |on: &'static str| {
        [
            "train",
            "-m",
            "model",
            "--train",
            "long.jsonl",
            "--max-steps",
            "1",
            "--max-len",
            "12",
            "--on-long",
            on,
            "--force",
            "-o",
            on,
        ]
    };
    t.isogloss(of("skip")).run().ok().says("1 of 7 pairs");
    t.isogloss(of("cut")).run().ok().says("are cut");
    t.isogloss(of("error")).run().code(3).says("long.jsonl:7");
    let dry = |more: &[&'static str]| {
        t.isogloss(of("skip").into_iter().chain(["--dry-run"]).chain(more.iter().copied())).run()
    };
    // It says what the run would say.
    dry(&[]).code(2).says("the run is finished");
    dry(&["--seed", "7"]).code(2).says("started with other settings").says("seed: 1 -> 7");
    let plan = dry(&["--overwrite"]);
    plan.ok();
    assert!(plan.stdout().contains("writes: skip"), "{}", plan.stdout());
    assert!(t.exists("skip/checkpoints"), "nothing was moved");
    let (before, log) = (t.files(), t.read("skip/log.jsonl"));
    let plan = dry(&["--max-steps", "3"]);
    assert!(plan.ok().stdout().contains("continues: skip from step 1\n"), "{}", plan.stdout());
    assert!(!plan.stdout().contains("writes: "), "{}", plan.stdout());
    assert_eq!((t.files(), t.read("skip/log.jsonl")), (before, log), "nothing was trained");
}

/// The scores of a validation are those of `translate` and `score` on its checkpoint.
#[test]
fn validation_scores_are_those_of_translate_and_score() {
    let t = prepared();
    let run = t
        .isogloss(train(&[
            "--max-steps",
            "300",
            "--lr",
            "5e-3",
            "--valid-every",
            "150",
            "--dropout",
            "0",
            "--valid-metric",
            "bleu",
            "--valid-metric",
            "chrf++",
            "--valid-beam-size",
            "2",
            "--best-metric",
            "bleu",
            "--json",
            "-o",
            "run",
        ]))
        .run();
    run.ok();
    let at_end = |pair: &str| -> serde_json::Value {
        let is = |r: &serde_json::Value| r["lang_pair"] == pair || r["group"] == pair;
        run.records().into_iter().rfind(|r| r["type"] == "valid" && is(r)).unwrap()
    };
    assert!(t.read("run/best").contains(" bleu "), "{}", t.read("run/best"));

    let step = at_end("all")["step"].as_u64().unwrap();
    let model = format!("run/checkpoints/step-{step:08}");
    let hyp = t
        .isogloss(["translate", "-m", &model, "--both-directions", "--beam-size", "2", "dev.jsonl"])
        .run();
    t.write("hyp.jsonl", hyp.ok().stdout());
    let scores = t
        .isogloss(["score", "--metric", "bleu", "--metric", "chrf++", "--json", "hyp.jsonl"])
        .run();
    let rows = scores.ok().records();
    let printed = |metric: &str| if metric == "bleu" { "BLEU" } else { "chrF2++" };
    let of = |metric: &str, field: &str, value: &str| -> f64 {
        rows.iter()
            .find(|r| {
                r["metric"] == printed(metric) && r[field] == value && r["average"] != "macro"
            })
            .and_then(|r| r["value"].as_f64())
            .unwrap_or_else(|| panic!("{metric} {value}: {rows:?}"))
    };
    for metric in ["bleu", "chrf++"] {
        let logged = at_end("bb-aa")[metric].as_f64().unwrap();
        assert!((logged - of(metric, "lang_pair", "bb-aa")).abs() < 1e-9);
        let logged = at_end("all")[metric].as_f64().unwrap();
        assert!(logged > 10.0, "the model learns: {logged}");
        assert!((logged - of(metric, "group", "all")).abs() < 1e-9);
    }

    let wrong = |extra: &[&'static str]| {
        t.isogloss(train(&[&["--max-steps", "1", "-o", "other"], extra].concat())).run()
    };
    wrong(&["--best-metric", "blue"]).code(2).says("--best-metric").says("nll");
    wrong(&["--valid-metric", "blue"]).code(2).says("did you mean `bleu`?");
    for name in ["13b", "flores200"] {
        wrong(&["--valid-metric", "bleu", "--valid-tokenize", name])
            .code(2)
            .says("--valid-tokenize")
            .says("13a, intl");
    }
    assert!(!t.exists("other"));
}

fn checkpoints(t: &Sandbox, run: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(t.path(run).join("checkpoints"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Numbers without a short binary form read back as they were written.
#[test]
fn any_rate_can_be_continued() {
    let t = prepared();
    let args = |steps| {
        train(&[
            "--max-steps",
            steps,
            "--dropout",
            "0.11",
            "--attention-dropout",
            "0.014",
            "--label-smoothing",
            "0.12",
            "-o",
            "run",
        ])
    };
    t.isogloss(args("2")).run().ok();
    t.isogloss(args("3")).run().ok();
    // And what the run keeps of its settings is a file of settings.
    t.isogloss(["train", "--config", "run/config.toml", "--max-steps", "4"]).run().ok();
    assert_eq!(t.read("run/latest").trim(), "step-00000004");
}

/// How often a run was stopped changes neither what is averaged nor which best are kept.
#[test]
fn averages_and_best_survive_a_stop() {
    let t = prepared();
    let args = |steps, out| {
        train(&[
            "--max-steps",
            steps,
            "--save-every",
            "2",
            "--valid-every",
            "1",
            "--keep-last",
            "1",
            "--keep-best",
            "3",
            "--average",
            "3",
            "--lr",
            "1e-3",
            "-o",
            out,
        ])
    };
    t.isogloss(args("10", "whole")).run().ok();
    t.isogloss(args("5", "parts")).run().ok();
    t.isogloss(args("10", "parts")).run().ok();
    assert_eq!(checkpoints(&t, "whole"), checkpoints(&t, "parts"));
    let average = |run: &str| fs::read(t.path(run).join("checkpoints/average/model.safetensors"));
    assert_eq!(average("whole").unwrap(), average("parts").unwrap());
    assert_eq!(t.read("whole/best"), t.read("parts/best"));
}

/// `latest` set back by hand: the run goes on from there, and what lay beyond stays readable.
#[test]
fn an_older_checkpoint_can_be_continued() {
    let t = prepared();
    let args = |steps| train(&["--max-steps", steps, "--keep-last", "3", "-o", "run"]);
    t.isogloss(args("15")).run().ok();
    t.write("run/latest", "step-00000005\n");
    t.isogloss(args("20")).run().ok();
    assert_eq!(t.read("run/latest").trim(), "step-00000020");
    let names = checkpoints(&t, "run");
    for name in ["step-00000020", "aside-1-step-00000010", "aside-1-step-00000015"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    t.isogloss(args("21")).run().ok();
}

#[test]
fn one_limit_may_be_raised_beside_another() {
    let t = prepared();
    let args = |steps| train(&["--max-steps", steps, "--max-epochs", "50", "-o", "run"]);
    t.isogloss(args("2")).run().ok();
    t.isogloss(args("3")).run().ok();
    // Held-out text decides which checkpoint is best: another one is another run.
    t.write("other.jsonl", corpus(6));
    let other: Vec<&str> =
        args("4").iter().map(|a| if *a == "dev.jsonl" { "other.jsonl" } else { a }).collect();
    t.isogloss(other).run().code(2).says("held-out text: ");
}

#[test]
fn a_validation_without_a_number_stops_the_run() {
    let t = prepared();
    let args = ["--max-steps", "9", "--lr", "1e30", "--warmup-steps", "0", "--valid-every", "1"];
    t.isogloss(train(&args)).args(["-o", "run"]).run().code(3).says("held-out text is not finite");
    assert!(!t.exists("run/best"));
}

#[test]
fn a_weight_of_zero_is_no_fault() {
    let t = prepared();
    let none: String = corpus(20)
        .lines()
        .map(|l| format!("{}\n", l.replace("{\"src_lang", "{\"weight\":0,\"src_lang")))
        .collect();
    assert!(none.contains("\"weight\":0"));
    t.write("none.jsonl", none);
    t.isogloss(["train", "-m", "model", "--train", "none.jsonl", "--max-steps", "2", "-o", "run"])
        .run()
        .ok();
}

/// What can be known to be wrong before anything is read or written is.
#[test]
fn wrong_requests_leave_nothing() {
    let t = prepared();
    t.write("keep.txt", "precious\n");
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--max-minutes", "nan"], 2, "--max-minutes"),
        (&["--max-epochs", "-1"], 2, "--max-epochs"),
        (&["--max-steps", "1", "--eps", "inf"], 2, "--eps"),
        (&["--max-steps", "1", "--reverse"], 2, "--no-both-directions"),
        (&["--max-steps", "1", "--freeze", "all"], 2, "--freeze"),
        (&["--max-steps", "1", "--valid", "-", "--train", "-"], 2, "`-` is given for both"),
        (&["--max-steps", "1", "--dump-batches", "keep.txt"], 5, "--dump-batches"),
    ];
    for (args, code, says) in cases {
        t.isogloss(train(args)).args(["-o", "run"]).run().code(code).says(says);
        let fresh = !t.exists("run") || checkpoints(&t, "run").is_empty();
        assert!(fresh, "{args:?}");
    }
    assert_eq!(t.read("keep.txt"), "precious\n");
}

/// A full disk behind standard output costs no training: the log has the records too.
#[cfg(target_os = "linux")]
#[test]
fn standard_output_on_a_full_disk_is_told_at_the_end() {
    let t = prepared();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = t.isogloss(train(&["--max-steps", "6", "-o", "run"])).into_command();
    let out = command.stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(out.status.code(), Some(5), "{}", String::from_utf8_lossy(&out.stderr));
    assert_eq!(t.read("run/latest").trim(), "step-00000006");
}
