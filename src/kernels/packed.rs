//! Products of a few rows with weights packed once into panels:
//! `y[m, n] = x[m, k] W[n, k]^T + bias`, with ReLU or a residual sum in the same pass.
//!
//! A panel holds 32 output columns; inside it the 32 weights of one input stand side by side, so
//! that a step of decoding reads every weight once, in order. Rows are taken in tiles that stay
//! in registers. Weights are held in f32, bf16 or int8 ([`WeightFormat`]). In the first two each
//! output is one chain of fused multiply-adds over `k` in ascending order, in the third an exact
//! sum of integers, whatever the number of rows or threads: results are byte-identical for every
//! batch.

mod formats;
pub mod int8;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_formats;
mod tile;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Mutex;

use rayon::prelude::*;

use super::buffer::{Arena, SharedMut, Slab};
use super::infer::integers::DEPTH;
use super::team::Worker;
use super::vector::{Isa, LANES};
use crate::error::Result;
use tile::{MAX_TILE, Operands};

/// Columns of a panel.
pub const PANEL: usize = 32;
/// Weights of one piece of work stay in the second-level cache while all rows pass by.
const PIECE_BYTES: usize = 512 << 10;
/// Below this many multiply-adds a product is not worth sharing between threads.
const SHARE_MIN: usize = 1 << 14;
/// Bytes of rows that are read before their source is told that they are no longer needed.
const RELEASE_BYTES: usize = 32 << 20;

/// How a model's packed weights are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightFormat {
    #[default]
    F32,
    /// Rounded to bf16, computed in f32.
    Bf16,
    /// Rounded to 8-bit integers with a scale for each row, computed in integers; see [`int8`].
    Int8,
}

impl WeightFormat {
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }

    /// Bytes of a panel of `k` inputs.
    fn panel_bytes(self, k: usize) -> usize {
        match self {
            Self::F32 => k * PANEL * 4,
            Self::Bf16 => k * PANEL * 2,
            Self::Int8 => k.next_multiple_of(DEPTH) * PANEL,
        }
    }
}

/// A matrix to be packed, row by row, wherever it lies.
pub trait MatrixRows: Sync {
    /// Rows, `n`.
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Row `i` as f32, `[k]`.
    fn read(&self, i: usize, out: &mut [f32]);
    /// Row `i` as it is stored in integers, `[k]`, and its scale; nothing where it is not.
    fn read_int8(&self, _i: usize, _out: &mut [i8]) -> Result<Option<f32>> {
        Ok(None)
    }
    /// Rows that will not be read again, so that their memory may be given back.
    fn release(&self, _rows: Range<usize>) {}
}

/// A row-major matrix `[n, k]` in memory.
pub struct Dense<'a> {
    pub values: Cow<'a, [f32]>,
    pub k: usize,
}

impl MatrixRows for Dense<'_> {
    fn len(&self) -> usize {
        self.values.len() / self.k.max(1)
    }
    fn read(&self, i: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.values[i * self.k..][..self.k]);
    }
}

/// The same, multiples of a scale for each row: packed as integers, it keeps the scales.
pub struct Multiples<'a> {
    pub values: &'a [f32],
    pub k: usize,
    /// `[n]`
    pub scales: &'a [f32],
}

impl MatrixRows for Multiples<'_> {
    fn len(&self) -> usize {
        self.scales.len()
    }
    fn read(&self, i: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.values[i * self.k..][..self.k]);
    }
    fn read_int8(&self, i: usize, out: &mut [i8]) -> Result<Option<f32>> {
        let scale = self.scales[i];
        let values = &self.values[i * self.k..][..self.k];
        for (o, v) in out.iter_mut().zip(values) {
            // A scale of zero belongs to a row of zeros, and 0 / 0 becomes 0 here.
            *o = (v / scale).round_ties_even() as i8;
        }
        Ok(Some(scale))
    }
}

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
    format: WeightFormat,
    data: Slab,
    /// Of each row of integers, as long as the panels are wide.
    scales: Option<Slab>,
}

