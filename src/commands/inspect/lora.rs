//! A set of LoRA: whose adapters it holds, how large they are, and which layer uses whose.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Facts, Options, facts};
use crate::commands::masks::CARRIED;
use crate::error::Result;
use crate::formats::lora::adapter_dir;
use crate::formats::neurons::Side;
use crate::formats::peft;
use crate::formats::placement::{FILE, Index, Layer, Placement};
use crate::formats::safetensors::TensorFile;

pub fn set(path: &Path, _options: Options) -> Result<Facts> {
    Ok(facts(path, "lora_set", contents(path)?))
}

/// A placement by itself.
pub fn placement(path: &Path) -> Result<Facts> {
    let placement = Placement::read(path)?;
    let mut rest = Map::new();
    rest.insert("adapters".into(), json!(placement.adapters));
    rest.insert("languages".into(), json!(placement.languages.keys().collect::<Vec<_>>()));
    rest.extend(placed(&placement));
    Ok(facts(path, "lora_placement", rest))
}

/// What a set's directory holds.
pub fn contents(path: &Path) -> Result<Facts> {
    let placement = Placement::read(&path.join(FILE))?;
    let mut adapters = Map::new();
    let (mut total, mut provenance) = (0u64, None);
    for name in placement.adapters.difference(&placement.empty) {
        let file = TensorFile::open(&adapter_dir(path, name).join(peft::WEIGHTS))?;
        let mut params = 0u64;
        let mut ranks = std::collections::BTreeSet::new();
        for tensor in file.names() {
            let view = file.view(&tensor)?;
            params += view.shape().iter().product::<usize>() as u64;
            if tensor.contains(".lora_A.") {
                ranks.extend(view.shape().first().copied());
            }
        }
        total += params;
        provenance = provenance.or_else(|| file.metadata().remove("provenance"));
        adapters.insert(name.clone(), json!({"num_values": params, "ranks": ranks}));
    }
    let mut rest = Map::new();
    rest.insert("num_adapters".into(), adapters.len().into());
    rest.insert("num_values".into(), total.into());
    rest.extend(placed(&placement));
    if path.join(CARRIED).is_file() {
        rest.insert("neuron_masks".into(), CARRIED.into());
    }
    rest.insert("adapters".into(), adapters.into());
    if let Some(text) = provenance {
        rest.insert("provenance".into(), serde_json::from_str(&text).unwrap_or(Value::Null));
    }
    Ok(rest)
}

/// Whose adapters the layers use.
pub fn placed(placement: &Placement) -> Facts {
    let mut rest = Map::new();
    for (name, set) in [("empty", &placement.empty), ("only", &placement.only)] {
        if !set.is_empty() {
            rest.insert(name.into(), json!(set));
        }
    }
    for side in Side::BOTH {
        let layers: Vec<String> = placement.side(side).iter().map(layer).collect();
        rest.insert(side.as_str().into(), layers.join("; ").into());
    }
    if let Some((start, width)) = placement.slice {
        rest.insert("slice".into(), json!([start, width]));
    }
    if let Some(sha256) = &placement.base_model_sha256 {
        rest.insert("base_model_sha256".into(), sha256.clone().into());
    }
    rest
}

/// The index of a layer's modules: one word when they agree.
fn layer(layer: &Layer) -> String {
    let name = |index: &Index| match index {
        Index::Mixed(m) => format!("{:.4} source + {:.4} target", m.source, m.target),
        index => index.name().to_string(),
    };
    let mut names = layer.values().map(name);
    match names.next() {
        None => "none".into(),
        Some(first) if names.all(|n| n == first) => {
            format!("{first} ({})", layer.keys().cloned().collect::<Vec<_>>().join(", "))
        }
        Some(_) => {
            layer.iter().map(|(m, i)| format!("{m} {}", name(i))).collect::<Vec<_>>().join(", ")
        }
    }
}
