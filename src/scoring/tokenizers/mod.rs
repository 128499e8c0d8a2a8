//! BLEU's tokenizers by sacrebleu's names, and TER's.
//!
//! sacrebleu-rs takes an unknown name for `13a` and panics without a SentencePiece model; the
//! registry here refuses both first.

mod intl;
mod mteval;
mod tercom;
pub mod words;
mod zh;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use sentencepiece_rust::{ModelType, PieceType, SentencePieceProcessor};

use crate::error::{Error, Result};
pub use tercom::Tercom;
pub use words::Tokens;

/// Names of BLEU's tokenizers, as sacrebleu 2.6.0 spells them, that exist here.
pub const NAMES: [&str; 9] =
    ["13a", "intl", "zh", "char", "none", "spm", "flores101", "flores200", "spBLEU-1K"];

/// Names sacrebleu knows and this program does not: they need a morphological dictionary.
const MECAB_NAMES: [&str; 2] = ["ja-mecab", "ko-mecab"];

/// A name from [`NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenizerName {
    #[default]
    Mteval13a,
    Intl,
    Zh,
    Char,
    None,
    Spm,
    Flores101,
    Flores200,
    SpBleu1K,
}

impl TokenizerName {
    /// Upper and lower case do not matter; anything else unknown is an error with the list.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name.to_lowercase().as_str() {
            "13a" => Self::Mteval13a,
            "intl" => Self::Intl,
            "zh" => Self::Zh,
            "char" => Self::Char,
            "none" => Self::None,
            "spm" => Self::Spm,
            "flores101" => Self::Flores101,
            "flores200" => Self::Flores200,
            "spbleu-1k" => Self::SpBleu1K,
            mecab if MECAB_NAMES.contains(&mecab) => {
                return Err(Error::usage(format!("tokenizer `{mecab}` is not available"))
                    .flag("--tokenize")
                    .expected(list())
                    .hint(
                        "it needs a MeCab dictionary; `char`, or `flores200` with `--spm-model`, \
                         also split text without spaces",
                    ));
            }
            _ => {
                return Err(Error::usage(format!("unknown tokenizer `{name}`"))
                    .flag("--tokenize")
                    .expected(list())
                    .suggest(name, NAMES));
            }
        })
    }

    /// What stands after `tok:` in a signature; `spm` is an alias, as in sacrebleu.
    pub fn signature(self) -> &'static str {
        match self {
            Self::Mteval13a => "13a",
            Self::Intl => "intl",
            Self::Zh => "zh",
            Self::Char => "char",
            Self::None => "none",
            Self::Spm | Self::Flores101 => "flores101",
            Self::Flores200 => "flores200",
            Self::SpBleu1K => "spBLEU-1K",
        }
    }

    pub fn needs_model(self) -> bool {
        matches!(self, Self::Spm | Self::Flores101 | Self::Flores200 | Self::SpBleu1K)
    }
}

fn list() -> String {
    format!("one of {}", NAMES.join(", "))
}

/// A tokenizer ready for use; shared by all workers.
#[derive(Clone, Default)]
pub struct BleuTokenizer {
    name: TokenizerName,
    spm: Option<Arc<SentencePieceProcessor>>,
}

impl fmt::Debug for BleuTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BleuTokenizer({})", self.name.signature())
    }
}

impl BleuTokenizer {
    /// Loads the SentencePiece model where the name asks for one.
    pub fn new(name: TokenizerName, spm_model: Option<&Path>) -> Result<Self> {
        let spm = match (name.needs_model(), spm_model) {
            (true, Some(path)) => Some(Arc::new(load_spm(path)?)),
            (true, None) => {
                let text = name.signature();
                return Err(Error::usage(format!(
                    "tokenizer `{text}` needs its SentencePiece model"
                ))
                .flag("--tokenize")
                .hint(
                    "name the file with `--spm-model FILE`; sacrebleu keeps its copies in \
                     `~/.sacrebleu/models`",
                ));
            }
            (false, Some(path)) => {
                return Err(Error::usage("this tokenizer takes no SentencePiece model")
                    .flag("--spm-model")
                    .found(path.display().to_string())
                    .hint("add `--tokenize spm` (or flores101, flores200, spBLEU-1K)"));
            }
            (false, None) => None,
        };
        Ok(Self { name, spm })
    }

    pub fn name(&self) -> TokenizerName {
        self.name
    }

    /// Appends the tokens of `text`, whose trailing white space is dropped first.
    pub fn tokenize(&self, text: &str, scratch: &mut Scratch, out: &mut Tokens) {
        let text = words::trim_end(text);
        match self.name {
            TokenizerName::Mteval13a => mteval::tokenize_13a(text, out),
            TokenizerName::Intl => intl::tokenize_intl(text, &mut scratch.intl, out),
            TokenizerName::Zh => zh::tokenize_zh(text, out),
            TokenizerName::Char => {
                let mut buffer = [0; 4];
                for c in text.chars().filter(|c| !words::is_space(*c)) {
                    out.push(c.encode_utf8(&mut buffer));
                }
            }
            TokenizerName::None => out.push_words(text),
            TokenizerName::Spm
            | TokenizerName::Flores101
            | TokenizerName::Flores200
            | TokenizerName::SpBleu1K => {
                // `new` has loaded the model for these names. sacrebleu joins the pieces with
                // spaces and splits again, so a piece holding white space falls apart.
                if let Some(spm) = &self.spm {
                    out.push_words(&sacrebleu_rs::encode_as_pieces(spm, text));
                }
            }
        }
    }
}

/// Buffers kept between lines.
#[derive(Debug, Default)]
pub struct Scratch {
    intl: intl::Scratch,
}

fn load_spm(path: &Path) -> Result<SentencePieceProcessor> {
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    let model = SentencePieceProcessor::from_bytes(&bytes).map_err(|e| {
        Error::artifact("not a SentencePiece model")
            .at(path)
            .cause(e.to_string())
            .hint("expected a `.model` file as written by spm_train")
    })?;
    // The crate encodes the two below to nothing, or to other pieces than SentencePiece does:
    // a wrong score without a word.
    let refuse = |what: &str| {
        Err(Error::artifact(format!("SentencePiece {what} are not supported"))
            .at(path)
            .expected("a BPE model without user-defined symbols, or a Unigram model"))
    };
    match model.model_type() {
        ModelType::Word | ModelType::Char => refuse("word and character models"),
        ModelType::Bpe
            if (0..model.piece_size() as i32)
                .any(|id| model.vocab().kind(id) == Some(PieceType::UserDefined)) =>
        {
            refuse("BPE models with user-defined symbols")
        }
        _ => Ok(model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_refused_with_the_list_and_the_nearest() {
        let e = TokenizerName::parse("flores20").unwrap_err();
        assert_eq!(e.exit_code() as i32, 2);
        let text = e.to_string();
        assert!(text.contains("13a, intl, zh, char"), "{text}");
        assert!(text.contains("did you mean `flores200`"), "{text}");
        assert!(TokenizerName::parse("ja-mecab").unwrap_err().to_string().contains("MeCab"));
        for name in NAMES {
            TokenizerName::parse(name).unwrap();
        }
    }

    #[test]
    fn a_model_is_asked_for_where_it_is_needed() {
        let e = BleuTokenizer::new(TokenizerName::Flores200, None).unwrap_err();
        assert!(e.to_string().contains("--spm-model"));
        let e = BleuTokenizer::new(TokenizerName::Intl, Some(Path::new("x.model"))).unwrap_err();
        assert!(e.to_string().contains("takes no SentencePiece model"));
    }
}
