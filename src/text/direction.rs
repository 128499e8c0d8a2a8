//! A translation direction.

use std::fmt;

use serde::Serialize;

/// Source and target language, as the loaded model spells them. Shown as `src-tgt`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Direction {
    pub src_lang: String,
    pub tgt_lang: String,
}

impl Direction {
    pub fn new(src_lang: impl Into<String>, tgt_lang: impl Into<String>) -> Self {
        Self { src_lang: src_lang.into(), tgt_lang: tgt_lang.into() }
    }
    pub fn lang_pair(&self) -> String {
        self.to_string()
    }
    pub fn reversed(&self) -> Self {
        Self::new(self.tgt_lang.clone(), self.src_lang.clone())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.src_lang, self.tgt_lang)
    }
}
