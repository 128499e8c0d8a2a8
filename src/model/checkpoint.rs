//! A model directory on disk, checked whole: every tensor that is expected is there with its
//! shape, and every tensor that is there is used, or the error names what is not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use safetensors::Dtype;
use sha2::{Digest, Sha256};

use super::config::ModelConfig;
use super::stored::{INT8, QUANTIZATION, StoredMatrix, is_int8, scale_name};
use crate::error::{Error, Result};
use crate::formats::hf::{self, ModelFiles};
use crate::formats::provenance;
use crate::formats::safetensors::{TensorFile, float_bytes, read_floats};
use crate::kernels::embedding::sinusoidal_positions;
use crate::kernels::packed::{MatrixRows, WeightFormat};

/// The one embedding matrix, under the name it is written with.
pub const SHARED: &str = "model.shared.weight";
/// Its other published names; a file may hold any subset.
pub const SHARED_ALIASES: [&str; 4] = [
    SHARED,
    "model.encoder.embed_tokens.weight",
    "model.decoder.embed_tokens.weight",
    "lm_head.weight",
];
/// Computed, and only compared with what a file has.
const POSITIONS: [&str; 4] = [
    "model.encoder.embed_positions.weights",
    "model.decoder.embed_positions.weights",
    "model.encoder.embed_positions.weight",
    "model.decoder.embed_positions.weight",
];
/// Metadata of a copy in another number format: the fingerprint of the model it was made from.
pub const COPY_OF: &str = "copy_of";
/// Bytes of a file that are read before their memory is given back.
const PART_BYTES: usize = 32 << 20;
/// Added to the logits when it is not zero.
pub const FINAL_LOGITS_BIAS: &str = "final_logits_bias";

/// The configuration of a checkpoint. A null says as much as no key.
///
/// # Errors
/// Artifact: names the key that cannot be read.
fn read_config(raw: serde_json::Value) -> Result<ModelConfig> {
    let parse = |v: &serde_json::Value| serde_json::from_value::<ModelConfig>(v.clone());
    let first = match parse(&raw) {
        Ok(config) => return Ok(config),
        Err(e) => e,
    };
    let serde_json::Value::Object(mut keys) = raw else {
        return Err(Error::artifact("model configuration cannot be read").cause(first.to_string()));
    };
    keys.retain(|_, v| !v.is_null());
    let e = match parse(&keys.clone().into()) {
        Ok(config) => return Ok(config),
        Err(e) => e.to_string(),
    };
    // Without the key at fault something else is said.
    let at_fault = keys.keys().find(|key| {
        let mut others = keys.clone();
        others.shift_remove(*key);
        parse(&others.into()).map_or_else(|other| other.to_string() != e, |_| true)
    });
    let refused = Error::artifact("model configuration cannot be read").cause(e.clone());
    Err(match at_fault {
        Some(key) => refused.key(key).found(keys[key].to_string()),
        None => refused,
    })
}

/// Rows of a stored table that are looked at, and how far rounding to half a float and another
/// library's sines may be off.
const COMPARED_POSITIONS: usize = 64;
const POSITION_TOLERANCE: f32 = 0.01;

/// A table of positions that a file holds must be the one that is computed.
fn check_positions(file: &TensorFile, name: &str, config: &ModelConfig) -> Result<()> {
    let view = file.view(name)?;
    let (d, pad) = (config.d_model, config.pad_token_id as usize);
    let shape = view.shape();
    let rows = shape.first().copied().unwrap_or(0);
    file.check_shape(name, shape, &[rows, d])?;
    let Some(size) = float_bytes(view.dtype()) else {
        return Err(file.wrong_type(name, view.dtype(), "F32, F16, BF16 or F64"));
    };
    let rows = rows.min(COMPARED_POSITIONS);
    let mut stored = vec![0f32; rows * d];
    read_floats(view.dtype(), &view.data()[..rows * d * size], &mut stored);
    let table = sinusoidal_positions(rows, d, pad);
    // The row of padding is nobody's position.
    let other = stored.iter().zip(&table).enumerate().find(|(i, (found, computed))| {
        let off = (*found - *computed).abs();
        i / d != pad && (off.is_nan() || off > POSITION_TOLERANCE)
    });
    match other {
        None => Ok(()),
        Some((i, (found, computed))) => {
            Err(Error::artifact("stored positions are not the sinusoidal ones")
                .at(file.path())
                .tensor(name)
                .found(format!("{found} in row {}, column {}", i / d, i % d))
                .expected(computed.to_string())
                .hint("models with learned positions are not of this architecture"))
        }
    }
}

