//! Text to ids and back, by a `tokenizer.json` or by `sentencepiece.bpe.model` and `vocab.json`.
//! Sentences are stored as `[mark(lang), pieces..., </s>]`; a [`Convention`] makes sources and
//! targets of them (transformers: `models/m2m_100/tokenization_m2m_100.py`,
//! `set_src_lang_special_tokens`).
//!
//! User text never becomes a mark or another control token: `</s>` or `__de__` inside a
//! sentence is spelt out in ordinary pieces. There the reference tokenizers differ: they make
//! special tokens of them, unless told `split_special_tokens=True`. Limit: an added token that a
//! tokenizer.json itself declares as ordinary text (`"special": false`) and that is no language mark
//! keeps its meaning.
//!
//! A model may have more rows than its tokenizer has entries. Such ids are not forbidden in search,
//! as `generate` does not forbid them; a trained model never chooses them. They decode to nothing
//! with a tokenizer.json and to `<unk>` with a vocab.json, as in transformers.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::convention::Convention;
use super::json_tokenizer::JsonTokenizer;
use super::languages::Languages;
use super::piece_tokenizer::PieceTokenizer;
use crate::error::{Error, Result};
use crate::formats::hf;
use crate::model::ModelConfig;

/// A sentence as the model reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// `[mark, pieces..., eos]`, or in the order of a [`Convention`].
    pub ids: Vec<u32>,
    /// Unknown pieces among `ids`.
    pub num_unk: u32,
    /// Whether pieces were cut away to fit the length limit.
    pub truncated: bool,
}

/// A tokenizer with its language marks. Shared by threads; encoding is deterministic.
pub struct TextTokenizer {
    engine: Engine,
    path: PathBuf,
    eos_id: u32,
    vocab_size: usize,
    convention: Convention,
}

/// What text is cut by.
enum Engine {
    Json(Box<JsonTokenizer>),
    Pieces(Box<PieceTokenizer>),
}

impl TextTokenizer {
    /// Reads the tokenizer of a directory (tokenizer.json, else sentencepiece.bpe.model and
    /// vocab.json), or the tokenizer.json itself, and checks that it fits the model.
    pub fn load(dir: &Path, config: &ModelConfig) -> Result<Self> {
        let path = if dir.is_file() { dir.to_path_buf() } else { dir.join(hf::TOKENIZER) };
        let mut this = if path.exists() {
            let engine = JsonTokenizer::new(hf::read_json(&path)?, &path, config)?;
            Self::new(Engine::Json(Box::new(engine)), path, config)
        } else if PieceTokenizer::is_in(dir) {
            let engine = PieceTokenizer::load(dir, config)?;
            Self::new(Engine::Pieces(Box::new(engine)), dir.join(hf::SENTENCEPIECE), config)
        } else {
            return Err(missing(dir));
        }?;
        if let Some(convention) = Convention::read(dir)? {
            this.convention = convention;
        }
        Ok(this)
    }

    /// Whether a directory has the files of a tokenizer.
    pub fn is_in(dir: &Path) -> bool {
        dir.join(hf::TOKENIZER).is_file() || PieceTokenizer::is_in(dir)
    }

    /// A tokenizer.json in memory; `path` is what errors name.
    pub fn from_bytes(bytes: &[u8], path: &Path, config: &ModelConfig) -> Result<Self> {
        let value = serde_json::from_slice(bytes).map_err(|e| {
            Error::artifact("cannot read JSON").at(path).cause(e.to_string()).line(e.line() as u64)
        })?;
        let engine = JsonTokenizer::new(value, path, config)?;
        Self::new(Engine::Json(Box::new(engine)), path.to_path_buf(), config)
    }

    /// A SentencePiece model and a vocab.json in memory.
    pub fn from_pieces(model: &[u8], vocab: &[u8], config: &ModelConfig) -> Result<Self> {
        let engine = PieceTokenizer::from_bytes(model, vocab, config)?;
        Self::new(Engine::Pieces(Box::new(engine)), hf::SENTENCEPIECE.into(), config)
    }

