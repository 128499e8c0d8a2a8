//! `isogloss tag`: tags from a trained head, with every kind of adapter, and what it says to bad
//! input. `--swap` of all commands that run adapters is here, too.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::lora::{copy, words};
use crate::support::{Finished, Sandbox};
use crate::train::corpus_from;

const DIGITS: [&str; 10] = ["nul", "uno", "dos", "tri", "kat", "kin", "ses", "sep", "ok", "nau"];

const HEAD: &str = "tag_head.safetensors";

/// The right tag of a word.
fn tag_of(word: &str) -> &'static str {
    let i = DIGITS.iter().position(|d| *d == word).expect("a digit");
    ["ZERO", "ODD", "EVEN"][if i == 0 { 0 } else { 2 - i % 2 }]
}

/// Number words with their tags, in the given languages by turns.
fn tagged(first: usize, n: usize, langs: &[&str]) -> String {
    let mut out = String::new();
    for i in first..first + n {
        let tokens: Vec<&str> = (0..2 + i % 4).map(|k| DIGITS[(i * 3 + k * 7) % 10]).collect();
        let tags: Vec<&str> = tokens.iter().map(|t| tag_of(t)).collect();
        let lang = langs[i % langs.len()];
        let record = json!({"id": i, "lang": lang, "tokens": tokens, "tags": tags, "note": [i]});
        out.push_str(&format!("{record}\n"));
    }
    out
}

/// A directory with text, a model that has learnt a little, and runs on it that trained tagging,
/// made once.
fn base() -> PathBuf {
    static BASE: OnceLock<Sandbox> = OnceLock::new();
    let t = BASE.get_or_init(|| {
        let t = Sandbox::new();
        t.write("train.jsonl", corpus_from(0, 120));
        t.write("dev.jsonl", corpus_from(500, 4));
        t.write("tags.jsonl", tagged(0, 160, &["aa", "bb"]));
        t.write("aa.jsonl", tagged(0, 80, &["aa"]));
        t.write("mono.jsonl", "{\"lang\":\"cc\",\"text\":\"uno dos tri kat\"}\n".repeat(20));
        t.write("test.jsonl", tagged(200, 30, &["aa", "bb"]));
        let init = "init -q -o model --vocab-size 60 --preset tiny train.jsonl";
        t.isogloss(words(init)).run().ok();
        train(&t, "full", "-m model --tag tags.jsonl --max-steps 80 --lr 5e-3");
        for (run, more) in [
            ("hyper", "--method hyper-adapters --tag tags.jsonl"),
            ("hyper-x", "--method hyper-x --tag tags.jsonl --denoise mono.jsonl"),
            ("plain", "--method hyper-adapters"),
            ("lora", "--method lora --tag tags.jsonl"),
            ("stored", "--method adapters --no-both-directions --reverse --tag aa.jsonl"),
        ] {
            train(
                &t,
                run,
                &format!("-m model --train train.jsonl --max-steps 12 --lr 0.02 {more}"),
            );
        }
        t
    });
    t.dir().to_path_buf()
}

#[track_caller]
fn train(t: &Sandbox, out: &str, more: &str) {
    let line = "train -q --batch-tokens 96 --warmup-steps 2 --lr-schedule constant --dropout 0 -o";
    t.isogloss(words(line)).arg(out).args(words(more)).run().ok();
}

fn prepared() -> Sandbox {
    let t = Sandbox::new();
    copy(&base(), t.dir());
    t
}

fn tag(t: &Sandbox, more: &str) -> Finished {
    t.isogloss(["tag", "-q"]).args(words(more)).run()
}

#[track_caller]
fn records(t: &Sandbox, more: &str) -> Vec<Value> {
    tag(t, more).ok().records()
}

fn hyp(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|r| r["type"] == "tagging").map(|r| &r["hyp_tags"]).collect()
}

