//! The one error type: what, where, what was found and expected, how to fix it.
//!
//! Rooms build an [`Error`] close to the fault; callers add the place as it rises.
//! `main` prints it and turns its [`ErrorKind`] into the exit code. No domain
//! knowledge lives here.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::exit::ExitCode;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, coarse enough for a script to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Flags, arguments or configuration.
    Usage,
    /// A record or line of input.
    Data,
    /// A model, mask, adapter, tokenizer or checkpoint is missing, corrupt, or does not fit.
    Artifact,
    /// Permission, disk, memory, device, a lock held by another process.
    Environment,
    /// Stopped by SIGINT (2) or SIGTERM (15).
    Stopped(i32),
    /// A process that this one works with has ended.
    Parted,
    /// The reader of our standard output went away: a normal end.
    BrokenPipe,
    /// A fault of this program.
    Bug,
}

impl ErrorKind {
    pub fn exit_code(self) -> ExitCode {
        match self {
            Self::Usage => ExitCode::Usage,
            Self::Data => ExitCode::Data,
            Self::Artifact => ExitCode::Artifact,
            Self::Environment | Self::Parted => ExitCode::Environment,
            Self::Stopped(2) => ExitCode::Interrupted,
            Self::Stopped(_) => ExitCode::Terminated,
            Self::BrokenPipe => ExitCode::Ok,
            Self::Bug => ExitCode::Bug,
        }
    }

    /// The name used in error records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Data => "data",
            Self::Artifact => "artifact",
            Self::Environment | Self::Parted => "environment",
            Self::Stopped(_) => "stopped",
            Self::BrokenPipe => "broken_pipe",
            Self::Bug => "bug",
        }
    }
}

/// Where it went wrong. Every part is optional; what is known is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub path: Option<PathBuf>,
    /// One-based line of a text file.
    pub line: Option<u64>,
    pub field: Option<String>,
    pub tensor: Option<String>,
    pub flag: Option<String>,
    pub key: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        if let Some(path) = &self.path {
            let mut s = path.display().to_string();
            if let Some(line) = self.line {
                s.push_str(&format!(":{line}"));
            }
            parts.push(s);
        } else if let Some(line) = self.line {
            parts.push(format!("line {line}"));
        }
        if let Some(field) = &self.field {
            parts.push(format!("field `{field}`"));
        }
        if let Some(tensor) = &self.tensor {
            parts.push(format!("tensor `{tensor}`"));
        }
        if let Some(flag) = &self.flag {
            parts.push(format!("flag `{flag}`"));
        }
        if let Some(key) = &self.key {
            parts.push(format!("key `{key}`"));
        }
        f.write_str(&parts.join(", "))
    }
}

/// An error a person can act on.
///
/// The message is one line, lower case, without a full stop, names in backticks.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    place: Place,
    found: Option<String>,
    expected: Option<String>,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: message.into(),
            place: Place::default(),
            found: None,
            expected: None,
            causes: Vec::new(),
            hints: Vec::new(),
        }))
    }
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }
    pub fn artifact(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Artifact, message)
    }
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Environment, message)
    }
    pub fn bug(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Bug, message)
    }

    /// An I/O failure on `path` while doing `what` ("read", "write", "create directory").
    ///
    /// A missing file is an artifact error, everything else the environment's.
    pub fn io(what: &str, path: &Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        let (kind, hint) = match source.kind() {
            K::NotFound => (ErrorKind::Artifact, None),
            K::PermissionDenied | K::ReadOnlyFilesystem => (
                ErrorKind::Environment,
                Some("check the permissions of the file and its directory"),
            ),
            K::StorageFull | K::QuotaExceeded => {
                (ErrorKind::Environment, Some("free space on this disk, or write elsewhere"))
            }
            K::BrokenPipe => (ErrorKind::BrokenPipe, None),
            _ => (ErrorKind::Environment, None),
        };
        let mut e = Self::new(kind, format!("cannot {what}")).at(path).cause(source.to_string());
        if let Some(hint) = hint {
            e = e.hint(hint);
        }
        e
    }

    // --- building ---
    /// The same fault seen from outside: a bad file behind a flag is the flag's.
    pub fn of_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.0.place.path.get_or_insert_with(|| path.as_ref().to_path_buf());
        self
    }
    pub fn line(mut self, line: u64) -> Self {
        self.0.place.line.get_or_insert(line);
        self
    }
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.0.place.field.get_or_insert_with(|| field.into());
        self
    }
    pub fn tensor(mut self, tensor: impl Into<String>) -> Self {
        self.0.place.tensor.get_or_insert_with(|| tensor.into());
        self
    }
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.0.place.flag.get_or_insert_with(|| flag.into());
        self
    }
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.0.place.key.get_or_insert_with(|| key.into());
        self
    }
    pub fn found(mut self, found: impl Into<String>) -> Self {
        self.0.found = Some(found.into());
        self
    }
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.0.causes.push(cause.into());
        self
    }
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }
    /// Adds "did you mean ..." when a candidate lies near `name`.
    pub fn suggest<'a>(self, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        let near = nearest(name, candidates, 3);
        if near.is_empty() {
            return self;
        }
        let list: Vec<String> = near.iter().map(|n| format!("`{n}`")).collect();
        self.hint(format!("did you mean {}?", list.join(" or ")))
    }

    // --- reading ---
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
    pub fn message(&self) -> &str {
        &self.0.message
    }
    pub fn place(&self) -> &Place {
        &self.0.place
    }
    pub fn expectation(&self) -> Option<&str> {
        self.0.expected.as_deref()
    }
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }
    pub fn exit_code(&self) -> ExitCode {
        self.0.kind.exit_code()
    }

    /// The error as one JSON record (`--json`).
    pub fn to_record(&self) -> serde_json::Value {
        let mut m = serde_json::Map::new();
        m.insert("type".into(), "error".into());
        m.insert("kind".into(), self.0.kind.name().into());
        m.insert("message".into(), self.0.message.clone().into());
        let p = &self.0.place;
        if let Some(v) = &p.path {
            m.insert("path".into(), v.display().to_string().into());
        }
        if let Some(v) = p.line {
            m.insert("line".into(), v.into());
        }
        for (name, v) in [
            ("field", &p.field),
            ("tensor", &p.tensor),
            ("flag", &p.flag),
            ("key", &p.key),
            ("found", &self.0.found),
            ("expected", &self.0.expected),
        ] {
            if let Some(v) = v {
                m.insert(name.into(), v.clone().into());
            }
        }
        if !self.0.causes.is_empty() {
            m.insert("causes".into(), self.0.causes.clone().into());
        }
        m.insert("hints".into(), self.0.hints.clone().into());
        serde_json::Value::Object(m)
    }
}

