//! A SentencePiece model with a dictionary of its own: `sentencepiece.bpe.model` and `vocab.json`, as
//! M2M-100 and SMaLL-100 were published (transformers:
//! `models/m2m_100/tokenization_m2m_100.py`). Pieces have the ids of vocab.json; those it lacks are
//! `<unk>`. Marks follow behind its last id, in the order of the published list of languages.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::fairseq_codes;
use super::languages::{Languages, language_of_mark, mark_of};
use super::sentencepiece::SentencePiece;
use crate::error::{Error, Result};
use crate::formats::hf;
use crate::formats::sentencepiece::SentencePieceModel;
use crate::model::ModelConfig;

const UNK: &str = "<unk>";

pub struct PieceTokenizer {
    pub sentencepiece: SentencePiece,
    /// Ids by the SentencePiece model's own; none for its unknown piece, which is any text.
    by_own: Vec<Option<u32>>,
    /// By id; ids of marks behind them.
    pieces: Vec<Box<str>>,
    ids: HashMap<Box<str>, u32>,
    /// Marks by id.
    marks: BTreeMap<u32, String>,
    pub languages: Languages,
    pub unk_id: u32,
    /// By id: `<s>`, `<pad>`, `</s>` and marks.
    pub is_control: Vec<bool>,
}

impl PieceTokenizer {
    /// Whether a directory has the files of such a tokenizer.
    pub fn is_in(dir: &Path) -> bool {
        [hf::SENTENCEPIECE, hf::VOCAB].iter().all(|name| dir.join(name).is_file())
    }

    /// # Errors
    /// Artifact: a file is damaged, or they do not fit each other or the model.
    pub fn load(dir: &Path, config: &ModelConfig) -> Result<Self> {
        let model = SentencePieceModel::read(&dir.join(hf::SENTENCEPIECE))?;
        let vocab: Vocab = hf::read_json(&dir.join(hf::VOCAB))?;
        let mut marks = Marks::default();
        for name in [hf::TOKENIZER_CONFIG, "added_tokens.json"] {
            let path = dir.join(name);
            if path.is_file() {
                let is_list = name != hf::TOKENIZER_CONFIG;
                marks.add(&hf::read_json(&path)?, is_list).map_err(|e| e.at(&path))?;
            }
        }
        Self::new(&model, vocab, marks, dir, config)
    }

    /// The same from bytes in memory, with the published list of languages.
    pub fn from_bytes(model: &[u8], vocab: &[u8], config: &ModelConfig) -> Result<Self> {
        let model = SentencePieceModel::parse(model).map_err(|e| e.at(hf::SENTENCEPIECE))?;
        let vocab = serde_json::from_slice(vocab)
            .map_err(|e| Error::artifact("cannot read JSON").at(hf::VOCAB).cause(e.to_string()))?;
        Self::new(&model, vocab, Marks::default(), Path::new(""), config)
    }

    fn new(
        model: &SentencePieceModel,
        vocab: Vocab,
        extra: Marks,
        dir: &Path,
        config: &ModelConfig,
    ) -> Result<Self> {
        let path = dir.join(hf::VOCAB);
        let ids = vocab.by_piece().map_err(|e| e.at(&path))?;
        let mut pieces = vec![Box::default(); ids.len()];
        for (piece, id) in &ids {
            pieces[*id as usize] = piece.clone();
        }
        let marks = extra.all(pieces.len() as u32, &ids).map_err(|e| e.at(&path))?;
        let fault = |message: &str| Error::artifact(message.to_string()).at(&path);
        if let Some((last, token)) = marks.last_key_value()
            && *last as usize >= config.vocab_size
        {
            return Err(fault("tokenizer does not fit the model")
                .found(format!("{} pieces, so that mark `{token}` has id {last}", pieces.len()))
                .expected(format!("ids below `vocab_size` {}", config.vocab_size))
                .hint("is this the tokenizer of another model?"));
        }
        let special = |token: &str, id: u32, key: &str| match ids.get(token) {
            Some(own) if *own == id => Ok(()),
            Some(own) => Err(fault("tokenizer does not fit the model")
                .key(token)
                .found(format!("id {own}"))
                .expected(format!("{id} (`{key}` of config.json)"))
                .hint("is this the tokenizer of another model?")),
            None => Err(fault("vocabulary lacks a token the model needs")
                .key(token)
                .expected(format!("id {id} (`{key}` of config.json)"))),
        };
        special("</s>", config.eos_token_id, "eos_token_id")?;
        special("<pad>", config.pad_token_id, "pad_token_id")?;
        let unk_id = *ids
            .get(UNK)
            .ok_or_else(|| fault("vocabulary lacks the token for what it lacks").key(UNK))?;
        let known = model.pieces.iter().filter(|p| ids.contains_key(&*p.text)).count();
        if 2 * known < model.pieces.len() {
            return Err(fault("vocabulary is not that of the SentencePiece model")
                .found(format!("{known} of its {} pieces", model.pieces.len()))
                .expected(format!("most pieces of {}", dir.join(hf::SENTENCEPIECE).display())));
        }
        let mut is_control = vec![false; config.vocab_size];
        let named = ["<s>", "<pad>", "</s>"].iter().filter_map(|t| ids.get(*t));
        for id in named.chain(marks.keys()) {
            is_control[*id as usize] = true;
        }
        let code = |token: &String| language_of_mark(token).unwrap_or(token).to_string();
        let mut this = Self {
            sentencepiece: SentencePiece::new(model)
                .map_err(|e| e.at(dir.join(hf::SENTENCEPIECE)))?,
            by_own: Vec::new(),
            pieces,
            ids,
            languages: Languages::new(marks.iter().map(|(id, token)| (code(token), *id))),
            marks,
            unk_id,
            is_control,
        };
        let is_known = |own: usize| own != model.unknown;
        let by_own = model.pieces.iter().enumerate();
        this.by_own = by_own.map(|(i, p)| is_known(i).then(|| this.text_id(&p.text))).collect();
        Ok(this)
    }

