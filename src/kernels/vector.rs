//! Sixteen lanes of f32 on three instruction sets: AVX-512, AVX2 with FMA, and plain arrays.
//!
//! Kernels are written once over [`Simd`] and compiled for each set by [`simd_fn!`]. Every
//! operation gives the same bits on AVX-512 and AVX2 (sums over lanes use one fixed tree, and
//! products are fused on both), so a translation does not depend on which of them ran. The
//! portable set fuses only where the target does, and may differ in the last bits.

use std::sync::OnceLock;

/// Which instruction set runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    Avx512,
    Avx2,
    Portable,
}

impl Isa {
    /// The best this processor has.
    pub fn detect() -> Self {
        static ISA: OnceLock<Isa> = OnceLock::new();
        *ISA.get_or_init(|| Self::available()[0])
    }

    /// All this processor has, best first.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
            if avx2 && avx512 {
                sets.push(Self::Avx512);
            }
            if avx2 {
                sets.push(Self::Avx2);
            }
        }
        sets.push(Self::Portable);
        sets
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

/// Lanes of one vector.
pub const LANES: usize = 16;

/// Sixteen f32 lanes.
///
/// # Safety
/// Methods may only be called where the processor has the instruction set, and pointers must be
/// valid for sixteen values. No alignment is asked for.
#[allow(clippy::missing_safety_doc, reason = "the trait's own section holds for every method")]
pub trait Simd: Copy + Send + Sync + 'static {
    type V: Copy;
    /// Vectors that fit the registers beside the accumulators of a product tile.
    const REGISTERS: usize;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// Asks for the cache line at `p`, which need not be valid.
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint; any address will do, and SSE is part of every x86-64.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(p.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = p;
    }
    /// `a * b + c`
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// The greater; `b` where either is not a number.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller; `b` where either is not a number.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// Lane by lane: bit i is set where `a[i] >= b[i]`.
    unsafe fn ge_mask(a: Self::V, b: Self::V) -> u32;
    /// Nearest integer, ties to even.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `a * 2^n` for integral n in -126..=127.
    unsafe fn scale2(a: Self::V, n: Self::V) -> Self::V;
    /// Sum of the lanes: i with i+8, then i+4, i+2, i+1.
    unsafe fn sum(a: Self::V) -> f32;
    /// Greatest lane, by the same tree.
    unsafe fn max_lane(a: Self::V) -> f32;
    /// `a * b + c` of single values, fused as [`Simd::fma`] is.
    unsafe fn fma1(a: f32, b: f32, c: f32) -> f32;
    /// The first eight lanes of both, one from each in turn.
    unsafe fn zip_low(a: Self::V, b: Self::V) -> Self::V;
    /// The last eight.
    unsafe fn zip_high(a: Self::V, b: Self::V) -> Self::V;
    /// Widens the low halves of sixteen words, which are bf16.
    unsafe fn low_bf16(p: *const u32) -> Self::V;
    /// Widens their high halves.
    unsafe fn high_bf16(p: *const u32) -> Self::V;
}

/// The high half of a word, in its place.
const HIGH_HALF: u32 = 0xffff_0000;

/// e^x, relative error below 2e-7 between -87 and 88. NaN stays NaN, values outside are taken as
/// the nearer bound. Cody and Waite's reduction with a polynomial of degree 6 (minimax on
/// [-ln2/2, ln2/2], as in Cephes' expf).
///
/// # Safety
/// As for [`Simd`].
#[inline(always)]
pub unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    unsafe {
        // The value comes second: a NaN passes through.
        let x = S::max(S::splat(-87.336_54), x);
        let x = S::min(S::splat(88.0), x);
        let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(1.987_569_1e-4);
        for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            p = S::fma(p, r, S::splat(c));
        }
        let r2 = S::mul(r, r);
        let p = S::add(S::fma(p, r2, r), S::splat(1.0));
        S::scale2(p, n)
    }
}

#[derive(Clone, Copy)]
pub struct Portable;

