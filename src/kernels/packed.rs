//! Products of a few rows with weights packed once into panels:
//! `y[m, n] = x[m, k] W[n, k]^T + bias`, with ReLU or a residual sum in the same pass.
//!
//! A panel holds 32 output columns; inside it the 32 weights of one input stand side by side, so
//! that a step of decoding reads every weight once, in order. Rows are taken in tiles that stay
//! in registers. Each output is one chain of fused multiply-adds over `k` in ascending order,
//! whatever the number of rows or threads: results are byte-identical for every batch.

use std::ops::Range;

use rayon::prelude::*;

use super::infer::buffer::{Arena, SharedMut, Slab};
use super::infer::simd::{Isa, LANES, Simd, simd_fn};
use super::infer::team::Worker;

/// Columns of a panel.
pub const PANEL: usize = 32;
const VECTORS: usize = PANEL / LANES;
/// Rows of the largest register tile. Twelve would fill the registers better, but the addresses
/// of twelve rows no longer do: 110 against 165 GFLOP/s a core.
pub(super) const MAX_TILE: usize = 8;
/// Weights of one piece of work stay in the second-level cache while all rows pass by.
const PIECE_BYTES: usize = 512 << 10;
/// Below this many multiply-adds a product is not worth sharing between threads.
const SHARE_MIN: usize = 1 << 14;

/// What happens to `x W^T + bias`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Epilogue {
    /// It is stored.
    Set,
    /// Its positive part is stored.
    Relu,
    /// It is added to what `y` holds.
    Add,
    /// It is added to what `y` holds; the positive part is stored.
    AddRelu,
}

/// A weight matrix `[n, k]` in panels; columns beyond `n` are zero.
pub struct PackedMatrix {
    n: usize,
    k: usize,
    data: Slab,
}

impl PackedMatrix {
    /// Packs row-major matrices `[n_i, k]`, stacked on top of each other.
    pub fn pack(arena: &mut Arena, parts: &[&[f32]], k: usize) -> Self {
        let rows: Vec<&[f32]> = parts.iter().flat_map(|p| p.chunks_exact(k)).collect();
        let n = rows.len();
        let data = arena.push(Self::packed_len(n, k), |data| {
            data.par_chunks_mut(PANEL * k).zip(rows.par_chunks(PANEL)).for_each(|(panel, rows)| {
                // Sixteen inputs at a time keep the written lines in the first-level cache.
                for start in (0..k).step_by(16) {
                    for (j, row) in rows.iter().enumerate() {
                        for i in start..(start + 16).min(k) {
                            panel[i * PANEL + j] = row[i];
                        }
                    }
                }
            });
        });
        Self { n, k, data }
    }

    /// Values that a matrix `[n, k]` takes in an arena.
    pub fn packed_len(n: usize, k: usize) -> usize {
        n.next_multiple_of(PANEL) * k
    }

    /// Output width.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Input width.
    pub fn k(&self) -> usize {
        self.k
    }
    pub fn num_panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }
    /// Row `i` of the matrix times `scale`, `[k]`.
    pub fn row(&self, i: usize, scale: f32, out: &mut [f32]) {
        let panel = &self.data.as_slice()[i / PANEL * PANEL * self.k..][..PANEL * self.k];
        for (o, v) in out[..self.k].iter_mut().zip(panel[i % PANEL..].iter().step_by(PANEL)) {
            *o = v * scale;
        }
    }
    /// The matrix as it was before packing, row-major.
    pub fn to_rows(&self) -> Vec<f32> {
        let mut out = vec![0f32; self.n * self.k];
        for (i, row) in out.chunks_exact_mut(self.k.max(1)).enumerate() {
            self.row(i, 1.0, row);
        }
        out
    }
    pub fn size_bytes(&self) -> usize {
        self.data.size_bytes()
    }
}

/// A packed linear map with its bias.
pub struct PackedLinear {
    pub weight: PackedMatrix,
    /// As long as the panels are wide; zero where there is none.
    bias: Slab,
}

