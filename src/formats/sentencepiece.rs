//! SentencePiece `.model` files: the fields of `ModelProto` that encoding and decoding need
//! (google/sentencepiece: `src/sentencepiece_model.proto`), read from the wire format of protobuf.
//! Checks are those of the reference (`src/model_interface.cc`, `InitializePieces`).

use std::collections::HashSet;
use std::path::Path;

use super::protobuf::{FieldValue, Fields};
use crate::error::{Error, Result};

/// Larger files are refused; the largest published ones have about 5 MB.
const MAX_BYTES: u64 = 64 << 20;
/// More pieces are refused; the largest published models have about 256,000.
const MAX_PIECES: usize = 1 << 22;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelType {
    Unigram,
    Bpe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceType {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    pub text: String,
    pub score: f32,
    pub kind: PieceType,
}

/// How text is normalised before it is cut into pieces (`NormalizerSpec`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalizerSpec {
    /// Replacements of characters, compiled; empty for `identity`.
    pub precompiled_charsmap: Vec<u8>,
    pub add_dummy_prefix: bool,
    pub remove_extra_whitespaces: bool,
    pub escape_whitespaces: bool,
}

impl Default for NormalizerSpec {
    fn default() -> Self {
        Self {
            precompiled_charsmap: Vec::new(),
            add_dummy_prefix: true,
            remove_extra_whitespaces: true,
            escape_whitespaces: true,
        }
    }
}

/// A checked model: pieces are not empty and differ, exactly one stands for the unknown, and with
/// byte fallback there is one for each byte.
#[derive(Clone, Debug, PartialEq)]
pub struct SentencePieceModel {
    pub model_type: ModelType,
    pub pieces: Vec<Piece>,
    /// Index of the piece for what is unknown.
    pub unknown: usize,
    pub byte_fallback: bool,
    pub treat_whitespace_as_suffix: bool,
    /// What an unknown piece is decoded to.
    pub unk_surface: String,
    pub normalizer: NormalizerSpec,
}

impl SentencePieceModel {
    pub fn read(path: &Path) -> Result<Self> {
        let size = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
        if size > MAX_BYTES {
            return Err(Error::artifact("SentencePiece model is too large")
                .at(path)
                .found(format!("{size} bytes"))
                .expected(format!("at most {MAX_BYTES}")));
        }
        let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
        Self::parse(&bytes).map_err(|e| e.at(path))
    }

