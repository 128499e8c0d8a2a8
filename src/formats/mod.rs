//! On-disk contracts, one file each: names, bytes and their checks. No tensor arithmetic
//! beyond reshaping and casting.

pub mod adapters;
pub mod hf;
pub mod hypernet;
pub mod lora;
pub mod neuron_masks;
pub mod neuron_stats;
pub mod neurons;
pub mod peft;
pub mod placement;
mod protobuf;
pub mod provenance;
pub mod safetensors;
pub mod safetensors_stream;
pub mod sentencepiece;