impl PackedLinear {
    /// The parts of the bias belong to the parts of the weight; there may be none.
    pub fn new(arena: &mut Arena, weight: PackedMatrix, bias: &[&[f32]]) -> Self {
        let bias = arena.push(weight.num_panels() * PANEL, |padded| {
            let mut at = 0;
            for part in bias {
                padded[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
        });
        Self { weight, bias }
    }

    /// Values that a map `[n, k]` takes in an arena.
    pub fn packed_len(n: usize, k: usize) -> usize {
        // Each of the two begins on a cache line.
        PackedMatrix::packed_len(n, k).next_multiple_of(LANES) + n.next_multiple_of(PANEL)
    }
    pub fn bias(&self) -> &[f32] {
        self.bias.as_slice()
    }
    pub fn size_bytes(&self) -> usize {
        self.weight.size_bytes() + self.bias.size_bytes()
    }

    /// One phase of a team: `y = op(x W^T + bias)` for the first `m` rows of both.
    ///
    /// # Safety
    /// `isa` is available, `x` is not written and `y` not touched by anyone else in this phase.
    pub unsafe fn phase(
        &self,
        w: &Worker<'_>,
        isa: Isa,
        x: Rows<'_>,
        y: Rows<'_>,
        m: usize,
        op: Epilogue,
    ) {
        let (k, panels) = (self.weight.k, self.weight.num_panels());
        debug_assert!(y.stride >= panels * PANEL && x.stride >= k);
        if m == 0 {
            return w.sync();
        }
        let run = |rows: Range<usize>, panels: Range<usize>| {
            debug_assert!(
                rows.end * x.stride <= x.data.len() && rows.end * y.stride <= y.data.len()
            );
            // SAFETY: the ranges lie inside both; pieces write disjoint columns or rows.
            unsafe {
                let to = y.data.ptr(rows.start * y.stride + panels.start * PANEL);
                let from = x.data.ptr(rows.start * x.stride);
                product(isa, self, from, x.stride, rows.len(), panels, to, y.stride, op);
            }
        };
        if m * k * panels * PANEL < SHARE_MIN {
            return w.alone(|| run(0..m, 0..panels));
        }
        let threads = w.threads();
        let mut width = (PIECE_BYTES / (k * PANEL * 4)).clamp(1, 16);
        if threads > 1 {
            // Several pieces a thread, but not below what keeps one row's sums busy.
            width = width.min(panels.div_ceil(threads * 3)).max(4.min(panels.div_ceil(threads)));
        }
        let height = if m <= 4 * MAX_TILE {
            m
        } else {
            (PIECE_BYTES / (k * 4)).clamp(4 * MAX_TILE, 512).next_multiple_of(MAX_TILE)
        };
        let across = panels.div_ceil(width);
        w.each(across * m.div_ceil(height), |i| {
            let (row, panel) = (i / across * height, i % across * width);
            run(row..(row + height).min(m), panel..(panel + width).min(panels));
        });
    }
}

/// Rows of a shared buffer.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: SharedMut<'a>,
    /// Values from one row to the next. Not a power of two, lest all rows share a cache set.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// The first `width` values of a row.
    ///
    /// # Safety
    /// As for [`SharedMut::slice_mut`].
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn row_mut(&self, row: usize, width: usize) -> &'a mut [f32] {
        // SAFETY: passed on.
        unsafe { self.data.slice_mut(row * self.stride, width) }
    }
}

/// The stride of rows that hold `width` values: whole panels and one line to spare.
pub fn row_stride(width: usize) -> usize {
    width.next_multiple_of(PANEL) + LANES
}

simd_fn!(
    /// `y = op(x W^T + bias)` for `m` rows and some panels; `y` points at the first panel's column.
    /// Rows of `x` hold `k` values, rows of `y` have room for whole panels.
    pub unsafe fn product(
        linear: &PackedLinear,
        x: *const f32,
        x_stride: usize,
        m: usize,
        panels: Range<usize>,
        y: *mut f32,
        y_stride: usize,
        op: Epilogue,
    ) = product_kernel
);

