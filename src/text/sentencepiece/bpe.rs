//! Byte pair encoding as SentencePiece does it: the pair that makes the piece with the highest score
//! first, the leftmost among equals (google/sentencepiece: `src/bpe_model.cc`, `SampleEncode`
//! without dropout).

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::normalizer::char_len;
use super::{Segment, Vocabulary};
use crate::formats::sentencepiece::PieceType;

#[derive(Clone, Copy)]
struct Symbol {
    start: usize,
    /// 0 once it is part of the symbol before it.
    len: usize,
    prev: Option<usize>,
    next: Option<usize>,
    /// A user-defined piece: never part of another.
    frozen: bool,
}

/// Two neighbours that make a piece.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Bytes of both, when the pair was found.
    len: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}
impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Pair {}

/// The pieces of a normalised text, in order.
pub fn segment(text: &str, vocabulary: &Vocabulary) -> Vec<Segment> {
    let mut symbols = symbols(text, vocabulary);
    let mut merges = Merges { text, vocabulary, agenda: BinaryHeap::new(), parts: HashMap::new() };
    for right in 1..symbols.len() {
        merges.add(&symbols, Some(right - 1), Some(right));
    }
    while let Some(Pair { left, right, len, .. }) = merges.agenda.pop() {
        let (a, b) = (symbols[left], symbols[right]);
        // One of them has grown or is part of another by now.
        if a.len == 0 || b.len == 0 || a.len + b.len != len {
            continue;
        }
        symbols[left] = Symbol { len, next: b.next, ..a };
        symbols[right].len = 0;
        if let Some(next) = b.next {
            symbols[next].prev = Some(left);
        }
        merges.add(&symbols, a.prev, Some(left));
        merges.add(&symbols, Some(left), b.next);
    }
    let mut out = Vec::new();
    for s in symbols.iter().filter(|s| s.len > 0) {
        merges.resolve(s.start, s.len, &mut out);
    }
    out
}

/// Characters and user-defined pieces.
fn symbols(text: &str, vocabulary: &Vocabulary) -> Vec<Symbol> {
    let mut symbols: Vec<Symbol> = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let rest = &text.as_bytes()[start..];
        let kept = vocabulary.user_defined.longest(rest);
        let len = kept.unwrap_or_else(|| char_len(rest));
        let i = symbols.len();
        let next = (start + len < text.len()).then_some(i + 1);
        symbols.push(Symbol { start, len, prev: i.checked_sub(1), next, frozen: kept.is_some() });
        start += len;
    }
    symbols
}

struct Merges<'a> {
    text: &'a str,
    vocabulary: &'a Vocabulary,
    agenda: BinaryHeap<Pair>,
    /// For an unused piece, the length of the first of the two parts it was last made of.
    parts: HashMap<&'a str, usize>,
}

impl<'a> Merges<'a> {
    fn add(&mut self, symbols: &[Symbol], left: Option<usize>, right: Option<usize>) {
        let (Some(left), Some(right)) = (left, right) else { return };
        let (a, b) = (symbols[left], symbols[right]);
        if a.frozen || b.frozen {
            return;
        }
        let len = a.len + b.len;
        let piece = &self.text[a.start..a.start + len];
        let Some(id) = self.vocabulary.segment_id(piece) else { return };
        self.agenda.push(Pair { score: self.vocabulary.score(id), left, right, len });
        if self.vocabulary.kind(id) == PieceType::Unused {
            self.parts.insert(piece, a.len);
        }
    }

    /// A piece that may not be used falls back into its parts.
    fn resolve(&self, start: usize, len: usize, out: &mut Vec<Segment>) {
        let mut todo = vec![(start, len)];
        while let Some((start, len)) = todo.pop() {
            let piece = &self.text[start..start + len];
            let id = self.vocabulary.id(piece);
            let first = match self.vocabulary.kind(id) {
                PieceType::Unused => self.parts.get(piece),
                _ => None,
            };
            match first {
                Some(&first) => todo.extend([(start + first, len - first), (start, first)]),
                None => out.push(Segment { start, len, id }),
            }
        }
    }
}
