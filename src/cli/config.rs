//! Settings files: TOML, one table per command and `[global]`, keys as in [`keys`].
//!
//! A file is turned into the command line that would say the same, so that every value is
//! checked by the parser exactly as if it had been typed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::de::{DeTable, DeValue};

use super::keys::{self, Target};
use crate::error::{Error, Result};

/// The table of shared settings.
pub const GLOBAL: &str = "global";

/// A settings file, its keys checked against the definition of the program.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    tables: BTreeMap<String, BTreeMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    line: u64,
    value: FileValue,
}

#[derive(Debug, PartialEq)]
enum FileValue {
    Bool(bool),
    Scalar(String),
    List(Vec<String>),
}

/// What a file adds to a command line.
#[derive(Debug, Default)]
pub struct Additions {
    /// Tokens to stand right after the command's name.
    pub options: Vec<OsString>,
    /// Tokens to stand at the very end.
    pub positionals: Vec<OsString>,
    /// Keys whose value the file decides, with its path.
    pub origins: BTreeMap<String, PathBuf>,
    /// Where the tokens came from: long flag or name of the positional, key, line.
    places: Vec<(String, String, u64)>,
}

impl ConfigFile {
    /// Reads `text`, the content of `path`. `program` is built.
    ///
    /// # Errors
    /// Usage, with line and key: not TOML, an unknown table or key, a value of a wrong kind.
    pub fn parse(path: &Path, text: &str, program: &Command) -> Result<Self> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() as u64 + 1;
        let document = DeTable::parse(text).map_err(|e| {
            let error = Error::usage("the settings file is not valid TOML").at(path);
            let error = match e.span() {
                Some(span) => error.line(line_of(span.start)),
                None => error,
            };
            error.cause(e.message().to_string())
        })?;
        let commands: Vec<&str> = program
            .get_subcommands()
            .filter(|c| !c.is_hide_set() && c.get_name() != "help")
            .map(|c| c.get_name())
            .collect();
        let mut tables = BTreeMap::new();
        for (name, table) in document.get_ref() {
            let place = |e: Error| e.at(path).line(line_of(name.span().start));
            let name = name.get_ref().as_ref();
            let command = match name {
                GLOBAL => program,
                _ => match commands.iter().find(|c| **c == name) {
                    Some(found) => program.find_subcommand(found).unwrap_or(program),
                    None => return Err(place(unknown_table(name, table.get_ref(), &commands))),
                },
            };
            let DeValue::Table(entries) = table.get_ref() else {
                let e = Error::usage(format!("`{name}` is a table, not a value"));
                return Err(place(e.hint(format!("write `[{name}]` on a line of its own"))));
            };
            let mut read = BTreeMap::new();
            for (key, value) in entries {
                let line = line_of(key.span().start);
                let key = key.get_ref().to_string();
                let place = |e: Error| e.at(path).line(line).key(format!("{name}.{key}"));
                if keys::find(command, &key).is_none() {
                    return Err(place(unknown_key(&key, name, command, program)));
                }
                let value = FileValue::read(value.get_ref()).map_err(place)?;
                read.insert(key, Entry { line, value });
            }
            tables.insert(name.to_string(), read);
        }
        Ok(Self { path: path.to_path_buf(), tables })
    }

    /// What this file says for `command` where flags and environment in `typed` say nothing.
    /// The command's own table wins over `[global]`.
    pub fn additions(&self, command: &Command, typed: &ArgMatches) -> Result<Additions> {
        let mut out = Additions::default();
        let given = |arg: &Arg| {
            matches!(
                typed.value_source(arg.get_id().as_str()),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            )
        };
        let given_args: Vec<&Arg> = command.get_arguments().filter(|a| given(a)).collect();
        let given_positional =
            given_args.iter().filter_map(|a| a.get_index()).max().unwrap_or_default();
        let own = self.tables.get(command.get_name());
        let shared = self.tables.get(GLOBAL);
        let entries = own
            .into_iter()
            .flatten()
            .map(|e| (command.get_name(), e))
            .chain(shared.into_iter().flatten().map(|e| (GLOBAL, e)));
        let mut positionals: BTreeMap<usize, Vec<OsString>> = BTreeMap::new();
        for (table, (key, entry)) in entries {
            let Some(target) = keys::find(command, key) else { continue };
            let name = target_key(&target, key);
            if out.origins.contains_key(&name) {
                continue; // `[global]` repeats what the command's table said
            }
            let args = target.args();
            // A flag that was typed silences its opposite and whatever it excludes.
            let silenced = args.iter().any(|a| {
                given(a)
                    || given_args.iter().any(|g| conflict(command, a, g))
                    || a.get_index().is_some_and(|i| i <= given_positional)
            });
            if silenced {
                continue;
            }
            out.origins.insert(name, self.path.clone());
            let place = |e: Error| e.at(&self.path).line(entry.line).key(format!("{table}.{key}"));
            let tokens = self.tokens(&target, &entry.value).map_err(place)?;
            for arg in args {
                let spelled = match arg.get_long() {
                    Some(long) => format!("--{long}"),
                    None => arg.to_string(),
                };
                out.places.push((spelled, format!("{table}.{key}"), entry.line));
            }
            match &target {
                Target::Plain(arg) if arg.is_positional() => {
                    positionals.entry(arg.get_index().unwrap_or(usize::MAX)).or_insert(tokens);
                }
                _ => out.options.extend(tokens),
            }
        }
        out.positionals = positionals.into_values().flatten().collect();
        Ok(out)
    }

    /// Tokens that say `value` for `target`; none when it is what the parser does anyway, so
    /// that a file of defaults conflicts with nothing.
    fn tokens(&self, target: &Target, value: &FileValue) -> Result<Vec<OsString>> {
        let switch = |wanted: bool, on: Option<&Arg>, off: Option<&Arg>| -> Vec<OsString> {
            let chosen = if wanted { on } else { off };
            chosen.and_then(Arg::get_long).map(|l| format!("--{l}").into()).into_iter().collect()
        };
        let arg = match target {
            Target::Switch { on, off } => return Ok(switch(value.truth()?, *on, Some(off))),
            Target::Plain(arg) if keys::is_switch(arg) => {
                return Ok(switch(value.truth()?, Some(arg), None));
            }
            Target::Plain(arg) => *arg,
        };
        if matches!(arg.get_action(), ArgAction::Count) {
            let n = match value {
                FileValue::Bool(b) => u8::from(*b),
                FileValue::Scalar(s) => s.parse().ok().filter(|n| *n <= 9).ok_or_else(|| {
                    Error::usage("not a small number").found(s).expected("0 to 9")
                })?,
                FileValue::List(_) => return Err(Error::usage("expected a number, found a list")),
            };
            let once = switch(true, Some(arg), None);
            return Ok(std::iter::repeat_n(once, n.into()).flatten().collect());
        }
        let values: Vec<String> = match value {
            FileValue::Bool(b) => vec![b.to_string()],
            FileValue::Scalar(s) => vec![s.clone()],
            FileValue::List(items) if keys::takes_many(arg) => items.clone(),
            // Language lists and their like are one value.
            FileValue::List(items) => vec![items.join(",")],
        };
        let defaults = arg.get_default_values();
        if !defaults.is_empty()
            && defaults.len() == values.len()
            && defaults.iter().zip(&values).all(|(d, v)| same_value(&d.to_string_lossy(), v))
        {
            return Ok(Vec::new());
        }
        let values =
            values.into_iter().map(|v| if keys::is_path(arg) { self.resolve(v) } else { v });
        Ok(match arg.get_long() {
            Some(long) => values.map(|v| format!("--{long}={v}").into()).collect(),
            None => values.map(OsString::from).collect(),
        })
    }

    /// Paths are relative to the file.
    fn resolve(&self, path: String) -> String {
        if path == "-" || path.is_empty() || Path::new(&path).is_absolute() {
            return path;
        }
        match self.path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => {
                dir.join(path).to_string_lossy().into_owned()
            }
            _ => path,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Additions {
    /// The key and line behind an argument as the parser spells it in errors (`--seed <N>`).
    pub fn place_of(&self, spelled: &str) -> Option<(&str, u64)> {
        self.places
            .iter()
            .find(|(name, ..)| {
                spelled
                    .strip_prefix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '=', '[']))
            })
            .map(|(_, key, line)| (key.as_str(), *line))
    }
}

