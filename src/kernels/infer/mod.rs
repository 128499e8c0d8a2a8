//! Kernels of inference: plain f32 slices, no allocation, one instruction set chosen at run time.
//!
//! The law of this room: every output element is summed in an order that depends on the length
//! of its own sum alone, never on the number of rows, the batch, padding or threads. That is
//! what makes a translation byte-identical whatever it was batched with.

pub mod activity;
pub mod attention;
pub mod integers;
pub mod norm;
pub mod vocab;