impl Simd for Portable {
    type V = [f32; LANES];
    const REGISTERS: usize = 4;
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::V {
        unsafe { p.cast::<[f32; LANES]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Self::V) {
        unsafe { p.cast::<[f32; LANES]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| unsafe { Self::fma1(a[i], b[i], c[i]) })
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn ge_mask(a: Self::V, b: Self::V) -> u32 {
        (0..LANES).fold(0, |m, i| m | (u32::from(a[i] >= b[i]) << i))
    }
    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i].round_ties_even())
    }
    #[inline(always)]
    unsafe fn scale2(a: Self::V, n: Self::V) -> Self::V {
        std::array::from_fn(|i| {
            // `as` gives 0 for a NaN, and the product stays one.
            let bits = ((n[i] as i32).clamp(-126, 127) + 127) as u32;
            a[i] * f32::from_bits(bits << 23)
        })
    }
    #[inline(always)]
    unsafe fn sum(mut a: Self::V) -> f32 {
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                a[i] += a[i + half];
            }
        }
        a[0]
    }
    #[inline(always)]
    unsafe fn max_lane(mut a: Self::V) -> f32 {
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                a[i] = if a[i] > a[i + half] { a[i] } else { a[i + half] };
            }
        }
        a[0]
    }
    #[inline(always)]
    unsafe fn fma1(a: f32, b: f32, c: f32) -> f32 {
        // Without the instruction `mul_add` is a slow library call.
        if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
            a.mul_add(b, c)
        } else {
            a * b + c
        }
    }
    #[inline(always)]
    unsafe fn zip_low(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| if i % 2 == 0 { a[i / 2] } else { b[i / 2] })
    }
    #[inline(always)]
    unsafe fn zip_high(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(|i| if i % 2 == 0 { a[8 + i / 2] } else { b[8 + i / 2] })
    }
    #[inline(always)]
    unsafe fn low_bf16(p: *const u32) -> Self::V {
        let words = unsafe { p.cast::<[u32; LANES]>().read_unaligned() };
        words.map(|w| f32::from_bits(w << 16))
    }
    #[inline(always)]
    unsafe fn high_bf16(p: *const u32) -> Self::V {
        let words = unsafe { p.cast::<[u32; LANES]>().read_unaligned() };
        words.map(|w| f32::from_bits(w & HIGH_HALF))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{HIGH_HALF, LANES, Simd};
    use std::arch::x86_64::*;

    /// The four lanes of `v` summed: i with i+2, then i+1.
    #[inline(always)]
    unsafe fn sum4(v: __m128) -> f32 {
        unsafe {
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }
    #[inline(always)]
    unsafe fn max4(v: __m128) -> f32 {
        unsafe {
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }
    #[inline(always)]
    unsafe fn fused1(a: f32, b: f32, c: f32) -> f32 {
        unsafe { _mm_cvtss_f32(_mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(b), _mm_set_ss(c))) }
    }

    #[inline(always)]
    unsafe fn scale8(a: __m256, n: __m256) -> __m256 {
        unsafe {
            let n = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(n)))
        }
    }

    /// Eight lanes of both, one from each in turn.
    #[inline(always)]
    unsafe fn zip8(a: __m256, b: __m256) -> [__m256; 2] {
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
        }
    }

    #[derive(Clone, Copy)]
    pub struct Avx512;

    impl Avx512 {
        #[inline(always)]
        unsafe fn halves(a: __m512) -> (__m256, __m256) {
            unsafe {
                let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(a));
                (_mm512_castps512_ps256(a), _mm256_castpd_ps(high))
            }
        }
    }

    impl Simd for Avx512 {
        type V = __m512;
        const REGISTERS: usize = 32;
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: __m512) {
            unsafe { _mm512_storeu_ps(p, v) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_sub_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn ge_mask(a: __m512, b: __m512) -> u32 {
            unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, b)) }
        }
        #[inline(always)]
        unsafe fn round(a: __m512) -> __m512 {
            unsafe { _mm512_roundscale_ps::<0>(a) }
        }
        #[inline(always)]
        unsafe fn scale2(a: __m512, n: __m512) -> __m512 {
            unsafe {
                let n = _mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127));
                _mm512_mul_ps(a, _mm512_castsi512_ps(_mm512_slli_epi32::<23>(n)))
            }
        }
        #[inline(always)]
        unsafe fn sum(a: __m512) -> f32 {
            unsafe {
                let (low, high) = Self::halves(a);
                let v = _mm256_add_ps(low, high);
                sum4(_mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)))
            }
        }
        #[inline(always)]
        unsafe fn max_lane(a: __m512) -> f32 {
            unsafe {
                let (low, high) = Self::halves(a);
                let v = _mm256_max_ps(low, high);
                max4(_mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)))
            }
        }
        #[inline(always)]
        unsafe fn fma1(a: f32, b: f32, c: f32) -> f32 {
            unsafe { fused1(a, b, c) }
        }
        #[inline(always)]
        unsafe fn zip_low(a: __m512, b: __m512) -> __m512 {
            unsafe {
                let lanes =
                    _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                _mm512_permutex2var_ps(a, lanes, b)
            }
        }
        #[inline(always)]
        unsafe fn zip_high(a: __m512, b: __m512) -> __m512 {
            unsafe {
                let lanes =
                    _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
                _mm512_permutex2var_ps(a, lanes, b)
            }
        }
        #[inline(always)]
        unsafe fn low_bf16(p: *const u32) -> __m512 {
            unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_loadu_epi32(p.cast()))) }
        }
        #[inline(always)]
        unsafe fn high_bf16(p: *const u32) -> __m512 {
            unsafe {
                let mask = _mm512_set1_epi32(HIGH_HALF as i32);
                _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_epi32(p.cast()), mask))
            }
        }
    }

    /// Two AVX2 registers are one vector.
    #[derive(Clone, Copy)]
    pub struct Avx2;

    const HALF: usize = LANES / 2;

    impl Simd for Avx2 {
        type V = [__m256; 2];
        const REGISTERS: usize = 8;
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self::V {
            unsafe { [_mm256_set1_ps(x); 2] }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self::V {
            unsafe { [_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(HALF))] }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, v: Self::V) {
            unsafe {
                _mm256_storeu_ps(p, v[0]);
                _mm256_storeu_ps(p.add(HALF), v[1]);
            }
        }
        #[inline(always)]
        unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
        }
        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
            unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
        }
        #[inline(always)]
        unsafe fn ge_mask(a: Self::V, b: Self::V) -> u32 {
            unsafe {
                let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(a[0], b[0])) as u32;
                let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(a[1], b[1])) as u32;
                low | (high << HALF)
            }
        }
        #[inline(always)]
        unsafe fn round(a: Self::V) -> Self::V {
            const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            unsafe { [_mm256_round_ps::<NEAREST>(a[0]), _mm256_round_ps::<NEAREST>(a[1])] }
        }
        #[inline(always)]
        unsafe fn scale2(a: Self::V, n: Self::V) -> Self::V {
            unsafe { [scale8(a[0], n[0]), scale8(a[1], n[1])] }
        }
        #[inline(always)]
        unsafe fn sum(a: Self::V) -> f32 {
            unsafe {
                let v = _mm256_add_ps(a[0], a[1]);
                sum4(_mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)))
            }
        }
        #[inline(always)]
        unsafe fn max_lane(a: Self::V) -> f32 {
            unsafe {
                let v = _mm256_max_ps(a[0], a[1]);
                max4(_mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v)))
            }
        }
        #[inline(always)]
        unsafe fn fma1(a: f32, b: f32, c: f32) -> f32 {
            unsafe { fused1(a, b, c) }
        }
        #[inline(always)]
        unsafe fn zip_low(a: Self::V, b: Self::V) -> Self::V {
            unsafe { zip8(a[0], b[0]) }
        }
        #[inline(always)]
        unsafe fn zip_high(a: Self::V, b: Self::V) -> Self::V {
            unsafe { zip8(a[1], b[1]) }
        }
        #[inline(always)]
        unsafe fn low_bf16(p: *const u32) -> Self::V {
            unsafe {
                let (a, b) = (_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(HALF).cast()));
                [
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(a)),
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(b)),
                ]
            }
        }
        #[inline(always)]
        unsafe fn high_bf16(p: *const u32) -> Self::V {
            unsafe {
                let mask = _mm256_set1_epi32(HIGH_HALF as i32);
                [
                    _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256(p.cast()), mask)),
                    _mm256_castsi256_ps(_mm256_and_si256(
                        _mm256_loadu_si256(p.add(HALF).cast()),
                        mask,
                    )),
                ]
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use x86::{Avx2, Avx512};

