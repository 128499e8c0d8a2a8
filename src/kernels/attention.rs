//! Multi-head attention over ragged sentences: `softmax(q kᵀ / sqrt(head_dim)) v` for each
//! sentence and head, with dropout on the probabilities, and its backward, which computes
//! the probabilities again instead of keeping them.
//!
//! `q` and the result are `[query_tokens, heads * head_dim]`, `k` and `v`
//! `[key_tokens, heads * head_dim]`; sentence `s` owns the rows
//! `offsets[s]..offsets[s + 1]` of its side. There is no padding, so there is no padding
//! mask: a query sees exactly the keys of its sentence, when causal only those [`seen_by`] it.

use super::dropout::Dropout;
use super::parallel;
use super::product::{Matrix, Target, product};
use super::simd::{self, sum_by2};
use super::storage::uninit;
use crate::multiversion;

/// What is fixed for one call.
#[derive(Clone, Copy, Debug)]
pub struct Shape<'a> {
    pub heads: usize,
    /// `heads * head_dim`.
    pub width: usize,
    /// `[sentences + 1]`, rising from 0.
    pub q_offsets: &'a [usize],
    pub k_offsets: &'a [usize],
    pub causal: bool,
    pub dropout: Dropout,
}

impl Shape<'_> {
    fn head_dim(&self) -> usize {
        self.width / self.heads
    }
    fn check(&self, q: &[f32], k: &[f32], v: &[f32]) {
        let end = |o: &[usize]| o.last().copied().unwrap_or(0) * self.width;
        assert!(
            self.width.is_multiple_of(self.heads) && self.q_offsets.len() == self.k_offsets.len()
        );
        assert!(q.len() == end(self.q_offsets));
        assert!(k.len() == end(self.k_offsets) && v.len() == k.len());
        assert!(self.q_offsets.is_sorted() && self.k_offsets.is_sorted());
    }
}

/// Index of the first probability of a sentence and head, which numbers its dropout draws: from the
/// sentence's first rows and its lengths, of queries and keys.
pub fn draw_start(
    (q0, k0): (usize, usize),
    (tq, tk): (usize, usize),
    heads: usize,
    head: usize,
) -> usize {
    // Unique enough: sentences are spaced by the rows before them.
    (q0 * 1021 + k0) * heads * 7 + head * tq * tk
}

/// Scratch of one task; grows to the longest sentence it meets.
#[derive(Default)]
struct Scratch {
    /// `[tq, tk]` each.
    probs: Vec<f32>,
    grads: Vec<f32>,
}

impl Scratch {
    fn resize(&mut self, n: usize) {
        self.probs.resize(n, 0.0);
        self.grads.resize(n, 0.0);
    }
}

/// One sentence and head: its first rows, its lengths, and where the head's columns begin.
#[derive(Clone, Copy)]
struct Part<'a> {
    shape: Shape<'a>,
    head_start: usize,
    q0: usize,
    k0: usize,
    tq: usize,
    tk: usize,
    draw_start: usize,
}

