//! One door to the three metrics: statistics of a segment, score of a sum of statistics, name,
//! signature.
//!
//! sacrebleu-rs keeps the statistics of a segment to itself; without them there is no sum by
//! direction, no resampling and no streaming. They are computed here, equal to the crate's (the
//! crate is the reference of the tests, and signs the scores).

use super::bleu::{self, Bleu};
use super::chrf::{CharNumbers, Chrf};
use super::ngram::{Interner, Matcher};
use super::real::Real;
use super::ter::{self, Shifts, Ter};
use super::tokenizers::{Scratch as TokenizerScratch, Tokens};

#[derive(Clone, Debug)]
pub enum Metric {
    Bleu(Bleu),
    Chrf(Chrf),
    Ter(Ter),
}

/// Buffers of one worker.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(super) tokens: Tokens,
    pub(super) tokenizer: TokenizerScratch,
    pub(super) interner: Interner,
    pub(super) symbols: Vec<u32>,
    /// Where each text of a segment ends in `symbols`.
    pub(super) bounds: Vec<usize>,
    pub(super) matcher: Matcher,
    pub(super) counts: Vec<u64>,
    pub(super) chars: CharNumbers,
    pub(super) ter: Shifts,
}

/// The texts of a segment: `symbols` cut at `bounds`.
pub(super) fn split<'a>(symbols: &'a [u32], bounds: &[usize]) -> Vec<&'a [u32]> {
    let mut start = 0;
    bounds
        .iter()
        .map(|&end| {
            let text = &symbols[start..end];
            start = end;
            text
        })
        .collect()
}

impl Metric {
    /// As sacrebleu prints it: `BLEU`, `chrF2`, `chrF2++`, `TER`.
    pub fn name(&self) -> String {
        match self {
            Self::Bleu(_) => "BLEU".into(),
            Self::Chrf(m) => m.name(),
            Self::Ter(_) => "TER".into(),
        }
    }

    pub fn higher_is_better(&self) -> bool {
        !matches!(self, Self::Ter(_))
    }

    /// How many numbers describe a segment. Their sum over segments describes a corpus.
    pub fn num_stats(&self) -> usize {
        match self {
            Self::Bleu(_) => bleu::NUM_STATS,
            Self::Chrf(m) => m.num_stats(),
            Self::Ter(_) => ter::NUM_STATS,
        }
    }

    /// Appends the statistics of one segment. `refs` holds at least one text.
    pub fn segment(&self, hyp: &str, refs: &[&str], scratch: &mut Scratch, out: &mut Vec<f64>) {
        debug_assert!(!refs.is_empty());
        match self {
            Self::Bleu(m) => m.segment(hyp, refs, scratch, out),
            Self::Chrf(m) => m.segment(hyp, refs, scratch, out),
            Self::Ter(m) => m.segment(hyp, refs, scratch, out),
        }
    }

    /// The score in percent of summed statistics.
    pub fn score<T: Real>(&self, stats: &[T]) -> f64 {
        match self {
            Self::Bleu(m) => m.score(stats),
            Self::Chrf(m) => m.score(stats),
            Self::Ter(m) => m.score(stats),
        }
    }

    /// Whether numpy holds this metric's bootstrap scores as 32-bit floats. BLEU's are doubles
    /// again after the logarithm.
    pub(super) fn samples_are_single(&self) -> bool {
        !matches!(self, Self::Bleu(_))
    }

    /// The score of a bootstrap sample, and whether it is such a 32-bit float: where nothing can
    /// be divided, sacrebleu returns a Python number.
    pub(super) fn sample(&self, stats: &[f32]) -> (f64, bool) {
        let score = self.score(stats);
        let single = match self {
            Self::Bleu(_) => false,
            Self::Chrf(_) => score > 0.0,
            Self::Ter(_) => stats[1] > 0.0,
        };
        (score, single)
    }

    /// What sacrebleu prints behind a BLEU score.
    pub fn verbose(&self, stats: &[f64]) -> Option<String> {
        match self {
            Self::Bleu(m) => Some(m.verbose(stats)),
            _ => None,
        }
    }

