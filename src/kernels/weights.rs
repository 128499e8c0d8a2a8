//! Weights as they are kept: in f32, or in bf16 to take half the memory. All arithmetic is in
//! f32: a matrix in bf16 is widened when it is used, which is exact, into memory that is given
//! back at once. No f32 copy of the model exists.

use std::ops::{Deref, Range};

use super::parallel;
use super::storage::{Values, uninit, values};
use crate::error::{Error, Result};
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};
use half::bf16;

/// The values of a weight, row-major.
#[derive(Clone, Copy)]
pub enum Weights<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
}

/// Values widened by one task.
const CHUNK: usize = 1 << 16;

fn widen_chunk(from: &[bf16], to: &mut [f32]) {
    for (t, f) in to.iter_mut().zip(from) {
        // The upper half of an f32.
        *t = f32::from_bits(u32::from(f.to_bits()) << 16);
    }
}

impl<'a> Weights<'a> {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::Bf16(v) => v.len(),
        }
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Some of the values, by index.
    pub fn part(self, range: Range<usize>) -> Self {
        match self {
            Self::F32(v) => Self::F32(&v[range]),
            Self::Bf16(v) => Self::Bf16(&v[range]),
        }
    }
    /// Writes all values to `to`, of the same length.
    pub fn write(self, to: &mut [f32]) {
        assert_eq!(self.len(), to.len());
        match self {
            Self::F32(v) => to.copy_from_slice(v),
            Self::Bf16(v) => {
                parallel::for_each(to.chunks_mut(CHUNK).zip(v.chunks(CHUNK)), |(to, from)| {
                    widen_chunk(from, to);
                });
            }
        }
    }
    /// Lets `f` see one row of a matrix of this width; `scratch` is `[width]`.
    pub fn with_row<T>(self, row: usize, scratch: &mut [f32], f: impl FnOnce(&[f32]) -> T) -> T {
        let width = scratch.len();
        match self.part(row * width..(row + 1) * width) {
            Self::F32(v) => f(v),
            Self::Bf16(v) => {
                widen_chunk(v, scratch);
                f(scratch)
            }
        }
    }
}

impl<'a> From<&'a [f32]> for Weights<'a> {
    fn from(v: &'a [f32]) -> Self {
        Self::F32(v)
    }
}

/// A read guard over a weight.
pub struct Stored<G> {
    guard: G,
    range: Range<usize>,
}

impl<G: Deref<Target = Storage>> Stored<G> {
    pub fn weights(&self) -> Weights<'_> {
        match &*self.guard {
            Storage::Cpu(CpuStorage::F32(v)) => Weights::F32(&v[self.range.clone()]),
            Storage::Cpu(CpuStorage::BF16(v)) => Weights::Bf16(&v[self.range.clone()]),
            // `stored` has checked.
            _ => Weights::F32(&[]),
        }
    }
}

/// The values of `t` as they are kept: f32 or bf16, on the CPU and contiguous.
pub fn stored(t: &Tensor) -> Result<Stored<impl Deref<Target = Storage> + '_>> {
    let (guard, layout) = t.storage_and_layout();
    let Some((a, b)) = layout.contiguous_offsets() else {
        return Err(Error::bug("kernel needs a contiguous tensor"));
    };
    match &*guard {
        Storage::Cpu(CpuStorage::F32(_) | CpuStorage::BF16(_)) => Ok(Stored { range: a..b, guard }),
        _ => Err(Error::bug("weights are f32 or bf16 values on the CPU")),
    }
}

/// A weight as f32 for one operation.
pub enum Widened<G> {
    /// As it is kept.
    Kept(Values<G>),
    /// Widened for this use.
    Copy(Vec<f32>),
}

impl<G: Deref<Target = Storage>> Deref for Widened<G> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Kept(v) => v,
            Self::Copy(v) => v,
        }
    }
}

/// The values of `t` as f32, widened when they are kept in bf16.
pub fn widened(t: &Tensor) -> Result<Widened<impl Deref<Target = Storage> + '_>> {
    if t.dtype() != DType::BF16 {
        return Ok(Widened::Kept(values(t)?));
    }
    if !t.device().is_cpu() {
        return Ok(Widened::Copy(t.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?));
    }
    let kept = stored(t)?;
    let mut v = uninit(t.elem_count());
    kept.weights().write(&mut v);
    Ok(Widened::Copy(v))
}

/// A tensor of these values in bf16, rounded to the nearest, ties to even.
pub fn narrowed(values: &[f32], dims: &[usize]) -> Result<Tensor> {
    let mut v = vec![bf16::ZERO; values.len()];
    parallel::for_each(v.chunks_mut(CHUNK).zip(values.chunks(CHUNK)), |(to, from)| {
        for (t, f) in to.iter_mut().zip(from) {
            *t = bf16::from_f32(*f);
        }
    });
    Ok(Tensor::from_vec(v, dims, &Device::Cpu)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_to_the_nearest_and_widened_exactly() {
        // 1 + 2^-8 lies between two values, 1 + 3 * 2^-8 too: ties go to the even one.
        let v = [1.0f32, -2.5, 1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, 1.004, 3e38, f32::NAN];
        let t = narrowed(&v, &[7]).unwrap();
        assert_eq!(t.dtype(), DType::BF16);
        let wide = widened(&t).unwrap();
        assert_eq!(wide[..5], [1.0, -2.5, 1.0, 1.015625, 1.0078125]);
        assert!((wide[5] / 3e38 - 1.0).abs() < 1.0 / 256.0 && wide[6].is_nan());
        // What bf16 can hold comes back as it was.
        let again = narrowed(&wide[..6], &[6]).unwrap();
        assert_eq!(widened(&again).unwrap()[..], wide[..6]);
        assert!(values(&t).is_err(), "bf16 values are not taken for f32");
    }

    #[test]
    fn parts_and_rows() {
        let v: Vec<f32> = (0..200_000).map(|i| i as f32 / 64.0 - 9.0).collect();
        let t = narrowed(&v, &[500, 400]).unwrap();
        let all = widened(&t).unwrap();
        let kept = stored(&t).unwrap();
        let mut part = vec![f32::NAN; 70_000];
        kept.weights().part(100_000..170_000).write(&mut part);
        assert_eq!(part, all[100_000..170_000]);
        let mut scratch = [0f32; 400];
        kept.weights().with_row(499, &mut scratch, |row| assert_eq!(row, &all[499 * 400..]));
        Weights::from(&v[..]).with_row(1, &mut scratch, |row| assert_eq!(row, &v[400..800]));
        let plain = Tensor::from_vec(v.clone(), (500, 400), &Device::Cpu).unwrap();
        assert_eq!(widened(&plain).unwrap()[..], v);
        assert_eq!(kept.weights().len(), v.len());
    }
}
