//! `adapter_config.json`: read strictly, written minimally.

use std::collections::BTreeMap;
use std::path::Path;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::patterns::{ending, is_suffix, whole};
use super::{Adapter, Shapes, hf, shape_of};
use crate::error::{Error, Result};

/// What is read of a configuration.
pub struct Config {
    rank: usize,
    alpha: f64,
    target_modules: Value,
    exclude_modules: Value,
    /// In the file's order: the first hit wins.
    rank_pattern: Map<String, Value>,
    alpha_pattern: Map<String, Value>,
    pub lora_dropout: f64,
    pub base_model_name_or_path: Option<String>,
    pub ignored: Vec<String>,
}

/// Variants of LoRA that compute something else: the key, the values that leave it plain (null and
/// what is empty always do), and what it is.
const VARIANTS: &[(&str, &[&str], &str)] = &[
    ("use_rslora", &["false"], "rank-stabilized LoRA"),
    ("use_dora", &["false"], "DoRA"),
    ("use_qalora", &["false"], "QA-LoRA"),
    ("use_bdlora", &["false"], "BD-LoRA"),
    ("lora_bias", &["false"], "a LoRA with bias"),
    ("bias", &["\"none\""], "training of biases"),
    ("fan_in_fan_out", &["false"], "storage of transposed weights"),
    ("modules_to_save", &[], "whole modules beside the LoRA"),
    ("trainable_token_indices", &[], "trained embeddings"),
    ("target_parameters", &[], "LoRA of single parameters"),
    ("layers_to_transform", &[], "a choice of layers by number"),
    ("layers_pattern", &[], "a choice of layers by number"),
    ("layer_replication", &[], "replicated layers"),
    ("alora_invocation_tokens", &[], "activated LoRA"),
    ("arrow_config", &[], "Arrow routing"),
    ("kasa_config", &[], "KaSA"),
    ("velora_config", &[], "VeLoRA"),
    ("monteclora_config", &[], "MonteCLoRA"),
];

/// Initialisations that leave the base model's weights alone; others change them.
const PLAIN_INIT: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// Keys that are read, or that say nothing about what the adapter computes.
const KNOWN: &[&str] = &[
    "peft_type",
    "task_type",
    "r",
    "lora_alpha",
    "target_modules",
    "exclude_modules",
    "rank_pattern",
    "alpha_pattern",
    "lora_dropout",
    "base_model_name_or_path",
    "init_lora_weights",
    "inference_mode",
    "auto_mapping",
    "peft_version",
    "revision",
    "megatron_config",
    "megatron_core",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "qalora_group_size",
    "ensure_weight_tying",
    "runtime_config",
];

fn is_empty(v: &Value) -> bool {
    match v {
        Value::Null => true,
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        Value::String(s) => s.is_empty(),
        _ => false,
    }
}

impl Config {
    pub fn read(path: &Path) -> Result<Self> {
        let value: Value = hf::read_json(path)?;
        Self::parse(value).map_err(|e| e.at(path))
    }

    fn parse(value: Value) -> Result<Self> {
        let Value::Object(mut map) = value else {
            return Err(Error::artifact("the configuration of a LoRA is not an object"));
        };
        let kind = map.get("peft_type").and_then(Value::as_str);
        if kind != Some("LORA") {
            let e = Error::artifact("not the configuration of a LoRA")
                .key("peft_type")
                .found(kind.map_or("(none)".into(), |k| format!("`{k}`")))
                .expected("`LORA`");
            return Err(match map.contains_key("config") && map.contains_key("version") {
                true => e.hint("this is an adapter of AdapterHub, which uses the same file name"),
                false => e,
            });
        }
        for (key, plain, what) in VARIANTS {
            let Some(v) = map.remove(*key) else { continue };
            if !is_empty(&v) && !plain.contains(&v.to_string().as_str()) {
                return Err(Error::artifact(format!("{what} is not supported"))
                    .key(*key)
                    .found(v.to_string())
                    .expected(plain.first().map_or("null", |p| p)));
            }
        }
        if let Some(Value::String(init)) = map.get("init_lora_weights")
            && !PLAIN_INIT.contains(&init.to_lowercase().as_str())
        {
            return Err(Error::artifact(format!("a LoRA that began as `{init}` is not supported"))
                .key("init_lora_weights")
                .expected(format!("true, false, {}", PLAIN_INIT.join(", ")))
                .cause("such methods change the base model's weights, which it then does not fit")
                .hint("save it converted: `path_initial_model_for_weight_conversion` in PEFT"));
        }
        let number = |key: &str, default: Option<f64>| -> Result<f64> {
            match map.get(key) {
                None | Some(Value::Null) => default.ok_or_else(|| {
                    Error::artifact(format!("the configuration has no `{key}`")).key(key)
                }),
                Some(v) => v.as_f64().filter(|v| v.is_finite()).ok_or_else(|| {
                    Error::artifact(format!("`{key}` is not a number"))
                        .key(key)
                        .found(v.to_string())
                }),
            }
        };
        let pattern = |key: &str| -> Result<Map<String, Value>> {
            match map.get(key) {
                None | Some(Value::Null) => Ok(Map::new()),
                Some(Value::Object(o)) => Ok(o.clone()),
                Some(other) => Err(Error::artifact(format!("`{key}` is not an object"))
                    .key(key)
                    .found(other.to_string())),
            }
        };
        let take = |key: &str| map.get(key).cloned().unwrap_or(Value::Null);
        number("r", None)?;
        let rank = rank_of("r", &take("r"))?;
        let ignored = map
            .iter()
            .filter(|(k, v)| {
                !KNOWN.contains(&k.as_str()) && !is_empty(v) && **v != Value::Bool(false)
            })
            .map(|(k, _)| k.clone())
            .collect();
        Ok(Self {
            rank,
            alpha: number("lora_alpha", Some(8.0))?,
            target_modules: take("target_modules"),
            exclude_modules: take("exclude_modules"),
            rank_pattern: pattern("rank_pattern")?,
            alpha_pattern: pattern("alpha_pattern")?,
            lora_dropout: number("lora_dropout", Some(0.0))?,
            base_model_name_or_path: take("base_model_name_or_path").as_str().map(str::to_string),
            ignored,
        })
    }

