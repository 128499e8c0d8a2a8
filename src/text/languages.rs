//! The languages of a model: their codes and the ids of their marks.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result, nearest};

use super::iso639;

/// Sorted language codes, each with the vocabulary id of its mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Languages {
    ids: BTreeMap<String, u32>,
    codes: Vec<String>,
    by_id: BTreeMap<u32, usize>,
}

impl Languages {
    pub fn new(marks: impl IntoIterator<Item = (String, u32)>) -> Self {
        let ids: BTreeMap<String, u32> = marks.into_iter().collect();
        let codes: Vec<String> = ids.keys().cloned().collect();
        let by_id = codes.iter().enumerate().map(|(i, c)| (ids[c], i)).collect();
        Self { ids, codes, by_id }
    }

    /// Sorted codes, as the model spells them.
    pub fn codes(&self) -> &[String] {
        &self.codes
    }
    pub fn len(&self) -> usize {
        self.codes.len()
    }
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }
    pub fn contains(&self, code: &str) -> bool {
        self.ids.contains_key(code)
    }
    /// Position in [`Languages::codes`].
    pub fn index_of(&self, code: &str) -> Option<usize> {
        self.codes.binary_search_by(|c| c.as_str().cmp(code)).ok()
    }
    /// The code whose mark has this id.
    pub fn code_of(&self, id: u32) -> Option<&str> {
        self.by_id.get(&id).map(|&i| self.codes[i].as_str())
    }
    /// The id of a language's mark; an unknown code is a data error (exit code 3). Where the
    /// code came from a flag, use [`Languages::find`] with [`ErrorKind::Usage`].
    pub fn id_of(&self, code: &str) -> Result<u32> {
        self.find(code, ErrorKind::Data)
    }
    /// [`Languages::id_of`] with the kind of error the caller's source of the code calls for.
    pub fn find(&self, code: &str, kind: ErrorKind) -> Result<u32> {
        self.ids.get(code).copied().ok_or_else(|| self.unknown(code, kind))
    }

    /// The error for a code the model lacks, with the nearest codes it has.
    pub fn unknown(&self, code: &str, kind: ErrorKind) -> Error {
        const SHOWN: usize = 12;
        let mut list = self.codes[..self.codes.len().min(SHOWN)].join(", ");
        if self.codes.len() > SHOWN {
            list.push_str(", ...");
        }
        let plural = if self.codes.len() == 1 { "" } else { "s" };
        let mut e = Error::new(kind, format!("unknown language `{code}`"))
            .expected(format!("one of {} language{plural}: {list}", self.codes.len()));
        let near = self.nearest(code);
        if !near.is_empty() {
            let near: Vec<String> = near.iter().map(|n| format!("`{n}`")).collect();
            e = e.hint(format!("did you mean {}?", near.join(" or ")));
        }
        e.hint("`isogloss inspect MODEL` lists a model's languages")
    }

    /// Codes that mean the same language in another system (`de`, `deu`, `de_DE`, `deu_Latn`,
    /// `German`), else those spelt alike; at most three.
    pub fn nearest(&self, code: &str) -> Vec<String> {
        const LIMIT: usize = 3;
        let same: Vec<String> = self
            .codes
            .iter()
            .filter(|c| iso639::is_same_language(c, code))
            .take(LIMIT)
            .cloned()
            .collect();
        if !same.is_empty() {
            return same;
        }
        nearest(code, self.codes.iter().map(String::as_str), LIMIT)
    }
}

/// The language a mark stands for: `__de__` (M2M-100), `deu_Latn` (NLLB) or `de_DE`
/// (mBART-50). None for any other token.
pub fn language_of_mark(token: &str) -> Option<&str> {
    if let Some(code) = token.strip_prefix("__").and_then(|t| t.strip_suffix("__")) {
        return is_language_code(code).then_some(code);
    }
    let (language, variant) = token.split_once('_')?;
    let lower = |s: &str| s.bytes().all(|b| b.is_ascii_lowercase());
    let upper = |s: &str| s.bytes().all(|b| b.is_ascii_uppercase());
    let nllb = language.len() == 3
        && lower(language)
        && variant.len() == 4
        && upper(&variant[..1])
        && lower(&variant[1..]);
    let mbart = language.len() == 2 && lower(language) && variant.len() == 2 && upper(variant);
    (nllb || mbart).then_some(token)
}

