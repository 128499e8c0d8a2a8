//! JSON Lines contracts: one struct per record kind, its reader and writer.

mod parallel;
pub mod score;
mod training;

pub use parallel::{InputFormat, ParallelReader, ParallelRecord, ReadOptions};
pub use training::{CheckpointRecord, TrainStep, TrainingRecord, Valid};
