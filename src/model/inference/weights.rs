//! Layer weights in the form the kernels read.

use std::sync::Arc;

use super::adapted::AdaptedLinear;
use super::adapters::LayerAdapters;
use crate::error::Result;
use crate::kernels::buffer::Arena;
use crate::kernels::infer::vocab::OutputLayer;
use crate::kernels::packed::{Dense, MatrixRows, PackedLinear, PackedMatrix, WeightFormat};
use crate::model::checkpoint::{SHARED, parameter_shapes};
use crate::model::{Checkpoint, ModelConfig};

/// Where weights come from: a checkpoint, or a model in training. Names and shapes as in the
/// checkpoint.
pub trait Parameters {
    /// A whole parameter, row-major.
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>>;
    /// A matrix `[n, k]`.
    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Box<dyn MatrixRows + '_>>;
}

impl Parameters for Checkpoint {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.values(name, shape)
    }
    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Box<dyn MatrixRows + '_>> {
        Ok(Box::new(self.matrix(name, shape)?))
    }
}

/// Parameters that a function gives.
pub struct Given<F>(pub F);

impl<F: Fn(&str, &[usize]) -> Result<Vec<f32>>> Parameters for Given<F> {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.0(name, shape)
    }
    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Box<dyn MatrixRows + '_>> {
        Ok(Box::new(Dense { values: self.0(name, &shape)?.into(), k: shape[1] }))
    }
}

/// What a model is made of, and how its matrices are held.
pub struct Source<'a> {
    pub config: &'a ModelConfig,
    pub format: WeightFormat,
    pub parameters: &'a dyn Parameters,
    /// `[vocab]`
    pub final_logits_bias: Option<&'a [f32]>,
}

impl Source<'_> {
    fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.parameters.values(name, shape)
    }
}

