//! Sentences into records and parts: what stands in dev or test stands in no training part.

use std::collections::HashSet;

use serde_json::json;

use super::languages::{ENGLISH, Language, PARTNERS, Tier};
use super::meaning::Sentence;
use super::random::Random;
use super::sampler;

/// How many sentence pairs to make.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Training pairs of a language of the high tier.
    pub high: usize,
    /// Training pairs of a language of the low tier.
    pub low: usize,
    /// Pairs of each language.
    pub dev: usize,
    /// Pairs of each language.
    pub test: usize,
}

/// JSON Lines, one string per part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corpus {
    pub train: String,
    pub dev: String,
    pub test: String,
}

/// More sentences were asked for than the grammar gives in reasonable time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// The corpus that a seed names: same seed and sizes, same bytes.
///
/// Dev and test hold the same English sentences in every language, so that directions compare.
/// Each language has training sentences of its own. Within a part no English sentence comes
/// twice for one language.
pub fn generate(seed: u64, sizes: &Sizes) -> Result<Corpus, TooMany> {
    let mut taken = Taken::default();
    let mut random = Random::named(seed, "held out");
    let held_out = taken.draw(&mut random, sizes.dev + sizes.test, PARTNERS)?;
    for sentence in &held_out {
        taken.hold_out(sentence);
    }
    let (dev, test) = held_out.split_at(sizes.dev);
    let mut corpus = Corpus { train: String::new(), dev: String::new(), test: String::new() };
    for language in PARTNERS {
        let wanted = if language.tier == Tier::High { sizes.high } else { sizes.low };
        let mut random = Random::named(seed, language.code);
        // Other languages may use the sentence too; the held-out ones stay away from all.
        let own = taken.clone().draw(&mut random, wanted, std::slice::from_ref(language))?;
        append(&mut corpus.train, language, &own);
        append(&mut corpus.dev, language, dev);
        append(&mut corpus.test, language, test);
    }
    Ok(corpus)
}

/// Texts that must not come again, in lower case.
#[derive(Clone, Default)]
struct Taken {
    english: HashSet<String>,
    /// Language code and text.
    held_out: HashSet<(&'static str, String)>,
}

impl Taken {
    /// Draws meanings whose English is new and whose other sides are not held out.
    fn draw(
        &mut self,
        random: &mut Random,
        wanted: usize,
        languages: &'static [Language],
    ) -> Result<Vec<Sentence>, TooMany> {
        let mut sentences = Vec::with_capacity(wanted);
        let mut attempts = 0;
        while sentences.len() < wanted {
            attempts += 1;
            if attempts > 1000 + wanted.saturating_mul(50) {
                return Err(TooMany);
            }
            let sentence = sampler::sentence(random);
            let english = (ENGLISH.linearize)(&sentence).to_lowercase();
            if self.english.contains(&english) {
                continue;
            }
            if languages.iter().any(|l| self.held_out.contains(&side(l, &sentence))) {
                continue;
            }
            self.english.insert(english);
            sentences.push(sentence);
        }
        Ok(sentences)
    }

    fn hold_out(&mut self, sentence: &Sentence) {
        self.held_out.extend(PARTNERS.iter().map(|l| side(l, sentence)));
    }
}

fn side(language: &Language, sentence: &Sentence) -> (&'static str, String) {
    (language.code, (language.linearize)(sentence).to_lowercase())
}

fn append(part: &mut String, language: &Language, sentences: &[Sentence]) {
    for sentence in sentences {
        let record = json!({
            "src_lang": ENGLISH.code,
            "tgt_lang": language.code,
            "src": (ENGLISH.linearize)(sentence),
            "tgt": (language.linearize)(sentence),
            "group": language.tier.name(),
            "family": language.family,
        });
        part.push_str(&record.to_string());
        part.push('\n');
    }
}
