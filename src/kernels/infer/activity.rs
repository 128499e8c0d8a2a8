//! Counting active neurons: inner values of a feed-forward block that lie above a threshold,
//! read where they are, between its two products.

use crate::multiversion;

/// The values a piece of work looks at: `columns` of rows that lie `stride` apart.
#[derive(Clone, Copy)]
pub struct Columns<'a> {
    /// From the first row to the last.
    pub values: &'a [f32],
    pub stride: usize,
    pub first: usize,
    pub count: usize,
}

impl<'a> Columns<'a> {
    fn row(&self, r: usize) -> &'a [f32] {
        &self.values[r * self.stride + self.first..][..self.count]
    }
}

multiversion! {
    fn add_active(row: &[f32], threshold: f32, weight: u32, counts: &mut [u32]) {
        let _ = FMA;
        for (c, v) in counts.iter_mut().zip(row) {
            *c += if *v > threshold { weight } else { 0 };
        }
    }
}

/// `counts[j] += sum over rows of weights[r] * [value > threshold]`.
pub fn count_positions(of: Columns<'_>, weights: &[u32], threshold: f32, counts: &mut [u32]) {
    for (r, &weight) in weights.iter().enumerate() {
        if weight > 0 {
            add_active(of.row(r), threshold, weight, counts);
        }
    }
}

multiversion! {
    fn or_active(row: &[f32], threshold: f32, any: &mut [u32]) {
        let _ = FMA;
        for (a, v) in any.iter_mut().zip(row) {
            *a |= u32::from(*v > threshold);
        }
    }
}

/// `counts[j] += number of sentences in which a row with a weight has value > threshold`.
/// A sentence is its first row and its number of rows; `any` is scratch.
pub fn count_sentences(
    of: Columns<'_>,
    sentences: &[(usize, usize)],
    weights: &[u32],
    threshold: f32,
    any: &mut [u32],
    counts: &mut [u32],
) {
    for &(first, rows) in sentences {
        any.fill(0);
        for r in (first..first + rows).filter(|&r| weights[r] > 0) {
            or_active(of.row(r), threshold, any);
        }
        for (c, a) in counts.iter_mut().zip(any.iter()) {
            *c += a;
        }
    }
}

/// Sums are kept in units of `2^-20`: whole numbers add up to the same in every order.
pub const SUM_SCALE: f64 = (1u64 << 20) as f64;

/// `sums[j] += sum over rows of weights[r] * value`, in units of [`SUM_SCALE`].
pub fn add_values(of: Columns<'_>, weights: &[u32], sums: &mut [i64]) {
    for (r, &weight) in weights.iter().enumerate() {
        if weight > 0 {
            for (s, v) in sums.iter_mut().zip(of.row(r)) {
                let units = (f64::from(*v) * SUM_SCALE).round() as i64;
                *s = s.saturating_add(units.saturating_mul(i64::from(weight)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_lies_above_the_threshold() {
        // Two sentences of two rows and one; columns 1..4 of 5.
        let values = [
            9.0,
            0.5,
            0.0,
            -1.0,
            9.0, //
            9.0,
            0.6,
            0.0,
            f32::NAN,
            9.0, //
            9.0,
            0.0,
            2.0,
            -0.0,
            9.0f32,
        ];
        let of = Columns { values: &values, stride: 5, first: 1, count: 3 };
        let mut counts = [1, 0, 0];
        count_positions(of, &[1, 1, 3], 0.0, &mut counts);
        assert_eq!(counts, [3, 3, 0]);
        let mut counts = [0; 3];
        count_positions(of, &[1, 1, 1], 0.5, &mut counts);
        assert_eq!(counts, [1, 1, 0], "a value at the threshold is not above it");
        let (mut any, mut counts) = ([7; 3], [0; 3]);
        count_sentences(of, &[(0, 2), (2, 1)], &[1, 1, 5], 0.0, &mut any, &mut counts);
        assert_eq!(counts, [1, 1, 0]);
        let mut counts = [0; 3];
        count_sentences(of, &[(0, 2), (2, 1)], &[0, 0, 1], 0.0, &mut any, &mut counts);
        assert_eq!(counts, [0, 1, 0], "rows without weight are not seen");
        let mut sums = [0i64; 3];
        add_values(of, &[1, 0, 2], &mut sums);
        assert_eq!(sums.map(|s| s as f64 / SUM_SCALE), [0.5, 4.0, -1.0]);
    }
}
