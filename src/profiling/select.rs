//! From counts to a mask. Specification: Neuron Specialization, section 4 (official code,
//! `get_ns_masks.py`), in exact integers and with ties broken by index.

use std::fmt;
use std::str::FromStr;

use rand::seq::index::sample;

use crate::error::{Error, Result};
use crate::random::named_rng;

/// A percentage as it was written: 95, 99.5. Held as a fraction, so that nothing is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    numerator: u64,
    denominator: u64,
}

impl Share {
    /// In per cent.
    pub fn percent(&self) -> f64 {
        100.0 * self.numerator as f64 / self.denominator as f64
    }

    /// A fraction of 1 that was written as a percentage.
    pub fn times_100(&self) -> Self {
        Self { numerator: self.numerator * 100, denominator: self.denominator }
    }

    /// Whether it is above 0 and below 1 per cent: perhaps meant as a fraction of 1.
    pub fn looks_like_a_fraction(&self) -> bool {
        self.numerator > 0 && self.numerator * 100 < self.denominator
    }
}

impl FromStr for Share {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let bad = || {
            Error::usage(format!("`{s}` is not a percentage"))
                .expected("a number from 0 to 100, such as 95 or 99.5")
        };
        let (whole, part) = s.split_once('.').unwrap_or((s, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 3 || part.len() > 9 || !digits(whole) || !digits(part)
        {
            return Err(bad());
        }
        let scale = 10u64.pow(part.len() as u32);
        let whole: u64 = whole.parse().map_err(|_| bad())?;
        let part: u64 = if part.is_empty() { 0 } else { part.parse().map_err(|_| bad())? };
        let share = Self { numerator: whole * scale + part, denominator: 100 * scale };
        if share.numerator > share.denominator { Err(bad()) } else { Ok(share) }
    }
}

/// In per cent, without trailing zeros.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = self.denominator / 100;
        let (whole, part) = (self.numerator / scale, self.numerator % scale);
        if part == 0 {
            return write!(f, "{whole}");
        }
        let width = scale.ilog10() as usize;
        let text = format!("{part:0width$}");
        write!(f, "{whole}.{}", text.trim_end_matches('0'))
    }
}

/// Indices by falling count, then by rising index.
fn by_count(counts: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(counts[i]), i));
    order
}

fn flags(n: usize, kept: impl IntoIterator<Item = usize>) -> Vec<bool> {
    let mut flags = vec![false; n];
    for i in kept {
        flags[i] = true;
    }
    flags
}

/// The fewest neurons, most active first, whose counts add up to at least `share` of all:
/// `cumsum >= share * total`, the one that crosses included. Never empty: with no counts at all
/// the first neuron.
pub fn cumulative(counts: &[u64], share: Share) -> Vec<bool> {
    let total: u128 = counts.iter().map(|&c| u128::from(c)).sum();
    let target = u128::from(share.numerator) * total;
    let mut sum = 0u128;
    let mut kept = Vec::new();
    for i in by_count(counts) {
        sum += u128::from(counts[i]);
        kept.push(i);
        if u128::from(share.denominator) * sum >= target {
            break;
        }
    }
    flags(counts.len(), kept)
}

/// The `n` neurons with the largest values, ties by index.
pub fn largest(values: &[f64], n: usize) -> Vec<bool> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    flags(values.len(), order.into_iter().take(n))
}

/// `n` of `ffn_dim` neurons by chance; `name` makes the draw its own.
pub fn random(ffn_dim: usize, n: usize, seed: u64, name: &str) -> Vec<bool> {
    flags(ffn_dim, sample(&mut named_rng(seed, name), ffn_dim, n.min(ffn_dim)))
}

