//! Label-smoothed cross-entropy over a (tied) vocabulary, with its gradients, without keeping
//! logits or probabilities: they exist for one block of rows at a time. A matrix in bf16 is
//! widened in tiles of a few rows.
//!
//! With logits `z = h Wᵀ (+ b)`, `[tokens, vocab]`, and smoothing `e`, the loss of a token is
//! `(1 - e) * nll + e * mean over the vocabulary of -log p` in nats (Szegedy et al. 2016,
//! section 7; PyTorch's `CrossEntropyLoss(label_smoothing=e)`).

use super::linear;
use super::parallel;
use super::product::{Matrix, Target, product};
use super::simd::{self, sum_by};
use super::storage::uninit;
use super::weights::Weights;
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
        let (m, total) = simd::max_and_sum(z);
        let mean = total / n as f32 - m;
        let at = z[label] - m;
        let sum = if gradient {
            simd::replace_and_sum(z, |v| simd::exp::<FMA>(v - m))
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
        if smoothing == 0.0 {
            // Nothing times an infinite spread is nothing.
            return (nll, nll);
        }
        let e = f64::from(smoothing);
        ((1.0 - e) * nll + e * uniform, nll)
    }
}

/// Logits of one block take about this much memory.
const BLOCK_BYTES: usize = 48 << 20;

/// Rows of a block, at least: each block reads the whole matrix twice, so that with fewer rows
/// the memory would be waited for. With a vocabulary of 256,000 their logits take 125 MiB.
const MIN_ROWS: usize = 128;

/// Values of a matrix in bf16 that are widened at a time.
const TILE: usize = 1 << 20;

/// Rows whose logits exist at the same time.
pub fn block_rows(vocab: usize) -> usize {
    (BLOCK_BYTES / 4 / vocab.max(1)).clamp(MIN_ROWS, 4096)
}

/// Bytes of what exists beside the inputs and gradients while the loss of `tokens` is computed.
pub fn scratch_bytes(tokens: usize, vocab: usize, width: usize, bf16: bool) -> usize {
    let tile = if bf16 { tile_rows(width).min(vocab) * width } else { 0 };
    4 * (block_rows(vocab).min(tokens) * vocab + tile)
}

fn tile_rows(width: usize) -> usize {
    (TILE / width.max(1)).max(16)
}

/// Calls `f` with the first row and the values of each tile of a matrix in bf16.
fn in_tiles(w: Weights<'_>, width: usize, mut f: impl FnMut(usize, &[f32])) {
    let step = tile_rows(width) * width;
    let mut scratch = uninit(step.min(w.len()));
    for first in (0..w.len()).step_by(step) {
        let tile = w.part(first..(first + step).min(w.len()));
        let wide = &mut scratch[..tile.len()];
        tile.write(wide);
        f(first / width, wide);
    }
}

/// `h Wᵀ (+ b)`: `[rows, vocab]`.
fn logits(h: &[f32], w: Weights<'_>, bias: Option<&[f32]>, width: usize) -> Vec<f32> {
    if let Weights::F32(w) = w {
        return linear::forward(h, w, bias, width, false);
    }
    let (rows, vocab) = (h.len() / width, w.len() / width);
    let mut z = uninit(rows * vocab);
    in_tiles(w, width, |first, tile| {
        let n = tile.len() / width;
        let bias = bias.map(|b| &b[first..first + n]);
        product(
            (rows, n, width),
            Target::rows(&mut z[first..], vocab).finish(bias, false),
            Matrix::plain(h, width),
            Matrix::transposed(tile, width),
        );
    });
    z
}

/// `dh = dz W`.
fn grad_hidden(dz: &[f32], w: Weights<'_>, width: usize, dh: &mut [f32]) {
    if let Weights::F32(w) = w {
        return linear::grad_input(dz, w, width, dh, false);
    }
    let vocab = w.len() / width;
    let rows = dh.len() / width;
    in_tiles(w, width, |first, tile| {
        product(
            (rows, width, tile.len() / width),
            Target::rows(dh, width).accumulate(first > 0),
            Matrix::plain(&dz[first..], vocab),
            Matrix::plain(tile, width),
        );
    });
}

