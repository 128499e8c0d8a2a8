//! `isogloss inspect`: every file we know, and a clear no to the others.

use std::collections::BTreeMap;

use isogloss::formats::neuron_stats::{BlockStats, Counting, NeuronStats};
use isogloss::formats::neurons::{Block, Side};
use isogloss::formats::provenance::Provenance;
use isogloss::formats::safetensors::{Data, Entry, write};
use isogloss::model::Checkpoint;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::support::{Finished, Sandbox};

const CORPUS: &str = include_str!("../data/tokenizer/corpus.jsonl");

fn with_model() -> Sandbox {
    let t = Sandbox::new();
    t.write("train.jsonl", CORPUS);
    t.isogloss(["init", "-o", "model", "--preset", "tiny", "--vocab-size", "260", "train.jsonl"])
        .run()
        .ok();
    t
}

#[track_caller]
fn facts(t: &Sandbox, path: &str) -> Value {
    let run = t.isogloss(["inspect", "--json", path]).run();
    let mut records = run.ok().records();
    assert_eq!(records.len(), 1);
    let r = records.remove(0);
    assert_eq!((r["type"].as_str(), r["path"].as_str()), (Some("inspection"), Some(path)));
    r
}

#[test]
fn model_directories() {
    let t = with_model();
    let r = facts(&t, "model");
    let checkpoint = Checkpoint::open(&t.path("model")).unwrap();
    assert_eq!(r["kind"], "model");
    assert_eq!(r["sha256"], checkpoint.sha256().unwrap());
    assert_eq!((r["d_model"].as_u64(), r["vocab_size"].as_u64()), (Some(64), Some(260)));
    let parts = &r["parameters_by_part"];
    assert_eq!(parts["embedding"], 260 * 64);
    let sum: u64 =
        ["embedding", "encoder", "decoder"].iter().map(|p| parts[*p].as_u64().unwrap()).sum();
    assert_eq!(
        (r["num_parameters"].as_u64(), r["num_values"]["F32"].as_u64()),
        (Some(sum), Some(sum))
    );
    assert_eq!(r["tokenizer"]["languages"], json!(["de", "en", "ja", "ru"]));
    assert_eq!(r["provenance"]["command"], "init");

    let run = t.isogloss(["inspect", "model", "train.jsonl"]).run();
    let text = run.ok().stdout();
    assert!(text.starts_with("model: model\n") && text.contains("\ntrain.jsonl: parallel_text\n"));
    assert!(text.contains("de en ja ru"), "{text}");
    let quick: Value =
        t.isogloss(["inspect", "--quick", "--json", "model"]).run().ok().records().remove(0);
    assert_eq!(quick.get("sha256"), None);
    let listed =
        t.isogloss(["inspect", "--tensors", "--json", "model"]).run().ok().records().remove(0);
    let tensors = listed["tensors"].as_array().unwrap();
    assert_eq!(tensors.len() as u64, listed["num_tensors"].as_u64().unwrap());
    assert!(
        tensors
            .contains(&json!({"name": "model.shared.weight", "dtype": "F32", "shape": [260, 64]}))
    );
    let pretty = t.isogloss(["inspect", "--format", "json", "model"]).run();
    let value: Value = serde_json::from_str(&pretty.ok().stdout()).unwrap();
    assert_eq!(value["kind"], "model");

    // Published M2M-100 has no tokenizer.json.
    std::fs::remove_file(t.path("model/tokenizer.json")).unwrap();
    t.write("model/vocab.json", "{}");
    let r = facts(&t, "model");
    assert_eq!(
        r["tokenizer"],
        json!({"missing": "tokenizer.json", "found_instead": ["vocab.json"]})
    );
    std::fs::remove_file(t.path("model/model.safetensors")).unwrap();
    t.isogloss(["inspect", "model"]).run().code(4).says("no weights");
}

#[test]
fn files_of_a_model() {
    let t = with_model();
    assert_eq!(facts(&t, "model/config.json")["kind"], "model_config");
    let r = facts(&t, "model/tokenizer.json");
    assert_eq!((r["kind"].as_str(), r["num_entries"].as_u64()), (Some("tokenizer"), Some(260)));
    assert_eq!(r["normalizer"], json!(["NFKC", "Replace", "Strip"]));
    let r = facts(&t, "model/model.safetensors");
    assert_eq!(r["kind"], "model");
    let groups = r["tensor_groups"].as_array().unwrap();
    let fc1 =
        groups.iter().find(|g| g["name"] == "model.encoder.layers.{0..1}.fc1.weight").unwrap();
    assert_eq!((&fc1["shape"], &fc1["count"]), (&json!([256, 64]), &json!(2)));
}

