//! `profile-neurons`, `build-masks`, masked `train` and `translate`, `export`: the chain from
//! records to a model of one direction, and what it says to bad input.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

use crate::support::Sandbox;
use crate::train::corpus_from;

/// A directory with text, a model, its statistics and masks, made once.
fn base() -> PathBuf {
    static BASE: OnceLock<Sandbox> = OnceLock::new();
    let t = BASE.get_or_init(|| {
        let t = Sandbox::new();
        t.write("train.jsonl", corpus_from(0, 120));
        t.write("dev.jsonl", corpus_from(500, 30));
        let init = ["init", "-q", "-o", "model", "--vocab-size", "60", "--preset", "tiny"];
        t.isogloss(init).arg("train.jsonl").run().ok();
        let profile = ["profile-neurons", "-q", "-m", "model", "-o", "stats.safetensors", "--sums"];
        t.isogloss(profile).arg("dev.jsonl").run().ok();
        let build = ["build-masks", "-q", "--k", "80", "-o", "masks.safetensors"];
        t.isogloss(build).arg("stats.safetensors").run().ok();
        t
    });
    t.dir().to_path_buf()
}

/// A fresh directory with the same files.
fn prepared() -> Sandbox {
    let t = Sandbox::new();
    for name in ["train.jsonl", "dev.jsonl", "stats.safetensors", "masks.safetensors"] {
        std::fs::copy(base().join(name), t.path(name)).unwrap();
    }
    std::fs::create_dir(t.path("model")).unwrap();
    for entry in std::fs::read_dir(base().join("model")).unwrap().flatten() {
        std::fs::copy(entry.path(), t.path("model").join(entry.file_name())).unwrap();
    }
    t
}

fn records(text: &str, kind: &str) -> Vec<Value> {
    let parse = |l: &str| serde_json::from_str::<Value>(l).unwrap();
    text.lines().map(parse).filter(|r| r["type"] == kind).collect()
}

/// Type, shape and bytes.
type Tensor = (String, Value, Vec<u8>);

/// Tensors and metadata of a safetensors file.
fn tensors(bytes: &[u8]) -> (BTreeMap<String, Tensor>, Value) {
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
    let mut out = BTreeMap::new();
    for (name, t) in header.as_object().unwrap().iter().filter(|(n, _)| *n != "__metadata__") {
        let at = |i: usize| 8 + n + t["data_offsets"][i].as_u64().unwrap() as usize;
        let dtype = t["dtype"].as_str().unwrap().to_string();
        out.insert(name.clone(), (dtype, t["shape"].clone(), bytes[at(0)..at(1)].to_vec()));
    }
    (out, header["__metadata__"].clone())
}

fn file(t: &Sandbox, name: &str) -> Vec<u8> {
    std::fs::read(t.path(name)).unwrap()
}

/// The layout other programs read: names, types, shapes, metadata.
#[test]
fn files_are_as_the_contract_says() {
    let t = prepared();
    let (stats, meta) = tensors(&file(&t, "stats.safetensors"));
    assert_eq!(meta["kind"], "neuron_stats");
    let pairs: Vec<String> = serde_json::from_str(meta["lang_pairs"].as_str().unwrap()).unwrap();
    assert_eq!(pairs, ["aa-bb", "aa-cc", "bb-aa", "cc-aa"]);
    let (dtype, shape, _) = &stats["encoder.layers.0.fc1.active_count"];
    assert_eq!((dtype.as_str(), shape[0].as_u64()), ("U32", Some(4)));
    let ffn = shape[1].as_u64().unwrap();
    assert!(stats.contains_key("decoder.layers.1.fc1.sum_activation"));
    assert_eq!(stats["token_count"].1, serde_json::json!([4, 2]));
    let (masks, meta) = tensors(&file(&t, "masks.safetensors"));
    assert_eq!(meta["kind"], "neuron_masks");
    let (dtype, shape, bytes) = &masks["aa-bb.encoder.layers.0.fc1.mask"];
    assert_eq!((dtype.as_str(), shape), ("U8", &serde_json::json!([ffn])));
    assert!(bytes.iter().all(|b| *b < 2) && bytes.contains(&0) && bytes.contains(&1));
    assert_eq!(masks.len(), 4 * 4);
}

