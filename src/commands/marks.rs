//! Flags of the commands that turn text into token ids: where language marks stand.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::formats::hf;
use crate::model::Checkpoint;
use crate::text::{Convention, TextTokenizer};

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct MarkArgs {
    /// Where language marks stand [default: what the tokenizer_config.json of the adapters or the
    /// model says, else the mark of its own language first]
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

    /// What is trained beside a model keeps where marks stood when a flag had said it: the tokenizer
    /// for these parts, named as the user does or by their directories.
    ///
    /// # Errors
    /// Artifact: parts that were trained with marks in different places.
    pub fn with_parts<'a>(
        &self,
        tokenizer: TextTokenizer,
        parts: impl IntoIterator<Item = Option<&'a Path>>,
    ) -> Result<TextTokenizer> {
        if self.convention().is_some() {
            return Ok(tokenizer);
        }
        let mut found: Option<(&Path, Convention)> = None;
        for part in parts.into_iter().flatten() {
            let Some(kept) = kept_by(part)? else { continue };
            if let Some((other, convention)) = found.filter(|(_, c)| *c != kept) {
                return Err(Error::artifact(
                    "parts trained with language marks in different places",
                )
                .at(part)
                .found(kept.name())
                .expected(format!("{}, as {} has it", convention.name(), other.display()))
                .hint("`--mark-convention` decides"));
            }
            found = Some((part, kept));
        }
        Ok(match found {
            Some((_, convention)) => tokenizer.with_convention(convention),
            None => tokenizer,
        })
    }
}

/// What a directory or a training run says of marks.
pub fn kept_by(path: &Path) -> Result<Option<Convention>> {
    let file = hf::TOKENIZER_CONFIG;
    match hf::resolve_dir(path, file, |dir| dir.join(file).is_file()) {
        Ok(Some(dir)) => Convention::read(&dir),
        // A run of which no checkpoint says anything.
        Ok(None) | Err(_) => Ok(None),
    }
}
