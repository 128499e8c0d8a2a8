//! Updates of low rank beside a linear map: `y[:, I] += scale (x[:, I] Aᵀ) Bᵀ` (Hu et al. 2022;
//! Cao et al. 2024, section 3, for the coordinates `I`), and their backward.
//!
//! `x` is `[rows, in]`, `A` `[rank, width_in]`, `B` `[width_out, rank]`, `y` `[rows, out]`. The
//! coordinates are windows into wider rows: the products read and write them in place, so that
//! nothing as large as `x` or `y` is made. What lies between, `down = x[:, I] Aᵀ`, is
//! `[rows, rank]`.

use super::product::{Matrix, Target, product};
use super::storage::uninit;

/// One update: factors and the first coordinate it reads and writes.
#[derive(Clone, Copy)]
pub struct Update<'a> {
    pub lora_a: &'a [f32],
    pub lora_b: &'a [f32],
    pub rank: usize,
    pub start: usize,
}

impl Update<'_> {
    fn width_in(&self) -> usize {
        self.lora_a.len() / self.rank
    }
    fn width_out(&self) -> usize {
        self.lora_b.len() / self.rank
    }

    /// `x[:, I] Aᵀ`, `[rows, rank]`.
    pub fn down(&self, x: &[f32], inp: usize) -> Vec<f32> {
        let (rows, width) = (x.len() / inp, self.width_in());
        let mut down = uninit(rows * self.rank);
        product(
            (rows, self.rank, width),
            Target::rows(&mut down, self.rank),
            Matrix::plain(window(x, self.start), inp),
            Matrix::transposed(self.lora_a, width),
        );
        down
    }

    /// `y[:, I] += scale down Bᵀ`.
    pub fn up(&self, down: &[f32], scale: f32, y: &mut [f32], out: usize) {
        let shape = (y.len() / out, self.width_out(), self.rank);
        let from = self.start.min(y.len());
        product(
            shape,
            Target::rows(&mut y[from..], out).accumulate(true).scale(scale),
            Matrix::plain(down, self.rank),
            Matrix::transposed(self.lora_b, self.rank),
        );
    }

    /// `dy[:, I] B`, `[rows, rank]`: the gradient of `down` but for the scale.
    pub fn grad_down(&self, dy: &[f32], out: usize) -> Vec<f32> {
        let rows = dy.len() / out;
        let mut g = uninit(rows * self.rank);
        product(
            (rows, self.rank, self.width_out()),
            Target::rows(&mut g, self.rank),
            Matrix::plain(window(dy, self.start), out),
            Matrix::plain(self.lora_b, self.rank),
        );
        g
    }

    /// `dB = scale dy[:, I]ᵀ down`, added to `db` when `accumulate`.
    pub fn grad_b(
        &self,
        dy: &[f32],
        out: usize,
        down: &[f32],
        scale: f32,
        (db, accumulate): (&mut [f32], bool),
    ) {
        product(
            (self.width_out(), self.rank, dy.len() / out),
            Target::rows(db, self.rank).accumulate(accumulate).scale(scale),
            Matrix::transposed(window(dy, self.start), out),
            Matrix::plain(down, self.rank),
        );
    }

    /// `dA = scale grad_downᵀ x[:, I]`, added to `da` when `accumulate`.
    pub fn grad_a(
        &self,
        grad_down: &[f32],
        x: &[f32],
        inp: usize,
        scale: f32,
        (da, accumulate): (&mut [f32], bool),
    ) {
        let width = self.width_in();
        product(
            (self.rank, width, x.len() / inp),
            Target::rows(da, width).accumulate(accumulate).scale(scale),
            Matrix::transposed(grad_down, self.rank),
            Matrix::plain(window(x, self.start), inp),
        );
    }

    /// `dx[:, I] += scale grad_down A`.
    pub fn grad_x(&self, grad_down: &[f32], scale: f32, dx: &mut [f32], inp: usize) {
        let width = self.width_in();
        let shape = (dx.len() / inp, width, self.rank);
        let from = self.start.min(dx.len());
        product(
            shape,
            Target::rows(&mut dx[from..], inp).accumulate(true).scale(scale),
            Matrix::plain(grad_down, self.rank),
            Matrix::plain(self.lora_a, width),
        );
    }
}

