//! Where language marks stand: what a sentence of the tokenizer becomes as a source and as a target,
//! and which token decoding is made to begin with. Everything that reads or writes marks asks here.

use std::borrow::Cow;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::formats::hf;

/// Where marks stand. Sentences are stored as `[mark of their language, pieces..., eos]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Convention {
    /// M2M-100 (Fan et al. 2021) and transformers' `M2M100Tokenizer`: source `[mark of the source,
    /// pieces, eos]`, target `[mark of the target, pieces, eos]` with a forced mark.
    #[value(help = "Source and target begin with the mark of their own language")]
    M2m100,
    /// NLLB-200 and transformers' `NllbTokenizer`: as M2M-100.
    #[value(help = "As m2m100, with marks such as `deu_Latn`")]
    Nllb,
    /// `NllbTokenizer` with `legacy_behaviour`: source `[pieces, eos, mark of the source]`, target
    /// as M2M-100. (The reference ends targets by eos and mark, too, but forces the mark in
    /// decoding, as the models were trained.)
    #[value(help = "The source's mark stands behind its end mark")]
    NllbLegacy,
    /// SMaLL-100 (Mohammadshahi et al. 2022, `tokenization_small100.py`): source `[mark of the
    /// target, pieces, eos]`, target `[pieces, eos]`, nothing forced.
    #[value(help = "The source begins with the target's mark, the target has none")]
    Small100,
}

/// The key of tokenizer_config.json under which a convention is kept that transformers has no key for.
const KEY: &str = "mark_convention";

impl Convention {
    const ALL: [Self; 4] = [Self::M2m100, Self::Nllb, Self::NllbLegacy, Self::Small100];

    /// As flags and records spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::M2m100 => "m2m100",
            Self::Nllb => "nllb",
            Self::NllbLegacy => "nllb-legacy",
            Self::Small100 => "small100",
        }
    }

    /// What the encoder reads.
    pub fn source(self, sentence: &[u32], target_mark: u32) -> Cow<'_, [u32]> {
        match (self, sentence) {
            (Self::Small100, [_, rest @ ..]) => {
                Cow::Owned(std::iter::once(target_mark).chain(rest.iter().copied()).collect())
            }
            (Self::NllbLegacy, [mark, rest @ ..]) => {
                Cow::Owned(rest.iter().chain([mark]).copied().collect())
            }
            _ => Cow::Borrowed(sentence),
        }
    }

    /// What the decoder is to produce.
    pub fn target(self, sentence: &[u32]) -> &[u32] {
        match (self, sentence) {
            (Self::Small100, [_, rest @ ..]) => rest,
            _ => sentence,
        }
    }

    /// Where the source has each token of a sentence: token `i` of a sentence of `len` stands at
    /// `source_place(i, len)`.
    pub fn source_place(self, i: usize, len: usize) -> usize {
        match (self, i) {
            (Self::NllbLegacy, 0) => len.saturating_sub(1),
            (Self::NllbLegacy, i) => i - 1,
            _ => i,
        }
    }

    /// Labels of a sentence's tokens in the order of the source.
    pub fn source_labels<T: Copy>(self, labels: &[T]) -> Cow<'_, [T]> {
        match (self, labels) {
            (Self::NllbLegacy, [mark, rest @ ..]) => {
                Cow::Owned(rest.iter().chain([mark]).copied().collect())
            }
            _ => Cow::Borrowed(labels),
        }
    }

    /// The token that decoding begins with, of a target language with this mark.
    pub fn forced(self, target_mark: u32) -> Option<u32> {
        (self != Self::Small100).then_some(target_mark)
    }

    /// Tokens of a target that are forced.
    pub fn num_forced(self) -> usize {
        usize::from(self != Self::Small100)
    }

    /// What tokenizer_config.json says, if it says something: its `mark_convention`, the class of
    /// SMaLL-100's tokenizer, or `legacy_behaviour`.
    ///
    /// # Errors
    /// Artifact: a convention that there is none of.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(hf::TOKENIZER_CONFIG);
        if !path.is_file() {
            return Ok(None);
        }
        let config: Value = hf::read_json(&path)?;
        match &config[KEY] {
            Value::Null => {}
            Value::String(name) => {
                let known = Self::ALL.into_iter().find(|c| c.name() == name);
                return known.map(Some).ok_or_else(|| unknown(&path, &format!("`{name}`")));
            }
            other => return Err(unknown(&path, &other.to_string())),
        }
        Ok(if config["tokenizer_class"] == "SMALL100Tokenizer" {
            Some(Self::Small100)
        } else {
            (config["legacy_behaviour"] == true).then_some(Self::NllbLegacy)
        })
    }

    /// Writes the convention into a tokenizer_config.json: under transformers' own key where there
    /// is one, and under ours.
    pub fn keep_in(self, config: &mut serde_json::Map<String, Value>) {
        config.insert(KEY.into(), self.name().into());
        if config.contains_key("legacy_behaviour") || self == Self::NllbLegacy {
            config.insert("legacy_behaviour".into(), (self == Self::NllbLegacy).into());
        }
    }
}