/// Counts are whole numbers that know neither order nor shards.
#[test]
fn order_threads_and_shards_change_no_count() {
    let t = prepared();
    let text = t.read("dev.jsonl");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.reverse();
    t.write("turned/dev.jsonl", lines.join("\n"));
    let profile = |args: &[&str]| {
        t.isogloss(["profile-neurons", "-q", "-m", "model", "--sums"]).args(args).run().ok();
    };
    profile(&["-o", "turned.st", "turned/dev.jsonl", "--threads", "2", "--batch-tokens", "20"]);
    assert_eq!(file(&t, "turned.st"), file(&t, "stats.safetensors"), "byte for byte");
    let (a, b) = lines.split_at(11);
    t.write("a.jsonl", a.join("\n"));
    t.write("b.jsonl", b.join("\n"));
    profile(&["-o", "a.st", "a.jsonl"]);
    profile(&["-o", "b.st", "b.jsonl"]);
    let build = |out: &str, stats: &[&str]| {
        t.isogloss(["build-masks", "-q", "--k", "80", "-o", out]).args(stats).run().ok();
        tensors(&file(&t, out)).0
    };
    let whole = build("whole.st", &["stats.safetensors"]);
    assert_eq!(build("one.st", &["a.st", "b.st"]), whole);
    assert_eq!(build("two.st", &["b.st", "a.st"]), whole);
    let again = build("three.st", &["stats.safetensors"]);
    assert_eq!((again, file(&t, "three.st")), (whole, file(&t, "whole.st")));
}

#[test]
fn records_add_up() {
    let t = prepared();
    let run = t.isogloss(["profile-neurons", "-q", "-m", "model", "--sums", "--per-neuron"]);
    let out = run.arg("dev.jsonl").run().ok().stdout();
    let layers = records(&out, "layer_profile");
    assert_eq!(layers.len(), 4 * 4);
    for layer in &layers {
        let own: Vec<Value> = records(&out, "neuron_profile")
            .into_iter()
            .filter(|r| r["lang_pair"] == layer["lang_pair"] && r["module"] == layer["module"])
            .collect();
        assert_eq!(own.len() as u64, layer["ffn_dim"].as_u64().unwrap());
        let sum: u64 = own.iter().map(|r| r["active_count"].as_u64().unwrap()).sum();
        let tokens = layer["token_count"].as_u64().unwrap();
        let frac = sum as f64 / (tokens * own.len() as u64) as f64;
        assert!((frac - layer["active_frac"].as_f64().unwrap()).abs() < 1e-6);
        assert!(own.iter().all(|r| r["mean_activation"].as_f64().unwrap() >= 0.0));
        assert!(layer["p10"].as_f64() <= layer["p50"].as_f64());
    }
    let masks = t.isogloss(["build-masks", "-q", "--k", "80", "--overlap", "stats.safetensors"]);
    let out = masks.run().ok().stdout();
    for m in records(&out, "layer_mask") {
        assert!(m["covered_frac"].as_f64().unwrap() >= 0.8, "{m}");
        assert_eq!((m["rule"].as_str(), m["k"].as_f64()), (Some("cumulative"), Some(80.0)));
    }
    // Encoders of directions into aa, decoders of directions from aa: one pair a layer.
    let pairs = records(&out, "mask_overlap");
    assert_eq!(pairs.len(), 4);
    assert_eq!(
        (pairs[0]["group_a"].as_str(), pairs[0]["group_b"].as_str()),
        (Some("bb-aa"), Some("cc-aa"))
    );
    assert_eq!(records(&out, "layer_overlap").len(), 4);
}

