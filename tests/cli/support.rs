//! A directory and a command line for every test.
//!
//! ```ignore
//! let t = Sandbox::new();
//! t.write("lines.txt", "ein Haus\n");
//! let run = t.isogloss(["translate", "-m", "model", "lines.txt"]).run();
//! run.code(4);
//! insta::assert_snapshot!(run.transcript());
//! ```
//!
//! Snapshots lie in `tests/cli/snapshots`. After an intended change of wording, write them
//! anew with `INSTA_UPDATE=always cargo test --test cli` and read the difference.
#![allow(dead_code)] // every module of this binary uses a part

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An own directory, removed at the end; commands run inside it.
pub struct Sandbox {
    dir: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("isogloss-test-").tempdir().expect("tempdir");
        Self { dir }
    }
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }
    /// Writes a file, making its parents.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("create parents");
        }
        fs::write(&path, content).expect("write");
        path
    }
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
    /// Every file below the directory, sorted, relative: what a command left behind.
    pub fn files(&self) -> Vec<String> {
        fn walk(dir: &Path, root: &Path, out: &mut Vec<String>) {
            for entry in fs::read_dir(dir).expect("read directory") {
                let path = entry.expect("entry").path();
                if path.is_dir() {
                    walk(&path, root, out);
                } else {
                    out.push(path.strip_prefix(root).expect("below root").display().to_string());
                }
            }
        }
        let mut out = Vec::new();
        walk(self.dir(), self.dir(), &mut out);
        out.sort();
        out
    }
    /// The binary under test, in this directory, in a plain environment.
    pub fn isogloss<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isogloss"));
        command.args(args).current_dir(self.dir());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("ISOGLOSS_")
                || text.starts_with("CLICOLOR")
                || ["NO_COLOR", "RUST_BACKTRACE", "SOURCE_DATE_EPOCH"].contains(&&*text)
            {
                command.env_remove(&name);
            }
        }
        // Help is wrapped to the terminal; a fixed width keeps snapshots equal everywhere.
        command.env("COLUMNS", "100").env("TERM", "xterm").env("LC_ALL", "C.UTF-8");
        Invocation { command, stdin: Vec::new(), dir: self.dir().to_path_buf() }
    }
}

/// A command about to run.
pub struct Invocation {
    command: Command,
    stdin: Vec<u8>,
    dir: PathBuf,
}

impl Invocation {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }
    pub fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }
    /// The bare command, for tests that need pipes or signals of their own.
    pub fn into_command(self) -> Command {
        self.command
    }
    /// Runs to the end. Standard input is what [`Invocation::stdin`] gave, else empty.
    pub fn run(mut self) -> Finished {
        let line = self
            .command
            .get_args()
            .map(|a| a.to_string_lossy().into_owned())
            .collect::<Vec<_>>()
            .join(" ");
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut pipe = child.stdin.take().expect("stdin is piped");
        let input = std::mem::take(&mut self.stdin);
        // A thread: large inputs would fill the pipe while the child fills its own. The child
        // may stop reading early, so a failed write is no failure of the test.
        let feeder = std::thread::spawn(move || {
            let _ = pipe.write_all(&input);
        });
        let output = child.wait_with_output().expect("the binary ends");
        feeder.join().expect("feeder");
        Finished {
            line,
            code: output.status.code(),
            stdout_bytes: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            dir: self.dir,
        }
    }
}

/// What a command did.
pub struct Finished {
    line: String,
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout_bytes: Vec<u8>,
    pub stderr: String,
    dir: PathBuf,
}

impl Finished {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout_bytes).into_owned()
    }
    /// Asserts the exit code, showing everything when it differs.
    #[track_caller]
    pub fn code(&self, expected: i32) -> &Self {
        assert_eq!(self.code, Some(expected), "{}", self.transcript());
        self
    }
    #[track_caller]
    pub fn ok(&self) -> &Self {
        self.code(0)
    }
    /// Asserts that standard error contains `text`.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stderr.contains(text), "no `{text}` in:\n{}", self.transcript());
        self
    }
    /// Standard output as JSON Lines.
    #[track_caller]
    pub fn records(&self) -> Vec<serde_json::Value> {
        parse_records(&self.stdout())
    }
    /// Standard error as JSON Lines (`--json`).
    #[track_caller]
    pub fn error_records(&self) -> Vec<serde_json::Value> {
        parse_records(&self.stderr)
    }
    /// Command line, exit code, both streams; paths and versions masked. For snapshots.
    pub fn transcript(&self) -> String {
        let mut out = format!("$ isogloss {}\n", self.line);
        match self.code {
            Some(code) => out.push_str(&format!("exit: {code}\n")),
            None => out.push_str("exit: by a signal\n"),
        }
        for (name, text) in [("stdout", self.stdout()), ("stderr", self.stderr.clone())] {
            if !text.is_empty() {
                out.push_str(&format!("--- {name}\n{text}"));
                if !text.ends_with('\n') {
                    out.push_str("(no newline at the end)\n");
                }
            }
        }
        self.mask(&out)
    }
    fn mask(&self, text: &str) -> String {
        // The directory may be reached through a symbolic link; both spellings are masked.
        let mut text = text.to_string();
        let real = fs::canonicalize(&self.dir).unwrap_or_else(|_| self.dir.clone());
        for dir in [&real, &self.dir] {
            text = text.replace(&dir.display().to_string(), "[DIR]");
        }
        text.replace(concat!("isogloss ", env!("CARGO_PKG_VERSION")), "isogloss [VERSION]")
    }
}

#[track_caller]
fn parse_records(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("not a record: {e}\n{l}")))
        .collect()
}
