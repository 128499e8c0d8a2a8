//! PEFT LoRA directories: `adapter_config.json` and `adapter_model.safetensors`
//! (style/cli.md, section 9.2). Knows names, shapes and patterns; the caller says which linear
//! maps the model has.

mod config;
mod patterns;

use std::collections::BTreeMap;
use std::path::Path;

use super::hf;
use super::provenance::Provenance;
use super::safetensors::{self, Data, Entry, TensorFile};
use crate::error::{Error, Result};
use crate::io::write_bytes;
use config::Config;
pub use patterns::is_suffix;

pub const CONFIG: &str = "adapter_config.json";
pub const WEIGHTS: &str = "adapter_model.safetensors";
/// Comes before each module path, which begins with `model.` itself.
const PREFIX: &str = "base_model.model.";

/// `[out, in]` of the model's linear maps, by full path: `model.encoder.layers.0.fc1`.
pub type Shapes = BTreeMap<String, (usize, usize)>;

/// One module's pair of factors; the update is `alpha / rank * B A`.
#[derive(Clone, Debug, PartialEq)]
pub struct Module {
    pub rank: usize,
    pub alpha: f64,
    /// `[rank, in]`
    pub lora_a: Vec<f32>,
    /// `[out, rank]`
    pub lora_b: Vec<f32>,
}

/// An adapter, by full module path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adapter {
    pub modules: BTreeMap<String, Module>,
    pub dropout: f64,
    /// The model's name, never a machine path.
    pub base_model: Option<String>,
    /// The fingerprint of the model it was trained on, where the file says so.
    pub base_model_sha256: Option<String>,
    /// Settings of the file that nobody here knows.
    pub ignored: Vec<String>,
}

/// Whether a directory holds one.
pub fn is_adapter(dir: &Path) -> bool {
    dir.join(CONFIG).is_file()
}

impl Adapter {
    /// Reads a directory whole: every tensor that its configuration asks for must be there, and
    /// every tensor that is there must be asked for.
    ///
    /// # Errors
    /// Artifact: names the file with key or tensor.
    pub fn read(dir: &Path, shapes: &Shapes) -> Result<Self> {
        let path = dir.join(CONFIG);
        let config = Config::read(&path)?;
        let targets = config.targets(shapes).map_err(|e| e.at(&path))?;
        let weights = dir.join(WEIGHTS);
        if !weights.is_file() {
            let mut e = Error::artifact("LoRA has no weights")
                .at(dir)
                .expected(format!("`{}`", weights.display()));
            if dir.join("adapter_model.bin").exists() {
                e = e.hint(
                    "`adapter_model.bin` is a pickle, which can run code when loaded; in Python: \
                     `model.save_pretrained(OUT, safe_serialization=True)`",
                );
            }
            return Err(e);
        }
        let file = TensorFile::open(&weights)?;
        check_names(&file, &targets)?;
        let mut modules = BTreeMap::new();
        for (path, (rank, alpha)) in targets {
            let (out, inp) = shapes[&path];
            let read = |part: &str, shape: [usize; 2]| {
                file.f32_values(&tensor_name(&path, part), Some(&shape)).map_err(|e| {
                    e.hint(format!("rank {rank} comes from `r` and `rank_pattern` of {CONFIG}"))
                })
            };
            let module = Module {
                rank,
                alpha,
                lora_a: read("lora_A", [rank, inp])?,
                lora_b: read("lora_B", [out, rank])?,
            };
            modules.insert(path, module);
        }
        let metadata = file.metadata();
        let provenance = metadata.get("provenance").map(String::as_str).unwrap_or_default();
        Ok(Self {
            modules,
            dropout: config.lora_dropout,
            base_model: config.base_model_name_or_path,
            base_model_sha256: base_model_sha256(provenance),
            ignored: config.ignored,
        })
    }

