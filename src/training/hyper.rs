//! Training of a hyper-network: all of it, or the vectors of new languages alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::parts::{Mean, TrainedParts};
use super::task::Task;
use crate::autograd::{Gradients, Parameter, Tape};
use crate::error::{Error, Result};
use crate::formats::neurons::Side;
use crate::formats::provenance::Provenance;
use crate::kernels::storage::values;
use crate::methods::hyper::HyperNetwork;
use crate::model::{DirectionParts, Noise};
use crate::text::Direction;

pub struct HyperTraining {
    network: HyperNetwork,
    /// Directions of held-out text that the base model stands in for.
    without: BTreeSet<Direction>,
}

impl HyperTraining {
    /// Gives gradient slots from `first_slot` on to the parameters whose names `trained` accepts.
    pub fn new(
        mut network: HyperNetwork,
        trained: impl Fn(&str) -> bool,
        without: BTreeSet<Direction>,
        first_slot: usize,
    ) -> Self {
        let mut slots = first_slot..;
        for p in network.parameters_mut() {
            p.slot = if trained(&p.name) { slots.next() } else { None };
        }
        Self { network, without }
    }
}

/// The sides a task runs.
fn sides(task: Task) -> &'static [Side] {
    match task {
        Task::Translation | Task::Denoising => &Side::BOTH,
        Task::Tagging => &[Side::Encoder],
    }
}

impl TrainedParts for HyperTraining {
    fn parameters(&self) -> Box<dyn Iterator<Item = &Parameter> + '_> {
        Box::new(self.network.parameters().filter(|p| p.is_trainable()))
    }

    fn add_parts(
        &self,
        tape: &Tape,
        noise: &Noise,
        task: Task,
        direction: &Direction,
        parts: &mut DirectionParts,
    ) -> Result<()> {
        if self.without.contains(direction) {
            return Ok(());
        }
        let langs = (direction.src_lang.as_str(), direction.tgt_lang.as_str());
        parts.add(self.network.parts_for(tape, noise, task.name(), langs, sides(task))?);
        Ok(())
    }

    /// Counts the updates of each vector: one without any is never used in silence.
    fn end_step(&mut self, gradients: &Gradients) -> Result<()> {
        let updated: Vec<String> = self
            .network
            .parameters()
            .filter(|p| p.slot.is_some_and(|s| gradients.get(s).is_some()))
            .filter_map(|p| p.name.strip_prefix("embedding.").map(str::to_string))
            .collect();
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
        if taken != self.network.parameters().count() {
            return Err(
                Error::artifact("the hyper-network is not the one that was being trained").at(dir)
            );
        }
        self.network.config.rows = from.config.rows;
        Ok(())
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
