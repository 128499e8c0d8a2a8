//! Shared flags, and the [`Context`] made from them.

use std::path::PathBuf;
use std::time::Duration;

use crate::report::{ColorChoice, ProgressChoice, Reporter, Verbosity};

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
    /// Progress display
    #[arg(long, global = true, value_enum, default_value = "auto", env = "ISOGLOSS_PROGRESS")]
    pub progress: ProgressChoice,
    /// Seconds between progress lines when standard error is not a terminal
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 60)]
    pub progress_interval: u64,
    /// Colour on standard error
    #[arg(long, global = true, value_enum, default_value = "auto")]
    pub color: ColorChoice,
    /// Every random stream is derived from this number, by name
    #[arg(long, global = true, value_name = "N", default_value_t = 1, env = "ISOGLOSS_SEED")]
    pub seed: u64,
    /// Threads to use; 0 means all
    #[arg(long, global = true, value_name = "N", default_value_t = 0, env = "ISOGLOSS_THREADS")]
    pub threads: usize,
    /// Compute device: auto, cpu, cuda or cuda:N
    #[arg(long, global = true, default_value = "auto", env = "ISOGLOSS_DEVICE")]
    pub device: String,
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
}

impl Context {
    pub fn new(args: &GlobalArgs) -> Self {
        let verbosity = match (args.quiet, args.verbose) {
            (0, 0) => Verbosity::Normal,
            (0, 1) => Verbosity::Verbose,
            (0, _) => Verbosity::Debug,
            (1, _) => Verbosity::Quiet,
            _ => Verbosity::Silent,
        };
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            report: Reporter::new(
                verbosity,
                args.color,
                args.progress,
                Duration::from_secs(args.progress_interval.max(1)),
                args.json,
            ),
            seed: args.seed,
            threads: if args.threads == 0 { available } else { args.threads },
            json: args.json,
            dry_run: args.dry_run,
            force: args.force,
        }
    }
}
