//! Reverse-mode differentiation: a tape of fused operations.
//!
//! Forward operations append a closure that turns the gradient of their result into
//! gradients of their inputs; [`Tape::backward`] runs them last to first and drops each, with
//! the activations it holds, as soon as it has run. Compared with a general autograd engine:
//!
//! * a gradient's first contribution is moved, later ones are added in place (products add
//!   while they multiply), so no zeros are made and no sums copied;
//! * gradients of parameters go straight into buffers that live across steps, which makes
//!   accumulation over micro-batches free;
//! * constants and frozen parameters cost nothing: an operation that nothing trainable
//!   feeds is not recorded.
//!
//! On the CPU operations are kernels of our own, and on GPUs those that would be many launches; the others
//! are [`composed`] of those of the tensor library.

pub mod composed;
#[cfg(feature = "cuda")]
mod cuda;
mod feed_forward;
mod generated;
mod gradients;
mod low_rank;
mod ops;
mod rows;
mod tape;

pub use feed_forward::FeedForwardWeights;
pub use gradients::{Backward, Gradients, Incoming};
pub use low_rank::{Gate, LowRank};
pub use ops::AttentionSpec;
pub use tape::{Parameter, Source, Tape, Value, copy_matching};
