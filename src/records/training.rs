//! The records of a training run: its log and its standard output.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One line of `log.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum TrainingRecord {
    TrainStep(TrainStep),
    Valid(Valid),
    Checkpoint(CheckpointRecord),
    LoraPrune(LoraPrune),
    LoraPlacement(LoraPlacement),
    /// The run was started again from this step; later records of earlier starts are void.
    Resume {
        step: u64,
    },
    /// The run ended.
    End {
        step: u64,
        reason: String,
        elapsed_s: f64,
    },
}

/// One update, or the mean since the last such record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainStep {
    pub step: u64,
    /// Sentence pairs drawn over all pairs.
    pub epoch_frac: f64,
    /// Nats per target token, smoothed.
    pub loss: f64,
    /// Nats per target token, without smoothing.
    pub nll: f64,
    /// Target tokens.
    pub tokens: u64,
    pub sentences: u64,
    pub lr: f64,
    /// Of the last update, before clipping.
    pub grad_norm: f64,
    pub tok_per_s: f64,
    pub elapsed_s: f64,
    /// Mean nll by direction, when asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_pair: Option<BTreeMap<String, f64>>,
}

/// The loss on held-out text: of one direction (`lang_pair`) or of all (`group`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Valid {
    pub step: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang_pair: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    pub loss: f64,
    pub nll: f64,
    pub ppl: f64,
    pub tokens: u64,
    /// Of the run, when the validation began; logs of older versions lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elapsed_s: Option<f64>,
    /// Scores by metric name, when asked for.
    #[serde(flatten)]
    pub scores: BTreeMap<String, f64>,
}

/// How much of a LoRA is pruned from this update on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraPrune {
    pub step: u64,
    /// Counted from 1.
    pub period: u64,
    /// What the schedule asks for.
    pub ratio: f64,
    /// `entry` or `rank`.
    pub unit: String,
    /// How many are gone, of those that may be pruned.
    pub pruned: u64,
    pub total: u64,
    /// The share that is gone, by adapter.
    pub by_adapter: BTreeMap<String, f64>,
}

/// What weight learning has found for a layer, or one of its matrices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraPlacement {
    pub step: u64,
    pub side: String,
    pub layer: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// `source` or `target`, whose weight is the larger.
    pub index: String,
    pub weight_source: f64,
    pub weight_target: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointRecord {
    pub step: u64,
    /// Relative to the run directory.
    pub path: String,
    pub size_bytes: u64,
    /// Of the weights file.
    pub sha256: String,
    pub is_best: bool,
}
