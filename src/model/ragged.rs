//! Sentences of different lengths without padding.

use std::sync::Arc;

/// Token ids of several sentences, one after another. Sentence `s` is
/// `ids[offsets[s]..offsets[s + 1]]`. Because nothing is padded, no result of the kernels of the CPU can
/// depend on what a sentence was batched with.
#[derive(Clone, Debug, PartialEq)]
pub struct Ragged {
    pub ids: Arc<[u32]>,
    /// `[sentences + 1]`, rising from 0.
    pub offsets: Arc<[usize]>,
}

impl Ragged {
    pub fn new<'a>(sentences: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut ids = Vec::new();
        let mut offsets = vec![0];
        for s in sentences {
            ids.extend_from_slice(s);
            offsets.push(ids.len());
        }
        Self { ids: ids.into(), offsets: offsets.into() }
    }
    pub fn num_sentences(&self) -> usize {
        self.offsets.len() - 1
    }
    pub fn num_tokens(&self) -> usize {
        self.ids.len()
    }
    pub fn sentence(&self, i: usize) -> &[u32] {
        &self.ids[self.offsets[i]..self.offsets[i + 1]]
    }
    pub fn sentences(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.num_sentences()).map(|i| self.sentence(i))
    }
    pub fn max_len(&self) -> usize {
        self.sentences().map(<[u32]>::len).max().unwrap_or(0)
    }
    /// Teacher forcing: every sentence begins with `start` and loses its last token.
    pub fn shifted_right(&self, start: u32) -> Self {
        let mut ids = Vec::with_capacity(self.ids.len());
        for s in self.sentences() {
            if let Some((_, front)) = s.split_last() {
                ids.push(start);
                ids.extend_from_slice(front);
            }
        }
        Self { ids: ids.into(), offsets: self.offsets.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifting() {
        let r = Ragged::new([&[5, 6, 2][..], &[][..], &[7, 2][..]]);
        let s = r.shifted_right(9);
        assert_eq!(&*s.ids, [9, 5, 6, 9, 7]);
        assert_eq!(s.offsets, r.offsets);
        assert_eq!((r.num_sentences(), r.num_tokens(), r.max_len()), (3, 5, 3));
    }
}
