//! Model directories as training leaves them: everything of the directory it started from, and the
//! weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::run_dir::STATE;
use candle_core::Device;

use crate::error::{Error, Result};
use crate::formats::provenance::Provenance;
use crate::formats::safetensors::{self, Data, Entry};
use crate::formats::{adapters, hf, hypernet, peft, placement};
use crate::io::write_bytes;
use crate::kernels::weights::{Weights, stored};
use crate::model::{ModelConfig, ParameterSet};
use crate::text::Convention;

/// Ends of the names of weights, in whatever format, and of their index.
const WEIGHTS: [&str; 16] = [
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".h5",
    ".msgpack",
    ".ot",
    ".onnx",
    ".onnx_data",
    ".gguf",
    ".tflite",
    ".pb",
    ".npz",
    ".pkl",
    ".index.json",
];

/// What a trained model's directory takes over from the one it started from.
pub struct ModelSource<'a> {
    pub dir: &'a Path,
    pub config: &'a ModelConfig,
    pub final_logits_bias: Option<&'a [f32]>,
    /// A file that goes into each checkpoint under this name: the masks it is trained with.
    pub carried: Option<(&'a [u8], &'a str)>,
    /// Where marks stand, when the directory it started from does not say so.
    pub convention: Option<Convention>,
}

/// Writes a complete model directory: weights in f32 (what was kept in bf16, in bf16),
/// configuration, tokenizer files.
pub fn write_model(
    dir: &Path,
    source: &ModelSource<'_>,
    set: &ParameterSet,
    provenance: &Provenance,
) -> Result<()> {
    let mut config = source.config.clone();
    config.rest.insert("dtype".into(), "float32".into());
    config.rest.shift_remove("torch_dtype");
    let text = serde_json::to_vec_pretty(&config)
        .map_err(|e| Error::bug("cannot encode the configuration").cause(e.to_string()))?;
    write_bytes(&dir.join(hf::CONFIG), &text)?;
    copy_side_files(source.dir, dir)?;
    if let Some(convention) = source.convention {
        keep_convention(convention, dir)?;
    }
    // What lies on another device comes over; the others are shared.
    let here = set.iter().map(|p| Ok((p, p.tensor.to_device(&Device::Cpu)?)));
    let here = here.collect::<Result<Vec<_>>>()?;
    let guards = here.iter().map(|(p, t)| Ok((p, stored(t)?))).collect::<Result<Vec<_>>>()?;
    let mut entries: BTreeMap<String, Entry<'_>> = guards
        .iter()
        .map(|(p, v)| {
            let data = match v.weights() {
                Weights::F32(v) => Data::F32(v),
                Weights::Bf16(v) => Data::Bf16(v),
            };
            (p.name.to_string(), Entry { shape: p.tensor.dims().to_vec(), data })
        })
        .collect();
    if let Some(bias) = source.final_logits_bias {
        entries.insert(
            crate::model::checkpoint::FINAL_LOGITS_BIAS.into(),
            Entry { shape: vec![1, bias.len()], data: Data::F32(bias) },
        );
    }
    safetensors::write(&dir.join(hf::WEIGHTS), &entries, &provenance.metadata("model"), true)
}

/// What is in the directory is read from now on as it was trained.
///
/// # Errors
/// Artifact: a tokenizer_config.json that cannot be read.
pub fn keep_convention(convention: Convention, dir: &Path) -> Result<()> {
    let path = dir.join(hf::TOKENIZER_CONFIG);
    let mut config = match path.is_file() {
        true => hf::read_json(&path)?,
        false => serde_json::Map::new(),
    };
    convention.keep_in(&mut config);
    let text = serde_json::to_vec_pretty(&config)
        .map_err(|e| Error::bug("cannot encode a configuration").cause(e.to_string()))?;
    write_bytes(&path, &text)
}

/// Tokenizer and generation files, whatever their names; not weights, not run state, nor what says
/// how weights that are not copied fit together.
pub fn copy_side_files(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).map_err(|e| Error::io("read", from, e))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let of_weights =
            [hf::CONFIG, hypernet::FILE, adapters::FILE, placement::FILE, peft::CONFIG];
        let skip = of_weights.contains(&name.as_str())
            || name == STATE
            || name.starts_with('.')
            || WEIGHTS.iter().any(|w| name.ends_with(w))
            || !path.is_file();
        if !skip {
            let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
            write_bytes(&to.join(&name), &bytes)?;
        }
    }
    Ok(())
}
