//! A run on disk: `log.jsonl`, `checkpoints/step-NNNNNNNN/`, the pointers `latest` and
//! `best`. A checkpoint is complete when its directory has its final name; `latest` moves
//! last. The directory of a fully trained model is itself a model directory.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::model_dir::{ModelSource, keep_convention, write_model};
use super::optimizer::{Adam, AdamSettings, Moments};
use super::parts::TrainedParts;
use super::sampler::SamplerState;
use super::settings::Settings;
use super::tagging::{TAG_HEAD, TagHead};
use crate::autograd::Parameter;
use crate::error::{Error, Result};
use crate::formats::adapters::BANK;
use crate::formats::provenance::{Provenance, file_sha256, hex};
use crate::formats::safetensors::{self, Data, Entry, TensorFile};
use crate::formats::{hf, hypernet, peft};
use crate::io::{AtomicDir, LockFile, write_bytes};
use crate::kernels::storage::values;
use crate::model::ParameterSet;
use crate::records::TrainingRecord;
use crate::text::Convention;

pub(super) const STATE: &str = "state.json";
const OPTIMIZER: &str = "optimizer.safetensors";

/// The best validation so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    pub step: u64,
    pub metric: String,
    pub value: f64,
}

/// Everything beside weights and moments that an exact resume needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    pub schema: u32,
    pub step: u64,
    pub sampler: SamplerState,
    pub best: Option<Best>,
    /// The validations whose checkpoints are kept: value and step.
    #[serde(default)]
    pub kept_best: Vec<(f64, u64)>,
    /// Validations since the best one.
    pub bad_validations: u64,
    /// The step of the last validation.
    #[serde(default)]
    pub last_validated: u64,
    /// Training time before this start, validation included.
    pub elapsed_s: f64,
    pub tokens_seen: u64,
    pub settings: Settings,
    /// Fingerprint of the tokenized training text.
    pub data_sha256: String,
    /// Fingerprint of the tokenized held-out text.
    #[serde(default)]
    pub valid_sha256: Option<String>,
    /// Fingerprint of the weights the run started from.
    pub base_sha256: String,
    /// Fingerprint of the model's configuration in training.
    #[serde(default)]
    pub config_sha256: Option<String>,
    /// Fingerprint of the neuron masks.
    #[serde(default)]
    pub masks_sha256: Option<String>,
    /// Fingerprint of what a method trains, in its first state.
    #[serde(default, alias = "lora_sha256")]
    pub method_sha256: Option<String>,
    /// Why the run ended, when it has.
    pub finished: Option<String>,
}

/// A run directory held by this process.
pub struct RunDir {
    path: PathBuf,
    log: fs::File,
    _lock: LockFile,
}