    /// # Errors
    /// Artifact: not a SentencePiece model, damaged, or of a kind that is not supported.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut model = Self {
            model_type: ModelType::Unigram,
            pieces: Vec::new(),
            unknown: 0,
            byte_fallback: false,
            treat_whitespace_as_suffix: false,
            unk_surface: " \u{2047} ".into(),
            normalizer: NormalizerSpec::default(),
        };
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.next("the file")? {
            match number {
                1 => {
                    let i = model.pieces.len();
                    if i == MAX_PIECES {
                        return Err(Error::artifact("SentencePiece model has too many pieces")
                            .key("pieces")
                            .expected(format!("at most {MAX_PIECES}")));
                    }
                    model.pieces.push(parse_piece(&value, i)?);
                }
                2 => model.trainer_spec(value.bytes("trainer_spec")?)?,
                3 => model.normalizer_spec(value.bytes("normalizer_spec")?)?,
                5 => refuse_denormalizer(value.bytes("denormalizer_spec")?)?,
                _ => {}
            }
        }
        model.check()?;
        Ok(model)
    }

    fn trainer_spec(&mut self, bytes: &[u8]) -> Result<()> {
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.next("trainer_spec")? {
            match number {
                3 => {
                    const KEY: &str = "trainer_spec.model_type";
                    self.model_type = match value.varint(KEY)? {
                        1 => ModelType::Unigram,
                        2 => ModelType::Bpe,
                        other => {
                            let name = match other {
                                3 => "WORD".to_string(),
                                4 => "CHAR".to_string(),
                                other => other.to_string(),
                            };
                            return Err(Error::artifact("SentencePiece model of another kind")
                                .key(KEY)
                                .found(name)
                                .expected("UNIGRAM (1) or BPE (2)"));
                        }
                    }
                }
                24 => {
                    self.treat_whitespace_as_suffix =
                        value.varint("trainer_spec.treat_whitespace_as_suffix")? != 0;
                }
                35 => self.byte_fallback = value.varint("trainer_spec.byte_fallback")? != 0,
                44 => self.unk_surface = value.text("trainer_spec.unk_surface")?,
                _ => {}
            }
        }
        Ok(())
    }

    fn normalizer_spec(&mut self, bytes: &[u8]) -> Result<()> {
        let spec = &mut self.normalizer;
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.next("normalizer_spec")? {
            let flag = |name| value.varint(format_args!("normalizer_spec.{name}")).map(|v| v != 0);
            match number {
                2 => {
                    let map = value.bytes("normalizer_spec.precompiled_charsmap")?;
                    spec.precompiled_charsmap = map.to_vec();
                }
                3 => spec.add_dummy_prefix = flag("add_dummy_prefix")?,
                4 => spec.remove_extra_whitespaces = flag("remove_extra_whitespaces")?,
                5 => spec.escape_whitespaces = flag("escape_whitespaces")?,
                _ => {}
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        if self.pieces.is_empty() {
            return Err(Error::artifact("SentencePiece model has no pieces").key("pieces"));
        }
        let mut unknown = None;
        let mut has_byte = [false; 256];
        let mut seen: [HashSet<&str>; 2] = Default::default();
        for (i, piece) in self.pieces.iter().enumerate() {
            let fault = |message: &str| {
                Error::artifact(message.to_string())
                    .key(format!("pieces[{i}]"))
                    .found(format!("`{}`", piece.text))
            };
            if !seen[usize::from(piece.kind.is_segment())].insert(&piece.text) {
                return Err(fault("SentencePiece model has a piece twice"));
            }
            match piece.kind {
                PieceType::Unknown if unknown.is_some() => {
                    return Err(fault("SentencePiece model has two unknown pieces"));
                }
                PieceType::Unknown => unknown = Some(i),
                PieceType::Byte => match byte_of(&piece.text) {
                    Some(byte) if self.byte_fallback => has_byte[usize::from(byte)] = true,
                    Some(_) => {
                        return Err(fault("byte piece in a model without byte fallback"));
                    }
                    None => return Err(fault("byte piece is not of the form `<0x00>`")),
                },
                _ => {}
            }
        }
        let missing = has_byte.iter().position(|has| !has);
        if let (true, Some(byte)) = (self.byte_fallback, missing) {
            return Err(Error::artifact("model with byte fallback lacks a byte piece")
                .key("pieces")
                .expected(format!("`<0x{byte:02X}>`")));
        }
        self.unknown = unknown.ok_or_else(|| {
            Error::artifact("SentencePiece model has no unknown piece").key("pieces")
        })?;
        Ok(())
    }
}

impl PieceType {
    /// Whether text may be cut into such pieces. The others are found by name only.
    pub fn is_segment(self) -> bool {
        matches!(self, Self::Normal | Self::UserDefined | Self::Unused)
    }
}

/// The byte of a piece `<0x3A>`.
pub fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_hex = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

fn parse_piece(value: &FieldValue<'_>, i: usize) -> Result<Piece> {
    let at = |field: &str| format!("pieces[{i}].{field}");
    let mut piece = Piece { text: String::new(), score: 0.0, kind: PieceType::Normal };
    let mut fields = Fields::new(value.bytes(format_args!("pieces[{i}]"))?);
    while let Some((number, value)) = fields.next(format_args!("pieces[{i}]"))? {
        match number {
            1 => piece.text = value.text(format_args!("pieces[{i}].piece"))?,
            2 => piece.score = value.float(format_args!("pieces[{i}].score"))?,
            3 => {
                piece.kind = match value.varint(format_args!("pieces[{i}].type"))? {
                    1 => PieceType::Normal,
                    2 => PieceType::Unknown,
                    3 => PieceType::Control,
                    4 => PieceType::UserDefined,
                    5 => PieceType::Unused,
                    6 => PieceType::Byte,
                    other => {
                        return Err(Error::artifact("piece of an unknown type")
                            .key(at("type"))
                            .found(other.to_string())
                            .expected("1 to 6"));
                    }
                }
            }
            _ => {}
        }
    }
    if piece.text.is_empty() {
        return Err(Error::artifact("SentencePiece model has an empty piece").key(at("piece")));
    }
    if !piece.score.is_finite() {
        return Err(Error::artifact("score of a piece is not a number")
            .key(at("score"))
            .found(piece.score.to_string()));
    }
    Ok(piece)
}

/// Text that is changed once more after decoding; no published model asks for it.
fn refuse_denormalizer(bytes: &[u8]) -> Result<()> {
    const KEY: &str = "denormalizer_spec.precompiled_charsmap";
    let mut fields = Fields::new(bytes);
    while let Some((number, value)) = fields.next("denormalizer_spec")? {
        if number == 2 && !value.bytes(KEY)?.is_empty() {
            return Err(Error::artifact("SentencePiece model with a denormaliser").key(KEY).hint(
                "text is not changed after decoding here; a model without one can be trained",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, bytes.len() as u8];
        out.extend_from_slice(bytes);
        out
    }

    fn piece(text: &str, score: f32, kind: u8) -> Vec<u8> {
        let mut out = field(1, text.as_bytes());
        out.push(2 << 3 | 5);
        out.extend_from_slice(&score.to_le_bytes());
        out.extend_from_slice(&[3 << 3, kind]);
        field(1, &out)
    }

    fn fault(parts: &[Vec<u8>]) -> String {
        let e = SentencePieceModel::parse(&parts.concat()).unwrap_err();
        assert_eq!(e.exit_code() as i32, 4);
        e.to_string()
    }

    #[test]
    fn fields_are_read() {
        let trainer = field(2, &[&[3 << 3, 2][..], &field(5, b"x")].concat());
        let normalizer = field(3, &[&field(2, b"map")[..], &[4 << 3, 0]].concat());
        let bytes =
            [piece("<unk>", 0.0, 2), trainer, piece("\u{2581}a", -1.5, 1), normalizer].concat();
        let m = SentencePieceModel::parse(&bytes).unwrap();
        assert_eq!((m.model_type, m.unknown, m.pieces.len()), (ModelType::Bpe, 0, 2));
        let second = Piece { text: "\u{2581}a".into(), score: -1.5, kind: PieceType::Normal };
        assert_eq!(m.pieces[1], second);
        assert_eq!(m.normalizer.precompiled_charsmap, b"map");
        assert!(m.normalizer.add_dummy_prefix && !m.normalizer.remove_extra_whitespaces);
        assert_eq!((m.byte_fallback, &*m.unk_surface), (false, " \u{2047} "));
    }

    #[test]
    fn faults_are_named() {
        let unk = || piece("<unk>", 0.0, 2);
        for (parts, word) in [
            (vec![], "no pieces"),
            (vec![piece("a", 0.0, 1)], "no unknown piece"),
            (vec![unk(), piece("<u>", 0.0, 2)], "two unknown pieces"),
            (vec![unk(), piece("a", 0.0, 1), piece("a", 1.0, 4)], "pieces[2]"),
            (vec![unk(), piece("", 0.0, 1)], "empty piece"),
            (vec![unk(), piece("a", f32::NAN, 1)], "pieces[1].score"),
            (vec![unk(), piece("a", 0.0, 9)], "pieces[1].type"),
            (vec![unk(), piece("<0x41>", 0.0, 6)], "without byte fallback"),
            (vec![unk(), field(2, &[0x98, 2, 1])], "`<0x00>`"),
            (vec![unk(), field(2, &[3 << 3, 4])], "CHAR"),
            (vec![unk(), field(2, &[3 << 3 | 2, 0])], "trainer_spec.model_type"),
            (vec![unk(), field(5, &field(2, b"x"))], "denormaliser"),
            (vec![unk(), field(1, &field(1, b"\xff"))], "not UTF-8"),
            (vec![unk(), vec![1 << 3 | 2, 0xff, 0xff, 0xff, 0x7f]], "longer than what is left"),
            (vec![unk(), vec![1 << 3 | 4]], "wire type 4"),
            (vec![unk(), vec![0xff; 11]], "field number"),
        ] {
            let text = fault(&parts);
            assert!(text.contains(word), "{word}: {text}");
        }
        // A control piece may be spelt like a normal one.
        let twice = [unk(), piece("a", 0.0, 1), piece("a", 0.0, 3)].concat();
        assert!(SentencePieceModel::parse(&twice).is_ok());
    }

    #[test]
    fn bytes() {
        assert_eq!(byte_of("<0x3A>"), Some(0x3a));
        for other in ["<0x3>", "<0x+3>", "3A", "<0x3A", "<0x3AA>"] {
            assert_eq!(byte_of(other), None, "{other}");
        }
    }
}