#[test]
fn runs() {
    let t = with_model();
    std::fs::create_dir_all(t.path("run/checkpoints")).unwrap();
    std::fs::rename(t.path("model"), t.path("run/checkpoints/step-00000020")).unwrap();
    t.write("run/checkpoints/step-00000020/state.json",
        r#"{"schema":1,"step":20,"sampler":{"epoch":0},"best":{"step":10,"metric":"nll","value":2.5},
            "tokens_seen":512,"settings":{"lr":0.1},"finished":null}"#);
    t.write("run/latest", "step-00000020\n");
    t.write("run/best", "step-00000020 nll 2.5\n");
    t.write(
        "run/log.jsonl",
        concat!(
            r#"{"type":"train_step","step":10,"loss":5.5,"lr":0.1}"#,
            "\n",
            r#"{"type":"valid","step":10,"lang_pair":"en-de","nll":2.75}"#,
            "\n",
            r#"{"type":"train_step","step":20,"loss":4.5,"lr":0.1}"#,
            "\n",
            r#"{"type":"valid","step":20,"lang_pair":"en-de","nll":2.5}"#,
            "\n",
            r#"{"type":"train_st"#
        ),
    );
    let r = facts(&t, "run");
    assert_eq!(
        (r["kind"].as_str(), r["num_checkpoints"].as_u64()),
        (Some("training_run"), Some(1))
    );
    assert_eq!(
        (r["state"]["step"].as_u64(), r["state"]["tokens_seen"].as_u64()),
        (Some(20), Some(512))
    );
    assert_eq!(r["state"].get("sampler"), None);
    assert_eq!(r["best"], "step-00000020 nll 2.5");
    assert_eq!(
        (&r["log"]["first_step"]["loss"], &r["log"]["last_step"]["loss"]),
        (&json!(5.5), &json!(4.5))
    );
    assert_eq!(r["log"]["last_validation"][0]["nll"], 2.5);
    assert_eq!(facts(&t, "run/log.jsonl")["kind"], "training_log");
    assert_eq!(facts(&t, "run/checkpoints/step-00000020")["run_state"]["step"], 20);
    t.write("run/best", "step-00000099\n");
    t.isogloss(["inspect", "run"]).run().code(4).says("step-00000099");
}

