//! Search settings a model brings along: `generation_config.json`, as `generate` of transformers
//! heeds it. Flags win.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::decoding::EarlyStopping;
use crate::error::{Error, Result};
use crate::formats::hf;

/// What the file says; none where it says nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelDefaults {
    /// The file; none where there is none.
    pub path: Option<PathBuf>,
    pub length_penalty: Option<f64>,
    pub early_stopping: Option<EarlyStopping>,
    pub no_repeat_ngram_size: Option<usize>,
    pub min_new_tokens: Option<usize>,
    /// Bounds the limit that follows from the source.
    pub max_new_tokens: Option<usize>,
    pub suppress_tokens: Vec<u32>,
    /// What else the file asks of a search, which is not done.
    pub unheeded: Vec<String>,
}

/// Keys of a search that isogloss does not have, with the values that ask for nothing.
const UNHEEDED: [(&str, &[&str]); 17] = [
    ("bad_words_ids", &["[]"]),
    ("begin_suppress_tokens", &["[]"]),
    ("constraints", &["[]"]),
    ("diversity_penalty", &["0.0", "0"]),
    ("do_sample", &["false"]),
    ("encoder_no_repeat_ngram_size", &["0"]),
    ("encoder_repetition_penalty", &["1.0", "1"]),
    ("exponential_decay_length_penalty", &[]),
    ("force_words_ids", &["[]"]),
    ("forced_eos_token_id", &[]),
    ("guidance_scale", &["1.0", "1"]),
    ("min_length", &["0"]),
    ("num_beam_groups", &["1"]),
    ("penalty_alpha", &["0.0", "0"]),
    ("repetition_penalty", &["1.0", "1"]),
    ("sequence_bias", &["{}", "[]"]),
    ("stop_strings", &["[]"]),
];

impl ModelDefaults {
    /// Reads `DIR/generation_config.json`; without one, config.json, where models had it before.
    pub fn read(dir: &Path) -> Result<Self> {
        let files = [hf::GENERATION_CONFIG, hf::CONFIG].map(|name| dir.join(name));
        let Some(path) = files.into_iter().find(|path| path.exists()) else {
            return Ok(Self::default());
        };
        let map: Map<String, Value> = hf::read_json(&path)?;
        let defaults = Self::from_map(&map).map_err(|e| e.at(&path))?;
        Ok(Self { path: Some(path), ..defaults })
    }

    /// What there is to say of settings that are not heeded.
    pub fn warning(&self) -> Option<Error> {
        if self.unheeded.is_empty() {
            return None;
        }
        let e = Error::artifact("the model asks for a search that isogloss does not have")
            .found(self.unheeded.join(", "))
            .hint("translations differ from those of `generate` there");
        Some(match &self.path {
            Some(path) => e.at(path),
            None => e,
        })
    }

