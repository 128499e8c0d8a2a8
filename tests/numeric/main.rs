//! Numbers against the reference, and the laws that hold without one.

mod adapters;
mod decoding;
mod formats;
mod hyper;
mod lora;
mod masked_model;
mod neurons;
mod score;
mod stepping;
mod training_parity;
