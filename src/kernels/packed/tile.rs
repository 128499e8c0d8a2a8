//! Register tiles: some rows by some vectors of columns, summed over all inputs, for any
//! [`Format`] of the weights.

use std::ops::Range;

use super::{Epilogue, PackedLinear};
use crate::kernels::vector::{LANES, Simd};

/// Vectors of a panel.
const VECTORS: usize = super::PANEL / LANES;
/// Rows of the largest register tile. Twelve would fill the registers better, but the addresses
/// of twelve rows no longer do: 110 against 165 GFLOP/s a core.
pub(in crate::kernels) const MAX_TILE: usize = 8;
/// One cache line.
const LINE: usize = 64;

/// How weights lie in a panel, and how they are multiplied.
pub(super) trait Format<S: Simd> {
    /// Sixteen running sums.
    type Sum: Copy;
    /// Inputs of a step.
    const DEPTH: usize;
    /// Bytes of a panel in one step.
    const STEP_BYTES: usize;
    /// Rows of a tile where the registers are few.
    const FEW_ROWS: usize;

    /// What the sums of a row begin with.
    unsafe fn start(x: *const f32) -> Self::Sum;
    /// Step `i` of a tile: `sums[r][j] += x[r][i] * w[j][i]`. `w[j]` is the panel of vector `v + j`.
    unsafe fn step<const R: usize, const N: usize>(
        x: *const f32,
        x_stride: usize,
        w: &[*const u8; N],
        v: usize,
        i: usize,
        sums: &mut [[Self::Sum; N]; R],
    );
    /// The product as f32; `scales` are those of the vector's columns, where the format has any.
    unsafe fn finish(sum: Self::Sum, x: *const f32, scales: *const f32) -> S::V;
}

/// The operands of a product as its tiles see them; vector indices count 16 columns.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    pub x: *const f32,
    pub x_stride: usize,
    pub m: usize,
    pub k: usize,
    pub w: *const u8,
    pub scales: *const f32,
    pub bias: *const f32,
    pub first: usize,
    pub last: usize,
    pub y: *mut f32,
    pub y_stride: usize,
    pub op: Epilogue,
}

impl Operands {
    #[allow(clippy::too_many_arguments)]
    pub fn new(
        linear: &PackedLinear,
        x: *const f32,
        x_stride: usize,
        m: usize,
        panels: Range<usize>,
        y: *mut f32,
        y_stride: usize,
        op: Epilogue,
    ) -> Self {
        Self {
            x,
            x_stride,
            m,
            k: linear.weight.k(),
            w: linear.weight.data.as_bytes().as_ptr(),
            scales: linear
                .weight
                .scales
                .as_ref()
                .map_or(std::ptr::null(), |s| s.as_slice().as_ptr()),
            bias: linear.bias().as_ptr(),
            first: panels.start * VECTORS,
            last: panels.end * VECTORS,
            y,
            y_stride,
            op,
        }
    }
}

/// # Safety
/// As for [`Simd`]; the operands are whole, and of this format.
#[inline(always)]
pub(super) unsafe fn tiles<S: Simd, F: Format<S>>(o: Operands) {
    // Tiles of nearly one size: 10 rows are 5 and 5, not 8 and 2. The fewer the rows, the more
    // columns side by side: a sum needs four cycles, and two can begin in each.
    // SAFETY: passed on.
    unsafe {
        if S::REGISTERS == 32 {
            let tiles = o.m.div_ceil(MAX_TILE);
            match o.m.div_ceil(tiles.max(1)) {
                0 | 1 => sweep::<S, F, 16, 2>(o, tiles),
                2 => sweep::<S, F, 8, 2>(o, tiles),
                3..=6 => sweep::<S, F, 4, 2>(o, tiles),
                _ => sweep::<S, F, 2, 2>(o, tiles),
            }
        } else {
            let tiles = o.m.div_ceil(if S::REGISTERS == 8 { F::FEW_ROWS } else { 4 });
            match o.m.div_ceil(tiles.max(1)) {
                0 | 1 => sweep::<S, F, 2, 1>(o, tiles),
                _ => sweep::<S, F, 1, 1>(o, tiles),
            }
        }
    }
}

/// All rows against `N` vectors of columns at a time, then against what is left, `REST` at a
/// time. While a group of columns is worked on, the next one is brought into the cache, evenly
/// over its tiles.
#[inline(always)]
unsafe fn sweep<S: Simd, F: Format<S>, const N: usize, const REST: usize>(
    o: Operands,
    tiles: usize,
) {
    // SAFETY: passed on.
    unsafe {
        let mut v = o.first;
        while v + N <= o.last {
            rows::<S, F, N>(o, v, tiles);
            v += N;
        }
        while v + REST <= o.last {
            rows::<S, F, REST>(o, v, tiles);
            v += REST;
        }
    }
}

