//! What a method trains beside a model, or with it: the trainer knows no more of a method than this.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::task::{Task, TaskLane};
use crate::autograd::{Gradients, Parameter, Tape};
use crate::error::{Error, Result};
use crate::formats::neurons::Side;
use crate::formats::placement::Placement;
use crate::formats::provenance::Provenance;
use crate::kernels::storage::change;
use crate::methods::{SetUse, UnknownLanguage};
use crate::model::{DirectionParts, Noise};
use crate::records::{LoraPrune, TrainingRecord};
use crate::text::Direction;

/// The parts of a method: their parameters, what they do to a direction, and their files in a
/// checkpoint.
pub trait TrainedParts {
    /// All trained parameters in slot order.
    fn parameters(&self) -> Box<dyn Iterator<Item = &Parameter> + '_>;

    /// All parameters, those that are not trained too.
    fn parameters_mut(&mut self) -> Box<dyn Iterator<Item = &mut Parameter> + '_>;

    /// Adds what the layers do differently to `parts`; operations that lead there go on `tape`.
    fn add_parts(
        &self,
        tape: &Tape,
        noise: &Noise,
        task: Task,
        direction: &Direction,
        parts: &mut DirectionParts,
    ) -> Result<()>;

    /// Before update `step`; says what was pruned, if anything was.
    fn begin_step(&mut self, _step: u64) -> Result<Option<LoraPrune>> {
        Ok(None)
    }
    /// Before the gradients are measured and used.
    fn mask_gradients(&self, _gradients: &mut Gradients) -> Result<()> {
        Ok(())
    }
    /// After the update, of batches of these lanes.
    fn end_step(&mut self, _gradients: &Gradients, _lanes: &BTreeSet<TaskLane>) -> Result<()> {
        Ok(())
    }

    /// Writes all that a checkpoint needs into `dir`, which exists.
    fn write(&self, dir: &Path, provenance: &Provenance) -> Result<()>;
    /// Takes the values of a checkpoint of this run.
    fn restore(&mut self, dir: &Path) -> Result<()>;
    /// Takes the mean of checkpoints' values.
    fn average(&mut self, dirs: &[PathBuf]) -> Result<()>;

    /// When the run has ended: files in its own directory, and records.
    fn finish(&self, _run: &Path, _step: u64) -> Result<Vec<TrainingRecord>> {
        Ok(Vec::new())
    }
}

/// The mean of several sets of parameters.
pub struct Mean {
    share: f64,
    sums: BTreeMap<String, Vec<f64>>,
}

impl Mean {
    pub fn of(sets: usize) -> Self {
        Self { share: 1.0 / sets.max(1) as f64, sums: BTreeMap::new() }
    }
    pub fn add(&mut self, name: &str, v: &[f32]) {
        let sum = self.sums.entry(name.to_string()).or_insert_with(|| vec![0.0; v.len()]);
        sum.iter_mut().zip(v).for_each(|(s, v)| *s += f64::from(*v));
    }
    /// Forgets what was added.
    pub fn clear(&mut self) {
        self.sums.clear();
    }
    /// Gives parameters the mean of what was added under their names.
    pub fn store<'a>(&self, parameters: impl Iterator<Item = &'a Parameter>) -> Result<()> {
        for p in parameters {
            let sum = self.sums.get(&*p.name).filter(|s| s.len() == p.tensor.elem_count());
            let sum = sum.ok_or_else(|| Error::bug(format!("no checkpoint has `{}`", p.name)))?;
            change(&p.tensor, |w| {
                w.iter_mut().zip(sum).for_each(|(w, s)| *w = (s * self.share) as f32);
            })?;
        }
        Ok(())
    }
}

/// What a task's text uses of a set: of the encoder alone, where the decoder takes no part.
pub fn uses_of(
    placement: &Placement,
    what: &str,
    (task, d): (Task, &Direction),
    unknown: UnknownLanguage,
) -> Result<SetUse> {
    match task.sides() {
        [Side::Encoder] => placement.choose_encoder(what, &d.src_lang, unknown),
        _ => placement.choose(what, &d.src_lang, &d.tgt_lang, unknown),
    }
}

/// What a method does to a direction, with the operations that lead there, to be measured.
pub fn add_recorded(
    method: &dyn TrainedParts,
    task: Task,
    direction: &Direction,
    parts: &mut DirectionParts,
) -> Result<()> {
    method.add_parts(&Tape::recording(), &Noise::none(), task, direction, parts)
}

/// Gives parameters gradient slots from `first` on, in this order.
pub fn number<'a>(parameters: impl Iterator<Item = &'a mut Parameter>, first: usize) {
    for (slot, p) in (first..).zip(parameters) {
        p.slot = Some(slot);
    }
}
