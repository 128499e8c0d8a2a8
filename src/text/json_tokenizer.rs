//! A `tokenizer.json` through the `tokenizers` library.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use super::languages::{Languages, language_of_mark};
use super::tokenizer::byte_token;
use crate::error::{Error, Result, contained};
use crate::model::ModelConfig;

pub struct JsonTokenizer {
    tokenizer: Tokenizer,
    pub languages: Languages,
    pub unk_id: Option<u32>,
    pub byte_fallback: bool,
    /// By id: special tokens and marks, which text must not produce; `<unk>` is not among them.
    pub is_control: Vec<bool>,
    /// Control ids of the model's configuration that the file does not call special.
    hidden: Vec<u32>,
    pub num_entries: usize,
    /// `BPE`, `Unigram`, `WordPiece` or `WordLevel`.
    pub kind: String,
}

impl JsonTokenizer {
    /// `path` is what errors name.
    pub fn new(mut value: Value, path: &Path, config: &ModelConfig) -> Result<Self> {
        let fault = |message: &str| Error::artifact(message.to_string()).at(path);
        check_merges(&value).map_err(|e| e.at(path))?;
        let languages = prepare(&mut value).map_err(|e| e.at(path))?;
        let model = &value["model"];
        let kind = model["type"].as_str().unwrap_or("BPE").to_string();
        let byte_fallback = model["byte_fallback"].as_bool().unwrap_or(false);
        let unk_token = match (&model["unk_token"], model["unk_id"].as_u64()) {
            (Value::String(s), _) => Some(s.clone()),
            (_, Some(id)) => model["vocab"][id as usize][0].as_str().map(str::to_string),
            _ => None,
        };

        // The library reports most faults of a file; a few make it panic.
        let mut tokenizer =
            contained(|| serde_json::from_value::<Tokenizer>(value).map_err(|e| e.to_string()))
                .unwrap_or_else(|| Err("the tokenizers library failed on this file".into()))
                .map_err(|cause| fault("not a usable tokenizer.json").cause(cause))?;
        tokenizer.set_encode_special_tokens(true);

        let vocab = tokenizer.get_vocab(true);
        let (mut largest, mut largest_token) = (0, "");
        for (token, &id) in &vocab {
            if id > largest || (id == largest && token.as_str() < largest_token) {
                (largest, largest_token) = (id, token);
            }
        }
        if largest as usize >= config.vocab_size {
            return Err(fault("tokenizer does not fit the model")
                .found(format!("token `{largest_token}` with id {largest}"))
                .expected(format!("ids below `vocab_size` {}", config.vocab_size))
                .hint("is this the tokenizer of another model?"));
        }
        if tokenizer.id_to_token(config.eos_token_id).is_none() {
            return Err(fault("tokenizer lacks the model's end mark")
                .expected(format!("a token with id {} (`eos_token_id`)", config.eos_token_id)));
        }
        if languages.is_empty() {
            return Err(fault("tokenizer has no language marks")
                .expected("added tokens such as `__de__` (M2M-100) or `deu_Latn` (NLLB-200)")
                .hint("make a model with marks: `isogloss init -o MODEL TRAIN.jsonl`"));
        }

        let unk_id = unk_token
            .as_deref()
            .or(Some("<unk>"))
            .and_then(|token| tokenizer.token_to_id(token))
            .filter(|id| *id != config.pad_token_id && *id != config.eos_token_id);
        let mut is_control = vec![false; config.vocab_size];
        let mut hidden = Vec::new();
        for (id, token) in tokenizer.get_added_tokens_decoder() {
            is_control[id as usize] |= token.special;
        }
        for id in [
            config.pad_token_id,
            config.bos_token_id,
            config.eos_token_id,
            config.decoder_start_token_id,
        ] {
            if !is_control[id as usize] {
                is_control[id as usize] = true;
                hidden.push(id);
            }
        }
        if let Some(unk) = unk_id {
            is_control[unk as usize] = false;
        }
        Ok(Self {
            num_entries: vocab.len(),
            tokenizer,
            languages,
            unk_id,
            byte_fallback,
            is_control,
            hidden,
            kind,
        })
    }

    pub fn piece(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }

    pub fn id_of_piece(&self, piece: &str) -> Option<u32> {
        self.tokenizer.token_to_id(piece)
    }

    fn is_control(&self, id: u32) -> bool {
        self.is_control.get(id as usize).copied().unwrap_or(false)
    }

