//! Products in 8-bit integers.
//!
//! Each row of the weights and each row of the inputs has a scale of its own, its greatest
//! magnitude over 127; values are rounded to the nearest multiple (ties to even), so they lie in
//! -127..=127. A product is `(sum of integer products) * (scale of x * scale of w)`: the sum is
//! exact, so its order does not matter, and the two factors are rounded in one order everywhere.
//! Because a row of inputs is quantised by itself, no row depends on the others of its batch.
//!
//! A row that holds a value which is not finite has no scale: its scale is NaN, and so is every
//! product with it. (In f32 a NaN does the same; an infinity becomes infinities and NaN.)

use super::formats::half;
use super::tile::{Format, Operands, tiles};
use super::{Epilogue, PANEL, Rows};
use crate::kernels::infer::integers::{DEPTH, Integers, OFFSET, has_vnni};
use crate::kernels::team::Worker;
#[cfg(target_arch = "x86_64")]
use crate::kernels::vector::{Avx2, Avx512};
use crate::kernels::vector::{Isa, LANES, Simd, simd_fn};

/// The most inputs whose products fit a 32-bit sum: 127 * 127 * 2^17 < 2^31.
pub const MAX_INPUTS: usize = 1 << 17;
/// Greatest value.
const LIMIT: f32 = 127.0;
/// Rows whose values are all smaller count as zero: the factor to scale them would be infinite.
const TINY: f32 = 1e-36;
/// Values of f32 in front of a quantised row: its scale, and the sum of its integers.
const HEADER: usize = LANES;

/// Quantises a row and returns its scale; the first `values.len()` of `out` are written.
#[inline(always)]
pub fn quantise_row(values: &[f32], out: &mut [i8]) -> f32 {
    // Magnitudes compare as integers, and what is not finite is the greatest.
    let magnitude = |v: &f32| v.to_bits() & 0x7fff_ffff;
    let greatest = values.iter().map(magnitude).fold(0, u32::max);
    let max = f32::from_bits(greatest);
    if !max.is_finite() || max < TINY {
        out[..values.len()].fill(0);
        return if max.is_finite() { 0.0 } else { f32::NAN };
    }
    let factor = LIMIT / max;
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
    for (o, v) in out.iter_mut().zip(values) {
        *o = (v * factor + 12_582_912.0).to_bits() as i8;
    }
    max / LIMIT
}

/// Values of f32 from one quantised row of `k` inputs to the next. As for f32 rows, never a power
/// of two.
pub fn quantised_stride(k: usize) -> usize {
    HEADER + k.next_multiple_of(4 * LANES) / 4
}

/// A row in the form the products read: scale, sum, then `k` integers and zeros up to a whole step.
// `S` is what the compiler makes one for each instruction set of.
#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
unsafe fn quantise_kernel<S: Simd>(x: &[f32], row: &mut [f32]) {
    let (header, rest) = row.split_at_mut(HEADER);
    // SAFETY: the same memory, borrowed exclusively; any bytes are integers.
    let integers = unsafe {
        std::slice::from_raw_parts_mut(rest.as_mut_ptr().cast::<i8>(), size_of_val(rest))
    };
    header[0] = quantise_row(x, integers);
    integers[x.len()..].fill(0);
    let sum: i32 = integers.iter().map(|v| i32::from(*v)).sum();
    header[1] = f32::from_bits(sum as u32);
}
simd_fn!(unsafe fn quantise(x: &[f32], row: &mut [f32]) = quantise_kernel);

/// A row quantised as the products do it: the integers and their scale.
pub fn quantised(x: &[f32]) -> (Vec<i8>, f32) {
    let mut out = vec![0; x.len()];
    let scale = quantise_row(x, &mut out);
    (out, scale)
}

/// A phase of a team: quantises the first `m` rows of `x`, `[m, k]`, into `quant`.
///
/// # Safety
/// `isa` is available, `x` is not written and `quant`, with rows of [`quantised_stride`], not
/// touched by anyone else in this phase.
pub unsafe fn quantise_phase(
    w: &Worker<'_>,
    isa: Isa,
    x: Rows<'_>,
    quant: Rows<'_>,
    m: usize,
    k: usize,
) {
    let run = |r: usize| {
        // SAFETY: rows of the first `m`; those of `quant` are this piece's own.
        unsafe { quantise(isa, x.row_mut(r, k), quant.row_mut(r, quantised_stride(k))) };
    };
    // A row takes a tenth of a microsecond.
    if m * k < 1 << 14 {
        return w.alone(|| (0..m).for_each(run));
    }
    let chunk = m.div_ceil(w.threads() * 3);
    w.each(m.div_ceil(chunk), |i| (i * chunk..((i + 1) * chunk).min(m)).for_each(run));
}

/// A panel holds `[k / 4, 32, 4]` integers with [`OFFSET`] added.
struct Int8;

impl<S: Integers> Format<S> for Int8 {
    type Sum = S::I;
    const DEPTH: usize = DEPTH;
    const STEP_BYTES: usize = PANEL * DEPTH;
    const FEW_ROWS: usize = 4;

