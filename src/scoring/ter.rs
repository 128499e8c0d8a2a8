//! TER (Snover et al. 2006) as sacrebleu 2.6.0 computes it (`sacrebleu/metrics/ter.py`,
//! `lib_ter.py`, after Tercom).

use super::edit_distance::{EditMatrix, Op, shift_stretch};
use super::metric::Scratch;
use super::ngram::Interner;
use super::real::Real;
use super::tokenizers::Tercom;

/// Statistics of a segment: fewest edits over the references, average reference length.
pub const NUM_STATS: usize = 2;

const MAX_SHIFT_SIZE: usize = 10;
const MAX_SHIFT_DISTANCE: usize = 50;
/// The search for shifts ends when this many were tried in one segment.
const MAX_SHIFT_CANDIDATES: usize = 1000;

#[derive(Clone, Debug, Default)]
pub struct Ter {
    pub tokenizer: Tercom,
}

impl Ter {
    /// Appends the [`NUM_STATS`] statistics of one segment.
    pub fn segment(&self, hyp: &str, refs: &[&str], scratch: &mut Scratch, out: &mut Vec<f64>) {
        let Scratch { tokens, interner, symbols, bounds, ter, .. } = scratch;
        tokens.clear();
        symbols.clear();
        bounds.clear();
        for text in refs {
            self.tokenizer.tokenize_reference(text, tokens);
            bounds.push(tokens.len());
        }
        self.tokenizer.tokenize(hyp, tokens);
        bounds.push(tokens.len());
        Interner::intern(interner, tokens, symbols);
        let texts = super::metric::split(symbols, bounds);
        let Some((hyp, refs)) = texts.split_last() else { return };
        let edits = refs.iter().map(|r| ter.num_edits(hyp, r)).min().unwrap_or(0);
        let length: usize = refs.iter().map(|r| r.len()).sum();
        out.push(edits as f64);
        out.push(length as f64 / refs.len() as f64);
    }

    /// The score in percent from summed statistics.
    pub fn score<T: Real>(&self, stats: &[T]) -> f64 {
        let zero = T::from_f64(0.0);
        let (edits, length) = (stats[0], stats[1]);
        if length > zero {
            (T::from_f64(100.0) * (edits / length)).to_f64()
        } else if edits > zero {
            100.0
        } else {
            0.0
        }
    }

    pub fn signature(&self, num_refs: i64) -> String {
        let signed = sacrebleu_rs::Ter {
            normalized: self.tokenizer.normalized,
            no_punct: self.tokenizer.no_punct,
            case_sensitive: self.tokenizer.case_sensitive,
        }
        .signature(num_refs);
        // The crate has no Asian support; ours is in `tokenizers::tercom`.
        if self.tokenizer.asian_support {
            signed.replace("|asian:no|", "|asian:yes|")
        } else {
            signed
        }
    }
}

/// Buffers kept between segments.
#[derive(Debug, Default)]
pub struct Shifts {
    matrix: EditMatrix,
    words: Vec<u32>,
    stretch: Vec<u32>,
    /// Position in the hypothesis that each word of the reference is aligned to; -1 before the
    /// first.
    align: Vec<i64>,
    /// Errors before each position: differences give the errors of a stretch.
    hyp_errors: Vec<u32>,
    ref_errors: Vec<u32>,
}

/// A shift of the hypothesis: how many words from where to where, and by how much it lowers the
/// edit distance.
#[derive(Clone, Copy, Debug)]
struct Shift {
    gain: i64,
    length: usize,
    start: usize,
    target: usize,
}

impl Shift {
    /// Tercom's ranking: gain, then length, then the earliest start, then the earliest target.
    fn rank(&self) -> (i64, usize, std::cmp::Reverse<usize>, std::cmp::Reverse<usize>) {
        use std::cmp::Reverse;
        (self.gain, self.length, Reverse(self.start), Reverse(self.target))
    }
}

impl Shifts {
    /// Shifts plus remaining edits, by greedy search.
    fn num_edits(&mut self, hyp: &[u32], reference: &[u32]) -> u64 {
        if reference.is_empty() {
            return hyp.len() as u64;
        }
        if hyp == reference {
            return 0;
        }
        self.words.clear();
        self.words.extend_from_slice(hyp);
        let mut num_shifts = 0;
        let mut candidates = 0;
        loop {
            let distance = self.matrix.fill(&self.words, reference);
            let best = self.best_shift(reference, distance, &mut candidates);
            match best {
                Some(shift) if shift.gain > 0 && candidates < MAX_SHIFT_CANDIDATES => {
                    num_shifts += 1;
                    let Shift { start, length, target, .. } = shift;
                    let first =
                        shift_stretch(&self.words, start, length, target, &mut self.stretch);
                    self.words[first..first + self.stretch.len()].copy_from_slice(&self.stretch);
                }
                _ => return num_shifts + u64::from(distance),
            }
        }
    }

