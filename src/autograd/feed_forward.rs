//! Feed-forward blocks with a mask on their neurons, as operations of [`Tape`].

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::composed;
use super::tape::{Source, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::masked::{Backward, Block, Compact, Saved, aligned};
use crate::kernels::storage::values;
use crate::kernels::weights::widened;

/// The parameters of a block, shapes as in [`Block`].
#[derive(Clone, Debug)]
pub struct FeedForwardWeights {
    pub w1: Value,
    pub b1: Value,
    pub w2: Value,
    pub b2: Value,
}

impl Tape {
    /// `W2 ReLU(diag(m) W1 x + b1) + b2` with `m` one for the neurons `kept` (sorted): computed
    /// on their rows and columns only, forward and backward. `[tokens, out]`.
    pub fn masked_feed_forward(
        &self,
        x: &Value,
        weights: &FeedForwardWeights,
        kept: &Arc<[u32]>,
    ) -> Result<Value> {
        let (rows, width) = x.tensor().dims2()?;
        let (ffn, w1_in) = weights.w1.tensor().dims2()?;
        let (out, w2_in) = weights.w2.tensor().dims2()?;
        if w1_in != width || w2_in != ffn || kept.last().is_some_and(|&i| i as usize >= ffn) {
            return Err(Error::bug("mask and feed-forward block do not fit"));
        }
        if !self.has_kernels(x) {
            return composed::masked_feed_forward(self, x, weights, kept);
        }
        let (compact, h, y) = with_block(weights, |block| {
            let compact = Compact::gather(block, kept, aligned(kept.len()));
            let x = values(x.tensor())?;
            let (h, y) = compact.forward(&x, width);
            Ok((compact, h, y))
        })?;
        let y = Tensor::from_vec(y, (rows, out), &Device::Cpu)?;
        let FeedForwardWeights { w1, b1, w2, b2 } = weights;
        let to = [w1.source(), b1.source(), w2.source(), b2.source(), x.source()];
        Ok(self.push(y, &to, || {
            // Only the gradient of `fc1.weight` needs the input.
            let x = (to[0] != Source::Constant).then(|| x.tensor().clone());
            let (weights, kept) = (weights.clone(), kept.clone());
            Box::new(move |incoming, back| {
                let x = x.as_ref().map(values).transpose()?;
                let dy = values(incoming.tensor())?;
                with_block(&weights, |block| {
                    let saved = Saved { x: x.as_deref().unwrap_or(&[]), h: &h, dy: &dy };
                    let b = Backward::new(block, &compact, &kept, saved);
                    back.write(to[0], &[ffn, width], |g, accumulate| b.w1(g, accumulate))?;
                    back.write(to[1], &[ffn], |g, accumulate| b.b1(g, accumulate))?;
                    back.write(to[2], &[out, ffn], |g, accumulate| b.w2(g, accumulate))?;
                    back.write(to[3], &[out], |g, accumulate| b.b2(g, accumulate))?;
                    back.write(to[4], &[rows, width], |g, accumulate| b.x(g, accumulate))
                })
            })
        }))
    }

    /// The matrix with all rows but the `kept` ones zeroed: the mask as it is defined, for what
    /// the compact block cannot do (an update of low rank in the block, dropout inside it).
    pub fn keep_rows(&self, w: &Value, kept: &Arc<[u32]>) -> Result<Value> {
        if !self.has_kernels(w) {
            return composed::keep_rows(self, w, kept);
        }
        let (rows, width) = w.tensor().dims2()?;
        let masked = kept_rows(&widened(w.tensor())?, rows * width, width, kept);
        let to = w.source();
        Ok(self.push(Tensor::from_vec(masked, (rows, width), &Device::Cpu)?, &[to], || {
            let kept = kept.clone();
            Box::new(move |incoming, back| {
                let g = kept_rows(&values(incoming.tensor())?, rows * width, width, &kept);
                back.add_owned(to, Tensor::from_vec(g, (rows, width), &Device::Cpu)?)
            })
        }))
    }
}

fn kept_rows(w: &[f32], len: usize, width: usize, kept: &[u32]) -> Vec<f32> {
    let mut out = vec![0f32; len];
    for &i in kept {
        let at = i as usize * width;
        out[at..at + width].copy_from_slice(&w[at..at + width]);
    }
    out
}

fn with_block<T>(
    weights: &FeedForwardWeights,
    f: impl FnOnce(Block<'_>) -> Result<T>,
) -> Result<T> {
    let w1 = widened(weights.w1.tensor())?;
    let (b1, w2) = (values(weights.b1.tensor())?, widened(weights.w2.tensor())?);
    let b2 = values(weights.b2.tensor())?;
    let width = weights.w1.tensor().dims2()?.1;
    f(Block { w1: &w1, b1: &b1, w2: &w2, b2: &b2, width })
}
