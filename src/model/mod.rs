//! The base model: M2M-100, a pre-norm encoder-decoder Transformer with sinusoidal positions
//! and tied embeddings, unaware of any method but through [`seam`].

pub mod checkpoint;
pub mod config;
pub mod initialise;

pub use checkpoint::Checkpoint;
pub use config::ModelConfig;
