//! SentencePiece `.model` files, id by id as the reference library cuts text (google/sentencepiece
//! 0.2, `src/sentencepiece_processor.cc`): BPE and unigram, replacements of characters, byte
//! fallback, user-defined and unused pieces.

mod bpe;
mod normalizer;
mod prefixes;
#[cfg(test)]
mod tests;
mod unigram;

use std::collections::HashMap;

use crate::error::Result;
use crate::formats::sentencepiece::{ModelType, Piece, PieceType, SentencePieceModel, byte_of};
use normalizer::{Normalizer, SPACE};
use prefixes::Prefixes;
use unigram::Unigram;

/// Bytes of a normalised text that are one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    start: usize,
    len: usize,
    id: u32,
}

/// The pieces of a model by name.
struct Vocabulary {
    pieces: Vec<Piece>,
    /// What text is cut into.
    segments: HashMap<Box<str>, u32>,
    /// Control, unknown and byte pieces.
    reserved: HashMap<Box<str>, u32>,
    user_defined: Prefixes,
    unknown: u32,
}

impl Vocabulary {
    fn new(model: &SentencePieceModel) -> Self {
        let by_name = |segments: bool| {
            let all = model.pieces.iter().zip(0u32..);
            all.filter(|(p, _)| p.kind.is_segment() == segments)
                .map(|(p, id)| (p.text.as_str().into(), id))
                .collect()
        };
        Self {
            segments: by_name(true),
            reserved: by_name(false),
            user_defined: normalizer::user_defined(model),
            unknown: model.unknown as u32,
            pieces: model.pieces.clone(),
        }
    }
    fn segment_id(&self, piece: &str) -> Option<u32> {
        self.segments.get(piece).copied()
    }
    /// The unknown piece's for what is none.
    fn id(&self, piece: &str) -> u32 {
        let id = self.reserved.get(piece).or_else(|| self.segments.get(piece));
        id.copied().unwrap_or(self.unknown)
    }
    fn piece(&self, id: u32) -> &Piece {
        &self.pieces[id as usize]
    }
    fn kind(&self, id: u32) -> PieceType {
        self.piece(id).kind
    }
    fn score(&self, id: u32) -> f32 {
        self.piece(id).score
    }
    /// User-defined pieces are worth more than any cut through them.
    fn unigram_score(&self, id: u32, len: usize) -> f32 {
        match self.kind(id) {
            PieceType::UserDefined => (0.1 * (len as f64 - 1.0)) as f32,
            _ => self.score(id),
        }
    }
}

/// A model ready to cut text into pieces and to put pieces together.
pub struct SentencePiece {
    vocabulary: Vocabulary,
    normalizer: Normalizer,
    /// None for BPE.
    unigram: Option<Unigram>,
    byte_fallback: bool,
    unk_surface: String,
    /// A space at the beginning of a text is not the text's.
    strips_first_space: bool,
    strips_all_first_spaces: bool,
}

/// A text in pieces.
pub struct Pieces<'a> {
    text: String,
    segments: Vec<Segment>,
    vocabulary: &'a Vocabulary,
}

impl Pieces<'_> {
    /// What each piece is spelt like: a piece of the model, or the characters of an unknown one.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().map(|s| match self.vocabulary.kind(s.id) {
            PieceType::Byte => &*self.vocabulary.piece(s.id).text,
            _ => &self.text[s.start..s.start + s.len],
        })
    }
    /// Indices in the model.
    pub fn ids(&self) -> impl Iterator<Item = u32> {
        self.segments.iter().map(|s| s.id)
    }
}

impl SentencePiece {
    /// # Errors
    /// Artifact: damaged replacements.
    pub fn new(model: &SentencePieceModel) -> Result<Self> {
        let vocabulary = Vocabulary::new(model);
        let spec = &model.normalizer;
        Ok(Self {
            normalizer: Normalizer::new(model)?,
            unigram: (model.model_type == ModelType::Unigram).then(|| Unigram::new(&vocabulary)),
            vocabulary,
            byte_fallback: model.byte_fallback,
            unk_surface: model.unk_surface.clone(),
            strips_first_space: spec.add_dummy_prefix || spec.remove_extra_whitespaces,
            strips_all_first_spaces: spec.remove_extra_whitespaces,
        })
    }