impl RunDir {
    /// Opens or creates the directory and locks it.
    pub fn open(path: &Path) -> Result<Self> {
        let checkpoints = path.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(|e| Error::io("create directory", path, e))?;
        let lock = LockFile::acquire(&path.join("lock"))?;
        // What a killed process was writing.
        if let Ok(entries) = fs::read_dir(&checkpoints) {
            for entry in entries.flatten() {
                if entry.file_name().to_string_lossy().starts_with(".isogloss-") {
                    let _ = fs::remove_dir_all(entry.path());
                }
            }
        }
        let log_path = path.join("log.jsonl");
        mend_log(&log_path)?;
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(|e| Error::io("write", &log_path, e))?;
        Ok(Self { path: path.to_path_buf(), log, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a record to the log.
    pub fn log(&mut self, record: &TrainingRecord) -> Result<()> {
        let mut line = serde_json::to_string(record)
            .map_err(|e| Error::bug("cannot encode a record").cause(e.to_string()))?;
        line.push('\n');
        let path = self.path.join("log.jsonl");
        self.log.write_all(line.as_bytes()).map_err(|e| Error::io("write", &path, e))
    }

    pub fn checkpoint_name(step: u64) -> String {
        format!("step-{step:08}")
    }
    pub fn checkpoint_dir(&self, name: &str) -> PathBuf {
        self.path.join("checkpoints").join(name)
    }

    /// Writes a checkpoint, then moves `latest`. Returns its directory and weights' hash.
    pub fn save(
        &self,
        name: &str,
        content: &Content<'_>,
        optimizer: Option<&Adam>,
        state: Option<&RunState>,
        provenance: &Provenance,
    ) -> Result<(PathBuf, String)> {
        let target = self.checkpoint_dir(name);
        let dir = AtomicDir::create(&target)?;
        if let Some((source, set)) = content.model {
            write_model(dir.path(), source, set, provenance)?;
        }
        if let Some(method) = content.method {
            method.write(dir.path(), provenance)?;
        }
        if let Some(head) = content.tag_head {
            head.write(dir.path(), provenance)?;
        }
        if let (None, Some(convention)) = (content.model, content.convention) {
            keep_convention(convention, dir.path())?;
        }
        if let Some((file, name)) = content.carried {
            write_bytes(&dir.path().join(name), file)?;
        }
        let sha256 = weights_sha256(dir.path())?;
        if let Some(optimizer) = optimizer {
            let path = dir.path().join(OPTIMIZER);
            let model = content.model.into_iter().flat_map(|(_, set)| set.trainable());
            let method = content.method.into_iter().flat_map(TrainedParts::parameters);
            let head = content.tag_head.into_iter().flat_map(TagHead::trained);
            write_moments(&path, model.chain(method).chain(head), optimizer, provenance)?;
        }
        if let Some(state) = state {
            write_state(dir.path(), state)?;
        }
        dir.commit(true)?;
        if state.is_some() {
            write_bytes(&self.path.join("latest"), format!("{name}\n").as_bytes())?;
        }
        Ok((target, sha256))
    }

    /// Replaces the state of a checkpoint whose weights stand as they are.
    pub fn save_state(&self, name: &str, state: &RunState) -> Result<()> {
        write_state(&self.checkpoint_dir(name), state)
    }

    /// Renames checkpoints of steps beyond `step`, which `latest` no longer leads to: it was set
    /// back, or a crash came before it was moved. Returns their new names.
    pub fn set_aside_beyond(&self, step: u64) -> Result<Vec<String>> {
        let last = Self::checkpoint_name(step);
        let mut moved = Vec::new();
        for name in self.checkpoints()?.into_iter().filter(|n| *n > last) {
            let from = self.checkpoint_dir(&name);
            let new = (1..)
                .map(|n| format!("aside-{n}-{name}"))
                .find(|n| !self.checkpoint_dir(n).exists())
                .ok_or_else(|| Error::bug("no free name"))?;
            fs::rename(&from, self.checkpoint_dir(&new))
                .map_err(|e| Error::io("move aside", &from, e))?;
            moved.push(new);
        }
        Ok(moved)
    }

    /// Points `best` at a checkpoint.
    pub fn set_best(&self, name: &str, best: &Best) -> Result<()> {
        let text = format!("{name} {} {}\n", best.metric, best.value);
        write_bytes(&self.path.join("best"), text.as_bytes())
    }

    /// Removes all checkpoints but the last `keep` that `counts` and those in `protected`.
    pub fn prune(
        &self,
        keep: usize,
        counts: impl Fn(&str) -> bool,
        protected: &[String],
    ) -> Result<()> {
        let names = self.checkpoints()?;
        let counted: Vec<&String> = names.iter().filter(|n| counts(n)).collect();
        let kept = &counted[counted.len().saturating_sub(keep.max(1))..];
        for name in names.iter().filter(|n| !kept.contains(n) && !protected.contains(n)) {
            let dir = self.checkpoint_dir(name);
            // Under its name a checkpoint is complete; half removed it has another one.
            let doomed = self.checkpoint_dir(&format!(".isogloss-old-{name}"));
            fs::rename(&dir, &doomed)
                .and_then(|()| fs::remove_dir_all(&doomed))
                .map_err(|e| Error::io("remove", &dir, e))?;
        }
        Ok(())
    }

    /// Names of complete checkpoints, oldest first.
    pub fn checkpoints(&self) -> Result<Vec<String>> {
        let dir = self.path.join("checkpoints");
        let mut names: Vec<String> = fs::read_dir(&dir)
            .map_err(|e| Error::io("read", &dir, e))?
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|n| n.starts_with("step-"))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Size of all files of a checkpoint.
    pub fn size_bytes(dir: &Path) -> u64 {
        files(dir).iter().filter_map(|p| fs::metadata(p).ok()).map(|m| m.len()).sum()
    }
}

/// A process killed while writing leaves half a line; it is cut off.
fn mend_log(path: &Path) -> Result<()> {
    let Ok(bytes) = fs::read(path) else { return Ok(()) };
    let end = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
    if end < bytes.len() {
        let file = fs::OpenOptions::new()
            .write(true)
            .open(path)
            .map_err(|e| Error::io("write", path, e))?;
        file.set_len(end as u64).map_err(|e| Error::io("write", path, e))?;
    }
    Ok(())
}

/// The checkpoint that `latest` of a run directory names, if it has one.
///
/// # Errors
/// Artifact: it names one that is not there.
pub fn latest_checkpoint(run: &Path) -> Result<Option<PathBuf>> {
    let pointer = run.join("latest");
    if !pointer.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(&pointer).map_err(|e| Error::io("read", &pointer, e))?;
    let dir = run.join("checkpoints").join(text.split_whitespace().next().unwrap_or(""));
    if !dir.join(STATE).is_file() {
        return Err(Error::artifact("run names a checkpoint that is not there")
            .at(&pointer)
            .found(text.trim().to_string())
            .hint("write the name of an existing checkpoint into `latest`"));
    }
    Ok(Some(dir))
}

/// What a checkpoint holds.
pub struct Content<'a> {
    /// The model, if any of it is trained; else it stays where it is.
    pub model: Option<(&'a ModelSource<'a>, &'a ParameterSet)>,
    pub method: Option<&'a dyn TrainedParts>,
    pub tag_head: Option<&'a TagHead>,
    /// Where marks stand, when the model does not say so itself.
    pub convention: Option<Convention>,
    /// A file under a name: the masks it is trained with.
    pub carried: Option<(&'a [u8], &'a str)>,
}

/// Files of a directory and those below, sorted.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

/// Fingerprint of a checkpoint's weights: of the model's file alone, or of all with their names.
pub(super) fn weights_sha256(dir: &Path) -> Result<String> {
    let is_weights = |p: &&PathBuf| {
        let name = p.file_name().unwrap_or_default().to_string_lossy();
        [hf::WEIGHTS, peft::WEIGHTS, BANK, hypernet::WEIGHTS, TAG_HEAD].contains(&&*name)
    };
    let all = files(dir);
    let weights: Vec<&PathBuf> = all.iter().filter(is_weights).collect();
    if let [model] = weights[..]
        && model.ends_with(hf::WEIGHTS)
    {
        return file_sha256(model);
    }
    let mut hasher = Sha256::new();
    for path in weights {
        let name = path.strip_prefix(dir).unwrap_or(path).display().to_string();
        hasher.update(format!("{name} {}\n", file_sha256(path)?));
    }
    Ok(hex(&hasher.finalize()))
}

fn read_count(file: &TensorFile, name: &str) -> Result<u64> {
    let view = file.view(name)?;
    let bytes: Option<[u8; 8]> = view.data().try_into().ok();
    bytes.map(u64::from_le_bytes).ok_or_else(|| {
        Error::artifact("not a count").at(file.path()).tensor(name).expected("U64 [1]")
    })
}

fn write_moments<'a>(
    path: &Path,
    trained: impl Iterator<Item = &'a Parameter>,
    optimizer: &Adam,
    provenance: &Provenance,
) -> Result<()> {
    let trained: Vec<(&Parameter, &Moments)> =
        trained.filter_map(|p| Some((p, optimizer.moments(p.slot?)))).collect();
    let mut held = Vec::with_capacity(2 * trained.len());
    for (p, m) in &trained {
        for (kind, tensor) in [("exp_avg", &m.first), ("exp_avg_sq", &m.second)] {
            held.push((format!("{}.{kind}", p.name), tensor.dims(), values(tensor)?));
        }
    }
    let mut entries: BTreeMap<String, Entry<'_>> = BTreeMap::new();
    for (p, m) in &trained {
        // Nearly always all parameters have had every update.
        if m.step != optimizer.step() {
            let data = Data::U64(std::slice::from_ref(&m.step));
            entries.insert(format!("{}.step", p.name), Entry { shape: vec![1], data });
        }
    }
    for (name, dims, data) in &held {
        let entry = Entry { shape: dims.to_vec(), data: Data::F32(data) };
        entries.insert(name.clone(), entry);
    }
    let mut metadata = provenance.metadata("optimizer");
    metadata.insert("step".into(), optimizer.step().to_string());
    safetensors::write(path, &entries, &metadata, true)
}

/// Reads the moments of a checkpoint back.
pub fn read_moments<'a>(
    dir: &Path,
    settings: AdamSettings,
    trainable: impl Iterator<Item = &'a Parameter>,
) -> Result<Adam> {
    let file = TensorFile::open(&dir.join(OPTIMIZER))?;
    let step = file
        .metadata()
        .get("step")
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| Error::artifact("optimizer state has no step").at(file.path()))?;
    let moments = trainable
        .map(|p| {
            let read = |kind| -> Result<Tensor> {
                let v = file.f32_values(&format!("{}.{kind}", p.name), Some(p.tensor.dims()))?;
                Ok(Tensor::from_vec(v, p.tensor.shape(), p.tensor.device())?)
            };
            let own = format!("{}.step", p.name);
            let own = match file.contains(&own) {
                true => read_count(&file, &own)?,
                false => step,
            };
            Ok(Moments { first: read("exp_avg")?, second: read("exp_avg_sq")?, step: own })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Adam::restored(settings, moments, step))
}

fn write_state(dir: &Path, state: &RunState) -> Result<()> {
    let text = serde_json::to_vec_pretty(state)
        .map_err(|e| Error::bug("cannot encode the run state").cause(e.to_string()))?;
    write_bytes(&dir.join(STATE), &text)
}

/// Reads the state of a checkpoint.
pub fn read_state(dir: &Path) -> Result<RunState> {
    let path = dir.join(STATE);
    let state: RunState = hf::read_json(&path)?;
    if state.schema != 1 {
        return Err(Error::artifact("run state is of another version")
            .at(&path)
            .key("schema")
            .found(state.schema.to_string())
            .expected("1"));
    }
    Ok(state)
}
