//! Low-rank updates made smaller: what their components are worth, the best update of a lower
//! rank, and several updates as one.
//!
//! An update is `scaling * B A` (LoRA, Hu et al. 2022, arXiv:2106.09685). The factors are not
//! unique, so the size of a component depends on how training happened to split the product. The
//! singular values do not, and cutting them off is the best approximation of a rank in the
//! Frobenius norm (Eckart and Young 1936). The matrix `[out, inp]` is never formed: the factors
//! are reduced by QR, and what is decomposed is at most rank by rank.

use nalgebra::{DMatrix, SymmetricEigen};

/// Factors of one update, `scaling * B A` `[out, inp]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub rank: usize,
    pub inp: usize,
    pub out: usize,
    /// `[rank, inp]`
    pub lora_a: Vec<f32>,
    /// `[out, rank]`
    pub lora_b: Vec<f32>,
    pub scaling: f32,
}

/// Singular values below this part of the largest are 0: half a unit of `f32`, so factors of the
/// rest do not hold them, and the last that the eigenvalues of a Gram matrix in `f64` resolve.
const NOTHING: f64 = 1.0 / (1u64 << 24) as f64;

/// The singular triples of an update that are not 0, largest first.
struct Triples {
    values: Vec<f64>,
    /// Left vectors times their values, `[out, n]`.
    left: DMatrix<f64>,
    /// `[inp, n]`
    right: DMatrix<f64>,
}

impl Pair {
    pub fn num_params(&self) -> usize {
        self.lora_a.len() + self.lora_b.len()
    }

    /// The squared Frobenius norm of the update: `scaling^2 tr((B^T B) (A A^T))`.
    pub fn energy(&self) -> f64 {
        let (a, b) = self.factors();
        let product = a.tr_mul(&a).dot(&b.tr_mul(&b));
        // Of components that cancel, rounding may leave less than nothing.
        (f64::from(self.scaling).powi(2) * product).max(0.0)
    }

    /// `scaling * |a_i| * |b_i|`: the Frobenius norm of what each component adds.
    pub fn component_importance(&self) -> Vec<f64> {
        let (a, b) = self.factors();
        let scaling = f64::from(self.scaling).abs();
        a.column_iter().zip(b.column_iter()).map(|(a, b)| scaling * a.norm() * b.norm()).collect()
    }

    /// The update of the components `keep`, which rise; all bits as they are.
    pub fn keep_components(&self, keep: &[usize]) -> Pair {
        debug_assert!(keep.is_sorted_by(|a, b| a < b) && keep.iter().all(|&i| i < self.rank));
        let rows = keep.iter().flat_map(|&i| &self.lora_a[i * self.inp..(i + 1) * self.inp]);
        let columns = (0..self.out).flat_map(|o| keep.iter().map(move |&i| o * self.rank + i));
        Pair {
            rank: keep.len(),
            lora_a: rows.copied().collect(),
            lora_b: columns.map(|at| self.lora_b[at]).collect(),
            ..*self
        }
    }

    /// Components that do nothing: a row of A or a column of B is zero.
    pub fn dead_components(&self) -> Vec<usize> {
        let dead = |&i: &usize| {
            self.lora_a[i * self.inp..(i + 1) * self.inp].iter().all(|&x| x == 0.0)
                || (0..self.out).all(|o| self.lora_b[o * self.rank + i] == 0.0)
        };
        (0..self.rank).filter(dead).collect()
    }

    /// The singular values of the update, falling, as many as the rank. NaN if a factor holds a
    /// value that is not finite.
    pub fn singular_values(&self) -> Vec<f64> {
        let Some(mut triples) = self.triples() else { return vec![f64::NAN; self.rank] };
        triples.values.resize(self.rank, 0.0);
        triples.values
    }

