//! Round trips, foreign fixtures, byte-for-byte determinism, generated inputs.

mod hostile;
mod pieces;
mod tokenizer;
