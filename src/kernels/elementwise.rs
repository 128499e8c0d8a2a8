//! Sums of whole tensors, one pass each.

use rayon::prelude::*;

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
    a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK)).for_each(|(a, b)| add_chunk(a, b));
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
    g.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(g, y)| relu_backward_chunk(g, y));
}
