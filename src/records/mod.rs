//! JSON Lines contracts: one struct per record kind, its reader and writer.

mod parallel;
mod training;

pub use parallel::{InputFormat, ParallelReader, ParallelRecord, ReadOptions, from_map};
pub use training::{CheckpointRecord, TrainStep, TrainingRecord, Valid};
