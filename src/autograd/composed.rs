//! The operations put together from those of the tensor library, for devices the kernels do not know.
//!
//! Each is what its namesake in `ops.rs` computes, in another order of sums. They take tensors
//! wherever these lie, so that on the CPU a test holds them against the kernels.

mod attention;
mod feed_forward;
mod linear;
mod loss;
mod rows;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::gradients::{Backward, Incoming};
use super::tape::{Source, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::dropout::{self, Dropout};
use crate::kernels::layer_norm::EPS;
use crate::kernels::storage::values;

pub(super) use attention::{Layouts, attention};
pub(super) use feed_forward::{keep_rows, masked_feed_forward};
pub(super) use linear::{linear, low_rank_linear, softmax};
pub use loss::{CrossEntropy, LossGradients, cross_entropy};
pub(super) use rows::{concat_rows, gather_rows, row};

/// The values as f32; the same tensor when they are that already.
fn wide(t: &Tensor) -> Result<Tensor> {
    Ok(t.to_dtype(DType::F32)?)
}

/// Makes a device ready for products as a tape asks for them: factors rounded to bf16 lose nothing in a
/// GPU's short floats.
pub fn set_precision(in_bf16: bool) {
    candle_core::cuda::set_gemm_reduced_precision_f32(in_bf16);
}

/// A factor of a product in f32, its values rounded to bf16 when asked for.
pub fn factor(t: &Tensor, in_bf16: bool) -> Result<Tensor> {
    match in_bf16 {
        true => wide(&t.to_dtype(DType::BF16)?),
        false => wide(t),
    }
}

/// `a b` in f32; of values rounded to bf16 when asked for. Products of such values are exact in f32, and
/// in the short floats a GPU may multiply f32 in (TF32), so that only the factors are rounded.
pub(super) fn product(a: &Tensor, b: &Tensor, in_bf16: bool) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if in_bf16 && super::cuda::has(a) && a.rank() == 2 && b.rank() == 2 {
        return crate::kernels::cuda::product_of_bf16(a, b);
    }
    Ok(factor(a, in_bf16)?.matmul(&factor(b, in_bf16)?)?)
}

/// `a bᵀ` in the same way; `b` is rounded where it lies, before it is transposed.
pub(super) fn product_t(a: &Tensor, b: &Tensor, in_bf16: bool) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if in_bf16 && super::cuda::has(a) && a.rank() == 2 && b.rank() == 2 {
        return crate::kernels::cuda::product_of_bf16(a, &b.t()?);
    }
    Ok(factor(a, in_bf16)?.matmul(&factor(b, in_bf16)?.t()?)?)
}

/// Indices on a device.
pub(super) fn indices(ids: &[u32], device: &Device) -> Result<Tensor> {
    Ok(Tensor::from_slice(ids, ids.len(), device)?)
}

/// `y + b`, then ReLU when asked; `y` `[rows, n]` is nobody else's and may be changed.
fn with_bias(y: Tensor, b: Option<&Tensor>, relu: bool) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if let Some(b) = b.filter(|_| super::cuda::has(&y)) {
        crate::kernels::cuda::bias(&y, &b.contiguous()?, relu)?;
        return Ok(y);
    }
    let y = match b {
        Some(b) => y.broadcast_add(b)?,
        None => y,
    };
    Ok(if relu { y.relu()? } else { y })
}

/// A gradient in front of ReLU, whose result was `y`.
fn in_front_of_relu(dy: &Tensor, y: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::has(y) {
        return crate::kernels::cuda::relu_backward(dy, y);
    }
    Ok((dy * is_positive(y)?)?)
}

/// The sums of the columns of `[rows, n]`.
fn column_sums(x: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::has(x) {
        return crate::kernels::cuda::column_sums(x);
    }
    Ok(x.sum(0)?)
}

/// 1 where a value is above zero, else 0.
fn is_positive(t: &Tensor) -> Result<Tensor> {
    Ok(t.gt(0.0)?.to_dtype(DType::F32)?)
}

/// `x` through the mask of a draw, or a gradient through it.
fn thinned(x: &Tensor, d: Dropout) -> Result<Tensor> {
    if d.is_none() {
        return Ok(x.clone());
    }
    let x = x.contiguous()?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        return crate::kernels::cuda::dropout(&x, d);
    }
    // Drawn on the host.
    Ok(Tensor::from_vec(dropout::apply(&values(&x)?, d), x.dims(), x.device())?)
}

