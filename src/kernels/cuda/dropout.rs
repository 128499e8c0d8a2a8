//! Dropout, with the draws of the CPU.

use candle_core::{DType, Tensor};

use super::launch::{Call, unwritten};
use crate::error::Result;
use crate::kernels::dropout::Dropout;

/// `x` through the mask of a draw: [`crate::kernels::dropout::apply`].
pub fn dropout(x: &Tensor, d: Dropout) -> Result<Tensor> {
    let x = x.contiguous()?;
    let y = unwritten(x.shape(), DType::F32, &x)?;
    let n = x.elem_count();
    let call = Call::new("dropout_f32", &x)?.u64(n).draw(d).values(&x)?.values(&y)?;
    // SAFETY: the arguments are the kernel's; both tensors hold n values.
    unsafe { call.over(n)? };
    Ok(y)
}

/// `x + dropout(h)`: [`crate::kernels::dropout::add`].
pub fn residual(x: &Tensor, h: &Tensor, d: Dropout) -> Result<Tensor> {
    let (x, h) = (x.contiguous()?, h.contiguous()?);
    let y = unwritten(x.shape(), DType::F32, &x)?;
    let n = h.elem_count().min(x.elem_count());
    let call = Call::new("residual_f32", &x)?.u64(n).draw(d);
    let call = call.values(&x)?.values(&h)?.values(&y)?;
    // SAFETY: the arguments are the kernel's; all three hold n values.
    unsafe { call.over(n)? };
    Ok(y)
}

/// What dropout multiplies attention by, `[sentences, heads, queries, keys]`. `parts` `[sentences, 3]` holds
/// the index of a sentence's first draw, its queries and its keys, on the device to compute on.
pub fn attention_factors(
    parts: &Tensor,
    d: Dropout,
    (heads, queries, keys): (usize, usize, usize),
) -> Result<Tensor> {
    let y = unwritten((parts.dims2()?.0, heads, queries, keys), DType::F32, parts)?;
    let n = y.elem_count();
    let call = Call::new("attention_factors_f32", parts)?.u64(n).draw(d);
    let call = call.u32(heads)?.u32(queries)?.u32(keys)?.values(parts)?.values(&y)?;
    // SAFETY: the arguments are the kernel's; `parts` holds three numbers a sentence and `y` n values.
    unsafe { call.over(n)? };
    Ok(y)
}
