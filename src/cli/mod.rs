//! What was typed. Parsing only: opens no file, holds no tensor.

pub mod global;

use clap::{Parser, Subcommand};

use crate::commands;
pub use global::{Context, GlobalArgs};

/// Multilingual machine translation from language-specific parts.
#[derive(Debug, Parser)]
#[command(name = "isogloss", version, about, max_term_width = 100)]
#[command(args_override_self = true, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Init(commands::init::Args),
    Train(commands::train::Args),
    Translate(commands::translate::Args),
    Score(commands::score::Args),
    Inspect(commands::inspect::Args),
    #[command(hide = true)]
    Generate(commands::generate::Args),
}
