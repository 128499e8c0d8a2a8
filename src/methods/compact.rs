//! A masked model of one direction as a plain, smaller model.
//!
//! The published layout has one feed-forward width for all layers of a side. A side therefore
//! gets the width of its widest layer, and narrower layers are filled up with neurons that do
//! nothing: zero weights and zero bias.

use std::cell::RefCell;

use crate::error::{Error, Result};
use crate::kernels::masked::{Block, Compact};
use crate::model::seam::{LayerParts, NeuronMask};
use crate::model::{DirectionParts, ModelConfig};

/// Reads the parameters of the smaller model from those of the full one.
pub struct CompactModel<'a> {
    full: &'a ModelConfig,
    config: ModelConfig,
    parts: &'a DirectionParts,
    /// The layer gathered last: its parameters are asked for one after another.
    last: RefCell<Option<(String, Compact)>>,
}

/// Neurons that each layer of a side keeps.
fn kept(layers: &[LayerParts], ffn: usize) -> Vec<usize> {
    layers.iter().map(|l| l.neurons.as_ref().map_or(ffn, |m| m.kept().len())).collect()
}

impl<'a> CompactModel<'a> {
    pub fn new(full: &'a ModelConfig, parts: &'a DirectionParts) -> Self {
        let widest = |layers: &[LayerParts], ffn: usize| {
            kept(layers, ffn).into_iter().max().unwrap_or(ffn).max(1)
        };
        let config = ModelConfig {
            encoder_ffn_dim: widest(&parts.encoder, full.encoder_ffn_dim),
            decoder_ffn_dim: widest(&parts.decoder, full.decoder_ffn_dim),
            ..full.clone()
        };
        Self { full, config, parts, last: RefCell::new(None) }
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Neurons that each layer of encoder and decoder keeps.
    pub fn widths(&self) -> [Vec<usize>; 2] {
        [
            kept(&self.parts.encoder, self.full.encoder_ffn_dim),
            kept(&self.parts.decoder, self.full.decoder_ffn_dim),
        ]
    }

    /// A parameter of the smaller model; `full` gives those of the full one.
    pub fn values(
        &self,
        name: &str,
        shape: &[usize],
        full: impl Fn(&str, &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Vec<f32>> {
        let Some((layer, part)) = name.split_once(".fc1.").or_else(|| name.split_once(".fc2."))
        else {
            return full(name, shape);
        };
        let mut last = self.last.borrow_mut();
        if last.as_ref().is_none_or(|(l, _)| l != layer) {
            *last = Some((layer.to_string(), self.gather(layer, full)?));
        }
        let Some((_, small)) = &*last else { return Err(Error::bug("no layer was gathered")) };
        Ok(match (name.contains(".fc1."), part) {
            (true, "weight") => small.w1.clone(),
            (true, _) => small.b1.clone(),
            (false, "weight") => small.w2.clone(),
            (false, _) => small.b2.clone(),
        })
    }

    fn gather(
        &self,
        layer: &str,
        full: impl Fn(&str, &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Compact> {
        let (mask, ffn, width) = self.layer(layer)?;
        let d = self.full.d_model;
        let w1 = full(&format!("{layer}.fc1.weight"), &[ffn, d])?;
        let b1 = full(&format!("{layer}.fc1.bias"), &[ffn])?;
        let w2 = full(&format!("{layer}.fc2.weight"), &[d, ffn])?;
        let b2 = full(&format!("{layer}.fc2.bias"), &[d])?;
        let all: Vec<u32> = (0..ffn as u32).collect();
        let kept = mask.map_or(&all[..], |m| m.kept());
        Ok(Compact::gather(Block { w1: &w1, b1: &b1, w2: &w2, b2: &b2, width: d }, kept, width))
    }

    /// Mask, full width and width of a layer such as `model.encoder.layers.2`.
    fn layer(&self, name: &str) -> Result<(Option<&NeuronMask>, usize, usize)> {
        let unknown = || Error::bug(format!("no layer is called `{name}`"));
        let (rest, index) = name.rsplit_once('.').ok_or_else(unknown)?;
        let index: usize = index.parse().map_err(|_| unknown())?;
        let (parts, ffn, width) = if rest.contains("encoder") {
            (&self.parts.encoder, self.full.encoder_ffn_dim, self.config.encoder_ffn_dim)
        } else {
            (&self.parts.decoder, self.full.decoder_ffn_dim, self.config.decoder_ffn_dim)
        };
        Ok((parts.get(index).ok_or_else(unknown)?.neurons.as_ref(), ffn, width))
    }
}
