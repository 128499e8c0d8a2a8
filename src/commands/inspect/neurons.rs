//! Statistics and masks of neurons: what was counted, what is kept, what that saves.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Facts, Options};
use crate::error::Result;
use crate::formats::neuron_masks::{GroupMasks, NeuronMasks};
use crate::formats::neuron_stats::NeuronStats;
use crate::formats::neurons::Side;
use crate::formats::safetensors::TensorFile;
use crate::model::ModelConfig;

/// Takes the keys of ours out of a header's metadata.
fn take(metadata: &mut BTreeMap<String, String>, keys: &[&str]) -> Facts {
    let mut out = Map::new();
    for key in keys {
        if let Some(text) = metadata.remove(*key) {
            // Lists and numbers as what they are, the rest as text.
            let value = serde_json::from_str::<Value>(&text).unwrap_or_else(|_| text.into());
            out.insert((*key).into(), value);
        }
    }
    out
}

pub fn stats(
    file: &TensorFile,
    metadata: &mut BTreeMap<String, String>,
    options: Options,
) -> Result<Facts> {
    metadata.remove("sides");
    let keys = ["lang_pairs", "unit", "marks", "padding", "threshold", "base_model_sha256"];
    let mut out = take(metadata, &keys);
    if options.quick {
        return Ok(out);
    }
    let stats = NeuronStats::read(file.path())?;
    let rows: Vec<Value> = stats
        .lang_pairs
        .iter()
        .enumerate()
        .map(|(i, pair)| {
            let [encoder, decoder] = stats.token_count[i];
            json!({
                "lang_pair": pair, "sentences": stats.sentence_count[i],
                "encoder_tokens": encoder, "decoder_tokens": decoder,
            })
        })
        .collect();
    out.insert("counts".into(), rows.into());
    Ok(out)
}

pub fn masks(
    file: &TensorFile,
    metadata: &mut BTreeMap<String, String>,
    options: Options,
) -> Result<Facts> {
    let mut out = take(metadata, &["group_kind", "rule", "counting", "base_model_sha256"]);
    let members = metadata.remove("members");
    if options.quick {
        return Ok(out);
    }
    let masks = NeuronMasks::read(file.path())?;
    if let Some(members) = members.filter(|_| masks.group_kind != "direction") {
        out.insert("members".into(), serde_json::from_str(&members).unwrap_or(Value::Null));
    }
    let rows: Vec<Value> = masks
        .groups
        .iter()
        .map(|(group, blocks)| {
            let (kept, total) = sum(blocks, |_| true);
            let mut row = Map::new();
            row.insert("group".into(), group.clone().into());
            row.insert("kept".into(), kept.into());
            row.insert("total".into(), total.into());
            row.insert("density_frac".into(), share((kept, total)).into());
            for side in Side::BOTH {
                let own = sum(blocks, |s| s == side);
                if own.1 > 0 {
                    row.insert(format!("{side}_frac"), share(own).into());
                }
            }
            Value::Object(row)
        })
        .collect();
    let mean = mean_density(&masks);
    out.insert("masks".into(), rows.into());
    out.insert("density_frac".into(), round4(mean).into());
    // Of the products of the feed-forward blocks, in training and in translation.
    out.insert("ffn_saved_frac".into(), round4(1.0 - mean).into());
    let bits: usize = masks.groups.values().flat_map(|b| b.values()).map(Vec::len).sum();
    out.insert("bits".into(), bits.into());
    Ok(out)
}

/// The masks a checkpoint carries, and what they save of all products of its layers.
pub fn carried(path: &Path, c: &ModelConfig) -> Result<Value> {
    let masks = NeuronMasks::read(path)?;
    let mean = |side: Side| {
        let sums: Vec<f64> = masks.groups.values().map(|b| share(sum(b, |s| s == side))).collect();
        sums.iter().sum::<f64>() / sums.len().max(1) as f64
    };
    let d = c.d_model as f64;
    let side = |layers: usize, ffn: usize, attentions: f64| {
        let ffn = 2.0 * d * ffn as f64;
        (layers as f64 * (attentions * 4.0 * d * d + ffn), layers as f64 * ffn)
    };
    let (encoder, encoder_ffn) = side(c.encoder_layers, c.encoder_ffn_dim, 1.0);
    let (decoder, decoder_ffn) = side(c.decoder_layers, c.decoder_ffn_dim, 2.0);
    let saved = |ffn: f64, all: f64, side: Side| round4((1.0 - mean(side)) * ffn / all.max(1.0));
    Ok(json!({
        "rule": masks.rule,
        "groups": masks.groups.len(),
        "density_frac": round4(mean_density(&masks)),
        "encoder_layers_saved_frac": saved(encoder_ffn, encoder, Side::Encoder),
        "decoder_layers_saved_frac": saved(decoder_ffn, decoder, Side::Decoder),
    }))
}

/// Kept neurons and all, of some sides.
fn sum(blocks: &GroupMasks, side: impl Fn(Side) -> bool) -> (u64, u64) {
    let flags = || blocks.iter().filter(|(b, _)| side(b.side)).flat_map(|(_, f)| f);
    (flags().filter(|f| **f).count() as u64, flags().count() as u64)
}

fn mean_density(masks: &NeuronMasks) -> f64 {
    let sums = masks.groups.values().map(|b| sum(b, |_| true));
    let (kept, total) = sums.fold((0, 0), |(k, t), (kept, total)| (k + kept, t + total));
    kept as f64 / total.max(1) as f64
}

fn share((kept, total): (u64, u64)) -> f64 {
    round4(kept as f64 / total.max(1) as f64)
}

fn round4(x: f64) -> f64 {
    (x * 1e4).round() / 1e4
}
