//! Languages, tokenizer, length buckets.

mod direction;

pub use direction::Direction;