impl<'a> Part<'a> {
    fn new(shape: Shape<'a>, s: usize, h: usize) -> Self {
        let (q0, k0) = (shape.q_offsets[s], shape.k_offsets[s]);
        let (tq, tk) = (shape.q_offsets[s + 1] - q0, shape.k_offsets[s + 1] - k0);
        let draw_start = draw_start((q0, k0), (tq, tk), shape.heads, h);
        Self { shape, head_start: h * shape.head_dim(), q0, k0, tq, tk, draw_start }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_dim() as f32).sqrt()
    }

    /// This head's columns from row `first` on.
    fn window<'v>(&self, values: &'v [f32], first: usize) -> &'v [f32] {
        &values[(first * self.shape.width + self.head_start).min(values.len())..]
    }

    /// `Q Kᵀ`, or `dO Vᵀ`: rows of `a` with rows of `b`, into `[tq, tk]`.
    fn rows_by_rows(&self, a: &[f32], b: &[f32], scale: f32, to: &mut [f32]) {
        let width = self.shape.width;
        product(
            (self.tq, self.tk, self.shape.head_dim()),
            Target::rows(to, self.tk).scale(scale),
            Matrix::plain(self.window(a, self.q0), width),
            Matrix::transposed(self.window(b, self.k0), width),
        );
    }

    /// `coefs b`, for each query a sum over rows of keys, into the rows of a sentence.
    fn over_keys(&self, coefs: &[f32], b: &[f32], scale: f32, to: &mut [f32]) {
        let width = self.shape.width;
        let from = self.head_start.min(to.len());
        product(
            (self.tq, self.shape.head_dim(), self.tk),
            Target::rows(&mut to[from..], width).scale(scale),
            Matrix::plain(coefs, self.tk),
            Matrix::plain(self.window(b, self.k0), width),
        );
    }

    /// `coefsᵀ b`, for each key a sum over rows of queries.
    fn over_queries(&self, coefs: &[f32], b: &[f32], scale: f32, to: &mut [f32]) {
        let width = self.shape.width;
        let from = self.head_start.min(to.len());
        product(
            (self.tk, self.shape.head_dim(), self.tq),
            Target::rows(&mut to[from..], width).scale(scale),
            Matrix::transposed(coefs, self.tk),
            Matrix::plain(self.window(b, self.q0), width),
        );
    }
}

/// How many of `tk` keys query `i` of `tq` sees when none sees what comes after it. Where there are more
/// keys than queries, the last query stands at the last key; where there are fewer, the first at the
/// first.
pub fn seen_by(i: usize, tq: usize, tk: usize) -> usize {
    (i + 1 + tk.saturating_sub(tq)).min(tk)
}

multiversion! {
    /// Scores `[tq, tk]` to probabilities, zero where masked.
    fn softmax_rows(scores: &mut [f32], tq: usize, tk: usize, causal: bool) {
        for (i, row) in scores.chunks_exact_mut(tk).enumerate() {
            let n = if causal { seen_by(i, tq, tk) } else { tk };
            let (row, masked) = row.split_at_mut(n);
            let m = simd::max(row);
            for v in row.iter_mut() {
                *v = simd::exp::<FMA>(*v - m);
            }
            let inv = 1.0 / simd::sum_by(row, |v| v);
            for v in row {
                *v *= inv;
            }
            masked.fill(0.0);
        }
    }
}

multiversion! {
    /// Multiplies by the dropout factors.
    fn drop_out(probs: &mut [f32], dropout: Dropout, start: usize) {
        let _ = FMA;
        for (i, p) in probs.iter_mut().enumerate() {
            *p *= dropout.factor(start + i);
        }
    }
}

multiversion! {
    /// With P the probabilities and M the dropout factors: `dP = dPM * M`, then
    /// `dS = P * (dP - rowsum(P * dP))`, in place of `dPM`.
    fn softmax_rows_backward(
        probs: &[f32], grads: &mut [f32], tk: usize, dropout: Dropout, start: usize,
    ) {
        let _ = FMA;
        if !dropout.is_none() {
            for (i, d) in grads.iter_mut().enumerate() {
                *d *= dropout.factor(start + i);
            }
        }
        for (p, ds) in probs.chunks_exact(tk).zip(grads.chunks_exact_mut(tk)) {
            let dot = sum_by2(p, ds, |p, d| p * d);
            for (d, p) in ds.iter_mut().zip(p) {
                *d = p * (*d - dot);
            }
        }
    }
}

fn part_forward(part: Part<'_>, q: &[f32], k: &[f32], v: &[f32], out: &mut [f32], w: &mut Scratch) {
    let Part { shape, tq, tk, .. } = part;
    w.resize(tq * tk);
    if tk > 0 {
        part.rows_by_rows(q, k, part.scale(), &mut w.probs);
        softmax_rows(&mut w.probs, tq, tk, shape.causal);
        if !shape.dropout.is_none() {
            drop_out(&mut w.probs, shape.dropout, part.draw_start);
        }
    }
    part.over_keys(&w.probs, v, 1.0, out);
}

/// Splits a `[tokens, width]` buffer into the parts of its sentences.
fn split_sentences<'a>(
    mut rest: &'a mut [f32],
    offsets: &[usize],
    width: usize,
) -> Vec<&'a mut [f32]> {
    offsets
        .windows(2)
        .map(|w| {
            let (part, tail) = std::mem::take(&mut rest).split_at_mut((w[1] - w[0]) * width);
            rest = tail;
            part
        })
        .collect()
}