#[derive(Clone)]
pub struct LayerNormWeights {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// Self-attention: queries, keys and values in one product.
pub struct SelfAttention {
    pub norm: LayerNormWeights,
    /// `[3 * d_model, d_model]`: `q_proj`, `k_proj`, `v_proj`.
    pub in_proj: AdaptedLinear,
    pub out_proj: AdaptedLinear,
}

/// Cross-attention (`encoder_attn`).
pub struct CrossAttention {
    pub norm: LayerNormWeights,
    pub q_proj: AdaptedLinear,
    /// `[2 * d_model, d_model]`: `k_proj`, `v_proj`; applied once to a source.
    pub kv_proj: AdaptedLinear,
    pub out_proj: AdaptedLinear,
}

pub struct FeedForward {
    pub norm: LayerNormWeights,
    pub fc1: AdaptedLinear,
    pub fc2: AdaptedLinear,
}

/// Parts are shared, so that a direction can replace one of them and keep the others.
#[derive(Clone)]
pub struct EncoderLayer {
    pub self_attn: Arc<SelfAttention>,
    pub feed_forward: Arc<FeedForward>,
    pub adapters: LayerAdapters,
}

#[derive(Clone)]
pub struct DecoderLayer {
    pub self_attn: Arc<SelfAttention>,
    pub encoder_attn: Arc<CrossAttention>,
    pub feed_forward: Arc<FeedForward>,
    pub adapters: LayerAdapters,
}

/// The layers one direction runs with.
pub struct DirectionWeights {
    pub encoder: Vec<EncoderLayer>,
    pub decoder: Vec<DecoderLayer>,
    /// The tokens that search may choose from, where they are not all.
    pub shortlist: Option<Arc<OutputLayer>>,
}

/// The norms behind the last layer of each side.
pub struct FinalNorms {
    pub encoder: LayerNormWeights,
    pub decoder: LayerNormWeights,
}

impl FinalNorms {
    pub fn load(c: &Source<'_>) -> Result<Self> {
        Ok(Self {
            encoder: load_norm(c, "model.encoder.layer_norm")?,
            decoder: load_norm(c, "model.decoder.layer_norm")?,
        })
    }
}

impl DirectionWeights {
    pub fn load(c: &Source<'_>, arena: &mut Arena) -> Result<Self> {
        let encoder = (0..c.config.encoder_layers)
            .map(|i| {
                let layer = format!("model.encoder.layers.{i}");
                let ffn = c.config.encoder_ffn_dim;
                Ok(EncoderLayer {
                    self_attn: Arc::new(load_self_attention(c, arena, &layer)?),
                    feed_forward: Arc::new(load_feed_forward(c, arena, &layer, ffn)?),
                    adapters: LayerAdapters::default(),
                })
            })
            .collect::<Result<_>>()?;
        let decoder = (0..c.config.decoder_layers)
            .map(|i| {
                let layer = format!("model.decoder.layers.{i}");
                let ffn = c.config.decoder_ffn_dim;
                Ok(DecoderLayer {
                    self_attn: Arc::new(load_self_attention(c, arena, &layer)?),
                    encoder_attn: Arc::new(load_cross_attention(c, arena, &layer)?),
                    feed_forward: Arc::new(load_feed_forward(c, arena, &layer, ffn)?),
                    adapters: LayerAdapters::default(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { encoder, decoder, shortlist: None })
    }

    /// Values of a row between the thin products of its widest updates.
    pub fn low_width(&self) -> usize {
        let attention = |a: &SelfAttention| a.in_proj.low_width().max(a.out_proj.low_width());
        let ffn = |f: &FeedForward| f.fc1.low_width().max(f.fc2.low_width());
        let encoder =
            self.encoder.iter().map(|l| attention(&l.self_attn).max(ffn(&l.feed_forward)));
        let decoder = self.decoder.iter().map(|l| {
            let c = &l.encoder_attn;
            let cross = c.q_proj.low_width().max(c.kv_proj.low_width()).max(c.out_proj.low_width());
            cross.max(attention(&l.self_attn)).max(ffn(&l.feed_forward))
        });
        encoder.chain(decoder).max().unwrap_or(0)
    }

    /// Values of a row inside the widest adapter.
    pub fn adapter_width(&self) -> usize {
        let encoder = self.encoder.iter().map(|l| l.adapters.width());
        encoder.chain(self.decoder.iter().map(|l| l.adapters.width())).max().unwrap_or(0)
    }

    pub fn size_bytes(&self) -> usize {
        let attention = |a: &SelfAttention| a.in_proj.size_bytes() + a.out_proj.size_bytes();
        let cross = |a: &CrossAttention| {
            a.q_proj.size_bytes() + a.kv_proj.size_bytes() + a.out_proj.size_bytes()
        };
        let ffn = |f: &FeedForward| f.fc1.size_bytes() + f.fc2.size_bytes();
        let encoder: usize = self
            .encoder
            .iter()
            .map(|l| attention(&l.self_attn) + ffn(&l.feed_forward) + l.adapters.size_bytes())
            .sum();
        let decoder: usize = self
            .decoder
            .iter()
            .map(|l| {
                let blocks = attention(&l.self_attn) + cross(&l.encoder_attn);
                blocks + ffn(&l.feed_forward) + l.adapters.size_bytes()
            })
            .sum();
        encoder + decoder + self.shortlist.as_ref().map_or(0, |s| s.size_bytes())
    }
}

/// Values that all packed matrices of a model take, or a little more.
pub fn packed_len(c: &ModelConfig, format: WeightFormat) -> usize {
    parameter_shapes(c)
        .values()
        .map(|shape| match shape.as_slice() {
            [n, k] => PackedLinear::packed_len(format, *n, *k),
            _ => 0,
        })
        .sum()
}

/// The shared embedding as output layer, with the final bias where one is stored.
pub fn load_output(c: &Source<'_>, arena: &mut Arena) -> Result<OutputLayer> {
    let d = c.config.d_model;
    let rows = c.parameters.matrix(SHARED, [c.config.vocab_size, d])?;
    let weight = PackedMatrix::pack_as(arena, c.format, &[rows.as_ref()], d)?;
    Ok(OutputLayer::new(arena, weight, c.final_logits_bias))
}

fn load_norm(c: &Source<'_>, name: &str) -> Result<LayerNormWeights> {
    let d = c.config.d_model;
    Ok(LayerNormWeights {
        weight: c.values(&format!("{name}.weight"), &[d])?,
        bias: c.values(&format!("{name}.bias"), &[d])?,
    })
}

/// Several maps of one input as one product, stacked in the order of `names`.
fn load_linear(
    c: &Source<'_>,
    arena: &mut Arena,
    layer: &str,
    names: &[&str],
    n: usize,
    k: usize,
) -> Result<AdaptedLinear> {
    let weights: Vec<Box<dyn MatrixRows + '_>> = names
        .iter()
        .map(|name| c.parameters.matrix(&format!("{layer}.{name}.weight"), [n, k]))
        .collect::<Result<_>>()?;
    let biases: Vec<Vec<f32>> = names
        .iter()
        .map(|name| c.values(&format!("{layer}.{name}.bias"), &[n]))
        .collect::<Result<_>>()?;
    let parts: Vec<&dyn MatrixRows> = weights.iter().map(|w| w.as_ref() as _).collect();
    let bias: Vec<&[f32]> = biases.iter().map(Vec::as_slice).collect();
    let weight = PackedMatrix::pack_as(arena, c.format, &parts, k)?;
    Ok(PackedLinear::new(arena, weight, &bias).into())
}

fn load_self_attention(c: &Source<'_>, arena: &mut Arena, layer: &str) -> Result<SelfAttention> {
    let d = c.config.d_model;
    let names = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
    Ok(SelfAttention {
        norm: load_norm(c, &format!("{layer}.self_attn_layer_norm"))?,
        in_proj: load_linear(c, arena, layer, &names, d, d)?,
        out_proj: load_linear(c, arena, layer, &["self_attn.out_proj"], d, d)?,
    })
}

fn load_cross_attention(c: &Source<'_>, arena: &mut Arena, layer: &str) -> Result<CrossAttention> {
    let d = c.config.d_model;
    Ok(CrossAttention {
        norm: load_norm(c, &format!("{layer}.encoder_attn_layer_norm"))?,
        q_proj: load_linear(c, arena, layer, &["encoder_attn.q_proj"], d, d)?,
        kv_proj: load_linear(
            c,
            arena,
            layer,
            &["encoder_attn.k_proj", "encoder_attn.v_proj"],
            d,
            d,
        )?,
        out_proj: load_linear(c, arena, layer, &["encoder_attn.out_proj"], d, d)?,
    })
}

fn load_feed_forward(
    c: &Source<'_>,
    arena: &mut Arena,
    layer: &str,
    ffn: usize,
) -> Result<FeedForward> {
    let d = c.config.d_model;
    Ok(FeedForward {
        norm: load_norm(c, &format!("{layer}.final_layer_norm"))?,
        fc1: load_linear(c, arena, layer, &["fc1"], ffn, d)?,
        fc2: load_linear(c, arena, layer, &["fc2"], d, ffn)?,
    })
}
