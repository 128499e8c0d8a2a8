//! The layers of one direction from those of the base: masks gathered into smaller blocks, updates
//! of low rank put beside the maps or merged into them, adapters. What a direction does not change,
//! it shares.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::adapted::{AdaptedLinear, LowRankForm};
use super::adapters::LayerAdapters;
use super::weights::{CrossAttention, DecoderLayer, DirectionWeights, EncoderLayer};
use super::weights::{FeedForward, SelfAttention};
use crate::autograd::LowRank;
use crate::error::{Error, Result};
use crate::kernels::buffer::Arena;
use crate::kernels::masked::{Block, Compact};
use crate::kernels::packed::{
    Dense, MatrixRows, Multiples, PackedLinear, PackedMatrix, WeightFormat,
};
use crate::model::DirectionParts;
use crate::model::seam::{LayerParts, NeuronMask};

type Updates = BTreeMap<String, Vec<LowRank>>;

/// Where new weights go, and in which form.
struct Maker {
    arena: Arena,
    form: LowRankForm,
}

impl DirectionWeights {
    /// The layers of one direction.
    ///
    /// # Errors
    /// A bug: parts of another model.
    pub fn with_parts(&self, parts: &DirectionParts, form: LowRankForm) -> Result<Self> {
        if (parts.encoder.len(), parts.decoder.len()) != (self.encoder.len(), self.decoder.len()) {
            return Err(Error::bug("parts of another number of layers"));
        }
        let encoder = self.encoder.iter().zip(&parts.encoder);
        let decoder = self.decoder.iter().zip(&parts.decoder);
        Ok(Self {
            encoder: encoder.map(|(l, p)| l.with_parts(p, form)).collect::<Result<_>>()?,
            decoder: decoder.map(|(l, p)| l.with_parts(p, form)).collect::<Result<_>>()?,
            shortlist: self.shortlist.clone(),
        })
    }
}

impl EncoderLayer {
    /// The layer of a direction, which other directions may share.
    pub fn with_parts(&self, parts: &LayerParts, form: LowRankForm) -> Result<Self> {
        let mut maker = Maker::new(&self.feed_forward, parts, form);
        Ok(Self {
            self_attn: maker.self_attention(&self.self_attn, &parts.low_rank)?,
            feed_forward: maker.feed_forward(&self.feed_forward, parts)?,
            adapters: LayerAdapters::pack(parts, self.self_attn.norm.weight.len())?,
        })
    }
}

impl DecoderLayer {
    /// As of the encoder's.
    pub fn with_parts(&self, parts: &LayerParts, form: LowRankForm) -> Result<Self> {
        let mut maker = Maker::new(&self.feed_forward, parts, form);
        Ok(Self {
            self_attn: maker.self_attention(&self.self_attn, &parts.low_rank)?,
            encoder_attn: maker.cross_attention(&self.encoder_attn, &parts.low_rank)?,
            feed_forward: maker.feed_forward(&self.feed_forward, parts)?,
            adapters: LayerAdapters::pack(parts, self.self_attn.norm.weight.len())?,
        })
    }
}

fn of<'a>(updates: &'a Updates, module: &str) -> &'a [LowRank] {
    updates.get(module).map_or(&[], Vec::as_slice)
}

impl Maker {
    /// With room for a masked block; what else there is gets room of its own.
    fn new(block: &FeedForward, parts: &LayerParts, form: LowRankForm) -> Self {
        let mask = parts.neurons.as_ref().filter(|m| !m.is_full());
        let room = mask.map_or(0, |mask| {
            let (d, n) = (block.fc1.weight().k(), mask.kept().len().max(1));
            let format = block.fc1.weight().format();
            PackedLinear::packed_len(format, n, d) + PackedLinear::packed_len(format, d, n)
        });
        Self { arena: Arena::with_capacity(room), form }
    }

    fn map(
        &mut self,
        base: &AdaptedLinear,
        updates: &Updates,
        stacked: &[&str],
    ) -> Result<AdaptedLinear> {
        let rows = base.weight().n() / stacked.len();
        let parts: Vec<_> =
            stacked.iter().enumerate().map(|(i, m)| (i * rows, rows, of(updates, m))).collect();
        base.with_updates(&parts, self.form, &mut self.arena)
    }

    fn self_attention(
        &mut self,
        base: &Arc<SelfAttention>,
        updates: &Updates,
    ) -> Result<Arc<SelfAttention>> {
        if !updates.keys().any(|m| m.starts_with("self_attn.")) {
            return Ok(Arc::clone(base));
        }
        let stacked = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"];
        Ok(Arc::new(SelfAttention {
            norm: base.norm.clone(),
            in_proj: self.map(&base.in_proj, updates, &stacked)?,
            out_proj: self.map(&base.out_proj, updates, &["self_attn.out_proj"])?,
        }))
    }

