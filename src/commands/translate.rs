//! `isogloss translate`: A filter: text or records in, translations out, in order

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::exit::Outcome;

/// A filter: text or records in, translations out, in order
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, _context: &Context) -> Result<Outcome> {
    Err(Error::bug("not written yet"))
}
