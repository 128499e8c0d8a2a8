//! Training of a hyper-network: all of it, or the vectors of new languages alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candle_core::Tensor;

use super::parts::{Mean, TrainedParts};
use super::task::{Task, TaskLane};
use crate::autograd::{Gradients, Parameter, Tape};
use crate::error::{Error, Result};
use crate::formats::provenance::Provenance;
use crate::kernels::storage::values;
use crate::methods::hyper::HyperNetwork;
use crate::model::{DirectionParts, Noise};
use crate::text::Direction;

pub struct HyperTraining {
    network: HyperNetwork,
    /// Held-out text that the base model stands in for.
    without: BTreeSet<TaskLane>,
}

impl HyperTraining {
    /// Gives gradient slots from `first_slot` on to the parameters whose names `trained` accepts.
    pub fn new(
        mut network: HyperNetwork,
        trained: impl Fn(&str) -> bool,
        without: BTreeSet<TaskLane>,
        first_slot: usize,
    ) -> Self {
        let mut slots = first_slot..;
        for p in network.parameters_mut() {
            p.slot = if trained(&p.name) { slots.next() } else { None };
        }
        Self { network, without }
    }
}

/// Whether a gradient moves anything: text of weight 0 gives zeros.
fn is_moved(gradient: &Tensor) -> Result<bool> {
    Ok(values(gradient)?.iter().any(|g| *g != 0.0))
}

impl TrainedParts for HyperTraining {
    fn parameters(&self) -> Box<dyn Iterator<Item = &Parameter> + '_> {
        Box::new(self.network.parameters().filter(|p| p.is_trainable()))
    }

    fn parameters_mut(&mut self) -> Box<dyn Iterator<Item = &mut Parameter> + '_> {
        Box::new(self.network.parameters_mut())
    }

    fn add_parts(
        &self,
        tape: &Tape,
        noise: &Noise,
        task: Task,
        direction: &Direction,
        parts: &mut DirectionParts,
    ) -> Result<()> {
        if self.without.contains(&(task, direction.clone())) {
            return Ok(());
        }
        let langs = (direction.src_lang.as_str(), direction.tgt_lang.as_str());
        parts.add(self.network.parts_for(tape, noise, task.name(), langs, task.sides())?);
        Ok(())
    }

    /// Counts the updates of each vector, and remembers which sides had any: what had none is never
    /// used in silence.
    fn end_step(&mut self, gradients: &Gradients, lanes: &BTreeSet<TaskLane>) -> Result<()> {
        if let Some(trained) = &mut self.network.config.trained_sides {
            let own = lanes.iter().filter(|lane| !self.without.contains(lane));
            trained.extend(own.flat_map(|(task, _)| task.sides()));
        }
        let mut updated = Vec::new();
        for p in self.network.parameters() {
            let (Some(key), Some(slot)) = (p.name.strip_prefix("embedding."), p.slot) else {
                continue;
            };
            if gradients.get(slot).map(is_moved).transpose()? == Some(true) {
                updated.push(key.to_string());
            }
        }
        for key in updated {
            if let Some(row) = self.network.config.rows.get_mut(&key) {
                row.updates += 1;
            }
        }
        Ok(())
    }

    fn write(&self, dir: &Path, provenance: &Provenance) -> Result<()> {
        self.network.write(dir, provenance)
    }

    fn restore(&mut self, dir: &Path) -> Result<()> {
        let from = HyperNetwork::read(dir)?;
        let taken = self.network.take_from(&from)?;
        if taken == self.network.parameters().count() {
            return Ok(());
        }
        Err(Error::artifact("the hyper-network is not the one that was being trained").at(dir))
    }

    fn average(&mut self, dirs: &[PathBuf]) -> Result<()> {
        let mut mean = Mean::of(dirs.len());
        for dir in dirs {
            for p in HyperNetwork::read(dir)?.parameters() {
                mean.add(&p.name, &values(&p.tensor)?);
            }
        }
        mean.store(self.network.parameters().filter(|p| p.is_trainable()))
    }
}
