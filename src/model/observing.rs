//! Teacher forcing with an eye on the feed-forward blocks, on whatever device the weights lie: what
//! [`super::inference::Decoder::observe`] does on the CPU.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::inference::{Activity, ActivityOptions, BlockActivity, ForcedPair};
use super::layers::{Keys, Layer, Noise, Pass};
use super::m2m100::M2m100;
use crate::autograd::{Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::infer::activity::SUM_SCALE;

/// One side of several sentences.
struct Side {
    /// Padding included: the last row of a sentence may be.
    ids: Arc<[u32]>,
    places: Vec<u32>,
    offsets: Arc<[usize]>,
    keys: Keys,
    weights: Weights,
}

/// How often each row counts.
struct Weights {
    /// `[1, rows]`, in f64.
    rows: Tensor,
    /// `[rows, 1]`: 1 where a row counts at all.
    counts: Tensor,
    /// `[rows]`: the sentence of each row.
    sentences: Tensor,
    num_sentences: usize,
}

impl Side {
    /// `places` tells where tokens stand. A sentence with a weight more than tokens ends in a padding
    /// position, which sees the others and is seen by none.
    fn new<'a>(
        sides: impl Iterator<Item = (&'a [u32], &'a [u32])>,
        places: impl Fn(&[u32]) -> Vec<u32>,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        let (mut ids, mut at, mut offsets) = (Vec::new(), Vec::new(), vec![0]);
        let (mut weights, mut sentence_of) = (Vec::new(), Vec::new());
        let (mut kept, mut kept_offsets) = (Vec::new(), vec![0]);
        for (s, (tokens, own)) in (0u32..).zip(sides) {
            if tokens.is_empty() || !(tokens.len()..=tokens.len() + 1).contains(&own.len()) {
                return Err(Error::bug("a sentence without tokens, or with weights of another"));
            }
            kept.extend((ids.len()..ids.len() + tokens.len()).map(|r| r as u32));
            kept_offsets.push(kept.len());
            ids.extend_from_slice(tokens);
            at.extend(places(tokens));
            if own.len() > tokens.len() {
                ids.push(pad);
                at.push(pad);
            }
            weights.extend(own.iter().map(|w| f64::from(*w)));
            sentence_of.extend(own.iter().map(|_| s));
            offsets.push(ids.len());
        }
        let (rows, all) = (ids.len(), kept.len() == ids.len());
        let counts: Vec<f32> = weights.iter().map(|w| f32::from(*w > 0.0)).collect();
        let keys = match all {
            true => None,
            false => Some(Tensor::from_slice(&kept, kept.len(), device)?),
        };
        Ok(Self {
            ids: ids.into(),
            places: at,
            keys: Keys { rows: keys, offsets: kept_offsets.into() },
            weights: Weights {
                rows: Tensor::from_vec(weights, (1, rows), device)?,
                counts: Tensor::from_vec(counts, (rows, 1), device)?,
                sentences: Tensor::from_vec(sentence_of, rows, device)?,
                num_sentences: offsets.len() - 1,
            },
            offsets: offsets.into(),
        })
    }
}

impl Weights {
    /// Adds what `inner` `[rows, ffn_dim]` shows.
    fn add(&self, inner: &Tensor, o: ActivityOptions, to: &mut BlockActivity) -> Result<()> {
        let is_active = inner.gt(f64::from(o.threshold))?;
        let ffn = inner.dims2()?.1;
        // Whole numbers, exact in f64 and, while they are small, in f32.
        let active = match o.per_sentence {
            false => self.rows.matmul(&is_active.to_dtype(DType::F64)?)?,
            true => {
                let seen = is_active.to_dtype(DType::F32)?.broadcast_mul(&self.counts)?;
                let none = Tensor::zeros((self.num_sentences, ffn), DType::F32, inner.device())?;
                let times = none.index_add(&self.sentences, &seen, 0)?;
                times.gt(0.0)?.to_dtype(DType::F64)?.sum_keepdim(0)?
            }
        };
        let sums = match o.sums {
            false => Vec::new(),
            true => {
                let units = (inner.to_dtype(DType::F64)? * SUM_SCALE)?.round()?;
                // A row that does not count may hold anything.
                let counts = self.counts.gt(0.0)?.broadcast_as(units.shape())?;
                let units = counts.where_cond(&units, &units.zeros_like()?)?;
                let sums = self.rows.matmul(&units)?;
                sums.flatten_all()?.to_vec1::<f64>()?
            }
        };
        to.add(&active.flatten_all()?.to_vec1::<f64>()?, &sums);
        Ok(())
    }
}

impl M2m100 {
    /// Reads sentence pairs with teacher forcing and adds what the neurons do to `activity`, with
    /// operations put together from those of the tensor library. No sentence may be empty or longer than
    /// the model's positions.
    ///
    /// # Errors
    /// The device's own: no memory, above all.
    pub fn observe(&self, pairs: &[ForcedPair], activity: &mut Activity) -> Result<()> {
        let tape = &Tape::disabled().composed();
        let pad = self.config.pad_token_id;
        let device = self.shared.tensor.device();
        let sources = pairs.iter().map(ForcedPair::source);
        let source = Side::new(sources, |ids| self.source_places(ids), pad, device)?;
        let places =
            |ids: &[u32]| (0..).zip(ids).map(|(i, id)| self.target_place(*id, i)).collect();
        let target = Side::new(pairs.iter().map(ForcedPair::target), places, pad, device)?;
        let options = activity.options;

        let states = self.watch(tape, &source, &self.encoder, None, |layer, inner| {
            source.weights.add(inner, options, &mut activity.encoder[layer])
        })?;
        let states = source.keys.of(&self.encoder_norm.forward(tape, &states)?)?;
        let memory = Some((&states, &source.keys.offsets));
        self.watch(tape, &target, &self.decoder, memory, |layer, inner| {
            target.weights.add(inner, options, &mut activity.decoder[layer])
        })?;
        Ok(())
    }

    fn watch(
        &self,
        tape: &Tape,
        side: &Side,
        layers: &[Arc<Layer>],
        memory: Option<(&Value, &Arc<[usize]>)>,
        mut see: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Value> {
        let noise = Noise::none();
        let pass = Pass { tape, noise: &noise, config: &self.config, offsets: &side.offsets };
        let mut x = self.embed_at(tape, &side.ids, &side.places)?;
        for (i, layer) in layers.iter().enumerate() {
            x = layer.watched(&pass, &x, &side.keys, memory, &mut |inner| see(i, inner))?;
        }
        Ok(x)
    }
}
