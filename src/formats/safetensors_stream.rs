//! safetensors files larger than memory: the header from names and shapes first, then the values,
//! tensor by tensor, in the order that was announced. All values are F32.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::io::AtomicFile;

/// The reference library reads no longer header (`safetensors/src/tensor.rs`, `MAX_HEADER_SIZE`).
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// A file being written; appears under its name at [`StreamWriter::finish`]. Dropped before, it
/// leaves nothing.
pub struct StreamWriter {
    path: PathBuf,
    file: AtomicFile,
    /// Values of each tensor, in order.
    lengths: Vec<u64>,
    next: usize,
}

impl StreamWriter {
    /// Announces tensors by name and shape. `tensors` is walked twice, so that the header need not
    /// be held.
    ///
    /// # Errors
    /// Usage: a header that other programs would refuse to read. Environment: as any file.
    pub fn create(
        path: &Path,
        tensors: impl Iterator<Item = (String, Vec<usize>)> + Clone,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Self> {
        let io = |e: std::io::Error| Error::io("write", path, e);
        let mut count = Count(0);
        let lengths = header(&mut count, tensors.clone(), metadata).map_err(|e| {
            if count.0 <= MAX_HEADER_BYTES {
                return io(e);
            }
            Error::usage("too many tensors for one safetensors file")
                .at(path)
                .found("a list of tensors that is longer than other programs read")
                .expected(format!("at most {MAX_HEADER_BYTES} bytes of names and shapes"))
        })?;
        // The reference implementation aligns the data to 8 bytes with spaces.
        let size = count.0.next_multiple_of(8);
        let mut file = AtomicFile::create(path)?;
        file.write_all(&size.to_le_bytes()).map_err(io)?;
        header(&mut file, tensors, metadata).map_err(io)?;
        for _ in count.0..size {
            file.write_all(b" ").map_err(io)?;
        }
        Ok(Self { path: path.to_path_buf(), file, lengths, next: 0 })
    }

    /// The next tensor's values, row-major.
    pub fn push(&mut self, values: &[f32]) -> Result<()> {
        if self.lengths.get(self.next) != Some(&(values.len() as u64)) {
            let what = format!("tensor {} was announced with another length", self.next);
            return Err(Error::bug(what).at(&self.path).found(values.len().to_string()));
        }
        self.next += 1;
        let mut bytes = [0u8; 1 << 14];
        for chunk in values.chunks(bytes.len() / 4) {
            for (to, v) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(chunk) {
                *to = v.to_le_bytes();
            }
            let written = self.file.write_all(&bytes[..chunk.len() * 4]);
            written.map_err(|e| Error::io("write", &self.path, e))?;
        }
        Ok(())
    }

    /// Moves the file into place, replacing what was there.
    pub fn finish(self) -> Result<()> {
        if self.next != self.lengths.len() {
            return Err(Error::bug("announced tensors were not written")
                .at(&self.path)
                .found(self.next.to_string())
                .expected(self.lengths.len().to_string()));
        }
        self.file.commit(true)
    }
}

/// Writes the header; returns the number of values of each tensor.
fn header(
    w: &mut impl Write,
    tensors: impl Iterator<Item = (String, Vec<usize>)>,
    metadata: &BTreeMap<String, String>,
) -> std::io::Result<Vec<u64>> {
    let mut lengths = Vec::new();
    w.write_all(b"{")?;
    let mut first = true;
    if !metadata.is_empty() {
        let meta: Map<String, Value> =
            metadata.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        write!(w, "\"__metadata__\":{}", Value::from(meta))?;
        first = false;
    }
    let mut offset = 0u64;
    for (name, shape) in tensors {
        let length = shape.iter().map(|d| *d as u64).product::<u64>();
        let end = offset + length * 4;
        let comma = if first { "" } else { "," };
        let (name, shape) = (Value::from(name), Value::from(shape));
        write!(
            w,
            "{comma}{name}:{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{offset},{end}]}}"
        )?;
        lengths.push(length);
        (first, offset) = (false, end);
    }
    w.write_all(b"}")?;
    Ok(lengths)
}

/// Counts bytes, up to the limit.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0 += buf.len() as u64;
        match self.0 > MAX_HEADER_BYTES {
            true => Err(std::io::ErrorKind::FileTooLarge.into()),
            false => Ok(buf.len()),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::safetensors::{self, Data, Entry, TensorFile};

    #[test]
    fn the_bytes_are_those_of_the_writer_that_holds_all() {
        let dir = tempfile::tempdir().unwrap();
        // Longer than a chunk of the writer, and of every length around the padding.
        let values: Vec<f32> = (0..10_000).map(|i| i as f32 * 0.25 - 7.0).collect();
        for padding in 0..9 {
            let meta = BTreeMap::from([
                ("kind".to_string(), "x".repeat(padding)),
                ("a\"b".to_string(), "{\"q\":1}\n".to_string()),
            ]);
            let shapes = [("a\"é.weight", vec![100, 100]), ("b", vec![]), ("c", vec![3, 0])];
            let mut entries = BTreeMap::new();
            for (name, shape) in &shapes {
                let n: usize = shape.iter().product();
                let data = Data::F32(&values[..n]);
                entries.insert(name.to_string(), Entry { shape: shape.clone(), data });
            }
            let whole = dir.path().join("whole");
            safetensors::write(&whole, &entries, &meta, true).unwrap();
            let path = dir.path().join("stream");
            let names = shapes.iter().map(|(n, s)| (n.to_string(), s.clone()));
            let mut writer = StreamWriter::create(&path, names, &meta).unwrap();
            for n in [10_000, 1, 0] {
                writer.push(&values[..n]).unwrap();
            }
            writer.finish().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&whole).unwrap());
            assert_eq!(
                TensorFile::open(&path).unwrap().f32_values("b", Some(&[])).unwrap(),
                [-7.0]
            );
        }
    }

    #[test]
    fn what_was_not_announced_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let meta = BTreeMap::new();
        let one = || std::iter::once(("a".to_string(), vec![2, 3]));
        let open = || StreamWriter::create(&path, one(), &meta).unwrap();
        assert_eq!(open().push(&[0.0; 5]).unwrap_err().exit_code() as i32, 101);
        assert_eq!(open().finish().unwrap_err().exit_code() as i32, 101);
        let mut full = open();
        full.push(&[0.0; 6]).unwrap();
        assert_eq!(full.push(&[]).unwrap_err().exit_code() as i32, 101);
        drop(full);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    /// Neither one byte too many nor one too few, by the reference library's own judgement.
    #[test]
    fn the_header_may_be_as_long_as_the_reference_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        let rest = r#"{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.len();
        let create = |length: usize| {
            let names = std::iter::once(("n".repeat(length - rest), vec![1]));
            StreamWriter::create(&path, names, &BTreeMap::new())
        };
        let mut longest = create(100_000_000).unwrap();
        longest.push(&[1.0]).unwrap();
        longest.finish().unwrap();
        assert!(TensorFile::open(&path).is_ok());
        std::fs::remove_file(&path).unwrap();
        let e = create(100_000_001).err().unwrap();
        assert_eq!(e.exit_code() as i32, 2);
        assert!(e.to_string().contains("at most 100000000 bytes"), "{e}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
