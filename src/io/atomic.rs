//! Files and directories that appear whole or not at all: written beside the target under a
//! temporary name, flushed to disk, then renamed.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn make_parent(path: &Path) -> Result<PathBuf> {
    let parent = parent_of(path);
    fs::create_dir_all(&parent).map_err(|e| Error::io("create directory", &parent, e))?;
    Ok(parent)
}

/// Flushes a directory entry; best effort where the file system has no such call.
fn sync_dir(dir: &Path) {
    if let Ok(d) = fs::File::open(dir) {
        let _ = d.sync_all();
    }
}

/// Refuses `-`: tensors are not written to standard output, where the records go.
pub fn refuse_stdout(path: &Path) -> Result<()> {
    if path.as_os_str() == "-" {
        return Err(Error::usage("standard output is for records, not for tensors")
            .flag("--output")
            .hint("name a file; one called `-` is written `./-`"));
    }
    Ok(())
}

/// Refuses to replace an existing path unless `force`.
pub fn refuse_existing(path: &Path, force: bool) -> Result<()> {
    if !force && fs::symlink_metadata(path).is_ok() {
        return Err(Error::environment("output exists already")
            .at(path)
            .hint("choose another `--output`, or replace it with `--force`"));
    }
    Ok(())
}

/// A file being written; appears under its name at [`AtomicFile::commit`].
/// Dropped without commit, it leaves nothing.
pub struct AtomicFile {
    target: PathBuf,
    writer: BufWriter<tempfile::NamedTempFile>,
}

impl AtomicFile {
    pub fn create(target: &Path) -> Result<Self> {
        let parent = make_parent(target)?;
        let temp = tempfile::Builder::new()
            .prefix(".isogloss-")
            .suffix(".tmp")
            .tempfile_in(&parent)
            .map_err(|e| Error::io("write", target, e))?;
        Ok(Self { target: target.to_path_buf(), writer: BufWriter::with_capacity(1 << 18, temp) })
    }

    /// Flushes to disk and moves into place. An existing target is replaced when `force` is
    /// set or when its bytes are the same; otherwise it is refused and left as it was.
    pub fn commit(self, force: bool) -> Result<()> {
        let target = self.target;
        let temp =
            self.writer.into_inner().map_err(|e| Error::io("write", &target, e.into_error()))?;
        temp.as_file().sync_all().map_err(|e| Error::io("write", &target, e))?;
        if !force && target.exists() {
            if same_bytes(temp.path(), &target) {
                return Ok(());
            }
            refuse_existing(&target, false)?;
        }
        let permissions = umask_permissions();
        let _ = fs::set_permissions(temp.path(), permissions);
        temp.persist(&target).map_err(|e| Error::io("write", &target, e.error))?;
        sync_dir(&parent_of(&target));
        Ok(())
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.writer.write(buf)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

/// Temporary files are made private; a published artifact follows the usual 0644.
#[cfg(unix)]
fn umask_permissions() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o644)
}

fn same_bytes(a: &Path, b: &Path) -> bool {
    use std::io::Read;
    let (Ok(ma), Ok(mb)) = (fs::metadata(a), fs::metadata(b)) else { return false };
    if !mb.is_file() || ma.len() != mb.len() {
        return false;
    }
    let (Ok(fa), Ok(fb)) = (fs::File::open(a), fs::File::open(b)) else { return false };
    let (mut ra, mut rb) = (std::io::BufReader::new(fa), std::io::BufReader::new(fb));
    let (mut ba, mut bb) = (vec![0u8; 1 << 16], vec![0u8; 1 << 16]);
    loop {
        let Ok(n) = ra.read(&mut ba) else { return false };
        if n == 0 {
            return true;
        }
        if rb.read_exact(&mut bb[..n]).is_err() || ba[..n] != bb[..n] {
            return false;
        }
    }
}

/// Writes `bytes` to `target` atomically, replacing what was there.
pub fn write_bytes(target: &Path, bytes: &[u8]) -> Result<()> {
    let mut f = AtomicFile::create(target)?;
    f.write_all(bytes).map_err(|e| Error::io("write", target, e))?;
    f.commit(true)
}

/// A directory being filled; appears under its name at [`AtomicDir::commit`].
pub struct AtomicDir {
    target: PathBuf,
    temp: tempfile::TempDir,
}

impl AtomicDir {
    pub fn create(target: &Path) -> Result<Self> {
        let parent = make_parent(target)?;
        let temp = tempfile::Builder::new()
            .prefix(".isogloss-")
            .tempdir_in(&parent)
            .map_err(|e| Error::io("create directory", target, e))?;
        Ok(Self { target: target.to_path_buf(), temp })
    }
    /// Where to write the parts.
    pub fn path(&self) -> &Path {
        self.temp.path()
    }
    /// Moves the directory into place. An existing target is refused without `force`.
    pub fn commit(self, force: bool) -> Result<()> {
        refuse_existing(&self.target, force)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let _ = fs::set_permissions(self.temp.path(), fs::Permissions::from_mode(0o755));
        }
        sync_dir(self.temp.path());
        let parent = parent_of(&self.target);
        // The old directory is moved aside first, so that the target name is never half old.
        let aside = if self.target.exists() {
            let old = tempfile::Builder::new()
                .prefix(".isogloss-old-")
                .tempdir_in(&parent)
                .map_err(|e| Error::io("replace", &self.target, e))?;
            fs::rename(&self.target, old.path().join("old"))
                .map_err(|e| Error::io("replace", &self.target, e))?;
            Some(old)
        } else {
            None
        };
        let from = self.temp.keep();
        if let Err(e) = fs::rename(&from, &self.target) {
            if let Some(old) = &aside {
                let _ = fs::rename(old.path().join("old"), &self.target);
            }
            let _ = fs::remove_dir_all(&from);
            return Err(Error::io("write", &self.target, e));
        }
        sync_dir(&parent);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_without_commit_and_existing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("sub/out.txt");
        let mut f = AtomicFile::create(&target).unwrap();
        f.write_all(b"half").unwrap();
        drop(f);
        assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 0);
        write_bytes(&target, b"one").unwrap();
        let mut f = AtomicFile::create(&target).unwrap();
        f.write_all(b"two").unwrap();
        assert!(f.commit(false).is_err());
        assert_eq!(fs::read(&target).unwrap(), b"one");
        let mut f = AtomicFile::create(&target).unwrap();
        f.write_all(b"one").unwrap();
        f.commit(false).unwrap();
    }

    #[test]
    fn a_directory_appears_whole() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("model");
        let d = AtomicDir::create(&target).unwrap();
        fs::write(d.path().join("a"), "1").unwrap();
        assert!(!target.exists());
        d.commit(false).unwrap();
        assert!(AtomicDir::create(&target).unwrap().commit(false).is_err());
        AtomicDir::create(&target).unwrap().commit(true).unwrap();
        assert!(!target.join("a").exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
