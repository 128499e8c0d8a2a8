//! `isogloss init`: New model directory: tokenizer trained on the text, random weights

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::exit::Outcome;

/// New model directory: tokenizer trained on the text, random weights
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, _context: &Context) -> Result<Outcome> {
    Err(Error::bug("not written yet"))
}
