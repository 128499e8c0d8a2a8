//! Sentences that come as words: each word is encoded by itself, so that its pieces are known.

use rayon::prelude::*;

use super::tokenizer::TextTokenizer;
use crate::error::Result;

/// A sentence of words as the model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedWords {
    /// `[mark, pieces of the first word..., pieces of the second..., eos]`.
    pub ids: Vec<u32>,
    /// `[words + 1]`: where each word's pieces begin in `ids`, and where the last one's end.
    starts: Vec<usize>,
}

impl EncodedWords {
    pub fn num_words(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where the first piece of a word stands; none for a word without pieces (of characters that
    /// the tokenizer drops).
    pub fn first_piece(&self, word: usize) -> Option<usize> {
        let (start, end) = (*self.starts.get(word)?, *self.starts.get(word + 1)?);
        (start < end).then_some(start)
    }

    /// Drops the last words until at most `max_len` ids are left, as long as there are words.
    pub fn cut(&mut self, max_len: usize) {
        if self.ids.len() <= max_len {
            return;
        }
        let Some(eos) = self.ids.pop() else { return };
        while self.starts.len() > 1 && self.starts.last().is_some_and(|end| end + 1 > max_len) {
            self.starts.pop();
        }
        self.ids.truncate(self.starts.last().copied().unwrap_or(1));
        self.ids.push(eos);
    }
}

impl TextTokenizer {
    /// A sentence of words in the layout of [`TextTokenizer::encode_source`].
    pub fn encode_words(&self, lang: &str, words: &[impl AsRef<str>]) -> Result<EncodedWords> {
        let mut ids = vec![self.languages().id_of(lang)?];
        let mut starts = Vec::with_capacity(words.len() + 1);
        starts.push(ids.len());
        for word in words {
            ids.extend(self.encode_pieces(word.as_ref())?);
            starts.push(ids.len());
        }
        ids.push(self.eos_id());
        Ok(EncodedWords { ids, starts })
    }

    /// `(language, words)` in parallel; results and the first error are in input order.
    pub fn encode_words_batch<T>(&self, items: &[(&str, &[T])]) -> Result<Vec<EncodedWords>>
    where
        T: AsRef<str> + Sync,
    {
        let results: Vec<Result<EncodedWords>> = items
            .par_iter()
            .with_min_len(16)
            .map(|(lang, words)| self.encode_words(lang, words))
            .collect();
        results.into_iter().collect()
    }

    /// What stands for a hidden piece in noised text: `<mask>` where the vocabulary has it, else
    /// the unknown piece. None when it has neither.
    pub fn mask_id(&self) -> Option<u32> {
        self.id_of_piece("<mask>").or(self.unk_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks 0 and 1, end 2, words of these pieces.
    fn encoded(pieces: &[usize]) -> EncodedWords {
        let mut ids = vec![0];
        let mut starts = vec![1];
        for (word, n) in pieces.iter().enumerate() {
            ids.extend(std::iter::repeat_n(10 + word as u32, *n));
            starts.push(ids.len());
        }
        ids.push(2);
        EncodedWords { ids, starts }
    }

    #[test]
    fn first_pieces() {
        let e = encoded(&[2, 0, 1]);
        assert_eq!((e.num_words(), &e.ids[..]), (3, &[0, 10, 10, 12, 2][..]));
        let first: Vec<_> = (0..4).map(|i| e.first_piece(i)).collect();
        assert_eq!(first, [Some(1), None, Some(3), None]);
    }

    #[test]
    fn cutting_keeps_whole_words() {
        for (max_len, ids, words) in [
            (9, &[0, 10, 10, 11, 11, 12, 2][..], 3),
            (7, &[0, 10, 10, 11, 11, 12, 2], 3),
            (6, &[0, 10, 10, 11, 11, 2], 2),
            (5, &[0, 10, 10, 2], 1),
            (4, &[0, 10, 10, 2], 1),
            (3, &[0, 2], 0),
            (2, &[0, 2], 0),
        ] {
            let mut e = encoded(&[2, 2, 1]);
            e.cut(max_len);
            assert_eq!((&e.ids[..], e.num_words()), (ids, words), "{max_len}");
        }
    }
}