/// Names and shapes of all parameters of the architecture, sorted by name.
pub fn parameter_shapes(c: &ModelConfig) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    let d = c.d_model;
    shapes.insert(SHARED.to_string(), vec![c.vocab_size, d]);
    let mut linear = |name: String, out: usize, inp: usize| {
        shapes.insert(format!("{name}.weight"), vec![out, inp]);
        shapes.insert(format!("{name}.bias"), vec![out]);
    };
    let sides = [
        ("encoder", c.encoder_layers, c.encoder_ffn_dim, &["self_attn"][..]),
        ("decoder", c.decoder_layers, c.decoder_ffn_dim, &["self_attn", "encoder_attn"][..]),
    ];
    let mut norms = Vec::new();
    for (side, layers, ffn, attentions) in sides {
        for i in 0..layers {
            let p = format!("model.{side}.layers.{i}");
            for attn in attentions {
                for proj in ["q_proj", "k_proj", "v_proj", "out_proj"] {
                    linear(format!("{p}.{attn}.{proj}"), d, d);
                }
                norms.push(format!("{p}.{attn}_layer_norm"));
            }
            linear(format!("{p}.fc1"), ffn, d);
            linear(format!("{p}.fc2"), d, ffn);
            norms.push(format!("{p}.final_layer_norm"));
        }
        norms.push(format!("model.{side}.layer_norm"));
    }
    for norm in norms {
        shapes.insert(format!("{norm}.weight"), vec![d]);
        shapes.insert(format!("{norm}.bias"), vec![d]);
    }
    shapes
}

/// The same with what a model in int8 stores beside them.
fn stored_shapes(c: &ModelConfig, is_int8: bool) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = parameter_shapes(c);
    if is_int8 {
        let scales: Vec<_> = shapes
            .iter()
            .filter(|(_, shape)| shape.len() == 2)
            .map(|(name, shape)| (scale_name(name), vec![shape[0]]))
            .collect();
        shapes.extend(scales);
    }
    shapes
}

/// Whether two tensors hold the same bytes.
fn same(a: &TensorFile, a_data: &[u8], b: &TensorFile, b_data: &[u8]) -> bool {
    a_data.len() == b_data.len()
        && a_data.chunks(PART_BYTES).zip(b_data.chunks(PART_BYTES)).all(|(x, y)| {
            let equal = x == y;
            a.release(x);
            b.release(y);
            equal
        })
}

/// `[out, in]` of all linear maps, by path: `model.encoder.layers.0.fc1`.
pub fn linear_shapes(c: &ModelConfig) -> BTreeMap<String, (usize, usize)> {
    let of = |(name, shape): (String, Vec<usize>)| match shape.as_slice() {
        [out, inp] if name != SHARED => {
            Some((name.strip_suffix(".weight")?.to_string(), (*out, *inp)))
        }
        _ => None,
    };
    parameter_shapes(c).into_iter().filter_map(of).collect()
}

/// An opened model directory.
pub struct Checkpoint {
    dir: PathBuf,
    pub config: ModelConfig,
    files: ModelFiles,
    /// The stored name of the shared embedding.
    shared: &'static str,
    /// All weights are read for it, so it is computed once.
    sha256: OnceLock<String>,
    /// Its matrices are integers; see [`super::stored`].
    is_int8: bool,
}

impl Checkpoint {
    /// Opens a model directory, or the best checkpoint of a run, and checks it.
    ///
    /// # Errors
    /// Artifact: among others a model in int8, which can only be translated with.
    pub fn open(path: &Path) -> Result<Self> {
        let checkpoint = Self::open_any(path)?;
        if checkpoint.is_int8 {
            return Err(Error::artifact("model is stored in int8, which only translates")
                .at(checkpoint.dir.join(hf::CONFIG))
                .key(QUANTIZATION)
                .hint("its weights are rounded; use the model it was exported from"));
        }
        Ok(checkpoint)
    }

