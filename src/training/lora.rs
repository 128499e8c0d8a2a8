//! Training of a set of LoRA beside a frozen model: its parameters, what it does to a direction,
//! gradual pruning, and its files in a checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::parts::{Mean, TrainedParts, uses_of};
use super::task::{Task, TaskLane};
use crate::autograd::{Gradients, Parameter, Tape};
use crate::error::{Error, Result};
use crate::formats::lora::LoraFiles;
use crate::formats::peft::Shapes;
use crate::formats::provenance::Provenance;
use crate::formats::safetensors::{self, Data, Entry, TensorFile};
use crate::io::write_bytes;
use crate::kernels::storage::{change, values};
use crate::methods::lora::{Gates, LoraSet, PruneMasks, Pruning};
use crate::methods::{SetUse, UnknownLanguage};
use crate::model::{DirectionParts, Noise};
use crate::records::{LoraPlacement, LoraPrune, TrainingRecord};
use crate::text::Direction;

/// Beside the adapters in a checkpoint: logits of weight learning, masks of pruning.
const STATE: &str = "lora_state.safetensors";
/// What weight learning has found, in the run's own directory when it has ended.
pub const LEARNED: &str = "learned_placement.json";

pub struct LoraTraining {
    pub set: LoraSet,
    pub gates: Option<Gates>,
    pub pruning: Option<Pruning>,
    pub masks: PruneMasks,
    shapes: Shapes,
    base_model: String,
    uses: BTreeMap<TaskLane, SetUse>,
}

impl LoraTraining {
    /// Gives all parameters gradient slots from `first_slot` on. `lanes` come with what to do where
    /// they have no LoRA. `base_model` is the model's name.
    pub fn new(
        mut set: LoraSet,
        mut gates: Option<Gates>,
        pruning: Option<Pruning>,
        lanes: impl Iterator<Item = (TaskLane, UnknownLanguage)>,
        (shapes, base_model): (Shapes, String),
        first_slot: usize,
    ) -> Result<Self> {
        let mut slots = first_slot..;
        let mut uses = BTreeMap::new();
        for ((task, d), unknown) in lanes {
            let used = uses_of(&set.placement, "LoRA", (task, &d), unknown)?;
            uses.insert((task, d), used);
        }
        let logits = gates.iter_mut().flat_map(|g| g.logits.values_mut());
        for p in set.parameters_mut().chain(logits) {
            p.slot = slots.next();
        }
        let masks = PruneMasks::default();
        Ok(Self { set, gates, pruning, masks, shapes, base_model, uses })
    }

    /// All trained parameters in slot order.
    fn trained(&self) -> impl Iterator<Item = &Parameter> {
        self.set.parameters().chain(self.gates.iter().flat_map(|g| g.logits.values()))
    }

    fn read_set(&self, dir: &Path) -> Result<LoraSet> {
        let files = LoraFiles::read(dir, &self.shapes)?;
        LoraSet::from_files(&files, &self.shapes)
    }

    fn read_gates(
        &self,
        dir: &Path,
        mut take: impl FnMut(&Parameter, Vec<f32>) -> Result<()>,
    ) -> Result<()> {
        let Some(gates) = &self.gates else { return Ok(()) };
        let file = TensorFile::open(&dir.join(STATE))?;
        for p in gates.logits.values() {
            take(p, file.f32_values(&p.name, Some(&[2]))?)?;
        }
        Ok(())
    }

    /// What weight learning has found, one record a gate.
    fn placement_records(&self, step: u64) -> Result<Vec<TrainingRecord>> {
        let Some(gates) = &self.gates else { return Ok(Vec::new()) };
        let weights = gates.weights(&Tape::disabled())?;
        weights
            .iter()
            .map(|(key, w)| {
                let w = values(w.tensor())?;
                let mut parts = key.splitn(3, '.');
                let side = parts.next().unwrap_or_default().to_string();
                let layer = parts.next().and_then(|l| l.parse().ok()).unwrap_or_default();
                let round = |v: f32| (f64::from(v) * 1e6).round() / 1e6;
                Ok(TrainingRecord::LoraPlacement(LoraPlacement {
                    step,
                    side,
                    layer,
                    module: parts.next().map(str::to_string),
                    index: if w[1] > w[0] { "target" } else { "source" }.to_string(),
                    weight_source: round(w[0]),
                    weight_target: round(w[1]),
                }))
            })
            .collect()
    }
}

