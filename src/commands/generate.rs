//! `isogloss generate`: Completions and man pages from the command-line definition

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::exit::Outcome;

/// Completions and man pages from the command-line definition
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, _context: &Context) -> Result<Outcome> {
    Err(Error::bug("not written yet"))
}
