//! The effective settings of a command line: every value with its origin.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::Value;

use super::{env, keys};

/// Who decided, strongest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Flag,
    Environment(&'static str),
    File(PathBuf),
    Default,
}

#[derive(Clone, Debug)]
struct Setting {
    key: String,
    /// A shared flag: lies under `[global]`.
    shared: bool,
    path: bool,
    /// `None`: not given and without a default that the parser knows.
    value: Option<Value>,
    origin: Origin,
}

/// Every setting of one command, in the order of its help.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    command: String,
    items: Vec<Setting>,
}

/// Shared flags that can change what is computed. The others say how to run and how to talk.
const SHARED_IN_RESULTS: &[&str] = &["seed", "device", "dtype", "deterministic"];

impl Settings {
    /// Reads `matches` by the definition of the command. `from_file` names the keys whose values
    /// were taken from a file.
    pub fn new(
        command: &Command,
        matches: &ArgMatches,
        from_file: &BTreeMap<String, PathBuf>,
    ) -> Self {
        let mut items = Vec::new();
        for arg in command.get_arguments() {
            let Some(key) = keys::key_of(arg) else { continue };
            if let Some(positive) = key.strip_prefix("no_")
                && matches!(
                    keys::find(command, positive),
                    Some(keys::Target::Switch { on: Some(_), .. })
                )
            {
                continue; // told with its positive form
            }
            let (value, mut origin) = match keys::find(command, &key) {
                Some(keys::Target::Switch { on: Some(on), off }) => switch(matches, on, off),
                _ => (value(matches, arg), origin(matches, arg)),
            };
            if let Some(path) = from_file.get(&key) {
                origin = Origin::File(path.clone());
            }
            if arg.is_hide_set() && origin == Origin::Default {
                continue;
            }
            let path = keys::is_path(arg);
            items.push(Setting { key, shared: arg.is_global_set(), path, value, origin });
        }
        Self { command: command.get_name().to_string(), items }
    }

    /// The command's own settings, and the shared ones that can change what is computed.
    pub fn values(&self) -> BTreeMap<String, Value> {
        self.items
            .iter()
            .filter(|s| !s.shared || SHARED_IN_RESULTS.contains(&s.key.as_str()))
            .filter_map(|s| Some((s.key.clone(), s.value.clone()?)))
            .collect()
    }

    /// Whether a variable of the environment decided a setting.
    pub fn is_from_environment(&self, key: &str) -> bool {
        let own = self.items.iter().find(|s| s.key == key);
        own.is_some_and(|s| matches!(s.origin, Origin::Environment(_)))
    }

    /// [`Settings::values`] for provenance: neither outputs nor machine paths.
    pub fn provenance(&self) -> BTreeMap<String, Value> {
        let mut values = self.values();
        for unimportant in ["output", "format", "line_buffered", "device"] {
            values.remove(unimportant);
        }
        for setting in self.items.iter().filter(|s| s.path) {
            match values.get_mut(&setting.key) {
                Some(Value::Array(items)) => items.iter_mut().for_each(keep_name),
                Some(value) => keep_name(value),
                None => {}
            }
        }
        values
    }

    /// The settings as a file that `--config` reads. With `dir`, the directory the file is for,
    /// relative paths are written relative to it.
    pub fn to_toml(&self, dir: Option<&Path>) -> String {
        let mut out = format!(
            "# Settings of `isogloss {}`, each with its origin. `--config` reads this file.\n",
            self.command
        );
        for (table, shared) in [("global", true), (self.command.as_str(), false)] {
            let _ = writeln!(out, "\n[{table}]");
            for setting in self.items.iter().filter(|s| s.shared == shared) {
                match &setting.value {
                    None => {
                        let _ = writeln!(out, "# {}: not set", setting.key);
                    }
                    Some(value) => {
                        let value = match dir {
                            Some(dir) if setting.path => seen_from(value, dir),
                            _ => value.clone(),
                        };
                        let origin = origin_text(&setting.origin, dir.is_some());
                        let _ =
                            writeln!(out, "{} = {}  # {origin}", setting.key, toml_value(&value));
                    }
                }
            }
        }
        out
    }
}

