//! The base model: M2M-100, a pre-norm encoder-decoder Transformer with sinusoidal positions
//! and tied embeddings, unaware of any method but through the [`seam`].
//!
//! Fan et al. 2021, "Beyond English-Centric Multilingual Machine Translation"; names and
//! layout as in the published checkpoints (`transformers`, `modeling_m2m_100.py`).

mod adapter;
pub mod checkpoint;
pub mod config;
mod footprint;
pub mod grow;
pub mod inference;
pub mod initialise;
mod layers;
mod m2m100;
mod observing;
mod parameters;
mod ragged;
pub mod rounding;
pub mod seam;
pub mod stepping;
pub mod stored;
mod tagging;

pub use checkpoint::Checkpoint;
pub use config::ModelConfig;
pub use footprint::{BatchTokens, Footprint};
pub use layers::Noise;
pub use m2m100::{M2m100, Teacher, TrainingLoss};
pub use parameters::{FrozenType, ParameterSet};
pub use ragged::Ragged;
pub use seam::DirectionParts;
pub use tagging::{IGNORED, TagLoss, TagWeights, Tagged};
