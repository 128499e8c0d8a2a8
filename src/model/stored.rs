//! Weights as they are stored: matrices read row by row from the memory map, and models in int8.
//!
//! A model in int8 is a model directory of the published layout but for its weights, which are in
//! `model.int8.safetensors`: each matrix is a tensor of type I8 under its own name, values in
//! -127..=127, beside `NAME.scale`, F32 `[rows]`. A weight is its integer times the scale of its
//! row. All other tensors are as ever. `config.json` says so under [`QUANTIZATION`].

use std::ops::Range;

use safetensors::Dtype;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::formats::safetensors::{TensorFile, float_bytes, read_floats};
use crate::kernels::packed::MatrixRows;

/// The key of `config.json` that marks a model whose weights are integers.
pub const QUANTIZATION: &str = "isogloss_quantization";
/// The one format there is.
pub const INT8: &str = "int8";

/// The name of a matrix's scales.
pub fn scale_name(matrix: &str) -> String {
    format!("{matrix}.scale")
}

/// Whether the weights of a model are integers, by its configuration.
///
/// # Errors
/// What the configuration says instead of a format we know.
pub fn is_int8(config: &serde_json::Map<String, Value>) -> std::result::Result<bool, String> {
    match config.get(QUANTIZATION) {
        None => Ok(false),
        Some(value) => match value.get("format").and_then(Value::as_str) {
            Some(INT8) => Ok(true),
            Some(other) => Err(format!("`{other}`")),
            None => Err("no `format`".into()),
        },
    }
}

/// A matrix `[n, k]` of a file.
pub struct StoredMatrix<'a> {
    file: &'a TensorFile,
    name: String,
    dtype: Dtype,
    data: &'a [u8],
    n: usize,
    k: usize,
    /// `[n]`, of integers.
    scales: Option<Vec<f32>>,
}

impl<'a> StoredMatrix<'a> {
    /// # Errors
    /// Artifact: not of this shape, of a type we cannot compute with, or integers without scales.
    pub fn open(file: &'a TensorFile, name: &str, shape: [usize; 2]) -> Result<Self> {
        let view = file.view(name)?;
        file.check_shape(name, view.shape(), &shape)?;
        let scales = match view.dtype() {
            Dtype::I8 => Some(read_scales(file, name, shape[0])?),
            dtype if float_bytes(dtype).is_some() => None,
            other => return Err(file.wrong_type(name, other, "F32, F16, BF16, F64 or I8")),
        };
        let [n, k] = shape;
        let (dtype, data) = (view.dtype(), view.data());
        Ok(Self { file, name: name.to_string(), dtype, data, n, k, scales })
    }

    fn bytes(&self, rows: Range<usize>) -> &'a [u8] {
        let row = self.k * float_bytes(self.dtype).unwrap_or(1);
        &self.data[rows.start * row..rows.end * row]
    }
}

impl MatrixRows for StoredMatrix<'_> {
    fn len(&self) -> usize {
        self.n
    }
    fn read(&self, i: usize, out: &mut [f32]) {
        let bytes = self.bytes(i..i + 1);
        match &self.scales {
            None => read_floats(self.dtype, bytes, out),
            Some(scales) => {
                for (o, b) in out.iter_mut().zip(bytes) {
                    *o = f32::from(*b as i8) * scales[i];
                }
            }
        }
    }
    fn read_int8(&self, i: usize, out: &mut [i8]) -> Result<Option<f32>> {
        let Some(scales) = &self.scales else { return Ok(None) };
        for (o, b) in out.iter_mut().zip(self.bytes(i..i + 1)) {
            *o = *b as i8;
        }
        // The kernels rely on it: magnitudes must fit seven bits.
        if out.contains(&i8::MIN) {
            return Err(Error::artifact("integer weight is out of range")
                .at(self.file.path())
                .tensor(&self.name)
                .found(format!("-128 in row {i}"))
                .expected("-127 to 127"));
        }
        Ok(Some(scales[i]))
    }
    fn release(&self, rows: Range<usize>) {
        self.file.release(self.bytes(rows));
    }
}

/// The scales of a matrix with `n` rows.
pub fn read_scales(file: &TensorFile, matrix: &str, n: usize) -> Result<Vec<f32>> {
    let name = scale_name(matrix);
    let view = file.view(&name)?;
    if view.dtype() != Dtype::F32 {
        return Err(file.wrong_type(&name, view.dtype(), "F32"));
    }
    let scales = file.f32_values(&name, Some(&[n]))?;
    if let Some((row, scale)) =
        scales.iter().enumerate().find(|(_, s)| !(**s >= 0.0 && s.is_finite()))
    {
        return Err(Error::artifact("scale of a row is out of range")
            .at(file.path())
            .tensor(name)
            .found(format!("{scale} in row {row}"))
            .expected("a finite number, not negative"));
    }
    Ok(scales)
}
