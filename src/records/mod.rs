//! JSON Lines contracts: one struct per record kind, its reader and writer.

mod parallel;

pub use parallel::{InputFormat, ParallelReader, ParallelRecord, ReadOptions};
