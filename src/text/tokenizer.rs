//! Text to ids and back, by any `tokenizer.json`, in the layout of M2M-100:
//! `[mark(lang), pieces..., </s>]` on both sides
//! (transformers: `models/m2m_100/tokenization_m2m_100.py`, `set_src_lang_special_tokens`).
//!
//! User text never becomes a mark or another control token: `</s>` or `__de__` inside a
//! sentence is spelt out in ordinary pieces. Limit: an added token that the file itself declares
//! as ordinary text (`"special": false`) and that is no language mark keeps its meaning.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::languages::{Languages, language_of_mark};
use crate::error::{Error, Result, contained};
use crate::formats::hf;
use crate::model::ModelConfig;

/// A sentence as the model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// `[mark, pieces..., eos]`.
    pub ids: Vec<u32>,
    /// Unknown pieces among `ids`.
    pub num_unk: u32,
    /// Whether pieces were cut away to fit the length limit.
    pub truncated: bool,
}

/// A `tokenizer.json` with its language marks. Shared by threads; encoding is deterministic.
pub struct TextTokenizer {
    tokenizer: Tokenizer,
    path: PathBuf,
    languages: Languages,
    unk_id: Option<u32>,
    eos_id: u32,
    byte_fallback: bool,
    /// By id: special tokens and marks, which text must not produce; `<unk>` is not among them.
    is_control: Vec<bool>,
    /// Control ids of the model's configuration that the file does not call special.
    hidden: Vec<u32>,
    num_entries: usize,
    kind: String,
}

impl TextTokenizer {
    /// Reads `DIR/tokenizer.json` (or the file itself) and checks that it fits the model.
    pub fn load(dir: &Path, config: &ModelConfig) -> Result<Self> {
        let path = if dir.is_file() { dir.to_path_buf() } else { dir.join(hf::TOKENIZER) };
        if !path.exists() {
            let mut e = Error::artifact("model has no tokenizer").at(&path);
            for name in ["sentencepiece.bpe.model", "spiece.model", "tokenizer.model"] {
                if dir.join(name).is_file() {
                    e = e.hint(format!(
                        "`{name}` is of the slow tokenizer; write tokenizer.json in Python: \
                         `AutoTokenizer.from_pretrained(DIR).save_pretrained(OUT)`"
                    ));
                }
            }
            return Err(e);
        }
        Self::from_value(hf::read_json(&path)?, &path, config)
    }

    /// The same from bytes in memory; `path` is what errors name.
    pub fn from_bytes(bytes: &[u8], path: &Path, config: &ModelConfig) -> Result<Self> {
        let value = serde_json::from_slice(bytes).map_err(|e| {
            Error::artifact("cannot read JSON").at(path).cause(e.to_string()).line(e.line() as u64)
        })?;
        Self::from_value(value, path, config)
    }

    fn from_value(mut value: Value, path: &Path, config: &ModelConfig) -> Result<Self> {
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
        let this = Self {
            num_entries: vocab.len(),
            tokenizer,
            path: path.to_path_buf(),
            languages,
            unk_id,
            eos_id: config.eos_token_id,
            byte_fallback,
            is_control,
            hidden,
            kind,
        };
        // A file whose parts do not work together fails here, not at the first sentence.
        this.encode_pieces("a 1 \u{4e00}").map_err(|e| e.hint("the file may be damaged"))?;
        Ok(this)
    }

