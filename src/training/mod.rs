//! sampler -> batches -> loss -> optimizer -> checkpoint; schedules; resume.

mod corpus;
mod freeze;
mod optimizer;
mod run_dir;
mod sampler;
mod schedule;
mod session;
mod settings;
mod trainer;
mod validation;

pub use corpus::{Corpus, CorpusOptions, CorpusSummary, Example, OnLong};
pub use freeze::{ParameterGroup, is_trained};
pub use optimizer::{Adam, AdamSettings};
pub use run_dir::{Best, ModelSource, RunDir, RunState, read_moments, read_state, write_model};
pub use sampler::{BatchPlan, Sampler, SamplerSettings, SamplerState};
pub use schedule::{LrSchedule, ScheduleKind};
pub use session::{Observer, STOP_SIGNAL, Scorer, Session, SessionOptions};
pub use settings::{HARMLESS, Settings, differences};
pub use trainer::{Batch, StepReport, Trainer, TrainerOptions, build_batch};
pub use validation::{DirectionLoss, ValidationLoss, validate};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};

/// A random stream of its own for every name, all derived from one seed.
pub fn named_rng(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(name.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}
