//! Sums and signs of whole tensors, one pass each.

use super::parallel;
use crate::multiversion;

const CHUNK: usize = 16384;

multiversion! {
    fn add_chunk(a: &mut [f32], b: &[f32]) {
        let _ = FMA;
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
    }
}

/// `a += b`.
pub fn add_in_place(a: &mut [f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    parallel::for_each(a.chunks_mut(CHUNK).zip(b.chunks(CHUNK)), |(a, b)| add_chunk(a, b));
}

multiversion! {
    fn relu_chunk(y: &mut [f32]) {
        let _ = FMA;
        for v in y {
            // A comparison, not `max`: NaN must stay visible.
            *v = if *v < 0.0 { 0.0 } else { *v };
        }
    }
}

/// The positive part.
pub fn relu(y: &mut [f32]) {
    parallel::for_each(y.chunks_mut(CHUNK), relu_chunk);
}

multiversion! {
    fn relu_backward_chunk(g: &mut [f32], y: &[f32]) {
        let _ = FMA;
        for (g, y) in g.iter_mut().zip(y) {
            *g = if *y > 0.0 { *g } else { 0.0 };
        }
    }
}

/// Zeroes the gradient where ReLU gave zero.
pub fn relu_backward(g: &mut [f32], y: &[f32]) {
    assert_eq!(g.len(), y.len());
    parallel::for_each(g.chunks_mut(CHUNK).zip(y.chunks(CHUNK)), |(g, y)| {
        relu_backward_chunk(g, y)
    });
}

/// Where values are above zero, a bit each: all that the backward of ReLU needs of its result.
pub struct Signs {
    bits: Vec<u8>,
    len: usize,
}

impl Signs {
    pub fn of(y: &[f32]) -> Self {
        let mut bits = vec![0u8; y.len().div_ceil(8)];
        parallel::for_each(bits.chunks_mut(CHUNK / 8).zip(y.chunks(CHUNK)), |(bits, y)| {
            for (b, y) in bits.iter_mut().zip(y.chunks(8)) {
                for (i, y) in y.iter().enumerate() {
                    *b |= u8::from(*y > 0.0) << i;
                }
            }
        });
        Self { bits, len: y.len() }
    }

    /// Zeroes the gradient where ReLU gave zero.
    pub fn relu_backward(&self, g: &mut [f32]) {
        assert_eq!(g.len(), self.len);
        parallel::for_each(g.chunks_mut(CHUNK).zip(self.bits.chunks(CHUNK / 8)), |(g, bits)| {
            for (g, b) in g.chunks_mut(8).zip(bits) {
                for (i, g) in g.iter_mut().enumerate() {
                    *g = if b >> i & 1 == 1 { *g } else { 0.0 };
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_all_that_relu_needs() {
        for n in [0, 1, 7, 8, 9, CHUNK - 1, 2 * CHUNK + 13] {
            let at = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) % 5;
            let special = [0.0, 1e-40, -1.0, f32::NAN, 2.0];
            let y: Vec<f32> = (0..n).map(|i| special[at(i)]).collect();
            let mut found: Vec<f32> = (0..n).map(|i| i as f32 + 1.0).collect();
            let mut expected = found.clone();
            Signs::of(&y).relu_backward(&mut found);
            relu_backward(&mut expected, &y);
            assert_eq!(found, expected);
        }
    }
}
