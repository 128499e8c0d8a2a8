//! A set of LoRA as tensors: what training changes and inference reads.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::autograd::{Gate, LowRank, Parameter, Value, copy_matching};
use crate::error::{Error, Result};
use crate::formats::lora::{LoraFiles, module_path, split_path};
use crate::formats::neurons::Side;
use crate::formats::peft::{Adapter, Module, Shapes};
use crate::formats::placement::{Index, Placement};
use crate::kernels::storage::{change, values};
use crate::methods::placed::{LayerUse, SetUse, UnknownLanguage};
use crate::model::DirectionParts;
use crate::model::seam::LayerParts;

/// One pair: the update is `alpha / rank * B A`.
#[derive(Clone, Debug)]
pub struct LoraModule {
    pub alpha: f64,
    /// `[rank, width_in]`
    pub lora_a: Parameter,
    /// `[width_out, rank]`
    pub lora_b: Parameter,
}

impl LoraModule {
    /// Frozen, from `A` `[rank, width_in]` and `B` `[width_out, rank]`, with names as in checkpoints.
    pub fn new(
        adapter: &str,
        path: &str,
        (rank, alpha): (usize, f64),
        lora_a: Vec<f32>,
        lora_b: Vec<f32>,
    ) -> Result<Self> {
        let (width_in, width_out) = (lora_a.len() / rank.max(1), lora_b.len() / rank.max(1));
        let parameter = |part: &str, data: Vec<f32>, shape: (usize, usize)| {
            Ok::<_, Error>(Parameter {
                name: format!("{adapter}.{path}.{part}").into(),
                tensor: Tensor::from_vec(data, shape, &Device::Cpu)?,
                slot: None,
            })
        };
        Ok(Self {
            alpha,
            lora_a: parameter("lora_A", lora_a, (rank, width_in))?,
            lora_b: parameter("lora_B", lora_b, (width_out, rank))?,
        })
    }
    pub fn rank(&self) -> usize {
        self.lora_a.tensor.dims().first().copied().unwrap_or(0)
    }
    pub fn scaling(&self) -> f32 {
        (self.alpha / self.rank().max(1) as f64) as f32
    }
}

/// Adapters with the placement that says who uses them.
#[derive(Clone, Debug)]
pub struct LoraSet {
    pub placement: Placement,
    /// By adapter, then by full module path (`model.encoder.layers.0.fc1`).
    pub adapters: BTreeMap<String, BTreeMap<String, LoraModule>>,
    /// Of the updates' input, in training.
    pub dropout: f64,
}

/// Weights of a mixture by side, layer and module within it.
type GateOf<'a> = dyn Fn(Side, usize, &str) -> Option<Value> + 'a;

/// First coordinate and number of coordinates that updates have of an axis this long.
fn window(slice: Option<(usize, usize)>, whole: usize) -> (usize, usize) {
    slice.unwrap_or((0, whole))
}