    /// The same, also of a model in int8.
    pub fn open_any(path: &Path) -> Result<Self> {
        let dir = hf::resolve_model_dir(path)?;
        let config_path = dir.join(hf::CONFIG);
        let raw: serde_json::Value = hf::read_json(&config_path)?;
        let model_type = raw.get("model_type").and_then(|v| v.as_str()).unwrap_or("(none)");
        if model_type != "m2m_100" {
            return Err(Error::artifact("checkpoint is of another architecture")
                .at(&config_path)
                .key("model_type")
                .found(format!("`{model_type}`"))
                .expected("`m2m_100` (M2M-100, NLLB-200, SMaLL-100)"));
        }
        let mut config = read_config(raw).map_err(|e| e.at(&config_path))?;
        if let Some((field, complaint)) = config.fault() {
            return Err(Error::artifact("model configuration is not usable")
                .at(&config_path)
                .key(field)
                .found(complaint));
        }
        let is_int8 = is_int8(&config.rest).map_err(|found| {
            Error::artifact("weights are quantised in a way this version does not know")
                .at(&config_path)
                .key(QUANTIZATION)
                .found(found)
                .expected(format!("`{INT8}`"))
        })?;
        let files = match is_int8 {
            true => ModelFiles::open_single(&dir.join(hf::WEIGHTS_INT8))?,
            false => ModelFiles::open(&dir)?,
        };
        let shared = Self::check(&files, &config, &dir, is_int8)?;
        // Its copies are one matrix, or it would not be here; what is written of it holds one.
        config.tie_word_embeddings = true;
        Ok(Self { dir, config, files, shared, sha256: OnceLock::new(), is_int8 })
    }

    fn check(
        files: &ModelFiles,
        config: &ModelConfig,
        dir: &Path,
        is_int8: bool,
    ) -> Result<&'static str> {
        let expected = stored_shapes(config, is_int8);
        let present: Vec<&'static str> =
            SHARED_ALIASES.into_iter().filter(|n| files.contains(n)).collect();
        let mut missing: Vec<&str> = expected
            .keys()
            .map(String::as_str)
            .filter(|n| *n != SHARED && !files.contains(n))
            .collect();
        if present.is_empty() {
            missing.insert(0, SHARED);
        }
        let unused: Vec<&str> = files
            .names()
            .filter(|n| {
                !expected.contains_key(*n)
                    && !SHARED_ALIASES.contains(n)
                    && !POSITIONS.contains(n)
                    && *n != FINAL_LOGITS_BIAS
            })
            .collect();
        if !missing.is_empty() || !unused.is_empty() {
            let few = |names: &[&str]| {
                let shown: Vec<String> = names.iter().take(3).map(|n| format!("`{n}`")).collect();
                let more = if names.len() > 3 { ", ..." } else { "" };
                format!("{} ({}{more})", names.len(), shown.join(", "))
            };
            let mut e = Error::artifact("weights do not match the model configuration").at(dir);
            if !missing.is_empty() {
                e = e.cause(format!("missing tensors: {}", few(&missing)));
            }
            if !unused.is_empty() {
                e = e.cause(format!("unused tensors: {}", few(&unused)));
            }
            return Err(e.hint("the numbers of layers in config.json decide which tensors belong"));
        }
        for (name, shape) in &expected {
            let stored = if name == SHARED { present[0] } else { name };
            if let Some(file) = files.file_of(stored) {
                let view = file.view(stored)?;
                file.check_shape(stored, view.shape(), shape)?;
                let is_matrix = shape.len() == 2;
                if is_int8 && is_matrix && view.dtype() != Dtype::I8 {
                    return Err(file.wrong_type(stored, view.dtype(), "I8, as config.json says"));
                }
                if !is_int8 && view.dtype() == Dtype::I8 {
                    let e = file.wrong_type(stored, view.dtype(), "F32, F16, BF16 or F64");
                    return Err(e.hint(format!("config.json has no `{QUANTIZATION}`")));
                }
            }
        }
        if !config.tie_word_embeddings {
            // transformers draws at random what is missing then.
            let absent = SHARED_ALIASES.into_iter().find(|n| !present.contains(n));
            if let Some(name) = absent {
                return Err(Error::artifact(
                    "`tie_word_embeddings` is false and a copy is missing",
                )
                .at(dir)
                .tensor(name)
                .found(format!("{} of {} copies", present.len(), SHARED_ALIASES.len()))
                .expected(SHARED_ALIASES.map(|n| format!("`{n}`")).join(", "))
                .hint("models with untied embeddings are not of this architecture")
                .hint("if they are tied, remove the key from config.json"));
            }
        }
        // Copies of the tied matrix must be one matrix.
        for other in &present[1..] {
            let (Some(a), Some(b)) = (files.file_of(present[0]), files.file_of(other)) else {
                continue;
            };
            let (va, vb) = (a.view(present[0])?, b.view(other)?);
            let equal = va.dtype() == vb.dtype() && same(a, va.data(), b, vb.data());
            if !equal {
                return Err(Error::artifact("tied embeddings differ")
                    .at(b.path())
                    .tensor(*other)
                    .expected(format!("the same values as `{}`", present[0]))
                    .hint("models with untied embeddings are not of this architecture"));
            }
        }
        for name in POSITIONS {
            if let Some(file) = files.file_of(name) {
                check_positions(file, name, config)?;
            }
        }
        Ok(present[0])
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
    /// The directory's own name, as used in signatures.
    pub fn name(&self) -> String {
        provenance::display_name(&self.dir.canonicalize().unwrap_or_else(|_| self.dir.clone()))
    }
    pub fn files(&self) -> &ModelFiles {
        &self.files
    }
    /// Whether the matrices are integers.
    pub fn is_int8(&self) -> bool {
        self.is_int8
    }

