//! Tokens that must not come next: transformers' `NoRepeatNGramLogitsProcessor`,
//! `MinNewTokensLengthLogitsProcessor` and `SuppressTokensLogitsProcessor`
//! (`generation/logits_process.py`).

use super::hypothesis::{History, NodeId};
use super::options::DecodingOptions;

/// Fills `banned` for the hypothesis that ends in `last`, sorted and without repetition.
/// `start` is the decoder's start token, which counts as part of n-grams.
pub(super) fn banned_next(
    options: &DecodingOptions,
    history: &History,
    last: NodeId,
    start: u32,
    eos: u32,
    banned: &mut Vec<u32>,
) {
    banned.clear();
    banned.extend_from_slice(&options.suppress_tokens);
    let size = options.no_repeat_ngram_size;
    if size > 0 || options.min_new_tokens > 0 {
        let mut sequence = history.tokens(last);
        if sequence.len() < options.min_new_tokens {
            banned.push(eos);
        }
        sequence.insert(0, start);
        if size > 0 && sequence.len() >= size {
            let suffix = &sequence[sequence.len() + 1 - size..];
            let repeated = sequence.windows(size).filter(|w| w[..size - 1] == *suffix);
            banned.extend(repeated.map(|w| w[size - 1]));
        }
    }
    banned.sort_unstable();
    banned.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banned(options: &DecodingOptions, tokens: &[u32]) -> Vec<u32> {
        let mut history = History::default();
        let last = tokens.iter().fold(NodeId::ROOT, |p, &t| history.push(p, t, 0.0));
        let mut out = Vec::new();
        banned_next(options, &history, last, 2, 2, &mut out);
        out
    }

    #[test]
    fn n_grams_length_and_suppressed_tokens() {
        let grams = |n| DecodingOptions { no_repeat_ngram_size: n, ..Default::default() };
        // With the start token: 2 5 6 7 5 6, which a 3-gram 5 6 7 began.
        assert_eq!(banned(&grams(3), &[5, 6, 7, 5, 6]), [7]);
        assert_eq!(banned(&grams(2), &[5, 6, 7, 5]), [6]);
        assert_eq!(banned(&grams(2), &[5, 6, 5, 7, 5]), [6, 7]);
        // Single tokens: everything so far, the start token (here the end mark) included.
        assert_eq!(banned(&grams(1), &[9, 5]), [2, 5, 9]);
        assert!(banned(&grams(4), &[5]).is_empty());
        let min =
            DecodingOptions { min_new_tokens: 3, suppress_tokens: vec![8], ..Default::default() };
        assert_eq!(banned(&min, &[5, 6]), [2, 8]);
        assert_eq!(banned(&min, &[5, 6, 7]), [8]);
        assert!(banned(&DecodingOptions::default(), &[5]).is_empty());
    }
}
