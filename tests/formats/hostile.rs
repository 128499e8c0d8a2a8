//! Readers meet any bytes: an error or a value, never a panic, never memory beyond the file's
//! size. `tests/fuzz` runs the same entry points under a coverage-guided fuzzer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isogloss::formats::adapters::{
    AdapterDir, AdapterSetConfig, AdapterWeights, AdapterWriter, Layout, NormPlace, Position, Site,
};
use isogloss::formats::hf::read_json;
use isogloss::formats::hypernet::HyperConfig;
use isogloss::formats::lora::LoraFiles;
use isogloss::formats::neuron_masks::{GroupMasks, NeuronMasks};
use isogloss::formats::neuron_stats::{BlockStats, Counting, NeuronStats};
use isogloss::formats::neurons::{Block, Side};
use isogloss::formats::placement::{Index, Placement, SHARED};
use isogloss::formats::provenance::Provenance;
use isogloss::formats::safetensors::TensorFile;
use isogloss::formats::sentencepiece::SentencePieceModel;
use isogloss::io::Input;
use isogloss::methods::hyper::{HyperInit, HyperNetwork};
use isogloss::methods::lora::LoraSet;
use isogloss::model::checkpoint::linear_shapes;
use isogloss::model::{Checkpoint, ModelConfig};
use isogloss::records::{InputFormat, ParallelReader, ReadOptions, TrainingRecord};
use isogloss::text::TextTokenizer;
use isogloss::training::read_state;
use proptest::prelude::*;

use super::{FIXTURE, fixture};

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

/// A SentencePiece model and a vocabulary for it.
fn pieces(name: &str) -> (Vec<u8>, Vec<u8>) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sentencepiece");
    let bytes = std::fs::read(dir.join(format!("{name}.model"))).unwrap();
    let model = SentencePieceModel::parse(&bytes).unwrap();
    let text = model.pieces.iter().filter(|p| p.kind.is_segment()).map(|p| p.text.as_str());
    let all = ["<s>", "<pad>", "</s>", "<unk>"].into_iter().chain(text);
    let vocab: serde_json::Map<_, _> =
        all.zip(0..).map(|(piece, id)| (piece.to_string(), serde_json::Value::from(id))).collect();
    (bytes, serde_json::to_vec(&vocab).unwrap())
}

