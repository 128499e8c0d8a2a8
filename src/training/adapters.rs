//! Training of stored adapters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::parts::{Mean, TrainedParts, number, uses_of};
use super::task::{Task, TaskLane};
use crate::autograd::{Parameter, Tape};
use crate::error::{Error, Result};
use crate::formats::adapters::{AdapterDir, AdapterWriter, Layout};
use crate::formats::provenance::Provenance;
use crate::kernels::storage::values;
use crate::methods::adapters::AdapterSet;
use crate::methods::{SetUse, UnknownLanguage};
use crate::model::{DirectionParts, ModelConfig, Noise};
use crate::text::Direction;

pub struct AdapterTraining {
    set: AdapterSet,
    depth: (usize, usize),
    base_model: String,
    uses: BTreeMap<TaskLane, SetUse>,
}

impl AdapterTraining {
    /// Gives all parameters gradient slots from `first_slot` on. `lanes` come with what to do where
    /// they have no adapter. `base_model` is the model's name.
    pub fn new(
        mut set: AdapterSet,
        lanes: impl Iterator<Item = (TaskLane, UnknownLanguage)>,
        model: &ModelConfig,
        base_model: String,
        first_slot: usize,
    ) -> Result<Self> {
        let mut uses = BTreeMap::new();
        for ((task, d), unknown) in lanes {
            let used = uses_of(&set.config.placement, "adapter", (task, &d), unknown)?;
            uses.insert((task, d), used);
        }
        number(set.parameters_mut(), first_slot);
        let depth = (model.encoder_layers, model.decoder_layers);
        Ok(Self { set, depth, base_model, uses })
    }

    fn read(&self, dir: &Path) -> Result<AdapterSet> {
        let dir = AdapterDir::open(dir, self.set.config.d_model, self.depth.0, self.depth.1)?;
        AdapterSet::from_dir(&dir)
    }
}

impl TrainedParts for AdapterTraining {
    fn parameters(&self) -> Box<dyn Iterator<Item = &Parameter> + '_> {
        Box::new(self.set.parameters())
    }

    fn parameters_mut(&mut self) -> Box<dyn Iterator<Item = &mut Parameter> + '_> {
        Box::new(self.set.parameters_mut())
    }

    fn add_parts(
        &self,
        _tape: &Tape,
        _noise: &Noise,
        task: Task,
        direction: &Direction,
        parts: &mut DirectionParts,
    ) -> Result<()> {
        let used = self.uses.get(&(task, direction.clone())).ok_or_else(|| {
            Error::bug(format!("no adapters were chosen for direction {direction}"))
        })?;
        parts.add(self.set.parts(used)?);
        Ok(())
    }

    fn write(&self, dir: &Path, provenance: &Provenance) -> Result<()> {
        let shapes = self.set.shapes();
        let config = &self.set.config;
        let mut writer = AdapterWriter::create(
            dir,
            config,
            Layout::Bank,
            &shapes,
            &self.base_model,
            provenance,
        )?;
        for of in self.set.adapters.values() {
            for module in of.values() {
                writer.push(&module.weights()?)?;
            }
        }
        writer.finish()
    }

    fn restore(&mut self, dir: &Path) -> Result<()> {
        let taken = self.set.take_from(&self.read(dir)?)?;
        if taken == self.set.parameters().count() {
            return Ok(());
        }
        Err(Error::artifact("the adapters are not those that were being trained").at(dir))
    }

    fn average(&mut self, dirs: &[PathBuf]) -> Result<()> {
        let mut mean = Mean::of(dirs.len());
        for dir in dirs {
            for p in self.read(dir)?.parameters() {
                mean.add(&p.name, &values(&p.tensor)?);
            }
        }
        mean.store(self.set.parameters())
    }
}
