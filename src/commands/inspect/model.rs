//! Model directories: ours, M2M-100, NLLB-200.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Facts, Options, facts, neurons, object, tensors};
use crate::commands::export::stored_format;
use crate::error::{Error, Result};
use crate::formats::hf;
use crate::model::checkpoint::{SHARED, SHARED_ALIASES, parameter_shapes};
use crate::model::rounding::rounding_cost;
use crate::model::stored::QUANTIZATION;
use crate::model::{Checkpoint, ModelConfig};
use crate::text::TextTokenizer;

pub fn directory(path: &Path, options: Options) -> Result<Facts> {
    let checkpoint = Checkpoint::open_any(path)?;
    let config = &checkpoint.config;
    let mut rest = Map::new();
    rest.insert("architecture".into(), config.model_type.clone().into());
    rest.extend(parameters(config));
    rest.extend(sizes(config));

    let files = checkpoint.files();
    let bytes: u64 = files.files().iter().map(|f| f.size_bytes()).sum();
    rest.insert("size_bytes".into(), bytes.into());
    if files.files().len() > 1 {
        rest.insert("num_shards".into(), files.files().len().into());
    }
    if let Some(file) = files.files().first() {
        rest.extend(tensors::header(&mut file.metadata()));
    }
    let all: Vec<_> = files.files().iter().collect();
    let mut contents = tensors::contents(&all, options)?;
    if !options.tensors {
        contents.remove("tensor_groups");
    }
    rest.extend(contents);
    let tied: Vec<&str> = SHARED_ALIASES.into_iter().filter(|n| files.contains(n)).collect();
    if tied != [SHARED] {
        rest.insert("tied_embedding_stored_as".into(), json!(tied));
    }
    if checkpoint.final_logits_bias()?.is_some() {
        rest.insert("final_logits_bias".into(), true.into());
    }
    rest.extend(rounding(&checkpoint, options)?);
    rest.insert("tokenizer".into(), tokenizer(path, config)?);
    let masks = path.join(crate::commands::masks::CARRIED);
    if masks.is_file() {
        rest.insert("neuron_masks".into(), neurons::carried(&masks, config)?);
    }
    if path.join("state.json").is_file() {
        rest.insert("run_state".into(), super::run::state(&path.join("state.json"))?.into());
    }
    if !options.quick {
        rest.insert("sha256".into(), checkpoint.sha256()?.into());
    }
    Ok(facts(path, "model", rest))
}

/// What the weights lose in the format asked for, or have lost in the one they are stored in.
fn rounding(checkpoint: &Checkpoint, options: Options) -> Result<Facts> {
    let mut out = Map::new();
    if checkpoint.is_int8() {
        if options.dtype.is_some() {
            return Err(Error::artifact("weights are rounded already")
                .at(checkpoint.dir())
                .found("a model stored in int8")
                .hint("measure the model it was exported from"));
        }
        let marker = &checkpoint.config.rest[QUANTIZATION];
        out.insert("weights".into(), "int8, a scale for each row".into());
        if let Some(cost) = marker.get("cost").filter(|c| c.is_object()) {
            out.insert("rounding".into(), cost.clone());
        }
        return Ok(out);
    }
    if let Some(dtype) = options.dtype {
        out.insert("rounding".into(), rounding_cost(checkpoint, stored_format(dtype))?);
    }
    Ok(out)
}

/// Parameters in all and by part.
pub fn parameters(config: &ModelConfig) -> Facts {
    let mut parts: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, shape) in parameter_shapes(config) {
        let n = shape.iter().product::<usize>() as u64;
        let part = match name.split('.').nth(1) {
            Some("encoder") => "encoder",
            Some("decoder") => "decoder",
            _ => "embedding",
        };
        *parts.entry(part).or_default() += n;
    }
    object(json!({"num_parameters": parts.values().sum::<u64>(), "parameters_by_part": parts}))
}

pub fn sizes(c: &ModelConfig) -> Facts {
    object(json!({
        "d_model": c.d_model,
        "encoder_layers": c.encoder_layers,
        "decoder_layers": c.decoder_layers,
        "encoder_ffn_dim": c.encoder_ffn_dim,
        "decoder_ffn_dim": c.decoder_ffn_dim,
        "encoder_attention_heads": c.encoder_attention_heads,
        "decoder_attention_heads": c.decoder_attention_heads,
        "max_position_embeddings": c.max_position_embeddings,
        "vocab_size": c.vocab_size,
        "dropout": short(c.dropout),
    }))
}

/// 0.1 rather than 0.10000000149.
fn short(v: f32) -> f64 {
    v.to_string().parse().unwrap_or(f64::from(v))
}

/// A model without its tokenizer is still a model.
fn tokenizer(dir: &Path, config: &ModelConfig) -> Result<Value> {
    if !TextTokenizer::is_in(dir) {
        let others: Vec<&str> = [hf::SENTENCEPIECE, hf::VOCAB, "spiece.model"]
            .into_iter()
            .filter(|n| dir.join(n).is_file())
            .collect();
        return Ok(json!({"missing": hf::TOKENIZER, "found_instead": others}));
    }
    let t = TextTokenizer::load(dir, config)?;
    let mut out = json!({
        "file": t.path().file_name().unwrap_or_default().to_string_lossy(),
        "model": t.kind(),
        "mark_convention": t.convention().name(),
        "num_entries": t.num_entries(),
        "byte_fallback": t.has_byte_fallback(),
        "num_languages": t.languages().len(),
        "languages": t.languages().codes(),
    });
    let without_piece = t.ids_without_piece();
    if !without_piece.is_empty() {
        let range = |(first, last): &(u32, u32)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        };
        out["num_ids_without_piece"] =
            without_piece.iter().map(|(a, b)| b - a + 1).sum::<u32>().into();
        out["ids_without_piece"] = without_piece.iter().map(range).collect();
    }
    Ok(out)
}