    /// Pieces and marks.
    pub fn num_entries(&self) -> usize {
        self.pieces.len() + self.marks.len()
    }

    pub fn piece(&self, id: u32) -> Option<&str> {
        let piece = self.pieces.get(id as usize).map(|p| &**p);
        piece.or_else(|| self.marks.get(&id).map(String::as_str))
    }

    pub fn id_of_piece(&self, piece: &str) -> Option<u32> {
        let mark = || self.marks.iter().find(|(_, token)| *token == piece).map(|(id, _)| *id);
        self.ids.get(piece).copied().or_else(mark)
    }

    /// The ids of a text. What is spelt like a control token is unknown: text never becomes one.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let pieces = self.sentencepiece.pieces(text)?;
        let id = |(own, piece): (u32, &str)| match self.by_own.get(own as usize) {
            Some(Some(id)) => *id,
            // Characters that the SentencePiece model does not know may be in the vocabulary.
            _ => self.text_id(piece),
        };
        Ok(pieces.ids().zip(pieces.iter()).map(id).collect())
    }

    /// The id of what is a piece of text, whatever it is spelt like.
    fn text_id(&self, piece: &str) -> u32 {
        let id = self.ids.get(piece).copied().unwrap_or(self.unk_id);
        if self.is_control[id as usize] { self.unk_id } else { id }
    }

    /// `decode(ids, skip_special_tokens=True)`: special tokens and marks leave nothing; an id
    /// without a piece shows as `<unk>`, as it does there.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut out = String::new();
        let mut pieces: Vec<&str> = Vec::new();
        for &id in ids {
            if id == self.unk_id || self.is_control.get(id as usize).copied().unwrap_or(false) {
                continue;
            }
            match self.pieces.get(id as usize) {
                Some(piece) => pieces.push(piece),
                None => {
                    out.push_str(&self.sentencepiece.decode(pieces.drain(..)));
                    out.push_str(UNK);
                }
            }
        }
        out.push_str(&self.sentencepiece.decode(pieces));
        // Python's `strip`.
        let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
        out.trim_matches(is_space).to_string()
    }
}

/// vocab.json as it is written, so that a key that is there twice is not lost.
struct Vocab(Vec<(Box<str>, u64)>);

impl<'de> Deserialize<'de> for Vocab {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vocab;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object from pieces to ids")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocab, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<String, u64>()? {
                    entries.push((entry.0.into(), entry.1));
                }
                Ok(Vocab(entries))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Vocab {
    /// Checks that ids count from 0 without a gap: marks follow behind the number of entries.
    fn by_piece(self) -> Result<HashMap<Box<str>, u32>> {
        let n = self.0.len();
        let mut by_id: Vec<Option<Box<str>>> = vec![None; n];
        let mut ids = HashMap::with_capacity(n);
        for (piece, id) in self.0 {
            let slot =
                usize::try_from(id).ok().and_then(|id| by_id.get_mut(id)).ok_or_else(|| {
                    Error::artifact("ids of the vocabulary have a gap")
                        .key(&*piece)
                        .found(format!("id {id}"))
                        .expected(format!("below {n}, the number of its entries"))
                })?;
            if ids.insert(piece.clone(), id as u32).is_some() {
                return Err(Error::artifact("vocabulary has a piece twice").key(&*piece));
            }
            if let Some(other) = slot {
                return Err(Error::artifact("vocabulary has an id twice")
                    .key(&*piece)
                    .found(format!("id {id}, which `{other}` has too")));
            }
            *slot = Some(piece);
        }
        Ok(ids)
    }
}

