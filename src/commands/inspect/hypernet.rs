//! A hyper-network: how it is built, and whose vectors it has.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Facts, facts, tensors};
use crate::error::Result;
use crate::formats::hypernet::{self, HyperConfig};
use crate::formats::safetensors::TensorFile;
use crate::methods::hyper::{num_params, shapes};

pub fn directory(path: &Path) -> Result<Facts> {
    Ok(facts(path, "hypernet", contents(path)?))
}

/// A `hypernet.json` by itself.
pub fn document(path: &Path) -> Result<Facts> {
    let config = hypernet::read_config(path.parent().unwrap_or(Path::new("")))?;
    Ok(facts(path, "hypernet_config", structure(&config)))
}

/// What its directory holds.
pub fn contents(path: &Path) -> Result<Facts> {
    let config = hypernet::read_config(path)?;
    let file: TensorFile = hypernet::open_weights(path, &shapes(&config))?;
    let mut rest = structure(&config);
    rest.extend(tensors::header(&mut file.metadata()));
    Ok(rest)
}

fn structure(c: &HyperConfig) -> Facts {
    let mut rest = Map::new();
    rest.insert("method".into(), c.kind.name().into());
    rest.insert("num_values".into(), num_params(c).into());
    let mut settings = serde_json::to_value(c).unwrap_or_default();
    if let Some(map) = settings.as_object_mut() {
        let keys =
            ["d_model", "encoder_layers", "decoder_layers", "bottleneck", "positions", "norm"];
        let more = ["affine", "encoder_inputs", "decoder_inputs", "embedding_dim", "hidden"];
        let last = ["projection", "blocks", "rescale", "tie_languages", "base_model_sha256"];
        for key in keys.iter().chain(&more).chain(&last) {
            if let Some(value) = map.remove(*key) {
                rest.insert((*key).into(), value);
            }
        }
    }
    // Updates of each vector by table: 0 means that it is as it was drawn.
    let mut tables: Map<String, Value> = Map::new();
    for (key, row) in &c.rows {
        let Some((table, name)) = key.split_once('.') else { continue };
        let entry = tables.entry(table.to_string()).or_insert_with(|| json!({}));
        let said = match &row.from {
            Some(mixture) => json!(format!("mixed from {mixture}")),
            None => json!(row.updates),
        };
        if let Some(map) = entry.as_object_mut() {
            map.insert(name.to_string(), said);
        }
    }
    rest.insert("updates".into(), tables.into());
    rest
}
