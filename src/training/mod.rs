//! sampler -> batches -> loss -> optimizer -> checkpoint; schedules; resume.

mod adapters;
mod batch;
mod corpus;
#[cfg(test)]
mod fixture;
mod freeze;
mod hyper;
mod lora;
mod model_dir;
mod noise;
mod optimizer;
mod parts;
mod ranks;
mod run_dir;
mod sampler;
mod schedule;
mod session;
mod settings;
mod tagging;
mod task;
mod trainer;
mod validation;

pub use adapters::AdapterTraining;
pub use batch::{Batch, BatchNoise, build_batch};
pub use corpus::{
    Corpus, CorpusOptions, CorpusSummary, DirectionExamples, Example, OnLong, TextOptions,
};
pub use freeze::{ParameterGroup, is_trained};
pub use hyper::HyperTraining;
pub use lora::{LEARNED, LoraTraining};
pub use model_dir::{ModelSource, copy_side_files, keep_convention, write_model};
pub use noise::{NoiseSettings, noised};
pub use optimizer::{Adam, AdamSettings};
pub use parts::{TrainedParts, add_recorded, uses_of};
pub use ranks::{Alone, Meeting, Ranks, differing_rank, join};
pub use run_dir::{Best, Content, RunDir, RunState, latest_checkpoint, read_moments, read_state};
pub use sampler::{BatchPlan, Sampler, SamplerSettings, SamplerState};
pub use schedule::{LrSchedule, ScheduleKind};
pub use session::{Observer, STOP_SIGNAL, Scorer, Session, SessionOptions, follow};
pub use settings::{HARMLESS, Settings, differences};
pub use tagging::{TAG_HEAD, TagHead};
pub use task::{Task, TaskLane};
pub use trainer::{Extras, StepReport, Tasks, Trainer, TrainerOptions, trained_parameters};
pub use validation::{DirectionLoss, TaskLoss, ValidationLoss, ValidationOptions, validate};