    fn from_map(map: &Map<String, Value>) -> Result<Self> {
        let given = |key: &str| map.get(key).filter(|v| !v.is_null());
        let wrong = |key: &str, expected: &str| {
            Error::artifact(format!("`{key}` has the wrong type"))
                .key(key)
                .found(map.get(key).map_or_else(String::new, Value::to_string))
                .expected(expected)
        };
        let count = |key: &str| -> Result<Option<usize>> {
            given(key)
                .map(|v| v.as_u64().map(|n| n as usize).ok_or_else(|| wrong(key, "a whole number")))
                .transpose()
        };
        let ids = |v: &Value| -> Option<Vec<u32>> {
            v.as_array()?.iter().map(|x| x.as_u64().and_then(|x| u32::try_from(x).ok())).collect()
        };
        Ok(Self {
            path: None,
            length_penalty: given("length_penalty")
                .map(|v| v.as_f64().ok_or_else(|| wrong("length_penalty", "a number")))
                .transpose()?,
            early_stopping: match given("early_stopping") {
                None => None,
                Some(Value::Bool(true)) => Some(EarlyStopping::Full),
                Some(Value::Bool(false)) => Some(EarlyStopping::Heuristic),
                Some(Value::String(s)) if s == "never" => Some(EarlyStopping::Never),
                Some(_) => {
                    return Err(wrong("early_stopping", "`true`, `false` or `\"never\"`"));
                }
            },
            no_repeat_ngram_size: count("no_repeat_ngram_size")?,
            min_new_tokens: count("min_new_tokens")?,
            // `max_length` counts the decoder's start token too.
            max_new_tokens: match count("max_new_tokens")? {
                Some(n) => Some(n),
                None => count("max_length")?.map(|n| n.saturating_sub(1)),
            }
            .filter(|n| *n > 0),
            suppress_tokens: match given("suppress_tokens") {
                None => Vec::new(),
                Some(v) => ids(v).ok_or_else(|| wrong("suppress_tokens", "a list of token ids"))?,
            },
            unheeded: UNHEEDED
                .into_iter()
                .filter(|(key, neutral)| {
                    given(key).is_some_and(|v| !neutral.contains(&v.to_string().as_str()))
                })
                .map(|(key, _)| key.to_string())
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ModelDefaults> {
        ModelDefaults::from_map(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn settings_of_a_published_model_and_of_none() {
        // facebook/m2m100_418M
        let d = parse(
            r#"{"bos_token_id":0,"decoder_start_token_id":2,"early_stopping":true,
                "eos_token_id":2,"max_length":200,"num_beams":5,"pad_token_id":1}"#,
        )
        .unwrap();
        assert_eq!(d.early_stopping, Some(EarlyStopping::Full));
        assert_eq!((d.max_new_tokens, d.length_penalty), (Some(199), None));
        assert_eq!(parse(r#"{"length_penalty":null}"#).unwrap(), ModelDefaults::default());
        let d = parse(r#"{"early_stopping":"never","suppress_tokens":[3],"max_new_tokens":7}"#);
        let d = d.unwrap();
        assert_eq!(d.early_stopping, Some(EarlyStopping::Never));
        assert_eq!((d.suppress_tokens, d.max_new_tokens), (vec![3], Some(7)));
    }

    #[test]
    fn what_is_not_done_is_named() {
        let d = parse(
            r#"{"repetition_penalty":1.5,"bad_words_ids":[[7]],"min_length":0,"do_sample":false,
                "num_beam_groups":1,"forced_eos_token_id":null,"sequence_bias":{}}"#,
        );
        assert_eq!(d.unwrap().unheeded, ["bad_words_ids", "repetition_penalty"]);
    }

    #[test]
    fn models_without_the_file_have_it_in_their_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        assert_eq!(ModelDefaults::read(dir.path()).unwrap(), ModelDefaults::default());
        write(hf::CONFIG, r#"{"d_model":8,"no_repeat_ngram_size":2,"early_stopping":true}"#);
        let d = ModelDefaults::read(dir.path()).unwrap();
        assert_eq!(
            (d.no_repeat_ngram_size, d.early_stopping),
            (Some(2), Some(EarlyStopping::Full))
        );
        assert_eq!(d.path, Some(dir.path().join(hf::CONFIG)));
        write(hf::GENERATION_CONFIG, r#"{"num_beams":5}"#);
        let path = Some(dir.path().join(hf::GENERATION_CONFIG));
        let nothing = ModelDefaults { path, ..ModelDefaults::default() };
        assert_eq!(ModelDefaults::read(dir.path()).unwrap(), nothing);
    }

    #[test]
    fn wrong_types_are_named() {
        for text in [
            r#"{"early_stopping":3}"#,
            r#"{"length_penalty":"x"}"#,
            r#"{"no_repeat_ngram_size":-1}"#,
            r#"{"suppress_tokens":[-1]}"#,
        ] {
            let e = parse(text).unwrap_err();
            assert_eq!(e.exit_code() as i32, 4);
            assert!(e.to_string().contains("expected: "), "{e}");
        }
    }
}
