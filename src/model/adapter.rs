//! The bottleneck adapter, forward: one small module for stored and generated weights alike.

use candle_core::{DType, Tensor};

use super::seam::{BottleneckAdapter, NormPlace};
use crate::autograd::{Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::dropout::Dropout;

impl BottleneckAdapter {
    /// `[tokens, d_model]` from `x` of the same shape (hyper-adapters, section 4; Hyper-X,
    /// section 4).
    ///
    /// # Errors
    /// A bug: an adapter of another model.
    pub fn forward(&self, tape: &Tape, x: &Value) -> Result<Value> {
        let normed = match self.norm {
            NormPlace::Before => &self.normalise(tape, x)?,
            NormPlace::None | NormPlace::After => x,
        };
        let inner = tape.linear(normed, &self.down, Some(&self.down_bias), true)?;
        let mut added = tape.linear(&inner, &self.up, Some(&self.up_bias), false)?;
        if self.norm == NormPlace::After {
            added = self.normalise(tape, &added)?;
        }
        if added.tensor().dims() != x.tensor().dims() {
            return Err(Error::bug("adapter and layer are of different widths"));
        }
        tape.residual(x, &added, Dropout::NONE)
    }

    fn normalise(&self, tape: &Tape, x: &Value) -> Result<Value> {
        match &self.affine {
            Some((scale, shift)) => tape.layer_norm(x, scale, shift),
            None => {
                let width = x.tensor().dims().last().copied().unwrap_or(0);
                let device = x.tensor().device();
                let one = Tensor::ones(width, DType::F32, device)?;
                let zero = Tensor::zeros(width, DType::F32, device)?;
                tape.layer_norm(x, &Value::constant(one), &Value::constant(zero))
            }
        }
    }
}
