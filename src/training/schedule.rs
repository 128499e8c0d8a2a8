//! Learning rates by step.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// Warm-up, then `lr * sqrt(warmup / step)` (Vaswani et al. 2017, section 5.3)
    InverseSqrt,
    /// Warm-up, then a straight line to `--min-lr` at `--max-steps`
    Linear,
    /// Warm-up, then half a cosine to `--min-lr` at `--max-steps` (Loshchilov and Hutter 2017)
    Cosine,
    /// Warm-up, then `--lr`
    Constant,
}

/// The learning rate of each step; warm-up rises linearly to `lr` at `warmup_steps`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LrSchedule {
    pub kind: ScheduleKind,
    pub lr: f64,
    pub min_lr: f64,
    pub warmup_steps: u64,
    /// Where linear and cosine end.
    pub max_steps: u64,
}

impl LrSchedule {
    /// The rate of a step, counted from 1.
    pub fn at(&self, step: u64) -> f64 {
        if step <= self.warmup_steps {
            return self.lr * step as f64 / self.warmup_steps as f64;
        }
        let rest = self.max_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let done = ((step - self.warmup_steps) as f64 / rest).min(1.0);
        match self.kind {
            ScheduleKind::InverseSqrt => {
                (self.lr * (self.warmup_steps.max(1) as f64 / step as f64).sqrt()).max(self.min_lr)
            }
            ScheduleKind::Linear => self.min_lr + (self.lr - self.min_lr) * (1.0 - done),
            ScheduleKind::Cosine => {
                let half = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                self.min_lr + (self.lr - self.min_lr) * half
            }
            ScheduleKind::Constant => self.lr,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_at_its_landmarks() {
        let s = |kind| LrSchedule { kind, lr: 1.0, min_lr: 0.1, warmup_steps: 4, max_steps: 24 };
        for kind in [
            ScheduleKind::InverseSqrt,
            ScheduleKind::Linear,
            ScheduleKind::Cosine,
            ScheduleKind::Constant,
        ] {
            assert_eq!((s(kind).at(1), s(kind).at(4)), (0.25, 1.0));
        }
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(s(ScheduleKind::InverseSqrt).at(16), 0.5);
        near(s(ScheduleKind::Linear).at(14), 0.55);
        near(s(ScheduleKind::Linear).at(24), 0.1);
        near(s(ScheduleKind::Linear).at(99), 0.1);
        near(s(ScheduleKind::Cosine).at(14), 0.55);
        near(s(ScheduleKind::Cosine).at(24), 0.1);
        near(s(ScheduleKind::Constant).at(99), 1.0);
        let none = LrSchedule { warmup_steps: 0, ..s(ScheduleKind::Linear) };
        near(none.at(12), 0.55);
    }
}
