//! From what was typed after `--device` and `--dtype` to a device of the tensor library. The one
//! place in this room that touches that library: a device is a handle, no tensor is made.

use candle_core::{DType, Device};

use super::values::{DeviceChoice, Dtype};
use crate::error::{Error, Result};
use crate::report::Reporter;

/// Opens the device. `auto` says with `--verbose` what it chose.
///
/// # Errors
/// Environment: this version cannot compute on the device.
pub fn open(choice: DeviceChoice, report: &Reporter) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Cuda(n) => cuda(n),
        DeviceChoice::Auto => {
            report.note("device: `cpu`");
            Ok(Device::Cpu)
        }
    }
}

/// No command computes on an accelerator yet. What is asked for is refused rather than done on the
/// CPU in silence.
fn cuda(n: usize) -> Result<Device> {
    Err(Error::environment(format!("no device `cuda:{n}`: this version computes on the CPU only"))
        .flag("--device")
        .expected(format!("`auto` or {}", crate::version::devices().join(", ")))
        .hint("leave `--device` out"))
}

/// `on_cpu`: the formats a command has there.
///
/// # Errors
/// Usage: the format is not available on the device.
pub fn check_dtype(dtype: Option<Dtype>, device: &Device, on_cpu: &[Dtype]) -> Result<()> {
    match dtype {
        Some(dtype) if device.is_cpu() && !on_cpu.contains(&dtype) => {
            let known: Vec<String> = on_cpu.iter().map(|d| format!("`{d}`")).collect();
            Err(Error::usage(format!("`{dtype}` is not available on the CPU"))
                .flag("--dtype")
                .expected(format!("{} on this device", known.join(" or ")))
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
    fn formats_a_command_lacks_are_refused_on_the_cpu() {
        let (f32, both) = (&[Dtype::F32][..], &[Dtype::F32, Dtype::Bf16][..]);
        for (dtype, on_cpu) in [(Dtype::Bf16, f32), (Dtype::F16, f32), (Dtype::F16, both)] {
            let e = check_dtype(Some(dtype), &Device::Cpu, on_cpu).unwrap_err();
            assert_eq!(e.exit_code() as u8, 2);
            assert_eq!(e.place().flag.as_deref(), Some("--dtype"));
        }
        for (dtype, on_cpu) in [(Some(Dtype::F32), f32), (None, f32), (Some(Dtype::Bf16), both)] {
            assert!(check_dtype(dtype, &Device::Cpu, on_cpu).is_ok());
        }
    }

    #[test]
    fn auto_always_finds_a_device() {
        assert!(open(DeviceChoice::Auto, &Reporter::silent()).is_ok());
        assert!(open(DeviceChoice::Cpu, &Reporter::silent()).unwrap().is_cpu());
    }

    #[test]
    fn accelerators_are_refused() {
        let e = open(DeviceChoice::Cuda(1), &Reporter::silent()).unwrap_err();
        assert_eq!(e.exit_code() as u8, 5);
        assert!(e.to_string().contains("on the CPU only"), "{e}");
    }
}
