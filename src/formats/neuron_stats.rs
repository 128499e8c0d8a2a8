//! `stats.safetensors`: how often each feed-forward neuron was active, by direction.
//!
//! For each block `…fc1.active_count` U32 (U64 where a count needs it) `[num_pairs, ffn_dim]`,
//! `token_count` and `sentence_count` `[num_pairs, num_sides]`, and with sums
//! `…fc1.sum_activation` F32. Pairs, sides and what was counted stand in the metadata.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ::safetensors::tensor::Dtype;
use serde_json::Value;

use super::neurons::{Block, Side, check_layers, split_pair};
use super::provenance::Provenance;
use super::safetensors::{self, Data, Entry, TensorFile};
use crate::error::{Error, Result};

/// How positions were counted; statistics add up only where these agree.
#[derive(Clone, Debug, PartialEq)]
pub struct Counting {
    /// `token` or `sentence`.
    pub unit: String,
    /// Positions of language marks count.
    pub marks: bool,
    /// Padding positions count.
    pub padding: bool,
    /// A value above it is active.
    pub threshold: f32,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |yes: bool| if yes { "with" } else { "without" };
        write!(
            f,
            "by {}, {} marks, {} padding, above {}",
            self.unit,
            with(self.marks),
            with(self.padding),
            self.threshold
        )
    }
}

impl Default for Counting {
    /// Token positions, marks included, padding not: the specification's default.
    fn default() -> Self {
        Self { unit: "token".into(), marks: true, padding: false, threshold: 0.0 }
    }
}

/// The counts of one block.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockStats {
    pub ffn_dim: usize,
    /// `[num_pairs, ffn_dim]`
    pub active: Vec<u64>,
    /// `[num_pairs, ffn_dim]`, or empty.
    pub sums: Vec<f64>,
}

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NeuronStats {
    /// `src-tgt`, sorted.
    pub lang_pairs: Vec<String>,
    pub blocks: BTreeMap<Block, BlockStats>,
    /// `[num_pairs]` of encoder and decoder.
    pub token_count: Vec<[u64; 2]>,
    pub sentence_count: Vec<u64>,
    /// None in files of other programs.
    pub counting: Option<Counting>,
    /// Fingerprint of the model, where one is named.
    pub base_model_sha256: Option<String>,
}

const ACTIVE: &str = "active_count";
const SUMS: &str = "sum_activation";
const TOKENS: &str = "token_count";
const SENTENCES: &str = "sentence_count";

impl NeuronStats {
    pub fn counts(&self, block: Block, pair: usize) -> Option<&[u64]> {
        let b = self.blocks.get(&block)?;
        b.active.get(pair * b.ffn_dim..(pair + 1) * b.ffn_dim)
    }
    pub fn sums(&self, block: Block, pair: usize) -> Option<&[f64]> {
        let b = self.blocks.get(&block)?;
        b.sums.get(pair * b.ffn_dim..(pair + 1) * b.ffn_dim)
    }

