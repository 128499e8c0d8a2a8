//! sampler -> batches -> loss -> optimizer -> checkpoint; schedules; resume.

mod corpus;
mod freeze;
mod lora;
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
pub use lora::{LEARNED, LoraTraining};
pub use optimizer::{Adam, AdamSettings};
pub use run_dir::{
    Best, Content, ModelSource, RunDir, RunState, read_moments, read_state, write_model,
};
pub use sampler::{BatchPlan, Sampler, SamplerSettings, SamplerState};
pub use schedule::{LrSchedule, ScheduleKind};
pub use session::{Observer, STOP_SIGNAL, Scorer, Session, SessionOptions};
pub use settings::{HARMLESS, Settings, differences};
pub use trainer::{Batch, StepReport, Trainer, TrainerOptions, build_batch, trained_parameters};
pub use validation::{DirectionLoss, ValidationLoss, validate};
