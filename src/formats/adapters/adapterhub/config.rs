//! `adapter_config.json` of AdapterHub, read strictly
//! (`adapter-hub/adapters: src/adapters/configuration/adapter_config.py`, class `BnConfig`;
//! style/cli.md, section 9.3).
//!
//! What its keys make of a pre-norm layer, such as mBART's and ours, where the library passes no
//! norm of the layer (`src/adapters/methods/modeling.py`, `pre_forward`, `forward`,
//! `post_forward`). Let `h` be the block's output, `x` what its residual connection adds, and `a`
//! the adapter without its own residual:
//!
//! | `original_ln_before` | `residual_before_ln` | `original_ln_after` | result | ours |
//! |---|---|---|---|---|
//! | true | true | true | `a(x + h) + h + x` | `layer`, when it is `output_adapter` |
//! | true | false | false | `a(x + h) + x + h` | the same |
//! | false | true or false | true | `a(h) + h + x` | `feed-forward`, `attention`, `cross-attention` |
//!
//! All other combinations lose a residual or add one twice. `adapter_residual_before_ln` has a
//! say only with `ln_after`; when true, the norm covers the residual, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::super::{NormPlace, Position};
use crate::error::{Error, Result};
use crate::formats::hf;

/// What is read of a configuration.
#[derive(Debug)]
pub(super) struct HubConfig {
    /// Part of the tensors' names.
    pub name: String,
    pub norm: NormPlace,
    pub positions: BTreeSet<Position>,
    /// Numbers of layers without an adapter; the decoder's follow the encoder's.
    pub leave_out: BTreeSet<usize>,
    pub reduction: Reduction,
    pub hidden_size: Option<u64>,
}

/// `reduction_factor`: the model's width over the bottleneck.
#[derive(Debug, PartialEq)]
pub(super) struct Reduction {
    pub default: Option<f64>,
    /// By number of layer.
    pub layers: BTreeMap<usize, f64>,
}

impl Reduction {
    /// The bottleneck of a layer; none when the configuration does not say.
    pub fn bottleneck(&self, layer: usize, d_model: usize) -> Option<usize> {
        let factor = *self.layers.get(&layer).or(self.default.as_ref())?;
        Some(floor_quotient(d_model, factor).max(1))
    }
}

/// Python's `d_model // factor`: of the exact quotient, not of the rounded one. `16 // 0.8` is 19,
/// for 0.8 is a little more than that.
pub(super) fn floor_quotient(d_model: usize, factor: f64) -> usize {
    let d = d_model as f64;
    ((d - d % factor) / factor).round() as usize
}

/// Settings that make a plain adapter something else: the key, the values that leave it plain (null
/// and what is empty always do), and what it is.
const VARIANTS: &[(&str, &[&str], &str)] = &[
    ("architecture", &["\"bottleneck\""], "another method than bottleneck adapters"),
    ("is_parallel", &["false"], "a parallel adapter"),
    ("scaling", &["1.0", "1"], "an adapter whose output is scaled"),
    ("use_gating", &["false"], "an adapter with a gate"),
    ("phm_layer", &["false"], "an adapter of hypercomplex (PHM) layers"),
    ("inv_adapter", &[], "an invertible adapter"),
    ("invertible_adapter", &[], "an invertible adapter"),
    ("stochastic_depth", &["0.0", "0"], "an adapter with stochastic depth"),
];

/// Keys that are read, or that say nothing about what a plain adapter computes.
const KNOWN: &[&str] = &[
    "mh_adapter",
    "output_adapter",
    "cross_adapter",
    "reduction_factor",
    "non_linearity",
    "original_ln_before",
    "original_ln_after",
    "residual_before_ln",
    "adapter_residual_before_ln",
    "ln_before",
    "ln_after",
    "leave_out",
    "dropout",
    "init_weights",
    "init_weights_seed",
    "inv_adapter_reduction_factor",
    "phm_dim",
    "phm_c_init",
    "phm_init_range",
    "phm_rank",
    "phm_bias",
    "factorized_phm_W",
    "factorized_phm_rule",
    "shared_W_phm",
    "shared_phm_rule",
    "learn_phm",
    "hypercomplex_nonlinearity",
];

