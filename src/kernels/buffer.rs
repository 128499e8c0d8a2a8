//! Aligned f32 storage, weights in few large pieces, and the shared view that threads of one
//! phase write through.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// f32 values on a cache-line boundary, zero at first.
pub struct Buffer {
    lines: Vec<Line>,
    len: usize,
}

impl Buffer {
    pub fn zeros(len: usize) -> Self {
        Self { lines: zero_lines(len.div_ceil(16)), len }
    }

    /// At least `len` values, keeping no content: for workspaces that grow to their peak.
    pub fn ensure(&mut self, len: usize) {
        if self.len < len {
            *self = Self::zeros(len.max(self.len + self.len / 2));
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: `lines` holds at least `len` initialised f32 values in one piece.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
    pub fn size_bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }
}

fn zero_lines(count: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    lines.reserve_exact(count);
    advise_huge_pages(lines.as_ptr().cast(), count * size_of::<Line>());
    lines.resize(count, Line([0.0; 16]));
    lines
}

impl Default for Buffer {
    fn default() -> Self {
        Self::zeros(0)
    }
}

/// Weights are streamed through once a step; 2 MiB pages spare the address translation.
#[cfg(target_os = "linux")]
fn advise_huge_pages(p: *const u8, bytes: usize) {
    const HUGE: usize = 2 << 20;
    if bytes < 2 * HUGE {
        return;
    }
    let start = (p as usize).next_multiple_of(HUGE);
    let end = (p as usize + bytes) / HUGE * HUGE;
    if start < end {
        // SAFETY: the range lies inside one allocation of ours; the call is advice only, and
        // its failure changes nothing.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
    }
}
#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_: *const u8, _: usize) {}

/// Weights one behind the other in large pieces of memory.
///
/// A step of decoding streams through all of them. In pages of 4 KiB that costs an address
/// translation every few microseconds: on a 150 MB model half of the time of a small batch.
/// Pieces are therefore large enough for pages of 2 MiB.
pub struct Arena {
    piece: Arc<Piece>,
    used: usize,
}

struct Piece {
    /// Of bytes that begin somewhere before the first line.
    block: NonNull<u8>,
    layout: Layout,
    first: NonNull<Line>,
    lines: usize,
}

// SAFETY: the piece owns its memory. Ranges are written once, by the arena, before anyone can
// read them.
unsafe impl Send for Piece {}
// SAFETY: as above.
unsafe impl Sync for Piece {}

impl Piece {
    /// Zero pages as the system gives them: nothing is written, so a page takes memory only once
    /// a weight is put there, by the thread that does so.
    fn new(lines: usize) -> Self {
        let bytes = (lines + 1) * size_of::<Line>();
        // Of larger alignments the allocator writes the zeros itself.
        let layout = match Layout::from_size_align(bytes, align_of::<f32>()) {
            Ok(layout) => layout,
            // As for every other request that no memory can hold.
            Err(_) => handle_alloc_error(Layout::new::<Line>()),
        };
        // SAFETY: the size is not zero.
        let Some(block) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        // SAFETY: at most a line less one byte is skipped of the spare line.
        let first = unsafe { block.add(block.align_offset(align_of::<Line>())) }.cast();
        advise_huge_pages(block.as_ptr(), bytes);
        Self { block, layout, first, lines }
    }
    fn ptr(&self) -> *mut Line {
        self.first.as_ptr()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.block.as_ptr(), self.layout) };
    }
}

impl Arena {
    /// Room for `len` values in one piece; what goes beyond gets pieces of its own.
    pub fn with_capacity(len: usize) -> Self {
        Self { piece: Arc::new(Piece::new(len.div_ceil(16))), used: 0 }
    }

