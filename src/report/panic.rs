//! A panic is a fault of this program: say so in one short error that asks for a report, and
//! end with code 101.

use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

pub const PLEASE_REPORT: &str = "this is a fault of isogloss: please report it with the command \
     line and the output of `isogloss --version --verbose`";

static AS_RECORD: AtomicBool = AtomicBool::new(false);

/// Under `--json`, a panic is a record like every other error.
pub fn speak_in_records(json: bool) {
    AS_RECORD.store(json, Ordering::Relaxed);
}

/// Replaces the standard library's message. The exit code stays 101.
pub fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        if crate::error::is_contained() {
            return;
        }
        let message = message(info);
        // `println!` in a library panics when the reader of our output is gone: a normal end.
        if message.starts_with("failed printing to stdout") && message.contains("Broken pipe") {
            std::process::exit(0);
        }
        let error = error(&message, info.location().map(ToString::to_string));
        // Not `eprintln!`: standard error may be gone, and a panic in here would abort.
        let mut err = std::io::stderr().lock();
        let _ = if AS_RECORD.load(Ordering::Relaxed) {
            writeln!(err, "{}", error.to_record())
        } else {
            writeln!(err, "error: {error}")
        };
        let wanted = std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0" && !v.is_empty());
        if wanted {
            let _ = writeln!(err, "{}", std::backtrace::Backtrace::force_capture());
        }
    }));
}

fn message(info: &PanicHookInfo) -> String {
    let payload = info.payload();
    payload
        .downcast_ref::<&str>()
        .map(|s| s.to_string())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".into())
}

fn error(message: &str, location: Option<String>) -> Error {
    let first = message.lines().next().unwrap_or("unknown");
    let error = Error::bug(format!("internal error: {first}"));
    match location {
        Some(location) => error.cause(format!("panic at {location}")),
        None => error,
    }
    .hint(PLEASE_REPORT)
    .hint("set `RUST_BACKTRACE=1` to see where it came from")
}
