//! Round trips, foreign fixtures, byte-for-byte determinism, generated inputs.

mod hostile;
mod pieces;
mod tokenizer;

use isogloss::model::ModelConfig;
use serde_json::json;

/// The least that a tokenizer is checked against.
fn config(vocab_size: usize) -> ModelConfig {
    serde_json::from_value(json!({
        "model_type": "m2m_100", "vocab_size": vocab_size, "d_model": 8, "encoder_layers": 1,
        "decoder_layers": 1, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8,
        "encoder_attention_heads": 1, "decoder_attention_heads": 1,
    }))
    .unwrap()
}
