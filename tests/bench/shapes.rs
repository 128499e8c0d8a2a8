//! The shapes of the comparisons, with random weights and sentences.

use std::error::Error;

use isogloss::model::{ModelConfig, ParameterSet, Ragged};
use isogloss::random::named_rng;
use rand::Rng;

/// Width, layers a side, heads, feed-forward, vocabulary.
pub fn config(shape: &str) -> Result<ModelConfig, Box<dyn Error>> {
    let (d, layers, heads, ffn, vocab) = match shape {
        "A" => (256, 3, 4, 1024, 8000),
        "B" => (512, 6, 8, 2048, 32000),
        other => return Err(format!("unknown shape {other}").into()),
    };
    Ok(serde_json::from_value(serde_json::json!({
        "model_type": "m2m_100", "vocab_size": vocab, "d_model": d,
        "encoder_layers": layers, "decoder_layers": layers,
        "encoder_ffn_dim": ffn, "decoder_ffn_dim": ffn,
        "encoder_attention_heads": heads, "decoder_attention_heads": heads,
        "max_position_embeddings": 256, "scale_embedding": true,
        "dropout": 0.1, "attention_dropout": 0.1,
        "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0,
    }))?)
}

/// All parameters, trainable or frozen.
pub fn parameters(config: &ModelConfig, trainable: bool) -> isogloss::Result<ParameterSet> {
    ParameterSet::from_values(
        config,
        |_| trainable,
        |name, shape| {
            let n = shape.iter().product();
            if name.contains("layer_norm") {
                return Ok(vec![if name.ends_with("weight") { 1.0 } else { 0.0 }; n]);
            }
            let mut rng = named_rng(1, name);
            Ok((0..n).map(|_| rng.random_range(-0.035f32..0.035)).collect())
        },
    )
}

/// Sentences of `len` random tokens, `tokens` in all.
pub fn sentences(config: &ModelConfig, tokens: usize, len: usize, name: &str) -> Ragged {
    let mut rng = named_rng(1, name);
    let rows: Vec<Vec<u32>> = (0..tokens / len)
        .map(|_| (0..len).map(|_| rng.random_range(4..config.vocab_size as u32)).collect())
        .collect();
    Ragged::new(rows.iter().map(Vec::as_slice))
}
