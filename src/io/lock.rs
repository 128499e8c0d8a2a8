//! A lock file with the process id of its holder, so that two writers never share a run.
//! The lock is the operating system's: it ends with the process, however that dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// The file itself stays when the lock ends: removing it would let two later writers hold
/// locks on two files of one name.
pub struct LockFile {
    _file: File,
}

impl LockFile {
    pub fn acquire(path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|e| Error::io("lock", path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(Error::environment("another process is writing here")
                    .at(path)
                    .found(format!("locked by process {}", holder.trim()))
                    .hint("wait for it to end, or give another `--output`"));
            }
            Err(TryLockError::Error(e)) => return Err(Error::io("lock", path, e)),
        }
        let write = |file: &mut File| -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(|e| Error::io("lock", path, e))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = LockFile::acquire(&path).unwrap();
        let e = LockFile::acquire(&path).err().unwrap();
        assert_eq!(e.exit_code() as i32, 5);
        assert!(e.to_string().contains(&std::process::id().to_string()));
        drop(first);
        LockFile::acquire(&path).unwrap();
    }
}
