//! Records of `tag`: sentences with the tags that were found, and how many are right.

use serde::Serialize;
use serde_json::{Map, Value};

use super::neurons::round6;

/// What earlier runs may have written, or belongs to another kind of record.
const STALE: [&str; 4] = ["type", "hyp_tags", "truncated", "error"];

/// One tagged sentence: `type`, identifiers, values, then the input's own fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Tagging {
    pub lang: String,
    pub tokens: Vec<String>,
    /// One for each token; none for a token the model has not seen: without a piece, or behind the
    /// cut of a long sentence.
    pub hyp_tags: Vec<Option<String>>,
    pub truncated: bool,
}

impl Tagging {
    /// The record with the input's unknown fields behind its own.
    pub fn into_map(self, mut raw: Map<String, Value>) -> Map<String, Value> {
        let mut m = Map::new();
        m.insert("type".into(), "tagging".into());
        if let Some(id) = raw.shift_remove("id") {
            m.insert("id".into(), id);
        }
        m.insert("lang".into(), self.lang.into());
        m.insert("tokens".into(), self.tokens.into());
        m.insert("hyp_tags".into(), self.hyp_tags.into());
        if self.truncated {
            m.insert("truncated".into(), true.into());
        }
        for name in STALE {
            raw.shift_remove(name);
        }
        for (name, value) in raw {
            if !m.contains_key(&name) {
                m.insert(name, value);
            }
        }
        m
    }
}

/// How many words of one language have the right tag; `all` stands for all languages.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename = "tag_score")]
pub struct TagScore {
    pub lang: String,
    /// In percent.
    pub accuracy: f64,
    pub words: u64,
    pub correct: u64,
}

impl TagScore {
    /// There is at least one word.
    pub fn new(lang: impl Into<String>, words: u64, correct: u64) -> Self {
        let accuracy = round6(100.0 * correct as f64 / words.max(1) as f64);
        Self { lang: lang.into(), accuracy, words, correct }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_fields_win_and_others_are_carried() {
        let raw = r#"{"note":[1],"type":"tagging","lang":"old","tokens":["x"],"tags":["A","B"],
            "hyp_tags":["Z"],"truncated":true,"id":7}"#;
        let raw: Map<String, Value> = serde_json::from_str(raw).unwrap();
        let record = Tagging {
            lang: "fi".into(),
            tokens: vec!["a".into(), "b".into()],
            hyp_tags: vec![Some("A".into()), None],
            truncated: false,
        };
        assert_eq!(
            Value::Object(record.clone().into_map(raw)).to_string(),
            r#"{"type":"tagging","id":7,"lang":"fi","tokens":["a","b"],"hyp_tags":["A",null],"note":[1],"tags":["A","B"]}"#
        );
        let cut = Tagging { truncated: true, ..record }.into_map(Map::new());
        assert_eq!((cut.get("truncated"), cut.get("id")), (Some(&Value::Bool(true)), None));
    }

    #[test]
    fn scores_are_percent() {
        let score = TagScore::new("fi", 3, 2);
        let expected =
            r#"{"type":"tag_score","lang":"fi","accuracy":66.666667,"words":3,"correct":2}"#;
        assert_eq!(serde_json::to_string(&score).unwrap(), expected);
    }
}
