//! A feed-forward block computed on its kept neurons only, forward and backward.
//!
//! Neuron Specialization (Tan, Wu, Monz 2024) multiplies the rows of `fc1.weight` by a mask and
//! leaves both biases and `fc2` alone: `a = ReLU(diag(m) W1 x + b1)`, `y = W2 a + b2`. A neuron
//! outside the mask is therefore not removed: it gives the constant `ReLU(b1_i)`, which moves
//! into the bias of `fc2`. What is left is a narrower block, and its products are what is
//! saved.

use super::linear;
use super::parallel;
use super::storage::uninit;

/// A block's parameters: `fc1.weight` `[ffn, width]`, `fc1.bias` `[ffn]`, `fc2.weight`
/// `[out, ffn]`, `fc2.bias` `[out]`.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    pub w1: &'a [f32],
    pub b1: &'a [f32],
    pub w2: &'a [f32],
    pub b2: &'a [f32],
    pub width: usize,
}

/// The kept part of a block, with `inner` neurons: those that are kept, then some that do
/// nothing.
pub struct Compact {
    pub inner: usize,
    /// `[inner, width]`
    pub w1: Vec<f32>,
    /// `[inner]`
    pub b1: Vec<f32>,
    /// `[out, inner]`
    pub w2: Vec<f32>,
    /// `[out]`: `fc2.bias` and what the other neurons always add to it.
    pub b2: Vec<f32>,
}

/// A number of neurons whose rows are whole vectors: products of 800 columns take less time than
/// those of 799.
pub fn aligned(kept: usize) -> usize {
    kept.next_multiple_of(32)
}

fn relu(v: f32) -> f32 {
    // A comparison, not `max`: NaN must stay visible.
    if v < 0.0 { 0.0 } else { v }
}

/// The neurons that are not in `kept` (sorted).
fn others(kept: &[u32], ffn: usize) -> Vec<u32> {
    let mut kept = kept.iter().peekable();
    (0..ffn as u32)
        .filter(|i| {
            if kept.peek() == Some(&i) {
                kept.next();
                return false;
            }
            true
        })
        .collect()
}

/// The rows `kept` of a matrix `[_, width]`, then rows of zeros: `[inner, width]`.
fn gather_rows(w: &[f32], width: usize, kept: &[u32], inner: usize) -> Vec<f32> {
    let mut out = uninit(inner * width);
    const ROWS: usize = 64;
    parallel::for_each(out.chunks_mut(ROWS * width).enumerate(), |(chunk, out)| {
        for (r, o) in out.chunks_exact_mut(width).enumerate() {
            match kept.get(chunk * ROWS + r) {
                Some(&i) => o.copy_from_slice(&w[i as usize * width..][..width]),
                None => o.fill(0.0),
            }
        }
    });
    out
}

/// The columns `kept` of a matrix `[_, ffn]`, then columns of zeros: `[_, inner]`.
fn gather_columns(w: &[f32], ffn: usize, kept: &[u32], inner: usize) -> Vec<f32> {
    let mut out = uninit(w.len() / ffn.max(1) * inner);
    if inner > 0 {
        const ROWS: usize = 32;
        parallel::for_each(out.chunks_mut(ROWS * inner).zip(w.chunks(ROWS * ffn)), |(out, w)| {
            for (o, row) in out.chunks_exact_mut(inner).zip(w.chunks_exact(ffn)) {
                let (o, zeros) = o.split_at_mut(kept.len());
                for (o, &i) in o.iter_mut().zip(kept) {
                    *o = row[i as usize];
                }
                zeros.fill(0.0);
            }
        });
    }
    out
}

/// `fc2.bias` plus `W2[:, i] ReLU(b1_i)` of every neuron that is not kept, summed in f64.
pub fn folded_bias(block: Block<'_>, kept: &[u32]) -> Vec<f32> {
    let ffn = block.b1.len();
    let constant: Vec<(u32, f64)> = others(kept, ffn)
        .into_iter()
        .map(|i| (i, f64::from(relu(block.b1[i as usize]))))
        .filter(|(_, c)| *c != 0.0)
        .collect();
    let mut out = uninit(block.b2.len());
    const ROWS: usize = 32;
    let chunks = out.chunks_mut(ROWS).zip(block.w2.chunks(ROWS * ffn)).zip(block.b2.chunks(ROWS));
    parallel::for_each(chunks, |((out, w2), b2)| {
        for ((o, row), b) in out.iter_mut().zip(w2.chunks_exact(ffn)).zip(b2) {
            let add: f64 = constant.iter().map(|&(i, c)| f64::from(row[i as usize]) * c).sum();
            *o = (f64::from(*b) + add) as f32;
        }
    });
    out
}

