//! The parser's complaints in our own form: what, where, what was expected, how to fix it.

use std::error::Error as _;
use std::ffi::OsString;

use clap::error::{ContextKind as C, ContextValue, ErrorKind as K};

use super::config::{Additions, ConfigFile};
use super::env;
use crate::error::Error;

/// What is known around a complaint.
pub struct Surroundings<'a> {
    pub program: &'a clap::Command,
    /// The subcommand that was recognised, if any.
    pub command: Option<&'a str>,
    pub argv: &'a [OsString],
    /// The settings file and what it added to the command line.
    pub file: Option<(&'a ConfigFile, &'a Additions)>,
}

pub fn explain(e: &clap::Error, around: &Surroundings) -> Error {
    let error = in_words(e, around.program);
    let args = list(e, C::InvalidArg).into_iter().chain(list(e, C::PriorArg));
    // A value from a file has its place there, and one from the environment has none.
    let in_file = around
        .file
        .and_then(|(file, added)| args.clone().find_map(|a| Some((file, added.place_of(&a)?))));
    let invalid = args.clone().next().filter(|a| a.starts_with('-'));
    let error = if let Some((file, (key, line))) = in_file {
        error.at(file.path()).line(line).key(key)
    } else if let Some(variable) = invalid.as_deref().and_then(|a| variable_behind(a, e, around)) {
        error.cause(format!("the environment variable `{variable}` gives the value"))
    } else if let (Some(arg), K::InvalidValue | K::ValueValidation) = (&invalid, e.kind()) {
        error.flag(flag_of(arg))
    } else {
        error
    };
    error.hint(match around.command {
        Some(name) => format!("see `isogloss {name} --help`"),
        None => "see `isogloss --help`".into(),
    })
}

/// The variable that gave the refused value, if the flag was not typed.
fn variable_behind(arg: &str, e: &clap::Error, around: &Surroundings) -> Option<&'static str> {
    let flag = flag_of(arg);
    let variable = env::variable_of(flag.strip_prefix("--")?)?;
    let value = std::env::var_os(variable.name)?;
    let typed = around.argv.iter().any(|a| {
        a.to_str()
            .and_then(|a| a.strip_prefix(flag))
            .is_some_and(|r| r.is_empty() || r.starts_with('='))
    });
    (!typed && value.to_str() == Some(&text(e, C::InvalidValue))).then_some(variable.name)
}