/// Masks in training and translation: saved with each checkpoint, used without being named again,
/// equal to the exported model, other than the dense one.
#[test]
fn a_masked_run_from_start_to_export() {
    let t = prepared();
    // Few neurons, so that it shows when they are all used.
    let build = ["build-masks", "-q", "--k", "40", "--force", "-o", "masks.safetensors"];
    t.isogloss(build).arg("stats.safetensors").run().ok();
    let train = [
        "train",
        "-q",
        "-m",
        "model",
        "--train",
        "train.jsonl",
        "--valid",
        "dev.jsonl",
        "--masks",
        "masks.safetensors",
        "--batch-tokens",
        "64",
        "--lr",
        "0.01",
        "--warmup-steps",
        "4",
        "--valid-metric",
        "chrf",
        "--save-every",
        "5",
        "-o",
    ];
    t.isogloss(train).args(["run", "--max-steps", "30"]).run().ok();
    // Stopped and continued, the same.
    t.isogloss(train).args(["halves", "--max-steps", "15"]).run().ok();
    t.isogloss(train).args(["halves", "--max-steps", "30"]).run().ok();
    let last = "checkpoints/step-00000030/model.safetensors";
    assert_eq!(file(&t, &format!("run/{last}")), file(&t, &format!("halves/{last}")));
    let carried = "run/checkpoints/step-00000030/neuron_masks.safetensors";
    assert_eq!(file(&t, carried), file(&t, "masks.safetensors"));

    let translate = |args: &[&str]| {
        let run = t.isogloss([
            "translate",
            "-q",
            "--max-new-tokens",
            "12",
            "--both-directions",
            "--header",
        ]);
        run.args(args).arg("dev.jsonl").run().ok().stdout()
    };
    let own = translate(&["-m", "run"]);
    let body = |s: &str| s.split_once('\n').unwrap().1.to_string();
    assert_eq!(body(&translate(&["-m", "run", "--masks", "masks.safetensors"])), body(&own));
    assert_ne!(body(&translate(&["-m", "run", "--no-masks"])), body(&own));
    let signature = |s: &str| records(s, "header")[0]["signature"].as_str().unwrap().to_string();
    assert!(signature(&own).contains("|mask:neuron_masks@k40@"), "{}", signature(&own));

    // Validation scored, and measured the loss of, the masked model.
    let log = |run: &str| records(&t.read(&format!("{run}/log.jsonl")), "valid");
    let all = |run: &str, key: &str| {
        let of = log(run).into_iter().rfind(|r| r["group"] == "all").unwrap();
        of[key].as_f64().unwrap()
    };
    let last = ["-m", "run/checkpoints/step-00000030"];
    let by_pair = |rows: Vec<Value>, key: &str| -> BTreeMap<String, f64> {
        let own = rows.iter().filter_map(|r| Some((r["lang_pair"].as_str()?, r[key].as_f64()?)));
        own.map(|(pair, value)| (pair.to_string(), value)).collect()
    };
    let scored = |more: &[&str]| {
        let greedy = ["translate", "-q", "--beam-size", "1", "--both-directions", "dev.jsonl"];
        t.write("hyp.jsonl", t.isogloss(greedy).args(last).args(more).run().ok().stdout());
        let score = ["score", "-q", "--metric", "chrf", "--json", "hyp.jsonl"];
        by_pair(records(&t.isogloss(score).run().ok().stdout(), "score"), "value")
    };
    let (logged, masked) = (by_pair(log("run"), "chrf"), scored(&[]));
    assert_eq!(logged.len(), 4);
    assert!(logged.iter().all(|(p, v)| (v - masked[p]).abs() < 1e-6), "{logged:?} {masked:?}");
    assert_ne!(scored(&["--no-masks"]), masked);
    // One update too small to matter, with the masks and without.
    for (out, masks) in [("with", &["--masks", "masks.safetensors"][..]), ("without", &[])] {
        let still =
            ["train", "-q", "--train", "train.jsonl", "--valid", "dev.jsonl", "--lr", "1e-12"];
        let still = t.isogloss(still).args(last).args(masks).args(["--max-steps", "1", "-o", out]);
        still.run().ok();
    }
    let nll = all("run", "nll");
    assert!((all("with", "nll") - nll).abs() < 1e-4, "{} {nll}", all("with", "nll"));
    assert!((all("without", "nll") - nll).abs() > 1e-3);

    let export = ["export", "-q", "-m", "run", "--direction", "aa-bb", "-o", "small"];
    let record = records(&t.isogloss(export).run().ok().stdout(), "export").remove(0);
    assert!(record["num_parameters"].as_u64() < record["num_parameters_before"].as_u64());
    let hyps = |out: &str| -> Vec<(String, String)> {
        records(out, "translation")
            .iter()
            .filter(|r| r["src_lang"] == "aa" && r["tgt_lang"] == "bb")
            .map(|r| (r["src"].to_string(), r["hyp"].to_string()))
            .collect()
    };
    let small = translate(&["-m", "small"]);
    assert!(!hyps(&small).is_empty());
    assert_eq!(hyps(&small), hyps(&own));
    assert!(!t.exists("small/neuron_masks.safetensors"));

    let facts = t.isogloss(["inspect", "--format", "json", "run"]).run().ok().stdout();
    assert!(facts.contains("checkpoints"));
    let best = t.read("run/best");
    let dir = format!("run/checkpoints/{}", best.split_whitespace().next().unwrap());
    let facts = t.isogloss(["inspect", "--format", "json", &dir]).run().ok().stdout();
    let facts: Value = serde_json::from_str(&facts).unwrap();
    assert_eq!(facts["neuron_masks"]["rule"], "k40");
    assert!(facts["neuron_masks"]["encoder_layers_saved_frac"].as_f64().unwrap() > 0.0);
}