/// The operands of a product as its tiles see them; vector indices count 16 columns.
#[derive(Clone, Copy)]
struct Operands {
    x: *const f32,
    x_stride: usize,
    m: usize,
    k: usize,
    w: *const f32,
    bias: *const f32,
    first: usize,
    last: usize,
    y: *mut f32,
    y_stride: usize,
    op: Epilogue,
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn product_kernel<S: Simd>(
    linear: &PackedLinear,
    x: *const f32,
    x_stride: usize,
    m: usize,
    panels: Range<usize>,
    y: *mut f32,
    y_stride: usize,
    op: Epilogue,
) {
    let o = Operands {
        x,
        x_stride,
        m,
        k: linear.weight.k,
        w: linear.weight.data.as_slice().as_ptr(),
        bias: linear.bias.as_slice().as_ptr(),
        first: panels.start * VECTORS,
        last: panels.end * VECTORS,
        y,
        y_stride,
        op,
    };
    // Tiles of nearly one size: 10 rows are 5 and 5, not 8 and 2. The fewer the rows, the more
    // columns side by side: a sum needs four cycles, and two can begin in each.
    // SAFETY: passed on.
    unsafe {
        if S::REGISTERS == 32 {
            let tiles = m.div_ceil(MAX_TILE);
            match m.div_ceil(tiles.max(1)) {
                0 | 1 => sweep::<S, 16, 2>(o, tiles),
                2 => sweep::<S, 8, 2>(o, tiles),
                3..=6 => sweep::<S, 4, 2>(o, tiles),
                _ => sweep::<S, 2, 2>(o, tiles),
            }
        } else {
            let tiles = m.div_ceil(if S::REGISTERS == 8 { 6 } else { 4 });
            match m.div_ceil(tiles.max(1)) {
                0 | 1 => sweep::<S, 2, 1>(o, tiles),
                _ => sweep::<S, 1, 1>(o, tiles),
            }
        }
    }
}

/// All rows against `N` vectors of columns at a time, then against what is left, `REST` at a
/// time. While a group of columns is worked on, the next one is brought into the cache, evenly
/// over its tiles.
#[inline(always)]
unsafe fn sweep<S: Simd, const N: usize, const REST: usize>(o: Operands, tiles: usize) {
    // SAFETY: passed on.
    unsafe {
        let mut v = o.first;
        while v + N <= o.last {
            rows::<S, N>(o, v, tiles);
            v += N;
        }
        while v + REST <= o.last {
            rows::<S, REST>(o, v, tiles);
            v += REST;
        }
    }
}

#[inline(always)]
unsafe fn rows<S: Simd, const N: usize>(o: Operands, v: usize, tiles: usize) {
    let mut row = 0;
    for t in 0..tiles {
        let count = o.m / tiles + usize::from(t < o.m % tiles);
        // SAFETY: passed on; `sweep` is called with few enough rows for its `N`.
        unsafe {
            match N {
                16 => registers::<S, 1, N>(o, row, v, t, tiles),
                8 => match count {
                    1 => registers::<S, 1, N>(o, row, v, t, tiles),
                    _ => registers::<S, 2, N>(o, row, v, t, tiles),
                },
                4 => match count {
                    1 => registers::<S, 1, N>(o, row, v, t, tiles),
                    2 => registers::<S, 2, N>(o, row, v, t, tiles),
                    3 => registers::<S, 3, N>(o, row, v, t, tiles),
                    4 => registers::<S, 4, N>(o, row, v, t, tiles),
                    5 => registers::<S, 5, N>(o, row, v, t, tiles),
                    _ => registers::<S, 6, N>(o, row, v, t, tiles),
                },
                _ => match count {
                    1 => registers::<S, 1, N>(o, row, v, t, tiles),
                    2 => registers::<S, 2, N>(o, row, v, t, tiles),
                    3 => registers::<S, 3, N>(o, row, v, t, tiles),
                    4 => registers::<S, 4, N>(o, row, v, t, tiles),
                    5 => registers::<S, 5, N>(o, row, v, t, tiles),
                    6 => registers::<S, 6, N>(o, row, v, t, tiles),
                    7 => registers::<S, 7, N>(o, row, v, t, tiles),
                    _ => registers::<S, 8, N>(o, row, v, t, tiles),
                },
            }
        }
        row += count;
    }
}

/// One input of the register tile: `sums[r][j] += x[r][i] * w[j][i]`.
#[inline(always)]
unsafe fn accumulate<S: Simd, const R: usize, const N: usize>(
    x: *const f32,
    x_stride: usize,
    w: &[*const f32; N],
    i: usize,
    sums: &mut [[S::V; N]; R],
) {
    // SAFETY: passed on.
    unsafe {
        let mut weights = [S::splat(0.0); N];
        for j in 0..N {
            weights[j] = S::load(w[j].add(i * PANEL));
        }
        for r in 0..R {
            let x = S::splat(*x.add(r * x_stride + i));
            for j in 0..N {
                sums[r][j] = S::fma(x, weights[j], sums[r][j]);
            }
        }
    }
}

/// The register tile: rows `row..row + R` by `N` vectors of columns, summed over all of `k`.
/// It is tile `t` of `tiles` on these columns.
#[inline(always)]
unsafe fn registers<S: Simd, const R: usize, const N: usize>(
    o: Operands,
    row: usize,
    v: usize,
    t: usize,
    tiles: usize,
) {
    // SAFETY: passed on.
    unsafe {
        let zero = S::splat(0.0);
        let mut sums = [[zero; N]; R];
        let mut w = [o.w; N];
        for (j, w) in w.iter_mut().enumerate() {
            let v = v + j;
            *w = w.add(v / VECTORS * o.k * PANEL + v % VECTORS * LANES);
        }
        let x = o.x.add(row * o.x_stride);
        // This tile's share of the next columns, in four streams, lest a single one wait for each
        // line in turn. One or two rows read so many columns at once that the processor looks
        // ahead by itself.
        let (ahead, stream) = if N <= 4 && N >= VECTORS {
            let stream = (N * o.k).div_ceil(4 * tiles);
            (o.w.wrapping_add(((v + N) * o.k + 4 * t * stream) * LANES), stream)
        } else {
            (o.w, 0)
        };
        let per_round = (16 * stream).div_ceil(o.k.max(1));
        let mut asked = 0;
        let mut i = 0;
        while i + 4 <= o.k {
            let until = (asked + per_round).min(4 * stream);
            while asked < until {
                let line = asked % 4 * stream + asked / 4;
                S::prefetch(ahead.wrapping_add(line * LANES));
                asked += 1;
            }
            accumulate::<S, R, N>(x, o.x_stride, &w, i, &mut sums);
            accumulate::<S, R, N>(x, o.x_stride, &w, i + 1, &mut sums);
            accumulate::<S, R, N>(x, o.x_stride, &w, i + 2, &mut sums);
            accumulate::<S, R, N>(x, o.x_stride, &w, i + 3, &mut sums);
            i += 4;
        }
        while i < o.k {
            accumulate::<S, R, N>(x, o.x_stride, &w, i, &mut sums);
            i += 1;
        }
        for (r, sums) in sums.iter().enumerate() {
            for (j, sum) in sums.iter().enumerate() {
                let y = o.y.add((row + r) * o.y_stride + (v - o.first + j) * LANES);
                let value = S::add(*sum, S::load(o.bias.add((v + j) * LANES)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::infer::buffer::Buffer;
    use crate::kernels::infer::team::Team;
    use proptest::prelude::*;

    struct Case {
        x: Buffer,
        y: Buffer,
        linear: PackedLinear,
        dense: Vec<f32>,
        bias: Vec<f32>,
        m: usize,
    }

    fn values(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed | 1;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * 1.5
            })
            .collect()
    }

    fn case(m: usize, n: usize, k: usize, seed: u64) -> Case {
        let dense = values(n * k, seed);
        let bias = values(n, seed + 7);
        let (sx, sy) = (row_stride(k), row_stride(n));
        let (mut x, mut y) = (Buffer::zeros(m * sx), Buffer::zeros(m * sy));
        for r in 0..m {
            x.as_mut_slice()[r * sx..][..k].copy_from_slice(&values(k, seed + 100 + r as u64));
            y.as_mut_slice()[r * sy..][..n].copy_from_slice(&values(n, seed + 300 + r as u64));
        }
        let mut arena = Arena::with_capacity(PackedLinear::packed_len(n, k));
        let weight = PackedMatrix::pack(&mut arena, &[&dense], k);
        let linear = PackedLinear::new(&mut arena, weight, &[&bias]);
        Case { x, y, linear, dense, bias, m }
    }

    fn run(c: &mut Case, isa: Isa, team: &mut Team, op: Epilogue) -> Vec<f32> {
        let (n, k, m) = (c.linear.weight.n, c.linear.weight.k, c.m);
        let before = c.y.as_slice().to_vec();
        let x = Rows { data: SharedMut::new(c.x.as_mut_slice()), stride: row_stride(k) };
        let y = Rows { data: SharedMut::new(c.y.as_mut_slice()), stride: row_stride(n) };
        // SAFETY: the set is available and nobody else uses the buffers.
        team.run(usize::MAX, &|w| unsafe { c.linear.phase(w, isa, x, y, m, op) });
        let out = (0..m).flat_map(|r| c.y.as_slice()[r * row_stride(n)..][..n].to_vec()).collect();
        c.y.as_mut_slice().copy_from_slice(&before);
        out
    }

    /// The plain reference, in f64.
    fn reference(c: &Case, op: Epilogue) -> Vec<f64> {
        let (n, k) = (c.linear.weight.n, c.linear.weight.k);
        let mut out = Vec::new();
        for r in 0..c.m {
            let x = &c.x.as_slice()[r * row_stride(k)..][..k];
            for j in 0..n {
                let dot: f64 =
                    (0..k).map(|i| f64::from(x[i]) * f64::from(c.dense[j * k + i])).sum();
                let v = dot + f64::from(c.bias[j]);
                out.push(match op {
                    Epilogue::Set => v,
                    Epilogue::Relu => v.max(0.0),
                    Epilogue::Add => v + f64::from(c.y.as_slice()[r * row_stride(n) + j]),
                    Epilogue::AddRelu => {
                        (v + f64::from(c.y.as_slice()[r * row_stride(n) + j])).max(0.0)
                    }
                });
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn equals_the_reference(m in 1usize..40, n in 1usize..200, k in 1usize..150, seed in any::<u32>()) {
            let mut c = case(m, n, k, u64::from(seed));
            for isa in Isa::available() {
                for threads in [1, 2] {
                    let mut team = Team::new(threads);
                    for op in [Epilogue::Set, Epilogue::Relu, Epilogue::Add, Epilogue::AddRelu] {
                        let got = run(&mut c, isa, &mut team, op);
                        let want = reference(&c, op);
                        for (g, w) in got.iter().zip(&want) {
                            let tolerance = 4e-6 * (k as f64 + 4.0);
                            prop_assert!((f64::from(*g) - w).abs() < tolerance, "{g} {w}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn bits_do_not_depend_on_rows_threads_or_instruction_set() {
        // Large enough to be cut in pieces, odd enough to leave tails.
        let (n, k) = (32 * 9 + 5, 203);
        let mut c = case(61, n, k, 3);
        let mut alone = Vec::new();
        let mut one = Team::new(1);
        for r in 0..61 {
            let row = c.x.as_slice()[r * row_stride(k)..][..k].to_vec();
            let mut single = case(1, n, k, 3);
            single.x.as_mut_slice()[..k].copy_from_slice(&row);
            alone.extend(run(&mut single, Isa::detect(), &mut one, Epilogue::Set));
        }
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        for isa in Isa::available() {
            if isa == Isa::Portable && Isa::detect() != isa && !cfg!(target_feature = "fma") {
                continue;
            }
            for threads in [1, 2, 3] {
                let got = run(&mut c, isa, &mut Team::new(threads), Epilogue::Set);
                assert_eq!(bits(&got), bits(&alone), "{} {threads} threads", isa.name());
            }
        }
    }

    #[test]
    fn not_a_number_and_infinity_stay_where_they_belong() {
        let (n, k) = (70, 33);
        let mut c = case(5, n, k, 9);
        let stride = row_stride(k);
        c.x.as_mut_slice()[stride + 4] = f32::NAN;
        c.x.as_mut_slice()[3 * stride + 32] = f32::INFINITY;
        for isa in Isa::available() {
            for op in [Epilogue::Set, Epilogue::Relu] {
                let y = run(&mut c, isa, &mut Team::new(1), op);
                for r in 0..5 {
                    let row = &y[r * n..][..n];
                    match r {
                        1 => assert!(row.iter().all(|v| v.is_nan())),
                        3 => assert!(row.iter().all(|v| *v == 0.0 || v.is_infinite())),
                        _ => assert!(row.iter().all(|v| v.is_finite())),
                    }
                }
            }
        }
    }

    #[test]
    fn rows_come_back_and_stacked_parts_keep_their_order() {
        let (a, b) = (values(40 * 7, 1), values(9 * 7, 2));
        let packed = PackedMatrix::pack(&mut Arena::with_capacity(0), &[&a, &b], 7);
        assert_eq!((packed.n(), packed.k(), packed.num_panels()), (49, 7, 2));
        let mut row = [0.0; 7];
        for i in 0..49 {
            packed.row(i, 2.0, &mut row);
            let want = if i < 40 { &a[i * 7..][..7] } else { &b[(i - 40) * 7..][..7] };
            assert!(row.iter().zip(want).all(|(r, w)| *r == w * 2.0));
        }
    }
}
