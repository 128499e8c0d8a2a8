//! How vectors lie to each other: their cosines, and the plane in which they differ most.
//!
//! The plane is that of the first two principal components (Pearson 1901), found from the inner
//! products of the centred vectors (Gower 1966): for `n` vectors of `dim` numbers that is a
//! problem of `n` by `n`, and there are far fewer languages than numbers in their vectors.

use std::cmp::Ordering;

use nalgebra::{DMatrix, DVectorView, SymmetricEigen};

/// What remains of equal vectors when their mean is taken off, as a share of their squared
/// size: rounding in `f64` leaves some 1e-31, a single last bit of `f32` far more than this.
const ROUNDING: f64 = 1e-24;
/// Components with a smaller share of the variance are none: the last that the eigenvalues of a
/// Gram matrix in `f64` resolve.
const NOTHING: f64 = 1e-12;
/// Coordinates that differ by less than this part are equally large.
const TIED: f64 = 1e-9;

/// Vectors `[n, dim]` seen in a plane.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Projection {
    /// `[n, 2]`, in the unit of the vectors and centred: distances are those of the vectors as
    /// far as two dimensions hold them.
    pub points: Vec<[f64; 2]>,
    /// The share of the variance along each axis.
    pub explained: [f64; 2],
}

/// The cosine of the angle between two vectors of one length, 0 if either is zero.
pub fn cosine(a: &[f64], b: &[f64]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    // The product, not one after the other: the same bits whichever comes first.
    let size = norm(a) * norm(b);
    if size == 0.0 {
        return 0.0;
    }
    let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    (dot / size).clamp(-1.0, 1.0)
}

