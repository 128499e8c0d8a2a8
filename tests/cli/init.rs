//! `isogloss init`: a complete model directory or nothing.

use std::collections::BTreeMap;

use isogloss::formats::safetensors::TensorFile;
use isogloss::model::Checkpoint;
use isogloss::text::TextTokenizer;
use serde_json::Value;

use super::support::Sandbox;

const CORPUS: &str = include_str!("../data/tokenizer/corpus.jsonl");
const FILES: [&str; 5] = [
    "model/config.json",
    "model/generation_config.json",
    "model/model.safetensors",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
];
const TINY: [&str; 7] = ["init", "-o", "model", "--preset", "tiny", "--vocab-size", "260"];

fn sandbox() -> Sandbox {
    let t = Sandbox::new();
    t.write("train.jsonl", CORPUS);
    t
}

#[test]
fn writes_a_model_that_loads() {
    let t = sandbox();
    t.isogloss(TINY).arg("train.jsonl").run().ok().says("0.3 M parameters").says("de en ja ru");
    assert_eq!(t.files(), [&FILES[..], &["train.jsonl"]].concat());
    let model = Checkpoint::open(&t.path("model")).unwrap();
    assert_eq!((model.config.vocab_size, model.config.d_model), (260, 64));
    let tokenizer = TextTokenizer::load(&t.path("model"), &model.config).unwrap();
    assert_eq!(tokenizer.languages().codes(), ["de", "en", "ja", "ru"]);
    assert_eq!(tokenizer.languages().id_of("ru").unwrap(), 259);

    let config: Value = serde_json::from_str(&t.read("model/config.json")).unwrap();
    for (key, value) in [
        ("model_type", "m2m_100".into()),
        ("architectures", serde_json::json!(["M2M100ForConditionalGeneration"])),
        ("is_encoder_decoder", true.into()),
        ("scale_embedding", true.into()),
        ("tie_word_embeddings", true.into()),
        ("dtype", "float32".into()),
        ("dropout", 0.1.into()),
        ("pad_token_id", 1.into()),
        ("decoder_start_token_id", 2.into()),
    ] {
        assert_eq!(config[key], value, "{key}");
    }
    let keys: Vec<&String> = config.as_object().unwrap().keys().collect();
    assert!(keys.is_sorted());

    let weights = TensorFile::open(&t.path("model/model.safetensors")).unwrap();
    let names = weights.names();
    let embeddings: Vec<&String> = names
        .iter()
        .filter(|n| n.contains("shared") || n.contains("embed") || n.contains("head"))
        .collect();
    assert_eq!(embeddings, ["model.shared.weight"]);
    let metadata = weights.metadata();
    assert_eq!((metadata["format"].as_str(), metadata["kind"].as_str()), ("pt", "model"));
    let provenance: Value = serde_json::from_str(&metadata["provenance"]).unwrap();
    assert_eq!(provenance["command"], "init");
    assert_eq!(provenance["parents"][0]["name"], "train.jsonl");
    assert!(!metadata["provenance"].contains("isogloss-test-"), "no machine paths");
}

#[test]
fn the_same_command_gives_the_same_bytes_and_another_seed_other_weights() {
    let t = sandbox();
    let run = |out: &str, flags: &[&str]| -> BTreeMap<String, Vec<u8>> {
        t.isogloss(["init", "--preset", "tiny", "--vocab-size", "260", "train.jsonl", "-o", out])
            .args(flags)
            .run()
            .ok();
        FILES
            .map(|f| {
                let name = f.trim_start_matches("model/").to_string();
                let bytes = std::fs::read(t.path(out).join(&name)).unwrap();
                (name, bytes)
            })
            .into()
    };
    let a = run("a", &["--threads", "1"]);
    let b = run("b", &["--threads", "3"]);
    assert!(a == b);
    let c = run("c", &["--seed", "2"]);
    assert!(a["tokenizer.json"] == c["tokenizer.json"]);
    assert!(a["model.safetensors"] != c["model.safetensors"]);
}

#[test]
fn json_prints_one_record() {
    let t = sandbox();
    let run = t.isogloss(TINY).args(["--json", "train.jsonl"]).run();
    let records = run.ok().records();
    assert_eq!(records.len(), 1);
    let r = &records[0];
    assert_eq!((r["type"].as_str(), r["vocab_size"].as_u64()), (Some("model"), Some(260)));
    assert_eq!(r["languages"], serde_json::json!(["de", "en", "ja", "ru"]));
    let model = Checkpoint::open(&t.path("model")).unwrap();
    assert_eq!(r["sha256"], model.sha256().unwrap());
    let n: u64 = TensorFile::open(&t.path("model/model.safetensors"))
        .map(|f| f.names().iter().map(|n| f.view(n).unwrap().data().len() as u64 / 4).sum())
        .unwrap();
    assert_eq!(r["num_parameters"], n);
}

