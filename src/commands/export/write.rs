//! A model directory in another number format. Matrices are rounded; biases and norms, a
//! thousandth of the weights, stay f32, so that the stored model computes what it computes when
//! it is rounded while it is loaded.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use safetensors::Dtype;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::formats::hf;
use crate::formats::safetensors::{self as file, Data, Entry, Make};
use crate::io::write_bytes;
use crate::kernels::packed::int8::quantise_row;
use crate::model::checkpoint::{FINAL_LOGITS_BIAS, parameter_shapes};
use crate::model::inference::Parameters;
use crate::model::rounding::StoredFormat;
use crate::model::stored::{INT8, QUANTIZATION, scale_name};
use crate::training::{ModelSource, copy_side_files};

/// Writes configuration, tokenizer files and weights, one matrix at a time.
///
/// # Errors
/// Artifact: weights that cannot be read, or do not fit the format. Environment: as any file.
pub fn write_rounded(
    dir: &Path,
    source: &ModelSource<'_>,
    parameters: &dyn Parameters,
    format: StoredFormat,
    cost: Option<&Value>,
    metadata: &BTreeMap<String, String>,
) -> Result<()> {
    let mut config = source.config.clone();
    let dtype = match format {
        StoredFormat::F32 | StoredFormat::Int8 => "float32",
        StoredFormat::Bf16 => "bfloat16",
        StoredFormat::F16 => "float16",
    };
    config.rest.insert("dtype".into(), dtype.into());
    config.rest.shift_remove("torch_dtype");
    if format == StoredFormat::Int8 {
        let marker = json!({"format": INT8, "rows": "weight = integer * scale", "cost": cost});
        config.rest.insert(QUANTIZATION.into(), marker);
    }
    let text = serde_json::to_vec_pretty(&config)
        .map_err(|e| Error::bug("cannot encode the configuration").cause(e.to_string()))?;
    write_bytes(&dir.join(hf::CONFIG), &text)?;
    copy_side_files(source.dir, dir)?;

    let shapes = parameter_shapes(source.config);
    let failure = RefCell::new(None);
    let matrix = Matrices { parameters, format, failure: &failure };
    let mut vectors = BTreeMap::new();
    for (name, shape) in shapes.iter().filter(|(_, s)| s.len() != 2) {
        vectors.insert(name.clone(), parameters.values(name, shape)?);
    }
    let mut entries: BTreeMap<String, Entry<'_>> = BTreeMap::new();
    for (name, shape) in &shapes {
        let data = match shape.as_slice() {
            &[n, k] => {
                if format == StoredFormat::Int8 {
                    let data = Data::Made(Dtype::F32, n * 4, matrix.make_scales(name, [n, k]));
                    entries.insert(scale_name(name), Entry { shape: vec![n], data });
                }
                let (dtype, bytes) = match format {
                    StoredFormat::F32 => (Dtype::F32, 4),
                    StoredFormat::Bf16 => (Dtype::BF16, 2),
                    StoredFormat::F16 => (Dtype::F16, 2),
                    StoredFormat::Int8 => (Dtype::I8, 1),
                };
                Data::Made(dtype, n * k * bytes, matrix.make(name, [n, k]))
            }
            _ => Data::F32(&vectors[name]),
        };
        entries.insert(name.clone(), Entry { shape: shape.clone(), data });
    }
    if let Some(bias) = source.final_logits_bias {
        let entry = Entry { shape: vec![1, bias.len()], data: Data::F32(bias) };
        entries.insert(FINAL_LOGITS_BIAS.into(), entry);
    }
    let written = file::write(&dir.join(weights_file(format)), &entries, metadata, true);
    match failure.take() {
        Some(e) => Err(e),
        None => written,
    }
}

/// The name of the file of weights.
pub fn weights_file(format: StoredFormat) -> &'static str {
    match format {
        StoredFormat::Int8 => hf::WEIGHTS_INT8,
        _ => hf::WEIGHTS,
    }
}

/// Makes the bytes of matrices while they are written.
#[derive(Clone, Copy)]
struct Matrices<'a> {
    parameters: &'a dyn Parameters,
    format: StoredFormat,
    /// What went wrong with a matrix, which a writer of bytes cannot say.
    failure: &'a RefCell<Option<Error>>,
}

impl<'a> Matrices<'a> {
    fn make(self, name: &'a str, shape: [usize; 2]) -> Make<'a> {
        let mut integers = vec![0i8; shape[1]];
        self.each_row(name, shape, move |row, w| {
            let mut bytes = Vec::with_capacity(row.len() * 4);
            match self.format {
                StoredFormat::F32 => row.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
                StoredFormat::Bf16 => {
                    row.iter().for_each(|v| bytes.extend(half::bf16::from_f32(*v).to_le_bytes()));
                }
                StoredFormat::F16 => {
                    row.iter().for_each(|v| bytes.extend(half::f16::from_f32(*v).to_le_bytes()));
                }
                StoredFormat::Int8 => {
                    quantise_row(row, &mut integers);
                    bytes.extend(integers.iter().map(|v| *v as u8));
                }
            }
            w.write_all(&bytes)
        })
    }

    fn make_scales(self, name: &'a str, shape: [usize; 2]) -> Make<'a> {
        let mut integers = vec![0i8; shape[1]];
        self.each_row(name, shape, move |row, w| {
            w.write_all(&quantise_row(row, &mut integers).to_le_bytes())
        })
    }

    /// What writes the rows of a matrix, `write` by `write`.
    fn each_row(
        self,
        name: &'a str,
        shape: [usize; 2],
        write: impl FnMut(&[f32], &mut dyn Write) -> std::io::Result<()> + 'a,
    ) -> Make<'a> {
        let write = RefCell::new(write);
        Box::new(move |w| {
            let fail = |e: Error| {
                let text = std::io::Error::other(e.message().to_string());
                self.failure.replace(Some(e));
                text
            };
            let rows = self.parameters.matrix(name, shape).map_err(fail)?;
            let mut row = vec![0f32; shape[1]];
            for i in 0..shape[0] {
                rows.read(i, &mut row);
                check(&row, self.format).map_err(|e| fail(e.tensor(name)))?;
                write.borrow_mut()(&row, w)?;
            }
            rows.release(0..shape[0]);
            Ok(())
        })
    }
}

/// # Errors
/// Artifact: values that the format does not hold, not even roughly.
fn check(row: &[f32], format: StoredFormat) -> Result<()> {
    let lost = |v: f32| match format {
        StoredFormat::F32 => false,
        StoredFormat::Bf16 => v.is_finite() && !half::bf16::from_f32(v).is_finite(),
        StoredFormat::F16 => v.is_finite() && !half::f16::from_f32(v).is_finite(),
        StoredFormat::Int8 => !v.is_finite(),
    };
    match row.iter().find(|v| lost(**v)) {
        None => Ok(()),
        Some(v) => Err(Error::artifact(format!("weight cannot be stored in {}", format.name()))
            .found(v.to_string())),
    }
}
