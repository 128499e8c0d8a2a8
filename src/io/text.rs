//! Small text files, read at once.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// A text file above this size is not one that is read at once.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// The whole file. A leading byte-order mark is dropped.
///
/// # Errors
/// Artifact: the file is missing, a directory, or larger than 16 MiB. Data: it is not UTF-8;
/// the line is named. Environment: it cannot be read.
pub fn read_text(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
    if file.metadata().is_ok_and(|m| m.is_dir()) {
        return Err(Error::artifact("expected a file, found a directory").at(path));
    }
    let mut bytes = Vec::new();
    file.take(MAX_TEXT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io("read", path, e))?;
    if bytes.len() as u64 > MAX_TEXT_BYTES {
        return Err(Error::artifact("the file is too large")
            .at(path)
            .expected(format!("at most {} MiB", MAX_TEXT_BYTES >> 20)));
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|e| {
        let valid = e.utf8_error().valid_up_to();
        let line = e.as_bytes()[..valid].iter().filter(|b| **b == b'\n').count() as u64 + 1;
        Error::data("invalid UTF-8")
            .at(path)
            .line(line)
            .found(format!("byte 0x{:02X}", e.as_bytes()[valid]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_text_and_names_the_bad_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.toml");
        std::fs::write(&path, b"\xEF\xBB\xBFa\nb").unwrap();
        assert_eq!(read_text(&path).unwrap(), "a\nb");
        std::fs::write(&path, b"a\nb\xFF").unwrap();
        let e = read_text(&path).unwrap_err();
        assert_eq!((e.place().line, e.exit_code() as u8), (Some(2), 3));
        assert_eq!(read_text(dir.path()).unwrap_err().exit_code() as u8, 4);
        assert_eq!(read_text(&dir.path().join("no")).unwrap_err().exit_code() as u8, 4);
    }
}
