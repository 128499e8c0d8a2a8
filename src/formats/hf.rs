//! Hugging Face model directories: `model.safetensors`, or shards named by
//! `model.safetensors.index.json`. Knows files and names, not the architecture.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;

use super::safetensors::TensorFile;
use super::{adapters, hypernet};
use crate::error::{Error, Result};

pub const CONFIG: &str = "config.json";
pub const GENERATION_CONFIG: &str = "generation_config.json";
pub const WEIGHTS: &str = "model.safetensors";
/// Of a model in int8. Not under the published name: another program would take the integers for
/// weights and leave out their scales.
pub const WEIGHTS_INT8: &str = "model.int8.safetensors";
pub const WEIGHTS_INDEX: &str = "model.safetensors.index.json";
pub const TOKENIZER: &str = "tokenizer.json";
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// With [`VOCAB`], M2M-100's tokenizer.
pub const SENTENCEPIECE: &str = "sentencepiece.bpe.model";
pub const VOCAB: &str = "vocab.json";

/// Files above this size are not read as JSON.
const MAX_JSON_BYTES: u64 = 256 << 20;

/// Reads a JSON file; errors name file, line and column.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let size = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?.len();
    if size > MAX_JSON_BYTES {
        return Err(Error::artifact("JSON file is too large")
            .at(path)
            .found(format!("{size} bytes"))
            .expected(format!("at most {MAX_JSON_BYTES}")));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io("read", path, e))?;
    serde_json::from_slice(&bytes).map_err(|e| {
        let err = Error::artifact("cannot read JSON").at(path).cause(e.to_string());
        if e.line() > 0 { err.line(e.line() as u64) } else { err }
    })
}

/// The directory a path stands for: itself when `fits`, or the best (else the latest) checkpoint
/// of a training run. None when it is neither. `file` is what a checkpoint must hold.
pub fn resolve_dir(
    path: &Path,
    file: &str,
    fits: impl Fn(&Path) -> bool,
) -> Result<Option<PathBuf>> {
    if fits(path) {
        return Ok(Some(path.to_path_buf()));
    }
    for pointer in ["best", "latest"] {
        let from = path.join(pointer);
        if let Ok(text) = std::fs::read_to_string(&from) {
            let name = text.split_whitespace().next().unwrap_or("");
            let dir = path.join("checkpoints").join(name);
            if !name.is_empty() && is_plain_name(name) && fits(&dir) {
                return Ok(Some(dir));
            }
            return Err(Error::artifact(format!(
                "run names a checkpoint that is not there: `{name}`"
            ))
            .at(&from)
            .expected(format!("a directory with {file}: {}", dir.display())));
        }
    }
    Ok(None)
}

/// The model directory a path stands for.
pub fn resolve_model_dir(path: &Path) -> Result<PathBuf> {
    let found = resolve_dir(path, CONFIG, |dir| dir.join(CONFIG).is_file());
    if let Ok(Some(dir)) = found {
        return Ok(dir);
    }
    let parts = [hypernet::FILE, adapters::FILE];
    let has_parts = |dir: &Path| parts.iter().any(|f| dir.join(f).is_file());
    let hint = if super::lora::resolve(path).is_ok() {
        // A LoRA, or a run that trained one: nothing to run without its base.
        LORA_ALONE
    } else if matches!(resolve_dir(path, adapters::FILE, has_parts), Ok(Some(_))) {
        ADAPTERS_ALONE
    } else {
        found?;
        match path.exists() {
            true => {
                "a model directory holds config.json, model.safetensors and a tokenizer; \
                 make one with `isogloss init`"
            }
            false => "no such directory; check the path",
        }
    };
    Err(Error::artifact("not a model directory or training run")
        .at(path)
        .expected(format!("`{}`", path.join(CONFIG).display()))
        .hint(hint))
}

const LORA_ALONE: &str = "this is a LoRA; name its model with `-m` and the LoRA with `--lora`; \
     `prune-lora --direction A-B --merge` makes a model of it";

