//! From what was typed after `--device` and `--dtype` to a device of the tensor library. The one
//! place in this room that touches that library: a device is a handle, no tensor is made.

use candle_core::{DType, Device};

use super::values::{DeviceChoice, Dtype};
use crate::error::{Error, Result};
use crate::report::Reporter;

/// Opens the device. `auto` says with `--verbose` what it chose.
///
/// # Errors
/// Environment: this binary was built without the device, or the device cannot be opened.
pub fn open(choice: DeviceChoice, report: &Reporter) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(n) => cuda(n),
        DeviceChoice::Auto => match cuda(0) {
            Ok(device) => {
                report.note("device: `cuda:0` (the first accelerator; `--device` chooses)");
                Ok(device)
            }
            Err(e) => {
                report.note(format!("device: `cpu` ({})", e.message()));
                Ok(Device::Cpu)
            }
        },
    }
}

#[cfg(feature = "cuda")]
fn cuda(n: usize) -> Result<Device> {
    Device::new_cuda(n).map_err(|e| {
        let text = e.to_string();
        Error::environment(format!("cannot open device `cuda:{n}`"))
            .flag("--device")
            .cause(text.lines().next().unwrap_or("unknown").to_string())
            .hint("check the driver with `nvidia-smi`, or compute on the CPU: `--device cpu`")
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: usize) -> Result<Device> {
    Err(Error::environment("this binary was built without CUDA")
        .flag("--device")
        .expected(format!("`auto` or {}", crate::version::devices().join(", ")))
        .hint("build it with `cargo install --path . --features cuda`")
        .hint("or compute on the CPU: `--device cpu`"))
}

/// # Errors
/// Usage: the CPU kernels compute in `f32` only.
pub fn check_dtype(dtype: Option<Dtype>, device: &Device) -> Result<()> {
    match dtype {
        Some(dtype @ (Dtype::Bf16 | Dtype::F16)) if device.is_cpu() => {
            Err(Error::usage(format!("`{dtype}` is not available on the CPU"))
                .flag("--dtype")
                .expected("`f32` on this device")
                .hint("leave `--dtype` out, or choose an accelerator with `--device`"))
        }
        _ => Ok(()),
    }
}

pub fn candle_dtype(dtype: Dtype) -> DType {
    match dtype {
        Dtype::F32 => DType::F32,
        Dtype::Bf16 => DType::BF16,
        Dtype::F16 => DType::F16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_refused_on_the_cpu() {
        for dtype in [Dtype::Bf16, Dtype::F16] {
            let e = check_dtype(Some(dtype), &Device::Cpu).unwrap_err();
            assert_eq!(e.exit_code() as u8, 2);
            assert_eq!(e.place().flag.as_deref(), Some("--dtype"));
        }
        assert!(check_dtype(Some(Dtype::F32), &Device::Cpu).is_ok());
        assert!(check_dtype(None, &Device::Cpu).is_ok());
    }

    #[test]
    fn auto_always_finds_a_device() {
        assert!(open(DeviceChoice::Auto, &Reporter::silent()).is_ok());
        assert!(open(DeviceChoice::Cpu, &Reporter::silent()).unwrap().is_cpu());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_is_named_when_it_is_missing() {
        let e = open(DeviceChoice::Cuda(1), &Reporter::silent()).unwrap_err();
        assert_eq!(e.exit_code() as u8, 5);
        assert!(e.to_string().contains("--features cuda"), "{e}");
    }
}
