//! Words as Python's `str.split()` sees them, and the buffer all tokenizers write to.
//!
//! Python counts U+001C to U+001F as white space, Rust does not; every other character agrees
//! (CPython `Objects/unicodetype_db.h`, `_PyUnicode_IsWhitespace`). sacrebleu splits with
//! Python's rule everywhere, so a stray file separator would otherwise change a score.

use std::ops::Range;

/// Whether Python's `str.isspace`, `split` and `rstrip` treat `c` as white space.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Python's `str.rstrip()`.
pub fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// Python's `str.strip()`.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Python's `str.lower()`; the copy is skipped where it would change nothing.
pub fn lower(text: &str) -> std::borrow::Cow<'_, str> {
    if text.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        text.into()
    } else {
        text.to_lowercase().into()
    }
}

/// Tokens of one or several texts: ranges into one string, so that a worker allocates nothing
/// per segment once its buffers have grown.
#[derive(Debug, Default)]
pub struct Tokens {
    text: String,
    spans: Vec<Range<usize>>,
}

impl Tokens {
    pub fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
    }
    pub fn len(&self) -> usize {
        self.spans.len()
    }
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
    pub fn bytes(&self, index: usize) -> &[u8] {
        &self.text.as_bytes()[self.spans[index].clone()]
    }
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.spans.iter().map(|s| &self.text[s.clone()])
    }

    /// Appends `text` without any token; returns where it begins. Spans into it follow with
    /// [`Tokens::push_span`].
    pub(super) fn push_text(&mut self, text: &str) -> usize {
        let base = self.text.len();
        self.text.push_str(text);
        base
    }
    pub(super) fn push_span(&mut self, span: Range<usize>) {
        debug_assert!(span.start < span.end && span.end <= self.text.len());
        self.spans.push(span);
    }

    /// One token; must not be empty.
    pub fn push(&mut self, token: &str) {
        let base = self.push_text(token);
        self.push_span(base..base + token.len());
    }

    /// The words of `text`, split at white space.
    pub fn push_words(&mut self, text: &str) {
        let base = self.push_text(text);
        each_word(text, |word| self.spans.push(base + word.start..base + word.end));
    }

    /// The words of a sequence of characters.
    pub(super) fn push_char_words(&mut self, chars: &[char]) {
        let mut start = self.text.len();
        for &c in chars {
            if is_space(c) {
                if self.text.len() > start {
                    self.spans.push(start..self.text.len());
                }
                start = self.text.len();
            } else {
                self.text.push(c);
            }
        }
        if self.text.len() > start {
            self.spans.push(start..self.text.len());
        }
    }
}

/// Calls `f` with the byte range of each word of `text`.
pub fn each_word(text: &str, mut f: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let (mut i, mut start) = (0, 0);
    while i < bytes.len() {
        let (space, len) = space_at(text, i);
        if space {
            if i > start {
                f(start..i);
            }
            start = i + len;
        }
        i += len;
    }
    if bytes.len() > start {
        f(start..bytes.len());
    }
}

/// Whether a white-space character begins at byte `i` of `text`, and the character's length.
pub(super) fn space_at(text: &str, i: usize) -> (bool, usize) {
    let byte = text.as_bytes()[i];
    if byte < 0x80 {
        return (is_ascii_space(byte), 1);
    }
    let len = match byte {
        0xF0.. => 4,
        0xE0.. => 3,
        _ => 2,
    };
    // All non-ASCII white space begins with one of these four bytes.
    let space = matches!(byte, 0xC2 | 0xE1 | 0xE2 | 0xE3)
        && text[i..].chars().next().is_some_and(char::is_whitespace);
    (space, len)
}

fn is_ascii_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | 0x1c..=b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_pythons() {
        // `[hex(i) for i in range(0x110000) if chr(i).isspace()]` in Python 3.11.
        let python: Vec<u32> = (0x9..=0xD)
            .chain(0x1C..=0x20)
            .chain([0x85, 0xA0, 0x1680])
            .chain(0x2000..=0x200A)
            .chain([0x2028, 0x2029, 0x202F, 0x205F, 0x3000])
            .collect();
        let ours: Vec<u32> =
            (0..=0x10FFFF).filter(|&c| char::from_u32(c).is_some_and(is_space)).collect();
        assert_eq!(ours, python);
        for c in (0..=0x10FFFF).filter_map(char::from_u32) {
            let text = c.to_string();
            assert_eq!(space_at(&text, 0), (is_space(c), text.len()), "{c:?}");
        }
    }

    #[test]
    fn words_and_characters_split_alike() {
        let text = "\u{1f} a\u{2003}bc\u{a0}\u{85}d é\u{1680}\u{3000}漢 ";
        let mut words = Tokens::default();
        words.push_words(text);
        let expected: Vec<&str> = text.split(is_space).filter(|w| !w.is_empty()).collect();
        assert_eq!(words.iter().collect::<Vec<_>>(), expected);
        let mut from_chars = Tokens::default();
        from_chars.push_char_words(&text.chars().collect::<Vec<_>>());
        assert_eq!(from_chars.iter().collect::<Vec<_>>(), expected);
    }
}