fn origin_text(origin: &Origin, stored: bool) -> String {
    match origin {
        Origin::Flag => "flag".into(),
        Origin::Environment(name) => format!("environment {name}"),
        // A stored file travels: where it came from on this machine says nothing there.
        Origin::File(path) if stored => {
            format!("file {}", path.file_name().unwrap_or_default().to_string_lossy())
        }
        Origin::File(path) => format!("file {}", path.display()).replace(char::is_control, "?"),
        Origin::Default => "default".into(),
    }
}

fn origin(matches: &ArgMatches, arg: &Arg) -> Origin {
    match matches.value_source(arg.get_id().as_str()) {
        Some(ValueSource::CommandLine) => Origin::Flag,
        Some(ValueSource::EnvVariable) => Origin::Environment(
            arg.get_long().and_then(env::variable_of).map_or("(unnamed)", |v| v.name),
        ),
        _ => Origin::Default,
    }
}

fn flag(matches: &ArgMatches, arg: &Arg) -> bool {
    matches.try_get_one::<bool>(arg.get_id().as_str()).ok().flatten().copied().unwrap_or(false)
}

/// A pair `--x`, `--no-x`. When neither is given the command decides, and only a declared
/// default tells how.
fn switch(matches: &ArgMatches, on: &Arg, off: &Arg) -> (Option<Value>, Origin) {
    let (on_origin, off_origin) = (origin(matches, on), origin(matches, off));
    if off_origin != Origin::Default && flag(matches, off) == is_set_by_presence(off) {
        (Some(false.into()), off_origin)
    } else if on_origin != Origin::Default || flag(matches, on) {
        (Some(flag(matches, on).into()), on_origin)
    } else {
        (None, Origin::Default)
    }
}

fn is_set_by_presence(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn value(matches: &ArgMatches, arg: &Arg) -> Option<Value> {
    let id = arg.get_id().as_str();
    match arg.get_action() {
        // The value in the file is whether the flag stands there.
        ArgAction::SetTrue => return Some(flag(matches, arg).into()),
        ArgAction::SetFalse => return Some((!flag(matches, arg)).into()),
        ArgAction::Count => {
            let n = matches.try_get_one::<u8>(id).ok().flatten().copied().unwrap_or(0);
            return Some(n.into());
        }
        _ => {}
    }
    let raw: Vec<Value> =
        matches.try_get_raw(id).ok().flatten()?.map(|v| typed(arg, &v.to_string_lossy())).collect();
    if keys::takes_many(arg) { Some(raw.into()) } else { raw.into_iter().next() }
}

/// The text of one value as number or truth value where the argument is one.
fn typed(arg: &Arg, raw: &str) -> Value {
    let number = if keys::is_integer(arg) {
        raw.parse::<i64>()
            .ok()
            .map(Value::from)
            .or_else(|| raw.parse::<u64>().ok().map(Value::from))
    } else if keys::is_float(arg) {
        raw.parse::<f64>().ok().filter(|x| x.is_finite()).map(Value::from)
    } else if keys::is_bool(arg) {
        raw.parse::<bool>().ok().map(Value::from)
    } else {
        None
    };
    number.unwrap_or_else(|| raw.into())
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::String(s) => toml::Value::String(s.clone()).to_string(),
        // TOML integers are signed 64-bit; larger ones go back in as text.
        Value::Number(n) if n.is_u64() && n.as_i64().is_none() => format!("\"{n}\""),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml_value).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

fn keep_name(value: &mut Value) {
    if let Value::String(path) = value
        && let Some(name) = Path::new(path.as_str()).file_name()
    {
        *path = name.to_string_lossy().into_owned();
    }
}

fn seen_from(value: &Value, dir: &Path) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|v| seen_from(v, dir)).collect::<Vec<_>>().into(),
        Value::String(path) if path != "-" && Path::new(path).is_relative() => {
            relative_to(Path::new(path), dir).to_string_lossy().into_owned().into()
        }
        other => other.clone(),
    }
}

