//! How much of their neurons two directions share. Specification: section 10 (official code,
//! `get_ns_masks.py` and `notebook/visualize.ipynb`).

use kodama::{Method, linkage};

/// Neurons of both, and of either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    pub both: u64,
    pub either: u64,
}

impl Overlap {
    /// Intersection over union; 1 for two empty sets.
    pub fn iou(&self) -> f64 {
        if self.either == 0 { 1.0 } else { self.both as f64 / self.either as f64 }
    }
}

pub fn overlap(a: &[bool], b: &[bool]) -> Overlap {
    let pairs = || a.iter().zip(b);
    Overlap {
        both: pairs().filter(|(a, b)| **a && **b).count() as u64,
        either: pairs().filter(|(a, b)| **a || **b).count() as u64,
    }
}

/// Mean and quantiles of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distribution {
    pub mean: f64,
    pub min: f64,
    pub p25: f64,
    pub median: f64,
    pub p75: f64,
    pub max: f64,
}

/// None for no values.
pub fn distribution(values: &[f64]) -> Option<Distribution> {
    let mut v = values.to_vec();
    v.sort_by(f64::total_cmp);
    Some(Distribution {
        mean: v.iter().sum::<f64>() / v.len() as f64,
        min: *v.first()?,
        p25: quantile(&v, 0.25)?,
        median: quantile(&v, 0.5)?,
        p75: quantile(&v, 0.75)?,
        max: *v.last()?,
    })
}

/// Interpolated between neighbours of the sorted values, as numpy does; none for no values.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let at = q * sorted.len().checked_sub(1)? as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    Some(low + (high - low) * (at - at.floor()))
}

/// Two groups that join, `0..n` being the single ones and `n + i` what the `i`-th joining made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cluster {
    pub left: usize,
    pub right: usize,
    /// Mean distance between the two.
    pub height: f64,
}

/// Average linkage over `1 - similarity`, and an order of the items in which every cluster
/// stands together. `values` is `[n, n]` and symmetric.
pub fn cluster(values: &[f64], n: usize) -> (Vec<usize>, Vec<Cluster>) {
    if n < 2 {
        return ((0..n).collect(), Vec::new());
    }
    let mut distances: Vec<f64> = (0..n)
        .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
        .map(|(i, j)| 1.0 - values[i * n + j])
        .collect();
    let tree = linkage(&mut distances, n, Method::Average);
    let joins: Vec<Cluster> = tree
        .steps()
        .iter()
        .map(|s| Cluster { left: s.cluster1, right: s.cluster2, height: s.dissimilarity })
        .collect();
    let mut order = Vec::with_capacity(n);
    let mut open = vec![2 * n - 2];
    while let Some(node) = open.pop() {
        if node < n {
            order.push(node);
        } else {
            let join = joins[node - n];
            open.extend([join.right, join.left]);
        }
    }
    (order, joins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn intersection_over_union() {
        let o = overlap(&[true, true, false, false], &[true, false, true, false]);
        assert_eq!((o.both, o.either), (1, 3));
        assert_eq!(overlap(&[false; 2], &[false; 2]).iou(), 1.0);
    }

    #[test]
    fn quantiles_as_numpy() {
        // np.quantile([1, 2, 4, 8], [.25, .5, .75]) = 1.75, 3.0, 5.0
        let d = distribution(&[8.0, 1.0, 4.0, 2.0]).unwrap();
        assert_eq!((d.min, d.p25, d.median, d.p75, d.max), (1.0, 1.75, 3.0, 5.0, 8.0));
        assert_eq!(d.mean, 3.75);
        assert_eq!(distribution(&[]), None);
    }

    #[test]
    fn similar_ones_stand_together() {
        // 0 and 2 are alike, 1 and 3 are alike.
        let v = [
            1.0, 0.1, 0.9, 0.2, //
            0.1, 1.0, 0.1, 0.8, //
            0.9, 0.1, 1.0, 0.2, //
            0.2, 0.8, 0.2, 1.0,
        ];
        let (order, joins) = cluster(&v, 4);
        let at = |i: usize| order.iter().position(|&o| o == i).unwrap();
        assert_eq!(at(0).abs_diff(at(2)), 1);
        assert_eq!(at(1).abs_diff(at(3)), 1);
        assert_eq!(joins.len(), 3);
        assert!((joins[0].height - 0.1).abs() < 1e-12 && (joins[1].height - 0.2).abs() < 1e-12);
        assert_eq!(cluster(&[1.0], 1), (vec![0], vec![]));
        assert_eq!(cluster(&[], 0), (vec![], vec![]));
    }

    proptest! {
        /// Specification, section 15 (f).
        #[test]
        fn iou_is_one_with_itself_and_symmetric(bits in prop::collection::vec((any::<bool>(), any::<bool>()), 1..60)) {
            let (a, b): (Vec<bool>, Vec<bool>) = bits.into_iter().unzip();
            prop_assert_eq!(overlap(&a, &a).iou(), 1.0);
            prop_assert_eq!(overlap(&a, &b), overlap(&b, &a));
            prop_assert!((0.0..=1.0).contains(&overlap(&a, &b).iou()));
        }
    }
}
