//! The seam: what is different in each layer for one direction. It is data, not callbacks:
//! a method is a provider that resolves a direction to these tensors; the model's forward
//! pass takes them and knows nothing of where they came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::ModelConfig;
pub use crate::autograd::{Gate, LowRank};

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

/// What one layer does differently. All empty for a plain model.
#[derive(Clone, Debug, Default)]
pub struct LayerParts {
    /// Neurons of the feed-forward block; none means all.
    pub neurons: Option<NeuronMask>,
    /// Updates (Hu et al. 2022) by module path within the layer, such as `self_attn.q_proj` or
    /// `fc1`; those of one module add up.
    pub low_rank: BTreeMap<String, Vec<LowRank>>,
}

/// What all layers of both sides do differently for one direction.
#[derive(Clone, Debug)]
pub struct DirectionParts {
    pub encoder: Vec<LayerParts>,
    pub decoder: Vec<LayerParts>,
}

impl DirectionParts {
    /// Takes the updates of low rank of `other`, a part of the same model.
    pub fn add_low_rank(&mut self, other: Self) {
        let own = self.encoder.iter_mut().chain(&mut self.decoder);
        for (own, other) in own.zip(other.encoder.into_iter().chain(other.decoder)) {
            for (module, updates) in other.low_rank {
                own.low_rank.entry(module).or_default().extend(updates);
            }
        }
    }
    /// A plain model: nothing is different.
    pub fn none(config: &ModelConfig) -> Self {
        Self {
            encoder: vec![LayerParts::default(); config.encoder_layers],
            decoder: vec![LayerParts::default(); config.decoder_layers],
        }
    }
}
