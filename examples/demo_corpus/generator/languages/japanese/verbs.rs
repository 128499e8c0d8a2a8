//! The forms of a Japanese verb that the demo needs.

use super::lexicon::{Class, VerbEntry};

/// Before ます and たい: 読み.
pub fn masu_stem(verb: &VerbEntry) -> String {
    match verb.class {
        Class::Godan => {
            let (stem, last) = split_last(verb.text);
            format!("{stem}{}", row(last, I_ROW))
        }
        Class::Ichidan => split_last(verb.text).0.into(),
        Class::Suru => format!("{}し", verb.text),
        Class::Kuru => "来".into(),
    }
}

/// Dictionary form: 読む.
pub fn dictionary(verb: &VerbEntry) -> String {
    match verb.class {
        Class::Suru => format!("{}する", verb.text),
        _ => verb.text.into(),
    }
}

/// Before ない: 読ま.
pub fn nai_stem(verb: &VerbEntry) -> String {
    match verb.class {
        Class::Godan => {
            let (stem, last) = split_last(verb.text);
            format!("{stem}{}", row(last, A_ROW))
        }
        _ => masu_stem(verb),
    }
}

/// 読んで; the past 読んだ has the same stem with た or だ.
pub fn te(verb: &VerbEntry) -> String {
    join(verb, "て", "で")
}

pub fn ta(verb: &VerbEntry) -> String {
    join(verb, "た", "だ")
}

fn join(verb: &VerbEntry, plain: &str, voiced: &str) -> String {
    if verb.class != Class::Godan {
        return masu_stem(verb) + plain;
    }
    let (stem, last) = split_last(verb.text);
    match last {
        // 行く is the one exception of its row.
        'く' if stem == "行" => format!("{stem}っ{plain}"),
        'く' => format!("{stem}い{plain}"),
        'ぐ' => format!("{stem}い{voiced}"),
        'す' => format!("{stem}し{plain}"),
        'む' | 'ぶ' | 'ぬ' => format!("{stem}ん{voiced}"),
        _ => format!("{stem}っ{plain}"),
    }
}

const U_ROW: [char; 9] = ['う', 'く', 'ぐ', 'す', 'つ', 'ぬ', 'ぶ', 'む', 'る'];
const I_ROW: [char; 9] = ['い', 'き', 'ぎ', 'し', 'ち', 'に', 'び', 'み', 'り'];
/// う turns into わ, not あ.
const A_ROW: [char; 9] = ['わ', 'か', 'が', 'さ', 'た', 'な', 'ば', 'ま', 'ら'];

fn row(last: char, row: [char; 9]) -> char {
    U_ROW.iter().position(|c| *c == last).map_or(last, |i| row[i])
}

fn split_last(text: &str) -> (&str, char) {
    let last = text.chars().next_back().unwrap_or_default();
    (&text[..text.len() - last.len_utf8()], last)
}
