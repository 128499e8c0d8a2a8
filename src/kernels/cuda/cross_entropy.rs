//! Label-smoothed cross-entropy of blocks of logits.

use candle_core::{DType, Tensor};

use super::launch::{Call, THREADS, unwritten};
use crate::error::{Error, Result};
use crate::kernels::cross_entropy::LossSums;

/// The sums of the loss over blocks of rows; they stay on the device until asked for.
pub struct Losses {
    vocab: usize,
    smoothing: f32,
    bias: Option<Tensor>,
    /// With smoothing and without, `[2]` in f64.
    sums: Tensor,
}

impl Losses {
    /// `bias` `[vocab]` is added to the logits.
    pub fn new(vocab: usize, smoothing: f32, bias: Option<Tensor>, like: &Tensor) -> Result<Self> {
        Ok(Self { vocab, smoothing, bias, sums: Tensor::zeros(2, DType::F64, like.device())? })
    }

    /// Adds the losses of rows of logits `z` `[rows, vocab]`, where nobody else may hold them: with a
    /// scale they become the gradient for them, times it and `weights`. `labels` and `weights` `[rows]`.
    pub fn add(
        &self,
        z: &Tensor,
        labels: &Tensor,
        weights: &Tensor,
        scale: Option<f32>,
    ) -> Result<()> {
        let (rows, vocab) = z.dims2()?;
        if vocab != self.vocab || labels.elem_count() != rows || weights.elem_count() != rows {
            return Err(Error::bug(format!("{:?} labels of logits {:?}", labels.dims(), z.dims())));
        }
        let losses = unwritten((rows, 2), DType::F64, z)?;
        let call = Call::new("cross_entropy_f32", z)?.u32(vocab)?.f32(self.smoothing);
        let call = call.f32(scale.unwrap_or(0.0)).u32(usize::from(scale.is_some()))?;
        let call = call.values(weights)?.values(labels)?;
        let call = match &self.bias {
            Some(b) => call.values(b)?,
            None => call.no_values(),
        };
        let call = call.values(z)?.values(&losses)?;
        // SAFETY: the arguments are the kernel's; labels are tokens of the vocabulary, as whoever read them
        // checked, and losses holds two numbers a row.
        unsafe { call.launch((rows, 1, 1), (THREADS, 1), 0)? };
        let call = Call::new("loss_sums_f64", z)?.u32(rows)?.f32(self.smoothing);
        let call = call.values(weights)?.values(&losses)?.values(&self.sums)?;
        // SAFETY: as above; one block, and sums holds two numbers.
        unsafe { call.launch((1, 1, 1), (THREADS, 1), 0) }
    }

    /// The sums so far, in nats.
    pub fn sums(&self) -> Result<LossSums> {
        let sums = self.sums.to_vec1::<f64>()?;
        Ok(LossSums { loss: sums[0], nll: sums[1] })
    }
}
