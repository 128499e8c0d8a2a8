//! BLEU (Papineni et al. 2002) as sacrebleu 2.6.0 computes it (`sacrebleu/metrics/bleu.py`).

use super::metric::Scratch;
use super::ngram::Interner;
use super::real::Real;
use super::tokenizers::{BleuTokenizer, words};
use crate::error::{Error, Result};

pub const MAX_ORDER: usize = 4;

/// Statistics of a segment: hypothesis length, closest reference length, clipped matches of each
/// order, n-grams of each order.
pub const NUM_STATS: usize = 2 + 2 * MAX_ORDER;

/// Smoothing of orders without a match (Chen and Cherry 2014).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Smoothing {
    None,
    /// Method 1: a small count instead of zero.
    Floor(f64),
    /// Method 2: added to matches and n-grams of all orders but the first.
    AddK(f64),
    /// Method 3, as mteval-v13a: halved for each order without a match.
    Exp,
}

impl Smoothing {
    pub const NAMES: [&str; 4] = ["exp", "floor", "add-k", "none"];

    /// `value` belongs to `floor` (default 0.1) and `add-k` (default 1) only.
    pub fn new(method: &str, value: Option<f64>) -> Result<Self> {
        if value.is_some_and(|v| !v.is_finite() || v < 0.0) {
            return Err(Error::usage("smoothing value is not a number of at least 0")
                .flag("--smooth-value"));
        }
        match (method, value) {
            ("floor", v) => Ok(Self::Floor(v.unwrap_or(0.1))),
            ("add-k", v) => Ok(Self::AddK(v.unwrap_or(1.0))),
            ("exp" | "none", Some(_)) => {
                Err(Error::usage(format!("smoothing `{method}` takes no value"))
                    .flag("--smooth-value")
                    .hint("only `floor` and `add-k` have one"))
            }
            ("exp", None) => Ok(Self::Exp),
            ("none", None) => Ok(Self::None),
            _ => Err(Error::usage(format!("unknown smoothing method `{method}`"))
                .flag("--smooth-method")
                .expected(format!("one of {}", Self::NAMES.join(", ")))
                .suggest(method, Self::NAMES)),
        }
    }

