//! Shared flags, and the [`Context`] made from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use candle_core::Device;
use serde_json::Value;

use super::device::{self, Computes};
use super::launch::Launch;
use super::settings::Settings;
use super::values::{DeviceChoice, Dtype};
use crate::error::Result;
use crate::report::{ColorChoice, ProgressChoice, Reporter, Verbosity};

/// More threads than any machine has cores: a slip of the hand.
const MAX_THREADS: u64 = 4096;

/// Same spelling, same meaning, for every command.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Say less; twice: errors only
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub quiet: u8,
    /// Say more; twice: debug
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// How much to say when neither `--quiet` nor `--verbose` is given
    #[arg(long, global = true, value_enum, default_value = "info", hide = true)]
    pub log: LogLevel,
    /// Progress display
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub progress: ProgressChoice,
    /// Seconds between progress lines when standard error is not a terminal
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    pub progress_interval: u64,
    /// Colour on standard error
    #[arg(long, global = true, value_enum, default_value = "auto", value_name = "WHEN")]
    pub color: ColorChoice,
    /// Every random stream is derived from this number, by name
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Threads to use; 0 means all
    #[arg(long, global = true, value_name = "N", default_value_t = 0,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=MAX_THREADS))]
    pub threads: usize,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
    /// Number format of the weights that `translate` computes with, `export` writes and `inspect`
    /// measures [default: as they are stored]. With `bf16`, `train` keeps the matrices it does not
    /// train in bf16, half the memory: what it trains stays in f32, and so does all arithmetic. On a
    /// GPU both factors of products are rounded to bf16. Other commands compute in f32
    #[arg(long, global = true, value_enum)]
    pub dtype: Option<Dtype>,
    /// Refuse kernels and reductions whose result may vary from run to run: `translate` then computes
    /// on the CPU
    #[arg(long, global = true)]
    pub deterministic: bool,
    /// Records on standard output (`--format jsonl`) and errors as records on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Settings from a TOML file: one table per command and `[global]`
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Check everything that can be checked, print what would be read and written, and exit
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Print the effective settings with the origin of each, and exit
    #[arg(long, global = true)]
    pub dump_config: bool,
    /// Replace an existing output
    #[arg(long, global = true)]
    pub force: bool,
    /// Fail at the end when there were warnings
    #[arg(long, global = true)]
    pub warnings_as_errors: bool,
}

/// `ISOGLOSS_LOG`: the levels by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Note,
    Debug,
}

impl From<LogLevel> for Verbosity {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::Silent,
            LogLevel::Warn => Self::Quiet,
            LogLevel::Info => Self::Normal,
            LogLevel::Note => Self::Verbose,
            LogLevel::Debug => Self::Debug,
        }
    }
}

impl GlobalArgs {
    pub fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (0, 0) => self.log.into(),
            (0, 1) => Verbosity::Verbose,
            (0, _) => Verbosity::Debug,
            (1, _) => Verbosity::Quiet,
            _ => Verbosity::Silent,
        }
    }

    /// Threads to start, at least 1: `--threads`, else `RAYON_NUM_THREADS`, else every core.
    pub fn num_threads(&self) -> usize {
        if self.threads > 0 {
            return self.threads;
        }
        std::env::var("RAYON_NUM_THREADS")
            .ok()
            .and_then(|n| n.parse().ok())
            .filter(|n| *n > 0)
            .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// What a command may use of the outside world.
pub struct Context {
    pub report: Reporter,
    pub seed: u64,
    /// Resolved: at least 1.
    pub threads: usize,
    pub json: bool,
    pub dry_run: bool,
    pub force: bool,
    pub deterministic: bool,
    /// The processes this one was started with.
    pub launch: Option<Launch>,
    /// The effective settings of the command by key (the long flag with underscores), and of the
    /// shared flags that may change results. What has no value is absent.
    pub settings: BTreeMap<String, Value>,
    effective: Settings,
    device_choice: DeviceChoice,
    dtype_choice: Option<Dtype>,
    device: OnceLock<Device>,
}

impl Context {
    pub fn new(args: &GlobalArgs) -> Self {
        Self {
            report: Reporter::new(
                args.verbosity(),
                args.color,
                args.progress,
                Duration::from_secs(args.progress_interval.max(1)),
                args.json,
            ),
            seed: args.seed,
            threads: args.num_threads(),
            json: args.json,
            dry_run: args.dry_run,
            force: args.force,
            deterministic: args.deterministic,
            launch: Launch::of_process(),
            settings: BTreeMap::new(),
            effective: Settings::default(),
            device_choice: args.device,
            dtype_choice: args.dtype,
            device: OnceLock::new(),
        }
    }

    /// The same, knowing what every setting is and where it came from.
    pub fn with_settings(mut self, effective: Settings) -> Self {
        self.settings = effective.values();
        self.effective = effective;
        self
    }

    /// The device to compute on: the CPU until [`Context::open_device`] has chosen.
    pub fn device(&self) -> &Device {
        self.device.get().unwrap_or(&Device::Cpu)
    }

    /// Opens the device for a command that computes in the formats `available`.
    ///
    /// # Errors
    /// Environment: the device is not part of this binary or command, or cannot be opened; usage: the
    /// number format asked for is not among them.
    pub fn open_device(&self, computes: Computes, available: &[Dtype]) -> Result<()> {
        device::check_dtype(self.dtype_choice, available)?;
        let own = self.launch.map_or(0, |l| l.local.unwrap_or(l.rank));
        let device = device::open(self.device_choice, own, computes, &self.report)?;
        self.device.get_or_init(|| device);
        Ok(())
    }

    /// The number format asked for, if any.
    pub fn dtype(&self) -> Option<Dtype> {
        self.dtype_choice
    }

    /// The same for commands that do not compute: a variable of the environment, set for a whole
    /// pipeline, does not count.
    pub fn dtype_named(&self) -> Option<Dtype> {
        self.dtype_choice.filter(|_| !self.effective.is_from_environment("dtype"))
    }

    /// The settings as a file that `--config` reads, to be stored in `dir`: paths are written
    /// relative to it.
    pub fn config_toml(&self, dir: &Path) -> String {
        self.effective.to_toml(Some(dir))
    }

    /// The settings that belong into an artifact's provenance: no output, no machine paths (of
    /// a path the last component stays), nothing that cannot change the bytes.
    pub fn provenance_args(&self) -> BTreeMap<String, Value> {
        self.effective.provenance()
    }
}