impl FileValue {
    fn read(value: &DeValue) -> Result<Self> {
        if let DeValue::Array(items) = value {
            let items = items.iter().map(|item| match Self::read(item.get_ref())? {
                Self::Scalar(s) => Ok(s),
                Self::Bool(b) => Ok(b.to_string()),
                Self::List(_) => Err(Error::usage("a list inside a list has no meaning here")),
            });
            return Ok(Self::List(items.collect::<Result<_>>()?));
        }
        Ok(match value {
            DeValue::Boolean(b) => Self::Bool(*b),
            DeValue::String(s) => Self::Scalar(s.to_string()),
            DeValue::Float(f) => Self::Scalar(f.as_str().to_string()),
            DeValue::Integer(i) => {
                let n = i64::from_str_radix(i.as_str(), i.radix())
                    .map_err(|_| Error::usage("the number is too large"))?;
                Self::Scalar(n.to_string())
            }
            other => {
                return Err(Error::usage(format!("a {} cannot be a setting", other.type_str()))
                    .expected("a string, a number, true or false, or a list of them"));
            }
        })
    }

    fn truth(&self) -> Result<bool> {
        match self {
            Self::Bool(b) => Ok(*b),
            Self::Scalar(s) => Err(Error::usage(format!("`{s}` is neither true nor false"))),
            Self::List(_) => Err(Error::usage("a list is neither true nor false")),
        }
    }
}