/// What the files beside vocab.json say about marks.
#[derive(Default)]
struct Marks {
    /// Name of the list of languages.
    list: Option<String>,
    /// Marks with their ids.
    tokens: BTreeMap<String, u64>,
    /// Other tokens that were added.
    others: Vec<String>,
}

impl Marks {
    /// Of tokenizer_config.json (`language_codes`, `added_tokens_decoder`) or added_tokens.json
    /// (a list of tokens with their ids, and nothing else).
    fn add(&mut self, file: &Value, is_list: bool) -> Result<()> {
        if let Some(name) = file["language_codes"].as_str() {
            if fairseq_codes::list(name).is_none() {
                return Err(Error::artifact("unknown list of languages")
                    .key("language_codes")
                    .found(format!("`{name}`"))
                    .expected("m2m100 or wmt21"));
            }
            self.list = Some(name.to_string());
        }
        for (token, id) in file.as_object().into_iter().flatten() {
            let Some(id) = id.as_u64() else { continue };
            if language_of_mark(token).is_some() {
                self.tokens.insert(token.clone(), id);
            } else if is_list {
                self.others.push(token.clone());
            }
        }
        for (id, token) in file["added_tokens_decoder"].as_object().into_iter().flatten() {
            let Some(token) = token["content"].as_str() else { continue };
            if language_of_mark(token).is_none() {
                self.others.push(token.to_string());
                continue;
            }
            let number = id.parse().map_err(|_| {
                Error::artifact(format!("the id of language mark `{token}` is not a number"))
                    .key(format!("added_tokens_decoder.{id}"))
                    .found(format!("`{id}`"))
                    .expected("a whole number of at least 0")
                    .hint("keys of `added_tokens_decoder` are the ids of its tokens")
            })?;
            self.tokens.insert(token.to_string(), number);
        }
        Ok(())
    }

    /// All marks by id: the list's behind the vocabulary, and others where the files say.
    fn all(self, num_pieces: u32, ids: &HashMap<Box<str>, u32>) -> Result<BTreeMap<u32, String>> {
        // fairseq filled its dictionary up with words that no text has.
        let is_known = |t: &str| ids.contains_key(t) || t.starts_with("madeupword");
        if let Some(token) = self.others.iter().find(|t| !is_known(t)) {
            return Err(Error::artifact("an added token is not a language mark")
                .key(&**token)
                .expected("marks such as `__de__`, and tokens of the vocabulary")
                .hint("text that holds it would be cut otherwise than in training"));
        }
        let list = self.list.as_deref().unwrap_or(fairseq_codes::DEFAULT);
        let codes = fairseq_codes::list(list).into_iter().flatten();
        let mut marks: BTreeMap<u32, String> =
            (num_pieces..).zip(codes).map(|(id, code)| (id, mark_of(code))).collect();
        let places: HashMap<String, u32> =
            marks.iter().map(|(id, token)| (token.clone(), *id)).collect();
        for (token, id) in self.tokens {
            let fault = |expected: String| {
                Error::artifact("added token is at odds with the vocabulary")
                    .key(&*token)
                    .found(format!("id {id}"))
                    .expected(expected)
            };
            match places.get(&token) {
                Some(place) if u64::from(*place) == id => {}
                Some(place) => return Err(fault(format!("{place}, by the list `{list}`"))),
                None => {
                    let free = u32::try_from(id).ok();
                    let free = free.filter(|i| *i >= num_pieces && !marks.contains_key(i));
                    let free = free.ok_or_else(|| fault("an id that is free".into()))?;
                    marks.insert(free, token);
                }
            }
        }
        match marks.values().find(|token| ids.contains_key(token.as_str())) {
            Some(token) => Err(Error::artifact("a language mark is a piece of the vocabulary")
                .key(&**token)
                .expected("marks behind the pieces")),
            None => Ok(marks),
        }
    }
}