impl PackedMatrix {
    /// Packs row-major matrices `[n_i, k]`, stacked on top of each other, in f32.
    pub fn pack(arena: &mut Arena, parts: &[&[f32]], k: usize) -> Self {
        let parts: Vec<Dense<'_>> =
            parts.iter().map(|v| Dense { values: Cow::Borrowed(v), k }).collect();
        let parts: Vec<&dyn MatrixRows> = parts.iter().map(|p| p as &dyn MatrixRows).collect();
        match Self::pack_as(arena, WeightFormat::F32, &parts, k) {
            Ok(packed) => packed,
            Err(_) => unreachable!("rows in memory are always read"),
        }
    }

    /// Packs matrices `[n_i, k]`, stacked on top of each other, reading every row once.
    ///
    /// # Errors
    /// As the rows have them.
    pub fn pack_as(
        arena: &mut Arena,
        format: WeightFormat,
        parts: &[&dyn MatrixRows],
        k: usize,
    ) -> Result<Self> {
        let n: usize = parts.iter().map(|p| p.len()).sum();
        let panel_bytes = format.panel_bytes(k);
        let panels = n.div_ceil(PANEL);
        let mut scales = vec![0f32; panels * PANEL];
        let (stacked, group) =
            (Stacked::new(parts), (RELEASE_BYTES / (4 * PANEL * k.max(1))).max(1));
        let data = arena.push_bytes(panels * panel_bytes / 4, |data| {
            let groups = data.chunks_mut(group * panel_bytes).zip(scales.chunks_mut(group * PANEL));
            for (g, (data, scales)) in groups.enumerate() {
                let first = g * group * PANEL;
                let failed = Mutex::new(None);
                let panels = data.par_chunks_mut(panel_bytes).zip(scales.par_chunks_mut(PANEL));
                panels.enumerate().for_each_init(Vec::new, |room, (p, (panel, scales))| {
                    let from = first + p * PANEL;
                    let rows = from..(from + PANEL).min(n);
                    if let Err(e) = fill_panel(format, panel, scales, &stacked, rows, k, room) {
                        failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(e);
                    }
                });
                if let Some(e) = failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
                    return Err(e);
                }
                stacked.release(first..(first + group * PANEL).min(n));
            }
            Ok(())
        })?;
        let scales = (format == WeightFormat::Int8)
            .then(|| arena.push(scales.len(), |to| to.copy_from_slice(&scales)));
        Ok(Self { n, k, format, data, scales })
    }

    /// Values of f32 that a matrix `[n, k]` takes in an arena.
    pub fn packed_len(format: WeightFormat, n: usize, k: usize) -> usize {
        let panels = n.div_ceil(PANEL);
        let scales = if format == WeightFormat::Int8 { panels * PANEL } else { 0 };
        // Each of the two begins on a cache line.
        (panels * format.panel_bytes(k) / 4).next_multiple_of(LANES) + scales
    }

    /// Output width.
    pub fn n(&self) -> usize {
        self.n
    }
    /// Input width.
    pub fn k(&self) -> usize {
        self.k
    }
    pub fn format(&self) -> WeightFormat {
        self.format
    }
    pub fn num_panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }
    /// The scales of rows of integers, `[n]`.
    pub fn scales(&self) -> Option<&[f32]> {
        self.scales.as_ref().map(|s| &s.as_slice()[..self.n])
    }
    /// Row `i` of the matrix times `scale`, `[k]`.
    pub fn row(&self, i: usize, scale: f32, out: &mut [f32]) {
        let (j, out) = (i % PANEL, &mut out[..self.k]);
        let panel_bytes = self.format.panel_bytes(self.k);
        let panel = &self.data.as_bytes()[i / PANEL * panel_bytes..][..panel_bytes];
        match self.format {
            WeightFormat::F32 => {
                let values = panel.as_chunks::<4>().0[j..].iter().step_by(PANEL);
                for (o, v) in out.iter_mut().zip(values) {
                    *o = f32::from_ne_bytes(*v) * scale;
                }
            }
            WeightFormat::Bf16 => {
                let words = panel.as_chunks::<4>().0[j % LANES..].iter().step_by(LANES);
                let up = if j < LANES { 16 } else { 0 };
                for (o, word) in out.iter_mut().zip(words) {
                    let high = (u32::from_ne_bytes(*word) << up) & 0xffff_0000;
                    *o = f32::from_bits(high) * scale;
                }
            }
            WeightFormat::Int8 => {
                let own = self.scales().map_or(0.0, |s| s[i]);
                for (step, out) in out.chunks_mut(DEPTH).enumerate() {
                    let mut integers = [0i8; DEPTH];
                    int8::unpack_row(&panel[step * PANEL * DEPTH..], j, &mut integers);
                    for (o, v) in out.iter_mut().zip(integers) {
                        *o = f32::from(v) * own * scale;
                    }
                }
            }
        }
    }
    /// Row `i` in integers with its scale; nothing in the other formats.
    pub fn int8_row(&self, i: usize) -> Option<(Vec<i8>, f32)> {
        let scale = self.scales()?[i];
        let panel_bytes = self.format.panel_bytes(self.k);
        let panel = &self.data.as_bytes()[i / PANEL * panel_bytes..][..panel_bytes];
        let mut out = vec![0; self.k];
        int8::unpack_row(panel, i % PANEL, &mut out);
        Some((out, scale))
    }
    /// The matrix in f32, row-major: what it was before packing, but for the rounding.
    pub fn to_rows(&self) -> Vec<f32> {
        let mut out = vec![0f32; self.n * self.k];
        for (i, row) in out.chunks_exact_mut(self.k.max(1)).enumerate() {
            self.row(i, 1.0, row);
        }
        out
    }
    pub fn size_bytes(&self) -> usize {
        self.data.size_bytes() + self.scales.as_ref().map_or(0, Slab::size_bytes)
    }

    /// The input of a product, `[m, k]`: `x` itself, or in a phase of a team its integers, in
    /// `quant`.
    ///
    /// # Safety
    /// `isa` is available, `x` is not written and `quant` not touched by anyone else in this phase.
    pub unsafe fn input<'a>(
        &self,
        w: &Worker<'_>,
        isa: Isa,
        x: Rows<'a>,
        quant: Rows<'a>,
        m: usize,
    ) -> Rows<'a> {
        if self.format != WeightFormat::Int8 || m == 0 {
            return x;
        }
        debug_assert!(quant.stride >= int8::quantised_stride(self.k));
        // SAFETY: passed on.
        unsafe { int8::quantise_phase(w, isa, x, quant, m, self.k) };
        quant
    }
}