const ADAPTERS_ALONE: &str = "these are adapters, or a hyper-network that makes them; name their model \
     with `-m` and them with `--adapters`";

fn is_plain_name(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// The weights of a model directory, over one or several files.
pub struct ModelFiles {
    files: Vec<TensorFile>,
    /// Tensor name to index into `files`.
    owner: BTreeMap<String, usize>,
}

impl ModelFiles {
    /// The one file with all weights.
    pub fn open_single(path: &Path) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let owner = file.names().into_iter().map(|n| (n, 0)).collect();
        Ok(Self { files: vec![file], owner })
    }

    pub fn open(dir: &Path) -> Result<Self> {
        let single = dir.join(WEIGHTS);
        let index = dir.join(WEIGHTS_INDEX);
        if single.is_file() {
            return Self::open_single(&single);
        }
        if index.is_file() {
            return Self::open_shards(dir, &index);
        }
        let mut e = Error::artifact("model has no weights")
            .at(dir)
            .expected(format!("`{WEIGHTS}` or `{WEIGHTS_INDEX}`"));
        for pickle in ["pytorch_model.bin", "model.pt", "pytorch_model.bin.index.json"] {
            if dir.join(pickle).exists() {
                e = e.hint(format!(
                    "`{pickle}` is a pickle, which can run code when loaded; convert it in Python: \
                     `AutoModelForSeq2SeqLM.from_pretrained(DIR).save_pretrained(OUT)`"
                ));
            }
        }
        Err(e)
    }

    fn open_shards(dir: &Path, index: &Path) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let parsed: Index = read_json(index)?;
        let mut files: Vec<TensorFile> = Vec::new();
        let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
        let mut owner = BTreeMap::new();
        for (tensor, shard) in parsed.weight_map {
            if !is_plain_name(&shard) {
                return Err(Error::artifact("shard lies outside the model directory")
                    .at(index)
                    .tensor(tensor)
                    .found(format!("`{shard}`"))
                    .expected("a file name without directories"));
            }
            let i = match by_name.get(&shard) {
                Some(&i) => i,
                None => {
                    files.push(TensorFile::open(&dir.join(&shard))?);
                    by_name.insert(shard.clone(), files.len() - 1);
                    files.len() - 1
                }
            };
            if !files[i].contains(&tensor) {
                return Err(Error::artifact("shard lacks a tensor its index promises")
                    .at(files[i].path())
                    .tensor(tensor));
            }
            owner.insert(tensor, i);
        }
        for (i, file) in files.iter().enumerate() {
            let stray = file.names().into_iter().find(|n| owner.get(n) != Some(&i));
            if let Some(tensor) = stray {
                return Err(Error::artifact("shard holds a tensor that its index does not name")
                    .at(file.path())
                    .tensor(tensor)
                    .hint(format!("{} would leave it out", index.display())));
            }
        }
        Ok(Self { files, owner })
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.owner.keys().map(String::as_str)
    }
    pub fn contains(&self, name: &str) -> bool {
        self.owner.contains_key(name)
    }
    /// The file that holds a tensor.
    pub fn file_of(&self, name: &str) -> Option<&TensorFile> {
        self.owner.get(name).map(|&i| &self.files[i])
    }
    pub fn files(&self) -> &[TensorFile] {
        &self.files
    }
    /// A tensor as f32 values of the given shape.
    pub fn f32_values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.owner_of(name)?.f32_values(name, Some(shape))
    }
    /// A tensor as bf16 values of the given shape, rounded where it is stored in another type.
    pub fn bf16_values(&self, name: &str, shape: &[usize]) -> Result<Vec<half::bf16>> {
        self.owner_of(name)?.bf16_values(name, Some(shape))
    }
    fn owner_of(&self, name: &str) -> Result<&TensorFile> {
        self.file_of(name).ok_or_else(|| {
            Error::artifact(format!("tensor `{name}` is missing"))
                .at(self.files.first().map_or(Path::new("?"), |f| f.path()))
        })
    }
}
