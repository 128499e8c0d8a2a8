//! Sums of products of 8-bit integers, four inputs at a time, sixteen columns side by side.
//!
//! Both sets give the same integers, as do plain loops, so a product in int8 does not depend on
//! which of them ran.
//! AVX-512 multiplies unsigned weights with signed inputs (`vpdpbusd`), which is why weights are
//! stored with 128 added; its sums begin with what that adds. AVX2 takes the magnitude of the
//! inputs and moves their signs to the weights: with values in -127..=127 the 16-bit sums of
//! `vpmaddubsw` stay below 2 * 127 * 127 and never saturate.

use crate::kernels::vector::Simd;

/// Added to stored weights.
pub const OFFSET: u8 = 128;
/// Inputs of one step.
pub const DEPTH: usize = 4;

/// # Safety
/// As for [`Simd`]; AVX-512 also asks for VNNI, see [`has_vnni`].
#[allow(clippy::missing_safety_doc, reason = "the trait's own section holds for every method")]
pub trait Integers: Simd {
    /// Sixteen sums.
    type I: Copy;
    /// Weights of sixteen columns for four inputs.
    type W: Copy;
    /// Four inputs, for every column.
    type X: Copy;
    /// What sums begin with, where the row's inputs add up to `row_sum`.
    unsafe fn start(row_sum: i32) -> Self::I;
    /// 64 bytes.
    unsafe fn weights(p: *const u8) -> Self::W;
    /// 4 bytes.
    unsafe fn inputs(p: *const i8) -> Self::X;
    /// `sum[column] += inputs · weights[column]`
    unsafe fn dot(sum: Self::I, w: Self::W, x: Self::X) -> Self::I;
    /// To the nearest f32.
    unsafe fn to_f32(sum: Self::I) -> Self::V;
}

/// Whether AVX-512 has the instruction; else AVX2 runs in its place.
pub fn has_vnni() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Integers, OFFSET};
    use crate::kernels::vector::{Avx2, Avx512};

    impl Integers for Avx512 {
        type I = __m512i;
        type W = __m512i;
        type X = __m512i;
        #[inline(always)]
        unsafe fn start(row_sum: i32) -> __m512i {
            // Sums wrap around on the way and end where they belong.
            unsafe { _mm512_set1_epi32(row_sum.wrapping_mul(-i32::from(OFFSET))) }
        }
        #[inline(always)]
        unsafe fn weights(p: *const u8) -> __m512i {
            unsafe { _mm512_loadu_si512(p.cast()) }
        }
        #[inline(always)]
        unsafe fn inputs(p: *const i8) -> __m512i {
            unsafe { _mm512_set1_epi32(p.cast::<i32>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn dot(sum: __m512i, w: __m512i, x: __m512i) -> __m512i {
            unsafe { _mm512_dpbusd_epi32(sum, w, x) }
        }
        #[inline(always)]
        unsafe fn to_f32(sum: __m512i) -> __m512 {
            unsafe { _mm512_cvtepi32_ps(sum) }
        }
    }

    /// Eight columns: `x` by its magnitude, `w` with the signs of `x`.
    #[inline(always)]
    unsafe fn dot8(sum: __m256i, w: __m256i, x: __m256i) -> __m256i {
        unsafe {
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(w, x));
            _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
    /// Without the offset.
    #[inline(always)]
    unsafe fn weights8(p: *const u8) -> __m256i {
        unsafe {
            let offset = _mm256_set1_epi8(OFFSET as i8);
            _mm256_xor_si256(_mm256_loadu_si256(p.cast()), offset)
        }
    }

    impl Integers for Avx2 {
        type I = [__m256i; 2];
        type W = [__m256i; 2];
        type X = __m256i;
        #[inline(always)]
        unsafe fn start(_: i32) -> Self::I {
            unsafe { [_mm256_setzero_si256(); 2] }
        }
        #[inline(always)]
        unsafe fn weights(p: *const u8) -> Self::W {
            unsafe { [weights8(p), weights8(p.add(32))] }
        }
        #[inline(always)]
        unsafe fn inputs(p: *const i8) -> __m256i {
            unsafe { _mm256_set1_epi32(p.cast::<i32>().read_unaligned()) }
        }
        #[inline(always)]
        unsafe fn dot(sum: Self::I, w: Self::W, x: __m256i) -> Self::I {
            unsafe { [dot8(sum[0], w[0], x), dot8(sum[1], w[1], x)] }
        }
        #[inline(always)]
        unsafe fn to_f32(sum: Self::I) -> Self::V {
            unsafe { [_mm256_cvtepi32_ps(sum[0]), _mm256_cvtepi32_ps(sum[1])] }
        }
    }
}
