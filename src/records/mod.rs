//! JSON Lines contracts: one struct per record kind, its reader and writer.

mod lora;
mod neurons;
mod parallel;
mod score;
mod segments;
mod training;
mod translation;

pub use lora::LoraModuleRecord;
pub use neurons::{LayerMask, LayerOverlap, LayerProfile, MaskOverlap, NeuronProfile, round6};
pub use parallel::{InputFormat, ParallelReader, ParallelRecord, ReadOptions, from_map};
pub use score::{BaselineKind, GateRecord, GateStatus, ScoreRecord, read_scores};
pub use segments::{
    RawSegment, Segment, SegmentFormat, SegmentOptions, SegmentParser, SegmentReader, Side,
};
pub use training::{CheckpointRecord, LoraPlacement, LoraPrune, TrainStep, TrainingRecord, Valid};
pub use translation::{NBest, SCHEMA, Scores, Translation, error_record};
