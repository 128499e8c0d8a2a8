//! `isogloss tokenize`, and the tokenizer files of M2M-100 and SMaLL-100 through the other commands.

use std::path::Path;

use isogloss::formats::sentencepiece::SentencePieceModel;
use serde_json::{Value, json};

use crate::support::Sandbox;

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A model whose tokenizer is a tokenizer.json, and `m2m`, the same with the two files of M2M-100.
fn sandbox() -> Sandbox {
    let t = Sandbox::new();
    t.isogloss(["init", "-q", "-o", "model", "--preset", "tiny", "--vocab-size", "600"])
        .arg("--tokenizer")
        .arg(data("tokenizer/bpe.json"))
        .run()
        .ok();
    let bytes = std::fs::read(data("sentencepiece/bpe.model")).unwrap();
    let model = SentencePieceModel::parse(&bytes).unwrap();
    let pieces = model.pieces.iter().filter(|p| p.kind.is_segment()).map(|p| p.text.as_str());
    let all = ["<s>", "<pad>", "</s>", "<unk>"].into_iter().chain(pieces);
    let vocab: serde_json::Map<_, _> =
        all.zip(0..).map(|(p, i)| (p.to_string(), Value::from(i))).collect();
    t.write("m2m/sentencepiece.bpe.model", bytes);
    t.write("m2m/vocab.json", Value::Object(vocab).to_string());
    t.write("m2m/tokenizer_config.json", r#"{"tokenizer_class": "M2M100Tokenizer"}"#);
    for name in ["config.json", "model.safetensors", "generation_config.json"] {
        std::fs::copy(t.path("model").join(name), t.path("m2m").join(name)).unwrap();
    }
    let pair = r#"{"src_lang":"en","tgt_lang":"de","src":"ba shi","tgt":"shi ba ba"}"#;
    t.write("pairs.jsonl", format!("{pair}\n").repeat(4));
    t
}

fn records(t: &Sandbox, args: &[&str]) -> Vec<Value> {
    t.isogloss(args).run().ok().records()
}

#[test]
fn one_record_or_line_a_text() {
    let t = sandbox();
    let r = records(&t, &["tokenize", "-m", "m2m", "pairs.jsonl"]);
    assert_eq!(r.len(), 8, "both sides of a pair");
    assert_eq!(r[0]["type"], "tokens");
    assert_eq!((&r[1]["lang"], &r[1]["text"]), (&json!("de"), &json!("shi ba ba")));
    let pieces = r[1]["pieces"].as_array().unwrap();
    assert_eq!((&pieces[0], pieces.last()), (&json!("__de__"), Some(&json!("</s>"))));
    assert_eq!(r[1]["ids"].as_array().unwrap().len(), pieces.len());
    assert_eq!((&r[1]["decoded"], &r[1]["num_unk"]), (&json!("shi ba ba"), &json!(0)));

    let text = |args: &[&str], input: &str| {
        let run = t.isogloss(["tokenize", "-m", "m2m", "-f", "text", "--lang", "en"]).args(args);
        run.stdin(input).run()
    };
    let lines = text(&["--side", "pieces"], "ba\n\n__de__ \u{4e00}\n").ok().stdout();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!((lines.len(), lines[1]), (3, ""));
    assert!(!lines[2].contains("__de__") && lines[2].ends_with("<unk>"), "{lines:?}");
    text(&[], "\u{4e00}\n").says("1 token is unknown");
    let first = |args: &[&str]| text(args, "ba\n").ok().stdout();
    assert!(first(&[]).starts_with("__en__ ") && first(&[]).trim_end().ends_with("</s>"));
    assert!(first(&["--nllb-legacy-source"]).trim_end().ends_with("</s> __en__"));
    let small = ["--mark-convention", "small100", "--tgt-lang", "fr"];
    assert!(first(&small).starts_with("__fr__ "));
    assert!(!first(&[&small[..], &["--side", "target"]].concat()).contains("__"));
    t.isogloss(["tokenize", "-m", "m2m", "--lang", "xx"]).run().code(2).says("`xx`");
    text(&["--nllb-legacy-source", "--mark-convention", "nllb"], "").code(2);
}

#[test]
fn inspect_says_what_the_tokenizer_is() {
    let t = sandbox();
    let of = |model: &str| records(&t, &["inspect", "--json", model])[0]["tokenizer"].clone();
    let m2m = of("m2m");
    assert_eq!(m2m["file"], "sentencepiece.bpe.model");
    assert_eq!((&m2m["mark_convention"], &m2m["num_languages"]), (&json!("m2m100"), &json!(100)));
    let n = m2m["num_entries"].as_u64().unwrap();
    assert_eq!(m2m["ids_without_piece"], json!([format!("{n}-599")]));
    assert_eq!(m2m["num_ids_without_piece"], 600 - n);
    assert_eq!(of("model")["file"], "tokenizer.json");
    t.write("m2m/tokenizer_config.json", r#"{"tokenizer_class": "SMALL100Tokenizer"}"#);
    assert_eq!(of("m2m")["mark_convention"], "small100");
}

#[test]
fn files_travel_and_are_refused_where_they_cannot() {
    let t = sandbox();
    let train = ["train", "-q", "-m", "m2m", "--train", "pairs.jsonl", "--max-steps", "1"];
    t.isogloss(train)
        .args(["--lr", "1e-4", "--mark-convention", "small100", "-o", "run"])
        .run()
        .ok();
    let of =
        |model: &str| records(&t, &["tokenize", "-m", model, "--tgt-lang", "fr", "pairs.jsonl"]);
    let trained = of("run");
    assert_eq!(trained[0]["pieces"][0], "__fr__", "the run keeps its convention");
    assert_eq!(of("m2m")[0]["pieces"][0], "__en__");
    let dir = std::fs::read_dir(t.path("run/checkpoints")).unwrap().next().unwrap().unwrap().path();
    for name in ["sentencepiece.bpe.model", "vocab.json"] {
        let same = std::fs::read(dir.join(name)).unwrap()
            == std::fs::read(t.path("m2m").join(name)).unwrap();
        assert!(same, "{name}");
    }
    let config: Value =
        serde_json::from_slice(&std::fs::read(dir.join("tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!(config["tokenizer_class"], "M2M100Tokenizer");
    t.isogloss(["init", "--from", "m2m", "--new-language", "qu", "-o", "more"])
        .run()
        .code(4)
        .says("takes no more languages");
}

/// What is trained beside a model under a flag is read without it as it was trained.
#[test]
fn adapters_keep_where_marks_stood() {
    let t = sandbox();
    let flag = ["--mark-convention", "nllb-legacy"];
    let train = |out: &str, more: &[&str]| {
        let train = ["train", "-q", "-m", "m2m", "--train", "pairs.jsonl", "--max-steps", "2"];
        t.isogloss(train)
            .args(["--lr", "1e-2", "--warmup-steps", "0", "-o", out])
            .args(more)
            .run()
            .ok();
    };
    let scores = |more: &[&str]| {
        let run = ["translate", "-q", "--score-given", "--token-scores", "pairs.jsonl"];
        let r = t.isogloss(run).args(more).run().ok().records();
        r.iter().map(|r| r["token_scores"].clone()).collect::<Vec<_>>()
    };
    let same = |plain: &[&str], what: &str| {
        let with_flag = scores(&[plain, &flag].concat());
        assert_eq!(scores(plain), with_flag, "{what}");
        let other = scores(&[plain, &["--mark-convention", "m2m100"]].concat());
        assert_ne!(other, with_flag, "{what}: marks matter");
    };
    train("lora", &[&["--method", "lora", "--lora-index", "shared"], &flag[..]].concat());
    same(&["-m", "m2m", "--lora", "lora"], "LoRA");
    // It goes on as it began.
    train("more", &["--method", "lora", "--lora-index", "shared", "--init-from", "lora"]);
    same(&["-m", "m2m", "--lora", "more"], "LoRA, continued");
    for (out, merge) in [("one", &[][..]), ("merged", &["--merge"])] {
        let prune = ["prune-lora", "-q", "-m", "m2m", "lora", "--direction", "en-de", "-o", out];
        t.isogloss(prune).args(merge).run().ok();
    }
    same(&["-m", "m2m", "--lora", "one"], "LoRA of a direction");
    same(&["-m", "merged"], "merged");
    let hyper = ["--method", "hyper-adapters", "--hyper-hidden", "4", "--adapter-bottleneck", "4"];
    train("hyper", &[&hyper[..], &flag].concat());
    same(&["-m", "m2m", "--adapters", "hyper"], "hyper-adapters");
    t.isogloss(["gen-adapters", "-q", "hyper", "-o", "stored"]).run().ok();
    same(&["-m", "m2m", "--adapters", "stored"], "exported adapters");
    // Two parts that disagree are not guessed about.
    train(
        "plain",
        &["--method", "lora", "--lora-index", "shared", "--mark-convention", "small100"],
    );
    let both = ["translate", "-m", "m2m", "--lora", "plain", "--adapters", "stored", "pairs.jsonl"];
    t.isogloss(both).run().code(4).says("language marks in different places");
}

#[test]
fn small100_forces_nothing_and_is_marked_by_the_target() {
    let t = sandbox();
    let scored = |args: &[&str]| {
        let run =
            ["translate", "-q", "-m", "m2m", "--score-given", "--token-scores", "pairs.jsonl"];
        t.isogloss(run).args(args).run().ok().records().remove(0)
    };
    let (usual, small) = (scored(&[]), scored(&["--mark-convention", "small100"]));
    let scores = |r: &Value| -> Vec<f64> {
        r["token_scores"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).collect()
    };
    assert_eq!(scores(&small).len() + 1, scores(&usual).len(), "no mark among the labels");
    assert_eq!(scores(&usual)[0], 0.0, "a forced mark is free");
    assert!(scores(&small)[0] < 0.0, "nothing is forced");
    // The mark is the target's: a source in another language reads the same.
    let hyp = |src_lang: &str, tgt_lang: &str, convention: &str| {
        let run = ["translate", "-q", "-m", "m2m", "--beam-size", "1", "--max-new-tokens", "6"];
        let langs = ["--src-lang", src_lang, "--tgt-lang", tgt_lang, "-f", "jsonl"];
        let run = t.isogloss(run).args(langs).args(["--mark-convention", convention]);
        let r = run.stdin("ba shi\n").run().ok().records().remove(0);
        (r["hyp"].clone(), r["score"].clone())
    };
    assert_eq!(hyp("en", "de", "small100"), hyp("fr", "de", "small100"));
    assert_ne!(hyp("en", "de", "small100").1, hyp("en", "fr", "small100").1);
    assert_ne!(hyp("en", "de", "m2m100").1, hyp("fr", "de", "m2m100").1);
    assert_ne!(hyp("en", "de", "m2m100").1, hyp("en", "de", "nllb-legacy").1);
    t.isogloss(["profile-neurons", "-m", "m2m", "--mark-convention", "small100", "pairs.jsonl"])
        .args(["--no-both-directions", "--exclude-marks", "-o", "stats.safetensors"])
        .run()
        .ok();
}
