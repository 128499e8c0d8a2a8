//! Feed-forward blocks with a mask on their neurons, on the kept rows alone.

use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::super::feed_forward::FeedForwardWeights;
use super::super::tape::{Tape, Value};
use super::{indices, is_positive, linear, product, product_t, wide};
use crate::error::Result;

pub(in crate::autograd) fn masked_feed_forward(
    tape: &Tape,
    x: &Value,
    weights: &FeedForwardWeights,
    kept: &Arc<[u32]>,
) -> Result<Value> {
    let FeedForwardWeights { w1, b1, w2, b2 } = weights;
    if kept.is_empty() {
        // Tensors without a row are more than some devices can multiply.
        let h = linear(tape, x, &keep_rows(tape, w1, kept)?, Some(b1), true)?;
        return linear(tape, &h, w2, Some(b2), false);
    }
    let rows = indices(kept, x.tensor().device())?;
    let ffn = w1.tensor().dims2()?.0;
    let narrow = tape.is_in_bf16();
    let w2_t = wide(w2.tensor())?;
    let own1 = w1.tensor().index_select(&rows, 0)?;
    let own2 = w2.tensor().index_select(&rows, 1)?;
    let h = product_t(x.tensor(), &own1, narrow)?;
    let h = h.broadcast_add(&b1.tensor().index_select(&rows, 0)?)?.relu()?;
    // Neurons that are not kept still have their bias: `W1` loses the row, not the neuron.
    let mut flags = vec![1f32; ffn];
    kept.iter().for_each(|&i| flags[i as usize] = 0.0);
    let others = Tensor::from_vec(flags, ffn, x.tensor().device())?;
    let rest = (b1.tensor().relu()? * others)?.unsqueeze(0)?;
    let constant = rest.matmul(&w2_t.t()?)?.squeeze(0)?;
    let y = product_t(&h, &own2, narrow)?.broadcast_add(&(constant + b2.tensor())?)?;
    let to = [w1.source(), b1.source(), w2.source(), b2.source(), x.source()];
    Ok(tape.push(y, &to, || {
        let x = x.tensor().clone();
        let (dims1, dims2) = (w1.tensor().dims().to_vec(), w2.tensor().dims().to_vec());
        Box::new(move |incoming, back| {
            let dy = incoming.tensor();
            let sums = dy.sum_keepdim(0)?;
            let dh = (product(dy, &own2, narrow)? * is_positive(&h)?)?;
            let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, dy.device());
            back.give(to[0], || {
                Ok(zeros(&dims1)?.index_add(&rows, &product(&dh.t()?, &x, narrow)?, 0)?)
            })?;
            back.give(to[1], || {
                let d_rest = (sums.matmul(&w2_t)? * is_positive(&rest)?)?.squeeze(0)?;
                Ok(d_rest.index_add(&rows, &dh.sum(0)?, 0)?)
            })?;
            back.give(to[2], || {
                let dw = zeros(&dims2)?.index_add(&rows, &product(&dy.t()?, &h, narrow)?, 1)?;
                Ok((dw + sums.t()?.matmul(&rest)?)?)
            })?;
            back.give(to[3], || Ok(sums.squeeze(0)?))?;
            back.give(to[4], || product(&dh, &own1, narrow))
        })
    }))
}

pub(in crate::autograd) fn keep_rows(tape: &Tape, w: &Value, kept: &Arc<[u32]>) -> Result<Value> {
    let rows = w.tensor().dims2()?.0;
    let mut flags = vec![0f32; rows];
    kept.iter().for_each(|&i| flags[i as usize] = 1.0);
    let flags = Tensor::from_vec(flags, (rows, 1), w.tensor().device())?;
    let (out, to) = (wide(w.tensor())?.broadcast_mul(&flags)?, w.source());
    Ok(tape.push(out, &[to], || {
        Box::new(move |incoming, back| {
            back.give(to, || Ok(incoming.tensor().broadcast_mul(&flags)?))
        })
    }))
}