    /// The closest update of this rank: `A' = sqrt(S) V^T`, `B' = U sqrt(S) / scaling`, the
    /// entry of largest magnitude in each left vector positive. A rank above its own is its own.
    /// With a value that is not finite nothing is closest, and the first components are kept.
    pub fn truncate(&self, rank: usize) -> Pair {
        let rank = rank.min(self.rank);
        let Some(triples) = self.triples() else {
            return self.keep_components(&(0..rank).collect::<Vec<_>>());
        };
        let scaling = f64::from(self.scaling);
        let mut lora_a = vec![0.0; rank * self.inp];
        let mut lora_b = vec![0.0; self.out * rank];
        for (i, value) in triples.values.iter().enumerate().take(rank) {
            let left = triples.left.column(i);
            let largest =
                left.iter().fold(0.0, |max: f64, x| if x.abs() > max.abs() { *x } else { max });
            let root = value.sqrt().copysign(largest);
            for (to, x) in lora_a[i * self.inp..].iter_mut().zip(triples.right.column(i).iter()) {
                *to = (x * root) as f32;
            }
            for (o, x) in left.iter().enumerate() {
                lora_b[o * rank + i] = (x / root / scaling) as f32;
            }
        }
        Pair { rank, lora_a, lora_b, ..*self }
    }

    /// `|update - other| / |update|` in the Frobenius norm, 0 for an update of 0.
    ///
    /// Norms and products of Gram matrices would lose half the digits of a small difference.
    /// Here both updates are written in one orthonormal basis and subtracted there.
    pub fn relative_error(&self, other: &Pair) -> f64 {
        debug_assert_eq!((self.inp, self.out), (other.inp, other.out));
        let ((a, b), (other_a, other_b)) = (self.factors(), other.factors());
        let (a, b) = (beside(&a, &other_a).qr().r(), beside(&b, &other_b).qr().r());
        let part = |from, rank, scaling| {
            b.columns(from, rank) * a.columns(from, rank).transpose() * f64::from(scaling)
        };
        let own = part(0, self.rank, self.scaling);
        let norm = own.norm();
        if norm <= self.rounding() {
            return 0.0;
        }
        (own - part(self.rank, other.rank, other.scaling)).norm() / norm
    }

    /// The weighted sum of updates of one matrix as one update with this scaling: A stacked, B
    /// side by side. None of no parts, and none with a scaling of 0.
    pub fn concat(parts: &[(&Pair, f32)], scaling: f32) -> Option<Pair> {
        let (first, _) = parts.first().filter(|_| scaling != 0.0)?;
        let (inp, out) = (first.inp, first.out);
        debug_assert!(parts.iter().all(|(p, _)| (p.inp, p.out) == (inp, out)));
        let rank = parts.iter().map(|(p, _)| p.rank).sum();
        let mut lora_b = Vec::with_capacity(out * rank);
        for o in 0..out {
            for (p, weight) in parts {
                let factor = f64::from(*weight) * f64::from(p.scaling) / f64::from(scaling);
                let row = &p.lora_b[o * p.rank..(o + 1) * p.rank];
                lora_b.extend(row.iter().map(|&x| (f64::from(x) * factor) as f32));
            }
        }
        let lora_a = parts.iter().flat_map(|(p, _)| &p.lora_a).copied().collect();
        Some(Pair { rank, inp, out, lora_a, lora_b, scaling })
    }

    /// What rounding may leave of components that cancel.
    fn rounding(&self) -> f64 {
        let sum: f64 = self.component_importance().iter().sum();
        f64::EPSILON * self.rank as f64 * sum
    }

    /// `A^T` `[inp, rank]` and `B` `[out, rank]`.
    fn factors(&self) -> (DMatrix<f64>, DMatrix<f64>) {
        debug_assert_eq!(self.lora_a.len(), self.rank * self.inp);
        debug_assert_eq!(self.lora_b.len(), self.out * self.rank);
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        // nalgebra's columns lie together: rows of A are columns here.
        (
            DMatrix::from_vec(self.inp, self.rank, wide(&self.lora_a)),
            DMatrix::from_row_slice(self.out, self.rank, &wide(&self.lora_b)),
        )
    }