/// The attention output `[query_tokens, width]`.
pub fn forward(shape: Shape<'_>, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
    shape.check(q, k, v);
    let mut out = uninit(q.len());
    let parts = split_sentences(&mut out, shape.q_offsets, shape.width);
    let sentences = parts.into_iter().enumerate();
    parallel::for_each_with(sentences, Scratch::default, |scratch, (s, out)| {
        for h in 0..shape.heads {
            part_forward(Part::new(shape, s, h), q, k, v, out, scratch);
        }
    });
    out
}

/// Values of one sentence's rows of `q`, `k` and `v`.
type Gradients<'a> = (&'a mut [f32], &'a mut [f32], &'a mut [f32]);

/// Writes the gradients of one sentence and head. With P the probabilities, M the dropout
/// factors and O = (P * M) V: dV = (P * M)ᵀ dO, dPM = dO Vᵀ, and the rest from dS.
fn part_backward(
    part: Part<'_>,
    (q, k, v): (&[f32], &[f32], &[f32]),
    dy: &[f32],
    (dq, dk, dv): Gradients<'_>,
    w: &mut Scratch,
) {
    let Part { shape, tq, tk, .. } = part;
    w.resize(tq * tk);
    if tk > 0 {
        part.rows_by_rows(q, k, part.scale(), &mut w.probs);
        softmax_rows(&mut w.probs, tq, tk, shape.causal);
        part.rows_by_rows(dy, v, 1.0, &mut w.grads);
        softmax_rows_backward(&w.probs, &mut w.grads, tk, shape.dropout, part.draw_start);
        if !shape.dropout.is_none() {
            drop_out(&mut w.probs, shape.dropout, part.draw_start);
        }
    }
    part.over_keys(&w.grads, k, part.scale(), dq);
    part.over_queries(&w.grads, q, part.scale(), dk);
    part.over_queries(&w.probs, dy, 1.0, dv);
}

/// Gradients for `q`, `k` and `v`.
pub fn backward(
    shape: Shape<'_>,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    shape.check(q, k, v);
    assert_eq!(dy.len(), q.len());
    let (mut dq, mut dk, mut dv) = (uninit(q.len()), uninit(k.len()), uninit(v.len()));
    let dqs = split_sentences(&mut dq, shape.q_offsets, shape.width);
    let dks = split_sentences(&mut dk, shape.k_offsets, shape.width);
    let dvs = split_sentences(&mut dv, shape.k_offsets, shape.width);
    let sentences = dqs.into_iter().zip(dks).zip(dvs).enumerate();
    parallel::for_each_with(sentences, Scratch::default, |scratch, (s, ((dq, dk), dv))| {
        for h in 0..shape.heads {
            let to = (&mut *dq, &mut *dk, &mut *dv);
            part_backward(Part::new(shape, s, h), (q, k, v), dy, to, scratch);
        }
    });
    (dq, dk, dv)
}

#[cfg(test)]
mod tests {
    use candle_core::{D, Tensor};

    use super::super::reference::*;
    use super::*;

    /// One sentence by composed operations: `[tq, width]`.
    fn plain(
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        heads: usize,
        causal: bool,
        factors: &[f32],
    ) -> Tensor {
        let (tq, width) = q.dims2().unwrap();
        let tk = k.dim(0).unwrap();
        let hd = width / heads;
        let split = |t: &Tensor, n: usize| {
            t.reshape((n, heads, hd)).unwrap().transpose(0, 1).unwrap().contiguous().unwrap()
        };
        let (q, k, v) = (split(q, tq), split(k, tk), split(v, tk));
        let mut s = (q.matmul(&k.t().unwrap()).unwrap() / (hd as f64).sqrt()).unwrap();
        if causal {
            let mask: Vec<f32> = (0..tq * tk)
                .map(|i| if i % tk > i / tk + tk.saturating_sub(tq) { -1e30 } else { 0.0 })
                .collect();
            s = s.broadcast_add(var(&mask, &[tq, tk]).as_tensor()).unwrap();
        }
        let p = candle_nn::ops::softmax(&s, D::Minus1).unwrap();
        let p = (p * var(factors, &[heads, tq, tk]).as_tensor()).unwrap();
        p.matmul(&v)
            .unwrap()
            .transpose(0, 1)
            .unwrap()
            .contiguous()
            .unwrap()
            .reshape((tq, width))
            .unwrap()
    }

