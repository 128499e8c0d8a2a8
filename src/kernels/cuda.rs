//! Dropout on a GPU, with the draws of the CPU.

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{LaunchConfig, PushKernelArg};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Shape, Tensor};

use super::dropout::Dropout;
use crate::error::Result;

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// `x` through the mask of a draw: [`super::dropout::apply`] on the device of `x`.
pub fn dropout(x: &Tensor, d: Dropout) -> Result<Tensor> {
    Ok(x.contiguous()?.apply_op1_no_bwd(&Thin(d))?)
}

/// What dropout multiplies attention by, `[sentences, heads, queries, keys]`. `parts` `[sentences, 3]` holds
/// the index of a sentence's first draw, its queries and its keys, on the device to compute on.
pub fn attention_factors(
    parts: &Tensor,
    d: Dropout,
    (heads, queries, keys): (usize, usize, usize),
) -> Result<Tensor> {
    Ok(parts.apply_op1_no_bwd(&Factors { d, heads, queries, keys })?)
}

fn not_here(name: &str) -> candle_core::Error {
    candle_core::Error::Msg(format!("`{name}` is for the GPU"))
}

/// The values an operation reads, one after another.
fn range(layout: &Layout) -> candle_core::Result<std::ops::Range<usize>> {
    match layout.contiguous_offsets() {
        Some((a, b)) => Ok(a..b),
        None => candle_core::bail!("kernel needs a contiguous tensor"),
    }
}

/// Under what name the driver keeps the kernels.
const MODULE: &str = "isogloss";

struct Thin(Dropout);

impl CustomOp1 for Thin {
    fn name(&self) -> &'static str {
        "dropout"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Err(not_here(self.name()))
    }
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let range = range(layout)?;
        let n = range.len();
        let x = storage.as_cuda_slice::<f32>()?.slice(range);
        let (key, keep, scale) = self.0.parts();
        let device = &storage.device;
        let function = device.get_or_load_custom_func("dropout_f32", MODULE, PTX)?;
        // SAFETY: the kernel writes all n values before anything reads them.
        let y = unsafe { device.alloc::<f32>(n)? };
        let mut call = function.builder();
        call.arg(&n).arg(&key).arg(&keep).arg(&scale).arg(&x).arg(&y);
        // SAFETY: the arguments are those of the kernel, in its order; both arrays hold n values.
        unsafe { call.launch(LaunchConfig::for_num_elems(n as u32)) }.w()?;
        Ok((CudaStorage::wrap_cuda_slice(y, device.clone()), layout.shape().clone()))
    }
}

struct Factors {
    d: Dropout,
    heads: usize,
    queries: usize,
    keys: usize,
}

impl CustomOp1 for Factors {
    fn name(&self) -> &'static str {
        "attention_factors"
    }
    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Err(not_here(self.name()))
    }
    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        let range = range(layout)?;
        let shape = Shape::from((range.len() / 3, self.heads, self.queries, self.keys));
        let n = shape.elem_count();
        let parts = storage.as_cuda_slice::<u32>()?.slice(range);
        let (key, keep, scale) = self.d.parts();
        let (heads, queries, keys) = (self.heads as u32, self.queries as u32, self.keys as u32);
        let device = &storage.device;
        let function = device.get_or_load_custom_func("attention_factors_f32", MODULE, PTX)?;
        // SAFETY: the kernel writes all n values before anything reads them.
        let y = unsafe { device.alloc::<f32>(n)? };
        let mut call = function.builder();
        call.arg(&n).arg(&key).arg(&keep).arg(&scale);
        call.arg(&heads).arg(&queries).arg(&keys).arg(&parts).arg(&y);
        // SAFETY: the arguments are those of the kernel, in its order; `parts` holds three numbers a
        // sentence and `y` n values.
        unsafe { call.launch(LaunchConfig::for_num_elems(n as u32)) }.w()?;
        Ok((CudaStorage::wrap_cuda_slice(y, device.clone()), shape))
    }
}