#[inline(always)]
unsafe fn rows<S: Simd, F: Format<S>, const N: usize>(o: Operands, v: usize, tiles: usize) {
    let mut row = 0;
    for t in 0..tiles {
        let count = o.m / tiles + usize::from(t < o.m % tiles);
        // SAFETY: passed on; `sweep` is called with few enough rows for its `N`.
        unsafe {
            match N {
                16 => registers::<S, F, 1, N>(o, row, v, t, tiles),
                8 => match count {
                    1 => registers::<S, F, 1, N>(o, row, v, t, tiles),
                    _ => registers::<S, F, 2, N>(o, row, v, t, tiles),
                },
                4 => match count {
                    1 => registers::<S, F, 1, N>(o, row, v, t, tiles),
                    2 => registers::<S, F, 2, N>(o, row, v, t, tiles),
                    3 => registers::<S, F, 3, N>(o, row, v, t, tiles),
                    4 => registers::<S, F, 4, N>(o, row, v, t, tiles),
                    5 => registers::<S, F, 5, N>(o, row, v, t, tiles),
                    _ => registers::<S, F, 6, N>(o, row, v, t, tiles),
                },
                _ => match count {
                    1 => registers::<S, F, 1, N>(o, row, v, t, tiles),
                    2 => registers::<S, F, 2, N>(o, row, v, t, tiles),
                    3 => registers::<S, F, 3, N>(o, row, v, t, tiles),
                    4 => registers::<S, F, 4, N>(o, row, v, t, tiles),
                    5 => registers::<S, F, 5, N>(o, row, v, t, tiles),
                    6 => registers::<S, F, 6, N>(o, row, v, t, tiles),
                    7 => registers::<S, F, 7, N>(o, row, v, t, tiles),
                    _ => registers::<S, F, 8, N>(o, row, v, t, tiles),
                },
            }
        }
        row += count;
    }
}

/// The register tile: rows `row..row + R` by `N` vectors of columns, summed over all inputs.
/// It is tile `t` of `tiles` on these columns.
#[inline(always)]
unsafe fn registers<S: Simd, F: Format<S>, const R: usize, const N: usize>(
    o: Operands,
    row: usize,
    v: usize,
    t: usize,
    tiles: usize,
) {
    // SAFETY: passed on.
    unsafe {
        let steps = o.k.div_ceil(F::DEPTH);
        let panel_bytes = steps * F::STEP_BYTES;
        let mut w = [o.w; N];
        for (j, w) in w.iter_mut().enumerate() {
            *w = w.add((v + j) / VECTORS * panel_bytes);
        }
        let x = o.x.add(row * o.x_stride);
        let mut sums = [[F::start(x); N]; R];
        for (r, sums) in sums.iter_mut().enumerate().skip(1) {
            *sums = [F::start(x.add(r * o.x_stride)); N];
        }
        // This tile's share of the next columns, in four streams, lest a single one wait for each
        // line in turn. One or two rows read so many columns at once that the processor looks
        // ahead by itself.
        let (ahead, stream) = if N <= 4 && N >= VECTORS {
            let stream = (N / VECTORS * panel_bytes / LINE).div_ceil(4 * tiles);
            let next = (v + N) / VECTORS * panel_bytes;
            (o.w.wrapping_add(next + 4 * t * stream * LINE), stream)
        } else {
            (o.w, 0)
        };
        let per_round = (16 * stream).div_ceil(steps.max(1));
        let mut asked = 0;
        let mut i = 0;
        while i + 4 <= steps {
            let until = (asked + per_round).min(4 * stream);
            while asked < until {
                let line = asked % 4 * stream + asked / 4;
                S::prefetch(ahead.wrapping_add(line * LINE).cast());
                asked += 1;
            }
            F::step::<R, N>(x, o.x_stride, &w, v, i, &mut sums);
            F::step::<R, N>(x, o.x_stride, &w, v, i + 1, &mut sums);
            F::step::<R, N>(x, o.x_stride, &w, v, i + 2, &mut sums);
            F::step::<R, N>(x, o.x_stride, &w, v, i + 3, &mut sums);
            i += 4;
        }
        while i < steps {
            F::step::<R, N>(x, o.x_stride, &w, v, i, &mut sums);
            i += 1;
        }
        // Through memory: what follows is too long to be unrolled, and sums that a loop picks by
        // number would be kept in memory from the start, at more than twice the time.
        let mut products = [[[0f32; LANES]; N]; R];
        for r in 0..R {
            for j in 0..N {
                let scales = o.scales.wrapping_add((v + j) * LANES);
                let product = F::finish(sums[r][j], x.add(r * o.x_stride), scales);
                S::store(products[r][j].as_mut_ptr(), product);
            }
        }
        let zero = S::splat(0.0);
        for (r, products) in products.iter().enumerate() {
            for (j, product) in products.iter().enumerate() {
                let y = o.y.add((row + r) * o.y_stride + (v - o.first + j) * LANES);
                let bias = S::load(o.bias.add((v + j) * LANES));
                let value = S::add(S::load(product.as_ptr()), bias);
                let value = match o.op {
                    Epilogue::Set => value,
                    // The value comes second: a NaN is kept, to be found in the logits.
                    Epilogue::Relu => S::max(zero, value),
                    Epilogue::Add => S::add(S::load(y), value),
                    Epilogue::AddRelu => S::max(zero, S::add(S::load(y), value)),
                };
                S::store(y, value);
            }
        }
    }
}
