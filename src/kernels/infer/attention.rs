//! Scaled dot-product attention (Vaswani et al., 2017, section 3.2.1) for a few query rows of one
//! head at a time.
//!
//! Two forms of the same formula: [`attend_block`] for keys known as a whole (the encoder, and
//! the decoder's view of the source), stored transposed so that sixteen positions are scored at
//! once; [`attend_rows`] for the growing cache of one hypothesis, whose rows lie where the
//! hypotheses they descend from wrote them.

use crate::kernels::vector::{LANES, Simd, exp, simd_fn};

simd_fn!(
    /// Attention of `num_rows` queries of one head over `len` keys.
    ///
    /// * `q`: `[num_rows, head_dim]`, rows `q_stride` apart
    /// * `keys_t`: `[head_dim, key_stride]`, position by position; `key_stride` is a multiple of 16
    ///   and what lies beyond `len` is finite
    /// * `values`: `[len, head_dim]`, rows `value_stride` apart
    /// * `out`: as `q`, rows `out_stride` apart
    /// * `scores`: room for `key_stride` values
    pub unsafe fn attend_block(
        q: *const f32,
        q_stride: usize,
        num_rows: usize,
        keys_t: *const f32,
        key_stride: usize,
        values: *const f32,
        value_stride: usize,
        len: usize,
        head_dim: usize,
        scale: f32,
        scores: &mut [f32],
        out: *mut f32,
        out_stride: usize,
    ) = attend_block_kernel
);

simd_fn!(
    /// Attention of one query of one head over cached rows. Key `t` begins at `rows[t]` plus
    /// `offset`, its value `value_offset` further. `scores` has room for the number of rows
    /// rounded up to sixteen.
    pub unsafe fn attend_rows(
        q: *const f32,
        rows: &[*const f32],
        offset: usize,
        value_offset: usize,
        head_dim: usize,
        scale: f32,
        scores: &mut [f32],
        out: *mut f32,
    ) = attend_rows_kernel
);

/// `scores[..len]` become weights that sum to `1 / returned`. Lanes beyond `len` are overwritten.
#[inline(always)]
unsafe fn soften<S: Simd>(scores: &mut [f32], len: usize) -> f32 {
    let padded = len.next_multiple_of(LANES);
    scores[len..padded].fill(f32::NEG_INFINITY);
    // SAFETY: `padded` lies inside `scores`, as was just checked.
    unsafe {
        let p = scores.as_mut_ptr();
        let mut max = S::splat(f32::NEG_INFINITY);
        for i in (0..padded).step_by(LANES) {
            max = S::max(S::load(p.add(i)), max);
        }
        let max = S::splat(S::max_lane(max));
        let mut sum = S::splat(0.0);
        for i in (0..padded).step_by(LANES) {
            let e = exp::<S>(S::sub(S::load(p.add(i)), max));
            S::store(p.add(i), e);
            sum = S::add(sum, e);
        }
        1.0 / S::sum(sum)
    }
}

/// Where value rows lie.
trait ValueRows: Copy {
    unsafe fn row(&self, t: usize) -> *const f32;
}

#[derive(Clone, Copy)]
struct Strided(*const f32, usize);

impl ValueRows for Strided {
    #[inline(always)]
    unsafe fn row(&self, t: usize) -> *const f32 {
        unsafe { self.0.add(t * self.1) }
    }
}

#[derive(Clone, Copy)]
struct Scattered<'a>(&'a [*const f32], usize);

impl ValueRows for Scattered<'_> {
    #[inline(always)]
    unsafe fn row(&self, t: usize) -> *const f32 {
        unsafe { self.0.get_unchecked(t).add(self.1) }
    }
}

/// `out = factor * sum_t weights[t] * row(t)`, summed in the order of `t`.
#[inline(always)]
unsafe fn blend<S: Simd>(
    weights: &[f32],
    rows: impl ValueRows,
    head_dim: usize,
    factor: f32,
    out: *mut f32,
) {
    // SAFETY: rows and `out` hold `head_dim` values.
    unsafe {
        let mut at = 0;
        while at + 4 * LANES <= head_dim {
            blend_part::<S, 4>(weights, rows, at, factor, out);
            at += 4 * LANES;
        }
        while at + LANES <= head_dim {
            blend_part::<S, 1>(weights, rows, at, factor, out);
            at += LANES;
        }
        for i in at..head_dim {
            let mut sum = 0.0;
            for (t, w) in weights.iter().enumerate() {
                sum = S::fma1(*w, *rows.row(t).add(i), sum);
            }
            *out.add(i) = sum * factor;
        }
    }
}