fn in_words(e: &clap::Error, program: &clap::Command) -> Error {
    let arg = text(e, C::InvalidArg);
    let value = text(e, C::InvalidValue);
    let mut error = match e.kind() {
        K::UnknownArgument if arg.starts_with('-') => Error::usage(format!("unknown flag `{arg}`")),
        K::UnknownArgument => Error::usage(format!("unexpected argument `{arg}`")),
        K::InvalidSubcommand => {
            let name = text(e, C::InvalidSubcommand);
            let names = list(e, C::SuggestedSubcommand);
            let error = Error::usage(format!("unknown command `{name}`"));
            if names.is_empty() {
                let all = program.get_subcommands().filter(|c| !c.is_hide_set());
                error.suggest(&name, all.map(|c| c.get_name()))
            } else {
                error.hint(format!("did you mean {}?", any_of(&names)))
            }
        }
        K::InvalidValue if value.is_empty() => {
            Error::usage(format!("`{}` needs a value", flag_of(&arg)))
        }
        K::InvalidValue | K::ValueValidation => {
            Error::usage(format!("invalid value `{value}` for `{}`", flag_of(&arg)))
        }
        K::TooManyValues => {
            Error::usage(format!("`{}` takes no further value `{value}`", flag_of(&arg)))
        }
        K::TooFewValues | K::WrongNumberOfValues => {
            let expected = match (e.get(C::ExpectedNumValues), e.get(C::MinValues)) {
                (Some(n), _) => format!("{n} values"),
                (None, Some(n)) => format!("at least {n} values"),
                _ => "another number of values".into(),
            };
            Error::usage(format!("`{}` has a wrong number of values", flag_of(&arg)))
                .found(text(e, C::ActualNumValues))
                .expected(expected)
        }
        K::NoEquals => {
            Error::usage(format!("write the value of `{0}` as `{0}=VALUE`", flag_of(&arg)))
        }
        K::ArgumentConflict => {
            let others: Vec<String> =
                list(e, C::PriorArg).iter().map(|a| flag_of(a).to_string()).collect();
            if others.is_empty() || others == [flag_of(&arg)] {
                Error::usage(format!("`{}` cannot be used several times", flag_of(&arg)))
            } else {
                let others = others.iter().map(|a| format!("`{a}`")).collect::<Vec<_>>();
                Error::usage(format!(
                    "`{}` cannot be used with {}",
                    flag_of(&arg),
                    others.join(" and ")
                ))
            }
        }
        K::MissingRequiredArgument => {
            let missing: Vec<String> =
                list(e, C::InvalidArg).iter().map(|a| format!("`{a}`")).collect();
            let verb = if missing.len() == 1 { "is" } else { "are" };
            Error::usage(format!("{} {verb} required", missing.join(" and ")))
        }
        K::MissingSubcommand | K::DisplayHelpOnMissingArgumentOrSubcommand => {
            Error::usage("no command was given")
        }
        K::InvalidUtf8 => Error::usage("an argument is not valid UTF-8"),
        _ => Error::usage(first_line(&e.to_string())),
    };
    if e.kind() == K::ValueValidation {
        error = with_source(error, e);
    }
    let valid = list(e, C::ValidValue);
    if !valid.is_empty() {
        error = error.expected(listed(&valid));
    }
    for kind in [C::SuggestedArg, C::SuggestedValue] {
        let names = list(e, kind);
        if !names.is_empty() {
            error = error.hint(format!("did you mean {}?", any_of(&names)));
        }
    }
    for tip in list(e, C::Suggested) {
        error = error.hint(match tip.strip_suffix(" exists") {
            Some(other) => {
                format!("did you mean `isogloss {}`?", other.trim_matches('\''))
            }
            None => tip.replace('\'', "`"),
        });
    }
    if e.kind() == K::MissingRequiredArgument {
        let usage = text(e, C::Usage);
        let usage = usage.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        if !usage.is_empty() {
            error = error.hint(format!("usage: {usage}"));
        }
    }
    error
}

/// The long flag or the name of a positional argument, without its values.
fn flag_of(spelled: &str) -> &str {
    if !spelled.starts_with('-') {
        return spelled;
    }
    spelled.split([' ', '=', '[']).next().unwrap_or(spelled)
}

/// A value type's own words. Those of the standard library's numbers are said better.
fn with_source(error: Error, e: &clap::Error) -> Error {
    let Some(source) = e.source() else { return error };
    if source.is::<std::num::ParseIntError>() {
        return error.expected("a whole number");
    }
    if source.is::<std::num::ParseFloatError>() {
        return error.expected("a number");
    }
    match source.downcast_ref::<Error>() {
        Some(own) => {
            let mut error = error.cause(own.message());
            if let Some(expected) = own.expectation() {
                error = error.expected(expected);
            }
            own.hints().iter().fold(error, |e, hint| e.hint(hint))
        }
        None => error.cause(first_line(&source.to_string())),
    }
}

fn list(e: &clap::Error, kind: C) -> Vec<String> {
    match e.get(kind) {
        Some(ContextValue::String(s)) => vec![s.clone()],
        Some(ContextValue::Strings(items)) => items.clone(),
        Some(ContextValue::StyledStrs(items)) => items.iter().map(|s| s.to_string()).collect(),
        Some(other) if !matches!(other, ContextValue::None) => vec![other.to_string()],
        _ => Vec::new(),
    }
}

fn text(e: &clap::Error, kind: C) -> String {
    list(e, kind).join(", ")
}

fn listed(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

fn any_of(names: &[String]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(" or ")
}

fn first_line(s: &str) -> String {
    s.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string()
}
