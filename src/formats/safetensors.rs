//! safetensors files: a deterministic, atomic writer with sorted names and metadata, and a
//! memory-mapped reader whose errors name file and tensor.
//!
//! The common library keeps metadata in an unordered map, so equal content would give
//! different bytes; this writer sorts (safetensors/safetensors#584).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::error::{Error, Result};
use crate::io::AtomicFile;

/// The bytes of one tensor to be written, little-endian, row-major.
pub enum Data<'a> {
    F32(&'a [f32]),
    Bf16(&'a [half::bf16]),
    U8(&'a [u8]),
    U32(&'a [u32]),
    U64(&'a [u64]),
    /// Raw bytes of any type, for copies.
    Raw(Dtype, &'a [u8]),
    /// So many bytes of any type, made while they are written.
    Made(Dtype, usize, Make<'a>),
}

/// Writes the bytes of a tensor.
pub type Make<'a> = Box<dyn Fn(&mut dyn Write) -> std::io::Result<()> + 'a>;

impl Data<'_> {
    fn dtype_name(&self) -> String {
        match self {
            Self::F32(_) => "F32".into(),
            Self::Bf16(_) => "BF16".into(),
            Self::U8(_) => "U8".into(),
            Self::U32(_) => "U32".into(),
            Self::U64(_) => "U64".into(),
            Self::Raw(d, _) | Self::Made(d, ..) => format!("{d:?}"),
        }
    }
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::F32(v) => v.len() * 4,
            Self::Bf16(v) => v.len() * 2,
            Self::U8(v) => v.len(),
            Self::U32(v) => v.len() * 4,
            Self::U64(v) => v.len() * 8,
            Self::Raw(_, v) => v.len(),
            Self::Made(_, bytes, _) => *bytes,
        }
    }
    fn write_to(&self, w: &mut impl Write) -> std::io::Result<()> {
        fn chunks<T: Copy, const N: usize>(
            w: &mut impl Write,
            values: &[T],
            bytes: impl Fn(T) -> [u8; N],
        ) -> std::io::Result<()> {
            let mut buf = Vec::with_capacity(N * 4096);
            for c in values.chunks(4096) {
                buf.clear();
                for &v in c {
                    buf.extend_from_slice(&bytes(v));
                }
                w.write_all(&buf)?;
            }
            Ok(())
        }
        match self {
            Self::F32(v) => chunks(w, v, f32::to_le_bytes),
            Self::Bf16(v) => chunks(w, v, half::bf16::to_le_bytes),
            Self::U8(v) | Self::Raw(_, v) => w.write_all(v),
            Self::U32(v) => chunks(w, v, u32::to_le_bytes),
            Self::U64(v) => chunks(w, v, u64::to_le_bytes),
            Self::Made(.., make) => make(w),
        }
    }
}

/// One tensor to be written.
pub struct Entry<'a> {
    pub shape: Vec<usize>,
    pub data: Data<'a>,
}

/// Writes `tensors` in name order with `metadata` (sorted keys) to `path`, atomically.
pub fn write(
    path: &Path,
    tensors: &BTreeMap<String, Entry<'_>>,
    metadata: &BTreeMap<String, String>,
    force: bool,
) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    write_to(&mut file, tensors, metadata).map_err(|e| Error::io("write", path, e))?;
    file.commit(force)
}

/// The same bytes to any writer.
pub fn write_to(
    w: &mut impl Write,
    tensors: &BTreeMap<String, Entry<'_>>,
    metadata: &BTreeMap<String, String>,
) -> std::io::Result<()> {
    // serde_json's map keeps insertion order here, and both maps are sorted.
    let mut header = serde_json::Map::new();
    if !metadata.is_empty() {
        let meta: serde_json::Map<String, serde_json::Value> =
            metadata.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        header.insert("__metadata__".into(), meta.into());
    }
    let mut offset = 0usize;
    for (name, t) in tensors {
        let end = offset + t.data.size_bytes();
        header.insert(
            name.clone(),
            serde_json::json!({
                "dtype": t.data.dtype_name(),
                "shape": t.shape,
                "data_offsets": [offset, end],
            }),
        );
        offset = end;
    }
    let mut header = serde_json::to_string(&header)?;
    // The reference implementation aligns the data to 8 bytes with spaces.
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    w.write_all(&(header.len() as u64).to_le_bytes())?;
    w.write_all(header.as_bytes())?;
    for t in tensors.values() {
        t.data.write_to(w)?;
    }
    Ok(())
}

/// The bytes of a file.
enum Bytes {
    Mapped(Mmap),
    Held(Vec<u8>),
}

impl std::ops::Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(m) => m,
            Self::Held(v) => v,
        }
    }
}

