//! Linear maps, with updates of low rank where they have some.

use candle_core::{DType, Tensor};

use super::super::low_rank::{LowRank, sources};
use super::super::tape::{Source, Tape, Value};
use super::{column_sums, in_front_of_relu, product, product_t, thinned, with_bias};
use crate::error::Result;
use crate::kernels::dropout::Dropout;

pub(in crate::autograd) fn linear(
    tape: &Tape,
    x: &Value,
    w: &Value,
    b: Option<&Value>,
    relu: bool,
) -> Result<Value> {
    let narrow = tape.is_in_bf16();
    let y = product_t(x.tensor(), w.tensor(), narrow)?;
    let y = with_bias(y, b.map(Value::tensor), relu)?;
    let (to_x, to_w) = (x.source(), w.source());
    let to_b = b.map_or(Source::Constant, Value::source);
    let kept = relu.then(|| y.clone());
    Ok(tape.push(y, &[to_x, to_w, to_b], || {
        let x = (to_w != Source::Constant).then(|| x.tensor().clone());
        let w = w.tensor().clone();
        Box::new(move |incoming, back| {
            let dy = behind_relu(incoming.into_shared(), kept)?;
            back.give(to_b, || column_sums(&dy))?;
            if let Some(x) = x {
                back.give(to_w, || product(&dy.t()?, &x, narrow))?;
            }
            back.give(to_x, || product(&dy, &w, narrow))
        })
    }))
}

/// A gradient in front of ReLU, whose result was `y`.
fn behind_relu(dy: Tensor, y: Option<Tensor>) -> Result<Tensor> {
    Ok(match y {
        Some(y) => in_front_of_relu(&dy, &y)?,
        None => dy,
    })
}

pub(in crate::autograd) fn low_rank_linear(
    tape: &Tape,
    x: &Value,
    w: &Value,
    b: &Value,
    updates: &[LowRank],
    relu: bool,
    d: Dropout,
) -> Result<Value> {
    let out = w.tensor().dims2()?.0;
    let narrow = tape.is_in_bf16();
    let y = product_t(x.tensor(), w.tensor(), narrow)?;
    let mut y = with_bias(y, Some(b.tensor()), false)?;
    let seen = thinned(x.tensor(), d)?;
    let mut downs = Vec::with_capacity(updates.len());
    for u in updates {
        let down = product_t(&of_input(u, &seen)?, u.lora_a.tensor(), narrow)?;
        let up = (product_t(&down, u.lora_b.tensor(), narrow)? * f64::from(u.scale()?))?;
        y = (y + widened_to(&up, u.start, out)?)?;
        downs.push(down);
    }
    if relu {
        y = y.relu()?;
    }
    let to = sources([x, w, b], updates);
    let kept = relu.then(|| y.clone());
    Ok(tape.push(y, &to, || {
        let (x, w, updates) = (x.tensor().clone(), w.tensor().clone(), updates.to_vec());
        let (to_x, to_w, to_b) = (to[0], to[1], to[2]);
        Box::new(move |incoming, back| {
            let dy = behind_relu(incoming.into_shared(), kept)?;
            back.give(to_b, || column_sums(&dy))?;
            back.give(to_w, || product(&dy.t()?, &x, narrow))?;
            let mut through = None;
            for (u, down) in updates.iter().zip(&downs) {
                let (width_out, _) = u.lora_b.tensor().dims2()?;
                let scale = f64::from(u.scale()?);
                let dy = dy.narrow(1, u.start, width_out)?.contiguous()?;
                // The gradient of `down` but for the scale.
                let g = product(&dy, u.lora_b.tensor(), narrow)?;
                if let Some(gate) = &u.gate {
                    back.give(gate.weights.source(), || {
                        let n = gate.weights.tensor().elem_count();
                        let slope = ((&g * down)?.sum_all()? * f64::from(u.scaling))?;
                        Ok(slope.reshape(1)?.pad_with_zeros(0, gate.index, n - gate.index - 1)?)
                    })?;
                }
                back.give(u.lora_b.source(), || Ok((product(&dy.t()?, down, narrow)? * scale)?))?;
                back.give(u.lora_a.source(), || {
                    Ok((product(&g.t()?, &of_input(u, &seen)?, narrow)? * scale)?)
                })?;
                if to_x != Source::Constant {
                    let dx = (product(&g, u.lora_a.tensor(), narrow)? * scale)?;
                    let dx = widened_to(&dx, u.start, x.dims2()?.1)?;
                    through = Some(match through {
                        None => dx,
                        Some(other) => (other + dx)?,
                    });
                }
            }
            back.give(to_x, || {
                let dx = product(&dy, &w, narrow)?;
                Ok(match through {
                    // What went through dropout comes back through it.
                    Some(t) => (dx + thinned(&t, d)?)?,
                    None => dx,
                })
            })
        })
    }))
}

/// The coordinates of `x` that an update reads.
fn of_input(u: &LowRank, x: &Tensor) -> Result<Tensor> {
    let width = u.lora_a.tensor().dims2()?.1;
    Ok(x.narrow(1, u.start, width)?.contiguous()?)
}

/// Columns `start..` of rows that are zero elsewhere.
fn widened_to(t: &Tensor, start: usize, width: usize) -> Result<Tensor> {
    let own = t.dims2()?.1;
    Ok(match (start, own == width) {
        (0, true) => t.clone(),
        _ => t.pad_with_zeros(1, start, width - start - own)?,
    })
}

pub(in crate::autograd) fn softmax(tape: &Tape, x: &Value) -> Result<Value> {
    let x_t = x.tensor();
    let e = x_t.broadcast_sub(&x_t.max_keepdim(0)?)?.exp()?;
    let p = e.broadcast_div(&e.sum_keepdim(0)?)?.to_dtype(DType::F32)?;
    let to = x.source();
    Ok(tape.push(p.clone(), &[to], || {
        Box::new(move |incoming, back| {
            back.give(to, || {
                let g = incoming.tensor();
                let mean = (g * &p)?.sum_keepdim(0)?;
                Ok((g.broadcast_sub(&mean)? * &p)?)
            })
        })
    }))
}
