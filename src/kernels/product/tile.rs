//! The register tile of a product, and what is done with its sums.

#[cfg(target_arch = "x86_64")]
mod avx512;

use super::Out;
use super::pack::Ahead;
#[cfg(target_arch = "x86_64")]
use crate::kernels::vector::{Avx2, Avx512};
use crate::kernels::vector::{LANES, Portable, Simd};

/// Rows of a tile where vectors are plain arrays.
pub(super) const PORTABLE_ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };

/// Instruction sets with a way to make a tile.
pub(super) trait Tile: Simd {
    /// A whole tile of the target at `c`, which begins with its column `col`: the sums over k of
    /// `a[k][r] * b[k][j]`, finished as `o` says. `a` is a panel of `R` rows, `b` one of `N` vectors, on
    /// a cache line. What `ahead` names may be fetched meanwhile.
    ///
    /// # Safety
    /// As for [`Simd`]; the panels have `k` steps, at least one, and the target is whole.
    #[inline(always)]
    unsafe fn tile<const R: usize, const N: usize>(
        k: usize,
        (a, b): (*const f32, *const f32),
        (c, col): (*mut f32, usize),
        o: &Out,
        _ahead: &Ahead,
    ) {
        // SAFETY: passed on.
        unsafe { plain_tile::<Self, R, N>(k, (a, b), (c, col), o) }
    }
}

impl Tile for Portable {}
#[cfg(target_arch = "x86_64")]
impl Tile for Avx2 {}

#[cfg(target_arch = "x86_64")]
impl Tile for Avx512 {
    #[inline(always)]
    unsafe fn tile<const R: usize, const N: usize>(
        k: usize,
        (a, b): (*const f32, *const f32),
        (c, col): (*mut f32, usize),
        o: &Out,
        ahead: &Ahead,
    ) {
        // SAFETY: passed on.
        unsafe {
            if R == 12 && N == 2 {
                avx512::tile_12_by_2(k, (a, b), (c, col), o, ahead);
            } else {
                plain_tile::<Self, R, N>(k, (a, b), (c, col), o);
            }
        }
    }
}

#[inline(always)]
unsafe fn plain_sums<S: Simd, const R: usize, const N: usize>(
    k: usize,
    a: *const f32,
    b: *const f32,
) -> [[S::V; N]; R] {
    // SAFETY: passed on.
    unsafe {
        let mut sums = [[S::splat(0.0); N]; R];
        for i in 0..k {
            let mut w = [S::splat(0.0); N];
            for j in 0..N {
                w[j] = S::load(b.add((i * N + j) * LANES));
            }
            for r in 0..R {
                let x = S::splat(*a.add(i * R + r));
                for j in 0..N {
                    sums[r][j] = S::fma(x, w[j], sums[r][j]);
                }
            }
        }
        sums
    }
}

/// See [`Tile::tile`].
#[inline(always)]
unsafe fn plain_tile<S: Simd, const R: usize, const N: usize>(
    k: usize,
    (a, b): (*const f32, *const f32),
    (c, col): (*mut f32, usize),
    o: &Out,
) {
    // SAFETY: passed on.
    unsafe {
        for r in 0..R {
            for j in 0..N {
                S::prefetch(c.wrapping_add(r * o.stride + j * LANES));
            }
        }
        let sums = plain_sums::<S, R, N>(k, a, b);
        let scale = S::splat(o.scale);
        for r in 0..R {
            for j in 0..N {
                let c = c.add(r * o.stride + j * LANES);
                let mut v = if o.accumulate {
                    S::fma(scale, sums[r][j], S::load(c))
                } else {
                    S::mul(scale, sums[r][j])
                };
                if !o.bias.is_null() {
                    v = S::add(v, S::load(o.bias.add(col + j * LANES)));
                }
                if o.relu {
                    // The value comes second: a NaN stays visible.
                    v = S::max(S::splat(0.0), v);
                }
                S::store(c, v);
            }
        }
    }
}

/// One tile of `C`: its first row and column, and the panels it is made of.
///
/// # Safety
/// As for [`Simd`]; the panels have `k` steps, the columns lie on a cache line, and the target
/// has this row and column.
#[inline(always)]
pub(super) unsafe fn tile<S: Tile, const R: usize, const N: usize>(
    k: usize,
    (a, b): (*const f32, *const f32),
    (row, col): (usize, usize),
    o: &Out,
    ahead: &mut Ahead,
) {
    // SAFETY: passed on; only the rows and columns that `C` has are read and written.
    unsafe {
        let c = o.c.add(row * o.stride + col);
        let (rows, cols) = ((o.m - row).min(R), (o.n - col).min(N * LANES));
        if rows == R && cols == N * LANES {
            S::tile::<R, N>(k, (a, b), (c, col), o, ahead);
        } else {
            let mut sums = [[[0f32; LANES]; N]; R];
            let c_of_sums = sums.as_mut_ptr().cast::<f32>();
            let plain = Out {
                c: c_of_sums,
                stride: N * LANES,
                m: R,
                n: N * LANES,
                accumulate: false,
                scale: 1.0,
                bias: std::ptr::null(),
                relu: false,
            };
            S::tile::<R, N>(k, (a, b), (c_of_sums, 0), &plain, ahead);
            for (r, sums) in sums.iter().enumerate().take(rows) {
                for (i, sum) in sums.as_flattened().iter().enumerate().take(cols) {
                    let c = c.add(r * o.stride + i);
                    let mut v =
                        if o.accumulate { S::fma1(o.scale, *sum, *c) } else { o.scale * sum };
                    if !o.bias.is_null() {
                        v += *o.bias.add(col + i);
                    }
                    // A comparison, not `max`: NaN must stay visible.
                    *c = if o.relu && v < 0.0 { 0.0 } else { v };
                }
            }
        }
        ahead.at = ahead.at.wrapping_byte_add(ahead.tile);
    }
}
