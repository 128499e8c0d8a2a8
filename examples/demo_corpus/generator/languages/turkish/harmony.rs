//! How Turkish suffixes take their shape from the word before them.

/// A word to which suffixes are added.
#[derive(Clone, Debug)]
pub struct Stem {
    text: String,
    /// The form before a vowel, where the last consonant softens ("kitab-") or a vowel drops
    /// ("şehr-").
    before_vowel: Option<String>,
}

impl Stem {
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), before_vowel: None }
    }

    pub fn changing(text: &str, before_vowel: &str) -> Self {
        Self { text: text.into(), before_vowel: Some(before_vowel.into()) }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds a suffix given as a pattern: `A` is a or e, `I` is ı, i, u or ü, `D` is d or t, and
    /// letters in parentheses are buffers that appear only where two vowels (or, for a buffer
    /// vowel, two consonants) would meet. "(y)I" is the accusative, "(I)m" is "my".
    pub fn with(&self, pattern: &str) -> Self {
        let suffix = shape(&self.text, pattern);
        let starts_with_vowel = suffix.chars().next().is_some_and(is_vowel);
        let base = match &self.before_vowel {
            Some(changed) if starts_with_vowel => changed,
            _ => &self.text,
        };
        Self::new(&format!("{base}{suffix}"))
    }

    /// The same after an apostrophe, for proper names.
    pub fn with_apostrophe(&self, pattern: &str) -> String {
        format!("{}'{}", self.text, shape(&self.text, pattern))
    }
}

/// The suffix alone, as `base` shapes it.
fn shape(base: &str, pattern: &str) -> String {
    let mut vowel = last_vowel(base);
    let mut previous = base.chars().last().unwrap_or_default();
    let mut suffix = String::new();
    let mut in_buffer = false;
    for symbol in pattern.chars() {
        let letter = match symbol {
            '(' | ')' => {
                in_buffer = symbol == '(';
                continue;
            }
            'A' => low(vowel),
            'I' => high(vowel),
            'D' if "fstkçşhp".contains(previous) => 't',
            'D' => 'd',
            plain => plain,
        };
        // A buffer keeps vowels apart, or consonants.
        if in_buffer && is_vowel(letter) == is_vowel(previous) {
            continue;
        }
        if is_vowel(letter) {
            vowel = letter;
        }
        previous = letter;
        suffix.push(letter);
    }
    suffix
}

pub fn is_vowel(letter: char) -> bool {
    "aeıioöuü".contains(letter)
}

pub fn last_vowel(word: &str) -> char {
    word.chars().rev().find(|c| is_vowel(*c)).unwrap_or('e')
}

fn low(vowel: char) -> char {
    if "aıou".contains(vowel) { 'a' } else { 'e' }
}

pub fn high(vowel: char) -> char {
    match vowel {
        'a' | 'ı' => 'ı',
        'o' | 'u' => 'u',
        'ö' | 'ü' => 'ü',
        _ => 'i',
    }
}
