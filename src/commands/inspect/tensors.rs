//! safetensors files: whose they are, and what is inside.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Facts, Options, facts, neurons};
use crate::error::Result;
use crate::formats::safetensors::TensorFile;
use crate::model::checkpoint::SHARED_ALIASES;

pub fn inspect(path: &Path, options: Options) -> Result<Facts> {
    let file = TensorFile::open(path)?;
    let mut metadata = file.metadata();
    let names = file.names();
    let kind = metadata.remove("kind").unwrap_or_else(|| guess_kind(&names).to_string());
    let mut rest = Map::new();
    rest.insert("size_bytes".into(), file.size_bytes().into());
    rest.extend(header(&mut metadata));
    let own = match kind.as_str() {
        "neuron_masks" => neurons::masks(&file, &mut metadata, options)?,
        "neuron_stats" => neurons::stats(&file, &mut metadata, options)?,
        "adapter_bank" => super::adapters::bank(&file)?,
        _ => Map::new(),
    };
    if !metadata.is_empty() {
        rest.insert("metadata".into(), json!(metadata));
    }
    rest.extend(contents(&[&file], options)?);
    rest.extend(own);
    Ok(facts(path, &kind, rest))
}

/// What files of other tools hold, by the names of their tensors.
fn guess_kind(names: &[String]) -> &'static str {
    let any = |test: &dyn Fn(&str) -> bool| names.iter().any(|n| test(n));
    if any(&|n| n.contains(".lora_A.") || n.contains(".lora_B.")) {
        "lora"
    } else if any(&|n| n.contains(".adapters.") || n.contains("adapter_down")) {
        "adapter"
    } else if any(&|n| n.ends_with(".fc1.active_count")) {
        "neuron_stats"
    } else if any(&|n| n.ends_with(".fc1.mask")) {
        "neuron_masks"
    } else if any(&|n| SHARED_ALIASES.contains(&n)) {
        "model_weights"
    } else {
        "tensors"
    }
}

/// Tool, schema and provenance of a header of ours; taken out of `metadata`.
pub fn header(metadata: &mut BTreeMap<String, String>) -> Facts {
    let mut out = Map::new();
    metadata.remove("format");
    for key in ["tool", "schema"] {
        if let Some(v) = metadata.remove(key) {
            out.insert(key.into(), v.into());
        }
    }
    if let Some(text) = metadata.remove("provenance") {
        // A header of another tool may use the word for something else.
        let value = serde_json::from_str::<Value>(&text).unwrap_or_else(|_| text.into());
        out.insert("provenance".into(), value);
    }
    out
}

/// Numbers of tensors and values by type, and the tensors themselves or their patterns.
pub fn contents(files: &[&TensorFile], options: Options) -> Result<Facts> {
    let mut values: BTreeMap<String, u64> = BTreeMap::new();
    let mut list = Vec::new();
    for file in files {
        for name in file.names() {
            let view = file.view(&name)?;
            let dtype = format!("{:?}", view.dtype());
            *values.entry(dtype.clone()).or_default() +=
                view.shape().iter().product::<usize>() as u64;
            list.push((name, dtype, view.shape().to_vec()));
        }
    }
    list.sort();
    let mut out = Map::new();
    out.insert("num_tensors".into(), list.len().into());
    out.insert("num_values".into(), json!(values));
    let (key, rows): (&str, Vec<Value>) = if options.tensors {
        let row = |(name, dtype, shape): &(String, String, Vec<usize>)| json!({"name": name, "dtype": dtype, "shape": shape});
        ("tensors", list.iter().map(row).collect())
    } else {
        ("tensor_groups", groups(&list))
    };
    out.insert(key.into(), rows.into());
    Ok(out)
}

/// Tensors that differ only in numbers of layers, in one row: `layers.{0..5}.fc1.weight`.
fn groups(list: &[(String, String, Vec<usize>)]) -> Vec<Value> {
    const SHOWN: usize = 200;
    type Key = (String, String, Vec<usize>);
    /// How many, and the smallest and largest number at each position of the name.
    type Group = (u64, BTreeMap<usize, (u64, u64)>);
    let mut order: Vec<Key> = Vec::new();
    let mut by_key: BTreeMap<Key, Group> = BTreeMap::new();
    for (name, dtype, shape) in list {
        let parts: Vec<&str> = name.split('.').collect();
        let number = |p: &str| p.parse::<u64>().ok().filter(|n| n.to_string() == p);
        let pattern: Vec<&str> =
            parts.iter().map(|p| if number(p).is_some() { "*" } else { p }).collect();
        let key = (pattern.join("."), dtype.clone(), shape.clone());
        let entry = by_key.entry(key.clone()).or_insert_with(|| {
            order.push(key);
            Default::default()
        });
        entry.0 += 1;
        for (i, n) in parts.iter().enumerate().filter_map(|(i, p)| Some((i, number(p)?))) {
            let range = entry.1.entry(i).or_insert((n, n));
            *range = (range.0.min(n), range.1.max(n));
        }
    }
    let mut rows: Vec<Value> = order
        .iter()
        .take(SHOWN)
        .map(|key| {
            let (count, ranges) = &by_key[key];
            let parts: Vec<String> = key
                .0
                .split('.')
                .enumerate()
                .map(|(i, p)| match ranges.get(&i) {
                    Some((a, b)) if a == b => a.to_string(),
                    Some((a, b)) => format!("{{{a}..{b}}}"),
                    None => p.to_string(),
                })
                .collect();
            json!({"name": parts.join("."), "dtype": key.1, "shape": key.2, "count": count})
        })
        .collect();
    if order.len() > SHOWN {
        rows.push(json!({"name": format!("... {} further groups", order.len() - SHOWN)}));
    }
    rows
}
