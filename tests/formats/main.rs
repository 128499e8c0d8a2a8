//! Round trips, foreign fixtures, byte-for-byte determinism, generated inputs.

mod tokenizer;