    /// Name and value in the crate's terms.
    fn parts(self) -> (&'static str, Option<f64>) {
        match self {
            Self::None => ("none", None),
            Self::Floor(v) => ("floor", Some(v)),
            Self::AddK(v) => ("add-k", Some(v)),
            Self::Exp => ("exp", None),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Bleu {
    pub tokenizer: BleuTokenizer,
    pub lowercase: bool,
    pub smoothing: Smoothing,
    /// Stop at the highest order that the hypotheses hold, instead of always four.
    pub effective_order: bool,
}

impl Default for Bleu {
    fn default() -> Self {
        Self {
            tokenizer: BleuTokenizer::default(),
            lowercase: false,
            smoothing: Smoothing::Exp,
            effective_order: false,
        }
    }
}

impl Bleu {
    /// Appends the [`NUM_STATS`] statistics of one segment.
    pub fn segment(&self, hyp: &str, refs: &[&str], scratch: &mut Scratch, out: &mut Vec<f64>) {
        let Scratch { tokens, tokenizer, interner, symbols, bounds, matcher, counts, .. } = scratch;
        tokens.clear();
        symbols.clear();
        bounds.clear();
        counts.clear();
        for text in refs.iter().chain([&hyp]) {
            if self.lowercase {
                self.tokenizer.tokenize(&words::lower(text), tokenizer, tokens);
            } else {
                self.tokenizer.tokenize(text, tokenizer, tokens);
            }
            bounds.push(tokens.len());
        }
        let distinct = Interner::intern(interner, tokens, symbols);
        let texts = super::metric::split(symbols, bounds);
        matcher.union(&texts, distinct, MAX_ORDER, counts);

        let (hyp, refs) = texts.split_last().map_or((0, &[][..]), |(h, r)| (h.len(), r));
        out.push(hyp as f64);
        out.push(closest_length(hyp, refs.iter().map(|r| r.len())) as f64);
        out.extend(counts.iter().map(|&c| c as f64));
        out.extend((0..MAX_ORDER).map(|n| hyp.saturating_sub(n) as f64));
    }

    /// The score in percent from summed statistics.
    pub fn score<T: Real>(&self, stats: &[T]) -> f64 {
        self.compute(stats).score
    }

    /// sacrebleu's line beside the score: precisions, brevity penalty, lengths.
    pub fn verbose(&self, stats: &[f64]) -> String {
        let Parts { score, precisions, brevity_penalty } = self.compute(stats);
        let counts = |at: usize| stats[at..at + MAX_ORDER].iter().map(|&x| x as i64).collect();
        sacrebleu_rs::BleuScore {
            score,
            counts: counts(2),
            totals: counts(2 + MAX_ORDER),
            precisions: precisions.to_vec(),
            bp: brevity_penalty,
            sys_len: stats[0] as i64,
            ref_len: stats[1] as i64,
        }
        .verbose()
    }

    /// Counts and smoothing follow `BLEU.compute_bleu`; logarithms are taken in double precision
    /// whatever the statistics came in. sacrebleu-rs has the same as `compute_bleu`, in double
    /// precision only, and with the value of add-k cut to a whole number.
    fn compute<T: Real>(&self, stats: &[T]) -> Parts {
        let (correct, total) = stats[2..].split_at(MAX_ORDER);
        let zero = T::from_f64(0.0);
        let hundred = T::from_f64(100.0);
        let mut parts = Parts {
            score: 0.0,
            precisions: [0.0; MAX_ORDER],
            brevity_penalty: brevity_penalty(stats[0].to_f64(), stats[1].to_f64()),
        };
        if correct.iter().all(|&c| c == zero) {
            return parts;
        }
        let mut effective = MAX_ORDER;
        let mut halving = 1.0;
        for n in 0..MAX_ORDER {
            let (mut correct, mut total) = (correct[n], total[n]);
            if let (Smoothing::AddK(k), 1..) = (self.smoothing, n) {
                correct = correct + T::from_f64(k);
                total = total + T::from_f64(k);
            }
            if total == zero {
                break;
            }
            if self.effective_order {
                effective = n + 1;
            }
            parts.precisions[n] = if correct != zero {
                (hundred * correct / total).to_f64()
            } else {
                match self.smoothing {
                    Smoothing::Exp => {
                        halving *= 2.0;
                        (hundred / (T::from_f64(halving) * total)).to_f64()
                    }
                    Smoothing::Floor(value) => (T::from_f64(100.0 * value) / total).to_f64(),
                    _ => 0.0,
                }
            };
        }
        // sacrebleu sums from the left and divides by the order.
        let logs: f64 = parts.precisions[..effective].iter().map(|&p| log(p)).sum();
        parts.score = parts.brevity_penalty * (logs / effective as f64).exp();
        parts
    }

    pub fn signature(&self, num_refs: i64) -> String {
        let (method, value) = self.smoothing.parts();
        let signed = sacrebleu_rs::Bleu {
            lowercase: self.lowercase,
            smooth_method: method.to_string(),
            smooth_value: value,
            max_ngram_order: MAX_ORDER,
            effective_order: self.effective_order,
            // `zh` is ours, and the crate signs what it does not know as `13a`.
            tokenize: "13a".to_string(),
            spm_model: None,
        }
        .signature(num_refs);
        signed.replace("|tok:13a|", &format!("|tok:{}|", self.tokenizer.name().signature()))
    }
}

/// A score and what it is made of, in percent but for the penalty.
struct Parts {
    score: f64,
    precisions: [f64; MAX_ORDER],
    brevity_penalty: f64,
}

/// `math.log` with sacrebleu's floor at zero (`my_log`).
fn log(x: f64) -> f64 {
    if x == 0.0 { -9_999_999_999.0 } else { x.ln() }
}

fn brevity_penalty(sys_len: f64, ref_len: f64) -> f64 {
    if sys_len >= ref_len {
        1.0
    } else if sys_len > 0.0 {
        (1.0 - ref_len / sys_len).exp()
    } else {
        0.0
    }
}

/// The reference length closest to `hyp`; of two equally close, the shorter.
fn closest_length(hyp: usize, refs: impl Iterator<Item = usize>) -> usize {
    refs.min_by_key(|&r| (hyp.abs_diff(r), r)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_reference_counts_and_ties_go_to_the_shorter() {
        assert_eq!(closest_length(5, [3, 9].into_iter()), 3);
        assert_eq!(closest_length(6, [8, 4].into_iter()), 4);
        assert_eq!(closest_length(0, [2].into_iter()), 2);
    }

    #[test]
    fn smoothing_is_checked() {
        assert_eq!(Smoothing::new("floor", None).unwrap(), Smoothing::Floor(0.1));
        assert!(Smoothing::new("exp", Some(1.0)).is_err());
        assert!(Smoothing::new("florr", None).unwrap_err().to_string().contains("`floor`"));
        assert!(Smoothing::new("add-k", Some(f64::NAN)).is_err());
    }

    #[test]
    fn by_hand() {
        // hypothesis "a b c d e" against "a b c d f": matches 4, 3, 2, 1 of 5, 4, 3, 2.
        let stats = [5.0, 5.0, 4.0, 3.0, 2.0, 1.0, 5.0, 4.0, 3.0, 2.0];
        let expected = 100.0 * (0.8f64 * 0.75 * (2.0 / 3.0) * 0.5).powf(0.25);
        assert!((Bleu::default().score(&stats) - expected).abs() < 1e-9);
        // Shorter than the reference: exp(1 - 6 / 5).
        let short = [5.0, 6.0, 4.0, 3.0, 2.0, 1.0, 5.0, 4.0, 3.0, 2.0];
        let expected = expected * (1.0f64 - 6.0 / 5.0).exp();
        assert!((Bleu::default().score(&short) - expected).abs() < 1e-9);
    }
}