impl Compact {
    /// Gathers the neurons `kept`, sorted, into a block of `inner` neurons, at least as many.
    pub fn gather(block: Block<'_>, kept: &[u32], inner: usize) -> Self {
        assert!(inner >= kept.len());
        let mut b1: Vec<f32> = kept.iter().map(|&i| block.b1[i as usize]).collect();
        b1.resize(inner, 0.0);
        Self {
            inner,
            w1: gather_rows(block.w1, block.width, kept, inner),
            b1,
            w2: gather_columns(block.w2, block.b1.len(), kept, inner),
            b2: folded_bias(block, kept),
        }
    }

    /// Inner values `[tokens, inner]` and the result `[tokens, out]` of `x` `[tokens, width]`.
    pub fn forward(&self, x: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
        if self.inner == 0 {
            let rows = x.len() / width;
            return (Vec::new(), self.b2.repeat(rows));
        }
        let h = linear::forward(x, &self.w1, Some(&self.b1), width, true);
        let y = linear::forward(&h, &self.w2, Some(&self.b2), self.inner, false);
        (h, y)
    }
}

/// What the backward pass starts from: input, inner values and the gradient of the result.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// `[tokens, width]`; empty when the gradient of `fc1.weight` is not asked for.
    pub x: &'a [f32],
    /// `[tokens, inner]`
    pub h: &'a [f32],
    /// `[tokens, out]`
    pub dy: &'a [f32],
}

/// Backward of [`Compact::forward`]: what all gradients need, and one method for each. The rows
/// of `fc1.weight` that are not kept get no gradient; `fc1.bias` and `fc2.weight` get theirs in
/// full, since the constant of a neuron that is not kept still passes through both.
pub struct Backward<'a> {
    block: Block<'a>,
    compact: &'a Compact,
    kept: &'a [u32],
    dropped: Vec<u32>,
    saved: Saved<'a>,
    /// `dy` summed over tokens, `[out]`.
    sums: Vec<f32>,
    /// The gradient before the activation, `[tokens, inner]`, and its sum over tokens.
    dz: Vec<f32>,
    dz_sums: Vec<f32>,
}

impl<'a> Backward<'a> {
    pub fn new(block: Block<'a>, compact: &'a Compact, kept: &'a [u32], saved: Saved<'a>) -> Self {
        let n = compact.inner;
        let mut sums = vec![0f32; block.b2.len()];
        linear::grad_bias(saved.dy, &mut sums, false);
        let mut dz = uninit(saved.dy.len() / block.b2.len().max(1) * n);
        let mut dz_sums = vec![0f32; n];
        if n > 0 {
            linear::grad_input(saved.dy, &compact.w2, n, &mut dz, false);
            linear::relu_backward(&mut dz, saved.h, Some((&mut dz_sums, false)), n);
        }
        let dropped = others(kept, block.b1.len());
        Self { block, compact, kept, dropped, saved, sums, dz, dz_sums }
    }

    /// `[ffn, width]`
    pub fn w1(&self, dw: &mut [f32], accumulate: bool) {
        let (n, width) = (self.compact.inner, self.block.width);
        if !accumulate {
            parallel::for_each(dw.chunks_mut(1 << 16), |c| c.fill(0.0));
        }
        if n == 0 {
            return;
        }
        let mut part = uninit(n * width);
        linear::grad_weight(&self.dz, self.saved.x, width, &mut part, false);
        for (&i, p) in self.kept.iter().zip(part.chunks_exact(width)) {
            add(&mut dw[i as usize * width..][..width], p);
        }
    }

    /// `[ffn]`
    pub fn b1(&self, db: &mut [f32], accumulate: bool) {
        let Block { b1, w2, .. } = self.block;
        if !accumulate {
            db.fill(0.0);
        }
        for (&i, d) in self.kept.iter().zip(&self.dz_sums) {
            db[i as usize] += d;
        }
        let alive: Vec<u32> =
            self.dropped.iter().copied().filter(|&i| b1[i as usize] > 0.0).collect();
        let mut constant = vec![0f64; alive.len()];
        for (row, s) in w2.chunks_exact(b1.len()).zip(&self.sums) {
            for (c, &i) in constant.iter_mut().zip(&alive) {
                *c += f64::from(row[i as usize]) * f64::from(*s);
            }
        }
        for (&i, c) in alive.iter().zip(&constant) {
            db[i as usize] += *c as f32;
        }
    }

