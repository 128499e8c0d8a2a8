//! Adam over all tensors in one launch, and the norm of all gradients in two.

use candle_core::{DType, Tensor};

use super::launch::{Call, THREADS, address_of, unwritten};
use crate::error::Result;
use crate::kernels::adam::Step;

/// Values a block works on; `CHUNK` of adam.cuh.
const CHUNK: usize = 4096;

/// A tensor, its moments and its gradient, all of one size, and the step it is at.
pub struct Part<'a> {
    pub w: &'a Tensor,
    pub first: &'a Tensor,
    pub second: &'a Tensor,
    pub gradient: Tensor,
    pub step: Step,
}

/// The parts as `AdamPart` of adam.cuh, on the device; with how many blocks they take.
fn table(parts: &[([u64; 4], usize, [f32; 2])], like: &Tensor) -> Result<(Tensor, usize)> {
    let (mut bytes, mut blocks) = (Vec::with_capacity(parts.len() * 56), 0);
    for (addresses, n, numbers) in parts {
        addresses.iter().for_each(|a| bytes.extend(a.to_le_bytes()));
        bytes.extend((*n as u64).to_le_bytes());
        bytes.extend((blocks as u32).to_le_bytes());
        numbers.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
        bytes.extend(0u32.to_le_bytes());
        blocks += n.div_ceil(CHUNK);
    }
    let len = bytes.len();
    Ok((Tensor::from_vec(bytes, len, like.device())?, blocks))
}

/// [`crate::kernels::adam::update`] of all parts, where they lie. All are of one learning rate and one set of
/// constants, those of the first, but for the count of their steps.
pub fn update(parts: &[Part<'_>]) -> Result<()> {
    let Some(Part { w, step: s, .. }) = parts.first() else {
        return Ok(());
    };
    let entries = parts
        .iter()
        .map(|p| {
            let at = [p.w, p.first, p.second, &p.gradient].map(address_of);
            let [w, first, second, gradient] = at;
            let (step_size, inv_bias2) = p.step.corrections();
            Ok(([w?, first?, second?, gradient?], p.w.elem_count(), [step_size, inv_bias2]))
        })
        .collect::<Result<Vec<_>>>()?;
    let (table, blocks) = table(&entries, w)?;
    let call = Call::new("adam_f32", w)?.u32(parts.len())?.values(&table)?;
    let call = call.f32(s.beta1).f32(s.beta2).f32(s.eps).f32(s.l2()).f32(s.shrink());
    let call = call.f32(s.grad_scale);
    // SAFETY: the arguments are the kernel's; the table holds `blocks` blocks of tensors that live until
    // behind this launch, each with as many values as it says.
    unsafe { call.launch((blocks, 1, 1), (THREADS, 1), 0) }
}

/// The sum of squares of all values of tensors on one device.
pub fn norm_of(gradients: &[&Tensor]) -> Result<f64> {
    let Some(like) = gradients.first() else {
        return Ok(0.0);
    };
    let held = gradients.iter().map(|g| Ok(g.contiguous()?)).collect::<Result<Vec<_>>>()?;
    let entries = held
        .iter()
        .map(|g| Ok(([0, 0, 0, address_of(g)?], g.elem_count(), [0.0; 2])))
        .collect::<Result<Vec<_>>>()?;
    let (table, blocks) = table(&entries, like)?;
    let (sums, sum) = (unwritten(blocks, DType::F64, like)?, unwritten(1, DType::F64, like)?);
    let call = Call::new("squares_f32", like)?.u32(entries.len())?.values(&table)?.values(&sums)?;
    // SAFETY: the arguments are the kernel's; the table as in `update`, of which only gradients are read.
    unsafe { call.launch((blocks, 1, 1), (THREADS, 1), 0)? };
    let call = Call::new("sum_f64", like)?.u32(blocks)?.values(&sums)?.values(&sum)?;
    // SAFETY: the arguments are the kernel's; sums holds `blocks` numbers.
    unsafe { call.launch((1, 1, 1), (THREADS, 1), 0)? };
    Ok(sum.to_vec1::<f64>()?[0])
}