#[test]
fn a_trained_head_tags_and_is_scored() {
    let t = prepared();
    let out = records(&t, "-m full --summary test.jsonl");
    assert_eq!(out.len(), 30 + 3);
    let input: Vec<Value> =
        t.read("test.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (i, (got, was)) in out.iter().zip(&input).enumerate() {
        // In order, with everything that was there.
        for key in ["id", "lang", "tokens", "tags", "note"] {
            assert_eq!(got[key], was[key], "{i}: {key}");
        }
        let (hyp, right) = (got["hyp_tags"].as_array().unwrap(), was["tags"].as_array().unwrap());
        assert_eq!(hyp.len(), right.len());
        let equal = hyp.iter().zip(right).filter(|(a, b)| a == b).count() as u64;
        for lang in [was["lang"].as_str().unwrap(), "all"] {
            let sum = counts.entry(lang).or_default();
            *sum = (sum.0 + right.len() as u64, sum.1 + equal);
        }
    }
    for (score, lang) in out[30..].iter().zip(["aa", "bb", "all"]) {
        let (n, correct) = counts[lang];
        assert_eq!(score["type"], "tag_score");
        assert_eq!((&score["lang"], &score["words"]), (&json!(lang), &json!(n)));
        assert_eq!(score["correct"], correct);
        let accuracy = score["accuracy"].as_f64().unwrap();
        assert!((accuracy - 100.0 * correct as f64 / n as f64).abs() < 1e-6, "{score}");
        // Half of the words have the tag of the largest class.
        assert!(accuracy > 75.0, "{score}");
    }
    let only = records(&t, "-m full --score-only test.jsonl");
    assert_eq!(only, out[30..]);
    let text = tag(&t, "-m full --score-only --format text test.jsonl").ok().stdout();
    assert!(
        text.starts_with("language") && text.contains(" %") && text.contains("\nall"),
        "{text}"
    );
    // For people, on the other stream.
    let run = t.isogloss(words("tag -m full test.jsonl")).run();
    run.ok().says("accuracy").says("all");
    assert_eq!(run.records().len(), 30);
    // What was written can be read again.
    t.write("out.jsonl", &run.stdout_bytes);
    assert_eq!(records(&t, "-m full out.jsonl"), run.records());
}

#[test]
fn batches_and_windows_change_nothing() {
    let t = prepared();
    for run in ["-m full", "-m model --adapters hyper"] {
        let whole = tag(&t, &format!("{run} --summary test.jsonl")).ok().stdout();
        for how in ["--batch-size 1", "--batch-tokens 12 --window 7", "--window 1"] {
            let other = tag(&t, &format!("{run} --summary {how} test.jsonl")).ok().stdout();
            assert_eq!(other, whole, "{run} {how}");
        }
        // Each language by itself, and by way of standard input.
        let own = |lang: &str| -> String {
            let of = |l: &&str| l.contains(&format!("\"lang\":\"{lang}\""));
            let text = t.read("test.jsonl");
            let lines: Vec<&str> = text.lines().filter(of).collect();
            lines.join("\n") + "\n"
        };
        let all: Vec<Value> = tag(&t, &format!("{run} test.jsonl")).ok().records();
        for lang in ["aa", "bb"] {
            let alone = t.isogloss(words(&format!("tag -q {run}"))).stdin(own(lang)).run();
            let of: Vec<Value> = all.iter().filter(|r| r["lang"] == lang).cloned().collect();
            assert_eq!(alone.ok().records(), of, "{run} {lang}");
        }
    }
}

#[test]
fn every_kind_of_adapter_tags() {
    let t = prepared();
    t.write("cc.jsonl", tagged(300, 5, &["cc"]));
    for how in ["--adapters hyper", "--adapters stored", "--lora lora"] {
        assert_eq!(hyp(&records(&t, &format!("-m model {how} test.jsonl"))).len(), 30, "{how}");
    }
    // Layer norms were trained with it, so the model lies beside it.
    assert_eq!(hyp(&records(&t, "-m hyper-x test.jsonl")).len(), 30);
    // Text of another task alone gave `cc` its vector.
    assert_eq!(hyp(&records(&t, "-m hyper-x cc.jsonl")).len(), 5);
    // `bb` is a source only: no decoder adapter of it is there, and none is needed.
    let placement = t.read(&checkpoint(&t, "stored", "adapters.json"));
    assert!(placement.contains("bb"), "{placement}");
    assert_eq!(hyp(&records(&t, "-m model --adapters stored test.jsonl")).len(), 30);
}

