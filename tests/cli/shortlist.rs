//! `tokenize --vocabulary` counts the tokens of each language, and `translate --shortlist` chooses
//! among them.

use serde_json::{Value, json};

use crate::support::Sandbox;

/// An untrained model of three toy languages, and `tokens.jsonl` of its text.
fn sandbox() -> Sandbox {
    let t = Sandbox::new();
    let words = ["nul", "uno", "dos", "tri", "kat", "kin", "ses", "sep", "ok", "nau"];
    let mut text = String::new();
    for i in 0..60 {
        let s: Vec<&str> = (0..3 + i % 4).map(|k| words[(i * 7 + k * 3) % 10]).collect();
        // `cc` has two words only.
        let (tgt_lang, tgt) =
            if i % 2 == 0 { ("bb", s.join(" ")) } else { ("cc", "dos tri dos".to_string()) };
        let record =
            json!({"src_lang": "aa", "tgt_lang": tgt_lang, "src": s.join(" "), "tgt": tgt});
        text.push_str(&format!("{record}\n"));
    }
    t.write("train.jsonl", text);
    t.isogloss(["init", "-q", "-o", "model", "--vocab-size", "60", "--preset", "tiny"])
        .arg("train.jsonl")
        .run()
        .ok();
    let counted = t.isogloss(["tokenize", "-m", "model", "--vocabulary", "train.jsonl"]).run();
    t.write("tokens.jsonl", counted.ok().stdout());
    t
}

