//! Readers meet any bytes: an error or a value, never a panic, never memory beyond the file's
//! size. `tests/fuzz` runs the same entry points under a coverage-guided fuzzer.

use std::path::Path;

use isogloss::formats::hf::read_json;
use isogloss::formats::lora::LoraFiles;
use isogloss::formats::neuron_masks::{GroupMasks, NeuronMasks};
use isogloss::formats::neuron_stats::{BlockStats, Counting, NeuronStats};
use isogloss::formats::neurons::{Block, Side};
use isogloss::formats::placement::Placement;
use isogloss::formats::provenance::Provenance;
use isogloss::formats::safetensors::TensorFile;
use isogloss::io::Input;
use isogloss::methods::lora::LoraSet;
use isogloss::model::checkpoint::linear_shapes;
use isogloss::model::{Checkpoint, ModelConfig};
use isogloss::records::{InputFormat, ParallelReader, ReadOptions, TrainingRecord};
use isogloss::text::TextTokenizer;
use isogloss::training::read_state;
use proptest::prelude::*;

const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/training/even");

/// Reads every tensor of a file that opens.
fn read_tensors(path: &Path) {
    if let Ok(file) = TensorFile::open(path) {
        for name in file.names() {
            let _ = file.f32_values(&name, None);
        }
    }
}

fn read_records(bytes: &[u8], format: Option<InputFormat>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("input");
    std::fs::write(&path, bytes).unwrap();
    let options = ReadOptions { format, ..Default::default() };
    if let Ok(reader) = ParallelReader::open(&Input::Path(path), options) {
        // The first error ends a file; every record before it is whole.
        for record in reader.map_while(Result::ok) {
            assert!(record.line > 0);
        }
    }
}

/// A valid file with some bytes changed or cut off.
fn damaged(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let n = bytes.len();
    (prop::collection::vec((0..n, any::<u8>()), 0..6), 0..=n, any::<bool>()).prop_map(
        move |(changes, cut, truncate)| {
            let mut b = bytes.clone();
            for (at, value) in changes {
                b[at] = value;
            }
            if truncate {
                b.truncate(cut);
            }
            b
        },
    )
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(FIXTURE).join(name)).unwrap()
}

/// The bytes of small statistics and masks.
fn neurons() -> (Vec<u8>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let blocks = [Block::new(Side::Encoder, 0), Block::new(Side::Decoder, 0)];
    let lang_pairs = vec!["a-b".to_string(), "b-a".to_string()];
    let block = BlockStats { ffn_dim: 3, active: vec![1, 2, 3, 4, 5, 6], sums: vec![0.5; 6] };
    let stats = NeuronStats {
        lang_pairs: lang_pairs.clone(),
        blocks: blocks.into_iter().map(|b| (b, block.clone())).collect(),
        token_count: vec![[7, 8]; 2],
        sentence_count: vec![2, 2],
        counting: Some(Counting::default()),
        base_model_sha256: Some("abc".into()),
    };
    stats.write(&Provenance::default(), &path, true).unwrap();
    let stats = std::fs::read(&path).unwrap();
    let own: GroupMasks = blocks.into_iter().map(|b| (b, vec![true, false, true])).collect();
    let masks = NeuronMasks {
        groups: lang_pairs.iter().map(|p| (p.clone(), own.clone())).collect(),
        group_kind: "direction".into(),
        members: lang_pairs.iter().map(|p| (p.clone(), vec![p.clone()])).collect(),
        ..NeuronMasks::default()
    };
    masks.write(&Provenance::default(), &path, true).unwrap();
    (stats, std::fs::read(&path).unwrap())
}

const LORA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/lora/even/adapter");

fn lora_fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(LORA).join(name)).unwrap()
}

/// Reads a LoRA directory with one file replaced, for the model it was made for.
fn read_lora(name: &str, bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(Path::new(LORA).join(file), dir.path().join(file)).unwrap();
    }
    std::fs::write(dir.path().join(name), bytes).unwrap();
    let checkpoint = Checkpoint::open(Path::new(FIXTURE)).unwrap();
    let shapes = linear_shapes(&checkpoint.config);
    if let Ok(files) = LoraFiles::read(dir.path(), &shapes) {
        let _ = LoraSet::from_files(&files, &shapes);
    }
}

/// A placement that has something of everything.
const PLACEMENT: &str = r#"{"format": "isogloss-lora-placement", "schema": 1, "slice": [0, 16],
    "encoder": [{"index": "shared", "modules": ["fc1", "fc2"]}, {"fc1": {"source": 0.5, "target": 0.5}}],
    "decoder": [{"index": "direction", "modules": ["fc1"]}, {"fc1": "target"}],
    "languages": {"de": {"adapter": "de", "source": true, "target": true}},
    "directions": {"de-en": "de-en"}, "adapters": ["default", "de", "de-en"], "empty": ["de", "de-en"]}"#;

