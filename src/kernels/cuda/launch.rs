//! Launching a kernel on the device of its tensors.

use candle_core::cuda_backend::cudarc::driver::{DevicePtr, LaunchConfig, PushKernelArg};
use candle_core::cuda_backend::{CudaDType, CudaDevice, WrapErr};
use candle_core::{DType, Device, Shape, Storage, Tensor};

use crate::error::{Error, Result};

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/kernels.ptx"));

/// Under what name the driver keeps the kernels.
const MODULE: &str = "isogloss";

/// Threads of a block where a kernel leaves the choice.
pub(super) const THREADS: u32 = 256;

#[derive(Clone, Copy)]
enum Argument {
    U32(u32),
    U64(u64),
    F32(f32),
}

/// A kernel with its arguments, in the order of its source.
pub(super) struct Call {
    name: &'static str,
    device: CudaDevice,
    arguments: Vec<Argument>,
}

/// The GPU that a tensor lies on.
pub(super) fn device_of(t: &Tensor) -> Result<&CudaDevice> {
    match t.device() {
        Device::Cuda(device) => Ok(device),
        _ => Err(Error::bug("a kernel of the GPU for a tensor elsewhere")),
    }
}

/// A tensor whose values are about to be written, all of them, by a kernel.
pub(super) fn unwritten<S: Into<Shape>>(dims: S, dtype: DType, like: &Tensor) -> Result<Tensor> {
    // SAFETY: every bit pattern is a value of the types used here; each caller's kernel writes all values
    // before anything reads one, as the order of launches of this thread's stream is that of the calls.
    Ok(unsafe { Tensor::empty(dims, dtype, like.device())? })
}

/// Where the values of a tensor begin on its device.
fn address<T: CudaDType>(t: &Tensor) -> Result<u64> {
    let (storage, layout) = t.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        return Err(Error::bug("a kernel of the GPU for a tensor elsewhere"));
    };
    let Some((start, _)) = layout.contiguous_offsets() else {
        return Err(Error::bug("a kernel of the GPU for values that do not stand in a row"));
    };
    let slice = storage.as_cuda_slice::<T>()?;
    let (at, _) = slice.device_ptr(slice.stream());
    Ok(at + (start * size_of::<T>()) as u64)
}

/// Where the values of a tensor of any type the kernels know begin on its device; they stand in a row.
pub fn address_of(t: &Tensor) -> Result<u64> {
    match t.dtype() {
        DType::F32 => address::<f32>(t),
        DType::F64 => address::<f64>(t),
        DType::U32 => address::<u32>(t),
        DType::U8 => address::<u8>(t),
        DType::BF16 => address::<half::bf16>(t),
        other => Err(Error::bug(format!("values in {other:?} for a kernel"))),
    }
}

impl Call {
    /// Of a kernel on the device of a tensor.
    pub fn new(name: &'static str, like: &Tensor) -> Result<Self> {
        Ok(Self { name, device: device_of(like)?.clone(), arguments: Vec::new() })
    }
    pub fn u32(mut self, v: usize) -> Result<Self> {
        let v = u32::try_from(v).map_err(|_| Error::bug(format!("{v} for `{}`", self.name)))?;
        self.arguments.push(Argument::U32(v));
        Ok(self)
    }
    pub fn u64(mut self, v: usize) -> Self {
        self.arguments.push(Argument::U64(v as u64));
        self
    }
    pub fn f32(mut self, v: f32) -> Self {
        self.arguments.push(Argument::F32(v));
        self
    }
    /// Key, bound and scale of a draw.
    pub fn draw(mut self, d: crate::kernels::dropout::Dropout) -> Self {
        let (key, keep, scale) = d.parts();
        self.arguments.extend([Argument::U32(key), Argument::U32(keep), Argument::F32(scale)]);
        self
    }
    /// The values of a tensor, one after another. They may be written: tensors that share storage see it.
    pub fn values(mut self, t: &Tensor) -> Result<Self> {
        self.arguments.push(Argument::U64(address_of(t)?));
        Ok(self)
    }
    /// No values, where a kernel takes some or none.
    pub fn no_values(mut self) -> Self {
        self.arguments.push(Argument::U64(0));
        self
    }

    /// Launches `blocks` blocks of `threads` with `shared` bytes of memory together.
    ///
    /// # Safety
    /// The arguments are those of the kernel in its order and of its types; what it reads and writes lies
    /// within the tensors given.
    pub unsafe fn launch(
        self,
        blocks: (usize, usize, usize),
        threads: (u32, u32),
        shared: usize,
    ) -> Result<()> {
        if blocks.0 == 0 || blocks.1 == 0 || blocks.2 == 0 {
            return Ok(());
        }
        let size = |n: usize| {
            u32::try_from(n).map_err(|_| Error::bug(format!("{n} blocks of `{}`", self.name)))
        };
        let config = LaunchConfig {
            grid_dim: (size(blocks.0)?, size(blocks.1)?, size(blocks.2)?),
            block_dim: (threads.0, threads.1, 1),
            shared_mem_bytes: size(shared)?,
        };
        let function = self.device.get_or_load_custom_func(self.name, MODULE, PTX)?;
        let mut call = function.builder();
        for argument in &self.arguments {
            match argument {
                Argument::U32(v) => call.arg(v),
                Argument::U64(v) => call.arg(v),
                Argument::F32(v) => call.arg(v),
            };
        }
        // SAFETY: as the caller says; tensors that are dropped later are freed behind this launch, in the
        // order of this thread's stream: tensors of a GPU are made, used and dropped by one thread.
        unsafe { call.launch(config) }.w()?;
        Ok(())
    }

    /// One thread for each of `n` values, or fewer that go on.
    ///
    /// # Safety
    /// As [`Call::launch`].
    pub unsafe fn over(self, n: usize) -> Result<()> {
        let blocks = n.div_ceil(THREADS as usize).min(1 << 16);
        // SAFETY: as the caller says.
        unsafe { self.launch((blocks, 1, 1), (THREADS, 1), 0) }
    }
}
