//! Layer normalisation of one row (Ba et al., 2016): `(x - mean) / sqrt(variance + eps) * w + b`.

use crate::kernels::vector::{LANES, Simd, simd_fn};

/// The epsilon of `torch.nn.LayerNorm`, which the architecture uses everywhere.
pub const EPSILON: f32 = 1e-5;

simd_fn!(
    /// Normalises `x` into `y`; all four slices have one length.
    pub unsafe fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) = layer_norm_kernel
);

// Sums run lane by lane, then over the lanes, then over the tail: an order that depends on the
// length alone.
#[inline(always)]
unsafe fn layer_norm_kernel<S: Simd>(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    let n = x.len();
    assert!(weight.len() == n && bias.len() == n && y.len() == n);
    let whole = n / LANES * LANES;
    // SAFETY: all slices hold `n` values.
    unsafe {
        let mut lanes = S::splat(0.0);
        for i in (0..whole).step_by(LANES) {
            lanes = S::add(lanes, S::load(x.as_ptr().add(i)));
        }
        let mean = x[whole..].iter().fold(S::sum(lanes), |sum, v| sum + v) / n as f32;

        let center = S::splat(mean);
        let mut lanes = S::splat(0.0);
        for i in (0..whole).step_by(LANES) {
            let d = S::sub(S::load(x.as_ptr().add(i)), center);
            lanes = S::fma(d, d, lanes);
        }
        let mut squares = S::sum(lanes);
        for v in &x[whole..] {
            squares = S::fma1(v - mean, v - mean, squares);
        }

        let scale = 1.0 / (squares / n as f32 + EPSILON).sqrt();
        let factor = S::splat(scale);
        for i in (0..whole).step_by(LANES) {
            let v = S::mul(S::sub(S::load(x.as_ptr().add(i)), center), factor);
            let v = S::fma(v, S::load(weight.as_ptr().add(i)), S::load(bias.as_ptr().add(i)));
            S::store(y.as_mut_ptr().add(i), v);
        }
        for i in whole..n {
            y[i] = S::fma1((x[i] - mean) * scale, weight[i], bias[i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::vector::Isa;

    #[test]
    fn equals_the_formula() {
        for n in [1, 2, 15, 16, 17, 64, 100, 512] {
            let x: Vec<f32> = (0..n).map(|i| (i as f32 * 1.7).sin() * 3.0 + 1.0).collect();
            let w: Vec<f32> = (0..n).map(|i| 1.0 + i as f32 / 50.0).collect();
            let b: Vec<f32> = (0..n).map(|i| i as f32 / 10.0 - 1.0).collect();
            let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
            let var = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n as f64;
            for isa in Isa::available() {
                let mut y = vec![0.0; n];
                // SAFETY: the set is available.
                unsafe { layer_norm(isa, &x, &w, &b, &mut y) };
                for i in 0..n {
                    let want = (f64::from(x[i]) - mean) / (var + 1e-5).sqrt() * f64::from(w[i])
                        + f64::from(b[i]);
                    assert!((f64::from(y[i]) - want).abs() < 3e-5, "{n} {i}: {} {want}", y[i]);
                }
            }
        }
    }
}