#[inline(always)]
unsafe fn blend_part<S: Simd, const N: usize>(
    weights: &[f32],
    rows: impl ValueRows,
    at: usize,
    factor: f32,
    out: *mut f32,
) {
    // SAFETY: passed on.
    unsafe {
        let mut sums = [S::splat(0.0); N];
        for (t, w) in weights.iter().enumerate() {
            let (w, p) = (S::splat(*w), rows.row(t).add(at));
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = S::fma(w, S::load(p.add(j * LANES)), *sum);
            }
        }
        let factor = S::splat(factor);
        for (j, sum) in sums.iter().enumerate() {
            S::store(out.add(at + j * LANES), S::mul(*sum, factor));
        }
    }
}

/// Scores of `R` queries against `N * 16` positions from `t`, each one chain over `head_dim`.
#[inline(always)]
unsafe fn score_block<S: Simd, const R: usize, const N: usize>(
    q: *const f32,
    q_stride: usize,
    keys_t: *const f32,
    key_stride: usize,
    head_dim: usize,
) -> [[S::V; N]; R] {
    // SAFETY: passed on.
    unsafe {
        let mut sums = [[S::splat(0.0); N]; R];
        for c in 0..head_dim {
            let mut k = [S::splat(0.0); N];
            for j in 0..N {
                k[j] = S::load(keys_t.add(c * key_stride + j * LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = S::splat(*q.add(r * q_stride + c));
                for j in 0..N {
                    sums[j] = S::fma(x, k[j], sums[j]);
                }
            }
        }
        sums
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn attend_block_kernel<S: Simd>(
    q: *const f32,
    q_stride: usize,
    num_rows: usize,
    keys_t: *const f32,
    key_stride: usize,
    values: *const f32,
    value_stride: usize,
    len: usize,
    head_dim: usize,
    scale: f32,
    scores: &mut [f32],
    out: *mut f32,
    out_stride: usize,
) {
    /// Rows scored together.
    const R: usize = 4;
    assert!(scores.len() >= R * key_stride && len <= key_stride && len > 0);
    // SAFETY: the operands are as described; `scores` was just checked.
    unsafe {
        let factor = S::splat(scale);
        let to = scores.as_mut_ptr();
        let mut first = 0;
        while first < num_rows {
            let rows = (num_rows - first).min(R);
            let queries = q.add(first * q_stride);
            for t in (0..len).step_by(LANES) {
                let keys = keys_t.add(t);
                if rows == R {
                    let s = score_block::<S, R, 1>(queries, q_stride, keys, key_stride, head_dim);
                    for (r, v) in s.iter().enumerate() {
                        S::store(to.add(r * key_stride + t), S::mul(v[0], factor));
                    }
                } else {
                    for r in 0..rows {
                        let query = queries.add(r * q_stride);
                        let s = score_block::<S, 1, 1>(query, q_stride, keys, key_stride, head_dim);
                        S::store(to.add(r * key_stride + t), S::mul(s[0][0], factor));
                    }
                }
            }
            for r in 0..rows {
                let weights = &mut scores[r * key_stride..][..key_stride];
                let norm = soften::<S>(weights, len);
                let to = out.add((first + r) * out_stride);
                blend::<S>(&weights[..len], Strided(values, value_stride), head_dim, norm, to);
            }
            first += rows;
        }
    }
}

/// Dot product: lane by lane, then over the lanes, then the tail.
#[inline(always)]
unsafe fn dot<S: Simd>(a: *const f32, b: *const f32, n: usize) -> f32 {
    // SAFETY: both hold `n` values.
    unsafe {
        let mut sum = S::splat(0.0);
        let mut i = 0;
        while i + LANES <= n {
            sum = S::fma(S::load(a.add(i)), S::load(b.add(i)), sum);
            i += LANES;
        }
        let mut total = S::sum(sum);
        while i < n {
            total = S::fma1(*a.add(i), *b.add(i), total);
            i += 1;
        }
        total
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn attend_rows_kernel<S: Simd>(
    q: *const f32,
    rows: &[*const f32],
    offset: usize,
    value_offset: usize,
    head_dim: usize,
    scale: f32,
    scores: &mut [f32],
    out: *mut f32,
) {
    // SAFETY: each row holds a key and a value as described.
    unsafe {
        for (score, row) in scores.iter_mut().zip(rows) {
            *score = dot::<S>(q, row.add(offset), head_dim) * scale;
        }
        let norm = soften::<S>(scores, rows.len());
        let values = Scattered(rows, offset + value_offset);
        blend::<S>(&scores[..rows.len()], values, head_dim, norm, out);
    }
}

/// Room that [`attend_block`] and [`attend_rows`] need for scores over `len` positions.
pub fn scores_len(len: usize) -> usize {
    4 * len.next_multiple_of(LANES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::vector::Isa;

    fn values(n: usize, seed: f32) -> Vec<f32> {
        (0..n).map(|i| ((i as f32 + seed) * 1.37).sin() * 1.5).collect()
    }

    fn reference(q: &[f32], k: &[f32], v: &[f32], len: usize, hd: usize) -> Vec<f64> {
        let s: Vec<f64> = (0..len)
            .map(|t| (0..hd).map(|c| f64::from(q[c]) * f64::from(k[t * hd + c])).sum::<f64>() * 0.5)
            .collect();
        let max = s.iter().fold(f64::MIN, |a, &b| a.max(b));
        let e: Vec<f64> = s.iter().map(|x| (x - max).exp()).collect();
        let z: f64 = e.iter().sum();
        (0..hd).map(|c| (0..len).map(|t| e[t] / z * f64::from(v[t * hd + c])).sum()).collect()
    }

    #[test]
    fn both_forms_equal_the_formula_and_no_row_depends_on_its_neighbours() {
        for hd in [1, 4, 16, 20, 32, 64, 80, 128] {
            for len in [1, 2, 15, 16, 17, 33, 50] {
                let rows = 7;
                let (q, k, v) =
                    (values(rows * hd, 0.3), values(len * hd, 9.1), values(len * hd, 77.7));
                let stride = len.next_multiple_of(LANES);
                let mut kt = vec![0.0; hd * stride];
                for t in 0..len {
                    for c in 0..hd {
                        kt[c * stride + t] = k[t * hd + c];
                    }
                }
                for isa in Isa::available() {
                    let mut scores = vec![0.0; scores_len(len)];
                    let mut block = vec![0.0; rows * hd];
                    // SAFETY: shapes as described, the set is available.
                    unsafe {
                        attend_block(
                            isa,
                            q.as_ptr(),
                            hd,
                            rows,
                            kt.as_ptr(),
                            stride,
                            v.as_ptr(),
                            hd,
                            len,
                            hd,
                            0.5,
                            &mut scores,
                            block.as_mut_ptr(),
                            hd,
                        );
                    }
                    let mut kv = Vec::new();
                    for t in 0..len {
                        kv.extend_from_slice(&k[t * hd..][..hd]);
                        kv.extend_from_slice(&v[t * hd..][..hd]);
                    }
                    let cached: Vec<*const f32> =
                        (0..len).map(|t| kv[t * 2 * hd..].as_ptr()).collect();
                    for r in 0..rows {
                        let want = reference(&q[r * hd..][..hd], &k, &v, len, hd);
                        let mut single = vec![0.0; hd];
                        let mut by_rows = vec![0.0; hd];
                        // SAFETY: as above.
                        unsafe {
                            attend_block(
                                isa,
                                q[r * hd..].as_ptr(),
                                hd,
                                1,
                                kt.as_ptr(),
                                stride,
                                v.as_ptr(),
                                hd,
                                len,
                                hd,
                                0.5,
                                &mut scores,
                                single.as_mut_ptr(),
                                hd,
                            );
                            attend_rows(
                                isa,
                                q[r * hd..].as_ptr(),
                                &cached,
                                0,
                                hd,
                                hd,
                                0.5,
                                &mut scores,
                                by_rows.as_mut_ptr(),
                            );
                        }
                        assert_eq!(single, block[r * hd..][..hd]);
                        for c in 0..hd {
                            assert!((f64::from(single[c]) - want[c]).abs() < 5e-6);
                            assert!((f64::from(by_rows[c]) - want[c]).abs() < 5e-6);
                        }
                    }
                }
            }
        }
    }
}