#[test]
fn masks_are_those_from_a_language_to_itself() {
    let t = prepared();
    // So few that it is not sure of its tags yet.
    train(&t, "few", "-m model --tag tags.jsonl --max-steps 3 --lr 5e-3");
    let line = "profile-neurons -q -m few -o stats.safetensors train.jsonl";
    t.isogloss(words(line)).run().ok();
    let line = "build-masks -q --k 60 -o masks.safetensors stats.safetensors";
    t.isogloss(words(line)).run().ok();
    let line = "-m few --masks masks.safetensors test.jsonl";
    tag(&t, line).code(3).says("direction `aa-aa` has no mask").says("test.jsonl:1");
    let merged = records(&t, &format!("{line} --unknown-direction merged"));
    let dense = records(&t, &format!("{line} --unknown-direction dense"));
    let own = records(&t, "-m few test.jsonl");
    assert_eq!(dense, own);
    assert_eq!(merged.len(), 30);
    assert_ne!(merged, own, "many neurons are gone");
}

/// The head may lie beside the model, and marks stand where the LoRA was trained with them.
#[test]
fn every_part_says_where_its_marks_stand() {
    let t = prepared();
    let legacy = "--mark-convention nllb-legacy";
    let more = format!("-m full --method lora --train train.jsonl --max-steps 2 {legacy}");
    train(&t, "legacy", &more);
    let tags = |more: &str| tag(&t, &format!("-m full --lora legacy {more} test.jsonl"));
    assert_eq!(tags("").ok().stdout(), tags(legacy).ok().stdout());
    // The model says something else of the head that was trained with it.
    let file = checkpoint(&t, "full", "tokenizer_config.json");
    let mut config: Value = serde_json::from_str(&t.read(&file)).unwrap();
    config["mark_convention"] = json!("m2m100");
    t.write(&file, config.to_string());
    tags("").code(4).says("language marks in different places").says("--mark-convention");
    tags(legacy).ok();
}

#[test]
fn languages_without_adapters_as_asked() {
    let t = prepared();
    t.write("cc.jsonl", tagged(300, 5, &["cc"]));
    t.write("both.jsonl", tagged(300, 2, &["aa"]) + &tagged(302, 1, &["zz"]));
    train(&t, "two", "-m model --method hyper-adapters --tag tags.jsonl --max-steps 4");
    let run = tag(&t, "-m model --adapters two cc.jsonl");
    run.code(3).says("language `cc` has no vector").says("cc.jsonl:1").says("--as");
    run.says("--unknown-language base");
    assert_eq!(records(&t, "-m model --adapters two --unknown-language base cc.jsonl").len(), 5);
    // A mixture of one is that one.
    let as_aa = records(&t, "-m model --adapters two --as cc=aa cc.jsonl");
    t.write("cc-as-aa.jsonl", t.read("cc.jsonl").replace("\"cc\"", "\"aa\""));
    // Its mark is another; the adapters are the same. What can be compared is that it runs.
    assert_eq!(
        hyp(&as_aa).len(),
        hyp(&records(&t, "-m model --adapters two cc-as-aa.jsonl")).len()
    );
    let run = tag(&t, "-m model --adapters hyper both.jsonl");
    run.code(3).says("both.jsonl:3, field `lang`").says("unknown");
    // What came before is there.
    assert_eq!(run.records().len(), 2);
    // Tagging was no task of this one, whatever the base model could do.
    train(&t, "no-tags", "-m model --method hyper-x --train train.jsonl --max-steps 4");
    std::fs::copy(
        base().join(checkpoint(&t, "hyper-x", HEAD)),
        t.path(&checkpoint(&t, "no-tags", HEAD)),
    )
    .unwrap();
    for more in ["", "--unknown-language base"] {
        let run = tag(&t, &format!("-m no-tags {more} test.jsonl"));
        run.code(3).says("task `tagging` has no vector");
    }
}