    #[test]
    fn forward_and_gradients_equal_the_composed_operation() {
        // (heads, head_dim, query offsets, key offsets, causal)
        type Case = (usize, usize, &'static [usize], &'static [usize], bool);
        let cases: [Case; 8] = [
            (1, 1, &[0, 1], &[0, 1], false),
            (2, 4, &[0, 3, 4], &[0, 5, 6], false),
            (2, 16, &[0, 3, 20], &[0, 3, 20], true),
            (4, 64, &[0, 7, 7, 40], &[0, 9, 10, 30], false),
            (1, 80, &[0, 33], &[0, 33], true),
            (3, 5, &[0, 2, 5], &[0, 2, 5], true),
            // Queries at the end of more keys, and behind the last of fewer.
            (2, 8, &[0, 3, 4], &[0, 7, 11], true),
            (2, 8, &[0, 4, 9], &[0, 3, 7], true),
        ];
        for (heads, hd, q_offsets, k_offsets, causal) in cases {
            for p in [0.0, 0.3] {
                let width = heads * hd;
                let (nq, nk) = (q_offsets.last().unwrap(), k_offsets.last().unwrap());
                let (q, k, v) =
                    (numbers(nq * width, 1), numbers(nk * width, 2), numbers(nk * width, 3));
                let q: Vec<f32> = q.iter().map(|v| v * 2.0).collect();
                let dy = numbers(nq * width, 4);
                let shape = Shape {
                    heads,
                    width,
                    q_offsets,
                    k_offsets,
                    causal,
                    dropout: Dropout::new(p, 99),
                };
                let y = forward(shape, &q, &k, &v);
                let (dq, dk, dv) = backward(shape, &q, &k, &v, &dy);
                for s in 0..q_offsets.len() - 1 {
                    let (a, b) = (q_offsets[s] * width, q_offsets[s + 1] * width);
                    let (c, d) = (k_offsets[s] * width, k_offsets[s + 1] * width);
                    let (tq, tk) = ((b - a) / width, (d - c) / width);
                    if tq == 0 {
                        assert!(dk[c..d].iter().chain(&dv[c..d]).all(|v| *v == 0.0));
                        continue;
                    }
                    let factors: Vec<f32> = (0..heads)
                        .flat_map(|h| {
                            let start =
                                draw_start((q_offsets[s], k_offsets[s]), (tq, tk), heads, h);
                            (0..tq * tk).map(move |i| shape.dropout.factor(start + i))
                        })
                        .collect();
                    let vq = var(&q[a..b], &[tq, width]);
                    let vk = var(&k[c..d], &[tk, width]);
                    let vv = var(&v[c..d], &[tk, width]);
                    let want = plain(&vq, &vk, &vv, heads, causal, &factors);
                    close(&y[a..b], &out(&want), 2e-5);
                    let grads = gradients(&want, &dy[a..b], &[&vq, &vk, &vv]);
                    close(&dq[a..b], &grads[0], 1e-4);
                    close(&dk[c..d], &grads[1], 1e-4);
                    close(&dv[c..d], &grads[2], 1e-4);
                }
            }
        }
    }

    #[test]
    fn a_sentence_does_not_see_its_neighbours() {
        let width = 8;
        let x = numbers(9 * width, 1);
        let shape = |q_offsets| Shape {
            heads: 2,
            width,
            q_offsets,
            k_offsets: q_offsets,
            causal: false,
            dropout: Dropout::NONE,
        };
        let both = forward(shape(&[0, 4, 9]), &x, &x, &x);
        let alone = forward(shape(&[0, 5]), &x[4 * width..], &x[4 * width..], &x[4 * width..]);
        assert_eq!(both[4 * width..], alone);
    }
}
