//! Standard output as a destination of records and lines. A closed pipe becomes
//! [`ErrorKind::BrokenPipe`], which `main` treats as a normal end.

use std::io::{BufWriter, IsTerminal, Stdout, Write};
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// A failed write to standard output.
pub fn stdout_error(e: std::io::Error) -> Error {
    if e.kind() == std::io::ErrorKind::BrokenPipe {
        Error::new(ErrorKind::BrokenPipe, "standard output was closed")
    } else {
        Error::io("write", Path::new("<stdout>"), e)
    }
}

/// Buffered standard output: flushed per line on a terminal or when asked for, per block
/// otherwise.
pub struct Output {
    writer: BufWriter<Stdout>,
    line_buffered: bool,
}

impl Output {
    pub fn stdout(line_buffered: bool) -> Self {
        let stdout = std::io::stdout();
        let line_buffered = line_buffered || stdout.is_terminal();
        Self { writer: BufWriter::with_capacity(1 << 16, stdout), line_buffered }
    }
    /// Whether records are written rather than text: as asked, else unless somebody is looking.
    pub fn wants_records(asked: Option<bool>) -> bool {
        asked.unwrap_or_else(|| !std::io::stdout().is_terminal())
    }
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.writer.write_all(text.as_bytes()).map_err(stdout_error)?;
        self.writer.write_all(b"\n").map_err(stdout_error)?;
        if self.line_buffered { self.flush() } else { Ok(()) }
    }
    pub fn record(&mut self, record: &impl serde::Serialize) -> Result<()> {
        let text = serde_json::to_string(record)
            .map_err(|e| Error::bug("cannot encode a record").cause(e.to_string()))?;
        self.line(&text)
    }
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.writer.write_all(text.as_bytes()).map_err(stdout_error)
    }
    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(stdout_error)
    }
}