#[test]
fn dry_run_writes_nothing() {
    let t = sandbox();
    let run = t.isogloss(TINY).args(["--dry-run", "train.jsonl"]).run();
    assert!(run.ok().stdout().contains("would write model: 0.3 M parameters"), "{}", run.stdout());
    assert_eq!(t.files(), ["train.jsonl"]);
    // What a dry run can see, it sees.
    t.write("bad.jsonl", "{\"src_lang\":\"en\",\"src\":\"a\",\"tgt\":\"b\"}\n");
    t.isogloss(TINY).args(["--dry-run", "bad.jsonl"]).run().code(3).says("bad.jsonl:1");
}

#[test]
fn text_comes_as_records_tables_lines_and_from_standard_input() {
    let t = sandbox();
    let mut tsv = String::from("src_lang\ttgt_lang\tsrc\ttgt\n");
    let (mut en, mut xx) = (String::new(), String::new());
    for line in CORPUS.lines() {
        let r: Value = serde_json::from_str(line).unwrap();
        let f = |k: &str| r[k].as_str().unwrap().to_string();
        tsv += &format!("{}\t{}\t{}\t{}\n", f("src_lang"), f("tgt_lang"), f("src"), f("tgt"));
        if r["tgt_lang"] == "de" {
            en += &format!("{}\n", f("src"));
            xx += &format!("{}\n", f("tgt"));
        }
    }
    t.write("train.tsv", tsv);
    t.write("lines.en", en);
    t.write("lines.de", xx);
    t.isogloss(TINY).arg("train.jsonl").run().ok();
    let reference = t.read("model/tokenizer.json");
    for (input, stdin) in [("train.tsv", ""), ("-", CORPUS)] {
        t.isogloss(TINY).args(["--force", input]).stdin(stdin).run().ok();
        assert!(t.read("model/tokenizer.json") == reference, "{input}");
    }
    let aligned =
        ["--src", "lines.en", "--tgt", "lines.de", "--src-lang", "en", "--tgt-lang", "de"];
    t.isogloss(TINY).arg("--force").args(aligned).run().ok().says("2 languages: de en");
    // Lines of one language, and a language that has no text yet.
    let mono = ["--src-lang", "en", "--languages", "fr,nds", "lines.en", "--input-format", "text"];
    t.isogloss(TINY).arg("--force").args(mono).run().ok().says("3 languages: en fr nds");

    t.write("short.de", "eins\n");
    let unequal =
        ["--src", "lines.en", "--tgt", "short.de", "--src-lang", "en", "--tgt-lang", "de"];
    let run = t.isogloss(TINY).arg("--force").args(unequal).run();
    run.code(3).says("found: 1 lines   expected: 8 lines");
}

#[test]
fn an_existing_model_stays_unless_forced() {
    let t = sandbox();
    t.isogloss(TINY).arg("train.jsonl").run().ok();
    let before = t.read("model/config.json");
    t.isogloss(TINY).args(["--preset", "small", "train.jsonl"]).run().code(5).says("--force");
    assert_eq!(t.read("model/config.json"), before);
    t.isogloss(TINY).args(["--dropout", "0.25", "--force", "train.jsonl"]).run().ok();
    assert!(t.read("model/config.json").contains("\"dropout\": 0.25"));
}

#[test]
fn a_small_text_gives_a_small_vocabulary_and_says_so() {
    let t = sandbox();
    let run =
        t.isogloss(["init", "-o", "model", "--preset", "tiny", "train.jsonl", "--json"]).run();
    let size = run.ok().records()[0]["vocab_size"].as_u64().unwrap();
    assert!(size < 1000, "{size}");
    let warning = &run.error_records()[0];
    assert_eq!(
        (warning["type"].as_str(), warning["found"].as_str()),
        (Some("warning"), Some(&*size.to_string()))
    );
    assert_eq!(Checkpoint::open(&t.path("model")).unwrap().config.vocab_size as u64, size);
}

