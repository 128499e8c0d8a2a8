//! The published `config.json` of M2M-100 and NLLB-200, read and written unchanged: fields we
//! do not know are kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

fn default_true() -> bool {
    true
}
fn default_positions() -> usize {
    1024
}
// Defaults as in transformers: `configuration_m2m_100.py`.
fn default_dropout() -> f32 {
    0.1
}
fn default_layerdrop() -> f32 {
    0.05
}
fn default_std() -> f64 {
    0.02
}
fn default_relu() -> String {
    "relu".into()
}
fn one() -> u32 {
    1
}
fn two() -> u32 {
    2
}

/// Sizes and constants of the architecture, under their published names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    pub model_type: String,
    pub vocab_size: usize,
    pub d_model: usize,
    pub encoder_layers: usize,
    pub decoder_layers: usize,
    pub encoder_ffn_dim: usize,
    pub decoder_ffn_dim: usize,
    pub encoder_attention_heads: usize,
    pub decoder_attention_heads: usize,
    #[serde(default = "default_positions")]
    pub max_position_embeddings: usize,
    #[serde(default = "default_relu")]
    pub activation_function: String,
    #[serde(default = "default_true")]
    pub scale_embedding: bool,
    #[serde(default = "default_dropout")]
    pub dropout: f32,
    #[serde(default = "default_dropout")]
    pub attention_dropout: f32,
    #[serde(default)]
    pub activation_dropout: f32,
    #[serde(default = "default_layerdrop")]
    pub encoder_layerdrop: f32,
    #[serde(default = "default_layerdrop")]
    pub decoder_layerdrop: f32,
    #[serde(default = "default_std")]
    pub init_std: f64,
    #[serde(default = "one")]
    pub pad_token_id: u32,
    #[serde(default)]
    pub bos_token_id: u32,
    #[serde(default = "two")]
    pub eos_token_id: u32,
    #[serde(default = "two")]
    pub decoder_start_token_id: u32,
    #[serde(default = "default_true")]
    pub tie_word_embeddings: bool,
    /// Everything else, kept when the file is written again.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl ModelConfig {
    /// Position tables begin with two rows that are never used as positions (padding offset).
    pub const POSITION_OFFSET: usize = 2;

    pub fn embed_scale(&self) -> f32 {
        if self.scale_embedding { (self.d_model as f32).sqrt() } else { 1.0 }
    }
    /// The longest sequence a side can hold, marks included.
    pub fn max_len(&self) -> usize {
        self.max_position_embeddings
    }
    /// What is wrong with these sizes, if anything; field name and complaint.
    pub fn fault(&self) -> Option<(&'static str, String)> {
        const LIMIT: usize = 1 << 24;
        for (name, v) in [
            ("vocab_size", self.vocab_size),
            ("d_model", self.d_model),
            ("encoder_ffn_dim", self.encoder_ffn_dim),
            ("decoder_ffn_dim", self.decoder_ffn_dim),
            ("encoder_attention_heads", self.encoder_attention_heads),
            ("decoder_attention_heads", self.decoder_attention_heads),
            ("max_position_embeddings", self.max_position_embeddings),
        ] {
            if v == 0 || v > LIMIT {
                return Some((name, format!("{v} is out of range")));
            }
        }
        // Their table, in f32.
        let table = self.max_position_embeddings.saturating_mul(self.d_model);
        if self.max_position_embeddings > 1 << 16 && table > 1 << 28 {
            let n = self.max_position_embeddings;
            return Some((
                "max_position_embeddings",
                format!("{n} positions take more than 1 GiB"),
            ));
        }
        for (name, v) in
            [("encoder_layers", self.encoder_layers), ("decoder_layers", self.decoder_layers)]
        {
            if v == 0 || v > 1024 {
                return Some((name, format!("{v} is out of range")));
            }
        }
        for (name, h) in [
            ("encoder_attention_heads", self.encoder_attention_heads),
            ("decoder_attention_heads", self.decoder_attention_heads),
        ] {
            if !self.d_model.is_multiple_of(h) {
                return Some((name, format!("{h} does not divide d_model {}", self.d_model)));
            }
        }
        for (name, p) in [
            ("dropout", self.dropout),
            ("attention_dropout", self.attention_dropout),
            ("activation_dropout", self.activation_dropout),
        ] {
            if !(0.0..1.0).contains(&p) {
                return Some((name, format!("{p} is not a probability below 1")));
            }
        }
        for (name, id) in [
            ("pad_token_id", self.pad_token_id),
            ("bos_token_id", self.bos_token_id),
            ("eos_token_id", self.eos_token_id),
            ("decoder_start_token_id", self.decoder_start_token_id),
        ] {
            if id as usize >= self.vocab_size {
                return Some((name, format!("{id} is not below vocab_size {}", self.vocab_size)));
            }
        }
        if self.activation_function != "relu" {
            return Some((
                "activation_function",
                format!("`{}` is not supported, `relu` is", self.activation_function),
            ));
        }
        if !self.d_model.is_multiple_of(2) {
            return Some(("d_model", format!("{} is odd", self.d_model)));
        }
        None
    }
}