fn is_off(v: &Value) -> bool {
    match v {
        Value::Null | Value::Bool(false) => true,
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        Value::String(s) => s.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

impl HubConfig {
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(hf::read_json(path)?).map_err(|e| e.at(path))
    }

    fn parse(document: Value) -> Result<Self> {
        let Value::Object(mut outer) = document else {
            return Err(Error::artifact("the configuration of an adapter is not an object"));
        };
        if let Some(kind) = outer.get("peft_type") {
            return Err(Error::artifact("not the configuration of a bottleneck adapter")
                .key("peft_type")
                .found(kind.to_string())
                .hint("this is a LoRA of PEFT, which uses the same file name"));
        }
        let config = match outer.remove("config") {
            Some(Value::Object(config)) => config,
            other => {
                return Err(Error::artifact("not the configuration of an adapter of AdapterHub")
                    .key("config")
                    .found(other.map_or("(none)".into(), |v| v.to_string()))
                    .expected("an object"));
            }
        };
        let name = match outer.get("name") {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            other => {
                return Err(Error::artifact("the adapter has no name")
                    .key("name")
                    .found(other.map_or("(none)".into(), Value::to_string))
                    .expected("text, as in the names of its tensors"));
            }
        };
        refuse_variants(&config)?;
        Ok(Self {
            name,
            norm: norm(&config)?,
            positions: positions(&config)?,
            leave_out: leave_out(&config)?,
            reduction: reduction(&config)?,
            hidden_size: outer.get("hidden_size").and_then(Value::as_u64),
        })
    }
}

fn refuse_variants(config: &Map<String, Value>) -> Result<()> {
    for (key, plain, what) in VARIANTS {
        let Some(v) = config.get(*key) else { continue };
        if !is_off(v) && !plain.contains(&v.to_string().as_str()) {
            return Err(Error::artifact(format!("{what} is not supported"))
                .key(format!("config.{key}"))
                .found(v.to_string())
                .expected(plain.first().map_or("null", |p| p)));
        }
    }
    match config.get("non_linearity") {
        Some(Value::String(s)) if s.eq_ignore_ascii_case("relu") => {}
        other => {
            return Err(Error::artifact("only adapters with `relu` are supported")
                .key("config.non_linearity")
                .found(other.map_or("(none)".into(), Value::to_string))
                .expected("`relu`"));
        }
    }
    let unknown = config.iter().find(|(key, v)| {
        let known = KNOWN.contains(&key.as_str()) || VARIANTS.iter().any(|v| v.0 == *key);
        !known && !is_off(v)
    });
    match unknown {
        None => Ok(()),
        Some((key, value)) => Err(Error::artifact(format!("unknown setting `{key}`"))
            .key(format!("config.{key}"))
            .found(value.to_string())
            .suggest(key, KNOWN.iter().copied())
            .hint("it may change what the adapter computes; null or false would not")),
    }
}

fn flag(config: &Map<String, Value>, key: &str, default: bool) -> Result<bool> {
    match config.get(key) {
        None => Ok(default),
        Some(Value::Bool(b)) => Ok(*b),
        Some(other) => Err(Error::artifact(format!("`{key}` is not true or false"))
            .key(format!("config.{key}"))
            .found(other.to_string())),
    }
}

fn norm(config: &Map<String, Value>) -> Result<NormPlace> {
    let after = flag(config, "ln_after", false)?;
    if after && flag(config, "adapter_residual_before_ln", false)? {
        return Err(Error::artifact("a norm that covers the adapter's residual is not supported")
            .key("config.adapter_residual_before_ln")
            .found("true")
            .expected("false"));
    }
    match (flag(config, "ln_before", false)?, after) {
        (false, false) => Ok(NormPlace::None),
        (true, false) => Ok(NormPlace::Before),
        (false, true) => Ok(NormPlace::After),
        (true, true) => Err(Error::artifact("an adapter with two norms is not supported")
            .key("config.ln_after")
            .found("`ln_before` and `ln_after`")
            .expected("one of them")),
    }
}

fn positions(config: &Map<String, Value>) -> Result<BTreeSet<Position>> {
    let (output, attention) =
        (flag(config, "output_adapter", false)?, flag(config, "mh_adapter", false)?);
    let cross = flag(config, "cross_adapter", false)?;
    let before = flag(config, "original_ln_before", false)?;
    let after = flag(config, "original_ln_after", true)?;
    // Defaults to true; may be text.
    let residual = config.get("residual_before_ln").unwrap_or(&Value::Bool(true));
    let whole_layer = match (before, residual, after) {
        (false, Value::Bool(_), true) => false,
        (true, Value::Bool(true), true) | (true, Value::Bool(false), false) => true,
        _ => {
            return Err(Error::artifact("residual connections we have no adapters for")
                .key("config.original_ln_before")
                .found(format!(
                    "`original_ln_before` {before}, `residual_before_ln` {residual}, \
                     `original_ln_after` {after}"
                ))
                .expected(
                    "those of `seq_bn` (true, true, true) or `double_seq_bn` (false, true, true)",
                ));
        }
    };
    if whole_layer && (attention || cross) {
        return Err(Error::artifact("an adapter after the residual connection of attention")
            .key("config.original_ln_before")
            .found("true, with `mh_adapter` or `cross_adapter`")
            .expected("false")
            .cause("ours stand on the output of attention, before it"));
    }
    let out = if whole_layer { Position::Layer } else { Position::FeedForward };
    let all = [(attention, Position::Attention), (cross, Position::CrossAttention), (output, out)];
    let chosen: BTreeSet<Position> = all.iter().filter(|p| p.0).map(|p| p.1).collect();
    match chosen.is_empty() {
        false => Ok(chosen),
        true => Err(Error::artifact("the configuration has no adapter anywhere")
            .key("config.output_adapter")
            .expected("`output_adapter`, `mh_adapter` or `cross_adapter`")),
    }
}

fn leave_out(config: &Map<String, Value>) -> Result<BTreeSet<usize>> {
    let wrong = |found: &Value| {
        Error::artifact("`leave_out` is not a list of numbers of layers")
            .key("config.leave_out")
            .found(found.to_string())
    };
    match config.get("leave_out") {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(Value::Array(list)) => list
            .iter()
            .map(|v| v.as_u64().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| wrong(v)))
            .collect(),
        Some(other) => Err(wrong(other)),
    }
}

