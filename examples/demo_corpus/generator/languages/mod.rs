//! One folder per language: `lexicon.rs` holds its words, `mod.rs` its grammar.

mod english;
mod german;
mod japanese;
mod portuguese;
mod romance;
mod russian;
mod spanish;
mod turkish;

use super::meaning::Sentence;

/// How a sentence of this language is made.
pub struct Language {
    /// ISO 639-1.
    pub code: &'static str,
    pub family: &'static str,
    /// Portuguese is kept small on purpose: what it has beyond its few sentences must come from
    /// Spanish.
    pub tier: Tier,
    pub linearize: fn(&Sentence) -> String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    High,
    Low,
}

impl Tier {
    pub fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Low => "low",
        }
    }
}

pub const ENGLISH: Language =
    Language { code: "en", family: "Germanic", tier: Tier::High, linearize: english::linearize };

/// The languages paired with English.
pub const PARTNERS: &[Language] = &[
    Language { code: "de", family: "Germanic", tier: Tier::High, linearize: german::linearize },
    Language { code: "es", family: "Romance", tier: Tier::High, linearize: spanish::linearize },
    Language { code: "ja", family: "Japonic", tier: Tier::High, linearize: japanese::linearize },
    Language { code: "pt", family: "Romance", tier: Tier::Low, linearize: portuguese::linearize },
    Language { code: "ru", family: "Slavic", tier: Tier::High, linearize: russian::linearize },
    Language { code: "tr", family: "Turkic", tier: Tier::High, linearize: turkish::linearize },
];

/// Words of a sentence in their order; empty ones vanish, so that a rule may say "nothing here".
#[derive(Clone, Debug, Default)]
struct Words(Vec<String>);

impl Words {
    fn push(&mut self, word: impl Into<String>) {
        let word = word.into();
        if !word.is_empty() {
            self.0.push(word);
        }
    }

    fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// With spaces between words and none before a comma, not yet capitalised.
    fn spaced(&self) -> String {
        self.0.join(" ").replace(" ,", ",")
    }
}

impl<S: Into<String>> FromIterator<S> for Words {
    fn from_iter<I: IntoIterator<Item = S>>(items: I) -> Self {
        let mut words = Self::default();
        items.into_iter().for_each(|w| words.push(w));
        words
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}
