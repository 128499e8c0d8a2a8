//! `isogloss init --from`: a copy that knows more languages and has forgotten none.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use isogloss::formats::safetensors::{Data, Entry, TensorFile, write};
use isogloss::model::Checkpoint;
use isogloss::model::checkpoint::{FINAL_LOGITS_BIAS, SHARED};
use isogloss::text::TextTokenizer;
use safetensors::tensor::Dtype;
use serde_json::{Value, json};

use crate::support::{Finished, Sandbox};
use crate::train::corpus_from;

/// A directory with text, a model and a run of it, made once.
fn base() -> PathBuf {
    static BASE: OnceLock<Sandbox> = OnceLock::new();
    let t = BASE.get_or_init(|| {
        let t = Sandbox::new();
        t.write("train.jsonl", corpus_from(0, 120));
        let init = ["init", "-q", "-o", "model", "--vocab-size", "46", "--preset", "tiny"];
        t.isogloss(init).arg("train.jsonl").run().ok();
        let train = ["train", "-q", "-m", "model", "--train", "train.jsonl", "-o", "run"];
        let steps = ["--max-steps", "80", "--lr", "5e-3", "--warmup-steps", "4"];
        t.isogloss(train).args(steps).args(["--batch-tokens", "256"]).run().ok();
        t
    });
    t.dir().to_path_buf()
}

/// A fresh directory with the same text and model.
fn prepared() -> Sandbox {
    let t = Sandbox::new();
    t.write("train.jsonl", std::fs::read(base().join("train.jsonl")).unwrap());
    t.write("test.jsonl", corpus_from(300, 20));
    for entry in std::fs::read_dir(base().join("model")).unwrap().flatten() {
        let name = format!("model/{}", entry.file_name().to_string_lossy());
        t.write(&name, std::fs::read(entry.path()).unwrap());
    }
    t
}

fn extend(t: &Sandbox, flags: &str) -> Finished {
    t.isogloss(["init", "-o", "wide", "--from"]).args(flags.split(' ')).run()
}

