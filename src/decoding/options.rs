//! What a search is asked to do. Names and meanings are those of transformers'
//! `GenerationConfig`.

/// When beam search ends before its length limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarlyStopping {
    /// When no running hypothesis seems able to beat the worst finished one at its present
    /// length (`false`).
    #[default]
    Heuristic,
    /// As soon as there are `beam_size` finished hypotheses (`true`).
    Full,
    /// Only when no running hypothesis can beat the worst finished one at any length (`"never"`).
    Never,
}

/// How many tokens a hypothesis may have, the language mark and the end mark included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxNewTokens {
    Fixed(usize),
    /// One and a half times the source's tokens and 50 more: ample for any pair of languages,
    /// and a hypothesis that repeats itself ends in reasonable time. At most `limit`.
    BySource {
        limit: usize,
    },
}

impl MaxNewTokens {
    /// For a source of `num_src_tokens`, marks included; never above `max_len`, the decoder's
    /// positions.
    pub fn resolve(self, num_src_tokens: usize, max_len: usize) -> usize {
        match self {
            Self::Fixed(n) => n,
            Self::BySource { limit } => (num_src_tokens + num_src_tokens / 2 + 50).min(limit),
        }
        .min(max_len)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct DecodingOptions {
    /// 1 is greedy search.
    pub beam_size: usize,
    /// Hypotheses returned of each sentence, at most `beam_size`.
    pub n_best: usize,
    /// Scores are divided by length to this power.
    pub length_penalty: f64,
    pub early_stopping: EarlyStopping,
    pub max_new_tokens: MaxNewTokens,
    /// The end mark is not allowed before.
    pub min_new_tokens: usize,
    /// No n-gram of this size occurs twice in a hypothesis; 0 allows all.
    pub no_repeat_ngram_size: usize,
    /// Tokens that are never chosen.
    pub suppress_tokens: Vec<u32>,
}

impl Default for DecodingOptions {
    fn default() -> Self {
        Self {
            beam_size: 5,
            n_best: 1,
            length_penalty: 1.0,
            early_stopping: EarlyStopping::default(),
            max_new_tokens: MaxNewTokens::BySource { limit: usize::MAX },
            min_new_tokens: 0,
            no_repeat_ngram_size: 0,
            suppress_tokens: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_limits() {
        assert_eq!(MaxNewTokens::Fixed(60).resolve(5, 256), 60);
        assert_eq!(MaxNewTokens::Fixed(300).resolve(5, 256), 256);
        assert_eq!(MaxNewTokens::BySource { limit: 200 }.resolve(10, 256), 65);
        assert_eq!(MaxNewTokens::BySource { limit: 200 }.resolve(101, 256), 200);
    }
}
