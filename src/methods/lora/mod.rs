//! Low-rank adaptation by language.
//!
//! Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models" (ICLR): a frozen matrix
//! gets an update `scaling * B A`. Cao et al. 2024, "Exploring Intrinsic Language-specific Subspaces
//! in Fine-tuning Multilingual Neural Machine Translation" (EMNLP): each language has its own pairs,
//! each layer uses those of the source or of the target language, and pruning finds how small a
//! language's subspace may be.

mod create;
mod gates;
mod merge;
mod plan;
mod prune;
mod ranks;
mod reduce;
mod set;
mod shrink;

pub use create::{Initialisation, LoraSpec};
pub use gates::{GateScope, Gates};
pub use merge::{MergedUpdates, merged, zero_masked_rows};
pub use plan::Balance;
pub use prune::{PruneMasks, PrunePool, PruneSchedule, PruneUnit, PruneWhat, Pruned, Pruning};
pub use ranks::{Ranks, parse_rank};
pub use reduce::{RankMethod, plan_ranks};
pub use set::{LoraModule, LoraSet};
