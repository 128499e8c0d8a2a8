//! Languages, tokenizer, length buckets.

mod add_languages;
mod bpe_trainer;
mod convention;
mod direction;
mod fairseq_codes;
mod iso639;
mod json_tokenizer;
mod languages;
mod piece_tokenizer;
mod sample;
mod sentencepiece;
mod tokenizer;
mod train_tokenizer;
mod unigram_trainer;
mod words;

pub use add_languages::{Mark, NewMark, add_languages};
pub use convention::Convention;
pub use direction::Direction;
pub use languages::{Languages, check_language_code, is_language_code, language_of_mark, mark_of};
pub use sample::CorpusSample;
pub use tokenizer::{Encoded, TextTokenizer};
pub use train_tokenizer::{
    SPECIAL_TOKENS, TokenizerKind, TokenizerOptions, TrainedTokenizer, tokenizer_config,
    train_tokenizer,
};
pub use words::EncodedWords;
