//! Fused CPU operations, each beside the plain reference it must equal.

pub mod infer;
pub mod packed;
