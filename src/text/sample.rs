//! Text for tokenizer training: sentences by language, bounded in memory, and their words
//! weighted so that small languages are heard.

use std::collections::{BTreeMap, HashMap};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// Longer sentences are cut here (SentencePiece leaves out sentences above 4192 bytes).
const MAX_SENTENCE_CHARS: usize = 4096;
/// Longer runs without a space are cut, as the trainers' cost grows with word length.
const MAX_WORD_CHARS: usize = 256;
/// Fixed point of the weights: a count of one in a language of weight one.
const UNIT: f64 = 1024.0;

/// The `▁` that stands for a space in pieces.
pub(super) const SPACE: char = '\u{2581}';

/// A stream seeded from the global seed and a name.
fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(name.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

struct Reservoir {
    sentences: Vec<String>,
    num_seen: u64,
    rng: ChaCha8Rng,
}

/// Sentences by language: all of them up to a limit for each language, beyond it a uniform
/// sample (reservoir sampling, Vitter 1985, algorithm R).
pub struct CorpusSample {
    limit: usize,
    seed: u64,
    languages: BTreeMap<String, Reservoir>,
}

impl CorpusSample {
    pub fn new(seed: u64, max_sentences_per_language: usize) -> Self {
        Self { limit: max_sentences_per_language.max(1), seed, languages: BTreeMap::new() }
    }

    /// Adds one side of a record.
    pub fn add(&mut self, lang: &str, text: &str) {
        let reservoir = match self.languages.get_mut(lang) {
            Some(r) => r,
            None => {
                let rng = stream(self.seed, &format!("tokenizer sample {lang}"));
                let empty = Reservoir { sentences: Vec::new(), num_seen: 0, rng };
                self.languages.entry(lang.to_string()).or_insert(empty)
            }
        };
        reservoir.num_seen += 1;
        let slot = if reservoir.sentences.len() < self.limit {
            reservoir.sentences.push(String::new());
            reservoir.sentences.len() - 1
        } else {
            let at = reservoir.rng.random_range(0..reservoir.num_seen);
            if at >= self.limit as u64 {
                return;
            }
            at as usize
        };
        let end = text.char_indices().nth(MAX_SENTENCE_CHARS).map_or(text.len(), |(i, _)| i);
        reservoir.sentences[slot] = text[..end].to_string();
    }

    /// Sorted languages with the number of sentences seen of each.
    pub fn languages(&self) -> impl Iterator<Item = (&str, u64)> {
        self.languages.iter().map(|(l, r)| (l.as_str(), r.num_seen))
    }

    /// Share of each language after flattening: `p_l` proportional to `n_l^(1/temperature)`
    /// (Arivazhagan et al. 2019, arXiv:1907.05019, section 4.2).
    fn shares(&self, temperature: f64) -> BTreeMap<&str, f64> {
        let raised: Vec<(&str, f64)> = self
            .languages
            .iter()
            .map(|(l, r)| (l.as_str(), (r.num_seen as f64).powf(1.0 / temperature)))
            .collect();
        let total: f64 = raised.iter().map(|(_, v)| v).sum();
        raised.into_iter().map(|(l, v)| (l, v / total)).collect()
    }

    /// Words as the tokenizer will see them (`▁` in front), sorted. Weighting counts exactly
    /// replaces drawing sentences with replacement: the same expectation without its noise.
    pub(super) fn words(
        &self,
        temperature: f64,
        normalize: impl Fn(&str) -> String + Sync,
    ) -> Vec<Word> {
        use rayon::prelude::*;
        let shares = self.shares(temperature);
        let total: usize = self.languages.values().map(|r| r.sentences.len()).sum();
        let mut words: HashMap<String, (u64, u64)> = HashMap::new();
        for (lang, reservoir) in &self.languages {
            let weight = shares[lang.as_str()] * total as f64 / reservoir.sentences.len() as f64;
            let weight = (weight * UNIT).round().max(1.0) as u64;
            for block in reservoir.sentences.chunks(1 << 14) {
                let split: Vec<Vec<String>> =
                    block.par_iter().map(|s| split_words(&normalize(s))).collect();
                for word in split.into_iter().flatten() {
                    let entry = words.entry(word).or_default();
                    entry.0 += weight;
                    entry.1 += 1;
                }
            }
        }
        let mut words: Vec<Word> =
            words.into_iter().map(|(text, (weight, count))| Word { text, weight, count }).collect();
        words.sort_unstable_by(|a, b| a.text.cmp(&b.text));
        words
    }
}

/// A distinct word of the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    /// Occurrences weighted by language, in 1/1024.
    pub weight: u64,
    /// Occurrences in the sample.
    pub count: u64,
}

/// What the Metaspace pre-tokenizer with `prepend_scheme: always` makes of a normalized text.
fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut length = 0;
    if !text.is_empty() && !text.starts_with([' ', SPACE]) {
        word.push(SPACE);
        length = 1;
    }
    for c in text.chars() {
        let c = if c == ' ' { SPACE } else { c };
        if (c == SPACE || length == MAX_WORD_CHARS) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
            length = 0;
        }
        word.push(c);
        length += 1;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_pre_tokenizer() {
        use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
        use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};
        for text in ["", "a", "Hallo, Welt", " x  y ", "\u{2581}a b", "\u{2581}", "ab\u{2581}c  "] {
            let mut p = PreTokenizedString::from(text);
            Metaspace::new(SPACE, PrependScheme::Always, true).pre_tokenize(&mut p).unwrap();
            let expected: Vec<String> = p
                .get_splits(OffsetReferential::Normalized, OffsetType::Byte)
                .into_iter()
                .map(|(s, _, _)| s.to_string())
                .filter(|s| !s.is_empty())
                .collect();
            assert_eq!(split_words(text), expected, "{text:?}");
        }
        assert_eq!(split_words(&"x".repeat(1000)).len(), 4);
    }

    #[test]
    fn weights_follow_the_temperature() {
        let mut sample = CorpusSample::new(1, 1000);
        for _ in 0..32 {
            sample.add("big", "b");
        }
        sample.add("small", "s");
        // n = 32 and 1: shares 2/3 and 1/3 at T = 5, as 32^(1/5) = 2.
        let words = sample.words(5.0, str::to_string);
        let weight = |w: &str| words.iter().find(|x| x.text == w).unwrap().weight as f64 / UNIT;
        assert!((weight("\u{2581}b") - 22.0).abs() < 0.05, "{}", weight("\u{2581}b"));
        assert!((weight("\u{2581}s") - 11.0).abs() < 0.01);
        let words = sample.words(1.0, str::to_string);
        assert_eq!(words[1].weight, UNIT as u64);
    }

    #[test]
    fn a_full_reservoir_keeps_a_seeded_uniform_sample() {
        let fill = |seed| {
            let mut s = CorpusSample::new(seed, 100);
            (0..10_000).for_each(|i| s.add("de", &i.to_string()));
            assert_eq!(s.languages().collect::<Vec<_>>(), [("de", 10_000)]);
            s.languages.remove("de").unwrap().sentences
        };
        let (a, b) = (fill(1), fill(2));
        assert_eq!(a.len(), 100);
        assert_eq!(a, fill(1));
        assert_ne!(a, b);
        // Mean of a uniform sample of 100 from 0..10000: 5000, standard error 289.
        let mean = a.iter().map(|s| s.parse::<f64>().unwrap()).sum::<f64>() / 100.0;
        assert!((mean - 5000.0).abs() < 1200.0, "{mean}");
    }
}
