//! The arithmetic scores are computed in.
//!
//! sacrebleu computes a system's score in double precision from integer counts. For bootstrap
//! samples it sums 32-bit floats, and numpy then keeps 32 bits wherever such a number meets a
//! Python float (NEP 50, numpy 2). Intervals equal its own only if the formulas run in both.

use std::ops::{Add, Div, Mul};

pub trait Real:
    Copy + PartialOrd + Add<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
    fn from_f64(x: f64) -> Self;
    fn to_f64(self) -> f64;
}

impl Real for f64 {
    fn from_f64(x: f64) -> Self {
        x
    }
    fn to_f64(self) -> f64 {
        self
    }
}

impl Real for f32 {
    fn from_f64(x: f64) -> Self {
        x as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}