    fn cross_attention(
        &mut self,
        base: &Arc<CrossAttention>,
        updates: &Updates,
    ) -> Result<Arc<CrossAttention>> {
        if !updates.keys().any(|m| m.starts_with("encoder_attn.")) {
            return Ok(Arc::clone(base));
        }
        let stacked = ["encoder_attn.k_proj", "encoder_attn.v_proj"];
        Ok(Arc::new(CrossAttention {
            norm: base.norm.clone(),
            q_proj: self.map(&base.q_proj, updates, &["encoder_attn.q_proj"])?,
            kv_proj: self.map(&base.kv_proj, updates, &stacked)?,
            out_proj: self.map(&base.out_proj, updates, &["encoder_attn.out_proj"])?,
        }))
    }

    fn feed_forward(
        &mut self,
        base: &Arc<FeedForward>,
        parts: &LayerParts,
    ) -> Result<Arc<FeedForward>> {
        if parts.neurons.as_ref().is_some_and(|m| m.ffn_dim() != base.fc1.weight().n()) {
            return Err(Error::bug("mask and feed-forward block do not fit"));
        }
        let mask = parts.neurons.as_ref().filter(|m| !m.is_full());
        let updated = ["fc1", "fc2"].iter().any(|m| !of(&parts.low_rank, m).is_empty());
        Ok(match mask {
            None if !updated => Arc::clone(base),
            Some(mask) if !updated => Arc::new(self.compact(base, mask.kept())?),
            mask => {
                let fc1 = match mask {
                    Some(mask) => self.keep_rows(&base.fc1, mask)?,
                    None => base.fc1.clone(),
                };
                Arc::new(FeedForward {
                    norm: base.norm.clone(),
                    fc1: self.map(&fc1, &parts.low_rank, &["fc1"])?,
                    fc2: self.map(&base.fc2, &parts.low_rank, &["fc2"])?,
                })
            }
        })
    }

    /// The block of the neurons `kept`, sorted; see [`crate::kernels::masked`] for why it is equal.
    fn compact(&mut self, base: &FeedForward, kept: &[u32]) -> Result<FeedForward> {
        let (ffn, width) = (base.fc1.weight().n(), base.fc1.weight().k());
        let (w1, w2) = (base.fc1.weight().to_rows(), base.fc2.weight().to_rows());
        let (b1, b2) = (&base.fc1.bias()[..ffn], &base.fc2.bias()[..width]);
        // The kernels want something to multiply: without any neuron, one that does nothing.
        let inner = kept.len().max(1);
        let block = Compact::gather(Block { w1: &w1, b1, w2: &w2, b2, width }, kept, inner);
        let scales = base.fc1.weight().scales().map(|s| {
            let mut own: Vec<f32> = kept.iter().map(|&i| s[i as usize]).collect();
            own.resize(inner, 0.0);
            own
        });
        let format = base.fc1.weight().format();
        let fc1 = self.pack(format, &block.w1, &block.b1, width, scales.as_deref())?;
        let scales = base.fc2.weight().scales();
        let fc2 = self.pack(format, &block.w2, &block.b2, inner, scales)?;
        Ok(FeedForward { norm: base.norm.clone(), fc1, fc2 })
    }

    /// With updates a masked neuron is no constant, so the block keeps its width.
    fn keep_rows(&mut self, fc1: &AdaptedLinear, mask: &NeuronMask) -> Result<AdaptedLinear> {
        let (n, k) = (fc1.weight().n(), fc1.weight().k());
        let rows = fc1.weight().to_rows();
        let mut kept = vec![0f32; rows.len()];
        for &i in mask.kept().iter() {
            let at = i as usize * k;
            kept[at..at + k].copy_from_slice(&rows[at..at + k]);
        }
        let scales = fc1.weight().scales();
        self.pack(fc1.weight().format(), &kept, &fc1.bias()[..n], k, scales)
    }

    /// Rows taken out of integers keep their `scales`: they are not rounded a second time.
    fn pack(
        &mut self,
        format: WeightFormat,
        values: &[f32],
        bias: &[f32],
        k: usize,
        scales: Option<&[f32]>,
    ) -> Result<AdaptedLinear> {
        let rows: &dyn MatrixRows = match scales {
            Some(scales) => &Multiples { values, k, scales },
            None => &Dense { values: values.into(), k },
        };
        let weight = PackedMatrix::pack_as(&mut self.arena, format, &[rows], k)?;
        Ok(PackedLinear::new(&mut self.arena, weight, &[bias]).into())
    }
}
