//! Layer normalisation over the last axis: `y = (x - mean) / sqrt(var + eps) * w + b`, with
//! the biased variance (Ba et al. 2016).

use super::parallel;
use super::rows_per_task;
use super::simd::{sum_by, sum_by2};
use super::storage::uninit;
use crate::multiversion;

/// The constant of the published models.
pub const EPS: f32 = 1e-5;

multiversion! {
    fn rows_forward(x: &[f32], w: &[f32], b: &[f32], y: &mut [f32]) {
        let _ = FMA;
        let n = w.len();
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            let mean = sum_by(x, |v| v) / n as f32;
            let var = sum_by(x, |v| (v - mean) * (v - mean)) / n as f32;
            let rstd = 1.0 / (var + EPS).sqrt();
            for i in 0..n {
                y[i] = (x[i] - mean) * rstd * w[i] + b[i];
            }
        }
    }
}

/// `x` `[rows, n]`, `w` and `b` `[n]`.
pub fn forward(x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
    let n = w.len();
    assert!(b.len() == n && x.len().is_multiple_of(n));
    let mut y = uninit(x.len());
    let chunk = n * rows_per_task(n);
    parallel::for_each(y.chunks_mut(chunk).zip(x.chunks(chunk)), |(y, x)| {
        rows_forward(x, w, b, y);
    });
    y
}

multiversion! {
    /// Adds to `dx` when `accumulate`; adds to `dw` and `db`.
    fn rows_backward(
        x: &[f32], w: &[f32], dy: &[f32], dx: &mut [f32], dw: &mut [f32], db: &mut [f32],
        scratch: &mut [f32], accumulate: bool,
    ) {
        let _ = FMA;
        let n = w.len();
        for ((x, dy), dx) in x.chunks_exact(n).zip(dy.chunks_exact(n)).zip(dx.chunks_exact_mut(n)) {
            let mean = sum_by(x, |v| v) / n as f32;
            let var = sum_by(x, |v| (v - mean) * (v - mean)) / n as f32;
            let rstd = 1.0 / (var + EPS).sqrt();
            for i in 0..n {
                dw[i] += dy[i] * (x[i] - mean) * rstd;
                db[i] += dy[i];
                scratch[i] = dy[i] * w[i];
            }
            let s1 = sum_by(scratch, |v| v) / n as f32;
            let s2 = sum_by2(scratch, x, |g, v| g * (v - mean)) * rstd * rstd / n as f32;
            if accumulate {
                for i in 0..n {
                    dx[i] += rstd * (scratch[i] - s1 - (x[i] - mean) * s2);
                }
            } else {
                for i in 0..n {
                    dx[i] = rstd * (scratch[i] - s1 - (x[i] - mean) * s2);
                }
            }
        }
    }
}

/// Rows of one partial sum; fixed, so that sums do not depend on the threads.
const SUM_ROWS: usize = 128;

/// Writes or adds to `dx`; writes or adds the gradients of `w` and `b`.
pub fn backward(
    x: &[f32],
    w: &[f32],
    dy: &[f32],
    (dx, dx_accumulate): (&mut [f32], bool),
    parameters: Option<(&mut [f32], bool, &mut [f32], bool)>,
) {
    let n = w.len();
    let chunk = n * SUM_ROWS;
    let chunks = dx.chunks_mut(chunk).zip(x.chunks(chunk)).zip(dy.chunks(chunk));
    let partials = parallel::map(chunks, |((dx, x), dy)| {
        let mut sums = vec![0f32; 3 * n];
        let (dw, rest) = sums.split_at_mut(n);
        let (db, scratch) = rest.split_at_mut(n);
        rows_backward(x, w, dy, dx, dw, db, scratch, dx_accumulate);
        sums
    });
    if let Some((dw, dw_accumulate, db, db_accumulate)) = parameters {
        if !dw_accumulate {
            dw.fill(0.0);
        }
        if !db_accumulate {
            db.fill(0.0);
        }
        for p in partials {
            for i in 0..n {
                dw[i] += p[i];
                db[i] += p[n + i];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::*;
    use super::*;

    #[test]
    fn forward_and_gradients_equal_the_composed_operation() {
        for (rows, n) in [(1, 1), (1, 7), (5, 33), (300, 64), (3, 256)] {
            let (x, w, b) = (numbers(rows * n, 1), numbers(n, 2), numbers(n, 3));
            let dy = numbers(rows * n, 4);
            let (vx, vw, vb) = (var(&x, &[rows, n]), var(&w, &[n]), var(&b, &[n]));
            let y = candle_nn::ops::layer_norm_slow(&vx, &vw, &vb, EPS).unwrap();
            close(&forward(&x, &w, &b), &out(&y), 2e-5);
            let want = gradients(&y, &dy, &[&vx, &vw, &vb]);
            let (mut dx, mut dw, mut db) = (vec![1f32; rows * n], vec![2f32; n], vec![f32::NAN; n]);
            backward(&x, &w, &dy, (&mut dx, true), Some((&mut dw, true, &mut db, false)));
            let plus = |v: &[f32], c: f32| v.iter().map(|v| v + c).collect::<Vec<_>>();
            // One value per row: the norm's slope is 1 / sqrt(eps), about 300.
            let tolerance = if n == 1 { 1e-3 } else { 1e-4 };
            close(&dx, &plus(&want[0], 1.0), tolerance);
            close(&dw, &plus(&want[1], 2.0), tolerance);
            close(&db, &want[2], tolerance);
        }
    }

    #[test]
    fn not_a_number_stays_visible() {
        assert!(forward(&[f32::NAN, 1.0], &[1.0; 2], &[0.0; 2])[1].is_nan());
    }
}
