//! The record of one translated sentence.

use serde_json::{Map, Value, json};

/// The version of the record contracts, as headers state it.
pub const SCHEMA: u32 = 1;

/// One of several hypotheses.
#[derive(Clone, Debug, PartialEq)]
pub struct NBest {
    pub hyp: String,
    pub score: f64,
    pub score_norm: f64,
}

/// `type`, then identifiers, then values, then the input's own fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Translation {
    pub id: String,
    pub src_lang: String,
    pub tgt_lang: String,
    pub src: String,
    pub hyp: String,
    /// Sum of log probabilities, in nats.
    pub score: f64,
    /// The value ranking used.
    pub score_norm: f64,
    /// Marks included.
    pub num_src_tokens: u64,
    pub num_hyp_tokens: u64,
    pub num_src_unk: u64,
    /// `eos` or `max_len`.
    pub finish: &'static str,
    pub truncated: bool,
    pub nbest: Option<Vec<NBest>>,
    pub token_scores: Option<Vec<f64>>,
    /// The reference of a sentence translated against the record's direction.
    pub swapped_reference: Option<String>,
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
        m.insert("score".into(), self.score.into());
        m.insert("score_norm".into(), self.score_norm.into());
        m.insert("num_src_tokens".into(), self.num_src_tokens.into());
        m.insert("num_hyp_tokens".into(), self.num_hyp_tokens.into());
        m.insert("num_src_unk".into(), self.num_src_unk.into());
        m.insert("finish".into(), self.finish.into());
        if self.truncated {
            m.insert("truncated".into(), true.into());
        }
        if let Some(list) = self.nbest {
            let list: Vec<Value> = list
                .into_iter()
                .map(|h| json!({"hyp": h.hyp, "score": h.score, "score_norm": h.score_norm}))
                .collect();
            m.insert("nbest".into(), list.into());
        }
        if let Some(scores) = self.token_scores {
            m.insert("token_scores".into(), scores.into());
        }
        // What an earlier translation said, and the source under its other name.
        for name in ["text", "mt", "truncated", "nbest", "token_scores", "error"] {
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
