//! Hyper-networks that generate bottleneck adapters.
//!
//! Baziotis et al. 2022, "Multilingual Machine Translation with Hyper-Adapters" (EMNLP): from
//! embeddings of source, target and layer, with all outputs rescaled. Üstün et al. 2022, "Hyper-X:
//! A Unified Hypernetwork for Multi-Task Multilingual Transfer" (EMNLP): from embeddings of task,
//! language and layer, so that a language met in one task gets adapters for another.

mod create;
mod export;
mod mixture;
mod network;
mod swap;

pub use create::{HyperInit, fit_hidden, num_params, rows_for, shapes};
pub use export::ExportPlan;
pub use mixture::Mixture;
pub use network::{HyperNetwork, TRANSLATION};
