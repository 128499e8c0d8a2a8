//! Layer normalisation.

use candle_core::{DType, Tensor};

use super::launch::{Call, unwritten};
use super::linear::{block_sums, over_columns};
use crate::error::Result;
use crate::kernels::layer_norm::EPS;

/// Threads of a block, a warp for each row.
const THREADS: u32 = 128;
const ROWS: usize = THREADS as usize / 32;

/// [`crate::kernels::layer_norm::forward`]; `x` `[.., n]`, `w` and `b` `[n]`.
pub fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    let (x, n) = (x.contiguous()?, w.elem_count());
    let rows = x.elem_count() / n.max(1);
    let y = unwritten(x.shape(), DType::F32, &x)?;
    let call = Call::new("layer_norm_f32", &x)?.u32(rows)?.u32(n)?.f32(EPS);
    let call = call.values(&x)?.values(w)?.values(b)?.values(&y)?;
    // SAFETY: the arguments are the kernel's; x and y hold `rows` rows of n.
    unsafe { call.launch((rows.div_ceil(ROWS), 1, 1), (THREADS, 1), 0)? };
    Ok(y)
}

/// Gradients for `x` and, where asked for, `w` and `b`: [`crate::kernels::layer_norm::backward`].
pub fn layer_norm_backward(
    x: &Tensor,
    w: &Tensor,
    dy: &Tensor,
    of_parameters: bool,
) -> Result<(Tensor, Option<(Tensor, Tensor)>)> {
    let (x, dy, n) = (x.contiguous()?, dy.contiguous()?, w.elem_count());
    let rows = x.elem_count() / n.max(1);
    let dx = unwritten(x.shape(), DType::F32, &x)?;
    let stats = unwritten((rows, 2), DType::F32, &x)?;
    let call = Call::new("layer_norm_backward_f32", &x)?.u32(rows)?.u32(n)?.f32(EPS);
    let call = call.values(&x)?.values(w)?.values(&dy)?.values(&dx)?.values(&stats)?;
    // SAFETY: the arguments are the kernel's; x, dy and dx hold `rows` rows of n, stats two numbers a row.
    unsafe { call.launch((rows.div_ceil(ROWS), 1, 1), (THREADS, 1), 0)? };
    if !of_parameters {
        return Ok((dx, None));
    }
    let of_w = over_columns(rows, n, &x, |sums| {
        let call = Call::new("layer_norm_weight_sums_f32", &x)?.u32(rows)?.u32(n)?;
        call.values(&x)?.values(&dy)?.values(&stats)?.values(sums)
    })?;
    Ok((dx, Some((of_w, block_sums(&dy.reshape((rows, n))?)?))))
}
