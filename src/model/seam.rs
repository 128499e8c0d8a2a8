//! The seam: what is different in each layer for one direction. It is data, not callbacks:
//! a method is a provider that resolves a direction to these tensors; the model's forward
//! pass takes them and knows nothing of where they came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Device;

use super::config::ModelConfig;
use crate::autograd::{FeedForwardWeights, Value};
pub use crate::autograd::{Gate, LowRank};
use crate::error::Result;
pub use crate::formats::adapters::{NormPlace, Position};

/// The neurons a direction uses of one feed-forward block: a mask on the rows of `fc1.weight`,
/// and on nothing else (Tan et al. 2024).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeuronMask {
    kept: Arc<[u32]>,
    ffn_dim: usize,
}

impl NeuronMask {
    /// From one flag a neuron.
    pub fn from_flags(flags: &[bool]) -> Self {
        let kept = (0..flags.len() as u32).filter(|&i| flags[i as usize]).collect();
        Self { kept, ffn_dim: flags.len() }
    }
    /// Indices of the kept neurons, rising.
    pub fn kept(&self) -> &Arc<[u32]> {
        &self.kept
    }
    pub fn ffn_dim(&self) -> usize {
        self.ffn_dim
    }
    /// Whether it changes nothing.
    pub fn is_full(&self) -> bool {
        self.kept.len() == self.ffn_dim
    }
}

/// A bottleneck adapter (Houlsby et al. 2019; Bapna and Firat 2019), stored or generated:
/// `x + up relu(down norm(x) + down_bias) + up_bias`, or with the norm around what is added.
#[derive(Clone, Debug)]
pub struct BottleneckAdapter {
    /// `[bottleneck, d_model]`
    pub down: Value,
    /// `[bottleneck]`
    pub down_bias: Value,
    /// `[d_model, bottleneck]`
    pub up: Value,
    /// `[d_model]`
    pub up_bias: Value,
    pub norm: NormPlace,
    /// Scale and shift of the norm, `[d_model]` each; without them 1 and 0.
    pub affine: Option<(Value, Value)>,
}

/// What one layer does differently. All empty for a plain model.
#[derive(Clone, Debug, Default)]
pub struct LayerParts {
    /// Neurons of the feed-forward block; none means all.
    pub neurons: Option<NeuronMask>,
    /// The feed-forward block of these neurons, where it was made ahead: it stands for the mask.
    pub compact: Option<Arc<FeedForwardWeights>>,
    /// Updates (Hu et al. 2022) by module path within the layer, such as `self_attn.q_proj` or
    /// `fc1`; those of one module add up.
    pub low_rank: BTreeMap<String, Vec<LowRank>>,
    pub adapters: BTreeMap<Position, BottleneckAdapter>,
}

impl LayerParts {
    /// The same on a device, to run and not to train.
    pub fn on(&self, device: &Device) -> Result<Self> {
        let moved =
            |v: &Value| -> Result<Value> { Ok(Value::constant(v.tensor().to_device(device)?)) };
        let update = |u: &LowRank| -> Result<LowRank> {
            // A gate on a device would be asked for at every use.
            let (lora_a, lora_b) = (moved(&u.lora_a)?, moved(&u.lora_b)?);
            Ok(LowRank { lora_a, lora_b, scaling: u.scale()?, gate: None, ..u.clone() })
        };
        let updates = self.low_rank.iter().map(|(module, updates)| {
            Ok((module.clone(), updates.iter().map(update).collect::<Result<_>>()?))
        });
        let adapters = self.adapters.iter().map(|(position, a)| {
            let affine = |(scale, shift): &(Value, Value)| -> Result<_> {
                Ok((moved(scale)?, moved(shift)?))
            };
            let moved = BottleneckAdapter {
                down: moved(&a.down)?,
                down_bias: moved(&a.down_bias)?,
                up: moved(&a.up)?,
                up_bias: moved(&a.up_bias)?,
                norm: a.norm,
                affine: a.affine.as_ref().map(affine).transpose()?,
            };
            Ok((*position, moved))
        });
        Ok(Self {
            neurons: self.neurons.clone(),
            compact: None,
            low_rank: updates.collect::<Result<_>>()?,
            adapters: adapters.collect::<Result<_>>()?,
        })
    }
}

/// What all layers of both sides do differently for one direction.
#[derive(Clone, Debug)]
pub struct DirectionParts {
    pub encoder: Vec<LayerParts>,
    pub decoder: Vec<LayerParts>,
}

impl DirectionParts {
    /// Takes the updates of low rank and the adapters of `other`, a part of the same model.
    pub fn add(&mut self, other: Self) {
        let own = self.encoder.iter_mut().chain(&mut self.decoder);
        for (own, other) in own.zip(other.encoder.into_iter().chain(other.decoder)) {
            for (module, updates) in other.low_rank {
                own.low_rank.entry(module).or_default().extend(updates);
            }
            own.adapters.extend(other.adapters);
        }
    }
    /// The same on a device, to run and not to train.
    pub fn on(&self, device: &Device) -> Result<Self> {
        let all = |layers: &[LayerParts]| -> Result<Vec<LayerParts>> {
            layers.iter().map(|l| l.on(device)).collect()
        };
        Ok(Self { encoder: all(&self.encoder)?, decoder: all(&self.decoder)? })
    }
    /// A plain model: nothing is different.
    pub fn none(config: &ModelConfig) -> Self {
        Self {
            encoder: vec![LayerParts::default(); config.encoder_layers],
            decoder: vec![LayerParts::default(); config.decoder_layers],
        }
    }
}
