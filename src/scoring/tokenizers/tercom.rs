//! TER's tokenization: Tercom's as in sacrebleu (`sacrebleu/tokenizers/tokenizer_ter.py`).

use std::borrow::Cow;

use super::mteval::unescape;
use super::words::{Tokens, lower, trim_end};

/// What is normalised before words are split off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tercom {
    pub normalized: bool,
    pub no_punct: bool,
    pub asian_support: bool,
    pub case_sensitive: bool,
}

impl Tercom {
    /// The words of `text`.
    pub fn tokenize(&self, text: &str, out: &mut Tokens) {
        let text = trim_end(text);
        let mut text: Cow<'_, str> = if self.case_sensitive { text.into() } else { lower(text) };
        if self.normalized {
            text = normalize_western(text).into();
            if self.asian_support {
                text = normalize_asian(&text).into();
            }
        }
        if self.no_punct {
            text.to_mut().retain(|c| !is_western_mark(c));
            if self.asian_support {
                text.to_mut().retain(|c| !is_asian_mark(c));
            }
        }
        out.push_words(&text);
    }

    /// The words of a reference. sacrebleu normalises references twice (in `_cache_references`,
    /// and again in TER's `_extract_reference_info`), and the second time splits what the first
    /// brought next to a space: `x's」` becomes `x's 」`, then `x 's 」`.
    pub fn tokenize_reference(&self, text: &str, out: &mut Tokens) {
        if !self.normalized {
            // The other settings change nothing the second time.
            return self.tokenize(text, out);
        }
        let mut once = Tokens::default();
        self.tokenize(text, &mut once);
        let joined: Vec<&str> = once.iter().collect();
        self.tokenize(&joined.join(" "), out);
    }
}

fn is_western_mark(c: char) -> bool {
    matches!(c, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')')
}

/// Asian and full-width punctuation.
fn is_asian_mark(c: char) -> bool {
    matches!(
        c,
        '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}'
            | '\u{ff61}'..='\u{ff65}' | '\u{30fb}'
            | '\u{ff0e}' | '\u{ff0c}' | '\u{ff1f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff01}'
            | '\u{ff02}' | '\u{ff08}' | '\u{ff09}'
    )
}

/// Lines joined, entities resolved, punctuation and the possessive split off.
fn normalize_western(text: Cow<'_, str>) -> String {
    let text =
        if text.contains('\n') { text.replace("\n-", "").replace('\n', " ").into() } else { text };
    let text = unescape(text);
    let mut s = String::with_capacity(text.len() * 2);
    s.push(' ');
    for c in text.chars() {
        match c {
            '!'..='&' | '('..='+' | '/' | ':'..='@' | '['..='`' | '{'..='~' => {
                s.extend([' ', c, ' '])
            }
            _ => s.push(c),
        }
    }
    s.push(' ');
    // The line ends with a space, so that the rule for `'s` at the very end never applies.
    let s = s.replace("'s ", " 's ");
    let s = pairs(&s, |a, b| (!a.is_ascii_digit() && is_point(b)).then_some(Parts::SecondAlone));
    let s = pairs(&s, |a, b| (is_point(a) && !b.is_ascii_digit()).then_some(Parts::FirstAlone));
    pairs(&s, |a, b| (a.is_ascii_digit() && b == '-').then_some(Parts::SecondAlone))
}

fn is_point(c: char) -> bool {
    c == '.' || c == ','
}

enum Parts {
    /// `\1 \2 `
    SecondAlone,
    /// ` \1 \2`
    FirstAlone,
}

/// One substitution over non-overlapping pairs of characters, from left to right.
fn pairs(text: &str, rule: impl Fn(char, char) -> Option<Parts>) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut chars = text.chars().peekable();
    while let Some(a) = chars.next() {
        match chars.peek().and_then(|&b| rule(a, b).map(|parts| (parts, b))) {
            Some((Parts::SecondAlone, b)) => out.extend([a, ' ', b, ' ']),
            Some((Parts::FirstAlone, b)) => out.extend([' ', a, ' ', b]),
            None => {
                out.push(a);
                continue;
            }
        }
        chars.next();
    }
    out
}

/// Ideographs, strokes, radicals and compatibility forms one by one, marks apart.
///
/// sacrebleu has three more rules for kana; anchored at the start of a line that begins with a
/// space by then, they never apply. Its range for enclosed letters reads `\u3200-\u3f22`.
fn normalize_asian(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        let alone = matches!(
            c,
            '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{31c0}'..='\u{31ef}'
                | '\u{2e80}'..='\u{2eff}' | '\u{3300}'..='\u{33ff}' | '\u{f900}'..='\u{faff}'
                | '\u{fe30}'..='\u{fe4f}' | '\u{3200}'..='\u{3f22}'
        ) || is_asian_mark(c);
        if alone {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(tercom: Tercom, text: &str) -> String {
        let mut out = Tokens::default();
        tercom.tokenize(text, &mut out);
        out.iter().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_setting() {
        let plain = Tercom::default();
        assert_eq!(tokens(plain, "It's A Test, ΣΑΣ. "), "it's a test, σας.");
        let cased = Tercom { case_sensitive: true, ..plain };
        assert_eq!(tokens(cased, "A b"), "A b");
        let normalized = Tercom { normalized: true, ..plain };
        assert_eq!(
            tokens(normalized, "It's &quot;3.5&quot; (a.b) 7-up x,"),
            "it 's \" 3.5 \" ( a . b ) 7 - up x ,"
        );
        let bare = Tercom { no_punct: true, ..plain };
        assert_eq!(tokens(bare, "a, b. (c)。"), "a b c。");
        let asian = Tercom { asian_support: true, no_punct: true, normalized: true, ..plain };
        assert_eq!(tokens(asian, "我们、あい。"), "我 们 あい");
        // Asian support alone changes nothing.
        let idle = Tercom { asian_support: true, ..plain };
        assert_eq!(tokens(idle, "我们。"), "我们。");
    }
}
