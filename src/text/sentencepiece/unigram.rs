//! The most probable pieces under a unigram language model (google/sentencepiece:
//! `src/unigram_model.cc`, `EncodeOptimized`).

use super::normalizer::char_len;
use super::prefixes::Prefixes;
use super::{Segment, Vocabulary};
use crate::formats::sentencepiece::PieceType;

/// An unknown character costs this much more than the rarest piece.
const UNKNOWN_PENALTY: f32 = 10.0;

pub struct Unigram {
    /// Normal and user-defined pieces.
    pieces: Prefixes,
    unknown_score: f32,
}

/// The best way to a place in the text.
#[derive(Clone, Copy)]
struct Best {
    score: f32,
    /// The last piece; none for places that no piece ends at.
    last: Option<(usize, u32)>,
}

impl Unigram {
    pub fn new(vocabulary: &Vocabulary) -> Self {
        let used = |p: &(usize, &crate::formats::sentencepiece::Piece)| {
            matches!(p.1.kind, PieceType::Normal | PieceType::UserDefined)
        };
        let pieces = vocabulary.pieces.iter().enumerate().filter(used);
        let normal = vocabulary.pieces.iter().filter(|p| p.kind == PieceType::Normal);
        let lowest = normal.map(|p| p.score).reduce(f32::min).unwrap_or(f32::MAX);
        Self {
            pieces: Prefixes::new(pieces.map(|(i, p)| (&*p.text, i as u32))),
            unknown_score: lowest - UNKNOWN_PENALTY,
        }
    }

    /// The pieces of a normalised text, in order.
    pub fn segment(&self, text: &str, vocabulary: &Vocabulary) -> Vec<Segment> {
        let bytes = text.as_bytes();
        let mut best = vec![Best { score: 0.0, last: None }; bytes.len() + 1];
        let mut start = 0;
        while start < bytes.len() {
            let rest = &bytes[start..];
            let one = char_len(rest);
            let so_far = best[start].score;
            let mut add = |len: usize, score: f32, id: u32| {
                let end = &mut best[start + len];
                let score = score + so_far;
                if end.last.is_none() || score > end.score {
                    *end = Best { score, last: Some((start, id)) };
                }
            };
            let mut has_one = false;
            self.pieces.of(rest, |len, id| {
                has_one |= len == one;
                add(len, vocabulary.unigram_score(id, len), id);
            });
            if !has_one {
                add(one, self.unknown_score, vocabulary.unknown);
            }
            start += one;
        }
        let mut out = Vec::new();
        let mut end = bytes.len();
        while let Some((start, id)) = best[end].last {
            out.push(Segment { start, len: end - start, id });
            end = start;
        }
        out.reverse();
        out
    }
}
