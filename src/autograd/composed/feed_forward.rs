//! Feed-forward blocks with a mask on their neurons, on the kept rows alone.

use std::sync::Arc;

use candle_core::Tensor;

use super::super::feed_forward::FeedForwardWeights;
use super::super::tape::{Tape, Value};
use super::{
    column_sums, in_front_of_relu, indices, is_positive, linear, product, product_t, wide,
    with_bias,
};
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
    let h = with_bias(h, Some(&b1.tensor().index_select(&rows, 0)?), true)?;
    // Neurons that are not kept still have their bias: `W1` loses the row, not the neuron.
    let mut flags = vec![1f32; ffn];
    kept.iter().for_each(|&i| flags[i as usize] = 0.0);
    let others = Tensor::from_vec(flags, ffn, x.tensor().device())?;
    let rest = (b1.tensor().relu()? * others)?.unsqueeze(0)?;
    let constant = rest.matmul(&w2_t.t()?)?.squeeze(0)?;
    let y = product_t(&h, &own2, narrow)?;
    let y = with_bias(y, Some(&(constant + b2.tensor())?), false)?;
    let to = [w1.source(), b1.source(), w2.source(), b2.source(), x.source()];
    Ok(tape.push(y, &to, || {
        let x = x.tensor().clone();
        // Where each row stands among those that are kept; the others read the row behind them.
        let mut places = vec![kept.len() as u32; ffn];
        kept.iter().zip(0..).for_each(|(&i, at)| places[i as usize] = at);
        Box::new(move |incoming, back| {
            let dy = incoming.tensor();
            let sums = column_sums(dy)?.unsqueeze(0)?;
            let dh = in_front_of_relu(&product(dy, &own2, narrow)?, &h)?;
            let places = indices(&places, dy.device())?;
            let among_all = |t: &Tensor, axis: usize| -> Result<Tensor> {
                Ok(t.pad_with_zeros(axis, 0, 1)?.index_select(&places, axis)?)
            };
            back.give(to[0], || among_all(&product(&dh.t()?, &x, narrow)?, 0))?;
            back.give(to[1], || {
                let d_rest = (sums.matmul(&w2_t)? * is_positive(&rest)?)?.squeeze(0)?;
                Ok((d_rest + among_all(&column_sums(&dh)?, 0)?)?)
            })?;
            back.give(to[2], || {
                let dw = among_all(&product(&dy.t()?, &h, narrow)?, 1)?;
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
