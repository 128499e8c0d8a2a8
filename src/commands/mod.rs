//! One file per subcommand: `Args` (doc comments are the help) and `run(args, &Context)`.
//! A command opens inputs, calls stages, writes outputs. No maths.

pub mod adapters;
pub mod build_masks;
pub mod export;
pub mod gen_adapters;
pub mod generate;
pub mod init;
pub mod inspect;
pub mod lora;
pub mod marks;
pub mod masks;
pub mod pairs;
pub mod profile_neurons;
pub mod prune_lora;
pub mod score;
pub mod tag;
pub mod tokenize;
pub mod train;
pub mod translate;

use crate::cli::{Command, Context};
use crate::error::Result;
use crate::exit::Outcome;

pub fn run(command: &Command, context: &Context) -> Result<Outcome> {
    match command {
        Command::Init(args) => init::run(args, context),
        Command::ProfileNeurons(args) => profile_neurons::run(args, context),
        Command::BuildMasks(args) => build_masks::run(args, context),
        Command::Train(args) => train::run(args, context),
        Command::PruneLora(args) => prune_lora::run(args, context),
        Command::GenAdapters(args) => gen_adapters::run(args, context),
        Command::Translate(args) => translate::run(args, context),
        Command::Tag(args) => tag::run(args, context),
        Command::Score(args) => score::run(args, context),
        Command::Export(args) => export::run(args, context),
        Command::Tokenize(args) => tokenize::run(args, context),
        Command::Inspect(args) => inspect::run(args, context),
        Command::Generate(args) => generate::run(args, context),
    }
}
