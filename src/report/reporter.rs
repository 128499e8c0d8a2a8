//! One object that knows quiet, colour and terminal, with a door for each kind of talk.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::Error;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressChoice {
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
    warnings: Mutex<BTreeMap<String, u64>>,
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
        let bars = terminal && !dumb && !json;
        Self {
            verbosity,
            color,
            bars,
            progress,
            interval,
            json,
            warnings: Mutex::new(BTreeMap::new()),
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
        let mut err = std::io::stderr().lock();
        // Standard error may be gone; there is nowhere left to say so.
        let _ = match (label.is_empty(), self.color) {
            (true, _) => writeln!(err, "{text}"),
            (false, true) => writeln!(err, "\x1b[{ansi}m{label}:\x1b[0m {text}"),
            (false, false) => writeln!(err, "{label}: {text}"),
        };
    }

    pub fn error(&self, e: &Error) {
        if self.json {
            self.say("", "", &e.to_record().to_string());
        } else {
            self.say("error", "1;31", &e.to_string());
        }
    }

    /// A warning; the same text is printed once and counted.
    pub fn warning(&self, e: &Error) {
        let text = e.to_string();
        let first = {
            let mut seen = self.warnings.lock().unwrap_or_else(|p| p.into_inner());
            let n = seen.entry(text.clone()).or_insert(0);
            *n += 1;
            *n == 1
        };
        if first && self.verbosity >= Verbosity::Quiet {
            if self.json {
                let mut r = e.to_record();
                r["type"] = "warning".into();
                self.say("", "", &r.to_string());
            } else {
                self.say("warning", "1;33", &text);
            }
        }
    }

    /// How many warnings there were, repetitions included.
    pub fn num_warnings(&self) -> u64 {
        self.warnings.lock().unwrap_or_else(|p| p.into_inner()).values().sum()
    }

    /// Sums up warnings that came more than once.
    pub fn finish(&self) {
        if self.verbosity < Verbosity::Quiet || self.json {
            return;
        }
        let seen = self.warnings.lock().unwrap_or_else(|p| p.into_inner());
        for (text, n) in seen.iter().filter(|(_, n)| **n > 1) {
            let head = text.lines().next().unwrap_or("");
            self.say("warning", "1;33", &format!("{head} ({n} times)"));
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
        if self.verbosity >= Verbosity::Verbose && !self.json {
            self.say("note", "36", text.as_ref());
        }
    }
    pub fn debug(&self, text: impl AsRef<str>) {
        if self.verbosity >= Verbosity::Debug && !self.json {
            self.say("debug", "2", text.as_ref());
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
        let bar = (shown && self.bars).then(|| {
            let bar = match total {
                Some(n) => ProgressBar::new(n),
                None => ProgressBar::new_spinner(),
            };
            bar.set_draw_target(ProgressDrawTarget::hidden());
            let template = if total.is_some() {
                "{msg} [{bar:30}] {pos}/{len} {prefix} {per_sec} eta {eta}"
            } else {
                "{spinner} {msg} {pos} {prefix} {per_sec}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.set_message(what.to_string());
            bar.set_prefix(unit);
            bar
        });
        let now = Instant::now();
        Progress {
            bar,
            plain: shown && !self.bars,
            what: what.to_string(),
            unit,
            total,
            start: now,
            last: now,
            interval: self.interval,
            done: 0,
            detail: String::new(),
        }
    }
}

/// A running task. Silent for its first quarter second; removed at the end.
pub struct Progress {
    bar: Option<ProgressBar>,
    plain: bool,
    what: String,
    unit: &'static str,
    total: Option<u64>,
    start: Instant,
    last: Instant,
    interval: Duration,
    done: u64,
    detail: String,
}

impl Progress {
    /// Something to show beside the numbers, such as the loss.
    pub fn detail(&mut self, text: impl Into<String>) {
        self.detail = text.into();
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{} {}", self.what, self.detail));
        }
    }
    pub fn add(&mut self, n: u64) {
        self.set(self.done + n);
    }
    pub fn set(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            if bar.is_hidden() && self.start.elapsed() >= Duration::from_millis(250) {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(10));
            }
            bar.set_position(done);
        } else if self.plain && self.last.elapsed() >= self.interval {
            self.last = Instant::now();
            let total = self.total.map_or(String::new(), |t| format!("/{t}"));
            let rate = done as f64 / self.start.elapsed().as_secs_f64();
            let detail =
                if self.detail.is_empty() { String::new() } else { format!(", {}", self.detail) };
            let _ = writeln!(
                std::io::stderr(),
                "{}: {done}{total} {} ({rate:.1}/s{detail})",
                self.what,
                self.unit
            );
        }
    }
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
