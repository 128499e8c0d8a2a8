//! Label-smoothed cross-entropy over a vocabulary, in blocks of rows.

use candle_core::{DType, Tensor};

use super::{indices, product, product_t};
use crate::error::Result;
use crate::kernels::cross_entropy::{LossSums, block_rows};

/// What the loss is taken of; names and shapes as in [`crate::kernels::cross_entropy::Inputs`].
pub struct CrossEntropy<'a> {
    pub hidden: &'a Tensor,
    pub weight: &'a Tensor,
    pub bias: Option<&'a [f32]>,
    pub labels: &'a [u32],
    pub weights: Option<&'a [f32]>,
    pub smoothing: f32,
    /// Whether factors of products are rounded to bf16.
    pub in_bf16: bool,
}

/// Gradients times a scale: for the hidden states, and for the matrix where it is asked for.
pub struct LossGradients {
    /// `[tokens, d_model]`.
    pub hidden: Tensor,
    /// `[vocab, d_model]`.
    pub weight: Option<Tensor>,
}

/// The sums of the loss in nats, over the tokens (Szegedy et al. 2016, section 7); with `scale` also
/// its gradients.
///
/// # Errors
/// The device's own: no memory, above all.
pub fn cross_entropy(
    i: &CrossEntropy<'_>,
    scale: Option<f32>,
    of_weight: bool,
) -> Result<(LossSums, Option<LossGradients>)> {
    let device = i.hidden.device();
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        return super::super::cuda::cross_entropy(i, scale, of_weight);
    }
    let (w, narrow) = (i.weight, i.in_bf16);
    let (vocab, width) = w.dims2()?;
    let bias = i.bias.map(|b| Tensor::from_slice(b, vocab, device)).transpose()?;
    let mut sums = LossSums::default();
    let (mut dh, mut dw): (Vec<Tensor>, Option<Tensor>) = (Vec::new(), None);
    let smoothing = f64::from(i.smoothing);
    let mut first = 0;
    for labels in i.labels.chunks(block_rows(vocab)) {
        let n = labels.len();
        let h = i.hidden.narrow(0, first, n)?;
        let mut z = product_t(&h, w, narrow)?;
        if let Some(b) = &bias {
            z = z.broadcast_add(b)?;
        }
        let z = z.broadcast_sub(&z.max_keepdim(1)?)?;
        let e = z.exp()?;
        let sum = e.sum_keepdim(1)?;
        let at = indices(labels, device)?.unsqueeze(1)?;
        let lse = sum.log()?;
        let nll = (&lse - z.gather(&at, 1)?)?;
        let uniform = (&lse - (z.sum_keepdim(1)? / vocab as f64)?)?;
        let own = i.weights.map(|w| &w[first..first + n]);
        let weight_of = |r: usize| own.map_or(1.0, |w| f64::from(w[r]));
        let host = |t: &Tensor| -> Result<Vec<f32>> { Ok(t.flatten_all()?.to_vec1::<f32>()?) };
        for (r, (nll, uniform)) in host(&nll)?.into_iter().zip(host(&uniform)?).enumerate() {
            // A sentence of weight 0 counts for nothing, whatever the model makes of it.
            let (weight, nll) = (weight_of(r), f64::from(nll));
            let loss = match smoothing {
                0.0 => nll,
                s => (1.0 - s) * nll + s * f64::from(uniform),
            };
            sums.nll += weight * nll;
            sums.loss += weight * loss;
        }
        if let Some(scale) = scale {
            let scales: Vec<f32> = (0..n).map(|r| scale * weight_of(r) as f32).collect();
            let scales = Tensor::from_vec(scales, (n, 1), device)?;
            let spread = (&scales * (smoothing / vocab as f64))?;
            let dz = e.broadcast_mul(&scales.broadcast_div(&sum)?)?.broadcast_sub(&spread)?;
            let dz = dz.scatter_add(&at, &(&scales * -(1.0 - smoothing))?, 1)?;
            dh.push(product(&dz, w, narrow)?);
            if of_weight {
                let own = product(&dz.t()?, &h, narrow)?;
                dw = Some(match dw {
                    None => own,
                    Some(dw) => (dw + own)?,
                });
            }
        }
        first += n;
    }
    let gradients = match scale {
        None => None,
        Some(_) if dh.is_empty() => Some(LossGradients {
            hidden: Tensor::zeros((0, width), DType::F32, device)?,
            weight: None,
        }),
        Some(_) => Some(LossGradients { hidden: Tensor::cat(&dh, 0)?, weight: dw }),
    };
    Ok((sums, gradients))
}