/// Rows seen from a coordinate on; of no rows there is nothing to see.
fn window(x: &[f32], start: usize) -> &[f32] {
    &x[start.min(x.len())..]
}

/// `W + scale B A` on the coordinates of the update: what the map is with the update merged.
/// `w` is `[out, inp]`.
pub fn merge(w: &mut [f32], inp: usize, update: Update<'_>, scale: f32) {
    let width = update.width_in();
    let from = (update.start * inp + update.start).min(w.len());
    product(
        (update.width_out(), width, update.rank),
        Target::rows(&mut w[from..], inp).accumulate(true).scale(scale),
        Matrix::plain(update.lora_b, update.rank),
        Matrix::plain(update.lora_a, width),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let at = |i: u32| i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 8;
        (0..n as u32).map(|i| at(i) as f32 / 8388608.0 - 1.0).collect()
    }

    fn close(a: &[f32], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (x, y) in a.iter().zip(b) {
            assert!((f64::from(*x) - y).abs() <= 1e-4 * (1.0 + y.abs()), "{x} {y}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Forward, the four gradients and the merged matrix, each against its definition.
        #[test]
        fn equals_the_definition(
            rows in 0usize..9, rank in 1usize..5, width in 1usize..7, start in 0usize..4,
            more_in in 0usize..4, more_out in 0usize..5, seed: u32,
        ) {
            let (inp, out, scale) = (start + width + more_in, start + width + more_out, 0.7f32);
            let (a, b) = (numbers(rank * width, seed), numbers(width * rank, seed ^ 5));
            let (x, dy) = (numbers(rows * inp, seed ^ 7), numbers(rows * out, seed ^ 9));
            let u = Update { lora_a: &a, lora_b: &b, rank, start };
            let s = f64::from(scale);
            // The update as a matrix of the map's own shape.
            let mut m = vec![0f64; out * inp];
            for o in 0..width { for i in 0..width { for r in 0..rank {
                m[(start + o) * inp + start + i] +=
                    s * f64::from(b[o * rank + r]) * f64::from(a[r * width + i]);
            }}}
            let w = numbers(out * inp, seed ^ 3);
            let mut merged = w.clone();
            merge(&mut merged, inp, u, scale);
            close(&merged, &w.iter().zip(&m).map(|(w, m)| f64::from(*w) + m).collect::<Vec<_>>());

            let mut y = numbers(rows * out, seed ^ 11);
            let mut want: Vec<f64> = y.iter().map(|v| f64::from(*v)).collect();
            let down = u.down(&x, inp);
            u.up(&down, scale, &mut y, out);
            for r in 0..rows { for o in 0..out { for i in 0..inp {
                want[r * out + o] += f64::from(x[r * inp + i]) * m[o * inp + i];
            }}}
            close(&y, &want);

            let g = u.grad_down(&dy, out);
            let mut dx = numbers(rows * inp, seed ^ 13);
            let mut want: Vec<f64> = dx.iter().map(|v| f64::from(*v)).collect();
            u.grad_x(&g, scale, &mut dx, inp);
            for r in 0..rows { for o in 0..out { for i in 0..inp {
                want[r * inp + i] += f64::from(dy[r * out + o]) * m[o * inp + i];
            }}}
            close(&dx, &want);

            // d m[o, i] = sum over rows of dy[o] x[i]; B and A by the chain rule.
            let dm = |o: usize, i: usize| -> f64 { (0..rows).map(|r| {
                f64::from(dy[r * out + start + o]) * f64::from(x[r * inp + start + i])
            }).sum() };
            let mut db = vec![0.5f32; width * rank];
            u.grad_b(&dy, out, &down, scale, (&mut db, true));
            let want: Vec<f64> = (0..width * rank).map(|j| 0.5 + s * (0..width).map(|i| {
                dm(j / rank, i) * f64::from(a[j % rank * width + i])
            }).sum::<f64>()).collect();
            close(&db, &want);
            let mut da = vec![f32::NAN; rank * width];
            u.grad_a(&g, &x, inp, scale, (&mut da, false));
            let want: Vec<f64> = (0..rank * width).map(|j| s * (0..width).map(|o| {
                dm(o, j % width) * f64::from(b[o * rank + j / width])
            }).sum::<f64>()).collect();
            close(&da, &want);
        }
    }
}