#[test]
fn the_placement_of_the_hostile_tests_is_a_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("placement.json");
    std::fs::write(&path, PLACEMENT).unwrap();
    let placement = Placement::read(&path).unwrap();
    placement.write(dir.path()).unwrap();
    assert_eq!(Placement::read(&path).unwrap(), placement);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes_as_safetensors(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        std::fs::write(&path, bytes).unwrap();
        read_tensors(&path);
    }

    #[test]
    fn damaged_weights(bytes in damaged(fixture("model.safetensors"))) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), fixture("config.json")).unwrap();
        let path = dir.path().join("model.safetensors");
        std::fs::write(&path, bytes).unwrap();
        read_tensors(&path);
        if let Ok(c) = Checkpoint::open(dir.path()) {
            c.sha256().unwrap();
            let _ = c.final_logits_bias();
        }
    }

    #[test]
    fn damaged_configuration(bytes in damaged(fixture("config.json"))) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), bytes).unwrap();
        std::fs::write(dir.path().join("model.safetensors"), fixture("model.safetensors")).unwrap();
        if let Err(e) = Checkpoint::open(dir.path()) {
            prop_assert_eq!(e.exit_code() as i32, 4);
        }
    }

    #[test]
    fn damaged_lora_files(
        config in damaged(lora_fixture("adapter_config.json")),
        weights in damaged(lora_fixture("adapter_model.safetensors")),
        placement in damaged(PLACEMENT.as_bytes().to_vec()),
    ) {
        read_lora("adapter_config.json", &config);
        read_lora("adapter_model.safetensors", &weights);
        read_lora("placement.json", &placement);
    }

    /// What reads must be whole: it can be written again.
    #[test]
    fn damaged_neuron_files(stats in damaged(neurons().0), masks in damaged(neurons().1)) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("stats"), stats).unwrap();
        std::fs::write(path("masks"), masks).unwrap();
        match NeuronStats::read(&path("stats")) {
            Ok(stats) => stats.write(&Provenance::default(), &path("again"), true).unwrap(),
            Err(e) => prop_assert_eq!(e.exit_code() as i32, 4),
        }
        match NeuronMasks::read(&path("masks")) {
            Ok(masks) => masks.write(&Provenance::default(), &path("again"), true).unwrap(),
            Err(e) => prop_assert_eq!(e.exit_code() as i32, 4),
        }
        // A file of the other kind is neither.
        std::fs::write(path("stats"), neurons().1).unwrap();
        prop_assert!(NeuronStats::read(&path("stats")).is_err());
    }

    #[test]
    fn any_bytes_as_records(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in [None, Some(InputFormat::Jsonl), Some(InputFormat::Tsv), Some(InputFormat::Text)] {
            read_records(&bytes, format);
        }
    }

    #[test]
    fn odd_json_as_records(
        fields in prop::collection::vec(
            (prop::sample::select(vec!["id", "src", "tgt", "ref", "refs", "src_lang", "tgt_lang",
                "weight", "group", "hyp", "mt", "translation", "text", "x"]),
             prop::sample::select(vec!["null", "true", "1", "-1e999", "\"a\"", "\"\"", "[]",
                "[1]", "[\"a\"]", "{}", "{\"en\":\"a\",\"de\":\"b\"}", "{\"en\":1}"])),
            0..6)
    ) {
        let body: Vec<String> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
        read_records(format!("{{{}}}\n", body.join(",")).as_bytes(), Some(InputFormat::Jsonl));
    }

    #[test]
    fn any_text_as_state_log_and_tokenizer(text in "\\PC{0,200}") {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("state.json"), &text).unwrap();
        prop_assert!(read_state(dir.path()).is_err());
        std::fs::write(dir.path().join("tokenizer.json"), &text).unwrap();
        let config: ModelConfig = read_json(&Path::new(FIXTURE).join("config.json")).unwrap();
        prop_assert!(TextTokenizer::load(dir.path(), &config).is_err());
        let _ = serde_json::from_str::<TrainingRecord>(&text);
    }
}

#[test]
fn shards_outside_the_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), fixture("config.json")).unwrap();
    for shard in ["../x.safetensors", "/etc/passwd", "a/b.safetensors", "..", ""] {
        let index = serde_json::json!({"weight_map": {"model.shared.weight": shard}});
        std::fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
        let e = Checkpoint::open(dir.path()).err().unwrap();
        assert!(e.to_string().contains("outside the model directory"), "{shard}: {e}");
    }
}

#[test]
fn other_architectures_and_pickles_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.json");
    std::fs::write(&config, r#"{"model_type":"bert"}"#).unwrap();
    let e = Checkpoint::open(dir.path()).err().unwrap().to_string();
    assert!(e.contains("found: `bert`"), "{e}");
    std::fs::write(&config, fixture("config.json")).unwrap();
    std::fs::write(dir.path().join("pytorch_model.bin"), b"PK\x03\x04").unwrap();
    let e = Checkpoint::open(dir.path()).err().unwrap().to_string();
    assert!(e.contains("is a pickle") && e.contains("save_pretrained"), "{e}");
    std::fs::write(dir.path().join("model.safetensors"), b"PK\x03\x04aaaaaaaa").unwrap();
    let e = Checkpoint::open(dir.path()).err().unwrap().to_string();
    assert!(e.contains("pickle"), "{e}");
}

#[test]
fn missing_and_unused_tensors_are_counted_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&fixture("config.json")).unwrap();
    std::fs::write(dir.path().join("model.safetensors"), fixture("model.safetensors")).unwrap();
    let layers = config["encoder_layers"].as_u64().unwrap();
    for (n, word) in [(layers + 1, "missing tensors: 16"), (layers - 1, "unused tensors: 16")] {
        config["encoder_layers"] = n.into();
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let e = Checkpoint::open(dir.path()).err().unwrap().to_string();
        assert!(e.contains(word) && e.contains("model.encoder.layers."), "{e}");
    }
}
