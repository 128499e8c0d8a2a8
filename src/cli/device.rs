//! From what was typed after `--device` and `--dtype` to a device of the tensor library. The one
//! place in this room that touches that library: a device is a handle, no tensor is made.

use candle_core::Device;

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

/// Whether a number format is one of those that a command has on the CPU.
///
/// # Errors
/// Usage: the command does not compute in this format.
pub fn check_dtype(dtype: Option<Dtype>, available: &[Dtype], device: &Device) -> Result<()> {
    match dtype {
        Some(dtype) if device.is_cpu() && !available.contains(&dtype) => {
            let names: Vec<String> = available.iter().map(|d| format!("`{d}`")).collect();
            let e = Error::usage(format!("`{dtype}` is not available on the CPU"))
                .flag("--dtype")
                .expected(format!("{} in this command", names.join(", ")));
            Err(match available {
                [Dtype::F32] => e.hint("leave `--dtype` out"),
                _ => e,
            })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_a_command_does_not_compute_in_are_refused() {
        let cpu = &Device::Cpu;
        for dtype in [Dtype::Bf16, Dtype::F16, Dtype::Int8] {
            let e = check_dtype(Some(dtype), &[Dtype::F32], cpu).unwrap_err();
            assert_eq!(e.exit_code() as u8, 2);
            assert_eq!(e.place().flag.as_deref(), Some("--dtype"));
        }
        assert!(check_dtype(Some(Dtype::F32), &[Dtype::F32], cpu).is_ok());
        assert!(check_dtype(Some(Dtype::Int8), &[Dtype::F32, Dtype::Int8], cpu).is_ok());
        assert!(check_dtype(None, &[Dtype::F32], cpu).is_ok());
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
