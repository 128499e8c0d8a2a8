//! Adam and AdamW with visible state: moments can be saved, read back and compared.

use serde::{Deserialize, Serialize};

use crate::autograd::{Gradients, Parameter};
use crate::error::{Error, Result};
use crate::kernels::adam;
use crate::kernels::storage::{change, values};

/// What does not change from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamSettings {
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub weight_decay: f64,
    /// AdamW: decay acts on the weights, not through the gradient.
    pub decoupled: bool,
}

/// First and second moments of one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    pub first: Vec<f32>,
    pub second: Vec<f32>,
    /// Updates the parameter has had: as in PyTorch, one without a gradient is passed over, and
    /// the bias of its moments is corrected by its own count. Parts of a language rest while
    /// others train.
    pub step: u64,
}

/// Optimizer state for all trainable parameters, in slot order.
pub struct Adam {
    settings: AdamSettings,
    moments: Vec<Moments>,
    /// Updates made so far.
    step: u64,
}

impl Adam {
    pub fn new<'a>(
        settings: AdamSettings,
        trainable: impl IntoIterator<Item = &'a Parameter>,
    ) -> Self {
        let moments = trainable
            .into_iter()
            .map(|p| {
                let n = p.tensor.elem_count();
                Moments { first: vec![0.0; n], second: vec![0.0; n], step: 0 }
            })
            .collect();
        Self { settings, moments, step: 0 }
    }

    /// State read back from a checkpoint; moments in slot order.
    pub fn restored(settings: AdamSettings, moments: Vec<Moments>, step: u64) -> Self {
        Self { settings, moments, step }
    }
    pub fn step(&self) -> u64 {
        self.step
    }
    pub fn moments(&self, slot: usize) -> &Moments {
        &self.moments[slot]
    }

    /// The norm of all gradients together, before scaling.
    pub fn gradient_norm(gradients: &Gradients) -> Result<f64> {
        let mut sum = 0.0;
        for slot in 0..gradients.len() {
            if let Some(g) = gradients.get(slot) {
                sum += adam::sum_of_squares(&values(g)?);
            }
        }
        Ok(sum.sqrt())
    }

    /// One update of every parameter that has a gradient; gradients are multiplied by
    /// `grad_scale` first.
    pub fn update<'a>(
        &mut self,
        trainable: impl IntoIterator<Item = &'a Parameter>,
        gradients: &Gradients,
        lr: f64,
        grad_scale: f64,
    ) -> Result<()> {
        self.step += 1;
        let s = &self.settings;
        let settings = adam::Step {
            lr: lr as f32,
            beta1: s.beta1 as f32,
            beta2: s.beta2 as f32,
            eps: s.eps as f32,
            weight_decay: s.weight_decay as f32,
            decoupled: s.decoupled,
            grad_scale: grad_scale as f32,
            step: 0,
        };
        for p in trainable {
            let slot = p.slot.ok_or_else(|| Error::bug("update of a frozen parameter"))?;
            if let Some(g) = gradients.get(slot) {
                let g = values(g)?;
                let m = &mut self.moments[slot];
                m.step += 1;
                let step = adam::Step { step: m.step, ..settings };
                change(&p.tensor, |w| {
                    adam::update(w, &mut m.first, &mut m.second, &g, &step);
                })?;
            }
        }
        Ok(())
    }
}
