//! Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), one pass in place.

use super::parallel;
use crate::multiversion;

/// The constants of one step.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub lr: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub eps: f32,
    pub weight_decay: f32,
    /// Decay acts on the weights (AdamW), not on the gradient (Adam with L2).
    pub decoupled: bool,
    /// Multiplies every gradient first: clipping and normalisation.
    pub grad_scale: f32,
    /// Counts from 1.
    pub step: u64,
}

impl Step {
    /// The size of a step and the reciprocal of what the second moment lacks, both corrected for the moments'
    /// start at zero.
    pub fn corrections(&self) -> (f32, f32) {
        let t = self.step as i32;
        let bias1 = 1.0 - f64::from(self.beta1).powi(t);
        let bias2 = 1.0 - f64::from(self.beta2).powi(t);
        ((f64::from(self.lr) / bias1) as f32, (1.0 / bias2) as f32)
    }
    /// Decay through the gradient.
    pub fn l2(&self) -> f32 {
        if self.decoupled { 0.0 } else { self.weight_decay }
    }
    /// Decay of the weights themselves.
    pub fn shrink(&self) -> f32 {
        if self.decoupled { 1.0 - self.lr * self.weight_decay } else { 1.0 }
    }
}

multiversion! {
    fn chunk(
        w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], s: &Step, step_size: f32,
        inv_bias2: f32,
    ) {
        let _ = FMA;
        let (b1, b2) = (s.beta1, s.beta2);
        let (l2, shrink) = (s.l2(), s.shrink());
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            let g = g * s.grad_scale + l2 * *w;
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            // PyTorch's order: eps is added to the corrected root.
            *w = *w * shrink - step_size * *m / ((*v * inv_bias2).sqrt() + s.eps);
        }
    }
}

/// Updates the weights and both moments, all of one length.
pub fn update(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], s: &Step) {
    assert!(w.len() == m.len() && w.len() == v.len() && w.len() == g.len());
    let (step_size, inv_bias2) = s.corrections();
    const CHUNK: usize = 16384;
    let chunks = w.chunks_mut(CHUNK).zip(m.chunks_mut(CHUNK)).zip(v.chunks_mut(CHUNK));
    parallel::for_each(chunks.zip(g.chunks(CHUNK)), |(((w, m), v), g)| {
        chunk(w, m, v, g, s, step_size, inv_bias2);
    });
}

multiversion! {
    fn squares(g: &[f32]) -> f64 {
        let _ = FMA;
        let mut acc = [0f64; 8];
        let (chunks, rest) = g.as_chunks::<8>();
        for c in chunks {
            for l in 0..8 {
                acc[l] += f64::from(c[l]) * f64::from(c[l]);
            }
        }
        acc.iter().sum::<f64>() + rest.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>()
    }
}

/// Sum of squares, in f64, the same for any number of threads.
pub fn sum_of_squares(g: &[f32]) -> f64 {
    parallel::map(g.chunks(65536), squares).iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three steps by the formulas of the paper, in f64.
    #[test]
    fn equals_the_formula() {
        for decoupled in [false, true] {
            let (lr, b1, b2, eps, wd) = (0.01f64, 0.9, 0.98, 1e-6, 0.1);
            let (mut w, mut m, mut v) = (vec![0.5f32, -2.0], vec![0f32; 2], vec![0f32; 2]);
            let (mut rw, mut rm, mut rv) = ([0.5f64, -2.0], [0f64; 2], [0f64; 2]);
            for t in 1..=3u64 {
                let g = [0.3f32 * t as f32, -0.1];
                let s = Step {
                    lr: lr as f32,
                    beta1: b1 as f32,
                    beta2: b2 as f32,
                    eps: eps as f32,
                    weight_decay: wd as f32,
                    decoupled,
                    grad_scale: 0.5,
                    step: t,
                };
                update(&mut w, &mut m, &mut v, &g, &s);
                for i in 0..2 {
                    let mut gi = f64::from(g[i]) * 0.5;
                    if decoupled {
                        rw[i] -= lr * wd * rw[i];
                    } else {
                        gi += wd * rw[i];
                    }
                    rm[i] = b1 * rm[i] + (1.0 - b1) * gi;
                    rv[i] = b2 * rv[i] + (1.0 - b2) * gi * gi;
                    let (mh, vh) =
                        (rm[i] / (1.0 - b1.powi(t as i32)), rv[i] / (1.0 - b2.powi(t as i32)));
                    rw[i] -= lr * mh / (vh.sqrt() + eps);
                    assert!((f64::from(w[i]) - rw[i]).abs() < 1e-6, "{} {}", w[i], rw[i]);
                }
            }
        }
        assert_eq!(sum_of_squares(&[3.0, 4.0]), 25.0);
    }
}