impl Backward<'_> {
    /// Adds what `gradient` computes, where anything takes it.
    fn give(&mut self, to: Source, gradient: impl FnOnce() -> Result<Tensor>) -> Result<()> {
        match to {
            Source::Constant => Ok(()),
            _ => self.add_owned(to, gradient()?.contiguous()?),
        }
    }
}

pub(super) fn embed(
    tape: &Tape,
    weight: &Value,
    positions: &Tensor,
    ids: &Arc<[u32]>,
    places: &[u32],
    scale: f32,
) -> Result<Value> {
    #[cfg(feature = "cuda")]
    if super::cuda::has(weight.tensor()) {
        return super::cuda::embed(tape, weight, positions, ids, places, scale);
    }
    let device = weight.tensor().device();
    let ids = indices(ids, device)?;
    let rows = wide(&weight.tensor().index_select(&ids, 0)?)?;
    let at = positions.to_device(device)?.index_select(&indices(places, device)?, 0)?;
    let out = ((rows * f64::from(scale))? + at)?;
    let (to, dims) = (weight.source(), weight.tensor().dims().to_vec());
    Ok(tape.push(out, &[to], || {
        Box::new(move |incoming, back| {
            back.give(to, || {
                let dy = incoming.tensor();
                let none = Tensor::zeros(dims, DType::F32, dy.device())?;
                Ok(none.index_add(&ids, &(dy * f64::from(scale))?, 0)?)
            })
        })
    }))
}

pub(super) fn dropout(tape: &Tape, x: &Value, d: Dropout) -> Result<Value> {
    let (out, to) = (thinned(x.tensor(), d)?, x.source());
    Ok(tape.push(out, &[to], || {
        Box::new(move |incoming, back| back.give(to, || thinned(incoming.tensor(), d)))
    }))
}

pub(super) fn residual(tape: &Tape, x: &Value, h: &Value, d: Dropout) -> Result<Value> {
    #[cfg(feature = "cuda")]
    if super::cuda::has(x.tensor()) {
        return super::cuda::residual(tape, x, h, d);
    }
    let out = (x.tensor() + thinned(h.tensor(), d)?)?;
    let (to_x, to_h) = (x.source(), h.source());
    Ok(tape.push(out, &[to_x, to_h], || {
        Box::new(move |incoming: Incoming, back| {
            let g = incoming.into_shared();
            back.add(to_h, thinned(&g, d)?)?;
            back.add(to_x, g)
        })
    }))
}

pub(super) fn layer_norm(tape: &Tape, x: &Value, w: &Value, b: &Value) -> Result<Value> {
    #[cfg(feature = "cuda")]
    if super::cuda::has(x.tensor()) {
        return super::cuda::layer_norm(tape, x, w, b);
    }
    let width = w.tensor().elem_count();
    let dims = x.tensor().dims().to_vec();
    let rows = x.tensor().reshape(((), width))?;
    let n = width as f64;
    let centred = rows.broadcast_sub(&(rows.sum_keepdim(1)? / n)?)?;
    let rstd = ((centred.sqr()?.sum_keepdim(1)? / n)? + f64::from(EPS))?.sqrt()?.recip()?;
    let normed = centred.broadcast_mul(&rstd)?;
    let out = normed.broadcast_mul(w.tensor())?.broadcast_add(b.tensor())?.reshape(&*dims)?;
    let (to_x, to_w, to_b) = (x.source(), w.source(), b.source());
    Ok(tape.push(out, &[to_x, to_w, to_b], || {
        let w = w.tensor().clone();
        Box::new(move |incoming, back| {
            let dy = incoming.tensor().reshape(((), width))?;
            back.give(to_w, || Ok((&dy * &normed)?.sum(0)?))?;
            back.give(to_b, || Ok(dy.sum(0)?))?;
            back.give(to_x, || {
                let g = dy.broadcast_mul(&w)?;
                let along = ((&g * &normed)?.sum_keepdim(1)? / n)?;
                let g = g.broadcast_sub(&(g.sum_keepdim(1)? / n)?)?;
                let dx = (g - normed.broadcast_mul(&along)?)?.broadcast_mul(&rstd)?;
                Ok(dx.reshape(&*dims)?)
            })
        })
    }))
}

/// The sum of two gradients of one value, of its shape.
pub(super) fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dims() != b.dims() {
        return Err(Error::bug(format!("gradients of {:?} and {:?}", a.dims(), b.dims())));
    }
    Ok((a + b)?)
}
