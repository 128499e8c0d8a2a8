//! One binary for every x86-64: each hot loop is compiled for AVX-512, AVX2 and the baseline,
//! and the best one the processor has is taken at run time.

/// Compiles the body of a function for several instruction sets and dispatches at run time.
///
/// Inside the body the constant `FMA` tells whether fused multiply-add is an instruction (it
/// is a slow library call where it is not); use [`fma`].
#[macro_export]
#[doc(hidden)]
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[allow(clippy::too_many_arguments, clippy::extra_unused_type_parameters)]
            #[inline(always)]
            fn body<const FMA: bool>($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
                fn v4($($arg: $ty),*) $(-> $ret)? {
                    body::<true>($($arg),*)
                }
                #[allow(clippy::too_many_arguments)]
                #[target_feature(enable = "avx2,fma")]
                fn v3($($arg: $ty),*) $(-> $ret)? {
                    body::<true>($($arg),*)
                }
                match $crate::kernels::simd::level() {
                    // SAFETY: `level` has found these features on this processor.
                    $crate::kernels::simd::Level::V4 => return unsafe { v4($($arg),*) },
                    // SAFETY: as above.
                    $crate::kernels::simd::Level::V3 => return unsafe { v3($($arg),*) },
                    $crate::kernels::simd::Level::Baseline => {}
                }
            }
            body::<false>($($arg),*)
        }
    };
}

/// Instruction sets, by the names of the x86-64 psABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Baseline,
    /// AVX2 and FMA.
    V3,
    /// AVX-512 F, BW, VL, DQ.
    V4,
}

/// The best level of this processor.
#[inline]
pub fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        // `is_x86_feature_detected` caches its answer.
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
        {
            return Level::V4;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Level::V3;
        }
    }
    Level::Baseline
}

/// `a * b + c`, fused where that is one instruction.
#[inline(always)]
pub fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `exp(x)` within 2 units in the last place; a polynomial the compiler vectorises
/// (Cephes `expf`). Arguments are held within -87.3..88, where results are normal numbers;
/// NaN stays NaN.
#[inline(always)]
pub fn exp<const FMA: bool>(x: f32) -> f32 {
    // `clamp` keeps NaN, and casting NaN to an integer gives 0.
    let x = x.clamp(-87.3, 88.0);
    // Rounding by the magic constant 1.5 * 2^23 vectorises on every level.
    const MAGIC: f32 = 12_582_912.0;
    let n = fma::<FMA>(x, std::f32::consts::LOG2_E, MAGIC) - MAGIC;
    let r = fma::<FMA>(n, -0.693_359_4, x);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4f32;
    p = fma::<FMA>(p, r, 1.398_2e-3);
    p = fma::<FMA>(p, r, 8.333_452e-3);
    p = fma::<FMA>(p, r, 4.166_579_6e-2);
    p = fma::<FMA>(p, r, 1.666_666_5e-1);
    p = fma::<FMA>(p, r, 0.5);
    let y = fma::<FMA>(p, r * r, r + 1.0);
    f32::from_bits((((n as i32) + 127) << 23) as u32) * y
}

const LANES: usize = 32;

/// Sum of `f` over the values, in 32 lanes and then in their order.
#[inline(always)]
pub fn sum_by(xs: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut acc = [0f32; LANES];
    let (chunks, rest) = xs.as_chunks::<LANES>();
    for c in chunks {
        for i in 0..LANES {
            acc[i] += f(c[i]);
        }
    }
    let mut s: f32 = acc.iter().sum();
    for &v in rest {
        s += f(v);
    }
    s
}

/// Sum of `f` over pairs of values.
#[inline(always)]
pub fn sum_by2(xs: &[f32], ys: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut acc = [0f32; LANES];
    let (cx, rx) = xs.as_chunks::<LANES>();
    let (cy, ry) = ys.as_chunks::<LANES>();
    for (a, b) in cx.iter().zip(cy) {
        for i in 0..LANES {
            acc[i] += f(a[i], b[i]);
        }
    }
    let mut s: f32 = acc.iter().sum();
    for (&a, &b) in rx.iter().zip(ry) {
        s += f(a, b);
    }
    s
}

/// The largest value; NaN is ignored.
#[inline(always)]
pub fn max(xs: &[f32]) -> f32 {
    let mut acc = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = xs.as_chunks::<LANES>();
    for c in chunks {
        for i in 0..LANES {
            acc[i] = if c[i] > acc[i] { c[i] } else { acc[i] };
        }
    }
    let mut m = acc.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for &v in rest {
        m = m.max(v);
    }
    m
}

/// The largest value, where NaN is ignored, and the sum, in one pass.
#[inline(always)]
pub fn max_and_sum(xs: &[f32]) -> (f32, f32) {
    let mut most = [f32::NEG_INFINITY; LANES];
    let mut acc = [0f32; LANES];
    let (chunks, rest) = xs.as_chunks::<LANES>();
    for c in chunks {
        for i in 0..LANES {
            most[i] = if c[i] > most[i] { c[i] } else { most[i] };
            acc[i] += c[i];
        }
    }
    let (mut m, mut s) = (most.iter().copied().fold(f32::NEG_INFINITY, f32::max), acc.iter().sum());
    for &v in rest {
        m = m.max(v);
        s += v;
    }
    (m, s)
}

/// Puts `f` of each value in its place; their sum.
#[inline(always)]
pub fn replace_and_sum(xs: &mut [f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut acc = [0f32; LANES];
    let (chunks, rest) = xs.as_chunks_mut::<LANES>();
    for c in chunks {
        for i in 0..LANES {
            c[i] = f(c[i]);
            acc[i] += c[i];
        }
    }
    let mut s: f32 = acc.iter().sum();
    for v in rest {
        *v = f(*v);
        s += *v;
    }
    s
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_everywhere() {
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let want = (x as f64).exp();
            for got in [exp::<true>(x), exp::<false>(x)] {
                assert!(((got as f64 - want) / want).abs() < 4e-7, "{x}: {got} {want}");
            }
        }
        assert!(exp::<true>(f32::NAN).is_nan());
        assert!(exp::<true>(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn reductions_handle_any_length() {
        for n in [0, 1, 31, 32, 33, 100] {
            let xs: Vec<f32> = (0..n).map(|i| i as f32 - 3.0).collect();
            assert_eq!(sum_by(&xs, |v| v), xs.iter().sum::<f32>());
            assert_eq!(sum_by2(&xs, &xs, |a, b| a * b), xs.iter().map(|v| v * v).sum::<f32>());
            assert_eq!(max(&xs), xs.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            assert_eq!(max_and_sum(&xs), (max(&xs), sum_by(&xs, |v| v)));
            let mut ys = xs.clone();
            assert_eq!(replace_and_sum(&mut ys, |v| 2.0 * v), 2.0 * xs.iter().sum::<f32>());
            assert!(ys.iter().zip(&xs).all(|(y, x)| *y == 2.0 * x));
        }
    }
}
