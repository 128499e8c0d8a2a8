//! Keys of settings files: the long flags with underscores, positional arguments by their name.
//! Everything is read from the parser's definition, so that a command gets it for nothing.
//!
//! Conventions for the `Args` of a command:
//! * a switch that is on by default is declared twice, `--x` and `--no-x`, each overriding the
//!   other; in a file it is one key, `x = false`;
//! * an argument that holds a path has the type [`PathBuf`], [`Input`] or [`Destination`], or a
//!   value name from [`PATH_NAMES`]; in a file it is relative to that file.

use std::any::TypeId;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, ValueHint};

use super::values::Destination;
use crate::io::Input;

/// Value names that mark an argument of another type as a path.
pub const PATH_NAMES: &[&str] = &["FILE", "DIR", "PATH", "MODEL", "RUN", "INPUT", "OUTPUT"];

/// What a key stands for.
pub enum Target<'a> {
    Plain(&'a Arg),
    /// The key `x` of an argument that has the form `--no-x` only, or that pairs with one.
    Switch {
        on: Option<&'a Arg>,
        off: &'a Arg,
    },
}

impl<'a> Target<'a> {
    pub fn args(&self) -> Vec<&'a Arg> {
        match self {
            Self::Plain(arg) => vec![arg],
            Self::Switch { on, off } => on.iter().copied().chain([*off]).collect(),
        }
    }
}

/// The key of an argument, or `None` when a file cannot set it.
pub fn key_of(arg: &Arg) -> Option<String> {
    use ArgAction as A;
    if matches!(arg.get_action(), A::Help | A::HelpShort | A::HelpLong | A::Version) {
        return None;
    }
    match arg.get_long() {
        // What is about the file itself, or about looking only.
        Some("config" | "dump-config" | "dry-run") => None,
        Some(long) => Some(long.replace('-', "_")),
        None => arg.is_positional().then(|| arg.get_id().as_str().to_string()),
    }
}

/// The argument a key stands for. `command` is built, so that shared flags are among its own.
pub fn find<'a>(command: &'a Command, key: &str) -> Option<Target<'a>> {
    let by_key = |key: &str| command.get_arguments().find(|a| key_of(a).as_deref() == Some(key));
    let off = by_key(&format!("no_{key}")).filter(|a| is_switch(a));
    match (by_key(key), off) {
        (on, Some(off)) if on.is_none_or(is_switch) => Some(Target::Switch { on, off }),
        (on, _) => on.map(Target::Plain),
    }
}

/// Every key of a command, the shared ones included, sorted.
pub fn keys(command: &Command) -> Vec<String> {
    let mut keys: Vec<String> = command.get_arguments().filter_map(key_of).collect();
    keys.sort();
    keys
}

/// A flag without a value.
pub fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse)
}

pub fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append)
        || arg.get_num_args().is_some_and(|n| n.max_values() > 1)
}

pub fn is_path(arg: &Arg) -> bool {
    let kind = arg.get_value_parser().type_id();
    kind == TypeId::of::<PathBuf>()
        || kind == TypeId::of::<Input>()
        || kind == TypeId::of::<Destination>()
        || matches!(
            arg.get_value_hint(),
            ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath
        )
        || arg
            .get_value_names()
            .is_some_and(|names| names.iter().any(|n| PATH_NAMES.contains(&n.as_str())))
}

pub fn is_integer(arg: &Arg) -> bool {
    let kind = arg.get_value_parser().type_id();
    macro_rules! any_of { ($($t:ty),*) => { false $(|| kind == TypeId::of::<$t>())* } }
    any_of!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize)
        || any_of!(
            std::num::NonZeroU8,
            std::num::NonZeroU16,
            std::num::NonZeroU32,
            std::num::NonZeroU64,
            std::num::NonZeroUsize
        )
        || any_of!(super::values::Count)
}

pub fn is_float(arg: &Arg) -> bool {
    let kind = arg.get_value_parser().type_id();
    kind == TypeId::of::<f32>() || kind == TypeId::of::<f64>()
}

pub fn is_bool(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<bool>()
}
