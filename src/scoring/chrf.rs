//! chrF (Popović 2015) and chrF++ (Popović 2017) as sacrebleu 2.6.0 computes them
//! (`sacrebleu/metrics/chrf.py`).

use super::metric::Scratch;
use super::ngram::Interner;
use super::real::Real;
use super::tokenizers::Tokens;
use super::tokenizers::words::{each_word, is_space, lower};

#[derive(Clone, Debug)]
pub struct Chrf {
    pub char_order: usize,
    /// 2 makes it chrF++.
    pub word_order: usize,
    /// Weight of recall against precision.
    pub beta: u32,
    pub lowercase: bool,
    /// Whether white space counts as characters.
    pub whitespace: bool,
    pub eps_smoothing: bool,
}

impl Default for Chrf {
    fn default() -> Self {
        Self {
            char_order: 6,
            word_order: 0,
            beta: 2,
            lowercase: false,
            whitespace: false,
            eps_smoothing: false,
        }
    }
}

impl Chrf {
    /// Per order: n-grams of the hypothesis, of the reference, in common. Characters first.
    pub fn num_stats(&self) -> usize {
        3 * self.order()
    }

    fn order(&self) -> usize {
        self.char_order + self.word_order
    }

    /// Appends the statistics of one segment against the reference that fits it best.
    pub fn segment(&self, hyp: &str, refs: &[&str], scratch: &mut Scratch, out: &mut Vec<f64>) {
        let Scratch { tokens, interner, symbols, bounds, matcher, counts, chars, .. } = scratch;
        let texts = refs.iter().chain([&hyp]);
        let per_ref = self.order();
        // Matches: for each reference all character orders, then all word orders.
        counts.clear();
        let mut char_lens: Vec<usize> = Vec::new();
        let mut word_lens: Vec<usize> = Vec::new();
        if self.char_order > 0 {
            symbols.clear();
            bounds.clear();
            chars.clear();
            for text in texts.clone() {
                let text = if self.lowercase { lower(text) } else { (*text).into() };
                chars.push(&text, self.whitespace, symbols);
                bounds.push(symbols.len());
            }
            let split = super::metric::split(symbols, bounds);
            char_lens.extend(split.iter().map(|t| t.len()));
            matcher.each(&split, chars.num_distinct(), self.char_order, counts);
        }
        let word_matches = counts.len();
        if self.word_order > 0 {
            symbols.clear();
            bounds.clear();
            tokens.clear();
            for text in texts {
                let text = if self.lowercase { lower(text) } else { (*text).into() };
                push_words(&text, tokens);
                bounds.push(tokens.len());
            }
            let distinct = Interner::intern(interner, tokens, symbols);
            let split = super::metric::split(symbols, bounds);
            word_lens.extend(split.iter().map(|t| t.len()));
            matcher.each(&split, distinct, self.word_order, counts);
        }

        let (char_matches, word_matches) = counts.split_at(word_matches);
        let base = out.len();
        let mut best = -1.0;
        for r in 0..refs.len() {
            let candidate = out.len();
            for (lens, matches, orders) in [
                (&char_lens, char_matches, self.char_order),
                (&word_lens, word_matches, self.word_order),
            ] {
                for n in 0..orders {
                    let grams = |len: usize| len.saturating_sub(n) as f64;
                    let num_ref = grams(lens[r]);
                    // N-grams of the hypothesis do not count where the reference has none.
                    let num_hyp = if num_ref > 0.0 { grams(lens[refs.len()]) } else { 0.0 };
                    out.extend([num_hyp, num_ref, matches[r * orders + n] as f64]);
                }
            }
            let score = self.score(&out[candidate..]);
            if score > best {
                best = score;
                out.copy_within(candidate.., base);
            }
            out.truncate(base + 3 * per_ref);
        }
    }

    /// The score in percent from summed statistics (`CHRF._compute_f_score`).
    pub fn score<T: Real>(&self, stats: &[T]) -> f64 {
        let zero = T::from_f64(0.0);
        let one = T::from_f64(1.0);
        let eps = T::from_f64(1e-16);
        let factor = T::from_f64(f64::from(self.beta) * f64::from(self.beta));
        let f_score = |precision: T, recall: T| {
            (one + factor) * precision * recall / (factor * precision + recall)
        };
        let (mut smoothed, mut precisions, mut recalls) = (zero, zero, zero);
        let mut effective = 0;
        for counts in stats.chunks_exact(3) {
            let (num_hyp, num_ref, matches) = (counts[0], counts[1], counts[2]);
            let precision = if num_hyp > zero { matches / num_hyp } else { eps };
            let recall = if num_ref > zero { matches / num_ref } else { eps };
            let denominator = factor * precision + recall;
            smoothed = smoothed + if denominator > zero { f_score(precision, recall) } else { eps };
            if num_hyp > zero && num_ref > zero {
                precisions = precisions + precision;
                recalls = recalls + recall;
                effective += 1;
            }
        }
        let hundred = T::from_f64(100.0);
        if self.eps_smoothing {
            return (hundred * smoothed / T::from_f64(self.order() as f64)).to_f64();
        }
        if effective == 0 {
            return 0.0;
        }
        let count = T::from_f64(f64::from(effective));
        let (precision, recall) = (precisions / count, recalls / count);
        if precision + recall > zero {
            (hundred * f_score(precision, recall)).to_f64()
        } else {
            0.0
        }
    }

