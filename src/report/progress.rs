//! Progress of a running task: a bar on a terminal, plain lines elsewhere.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, WeakProgressBar};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ProgressChoice {
    #[default]
    Auto,
    Always,
    Never,
}

/// A task shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_millis(250);
/// Updates a second.
const RATE_HZ: u8 = 10;

/// The bars now on the terminal.
#[derive(Default)]
pub(super) struct Screen(Mutex<Vec<WeakProgressBar>>);

impl Screen {
    fn add(&self, bar: &ProgressBar) {
        let mut bars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bars.retain(|b| b.upgrade().is_some());
        bars.push(bar.downgrade());
    }

    /// Runs `f` while no bar is drawn, so that lines and bars do not mix.
    pub(super) fn suspend(&self, f: impl FnOnce()) {
        let bars: Vec<ProgressBar> = {
            let bars = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            bars.iter().filter_map(WeakProgressBar::upgrade).collect()
        };
        match bars.iter().find(|b| !b.is_hidden() && !b.is_finished()) {
            Some(bar) => bar.suspend(f),
            None => f(),
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
    pub(super) fn new(
        what: &str,
        unit: &'static str,
        total: Option<u64>,
        screen: Option<Arc<Screen>>,
        plain: bool,
        interval: Duration,
    ) -> Self {
        let bar = screen.map(|screen| {
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
            screen.add(&bar);
            bar
        });
        let now = Instant::now();
        Self {
            bar,
            plain,
            what: what.to_string(),
            unit,
            total,
            start: now,
            last: now,
            interval,
            done: 0,
            detail: String::new(),
        }
    }

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
            if bar.is_hidden() && self.start.elapsed() >= PATIENCE {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(RATE_HZ));
            }
            bar.set_position(done);
        } else if self.plain && self.last.elapsed() >= self.interval {
            self.last = Instant::now();
            let line = self.line(self.start.elapsed());
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// `training: 500/2000 steps (4.2/s, loss 3.1)`
    fn line(&self, elapsed: Duration) -> String {
        let total = self.total.map_or(String::new(), |t| format!("/{t}"));
        let rate = self.done as f64 / elapsed.as_secs_f64().max(1e-9);
        let detail =
            if self.detail.is_empty() { String::new() } else { format!(", {}", self.detail) };
        format!("{}: {}{total} {} ({rate:.1}/s{detail})", self.what, self.done, self.unit)
    }

    pub fn finish(self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_lines_name_task_amount_and_rate() {
        let minute = Duration::from_secs(60);
        let mut p = Progress::new("training", "steps", Some(2000), None, true, minute);
        p.set(500);
        p.detail("loss 3.1");
        assert_eq!(p.line(Duration::from_secs(100)), "training: 500/2000 steps (5.0/s, loss 3.1)");
    }
}
