//! Whole-file JSON (tokenizers, configurations, sacrebleu's scores), adapter directories, and
//! SentencePiece models.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Facts, Options, facts, object, tensors};
use crate::error::{Error, Result, contained};
use crate::formats::hf;
use crate::model::ModelConfig;
use crate::text::language_of_mark;

pub fn inspect(path: &Path, value: Value, _options: Options) -> Result<Facts> {
    let has = |key: &str| value.get(key).is_some();
    if has("model") && has("added_tokens") {
        return Ok(facts(path, "tokenizer", tokenizer(&value)));
    }
    if has("weight_map") {
        let map = value["weight_map"].as_object();
        let mut shards: Vec<&str> =
            map.into_iter().flatten().filter_map(|(_, v)| v.as_str()).collect();
        shards.sort_unstable();
        shards.dedup();
        let rest = object(json!({
            "num_tensors": map.map_or(0, Map::len),
            "size_bytes": value.pointer("/metadata/total_size"),
            "shards": shards,
        }));
        return Ok(facts(path, "weights_index", without_nulls(rest)));
    }
    if ["isogloss-placement", "isogloss-lora-placement"].iter().any(|f| value["format"] == *f) {
        return super::lora::placement(path);
    }
    if value["format"] == "isogloss-hypernet" {
        return super::hypernet::document(path);
    }
    if crate::formats::adapters::is_set(&value) {
        return super::adapters::placement(path);
    }
    if has("peft_type") {
        return Ok(facts(path, "lora_config", peft(&value)));
    }
    if has("config") && has("version") {
        return Ok(facts(path, "adapter_config", adapter_hub(&value)));
    }
    if has("model_type") && has("d_model") {
        let config: ModelConfig = serde_json::from_value(value).map_err(|e| {
            Error::artifact("model configuration cannot be read").at(path).cause(e.to_string())
        })?;
        let mut rest = Map::new();
        rest.insert("architecture".into(), config.model_type.clone().into());
        if let Some((field, complaint)) = config.fault() {
            rest.insert("fault".into(), format!("`{field}`: {complaint}").into());
        } else if config.model_type == "m2m_100" {
            rest.extend(super::model::parameters(&config));
        }
        rest.extend(super::model::sizes(&config));
        return Ok(facts(path, "model_config", rest));
    }
    if has("sampler") && has("step") && has("settings") {
        return Ok(facts(path, "run_state", super::run::state(path)?));
    }
    if let Some(scores) = sacrebleu_scores(&value) {
        return Ok(facts(path, "sacrebleu_scores", object(json!({"scores": scores}))));
    }
    let (what, keys) = match &value {
        Value::Object(map) => ("json_object", map.keys().take(40).cloned().collect()),
        Value::Array(list) => ("json_list", vec![format!("{} elements", list.len())]),
        _ => ("json_value", Vec::<String>::new()),
    };
    let rest = object(json!({"keys": keys}));
    Ok(facts(path, what, rest))
}

fn without_nulls(facts: Facts) -> Facts {
    facts.into_iter().filter(|(_, v)| !v.is_null()).collect()
}

fn tokenizer(value: &Value) -> Facts {
    let model = &value["model"];
    let mut entries: Vec<u64> = Vec::new();
    match &model["vocab"] {
        Value::Object(map) => entries.extend(map.values().filter_map(Value::as_u64)),
        Value::Array(list) => entries.extend(0..list.len() as u64),
        _ => {}
    }
    let num_pieces = entries.len();
    let mut languages = Vec::new();
    let mut special = Vec::new();
    let mut num_added = 0;
    for token in value["added_tokens"].as_array().into_iter().flatten() {
        let Some(content) = token["content"].as_str() else { continue };
        num_added += 1;
        entries.extend(token["id"].as_u64());
        match language_of_mark(content) {
            Some(code) => languages.push(code),
            None => special.push(content),
        }
    }
    entries.sort_unstable();
    entries.dedup();
    languages.sort_unstable();
    special.truncate(20);
    let kind_of = |key: &str| value[key]["type"].as_str().map(str::to_string);
    let inner = |key: &str, list: &str| -> Option<Vec<String>> {
        let parts = value[key][list].as_array()?;
        Some(parts.iter().filter_map(|p| p["type"].as_str().map(str::to_string)).collect())
    };
    let chain =
        |key: &str, list: &str| inner(key, list).map(Value::from).or(kind_of(key).map(Value::from));
    without_nulls(object(json!({
        "model": model["type"].as_str().unwrap_or("?"),
        "num_entries": entries.len(),
        "largest_id": entries.last(),
        "num_pieces": num_pieces,
        "num_merges": model["merges"].as_array().map(Vec::len),
        "num_added_tokens": num_added,
        "unk": model["unk_token"].as_str().map(Value::from).or(model["unk_id"].as_u64().map(Value::from)),
        "byte_fallback": model["byte_fallback"].as_bool().unwrap_or(false),
        "normalizer": chain("normalizer", "normalizers"),
        "pre_tokenizer": chain("pre_tokenizer", "pretokenizers"),
        "post_processor": chain("post_processor", "processors"),
        "decoder": chain("decoder", "decoders"),
        "special_tokens": special,
        "num_languages": languages.len(),
        "languages": languages,
    })))
}