    /// The bytes of the file, written to any writer.
    pub fn write(&self, provenance: &Provenance, path: &Path, force: bool) -> Result<()> {
        let n = self.lang_pairs.len();
        let narrow =
            |v: &[u64]| -> Option<Vec<u32>> { v.iter().map(|&c| u32::try_from(c).ok()).collect() };
        let mut wide: Vec<(String, Vec<usize>, Vec<u64>)> = Vec::new();
        let mut floats: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
        for (block, b) in &self.blocks {
            wide.push((format!("{block}.{ACTIVE}"), vec![n, b.ffn_dim], b.active.clone()));
            if !b.sums.is_empty() {
                let sums = b.sums.iter().map(|v| *v as f32).collect();
                floats.push((format!("{block}.{SUMS}"), vec![n, b.ffn_dim], sums));
            }
        }
        wide.push((TOKENS.into(), vec![n, 2], self.token_count.concat()));
        wide.push((SENTENCES.into(), vec![n], self.sentence_count.clone()));
        let narrowed: Vec<Option<Vec<u32>>> = wide.iter().map(|(.., v)| narrow(v)).collect();
        let mut tensors = BTreeMap::new();
        for ((name, shape, counts), small) in wide.iter().zip(&narrowed) {
            let data = match small {
                Some(small) => Data::U32(small),
                None => Data::U64(counts),
            };
            tensors.insert(name.clone(), Entry { shape: shape.clone(), data });
        }
        for (name, shape, values) in &floats {
            let entry = Entry { shape: shape.clone(), data: Data::F32(values) };
            tensors.insert(name.clone(), entry);
        }
        let mut metadata = provenance.metadata("neuron_stats");
        metadata.insert("lang_pairs".into(), Value::from(self.lang_pairs.clone()).to_string());
        metadata.insert("sides".into(), r#"["encoder","decoder"]"#.into());
        if let Some(c) = &self.counting {
            metadata.insert("unit".into(), c.unit.clone());
            metadata.insert("marks".into(), c.marks.to_string());
            metadata.insert("padding".into(), c.padding.to_string());
            metadata.insert("threshold".into(), c.threshold.to_string());
        }
        if let Some(sha256) = &self.base_model_sha256 {
            metadata.insert("base_model_sha256".into(), sha256.clone());
        }
        safetensors::write(path, &tensors, &metadata, force)
    }

    /// # Errors
    /// Artifact: not statistics, or broken ones; names the tensor or key.
    pub fn read(path: &Path) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let metadata = file.metadata();
        if let Some(kind) = metadata.get("kind").filter(|k| *k != "neuron_stats") {
            return Err(Error::artifact("not neuron statistics")
                .at(path)
                .found(format!("a file of kind `{kind}`"))
                .expected("stats.safetensors from `isogloss profile-neurons`"));
        }
        let text = metadata.get("lang_pairs").ok_or_else(|| {
            Error::artifact("neuron statistics name no directions")
                .at(path)
                .key("lang_pairs")
                .hint("the metadata holds a JSON list such as [\"en-de\", \"de-en\"]")
        })?;
        let lang_pairs: Vec<String> = serde_json::from_str(text).map_err(|e| {
            Error::artifact("list of directions cannot be read")
                .at(path)
                .key("lang_pairs")
                .cause(e.to_string())
        })?;
        let broken = |what: String| Error::artifact(what).at(path).key("lang_pairs");
        if lang_pairs.is_empty() {
            return Err(broken("neuron statistics without directions".into()));
        }
        let mut seen = std::collections::BTreeSet::new();
        for pair in &lang_pairs {
            if split_pair(pair).is_none() {
                return Err(broken(format!("`{pair}` is not a direction")).expected("`src-tgt`"));
            }
            if !seen.insert(pair) {
                return Err(broken(format!("direction `{pair}` is there twice")));
            }
        }
        let n = lang_pairs.len();
        let mut blocks: BTreeMap<Block, BlockStats> = BTreeMap::new();
        for name in file.names() {
            if [TOKENS, SENTENCES].contains(&name.as_str()) {
                continue;
            }
            let (module, what) = name.rsplit_once('.').unwrap_or((&name, ""));
            let block = Block::parse(module.strip_prefix("model.").unwrap_or(module))
                .filter(|_| [ACTIVE, SUMS].contains(&what))
                .ok_or_else(|| {
                    Error::artifact("tensor is no count of a feed-forward block")
                        .at(path)
                        .tensor(&name)
                        .expected(format!("names such as `encoder.layers.0.fc1.{ACTIVE}`"))
                })?;
            if what == SUMS {
                if !file.contains(&format!("{module}.{ACTIVE}")) {
                    return Err(Error::artifact("sums without counts").at(path).tensor(&name));
                }
                continue;
            }
            let shape = file.view(&name)?.shape().to_vec();
            let ffn_dim = match shape[..] {
                [rows, ffn_dim] if rows == n && ffn_dim > 0 => ffn_dim,
                _ => {
                    return Err(Error::artifact("tensor has the wrong shape")
                        .at(path)
                        .tensor(&name)
                        .found(format!("{shape:?}"))
                        .expected(format!("[{n}, ffn_dim]")));
                }
            };
            let active = counts(&file, &name)?;
            let sums_name = format!("{module}.{SUMS}");
            let sums: Vec<f64> = if file.contains(&sums_name) {
                let values = file.f32_values(&sums_name, Some(&[n, ffn_dim]))?;
                values.into_iter().map(f64::from).collect()
            } else {
                Vec::new()
            };
            if sums.iter().any(|s| !s.is_finite()) {
                return Err(Error::artifact("sum is not a finite number")
                    .at(path)
                    .tensor(sums_name));
            }
            if blocks.insert(block, BlockStats { ffn_dim, active, sums }).is_some() {
                return Err(Error::artifact("counts of this block are there twice")
                    .at(path)
                    .tensor(&name));
            }
        }
        if blocks.is_empty() {
            return Err(Error::artifact("not neuron statistics")
                .at(path)
                .expected(format!("tensors such as `encoder.layers.0.fc1.{ACTIVE}`")));
        }
        check_layers(blocks.keys().copied()).map_err(|e| e.at(path))?;
        for side in Side::BOTH {
            if !blocks.keys().any(|b| b.side == side) {
                return Err(Error::artifact(format!("statistics have no {side} layers")).at(path));
            }
        }
        let optional = |name: &str, shape: &[usize]| -> Result<Vec<u64>> {
            if !file.contains(name) {
                return Ok(vec![0; shape.iter().product()]);
            }
            file.check_shape(name, file.view(name)?.shape(), shape)?;
            counts(&file, name)
        };
        let token_count =
            optional(TOKENS, &[n, 2])?.chunks_exact(2).map(|c| [c[0], c[1]]).collect();
        let sentence_count = optional(SENTENCES, &[n])?;
        let counting = match metadata.get("unit") {
            None => None,
            Some(unit) if !["token", "sentence"].contains(&unit.as_str()) => {
                return Err(Error::artifact("broken statistics")
                    .at(path)
                    .key("unit")
                    .found(unit.clone())
                    .expected("token or sentence"));
            }
            Some(unit) => {
                let flag = |key: &str, default: bool| match metadata.get(key).map(String::as_str) {
                    None => Ok(default),
                    Some("true") => Ok(true),
                    Some("false") => Ok(false),
                    Some(other) => Err(Error::artifact("broken statistics")
                        .at(path)
                        .key(key)
                        .found(other.to_string())
                        .expected("true or false")),
                };
                let threshold = metadata.get("threshold").map_or(Ok(0.0), |t| {
                    t.parse::<f32>().ok().filter(|t| t.is_finite()).ok_or_else(|| {
                        Error::artifact("broken statistics")
                            .at(path)
                            .key("threshold")
                            .found(t.clone())
                            .expected("a number")
                    })
                })?;
                Some(Counting {
                    unit: unit.clone(),
                    marks: flag("marks", true)?,
                    padding: flag("padding", false)?,
                    threshold,
                })
            }
        };
        Ok(Self {
            lang_pairs,
            blocks,
            token_count,
            sentence_count,
            counting,
            base_model_sha256: metadata.get("base_model_sha256").cloned(),
        })
    }
}

