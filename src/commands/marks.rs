//! Flags of the commands that turn text into token ids: where language marks stand.

use serde::Serialize;

use crate::error::Result;
use crate::model::Checkpoint;
use crate::text::{Convention, TextTokenizer};

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct MarkArgs {
    /// Where language marks stand [default: what the model's tokenizer_config.json says, else the
    /// mark of its own language first]
    #[arg(long, value_enum, value_name = "CONVENTION", help_heading = "Input")]
    pub mark_convention: Option<Convention>,
    /// Sources end with `</s>` and their mark, as NLLB's tokenizer in transformers had them at first
    /// (the same as `--mark-convention nllb-legacy`)
    #[arg(long, conflicts_with = "mark_convention", help_heading = "Input")]
    pub nllb_legacy_source: bool,
}

impl MarkArgs {
    /// What was asked for.
    pub fn convention(&self) -> Option<Convention> {
        self.mark_convention.or(self.nllb_legacy_source.then_some(Convention::NllbLegacy))
    }

    /// The tokenizer of a model, with its marks where they are to stand.
    pub fn tokenizer(&self, checkpoint: &Checkpoint) -> Result<TextTokenizer> {
        let tokenizer = TextTokenizer::load(checkpoint.dir(), &checkpoint.config)?;
        Ok(match self.convention() {
            Some(convention) => tokenizer.with_convention(convention),
            None => tokenizer,
        })
    }
}