fn reduction(config: &Map<String, Value>) -> Result<Reduction> {
    let wrong = |key: &str, found: String| {
        Error::artifact("a reduction factor is not a number above 0")
            .key(format!("config.{key}"))
            .found(found)
    };
    let number = |key: &str, v: &Value| {
        let number = v.as_f64().filter(|f| f.is_finite() && *f > 0.0);
        number.ok_or_else(|| wrong(key, v.to_string()))
    };
    let key = "reduction_factor";
    let mut out = Reduction { default: None, layers: BTreeMap::new() };
    match config.get(key) {
        Some(Value::Object(map)) => {
            for (layer, v) in map {
                let factor = number(&format!("{key}.{layer}"), v)?;
                // The library looks layers up by their plain decimal number.
                match layer.parse::<usize>() {
                    Ok(n) if n.to_string() == *layer => drop(out.layers.insert(n, factor)),
                    _ if layer == "default" => out.default = Some(factor),
                    _ => {
                        return Err(Error::artifact(format!("`{layer}` is no number of a layer"))
                            .key(format!("config.{key}"))
                            .expected("numbers from 0, and `default`"));
                    }
                }
            }
        }
        Some(v) => out.default = Some(number(key, v)?),
        None => return Err(wrong(key, "(none)".into())),
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bottlenecks_are_the_floor_of_the_exact_quotient() {
        let of = |d_model: usize, factor: f64| {
            Reduction { default: Some(factor), layers: BTreeMap::new() }.bottleneck(0, d_model)
        };
        // Python 3.11: 16 // 0.8 is 19.0, 6 // 1.5 is 4.0, 512 // 100 is 5, 1 // 0.1 is 9.0.
        assert_eq!(of(16, 0.8), Some(19));
        assert_eq!([of(6, 1.5), of(512, 100.0), of(1, 0.1)], [Some(4), Some(5), Some(9)]);
        // At least one.
        assert_eq!(of(6, 1e300), Some(1));
        let some = Reduction { default: None, layers: BTreeMap::from([(2, 3.0)]) };
        assert_eq!([some.bottleneck(2, 6), some.bottleneck(1, 6)], [Some(2), None]);
    }
}