impl LoraSet {
    /// The parameters, by name.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        let modules = self.adapters.values().flat_map(BTreeMap::values);
        modules.flat_map(|m| [&m.lora_a, &m.lora_b])
    }
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        let modules = self.adapters.values_mut().flat_map(BTreeMap::values_mut);
        modules.flat_map(|m| [&mut m.lora_a, &mut m.lora_b])
    }
    pub fn num_params(&self) -> usize {
        self.parameters().map(|p| p.tensor.elem_count()).sum()
    }

    /// From files, frozen. With a slice, what lies outside it must be zero.
    pub fn from_files(files: &LoraFiles, shapes: &Shapes) -> Result<Self> {
        let slice = files.placement.slice;
        let mut adapters = BTreeMap::new();
        for (name, adapter) in &files.adapters {
            let mut modules = BTreeMap::new();
            for (path, m) in &adapter.modules {
                let &(out, inp) = shapes
                    .get(path)
                    .ok_or_else(|| Error::bug(format!("the model has no `{path}`")))?;
                let (start, width_in) = window(slice, inp);
                let (_, width_out) = window(slice, out);
                let a = cut_columns(&m.lora_a, inp, start, width_in);
                let b = cut_rows(&m.lora_b, m.rank, start, width_out);
                let lost = |whole: &[f32], part: &[f32]| {
                    let count = |v: &[f32]| v.iter().filter(|v| **v != 0.0).count();
                    count(whole) != count(part)
                };
                if lost(&m.lora_a, &a) || lost(&m.lora_b, &b) {
                    return Err(Error::artifact(
                        "factors reach outside the slice of the placement",
                    )
                    .tensor(format!("{name}: {path}"))
                    .found("values that are not zero")
                    .expected(format!("zeros outside coordinates {start}..{}", start + width_in)));
                }
                let module = LoraModule::new(name, path, (m.rank, m.alpha), a, b)?;
                modules.insert(path.clone(), module);
            }
            adapters.insert(name.clone(), modules);
        }
        let dropout = files.adapters.values().next().map_or(0.0, |a| a.dropout);
        Ok(Self { placement: files.placement.clone(), adapters, dropout })
    }

    /// As files; `base_model` is the model's name.
    pub fn to_files(&self, shapes: &Shapes, base_model: &str) -> Result<LoraFiles> {
        let slice = self.placement.slice;
        let mut adapters = BTreeMap::new();
        for (name, modules) in &self.adapters {
            let mut adapter = Adapter {
                dropout: self.dropout,
                base_model: Some(base_model.to_string()),
                ..Adapter::default()
            };
            for (path, m) in modules {
                let &(out, inp) = shapes
                    .get(path)
                    .ok_or_else(|| Error::bug(format!("the model has no `{path}`")))?;
                let rank = m.rank();
                let start = slice.map_or(0, |s| s.0);
                let a = values(&m.lora_a.tensor)?;
                let b = values(&m.lora_b.tensor)?;
                let width_in = a.len() / rank.max(1);
                let mut lora_a = vec![0f32; rank * inp];
                for (to, from) in lora_a.chunks_exact_mut(inp).zip(a.chunks_exact(width_in)) {
                    to[start..start + width_in].copy_from_slice(from);
                }
                let mut lora_b = vec![0f32; out * rank];
                lora_b[start * rank..start * rank + b.len()].copy_from_slice(&b);
                let module = Module { rank, alpha: m.alpha, lora_a, lora_b };
                adapter.modules.insert(path.clone(), module);
            }
            adapters.insert(name.clone(), adapter);
        }
        Ok(LoraFiles { placement: self.placement.clone(), adapters })
    }

    /// The pairs of a direction.
    ///
    /// # Errors
    /// Data: a language or direction has none and `unknown` says to stop.
    pub fn choose(&self, src: &str, tgt: &str, unknown: UnknownLanguage) -> Result<SetUse> {
        self.placement.choose("LoRA", src, tgt, unknown)
    }

    /// Side, layer and module of a pair's path.
    pub fn place(path: &str) -> Result<(Side, usize, &str)> {
        split_path(path).ok_or_else(|| Error::bug(format!("`{path}` is no module")))
    }

    /// Takes the values of a set of the same names and shapes.
    pub fn copy_values(&self, from: &Self) -> Result<()> {
        for (to, from) in self.parameters().zip(from.parameters()) {
            if to.name != from.name || to.tensor.dims() != from.tensor.dims() {
                return Err(Error::artifact("the LoRA is not the one that was being trained")
                    .tensor(from.name.to_string())
                    .found(format!("{:?}", from.tensor.dims()))
                    .expected(format!("`{}` {:?}", to.name, to.tensor.dims())));
            }
            let v = values(&from.tensor)?;
            change(&to.tensor, |t| t.copy_from_slice(&v))?;
        }
        match self.parameters().count() == from.parameters().count() {
            true => Ok(()),
            false => Err(Error::artifact("the LoRA is not the one that was being trained")),
        }
    }

    /// Takes what another set has of the same names and shapes; returns how many parameters.
    pub fn take_from(&self, other: &Self) -> Result<usize> {
        copy_matching(self.parameters(), other.parameters())
    }

    /// What a direction's layers do differently. `gate` gives the trained weights of a module's
    /// mixture, `[2]`, source first; without one the placement's weights are used.
    pub fn parts(&self, used: &SetUse, gate: &GateOf<'_>) -> DirectionParts {
        let side = |side: Side, used: &[LayerUse]| -> Vec<LayerParts> {
            let layers = self.placement.side(side).iter().zip(used).enumerate();
            layers
                .map(|(i, (layer, used))| {
                    let mut parts = LayerParts::default();
                    for (module, index) in layer {
                        let updates = self.updates(side, i, module, *index, used, gate);
                        if !updates.is_empty() {
                            parts.low_rank.insert(module.clone(), updates);
                        }
                    }
                    parts
                })
                .collect()
        };
        DirectionParts {
            encoder: side(Side::Encoder, &used.encoder),
            decoder: side(Side::Decoder, &used.decoder),
        }
    }

    fn updates(
        &self,
        side: Side,
        layer: usize,
        module: &str,
        index: Index,
        used: &LayerUse,
        gate: &GateOf<'_>,
    ) -> Vec<LowRank> {
        let path = module_path(side, layer, module);
        let mut updates = Vec::new();
        let mut add = |adapter: Option<&str>, weight: f32, gate: Option<Gate>| {
            // A module that is not there was pruned away, or the direction does without.
            let found = adapter.and_then(|a| self.adapters.get(a)?.get(&path));
            if let Some(m) = found {
                updates.push(LowRank {
                    lora_a: m.lora_a.value(),
                    lora_b: m.lora_b.value(),
                    scaling: m.scaling() * weight,
                    start: self.placement.slice.map_or(0, |s| s.0),
                    dropout: self.dropout as f32,
                    gate,
                });
            }
        };
        match index {
            Index::Mixed(mix) => {
                let weights = gate(side, layer, module);
                let of = |index| weights.clone().map(|weights| Gate { weights, index });
                // The trained weights stand in for the placement's.
                let plain = |w: f32| if weights.is_some() { 1.0 } else { w };
                add(used.of(Index::Source), plain(mix.source), of(0));
                add(used.of(Index::Target), plain(mix.target), of(1));
            }
            index => add(used.of(index), 1.0, None),
        }
        updates
    }
}

fn cut_columns(v: &[f32], width: usize, start: usize, kept: usize) -> Vec<f32> {
    v.chunks_exact(width.max(1)).flat_map(|row| row[start..start + kept].iter().copied()).collect()
}

fn cut_rows(v: &[f32], width: usize, start: usize, kept: usize) -> Vec<f32> {
    v[start * width..(start + kept) * width].to_vec()
}
