//! Activation counts -> neuron selection -> overlap.
//!
//! The analysis of Tan, Wu, Monz 2024 (Neuron Specialization): which feed-forward neurons a
//! direction uses, which of them are enough, and how much two directions share.

mod counts;
mod grouping;
mod overlap;
mod select;

pub use counts::{ProfileOptions, Profiler, add_stats};
pub use grouping::{Combine, combine_counts, combine_masks, empty_block};
pub use overlap::{Cluster, Distribution, Overlap, cluster, distribution, overlap, quantile};
pub use select::{Share, complement, cumulative, largest, random};