fn tensors(t: &Sandbox, name: &str, kind: Option<&str>, names: &[(&str, usize)]) {
    let bytes: Vec<u8> = (0..64).map(|i| u8::from(i % 4 == 0)).collect();
    let map: BTreeMap<String, Entry<'_>> = names
        .iter()
        .map(|(n, len)| {
            (n.to_string(), Entry { shape: vec![*len], data: Data::U8(&bytes[..*len]) })
        })
        .collect();
    let mut meta: BTreeMap<String, String> = BTreeMap::new();
    if let Some(kind) = kind {
        meta.insert("kind".into(), kind.into());
        meta.insert("format".into(), "pt".into());
        meta.insert("lang_pairs".into(), r#"["en-de"]"#.into());
        meta.insert("tool".into(), "isogloss 9".into());
        meta.insert("note".into(), "by hand".into());
    }
    write(&t.path(name), &map, &meta, true).unwrap();
}

#[test]
fn tensor_files() {
    let t = Sandbox::new();
    tensors(
        &t,
        "m.safetensors",
        Some("neuron_masks"),
        &[
            ("en-de.encoder.layers.0.fc1.mask", 16),
            ("en-de.encoder.layers.1.fc1.mask", 16),
            ("de-en.encoder.layers.0.fc1.mask", 8),
        ],
    );
    let r = facts(&t, "m.safetensors");
    assert_eq!(r["kind"], "neuron_masks");
    assert_eq!(
        r["masks"],
        json!([
        {"group": "de-en", "kept": 2, "total": 8, "density_frac": 0.25, "encoder_frac": 0.25},
        {"group": "en-de", "kept": 8, "total": 32, "density_frac": 0.25, "encoder_frac": 0.25}])
    );
    assert_eq!((&r["tool"], &r["metadata"]["note"]), (&json!("isogloss 9"), &json!("by hand")));
    let block = |ffn_dim| BlockStats { ffn_dim, active: vec![3; ffn_dim], sums: Vec::new() };
    let stats = NeuronStats {
        lang_pairs: vec!["en-de".into()],
        blocks: [
            (Block::new(Side::Encoder, 0), block(4)),
            (Block::new(Side::Decoder, 0), block(6)),
        ]
        .into(),
        token_count: vec![[5, 7]],
        sentence_count: vec![2],
        counting: Some(Counting::default()),
        base_model_sha256: None,
    };
    stats.write(&Provenance::default(), &t.path("s.safetensors"), false).unwrap();
    let r = facts(&t, "s.safetensors");
    assert_eq!((&r["lang_pairs"], &r["unit"]), (&json!(["en-de"]), &json!("token")));
    assert_eq!(r["counts"][0]["decoder_tokens"], 7);
    // Files of others are known by their names.
    for (name, kind) in [
        ("base_model.model.model.encoder.layers.0.fc1.lora_A.weight", "lora"),
        ("model.encoder.layers.0.output_adapters.adapters.de.adapter_down.0.weight", "adapter"),
        ("model.shared.weight", "model_weights"),
        ("x", "tensors"),
    ] {
        tensors(&t, "f.safetensors", None, &[(name, 4)]);
        assert_eq!(facts(&t, "f.safetensors")["kind"], kind);
    }
    // Known by content as well as by name.
    std::fs::rename(t.path("f.safetensors"), t.path("f.bin")).unwrap();
    assert_eq!(facts(&t, "f.bin")["kind"], "tensors");
    t.write("cut.safetensors", &std::fs::read(t.path("m.safetensors")).unwrap()[..40]);
    t.isogloss(["inspect", "cut.safetensors"]).run().code(4).says("truncated");
}

#[test]
fn adapter_directories() {
    let t = Sandbox::new();
    t.write("lora/adapter_config.json", r#"{"peft_type":"LORA","r":8,"target_modules":["fc1"]}"#);
    t.isogloss(["inspect", "lora"]).run().code(4).says("no weights");
    tensors(&t, "lora/adapter_model.safetensors", None, &[("a.lora_A.weight", 4)]);
    let r = facts(&t, "lora");
    assert_eq!(
        (r["kind"].as_str(), &r["r"], &r["num_tensors"]),
        (Some("lora_directory"), &json!(8), &json!(1))
    );
    t.write("bank/de/adapter_config.json", "{}");
    t.write("bank/fr/adapter_config.json", "{}");
    assert_eq!(facts(&t, "bank")["adapters"], json!(["de", "fr"]));
    t.write(
        "hub/adapter_config.json",
        r#"{"config":{"reduction_factor":16},"version":"adapters.1.2.0","name":"de"}"#,
    );
    t.write("hub/pytorch_adapter.bin", "x");
    t.isogloss(["inspect", "hub"]).run().code(4).says("pickle");
    tensors(&t, "hub/adapter.safetensors", None, &[("x.adapters.de.y", 4)]);
    assert_eq!(facts(&t, "hub")["reduction_factor"], 16);
}

#[test]
fn text_of_every_form() {
    let t = Sandbox::new();
    t.write("train.jsonl", CORPUS);
    let r = facts(&t, "train.jsonl");
    assert_eq!((r["kind"].as_str(), r["num_records"].as_u64()), (Some("parallel_text"), Some(18)));
    assert_eq!(r["fields"]["src"], 18);
    assert_eq!(r["languages"], json!(["de", "en", "ja", "ru"]));
    let ja =
        r["directions"].as_array().unwrap().iter().find(|d| d["lang_pair"] == "en-ja").unwrap();
    // 11, 12, 10 and 9 characters.
    assert_eq!(
        (&ja["records"], &ja["tgt_mean_chars"], &ja["tgt_max_chars"]),
        (&json!(4), &json!(10.5), &json!(12))
    );

    t.write("t.tsv", "src_lang\ttgt_lang\tsrc\ttgt\nen\tde\ta\tbb\nen\tde\t\tb\n");
    let r = facts(&t, "t.tsv");
    assert_eq!(
        (r["kind"].as_str(), &r["directions"][0]["src_empty"]),
        (Some("parallel_text"), &json!(1))
    );
    t.write("lines.de", "eins\nzwei\n\n");
    let r = facts(&t, "lines.de");
    assert_eq!(
        (&r["kind"], &r["num_lines"], &r["line_empty"]),
        (&json!("plain_text"), &json!(3), &json!(1))
    );
    t.write("hyp.jsonl", concat!(
        r#"{"type":"header","tool":"isogloss 1","command":"translate","signature":"beam:5"}"#, "\n",
        r#"{"type":"translation","src_lang":"en","tgt_lang":"de","src":"a","hyp":"b","num_src_unk":2,"truncated":true}"#, "\n",
        r#"{"type":"summary"}"#, "\n"));
    let r = facts(&t, "hyp.jsonl");
    assert_eq!(
        (&r["kind"], &r["num_hyps"], &r["num_src_unk"], &r["num_truncated"], &r["signature"]),
        (&json!("translations"), &json!(1), &json!(2), &json!(1), &json!("beam:5"))
    );
    t.write(
        "scores.jsonl",
        r#"{"type":"score","lang_pair":"en-de","metric":"BLEU","value":12.5}
{"type":"gate","status":"fail"}
"#,
    );
    let r = facts(&t, "scores.jsonl");
    assert_eq!(
        (&r["kind"], &r["scores"][0]["value"], &r["gates"]["fail"]),
        (&json!("scores"), &json!(12.5), &json!(1))
    );
    t.write("bleu.json", r#"{"name":"BLEU","score":30.1,"signature":"nrefs:1"}"#);
    assert_eq!(facts(&t, "bleu.json")["scores"][0]["value"], 30.1);
    t.write("flores.jsonl", "{\"id\":0,\"lang\":\"deu_Latn\",\"text\":\"abc\"}\n");
    assert_eq!(facts(&t, "flores.jsonl")["by_language"][0]["lang"], "deu_Latn");
    let run = t.isogloss(["inspect", "--json", "-"]).stdin(CORPUS).run();
    assert_eq!(run.ok().records()[0]["num_records"], 18);
    t.write("bad.jsonl", "{\"src\":\"a\"}\n{\"src\":\n");
    t.isogloss(["inspect", "bad.jsonl"]).run().code(3).says("bad.jsonl:2");
}

#[test]
fn unknown_things_are_refused() {
    let t = Sandbox::new();
    t.write("zip", b"PK\x03\x04abc");
    t.write("gz", b"\x1f\x8b\x08abc");
    t.write("empty", "");
    t.write("noise", (0..200u8).map(|i| i.wrapping_mul(77)).collect::<Vec<u8>>());
    t.write("dir/readme", "x");
    t.write("half.json", "{\"model\": ");
    std::fs::create_dir(t.path("void")).unwrap();
    let no = |path: &str, text: &str| {
        let run: Finished = t.isogloss(["inspect", path]).run();
        run.code(4).says(text);
        assert_eq!(run.stdout(), "");
    };
    no("zip", "pickle");
    no("gz", "zcat");
    no("empty", "an empty file");
    no("noise", "binary data");
    no("dir", "found: readme");
    no("void", "an empty directory");
    no("half.json", "cannot read JSON");
    no("missing", "missing");
    t.isogloss(["inspect"]).run().code(2);
    t.isogloss(["inspect", "-", "-"]).run().code(2);
    // Good paths before a bad one are still answered.
    t.write("a.txt", "x\n");
    let run = t.isogloss(["inspect", "a.txt", "zip"]).run();
    run.code(4);
    assert!(run.stdout().starts_with("a.txt: plain_text"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..Default::default() })]
    /// Any bytes under any name: an answer or an error of ours, never a panic.
    #[test]
    fn any_file(bytes in prop::collection::vec(any::<u8>(), 0..200),
                prefix in prop::sample::select(vec![&b""[..], b"{", b"[", b"{\"a\":1}\n", b"src\ttgt\n", b"\x10\0\0\0\0\0\0\0{", b"\x0a\x0e\x0a\x05<unk>"]),
                name in prop::sample::select(vec!["x", "x.json", "x.jsonl", "x.tsv", "x.txt", "x.model", "x.safetensors"])) {
        let t = Sandbox::new();
        t.write(name, [prefix, &bytes].concat());
        let run = t.isogloss(["inspect", name]).run();
        prop_assert!(matches!(run.code, Some(0 | 3 | 4)), "{}", run.transcript());
    }
}

/// What cannot be read is said, and does not hide what can.
#[test]
fn one_bad_path_does_not_hide_the_others() {
    let t = Sandbox::new();
    t.write("a.txt", "one\ntwo\n");
    let run = t.isogloss(["inspect", "--format", "jsonl", "none.txt", "a.txt", "nowhere"]).run();
    run.code(4).says("none.txt").says("nowhere");
    assert_eq!(run.records().len(), 1);
}
