//! `isogloss translate` as a filter: what goes in comes out in order, whatever it is, and what a
//! sentence is batched with never changes it. The model is untrained; its babble serves as well.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Finished, Invocation, Sandbox};

/// An untrained model of three toy languages, made once.
fn model() -> PathBuf {
    static MODEL: OnceLock<Sandbox> = OnceLock::new();
    MODEL
        .get_or_init(|| {
            let t = Sandbox::new();
            let words = ["nul", "uno", "dos", "tri", "kat", "kin", "ses", "sep", "ok", "nau"];
            let mut text = String::new();
            for i in 0..120 {
                let s: Vec<&str> = (0..3 + i % 4).map(|k| words[(i * 7 + k * 3) % 10]).collect();
                let tgt_lang = ["bb", "cc"][i % 2];
                let record = serde_json::json!({
                    "src_lang": "aa", "tgt_lang": tgt_lang, "src": s.join(" "), "tgt": s.join(" "),
                });
                text.push_str(&format!("{record}\n"));
            }
            t.write("train.jsonl", text);
            t.isogloss(["init", "-o", "model", "--vocab-size", "60", "--preset", "tiny"])
                .arg("train.jsonl")
                .run()
                .ok();
            t
        })
        .path("model")
}

fn translate(t: &Sandbox, args: &[&str]) -> Invocation {
    // Short translations: an untrained model seldom ends by itself.
    t.isogloss(["translate", "-q", "--max-new-tokens", "12", "-m"]).arg(model()).args(args)
}

fn lines(t: &Sandbox, args: &[&str], input: &str) -> Finished {
    translate(t, &["--src-lang", "aa", "--tgt-lang", "bb"]).args(args).stdin(input).run()
}

