//! Records of `profile-neurons` and `build-masks`: what neurons do, which are kept, and how much
//! directions share.

use serde::Serialize;

/// How active the neurons of one feed-forward block are in one direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "layer_profile")]
pub struct LayerProfile {
    pub lang_pair: String,
    pub src_lang: String,
    pub tgt_lang: String,
    pub side: String,
    pub layer: usize,
    pub module: String,
    /// Positions seen by this module.
    pub token_count: u64,
    pub sentence_count: u64,
    pub ffn_dim: usize,
    /// Mean over neurons of the share of positions (or sentences) in which it is active.
    pub active_frac: f64,
    pub never_active: u64,
    pub always_active: u64,
    pub threshold: f32,
    /// `token` or `sentence`.
    pub unit: String,
    /// Quantiles of the share over neurons.
    pub p10: f64,
    pub p50: f64,
    pub p90: f64,
}

/// How active one neuron is in one direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "neuron_profile")]
pub struct NeuronProfile {
    pub lang_pair: String,
    pub side: String,
    pub layer: usize,
    pub module: String,
    pub neuron: usize,
    pub active_count: u64,
    pub active_frac: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_activation: Option<f64>,
}

/// The mask of one block.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "type", rename = "layer_mask")]
pub struct LayerMask {
    pub group: String,
    pub group_kind: String,
    pub side: String,
    pub layer: usize,
    pub module: String,
    pub kept: u64,
    pub total: u64,
    pub density_frac: f64,
    pub rule: String,
    /// In per cent, where the rule has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<f64>,
    /// Share of the group's activations that the kept neurons account for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covered_frac: Option<f64>,
}

/// How much of one block's neurons two groups share.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "mask_overlap")]
pub struct MaskOverlap {
    pub group_a: String,
    pub group_b: String,
    pub side: String,
    pub layer: usize,
    pub iou_frac: f64,
    pub kept_both: u64,
}

/// The overlap of all pairs of groups in one block, or of those of one relation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "layer_overlap")]
pub struct LayerOverlap {
    pub side: String,
    pub layer: usize,
    /// `all`, or `same` and `other` for pairs whose labels (such as family) agree or differ.
    pub relation: String,
    pub num_pairs: u64,
    pub iou_mean: f64,
    pub iou_p25: f64,
    pub iou_median: f64,
    pub iou_p75: f64,
    pub iou_min: f64,
    pub iou_max: f64,
}

/// Shares in these records have six decimals.
pub fn round6(x: f64) -> f64 {
    (x * 1e6).round() / 1e6
}