    #[inline(always)]
    unsafe fn start(x: *const f32) -> S::I {
        // SAFETY: `x` points at a quantised row.
        unsafe { S::start((*x.add(1)).to_bits() as i32) }
    }
    #[inline(always)]
    unsafe fn step<const R: usize, const N: usize>(
        x: *const f32,
        x_stride: usize,
        w: &[*const u8; N],
        v: usize,
        i: usize,
        sums: &mut [[S::I; N]; R],
    ) {
        // SAFETY: passed on.
        unsafe {
            for j in 0..N {
                // Few enough vectors are held at once: the others are read again by each row.
                let at = i * (PANEL * DEPTH) + half::<N>(v, j) * (LANES * DEPTH);
                let weights = S::weights(w[j].add(at));
                for r in 0..R {
                    let inputs = x.add(r * x_stride + HEADER).cast::<i8>().add(i * DEPTH);
                    sums[r][j] = S::dot(sums[r][j], weights, S::inputs(inputs));
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn finish(sum: S::I, x: *const f32, scales: *const f32) -> S::V {
        // SAFETY: `x` points at a quantised row.
        unsafe { S::mul(S::to_f32(sum), S::mul(S::splat(*x), S::load(scales))) }
    }
}

/// The product of one row with one column, from the column's integers: the same bits as in
/// [`product`], without the bias.
pub fn single(x: &[i8], x_scale: f32, w: &[i8], w_scale: f32) -> f32 {
    let sum: i32 = x.iter().zip(w).map(|(x, w)| i32::from(*x) * i32::from(*w)).sum();
    sum as f32 * (x_scale * w_scale)
}

/// # Safety
/// `isa` is available; the operands are of this format, rows of `x` as [`quantise_phase`] made them.
pub(super) unsafe fn product(isa: Isa, o: Operands) {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512vnni,avx2,fma")]
    unsafe fn vnni(o: Operands) {
        unsafe { tiles::<Avx512, Int8>(o) }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2(o: Operands) {
        unsafe { tiles::<Avx2, Int8>(o) }
    }
    // SAFETY: the caller vouches for the instruction set and the operands; every processor with
    // AVX-512 has AVX2.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 if has_vnni() => vnni(o),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx2 => avx2(o),
            _ => plain(o),
        }
    }
}

/// The product in plain loops, a panel of one row at a time.
///
/// # Safety
/// As for [`product`].
unsafe fn plain(o: Operands) {
    let steps = o.k.div_ceil(DEPTH);
    for (p, row) in (o.first / 2..o.last / 2).flat_map(|p| (0..o.m).map(move |row| (p, row))) {
        // SAFETY: a quantised row, a panel with its scales and bias, and room for a panel of `y`.
        let (x, w, scales, bias, y) = unsafe {
            let bytes = steps * PANEL * DEPTH;
            let column = p * PANEL - o.first * LANES;
            let y = o.y.add(row * o.y_stride + column);
            (
                std::slice::from_raw_parts(o.x.add(row * o.x_stride), HEADER + steps),
                std::slice::from_raw_parts(o.w.add(p * bytes), bytes),
                std::slice::from_raw_parts(o.scales.add(p * PANEL), PANEL),
                std::slice::from_raw_parts(o.bias.add(p * PANEL), PANEL),
                std::slice::from_raw_parts_mut(y, PANEL),
            )
        };
        let mut sums = [0i32; PANEL];
        for (x, w) in x[HEADER..].iter().zip(w.as_chunks::<{ PANEL * DEPTH }>().0) {
            let x = x.to_ne_bytes().map(|v| i32::from(v as i8));
            for (sum, w) in sums.iter_mut().zip(w.as_chunks::<DEPTH>().0) {
                for (x, w) in x.iter().zip(w) {
                    *sum += x * (i32::from(*w) - i32::from(OFFSET));
                }
            }
        }
        for (j, y) in y.iter_mut().enumerate() {
            let value = sums[j] as f32 * (x[0] * scales[j]) + bias[j];
            // A comparison, not `max`: NaN must stay visible.
            let relu = |v: f32| if v < 0.0 { 0.0 } else { v };
            *y = match o.op {
                Epilogue::Set => value,
                Epilogue::Relu => relu(value),
                Epilogue::Add => *y + value,
                Epilogue::AddRelu => relu(*y + value),
            };
        }
    }
}

/// Writes 32 rows of integers, `[rows, k]`, as a panel. Rows that are missing become zeros.
pub(super) fn pack_panel(panel: &mut [u8], rows: &[i8], k: usize) {
    panel.fill(OFFSET);
    for (j, row) in rows.chunks_exact(k).enumerate() {
        for (step, inputs) in row.chunks(DEPTH).enumerate() {
            for (d, v) in inputs.iter().enumerate() {
                panel[(step * PANEL + j) * DEPTH + d] = (*v as u8) ^ OFFSET;
            }
        }
    }
}

/// Row `j` of a panel.
pub(super) fn unpack_row(panel: &[u8], j: usize, out: &mut [i8]) {
    for (step, out) in out.chunks_mut(DEPTH).enumerate() {
        let at = (step * PANEL + j) * DEPTH;
        for (o, v) in out.iter_mut().zip(&panel[at..]) {
            *o = (v ^ OFFSET) as i8;
        }
    }
}
