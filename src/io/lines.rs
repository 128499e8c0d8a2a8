//! Lines of text with their numbers. LF ends a line, an optional CR before it is dropped;
//! no other character does. A leading byte-order mark is dropped. Invalid UTF-8 is an error
//! with file, line and byte.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Lines above this size are refused: no text is this long, and memory stays bounded.
pub const MAX_LINE_BYTES: usize = 64 << 20;

/// A path or `-` for standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Stdin,
    Path(PathBuf),
}

impl Input {
    pub fn parse(s: &str) -> Self {
        if s == "-" { Self::Stdin } else { Self::Path(PathBuf::from(s)) }
    }
    /// The name shown in errors and records.
    pub fn name(&self) -> PathBuf {
        match self {
            Self::Stdin => PathBuf::from("<stdin>"),
            Self::Path(p) => p.clone(),
        }
    }
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdin => None,
            Self::Path(p) => Some(p),
        }
    }
    pub fn is_terminal(&self) -> bool {
        *self == Self::Stdin && std::io::stdin().is_terminal()
    }
    pub fn open(&self) -> Result<LineReader> {
        let reader: Box<dyn Read + Send> = match self {
            Self::Stdin => Box::new(std::io::stdin()),
            Self::Path(p) => {
                let file = File::open(p).map_err(|e| Error::io("read", p, e))?;
                if file.metadata().is_ok_and(|m| m.is_dir()) {
                    return Err(Error::artifact("expected a file, found a directory").at(p));
                }
                Box::new(file)
            }
        };
        Ok(LineReader::new(self.name(), reader))
    }
}

/// One line without its ending. `number` is one-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub number: u64,
    pub text: String,
}

pub struct LineReader {
    name: PathBuf,
    reader: BufReader<Box<dyn Read + Send>>,
    number: u64,
    max_line_bytes: usize,
}

impl LineReader {
    pub fn new(name: PathBuf, reader: Box<dyn Read + Send>) -> Self {
        Self {
            name,
            reader: BufReader::with_capacity(1 << 16, reader),
            number: 0,
            max_line_bytes: MAX_LINE_BYTES,
        }
    }
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The next line; `None` at the end. A last line without LF counts.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        let mut bytes = Vec::new();
        let limit = self.max_line_bytes as u64 + 1;
        let n = (&mut self.reader)
            .take(limit)
            .read_until(b'\n', &mut bytes)
            .map_err(|e| Error::io("read", &self.name, e))?;
        if n == 0 {
            return Ok(None);
        }
        self.number += 1;
        if bytes.len() as u64 == limit && bytes.last() != Some(&b'\n') {
            // Whoever goes on after the error goes on behind this line.
            self.skip_line()?;
            return Err(Error::data("line is too long")
                .at(&self.name)
                .line(self.number)
                .expected(format!("at most {} MiB", self.max_line_bytes >> 20)));
        }
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if self.number == 1 && bytes.starts_with(b"\xEF\xBB\xBF") {
            bytes.drain(..3);
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(Line { number: self.number, text })),
            Err(e) => {
                let at = e.utf8_error().valid_up_to();
                let byte = e.as_bytes()[at];
                Err(Error::data("invalid UTF-8")
                    .at(&self.name)
                    .line(self.number)
                    .found(format!("byte 0x{byte:02X} at column {}", at + 1))
                    .hint("convert the file first, for example with `iconv -f LATIN1 -t UTF-8`"))
            }
        }
    }
}

impl LineReader {
    /// Reads up to the end of the line, keeping nothing.
    fn skip_line(&mut self) -> Result<()> {
        loop {
            let buffer = self.reader.fill_buf().map_err(|e| Error::io("read", &self.name, e))?;
            let end = buffer.iter().position(|&b| b == b'\n');
            let used = end.map_or(buffer.len(), |i| i + 1);
            self.reader.consume(used);
            if end.is_some() || used == 0 {
                return Ok(());
            }
        }
    }
}

impl Iterator for LineReader {
    type Item = Result<Line>;
    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &'static [u8]) -> Result<Vec<String>> {
        LineReader::new("t".into(), Box::new(bytes)).map(|l| l.map(|l| l.text)).collect()
    }

    #[test]
    fn only_lf_ends_a_line() {
        let got = lines("\u{feff}a\r\nb\u{2028}c\u{85}d\u{b}e\u{c}f\rg\n\n".as_bytes()).unwrap();
        assert_eq!(got, ["a", "b\u{2028}c\u{85}d\u{b}e\u{c}f\rg", ""]);
        assert_eq!(lines(b"x").unwrap(), ["x"]);
        assert!(lines(b"").unwrap().is_empty());
    }

    #[test]
    fn a_line_that_is_too_long_is_one_error() {
        let text = [vec![b'a'; 10], b"\nbb\nccc".to_vec()].concat();
        let mut reader = LineReader::new("t".into(), Box::new(std::io::Cursor::new(text)));
        reader.max_line_bytes = 3;
        assert!(reader.next_line().unwrap_err().to_string().contains("too long"));
        assert_eq!(reader.next_line().unwrap().unwrap().text, "bb");
        assert_eq!(reader.next_line().unwrap().unwrap().text, "ccc");
        assert!(reader.next_line().unwrap().is_none());
    }

    #[test]
    fn invalid_utf8_names_line_and_byte() {
        let e = lines(b"ok\nab\xFFc\n").unwrap_err().to_string();
        assert!(e.contains("t:2") && e.contains("0xFF at column 3"), "{e}");
    }
}