/// The mark of a language in tokenizers of our own: M2M-100's form.
pub fn mark_of(code: &str) -> String {
    format!("__{code}__")
}

/// Whether a code can become a mark: ASCII letters, digits and single underscores inside, at
/// most 32 characters. Hyphens and dots are refused, because `src-tgt` names a direction and
/// dots separate tensor names.
pub fn is_language_code(code: &str) -> bool {
    !code.is_empty()
        && code.len() <= 32
        && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !code.starts_with('_')
        && !code.ends_with('_')
        && !code.contains("__")
}

/// Checks a code for [`is_language_code`].
pub fn check_language_code(code: &str, kind: ErrorKind) -> Result<()> {
    if is_language_code(code) {
        return Ok(());
    }
    let mut e = Error::new(kind, format!("`{code}` cannot be a language code"))
        .expected("ASCII letters, digits and single underscores inside, at most 32 characters");
    let fixed = code.replace(['-', '.', ' '], "_");
    if fixed != code && is_language_code(&fixed) {
        e = e.hint(format!("write `{fixed}`"));
    }
    Err(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn languages(codes: &[&str]) -> Languages {
        Languages::new(codes.iter().enumerate().map(|(i, c)| (c.to_string(), 10 + i as u32)))
    }

    #[test]
    fn codes_are_sorted_and_found_both_ways() {
        let l = languages(&["fr", "de"]);
        assert_eq!(l.codes(), ["de", "fr"]);
        assert_eq!((l.id_of("fr").unwrap(), l.id_of("de").unwrap()), (10, 11));
        assert_eq!((l.code_of(11), l.code_of(3)), (Some("de"), None));
        assert_eq!((l.index_of("fr"), l.index_of("x")), (Some(1), None));
    }

    #[test]
    fn unknown_codes_name_the_same_language_in_another_system() {
        let nllb = languages(&["deu_Latn", "fra_Latn", "pes_Arab", "zho_Hans", "zho_Hant"]);
        for (asked, near) in [
            ("de", vec!["deu_Latn"]),
            ("deu", vec!["deu_Latn"]),
            ("de_DE", vec!["deu_Latn"]),
            ("de-AT", vec!["deu_Latn"]),
            ("DE", vec!["deu_Latn"]),
            ("ger", vec!["deu_Latn"]),
            ("German", vec!["deu_Latn"]),
            ("__de__", vec!["deu_Latn"]),
            ("fa", vec!["pes_Arab"]),
            ("zh", vec!["zho_Hans", "zho_Hant"]),
        ] {
            assert_eq!(nllb.nearest(asked), near, "{asked}");
        }
        let m2m = languages(&["de", "en", "no", "zh"]);
        for (asked, near) in
            [("deu_Latn", "de"), ("eng", "en"), ("nob_Latn", "no"), ("cmn", "zh"), ("en_XX", "en")]
        {
            assert_eq!(m2m.nearest(asked), [near], "{asked}");
        }
        let e = m2m.id_of("deu").unwrap_err();
        assert_eq!(e.exit_code() as i32, 3);
        let text = e.to_string();
        assert!(text.contains("unknown language `deu`") && text.contains("did you mean `de`?"));
        assert_eq!(m2m.find("qq", ErrorKind::Usage).unwrap_err().exit_code() as i32, 2);
    }

    #[test]
    fn marks() {
        for (token, code) in [
            ("__de__", Some("de")),
            ("__deu_Latn__", Some("deu_Latn")),
            ("deu_Latn", Some("deu_Latn")),
            ("de_DE", Some("de_DE")),
            ("<s>", None),
            ("____", None),
            ("__a b__", None),
            ("deu_latn", None),
            ("madeupword0000", None),
            ("äöü_Latn", None),
        ] {
            assert_eq!(language_of_mark(token), code, "{token}");
        }
        assert_eq!(mark_of("de"), "__de__");
        let e = check_language_code("pt-BR", ErrorKind::Data).unwrap_err().to_string();
        assert!(e.contains("write `pt_BR`"), "{e}");
        assert!(check_language_code("", ErrorKind::Data).is_err());
    }
}
