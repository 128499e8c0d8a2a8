//! The weights of a model by name, with their gradient slots.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::checkpoint::{Checkpoint, parameter_shapes};
use super::config::ModelConfig;
use crate::autograd::Parameter;
use crate::error::{Error, Result};

/// All parameters, sorted by name. Trainable ones have gradient slots in that order.
#[derive(Clone, Debug)]
pub struct ParameterSet {
    parameters: BTreeMap<String, Parameter>,
}

impl ParameterSet {
    /// Reads all weights as f32. `trainable` decides by name.
    pub fn load(checkpoint: &Checkpoint, trainable: impl Fn(&str) -> bool) -> Result<Self> {
        Self::from_values(&checkpoint.config, trainable, |name, shape| {
            checkpoint.values(name, shape)
        })
    }

    /// Values of all parameters of such a model.
    pub fn count(config: &ModelConfig) -> usize {
        parameter_shapes(config).values().map(|s| s.iter().product::<usize>()).sum()
    }

    /// Weights from anywhere, by name and shape.
    pub fn from_values(
        config: &ModelConfig,
        trainable: impl Fn(&str) -> bool,
        mut values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let mut parameters = BTreeMap::new();
        let mut slots = 0..;
        for (name, shape) in parameter_shapes(config) {
            let tensor = Tensor::from_vec(values(&name, &shape)?, shape, &Device::Cpu)?;
            let slot = if trainable(&name) { slots.next() } else { None };
            let parameter = Parameter { name: Arc::from(name.as_str()), tensor, slot };
            parameters.insert(name, parameter);
        }
        Ok(Self { parameters })
    }

    pub fn get(&self, name: &str) -> Result<&Parameter> {
        self.parameters
            .get(name)
            .ok_or_else(|| Error::bug(format!("model has no parameter `{name}`")))
    }
    /// In name order.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.values()
    }
    /// In name order, which is slot order.
    pub fn trainable(&self) -> impl Iterator<Item = &Parameter> {
        self.iter().filter(|p| p.is_trainable())
    }
    pub fn num_values(&self) -> usize {
        self.iter().map(|p| p.tensor.elem_count()).sum()
    }
}