    fn new(engine: Engine, path: PathBuf, config: &ModelConfig) -> Result<Self> {
        let mut this = Self {
            engine,
            path,
            eos_id: config.eos_token_id,
            vocab_size: config.vocab_size,
            convention: Convention::M2m100,
        };
        // Marks that are spelt like their codes are those of NLLB.
        let languages = this.languages();
        let token = |code: &String| this.piece(languages.id_of(code).ok()?);
        if languages.codes().first().is_some_and(|code| token(code).as_ref() == Some(code)) {
            this.convention = Convention::Nllb;
        }
        // A file whose parts do not work together fails here, not at the first sentence.
        this.encode_pieces("a 1 \u{4e00}").map_err(|e| e.hint("the file may be damaged"))?;
        Ok(this)
    }

    /// The same with marks in other places.
    pub fn with_convention(self, convention: Convention) -> Self {
        Self { convention, ..self }
    }

    pub fn languages(&self) -> &Languages {
        match &self.engine {
            Engine::Json(t) => &t.languages,
            Engine::Pieces(t) => &t.languages,
        }
    }
    /// The file that says how text is cut.
    pub fn path(&self) -> &Path {
        &self.path
    }
    pub fn convention(&self) -> Convention {
        self.convention
    }
    /// `BPE`, `Unigram`, `WordPiece` or `WordLevel`; of SentencePiece `BPE` or `Unigram`.
    pub fn kind(&self) -> &str {
        match &self.engine {
            Engine::Json(t) => &t.kind,
            Engine::Pieces(t) if t.sentencepiece.is_bpe() => "BPE",
            Engine::Pieces(_) => "Unigram",
        }
    }
    /// Vocabulary entries, marks included; at most the model's `vocab_size`.
    pub fn num_entries(&self) -> usize {
        match &self.engine {
            Engine::Json(t) => t.num_entries,
            Engine::Pieces(t) => t.num_entries(),
        }
    }
    pub fn unk_id(&self) -> Option<u32> {
        match &self.engine {
            Engine::Json(t) => t.unk_id,
            Engine::Pieces(t) => Some(t.unk_id),
        }
    }
    pub fn eos_id(&self) -> u32 {
        self.eos_id
    }
    pub fn has_byte_fallback(&self) -> bool {
        match &self.engine {
            Engine::Json(t) => t.byte_fallback,
            Engine::Pieces(t) => t.sentencepiece.has_byte_fallback(),
        }
    }
    /// The piece of an id; none for ids without one (padding of the vocabulary).
    pub fn piece(&self, id: u32) -> Option<String> {
        match &self.engine {
            Engine::Json(t) => t.piece(id),
            Engine::Pieces(t) => t.piece(id).map(str::to_string),
        }
    }
    /// Ids of the model without a piece, as ranges from first to last.
    pub fn ids_without_piece(&self) -> Vec<(u32, u32)> {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for id in (0..self.vocab_size as u32).filter(|id| self.piece(*id).is_none()) {
            match ranges.last_mut().filter(|(_, last)| last + 1 == id) {
                Some((_, last)) => *last = id,
                None => ranges.push((id, id)),
            }
        }
        ranges
    }
    /// The id of a piece, as the vocabulary spells it.
    pub fn id_of_piece(&self, piece: &str) -> Option<u32> {
        match &self.engine {
            Engine::Json(t) => t.id_of_piece(piece),
            Engine::Pieces(t) => t.id_of_piece(piece),
        }
    }
    /// Special tokens and language marks.
    pub fn is_control(&self, id: u32) -> bool {
        let of = match &self.engine {
            Engine::Json(t) => &t.is_control,
            Engine::Pieces(t) => &t.is_control,
        };
        of.get(id as usize).copied().unwrap_or(false)
    }

    /// What the encoder reads of a sentence in the order of the [`Convention`], at most `max_len`
    /// ids. Cutting keeps mark and end mark. Empty text leaves those two.
    pub fn encode_source(
        &self,
        src_lang: &str,
        tgt_lang: &str,
        text: &str,
        max_len: usize,
    ) -> Result<Encoded> {
        let sentence = self.encode(src_lang, text, max_len)?;
        let target_mark = self.languages().id_of(tgt_lang)?;
        let ids = self.convention.source(&sentence.ids, target_mark).into_owned();
        Ok(Encoded { ids, ..sentence })
    }

