//! Flags of the commands that read parallel text as token ids, and what to say about the text.

use serde::Serialize;

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::model::ModelConfig;
use crate::records::{InputFormat, ReadOptions};
use crate::text::Direction;
use crate::training::{CorpusOptions, CorpusSummary, OnLong};

/// How parallel text is read.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct PairArgs {
    /// Format of the text; else by extension and content
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Input")]
    #[serde(skip)]
    pub input_format: Option<InputFormat>,
    /// Source language of records that name none
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub src_lang: Option<String>,
    /// Target language of records that name none
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub tgt_lang: Option<String>,
    /// Use every pair in both directions (the default)
    #[arg(long, overrides_with = "no_both_directions", help_heading = "Input")]
    #[serde(skip)]
    pub both_directions: bool,
    /// Use pairs only in the direction they are written
    #[arg(long, overrides_with = "both_directions", help_heading = "Input")]
    pub no_both_directions: bool,
    /// Swap source and target of every pair (with `--no-both-directions`)
    #[arg(long, help_heading = "Input")]
    pub reverse: bool,
    /// Only these directions, such as `en-de`; may be repeated
    #[arg(long, value_name = "SRC-TGT", help_heading = "Input")]
    pub direction: Vec<String>,
    /// Longest side in tokens, marks included; default the model's limit
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub max_len: Option<usize>,
    /// What to do with longer pairs
    #[arg(long, value_enum, default_value = "skip", help_heading = "Input")]
    pub on_long: OnLong,
}

impl PairArgs {
    pub fn check(&self) -> Result<()> {
        if self.reverse && !self.no_both_directions {
            return Err(Error::usage("every pair is used in both directions already")
                .flag("--reverse")
                .hint("add `--no-both-directions` to use the reverse only"));
        }
        if self.max_len.is_some_and(|n| n < 3) {
            return Err(Error::usage("value is out of range")
                .flag("--max-len")
                .expected("at least 3"));
        }
        Ok(())
    }

    fn directions(&self) -> Result<Option<Vec<Direction>>> {
        if self.direction.is_empty() {
            return Ok(None);
        }
        self.direction
            .iter()
            .map(|d| match d.split_once('-') {
                Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok(Direction::new(a, b)),
                _ => Err(Error::usage(format!("`{d}` is not a direction"))
                    .flag("--direction")
                    .expected("source and target joined by a dash, such as `en-de`")),
            })
            .collect::<Result<Vec<_>>>()
            .map(Some)
    }

    pub fn corpus_options(&self, config: &ModelConfig, keep_text: bool) -> Result<CorpusOptions> {
        Ok(CorpusOptions {
            read: ReadOptions {
                format: self.input_format,
                src_lang: self.src_lang.clone(),
                tgt_lang: self.tgt_lang.clone(),
            },
            both_directions: !self.no_both_directions,
            reverse: self.reverse && self.no_both_directions,
            directions: self.directions()?,
            max_len: self.max_len.unwrap_or(usize::MAX).min(config.max_len()),
            on_long: self.on_long,
            keep_text,
        })
    }
}

/// Warns of pairs that were left out or cut, and of tokens that are unknown.
pub fn warn_about(what: &str, s: &CorpusSummary, options: &CorpusOptions, context: &Context) {
    if s.num_empty > 0 {
        context.report.warning(&Error::data(format!(
            "{} of {} pairs of the {what} text have an empty side and are left out",
            s.num_empty, s.num_records
        )));
    }
    if s.num_long > 0 {
        let done = if options.on_long == OnLong::Cut { "cut" } else { "left out" };
        context.report.warning(
            &Error::data(format!(
                "{} of {} pairs of the {what} text are longer than {} tokens and are {done}",
                s.num_long, s.num_records, options.max_len
            ))
            .hint("`--max-len` and `--on-long` decide"),
        );
    }
    if s.num_unk > 0 {
        context.report.warning(&Error::data(format!(
            "{} of {} tokens of the {what} text are unknown to the tokenizer",
            s.num_unk, s.num_tokens
        )));
    }
}
