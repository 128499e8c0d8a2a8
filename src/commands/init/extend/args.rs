//! Flags of `isogloss init --from`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::error::{Error, Result};

#[derive(Clone, Debug, clap::Args)]
pub struct ExtendArgs {
    /// Copy this model, or the best checkpoint of this run, and add `--new-language` to it
    #[arg(long, value_name = "MODEL", requires = "new_language", conflicts_with_all = MAKES_A_MODEL,
          help_heading = "More languages")]
    pub from: Option<PathBuf>,
    /// A language to add, whose mark begins as a copy of that of OLD (`nl=de`), else as the mean
    /// of all; may be repeated
    #[arg(long, value_name = "NEW[=OLD]", help_heading = "More languages")]
    pub new_language: Vec<NewLanguage>,
}

impl ExtendArgs {
    /// The parser drops `requires` where another flag excludes what is required.
    pub fn check(&self) -> Result<()> {
        if self.from.is_some() || self.new_language.is_empty() {
            return Ok(());
        }
        Err(Error::usage("`--new-language` without a model to add it to")
            .flag("--new-language")
            .hint("name the model with `--from MODEL`")
            .hint("a new model has the languages of its text, and those of `--languages`"))
    }
}

/// What else decides about a new model: with a copy it has no meaning.
const MAKES_A_MODEL: [&str; 29] = [
    "inputs",
    "input_format",
    "src_lang",
    "tgt_lang",
    "src",
    "tgt",
    "languages",
    "vocab_size",
    "tokenizer_model",
    "character_coverage",
    "byte_fallback",
    "tokenizer_temperature",
    "tokenizer_sentences",
    "tokenizer",
    "preset",
    "model_config",
    "d_model",
    "encoder_layers",
    "decoder_layers",
    "heads",
    "ffn_dim",
    "encoder_ffn_dim",
    "decoder_ffn_dim",
    "max_positions",
    "dropout",
    "attention_dropout",
    "activation_dropout",
    "init_method",
    "init_std",
];

/// `nl=de`: a new language and the one whose row it begins with; or `nl` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLanguage {
    pub code: String,
    pub like: Option<String>,
}

impl FromStr for NewLanguage {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let malformed = || Error::usage("not a language to add").expected("`NEW=OLD` or `NEW`");
        if s.contains([',', ';']) || s.contains(char::is_whitespace) {
            return Err(malformed().hint("repeat the flag for each language"));
        }
        let (code, like) = match s.split_once('=') {
            Some((code, like)) => (code, Some(like)),
            None => (s, None),
        };
        if code.is_empty() || like.is_some_and(|l| l.is_empty() || l.contains('=')) {
            return Err(malformed().hint("write `nl=de` for a new language like one of the model"));
        }
        Ok(Self { code: code.to_string(), like: like.map(str::to_string) })
    }
}

impl fmt::Display for NewLanguage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        self.like.iter().try_for_each(|like| write!(f, "={like}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_languages_are_read_and_shown() {
        for (text, code, like) in
            [("nl=de", "nl", Some("de")), ("nl", "nl", None), ("a_b=c_d", "a_b", Some("c_d"))]
        {
            let read: NewLanguage = text.parse().unwrap();
            assert_eq!((&*read.code, read.like.as_deref()), (code, like));
            assert_eq!(read.to_string(), text);
        }
        for bad in ["", "=", "nl=", "=de", "nl=de=ru", "nl=de,bg=ru", "nl de", "nl=de;bg"] {
            assert!(bad.parse::<NewLanguage>().is_err(), "{bad}");
        }
    }

    /// A flag that came later is not ignored in silence.
    #[test]
    fn a_copy_refuses_every_flag_of_a_new_model() {
        let mut program = crate::cli::command();
        program.build();
        let init = program.find_subcommand("init").unwrap();
        let from = init.get_arguments().find(|a| a.get_id() == "from").unwrap();
        let refused = init.get_arg_conflicts_with(from);
        let others = ["output", "from", "new_language", "help", "version"];
        for arg in init.get_arguments().filter(|a| !a.is_global_set()) {
            let id = arg.get_id().as_str();
            let conflicts = refused.iter().any(|r| r.get_id() == arg.get_id());
            assert_eq!(conflicts, !others.contains(&id), "{id}");
        }
    }
}
