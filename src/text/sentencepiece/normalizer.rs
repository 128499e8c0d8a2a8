//! Text as SentencePiece cuts it (google/sentencepiece: `src/normalizer.cc`, `Normalize`,
//! `NormalizePrefix`).

use super::prefixes::Prefixes;
use crate::error::{Error, Result};
use crate::formats::sentencepiece::{NormalizerSpec, PieceType, SentencePieceModel};

/// The space as pieces spell it.
pub const SPACE: &str = "\u{2581}";

pub struct Normalizer {
    charsmap: Option<Charsmap>,
    /// User-defined pieces, which no replacement touches.
    kept: Prefixes,
    spec: NormalizerSpec,
    treat_whitespace_as_suffix: bool,
}

impl Normalizer {
    /// # Errors
    /// Artifact: the replacements are damaged.
    pub fn new(model: &SentencePieceModel) -> Result<Self> {
        let mut spec = model.normalizer.clone();
        let blob = std::mem::take(&mut spec.precompiled_charsmap);
        Ok(Self {
            charsmap: (!blob.is_empty()).then(|| Charsmap::new(&blob)).transpose()?,
            kept: user_defined(model),
            spec,
            treat_whitespace_as_suffix: model.treat_whitespace_as_suffix,
        })
    }

    /// # Errors
    /// Artifact: replacements of a damaged file that are not UTF-8.
    pub fn normalize(&self, text: &str) -> Result<String> {
        let mut rest = text.as_bytes();
        let folds = self.spec.remove_extra_whitespaces;
        while folds && !rest.is_empty() {
            let (replacement, len) = self.prefix(rest);
            if replacement != b" " {
                break;
            }
            rest = &rest[len..];
        }
        if rest.is_empty() {
            return Ok(String::new());
        }
        let space = if self.spec.escape_whitespaces { SPACE } else { " " }.as_bytes();
        let mut out: Vec<u8> = Vec::with_capacity(rest.len() + rest.len() / 2 + space.len());
        if self.spec.add_dummy_prefix && !self.treat_whitespace_as_suffix {
            out.extend_from_slice(space);
        }
        let mut after_space = folds;
        while !rest.is_empty() {
            let (mut replacement, len) = self.prefix(rest);
            while let (true, Some(tail)) = (after_space, replacement.strip_prefix(b" ")) {
                replacement = tail;
            }
            if let Some(last) = replacement.last() {
                for &byte in replacement {
                    if byte == b' ' { out.extend_from_slice(space) } else { out.push(byte) }
                }
                after_space = *last == b' ';
            }
            after_space &= folds;
            rest = &rest[len..];
        }
        while let (true, Some(front)) = (folds, out.strip_suffix(space)) {
            out.truncate(front.len());
        }
        if self.spec.add_dummy_prefix && self.treat_whitespace_as_suffix {
            out.extend_from_slice(space);
        }
        String::from_utf8(out).map_err(|e| {
            Error::artifact("replacements of the SentencePiece model are not UTF-8")
                .key("normalizer_spec.precompiled_charsmap")
                .cause(e.to_string())
        })
    }

    /// What stands for the beginning of `text`, which is not empty, and the bytes it stands for.
    fn prefix<'a>(&'a self, text: &'a [u8]) -> (&'a [u8], usize) {
        if let Some(len) = self.kept.longest(text) {
            return (&text[..len], len);
        }
        if let Some((replacement, len)) = self.charsmap.as_ref().and_then(|c| c.longest(text)) {
            return (replacement, len);
        }
        let len = char_len(text);
        match std::str::from_utf8(&text[..len]) {
            Ok(_) => (&text[..len], len),
            // Only behind a replacement that ends inside a character.
            Err(_) => ("\u{FFFD}".as_bytes(), 1),
        }
    }
}

/// The user-defined pieces of a model: always cut out as they are.
pub fn user_defined(model: &SentencePieceModel) -> Prefixes {
    let is = |p: &&crate::formats::sentencepiece::Piece| p.kind == PieceType::UserDefined;
    Prefixes::new(model.pieces.iter().filter(is).map(|p| (&*p.text, 0)))
}

/// Bytes of the first character (`OneCharLen` in `src/util.h`), within the text.
pub fn char_len(text: &[u8]) -> usize {
    let len = match text.first() {
        Some(0xc0..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xff) => 4,
        _ => 1,
    };
    len.min(text.len())
}

/// Bytes of a replacement; the longest of `nmt_nfkc` has 33. More would let a small file turn a text
/// into any amount of memory.
const MAX_REPLACEMENT: usize = 255;

/// Replacements as a double array over their keys (darts-clone: `darts.h`), and their texts, each
/// ended by a zero byte.
struct Charsmap {
    units: Vec<u32>,
    texts: Vec<u8>,
}

impl Charsmap {
    /// `[size of the array in bytes, array, texts]`, little-endian.
    fn new(blob: &[u8]) -> Result<Self> {
        let fault = |cause: &str| {
            Error::artifact("replacements of the SentencePiece model are damaged")
                .key("normalizer_spec.precompiled_charsmap")
                .cause(cause.to_string())
        };
        let (size, rest) = blob.split_first_chunk().ok_or_else(|| fault("no size"))?;
        let size = u32::from_le_bytes(*size) as usize;
        if size == 0 || size >= rest.len() || !size.is_multiple_of(4) {
            return Err(fault(&format!("an array of {size} bytes in {}", rest.len())));
        }
        let (units, texts) = rest.split_at(size);
        if let Some(long) = texts.split(|b| *b == 0).find(|t| t.len() > MAX_REPLACEMENT) {
            return Err(fault(&format!("a replacement of {} bytes", long.len())));
        }
        let (units, _) = units.as_chunks();
        Ok(Self {
            units: units.iter().map(|u| u32::from_le_bytes(*u)).collect(),
            texts: texts.to_vec(),
        })
    }

    /// The replacement of the longest key that `text` begins with, and the key's length.
    fn longest(&self, text: &[u8]) -> Option<(&[u8], usize)> {
        let offset = |unit: u32| ((unit >> 10) << ((unit & (1 << 9)) >> 6)) as usize;
        let mut longest = None;
        let mut at = offset(*self.units.first()?);
        for (i, &byte) in text.iter().enumerate() {
            at ^= usize::from(byte);
            let Some(&unit) = self.units.get(at) else { break };
            if unit & 0x8000_00ff != u32::from(byte) {
                break;
            }
            at ^= offset(unit);
            let has_leaf = unit >> 8 & 1 == 1;
            if let (true, Some(leaf)) = (has_leaf, self.units.get(at)) {
                longest = Some((leaf & 0x7fff_ffff, i + 1));
            }
        }
        let (start, len) = longest?;
        let text = self.texts.get(start as usize..)?;
        let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
        Some((&text[..end], len))
    }
}