/// What loads cuts any text and puts it together again.
fn read_pieces(model: &[u8], vocab: &[u8]) {
    let mut config: ModelConfig = read_json(&Path::new(FIXTURE).join("config.json")).unwrap();
    config.vocab_size = 800;
    match TextTokenizer::from_pieces(model, vocab, &config) {
        Err(e) => assert_eq!(e.exit_code() as i32, 4, "{e}"),
        Ok(t) => {
            for text in ["", "ba shi<sep> a\u{301}.", "__de__ </s> \u{1F600}\0 \u{fb01}"] {
                match t.encode("en", text, 64) {
                    Err(e) => assert_eq!(e.exit_code() as i32, 4, "{e}"),
                    Ok(e) => {
                        assert!(e.ids[1..e.ids.len() - 1].iter().all(|id| !t.is_control(*id)));
                        t.decode(&e.ids).unwrap();
                    }
                }
            }
        }
    }
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

fn written_hypernet(dir: &Path) {
    let rows: serde_json::Map<String, serde_json::Value> =
        ["source.de", "target.en", "layer.encoder.layers.0.layer", "layer.decoder.layers.0.layer"]
            .into_iter()
            .map(|key| (key.to_string(), serde_json::json!({"updates": 1})))
            .collect();
    let config: HyperConfig = serde_json::from_value(serde_json::json!({
        "kind": "hyper-adapters", "d_model": 4, "encoder_layers": 1, "decoder_layers": 1,
        "bottleneck": 2, "positions": ["layer"], "norm": "before", "affine": "generated",
        "encoder_inputs": ["source", "layer"], "decoder_inputs": ["target", "layer"],
        "embedding_dim": 3, "layer_embedding_dim": 3, "hidden": 5, "blocks": 1,
        "rescale": true, "rows": rows,
    }))
    .unwrap();
    let network = HyperNetwork::create(config, HyperInit::Xavier, 1).unwrap();
    network.write(dir, &Provenance::default()).unwrap();
}

/// One adapter for all directions, in a bank or in a directory of AdapterHub's layout.
fn written_adapters(dir: &Path, layout: Layout) {
    let layer = || BTreeMap::from([("layer".to_string(), Index::Shared)]);
    let config = AdapterSetConfig {
        d_model: 4,
        norm: NormPlace::Before,
        affine: true,
        task: None,
        placement: Placement {
            encoder: vec![layer()],
            decoder: vec![layer()],
            adapters: [SHARED.to_string()].into(),
            ..Placement::default()
        },
    };
    let sites = Side::BOTH.map(|side| (Site { side, layer: 0, position: Position::Layer }, 2));
    let shapes = BTreeMap::from([(SHARED.to_string(), BTreeMap::from(sites))]);
    let provenance = Provenance::default();
    let mut writer =
        AdapterWriter::create(dir, &config, layout, &shapes, "base", &provenance).unwrap();
    while writer.next().is_some() {
        let weights = AdapterWeights {
            down: vec![0.1; 8],
            down_bias: vec![0.2; 2],
            up: vec![0.3; 8],
            up_bias: vec![0.4; 4],
            norm: Some((vec![1.0; 4], vec![0.0; 4])),
        };
        writer.push(&weights).unwrap();
    }
    writer.finish().unwrap();
}

fn read_adapters(dir: &Path) -> isogloss::error::Result<()> {
    let set = AdapterDir::open(dir, 4, 1, 1)?;
    for (name, sites) in set.shapes() {
        for site in sites.keys() {
            set.weights(name, *site)?;
        }
    }
    Ok(())
}

/// All files below a directory, relative to it.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(d) = dirs.pop() {
        for entry in std::fs::read_dir(d).unwrap().map(|e| e.unwrap().path()) {
            match entry.is_dir() {
                true => dirs.push(entry),
                false => files.push(entry.strip_prefix(dir).unwrap().to_path_buf()),
            }
        }
    }
    files.sort();
    files
}

/// Changes some bytes of a file, or cuts it off.
fn damage(path: &Path, changes: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) {
    let mut bytes = std::fs::read(path).unwrap();
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
    std::fs::write(path, bytes).unwrap();
}

type Write = fn(&Path);
type Read = fn(&Path) -> isogloss::error::Result<()>;

/// What is written and how it is read.
const SETS: [(Write, Read); 3] = [
    (written_hypernet, |dir| HyperNetwork::read(dir).map(|_| ())),
    (|dir| written_adapters(dir, Layout::Bank), read_adapters),
    (|dir| written_adapters(dir, Layout::AdapterHub), read_adapters),
];

#[test]
fn undamaged_adapters_and_hyper_networks_read() {
    for (write, read) in SETS {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path());
        read(dir.path()).unwrap();
        assert!(files_below(dir.path()).len() >= 2);
    }
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

    #[test]
    fn damaged_adapters_and_hyper_networks(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        for (write, read) in SETS {
            let whole = tempfile::tempdir().unwrap();
            write(whole.path());
            for file in files_below(whole.path()) {
                let before = std::fs::read(whole.path().join(&file)).unwrap();
                damage(&whole.path().join(&file), &changes, cut);
                if let Err(e) = read(whole.path()) {
                    prop_assert_eq!(e.exit_code() as i32, 4, "{:?}: {}", file, e);
                }
                std::fs::write(whole.path().join(&file), before).unwrap();
            }
        }
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
    fn damaged_sentencepiece_models(bytes in damaged(pieces("bpe_bytes").0)) {
        read_pieces(&bytes, &pieces("bpe_bytes").1);
    }

    #[test]
    fn damaged_sentencepiece_models_with_replacements(bytes in damaged(pieces("unigram").0)) {
        read_pieces(&bytes, &pieces("unigram").1);
    }

    #[test]
    fn damaged_vocabularies(bytes in damaged(pieces("bpe").1)) {
        read_pieces(&pieces("bpe").0, &bytes);
    }

    #[test]
    fn any_bytes_as_sentencepiece_models(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(SentencePieceModel::parse(&bytes).is_err());
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
