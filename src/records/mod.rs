//! JSON Lines contracts: one struct per record kind, its reader and writer.

mod adapters;
mod language;
mod lora;
mod monolingual;
mod neurons;
mod parallel;
mod score;
mod segments;
mod tag;
mod tagged;
mod training;
mod translation;
mod vocabulary;

pub use adapters::AdapterRecord;
pub use language::{EmbeddingProjection, LanguageSimilarity, LanguageVector};
pub use lora::LoraModuleRecord;
pub use monolingual::{MonolingualReader, MonolingualRecord};
pub use neurons::{LayerMask, LayerOverlap, LayerProfile, MaskOverlap, NeuronProfile, round6};
pub use parallel::{InputFormat, ParallelReader, ParallelRecord, ReadOptions, from_map};
pub use score::{BaselineKind, GateRecord, GateStatus, ScoreRecord, read_scores};
pub use segments::{
    RawSegment, Segment, SegmentFormat, SegmentOptions, SegmentParser, SegmentReader, Side,
};
pub use tag::{TagScore, Tagging};
pub use tagged::{TaggedReader, TaggedRecord};
pub use training::{CheckpointRecord, LoraPlacement, LoraPrune, TrainStep, TrainingRecord, Valid};
pub use translation::{NBest, SCHEMA, Scores, Translation, error_record};
pub use vocabulary::{Vocabulary, read_vocabularies};
