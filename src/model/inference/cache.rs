//! What decoding keeps of a sentence: the source's keys and values, computed once and shared by
//! all hypotheses, and the hypotheses' own keys and values, written once and never moved.

use std::ptr::NonNull;

use crate::kernels::buffer::Buffer;
use crate::kernels::vector::LANES;

/// Cross-attention keys and values of one source for every decoder layer.
pub struct SourceMemory {
    /// Source tokens, marks included.
    pub(super) len: usize,
    d_model: usize,
    /// Per layer: keys `[d_model, key_stride]`, then values `[len, d_model]`.
    pub(super) data: Buffer,
}

impl SourceMemory {
    pub(super) fn new(len: usize, d_model: usize, layers: usize) -> Self {
        let mut this = Self { len, d_model, data: Buffer::default() };
        this.data = Buffer::zeros(layers * this.layer_len());
        this
    }
    pub fn num_tokens(&self) -> usize {
        self.len
    }
    pub(super) fn key_stride(&self) -> usize {
        self.len.next_multiple_of(LANES)
    }
    fn layer_len(&self) -> usize {
        self.d_model * (self.key_stride() + self.len)
    }
    /// Where a layer's keys begin.
    pub(super) fn keys_at(&self, layer: usize) -> usize {
        layer * self.layer_len()
    }
    /// Where a layer's values begin.
    pub(super) fn values_at(&self, layer: usize) -> usize {
        layer * self.layer_len() + self.d_model * self.key_stride()
    }
}

/// Positions of a page.
const PAGE_LEN: usize = 16;

/// Sizes that all pages of a decoder share.
#[derive(Clone, Copy)]
pub(super) struct PageShape {
    pub layers: usize,
    pub beams: usize,
    pub d_model: usize,
}

impl PageShape {
    fn len(&self) -> usize {
        self.layers * 2 * PAGE_LEN * self.beams * self.d_model
    }
    /// From a key to its value.
    pub fn value_offset(&self) -> usize {
        PAGE_LEN * self.beams * self.d_model
    }
}

/// Self-attention keys and values of sixteen positions, for all layers and hypotheses of one
/// sentence: `[layers, 2, PAGE_LEN, beams, d_model]`.
///
/// Owned through a raw pointer, because the threads of a team write disjoint parts of it while
/// they share the cache.
struct Page {
    data: NonNull<[f32]>,
}

// SAFETY: the page owns its memory; who may write what is the decoder's phases' concern.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    fn new(len: usize) -> Self {
        let data = vec![0.0f32; len].into_boxed_slice();
        Self { data: NonNull::from(Box::leak(data)) }
    }
    fn ptr(&self) -> *mut f32 {
        self.data.as_ptr().cast()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::leak` and is freed once.
        drop(unsafe { Box::from_raw(self.data.as_ptr()) });
    }
}

/// Pages that no sentence uses at the moment.
#[derive(Default)]
pub(super) struct PagePool {
    free: Vec<Page>,
}

/// One sentence in decoding.
pub(super) struct SentenceCache {
    pub memory: SourceMemory,
    shape: PageShape,
    pages: Vec<Page>,
    /// `[beams][capacity]`: which hypothesis wrote the entry this one sees at each position.
    /// Selecting hypotheses rewrites these few bytes; keys and values stay where they are.
    ancestry: Vec<Vec<u16>>,
    spare: Vec<Vec<u16>>,
}

impl SentenceCache {
    pub fn new(memory: SourceMemory, shape: PageShape) -> Self {
        Self {
            memory,
            shape,
            pages: Vec::new(),
            ancestry: vec![Vec::new(); shape.beams],
            spare: vec![Vec::new(); shape.beams],
        }
    }

    /// Makes room for a new entry of `beam` at `position`, the next of its sequence.
    pub fn append(&mut self, beam: usize, position: usize, pool: &mut PagePool) {
        assert_eq!(self.ancestry[beam].len(), position, "positions are filled in order");
        self.ancestry[beam].push(beam as u16);
        if self.pages.len() * PAGE_LEN <= position {
            let page = pool.free.pop().unwrap_or_else(|| Page::new(self.shape.len()));
            self.pages.push(page);
        }
    }

    /// Hypothesis `i` continues what was hypothesis `parents[i]`.
    pub fn reorder(&mut self, parents: &[usize]) {
        for (i, &parent) in parents.iter().enumerate() {
            self.spare[i].clone_from(&self.ancestry[parent]);
        }
        for i in 0..parents.len() {
            std::mem::swap(&mut self.spare[i], &mut self.ancestry[i]);
        }
    }

    /// The key of an entry; its value lies [`PageShape::value_offset`] further.
    pub fn key(&self, layer: usize, position: usize, beam: usize) -> *mut f32 {
        let s = &self.shape;
        let line = (layer * 2 * PAGE_LEN + position % PAGE_LEN) * s.beams + beam;
        // SAFETY: inside the page, whose length is that of its shape.
        unsafe { self.pages[position / PAGE_LEN].ptr().add(line * s.d_model) }
    }

    /// The keys that `beam` sees at positions `0..len`.
    pub fn keys<'a>(
        &'a self,
        layer: usize,
        beam: usize,
        len: usize,
    ) -> impl Iterator<Item = *const f32> + 'a {
        self.ancestry[beam][..len]
            .iter()
            .enumerate()
            .map(move |(t, &writer)| self.key(layer, t, usize::from(writer)).cast_const())
    }

    pub fn release(self, pool: &mut PagePool) {
        pool.free.extend(self.pages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypotheses_see_what_their_ancestors_wrote() {
        let shape = PageShape { layers: 2, beams: 3, d_model: 2 };
        let mut pool = PagePool::default();
        let mut c = SentenceCache::new(SourceMemory::new(1, 2, 2), shape);
        let write = |c: &SentenceCache, t: usize, b: usize, v: f32| {
            for layer in 0..2 {
                // SAFETY: a key holds two values here.
                unsafe { *c.key(layer, t, b) = v + layer as f32 * 100.0 };
            }
        };
        let seen = |c: &SentenceCache, layer: usize, b: usize, len: usize| -> Vec<f32> {
            // SAFETY: as above.
            c.keys(layer, b, len).map(|p| unsafe { *p }).collect()
        };
        c.append(0, 0, &mut pool);
        write(&c, 0, 0, 1.0);
        c.reorder(&[0, 0, 0]);
        for t in 1..40 {
            for b in 0..3 {
                c.append(b, t, &mut pool);
                write(&c, t, b, (t * 10 + b) as f32);
            }
            // 0 goes on as it is, 1 follows 2, 2 follows 0.
            c.reorder(&[0, 2, 0]);
        }
        let straight: Vec<f32> =
            std::iter::once(1.0).chain((1..40).map(|t| (t * 10) as f32)).collect();
        assert_eq!(seen(&c, 0, 0, 40), straight);
        assert_eq!(seen(&c, 0, 2, 40), straight);
        let mut other = straight.clone();
        other[39] = 392.0;
        assert_eq!(seen(&c, 0, 1, 40), other);
        assert_eq!(seen(&c, 1, 1, 1), [101.0]);
        c.release(&mut pool);
        assert_eq!(pool.free.len(), 3);
    }
}
