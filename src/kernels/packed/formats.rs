//! Weights in f32 and bf16. Both give one chain of fused multiply-adds over the inputs in
//! ascending order, in f32: bf16 is f32 arithmetic on rounded weights, bit for bit.

use super::PANEL;
use super::tile::{Format, Operands, tiles};
use crate::kernels::vector::{LANES, Simd, simd_fn};

/// A panel holds `[k, 32]` values.
pub(super) struct F32;

/// A panel holds `[k, 16]` words of 32 bits: column `j` in the low half, column `j + 16` in the
/// high one. Widening is then one shift, or one mask.
pub(super) struct Bf16;

impl<S: Simd> Format<S> for F32 {
    type Sum = S::V;
    const DEPTH: usize = 1;
    const STEP_BYTES: usize = PANEL * 4;
    const FEW_ROWS: usize = 6;

    #[inline(always)]
    unsafe fn start(_: *const f32) -> S::V {
        // SAFETY: no memory operands.
        unsafe { S::splat(0.0) }
    }
    #[inline(always)]
    unsafe fn step<const R: usize, const N: usize>(
        x: *const f32,
        x_stride: usize,
        w: &[*const u8; N],
        v: usize,
        i: usize,
        sums: &mut [[S::V; N]; R],
    ) {
        // SAFETY: passed on.
        unsafe {
            let mut weights = [S::splat(0.0); N];
            for j in 0..N {
                let half = half::<N>(v, j) * LANES;
                weights[j] = S::load(w[j].cast::<f32>().add(i * PANEL + half));
            }
            multiply::<S, R, N>(x, x_stride, &weights, i, sums);
        }
    }
    #[inline(always)]
    unsafe fn finish(sum: S::V, _: *const f32, _: *const f32) -> S::V {
        sum
    }
}

impl<S: Simd> Format<S> for Bf16 {
    type Sum = S::V;
    const DEPTH: usize = 1;
    const STEP_BYTES: usize = PANEL * 2;
    const FEW_ROWS: usize = 6;

    #[inline(always)]
    unsafe fn start(_: *const f32) -> S::V {
        // SAFETY: no memory operands.
        unsafe { S::splat(0.0) }
    }
    #[inline(always)]
    unsafe fn step<const R: usize, const N: usize>(
        x: *const f32,
        x_stride: usize,
        w: &[*const u8; N],
        v: usize,
        i: usize,
        sums: &mut [[S::V; N]; R],
    ) {
        // SAFETY: passed on.
        unsafe {
            let mut weights = [S::splat(0.0); N];
            for j in 0..N {
                let words = w[j].cast::<u32>().add(i * LANES);
                weights[j] = match half::<N>(v, j) {
                    0 => S::low_bf16(words),
                    _ => S::high_bf16(words),
                };
            }
            multiply::<S, R, N>(x, x_stride, &weights, i, sums);
        }
    }
    #[inline(always)]
    unsafe fn finish(sum: S::V, _: *const f32, _: *const f32) -> S::V {
        sum
    }
}

/// Which half of its panel vector `v + j` of `N` is. Where several are taken, the first is even.
#[inline(always)]
pub(super) fn half<const N: usize>(v: usize, j: usize) -> usize {
    if N.is_multiple_of(2) { j % 2 } else { (v + j) % 2 }
}

#[inline(always)]
unsafe fn multiply<S: Simd, const R: usize, const N: usize>(
    x: *const f32,
    x_stride: usize,
    weights: &[S::V; N],
    i: usize,
    sums: &mut [[S::V; N]; R],
) {
    // SAFETY: passed on.
    unsafe {
        for r in 0..R {
            let x = S::splat(*x.add(r * x_stride + i));
            for j in 0..N {
                sums[r][j] = S::fma(x, weights[j], sums[r][j]);
            }
        }
    }
}

#[inline(always)]
unsafe fn f32_kernel<S: Simd>(o: Operands) {
    // SAFETY: passed on.
    unsafe { tiles::<S, F32>(o) }
}
#[inline(always)]
unsafe fn bf16_kernel<S: Simd>(o: Operands) {
    // SAFETY: passed on.
    unsafe { tiles::<S, Bf16>(o) }
}
simd_fn!(
    /// A product with weights in f32.
    pub(super) unsafe fn f32_product(o: Operands) = f32_kernel
);
simd_fn!(
    /// A product with weights in bf16.
    pub(super) unsafe fn bf16_product(o: Operands) = bf16_kernel
);