#[test]
fn directions_without_a_mask_as_asked() {
    let t = prepared();
    let some = ["build-masks", "-q", "-o", "some.st", "--direction", "bb-*", "--direction", "*-cc"];
    t.isogloss(some).arg("stats.safetensors").run().ok();
    let translate = |how: &[&str]| {
        let args = ["translate", "-m", "model", "--masks", "some.st", "--src-lang", "bb"];
        let args = args.iter().chain(&["--tgt-lang", "cc", "--max-new-tokens", "5"]);
        t.isogloss(args.chain(how)).stdin("uno dos\n").run()
    };
    let refused = translate(&[]);
    refused.code(3);
    assert!(refused.stderr.contains("direction `bb-cc` has no mask"), "{}", refused.stderr);
    translate(&["--unknown-direction", "dense"]).ok();
    translate(&["--unknown-direction", "merged"]).ok();
    let train = ["train", "-m", "model", "--train", "train.jsonl", "--max-steps", "1", "-o", "run"];
    let run = t.isogloss(train).args(["--masks", "some.st"]).run();
    run.code(3);
    assert!(run.stderr.contains("has no mask") && !t.exists("run"), "{}", run.stderr);
    t.isogloss(train).args(["--masks", "some.st", "--unknown-direction", "dense"]).run().ok();
    // The checkpoint remembers what its other directions were trained with.
    let lines = ["translate", "-q", "-m", "run", "--src-lang", "aa", "--tgt-lang", "bb"];
    t.isogloss(lines).args(["--max-new-tokens", "5"]).stdin("uno\n").run().ok();

    // A direction of its own, merged beforehand.
    let merge = ["build-masks", "-q", "-o", "merged.st", "--merge", "bb-cc=bb-aa+aa-cc"];
    t.isogloss(merge).arg("stats.safetensors").run().ok();
    let (masks, _) = tensors(&file(&t, "merged.st"));
    assert_eq!(masks["bb-cc.encoder.layers.1.fc1.mask"], masks["bb-aa.encoder.layers.1.fc1.mask"]);
    assert_eq!(masks["bb-cc.decoder.layers.1.fc1.mask"], masks["aa-cc.decoder.layers.1.fc1.mask"]);
}