fn peft(value: &Value) -> Facts {
    let mut rest = Map::new();
    for key in [
        "peft_type",
        "task_type",
        "base_model_name_or_path",
        "r",
        "lora_alpha",
        "lora_dropout",
        "target_modules",
        "rank_pattern",
        "alpha_pattern",
        "use_rslora",
        "use_dora",
        "bias",
    ] {
        if let Some(v) = value.get(key) {
            rest.insert(key.into(), v.clone());
        }
    }
    without_nulls(rest)
}

fn adapter_hub(value: &Value) -> Facts {
    let mut rest = Map::new();
    for key in ["name", "model_type", "model_class", "model_name", "hidden_size", "version"] {
        if let Some(v) = value.get(key) {
            rest.insert(key.into(), v.clone());
        }
    }
    if let Some(Value::Object(config)) = value.get("config") {
        for key in ["architecture", "reduction_factor", "non_linearity", "leave_out", "r", "alpha"]
        {
            if let Some(v) = config.get(key) {
                rest.insert(key.into(), v.clone());
            }
        }
    }
    without_nulls(rest)
}

/// A PEFT or AdapterHub directory: its configuration and its weights.
pub fn adapter_directory(path: &Path, options: Options) -> Result<Facts> {
    let config = path.join("adapter_config.json");
    let value: Value = hf::read_json(&config)?;
    let is_peft = value.get("peft_type").is_some();
    let mut rest = if is_peft { peft(&value) } else { adapter_hub(&value) };
    let names = if is_peft { ["adapter_model.safetensors"] } else { ["adapter.safetensors"] };
    let Some(weights) = names.iter().map(|n| path.join(n)).find(|p| p.is_file()) else {
        let mut e = Error::artifact("adapter has no weights").at(path).expected(names[0]);
        if ["adapter_model.bin", "pytorch_adapter.bin"].iter().any(|n| path.join(n).exists()) {
            e = e.hint("its pickle can run code when loaded; save it with safetensors");
        }
        return Err(e);
    };
    let mut inner = tensors::inspect(&weights, options)?;
    for key in ["type", "path", "kind"] {
        inner.shift_remove(key);
    }
    rest.extend(inner);
    let kind = if is_peft { "lora_directory" } else { "adapter_directory" };
    Ok(facts(path, kind, rest))
}

/// sacrebleu's JSON output: one score or a list (style/cli.md, section 9.4).
fn sacrebleu_scores(value: &Value) -> Option<Vec<Value>> {
    let list = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(_) => vec![value],
        _ => return None,
    };
    if list.is_empty() {
        return None;
    }
    list.into_iter()
        .map(|s| {
            let (name, score) = (s.get("name")?, s.get("score")?);
            Some(json!({"metric": name, "value": score, "signature": s.get("signature")}))
        })
        .collect()
}

/// A SentencePiece model, if the file is one.
pub fn sentencepiece(path: &Path) -> Result<Option<Facts>> {
    const MAX_BYTES: u64 = 64 << 20;
    let size = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
    if size > MAX_BYTES {
        return Ok(None);
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    // The parser is made for files of SentencePiece; other bytes may make it panic.
    let parsed = contained(|| {
        sentencepiece_rust::SentencePieceProcessor::from_bytes(&bytes).ok().map(|p| {
            let first: Vec<String> =
                (0..8).filter_map(|i| p.id_to_piece(i).map(str::to_string)).collect();
            (p.piece_size(), format!("{:?}", p.model_type()).to_lowercase(), first)
        })
    });
    let Some(Some((num_pieces, model, first))) = parsed else { return Ok(None) };
    if num_pieces == 0 {
        return Ok(None);
    }
    Ok(Some(facts(
        path,
        "sentencepiece_model",
        object(json!({
            "size_bytes": size,
            "model": model,
            "num_pieces": num_pieces,
            "first_pieces": first,
        })),
    )))
}
