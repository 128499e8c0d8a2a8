//! The shape of a new model: presets, a configuration file, and flags that override either.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::formats::hf;
use crate::model::ModelConfig;
use crate::model::initialise::InitMethod;

/// Named shapes, from minutes on a laptop to Transformer-big.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// d_model 64, 2+2 layers, 2 heads, ffn 256: tests and demonstrations
    Tiny,
    /// d_model 256, 3+3 layers, 4 heads, ffn 1024: a first model on a CPU
    Small,
    /// d_model 512, 6+6 layers, 4 heads, ffn 1024, dropout 0.3: fairseq's IWSLT shape
    Iwslt,
    /// d_model 512, 12+1 layers, 8 heads, ffn 2048: deep encoder, shallow decoder, fast to decode
    Deep,
    /// d_model 512, 6+6 layers, 8 heads, ffn 2048: Transformer-base (Vaswani et al. 2017)
    Base,
    /// d_model 1024, 6+6 layers, 16 heads, ffn 4096, dropout 0.3: Transformer-big
    Big,
}

impl Preset {
    /// d_model, encoder layers, decoder layers, heads, ffn_dim, dropout.
    fn sizes(self) -> (usize, usize, usize, usize, usize, f32) {
        match self {
            Self::Tiny => (64, 2, 2, 2, 256, 0.1),
            Self::Small => (256, 3, 3, 4, 1024, 0.1),
            Self::Iwslt => (512, 6, 6, 4, 1024, 0.3),
            Self::Deep => (512, 12, 1, 8, 2048, 0.1),
            Self::Base => (512, 6, 6, 8, 2048, 0.1),
            Self::Big => (1024, 6, 6, 16, 4096, 0.3),
        }
    }
    fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Iwslt => "iwslt",
            Self::Deep => "deep",
            Self::Base => "base",
            Self::Big => "big",
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Shape")]
pub struct ShapeArgs {
    /// Shape to start from [default: small]
    #[arg(long, value_enum, conflicts_with = "model_config")]
    pub preset: Option<Preset>,
    /// Take the shape from this config.json
    #[arg(long, value_name = "FILE")]
    pub model_config: Option<PathBuf>,
    /// Width of the model
    #[arg(long, value_name = "N")]
    pub d_model: Option<usize>,
    /// Layers of the encoder
    #[arg(long, value_name = "N")]
    pub encoder_layers: Option<usize>,
    /// Layers of the decoder
    #[arg(long, value_name = "N")]
    pub decoder_layers: Option<usize>,
    /// Attention heads in every layer
    #[arg(long, value_name = "N")]
    pub heads: Option<usize>,
    /// Neurons of every feed-forward block
    #[arg(long, value_name = "N")]
    pub ffn_dim: Option<usize>,
    /// Neurons of the encoder's feed-forward blocks
    #[arg(long, value_name = "N")]
    pub encoder_ffn_dim: Option<usize>,
    /// Neurons of the decoder's feed-forward blocks
    #[arg(long, value_name = "N")]
    pub decoder_ffn_dim: Option<usize>,
    /// Longest sequence in pieces, marks included
    #[arg(long, value_name = "N")]
    pub max_positions: Option<usize>,
    /// Dropout of embeddings and sub-layers while training
    #[arg(long, value_name = "P")]
    pub dropout: Option<f32>,
    /// Dropout of attention weights
    #[arg(long, value_name = "P")]
    pub attention_dropout: Option<f32>,
    /// Dropout inside feed-forward blocks
    #[arg(long, value_name = "P")]
    pub activation_dropout: Option<f32>,
    /// How weights are drawn; `--init-std` alone means normal [default: xavier]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub init_method: Option<InitMethod>,
    /// Standard deviation of normal weights [default: 0.02]
    #[arg(long, value_name = "STD")]
    pub init_std: Option<f64>,
}

impl ShapeArgs {
    /// What provenance calls this shape.
    pub fn name(&self) -> &'static str {
        match (&self.model_config, self.preset) {
            (Some(_), _) => "config",
            (None, preset) => preset.unwrap_or(Preset::Small).name(),
        }
    }

    pub fn init_method(&self) -> InitMethod {
        match (self.init_method, self.init_std) {
            (Some(method), _) => method,
            (None, Some(_)) => InitMethod::Normal,
            (None, None) => InitMethod::default(),
        }
    }