/// All the others.
pub fn complement(mask: &[bool]) -> Vec<bool> {
    mask.iter().map(|m| !m).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(counts: &[u64], k: &str) -> Vec<usize> {
        let mask = cumulative(counts, k.parse().unwrap());
        (0..mask.len()).filter(|&i| mask[i]).collect()
    }

    /// The table of edge cases in the specification, section 4.
    #[test]
    fn specification_section_4_edge_cases() {
        assert_eq!(kept(&[50, 30, 15, 5], "95"), [0, 1, 2]);
        assert_eq!(kept(&[50, 30, 15, 5], "70"), [0, 1]);
        assert_eq!(kept(&[60, 40, 0, 0], "100"), [0, 1]);
        assert_eq!(kept(&[60, 40, 0, 0], "0"), [0]);
        assert_eq!(kept(&[0, 0, 0], "95"), [0]);
        assert_eq!(kept(&[0, 0, 0], "0"), [0]);
        assert_eq!(kept(&[10, 10, 10, 10], "51"), [0, 1, 2]);
        // Section 15 (d): all of them where none is dead.
        assert_eq!(kept(&[9, 1, 5], "100"), [0, 1, 2]);
    }

    #[test]
    fn ties_go_by_index_and_order_is_by_count() {
        assert_eq!(kept(&[1, 3, 3, 3, 2], "50"), [1, 2]);
        assert_eq!(kept(&[5, 15, 30, 50], "95"), [1, 2, 3]);
    }

    /// Where 32-bit floats, as the reference uses, would cut elsewhere.
    #[test]
    fn totals_beyond_two_to_the_24_are_exact() {
        // 95 % of 2^26 + 20 is 63753439.2 + ...: one unit decides.
        let total = (1u64 << 26) + 20;
        let first = (95 * total).div_ceil(100);
        assert_eq!(kept(&[first, total - first], "95"), [0]);
        assert_eq!(kept(&[first - 1, total - first + 1], "95"), [0, 1]);
        assert_eq!(kept(&[u64::MAX, u64::MAX, 1], "100"), [0, 1, 2]);
    }

    #[test]
    fn shares_are_exact_and_shown_as_written() {
        for s in ["95", "99.5", "0", "100", "0.125", "70.05"] {
            assert_eq!(s.parse::<Share>().unwrap().to_string(), s);
        }
        assert_eq!("95.50".parse::<Share>().unwrap().to_string(), "95.5");
        for bad in ["", "101", "-1", "100.1", "9e1", "x", ".5", "NaN", "1000", "5%"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
        assert!("0.95".parse::<Share>().unwrap().looks_like_a_fraction());
        assert!(!"1".parse::<Share>().unwrap().looks_like_a_fraction());
        // 99.5 % of 200 is 199 exactly.
        assert_eq!(kept(&[199, 1], "99.5"), [0]);
        assert_eq!(kept(&[198, 2], "99.5"), [0, 1]);
    }

    #[test]
    fn other_rules() {
        assert_eq!(largest(&[0.5, 2.0, 2.0, -1.0], 2), [false, true, true, false]);
        assert_eq!(largest(&[0.5, 2.0, 2.0, -1.0], 9), [true; 4]);
        assert_eq!(complement(&[true, false]), [false, true]);
        let a = random(100, 30, 1, "en-de/encoder.layers.0.fc1");
        assert_eq!(a.iter().filter(|m| **m).count(), 30);
        assert_eq!(a, random(100, 30, 1, "en-de/encoder.layers.0.fc1"));
        assert_ne!(a, random(100, 30, 2, "en-de/encoder.layers.0.fc1"));
        assert_ne!(a, random(100, 30, 1, "en-de/encoder.layers.1.fc1"));
    }

    proptest! {
        /// The definition: enough, and without its least active neuron not enough.
        #[test]
        fn the_smallest_sufficient_set(counts in prop::collection::vec(0u64..50, 1..40), k in 0u64..=100) {
            let mask = cumulative(&counts, k.to_string().parse().unwrap());
            let total: u64 = counts.iter().sum();
            let kept: Vec<u64> = (0..counts.len()).filter(|&i| mask[i]).map(|i| counts[i]).collect();
            let sum: u64 = kept.iter().sum();
            prop_assert!(100 * sum >= k * total);
            let least = *kept.iter().min().unwrap();
            prop_assert!(kept.len() == 1 || 100 * (sum - least) < k * total);
            // Nobody outside is more active than somebody inside.
            let outside = (0..counts.len()).filter(|&i| !mask[i]).map(|i| counts[i]).max();
            prop_assert!(outside.is_none_or(|o| o <= least));
        }
    }
}
