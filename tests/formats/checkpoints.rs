//! Model directories that cannot be what they say: each fault names its file, tensor or key.

use std::collections::BTreeMap;
use std::path::Path;

use isogloss::formats::hf::read_json;
use isogloss::formats::safetensors::{Data, Entry, TensorFile, write};
use isogloss::kernels::embedding::sinusoidal_positions;
use isogloss::model::checkpoint::{SHARED, SHARED_ALIASES};
use isogloss::model::{Checkpoint, ModelConfig};

use super::{FIXTURE, fixture};

/// The weights of the fixture and these tensors.
fn write_with<'a>(path: &Path, more: impl IntoIterator<Item = (&'a str, Entry<'a>)>) {
    let plain = TensorFile::open(&Path::new(FIXTURE).join("model.safetensors")).unwrap();
    let names = plain.names();
    let views: Vec<_> = names.iter().map(|n| (n, plain.view(n).unwrap())).collect();
    let mut entries: BTreeMap<String, Entry<'_>> = views
        .iter()
        .map(|(n, v)| {
            let data = Data::Raw(v.dtype(), v.data());
            (n.to_string(), Entry { shape: v.shape().to_vec(), data })
        })
        .collect();
    entries.extend(more.into_iter().map(|(name, entry)| (name.to_string(), entry)));
    write(path, &entries, &BTreeMap::new(), true).unwrap();
}

/// What a shard holds beyond its index would be left out.
#[test]
fn shards_hold_what_their_index_says() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), fixture("config.json")).unwrap();
    let shard = "model-00001-of-00001.safetensors";
    let plain = TensorFile::open(&Path::new(FIXTURE).join("model.safetensors")).unwrap();
    let map: BTreeMap<String, &str> = plain.names().into_iter().map(|n| (n, shard)).collect();
    let index = serde_json::json!({"weight_map": map});
    std::fs::write(dir.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    std::fs::write(dir.path().join(shard), fixture("model.safetensors")).unwrap();
    Checkpoint::open(dir.path()).unwrap();
    let stray = Entry { shape: vec![1], data: Data::F32(&[1.0]) };
    write_with(&dir.path().join(shard), [("model.encoder.layers.9.fc1.bias", stray)]);
    let e = Checkpoint::open(dir.path()).err().unwrap().to_string();
    assert!(e.contains("layers.9.fc1.bias") && e.contains("its index does not name"), "{e}");
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

/// Positions are computed; a file that has others would be another model.
#[test]
fn stored_positions_must_be_those_that_are_computed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("config.json"), fixture("config.json")).unwrap();
    let config: ModelConfig = read_json(&Path::new(FIXTURE).join("config.json")).unwrap();
    let d = config.d_model;
    let table = sinusoidal_positions(40, d, config.pad_token_id as usize);
    let opened = |name: &str, table: &[f32], shape: Vec<usize>| {
        let entry = Entry { shape, data: Data::F32(table) };
        write_with(&dir.path().join("model.safetensors"), [(name, entry)]);
        Checkpoint::open(dir.path()).map(|_| ()).map_err(|e| e.to_string())
    };
    for side in ["encoder", "decoder"] {
        let name = format!("model.{side}.embed_positions.weights");
        opened(&name, &table, vec![40, d]).unwrap();
        let rounded: Vec<f32> = table.iter().map(|v| half::bf16::from_f32(*v).to_f32()).collect();
        opened(&name, &rounded, vec![40, d]).unwrap();
        // One row further, as if positions were counted from elsewhere: cosines begin with one.
        let e = opened(&name, &table[d..], vec![39, d]).unwrap_err();
        assert!(
            e.contains("not the sinusoidal ones")
                && e.contains(&name)
                && e.contains(&format!("row 0, column {}", d / 2)),
            "{e}"
        );
        let mut one = table.clone();
        one[7 * d + 3] = f32::NAN;
        assert!(opened(&name, &one, vec![40, d]).unwrap_err().contains("NaN in row 7, column 3"));
        assert!(opened(&name, &table, vec![20, 2 * d]).unwrap_err().contains("shape"));
    }
}

/// What cannot be read of a configuration is named; a null is as good as no key.
#[test]
fn keys_of_a_configuration_are_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("model.safetensors"), fixture("model.safetensors")).unwrap();
    let whole: serde_json::Value = serde_json::from_slice(&fixture("config.json")).unwrap();
    let opened = |key: &str, value: serde_json::Value| {
        let mut config = whole.clone();
        config[key] = value;
        std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        Checkpoint::open(dir.path())
            .map(|c| c.config.tie_word_embeddings)
            .map_err(|e| e.to_string())
    };
    for (key, value) in [
        ("eos_token_id", serde_json::json!([2])),
        ("d_model", serde_json::json!(-1)),
        ("scale_embedding", serde_json::json!("yes")),
    ] {
        let e = opened(key, value.clone()).unwrap_err();
        assert!(e.contains(&format!("`{key}`")) && e.contains(&value.to_string()), "{e}");
    }
    opened("encoder_layerdrop", serde_json::Value::Null).unwrap();
    opened("scale_embedding", serde_json::Value::Null).unwrap();
    let mut wide: ModelConfig = serde_json::from_value(whole.clone()).unwrap();
    wide.d_model = 1024;
    wide.max_position_embeddings = 1 << 18;
    assert!(wide.fault().is_none());
    wide.max_position_embeddings += 1;
    assert_eq!(wide.fault().unwrap().0, "max_position_embeddings");
    // Not tied by what it says: all copies must show that it is all the same.
    let plain = TensorFile::open(&Path::new(FIXTURE).join("model.safetensors")).unwrap();
    let shared = plain.view("model.shared.weight").unwrap();
    let untied = |copies: &[&'static str], data: &[u8]| {
        let copy = |name: &&'static str| {
            let data = Data::Raw(shared.dtype(), data);
            (*name, Entry { shape: shared.shape().to_vec(), data })
        };
        write_with(&dir.path().join("model.safetensors"), copies.iter().map(copy));
        opened("tie_word_embeddings", false.into())
    };
    let copies = SHARED_ALIASES.into_iter().filter(|n| *n != SHARED).collect::<Vec<_>>();
    assert_eq!(copies.len(), 3);
    for absent in 0..copies.len() {
        let mut there = copies.clone();
        let missing = format!("tensor `{}`", there.remove(absent));
        let e = untied(&there, shared.data()).unwrap_err();
        assert!(e.contains("tie_word_embeddings") && e.contains("3 of 4 copies"), "{e}");
        assert!(e.contains(&missing), "{missing}: {e}");
    }
    assert!(untied(&[], shared.data()).unwrap_err().contains("1 of 4 copies"));
    assert!(untied(&copies, shared.data()).unwrap(), "its copies are equal: it is tied");
    let e = untied(&copies, &vec![0; shared.data().len()]).unwrap_err();
    assert!(e.contains("tied embeddings differ"), "{e}");
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