    /// The configuration before the tokenizer is known.
    pub fn config(&self, vocab_size: usize) -> Result<ModelConfig> {
        let value = match &self.model_config {
            Some(path) => {
                let mut value: Value = hf::read_json(path)?;
                let Some(map) = value.as_object_mut() else {
                    return Err(Error::artifact("configuration is not an object").at(path));
                };
                let model_type = map.get("model_type").and_then(Value::as_str);
                if model_type.is_some_and(|t| t != "m2m_100") {
                    return Err(Error::artifact("configuration is of another architecture")
                        .at(path)
                        .key("model_type")
                        .found(model_type.unwrap_or_default())
                        .expected("`m2m_100`"));
                }
                map.insert("model_type".into(), "m2m_100".into());
                map.entry("vocab_size").or_insert(vocab_size.into());
                // Facts of the file the shape came from, not of the new model.
                for key in ["transformers_version", "_name_or_path", "torch_dtype"] {
                    map.remove(key);
                }
                value
            }
            None => {
                let (d_model, encoder_layers, decoder_layers, heads, ffn_dim, dropout) =
                    self.preset.unwrap_or(Preset::Small).sizes();
                json!({
                    "model_type": "m2m_100",
                    "vocab_size": vocab_size,
                    "d_model": d_model,
                    "encoder_layers": encoder_layers,
                    "decoder_layers": decoder_layers,
                    "encoder_ffn_dim": ffn_dim,
                    "decoder_ffn_dim": ffn_dim,
                    "encoder_attention_heads": heads,
                    "decoder_attention_heads": heads,
                    "max_position_embeddings": 1024,
                    "dropout": dropout,
                    "attention_dropout": 0.0,
                    "activation_dropout": 0.0,
                    "encoder_layerdrop": 0.0,
                    "decoder_layerdrop": 0.0,
                })
            }
        };
        let mut c: ModelConfig = serde_json::from_value(value).map_err(|e| {
            let e = Error::artifact("model configuration cannot be read").cause(e.to_string());
            match &self.model_config {
                Some(path) => e.at(path),
                None => e,
            }
        })?;
        fn set<T>(slot: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *slot = value;
            }
        }
        set(&mut c.d_model, self.d_model);
        set(&mut c.encoder_layers, self.encoder_layers);
        set(&mut c.decoder_layers, self.decoder_layers);
        set(&mut c.encoder_attention_heads, self.heads);
        set(&mut c.decoder_attention_heads, self.heads);
        set(&mut c.encoder_ffn_dim, self.encoder_ffn_dim.or(self.ffn_dim));
        set(&mut c.decoder_ffn_dim, self.decoder_ffn_dim.or(self.ffn_dim));
        set(&mut c.max_position_embeddings, self.max_positions);
        set(&mut c.dropout, self.dropout);
        set(&mut c.attention_dropout, self.attention_dropout);
        set(&mut c.activation_dropout, self.activation_dropout);
        set(&mut c.init_std, self.init_std);
        c.scale_embedding = true;
        c.tie_word_embeddings = true;
        for (key, value) in [
            ("architectures", json!(["M2M100ForConditionalGeneration"])),
            ("dtype", "float32".into()),
            ("is_encoder_decoder", true.into()),
            ("use_cache", true.into()),
        ] {
            c.rest.insert(key.into(), value);
        }
        self.check(&c)?;
        Ok(c)
    }

    /// Complains about sizes in terms of the flag or file they came from.
    pub fn check(&self, c: &ModelConfig) -> Result<()> {
        if self.init_method == Some(InitMethod::Xavier) && self.init_std.is_some() {
            return Err(Error::usage("a deviation has no meaning for `--init-method xavier`")
                .flag("--init-std")
                .hint("add `--init-method normal`"));
        }
        let fault = match c.fault() {
            Some(fault) => fault,
            None if !(c.init_std.is_finite() && c.init_std >= 0.0) => {
                ("init_std", format!("{} is not a standard deviation", c.init_std))
            }
            None if c.max_position_embeddings < 4 => {
                ("max_position_embeddings", "no room for a piece between the marks".into())
            }
            None => return Ok(()),
        };
        let (field, complaint) = fault;
        let e = Error::usage("shape of the model is not usable").key(field).found(complaint);
        Err(match &self.model_config {
            Some(path) => e.at(path),
            None => e.hint("see the sizes of the presets with `isogloss init --help`"),
        })
    }
}

/// Keys in order, as transformers writes configurations. Numbers that were read as f32 are
/// shown as short as they were given (0.1, not 0.10000000149).
pub fn sorted(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    let mut entries: Vec<(String, Value)> = map
        .into_iter()
        .map(|(k, v)| {
            let short = match &v {
                Value::Number(n) if n.is_f64() => {
                    n.as_f64().and_then(|x| (x as f32).to_string().parse::<f64>().ok())
                }
                _ => None,
            };
            (k, short.map_or(v, Value::from))
        })
        .collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Value::Object(entries.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Shape {
        #[command(flatten)]
        args: ShapeArgs,
    }

    fn config(flags: &str) -> Result<ModelConfig> {
        Shape::parse_from(format!("shape {flags}").split_whitespace()).args.config(8000)
    }

    #[test]
    fn presets_and_overrides() {
        let c = config("").unwrap();
        assert_eq!((c.d_model, c.encoder_layers, c.decoder_ffn_dim), (256, 3, 1024));
        let c =
            config("--preset big --decoder-layers 2 --ffn-dim 64 --encoder-ffn-dim 32").unwrap();
        assert_eq!((c.d_model, c.encoder_layers, c.decoder_layers), (1024, 6, 2));
        assert_eq!((c.encoder_ffn_dim, c.decoder_ffn_dim), (32, 64));
        for preset in ["tiny", "small", "iwslt", "deep", "base", "big"] {
            assert!(config(&format!("--preset {preset}")).unwrap().fault().is_none());
        }
    }

    #[test]
    fn impossible_shapes_name_the_field() {
        for (flags, field) in [
            ("--heads 3", "encoder_attention_heads"),
            ("--d-model 0", "d_model"),
            ("--dropout 1", "dropout"),
            ("--dropout nan", "dropout"),
            ("--max-positions 2", "max_position_embeddings"),
            ("--init-std -1", "init_std"),
        ] {
            let flags = flags.replacen(' ', "=", 1);
            let e = config(&flags).unwrap_err();
            assert_eq!(e.exit_code() as i32, 2, "{flags}");
            assert!(e.to_string().contains(field), "{e}");
        }
    }

    #[test]
    fn floats_are_written_short() {
        let v = sorted(json!({"b": f64::from(0.1f32), "a": 3}));
        assert_eq!(v.to_string(), r#"{"a":3,"b":0.1}"#);
    }
}
