//! Weight learning: which of source and target a layer should be indexed by.
//!
//! The published system learns this but does not release how. This is the reconstruction of least
//! assumptions (specification, section 8, marked there as such): both updates at once, weighted by
//! a softmax of one pair of logits for each layer, zero at the start, trained with the pairs; then
//! the larger weight is taken and the pairs are thrown away.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use candle_core::{Device, Tensor};

use crate::autograd::{Parameter, Tape, Value};
use crate::error::Result;
use crate::formats::neurons::Side;
use crate::formats::placement::{Index, Mix, Placement};
use crate::kernels::storage::values;

/// What one pair of logits decides.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum GateScope {
    /// A layer with all its matrices
    Layer,
    /// Each matrix by itself
    Matrix,
}

/// The logits, by layer (`encoder.3`) or matrix (`encoder.3.fc1`).
#[derive(Clone, Debug)]
pub struct Gates {
    scope: GateScope,
    pub logits: BTreeMap<String, Parameter>,
}

impl Gates {
    pub fn new(placement: &Placement, scope: GateScope) -> Result<Self> {
        let mut logits = BTreeMap::new();
        for (side, layer, module, _) in placement.modules() {
            let key = key(scope, side, layer, module);
            if let Entry::Vacant(entry) = logits.entry(key) {
                let parameter = Parameter {
                    name: format!("gate.{}", entry.key()).into(),
                    tensor: Tensor::zeros(2, candle_core::DType::F32, &Device::Cpu)?,
                    slot: None,
                };
                entry.insert(parameter);
            }
        }
        Ok(Self { scope, logits })
    }

    /// Weights of source and target of every gate, as values of a tape.
    pub fn weights(&self, tape: &Tape) -> Result<BTreeMap<&str, Value>> {
        self.logits.iter().map(|(k, p)| Ok((k.as_str(), tape.softmax(&p.value())?))).collect()
    }

    /// The weights of a module.
    pub fn of<'a>(
        &self,
        weights: &'a BTreeMap<&str, Value>,
        side: Side,
        layer: usize,
        module: &str,
    ) -> Option<&'a Value> {
        weights.get(key(self.scope, side, layer, module).as_str())
    }

    /// The placement with the weights as they are now.
    pub fn place(&self, placement: &Placement) -> Result<Placement> {
        let weights = self.weights(&Tape::disabled())?;
        let mut out = placement.clone();
        for (side, layers) in [(Side::Encoder, &mut out.encoder), (Side::Decoder, &mut out.decoder)]
        {
            for (i, layer) in layers.iter_mut().enumerate() {
                for (module, index) in layer {
                    if let Some(w) = self.of(&weights, side, i, module) {
                        let w = values(w.tensor())?;
                        *index = Index::Mixed(Mix { source: w[0], target: w[1] });
                    }
                }
            }
        }
        Ok(out)
    }
}

fn key(scope: GateScope, side: Side, layer: usize, module: &str) -> String {
    match scope {
        GateScope::Layer => format!("{side}.{layer}"),
        GateScope::Matrix => format!("{side}.{layer}.{module}"),
    }
}