    fn signed(&self) -> sacrebleu_rs::Chrf {
        sacrebleu_rs::Chrf {
            char_order: self.char_order,
            word_order: self.word_order,
            beta: i64::from(self.beta),
            lowercase: self.lowercase,
            whitespace: self.whitespace,
            eps_smoothing: self.eps_smoothing,
        }
    }

    /// `chrF2`, `chrF2++` and so on.
    pub fn name(&self) -> String {
        sacrebleu_rs::ChrfScore {
            score: 0.0,
            char_order: self.char_order,
            word_order: self.word_order,
            beta: i64::from(self.beta),
        }
        .name()
    }

    pub fn signature(&self, num_refs: i64) -> String {
        self.signed().signature(num_refs)
    }
}

/// Words with the punctuation at one of their ends split off: at the end, else at the start
/// (`CHRF._remove_punctuation`; `(hi)` gives `(hi` and `)`).
fn push_words(text: &str, out: &mut Tokens) {
    each_word(text, |range| {
        let word = &text[range];
        let bytes = word.as_bytes();
        let last = bytes.len() - 1;
        if last > 0 && bytes[last].is_ascii_punctuation() {
            out.push(&word[..last]);
            out.push(&word[last..]);
        } else if last > 0 && bytes[0].is_ascii_punctuation() {
            out.push(&word[..1]);
            out.push(&word[1..]);
        } else {
            out.push(word);
        }
    });
}

/// Numbers characters from 1 within one segment, so that few bits hold them.
#[derive(Debug, Default)]
pub struct CharNumbers {
    /// By code point; zero: not seen in this segment. Grown at first use to the whole of Unicode,
    /// of which the system maps only the pages touched.
    numbers: Vec<u32>,
    seen: Vec<char>,
}

impl CharNumbers {
    fn clear(&mut self) {
        for c in self.seen.drain(..) {
            self.numbers[c as usize] = 0;
        }
    }
    fn num_distinct(&self) -> u32 {
        self.seen.len() as u32
    }
    fn push(&mut self, text: &str, whitespace: bool, out: &mut Vec<u32>) {
        if self.numbers.is_empty() {
            self.numbers = vec![0; char::MAX as usize + 1];
        }
        for c in text.chars() {
            if !whitespace && is_space(c) {
                continue;
            }
            let number = &mut self.numbers[c as usize];
            if *number == 0 {
                self.seen.push(c);
                *number = self.seen.len() as u32;
            }
            out.push(*number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_leaves_one_end_of_a_word() {
        let mut out = Tokens::default();
        push_words("(hi) \"a a, . é! -", &mut out);
        assert_eq!(
            out.iter().collect::<Vec<_>>(),
            ["(hi", ")", "\"", "a", "a", ",", ".", "é", "!", "-"]
        );
    }

    #[test]
    fn by_hand() {
        // One order: 2 of 4 in the hypothesis, 2 of 3 in the reference, beta 2.
        let chrf = Chrf { char_order: 1, ..Chrf::default() };
        let (p, r) = (0.5, 2.0 / 3.0);
        let expected = 100.0 * 5.0 * p * r / (4.0 * p + r);
        assert!((chrf.score(&[4.0, 3.0, 2.0]) - expected).abs() < 1e-12);
        assert_eq!(chrf.score(&[0.0, 3.0, 0.0]), 0.0);
    }

    #[test]
    fn the_best_reference_is_taken_and_the_first_of_equals() {
        let chrf = Chrf::default();
        let mut scratch = Scratch::default();
        let mut out = vec![7.0];
        chrf.segment("abcdef", &["xyz", "abcdeg", "abcdeg"], &mut scratch, &mut out);
        assert_eq!(out.len(), 1 + chrf.num_stats());
        assert_eq!(out[..4], [7.0, 6.0, 6.0, 5.0]);
    }
}