    /// sacrebleu's signature without resampling; see [`super::signature`].
    pub(super) fn base_signature(&self, num_refs: i64) -> String {
        match self {
            Self::Bleu(m) => m.signature(num_refs),
            Self::Chrf(m) => m.signature(num_refs),
            Self::Ter(m) => m.signature(num_refs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bleu::Smoothing;
    use super::super::tokenizers::{BleuTokenizer, Tercom, TokenizerName, words};
    use super::*;
    use proptest::prelude::*;

    fn total(metric: &Metric, hyps: &[String], refs: &[Vec<String>]) -> Vec<f64> {
        let mut scratch = Scratch::default();
        let mut sums = vec![0.0; metric.num_stats()];
        let mut stats = Vec::new();
        for (i, hyp) in hyps.iter().enumerate() {
            let refs: Vec<&str> = refs.iter().map(|r| r[i].as_str()).collect();
            stats.clear();
            metric.segment(hyp, &refs, &mut scratch, &mut stats);
            sums.iter_mut().zip(&stats).for_each(|(s, x)| *s += x);
        }
        sums
    }

    /// The crate splits at Rust's white space: see `tokenizers::words`.
    fn plain(texts: &[String]) -> Vec<String> {
        texts.iter().map(|t| t.replace(|c| words::is_space(c) && c < ' ', " ")).collect()
    }

    fn segments() -> impl Strategy<Value = (Vec<String>, Vec<Vec<String>>)> {
        // Few different words, so that n-grams repeat and shifts are found.
        let word = "[ab]|a,|b\\.|ab|3\\.5|1-a|É|漢|字|&lt;|\u{3000}|\\PC";
        let text = move || prop::collection::vec(word, 0..25).prop_map(|w| w.join(" "));
        (1usize..4, 1usize..4).prop_flat_map(move |(n, r)| {
            (
                prop::collection::vec(text(), n),
                prop::collection::vec(prop::collection::vec(text(), n), r),
            )
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn bleu_equals_the_crate((hyps, refs) in segments(), lowercase: bool, effective: bool) {
            let (hyps, refs) = (plain(&hyps), refs.iter().map(|r| plain(r)).collect::<Vec<_>>());
            for (name, tokenize) in [
                (TokenizerName::Mteval13a, "13a"),
                (TokenizerName::Intl, "intl"),
                (TokenizerName::Char, "char"),
                (TokenizerName::None, "none"),
            ] {
                for (smoothing, smooth_method, smooth_value) in [
                    (Smoothing::Exp, "exp", None),
                    (Smoothing::None, "none", None),
                    (Smoothing::Floor(0.2), "floor", Some(0.2)),
                    (Smoothing::AddK(2.0), "add-k", Some(2.0)),
                ] {
                    let ours = Bleu {
                        tokenizer: BleuTokenizer::new(name, None).unwrap(),
                        lowercase,
                        smoothing,
                        effective_order: effective,
                    };
                    let theirs = sacrebleu_rs::Bleu {
                        lowercase,
                        smooth_method: smooth_method.into(),
                        smooth_value,
                        effective_order: effective,
                        tokenize: tokenize.into(),
                        ..Default::default()
                    };
                    prop_assert_eq!(ours.signature(2), theirs.signature(2));
                    let metric = Metric::Bleu(ours);
                    let stats = total(&metric, &hyps, &refs);
                    let expected = theirs.corpus_score(&hyps, &refs);
                    prop_assert_eq!(stats[0] as i64, expected.sys_len);
                    prop_assert_eq!(stats[1] as i64, expected.ref_len);
                    prop_assert_eq!(metric.score(&stats).to_bits(), expected.score.to_bits());
                    prop_assert_eq!(metric.verbose(&stats), Some(expected.verbose()));
                }
            }
        }

        #[test]
        fn chrf_equals_the_crate(
            (hyps, refs) in segments(),
            char_order in 1usize..10,
            word_order in 0usize..4,
            beta in 1u32..4,
            flags: (bool, bool, bool),
        ) {
            let (hyps, refs) = (plain(&hyps), refs.iter().map(|r| plain(r)).collect::<Vec<_>>());
            let (lowercase, whitespace, eps_smoothing) = flags;
            let ours =
                Chrf { char_order, word_order, beta, lowercase, whitespace, eps_smoothing };
            let theirs = sacrebleu_rs::Chrf {
                char_order, word_order, beta: i64::from(beta), lowercase, whitespace, eps_smoothing,
            };
            let metric = Metric::Chrf(ours);
            let expected = theirs.corpus_score(&hyps, &refs);
            prop_assert_eq!(metric.name(), expected.name());
            let score = metric.score(&total(&metric, &hyps, &refs));
            prop_assert_eq!(score.to_bits(), expected.score.to_bits());
        }

        #[test]
        fn ter_equals_the_crate((hyps, refs) in segments(), flags: (bool, bool, bool)) {
            let (hyps, refs) = (plain(&hyps), refs.iter().map(|r| plain(r)).collect::<Vec<_>>());
            let (normalized, no_punct, case_sensitive) = flags;
            let ours = Ter {
                tokenizer: Tercom { normalized, no_punct, case_sensitive, asian_support: false },
            };
            let theirs = sacrebleu_rs::Ter { normalized, no_punct, case_sensitive };
            prop_assert_eq!(ours.signature(1), theirs.signature(1));
            let metric = Metric::Ter(ours);
            let stats = total(&metric, &hyps, &refs);
            let expected = theirs.corpus_score(&hyps, &refs);
            prop_assert_eq!(stats[0] as i64, expected.num_edits);
            prop_assert_eq!(metric.score(&stats).to_bits(), expected.score.to_bits());
        }
    }
}
