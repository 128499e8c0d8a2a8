//! Matrix products of training: `C = scale A B`, added to what is there or not, then a bias
//! and ReLU in the same pass.
//!
//! Goto and van de Geijn (2008): both operands are copied into panels that a register tile reads
//! in one sweep, [`DEPTH`] of the inner dimension at a time. The longer side of `C` is split
//! into tasks; a task packs its own part of one operand, which stays in its core's cache, panel
//! by panel as it meets them, while the tiles of one panel fetch the next from memory. All share
//! the other operand, whose panels are packed by whoever needs them first. So nothing is packed
//! twice, and threads meet only at the end of a product.
//!
//! Each element is summed in the order of the inner dimension, in blocks of [`DEPTH`]: the same
//! bits whatever the threads, the tasks or the tile, on AVX2 and AVX-512 alike.

mod pack;
mod tile;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use super::buffer::Buffer;
use super::parallel;
use super::vector::{Isa, LANES, simd_fn};
use pack::{Ahead, Side};
use tile::{Tile, tile};

/// Inner dimension of a block: a panel of rows takes 12 KiB, which stays in the first-level cache
/// while the panels of columns of a group pass by.
const DEPTH: usize = 256;
/// Multiply-adds below which a product is not shared between threads, about 10 µs of one.
const SHARE_MIN: usize = 1 << 20;
/// Values of the operand that all tasks share, packed at a time: 8 MiB.
const SHARED_VALUES: usize = 2 << 20;
/// Inner dimension of a task's own part: while all blocks of it are worked through, the values of
/// `C` stay in the second-level cache.
const OWN_DEPTH: usize = 4 * DEPTH;
/// Rows or columns of a task's own part, at most: with [`OWN_DEPTH`], 1 MiB.
const OWN_MAX: usize = 256;
/// Rows or columns of a task, at least.
const OWN_MIN: usize = 48;
/// Tasks for each thread, so that one that is held up delays the others little.
const TASKS_PER_THREAD: usize = 4;
/// Rows or columns of the shared operand that are packed at a time.
const GROUP: usize = 128;

/// One operand of a product: values with row and column strides, one of which is 1.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    row_stride: usize,
    col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// `[rows, cols]` as stored.
    pub(super) fn plain(values: &'a [f32], cols: usize) -> Self {
        Self { values, row_stride: cols, col_stride: 1 }
    }
    /// The transpose of a stored `[_, cols]` matrix.
    pub(super) fn transposed(values: &'a [f32], cols: usize) -> Self {
        Self { values, row_stride: 1, col_stride: cols }
    }
    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0
            || cols == 0
            || (rows - 1) * self.row_stride + (cols - 1) * self.col_stride < self.values.len()
    }
}

/// Where a product goes, and what is done with it on the way.
pub(super) struct Target<'a> {
    values: &'a mut [f32],
    row_stride: usize,
    accumulate: bool,
    scale: f32,
    bias: Option<&'a [f32]>,
    relu: bool,
}

impl<'a> Target<'a> {
    /// Rows of `row_stride` values, of which the first ones are written.
    pub(super) fn rows(values: &'a mut [f32], row_stride: usize) -> Self {
        Self { values, row_stride, accumulate: false, scale: 1.0, bias: None, relu: false }
    }
    /// Adds to what is there.
    pub(super) fn accumulate(mut self, accumulate: bool) -> Self {
        self.accumulate = accumulate;
        self
    }
    /// Multiplies the product.
    pub(super) fn scale(mut self, scale: f32) -> Self {
        self.scale = scale;
        self
    }
    /// Adds one value a column, then takes the positive part when asked.
    pub(super) fn finish(mut self, bias: Option<&'a [f32]>, relu: bool) -> Self {
        (self.bias, self.relu) = (bias, relu);
        self
    }
}

/// `C = scale A B`; `C` is `[m, n]`, `A` `[m, k]`, `B` `[k, n]`, and `shape` is (m, n, k).
pub(super) fn product(
    shape: (usize, usize, usize),
    target: Target<'_>,
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    product_on(Isa::detect(), shape, target, a, b);
}