/// The lines below the first one: place, found and expected, causes, hints.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let e = &self.0;
        f.write_str(&one_line(&e.message))?;
        if e.place != Place::default() {
            write!(f, "\n  --> {}", one_line(&e.place.to_string()))?;
        }
        match (&e.found, &e.expected) {
            (Some(a), Some(b)) => {
                write!(f, "\n   found: {}   expected: {}", one_line(a), one_line(b))?
            }
            (Some(a), None) => write!(f, "\n   found: {}", one_line(a))?,
            (None, Some(b)) => write!(f, "\n   expected: {}", one_line(b))?,
            (None, None) => {}
        }
        for c in &e.causes {
            write!(f, "\n   caused by: {}", one_line(c))?;
        }
        for h in &e.hints {
            write!(f, "\n   hint: {}", one_line(h))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What a device that has no memory left says.
const OUT_OF_MEMORY: [&str; 2] = ["OUT_OF_MEMORY", "ALLOC_FAILED"];

/// candle's own errors reach a user only through a fault of ours, as shapes are checked where data enters,
/// or through a device without memory. Its backtrace lines are left out.
impl From<candle_core::Error> for Error {
    fn from(e: candle_core::Error) -> Self {
        let text = e.to_string();
        let first = text.lines().next().unwrap_or("tensor operation failed").to_string();
        if OUT_OF_MEMORY.iter().any(|sign| text.contains(sign)) {
            return Self::environment("the device has no memory left").cause(first).hint(
                "a smaller `--batch-tokens` or `--batch-size`, or `--device cpu`, takes less of it",
            );
        }
        Self::bug("tensor operation failed").cause(first)
    }
}

thread_local! {
    static CONTAINED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs code of another library that is known to panic on damaged files. `None` when it did;
/// the panic hook stays silent about it.
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    let before = CONTAINED.replace(true);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    CONTAINED.set(before);
    result.ok()
}

/// Whether a panic of this thread is expected and will become an [`Error`].
pub fn is_contained() -> bool {
    CONTAINED.get()
}

/// Control characters of hostile input must not reach a terminal.
fn one_line(s: &str) -> String {
    const LIMIT: usize = 2000;
    let mut out = String::with_capacity(s.len().min(LIMIT));
    for (i, c) in s.chars().enumerate() {
        if i == LIMIT {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The names nearest to `name`, best first, at most `limit`; none when nothing is near.
pub fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    limit: usize,
) -> Vec<String> {
    let wanted = name.to_lowercase();
    let mut scored: Vec<(i64, &str)> = candidates
        .into_iter()
        .filter_map(|c| {
            let lower = c.to_lowercase();
            let similarity = strsim::jaro_winkler(&wanted, &lower);
            // `de` and `deu_Latn`, `de_DE` and `de`: one begins with the other.
            let prefixed = wanted.len() >= 2
                && lower.len() >= 2
                && (lower.starts_with(&wanted) || wanted.starts_with(&lower));
            let score = if prefixed { similarity.max(0.9) } else { similarity };
            (score >= 0.8).then_some(((score * 1e6) as i64, c))
        })
        .collect();
    scored.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(limit).map(|(_, c)| c.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_memory_is_no_bug() {
        let e = |text: &str| Error::from(candle_core::Error::Msg(text.to_string()));
        let full = e("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")\n  0: backtrace");
        assert_eq!(full.exit_code() as u8, 5);
        assert!(full.to_string().contains("--batch-tokens"), "{full}");
        assert_eq!(e("shape mismatch").exit_code() as u8, 101);
    }

    #[test]
    fn prints_place_values_and_hints() {
        let e = Error::data("unknown target language `de`")
            .at("dev.jsonl")
            .line(128)
            .field("tgt_lang")
            .expected("a language of the model")
            .suggest("de", ["deu_Latn", "fra_Latn"]);
        assert_eq!(
            e.to_string(),
            "unknown target language `de`\n  --> dev.jsonl:128, field `tgt_lang`\n   \
             expected: a language of the model\n   hint: did you mean `deu_Latn`?"
        );
        assert_eq!(e.exit_code() as i32, 3);
    }

    #[test]
    fn control_characters_are_escaped() {
        let e = Error::data("bad \u{1b}[31m value\n");
        assert_eq!(e.to_string(), "bad \\u{1b}[31m value\\n");
    }
}
