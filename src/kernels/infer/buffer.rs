//! Aligned f32 storage, and the shared view that threads of one phase write through.

use std::marker::PhantomData;

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
        let mut lines: Vec<Line> = Vec::new();
        lines.reserve_exact(len.div_ceil(16));
        advise_huge_pages(lines.as_ptr().cast(), len * 4);
        lines.resize(len.div_ceil(16), Line([0.0; 16]));
        Self { lines, len }
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
}
