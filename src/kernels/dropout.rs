//! Dropout by a counter-based hash: nothing is stored, backward draws the same mask again,
//! and a run resumes without any random state.

use super::parallel;
use super::storage::uninit;
use crate::multiversion;

/// One draw: which mask, and how likely a value is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    key: u32,
    /// A value is kept when its hash lies below this.
    keep: u32,
    scale: f32,
}

#[inline(always)]
fn mix(mut x: u32) -> u32 {
    // "lowbias32" of Chris Wellons' hash prospector: full avalanche in 6 operations.
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

impl Dropout {
    /// Keeps everything.
    pub const NONE: Self = Self { key: 0, keep: u32::MAX, scale: 1.0 };

    /// Drops with probability `p` in `[0, 1)`; `key` names the mask.
    pub fn new(p: f32, key: u64) -> Self {
        if p <= 0.0 {
            return Self::NONE;
        }
        let keep = 1.0 - f64::from(p);
        Self {
            key: mix(key as u32) ^ mix((key >> 32) as u32 ^ 0x9e37_79b9),
            keep: (keep * f64::from(u32::MAX)) as u32,
            scale: (1.0 / keep) as f32,
        }
    }
    /// Key, bound of the hash and scale, for kernels elsewhere.
    pub fn parts(&self) -> (u32, u32, f32) {
        (self.key, self.keep, self.scale)
    }
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }
    /// What the value at `index` is multiplied by: zero or `1 / (1 - p)`.
    #[inline(always)]
    pub fn factor(&self, index: usize) -> f32 {
        let h = mix(self.key.wrapping_add(index as u32));
        if h < self.keep { self.scale } else { 0.0 }
    }
}

multiversion! {
    fn chunk(x: &[f32], y: &mut [f32], d: Dropout, start: usize) {
        let _ = FMA;
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            *y = x * d.factor(start + i);
        }
    }
}

multiversion! {
    fn chunk_add(x: &[f32], h: &[f32], y: &mut [f32], d: Dropout, start: usize) {
        let _ = FMA;
        for (i, ((y, x), h)) in y.iter_mut().zip(x).zip(h).enumerate() {
            *y = x + h * d.factor(start + i);
        }
    }
}

multiversion! {
    fn chunk_plain_add(x: &[f32], h: &[f32], y: &mut [f32]) {
        let _ = FMA;
        for ((y, x), h) in y.iter_mut().zip(x).zip(h) {
            *y = x + h;
        }
    }
}

const CHUNK: usize = 16384;

/// `y = dropout(x)`; also its own backward, with the gradient for `x`.
pub fn apply(x: &[f32], d: Dropout) -> Vec<f32> {
    let mut y = uninit(x.len());
    let chunks = y.chunks_mut(CHUNK).zip(x.chunks(CHUNK)).enumerate();
    parallel::for_each(chunks, |(c, (y, x))| chunk(x, y, d, c * CHUNK));
    y
}

/// `y = x + dropout(h)`.
pub fn add(x: &[f32], h: &[f32], d: Dropout) -> Vec<f32> {
    assert_eq!(x.len(), h.len());
    let mut y = uninit(x.len());
    let chunks = y.chunks_mut(CHUNK).zip(x.chunks(CHUNK)).zip(h.chunks(CHUNK)).enumerate();
    parallel::for_each(chunks, |(c, ((y, x), h))| {
        if d.is_none() { chunk_plain_add(x, h, y) } else { chunk_add(x, h, y, d, c * CHUNK) }
    });
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_mean_and_the_share() {
        let x = vec![1f32; 100_000];
        let y = apply(&x, Dropout::new(0.3, 42));
        let zeros = y.iter().filter(|v| **v == 0.0).count() as f64 / 1e5;
        assert!((zeros - 0.3).abs() < 0.005, "{zeros}");
        let mean = y.iter().map(|v| f64::from(*v)).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert_eq!(y, apply(&x, Dropout::new(0.3, 42)));
        assert_ne!(y, apply(&x, Dropout::new(0.3, 43)));
        assert_ne!(y, apply(&x, Dropout::new(0.3, 42 << 32)));
        assert_eq!(apply(&x, Dropout::NONE), x);
    }
}