fn unknown(path: &Path, found: &str) -> Error {
    Error::artifact("unknown convention of language marks")
        .at(path)
        .key(KEY)
        .found(found.to_string())
        .expected(Convention::ALL.map(Convention::name).join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_where_each_tokenizer_puts_them() {
        // `[mark of the source, pieces, eos]`; 9 is the target's mark.
        let s = [7, 100, 101, 2];
        for (convention, source, target, forced) in [
            (Convention::M2m100, &[7, 100, 101, 2], &s[..], Some(9)),
            (Convention::Nllb, &[7, 100, 101, 2], &s, Some(9)),
            (Convention::NllbLegacy, &[100, 101, 2, 7], &s, Some(9)),
            (Convention::Small100, &[9, 100, 101, 2], &s[1..], None),
        ] {
            assert_eq!(*convention.source(&s, 9), source[..], "{convention:?}");
            assert_eq!(convention.target(&s), target);
            assert_eq!(convention.forced(9), forced);
            assert_eq!(convention.num_forced(), usize::from(forced.is_some()));
            for (i, id) in s.iter().enumerate().skip(1) {
                assert_eq!(source[convention.source_place(i, 4)], *id);
            }
            let labels = convention.source_labels(&['m', 'a', 'b', 'e']);
            for (label, id) in [('a', 100), ('b', 101), ('e', 2)] {
                let at = labels.iter().position(|l| *l == label).unwrap();
                assert_eq!(source[at], id);
            }
            assert!(convention.source(&[], 9).is_empty() && convention.target(&[]).is_empty());
        }
        assert_eq!(Convention::NllbLegacy.source_place(0, 4), 3);
    }

    #[test]
    fn directories_say_their_convention() {
        let dir = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            std::fs::write(dir.path().join(hf::TOKENIZER_CONFIG), text).unwrap();
            Convention::read(dir.path())
        };
        for (text, convention) in [
            ("{}", None),
            (r#"{"legacy_behaviour": false}"#, None),
            (r#"{"legacy_behaviour": true}"#, Some(Convention::NllbLegacy)),
            (r#"{"tokenizer_class": "SMALL100Tokenizer"}"#, Some(Convention::Small100)),
            (r#"{"tokenizer_class": "M2M100Tokenizer"}"#, None),
        ] {
            assert_eq!(read(text).unwrap(), convention, "{text}");
            for kept in Convention::ALL {
                let mut map = serde_json::from_str(text).unwrap();
                kept.keep_in(&mut map);
                let text = Value::Object(map).to_string();
                assert_eq!(read(&text).unwrap(), Some(kept), "{text}");
            }
        }
        let e = read(r#"{"mark_convention": "mbart"}"#).unwrap_err().to_string();
        assert!(e.contains("`mbart`") && e.contains("small100"), "{e}");
        assert!(read(r#"{"mark_convention": 1}"#).is_err());
        std::fs::remove_file(dir.path().join(hf::TOKENIZER_CONFIG)).unwrap();
        assert_eq!(Convention::read(dir.path()).unwrap(), None);
    }
}
