//! Matrix products with their epilogues: `y = x Wᵀ + b`, optionally ReLU, and its backward.
//!
//! `x` is `[rows, in]`, `W` `[out, in]`, `b` `[out]`, `y` `[rows, out]`.

use super::parallel;
use super::product::{Matrix, Target, product};
use super::storage::uninit;
use crate::multiversion;

/// `y = x Wᵀ (+ b) (then ReLU)`.
pub fn forward(x: &[f32], w: &[f32], bias: Option<&[f32]>, inp: usize, relu: bool) -> Vec<f32> {
    let (rows, out) = (x.len() / inp, w.len() / inp);
    let mut y = uninit(rows * out);
    let target = Target::rows(&mut y, out).finish(bias, relu);
    product((rows, out, inp), target, Matrix::plain(x, inp), Matrix::transposed(w, inp));
    y
}

/// `dx = dy W`, added to `dx` when `accumulate`.
pub fn grad_input(dy: &[f32], w: &[f32], inp: usize, dx: &mut [f32], accumulate: bool) {
    let out = w.len() / inp;
    let rows = dy.len() / out;
    let target = Target::rows(dx, inp).accumulate(accumulate);
    product((rows, inp, out), target, Matrix::plain(dy, out), Matrix::plain(w, inp));
}

/// `dW = dyᵀ x`, added to `dw` when `accumulate`.
pub fn grad_weight(dy: &[f32], x: &[f32], inp: usize, dw: &mut [f32], accumulate: bool) {
    let out = dw.len() / inp;
    let rows = x.len() / inp;
    let target = Target::rows(dw, inp).accumulate(accumulate);
    product((out, inp, rows), target, Matrix::transposed(dy, out), Matrix::plain(x, inp));
}

/// Rows summed by one task; fixed, so that sums do not depend on the threads.
const SUM_ROWS: usize = 128;

multiversion! {
    /// `partial += sum over rows of dy`.
    fn sum_rows(dy: &[f32], partial: &mut [f32]) {
        let _ = FMA;
        for row in dy.chunks_exact(partial.len()) {
            for (p, v) in partial.iter_mut().zip(row) {
                *p += v;
            }
        }
    }
}

multiversion! {
    /// Zeroes the gradient where ReLU gave zero, then `partial += sum over rows`.
    fn mask_and_sum_rows(dy: &mut [f32], y: &[f32], partial: &mut [f32]) {
        let _ = FMA;
        let n = partial.len();
        for (row, y) in dy.chunks_exact_mut(n).zip(y.chunks_exact(n)) {
            for ((p, v), y) in partial.iter_mut().zip(row).zip(y) {
                let g = if *y > 0.0 { *v } else { 0.0 };
                *v = g;
                *p += g;
            }
        }
    }
}

fn add_partials(partials: Vec<Vec<f32>>, out: &mut [f32], accumulate: bool) {
    if !accumulate {
        out.fill(0.0);
    }
    for p in partials {
        for (o, v) in out.iter_mut().zip(p) {
            *o += v;
        }
    }
}

/// `db = sum over rows of dy`, added to `db` when `accumulate`.
pub fn grad_bias(dy: &[f32], db: &mut [f32], accumulate: bool) {
    let out = db.len();
    let partials = parallel::map(dy.chunks(out * SUM_ROWS), |dy| {
        let mut p = vec![0f32; out];
        sum_rows(dy, &mut p);
        p
    });
    add_partials(partials, db, accumulate);
}

/// Backward of ReLU in place, with the bias gradient in the same pass.
/// At exactly zero the gradient is zero, as in PyTorch.
pub fn relu_backward(dy: &mut [f32], y: &[f32], db: Option<(&mut [f32], bool)>, out: usize) {
    let rows = out * SUM_ROWS;
    let partials = parallel::map(dy.chunks_mut(rows).zip(y.chunks(rows)), |(dy, y)| {
        let mut p = vec![0f32; out];
        mask_and_sum_rows(dy, y, &mut p);
        p
    });
    if let Some((db, accumulate)) = db {
        add_partials(partials, db, accumulate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(x: &[f32], w: &[f32], b: &[f32], inp: usize, relu: bool) -> Vec<f32> {
        let out = w.len() / inp;
        let mut y = Vec::new();
        for x in x.chunks(inp) {
            for o in 0..out {
                let s: f64 = (0..inp).map(|i| x[i] as f64 * w[o * inp + i] as f64).sum();
                let s = s + b[o] as f64;
                y.push(if relu { s.max(0.0) as f32 } else { s as f32 });
            }
        }
        y
    }

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32)
            .map(|i| {
                ((i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 8) as f32 / 8388608.0) - 1.0
            })
            .collect()
    }

    fn close(a: &[f32], b: &[f32]) {
        assert_eq!(a.len(), b.len());
        for (x, y) in a.iter().zip(b) {
            assert!((x - y).abs() <= 1e-4 * (1.0 + y.abs()), "{x} {y}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn forward_and_gradients_equal_the_definition(
            rows in 1usize..40, inp in 1usize..40, out in 1usize..40, relu: bool, seed: u32
        ) {
            let (x, w, b) = (numbers(rows * inp, seed), numbers(out * inp, seed ^ 7), numbers(out, seed ^ 9));
            let y = forward(&x, &w, Some(&b), inp, relu);
            close(&y, &naive(&x, &w, &b, inp, relu));
            let mut dy = numbers(rows * out, seed ^ 3);
            let want: Vec<f32> = dy.iter().zip(&y).map(|(g, y)| if relu && *y <= 0.0 { 0.0 } else { *g }).collect();
            let mut db = vec![1f32; out];
            if relu {
                relu_backward(&mut dy, &y, Some((&mut db, true)), out);
            } else {
                grad_bias(&dy, &mut db, true);
            }
            prop_assert_eq!(&dy, &want);
            let want_db: Vec<f32> = (0..out).map(|o| 1.0 + (0..rows).map(|r| want[r * out + o]).sum::<f32>()).collect();
            close(&db, &want_db);
            let mut dx = vec![0.5f32; rows * inp];
            grad_input(&dy, &w, inp, &mut dx, true);
            let wt: Vec<f32> = (0..inp).flat_map(|i| (0..out).map(move |o| (i, o))).map(|(i, o)| w[o * inp + i]).collect();
            close(&dx, &naive(&dy, &wt, &vec![0.5; inp], out, false));
            let mut dw = vec![f32::NAN; out * inp];
            grad_weight(&dy, &x, inp, &mut dw, false);
            let want: Vec<f32> = (0..out).flat_map(|o| (0..inp).map(move |i| (o, i)))
                .map(|(o, i)| (0..rows).map(|r| dy[r * out + o] * x[r * inp + i]).sum()).collect();
            close(&dw, &want);
        }
    }

    #[test]
    fn nan_passes_through_relu() {
        assert!(forward(&[f32::NAN], &[1.0], Some(&[0.0]), 1, true)[0].is_nan());
    }
}