    pub fn languages(&self) -> &Languages {
        &self.languages
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// `BPE`, `Unigram`, `WordPiece` or `WordLevel`.
    pub fn kind(&self) -> &str {
        &self.kind
    }
    /// Vocabulary entries, marks included; at most the model's `vocab_size`.
    pub fn num_entries(&self) -> usize {
        self.num_entries
    }
    pub fn unk_id(&self) -> Option<u32> {
        self.unk_id
    }
    pub fn eos_id(&self) -> u32 {
        self.eos_id
    }
    pub fn has_byte_fallback(&self) -> bool {
        self.byte_fallback
    }
    /// The piece of an id; none for ids without one (padding of the vocabulary).
    pub fn piece(&self, id: u32) -> Option<String> {
        self.tokenizer.id_to_token(id)
    }
    /// The id of a piece, as the vocabulary spells it.
    pub fn id_of_piece(&self, piece: &str) -> Option<u32> {
        self.tokenizer.token_to_id(piece)
    }
    /// Special tokens and language marks.
    pub fn is_control(&self, id: u32) -> bool {
        self.is_control.get(id as usize).copied().unwrap_or(false)
    }

    /// A source sentence: `[mark(src_lang), pieces..., eos]`, at most `max_len` ids. Cutting
    /// keeps the mark and the end mark. Empty text gives `[mark, eos]`.
    pub fn encode_source(&self, lang: &str, text: &str, max_len: usize) -> Result<Encoded> {
        self.encode_marked(self.languages.id_of(lang)?, text, max_len)
    }

    /// A target sentence as labels, in the same layout. The decoder's input is these labels
    /// shifted right by one behind `decoder_start_token_id`.
    pub fn encode_target(&self, lang: &str, text: &str, max_len: usize) -> Result<Encoded> {
        self.encode_marked(self.languages.id_of(lang)?, text, max_len)
    }

    /// `(language, text)` pairs in parallel; results and the first error are in input order.
    pub fn encode_batch<L, T>(&self, items: &[(L, T)], max_len: usize) -> Result<Vec<Encoded>>
    where
        L: AsRef<str> + Sync,
        T: AsRef<str> + Sync,
    {
        let results: Vec<Result<Encoded>> = items
            .par_iter()
            .with_min_len(16)
            .map(|(lang, text)| self.encode_source(lang.as_ref(), text.as_ref(), max_len))
            .collect();
        results.into_iter().collect()
    }

    fn encode_marked(&self, mark: u32, text: &str, max_len: usize) -> Result<Encoded> {
        let room = max_len.saturating_sub(2);
        let (pieces, truncated) = self.pieces_up_to(text, room)?;
        let mut ids = Vec::with_capacity(pieces.len() + 2);
        ids.push(mark);
        ids.extend(pieces);
        ids.push(self.eos_id);
        let num_unk = ids.iter().filter(|id| Some(**id) == self.unk_id).count() as u32;
        Ok(Encoded { ids, num_unk, truncated })
    }

    /// At most `limit` pieces, and whether there were more. A line of many megabytes is read
    /// only as far as the limit reaches.
    fn pieces_up_to(&self, text: &str, limit: usize) -> Result<(Vec<u32>, bool)> {
        let mut window = limit.saturating_mul(32).max(1 << 14);
        loop {
            let end = floor_char_boundary(text, window);
            let mut pieces = self.encode_pieces(&text[..end])?;
            // The cut may change the pieces near it: leave a margin behind the limit.
            if end == text.len() || pieces.len() >= limit.saturating_mul(2).max(limit + 64) {
                let truncated = pieces.len() > limit;
                pieces.truncate(limit);
                return Ok((pieces, truncated));
            }
            window = window.saturating_mul(8);
        }
    }

    /// The pieces of a text: no marks, no length limit.
    pub fn encode_pieces(&self, text: &str) -> Result<Vec<u32>> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let encoding =
            contained(|| self.tokenizer.encode_fast(text, false).map_err(|e| e.to_string()))
                .unwrap_or_else(|| Err("the tokenizers library failed on a text".into()))
                .map_err(|cause| {
                    Error::artifact("tokenizer cannot encode a text").at(&self.path).cause(cause)
                })?;
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

    /// The text of ids, without special tokens and marks: what transformers'
    /// `tokenizer.decode(ids, skip_special_tokens=True)` gives with the same file. Any prefix of
    /// a sequence may be decoded; half a character of byte pieces shows as U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let kept: Vec<u32> = ids.iter().copied().filter(|id| !self.hidden.contains(id)).collect();
        contained(|| self.tokenizer.decode(&kept, true).map_err(|e| e.to_string()))
            .unwrap_or_else(|| Err("the tokenizers library failed on a sequence".into()))
            .map_err(|cause| Error::artifact("tokenizer cannot decode").at(&self.path).cause(cause))
    }

    /// A text as the tokenizer's normalizer leaves it (NFKC and folded white space for ours).
    pub fn normalize(&self, text: &str) -> Result<String> {
        use tokenizers::{NormalizedString, Normalizer};
        let mut s = NormalizedString::from(text);
        if let Some(n) = self.tokenizer.get_normalizer() {
            n.normalize(&mut s).map_err(|e| {
                Error::artifact("tokenizer cannot normalise a text")
                    .at(&self.path)
                    .cause(e.to_string())
            })?;
        }
        Ok(s.get().to_string())
    }
}

/// The vocabulary entry of a byte in SentencePiece's byte fallback.
pub(super) fn byte_token(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
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
