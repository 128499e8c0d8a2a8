//! Multi-head attention over ragged sentences: `softmax(q kᵀ / sqrt(head_dim)) v` for each
//! sentence and head, with dropout on the probabilities, and its backward, which computes
//! the probabilities again instead of keeping them.
//!
//! `q` and the result are `[query_tokens, heads * head_dim]`, `k` and `v`
//! `[key_tokens, heads * head_dim]`; sentence `s` owns the rows
//! `offsets[s]..offsets[s + 1]` of its side. There is no padding, so there is no padding
//! mask: a query sees exactly the keys of its sentence (up to its own position when causal).

use rayon::prelude::*;

use super::dropout::Dropout;
use super::simd::{self, fma, sum_by2};
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
        assert!(self.width % self.heads == 0 && self.q_offsets.len() == self.k_offsets.len());
        assert!(q.len() == end(self.q_offsets));
        assert!(k.len() == end(self.k_offsets) && v.len() == k.len());
        assert!(self.q_offsets.is_sorted() && self.k_offsets.is_sorted());
    }
    /// Index of the first probability of a sentence and head, which numbers its dropout draws.
    fn draw_start(&self, sentence: usize, head: usize, tq: usize, tk: usize) -> usize {
        // Unique enough: sentences are spaced by the rows before them.
        (self.q_offsets[sentence] * 1021 + self.k_offsets[sentence]) * self.heads * 7
            + head * tq * tk
    }
}

const LANES: usize = 16;

/// Scratch of one task; grows to the longest sentence it meets.
#[derive(Default)]
struct Scratch {
    /// A head's keys or values, transposed: `[head_dim, padded tk]`.
    transposed: Vec<f32>,
    /// `[tq, padded tk]`.
    probs: Vec<f32>,
    grads: Vec<f32>,
}

fn padded(n: usize) -> usize {
    n.div_ceil(LANES) * LANES
}

/// Rows of one head out of a `[tokens, width]` matrix.
#[derive(Clone, Copy)]
struct HeadRows<'a> {
    values: &'a [f32],
    width: usize,
    first: usize,
    head_start: usize,
    head_dim: usize,
}

impl<'a> HeadRows<'a> {
    #[inline(always)]
    fn row(&self, i: usize) -> &'a [f32] {
        let a = (self.first + i) * self.width + self.head_start;
        &self.values[a..a + self.head_dim]
    }
}

/// `out[c * ld + j] = rows[j][c]`; columns from `n` to `ld` are zero.
#[inline(always)]
fn transpose(rows: HeadRows<'_>, n: usize, out: &mut Vec<f32>) {
    let ld = padded(n);
    out.clear();
    out.resize(rows.head_dim * ld, 0.0);
    for j in 0..n {
        for (c, v) in rows.row(j).iter().enumerate() {
            out[c * ld + j] = *v;
        }
    }
}

/// `out[j] = scale * sum_c a[c] * bt[c][j]` for `j < out.len()` (a multiple of 16).
#[inline(always)]
fn row_times<const FMA: bool>(a: &[f32], bt: &[f32], scale: f32, out: &mut [f32]) {
    let ld = out.len();
    for (block, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut acc = [0f32; LANES];
        for (c, &x) in a.iter().enumerate() {
            let b: &[f32; LANES] = bt[c * ld + block * LANES..][..LANES].try_into().unwrap();
            for l in 0..LANES {
                acc[l] = fma::<FMA>(x, b[l], acc[l]);
            }
        }
        for l in 0..LANES {
            out[l] = acc[l] * scale;
        }
    }
}

/// `out = scale * sum_j coef[j * stride] * rows[j]`.
#[inline(always)]
fn weighted_sum<const FMA: bool>(
    coef: &[f32],
    stride: usize,
    range: std::ops::Range<usize>,
    rows: HeadRows<'_>,
    scale: f32,
    out: &mut [f32],
) {
    const WIDE: usize = 64;
    let mut start = 0;
    while start < out.len() {
        let end = (start + WIDE).min(out.len());
        let mut acc = [0f32; WIDE];
        if end - start == WIDE {
            for j in range.clone() {
                let p = coef[j * stride];
                let row: &[f32; WIDE] = rows.row(j)[start..end].try_into().unwrap();
                for l in 0..WIDE {
                    acc[l] = fma::<FMA>(p, row[l], acc[l]);
                }
            }
        } else {
            for j in range.clone() {
                let p = coef[j * stride];
                for (a, v) in acc.iter_mut().zip(&rows.row(j)[start..end]) {
                    *a = fma::<FMA>(p, *v, *a);
                }
            }
        }
        for (o, a) in out[start..end].iter_mut().zip(&acc) {
            *o = a * scale;
        }
        start = end;
    }
}

/// Probabilities before dropout into `probs` `[tq, padded tk]`, zero where masked.
#[inline(always)]
fn probabilities<const FMA: bool>(
    q: HeadRows<'_>,
    kt: &[f32],
    (tq, tk): (usize, usize),
    causal: bool,
    probs: &mut [f32],
) {
    let scale = 1.0 / (q.head_dim as f32).sqrt();
    for (i, row) in probs.chunks_exact_mut(padded(tk)).enumerate().take(tq) {
        row_times::<FMA>(q.row(i), kt, scale, row);
        let n = if causal { (i + 1).min(tk) } else { tk };
        let m = simd::max(&row[..n]);
        for v in &mut row[..n] {
            *v = simd::exp::<FMA>(*v - m);
        }
        let inv = 1.0 / simd::sum_by(&row[..n], |v| v);
        for v in &mut row[..n] {
            *v *= inv;
        }
        row[n..].fill(0.0);
    }
}