/// What to compute the loss of.
pub struct Inputs<'a> {
    /// `[tokens, width]`.
    pub hidden: &'a [f32],
    /// `[vocab, width]`.
    pub weight: Weights<'a>,
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
    let block = block_rows(vocab);
    let mut total = LossSums::default();
    for (b, labels) in i.labels.chunks(block).enumerate() {
        let first = b * block;
        let h = &i.hidden[first * i.width..(first + labels.len()) * i.width];
        let mut z = logits(h, i.weight, i.bias, i.width);
        let scale = gradient.as_ref().map(|g| g.0);
        let rows = z.chunks_exact_mut(vocab).zip(labels).enumerate();
        let losses = parallel::map(rows, |(r, (z, &label))| {
            let w = i.weights.map_or(1.0, |w| w[first + r]);
            let (loss, nll) =
                row(z, label as usize, i.smoothing, scale.unwrap_or(0.0) * w, scale.is_some());
            (loss * f64::from(w), nll * f64::from(w))
        });
        for (loss, nll) in losses {
            total.loss += loss;
            total.nll += nll;
        }
        if let Some((_, dh)) = &mut gradient {
            let part = &mut dh[first * i.width..(first + labels.len()) * i.width];
            grad_hidden(&z, i.weight, i.width, part);
            if let Some((dw, accumulate)) = &mut dw {
                linear::grad_weight(&z, h, i.width, dw, *accumulate);
                *accumulate = true;
            }
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use candle_core::D;

    use super::super::reference::*;
    use super::*;

    #[test]
    fn loss_and_gradients_equal_the_composed_operation() {
        for (tokens, vocab, width, smoothing) in
            [(1, 2, 1, 0.0), (3, 5, 4, 0.1), (40, 37, 8, 0.3), (2, 100_000, 2, 0.1)]
        {
            let h = numbers(tokens * width, 1);
            let w: Vec<f32> = numbers(vocab * width, 2).iter().map(|v| v * 3.0).collect();
            let bias = numbers(vocab, 5);
            let labels: Vec<u32> =
                (0..tokens as u32).map(|i| i.wrapping_mul(7919) % vocab as u32).collect();
            let weights: Vec<f32> = (0..tokens).map(|i| 0.5 + i as f32).collect();
            let (vh, vw) = (var(&h, &[tokens, width]), var(&w, &[vocab, width]));
            let z = vh
                .matmul(&vw.t().unwrap())
                .unwrap()
                .broadcast_add(var(&bias, &[vocab]).as_tensor())
                .unwrap();
            let lp = candle_nn::ops::log_softmax(&z, D::Minus1).unwrap();
            let ids = candle_core::Tensor::new(&labels[..], lp.device()).unwrap();
            let nll = lp.gather(&ids.unsqueeze(1).unwrap(), 1).unwrap().squeeze(1).unwrap();
            let mean = lp.mean(D::Minus1).unwrap();
            let e = f64::from(smoothing);
            let each = ((nll.clone() * (e - 1.0)).unwrap() - (mean * e).unwrap()).unwrap();
            let inputs = Inputs {
                hidden: &h,
                weight: Weights::F32(&w),
                bias: Some(&bias),
                labels: &labels,
                weights: Some(&weights),
                smoothing,
                width,
            };
            let scale = 0.25;
            let dy: Vec<f32> = weights.iter().map(|w| w * scale).collect();
            let want = gradients(&each, &dy, &[&vh, &vw]);
            let mut dh = vec![f32::NAN; h.len()];
            let mut dw = vec![1f32; w.len()];
            let sums = forward_backward(&inputs, scale, &mut dh, Some((&mut dw, true)));
            close(&dh, &want[0], 1e-4);
            close(&dw, &want[1].iter().map(|v| v + 1.0).collect::<Vec<_>>(), 1e-4);
            let dot =
                |v: &[f32]| v.iter().zip(&weights).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            assert!((sums.loss - dot(&out(&each))).abs() < 1e-4 * sums.loss.abs());
            assert!((sums.nll + dot(&out(&nll))).abs() < 1e-4 * sums.nll.abs());
            assert_eq!(forward(&inputs).nll, sums.nll);
        }
    }

    #[test]
    fn a_matrix_in_bf16_is_used_whole() {
        // Several tiles, the last one cut short; several blocks.
        for (tokens, vocab, width) in [(3, 11, 5), (300, 3000, 700), (5, 65_600, 17)] {
            let h = numbers(tokens * width, 1);
            let rounded: Vec<half::bf16> =
                numbers(vocab * width, 2).iter().map(|v| half::bf16::from_f32(*v)).collect();
            let wide: Vec<f32> = rounded.iter().map(|v| v.to_f32()).collect();
            let bias = numbers(vocab, 5);
            let labels: Vec<u32> =
                (0..tokens as u32).map(|i| i.wrapping_mul(7919) % vocab as u32).collect();
            let run = |weight| {
                let inputs = Inputs {
                    hidden: &h,
                    weight,
                    bias: Some(&bias),
                    labels: &labels,
                    weights: None,
                    smoothing: 0.1,
                    width,
                };
                let mut dh = vec![f32::NAN; h.len()];
                let sums = forward_backward(&inputs, 0.5, &mut dh, None);
                assert_eq!(forward(&inputs).nll, sums.nll);
                (sums, dh)
            };
            let (want, dh_want) = run(Weights::F32(&wide));
            let (sums, dh) = run(Weights::Bf16(&rounded));
            close(&dh, &dh_want, 1e-5);
            assert!((sums.loss - want.loss).abs() < 1e-5 * want.loss, "{sums:?} {want:?}");
        }
    }

    #[test]
    fn huge_logits_do_not_overflow_and_nan_shows() {
        let run = |h: f32| {
            forward(&Inputs {
                hidden: &[h],
                weight: Weights::F32(&[1.0, -1.0]),
                bias: None,
                labels: &[0],
                weights: None,
                smoothing: 0.0,
                width: 1,
            })
            .loss
        };
        assert!(run(3e38) >= 0.0 && run(3e38) < 1e-6);
        assert!(run(f32::NAN).is_nan());
    }
}