    /// Rank and alpha of each module the configuration names.
    pub fn targets(&self, shapes: &Shapes) -> Result<BTreeMap<String, (usize, f64)>> {
        let chosen = matches("target_modules", &self.target_modules, shapes)?.ok_or_else(|| {
            Error::artifact("the configuration does not say which modules it is for")
                .key("target_modules")
                .expected("a list of names such as `q_proj`, or a regular expression")
        })?;
        let excluded =
            matches("exclude_modules", &self.exclude_modules, shapes)?.unwrap_or_default();
        let ranks = Pattern::new("rank_pattern", &self.rank_pattern)?;
        let alphas = Pattern::new("alpha_pattern", &self.alpha_pattern)?;
        let mut out = BTreeMap::new();
        for path in chosen.into_iter().filter(|p| !excluded.contains(p)) {
            let (rows, columns) = shapes[&path];
            let (key, rank) = match ranks.first(&path) {
                Some((key, value)) => (key, rank_of(&format!("rank_pattern.{key}"), value)?),
                None => ("r", self.rank),
            };
            if rank > rows.min(columns) {
                return Err(Error::artifact(format!("rank is above that of the matrix `{path}`"))
                    .key(key)
                    .found(rank.to_string())
                    .expected(format!("1 to {}", rows.min(columns))));
            }
            let alpha = match alphas.first(&path) {
                Some((key, value)) => {
                    value.as_f64().filter(|v| v.is_finite()).ok_or_else(|| {
                        Error::artifact("alpha is not a number")
                            .key(format!("alpha_pattern.{key}"))
                            .found(value.to_string())
                    })?
                }
                None => self.alpha,
            };
            out.insert(path, (rank, alpha));
        }
        if out.is_empty() {
            return Err(Error::artifact("the configuration leaves no module")
                .key("target_modules")
                .found(self.target_modules.to_string()));
        }
        ranks.all_hit(out.keys())?;
        alphas.all_hit(out.keys())?;
        Ok(out)
    }
}

fn rank_of(key: &str, value: &Value) -> Result<usize> {
    let whole = value.as_f64().filter(|v| v.fract() == 0.0 && (1.0..1e6).contains(v));
    whole.map(|v| v as usize).ok_or_else(|| {
        Error::artifact("rank is not a whole number above 0").key(key).found(value.to_string())
    })
}

/// The modules named by `target_modules` or `exclude_modules`; none when there is nothing.
fn matches(
    key: &str,
    value: &Value,
    shapes: &Shapes,
) -> Result<Option<std::collections::BTreeSet<String>>> {
    let nothing = |name: &str| {
        let e = Error::artifact(format!("`{name}` matches no linear map of the model")).key(key);
        let ends = shapes.keys().map(|p| p.rsplit_once('.').map_or(p.as_str(), |(_, end)| end));
        match name {
            n if n.contains("embed") || n.contains("lm_head") || n == "shared" => {
                e.hint("LoRA of the embeddings is not supported")
            }
            n => e.suggest(n, ends.collect::<std::collections::BTreeSet<_>>()),
        }
    };
    let found: Vec<String> = match value {
        Value::Null => return Ok(None),
        Value::Array(list) if list.is_empty() => return Ok(None),
        Value::String(s) if s.is_empty() => return Ok(None),
        Value::String(s) if s.eq_ignore_ascii_case("all-linear") => {
            shapes.keys().cloned().collect()
        }
        Value::String(s) => {
            let pattern = whole(key, s)?;
            let found: Vec<String> =
                shapes.keys().filter(|p| pattern.is_match(p)).cloned().collect();
            if found.is_empty() && key == "target_modules" {
                return Err(nothing(s));
            }
            found
        }
        Value::Array(list) => {
            let mut found = Vec::new();
            for name in list {
                let name = name.as_str().ok_or_else(|| {
                    Error::artifact("a module's name is not text").key(key).found(name.to_string())
                })?;
                let before = found.len();
                found.extend(shapes.keys().filter(|p| is_suffix(p, name)).cloned());
                if found.len() == before && key == "target_modules" {
                    return Err(nothing(name));
                }
            }
            found
        }
        other => {
            return Err(Error::artifact(format!("`{key}` is neither list nor text"))
                .key(key)
                .found(other.to_string()));
        }
    };
    Ok(Some(found.into_iter().collect()))
}

