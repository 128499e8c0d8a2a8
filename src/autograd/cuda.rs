//! The operations that have kernels on a GPU, for tensors that lie there; the others are composed.

use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::composed::{CrossEntropy, LossGradients, indices, product, product_t};
use super::gradients::Incoming;
use super::ops::AttentionSpec;
use super::tape::{Source, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::cross_entropy::LossSums;
use crate::kernels::cuda::{self, Attention, Losses, Rows};
use crate::kernels::dropout::Dropout;

/// Logits that stand at once: 512 MiB, so that products are large; and of how many rows at least.
const BLOCK: usize = 1 << 27;
const MIN_ROWS: usize = 128;

/// Whether a value lies where these kernels are.
pub(super) fn has(x: &Tensor) -> bool {
    x.device().is_cuda()
}

pub(super) fn embed(
    tape: &Tape,
    weight: &Value,
    positions: &Tensor,
    ids: &Arc<[u32]>,
    places: &[u32],
    scale: f32,
) -> Result<Value> {
    let device = weight.tensor().device();
    let positions = positions.to_device(device)?;
    let (at, places) = (indices(ids, device)?, indices(places, device)?);
    let out = cuda::embed(weight.tensor(), &at, &positions, &places, scale)?;
    let (to, ids) = (weight.source(), Arc::clone(ids));
    Ok(tape.push(out, &[to], || {
        let dims = weight.tensor().dims().to_vec();
        Box::new(move |incoming, back| {
            let dy = incoming.tensor();
            back.add_where_it_lies(to, &dims, dy.device(), |dw| {
                cuda::add_rows(dw, dy, &Rows::to(&ids), scale)
            })
        })
    }))
}

pub(super) fn residual(tape: &Tape, x: &Value, h: &Value, d: Dropout) -> Result<Value> {
    let out = cuda::residual(x.tensor(), h.tensor(), d)?;
    let (to_x, to_h) = (x.source(), h.source());
    Ok(tape.push(out, &[to_x, to_h], || {
        Box::new(move |incoming: Incoming, back| {
            let g = incoming.into_shared();
            back.add(to_h, if d.is_none() { g.clone() } else { cuda::dropout(&g, d)? })?;
            back.add(to_x, g)
        })
    }))
}

pub(super) fn layer_norm(tape: &Tape, x: &Value, w: &Value, b: &Value) -> Result<Value> {
    let out = cuda::layer_norm(x.tensor(), w.tensor(), b.tensor())?;
    let to = [x.source(), w.source(), b.source()];
    Ok(tape.push(out, &to, || {
        let (x, w) = (x.tensor().clone(), w.tensor().clone());
        Box::new(move |incoming, back| {
            let of_parameters = to[1] != Source::Constant || to[2] != Source::Constant;
            let (dx, sums) = cuda::layer_norm_backward(&x, &w, incoming.tensor(), of_parameters)?;
            if let Some((dw, db)) = sums {
                back.add_owned(to[1], dw)?;
                back.add_owned(to[2], db)?;
            }
            back.add_owned(to[0], dx)
        })
    }))
}

pub(super) fn attention(
    tape: &Tape,
    q: &Value,
    k: &Value,
    v: &Value,
    spec: &AttentionSpec,
) -> Result<Value> {
    let (device, layouts) = (q.tensor().device(), tape.layouts());
    let call = Attention {
        heads: spec.heads,
        width: q.tensor().dims2()?.1,
        causal: spec.causal,
        dropout: spec.dropout,
        queries: layouts.offsets(&spec.q_offsets, device)?,
        keys: layouts.offsets(&spec.k_offsets, device)?,
    };
    let (out, lse) = call.forward(q.tensor(), k.tensor(), v.tensor(), spec.k_rows.as_ref())?;
    let to = [q.source(), k.source(), v.source()];
    if spec.k_rows.is_some() && to != [Source::Constant; 3] {
        return Err(Error::bug("gradients of keys in a pool"));
    }
    Ok(tape.push(out.clone(), &to, || {
        let held = [q, k, v].map(|x| x.tensor().clone());
        Box::new(move |incoming, back| {
            let [q, k, v] = &held;
            let gradients = call.backward([q, k, v], (&out, &lse), incoming.tensor())?;
            for (to, gradient) in to.into_iter().zip(gradients) {
                back.add_owned(to, gradient)?;
            }
            Ok(())
        })
    }))
}

/// As its namesake among the composed operations; the losses come to the host once.
pub(super) fn cross_entropy(
    i: &CrossEntropy<'_>,
    scale: Option<f32>,
    of_weight: bool,
) -> Result<(LossSums, Option<LossGradients>)> {
    let device = i.hidden.device();
    let narrow = i.in_bf16;
    let vocab = i.weight.dims2()?.0;
    // Rounded once for all blocks.
    let w = if narrow { &i.weight.to_dtype(DType::BF16)? } else { i.weight };
    let bias = i.bias.map(|b| Tensor::from_slice(b, vocab, device)).transpose()?;
    let losses = Losses::new(vocab, i.smoothing, bias, i.hidden)?;
    let labels = indices(i.labels, device)?;
    let ones = vec![1f32; if i.weights.is_none() { i.labels.len() } else { 0 }];
    let weights = Tensor::from_slice(i.weights.unwrap_or(&ones), i.labels.len(), device)?;
    let (mut dh, mut dw): (Vec<Tensor>, Option<Tensor>) = (Vec::new(), None);
    let (mut first, rows) = (0, (BLOCK / vocab.max(1)).max(MIN_ROWS));
    while first < i.labels.len() {
        let n = rows.min(i.labels.len() - first);
        let part = |t: &Tensor| t.narrow(0, first, n);
        let h = part(i.hidden)?;
        let z = product_t(&h, w, narrow)?;
        losses.add(&z, &part(&labels)?, &part(&weights)?, scale)?;
        if scale.is_some() {
            dh.push(product(&z, w, narrow)?);
            if of_weight {
                let own = product(&z.t()?, &h, narrow)?;
                dw = Some(match dw {
                    None => own,
                    Some(dw) => (dw + own)?,
                });
            }
        }
        first += n;
    }
    let gradients = match (scale, dh.is_empty()) {
        (None, _) => None,
        (Some(_), true) => Some(LossGradients { hidden: i.hidden.zeros_like()?, weight: None }),
        (Some(_), false) => Some(LossGradients { hidden: Tensor::cat(&dh, 0)?, weight: dw }),
    };
    Ok((losses.sums()?, gradients))
}