/// Kernels must be `#[inline(always)]` all the way down, and must not use vectors inside closures:
/// a closure that is not inlined is compiled without the instruction set, many times slower.
///
/// Compiles a kernel that is generic over [`Simd`] for each instruction set and chooses at run
/// time: `simd_fn!(unsafe fn name(args) -> T = generic_kernel);` gives `name(isa, args)`.
macro_rules! simd_fn {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $kernel:ident) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// `isa` must come from [`Isa::available`](crate::kernels::vector::Isa::available);
        /// the rest as the kernel says.
        #[allow(clippy::too_many_arguments)]
        $vis unsafe fn $name(isa: $crate::kernels::vector::Isa, $($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx512($($arg: $ty),*) $(-> $ret)? {
                unsafe { $kernel::<$crate::kernels::vector::Avx512>($($arg),*) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            #[allow(clippy::too_many_arguments)]
            unsafe fn avx2($($arg: $ty),*) $(-> $ret)? {
                unsafe { $kernel::<$crate::kernels::vector::Avx2>($($arg),*) }
            }
            // SAFETY: the caller vouches for the instruction set and the arguments.
            unsafe {
                match isa {
                    #[cfg(target_arch = "x86_64")]
                    $crate::kernels::vector::Isa::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::kernels::vector::Isa::Avx2 => avx2($($arg),*),
                    _ => $kernel::<$crate::kernels::vector::Portable>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use simd_fn;

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(always)]
    unsafe fn exp_kernel<S: Simd>(x: &[f32], y: &mut [f32]) {
        for (x, y) in x.chunks_exact(LANES).zip(y.chunks_exact_mut(LANES)) {
            unsafe { S::store(y.as_mut_ptr(), exp::<S>(S::load(x.as_ptr()))) };
        }
    }
    simd_fn!(unsafe fn exp_all(x: &[f32], y: &mut [f32]) = exp_kernel);

    #[inline(always)]
    unsafe fn fold_kernel<S: Simd>(x: &[f32; 16], y: &[f32; 16]) -> (f32, f32, u32) {
        unsafe {
            let (x, y) = (S::load(x.as_ptr()), S::load(y.as_ptr()));
            (S::sum(x), S::max_lane(x), S::ge_mask(x, y))
        }
    }
    simd_fn!(unsafe fn fold(x: &[f32; 16], y: &[f32; 16]) -> (f32, f32, u32) = fold_kernel);

    #[test]
    fn exp_is_exact_to_rounding_and_keeps_nan() {
        let n = 1 << 16;
        let x: Vec<f32> = (0..n).map(|i| -87.0 + 174.9 * i as f32 / n as f32).collect();
        let mut first: Option<Vec<u32>> = None;
        for isa in Isa::available() {
            let mut y = vec![0.0; n];
            // SAFETY: the set is available and the slices are of one length.
            unsafe { exp_all(isa, &x, &mut y) };
            for (x, y) in x.iter().zip(&y) {
                let want = (*x as f64).exp();
                assert!(((*y as f64 - want) / want).abs() < 2e-7, "{} exp({x})", isa.name());
            }
            if isa != Isa::Portable {
                let bits: Vec<u32> = y.iter().map(|v| v.to_bits()).collect();
                assert_eq!(*first.get_or_insert_with(|| bits.clone()), bits);
            }
            let odd = [f32::NAN, f32::NEG_INFINITY, -1e30, 0.0, -0.0, 1.0, -1.0, -100.0];
            let x: Vec<f32> = odd.iter().chain(&odd).copied().collect();
            let mut y = vec![0.0; 16];
            // SAFETY: as above.
            unsafe { exp_all(isa, &x, &mut y) };
            assert!(y[0].is_nan());
            assert!(y[1] < 2e-38 && y[2] < 2e-38 && y[7] < 2e-38);
            assert_eq!((y[3], y[4]), (1.0, 1.0));
        }
    }

    #[test]
    fn lane_folds_agree_between_sets() {
        let x: [f32; 16] = std::array::from_fn(|i| ((i * 37 % 16) as f32).sin() * 1e3);
        let y: [f32; 16] = std::array::from_fn(|i| if i % 3 == 0 { x[i] } else { 0.0 });
        let want = unsafe { fold(Isa::Portable, &x, &y) };
        for isa in Isa::available() {
            // SAFETY: the set is available.
            assert_eq!(unsafe { fold(isa, &x, &y) }, want);
        }
        let max = x.iter().fold(f32::MIN, |a, &b| a.max(b));
        assert_eq!(want.1, max);
    }
}