    /// With `A^T = Q_a R_a` and `B = Q_b R_b` the update is `Q_b C Q_a^T`, and the eigenvectors
    /// of `C^T C` are the right singular vectors of `C`. None if a value is not finite.
    ///
    /// Not by `nalgebra::SVD`: asked for vectors, 0.35 gives wrong values for some matrices, most
    /// of them of deficient rank (nalgebra issue 1172), which sums of updates are.
    fn triples(&self) -> Option<Triples> {
        let (a, b) = self.factors();
        let (a, b) = (a.qr(), b.qr());
        let core = b.r() * a.r().transpose() * f64::from(self.scaling);
        if core.iter().any(|x| !x.is_finite()) {
            return None;
        }
        if core.is_empty() {
            let (left, right) = (DMatrix::zeros(self.out, 0), DMatrix::zeros(self.inp, 0));
            return Some(Triples { values: Vec::new(), left, right });
        }
        let rounds = 100 * core.ncols();
        let vectors =
            SymmetricEigen::try_new(core.tr_mul(&core), f64::EPSILON, rounds)?.eigenvectors;
        let left = core * &vectors;
        let norms: Vec<f64> = left.column_iter().map(|c| c.norm()).collect();
        let largest = norms.iter().fold(0.0, |max: f64, &x| max.max(x));
        let least = self.rounding().max(largest * NOTHING);
        let mut order: Vec<usize> = (0..norms.len()).filter(|&i| norms[i] > least).collect();
        order.sort_by(|&i, &j| norms[j].total_cmp(&norms[i]));
        Some(Triples {
            values: order.iter().map(|&i| norms[i]).collect(),
            left: b.q() * left.select_columns(&order),
            right: a.q() * vectors.select_columns(&order),
        })
    }
}

