//! Records of `prune-lora`.

use serde::Serialize;

/// What became of one pair.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "lora_module")]
pub struct LoraModuleRecord {
    pub adapter: String,
    pub module: String,
    pub side: String,
    pub layer: usize,
    pub rank_before: usize,
    pub rank_after: usize,
    pub alpha_before: f64,
    pub alpha_after: f64,
    /// Frobenius norm of the update before.
    pub importance: f64,
    /// Entries of B before.
    pub entries: u64,
    /// Those of B that are left and not zero.
    pub entries_kept: u64,
    /// The one over the other.
    pub kept_frac: f64,
    /// Norm of the difference over the norm of the update before.
    pub error: f64,
    pub params_before: usize,
    pub params_after: usize,
    /// Nothing is left of it.
    pub removed: bool,
    pub criterion: String,
}
