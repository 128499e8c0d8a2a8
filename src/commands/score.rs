//! `isogloss score`: BLEU, chrF, TER by direction and group, significance, regression gate

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::exit::Outcome;

/// BLEU, chrF, TER by direction and group, significance, regression gate
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, _context: &Context) -> Result<Outcome> {
    Err(Error::bug("not written yet"))
}
