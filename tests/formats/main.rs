//! Round trips, foreign fixtures, byte-for-byte determinism, generated inputs.

mod checkpoints;
mod hostile;
mod pieces;
mod tokenizer;

use std::path::Path;

use isogloss::model::ModelConfig;
use serde_json::json;

/// A model as training wrote it.
const FIXTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/training/even");

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(FIXTURE).join(name)).unwrap()
}

/// The least that a tokenizer is checked against.
fn config(vocab_size: usize) -> ModelConfig {
    serde_json::from_value(json!({
        "model_type": "m2m_100", "vocab_size": vocab_size, "d_model": 8, "encoder_layers": 1,
        "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8,
        "encoder_attention_heads": 1, "decoder_attention_heads": 1,
    }))
    .unwrap()
}
