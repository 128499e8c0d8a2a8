//! The values of a CPU tensor as a slice, to read and to change in place.

use std::ops::{Deref, Range};
use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor};

use crate::error::{Error, Result};

/// The values of a contiguous f32 tensor: its own on the CPU, a copy of those on another device.
pub enum Values<G> {
    Own { guard: G, range: Range<usize> },
    Copied(Vec<f32>),
}

impl<G: Deref<Target = Storage>> Deref for Values<G> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match self {
            Self::Copied(v) => v,
            Self::Own { guard, range } => match &**guard {
                Storage::Cpu(CpuStorage::F32(v)) => &v[range.clone()],
                // `values` has checked.
                _ => &[],
            },
        }
    }
}

/// The values of `t`, which must be f32 and contiguous.
pub fn values(t: &Tensor) -> Result<Values<impl Deref<Target = Storage> + '_>> {
    if !t.device().is_cpu() {
        return Ok(Values::Copied(t.flatten_all()?.to_vec1::<f32>()?));
    }
    let (guard, layout) = t.storage_and_layout();
    let Some((a, b)) = layout.contiguous_offsets() else {
        return Err(Error::bug("kernel needs a contiguous tensor"));
    };
    match &*guard {
        Storage::Cpu(CpuStorage::F32(_)) => Ok(Values::Own { range: a..b, guard }),
        _ => Err(Error::bug("kernel needs f32 values")),
    }
}

struct Change<F>(Mutex<Option<F>>);

impl<F: FnOnce(&mut [f32])> InplaceOp1 for Change<F> {
    fn name(&self) -> &'static str {
        "change"
    }
    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let Some((a, b)) = layout.contiguous_offsets() else {
            candle_core::bail!("kernel needs a contiguous tensor")
        };
        let CpuStorage::F32(v) = storage else { candle_core::bail!("kernel needs f32 values") };
        if let Some(f) = self.0.lock().unwrap_or_else(|p| p.into_inner()).take() {
            f(&mut v[a..b]);
        }
        Ok(())
    }
}

/// Changes the values of a contiguous f32 tensor in place; everyone who shares its storage sees the
/// change. From another device than the CPU they come over and go back.
pub fn change(t: &Tensor, f: impl FnOnce(&mut [f32])) -> Result<()> {
    if !t.device().is_cpu() {
        return change_copy(t, f);
    }
    Ok(t.inplace_op1(&Change(Mutex::new(Some(f))))?)
}

fn change_copy(t: &Tensor, f: impl FnOnce(&mut [f32])) -> Result<()> {
    let mut v = t.flatten_all()?.to_vec1::<f32>()?;
    f(&mut v);
    replace(t, &Tensor::from_vec(v, t.shape(), t.device())?)
}

/// Gives a tensor the values of another one of its shape, type and device; everyone who shares its
/// storage sees them.
pub fn replace(t: &Tensor, by: &Tensor) -> Result<()> {
    if t.elem_count() == 0 {
        return Ok(());
    }
    match t.rank() {
        0 => Err(Error::bug("a number is no tensor to be changed")),
        _ => Ok(t.slice_set(by, 0, 0)?),
    }
}

/// [`change`] for three tensors at once, none of which shares storage with another.
pub fn change3(
    [a, b, c]: [&Tensor; 3],
    f: impl FnOnce(&mut [f32], &mut [f32], &mut [f32]),
) -> Result<()> {
    let (mut of_b, mut of_c) = (Ok(()), Ok(()));
    change(a, |a| of_b = change(b, |b| of_c = change(c, |c| f(a, b, c))))?;
    of_b.and(of_c)
}

/// A vector whose values are about to be written, all of them, by the caller.
///
/// Zeroing would cost a pass over memory that the kernel writes anyway.
pub fn uninit(n: usize) -> Vec<f32> {
    let mut v: Vec<f32> = Vec::with_capacity(n);
    // SAFETY: capacity is n, every bit pattern is an f32, and each caller writes all n values
    // before reading any (the kernels' tests fill the allocator with NaN to show it).
    #[allow(clippy::uninit_vec)]
    unsafe {
        v.set_len(n)
    };
    v
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn what_goes_by_copies_is_the_same() {
        let t = Tensor::from_vec(vec![1f32, 2.0, 3.0, 4.0], (2, 2), &Device::Cpu).unwrap();
        let alias = t.clone();
        change_copy(&t, |v| v[3] = 9.0).unwrap();
        assert_eq!(&*values(&alias).unwrap(), [1.0, 2.0, 3.0, 9.0]);
        let row = t.narrow(0, 1, 1).unwrap();
        change_copy(&row, |v| v[0] = 7.0).unwrap();
        assert_eq!(&*values(&alias).unwrap(), [1.0, 2.0, 7.0, 9.0]);
        let none = Tensor::zeros((0, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        change_copy(&none, |v| assert!(v.is_empty())).unwrap();
        let other = Tensor::zeros((2, 2), candle_core::DType::F32, &Device::Cpu).unwrap();
        assert!(replace(&t, &other.narrow(1, 0, 1).unwrap()).is_err());
        let third = Tensor::ones(1, candle_core::DType::F32, &Device::Cpu).unwrap();
        change3([&t, &other, &third], |a, b, c| {
            b.copy_from_slice(a);
            c[0] += a[3];
        })
        .unwrap();
        assert_eq!(&*values(&other).unwrap(), [1.0, 2.0, 7.0, 9.0]);
        assert_eq!(&*values(&third).unwrap(), [10.0]);
    }

    #[test]
    fn read_and_change() {
        let t = Tensor::from_vec(vec![1f32, 2.0, 3.0, 4.0], (2, 2), &Device::Cpu).unwrap();
        let alias = t.clone();
        change(&t, |v| v[3] = 9.0).unwrap();
        assert_eq!(&*values(&alias).unwrap(), [1.0, 2.0, 3.0, 9.0]);
        assert!(values(&t.t().unwrap()).is_err());
        let row = t.narrow(0, 1, 1).unwrap();
        assert_eq!(&*values(&row).unwrap(), [3.0, 9.0]);
    }
}
