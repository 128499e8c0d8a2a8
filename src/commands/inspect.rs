//! `isogloss inspect`: Say what any file of ours (or a peer's checkpoint) is

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::exit::Outcome;

/// Say what any file of ours (or a peer's checkpoint) is
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: &Args, _context: &Context) -> Result<Outcome> {
    Err(Error::bug("not written yet"))
}
