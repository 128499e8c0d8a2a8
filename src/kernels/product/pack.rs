//! Operands copied into panels: `W` lanes (rows of the left or columns of the right operand)
//! side by side for each step of the inner dimension, zeros where the lanes end.

use std::ops::Range;

use crate::kernels::vector::{LANES, Simd};

/// An operand seen along its lanes.
#[derive(Clone, Copy)]
pub(super) struct Side {
    values: *const f32,
    /// One past the last value.
    end: *const f32,
    lane_stride: usize,
    depth_stride: usize,
    pub lanes: usize,
}

// SAFETY: values are only read, and the operand is borrowed as long as the product runs.
unsafe impl Sync for Side {}

/// How often a tile fetches three cache lines: those of three rows of 256 values.
pub(super) const FETCHES: usize = 16;

/// Values that are packed next, fetched from memory while tiles are summed: [`FETCHES`] times three
/// cache lines a tile.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// Need not be valid, here and further on.
    pub at: *const f32,
    /// Bytes between the three.
    pub row: usize,
    /// Bytes from one three to the next.
    pub line: usize,
    /// Bytes from the first of one tile to the first of the next one.
    pub tile: usize,
}

impl Ahead {
    /// Nothing but `at`, which is in the cache already.
    pub fn nothing(at: *const f32) -> Self {
        Self { at, row: 0, line: 0, tile: 0 }
    }
}

impl Side {
    pub fn new(values: &[f32], lane_stride: usize, depth_stride: usize, lanes: usize) -> Self {
        assert!(lane_stride == 1 || depth_stride == 1);
        let range = values.as_ptr_range();
        Self { values: range.start, end: range.end, lane_stride, depth_stride, lanes }
    }

    /// The values of a panel from this depth on, in the order in which four or more tiles fetch
    /// them.
    pub fn ahead<const W: usize>(&self, panel: usize, depth: usize) -> Ahead {
        let at = panel * W * self.lane_stride + depth * self.depth_stride;
        // The end of the first cache line, or of what is needed of it.
        let at = self.values.wrapping_add(at + LANES.min(W) - 1);
        if self.depth_stride == 1 {
            let row = self.lane_stride * size_of::<f32>();
            Ahead { at, row, line: LANES * size_of::<f32>(), tile: 3 * row }
        } else {
            let row = self.depth_stride * size_of::<f32>();
            Ahead { at, row, line: 3 * row, tile: FETCHES * 3 * row }
        }
    }

    /// Writes `panels` one behind the other.
    ///
    /// # Safety
    /// As for [`Simd`]. The operand has these lanes and this depth, and `to` room for
    /// `panels.len() * depth.len() * W` values.
    #[inline(always)]
    pub unsafe fn pack<S: Simd, const W: usize>(
        &self,
        panels: Range<usize>,
        depth: Range<usize>,
        to: *mut f32,
    ) {
        // SAFETY: passed on.
        unsafe {
            let from = self.values.add(depth.start * self.depth_stride);
            if self.depth_stride == 1 {
                for (i, panel) in panels.enumerate() {
                    let from = from.add(panel * W * self.lane_stride);
                    let lanes = (self.lanes - panel * W).min(W);
                    let to = to.add(i * depth.len() * W);
                    transpose::<S, W>((from, self.lane_stride), lanes, depth.len(), to);
                }
            } else {
                self.copy::<S, W>(from, panels, depth.len(), to);
            }
        }
    }

    /// Lanes lie side by side already: all panels advance together, so that what is read is read
    /// in its order.
    #[inline(always)]
    unsafe fn copy<S: Simd, const W: usize>(
        &self,
        from: *const f32,
        panels: Range<usize>,
        k: usize,
        to: *mut f32,
    ) {
        // SAFETY: passed on; vectors are read only where they end before the operand does. A
        // vector may reach beyond its row of the panel into the next ones, which are written
        // after it; the last rows are written value by value.
        unsafe {
            for kk in 0..k {
                for (i, panel) in panels.clone().enumerate() {
                    let from = from.add(kk * self.depth_stride + panel * W);
                    let to = to.add((i * k + kk) * W);
                    let lanes = (self.lanes - panel * W).min(W);
                    let reach = from.wrapping_add(W.next_multiple_of(LANES));
                    if lanes == W && reach <= self.end && kk + after::<W>() < k {
                        for first in (0..W).step_by(LANES) {
                            S::store(to.add(first), S::load(from.add(first)));
                        }
                    } else {
                        for l in 0..W {
                            *to.add(l) = if l < lanes { *from.add(l) } else { 0.0 };
                        }
                    }
                }
            }
        }
    }
}

/// Rows of a panel that must follow one that is written as whole vectors: those it reaches into.
const fn after<const W: usize>() -> usize {
    if W.is_multiple_of(LANES) { 0 } else { LANES.div_ceil(W) - 1 }
}

/// Sixteen vectors to sixteen columns: four rounds of a perfect shuffle.
#[inline(always)]
unsafe fn transpose16<S: Simd>(mut v: [S::V; LANES]) -> [S::V; LANES] {
    // SAFETY: passed on.
    unsafe {
        for _ in 0..4 {
            let mut w = v;
            for i in 0..8 {
                w[2 * i] = S::zip_low(v[i], v[i + 8]);
                w[2 * i + 1] = S::zip_high(v[i], v[i + 8]);
            }
            v = w;
        }
        v
    }
}

/// One panel of lanes that lie `stride` apart.
#[inline(always)]
unsafe fn transpose<S: Simd, const W: usize>(
    (from, stride): (*const f32, usize),
    lanes: usize,
    k: usize,
    to: *mut f32,
) {
    // SAFETY: passed on. Vectors that reach beyond their row of the panel are followed by the
    // rows they reach into, the last of which are written value by value.
    unsafe {
        let vectors = k.saturating_sub(after::<W>()) / LANES * LANES;
        for first in (0..W).step_by(LANES) {
            let width = (W - first).min(LANES);
            let here = lanes.saturating_sub(first).min(width);
            for kk in (0..vectors).step_by(LANES) {
                let mut v = [S::splat(0.0); LANES];
                let from = from.wrapping_add(first * stride + kk);
                if here == width {
                    // The number of lanes is known to the compiler: no loop remains.
                    for l in 0..LANES {
                        if l < width {
                            v[l] = S::load(from.add(l * stride));
                        }
                    }
                } else {
                    for l in 0..here {
                        v[l] = S::load(from.add(l * stride));
                    }
                }
                for (i, v) in transpose16::<S>(v).into_iter().enumerate() {
                    S::store(to.add((kk + i) * W + first), v);
                }
            }
            for kk in vectors..k {
                for l in 0..width {
                    let v = if l < here { *from.add((first + l) * stride + kk) } else { 0.0 };
                    *to.add(kk * W + first + l) = v;
                }
            }
        }
    }
}