#[test]
fn a_tokenizer_and_a_configuration_can_be_taken_over() {
    let t = sandbox();
    t.isogloss(TINY).arg("train.jsonl").run().ok();
    let take =
        ["init", "-o", "second", "--tokenizer", "model", "--model-config", "model/config.json"];
    t.isogloss(take).args(["--encoder-layers", "1"]).run().ok();
    assert!(t.read("second/tokenizer.json") == t.read("model/tokenizer.json"));
    let second = Checkpoint::open(&t.path("second")).unwrap().config;
    assert_eq!((second.vocab_size, second.encoder_layers, second.decoder_layers), (260, 1, 2));
    // A vocabulary may be padded, not cut.
    t.isogloss(take).args(["--force", "--vocab-size", "264"]).run().ok();
    assert_eq!(Checkpoint::open(&t.path("second")).unwrap().config.vocab_size, 264);
    t.isogloss(take).args(["--force", "--vocab-size", "200"]).run().code(2).says("at least 260");
    t.isogloss(take).args(["--force", "train.jsonl"]).run().code(2).says("takes no text");
    t.isogloss(take).args(["--force", "--languages", "fr"]).run().code(2).says("unknown language");
    t.write("other.json", "{\"model_type\":\"marian\"}");
    let other = ["init", "-o", "x", "--tokenizer", "model", "--model-config", "other.json"];
    t.isogloss(other).run().code(4).says("another architecture");
}

#[test]
fn wrong_flags_and_inputs() {
    let t = sandbox();
    t.write("empty.jsonl", "");
    t.write(
        "blank.jsonl",
        "{\"src_lang\":\"en\",\"tgt_lang\":\"de\",\"src\":\"\",\"tgt\":\" \"}\n",
    );
    t.write("nolang.jsonl", "{\"src\":\"a b\",\"tgt\":\"c d\"}\n");
    t.write(
        "hyphen.jsonl",
        "{\"src_lang\":\"pt-BR\",\"tgt_lang\":\"de\",\"src\":\"a\",\"tgt\":\"b\"}\n",
    );
    t.write("latin1.jsonl", b"{\"src_lang\":\"en\",\"src\":\"\xe9\"}\n");
    t.write("broken.jsonl", "{\"src_lang\":\"en\"\n");
    for (flags, code, text) in [
        ("train.jsonl --heads 3", 2, "encoder_attention_heads"),
        ("train.jsonl --d-model 7 --heads 1", 2, "d_model"),
        ("train.jsonl --vocab-size 3", 2, "--vocab-size"),
        ("train.jsonl --vocab-size 100", 2, "characters"),
        ("train.jsonl --character-coverage 0", 2, "--character-coverage"),
        ("train.jsonl --character-coverage nan", 2, "--character-coverage"),
        ("train.jsonl --tokenizer-temperature 0.5", 2, "--tokenizer-temperature"),
        ("train.jsonl --languages de,x-y", 2, "write `x_y`"),
        ("train.jsonl --preset huge", 2, "base"),
        ("train.jsonl --src a --tgt b", 2, "--src-lang"),
        ("- -", 2, "only once"),
        ("missing.jsonl", 4, "missing.jsonl"),
        ("empty.jsonl", 3, "no records"),
        ("blank.jsonl", 3, "no words"),
        ("nolang.jsonl", 3, "nolang.jsonl:1, field `src_lang`"),
        ("hyphen.jsonl", 3, "write `pt_BR`"),
        ("latin1.jsonl", 3, "0xE9"),
        ("broken.jsonl", 3, "broken.jsonl:1"),
        ("--tokenizer missing", 4, "missing"),
    ] {
        let run = t.isogloss(TINY).args(flags.split(' ')).run();
        run.code(code).says(text);
        assert!(!t.exists("model"), "{flags}");
    }
    // Nothing half written stays behind.
    assert!(t.files().iter().all(|f| !f.contains("model") && !f.contains(".isogloss")));
}

#[test]
fn force_replaces_models_only() {
    let t = Sandbox::new();
    t.write("text.jsonl", CORPUS);
    t.write("precious/thesis.txt", "years of work\n");
    let run = |out: &str, more: &[&str]| {
        t.isogloss(["init", "--preset", "tiny", "--vocab-size", "128", "--force", "-o", out])
            .args(more)
            .arg("text.jsonl")
            .run()
    };
    run("precious", &[]).code(5).says("not a model directory");
    run("text.jsonl", &[]).code(5).says("not a model directory");
    assert_eq!(t.read("precious/thesis.txt"), "years of work\n");
    run("model", &[]).ok();
    run("model", &[]).ok();
    run("huge", &["--d-model", "2000000"]).code(5).says("not enough memory");
    assert!(!t.exists("huge"));
}