fn bytes(t: &Sandbox, name: &str) -> Vec<u8> {
    std::fs::read(t.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn value(t: &Sandbox, name: &str) -> Value {
    serde_json::from_str(&t.read(name)).unwrap()
}

/// A row of the shared embedding.
fn row(model: &Checkpoint, id: u32) -> Vec<f32> {
    let (v, d) = (model.config.vocab_size, model.config.d_model);
    model.values(SHARED, &[v, d]).unwrap()[id as usize * d..][..d].to_vec()
}

#[test]
fn the_copy_has_new_marks_and_everything_old() {
    let t = prepared();
    t.write(
        "model/special_tokens_map.json",
        r#"{"additional_special_tokens": ["__aa__", "__bb__"]}"#,
    );
    t.write("model/notes.txt", "kept\n");
    t.write("model/config.json", t.read("model/config.json").replace('{', "{\n  \"own\": [0.1],"));
    let run = extend(&t, "model --new-language ee=bb --new-language ab --json");
    let record = &run.ok().records()[0];
    assert_eq!((&record["type"], &record["vocab_size"]), (&json!("model"), &json!(48)));
    assert_eq!(record["languages"], json!(["aa", "ab", "bb", "cc", "ee"]));
    assert_eq!(
        record["new_languages"],
        json!([
            {"lang": "ee", "mark": "__ee__", "id": 46, "like": ["bb"]},
            {"lang": "ab", "mark": "__ab__", "id": 47, "like": ["aa", "bb", "cc"]},
        ])
    );

    let old = Checkpoint::open(&t.path("model")).unwrap();
    let new = Checkpoint::open(&t.path("wide")).unwrap();
    assert_eq!(record["sha256"], new.sha256().unwrap());
    assert_eq!(new.parents(), [old.sha256().unwrap()]);
    let known = TextTokenizer::load(old.dir(), &old.config).unwrap();
    let marks = ["aa", "bb", "cc"].map(|l| known.languages().id_of(l).unwrap());
    for id in 0..46 {
        assert_eq!(row(&new, id), row(&old, id), "row {id}");
    }
    assert_eq!(row(&new, 46), row(&old, marks[1]));
    let all = marks.map(|id| row(&old, id));
    for (i, v) in row(&new, 47).into_iter().enumerate() {
        let mean = (f64::from(all[0][i]) + f64::from(all[1][i]) + f64::from(all[2][i])) / 3.0;
        assert!((f64::from(v) - mean).abs() < 1e-7, "{v} {mean}");
    }
    let (a, b) = (&old.files().files()[0], &new.files().files()[0]);
    assert_eq!(a.names(), b.names());
    for name in a.names().iter().filter(|n| *n != SHARED) {
        assert_eq!(a.view(name).unwrap(), b.view(name).unwrap(), "{name}");
    }
    assert_eq!(
        record["size_bytes"].as_u64().unwrap(),
        b.names().iter().map(|n| b.view(n).unwrap().data().len() as u64).sum::<u64>()
    );

    // Text is cut as before, behind the new mark too.
    let wide = TextTokenizer::load(new.dir(), &new.config).unwrap();
    for text in ["uno dos tri", "kin  nau", "zzz __ee__ </s>", ""] {
        let before = known.encode("bb", text, 64).unwrap();
        assert_eq!(wide.encode("bb", text, 64).unwrap(), before, "{text}");
        let after = wide.encode("ee", text, 64).unwrap();
        assert_eq!((after.ids[0], &after.ids[1..]), (46, &before.ids[1..]));
        assert_eq!(wide.decode(&after.ids).unwrap(), known.decode(&before.ids).unwrap());
        assert!(before.ids[1..].iter().all(|id| *id < 43), "{before:?}");
    }
    assert!(wide.is_control(46) && wide.is_control(47));
    let run = t.isogloss(["translate", "-m", "wide", "--list-langs"]).run();
    assert_eq!(run.ok().stdout(), "aa\nab\nbb\ncc\nee\n");

    // Files: what lists marks has the new ones, the rest is as it was.
    let mut config = value(&t, "model/config.json");
    config["vocab_size"] = 48.into();
    assert_eq!(value(&t, "wide/config.json"), config);
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let mut listed = value(&t, &format!("model/{name}"));
        let marks = listed["additional_special_tokens"].as_array_mut().unwrap();
        // `ab` is listed like the last mark, which this map lacks.
        let new: &[&str] = if marks.len() == 3 { &["__ee__", "__ab__"] } else { &["__ee__"] };
        marks.extend(new.iter().map(|m| json!(m)));
        assert_eq!(value(&t, &format!("wide/{name}")), listed, "{name}");
    }
    for name in ["generation_config.json", "notes.txt"] {
        assert_eq!(bytes(&t, &format!("wide/{name}")), bytes(&t, &format!("model/{name}")));
    }
    let files = |of: &str| -> Vec<String> {
        let inside = |f: String| Some(f.strip_prefix(&format!("{of}/"))?.to_string());
        t.files().into_iter().filter_map(inside).collect()
    };
    assert_eq!(files("wide"), files("model"));
    let metadata = b.metadata();
    let provenance: Value = serde_json::from_str(&metadata["provenance"]).unwrap();
    assert_eq!(provenance["args"]["new_language"], json!(["ee=bb", "ab"]));
    assert_eq!(provenance["parents"][0]["role"], "base_model");
    assert!(!metadata["provenance"].contains("isogloss-test-"), "no machine paths");
}

/// The run is given, its best checkpoint is copied; old languages translate as before, and a new
/// one as the one it is like.
#[test]
fn old_languages_translate_as_before() {
    let t = prepared();
    let run = base().join("run");
    let from = |extra: &str, out: &str| {
        t.isogloss(["init", "-q", "-o", out, "--from"])
            .arg(&run)
            .args(extra.split(' ').flat_map(|l| ["--new-language", l]))
            .run()
            .ok();
    };
    from("ee=bb", "one");
    from("ee=bb ff=bb", "two");
    assert!(!t.exists("one/state.json") && !t.exists("one/optimizer.safetensors"));
    let translate = |model: &str, flags: &[&str], input: &str| {
        let path = if model == "run" { run.clone() } else { t.path(model) };
        let t = t.isogloss(["translate", "-q", "--max-new-tokens", "20", "-m"]).arg(path);
        t.args(flags).stdin(input).run().ok().stdout()
    };
    let test = t.read("test.jsonl");
    assert_eq!(test.lines().count(), 20);
    let greedy = ["--beam-size", "1", "--format", "text"];
    let before = translate("run", &greedy, &test);
    assert!(before.lines().filter(|l| l.split(' ').count() > 1).count() > 10, "{before}");
    for wide in ["one", "two"] {
        assert_eq!(translate(wide, &greedy, &test), before, "{wide}");
        let renamed = test.replace(r#""bb""#, r#""ee""#);
        assert_eq!(translate(wide, &greedy, &renamed), before, "{wide}");
    }

    // A copy of a row takes exactly the share of the one it is like: with p the probability of
    // the mark of `bb`, every score falls by log(1 + p), and by log(1 + 2 p) with two copies.
    let scores = |model: &str| -> Vec<f64> {
        let flags = ["--score-given", "--token-scores", "--format", "jsonl"];
        let out = translate(model, &flags, &test);
        let scores = |l: &str| {
            let r: Value = serde_json::from_str(l).unwrap();
            r["token_scores"].as_array().unwrap()[1..].to_vec()
        };
        out.lines().flat_map(scores).map(|s| s.as_f64().unwrap()).collect()
    };
    let (none, one, two) = (scores("run"), scores("one"), scores("two"));
    assert!(none.len() > 60 && none.len() == one.len());
    for i in 0..none.len() {
        let share = (none[i] - one[i]).exp_m1();
        assert!(share > -1e-6 && share < 0.5, "{share}");
        assert!(((none[i] - two[i]).exp_m1() - 2.0 * share).abs() < 2e-5, "{i}");
    }
}

#[test]
fn a_new_language_can_be_trained() {
    let t = prepared();
    extend(&t, "model --new-language ee=bb").ok();
    t.write("ee.jsonl", t.read("train.jsonl").replace(r#""bb""#, r#""ee""#));
    t.isogloss(["train", "-q", "-m", "model", "--train", "ee.jsonl", "-o", "run"])
        .args(["--max-steps", "2"])
        .run()
        .code(3)
        .says("unknown language `ee`");
    t.isogloss(["train", "-q", "-m", "wide", "--train", "ee.jsonl", "-o", "run"])
        .args(["--max-steps", "3", "--batch-tokens", "128", "--warmup-steps", "1"])
        .run()
        .ok();
    let (before, after) =
        (Checkpoint::open(&t.path("wide")).unwrap(), Checkpoint::open(&t.path("run")).unwrap());
    assert_eq!(after.config.vocab_size, 47);
    assert_ne!(row(&before, 46), row(&after, 46), "the new mark is trained");
    t.isogloss(["translate", "-q", "-m", "run", "--src-lang", "ee", "--tgt-lang", "aa"])
        .args(["--max-new-tokens", "9"])
        .stdin("uno dos\n")
        .run()
        .ok();
}

/// Spare rows are used before the matrix grows; types and other names of the matrix stay.
#[test]
fn spare_rows_types_and_the_bias() {
    let t = prepared();
    let old = Checkpoint::open(&t.path("model")).unwrap();
    let stored = &old.files().files()[0];
    let half = |name: &str| -> Vec<u8> {
        let values = stored.f32_values(name, None).unwrap();
        values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect()
    };
    let mut data: BTreeMap<String, (Vec<usize>, Vec<u8>)> = stored
        .names()
        .into_iter()
        .map(|n| (n.clone(), (stored.view(&n).unwrap().shape().to_vec(), half(&n))))
        .collect();
    // 46 tokens, 48 rows; the matrix under its two other names.
    let (_, mut shared) = data.remove(SHARED).unwrap();
    shared.extend([0x7f; 2 * 2 * 64]);
    for name in ["model.encoder.embed_tokens.weight", "lm_head.weight"] {
        data.insert(name.into(), (vec![48, 64], shared.clone()));
    }
    let bias = (0..48).map(|i| i as f32 / 8.0);
    let bias: Vec<u8> = bias.flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect();
    data.insert(FINAL_LOGITS_BIAS.into(), (vec![1, 48], bias));
    let entries: BTreeMap<String, Entry> = data
        .iter()
        .map(|(n, (shape, b))| {
            (n.clone(), Entry { shape: shape.clone(), data: Data::Raw(Dtype::BF16, b) })
        })
        .collect();
    write(&t.path("model/model.safetensors"), &entries, &BTreeMap::new(), true).unwrap();
    let config = t.read("model/config.json").replace(r#""vocab_size": 46"#, r#""vocab_size": 48"#);
    t.write("model/config.json", &config);

    extend(&t, "model --new-language ee=bb").ok().says("vocabulary 48 as before");
    assert_eq!(bytes(&t, "wide/config.json"), config.as_bytes());
    extend(&t, "model --force --new-language ee=bb --new-language ff=cc --new-language gg=aa")
        .ok()
        .says("vocabulary 48 -> 49");
    let new = TensorFile::open(&t.path("wide/model.safetensors")).unwrap();
    assert_eq!(new.names(), entries.keys().cloned().collect::<Vec<_>>());
    let rows = |b: &[u8], i: usize| b[i * 128..][..128].to_vec();
    for name in ["model.encoder.embed_tokens.weight", "lm_head.weight"] {
        let view = new.view(name).unwrap();
        assert_eq!((view.dtype(), view.shape()), (Dtype::BF16, &[49, 64][..]));
        assert_eq!(view.data()[..46 * 128], shared[..46 * 128]);
        // aa, bb and cc have the ids 43, 44 and 45.
        for (to, from) in [(46, 44), (47, 45), (48, 43)] {
            assert_eq!(rows(view.data(), to), rows(&shared, from), "{name} {to}");
        }
    }
    let bias = new.f32_values(FINAL_LOGITS_BIAS, Some(&[1, 49])).unwrap();
    assert_eq!(bias[42..], [42.0, 43.0, 44.0, 45.0, 44.0, 45.0, 43.0].map(|v| v / 8.0));
    Checkpoint::open(&t.path("wide")).unwrap().final_logits_bias().unwrap().unwrap();

    // A special token behind the tokenizer's last id is nobody's mark.
    t.write("model/config.json", config.replace(r#""pad_token_id": 1"#, r#""pad_token_id": 46"#));
    extend(&t, "model --force --new-language ee=bb").code(4).says("`__ee__`");
}

#[test]
fn a_dry_run_says_what_would_be() {
    let t = prepared();
    let files = t.files();
    let run = extend(&t, "model --new-language ee=bb --new-language ab --dry-run");
    let out = run.ok().stdout();
    for text in [
        "would write wide: 2 new languages (ee=bb, ab), now 5: aa ab bb cc ee; vocabulary 46 -> 48",
        "ee: mark `__ee__`, id 46, row of `bb`",
        "ab: mark `__ab__`, id 47, mean of 3 rows",
        "  wide/tokenizer.json\n",
    ] {
        assert!(out.contains(text), "no `{text}` in {out}");
    }
    assert!(!out.contains("generation_config.json"), "{out}");
    let run = extend(&t, "model --new-language ee=bb --dry-run --json");
    assert_eq!(run.ok().records()[0]["dry_run"], true);
    assert_eq!(t.files(), files);
}

/// Masks and adapters belong to the model they were made for.
#[test]
fn parts_of_the_model_are_left_behind_with_a_warning() {
    let t = prepared();
    let other = bytes(&t, "model/model.safetensors");
    t.write("model/neuron_masks.safetensors", &other);
    extend(&t, "model --new-language ee=bb").ok().says("neuron masks are not copied");
    assert!(!t.exists("wide/neuron_masks.safetensors"));
    t.write("model/adapters.safetensors", &other);
    t.write("model/adapters.json", "{}");
    extend(&t, "model --force --new-language ee=bb").ok().says("a part of the model is not copied");
    assert!(!t.exists("wide/adapters.json") && t.exists("wide/generation_config.json"));
}

#[test]
fn wrong_flags_and_models() {
    let t = prepared();
    t.write("precious/thesis.txt", "years of work\n");
    for (flags, code, text) in [
        ("model", 2, "`--new-language <NEW[=OLD]>` is required"),
        ("model --new-language ee=bb train.jsonl", 2, "`--from` cannot be used with"),
        ("model --new-language ee=bb --vocab-size 70", 2, "cannot be used with `--vocab-size`"),
        ("model --new-language ee=bb --preset tiny", 2, "cannot be used with `--preset`"),
        ("model --new-language ee=bb --d-model 8", 2, "cannot be used with `--d-model`"),
        ("model --new-language ee=bb --languages xx", 2, "cannot be used with `--languages`"),
        ("model --new-language ee=bb --tokenizer model", 2, "cannot be used with `--tokenizer`"),
        ("model --new-language ee=", 2, "`NEW=OLD`"),
        ("model --new-language =bb", 2, "`NEW=OLD`"),
        ("model --new-language ee=bb,ff=bb", 2, "repeat the flag"),
        ("model --new-language bb=aa", 2, "knows language `bb` already"),
        ("model --new-language ee=bbb", 2, "did you mean `bb`?"),
        ("model --new-language ee=ee", 2, "unknown language `ee`"),
        ("model --new-language e-e=bb", 2, "write `e_e`"),
        ("model --new-language ee=bb --new-language ee=cc", 2, "`ee` is given twice"),
        ("missing --new-language ee=bb", 4, "missing"),
        ("precious --new-language ee=bb", 4, "not a model directory"),
    ] {
        extend(&t, flags).code(code).says(text);
        assert!(!t.exists("wide"), "{flags}");
    }
    let alone = t.isogloss(["init", "-o", "wide", "--new-language", "ee", "train.jsonl"]).run();
    alone.code(2).says("name the model with `--from MODEL`");
    let onto = |out: &str, flags: &[&str]| {
        let init = ["init", "--from", "model", "--new-language", "ee=bb", "-o", out];
        t.isogloss(init).args(flags).run()
    };
    onto("model", &[]).code(5).says("--force");
    onto("precious", &["--force"]).code(5).says("not a model directory");
    onto("-", &[]).code(2).says("standard output");
    // A model may take its own place.
    onto("model", &["--force"]).ok();
    assert_eq!(Checkpoint::open(&t.path("model")).unwrap().config.vocab_size, 47);

    // A file whose ids have gaps: the library would give the mark another id than the file says.
    let mut tokenizer = value(&t, "model/tokenizer.json");
    for token in tokenizer["added_tokens"].as_array_mut().unwrap() {
        if token["content"] == "__ee__" {
            token["id"] = 50.into();
        }
    }
    t.write("model/tokenizer.json", tokenizer.to_string());
    let config = t.read("model/config.json").replace(r#""vocab_size": 47"#, r#""vocab_size": 52"#);
    t.write("model/config.json", config);
    extend(&t, "model --new-language gg=bb").code(4);
    assert!(!t.exists("wide") && t.files().iter().all(|f| !f.contains(".isogloss")));
}
