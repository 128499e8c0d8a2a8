//! Label-smoothed cross-entropy over a (tied) vocabulary, with its gradients, without keeping
//! logits or probabilities: they exist for one block of rows at a time.
//!
//! With logits `z = h Wᵀ (+ b)`, `[tokens, vocab]`, and smoothing `e`, the loss of a token is
//! `(1 - e) * nll + e * mean over the vocabulary of -log p` in nats (Szegedy et al. 2016,
//! section 7; PyTorch's `CrossEntropyLoss(label_smoothing=e)`).

use rayon::prelude::*;

use super::linear;
use super::simd::{self, sum_by};
use crate::multiversion;

/// Sums over the tokens, in nats, weighted by the token weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSums {
    /// With smoothing.
    pub loss: f64,
    /// Without.
    pub nll: f64,
}

multiversion! {
    /// Turns a row of logits into the gradient for them; returns (loss, nll).
    fn row(z: &mut [f32], label: usize, smoothing: f32, scale: f32, gradient: bool) -> (f64, f64) {
        let n = z.len();
        let m = simd::max(z);
        let mean = sum_by(z, |v| v - m) / n as f32;
        let at = z[label] - m;
        let sum = if gradient {
            for v in z.iter_mut() {
                *v = simd::exp::<FMA>(*v - m);
            }
            sum_by(z, |v| v)
        } else {
            sum_by(z, |v| simd::exp::<FMA>(v - m))
        };
        let lse = f64::from(sum).ln();
        let nll = lse - f64::from(at);
        let uniform = lse - f64::from(mean);
        if gradient {
            let inv = scale / sum;
            let spread = scale * smoothing / n as f32;
            for v in z.iter_mut() {
                *v = *v * inv - spread;
            }
            z[label] -= scale * (1.0 - smoothing);
        }
        let e = f64::from(smoothing);
        ((1.0 - e) * nll + e * uniform, nll)
    }
}

/// Logits of one block take about this much memory.
const BLOCK_BYTES: usize = 24 << 20;

/// What to compute the loss of.
pub struct Inputs<'a> {
    /// `[tokens, width]`.
    pub hidden: &'a [f32],
    /// `[vocab, width]`.
    pub weight: &'a [f32],
    /// `[vocab]`, added to the logits.
    pub bias: Option<&'a [f32]>,
    pub labels: &'a [u32],
    /// One weight a token; none means 1.
    pub weights: Option<&'a [f32]>,
    pub smoothing: f32,
    pub width: usize,
}

/// The loss alone.
pub fn forward(inputs: &Inputs<'_>) -> LossSums {
    run(inputs, None, None)
}

/// The loss and its gradients, multiplied by `scale`: `dh` `[tokens, width]` is written, `dw`
/// `[vocab, width]` is written or added to.
pub fn forward_backward(
    inputs: &Inputs<'_>,
    scale: f32,
    dh: &mut [f32],
    dw: Option<(&mut [f32], bool)>,
) -> LossSums {
    run(inputs, Some((scale, dh)), dw)
}

fn run(
    i: &Inputs<'_>,
    mut gradient: Option<(f32, &mut [f32])>,
    mut dw: Option<(&mut [f32], bool)>,
) -> LossSums {
    let vocab = i.weight.len() / i.width;
    assert!(i.hidden.len() == i.labels.len() * i.width);
    assert!(i.labels.iter().all(|&l| (l as usize) < vocab));
    let block = (BLOCK_BYTES / 4 / vocab).clamp(16, 4096);
    let mut total = LossSums::default();
    for (b, labels) in i.labels.chunks(block).enumerate() {
        let first = b * block;
        let h = &i.hidden[first * i.width..(first + labels.len()) * i.width];
        let mut z = linear::forward(h, i.weight, i.bias, i.width, false);
        let scale = gradient.as_ref().map(|g| g.0);
        let losses: Vec<(f64, f64)> = z
            .par_chunks_exact_mut(vocab)
            .zip(labels)
            .enumerate()
            .map(|(r, (z, &label))| {
                let w = i.weights.map_or(1.0, |w| w[first + r]);
                let (loss, nll) =
                    row(z, label as usize, i.smoothing, scale.unwrap_or(0.0) * w, scale.is_some());
                (loss * f64::from(w), nll * f64::from(w))
            })
            .collect();
        for (loss, nll) in losses {
            total.loss += loss;
            total.nll += nll;
        }
        if let Some((_, dh)) = &mut gradient {
            let part = &mut dh[first * i.width..(first + labels.len()) * i.width];
            linear::grad_input(&z, i.weight, i.width, part, false);
            if let Some((dw, accumulate)) = &mut dw {
                linear::grad_weight(&z, h, i.width, dw, *accumulate);
                *accumulate = true;
            }
        }
    }
    total
}
