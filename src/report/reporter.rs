//! One object that knows quiet, colour and terminal, with a door for each kind of talk.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::progress::{Progress, ProgressChoice, Screen};
use crate::error::{Error, ErrorKind};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Silent,
    /// Errors and warnings.
    Quiet,
    /// Progress and results too.
    Normal,
    /// Notes.
    Verbose,
    Debug,
}

/// Everything the program says on standard error.
pub struct Reporter {
    verbosity: Verbosity,
    color: bool,
    bars: bool,
    progress: ProgressChoice,
    interval: Duration,
    json: bool,
    /// Bars now on the terminal: they make room for what is said.
    screen: Arc<Screen>,
    warnings: Mutex<Warnings>,
}

/// Different warnings remembered; hostile input could otherwise fill the memory with them.
const MAX_DISTINCT_WARNINGS: usize = 200;

#[derive(Default)]
struct Warnings {
    /// How often each message came, whatever its place.
    seen: BTreeMap<String, u64>,
    /// Those beyond [`MAX_DISTINCT_WARNINGS`], not shown one by one.
    others: u64,
    first: Option<ErrorKind>,
}

impl Reporter {
    pub fn new(
        verbosity: Verbosity,
        color: ColorChoice,
        progress: ProgressChoice,
        interval: Duration,
        json: bool,
    ) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let color = match color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => terminal && !dumb && !no_color,
        };
        Self {
            verbosity,
            color: color && !json,
            bars: terminal && !dumb && !json,
            progress,
            interval,
            json,
            screen: Arc::default(),
            warnings: Mutex::default(),
        }
    }

    /// For library use and tests: says nothing but errors.
    pub fn silent() -> Self {
        Self::new(
            Verbosity::Silent,
            ColorChoice::Never,
            ProgressChoice::Never,
            Duration::from_secs(60),
            false,
        )
    }

    fn say(&self, label: &str, ansi: &str, text: &str) {
        self.screen.suspend(|| {
            let mut err = std::io::stderr().lock();
            // Standard error may be gone; there is nowhere left to say so.
            let _ = match (label.is_empty(), self.color) {
                (true, _) => writeln!(err, "{text}"),
                (false, true) => writeln!(err, "\x1b[{ansi}m{label}:\x1b[0m {text}"),
                (false, false) => writeln!(err, "{label}: {text}"),
            };
        });
    }

    pub fn error(&self, e: &Error) {
        if self.json {
            self.say("", "", &e.to_record().to_string());
        } else {
            self.say("error", "1;31", &e.to_string());
        }
    }

    /// A warning. The same message is printed once, with its first place, and counted.
    pub fn warning(&self, e: &Error) {
        let first = {
            let mut warnings = self.lock();
            warnings.first.get_or_insert(e.kind());
            if let Some(n) = warnings.seen.get_mut(e.message()) {
                *n += 1;
                false
            } else if warnings.seen.len() < MAX_DISTINCT_WARNINGS {
                warnings.seen.insert(e.message().to_string(), 1);
                true
            } else {
                warnings.others += 1;
                false
            }
        };
        if first && self.verbosity >= Verbosity::Quiet {
            if self.json {
                let mut record = e.to_record();
                record["type"] = "warning".into();
                self.say("", "", &record.to_string());
            } else {
                self.say("warning", "1;33", &e.to_string());
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Warnings> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many warnings there were, repetitions included.
    pub fn num_warnings(&self) -> u64 {
        let warnings = self.lock();
        warnings.seen.values().sum::<u64>() + warnings.others
    }

    /// The kind of the first warning, if there was one.
    pub fn first_warning(&self) -> Option<ErrorKind> {
        self.lock().first
    }

    /// What `--warnings-as-errors` ends with; `kind` decides the exit code.
    pub fn as_error(&self, kind: ErrorKind) -> Error {
        let n = self.num_warnings();
        let message = match n {
            1 => "there was a warning".to_string(),
            n => format!("there were {n} warnings"),
        };
        Error::new(kind, message)
            .cause("`--warnings-as-errors` was given")
            .hint("the outputs are written; mend the cause, or leave that flag out")
    }

    /// Sums up warnings that came more than once.
    pub fn finish(&self) {
        if self.verbosity < Verbosity::Quiet {
            return;
        }
        let (repeated, others) = {
            let warnings = self.lock();
            let repeated: Vec<(String, u64)> =
                warnings.seen.iter().filter(|w| *w.1 > 1).map(|(m, n)| (m.clone(), *n)).collect();
            (repeated, warnings.others)
        };
        let others = (others > 0).then(|| ("further warnings, not shown".to_string(), others));
        for (message, count) in repeated.into_iter().chain(others) {
            if self.json {
                let record = serde_json::json!({
                    "type": "warning", "message": message, "count": count,
                });
                self.say("", "", &record.to_string());
            } else {
                let e = Error::data(format!("{message} ({count} times)"));
                self.say("warning", "1;33", &e.to_string());
            }
        }
    }

    /// What was done, in one line.
    pub fn status(&self, text: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Normal && !self.json {
            self.say("", "", text.as_ref());
        }
    }
    /// Details a user may ask for with `-v`.
    pub fn note(&self, text: impl AsRef<str>) {
        self.detail(Verbosity::Verbose, "note", "36", text.as_ref());
    }
    pub fn debug(&self, text: impl AsRef<str>) {
        self.detail(Verbosity::Debug, "debug", "2", text.as_ref());
    }
    fn detail(&self, level: Verbosity, label: &str, ansi: &str, text: &str) {
        if self.verbosity < level {
            return;
        }
        if self.json {
            let record = serde_json::json!({ "type": label, "message": text });
            self.say("", "", &record.to_string());
        } else {
            self.say(label, ansi, text);
        }
    }
    pub fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// A bar on a terminal, one plain line per interval elsewhere. `total` in `unit`s.
    pub fn progress(&self, what: &str, unit: &'static str, total: Option<u64>) -> Progress {
        let shown = match self.progress {
            ProgressChoice::Never => false,
            ProgressChoice::Always => true,
            ProgressChoice::Auto => self.verbosity >= Verbosity::Normal && !self.json,
        };
        let screen = (shown && self.bars).then(|| Arc::clone(&self.screen));
        Progress::new(what, unit, total, screen, shown && !self.bars, self.interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_counted_by_message_not_by_place() {
        let r = Reporter::silent();
        for line in 1..=3 {
            r.warning(&Error::data("source was cut").at("a.txt").line(line));
        }
        r.warning(&Error::artifact("two spellings"));
        assert_eq!(r.num_warnings(), 4);
        assert_eq!(r.lock().seen.len(), 2);
        let kind = r.first_warning().unwrap();
        assert_eq!(r.as_error(kind).exit_code() as u8, 3);
        assert_eq!(r.as_error(kind).message(), "there were 4 warnings");
    }

    #[test]
    fn endless_different_warnings_stay_bounded() {
        let r = Reporter::silent();
        for i in 0..10_000 {
            r.warning(&Error::data(format!("bad `{i}`")));
        }
        assert_eq!(r.num_warnings(), 10_000);
        assert_eq!(r.lock().seen.len(), MAX_DISTINCT_WARNINGS);
    }
}
