//! The seam: what is different in each layer for one direction. It is data, not callbacks:
//! a method is a provider that resolves a direction to these tensors; the model's forward
//! pass takes them and knows nothing of where they came from.

use std::collections::BTreeMap;

use super::config::ModelConfig;
use crate::autograd::Value;

/// A low-rank update of one matrix: `y += scaling * (x Aᵀ) Bᵀ` (Hu et al. 2022).
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `[rank, in]`.
    pub lora_a: Value,
    /// `[out, rank]`.
    pub lora_b: Value,
    pub scaling: f32,
}

/// What one layer does differently. All empty for a plain model.
#[derive(Clone, Debug, Default)]
pub struct LayerParts {
    /// Updates by module path within the layer, such as `self_attn.q_proj` or `fc1`.
    pub low_rank: BTreeMap<String, LowRank>,
}

/// What all layers of both sides do differently for one direction.
#[derive(Clone, Debug)]
pub struct DirectionParts {
    pub encoder: Vec<LayerParts>,
    pub decoder: Vec<LayerParts>,
}

impl DirectionParts {
    /// A plain model: nothing is different.
    pub fn none(config: &ModelConfig) -> Self {
        Self {
            encoder: vec![LayerParts::default(); config.encoder_layers],
            decoder: vec![LayerParts::default(); config.decoder_layers],
        }
    }
}