    fn provenance(&self) -> Option<serde_json::Value> {
        let text = self.files.files().iter().find_map(|f| f.metadata().remove("provenance"))?;
        serde_json::from_str(&text).ok()
    }

    /// A setting the weights were made with, where their file says so.
    pub fn setting(&self, key: &str) -> Option<serde_json::Value> {
        self.provenance()?.get("args")?.get(key).cloned()
    }

    /// Fingerprints of what the weights were made from, where their file says so: the model the
    /// training started from, its text, its masks.
    pub fn parents(&self) -> Vec<String> {
        let provenance = self.provenance();
        let parents = provenance.as_ref().and_then(|p| p["parents"].as_array());
        parents
            .into_iter()
            .flatten()
            .filter_map(|p| p["sha256"].as_str().map(str::to_string))
            .collect()
    }

    fn stored_name<'n>(&self, name: &'n str) -> &'n str
    where
        'static: 'n,
    {
        if name == SHARED { self.shared } else { name }
    }

    /// The values of a parameter named as in [`parameter_shapes`], as f32, row-major.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        if let (true, &[n, k]) = (self.is_int8, shape) {
            let matrix = self.matrix(name, [n, k])?;
            let mut values = vec![0.0; n * k];
            values.chunks_exact_mut(k).enumerate().for_each(|(i, row)| matrix.read(i, row));
            return Ok(values);
        }
        self.files.f32_values(self.stored_name(name), shape)
    }

    /// A matrix of [`parameter_shapes`], to be read row by row from the file.
    pub fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<StoredMatrix<'_>> {
        let stored = self.stored_name(name);
        let file = self.files.file_of(stored).ok_or_else(|| {
            Error::artifact(format!("tensor `{stored}` is missing")).at(&self.dir)
        })?;
        StoredMatrix::open(file, stored, shape)
    }

    /// The narrowest format that holds the stored matrices as they are.
    pub fn weight_format(&self) -> Result<WeightFormat> {
        if self.is_int8 {
            return Ok(WeightFormat::Int8);
        }
        for (name, shape) in parameter_shapes(&self.config) {
            let stored = self.stored_name(&name);
            let Some(file) = self.files.file_of(stored).filter(|_| shape.len() == 2) else {
                continue;
            };
            if file.view(stored)?.dtype() != Dtype::BF16 {
                return Ok(WeightFormat::F32);
            }
        }
        Ok(WeightFormat::Bf16)
    }

    /// Whether this is the model of a fingerprint, or the same in another number format.
    pub fn stands_for(&self, sha256: &str) -> Result<bool> {
        let original = self.files.files().iter().find_map(|f| f.metadata().remove(COPY_OF));
        Ok(original.as_deref() == Some(sha256) || self.sha256()? == sha256)
    }

    /// The same in bf16, rounded to the nearest, ties to even.
    pub fn bf16_values(&self, name: &str, shape: &[usize]) -> Result<Vec<half::bf16>> {
        self.files.bf16_values(self.stored_name(name), shape)
    }

    /// `[vocab]` added to the logits, if stored and not all zero.
    pub fn final_logits_bias(&self) -> Result<Option<Vec<f32>>> {
        if !self.files.contains(FINAL_LOGITS_BIAS) {
            return Ok(None);
        }
        let bias = self.files.f32_values(FINAL_LOGITS_BIAS, &[1, self.config.vocab_size])?;
        Ok(bias.iter().any(|&v| v != 0.0).then_some(bias))
    }

    /// SHA-256 over name, shape and bytes of all parameters in name order: it survives
    /// resharding and renaming of the tied matrix.
    pub fn sha256(&self) -> Result<String> {
        if let Some(known) = self.sha256.get() {
            return Ok(known.clone());
        }
        let mut hasher = Sha256::new();
        for name in stored_shapes(&self.config, self.is_int8).keys() {
            let stored = self.stored_name(name);
            if let Some(file) = self.files.file_of(stored) {
                let view = file.view(stored)?;
                hasher.update(format!("{name} {:?} {:?}\n", view.dtype(), view.shape()));
                file.read_through(stored, |bytes| hasher.update(bytes))?;
            }
        }
        Ok(self.sha256.get_or_init(|| provenance::hex(&hasher.finalize())).clone())
    }
}
