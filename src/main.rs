//! Start, run, turn the outcome into an exit code. Nothing else.

mod startup;

use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

use isogloss::cli::{self, Cli, Command, Context, Launch, Refusal, Request, Settings};
use isogloss::commands;
use isogloss::error::{ErrorKind, Result};
use isogloss::exit::{ExitCode, Outcome};
use isogloss::io::{read_text, stdout_error};
use isogloss::report::{ProgressChoice, Reporter, Verbosity, panic};

fn main() -> std::process::ExitCode {
    startup::keep_freed_memory();
    panic::install_hook();
    let argv: Vec<OsString> = std::env::args_os().collect();
    let code = match cli::parse(&argv, &|path| read_text(path)) {
        Ok(Request::Run(cli, settings)) => run(&cli, settings),
        Ok(Request::Print(text)) => printed(std::io::stdout().write_all(text.as_bytes())),
        // Bare `isogloss` shows its help as a complaint; asked for, help is an answer.
        Ok(Request::Help(help)) if help.use_stderr() => {
            let _ = help.print();
            ExitCode::Usage
        }
        Ok(Request::Help(help)) => printed(help.print()),
        Err(refusal) => refuse(*refusal),
    };
    code.into()
}

fn run(cli: &Cli, settings: Settings) -> ExitCode {
    panic::speak_in_records(cli.global.json);
    let mut global = cli.global.clone();
    let joined = match &cli.command {
        Command::Train(args) => args.joined(Launch::of_process()),
        _ => None,
    };
    if joined.is_some_and(|l| l.rank > 0) {
        // The first of several processes speaks for all.
        global.quiet = 2;
        global.progress = ProgressChoice::Never;
        global.warnings_as_errors = false;
    }
    let context = Context::new(&global).with_settings(settings);
    let result = startup::use_threads(context.threads)
        .and_then(|()| match cli.command.dtypes() {
            [] => Ok(()),
            available => context.open_device(cli.command.computes(&cli.global), available),
        })
        .and_then(|()| commands::run(&cli.command, &context))
        .and_then(|outcome| flush_stdout().map(|()| outcome));
    context.report.finish();
    let result = result.and_then(|outcome| match context.report.first_warning() {
        Some(kind) if global.warnings_as_errors => Err(context.report.as_error(kind)),
        _ => Ok(outcome),
    });
    conclude(&context.report, result)
}

fn conclude(report: &Reporter, result: Result<Outcome>) -> ExitCode {
    match result {
        Ok(outcome) => outcome.into(),
        Err(e) => {
            match e.kind() {
                ErrorKind::BrokenPipe => {}
                ErrorKind::Bug => report.error(&e.clone().hint(panic::PLEASE_REPORT)),
                _ => report.error(&e),
            }
            e.exit_code()
        }
    }
}

fn printed(result: std::io::Result<()>) -> ExitCode {
    let result = result.map_err(stdout_error).and_then(|()| flush_stdout());
    conclude(&Reporter::silent(), result.map(|()| Outcome::Ok))
}

/// What a command left in the buffer: a full disk must not go unnoticed at the very end.
fn flush_stdout() -> Result<()> {
    std::io::stdout().flush().map_err(stdout_error)
}

fn refuse(refusal: Refusal) -> ExitCode {
    let Refusal { error, json, color } = refusal;
    let report = Reporter::new(
        Verbosity::Normal,
        color,
        ProgressChoice::Never,
        Duration::from_secs(60),
        json,
    );
    conclude(&report, Err(error))
}