    /// The ids of a text. What is spelt like a control token is spelt out.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding =
            contained(|| self.tokenizer.encode_fast(text, false).map_err(|e| e.to_string()))
                .unwrap_or_else(|| Err("the tokenizers library failed on a text".into()))
                .map_err(|cause| Error::artifact("tokenizer cannot encode a text").cause(cause))?;
        let ids = encoding.get_ids();
        if !ids.iter().any(|&id| self.is_control(id)) {
            return Ok(ids.to_vec());
        }
        // A Unigram model matches `</s>` as a piece of its vocabulary.
        let mut out = Vec::with_capacity(ids.len() + 16);
        for &id in ids {
            if self.is_control(id) { self.spell_out(id, &mut out) } else { out.push(id) }
        }
        Ok(out)
    }

    /// The characters of a control token as ordinary pieces.
    fn spell_out(&self, id: u32, out: &mut Vec<u32>) {
        let ordinary =
            |token: &str| self.tokenizer.token_to_id(token).filter(|id| !self.is_control(*id));
        for c in self.piece(id).unwrap_or_default().chars() {
            let mut buffer = [0; 4];
            let text = &*c.encode_utf8(&mut buffer);
            if let Some(id) = ordinary(text) {
                out.push(id);
            } else if let Some(bytes) = self
                .byte_fallback
                .then(|| text.bytes().map(|b| ordinary(&byte_token(b))).collect::<Option<Vec<_>>>())
                .flatten()
            {
                out.extend(bytes);
            } else {
                out.extend(self.unk_id);
            }
        }
    }

    /// Without special tokens and marks.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let kept: Vec<u32> = ids.iter().copied().filter(|id| !self.hidden.contains(id)).collect();
        contained(|| self.tokenizer.decode(&kept, true).map_err(|e| e.to_string()))
            .unwrap_or_else(|| Err("the tokenizers library failed on a sequence".into()))
            .map_err(|cause| Error::artifact("tokenizer cannot decode").cause(cause))
    }

    pub fn normalize(&self, text: &str) -> Result<String> {
        use tokenizers::{NormalizedString, Normalizer};
        let mut s = NormalizedString::from(text);
        if let Some(n) = self.tokenizer.get_normalizer() {
            n.normalize(&mut s).map_err(|e| {
                Error::artifact("tokenizer cannot normalise a text").cause(e.to_string())
            })?;
        }
        Ok(s.get().to_string())
    }
}

/// Collects the language marks, and switches off what would make encoding random or short.
fn prepare(value: &mut Value) -> Result<Languages> {
    let Value::Object(root) = value else {
        return Err(Error::artifact("not a tokenizer.json").expected("a JSON object"));
    };
    root.insert("truncation".into(), Value::Null);
    root.insert("padding".into(), Value::Null);
    match root.get_mut("model") {
        Some(Value::Object(model)) => {
            // BPE dropout is for training only.
            if model.contains_key("dropout") {
                model.insert("dropout".into(), Value::Null);
            }
        }
        _ => {
            return Err(Error::artifact("not a tokenizer.json").key("model").expected("an object"));
        }
    }
    let mut marks = Vec::new();
    for token in root.get_mut("added_tokens").and_then(Value::as_array_mut).into_iter().flatten() {
        let (Some(content), Some(id)) = (token["content"].as_str(), token["id"].as_u64()) else {
            return Err(Error::artifact("added token without `content` or `id`")
                .key("added_tokens")
                .found(token.to_string()));
        };
        if content.is_empty() {
            return Err(Error::artifact("added token is empty").key("added_tokens"));
        }
        if let Some(code) = language_of_mark(content) {
            let id = u32::try_from(id).map_err(|_| {
                Error::artifact("added token has an impossible id")
                    .key("added_tokens")
                    .found(id.to_string())
            })?;
            marks.push((code.to_string(), id));
            token["special"] = true.into();
        }
    }
    marks.sort();
    if let Some(pair) = marks.windows(2).find(|w| w[0].0 == w[1].0) {
        return Err(
            Error::artifact(format!("language `{}` has two marks", pair[0].0)).key("added_tokens")
        );
    }
    Ok(Languages::new(marks))
}

/// BPE merges whose parts or result are missing from the vocabulary; the library would slice
/// out of bounds on some of them.
fn check_merges(value: &Value) -> Result<()> {
    let model = &value["model"];
    let (Some(vocab), Some(merges)) = (model["vocab"].as_object(), model["merges"].as_array())
    else {
        return Ok(());
    };
    let prefix_len = model["continuing_subword_prefix"].as_str().map_or(0, str::len);
    for (i, merge) in merges.iter().enumerate() {
        let parts = match merge {
            Value::String(s) => s.split_once(' '),
            Value::Array(pair) if pair.len() == 2 => pair[0].as_str().zip(pair[1].as_str()),
            _ => None,
        };
        let fault = |message: &str| {
            Err(Error::artifact(message.to_string())
                .key(format!("model.merges[{i}]"))
                .found(merge.to_string()))
        };
        let Some((a, b)) = parts else { return fault("merge is not a pair of tokens") };
        // `#version` was the first line of old merge files.
        if a == "#version:" {
            continue;
        }
        let joined = b.get(prefix_len..).map(|rest| format!("{a}{rest}"));
        if !vocab.contains_key(a)
            || !vocab.contains_key(b)
            || !joined.is_some_and(|t| vocab.contains_key(&t))
        {
            return fault("merge uses a token outside the vocabulary");
        }
    }
    Ok(())
}