/// Matrices as one.
struct Stacked<'a> {
    /// With the index of the first row of each.
    parts: Vec<(usize, &'a dyn MatrixRows)>,
}

impl<'a> Stacked<'a> {
    fn new(parts: &[&'a dyn MatrixRows]) -> Self {
        let mut at = 0;
        let with_start = |p: &&'a dyn MatrixRows| {
            at += p.len();
            (at - p.len(), *p)
        };
        Self { parts: parts.iter().map(with_start).collect() }
    }
    fn of(&self, row: usize) -> (usize, &'a dyn MatrixRows) {
        let at = self.parts.partition_point(|(first, _)| *first <= row) - 1;
        (row - self.parts[at].0, self.parts[at].1)
    }
    fn release(&self, rows: Range<usize>) {
        for (first, part) in &self.parts {
            let own = first + part.len();
            let (start, end) = (rows.start.max(*first), rows.end.min(own));
            if start < end {
                part.release(start - first..end - first);
            }
        }
    }
}

/// Reads `rows` into a panel and, of integers, their scales. `room` is memory to work in.
fn fill_panel(
    format: WeightFormat,
    panel: &mut [u8],
    scales: &mut [f32],
    from: &Stacked<'_>,
    rows: Range<usize>,
    k: usize,
    room: &mut Vec<f32>,
) -> Result<()> {
    if format == WeightFormat::Int8 {
        room.resize(k, 0.0);
        let mut integers = vec![0i8; rows.len() * k];
        for (row, (out, scale)) in rows.zip(integers.chunks_exact_mut(k).zip(scales)) {
            let (i, part) = from.of(row);
            *scale = match part.read_int8(i, out)? {
                Some(scale) => scale,
                None => {
                    part.read(i, room);
                    int8::quantise_row(room, out)
                }
            };
        }
        int8::pack_panel(panel, &integers, k);
        return Ok(());
    }
    room.clear();
    room.resize(PANEL * k, 0.0);
    for (row, out) in rows.zip(room.chunks_exact_mut(k.max(1))) {
        let (i, part) = from.of(row);
        part.read(i, out);
    }
    // Sixteen inputs at a time keep the written lines in the first-level cache.
    let words = panel.as_chunks_mut::<4>().0;
    for start in (0..k).step_by(16) {
        let inputs = start..(start + 16).min(k);
        if format == WeightFormat::F32 {
            for j in 0..PANEL {
                for i in inputs.clone() {
                    words[i * PANEL + j] = room[j * k + i].to_ne_bytes();
                }
            }
        } else {
            let rounded = |v: f32| u32::from(half::bf16::from_f32(v).to_bits());
            for j in 0..LANES {
                for i in inputs.clone() {
                    let word = rounded(room[j * k + i]) | rounded(room[(j + LANES) * k + i]) << 16;
                    words[i * LANES + j] = word.to_ne_bytes();
                }
            }
        }
    }
    Ok(())
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

    /// Values of f32 that a map `[n, k]` takes in an arena.
    pub fn packed_len(format: WeightFormat, n: usize, k: usize) -> usize {
        // Each of the two begins on a cache line.
        PackedMatrix::packed_len(format, n, k).next_multiple_of(LANES) + n.next_multiple_of(PANEL)
    }
    pub fn bias(&self) -> &[f32] {
        self.bias.as_slice()
    }
    pub fn size_bytes(&self) -> usize {
        self.weight.size_bytes() + self.bias.size_bytes()
    }

    /// One phase of a team: `y = op(x W^T + bias)` for the first `m` rows of both; `x` as
    /// [`PackedMatrix::input`] gives it.
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
        debug_assert!(y.stride >= panels * PANEL);
        debug_assert!(x.stride >= k || self.weight.format == WeightFormat::Int8);
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
        let mut width = (PIECE_BYTES / self.weight.format.panel_bytes(k)).clamp(1, 16);
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

/// `y = op(x W^T + bias)` for `m` rows and some panels; `y` points at the first panel's column.
/// Rows of `x` are as [`PackedMatrix::input`] gives them, rows of `y` have room for whole panels.
///
/// # Safety
/// `isa` must come from [`Isa::available`]; the pointers are valid for these rows.
#[allow(clippy::too_many_arguments)]
pub unsafe fn product(
    isa: Isa,
    linear: &PackedLinear,
    x: *const f32,
    x_stride: usize,
    m: usize,
    panels: Range<usize>,
    y: *mut f32,
    y_stride: usize,
    op: Epilogue,
) {
    let operands = Operands::new(linear, x, x_stride, m, panels, y, y_stride, op);
    // SAFETY: passed on; the operands are of the weight's format.
    unsafe {
        match linear.weight.format {
            WeightFormat::F32 => formats::f32_product(isa, operands),
            WeightFormat::Bf16 => formats::bf16_product(isa, operands),
            WeightFormat::Int8 => int8::product(isa, operands),
        }
    }
}
