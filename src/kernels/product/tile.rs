//! The register tile of a product, and what is done with its sums.

use std::ops::Range;

use super::Out;
#[cfg(target_arch = "x86_64")]
use crate::kernels::vector::{Avx2, Avx512};
use crate::kernels::vector::{LANES, Portable, Simd};

/// Rows of a tile where vectors are plain arrays.
pub(super) const PORTABLE_ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };

/// Instruction sets with a way to sum a tile.
pub(super) trait Tile: Simd {
    /// `sums[r][j] = sum over k of a[k][r] * b[k][j]`: `a` is a panel of `R` rows, `b` one of `N`
    /// vectors, on a cache line.
    ///
    /// # Safety
    /// As for [`Simd`]; the panels have `k` steps, at least one.
    #[inline(always)]
    unsafe fn sums<const R: usize, const N: usize>(
        k: usize,
        a: *const f32,
        b: *const f32,
    ) -> [[Self::V; N]; R] {
        // SAFETY: passed on.
        unsafe { plain_sums::<Self, R, N>(k, a, b) }
    }
}

impl Tile for Portable {}
#[cfg(target_arch = "x86_64")]
impl Tile for Avx2 {}

#[cfg(target_arch = "x86_64")]
impl Tile for Avx512 {
    #[inline(always)]
    unsafe fn sums<const R: usize, const N: usize>(
        k: usize,
        a: *const f32,
        b: *const f32,
    ) -> [[Self::V; N]; R] {
        // SAFETY: passed on; the two array types are one where they are exchanged.
        unsafe {
            if R == 12 && N == 2 {
                let sums = avx512::sums_12_by_2(k, a, b);
                std::mem::transmute_copy::<[[Self::V; 2]; 12], [[Self::V; N]; R]>(&sums)
            } else {
                plain_sums::<Self, R, N>(k, a, b)
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

#[cfg(target_arch = "x86_64")]
mod avx512 {
    //! Written out, because compilers broadcast each value of `a` into a register first. Ten of
    //! twelve rows are multiplied straight from memory here: 28 instructions a step instead of
    //! 38, which matters where a core is shared with another thread. The other two spare the
    //! load ports.

    use std::arch::asm;
    use std::arch::x86_64::{__m512, _mm512_setzero_ps};

    /// Row `r` of step `i`, straight from memory.
    macro_rules! memory_row {
        ($i:literal, $r:literal, $s0:literal, $s1:literal) => {
            concat!(
                "vfmadd231ps zmm",
                $s0,
                ", zmm24, dword ptr [{a} + 48*",
                $i,
                " + 4*",
                $r,
                "]{{1to16}}\n",
                "vfmadd231ps zmm",
                $s1,
                ", zmm25, dword ptr [{a} + 48*",
                $i,
                " + 4*",
                $r,
                "]{{1to16}}\n",
            )
        };
    }
    /// Row `r` of step `i`, by way of a register.
    macro_rules! register_row {
        ($i:literal, $r:literal, $x:literal, $s0:literal, $s1:literal) => {
            concat!(
                "vbroadcastss zmm",
                $x,
                ", dword ptr [{a} + 48*",
                $i,
                " + 4*",
                $r,
                "]\n",
                "vfmadd231ps zmm",
                $s0,
                ", zmm24, zmm",
                $x,
                "\n",
                "vfmadd231ps zmm",
                $s1,
                ", zmm25, zmm",
                $x,
                "\n",
            )
        };
    }
    /// Step `i` from here.
    macro_rules! step {
        ($i:literal) => {
            concat!(
                "vmovaps zmm24, zmmword ptr [{b} + 128*",
                $i,
                "]\n",
                "vmovaps zmm25, zmmword ptr [{b} + 128*",
                $i,
                " + 64]\n",
                memory_row!($i, 0, 0, 1),
                memory_row!($i, 1, 2, 3),
                memory_row!($i, 2, 4, 5),
                memory_row!($i, 3, 6, 7),
                memory_row!($i, 4, 8, 9),
                register_row!($i, 5, 26, 10, 11),
                memory_row!($i, 6, 12, 13),
                memory_row!($i, 7, 14, 15),
                memory_row!($i, 8, 16, 17),
                memory_row!($i, 9, 18, 19),
                memory_row!($i, 10, 20, 21),
                register_row!($i, 11, 27, 22, 23),
            )
        };
    }

    /// See [`super::Tile::sums`].
    ///
    /// # Safety
    /// AVX-512 is there; the panels have `k` steps, at least one, and `b` lies on a cache line.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub unsafe fn sums_12_by_2(k: usize, a: *const f32, b: *const f32) -> [[__m512; 2]; 12] {
        let mut s = [[_mm512_setzero_ps(); 2]; 12];
        // SAFETY: the instructions read `k` steps of both panels and change the named registers
        // only.
        unsafe {
            asm!(
                "sub {k}, 4",
                "jb 3f",
                "2:",
                step!(0), step!(1), step!(2), step!(3),
                "add {a}, 192",
                "add {b}, 512",
                "sub {k}, 4",
                "jae 2b",
                "3:",
                "add {k}, 4",
                "jz 5f",
                "4:",
                step!(0),
                "add {a}, 48",
                "add {b}, 128",
                "dec {k}",
                "jnz 4b",
                "5:",
                k = inout(reg) k => _,
                a = inout(reg) a => _,
                b = inout(reg) b => _,
                inout("zmm0") s[0][0],
                inout("zmm1") s[0][1],
                inout("zmm2") s[1][0],
                inout("zmm3") s[1][1],
                inout("zmm4") s[2][0],
                inout("zmm5") s[2][1],
                inout("zmm6") s[3][0],
                inout("zmm7") s[3][1],
                inout("zmm8") s[4][0],
                inout("zmm9") s[4][1],
                inout("zmm10") s[5][0],
                inout("zmm11") s[5][1],
                inout("zmm12") s[6][0],
                inout("zmm13") s[6][1],
                inout("zmm14") s[7][0],
                inout("zmm15") s[7][1],
                inout("zmm16") s[8][0],
                inout("zmm17") s[8][1],
                inout("zmm18") s[9][0],
                inout("zmm19") s[9][1],
                inout("zmm20") s[10][0],
                inout("zmm21") s[10][1],
                inout("zmm22") s[11][0],
                inout("zmm23") s[11][1],
                out("zmm24") _,
                out("zmm25") _,
                out("zmm26") _,
                out("zmm27") _,
                options(nostack, readonly),
            );
        }
        s
    }
}

/// One tile of `C`: its first row and column, and the panels it is made of.
#[inline(always)]
unsafe fn tile<S: Tile, const R: usize, const N: usize>(
    k: usize,
    a: *const f32,
    b: *const f32,
    (row, col): (usize, usize),
    o: &Out,
) {
    // SAFETY: passed on; only the rows and columns that `C` has are read and written.
    unsafe {
        let c = o.c.add(row * o.stride + col);
        let (rows, cols) = ((o.m - row).min(R), (o.n - col).min(N * LANES));
        for r in 0..rows {
            for j in 0..N {
                S::prefetch(c.wrapping_add(r * o.stride + j * LANES));
            }
        }
        let sums = S::sums::<R, N>(k, a, b);
        if rows == R && cols == N * LANES {
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
            return;
        }
        let mut part = [[[0f32; LANES]; N]; R];
        for r in 0..R {
            for j in 0..N {
                S::store(part[r][j].as_mut_ptr(), sums[r][j]);
            }
        }
        for (r, part) in part.iter().enumerate().take(rows) {
            for (i, sum) in part.as_flattened().iter().enumerate().take(cols) {
                let c = c.add(r * o.stride + i);
                let mut v = if o.accumulate { S::fma1(o.scale, *sum, *c) } else { o.scale * sum };
                if !o.bias.is_null() {
                    v += *o.bias.add(col + i);
                }
                // A comparison, not `max`: NaN must stay visible.
                *c = if o.relu && v < 0.0 { 0.0 } else { v };
            }
        }
    }
}

/// Panels of rows by panels of columns, each with the numbers of its panels. A panel of columns
/// stays in the first-level cache while all panels of rows pass by.
///
/// # Safety
/// As for [`Simd`]; the panels have `k` steps, the columns lie on a cache line, and the target
/// is whole.
#[inline(always)]
pub(super) unsafe fn block<S: Tile, const R: usize, const N: usize>(
    k: usize,
    (a, rows): (*const f32, Range<usize>),
    (b, cols): (*const f32, Range<usize>),
    o: &Out,
) {
    // SAFETY: passed on.
    unsafe {
        for (j, col) in cols.enumerate() {
            let b = b.add(j * k * N * LANES);
            for (i, row) in rows.clone().enumerate() {
                tile::<S, R, N>(k, a.add(i * k * R), b, (row * R, col * N * LANES), o);
            }
        }
    }
}