/// Sentences of many lengths, some equal, some empty.
fn sentences(n: usize) -> Vec<String> {
    let words = ["nul", "uno", "dos", "tri", "kat", "kin", "ses", "sep", "ok", "nau"];
    (0..n)
        .map(|i| {
            let len = [3, 0, 1, 14, 6, 2, 9][i % 7];
            (0..len).map(|k| words[(i * 3 + k * k) % 10]).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn mixed_records(n: usize) -> String {
    let directions = [("aa", "bb"), ("bb", "aa"), ("cc", "aa"), ("aa", "cc"), ("bb", "cc")];
    let mut out = String::new();
    for (i, s) in sentences(n).iter().enumerate() {
        let (src_lang, tgt_lang) = directions[i * i % 5];
        let record = serde_json::json!({
            "id": format!("s{i}"), "src_lang": src_lang, "tgt_lang": tgt_lang, "src": s,
            "tgt": format!("reference {i}"), "origin": {"part": i % 3},
        });
        out.push_str(&format!("{record}\n"));
    }
    out
}

#[test]
fn n_lines_in_n_lines_out_whatever_they_hold() {
    let t = Sandbox::new();
    let odd = [
        "uno dos",
        "",
        "   \t ",
        "uno\u{2028}dos\u{85}tri\u{b}kat\u{c}kin",
        "a\rb",
        "\u{0}\u{1}\u{1b}[31m",
        "</s> <pad> <s> __bb__ <unk>",
        "🇪🇸👩‍👩‍👧 e\u{301}\u{301} \u{202e}abc",
        "日本語 العربية हिन्दी",
        "{\"src\":",
        "\u{feff}uno",
        "\\n \\t \"quoted\"",
        "last without line end",
    ];
    let run = lines(&t, &["--beam-size", "2"], &odd.join("\n"));
    run.ok();
    let out = run.stdout();
    assert!(out.ends_with('\n'));
    let got: Vec<&str> = out.split_terminator('\n').collect();
    assert_eq!(got.len(), odd.len(), "{out:?}");
    assert_eq!((got[1], got[2]), ("", ""), "blank lines stay blank");
    assert!(!out.contains('\r'));
    // The same as records, where everything stays as it was.
    let run = lines(&t, &["--beam-size", "2", "--format", "jsonl"], &odd.join("\n"));
    let records = run.ok().records();
    assert_eq!(records.len(), odd.len());
    for (i, r) in records.iter().enumerate() {
        assert_eq!(r["type"], "translation");
        assert_eq!(r["id"], i.to_string());
        assert_eq!(r["src"], odd[i]);
        let blank = odd[i].trim().is_empty();
        assert_eq!(r.get("score").is_none(), blank, "{r}");
    }
    assert_eq!(lines(&t, &[], "").ok().stdout(), "");
    assert_eq!(lines(&t, &[], "\n\n\n").ok().stdout(), "\n\n\n");
}

#[test]
fn batch_window_threads_and_order_change_no_byte() {
    let t = Sandbox::new();
    t.write("in.jsonl", mixed_records(63));
    for beam in ["1", "4"] {
        let base = ["in.jsonl", "--beam-size", beam, "--token-scores"];
        let run = |args: &[&str]| translate(&t, &base).args(args).run().ok().stdout();
        let first = run(&["--batch-size", "1", "--threads", "1"]);
        assert_eq!(first.lines().count(), 63);
        for args in [
            &["--batch-size", "7"][..],
            &["--batch-size", "200", "--window", "3"],
            &["--batch-tokens", "40", "--threads", "3"],
            &["--batch-size", "63", "--line-buffered"],
        ] {
            assert_eq!(run(args), first, "{args:?}");
        }
        // Backwards in, backwards out.
        let input = mixed_records(63);
        let reversed: Vec<&str> = input.lines().rev().collect();
        let out = translate(&t, &["--beam-size", beam, "--token-scores"])
            .stdin(reversed.join("\n"))
            .run()
            .ok()
            .stdout();
        let back: Vec<&str> = out.lines().rev().collect();
        assert_eq!(back, first.lines().collect::<Vec<_>>());
    }
}

#[test]
fn records_keep_their_fields_and_directions() {
    let t = Sandbox::new();
    let input = "{\"id\":5,\"x\":[1,{\"y\":null}],\"text\":\"uno dos\",\"src_lang\":\"aa\",\
                 \"tgt_lang\":\"cc\",\"tgt\":\"un du\",\"hyp\":\"old\",\"score\":7}\n\
                 {\"src\":\"tri\",\"tgt\":\"three\",\"src_lang\":\"bb\"}\n";
    let run = translate(&t, &["--src-lang", "aa", "--tgt-lang", "cc"]).stdin(input).run();
    let r = run.ok().records();
    let keys: Vec<&String> = r[0].as_object().unwrap().keys().collect();
    assert_eq!(keys[..6], ["type", "id", "src_lang", "tgt_lang", "src", "hyp"]);
    assert_eq!(r[0]["id"], "5");
    assert_eq!(r[0]["x"], serde_json::json!([1, {"y": null}]));
    assert_eq!((&r[0]["src"], &r[0]["tgt"]), (&Value::from("uno dos"), &Value::from("un du")));
    assert_ne!(r[0]["hyp"], "old");
    assert!(r[0]["score"].as_f64().unwrap() < 0.0);
    assert!(["eos", "max_len"].contains(&r[0]["finish"].as_str().unwrap()));
    // The record's language wins, the flag fills in; the line number is the id.
    assert_eq!((&r[1]["src_lang"], &r[1]["tgt_lang"]), (&Value::from("bb"), &Value::from("cc")));
    assert_eq!(r[1]["id"], "1");

    let back = translate(&t, &["--reverse"]).stdin(input.lines().next().unwrap()).run();
    let r = back.ok().records();
    assert_eq!((&r[0]["src_lang"], &r[0]["tgt_lang"]), (&Value::from("cc"), &Value::from("aa")));
    assert_eq!((&r[0]["src"], &r[0]["tgt"]), (&Value::from("un du"), &Value::from("uno dos")));
    assert!(r[0].get("text").is_none());
    let both = translate(&t, &["--both-directions"]).stdin(input.lines().next().unwrap()).run();
    let both = both.ok().records();
    assert_eq!(both.len(), 2);
    assert_eq!(both[1], r[0]);

    // Tab-separated input is records too; text can be asked for.
    let tsv = "src_lang\ttgt_lang\tsrc\naa\tbb\tuno\nbb\tcc\tdos\n";
    t.write("in.tsv", tsv);
    let r = translate(&t, &["in.tsv"]).run().ok().records();
    assert_eq!(r[1]["tgt_lang"], "cc");
    let text = translate(&t, &["in.tsv", "--format", "text"]).run().ok().stdout();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [r[0]["hyp"].as_str().unwrap(), r[1]["hyp"].as_str().unwrap()]
    );
}

#[test]
fn a_broken_line_stops_or_keeps_its_place() {
    let t = Sandbox::new();
    let good = r#"{"src_lang":"aa","tgt_lang":"bb","src":"uno"}"#;
    let input = [
        good.as_bytes(),
        b"{\"src\": oops}",
        good.as_bytes(),
        br#"{"src_lang":"aa","tgt_lang":"bq","src":"uno","keep":1}"#,
        b"\xff\xfe",
        br#"{"src_lang":"aa","tgt_lang":"bb"}"#,
        b"[1]",
        good.as_bytes(),
    ]
    .join(&b'\n');
    t.write("in.jsonl", &input);
    let run = translate(&t, &["in.jsonl"]).run();
    run.code(3).says("not a JSON object").says("in.jsonl:2");
    assert_eq!(run.records().len(), 1, "what came before is translated");

    let run = translate(&t, &["in.jsonl", "--skip-bad"]).run();
    run.code(3).says("5 broken of 8");
    let r = run.records();
    let broken: Vec<usize> = (0..8).filter(|&i| r[i].get("error").is_some()).collect();
    assert_eq!(broken, [1, 3, 4, 5, 6]);
    assert_eq!((&r[3]["keep"], &r[3]["tgt_lang"]), (&Value::from(1), &Value::from("bq")));
    assert_eq!(r[0]["hyp"], r[7]["hyp"]);
    let text = translate(&t, &["in.jsonl", "--skip-bad", "--format", "text"]).run();
    assert_eq!(text.code(3).stdout().split_terminator('\n').count(), 8);
    let few = translate(&t, &["in.jsonl", "--max-errors", "2"]).run();
    assert_eq!(few.code(3).records().len(), 4);

    // A first line that is no text must not end it either.
    let run = lines(&t, &["--skip-bad"], "");
    run.ok();
    let mut bytes = b"\xff\n".to_vec();
    bytes.extend_from_slice(b"uno\n");
    let run =
        translate(&t, &["--src-lang", "aa", "--tgt-lang", "bb", "--skip-bad"]).stdin(bytes).run();
    assert_eq!(run.code(3).stdout().split_terminator('\n').count(), 2);
}

#[test]
fn languages_are_checked_and_listed() {
    let t = Sandbox::new();
    assert_eq!(translate(&t, &["--list-langs"]).run().ok().stdout(), "aa\nbb\ncc\n");
    translate(&t, &["--src-lang", "aa", "--tgt-lang", "bbb"])
        .run()
        .code(2)
        .says("did you mean `bb`?");
    translate(&t, &["--tgt-lang", "bb"]).stdin("uno\n").run().code(2).says("--src-lang");
    let record = r#"{"src_lang":"xx","tgt_lang":"bb","src":"uno"}"#;
    translate(&t, &[]).stdin(record).run().code(3).says("unknown language `xx`").says("src_lang");
    translate(&t, &[]).stdin(r#"{"src":"uno"}"#).run().code(3).says("no `src_lang`");
}

#[test]
fn long_sources_are_cut_or_refused() {
    let t = Sandbox::new();
    let long = "uno dos tri ".repeat(90_000);
    let input = format!("kat\n{long}\nkin\n");
    let run = lines(&t, &["--format", "jsonl", "--beam-size", "1"], &input);
    let r = run.ok().records();
    assert_eq!(r.len(), 3);
    assert_eq!(r[1]["truncated"], true);
    assert!(r[0].get("truncated").is_none() && r[2].get("truncated").is_none());
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(model().join("config.json")).unwrap())
            .unwrap();
    assert_eq!(r[1]["num_src_tokens"], config["max_position_embeddings"]);
    lines(&t, &["--on-long", "error"], &input).code(3).says("source is too long").says("<stdin>:2");
}

#[test]
fn n_best_token_scores_and_given_targets_agree() {
    let t = Sandbox::new();
    let args = ["--format", "jsonl", "--beam-size", "4", "--n-best", "4", "--token-scores"];
    let run = lines(&t, &args, "uno dos tri\nkat\n");
    for r in run.ok().records() {
        let list = r["nbest"].as_array().unwrap();
        assert_eq!(list.len(), 4);
        assert_eq!(list[0]["hyp"], r["hyp"]);
        let norms: Vec<f64> = list.iter().map(|h| h["score_norm"].as_f64().unwrap()).collect();
        assert!(norms.windows(2).all(|w| w[0] >= w[1]), "{norms:?}");
        let tokens = r["token_scores"].as_array().unwrap();
        assert_eq!(tokens.len() as u64, r["num_hyp_tokens"].as_u64().unwrap());
        assert_eq!(tokens[0], 0.0, "the mark is forced");
        let sum: f64 = tokens.iter().map(|s| s.as_f64().unwrap()).sum();
        let score = r["score"].as_f64().unwrap();
        assert!((sum - score).abs() < 1e-3);
        let norm = score / tokens.len() as f64;
        assert!((norm - r["score_norm"].as_f64().unwrap()).abs() < 1e-4);
    }
    let given = r#"{"src_lang":"aa","tgt_lang":"bb","src":"uno dos","tgt":"ok nau"}"#;
    let run = translate(&t, &["--score-given", "--token-scores"]).stdin(given).run();
    let r = &run.ok().records()[0];
    assert_eq!(r["hyp"], "ok nau");
    assert_eq!(r["finish"], "eos");
    assert!(r["score"].as_f64().unwrap() < 0.0);
    let without = r#"{"src_lang":"aa","tgt_lang":"bb","src":"uno dos"}"#;
    translate(&t, &["--score-given"]).stdin(without).run().code(3).says("no reference");
    lines(&t, &["--n-best", "9", "--beam-size", "2"], "uno\n").code(2).says("--n-best");
    lines(&t, &["--n-best", "2"], "uno\n").code(2).says("--format jsonl");
    lines(&t, &["--beam-size", "0"], "uno\n").code(2);
}

/// A translation begins with its prefix and goes on as the model would: greedy search along its own
/// words finds its own translation again, and scores behind the prefix are those of the given text.
#[test]
fn translations_begin_with_their_prefix() {
    let t = Sandbox::new();
    let base = ["--format", "jsonl", "--token-scores"];
    let with =
        |more: &[&str], input: &str| lines(&t, &[&base[..], more].concat(), input).ok().records();
    let ids = |r: &Value| -> Vec<u64> {
        r["token_ids"].as_array().unwrap().iter().map(|i| i.as_u64().unwrap()).collect()
    };
    let input = "uno dos tri\nkat kin\n";
    for more in [&["--beam-size", "1"][..], &["--beam-size", "3"]] {
        let free = with(more, input);
        let prefixed = with(&[more, &["--prefix", "ok nau"]].concat(), input);
        for (free, r) in free.iter().zip(&prefixed) {
            let (ids, scores) = (ids(r), r["token_scores"].as_array().unwrap());
            assert!(r["hyp"].as_str().unwrap().starts_with("ok nau"), "{r}");
            let forced = scores.iter().take_while(|s| **s == 0.0).count();
            assert!(forced > 2 && forced < ids.len(), "{r}");
            assert_eq!(ids[0], free["token_ids"][0], "the mark comes first");
            assert_eq!(ids.len(), scores.len());
            let sum: f64 = scores.iter().map(|s| s.as_f64().unwrap()).sum();
            let norm = r["score_norm"].as_f64().unwrap();
            assert!((sum / ids.len() as f64 - norm).abs() < 1e-4, "{r}");
        }
    }
    // Its own words, by a field; a record without it is free.
    let free = with(&["--beam-size", "1"], input);
    let own = free[0]["hyp"].as_str().unwrap();
    let begin: String = own.chars().take(own.chars().count() / 2).collect();
    let begin = begin.rsplit_once(' ').map_or(begin.clone(), |(b, _)| b.to_string());
    let record = |prefix: Value| {
        let r = serde_json::json!({"src": "uno dos tri", "src_lang": "aa", "tgt_lang": "bb", "begin": prefix});
        format!("{r}\n")
    };
    let input = record(begin.clone().into()) + &record(Value::Null);
    let args = ["--beam-size", "1", "--prefix-field", "begin"];
    let run = translate(&t, &args).stdin(input.as_str()).run();
    let found = run.ok().records();
    assert_eq!(found[0]["hyp"], free[0]["hyp"]);
    assert_eq!(found[0]["begin"], begin.as_str(), "the field is carried through");
    assert_eq!(found[1]["score"], free[0]["score"]);
    let bad = translate(&t, &args).stdin(record(3.into())).run();
    bad.code(3).says("prefix is no text").says("field `begin`");
    let long = "nau ".repeat(3000);
    lines(&t, &["--prefix", &long], "uno\n").code(3).says("prefix is too long");
    lines(&t, &["--prefix", "a", "--reverse"], "uno\n").code(2).says("--reverse");
}

#[test]
fn search_settings_of_the_model_are_heeded() {
    let t = Sandbox::new();
    let copy = t.path("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        std::fs::copy(model().join(name), copy.join(name)).unwrap();
    }
    let run = |args: &[&str]| {
        t.isogloss(["translate", "-q", "-m", "copy", "--src-lang", "aa", "--tgt-lang", "bb"])
            .args(["--format", "jsonl"])
            .args(args)
            .stdin("uno dos\n")
            .run()
            .ok()
            .records()
            .remove(0)
    };
    // Without the file: one and a half times the source and 50 more.
    let free = run(&["--min-new-tokens", "500"]);
    let src = free["num_src_tokens"].as_u64().unwrap();
    assert_eq!(free["num_hyp_tokens"].as_u64().unwrap(), src + src / 2 + 50);
    t.write("copy/generation_config.json", r#"{"max_length": 9, "length_penalty": 0.0}"#);
    let bound = run(&["--min-new-tokens", "500"]);
    assert_eq!(bound["num_hyp_tokens"], 8);
    assert_eq!(bound["score"], bound["score_norm"]);
    let flag = run(&["--min-new-tokens", "20", "--max-new-tokens", "20", "--length-penalty", "1"]);
    assert_eq!(flag["num_hyp_tokens"], 20);
    t.write("copy/generation_config.json", r#"{"early_stopping": 3}"#);
    let bad = t.isogloss(["translate", "-m", "copy", "--src-lang", "aa", "--tgt-lang", "bb"]).run();
    bad.code(4).says("early_stopping");
    // What is not done is said, of the file that asks for it: models had it in config.json before.
    let warned = |file: &str| {
        let flags = ["translate", "-m", "copy", "--src-lang", "aa", "--tgt-lang", "bb"];
        let run = t.isogloss(flags).stdin("uno dos\n").run();
        run.ok().says("a search that isogloss does not have").says("repetition_penalty");
        run.says(&format!("--> copy/{file}\n"));
    };
    t.write("copy/generation_config.json", r#"{"repetition_penalty": 1.5}"#);
    warned("generation_config.json");
    std::fs::remove_file(copy.join("generation_config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&t.read("copy/config.json")).unwrap();
    config["repetition_penalty"] = json!(1.5);
    t.write("copy/config.json", config.to_string());
    warned("config.json");
}

#[test]
fn header_and_summary_frame_the_records() {
    let t = Sandbox::new();
    let r =
        lines(&t, &["--format", "jsonl", "--header", "--summary", "--beam-size", "3"], "uno\n\n");
    let r = r.ok().records();
    assert_eq!((&r[0]["type"], &r[3]["type"]), (&Value::from("header"), &Value::from("summary")));
    let signature = r[0]["signature"].as_str().unwrap();
    assert!(signature.starts_with("model:model@") && signature.contains("|beam:3|"), "{signature}");
    assert_eq!(r[3]["num_records"], 2);
    // Its own output is input again: what is no translation is passed over.
    let stream: String = r.iter().map(|r| format!("{r}\n")).collect();
    t.write("again.jsonl", stream);
    assert_eq!(translate(&t, &["again.jsonl"]).run().ok().records().len(), 2);
    let dry = lines(&t, &["--dry-run"], "");
    assert!(dry.ok().stdout().contains("<stdin>"));
}

/// A running filter and the lines it writes.
fn start(t: &Sandbox, args: &[&str]) -> (Child, std::sync::mpsc::Receiver<String>) {
    let mut command = translate(t, args).into_command();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let stdout = child.stdout.take().unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    (child, receiver)
}

#[test]
fn results_appear_while_input_is_open() {
    let t = Sandbox::new();
    let (mut child, lines) = start(&t, &["--src-lang", "aa", "--tgt-lang", "bb"]);
    let mut stdin = child.stdin.take().unwrap();
    for text in ["uno dos\n", "\n", "tri\nkat\n"] {
        stdin.write_all(text.as_bytes()).unwrap();
        stdin.flush().unwrap();
        for _ in text.lines() {
            lines.recv_timeout(Duration::from_secs(60)).expect("an answer before the end of input");
        }
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_pipe_is_a_normal_end() {
    let t = Sandbox::new();
    let mut command = translate(
        &t,
        &["--src-lang", "aa", "--tgt-lang", "bb", "--line-buffered", "--beam-size", "1"],
    )
    .into_command();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().unwrap();
    // Input that does not end by itself.
    let feeder = std::thread::spawn(move || while stdin.write_all(b"uno dos tri\n").is_ok() {});
    let mut first = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut first).unwrap();
    assert!(first.ends_with('\n'));
    drop(reader);
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert!(status.success() && stderr.is_empty(), "{status}: {stderr}");
    feeder.join().unwrap();
}

#[test]
fn damaged_weights_are_an_artifact_error() {
    let t = Sandbox::new();
    let copy = t.path("copy");
    std::fs::create_dir(&copy).unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(model().join(name), copy.join(name)).unwrap();
    }
    let mut bytes = std::fs::read(model().join("model.safetensors")).unwrap();
    let end = bytes.len();
    // NaN in the last values, whatever tensor they belong to.
    for chunk in bytes[end - 4096..].chunks_exact_mut(4) {
        chunk.copy_from_slice(&f32::NAN.to_le_bytes());
    }
    std::fs::write(copy.join("model.safetensors"), &bytes).unwrap();
    let run = t
        .isogloss(["translate", "-m", "copy", "--src-lang", "aa", "--tgt-lang", "bb"])
        .stdin("uno dos\n")
        .run();
    run.code(4).says("not finite");
    std::fs::write(copy.join("model.safetensors"), &bytes[..end / 2]).unwrap();
    let run = t.isogloss(["translate", "-m", "copy", "--src-lang", "aa", "--tgt-lang", "bb"]).run();
    run.code(4).says("copy/model.safetensors");
    t.isogloss(["translate", "-m", "nowhere"]).run().code(4).says("not a model directory");
}
