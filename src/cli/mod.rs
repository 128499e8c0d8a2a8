//! What was typed. Parsing only: opens no file, holds no tensor.
//!
//! [`parse`] turns a command line, the environment and a settings file into one [`Request`].
//! Order of precedence: flag, environment variable, `--config` file, default.

mod config;
mod device;
pub mod env;
pub mod global;
mod keys;
mod launch;
pub mod render;
mod settings;
mod usage;
pub mod values;

use std::ffi::OsString;
use std::path::Path;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands;
use crate::error::{Error, ErrorKind, Result};
use crate::report::ColorChoice;
use crate::version;
use config::{Additions, ConfigFile};
pub use device::Computes;
pub use global::{Context, GlobalArgs};
pub use launch::Launch;
pub use settings::Settings;
use usage::Surroundings;
use values::Dtype;

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
    #[command(name = "profile-neurons")]
    ProfileNeurons(commands::profile_neurons::Args),
    #[command(name = "build-masks")]
    BuildMasks(commands::build_masks::Args),
    Train(Box<commands::train::Args>),
    #[command(name = "prune-lora")]
    PruneLora(commands::prune_lora::Args),
    #[command(name = "gen-adapters")]
    GenAdapters(commands::gen_adapters::Args),
    Translate(commands::translate::Args),
    Tag(commands::tag::Args),
    Score(commands::score::Args),
    Export(commands::export::Args),
    Tokenize(commands::tokenize::Args),
    Inspect(commands::inspect::Args),
    #[command(hide = true)]
    Generate(commands::generate::Args),
}

impl Command {
    /// The number formats the command computes in; none of those that do not compute. Those ignore
    /// `--device`, and all but `export` and `inspect` also `--dtype`, so that a variable set for a
    /// whole pipeline does no harm.
    pub fn dtypes(&self) -> &'static [Dtype] {
        match self {
            Self::Translate(args) if args.list_langs => &[],
            Self::Translate(_) => &[Dtype::F32, Dtype::Bf16, Dtype::Int8],
            Self::Train(_) => &[Dtype::F32, Dtype::Bf16],
            Self::Tag(_) | Self::ProfileNeurons(_) => &[Dtype::F32],
            _ => &[],
        }
    }

    /// Where the command computes with these settings.
    pub fn computes(&self, global: &GlobalArgs) -> Computes {
        match self {
            Self::Translate(_) if global.dtype == Some(Dtype::Int8) => {
                Computes::OnCpu("integers are computed with")
            }
            // Which sentences are decoded together is a matter of time, and elsewhere of numbers.
            Self::Translate(_) if global.deterministic => {
                Computes::OnCpu("what may not vary is translated")
            }
            Self::Translate(args) if args.lora.merge_lora => {
                Computes::OnCpu("a LoRA is merged into the weights")
            }
            _ => Computes::OnAny,
        }
    }
}

/// The complete definition of the command line: what clap derives from the types, with
/// environment variables and the closing page of `--help`. Help, completions, man pages and
/// parsing all start here.
pub fn command() -> clap::Command {
    let settle = |command: clap::Command| {
        // `--lr -1` is a bad value, not an unknown flag `-1`.
        env::attach(command).mut_args(|arg| {
            // A counting switch has a number for a value, but takes none.
            let number =
                arg.get_action().takes_values() && (keys::is_integer(&arg) || keys::is_float(&arg));
            if number { arg.allow_negative_numbers(true) } else { arg }
        })
    };
    settle(Cli::command())
        .mut_subcommands(settle)
        .after_help("`isogloss help <command>` shows a command with an example.")
        .after_long_help(render::closing_page())
}

/// What the command line asks for.
pub enum Request {
    /// Run a command.
    Run(Box<Cli>, Settings),
    /// Print a text on standard output.
    Print(String),
    /// Print help, which clap knows how to colour.
    Help(clap::Error),
}

/// A command line that cannot be run, and how to say so.
#[derive(Debug)]
pub struct Refusal {
    pub error: Error,
    pub json: bool,
    pub color: ColorChoice,
}