/// `rank_pattern` or `alpha_pattern`.
struct Pattern<'a> {
    name: &'static str,
    entries: Vec<(&'a str, Regex, &'a Value)>,
}

impl<'a> Pattern<'a> {
    fn new(name: &'static str, map: &'a Map<String, Value>) -> Result<Self> {
        let entries = map.iter().map(|(key, value)| Ok((key.as_str(), ending(name, key)?, value)));
        Ok(Self { name, entries: entries.collect::<Result<_>>()? })
    }
    fn first(&self, path: &str) -> Option<(&'a str, &'a Value)> {
        self.entries.iter().find(|(_, r, _)| r.is_match(path)).map(|(key, _, v)| (*key, *v))
    }
    /// PEFT ignores a key that hits nothing without a word (huggingface/peft#3582).
    fn all_hit<'p>(&self, paths: impl Iterator<Item = &'p String> + Clone) -> Result<()> {
        for (key, pattern, _) in &self.entries {
            if !paths.clone().any(|p| pattern.is_match(p)) {
                return Err(Error::artifact(format!("`{key}` matches no module of the LoRA"))
                    .key(format!("{}.{key}", self.name))
                    .suggest(key, paths.clone().map(String::as_str)));
            }
        }
        Ok(())
    }
}

/// The configuration of an adapter about to be written: keys that every version reads.
pub fn to_json(adapter: &Adapter, shapes: &Shapes) -> Result<Value> {
    let mut pairs: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    for (path, m) in &adapter.modules {
        let (out, inp) = shape_of(shapes, path)?;
        if m.rank == 0 || m.lora_a.len() != m.rank * inp || m.lora_b.len() != m.rank * out {
            return Err(Error::bug(format!("factors of `{path}` do not fit")));
        }
        *pairs.entry((m.rank, m.alpha.to_bits())).or_default() += 1;
    }
    // The commonest is the default; of several the one of the largest rank.
    let commonest = pairs.iter().max_by_key(|(pair, n)| (**n, pair.0));
    let (rank, alpha) = commonest.map_or((1, 1.0), |(p, _)| (p.0, f64::from_bits(p.1)));
    let (mut ranks, mut alphas) = (Map::new(), Map::new());
    for (path, m) in &adapter.modules {
        // Paths as they are: older versions know no other spelling (huggingface/peft#2419).
        if m.rank != rank {
            ranks.insert(path.clone(), m.rank.into());
        }
        if m.alpha != alpha {
            alphas.insert(path.clone(), plain(m.alpha));
        }
    }
    Ok(json!({
        "peft_type": "LORA",
        "task_type": "SEQ_2_SEQ_LM",
        "base_model_name_or_path": adapter.base_model,
        "r": rank,
        "lora_alpha": plain(alpha),
        "target_modules": targets(adapter, shapes),
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "lora_dropout": adapter.dropout,
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": true,
        "inference_mode": true,
        "modules_to_save": null,
    }))
}

/// A whole number is written as one.
fn plain(v: f64) -> Value {
    if v.fract() == 0.0 && v.abs() < 1e15 { json!(v as i64) } else { json!(v) }
}

/// Names within the layer when all layers have them, else full paths.
fn targets(adapter: &Adapter, shapes: &Shapes) -> Vec<String> {
    // `model.encoder.layers.3.self_attn.q_proj` -> `self_attn.q_proj`
    let inner = |path: &str| path.splitn(5, '.').nth(4).unwrap_or(path).to_string();
    let names: std::collections::BTreeSet<String> =
        adapter.modules.keys().map(|p| inner(p)).collect();
    let all = shapes.keys().filter(|p| names.iter().any(|n| is_suffix(p, n)));
    if all.clone().count() == adapter.modules.len()
        && all.clone().all(|p| adapter.modules.contains_key(p))
    {
        names.into_iter().collect()
    } else {
        adapter.modules.keys().cloned().collect()
    }
}
