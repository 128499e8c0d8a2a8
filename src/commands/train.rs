//! `isogloss train`: Train or fine-tune a model

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::exit::Outcome;

/// Train or fine-tune a model
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, _context: &Context) -> Result<Outcome> {
    Err(Error::bug("not written yet"))
}
