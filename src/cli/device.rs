//! From what was typed after `--device` and `--dtype` to a device of the tensor library. The one
//! place in this room that touches that library: a device is a handle, no tensor is made.

use candle_core::Device;

use super::values::{DeviceChoice, Dtype};
use crate::error::{Error, Result};
use crate::report::Reporter;

/// What a command computes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computes {
    /// On the CPU alone; what, to complete `... on the CPU only`.
    OnCpu(&'static str),
    /// On the CPU, and on an accelerator where the binary knows one.
    OnAny,
}

/// Opens the device. `auto` says with `--verbose` what it chose, and why not an accelerator. `own` is the number of
/// the accelerator of this process, 0 where it is alone on its machine.
///
/// # Errors
/// Environment: this binary or command cannot compute on the device, or it cannot be opened.
pub fn open(
    choice: DeviceChoice,
    own: usize,
    computes: Computes,
    report: &Reporter,
) -> Result<Device> {
    match (choice, computes) {
        (DeviceChoice::Cpu, _) => Ok(Device::Cpu),
        (DeviceChoice::Cuda(n), Computes::OnAny) => cuda(n.unwrap_or_else(|| among_seen(own))),
        (DeviceChoice::Cuda(n), Computes::OnCpu(what)) => {
            let n = n.unwrap_or(own);
            Err(Error::environment(format!("no device `cuda:{n}`: {what} on the CPU only"))
                .flag("--device")
                .expected("`auto` or `cpu`")
                .hint("leave `--device` out"))
        }
        (DeviceChoice::Auto, Computes::OnCpu(_)) => {
            report.note("device: `cpu`");
            Ok(Device::Cpu)
        }
        (DeviceChoice::Auto, Computes::OnAny) => Ok(match cuda(among_seen(own)) {
            Ok(device) => {
                report.note(format!("device: `cuda:{}`", among_seen(own)));
                device
            }
            Err(why) => {
                let cause = why.causes().first().map_or(String::new(), |c| format!(", {c}"));
                report.note(format!("device: `cpu` ({}{cause})", why.message()));
                Device::Cpu
            }
        }),
    }
}

/// The number of this process's accelerator among those it sees: each may be shown its own alone.
#[cfg(not(feature = "cuda"))]
fn among_seen(own: usize) -> usize {
    own
}
#[cfg(feature = "cuda")]
fn among_seen(own: usize) -> usize {
    use candle_core::cuda_backend::cudarc::driver::CudaContext;
    // As with opening, a library that is broken may panic.
    let seen = std::panic::catch_unwind(CudaContext::device_count);
    own % seen.ok().and_then(std::result::Result::ok).map_or(1, |n| n.max(1) as usize)
}

#[cfg(not(feature = "cuda"))]
fn cuda(n: usize) -> Result<Device> {
    Err(Error::environment(format!("no device `cuda:{n}`: this version computes on the CPU only"))
        .flag("--device")
        .expected(format!("`auto` or {}", crate::version::devices().join(", ")))
        .hint("leave `--device` out, or build with `make cuda`"))
}

#[cfg(feature = "cuda")]
fn cuda(n: usize) -> Result<Device> {
    let missing = |cause: String| {
        Error::environment(format!("cannot open device `cuda:{n}`")).flag("--device").cause(cause)
    };
    // The driver is looked for at the first call; without it every call says that there is no
    // device. A library that is found and broken may still panic on its way in.
    let opened = std::panic::catch_unwind(|| Device::new_cuda(n));
    match opened {
        Ok(Ok(device)) => Ok(device),
        Ok(Err(e)) => {
            let text = e.to_string();
            let line = text.lines().next().unwrap_or("unknown fault").to_string();
            Err(missing(line).hint(
                "`nvidia-smi` lists the devices; the driver, cuBLAS and cuRAND must be of the \
                 toolkit's version or newer, in `LD_LIBRARY_PATH`; `--device cpu` does without",
            ))
        }
        Err(_) => Err(missing("its libraries do not load".into())
            .hint("`--device cpu` does without an accelerator")),
    }
}

/// Whether a number format is one of those that a command computes in.
///
/// # Errors
/// Usage: the command does not compute in this format.
pub fn check_dtype(dtype: Option<Dtype>, available: &[Dtype]) -> Result<()> {
    match dtype {
        Some(dtype) if !available.contains(&dtype) => {
            let names: Vec<String> = available.iter().map(|d| format!("`{d}`")).collect();
            let e = Error::usage(format!("this command does not compute in `{dtype}`"))
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
        for dtype in [Dtype::Bf16, Dtype::F16, Dtype::Int8] {
            let e = check_dtype(Some(dtype), &[Dtype::F32]).unwrap_err();
            assert_eq!(e.exit_code() as u8, 2);
            assert_eq!(e.place().flag.as_deref(), Some("--dtype"));
        }
        assert!(check_dtype(Some(Dtype::F32), &[Dtype::F32]).is_ok());
        assert!(check_dtype(Some(Dtype::Int8), &[Dtype::F32, Dtype::Int8]).is_ok());
        assert!(check_dtype(None, &[Dtype::F32]).is_ok());
    }

    #[test]
    fn auto_always_finds_a_device() {
        for computes in [Computes::OnCpu("this computes"), Computes::OnAny] {
            assert!(open(DeviceChoice::Auto, 0, computes, &Reporter::silent()).is_ok());
            assert!(open(DeviceChoice::Cpu, 0, computes, &Reporter::silent()).unwrap().is_cpu());
        }
    }

    #[test]
    fn accelerators_are_refused_where_nothing_computes_on_them() {
        let cuda = DeviceChoice::Cuda(Some(1));
        let computes = Computes::OnCpu("this command computes");
        let e = open(cuda, 0, computes, &Reporter::silent()).unwrap_err();
        assert_eq!(e.exit_code() as u8, 5);
        assert!(e.to_string().contains("on the CPU only"), "{e}");
    }

    /// No machine has as many.
    #[test]
    fn a_device_that_is_not_there_is_an_error() {
        let cuda = DeviceChoice::Cuda(Some(999));
        let e = open(cuda, 0, Computes::OnAny, &Reporter::silent()).unwrap_err();
        assert_eq!(e.exit_code() as u8, 5);
        assert!(e.to_string().contains("cuda:999"), "{e}");
    }
}