/// Reads a command line. `read` opens the file named by `--config`; this room opens none.
pub fn parse(
    argv: &[OsString],
    read: &dyn Fn(&Path) -> Result<String>,
) -> std::result::Result<Request, Box<Refusal>> {
    let mut manners = Manners::scan(argv);
    let mut program = command().color(manners.clap_color());
    match parse_with(argv, read, &mut program, &mut manners) {
        Ok(request) => Ok(request),
        Err(error) => Err(Box::new(Refusal { error, json: manners.json, color: manners.color })),
    }
}

fn parse_with(
    argv: &[OsString],
    read: &dyn Fn(&Path) -> Result<String>,
    program: &mut clap::Command,
    manners: &mut Manners,
) -> Result<Request> {
    // A first, forgiving look: a file may give what is still missing.
    let typed = match lenient(program, argv) {
        Ok(matches) => matches,
        Err(e) => return shown(e, argv, program),
    };
    let Some((name, typed)) = typed.subcommand() else {
        return match program.try_get_matches_from_mut(argv) {
            Err(e) => shown(e, argv, program),
            Ok(_) => Err(Error::bug("a command line without a command was accepted")),
        };
    };
    // A forgiving look may end before the defaults are filled in.
    let says = |id: &str| matches!(typed.try_get_one::<bool>(id), Ok(Some(true)));
    manners.json |= says("json");
    program.build();
    let file = match typed.get_one::<std::path::PathBuf>("config") {
        Some(path) => Some(ConfigFile::parse(path, &read(path).map_err(not_read)?, program)?),
        None => None,
    };
    let definition = program
        .find_subcommand(name)
        .ok_or_else(|| Error::bug(format!("no definition of command `{name}`")))?
        .clone();
    let added = match &file {
        Some(file) => file.additions(&definition, typed)?,
        None => Additions::default(),
    };
    let full = inserted(program, argv, &added);
    let explain = |e: &clap::Error, program: &clap::Command| {
        let file = file.as_ref().map(|f| (f, &added));
        usage::explain(e, &Surroundings { program, command: Some(name), argv, file })
    };
    let dump = says("dump_config");
    let mut matches = match program.try_get_matches_from_mut(&full) {
        Ok(matches) => matches,
        Err(e) if !e.use_stderr() => return shown(e, argv, program),
        // What is effective can be told before the command line is complete.
        Err(e) if dump && e.kind() == clap::error::ErrorKind::MissingRequiredArgument => {
            lenient(program, &full).map_err(|e| explain(&e, program))?
        }
        Err(e) => return Err(explain(&e, program)),
    };
    let settings = match matches.subcommand() {
        Some((_, matches)) => Settings::new(&definition, matches, &added.origins),
        None => Settings::default(),
    };
    if dump {
        return Ok(Request::Print(settings.to_toml(None)));
    }
    let cli = Cli::from_arg_matches_mut(&mut matches).map_err(|e| explain(&e, program))?;
    manners.json |= cli.global.json;
    manners.color = cli.global.color;
    Ok(Request::Run(Box::new(cli), settings))
}

/// Parses as far as it goes; an error stands for help or version only.
fn lenient(program: &clap::Command, argv: &[OsString]) -> Result<ArgMatches, clap::Error> {
    program.clone().ignore_errors(true).try_get_matches_from(argv)
}

/// Help and version are requests; everything else is refused.
fn shown(e: clap::Error, argv: &[OsString], program: &clap::Command) -> Result<Request> {
    use clap::error::ErrorKind as K;
    match e.kind() {
        K::DisplayVersion if asks_for_more(argv) => Ok(Request::Print(version::long())),
        K::DisplayVersion => Ok(Request::Print(version::short())),
        K::DisplayHelp | K::DisplayHelpOnMissingArgumentOrSubcommand => Ok(Request::Help(e)),
        _ => Err(usage::explain(&e, &Surroundings { program, command: None, argv, file: None })),
    }
}