impl TrainedParts for LoraTraining {
    fn parameters(&self) -> Box<dyn Iterator<Item = &Parameter> + '_> {
        Box::new(self.trained())
    }

    fn parameters_mut(&mut self) -> Box<dyn Iterator<Item = &mut Parameter> + '_> {
        Box::new(
            self.set
                .parameters_mut()
                .chain(self.gates.iter_mut().flat_map(|g| g.logits.values_mut())),
        )
    }

    fn add_parts(
        &self,
        tape: &Tape,
        _noise: &Noise,
        task: Task,
        direction: &Direction,
        parts: &mut DirectionParts,
    ) -> Result<()> {
        let used = self
            .uses
            .get(&(task, direction.clone()))
            .ok_or_else(|| Error::bug(format!("no LoRA was chosen for direction {direction}")))?;
        let weights = self.gates.as_ref().map(|g| g.weights(tape)).transpose()?;
        let own = self.set.parts(used, &|side, layer, module| {
            self.gates.as_ref()?.of(weights.as_ref()?, side, layer, module).cloned()
        });
        parts.add(own);
        Ok(())
    }

    /// Prunes when a period begins with update `step`; says what is gone then.
    fn begin_step(&mut self, step: u64) -> Result<Option<LoraPrune>> {
        let Some(p) = self.pruning else { return Ok(None) };
        if !p.schedule.begins(step) {
            return Ok(None);
        }
        let period = p.schedule.period(step);
        let Some(ratio) = p.schedule.ratio(period) else { return Ok(None) };
        self.masks.prune(&self.set, ratio, p.pool, p.what, p.unit)?;
        self.masks.apply(&self.set)?;
        let pruned = self.masks.count(&self.set, p.what, p.unit);
        let (gone, total) = pruned.total();
        Ok(Some(LoraPrune {
            step,
            period,
            ratio,
            unit: p.unit.name().into(),
            pruned: gone,
            total,
            by_adapter: pruned
                .by_adapter
                .into_iter()
                .map(|(name, (gone, all))| (name, gone as f64 / all.max(1) as f64))
                .collect(),
        }))
    }

    /// Pruned entries get no gradient, so that they count neither in its norm nor in the moments.
    fn mask_gradients(&self, gradients: &mut Gradients) -> Result<()> {
        self.masks.apply_to_gradients(&self.set, gradients)
    }

    /// Pruned entries stay zero, whatever the optimizer's momentum did to them.
    fn end_step(&mut self, gradients: &Gradients, _lanes: &BTreeSet<TaskLane>) -> Result<()> {
        self.masks.apply_where_trained(&self.set, gradients)
    }

    /// Writes adapters and placement, and what a resumed run needs beside them.
    fn write(&self, dir: &Path, provenance: &Provenance) -> Result<()> {
        let mut files = self.set.to_files(&self.shapes, &self.base_model)?;
        if let Some(gates) = &self.gates {
            files.placement = gates.place(&files.placement)?;
        }
        files.write(dir, &self.shapes, provenance)?;
        let logits = self.gates.iter().flat_map(|g| g.logits.values());
        let logits: Vec<(String, Vec<f32>)> = logits
            .map(|p| Ok((p.name.to_string(), values(&p.tensor)?.to_vec())))
            .collect::<Result<_>>()?;
        let masks: Vec<(String, Vec<u8>)> = self
            .masks
            .kept
            .iter()
            .map(|(name, kept)| {
                (format!("{name}.kept"), kept.iter().map(|k| u8::from(*k)).collect())
            })
            .collect();
        let mut entries: BTreeMap<String, Entry<'_>> = BTreeMap::new();
        for (name, v) in &logits {
            entries.insert(name.clone(), Entry { shape: vec![v.len()], data: Data::F32(v) });
        }
        for (name, v) in &masks {
            entries.insert(name.clone(), Entry { shape: vec![v.len()], data: Data::U8(v) });
        }
        if entries.is_empty() {
            return Ok(());
        }
        safetensors::write(&dir.join(STATE), &entries, &provenance.metadata("lora_state"), true)
    }

    /// Takes the values of a checkpoint of this run.
    fn restore(&mut self, dir: &Path) -> Result<()> {
        self.set.copy_values(&self.read_set(dir)?).map_err(|e| e.at(dir))?;
        self.read_gates(dir, |p, v| change(&p.tensor, |t| t.copy_from_slice(&v)))?;
        let path = dir.join(STATE);
        self.masks = PruneMasks::default();
        if path.is_file() {
            let file = TensorFile::open(&path)?;
            for name in file.names() {
                if let Some(own) = name.strip_suffix(".kept") {
                    let kept = file.view(&name)?.data().iter().map(|b| *b != 0).collect();
                    self.masks.kept.insert(own.to_string(), kept);
                }
            }
            self.masks.check(&self.set).map_err(|e| e.at(&path))?;
        }
        Ok(())
    }

    /// What is pruned now stays pruned.
    fn average(&mut self, dirs: &[PathBuf]) -> Result<()> {
        let mut mean = Mean::of(dirs.len());
        for dir in dirs {
            for p in self.read_set(dir)?.parameters() {
                mean.add(&p.name, &values(&p.tensor)?);
            }
            self.read_gates(dir, |p, v| {
                mean.add(&p.name, &v);
                Ok(())
            })?;
        }
        mean.store(self.trained())?;
        self.masks.apply(&self.set)
    }

    /// Writes what weight learning has found where `--lora-placement` looks for it.
    fn finish(&self, run: &Path, step: u64) -> Result<Vec<TrainingRecord>> {
        let Some(gates) = &self.gates else { return Ok(Vec::new()) };
        let text = gates.place(&self.set.placement)?.to_text()?;
        write_bytes(&run.join(LEARNED), text.as_bytes())?;
        self.placement_records(step)
    }
}
