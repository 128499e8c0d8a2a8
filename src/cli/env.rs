//! Environment variables, each declared once with its documentation. The parser, the help, the
//! man page and a test that looks for undeclared ones all read this table.

use std::ffi::OsStr;

/// A variable this program reads.
pub struct Variable {
    pub name: &'static str,
    /// The flag whose value it gives when the flag is absent.
    pub flag: Option<&'static str>,
    pub help: &'static str,
}

const fn flag(name: &'static str, flag: &'static str, help: &'static str) -> Variable {
    Variable { name, flag: Some(flag), help }
}
const fn plain(name: &'static str, help: &'static str) -> Variable {
    Variable { name, flag: None, help }
}

/// Sorted by name, ours first. An empty value counts as unset.
pub const VARIABLES: &[Variable] = &[
    flag("ISOGLOSS_COLOR", "color", "Colour on standard error: auto, always or never."),
    flag("ISOGLOSS_DEVICE", "device", "Where to compute: auto, cpu, cuda or cuda:N."),
    flag(
        "ISOGLOSS_DTYPE",
        "dtype",
        "Number format of weights: f32, bf16 or int8, as the command computes.",
    ),
    flag(
        "ISOGLOSS_FORMAT",
        "format",
        "Shape of standard output, for the commands that have this form.",
    ),
    flag(
        "ISOGLOSS_LOG",
        "log",
        "How much to say without -q and -v: error, warn, info, note or debug.",
    ),
    flag("ISOGLOSS_PROGRESS", "progress", "Progress display: auto, always or never."),
    flag(
        "ISOGLOSS_PROGRESS_INTERVAL",
        "progress-interval",
        "Seconds between progress lines when there is no terminal.",
    ),
    flag("ISOGLOSS_SEED", "seed", "The number every random stream is derived from."),
    flag("ISOGLOSS_THREADS", "threads", "Threads to use; 0 means all."),
    plain("COLUMNS", "Width of the help text when standard output is not a terminal."),
    plain(
        "MASTER_ADDR",
        "Machine of the first of several processes that train on GPUs; else this one.",
    ),
    plain(
        "MASTER_PORT",
        "Its port, above which it is called by the others; 29500 where nothing is said.",
    ),
    plain("NO_COLOR", "Any value: no colour, unless --color always is given."),
    plain("RAYON_NUM_THREADS", "Threads to use when --threads and ISOGLOSS_THREADS name none."),
    plain("RUST_BACKTRACE", "1: show where an internal error came from."),
    plain(
        "SACREBLEU_SEED",
        "Seed of the resampling of `score`, as sacrebleu reads it: a number, or none.",
    ),
    plain("TERM", "dumb: no colour and no progress bars."),
];

/// The variable that stands in for a flag.
pub fn variable_of(flag: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|v| v.flag == Some(flag))
}

/// Whether a variable is set and not empty.
pub fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|v| !v.is_empty())
}

/// Gives every argument of `command` (not of its subcommands) the variable of its flag.
pub fn attach(command: clap::Command) -> clap::Command {
    command.mut_args(|arg| {
        let Some(variable) = arg.get_long().and_then(variable_of) else { return arg };
        match std::env::var_os(variable.name).filter(|v| !v.is_empty()) {
            None => arg,
            // A shared form, such as `markdown`, must not break the commands that lack it.
            Some(v) if variable.flag == Some("format") && !offers(&arg, &v) => arg,
            // Hidden in the help of each flag: the page of the program lists them all.
            Some(_) => arg.env(variable.name).hide_env(true),
        }
    })
}

fn offers(format: &clap::Arg, value: &OsStr) -> bool {
    let known = ["text", "jsonl", "json", "tsv", "markdown", "latex"];
    let own = format.get_possible_values();
    own.is_empty()
        || own.iter().any(|v| value.to_str().is_some_and(|s| v.matches(s, false)))
        || !known.iter().any(|k| OsStr::new(k) == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_follow_their_flag() {
        let (ours, others): (Vec<_>, Vec<_>) =
            VARIABLES.iter().map(|v| v.name).partition(|n| n.starts_with("ISOGLOSS_"));
        assert!(ours.is_sorted() && others.is_sorted());
        for v in VARIABLES {
            if let Some(flag) = v.flag {
                assert_eq!(v.name, format!("ISOGLOSS_{}", flag.to_uppercase().replace('-', "_")));
            }
        }
    }
}