    /// Writes the two files into `dir`, which exists.
    pub fn write(&self, dir: &Path, shapes: &Shapes, provenance: &Provenance) -> Result<()> {
        if self.modules.is_empty() {
            return Err(Error::bug("an adapter without a module cannot be written"));
        }
        let config = config::to_json(self, shapes)?;
        let mut text = serde_json::to_vec_pretty(&config)
            .map_err(|e| Error::bug("cannot encode the configuration").cause(e.to_string()))?;
        text.push(b'\n');
        write_bytes(&dir.join(CONFIG), &text)?;
        let mut entries: BTreeMap<String, Entry<'_>> = BTreeMap::new();
        for (path, m) in &self.modules {
            let (out, inp) = shape_of(shapes, path)?;
            for (part, shape, data) in
                [("lora_A", vec![m.rank, inp], &m.lora_a), ("lora_B", vec![out, m.rank], &m.lora_b)]
            {
                entries.insert(tensor_name(path, part), Entry { shape, data: Data::F32(data) });
            }
        }
        safetensors::write(&dir.join(WEIGHTS), &entries, &provenance.metadata("lora"), true)
    }

    pub fn num_params(&self) -> usize {
        self.modules.values().map(|m| m.lora_a.len() + m.lora_b.len()).sum()
    }
}

fn shape_of(shapes: &Shapes, path: &str) -> Result<(usize, usize)> {
    shapes.get(path).copied().ok_or_else(|| Error::bug(format!("the model has no `{path}`")))
}

fn tensor_name(path: &str, part: &str) -> String {
    format!("{PREFIX}{path}.{part}.weight")
}

/// The fingerprint of the base model among the parents of a provenance.
fn base_model_sha256(provenance: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(provenance).ok()?;
    let parent = value["parents"].as_array()?.iter().find(|p| p["role"] == "base_model")?;
    Some(parent["sha256"].as_str()?.to_string())
}

/// Tensors that belong to other methods than plain LoRA, by the end of their names.
const VARIANTS: [(&str, &str); 6] = [
    (".lora_magnitude_vector", "DoRA"),
    (".lora_magnitude_vector.weight", "DoRA"),
    (".lora_embedding_A", "LoRA of an embedding"),
    (".lora_embedding_B", "LoRA of an embedding"),
    (".lora_B.bias", "a LoRA with bias (`lora_bias`)"),
    (".base_layer.bias", "trained biases (`bias`)"),
];

fn check_names(file: &TensorFile, targets: &BTreeMap<String, (usize, f64)>) -> Result<()> {
    let names = file.names();
    for name in &names {
        if let Some((_, what)) = VARIANTS.iter().find(|(end, _)| name.ends_with(end)) {
            return Err(Error::artifact(format!("{what} is not supported"))
                .at(file.path())
                .tensor(name)
                .expected("`lora_A.weight` and `lora_B.weight` only"));
        }
    }
    let wanted: std::collections::BTreeSet<String> = targets
        .keys()
        .flat_map(|p| ["lora_A", "lora_B"].map(|part| tensor_name(p, part)))
        .collect();
    let missing: Vec<&String> = wanted.iter().filter(|n| !file.contains(n)).collect();
    let unused: Vec<&String> = names.iter().filter(|n| !wanted.contains(*n)).collect();
    if missing.is_empty() && unused.is_empty() {
        return Ok(());
    }
    let few = |names: &[&String]| {
        let shown: Vec<String> = names.iter().take(3).map(|n| format!("`{n}`")).collect();
        format!(
            "{} ({}{})",
            names.len(),
            shown.join(", "),
            if names.len() > 3 { ", ..." } else { "" }
        )
    };
    let mut e = Error::artifact("tensors of the LoRA do not match its configuration and the model")
        .at(file.path());
    if !missing.is_empty() {
        e = e.cause(format!("missing tensors: {}", few(&missing)));
    }
    if !unused.is_empty() {
        e = e.cause(format!("unused tensors: {}", few(&unused)));
    }
    let is_embedding =
        |n: &&String| n.contains("lm_head") || n.contains("shared") || n.contains("embed_tokens");
    if let Some(name) = unused.iter().copied().find(is_embedding) {
        return Err(e
            .tensor(name)
            .hint("it was saved with the embeddings, which a LoRA here does not change")
            .hint("`save_pretrained(DIR, save_embedding_layers=False)` leaves them out, if they were not trained"));
    }
    Err(e
        .hint("was it made for a model with as many layers?")
        .hint(format!("`target_modules` of {CONFIG} says which modules belong")))
}