/// `--version` wins over every other flag, so `--verbose` beside it is looked for by hand.
fn asks_for_more(argv: &[OsString]) -> bool {
    argv.iter().skip(1).filter_map(|a| a.to_str()).take_while(|a| *a != "--").any(|a| {
        a == "--verbose" || (a.starts_with('-') && !a.starts_with("--") && a.contains('v'))
    })
}

/// A settings file that is not there is a fault of the command line.
fn not_read(e: Error) -> Error {
    let kind = match e.kind() {
        ErrorKind::Environment => ErrorKind::Environment,
        _ => ErrorKind::Usage,
    };
    let error = Error::new(kind, "cannot read the settings file")
        .flag("--config")
        .cause(e.causes().first().cloned().unwrap_or_else(|| e.message().to_string()));
    let error = match &e.place().path {
        Some(path) => error.at(path),
        None => error,
    };
    match e.place().line {
        Some(line) => error.line(line),
        None => error,
    }
}

/// The index in `argv` of the command's name: the first token with which the line has one.
fn position_of_command(program: &clap::Command, argv: &[OsString]) -> usize {
    (1..argv.len())
        .find(|i| lenient(program, &argv[..=*i]).is_ok_and(|m| m.subcommand_name().is_some()))
        .unwrap_or(argv.len().saturating_sub(1))
}

/// `argv` with what the file adds: options right after the command's name, positional arguments
/// at the end.
fn inserted(program: &clap::Command, argv: &[OsString], added: &Additions) -> Vec<OsString> {
    if added.options.is_empty() && added.positionals.is_empty() {
        return argv.to_vec();
    }
    let (head, tail) = argv.split_at((position_of_command(program, argv) + 1).min(argv.len()));
    let mut full = head.to_vec();
    full.extend_from_slice(&added.options);
    full.extend_from_slice(tail);
    if !added.positionals.is_empty() {
        if !tail.iter().any(|a| a == "--") {
            full.push("--".into());
        }
        full.extend_from_slice(&added.positionals);
    }
    full
}

/// How to talk before the command line is understood: an error must already come as a record
/// when `--json` is somewhere on the line.
struct Manners {
    json: bool,
    color: ColorChoice,
}

impl Manners {
    fn scan(argv: &[OsString]) -> Self {
        use clap::ValueEnum as _;
        let tokens: Vec<&str> =
            argv.iter().skip(1).filter_map(|a| a.to_str()).take_while(|a| *a != "--").collect();
        let typed = tokens.iter().enumerate().rev().find_map(|(i, token)| {
            match token.strip_prefix("--color")? {
                "" => tokens.get(i + 1).map(|s| s.to_string()),
                value => value.strip_prefix('=').map(str::to_string),
            }
        });
        let color = typed
            .or_else(|| std::env::var("ISOGLOSS_COLOR").ok())
            .and_then(|value| ColorChoice::from_str(&value, false).ok())
            .unwrap_or_default();
        Self { json: tokens.contains(&"--json"), color }
    }

    fn clap_color(&self) -> clap::ColorChoice {
        match self.color {
            ColorChoice::Auto => clap::ColorChoice::Auto,
            ColorChoice::Always => clap::ColorChoice::Always,
            ColorChoice::Never => clap::ColorChoice::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definition_is_consistent() {
        command().debug_assert();
    }

    /// What `keys.rs` asks of every command.
    #[test]
    fn switches_that_are_on_by_default_can_be_switched_off() {
        let mut program = command();
        program.build();
        for command in program.get_subcommands() {
            for arg in command.get_arguments().filter(|a| keys::is_switch(a)) {
                let on = arg.get_default_values().iter().any(|v| *v == "true");
                if on && matches!(arg.get_action(), clap::ArgAction::SetTrue) {
                    let key = keys::key_of(arg).unwrap_or_default();
                    assert!(
                        matches!(
                            keys::find(command, &key),
                            Some(keys::Target::Switch { on: Some(_), .. })
                        ),
                        "`{} --{}` has no `--no-` form",
                        command.get_name(),
                        arg.get_long().unwrap_or_default()
                    );
                }
            }
        }
    }
}
