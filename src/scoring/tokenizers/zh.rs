//! `zh`: Chinese characters one by one, the rest by the rules of `13a` without its padding
//! (`sacrebleu/tokenizers/tokenizer_zh.py`, after Shujian Huang's script).

use super::mteval::tokenize_punctuation;
use super::words::{Tokens, trim};

/// The tokens of `zh`.
pub fn tokenize_zh(line: &str, out: &mut Tokens) {
    tokenize_punctuation(trim(line), false, is_chinese, out);
}

/// sacrebleu's table, in code points, with what its comparison really does.
///
/// Two of its ranges are meant to be supplementary planes but are written with four-digit
/// escapes, so that their ends are strings of two characters (`U+2000` then `0` up to `U+2A6D`
/// then `6`). Compared with one character they admit U+2001 to U+2A6D (general punctuation,
/// currency signs, arrows, mathematical signs) and U+2F81 to U+2FA1. Scores must follow.
fn is_chinese(c: char) -> bool {
    matches!(
        c,
        '\u{2001}'..='\u{2a6d}'
            | '\u{2e80}'..='\u{2eff}'
            | '\u{2f00}'..='\u{2fdf}'
            | '\u{2ff0}'..='\u{2fff}'
            | '\u{3000}'..='\u{303f}'
            | '\u{3100}'..='\u{312f}'
            | '\u{31a0}'..='\u{31bf}'
            | '\u{31c0}'..='\u{31ef}'
            | '\u{3200}'..='\u{32ff}'
            | '\u{3300}'..='\u{33ff}'
            | '\u{3400}'..='\u{4db5}'
            | '\u{4e00}'..='\u{9fa5}'
            | '\u{9fa6}'..='\u{9fbb}'
            | '\u{f900}'..='\u{fa2d}'
            | '\u{fa30}'..='\u{fa6a}'
            | '\u{fa70}'..='\u{fad9}'
            | '\u{fe10}'..='\u{fe1f}'
            | '\u{fe30}'..='\u{fe4f}'
            | '\u{ff00}'..='\u{ffef}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(line: &str) -> Vec<String> {
        let mut out = Tokens::default();
        tokenize_zh(line, &mut out);
        out.iter().map(str::to_string).collect()
    }

    #[test]
    fn characters_stand_alone_and_the_line_is_not_padded() {
        assert_eq!(tokens(" 我用NMT，3.5分。"), ["我", "用", "NMT", "，", "3.5", "分", "。"]);
        // Without padding rule 3 does not see a last point, nor rule 2 a first one.
        assert_eq!(tokens("5."), ["5."]);
        assert_eq!(tokens(".5"), [".5"]);
        assert_eq!(tokens("a."), ["a", "."]);
        // The accidental ranges.
        assert_eq!(tokens("a—b→c"), ["a", "—", "b", "→", "c"]);
        // Supplementary planes are not split, against the intent of the table.
        assert_eq!(tokens("𠀀𠀁"), ["𠀀𠀁"]);
    }
}