/// A safetensors file, memory-mapped or held, whose header has been checked.
pub struct TensorFile {
    path: PathBuf,
    /// The same file, for reading through: what is only passed by takes no memory.
    #[cfg(unix)]
    file: Option<File>,
    map: Bytes,
    header: safetensors::tensor::Metadata,
    data_start: usize,
}

impl TensorFile {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io("read", path, e))?;
        let meta = file.metadata().map_err(|e| Error::io("read", path, e))?;
        if meta.is_dir() {
            return Err(Error::artifact("not a safetensors file")
                .at(path)
                .found("a directory")
                .expected("a file"));
        }
        if meta.len() < 8 {
            return Err(too_short(path, meta.len()));
        }
        // SAFETY: the mapping is read only. Another process truncating the file while it is
        // mapped would be a fault of that process; our own writers replace files by renaming.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::io("map", path, e))?;
        let checked = Self::check(path, Bytes::Mapped(map))?;
        #[cfg(unix)]
        let checked = Self { file: Some(file), ..checked };
        Ok(checked)
    }

    /// From what was read of a file; `path` names it in errors.
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        if bytes.len() < 8 {
            return Err(too_short(path, bytes.len() as u64));
        }
        Self::check(path, Bytes::Held(bytes))
    }

    fn check(path: &Path, map: Bytes) -> Result<Self> {
        // A header of 640 bytes begins like a pickle, too; behind its length stands an object.
        let pickle = map.starts_with(b"PK\x03\x04") || map.starts_with(b"\x80\x02");
        if pickle && map.get(8) != Some(&b'{') {
            return Err(Error::artifact("this is a pickle, which can run code when loaded")
                .at(path)
                .hint("convert it: load it in Python and save with `safe_serialization=True`"));
        }
        let (header_len, header) = SafeTensors::read_metadata(&map).map_err(|e| {
            Error::artifact("not a valid safetensors file")
                .at(path)
                .cause(e.to_string())
                .hint("the file may be truncated or of another format; copy it again")
        })?;
        Ok(Self {
            path: path.to_path_buf(),
            #[cfg(unix)]
            file: None,
            map,
            header,
            data_start: header_len + 8,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Sorted by name.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.header.tensors().keys().cloned().collect();
        names.sort();
        names
    }
    pub fn contains(&self, name: &str) -> bool {
        self.header.info(name).is_some()
    }
    pub fn metadata(&self) -> BTreeMap<String, String> {
        self.header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
    }
    pub fn size_bytes(&self) -> u64 {
        self.map.len() as u64
    }

    /// Type, shape and bytes of a tensor.
    pub fn view(&self, name: &str) -> Result<TensorView<'_>> {
        let info = self.header.info(name).ok_or_else(|| {
            let names = self.names();
            Error::artifact(format!("tensor `{name}` is missing"))
                .at(&self.path)
                .suggest(name, names.iter().map(String::as_str))
        })?;
        let (a, b) = info.data_offsets;
        TensorView::new(
            info.dtype,
            info.shape.clone(),
            &self.map[self.data_start + a..self.data_start + b],
        )
        .map_err(|e| {
            Error::artifact("broken tensor").at(&self.path).tensor(name).cause(e.to_string())
        })
    }

    /// Calls `f` with the bytes of a tensor, some at a time and whole values of any type each time.
    /// They are read, not mapped: however large the tensor, no more than a piece is in memory.
    pub fn read_through(&self, name: &str, mut f: impl FnMut(&[u8])) -> Result<()> {
        let view = self.view(name)?;
        #[cfg(unix)]
        if let (Some(file), Some(info)) = (&self.file, self.header.info(name)) {
            use std::os::unix::fs::FileExt;
            let mut rest = view.data().len();
            let mut at = (self.data_start + info.data_offsets.0) as u64;
            let mut buffer = vec![0u8; rest.min(PIECE)];
            while rest > 0 {
                let piece = &mut buffer[..rest.min(PIECE)];
                file.read_exact_at(piece, at).map_err(|e| Error::io("read", &self.path, e))?;
                f(piece);
                at += piece.len() as u64;
                rest -= piece.len();
            }
            return Ok(());
        }
        view.data().chunks(PIECE).for_each(f);
        Ok(())
    }

    /// A tensor as f32 (from f32, f16, bf16 or f64), of the shape given when one is.
    pub fn f32_values(&self, name: &str, shape: Option<&[usize]>) -> Result<Vec<f32>> {
        self.converted(name, shape, |v| v)
    }

    /// The same rounded to bf16, to the nearest, ties to even; what is stored in bf16 stays as it is.
    pub fn bf16_values(&self, name: &str, shape: Option<&[usize]>) -> Result<Vec<half::bf16>> {
        self.converted(name, shape, half::bf16::from_f32)
    }

    fn converted<T>(
        &self,
        name: &str,
        shape: Option<&[usize]>,
        to: impl Fn(f32) -> T,
    ) -> Result<Vec<T>> {
        let view = self.view(name)?;
        if let Some(shape) = shape {
            self.check_shape(name, view.shape(), shape)?;
        }
        let dtype = view.dtype();
        let Some(bytes) = float_bytes(dtype) else {
            return Err(self.wrong_type(name, dtype, "F32, F16, BF16 or F64"));
        };
        let mut out: Vec<T> = Vec::with_capacity(view.shape().iter().product());
        let mut values = vec![0f32; PIECE.min(view.data().len()) / bytes];
        self.read_through(name, |part| {
            let values = &mut values[..part.len() / bytes];
            read_floats(dtype, part, values);
            out.extend(values.iter().map(|v| to(*v)));
        })?;
        Ok(out)
    }

    /// The error for a tensor of another type.
    pub fn wrong_type(&self, name: &str, found: Dtype, expected: &str) -> Error {
        Error::artifact("tensor has a type we cannot compute with")
            .at(&self.path)
            .tensor(name)
            .found(format!("{found:?}"))
            .expected(expected)
    }

    /// Says that a part of a tensor's bytes will not be read again soon: the memory that holds it
    /// is given back. It can be read again all the same.
    pub fn release(&self, part: &[u8]) {
        #[cfg(unix)]
        if let Bytes::Mapped(map) = &self.map
            && let Some(at) = (part.as_ptr() as usize).checked_sub(map.as_ptr() as usize)
            && at + part.len() <= map.len()
        {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: the mapping is of a file and never written, so its pages come back as they
            // were. The call is advice; its failure changes nothing.
            let _ = unsafe { map.unchecked_advise_range(advice, at, part.len()) };
        }
        #[cfg(not(unix))]
        let _ = part;
    }

    /// The same as a candle tensor on `device`, converted to `dtype`.
    pub fn tensor(
        &self,
        name: &str,
        shape: Option<&[usize]>,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let dims = self.view(name)?.shape().to_vec();
        let values = self.f32_values(name, shape)?;
        Ok(Tensor::from_vec(values, dims, &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
    }

    pub fn check_shape(&self, name: &str, found: &[usize], expected: &[usize]) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        Err(Error::artifact("tensor has the wrong shape")
            .at(&self.path)
            .tensor(name)
            .found(format!("{found:?}"))
            .expected(format!("{expected:?}")))
    }
}

/// Bytes read at a time.
const PIECE: usize = 1 << 20;

/// Bytes of one value of a type that [`read_floats`] reads.
pub fn float_bytes(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F16 | Dtype::BF16 => Some(2),
        Dtype::F32 => Some(4),
        Dtype::F64 => Some(8),
        _ => None,
    }
}