/// A tensor of whole numbers.
fn counts(file: &TensorFile, name: &str) -> Result<Vec<u64>> {
    let view = file.view(name)?;
    let b = view.data();
    Ok(match view.dtype() {
        Dtype::U32 => b.as_chunks().0.iter().map(|c| u64::from(u32::from_le_bytes(*c))).collect(),
        Dtype::U64 => b.as_chunks().0.iter().map(|c| u64::from_le_bytes(*c)).collect(),
        Dtype::I64 | Dtype::I32 => {
            let signed: Vec<i64> = if view.dtype() == Dtype::I64 {
                b.as_chunks().0.iter().map(|c| i64::from_le_bytes(*c)).collect()
            } else {
                b.as_chunks().0.iter().map(|c| i64::from(i32::from_le_bytes(*c))).collect()
            };
            signed
                .into_iter()
                .map(|v| {
                    u64::try_from(v).map_err(|_| {
                        Error::artifact("count below zero")
                            .at(file.path())
                            .tensor(name)
                            .found(v.to_string())
                    })
                })
                .collect::<Result<_>>()?
        }
        other => {
            return Err(Error::artifact("counts are not whole numbers")
                .at(file.path())
                .tensor(name)
                .found(format!("{other:?}"))
                .expected("U32 or U64"));
        }
    })
}