fn vocabularies(t: &Sandbox) -> Vec<Value> {
    let text = std::fs::read_to_string(t.path("tokens.jsonl")).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Records of translations into both languages, of fixed length.
fn translations(t: &Sandbox, args: &[&str]) -> Vec<Value> {
    let mut args = args.to_vec();
    args.extend([
        "--token-scores",
        "--min-new-tokens",
        "9",
        "--max-new-tokens",
        "9",
        "train.jsonl",
    ]);
    t.isogloss(["translate", "-q", "-m", "model"]).args(args).run().ok().records()
}

fn ids(v: &Value) -> Vec<u64> {
    v.as_array().unwrap().iter().map(|i| i.as_u64().unwrap()).collect()
}

#[test]
fn tokens_are_counted_by_language() {
    let t = sandbox();
    let found = vocabularies(&t);
    let langs: Vec<&str> = found.iter().map(|v| v["lang"].as_str().unwrap()).collect();
    assert_eq!(langs, ["aa", "bb", "cc"]);
    let texts: Vec<u64> = found.iter().map(|v| v["num_texts"].as_u64().unwrap()).collect();
    assert_eq!(texts, [60, 30, 30]);
    let pieces =
        t.isogloss(["tokenize", "-m", "model", "--side", "pieces", "train.jsonl"]).run().records();
    for v in &found {
        let mut counts = std::collections::BTreeMap::new();
        for p in pieces.iter().filter(|p| p["lang"] == v["lang"]) {
            for id in ids(&p["ids"]) {
                *counts.entry(id).or_insert(0) += 1;
            }
        }
        let mut want: Vec<(u64, u64)> = counts.into_iter().collect();
        want.sort_by_key(|&(id, n)| (std::cmp::Reverse(n), id));
        let got: Vec<_> = ids(&v["ids"]).into_iter().zip(ids(&v["counts"])).collect();
        assert_eq!(got, want);
    }
    t.isogloss(["tokenize", "-m", "model", "--vocabulary", "-f", "text"]).run().code(2);
}

#[test]
fn translations_have_the_tokens_of_their_language() {
    let t = sandbox();
    for beam in ["1", "4"] {
        let plain = translations(&t, &["--beam-size", beam]);
        // All tokens there are: nothing changes, whatever they are batched with.
        let everything: String = ["bb", "cc"]
            .map(|lang| {
                let size = vocab_size(&t);
                let all: Vec<u32> = (0..size).collect();
                let counts = vec![1; all.len()];
                let v = json!({"type": "vocabulary", "lang": lang, "vocab_size": size,
                    "num_texts": 1, "ids": all, "counts": counts});
                format!("{v}\n")
            })
            .concat();
        t.write("all.jsonl", everything);
        let same = translations(&t, &["--beam-size", beam, "--shortlist", "all.jsonl"]);
        assert_eq!(plain, same);
        let found = vocabularies(&t);
        let listed = translations(&t, &["--beam-size", beam, "--shortlist", "tokens.jsonl"]);
        assert_ne!(plain, listed);
        for r in &listed {
            let own = found.iter().find(|v| v["lang"] == r["tgt_lang"]).unwrap();
            let own = ids(&own["ids"]);
            // The mark comes first, the end mark may come last.
            let tokens = ids(&r["token_ids"]);
            let eos = 2;
            assert!(tokens[1..].iter().all(|id| own.contains(id) || *id == eos), "{r}");
        }
        let batched = translations(
            &t,
            &["--beam-size", beam, "--shortlist", "tokens.jsonl", "--batch-size", "3"],
        );
        assert_eq!(listed, batched);
        // One token, less than the beam holds.
        let one = ["--beam-size", beam, "--shortlist", "tokens.jsonl", "--shortlist-size", "1"];
        for r in translations(&t, &one) {
            let own = found.iter().find(|v| v["lang"] == r["tgt_lang"]).unwrap();
            let most = ids(&own["ids"])[0];
            assert!(ids(&r["token_ids"])[1..].iter().all(|id| [most, 2].contains(id)), "{r}");
        }
    }
}

fn vocab_size(t: &Sandbox) -> u32 {
    let config = std::fs::read_to_string(t.path("model/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    config["vocab_size"].as_u64().unwrap() as u32
}

#[test]
fn header_names_the_shortlist() {
    let t = sandbox();
    let run = |args: &[&str]| {
        let run =
            t.isogloss(["translate", "-q", "-m", "model", "--max-new-tokens", "3", "--header"]);
        let header = run.args(args).arg("train.jsonl").run().ok().records()[0].clone();
        header["signature"].as_str().unwrap().to_string()
    };
    let signature = run(&["--shortlist", "tokens.jsonl", "--shortlist-size", "20"]);
    let part = signature.split('|').find(|p| p.starts_with("shortlist:")).unwrap();
    assert!(part.starts_with("shortlist:tokens@") && part.ends_with("@20"), "{signature}");
    assert!(!run(&[]).contains("shortlist"));
    let dry = t.isogloss(["translate", "-m", "model", "--shortlist", "tokens.jsonl", "--dry-run"]);
    assert!(dry.arg("train.jsonl").run().ok().stdout().contains("shortlist: "));
}

#[test]
fn a_shortlist_that_does_not_fit_is_refused() {
    let t = sandbox();
    let refused = |name: &str, code: i32, says: &str| {
        let run =
            t.isogloss(["translate", "-q", "-m", "model", "--shortlist", name, "train.jsonl"]);
        run.run().code(code).says(says);
    };
    refused("none.jsonl", 3, "cannot read the shortlist");
    let found = vocabularies(&t);
    t.write("one.jsonl", format!("{}\n", found[1]));
    refused("one.jsonl", 3, "no shortlist of `cc`");
    t.write("twice.jsonl", format!("{}\n{}\n", found[1], found[1]));
    refused("twice.jsonl", 3, "twice.jsonl:2");
    let mut other = found[1].clone();
    other["vocab_size"] = json!(9999);
    t.write("other.jsonl", format!("{other}\n"));
    refused("other.jsonl", 3, "tokens of another model");
    let mut unknown = found[1].clone();
    unknown["lang"] = json!("xx");
    t.write("unknown.jsonl", format!("{unknown}\n"));
    refused("unknown.jsonl", 3, "unknown language `xx`");
    t.write("text.jsonl", "hello\n");
    refused("text.jsonl", 3, "not a JSON object");
    let usage = |args: &[&str]| {
        t.isogloss(["translate", "-m", "model", "train.jsonl"]).args(args).run().code(2);
    };
    usage(&["--shortlist", "tokens.jsonl", "--score-given"]);
    usage(&["--shortlist-size", "3"]);
    usage(&["--shortlist", "tokens.jsonl", "--shortlist-size", "0"]);
}