    /// `len` values on a cache-line boundary, zero, filled by `fill` and fixed from then on.
    pub fn push(&mut self, len: usize, fill: impl FnOnce(&mut [f32])) -> Slab {
        let lines = len.div_ceil(16);
        if self.used + lines > self.piece.lines {
            self.piece = Arc::new(Piece::new(lines));
            self.used = 0;
        }
        let at = self.used;
        self.used += lines;
        // SAFETY: the range lies inside the piece, and no slab has been given out over it.
        fill(unsafe { std::slice::from_raw_parts_mut(self.piece.ptr().add(at).cast(), len) });
        Slab { piece: Arc::clone(&self.piece), at, len }
    }

    /// The same by bytes: room for `len` values, filled as `4 * len` bytes.
    pub fn push_bytes<E>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Slab, E> {
        let mut filled = Ok(());
        let slab = self.push(len, |values| {
            // SAFETY: the same memory, borrowed exclusively; any bytes are values.
            let bytes = unsafe {
                std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values))
            };
            filled = fill(bytes);
        });
        filled.map(|()| slab)
    }
}

/// Values in an [`Arena`], which live as long as their slab.
pub struct Slab {
    piece: Arc<Piece>,
    at: usize,
    len: usize,
}

impl Slab {
    #[inline(always)]
    pub fn as_slice(&self) -> &[f32] {
        // SAFETY: filled when the slab was made, inside the piece, written by nobody since.
        unsafe { std::slice::from_raw_parts(self.piece.ptr().add(self.at).cast(), self.len) }
    }
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8] {
        let values = self.as_slice();
        // SAFETY: the same memory; every byte of a value is initialised.
        unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
    }
    pub fn size_bytes(&self) -> usize {
        self.len * 4
    }
}

/// A mutable slice that the threads of one phase share. Each element is written by at most one
/// thread between two barriers, and read by others only after the next barrier.
#[derive(Clone, Copy)]
pub struct SharedMut<'a, T = f32> {
    ptr: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: the accessors are unsafe and carry the rule above.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { ptr: slice.as_mut_ptr(), len: slice.len(), life: PhantomData }
    }
    pub fn len(&self) -> usize {
        self.len
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// # Safety
    /// No thread may write the range while it is borrowed.
    #[inline(always)]
    pub unsafe fn slice(&self, at: usize, len: usize) -> &'a [T] {
        debug_assert!(at + len <= self.len);
        // SAFETY: inside the slice; the caller keeps writers away.
        unsafe { std::slice::from_raw_parts(self.ptr.add(at), len) }
    }
    /// # Safety
    /// No other thread may touch the range while it is borrowed.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn slice_mut(&self, at: usize, len: usize) -> &'a mut [T] {
        debug_assert!(at + len <= self.len);
        // SAFETY: inside the slice; the caller keeps others away.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(at), len) }
    }
    /// # Safety
    /// `at` must lie inside; reads and writes through it follow the rule of the type.
    #[inline(always)]
    pub unsafe fn ptr(&self, at: usize) -> *mut T {
        debug_assert!(at <= self.len);
        // SAFETY: inside the slice.
        unsafe { self.ptr.add(at) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zero() {
        let mut b = Buffer::zeros(5 << 20);
        assert_eq!(b.as_slice().as_ptr() as usize % 64, 0);
        assert_eq!((b.len(), b.as_slice()[b.len() - 1]), (5 << 20, 0.0));
        b.as_mut_slice()[3] = 1.0;
        b.ensure(3);
        assert_eq!(b.as_slice()[3], 1.0);
        b.ensure(b.len() + 1);
        assert!(b.len() > 5 << 20);
        assert!(Buffer::zeros(0).is_empty());
    }

    #[test]
    fn slabs_are_apart_and_outlive_their_arena() {
        let mut arena = Arena::with_capacity(40);
        let slabs: Vec<Slab> = [17, 16, 100, 3]
            .into_iter()
            .map(|len| arena.push(len, |v| v.iter_mut().for_each(|v| *v += len as f32)))
            .collect();
        drop(arena);
        for (slab, len) in slabs.iter().zip([17, 16, 100, 3]) {
            assert_eq!(slab.as_slice(), vec![len as f32; len]);
            assert_eq!(slab.as_slice().as_ptr() as usize % 64, 0);
        }
    }
}