    /// A target sentence as labels, in the order of the [`Convention`]. The decoder's input is these
    /// labels shifted right by one behind `decoder_start_token_id`.
    pub fn encode_target(&self, tgt_lang: &str, text: &str, max_len: usize) -> Result<Encoded> {
        let sentence = self.encode(tgt_lang, text, max_len)?;
        let ids = self.convention.target(&sentence.ids).to_vec();
        Ok(Encoded { ids, ..sentence })
    }

    /// The token that decoding begins with, where one is forced.
    pub fn forced(&self, tgt_lang: &str) -> Result<Option<u32>> {
        Ok(self.convention.forced(self.languages().id_of(tgt_lang)?))
    }

    /// `(language, text)` pairs as [`TextTokenizer::encode`], in parallel; results and the first
    /// error are in input order.
    pub fn encode_batch<L, T>(&self, items: &[(L, T)], max_len: usize) -> Result<Vec<Encoded>>
    where
        L: AsRef<str> + Sync,
        T: AsRef<str> + Sync,
    {
        let results: Vec<Result<Encoded>> = items
            .par_iter()
            .with_min_len(16)
            .map(|(lang, text)| self.encode(lang.as_ref(), text.as_ref(), max_len))
            .collect();
        results.into_iter().collect()
    }

    /// A sentence as it is stored: `[mark(lang), pieces..., eos]`, at most `max_len` ids. Cutting
    /// keeps the mark and the end mark. Empty text gives `[mark, eos]`.
    pub fn encode(&self, lang: &str, text: &str, max_len: usize) -> Result<Encoded> {
        let mark = self.languages().id_of(lang)?;
        let room = max_len.saturating_sub(2);
        let (pieces, truncated) = self.pieces_up_to(text, room)?;
        let mut ids = Vec::with_capacity(pieces.len() + 2);
        ids.push(mark);
        ids.extend(pieces);
        ids.push(self.eos_id);
        let num_unk = ids.iter().filter(|id| Some(**id) == self.unk_id()).count() as u32;
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
        let ids = match &self.engine {
            Engine::Json(t) => t.encode(text),
            Engine::Pieces(t) => t.encode(text),
        };
        ids.map_err(|e| e.at(&self.path))
    }

    /// The text of ids, without special tokens and marks: what transformers'
    /// `tokenizer.decode(ids, skip_special_tokens=True)` gives with the same files. Any prefix of
    /// a sequence may be decoded; half a character of byte pieces shows as U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        match &self.engine {
            Engine::Json(t) => t.decode(ids).map_err(|e| e.at(&self.path)),
            Engine::Pieces(t) => Ok(t.decode(ids)),
        }
    }

    /// A text as the tokenizer's normalizer leaves it (NFKC and folded white space for ours).
    pub fn normalize(&self, text: &str) -> Result<String> {
        let normal = match &self.engine {
            Engine::Json(t) => t.normalize(text),
            Engine::Pieces(t) => t.sentencepiece.normalize(text),
        };
        normal.map_err(|e| e.at(&self.path))
    }
}

fn missing(dir: &Path) -> Error {
    let e = Error::artifact("model has no tokenizer").at(dir.join(hf::TOKENIZER));
    let others = [hf::SENTENCEPIECE, "spiece.model", "tokenizer.model"];
    match others.into_iter().find(|name| dir.join(name).is_file()) {
        None => e.expected(format!("it, or `{}` and `{}`", hf::SENTENCEPIECE, hf::VOCAB)),
        Some(hf::SENTENCEPIECE) => e.hint(format!(
            "M2M-100's `{}` needs its `{}` beside it; NLLB's comes with a tokenizer.json",
            hf::SENTENCEPIECE,
            hf::VOCAB
        )),
        Some(name) => e.hint(format!(
            "`{name}` is of another tokenizer; write tokenizer.json in Python: \
             `AutoTokenizer.from_pretrained(DIR).save_pretrained(OUT)`"
        )),
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
