//! Start, run, turn the outcome into an exit code. Nothing else.

use clap::Parser;
use isogloss::cli::{Cli, Context};
use isogloss::commands;
use isogloss::exit::ExitCode;

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let context = Context::new(&cli.global);
    let result = commands::run(&cli.command, &context);
    context.report.finish();
    match result {
        Ok(outcome) => ExitCode::from(outcome).into(),
        Err(e) => {
            if e.kind() != isogloss::error::ErrorKind::BrokenPipe {
                context.report.error(&e);
            }
            e.exit_code().into()
        }
    }
}
