//! Sums and scalings of whole tensors, one pass each.

use rayon::prelude::*;

use super::storage::uninit;
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
    fn add_scaled_chunk(x: &[f32], y: &[f32], scale: f32, relu: bool, out: &mut [f32]) {
        let _ = FMA;
        for ((o, x), y) in out.iter_mut().zip(x).zip(y) {
            let s = x + scale * y;
            *o = if relu && s < 0.0 { 0.0 } else { s };
        }
    }
}

/// `x + scale * y`, then ReLU when asked.
pub fn add_scaled(x: &[f32], y: &[f32], scale: f32, relu: bool) -> Vec<f32> {
    assert_eq!(x.len(), y.len());
    let mut out = uninit(x.len());
    out.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .zip(y.par_chunks(CHUNK))
        .for_each(|((o, x), y)| add_scaled_chunk(x, y, scale, relu, o));
    out
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

/// `scale * x`.
pub fn scaled(x: &[f32], scale: f32) -> Vec<f32> {
    let mut out = uninit(x.len());
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(o, x)| {
        for (o, x) in o.iter_mut().zip(x) {
            *o = scale * x;
        }
    });
    out
}