/// Matrices of one height side by side.
fn beside(left: &DMatrix<f64>, right: &DMatrix<f64>) -> DMatrix<f64> {
    let columns = [left.as_slice(), right.as_slice()].concat();
    DMatrix::from_vec(left.nrows(), left.ncols() + right.ncols(), columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(rank: usize, inp: usize, out: usize, a: &[f32], b: &[f32], scaling: f32) -> Pair {
        Pair { rank, inp, out, lora_a: a.to_vec(), lora_b: b.to_vec(), scaling }
    }

    /// The update itself, `[out, inp]`.
    fn full(p: &Pair) -> Vec<f64> {
        let at = |o: usize, i: usize| -> f64 {
            let product =
                |k: usize| f64::from(p.lora_b[o * p.rank + k]) * f64::from(p.lora_a[k * p.inp + i]);
            f64::from(p.scaling) * (0..p.rank).map(product).sum::<f64>()
        };
        (0..p.out * p.inp).map(|j| at(j / p.inp, j % p.inp)).collect()
    }

    fn norm(update: impl IntoIterator<Item = f64>) -> f64 {
        update.into_iter().map(|x| x * x).sum::<f64>().sqrt()
    }

    fn distance(a: &Pair, b: &Pair) -> f64 {
        norm(full(a).iter().zip(full(b)).map(|(x, y)| x - y))
    }

    fn tail(values: &[f64], rank: usize) -> f64 {
        norm(values.iter().skip(rank).copied())
    }

    /// Ranks below and above both widths, zeros, and repeated values.
    fn any_pair_of(inp: usize, out: usize) -> impl Strategy<Value = Pair> {
        let value = || prop_oneof![2 => -2.0f32..2.0, 1 => (-1i8..=1).prop_map(f32::from)];
        (0usize..8, prop_oneof![Just(1.0f32), Just(-0.75), 0.1f32..4.0]).prop_flat_map(
            move |(rank, scaling)| {
                let a = prop::collection::vec(value(), rank * inp);
                let b = prop::collection::vec(value(), rank * out);
                (a, b).prop_map(move |(a, b)| pair(rank, inp, out, &a, &b, scaling))
            },
        )
    }

    fn any_pair() -> impl Strategy<Value = Pair> {
        (1usize..7, 1usize..7).prop_flat_map(|(inp, out)| any_pair_of(inp, out))
    }

    fn two_pairs() -> impl Strategy<Value = (Pair, Pair)> {
        (1usize..6, 1usize..6).prop_flat_map(|(i, o)| (any_pair_of(i, o), any_pair_of(i, o)))
    }

    #[test]
    fn by_hand() {
        // 2 B A = 2 [[1, 0, 2], [2, 3, 4]]
        let p = pair(2, 3, 2, &[1.0, 0.0, 2.0, 0.0, 3.0, 0.0], &[1.0, 0.0, 2.0, 1.0], 2.0);
        assert_eq!(full(&p), [2.0, 0.0, 4.0, 4.0, 6.0, 8.0]);
        assert_eq!(p.num_params(), 10);
        assert!((p.energy() - 136.0).abs() < 1e-12);
        let importance = p.component_importance();
        assert!((importance[0] - 10.0).abs() < 1e-12 && (importance[1] - 6.0).abs() < 1e-12);
        // Of M M^T = 4 [[5, 10], [10, 29]]: 4 (17 +- sqrt(244)).
        let s = p.singular_values();
        assert!((s[0] - (68.0 + 4.0 * 244f64.sqrt()).sqrt()).abs() < 1e-12);
        assert!((s[1] - (68.0 - 4.0 * 244f64.sqrt()).sqrt()).abs() < 1e-12);
        let second = p.keep_components(&[1]);
        assert_eq!(second, pair(1, 3, 2, &[0.0, 3.0, 0.0], &[0.0, 1.0], 2.0));
        let dead = pair(3, 1, 2, &[1.0, 0.0, 2.0], &[1.0, 5.0, 0.0, 0.0, 5.0, -0.0], 1.0);
        assert_eq!(dead.dead_components(), [1, 2]);
        // 3 * -2 * 4 as sqrt(24) on either side, the left one positive before the scaling.
        let one = pair(1, 1, 1, &[4.0], &[-2.0], 3.0).truncate(5);
        let root = 24f32.sqrt();
        assert!((one.lora_a[0] + root).abs() < 1e-6 && (one.lora_b[0] - root / 3.0).abs() < 1e-6);
    }

    /// The matrices on which nalgebra's own decomposition goes wrong.
    #[test]
    fn all_ones() {
        for (inp, out) in [(5, 3), (3, 5), (21, 6), (1, 1)] {
            let p = pair(2, inp, out, &vec![1.0; 2 * inp], &vec![1.0; 2 * out], 0.5);
            let s = p.singular_values();
            assert!((s[0] - ((inp * out) as f64).sqrt()).abs() < 1e-12);
            assert_eq!(s[1..], [0.0]);
            assert!(distance(&p, &p.truncate(1)) < 1e-5);
        }
    }

    #[test]
    fn nothing_and_what_is_not_finite() {
        for p in
            [pair(2, 3, 1, &[0.0; 6], &[1.0; 2], 1.0), pair(2, 3, 1, &[1.0; 6], &[1.0; 2], 0.0)]
        {
            assert_eq!((p.energy(), p.singular_values()), (0.0, vec![0.0; 2]));
            assert_eq!(
                (full(&p.truncate(1)), p.relative_error(&p.truncate(1))),
                (vec![0.0; 3], 0.0)
            );
        }
        let empty = pair(0, 3, 2, &[], &[], 1.5);
        assert_eq!((empty.truncate(4), empty.relative_error(&empty)), (empty.clone(), 0.0));
        assert_eq!((empty.energy(), empty.singular_values()), (0.0, vec![]));
        let bad = pair(2, 2, 2, &[1.0, f32::NAN, 2.0, 3.0], &[1.0; 4], 1.0);
        assert!(bad.singular_values().iter().all(|s| s.is_nan()));
        assert_eq!((bad.truncate(1).rank, bad.truncate(1).lora_b), (1, vec![1.0; 2]));
        assert_eq!((Pair::concat(&[], 1.0), Pair::concat(&[(&empty, 1.0)], 0.0)), (None, None));
    }

    /// A difference in the last bit of `f32`: by Gram matrices it would drown.
    #[test]
    fn small_differences_keep_their_digits() {
        let a: Vec<f32> = (0..60u16).map(|i| f32::from(i * 37 % 61) - 30.0).collect();
        let p = pair(3, 20, 12, &a, &a[..36], 1.0);
        let other = Pair { scaling: 1.0 + f32::EPSILON, ..p.clone() };
        assert!((p.relative_error(&other) / f64::from(f32::EPSILON) - 1.0).abs() < 1e-6);
    }

    /// Components from 1e-30 to 1e30: the large ones survive, the rest is below `f32`.
    #[test]
    fn ill_conditioned() {
        let sizes = [1e-15f32, 1e15, 1e-3, 1e12];
        let a: Vec<f32> = (0..20).map(|j| sizes[j / 5] * (1.0 + (j * j % 7) as f32)).collect();
        let b: Vec<f32> = (0..24).map(|j| sizes[j % 4] * (1.0 - (j * j % 11) as f32)).collect();
        let p = pair(4, 5, 6, &a, &b, 2.0);
        let s = p.singular_values();
        assert!((s[0] / norm(full(&p)) - 1.0).abs() < 1e-6 && s[1] < 1e-5 * s[0]);
        assert_eq!(s[2..], [0.0, 0.0]);
        assert!(p.relative_error(&p.truncate(2)) < 1e-6);
    }

    proptest! {
        #[test]
        fn energy_is_the_sum_of_squared_singular_values(p in any_pair()) {
            let (brute, s) = (norm(full(&p)), p.singular_values());
            prop_assert_eq!(s.len(), p.rank);
            prop_assert!(s.is_sorted_by(|a, b| a >= b));
            prop_assert!((tail(&s, 0) - brute).abs() <= 1e-9 * (1.0 + brute));
            prop_assert!((p.energy() - brute * brute).abs() <= 1e-9 * (1.0 + brute * brute));
        }

        /// Eckart and Young: what is lost are the values cut off.
        #[test]
        fn truncation_loses_the_tail(p in any_pair(), rank in 0usize..9) {
            let (cut, size) = (p.truncate(rank), norm(full(&p)));
            prop_assert_eq!(cut.rank, rank.min(p.rank));
            prop_assert_eq!(&cut, &p.truncate(rank));
            let lost = distance(&p, &cut);
            prop_assert!((lost - tail(&p.singular_values(), rank)).abs() <= 2e-6 * (1e-6 + size));
            prop_assert!((p.relative_error(&cut) * size - lost).abs() <= 1e-9 * (1.0 + size));
            prop_assert!(rank < p.rank || p.relative_error(&cut) < 1e-5);
            // Balanced: the norms of both sides of a component multiply to its value.
            for (x, s) in cut.component_importance().iter().zip(p.singular_values()) {
                prop_assert!((x - s).abs() <= 1e-5 * (1e-6 + size));
            }
        }

        #[test]
        fn two_updates_of_one_matrix((p, q) in two_pairs()) {
            let size = norm(full(&p));
            if size > 1e-3 {
                prop_assert!((p.relative_error(&q) - distance(&p, &q) / size).abs() < 1e-8);
            }
            let none = Pair::concat(&[(&p, 0.5), (&p, 0.5), (&p, -1.0)], 0.5).unwrap();
            prop_assert_eq!(none.singular_values(), vec![0.0; 3 * p.rank]);
            prop_assert_eq!(none.relative_error(&none.truncate(1)), 0.0);
            let sum = Pair::concat(&[(&p, 0.5), (&q, -2.0)], 0.25).unwrap();
            prop_assert_eq!((sum.rank, sum.scaling), (p.rank + q.rank, 0.25));
            for ((x, y), z) in full(&p).iter().zip(full(&q)).zip(full(&sum)) {
                prop_assert!((0.5 * x - 2.0 * y - z).abs() < 1e-4);
            }
        }

        #[test]
        fn components_add_up(p in any_pair()) {
            let all: Vec<usize> = (0..p.rank).collect();
            prop_assert_eq!(&p.keep_components(&all), &p);
            let mut sum = vec![0.0; p.out * p.inp];
            for (i, importance) in p.component_importance().into_iter().enumerate() {
                let one = full(&p.keep_components(&[i]));
                prop_assert!((norm(one.iter().copied()) - importance).abs() < 1e-9);
                prop_assert_eq!(importance == 0.0, p.dead_components().contains(&i));
                sum.iter_mut().zip(one).for_each(|(to, x)| *to += x);
            }
            prop_assert!(norm(full(&p).iter().zip(&sum).map(|(x, y)| x - y)) < 1e-9);
            let dead = p.dead_components();
            let live: Vec<usize> = all.into_iter().filter(|i| !dead.contains(i)).collect();
            prop_assert_eq!(full(&p.keep_components(&live)), full(&p));
        }
    }
}