/// The target as the tiles see it.
#[derive(Clone, Copy)]
struct Out {
    c: *mut f32,
    stride: usize,
    m: usize,
    n: usize,
    accumulate: bool,
    scale: f32,
    /// Null for none.
    bias: *const f32,
    relu: bool,
}

// SAFETY: tasks write disjoint parts of `c`, which the caller has borrowed for all of them, and
// only read the bias.
unsafe impl Sync for Out {}

/// The part of a product that is done with one packing of the shared operand.
struct Plan {
    rows: Side,
    cols: Side,
    /// Of the inner dimension.
    depth: Range<usize>,
    /// Tasks have rows of their own and share the columns; otherwise the other way round.
    split_rows: bool,
    tasks: usize,
    /// Panels of the shared side packed at a time.
    group: usize,
    shared: Shared,
}

/// The operand that all tasks read, packed as they need it.
struct Shared {
    to: *mut f32,
    /// One for each group of panels in each block of the inner dimension.
    state: Vec<AtomicU8>,
}

const EMPTY: u8 = 0;
const BUSY: u8 = 1;
const READY: u8 = 2;

// SAFETY: a group of panels is written by the one task that has turned its state from EMPTY to
// BUSY, and read by others only once it is READY.
unsafe impl Sync for Shared {}