/// Values of f32, f16, bf16 or f64, little-endian, as f32. Of other types nothing is read.
pub fn read_floats(dtype: Dtype, bytes: &[u8], out: &mut [f32]) {
    fn each<const N: usize>(bytes: &[u8], out: &mut [f32], value: impl Fn([u8; N]) -> f32) {
        for (o, b) in out.iter_mut().zip(bytes.as_chunks::<N>().0) {
            *o = value(*b);
        }
    }
    match dtype {
        Dtype::F32 => each(bytes, out, f32::from_le_bytes),
        Dtype::F16 => each(bytes, out, |b| half::f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(bytes, out, |b| half::bf16::from_le_bytes(b).to_f32()),
        Dtype::F64 => each(bytes, out, |b| f64::from_le_bytes(b) as f32),
        _ => {}
    }
}

fn too_short(path: &Path, size: u64) -> Error {
    Error::artifact("not a safetensors file: too short")
        .at(path)
        .found(format!("{size} bytes"))
        .hint("the file may be truncated; copy it again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_read_write_gives_the_same_bytes_and_the_reference_reads_them() {
        let a = [1.5f32, -2.0, 3.25, 0.0];
        let m = [0u8, 1, 1];
        let mut tensors = BTreeMap::new();
        tensors.insert("b".to_string(), Entry { shape: vec![3], data: Data::U8(&m) });
        tensors.insert("a".to_string(), Entry { shape: vec![2, 2], data: Data::F32(&a) });
        let meta: BTreeMap<String, String> =
            [("kind", "x"), ("format", "pt")].map(|(k, v)| (k.into(), v.into())).into();
        let mut one = Vec::new();
        write_to(&mut one, &tensors, &meta).unwrap();
        let st = SafeTensors::deserialize(&one).unwrap();
        assert_eq!(st.tensor("a").unwrap().shape(), [2, 2]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        write(&path, &tensors, &meta, false).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), one);
        let file = TensorFile::open(&path).unwrap();
        assert_eq!(file.f32_values("a", Some(&[2, 2])).unwrap(), a);
        assert_eq!(file.metadata()["kind"], "x");
        assert_eq!(file.names(), ["a", "b"]);
        let e = file.f32_values("a", Some(&[4])).unwrap_err().to_string();
        assert!(e.contains("found: [2, 2]   expected: [4]"), "{e}");
    }

    /// Lengths of headers whose first bytes are those of a pickle.
    #[test]
    fn a_header_of_640_bytes_is_no_pickle() {
        let mut tensors = BTreeMap::new();
        tensors.insert("a".to_string(), Entry { shape: vec![1], data: Data::U8(&[1]) });
        let dir = tempfile::tempdir().unwrap();
        for padding in 540..570 {
            let meta = BTreeMap::from([("format".to_string(), "p".repeat(padding))]);
            let mut bytes = Vec::new();
            write_to(&mut bytes, &tensors, &meta).unwrap();
            let path = dir.path().join("x");
            std::fs::write(&path, &bytes).unwrap();
            assert!(TensorFile::open(&path).is_ok(), "{:?}", &bytes[..9]);
            assert!(TensorFile::from_bytes(&path, bytes).is_ok());
        }
        let e = TensorFile::open(dir.path()).err().unwrap();
        assert_eq!((e.exit_code() as i32, e.to_string().contains("a directory")), (4, true));
    }

    #[test]
    fn hostile_headers_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.safetensors");
        for bytes in [
            &b""[..],
            b"\xff\xff\xff\xff\xff\xff\xff\x7f{}",
            b"\x02\0\0\0\0\0\0\0{",
            b"\x40\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[9],\"data_offsets\":[0,4]}}    ",
            b"PK\x03\x04aaaaaaaaaaaa",
        ] {
            std::fs::write(&path, bytes).unwrap();
            let e = TensorFile::open(&path).err().unwrap();
            assert_eq!(e.exit_code() as i32, 4);
        }
    }
}