/// The Euclidean norm.
pub fn norm(vector: &[f64]) -> f64 {
    vector.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The cosines of all pairs, `[n, n]`: symmetric to the bit, with ones on the diagonal.
pub fn similarity(vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = vectors.len();
    let mut out = vec![vec![1.0; n]; n];
    for i in 0..n {
        for j in 0..i {
            let value = cosine(&vectors[i], &vectors[j]);
            out[i][j] = value;
            out[j][i] = value;
        }
    }
    out
}

/// Vectors of one length along their first two principal components; a component that they do
/// not have is 0, as are all of vectors that hold a value that is not finite.
///
/// A component has no sign of its own: the coordinate of largest magnitude is positive; of
/// several, that of the vector whose first differing number is the largest, so that the order of
/// the vectors does not matter.
pub fn project(vectors: &[Vec<f64>]) -> Projection {
    let n = vectors.len();
    let mut out = Projection { points: vec![[0.0; 2]; n], explained: [0.0; 2] };
    let dim = vectors.first().map_or(0, Vec::len);
    debug_assert!(vectors.iter().all(|v| v.len() == dim));
    if n < 2 || dim == 0 {
        return out;
    }
    let mut centred = DMatrix::from_fn(dim, n, |d, i| vectors[i][d]);
    let size = centred.norm_squared();
    for mut row in centred.row_iter_mut() {
        let mean = row.mean();
        row.add_scalar_mut(-mean);
    }
    let gram = centred.tr_mul(&centred);
    let variance = gram.trace();
    if !variance.is_finite() || variance <= ROUNDING * size {
        return out;
    }
    let eigen = SymmetricEigen::new(gram);
    let values = &eigen.eigenvalues;
    let mut order: Vec<usize> = (0..n).filter(|&k| values[k] > NOTHING * variance).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    let total: f64 = order.iter().map(|&k| values[k]).sum();
    for (axis, &k) in order.iter().take(2).enumerate() {
        let value = values[k];
        let column = eigen.eigenvectors.column(k);
        let scale = value.sqrt() * sign(column, vectors);
        for (point, x) in out.points.iter_mut().zip(column.iter()) {
            // Adding zero takes the sign off a negative one.
            point[axis] = x * scale + 0.0;
        }
        out.explained[axis] = value / total;
    }
    out
}

/// What makes the largest of the coordinates `[n]` positive, 1 or -1.
fn sign(coordinates: DVectorView<'_, f64>, vectors: &[Vec<f64>]) -> f64 {
    let least = coordinates.amax() * (1.0 - TIED);
    coordinates
        .iter()
        .zip(vectors)
        .filter(|(x, _)| x.abs() >= least)
        .max_by(|(_, a), (_, b)| a.partial_cmp(b).unwrap_or(Ordering::Equal))
        .map_or(1.0, |(x, _)| x.signum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers between -1 and 1 without pattern.
    fn noise(seed: u64, count: usize) -> Vec<f64> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
    }

    fn near(a: &[f64], b: &[f64], most: f64) {
        assert_eq!(a.len(), b.len());
        assert!(distance(a, b) < most, "{a:?} {b:?}");
    }

    /// Two orthonormal directions of `dim`, by Gram and Schmidt.
    fn plane(seed: u64, dim: usize) -> [Vec<f64>; 2] {
        let unit = |v: Vec<f64>| {
            let size = norm(&v);
            v.into_iter().map(|x| x / size).collect::<Vec<f64>>()
        };
        let a = unit(noise(seed, dim));
        let b = noise(seed + 1, dim);
        let dot: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
        let b = unit(b.iter().zip(&a).map(|(b, a)| b - dot * a).collect());
        [a, b]
    }

    #[test]
    fn cosines_of_known_angles() {
        assert_eq!(cosine(&[3.0, 4.0], &[4.0, 3.0]), 0.96);
        assert_eq!(cosine(&[1.0, 0.0], &[0.0, -2.0]), 0.0);
        assert!((cosine(&[1.0, 2.0], &[-3.0, -6.0]) + 1.0).abs() < 1e-15);
        assert!((cosine(&[1.0, 0.0], &[1.0, 1.0]) - 0.5f64.sqrt()).abs() < 1e-15);
        assert_eq!(cosine(&[0.0, 0.0], &[1.0, 1.0]), 0.0);
        assert_eq!((cosine(&[], &[]), norm(&[2.0, -3.0, 6.0])), (0.0, 7.0));
    }

    #[test]
    fn similarity_is_symmetric_with_ones_and_no_nan() {
        let mut vectors: Vec<Vec<f64>> = (0..7).map(|i| noise(i, 5)).collect();
        vectors.push(vec![0.0; 5]);
        let s = similarity(&vectors);
        for i in 0..8 {
            assert_eq!(s[i][i], 1.0);
            for j in 0..8 {
                assert_eq!(s[i][j].to_bits(), s[j][i].to_bits());
                assert!((-1.0..=1.0).contains(&s[i][j]));
                if i != j {
                    assert_eq!(s[i][j], cosine(&vectors[i], &vectors[j]));
                }
            }
        }
        assert_eq!(s[7][..7], [0.0; 7]);
        assert!(similarity(&[]).is_empty());
    }

    #[test]
    fn a_rectangle_lies_along_its_sides() {
        // Around (10, -7): squares of 4 * 3^2 along one side and 4 * 1^2 along the other.
        let corners = [[3.0, 1.0], [3.0, -1.0], [-3.0, 1.0], [-3.0, -1.0]];
        let vectors: Vec<Vec<f64>> =
            corners.iter().map(|c| vec![c[1] + 10.0, c[0] - 7.0]).collect();
        let p = project(&vectors);
        near(&p.explained, &[0.9, 0.1], 1e-12);
        // All coordinates tie: (11, -4) is the largest vector, so both of its are positive.
        for (point, corner) in p.points.iter().zip(&corners) {
            near(point, corner, 1e-12);
        }
    }

    #[test]
    fn an_octahedron_loses_its_shortest_axis() {
        let mut vectors = Vec::new();
        for (axis, length) in [(1, 3.0), (0, 2.0), (2, 1.0)] {
            for sign in [1.0, -1.0] {
                let mut v = vec![0.0; 3];
                v[axis] = length * sign;
                vectors.push(v);
            }
        }
        let p = project(&vectors);
        near(&p.explained, &[9.0 / 14.0, 4.0 / 14.0], 1e-12);
        let expected = [[3.0, 0.0], [-3.0, 0.0], [0.0, 2.0], [0.0, -2.0], [0.0, 0.0], [0.0, 0.0]];
        for (point, expected) in p.points.iter().zip(&expected) {
            near(point, expected, 1e-9);
        }
    }

    #[test]
    fn the_largest_coordinate_is_positive() {
        // Squares of 6^2 + 2 * 3^2 along a line: the lone one decides.
        let p = project(&[vec![1.0, 1.0], vec![1.0, 1.0], vec![1.0, -8.0]]);
        assert!(p.points.iter().zip([-3.0, -3.0, 6.0]).all(|(p, x)| (p[0] - x).abs() < 1e-12));
        assert_eq!(p.explained, [1.0, 0.0]);
        for seed in 0..20 {
            let p = project(&(0..9).map(|i| noise(100 * seed + i, 30)).collect::<Vec<_>>());
            for axis in 0..2 {
                let of = p.points.iter().map(|p| p[axis]);
                let largest = of.max_by(|a, b| a.abs().total_cmp(&b.abs()));
                assert!(largest > Some(0.0));
            }
        }
    }

    #[test]
    fn rotation_and_translation_keep_the_distances_of_planar_points() {
        for (seed, dim, n) in [(1, 2, 5), (2, 64, 13), (3, 500, 40), (4, 3, 100)] {
            let flat: Vec<Vec<f64>> = (0..n).map(|i| noise(1000 * seed + i, 2)).collect();
            let ([a, b], shift) = (plane(seed, dim), noise(seed + 7, dim));
            let embed = |p: &Vec<f64>| -> Vec<f64> {
                (0..dim).map(|d| p[0] * a[d] + 2.0 * p[1] * b[d] + 50.0 * shift[d]).collect()
            };
            let p = project(&flat.iter().map(embed).collect::<Vec<_>>());
            assert!((p.explained[0] + p.explained[1] - 1.0).abs() < 1e-9);
            for i in 0..flat.len() {
                for j in 0..i {
                    let wide = |v: &[f64]| [v[0], 2.0 * v[1]];
                    let before = distance(&wide(&flat[i]), &wide(&flat[j]));
                    assert!((distance(&p.points[i], &p.points[j]) - before).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn axes_are_centred_uncorrelated_and_as_long_as_they_explain() {
        for (seed, dim, n) in [(1, 64, 13), (2, 5, 60), (3, 1024, 4)] {
            let vectors: Vec<Vec<f64>> = (0..n).map(|i| noise(1000 * seed + i, dim)).collect();
            let mean: Vec<f64> =
                (0..dim).map(|d| vectors.iter().map(|v| v[d]).sum::<f64>() / n as f64).collect();
            let total: f64 = vectors.iter().map(|v| distance(v, &mean).powi(2)).sum();
            let p = project(&vectors);
            let sum = |f: fn(&[f64; 2]) -> f64| p.points.iter().map(f).sum::<f64>();
            assert!(sum(|p| p[0]).abs() < 1e-9 && sum(|p| p[1]).abs() < 1e-9);
            assert!(sum(|p| p[0] * p[1]).abs() < 1e-9 * total);
            assert!((sum(|p| p[0] * p[0]) / total - p.explained[0]).abs() < 1e-12);
            assert!((sum(|p| p[1] * p[1]) / total - p.explained[1]).abs() < 1e-12);
            let [x, y] = p.explained;
            assert!(x >= y && y > 0.0 && x + y <= 1.0);
            // No direction has more variance: not a single dimension, nor the way from the mean
            // to any of the vectors.
            let ways = vectors.iter().map(|v| {
                let way: Vec<f64> = v.iter().zip(&mean).map(|(v, m)| v - m).collect();
                let size = norm(&way);
                way.into_iter().map(|x| x / size).collect::<Vec<f64>>()
            });
            for way in ways {
                let along = |v: &Vec<f64>| {
                    let parts = v.iter().zip(&mean).zip(&way).map(|((v, m), w)| (v - m) * w);
                    parts.sum::<f64>().powi(2)
                };
                assert!(vectors.iter().map(along).sum::<f64>() / total <= x + 1e-12);
            }
        }
    }

    #[test]
    fn the_order_of_the_vectors_does_not_matter() {
        // Of two vectors, and of a rectangle, all coordinates tie.
        let mut all: Vec<Vec<Vec<f64>>> = vec![
            vec![noise(1, 8), noise(2, 8)],
            vec![vec![2.0, 1.0], vec![2.0, -1.0], vec![-2.0, 1.0], vec![-2.0, -1.0]],
        ];
        all.extend((0..20).map(|seed| {
            let long = |(d, x): (usize, f64)| if d == 0 { 3.0 * x } else { x };
            let vector =
                |i: u64| noise(50 * seed + i, 12).into_iter().enumerate().map(long).collect();
            (0..11).map(vector).collect()
        }));
        for vectors in all {
            let n = vectors.len();
            // 7 has no factor in common with 2, 4 and 11.
            let order: Vec<usize> = (0..n).map(|i| (i * 7 + 1) % n).collect();
            let (p, q) = (
                project(&vectors),
                project(&order.iter().map(|&i| vectors[i].clone()).collect::<Vec<_>>()),
            );
            near(&p.explained, &q.explained, 1e-12);
            for (place, &i) in order.iter().enumerate() {
                near(&q.points[place], &p.points[i], 1e-7);
            }
        }
    }

    #[test]
    fn components_that_are_not_there_are_zero() {
        assert_eq!(project(&[]), Projection::default());
        assert_eq!(project(&[vec![1.0, 2.0]]).points, [[0.0; 2]]);
        assert_eq!(project(&[vec![], vec![]]).points, [[0.0; 2]; 2]);
        let two = project(&[vec![1.0, 1.0, 0.1], vec![4.0, 5.0, 0.1]]);
        near(&two.points[0], &[-2.5, 0.0], 1e-12);
        near(&two.points[1], &[2.5, 0.0], 1e-12);
        assert_eq!((two.points[0][1], two.explained), (0.0, [1.0, 0.0]));
        // Equal ones, whose mean is not theirs to the last bit.
        let equal = project(&vec![noise(3, 40); 13]);
        assert_eq!((equal.points, equal.explained), (vec![[0.0; 2]; 13], [0.0; 2]));
        // A single last bit of `f32` is a difference.
        let mut almost = vec![vec![0.3f64; 64]; 200];
        almost[5][9] += 0.3 * f64::from(f32::EPSILON) / 2.0;
        assert!(project(&almost).explained[0] > 0.999_999);
        // On a line.
        let line: Vec<Vec<f64>> =
            (0..6).map(|i| noise(4, 30).iter().map(|x| x * f64::from(i)).collect()).collect();
        let p = project(&line);
        assert!(p.explained == [1.0, 0.0] && p.points.iter().all(|p| p[1] == 0.0));
        let bad = project(&[vec![1.0, 0.0], vec![f64::NAN, 0.0], vec![0.0, 1.0]]);
        assert_eq!((bad.points, bad.explained), (vec![[0.0; 2]; 3], [0.0; 2]));
    }
}