/// The key under which the effective settings show this target.
fn target_key(target: &Target, key: &str) -> String {
    match target {
        // The negative form of a pair is told with its positive one.
        Target::Plain(_) => key.to_string(),
        Target::Switch { on, off } => match on.or(Some(off)).and_then(keys::key_of) {
            Some(key) => key,
            None => key.to_string(),
        },
    }
}

fn conflict(command: &Command, a: &Arg, b: &Arg) -> bool {
    let excludes = |a: &Arg, b: &Arg| {
        !a.is_global_set()
            && command.get_arg_conflicts_with(a).iter().any(|c| c.get_id() == b.get_id())
    };
    a.get_id() != b.get_id() && (excludes(a, b) || excludes(b, a))
}

/// Equal as text or as numbers: a file may say `1` where the default is written `1.0`.
fn same_value(a: &str, b: &str) -> bool {
    a == b || matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(x), Ok(y)) if x == y)
}

fn unknown_table(name: &str, value: &DeValue, commands: &[&str]) -> Error {
    if !value.is_table() {
        return Error::usage(format!("`{name}` lies outside every table"))
            .hint("write it below `[global]` or below the name of a command in brackets");
    }
    Error::usage(format!("unknown table `{name}`"))
        .expected(format!("`{GLOBAL}` or a command: `{}`", commands.join("`, `")))
        .suggest(name, commands.iter().copied().chain([GLOBAL]))
}

fn unknown_key(key: &str, table: &str, command: &Command, program: &Command) -> Error {
    let error = Error::usage(format!("unknown key `{key}`"));
    if ["config", "dump_config", "dry_run"].contains(&key) {
        return error
            .hint(format!("`--{}` is given on the command line only", key.replace('_', "-")));
    }
    if keys::find(command, &key.replace('-', "_")).is_some() {
        return error.hint(format!("write `{}`", key.replace('-', "_")));
    }
    let elsewhere = program
        .get_subcommands()
        .filter(|c| !c.is_hide_set() && keys::find(c, key).is_some())
        .map(|c| format!("`[{}]`", c.get_name()))
        .collect::<Vec<_>>();
    if table == GLOBAL && !elsewhere.is_empty() {
        return error.hint(format!("`{key}` belongs below {}", elsewhere.join(" or ")));
    }
    let keys = keys::keys(command);
    let error = error.suggest(key, keys.iter().map(String::as_str));
    if error.hints().is_empty() && !elsewhere.is_empty() {
        return error.hint(format!("`{key}` belongs below {}", elsewhere.join(" or ")));
    }
    error
}