/// `path` as seen from `dir`; both relative to the working directory. An absolute path when the
/// two share nothing but the root.
fn relative_to(path: &Path, dir: &Path) -> PathBuf {
    let (path, dir) = (absolute(path), absolute(dir));
    let common = path.components().zip(dir.components()).take_while(|(a, b)| a == b).count();
    if common <= 1 {
        return path;
    }
    let mut out = PathBuf::new();
    for _ in dir.components().skip(common) {
        out.push("..");
    }
    out.extend(path.components().skip(common));
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// Absolute, with symbolic links followed as far as the path exists: `..` is only right between
/// real directories.
fn absolute(path: &Path) -> PathBuf {
    if let Ok(real) = std::fs::canonicalize(path) {
        return real;
    }
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            absolute(parent).join(name)
        }
        // `..` at the end of something missing: by name only.
        _ => {
            let mut out = std::env::current_dir().unwrap_or_default();
            for part in path.components() {
                match part {
                    Component::ParentDir => drop(out.pop()),
                    Component::CurDir => {}
                    other => out.push(other),
                }
            }
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Arg;

    fn sample() -> Command {
        let mut command = Command::new("sample").args([
            Arg::new("model").long("model").value_name("MODEL"),
            Arg::new("beam_size")
                .long("beam-size")
                .value_parser(clap::value_parser!(u32))
                .default_value("5"),
            Arg::new("penalty")
                .long("penalty")
                .value_parser(clap::value_parser!(f64))
                .default_value("1.0"),
            Arg::new("metric").long("metric").action(ArgAction::Append),
            Arg::new("tied").long("tied").action(ArgAction::SetTrue).overrides_with("no_tied"),
            Arg::new("no_tied").long("no-tied").action(ArgAction::SetTrue).overrides_with("tied"),
            Arg::new("inputs").num_args(0..).value_name("FILE"),
        ]);
        command.build();
        command
    }

    fn settings(argv: &[&str]) -> Settings {
        let command = sample();
        let matches = command
            .clone()
            .try_get_matches_from(["sample"].iter().chain(argv))
            .unwrap_or_else(|e| panic!("{e}"));
        Settings::new(&command, &matches, &BTreeMap::new())
    }

    #[test]
    fn values_have_their_types() {
        let s = settings(&["--model", "m", "--metric", "bleu", "--no-tied", "a.txt", "b.txt"]);
        let want = serde_json::json!({
            "beam_size": 5, "inputs": ["a.txt", "b.txt"], "metric": ["bleu"], "model": "m",
            "penalty": 1.0, "tied": false,
        });
        assert_eq!(serde_json::json!(s.values()), want);
    }

    #[test]
    fn provenance_keeps_names_of_files_only() {
        let s = settings(&["--model", "/home/somebody/m", "x/a.txt"]);
        let p = serde_json::json!(s.provenance());
        assert_eq!(p["model"], "m");
        assert_eq!(p["inputs"], serde_json::json!(["a.txt"]));
    }

    #[test]
    fn toml_parses_and_says_what_is_missing() {
        let text = settings(&["--metric", "a \"b\"\n", "--tied"]).to_toml(None);
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["sample"]["metric"][0].as_str(), Some("a \"b\"\n"));
        assert_eq!(table["sample"]["tied"].as_bool(), Some(true));
        assert_eq!(table["sample"]["penalty"].as_float(), Some(1.0));
        assert!(text.contains("# model: not set"), "{text}");
        assert!(text.contains("beam_size = 5  # default"), "{text}");
    }

    #[test]
    fn paths_are_seen_from_the_directory_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::create_dir_all(root.join("runs/a")).unwrap();
        let seen = |path: &str, dir: &str| {
            relative_to(&root.join(path), &root.join(dir)).display().to_string()
        };
        assert_eq!(seen("data/x.jsonl", "runs/a"), "../../data/x.jsonl");
        assert_eq!(seen("runs/a", "runs/a"), ".");
        assert_eq!(seen("runs/a/log", "runs/a"), "log");
        #[cfg(unix)]
        {
            // The run lies elsewhere: `..` from there is not the parent of its name.
            std::os::unix::fs::symlink(root.join("runs/a"), root.join("link")).unwrap();
            assert_eq!(seen("data/x.jsonl", "link"), "../../data/x.jsonl");
        }
    }
}
