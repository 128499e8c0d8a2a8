//! The record of one translated sentence.

use serde_json::{Map, Value, json};

use crate::error::Error;

/// The version of the record contracts, as headers state it.
pub const SCHEMA: u32 = 1;

/// Fields of an earlier translation, and the source under its other name.
const STALE: [&str; 13] = [
    "text",
    "mt",
    "score",
    "score_norm",
    "num_hyp_tokens",
    "finish",
    "truncated",
    "nbest",
    "token_ids",
    "token_scores",
    "mask",
    "adapters",
    "error",
];

/// One of several hypotheses.
#[derive(Clone, Debug, PartialEq)]
pub struct NBest {
    pub hyp: String,
    pub score: f64,
    pub score_norm: f64,
}

/// What decoding says of the best hypothesis.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// Sum of log probabilities, in nats.
    pub score: f64,
    /// The value ranking used: `score / num_hyp_tokens ^ length_penalty`.
    pub score_norm: f64,
    /// Language mark and end mark included.
    pub num_hyp_tokens: u64,
    /// `eos` or `max_len`.
    pub finish: &'static str,
    /// Marks included.
    pub token_ids: Option<Vec<u32>>,
    /// One for each token; 0 for the mark, which is forced.
    pub token_scores: Option<Vec<f64>>,
}

/// `type`, then identifiers, then values, then the input's own fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    pub id: String,
    pub src_lang: String,
    pub tgt_lang: String,
    pub src: String,
    pub hyp: String,
    /// None where there was nothing to translate.
    pub scores: Option<Scores>,
    /// Marks included.
    pub num_src_tokens: u64,
    pub num_src_unk: u64,
    pub truncated: bool,
    pub nbest: Option<Vec<NBest>>,
    /// Whose neuron mask was active: a group, or `encoder/decoder` of a merged one.
    pub mask: Option<String>,
    /// The adapters that were active, when there are any.
    pub adapters: Option<Vec<String>>,
    /// The reference of a sentence translated against the record's direction.
    pub swapped_reference: Option<String>,
}

/// Scores are f32; as f64 they would be printed with digits that mean nothing.
fn number(score: f64) -> Value {
    (score as f32).to_string().parse::<f64>().map_or(Value::Null, Value::from)
}

/// The answer to a broken line: it keeps the line's place and fields.
pub fn error_record(id: String, error: &Error, mut raw: Map<String, Value>) -> Map<String, Value> {
    let mut m = Map::new();
    m.insert("type".into(), "translation".into());
    m.insert("id".into(), id.into());
    for name in ["src_lang", "tgt_lang"] {
        if let Some(lang) = raw.shift_remove(name) {
            m.insert(name.into(), lang);
        }
    }
    m.insert("error".into(), error.message().into());
    for (name, value) in raw {
        if !m.contains_key(&name) {
            m.insert(name, value);
        }
    }
    m
}

impl Translation {
    /// The record with the input's unknown fields behind its own.
    pub fn into_map(self, mut raw: Map<String, Value>) -> Map<String, Value> {
        let mut m = Map::new();
        m.insert("type".into(), "translation".into());
        m.insert("id".into(), self.id.into());
        m.insert("src_lang".into(), self.src_lang.into());
        m.insert("tgt_lang".into(), self.tgt_lang.into());
        m.insert("src".into(), self.src.into());
        m.insert("hyp".into(), self.hyp.into());
        let tokens = self.scores.as_ref().map(|s| (s.token_ids.clone(), s.token_scores.clone()));
        let (token_ids, token_scores) = tokens.unwrap_or_default();
        if let Some(s) = &self.scores {
            m.insert("score".into(), number(s.score));
            m.insert("score_norm".into(), number(s.score_norm));
        }
        m.insert("num_src_tokens".into(), self.num_src_tokens.into());
        if let Some(s) = &self.scores {
            m.insert("num_hyp_tokens".into(), s.num_hyp_tokens.into());
        }
        m.insert("num_src_unk".into(), self.num_src_unk.into());
        if let Some(s) = &self.scores {
            m.insert("finish".into(), s.finish.into());
        }
        if self.truncated {
            m.insert("truncated".into(), true.into());
        }
        if let Some(list) = self.nbest {
            let list: Vec<Value> = list
                .into_iter()
                .map(|h| json!({"hyp": h.hyp, "score": number(h.score), "score_norm": number(h.score_norm)}))
                .collect();
            m.insert("nbest".into(), list.into());
        }
        if let Some(ids) = token_ids {
            m.insert("token_ids".into(), ids.into());
        }
        if let Some(scores) = token_scores {
            let scores: Vec<Value> = scores.into_iter().map(number).collect();
            m.insert("token_scores".into(), scores.into());
        }
        if let Some(mask) = self.mask {
            m.insert("mask".into(), mask.into());
        }
        if let Some(adapters) = self.adapters {
            m.insert("adapters".into(), adapters.into());
        }
        for name in STALE {
            raw.shift_remove(name);
        }
        if let Some(reference) = self.swapped_reference {
            // Every name of a reference now belongs to the other side.
            for name in ["ref", "refs", "tgt", "translation"] {
                raw.shift_remove(name);
            }
            m.insert("tgt".into(), reference.into());
        }
        for (name, value) in raw {
            if !m.contains_key(&name) {
                m.insert(name, value);
            }
        }
        m
    }
}