/// A file of a run's best checkpoint.
fn checkpoint(t: &Sandbox, run: &str, file: &str) -> String {
    let pointer = if t.exists(&format!("{run}/best")) { "best" } else { "latest" };
    let line = t.read(&format!("{run}/{pointer}"));
    let name = line.split_whitespace().next().unwrap_or_default().to_string();
    format!("{run}/checkpoints/{name}/{file}")
}

#[test]
fn another_languages_vector_changes_what_is_generated() {
    let t = prepared();
    let translate = |more: &str| {
        let line = "translate -q -m model --beam-size 1 --max-new-tokens 6 --summary --adapters \
            hyper dev.jsonl";
        let out = t.isogloss(words(line)).args(words(more)).run().ok().records();
        let scores: Vec<Value> = out.iter().map(|r| r["score"].clone()).collect();
        (scores, out.last().unwrap()["signature"].to_string())
    };
    let own = translate("");
    let other = translate("--swap aa=bb");
    assert_ne!(other.0, own.0);
    assert_ne!(other.1, own.1, "another network, another signature");
    // The same vectors by another name.
    let same = translate("--swap aa=1.0*aa");
    assert_eq!(same.0, own.0);
    assert_ne!(same.1, own.1);
    // Both ways at once is not one after the other.
    assert_ne!(translate("--swap aa=bb --swap bb=aa").0, translate("--swap aa=bb").0);
    let tags = |more: &str| tag(&t, &format!("-m model --adapters hyper {more} test.jsonl"));
    assert_eq!(tags("--swap aa=aa").ok().stdout(), tags("").ok().stdout());
    for (more, code, says) in [
        ("--swap zz=aa", 2, "`zz` has no vector"),
        ("--swap aa=zz", 2, "`zz` has no vector"),
        ("--swap aa=0.5*bb", 2, "sum to 0.5"),
        ("--swap aa", 2, "does not say what it is a mixture of"),
        ("--swap aa=bb --swap aa=cc", 2, "replaced twice"),
    ] {
        let run = tags(more);
        run.code(code).says(says).says("--swap");
        assert_eq!(run.stdout(), "");
    }
    let run = tag(&t, "-m model --adapters stored --swap aa=bb test.jsonl");
    run.code(2).says("stored adapters have no vectors").says("--swap");
    tag(&t, "-m full --no-adapters --swap aa=bb test.jsonl").code(2).says("--no-adapters");
    tag(&t, "-m full --swap aa=bb test.jsonl").code(2).says("--adapters RUN");
}

