//! `intl`: mteval-v14's international tokenization
//! (`sacrebleu/tokenizers/tokenizer_intl.py`).
//!
//! Three substitutions, each a pass over the characters: `(\P{N})(\p{P})` becomes `\1 \2 `,
//! `(\p{P})(\P{N})` becomes ` \1 \2`, `(\p{S})` becomes ` \1 `.

use std::sync::OnceLock;

use super::words::Tokens;

const PUNCTUATION: u8 = 1;
const SYMBOL: u8 = 2;
const NUMBER: u8 = 4;

/// The general category of every code point, as far as the three rules ask for it.
fn categories() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = vec![0u8; 0x110000];
        for (class, bit) in [(r"\p{P}", PUNCTUATION), (r"\p{S}", SYMBOL), (r"\p{N}", NUMBER)] {
            let Ok(hir) = regex_syntax::parse(class) else { continue };
            if let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(c)) =
                hir.kind()
            {
                for range in c.ranges() {
                    table[range.start() as usize..=range.end() as usize].fill(bit);
                }
            }
        }
        table
    })
}

/// Buffers of the passes, kept between lines.
#[derive(Debug, Default)]
pub struct Scratch {
    chars: Vec<char>,
    next: Vec<char>,
}

/// The tokens of `intl`.
pub fn tokenize_intl(line: &str, scratch: &mut Scratch, out: &mut Tokens) {
    let table = categories();
    let is = |c: char, bit: u8| table[c as usize] == bit;
    let Scratch { chars, next } = scratch;
    chars.clear();
    chars.extend(line.chars());

    next.clear();
    let mut i = 0;
    while i < chars.len() {
        match chars.get(i + 1) {
            Some(&p) if !is(chars[i], NUMBER) && is(p, PUNCTUATION) => {
                next.extend([chars[i], ' ', p, ' ']);
                i += 2;
            }
            _ => {
                next.push(chars[i]);
                i += 1;
            }
        }
    }

    chars.clear();
    let mut i = 0;
    while i < next.len() {
        match next.get(i + 1) {
            Some(&x) if is(next[i], PUNCTUATION) && !is(x, NUMBER) => {
                chars.extend([' ', next[i], ' ', x]);
                i += 2;
            }
            _ => {
                chars.push(next[i]);
                i += 1;
            }
        }
    }

    next.clear();
    for &c in chars.iter() {
        if is(c, SYMBOL) {
            next.extend([' ', c, ' ']);
        } else {
            next.push(c);
        }
    }
    out.push_char_words(next);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(line: &str) -> Vec<String> {
        let mut out = Tokens::default();
        tokenize_intl(line, &mut Scratch::default(), &mut out);
        out.iter().map(str::to_string).collect()
    }

    #[test]
    fn marks_between_digits_stay() {
        assert_eq!(tokens("3.14 «a» 1,5€."), ["3.14", "«", "a", "»", "1,5", "€", "."]);
        // A year before the full stop keeps it: the fault of mteval-v14, kept.
        assert_eq!(tokens("in 1999."), ["in", "1999."]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn equals_the_regular_expressions(line in "([ab.,0-9+€«»、。١²-]|\\PC){0,40}") {
            let joined = sacrebleu_rs::tokenize_intl(&line);
            let expected: Vec<&str> = joined.split_whitespace().collect();
            prop_assert_eq!(tokens(&line), expected);
        }
    }
}
