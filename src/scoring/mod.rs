//! Metrics (thin over sacrebleu-rs), resampling, aggregation, the gate.

pub mod bleu;
pub mod chrf;
pub mod corpus;
mod edit_distance;
pub mod metric;
mod ngram;
mod numpy;
mod real;
pub mod resample;
pub mod signature;
pub mod ter;
pub mod tokenizers;

pub use metric::{Metric, Scratch};
