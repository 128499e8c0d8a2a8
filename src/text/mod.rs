//! Languages, tokenizer, length buckets.

mod add_languages;
mod bpe_trainer;
mod direction;
mod iso639;
mod languages;
mod sample;
mod sentencepiece;
mod tokenizer;
mod train_tokenizer;
mod unigram_trainer;
mod words;

pub use add_languages::{Mark, NewMark, add_languages};
pub use direction::Direction;
pub use languages::{Languages, check_language_code, is_language_code, language_of_mark, mark_of};
pub use sample::CorpusSample;
pub use tokenizer::{Encoded, TextTokenizer};
pub use train_tokenizer::{
    SPECIAL_TOKENS, TokenizerKind, TokenizerOptions, TrainedTokenizer, tokenizer_config,
    train_tokenizer,
};
pub use words::EncodedWords;
