//! The values of a CPU tensor as a slice, to read and to change in place.

use std::ops::{Deref, Range};
use std::sync::Mutex;

use candle_core::{CpuStorage, InplaceOp1, Layout, Storage, Tensor};

use crate::error::{Error, Result};

/// A read guard over the values of a contiguous f32 CPU tensor.
pub struct Values<G> {
    guard: G,
    range: Range<usize>,
}

impl<G: Deref<Target = Storage>> Deref for Values<G> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match &*self.guard {
            Storage::Cpu(CpuStorage::F32(v)) => &v[self.range.clone()],
            // `values` has checked.
            _ => &[],
        }
    }
}

/// The values of `t`, which must be f32, on the CPU and contiguous.
pub fn values(t: &Tensor) -> Result<Values<impl Deref<Target = Storage> + '_>> {
    let (guard, layout) = t.storage_and_layout();
    let Some((a, b)) = layout.contiguous_offsets() else {
        return Err(Error::bug("kernel needs a contiguous tensor"));
    };
    match &*guard {
        Storage::Cpu(CpuStorage::F32(_)) => Ok(Values { range: a..b, guard }),
        _ => Err(Error::bug("kernel needs f32 values on the CPU")),
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

/// Changes the values of a contiguous f32 CPU tensor in place; everyone who shares its
/// storage sees the change.
pub fn change(t: &Tensor, f: impl FnOnce(&mut [f32])) -> Result<()> {
    Ok(t.inplace_op1(&Change(Mutex::new(Some(f))))?)
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
