//! On-disk contracts, one file each: names, bytes and their checks. No tensor arithmetic
//! beyond reshaping and casting.

pub mod hf;
pub mod provenance;
pub mod safetensors;