impl Shared {
    /// Returns when group `i` is there: packed by `pack`, or by another thread.
    #[inline(always)]
    fn get(&self, i: usize, pack: impl FnOnce()) {
        let state = &self.state[i];
        if state.load(Ordering::Acquire) == READY {
            return;
        }
        if state.compare_exchange(EMPTY, BUSY, Ordering::Acquire, Ordering::Acquire).is_ok() {
            pack();
            state.store(READY, Ordering::Release);
            return;
        }
        // Some microseconds, unless the other thread has been put aside.
        let mut spins = 0u32;
        while state.load(Ordering::Acquire) != READY {
            spins += 1;
            if spins < 10_000 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

/// Rows and vectors of columns of the tile for a product.
fn tile_shape(isa: Isa, m: usize, n: usize) -> (usize, usize) {
    match isa {
        Isa::Avx512 if n <= LANES => (12, 1),
        Isa::Avx512 if m <= 8 => (8, 2),
        Isa::Avx512 => (12, 2),
        Isa::Avx2 => (6, 1),
        Isa::Portable => (tile::PORTABLE_ROWS, 1),
    }
}

/// One task, with a tile that suits the instruction set.
#[inline(always)]
unsafe fn task_kernel<S: Tile>(shape: (usize, usize), p: &Plan, o: Out, t: usize, own: *mut f32) {
    // SAFETY: passed on.
    unsafe {
        if S::REGISTERS == 32 {
            match shape {
                (12, 1) => task::<S, 12, 1, 16>(p, o, t, own),
                (8, 2) => task::<S, 8, 2, 32>(p, o, t, own),
                _ => task::<S, 12, 2, 32>(p, o, t, own),
            }
        } else if S::REGISTERS == 8 {
            task::<S, 6, 1, 16>(p, o, t, own);
        } else {
            task::<S, { tile::PORTABLE_ROWS }, 1, 16>(p, o, t, own);
        }
    }
}

simd_fn!(
    /// Task `t` of a plan; `own` has room for its own part. `shape` is that of [`tile_shape`].
    unsafe fn run_task(shape: (usize, usize), p: &Plan, o: Out, t: usize, own: *mut f32)
        = task_kernel
);

/// `R` rows by `N` vectors, `W` columns, is the tile.
#[inline(always)]
unsafe fn task<S: Tile, const R: usize, const N: usize, const W: usize>(
    p: &Plan,
    mut o: Out,
    t: usize,
    own: *mut f32,
) {
    // SAFETY: the caller has sized `own` and the shared operand for the panels of the plan, and
    // the sides hold their lanes and depth.
    unsafe {
        let (row_panels, col_panels) = (p.rows.lanes.div_ceil(R), p.cols.lanes.div_ceil(W));
        let (mine, shared_panels) =
            if p.split_rows { (row_panels, col_panels) } else { (col_panels, row_panels) };
        let (own_width, width) = if p.split_rows { (R, W) } else { (W, R) };
        let mine = t * mine / p.tasks..(t + 1) * mine / p.tasks;
        let groups = shared_panels.div_ceil(p.group);
        let (bias, relu, accumulate) = (o.bias, o.relu, o.accumulate);
        let (from, end) = (p.depth.start, p.depth.end);
        for start in (from..end).step_by(OWN_DEPTH) {
            let blocks = || {
                let end = (start + OWN_DEPTH).min(end);
                (start..end).step_by(DEPTH).map(move |d| d..(d + DEPTH).min(end))
            };
            let own_block = |d: &Range<usize>| own.add((d.start - start) * mine.len() * own_width);
            for turn in 0..groups {
                // Tasks begin at different groups, lest they wait for the same one.
                let g = (turn + t * groups / p.tasks) % groups;
                let panels = g * p.group..((g + 1) * p.group).min(shared_panels);
                for d in blocks() {
                    let k = d.len();
                    let base = p.shared.to.add((d.start - from) * shared_panels * width);
                    let at = base.add(panels.start * width * k);
                    p.shared.get((d.start - from) / DEPTH * groups + g, || {
                        if p.split_rows {
                            p.cols.pack::<S, W>(panels.clone(), d.clone(), at);
                        } else {
                            p.rows.pack::<S, R>(panels.clone(), d.clone(), at);
                        }
                    });
                    let last = d.end == end;
                    o.accumulate = accumulate || d.start > from;
                    o.bias = if last { bias } else { std::ptr::null() };
                    o.relu = last && relu;
                    for i in mine.clone() {
                        let own = own_block(&d).add((i - mine.start) * k * own_width);
                        let mut ahead = Ahead::nothing(own);
                        if turn == 0 {
                            // The first to meet the panel, and the ones to fetch the next.
                            let (next, depth) = if i + 1 < mine.end {
                                (i + 1, d.start)
                            } else {
                                (mine.start, d.end)
                            };
                            if p.split_rows {
                                p.rows.pack::<S, R>(i..i + 1, d.clone(), own);
                                ahead = p.rows.ahead::<R>(next, depth);
                            } else {
                                p.cols.pack::<S, W>(i..i + 1, d.clone(), own);
                                ahead = p.cols.ahead::<W>(next, depth);
                            }
                        }
                        for j in panels.clone() {
                            let other = at.add((j - panels.start) * k * width);
                            let (a, b, at) = if p.split_rows {
                                (own, other, (i * R, j * W))
                            } else {
                                (other, own, (j * R, i * W))
                            };
                            tile::<S, R, N>(k, (a, b), at, &o, &mut ahead);
                        }
                    }
                }
            }
        }
    }
}

thread_local! {
    /// Room for packed operands, of the thread that asks for a product: kept, lest its pages be
    /// fetched anew each time.
    static WORKSPACE: RefCell<Buffer> = RefCell::default();
}

fn product_on(
    isa: Isa,
    (m, n, k): (usize, usize, usize),
    target: Target<'_>,
    a: Matrix<'_>,
    b: Matrix<'_>,
) {
    if m == 0 || n == 0 {
        return;
    }
    let Target { values, row_stride, accumulate, scale, bias, relu } = target;
    assert!(n <= row_stride && (m - 1) * row_stride + n <= values.len());
    assert!(a.holds(m, k) && b.holds(k, n) && bias.is_none_or(|b| b.len() == n));
    if k == 0 {
        return nothing_to_sum((values, row_stride, n), m, accumulate, bias, relu);
    }
    let c = values.as_mut_ptr();
    let rows = Side::new(a.values, a.row_stride, a.col_stride, m);
    let cols = Side::new(b.values, b.col_stride, b.row_stride, n);
    let shape = tile_shape(isa, m, n);
    let (r, w) = (shape.0, shape.1 * LANES);
    let split_rows = m >= n;
    let (own_lanes, own_width, shared_lanes, shared_width) =
        if split_rows { (m, r, n, w) } else { (n, w, m, r) };
    let (own_panels, shared_panels) =
        (own_lanes.div_ceil(own_width), shared_lanes.div_ceil(shared_width));
    let alone = m * n * k < SHARE_MIN;
    let threads = if alone { 1 } else { parallel::threads() };
    let per_task = own_panels
        .div_ceil(threads * TASKS_PER_THREAD)
        .clamp((OWN_MIN / own_width).max(1), (OWN_MAX / own_width).max(1));
    // A whole number of rounds, so that all threads end together.
    let tasks = own_panels.div_ceil(per_task).next_multiple_of(threads).min(own_panels);
    let group = (GROUP / shared_width).max(1);
    let at_once = (SHARED_VALUES / (shared_panels * shared_width) / DEPTH).max(1) * DEPTH;
    let out = |first: bool, last: bool| Out {
        c,
        stride: row_stride,
        m,
        n,
        accumulate: accumulate || !first,
        scale,
        bias: bias.filter(|_| last).map_or(std::ptr::null(), <[f32]>::as_ptr),
        relu: relu && last,
    };
    let shared_len = at_once.min(k) * shared_panels * shared_width;
    let own_len = (per_task * own_width * OWN_DEPTH.min(k)).next_multiple_of(LANES);
    let slots = if alone { 1 } else { threads.min(tasks) };
    WORKSPACE.with_borrow_mut(|buffer| {
        buffer.ensure(shared_len.next_multiple_of(LANES) + slots * own_len);
        let workspace = buffer.as_mut_slice();
        let (owned, to) = workspace.split_at_mut(slots * own_len);
        let owned: Vec<Slot> =
            owned.chunks_exact_mut(own_len).map(|c| Slot(c.as_mut_ptr())).collect();
        let free = Mutex::new(owned);
        let lock = || free.lock().unwrap_or_else(PoisonError::into_inner);
        for start in (0..k).step_by(at_once) {
            let depth = start..(start + at_once).min(k);
            let groups = depth.len().div_ceil(DEPTH) * shared_panels.div_ceil(group);
            let state = (0..groups).map(|_| AtomicU8::new(EMPTY)).collect();
            let o = out(start == 0, depth.end == k);
            let shared = Shared { to: to.as_mut_ptr(), state };
            let plan = Plan { rows, cols, depth, split_rows, tasks, group, shared };
            let one = |t: usize| {
                // As many as threads, so that there always is one.
                let Some(own) = lock().pop() else {
                    unreachable!("more tasks at once than threads")
                };
                // SAFETY: `isa` is one of this processor's. The assertions above keep every
                // access inside the operands and `c`, which is borrowed mutably and so overlaps
                // neither; tasks write different rows or columns of it. `to` and `own`, which no
                // other task has now, have room for their panels.
                unsafe { run_task(isa, shape, &plan, o, t, own.0) };
                lock().push(own);
            };
            if alone { (0..tasks).for_each(one) } else { parallel::each(tasks, one) }
        }
    });
}

/// A task's own part of the workspace.
struct Slot(*mut f32);

// SAFETY: a part of a buffer that is borrowed as long as the product runs; whoever holds the slot
// is the only one to touch it.
unsafe impl Send for Slot {}

/// The product of matrices without an inner dimension is zero.
fn nothing_to_sum(
    (c, row_stride, n): (&mut [f32], usize, usize),
    m: usize,
    accumulate: bool,
    bias: Option<&[f32]>,
    relu: bool,
) {
    for row in c.chunks_mut(row_stride).take(m) {
        for (i, v) in row[..n].iter_mut().enumerate() {
            let sum = if accumulate { *v } else { 0.0 } + bias.map_or(0.0, |b| b[i]);
            *v = if relu && sum < 0.0 { 0.0 } else { sum };
        }
    }
}

#[cfg(test)]
mod tests;