    pub fn is_bpe(&self) -> bool {
        self.unigram.is_none()
    }
    pub fn has_byte_fallback(&self) -> bool {
        self.byte_fallback
    }

    /// The text as it is cut: characters replaced, spaces folded.
    ///
    /// # Errors
    /// Artifact: replacements of a damaged model.
    pub fn normalize(&self, text: &str) -> Result<String> {
        let text = self.normalizer.normalize(text)?;
        let text = match self.strips_first_space {
            true => text.strip_prefix(SPACE).unwrap_or(&text),
            false => &text,
        };
        Ok(text.replace(SPACE, " "))
    }

    /// `PopulateSentencePieceText`: neighbours that are unknown are one piece, or with byte fallback
    /// one a byte.
    ///
    /// # Errors
    /// Artifact: replacements of a damaged model.
    pub fn pieces(&self, text: &str) -> Result<Pieces<'_>> {
        let text = self.normalizer.normalize(text)?;
        let cut = match &self.unigram {
            Some(unigram) => unigram.segment(&text, &self.vocabulary),
            None => bpe::segment(&text, &self.vocabulary),
        };
        let unknown = self.vocabulary.unknown;
        let mut segments: Vec<Segment> = Vec::with_capacity(cut.len());
        for s in cut {
            match segments.last_mut() {
                _ if s.id == unknown && self.byte_fallback => {
                    let bytes = text.as_bytes()[s.start..s.start + s.len].iter().enumerate();
                    segments.extend(bytes.map(|(i, byte)| Segment {
                        start: s.start + i,
                        len: 1,
                        id: self.vocabulary.id(&super::tokenizer::byte_token(*byte)),
                    }));
                }
                Some(last) if s.id == unknown && last.id == unknown => last.len += s.len,
                _ => segments.push(s),
            }
        }
        Ok(Pieces { text, segments, vocabulary: &self.vocabulary })
    }

    /// The text of pieces, which need not be the model's (`Decode` of pieces as text).
    pub fn decode<'a>(&self, pieces: impl IntoIterator<Item = &'a str>) -> String {
        let mut out = String::new();
        let mut bytes: Vec<u8> = Vec::new();
        let (mut at_start, mut stripped) = (true, false);
        for piece in pieces {
            let id = self.vocabulary.id(piece);
            let kind = self.vocabulary.kind(id);
            if let (PieceType::Byte, Some(byte)) = (kind, byte_of(piece)) {
                bytes.push(byte);
                continue;
            }
            flush(&mut bytes, &mut out);
            at_start &= !stripped && out.is_empty();
            stripped = false;
            match kind {
                PieceType::Control => {}
                PieceType::Unknown if self.vocabulary.piece(id).text == piece => {
                    out.push_str(&self.unk_surface);
                }
                PieceType::Unknown => out.push_str(piece),
                _ => {
                    let bare = match at_start && self.strips_first_space {
                        true => piece.strip_prefix(SPACE),
                        false => None,
                    };
                    stripped = bare.is_some() && !self.strips_all_first_spaces;
                    out.push_str(&bare.unwrap_or(piece).replace(SPACE, " "));
                }
            }
        }
        flush(&mut bytes, &mut out);
        out
    }
}

/// Appends bytes as characters; each byte that is part of none shows as U+FFFD.
fn flush(bytes: &mut Vec<u8>, out: &mut String) {
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        match std::str::from_utf8(rest) {
            Ok(text) => {
                out.push_str(text);
                break;
            }
            Err(e) => {
                let (good, bad) = rest.split_at(e.valid_up_to());
                out.push_str(std::str::from_utf8(good).unwrap_or_default());
                out.push('\u{FFFD}');
                rest = &bad[1..];
            }
        }
    }
    bytes.clear();
}