multiversion! {
    fn sentence_forward(
        s: usize, h: usize, shape: &Shape<'_>, q: &[f32], k: &[f32], v: &[f32],
        out: &mut [f32], scratch: &mut Scratch,
    ) {
        let (q0, k0) = (shape.q_offsets[s], shape.k_offsets[s]);
        let (tq, tk) = (shape.q_offsets[s + 1] - q0, shape.k_offsets[s + 1] - k0);
        let hd = shape.head_dim();
        let rows = |values, first| HeadRows { values, width: shape.width, first, head_start: h * hd, head_dim: hd };
        let (q, k, v) = (rows(q, q0), rows(k, k0), rows(v, k0));
        transpose(k, tk, &mut scratch.transposed);
        let ld = padded(tk);
        scratch.probs.resize(tq * ld, 0.0);
        probabilities::<FMA>(q, &scratch.transposed, (tq, tk), shape.causal, &mut scratch.probs);
        let start = shape.draw_start(s, h, tq, tk);
        for i in 0..tq {
            let p = &mut scratch.probs[i * ld..(i + 1) * ld];
            if !shape.dropout.is_none() {
                for (j, p) in p[..tk].iter_mut().enumerate() {
                    *p *= shape.dropout.factor(start + i * tk + j);
                }
            }
            let n = if shape.causal { (i + 1).min(tk) } else { tk };
            let o = i * shape.width + h * hd;
            weighted_sum::<FMA>(p, 1, 0..n, v, 1.0, &mut out[o..o + hd]);
        }
    }
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
    split_sentences(&mut out, shape.q_offsets, shape.width)
        .into_par_iter()
        .enumerate()
        .for_each_init(Scratch::default, |scratch, (s, out)| {
            for h in 0..shape.heads {
                sentence_forward(s, h, &shape, q, k, v, out, scratch);
            }
        });
    out
}

multiversion! {
    /// Writes the gradients of one sentence and head.
    fn sentence_backward(
        s: usize, h: usize, shape: &Shape<'_>, q: &[f32], k: &[f32], v: &[f32], dy: &[f32],
        dq: &mut [f32], dk: &mut [f32], dv: &mut [f32], scratch: &mut Scratch,
    ) {
        let (q0, k0) = (shape.q_offsets[s], shape.k_offsets[s]);
        let (tq, tk) = (shape.q_offsets[s + 1] - q0, shape.k_offsets[s + 1] - k0);
        let hd = shape.head_dim();
        let head = h * hd;
        let rows = |values, first| HeadRows { values, width: shape.width, first, head_start: head, head_dim: hd };
        let (q, k, v, dy) = (rows(q, q0), rows(k, k0), rows(v, k0), rows(dy, q0));
        let ld = padded(tk);
        scratch.probs.resize(tq * ld, 0.0);
        scratch.grads.resize(tq * ld, 0.0);
        transpose(k, tk, &mut scratch.transposed);
        probabilities::<FMA>(q, &scratch.transposed, (tq, tk), shape.causal, &mut scratch.probs);
        transpose(v, tk, &mut scratch.transposed);
        let start = shape.draw_start(s, h, tq, tk);
        let dropping = !shape.dropout.is_none();
        // With P the probabilities, M the dropout factors and O = (P * M) V:
        // dV = (P * M)ᵀ dO;  dP = (dO Vᵀ) * M;  dS = P * (dP - rowsum(P * dP)).
        for i in 0..tq {
            let ds = &mut scratch.grads[i * ld..(i + 1) * ld];
            let p = &mut scratch.probs[i * ld..(i + 1) * ld];
            row_times::<FMA>(dy.row(i), &scratch.transposed, 1.0, ds);
            if dropping {
                for j in 0..tk {
                    ds[j] *= shape.dropout.factor(start + i * tk + j);
                }
            }
            let dot = sum_by2(p, ds, |p, d| p * d);
            for j in 0..tk {
                ds[j] = p[j] * (ds[j] - dot);
            }
            if dropping {
                for j in 0..tk {
                    p[j] *= shape.dropout.factor(start + i * tk + j);
                }
            }
        }
        let scale = 1.0 / (hd as f32).sqrt();
        for i in 0..tq {
            let n = if shape.causal { (i + 1).min(tk) } else { tk };
            let o = i * shape.width + head;
            weighted_sum::<FMA>(&scratch.grads[i * ld..], 1, 0..n, k, scale, &mut dq[o..o + hd]);
        }
        for j in 0..tk {
            let first = if shape.causal { j.min(tq) } else { 0 };
            let o = j * shape.width + head;
            weighted_sum::<FMA>(&scratch.grads[j..], ld, first..tq, q, scale, &mut dk[o..o + hd]);
            weighted_sum::<FMA>(&scratch.probs[j..], ld, first..tq, dy, 1.0, &mut dv[o..o + hd]);
        }
    }
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
    dqs.into_par_iter().zip(dks).zip(dvs).enumerate().for_each_init(
        Scratch::default,
        |scratch, (s, ((dq, dk), dv))| {
            for h in 0..shape.heads {
                sentence_backward(s, h, &shape, q, k, v, dy, dq, dk, dv, scratch);
            }
        },
    );
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
            let mask: Vec<f32> =
                (0..tq * tk).map(|i| if i % tk > i / tk { -1e30 } else { 0.0 }).collect();
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
        let cases: [Case; 6] = [
            (1, 1, &[0, 1], &[0, 1], false),
            (2, 4, &[0, 3, 4], &[0, 5, 6], false),
            (2, 16, &[0, 3, 20], &[0, 3, 20], true),
            (4, 64, &[0, 7, 7, 40], &[0, 9, 10, 30], false),
            (1, 80, &[0, 33], &[0, 33], true),
            (3, 5, &[0, 2, 5], &[0, 2, 5], true),
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
                            let start = shape.draw_start(s, h, tq, tk);
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