#[test]
fn bad_input_is_named() {
    let t = prepared();
    let first = r#"{"lang":"aa","tokens":["uno"]}"#;
    for (second, field, says) in [
        (r#"{"tokens":["uno"]}"#, "lang", "--lang"),
        (r#"{"lang":"aa"}"#, "tokens", "no `tokens`"),
        (r#"{"lang":"aa_XX","tokens":["uno"]}"#, "lang", "did you mean"),
        (r#"{"lang":"aa","tokens":[]}"#, "tokens", "no tokens"),
        (r#"{"lang":"aa","tokens":["uno",""]}"#, "tokens", "token 2 is empty"),
        (r#"{"lang":"aa","tokens":"uno"}"#, "tokens", "not a list"),
        (r#"{"lang":"aa","tokens":["uno"],"tags":[]}"#, "tags", "not one tag"),
        (r#"["uno"]"#, "", "not a JSON object"),
    ] {
        t.write("bad.jsonl", format!("{first}\n{second}\n{first}\n"));
        let run = tag(&t, "-m full bad.jsonl");
        run.code(3).says("bad.jsonl:2").says(says);
        if !field.is_empty() {
            run.says(&format!("field `{field}`"));
        }
        assert_eq!(run.records().len(), 1, "{second}");
    }
    t.write("no-lang.jsonl", "{\"tokens\":[\"uno\"]}\n{\"type\":\"tag_score\",\"lang\":\"x\"}\n");
    let out = records(&t, "-m full --lang aa no-lang.jsonl");
    assert_eq!((out.len(), &out[0]["lang"]), (1, &json!("aa")));
    for (more, code, says) in [
        ("-m full --lang zz no-lang.jsonl", 2, "--lang"),
        ("-m full --batch-size 0 test.jsonl", 2, "--batch-size"),
        ("-m full --window 0 test.jsonl", 2, "--window"),
        ("-m full --format text test.jsonl", 2, "--score-only"),
        ("-m full --summary --score-only test.jsonl", 2, "--summary"),
        ("-m full --lora lora --merge-lora test.jsonl", 2, "--merge-lora"),
        ("-m full --unknown-language base test.jsonl", 2, "without a LoRA or adapters"),
        ("-m full --score-only --lang aa no-lang.jsonl", 3, "no record has `tags`"),
        ("-m full none.jsonl", 4, "none.jsonl"),
        ("-m model test.jsonl", 4, "train --tag"),
        ("-m model --adapters plain test.jsonl", 4, "no tag head was found"),
        ("-m full --adapters hyper test.jsonl", 4, "trained on another model"),
    ] {
        let run = tag(&t, more);
        run.code(code).says(says);
        assert_eq!(run.stdout(), "", "{more}");
    }
    // A head of another width.
    let init = "init -q -o wide --vocab-size 60 --preset small train.jsonl";
    t.isogloss(words(init)).run().ok();
    std::fs::copy(t.path(&checkpoint(&t, "full", HEAD)), t.path("wide").join(HEAD)).unwrap();
    tag(&t, "-m wide test.jsonl").code(4).says("tag_head.weight");
    // No text, no tags, and no fault.
    t.write("empty.jsonl", "");
    assert_eq!(tag(&t, "-m full --summary empty.jsonl").ok().stdout(), "");
}

/// Other tags are wrong answers, said once; words of which nothing was read have none.
#[test]
fn what_cannot_be_right_counts_as_wrong() {
    let t = prepared();
    let mut text = String::new();
    for _ in 0..3 {
        text += "{\"lang\":\"aa\",\"tokens\":[\"uno\",\"dos\"],\"tags\":[\"NOUN\",\"VERB\"]}\n";
    }
    t.write("other.jsonl", &text);
    let run = t.isogloss(words("tag -m full --score-only other.jsonl")).run();
    run.ok().says("NOUN, VERB").says("EVEN, ODD, ZERO");
    assert_eq!(run.stderr.matches("warning:").count(), 1, "{}", run.transcript());
    for score in run.records() {
        assert_eq!((&score["correct"], &score["words"]), (&json!(0), &json!(6)));
    }
    // Longer than the model's positions: 1024 in a tiny model.
    let tokens = vec!["uno"; 1500];
    let tags = vec!["ODD"; 1500];
    t.write("long.jsonl", format!("{}\n", json!({"lang":"aa","tokens":tokens,"tags":tags})));
    let run = t.isogloss(words("tag -m full --summary long.jsonl")).run();
    run.ok().says("1 sentences were cut").says("words have no tag");
    let out = run.records();
    assert_eq!(out[0]["truncated"], true);
    let hyp = out[0]["hyp_tags"].as_array().unwrap();
    let given = hyp.iter().filter(|h| h.is_string()).count();
    assert!(hyp.len() == 1500 && given > 100 && given < 1500, "{given}");
    assert!(hyp[..given].iter().all(Value::is_string) && hyp[given..].iter().all(Value::is_null));
    let right = hyp.iter().filter(|h| **h == "ODD").count();
    assert_eq!((&out[1]["words"], &out[1]["correct"]), (&json!(1500), &json!(right)));
    tag(&t, "-m full --on-long error long.jsonl").code(3).says("long.jsonl:1").says("too long");
}

#[test]
fn a_dry_run_says_what_would_be_read() {
    let t = prepared();
    let text = tag(&t, "-m model --adapters hyper --dry-run test.jsonl").ok().stdout();
    for part in
        ["model: model", "adapters: hyper", "tag head: hyper", "EVEN ODD ZERO", "test.jsonl"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    tag(&t, "-m full --dry-run none.jsonl").code(4);
}