    /// `[out, ffn]`
    pub fn w2(&self, dw: &mut [f32], accumulate: bool) {
        let (n, ffn) = (self.compact.inner, self.block.b1.len());
        let mut part = uninit(self.sums.len() * n);
        if n > 0 {
            linear::grad_weight(self.saved.dy, self.saved.h, n, &mut part, false);
        }
        let constant: Vec<f32> =
            self.dropped.iter().map(|&i| relu(self.block.b1[i as usize])).collect();
        const ROWS: usize = 16;
        parallel::for_each(dw.chunks_mut(ROWS * ffn).enumerate(), |(chunk, rows)| {
            for (r, row) in rows.chunks_exact_mut(ffn).enumerate() {
                let r = chunk * ROWS + r;
                let kept = self.kept.iter().zip(&part[r * n..][..n]);
                let dropped = self.dropped.iter().zip(&constant);
                if accumulate {
                    kept.for_each(|(&i, p)| row[i as usize] += p);
                    dropped.for_each(|(&i, c)| row[i as usize] += self.sums[r] * c);
                } else {
                    kept.for_each(|(&i, p)| row[i as usize] = *p);
                    dropped.for_each(|(&i, c)| row[i as usize] = self.sums[r] * c);
                }
            }
        });
    }

    /// `[out]`
    pub fn b2(&self, db: &mut [f32], accumulate: bool) {
        if accumulate {
            add(db, &self.sums);
        } else {
            db.copy_from_slice(&self.sums);
        }
    }

    /// Of the input, `[tokens, width]`.
    pub fn x(&self, dx: &mut [f32], accumulate: bool) {
        if self.compact.inner > 0 {
            linear::grad_input(&self.dz, &self.compact.w1, self.block.width, dx, accumulate);
        } else if !accumulate {
            dx.fill(0.0);
        }
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    for (t, f) in to.iter_mut().zip(from) {
        *t += f;
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::{close, gradients, numbers, out, var};
    use super::*;
    use candle_core::{DType, Device, Tensor};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        /// Specification, section 5: the identity, and all gradients, against the definition in
        /// f64 with the full matrix multiplied by the mask.
        #[test]
        fn equals_the_masked_matrix(
            rows in 1usize..9, width in 1usize..7, ffn in 1usize..12, seed in any::<u32>(),
            bits in any::<u16>(), accumulate in any::<bool>(), pad in any::<bool>(),
        ) {
            let (w1, b1) = (numbers(ffn * width, seed), numbers(ffn, seed ^ 1));
            let (w2, b2) = (numbers(width * ffn, seed ^ 2), numbers(width, seed ^ 3));
            let (x, dy) = (numbers(rows * width, seed ^ 4), numbers(rows * width, seed ^ 5));
            let kept: Vec<u32> = (0..ffn as u32).filter(|i| bits >> i & 1 == 1).collect();
            let mask: Vec<f32> = (0..ffn).map(|i| f32::from(bits >> i & 1)).collect();

            let (vx, v1, c1) = (var(&x, &[rows, width]), var(&w1, &[ffn, width]), var(&b1, &[ffn]));
            let (v2, c2) = (var(&w2, &[width, ffn]), var(&b2, &[width]));
            let m = Tensor::from_slice(&mask, (ffn, 1), &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
            let masked = v1.as_tensor().broadcast_mul(&m).unwrap();
            let z = vx.as_tensor().matmul(&masked.t().unwrap()).unwrap().broadcast_add(c1.as_tensor()).unwrap();
            let y = z.relu().unwrap().matmul(&v2.as_tensor().t().unwrap()).unwrap()
                .broadcast_add(c2.as_tensor()).unwrap();
            let want = gradients(&y, &dy, &[&v1, &c1, &v2, &c2, &vx]);

            let block = Block { w1: &w1, b1: &b1, w2: &w2, b2: &b2, width };
            let inner = if pad { aligned(kept.len()) } else { kept.len() };
            let compact = Compact::gather(block, &kept, inner);
            let (h, got) = compact.forward(&x, width);
            close(&got, &out(&y), 1e-5);

            let start = if accumulate { 0.25 } else { f32::NAN };
            let mut g: Vec<Vec<f32>> = want.iter().map(|w| vec![start; w.len()]).collect();
            let b = Backward::new(block, &compact, &kept, Saved { x: &x, h: &h, dy: &dy });
            b.w1(&mut g[0], accumulate);
            b.b1(&mut g[1], accumulate);
            b.w2(&mut g[2], accumulate);
            b.b2(&mut g[3], accumulate);
            b.x(&mut g[4], accumulate);
            for (g, w) in g.iter().zip(&want) {
                let w: Vec<f32> = w.iter().map(|v| if accumulate { v + 0.25 } else { *v }).collect();
                close(g, &w, 2e-5);
            }
        }
    }
}