    fn best_shift(
        &mut self,
        reference: &[u32],
        distance: u32,
        candidates: &mut usize,
    ) -> Option<Shift> {
        self.align_words(reference.len());
        let (num_hyp, num_ref) = (self.words.len(), reference.len());
        let mut best: Option<Shift> = None;
        for start in 0..num_hyp {
            let nearest = start.saturating_sub(MAX_SHIFT_DISTANCE);
            for ref_start in nearest..num_ref.min(start + MAX_SHIFT_DISTANCE + 1) {
                let longest = MAX_SHIFT_SIZE.min(num_hyp - start).min(num_ref - ref_start);
                for length in 1..=longest {
                    if self.words[start + length - 1] != reference[ref_start + length - 1] {
                        break;
                    }
                    // Both sides must be wrong somewhere, or there is nothing to mend.
                    if self.hyp_errors[start + length] == self.hyp_errors[start]
                        || self.ref_errors[ref_start + length] == self.ref_errors[ref_start]
                    {
                        continue;
                    }
                    let here = self.align[ref_start];
                    if (start as i64..(start + length) as i64).contains(&here) {
                        continue;
                    }
                    self.try_targets(
                        reference, distance, start, ref_start, length, candidates, &mut best,
                    );
                    if *candidates >= MAX_SHIFT_CANDIDATES {
                        return best;
                    }
                }
            }
        }
        best
    }

    /// Targets next to the words that the stretch is aligned with in the reference.
    #[allow(clippy::too_many_arguments)]
    fn try_targets(
        &mut self,
        reference: &[u32],
        distance: u32,
        start: usize,
        ref_start: usize,
        length: usize,
        candidates: &mut usize,
        best: &mut Option<Shift>,
    ) {
        let mut previous = None;
        for offset in 0..=length {
            let target = match (ref_start + offset).checked_sub(1) {
                None => 0,
                Some(position) => (self.align[position] + 1) as usize,
            };
            if previous == Some(target) {
                continue;
            }
            previous = Some(target);
            let shifted = self.matrix.shifted(&self.words, reference, start, length, target);
            let gain = i64::from(distance) - i64::from(shifted);
            let shift = Shift { gain, length, start, target };
            *candidates += 1;
            if best.is_none_or(|b| shift.rank() > b.rank()) {
                *best = Some(shift);
            }
        }
    }

    /// Alignment and errors from the operations of the matrix.
    fn align_words(&mut self, num_ref: usize) {
        let num_hyp = self.words.len();
        self.align.clear();
        self.align.resize(num_ref, -1);
        self.hyp_errors.clear();
        self.hyp_errors.resize(num_hyp + 1, 0);
        self.ref_errors.clear();
        self.ref_errors.resize(num_ref + 1, 0);
        let (mut h, mut r) = (num_hyp, num_ref);
        let (align, hyp_errors, ref_errors) =
            (&mut self.align, &mut self.hyp_errors, &mut self.ref_errors);
        self.matrix.trace_back(|op| {
            let error = u32::from(op != Op::Keep);
            if op != Op::Delete {
                align[r - 1] = h as i64 - 1;
                ref_errors[r] = error;
                r -= 1;
            }
            if op != Op::Insert {
                hyp_errors[h] = error;
                h -= 1;
            }
        });
        for errors in [hyp_errors, ref_errors] {
            let mut sum = 0;
            for e in errors.iter_mut() {
                sum += *e;
                *e = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(hyp: &str, reference: &str) -> (f64, f64) {
        let mut out = Vec::new();
        Ter::default().segment(hyp, &[reference], &mut Scratch::default(), &mut out);
        (out[0], out[1])
    }

    #[test]
    fn a_shift_counts_once() {
        assert_eq!(edits("a b c d", "a b c d"), (0.0, 4.0));
        assert_eq!(edits("c d a b", "a b c d"), (1.0, 4.0));
        assert_eq!(edits("b a d c", "a b c d"), (2.0, 4.0));
        assert_eq!(edits("", "a b"), (2.0, 2.0));
        assert_eq!(edits("a b", ""), (2.0, 0.0));
        assert_eq!(edits("", ""), (0.0, 0.0));
    }

    #[test]
    fn the_closest_reference_and_the_average_length() {
        let mut out = Vec::new();
        let refs = ["a b c x", "a b", "a b c d e f"];
        Ter::default().segment("a b c d", &refs, &mut Scratch::default(), &mut out);
        assert_eq!(out, [1.0, 4.0]);
        let ter = Ter::default();
        assert_eq!(ter.score(&[1.0, 4.0]), 25.0);
        assert_eq!(ter.score(&[3.0, 0.0]), 100.0);
        assert_eq!(ter.score(&[0.0, 0.0]), 0.0);
    }
}
