//! The weights of a model by name, with their gradient slots.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::checkpoint::{Checkpoint, parameter_shapes};
use super::config::ModelConfig;
use crate::autograd::{Parameter, composed};
use crate::error::{Error, Result};
use crate::kernels::weights::{narrowed, widened};

/// How matrices that are not trained are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrozenType {
    #[default]
    F32,
    Bf16,
}

impl FrozenType {
    /// Of a parameter of this shape.
    pub fn of(self, shape: &[usize], is_trained: bool) -> DType {
        match self {
            Self::Bf16 if shape.len() > 1 && !is_trained => DType::BF16,
            _ => DType::F32,
        }
    }
}

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

    /// Reads all weights to be trained on. With [`FrozenType::Bf16`] the matrices that are not
    /// trained are kept in bf16; what is trained is its own f32 master copy, and vectors are
    /// always f32.
    pub fn read(
        config: &ModelConfig,
        checkpoint: &Checkpoint,
        trainable: impl Fn(&str) -> bool,
        frozen: FrozenType,
    ) -> Result<Self> {
        Self::from_tensors(config, trainable, |name, shape, is_trained| {
            Ok(match frozen.of(shape, is_trained) {
                DType::BF16 => {
                    Tensor::from_vec(checkpoint.bf16_values(name, shape)?, shape, &Device::Cpu)?
                }
                _ => Tensor::from_vec(checkpoint.values(name, shape)?, shape, &Device::Cpu)?,
            })
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
        Self::from_tensors(config, trainable, |name, shape, _| {
            Ok(Tensor::from_vec(values(name, shape)?, shape, &Device::Cpu)?)
        })
    }

    /// `tensor` is also told whether the parameter is trained.
    fn from_tensors(
        config: &ModelConfig,
        trainable: impl Fn(&str) -> bool,
        mut tensor: impl FnMut(&str, &[usize], bool) -> Result<Tensor>,
    ) -> Result<Self> {
        let mut parameters = BTreeMap::new();
        let mut slots = 0..;
        for (name, shape) in parameter_shapes(config) {
            let slot = if trainable(&name) { slots.next() } else { None };
            let tensor = tensor(&name, &shape, slot.is_some())?;
            let parameter = Parameter { name: Arc::from(name.as_str()), tensor, slot };
            parameters.insert(name, parameter);
        }
        Ok(Self { parameters })
    }

    /// The same with the matrices that are not trained kept in this type.
    pub fn kept_in(mut self, frozen: FrozenType) -> Result<Self> {
        for p in self.parameters.values_mut() {
            let dims = p.tensor.dims().to_vec();
            if frozen.of(&dims, p.is_trainable()) == DType::BF16 {
                let narrow = narrowed(&widened(&p.tensor)?, &dims)?;
                p.tensor = narrow;
            }
        }
        Ok(self)
    }

    /// Brings all of them to a device, and makes it ready for products of factors that are rounded to
    /// bf16 or not.
    pub fn move_to(&mut self, device: &Device, in_bf16: bool) -> Result<()> {
        composed::set_precision(in_bf16);
        self.parameters.values_mut().try_for_each(|p| p.move_to(device))
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