/// Controls keep as many neurons as the masks they control, in groups too.
#[test]
fn rules_and_groups() {
    let t = prepared();
    t.write("groups.tsv", "lang\tfamily\nbb\tx\ncc\tx\n");
    let kept = |args: &[&str]| -> BTreeMap<String, u64> {
        let run =
            t.isogloss(["build-masks", "-q", "--k", "60", "-f", "jsonl", "stats.safetensors"]);
        records(&run.args(args).run().ok().stdout(), "layer_mask")
            .iter()
            .map(|r| (format!("{}/{}", r["group"], r["module"]), r["kept"].as_u64().unwrap()))
            .collect()
    };
    let (masks, _) = tensors(&file(&t, "masks.safetensors"));
    let ffn_dim = masks["aa-bb.encoder.layers.0.fc1.mask"].2.len() as u64;
    for grouping in
        [&[][..], &["--group-by", "source"], &["--group-by", "family", "--groups", "groups.tsv"]]
    {
        let with = |more: &[&'static str]| kept(&[grouping, more].concat());
        let plain = with(&[]);
        assert_eq!(with(&["--rule", "random"]), plain);
        assert_eq!(with(&["--rule", "magnitude", "-m", "model"]), plain);
        for (name, left) in with(&["--rule", "complement"]) {
            assert_eq!(left + plain[&name], ffn_dim, "{name}");
        }
        let all = with(&["--combine", "intersection"]);
        assert!(all.iter().all(|(name, n)| *n <= plain[name]));
    }
    assert_eq!(kept(&["--group-by", "family", "--groups", "groups.tsv"]).len(), 4);
    assert!(kept(&["--rule", "top-n", "--top", "7"]).values().all(|n| *n == 7));
    assert!(
        kept(&["--k-for", "aa-*:encoder=0"])
            .iter()
            .all(|(name, n)| !(name.contains("\"aa-") && name.contains("encoder")) || *n == 1)
    );
    let small = kept(&["--k-decoder", "10"]);
    assert!(kept(&[]).iter().all(|(name, n)| !name.contains("decoder") || small[name] < *n));
    kept(&["--rule", "activation"]);
}

#[test]
fn figures_are_whole_and_the_same_again() {
    let t = prepared();
    t.write("groups.tsv", "lang\tfamily\nbb\tx\ncc\ty\n");
    let draw = [
        "build-masks",
        "-q",
        "--k",
        "70",
        "--figure",
        "fig",
        "--groups",
        "groups.tsv",
        "stats.safetensors",
    ];
    t.isogloss(draw).run().ok();
    let mut names: Vec<String> = std::fs::read_dir(t.path("fig"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(names.len(), 6, "{names:?}");
    for name in &names {
        let svg = t.read(&format!("fig/{name}"));
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
        assert!(svg.contains("<text") && svg.contains("prefers-color-scheme"), "{name}");
        assert!(!svg.contains("NaN"), "{name}");
    }
    assert!(t.read("fig/encoder-layer-0.svg").contains("bb-aa"));
    // Equal bytes are no conflict; other ones are, before anything is written.
    t.isogloss(draw).run().ok();
    t.write("fig/overlap.svg", "mine");
    let run = t.isogloss(draw).args(["-o", "new.st"]).run();
    run.code(5);
    assert!(!t.exists("new.st") && t.read("fig/overlap.svg") == "mine");
}

/// What is wrong, where, and what to do: exit codes and the telling part of each message.
#[test]
fn bad_input() {
    let t = prepared();
    t.isogloss([
        "init",
        "-q",
        "-o",
        "other",
        "--vocab-size",
        "60",
        "--preset",
        "tiny",
        "--seed",
        "9",
    ])
    .arg("train.jsonl")
    .run()
    .ok();
    let wide =
        ["init", "-q", "-o", "wide", "--vocab-size", "60", "--preset", "tiny", "--ffn-dim", "96"];
    t.isogloss(wide).arg("train.jsonl").run().ok();
    for (model, out) in [("other", "other.st"), ("wide", "wide.st")] {
        let profile = ["profile-neurons", "-q", "-m", model, "-o", out, "dev.jsonl"];
        t.isogloss(profile).run().ok();
    }
    t.isogloss(["build-masks", "-q", "-o", "other-masks.st", "other.st"]).run().ok();
    t.isogloss(["build-masks", "-q", "-o", "wide-masks.st", "wide.st"]).run().ok();
    let counted =
        ["profile-neurons", "-q", "-m", "model", "-o", "sentences.st", "--unit", "sentence"];
    t.isogloss(counted).arg("dev.jsonl").run().ok();
    t.write("cut.st", &file(&t, "stats.safetensors")[..500]);
    t.write("text.st", "no tensors here, only text");
    // Counts of one block set to zero.
    let mut zero = file(&t, "stats.safetensors");
    let n = u64::from_le_bytes(zero[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&zero[8..8 + n]).unwrap();
    let at = &header["decoder.layers.1.fc1.active_count"]["data_offsets"];
    let at = |i: usize| 8 + n + at[i].as_u64().unwrap() as usize;
    zero[at(0)..at(1)].fill(0);
    t.write("zero.st", zero);

    fn build<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&["build-masks"], args].concat()
    }
    let use_masks = |masks: &'static str| {
        vec!["translate", "-m", "model", "--src-lang", "aa", "--tgt-lang", "bb", "--masks", masks]
    };
    let s = "stats.safetensors";
    let cases: Vec<(Vec<&str>, i32, &[&str])> = vec![
        (build(&[s, "other.st"]), 4, &["another model", "other.st", "base_model_sha256"]),
        (build(&[s, "wide.st"]), 4, &["another model", "wide.st"]),
        (build(&[s, "sentences.st"]), 4, &["counted in another way", "by sentence"]),
        (
            build(&["zero.st"]),
            4,
            &["no neuron was ever active", "aa-bb", "decoder.layers.1.fc1.active_count"],
        ),
        (build(&["cut.st"]), 4, &["cut.st"]),
        (build(&["text.st"]), 4, &["text.st"]),
        (build(&["missing.st"]), 4, &["missing.st"]),
        (build(&["model"]), 4, &["a directory"]),
        (build(&["masks.safetensors"]), 4, &["not neuron statistics", "`neuron_masks`"]),
        (build(&["model/model.safetensors"]), 4, &["not neuron statistics"]),
        (build(&[s, "--k", "101"]), 2, &["`101` is not a percentage", "--k"]),
        (build(&[s, "--k", "-1"]), 2, &["`-1` is not a percentage"]),
        (build(&[s, "--k-for", "zz-*=5"]), 2, &["fits no direction", "aa-bb"]),
        (build(&[s, "--direction", "aa-dd"]), 3, &["no direction `aa-dd`", "did you mean"]),
        (build(&[s, "--merge", "bb-cc=bb-dd+aa-cc"]), 3, &["no mask for `bb-dd`"]),
        (build(&[s, "--merge", "aa-bb=aa-cc+aa-cc"]), 2, &["has a mask already"]),
        (build(&[s, "--rule", "magnitude"]), 2, &["needs `--model`"]),
        (
            build(&[s, "--rule", "magnitude", "-m", "other"]),
            4,
            &["statistics are of another model"],
        ),
        (build(&["sentences.st", "--rule", "activation"]), 4, &["no sums", "--sums"]),
        (build(&[s, "--group-by", "family"]), 2, &["unknown grouping"]),
        (build(&[s, "--rule", "top-n", "--top", "9999"]), 2, &["1 to ", "narrowest"]),
        (build(&[s, "-o", "masks.safetensors"]), 5, &["exists already", "--force"]),
        (build(&[s, "-o", "-"]), 2, &["name a file"]),
        (build(&[s, "--figure", "fig", "--direction", "aa-bb"]), 3, &["no two groups"]),
        (use_masks("other-masks.st"), 4, &["another model", "--foreign-masks"]),
        (use_masks("wide-masks.st"), 4, &["aa-bb.encoder.layers.0.fc1.mask", "96 neurons"]),
        (use_masks("stats.safetensors"), 4, &["not neuron masks", "`neuron_stats`"]),
        (use_masks("text.st"), 4, &["text.st"]),
        (use_masks("model"), 4, &["a directory"]),
        (
            vec!["translate", "-m", "model", "--unknown-direction", "dense", "dev.jsonl"],
            2,
            &["`--unknown-direction` without masks"],
        ),
        (vec!["export", "-m", "model", "--direction", "aa-bb", "-o", "x"], 2, &["--masks"]),
        (
            vec![
                "export",
                "-m",
                "model",
                "--direction",
                "aa",
                "-o",
                "x",
                "--masks",
                "masks.safetensors",
            ],
            2,
            &["not a direction"],
        ),
        (
            vec!["profile-neurons", "-m", "model", "--direction", "bb-cc", "dev.jsonl"],
            3,
            &["no pairs"],
        ),
        (
            vec!["profile-neurons", "-m", "model", "--batch-tokens", "0", "dev.jsonl"],
            2,
            &["at least 1"],
        ),
        (
            vec!["profile-neurons", "-m", "model", "-o", "stats.safetensors", "dev.jsonl"],
            5,
            &["exists"],
        ),
    ];
    let before = t.files();
    for (args, code, texts) in cases {
        let run = t.isogloss(&args).stdin("uno dos\n").run();
        assert_eq!(run.code, Some(code), "{args:?}\n{}", run.stderr);
        for text in texts {
            assert!(run.stderr.contains(text), "{args:?} lacks `{text}`:\n{}", run.stderr);
        }
    }
    assert_eq!(t.files(), before, "a refused command leaves nothing behind");
    // Accepted with a word: a fraction is meant.
    let run = t.isogloss(["build-masks", "--k", "0.8", "-o", "f.st", "-f", "text", s]).run();
    run.ok();
    assert!(tensors(&file(&t, "f.st")).0 == tensors(&file(&t, "masks.safetensors")).0);
}

/// A table for people.
#[test]
fn tables() {
    let t = prepared();
    let profile = t.isogloss(["profile-neurons", "-m", "model", "-f", "text", "dev.jsonl"]).run();
    insta::assert_snapshot!("neurons_profile_table", profile.ok().transcript());
    let build = ["build-masks", "--k", "80", "--overlap", "-f", "text", "stats.safetensors"];
    insta::assert_snapshot!("neurons_masks_table", t.isogloss(build).run().ok().transcript());
    let facts = t.isogloss(["inspect", "masks.safetensors"]).run().ok().stdout();
    assert!(facts.contains("density_frac") && facts.contains("ffn_saved_frac"), "{facts}");
    let facts = t.isogloss(["inspect", "stats.safetensors"]).run().ok().stdout();
    assert!(facts.contains("encoder_tokens") && facts.contains("threshold"), "{facts}");
}
