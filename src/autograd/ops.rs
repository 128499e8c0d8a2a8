//! The operations, as methods of [`Tape`]. Shapes are `[tokens, width]`; all tokens of a
//! batch stand one after another, sentence after sentence.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::composed;
use super::tape::{Source, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::dropout::Dropout;
use crate::kernels::elementwise::Signs;
use crate::kernels::storage::{change, values};
use crate::kernels::weights::{stored, widened};
use crate::kernels::{attention, dropout, embedding, layer_norm, linear};

fn tensor(values: Vec<f32>, dims: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, dims, &Device::Cpu)?)
}

/// Rows and the length of the last axis.
fn rows_width(t: &Tensor) -> Result<(usize, usize)> {
    let width = *t.dims().last().ok_or_else(|| Error::bug("operation on a scalar"))?;
    Ok((t.elem_count() / width.max(1), width))
}

/// What multi-head attention needs beside its tensors.
#[derive(Clone, Debug)]
pub struct AttentionSpec {
    pub heads: usize,
    pub q_offsets: Arc<[usize]>,
    pub k_offsets: Arc<[usize]>,
    /// Whether a query sees no key behind it: [`attention::seen_by`] says which those are.
    pub causal: bool,
    pub dropout: Dropout,
    /// Rows of `k` and `v` that are keys, on their device, where these are not all of them in their order.
    /// Not to be trained.
    pub k_rows: Option<Tensor>,
}

impl AttentionSpec {
    fn shape(&self, width: usize) -> attention::Shape<'_> {
        attention::Shape {
            heads: self.heads,
            width,
            q_offsets: &self.q_offsets,
            k_offsets: &self.k_offsets,
            causal: self.causal,
            dropout: self.dropout,
        }
    }
}

/// What a map with ReLU keeps of its result.
enum KeptOutput {
    None,
    Values(Tensor),
    Signs(Signs),
}

impl Tape {
    /// `scale * weight[id] + positions[first_position + index in sentence]`: `[tokens, width]`
    /// from `weight` `[vocab, width]`.
    pub fn embed(
        &self,
        weight: &Value,
        positions: &Tensor,
        ids: Arc<[u32]>,
        offsets: &[usize],
        first_position: usize,
        scale: f32,
    ) -> Result<Value> {
        if !self.has_kernels(weight) {
            let places: Vec<u32> = offsets
                .windows(2)
                .flat_map(|o| (0..o[1] - o[0]).map(|i| (first_position + i) as u32))
                .collect();
            return composed::embed(self, weight, positions, &ids, &places, scale);
        }
        let (_, width) = rows_width(weight.tensor())?;
        let out = embedding::forward(
            stored(weight.tensor())?.weights(),
            &values(positions)?,
            &ids,
            offsets,
            first_position,
            scale,
            width,
        );
        let (n, to) = (ids.len(), weight.source());
        let dims = weight.tensor().dims().to_vec();
        Ok(self.push(tensor(out, &[n, width])?, &[to], || {
            Box::new(move |incoming, back| {
                let dy = values(incoming.tensor())?;
                back.write(to, &dims, |dw, accumulate| {
                    if !accumulate {
                        dw.fill(0.0);
                    }
                    embedding::backward(&ids, &dy, scale, width, dw);
                })
            })
        }))
    }

    /// `scale * weight[id] + positions[place]` of every token, its place given; not to be trained.
    pub fn embed_at(
        &self,
        weight: &Tensor,
        positions: &Tensor,
        (ids, places): (&Arc<[u32]>, &[u32]),
        scale: f32,
    ) -> Result<Value> {
        composed::embed(self, &Value::constant(weight.clone()), positions, ids, places, scale)
    }

    /// Zeroes values with the given chance and scales the others up.
    pub fn dropout(&self, x: &Value, d: Dropout) -> Result<Value> {
        if d.is_none() {
            return Ok(x.clone());
        }
        if !self.has_kernels(x) {
            return composed::dropout(self, x, d);
        }
        let dims = x.tensor().dims().to_vec();
        let out = tensor(dropout::apply(&values(x.tensor())?, d), &dims)?;
        let to = x.source();
        Ok(self.push(out, &[to], || {
            Box::new(move |incoming, back| {
                let dx = dropout::apply(&values(incoming.tensor())?, d);
                back.add_owned(to, tensor(dx, &dims)?)
            })
        }))
    }

    /// `x + dropout(h)`: the residual connection.
    pub fn residual(&self, x: &Value, h: &Value, d: Dropout) -> Result<Value> {
        if !self.has_kernels(x) {
            return composed::residual(self, x, h, d);
        }
        let dims = x.tensor().dims().to_vec();
        let out = tensor(dropout::add(&values(x.tensor())?, &values(h.tensor())?, d), &dims)?;
        let (to_x, to_h) = (x.source(), h.source());
        Ok(self.push(out, &[to_x, to_h], || {
            Box::new(move |incoming, back| {
                if d.is_none() {
                    let g = incoming.into_shared();
                    back.add(to_h, g.clone())?;
                    return back.add(to_x, g);
                }
                let dh = dropout::apply(&values(incoming.tensor())?, d);
                back.add_owned(to_h, tensor(dh, &dims)?)?;
                // The gradient itself moves on, so that later sums happen in place.
                back.add_incoming(to_x, incoming)
            })
        }))
    }

    /// Layer normalisation with weight and bias `[width]`.
    pub fn layer_norm(&self, x: &Value, w: &Value, b: &Value) -> Result<Value> {
        if !self.has_kernels(x) {
            return composed::layer_norm(self, x, w, b);
        }
        let dims = x.tensor().dims().to_vec();
        let out =
            layer_norm::forward(&values(x.tensor())?, &values(w.tensor())?, &values(b.tensor())?);
        let (to_x, to_w, to_b) = (x.source(), w.source(), b.source());
        Ok(self.push(tensor(out, &dims)?, &[to_x, to_w, to_b], || {
            let (x, w) = (x.tensor().clone(), w.tensor().clone());
            Box::new(move |incoming, back| {
                let (xv, wv, dy) = (values(&x)?, values(&w)?, values(incoming.tensor())?);
                let n = wv.len();
                if to_w == Source::Constant && to_b == Source::Constant {
                    return back.write(to_x, &dims, |dx, accumulate| {
                        layer_norm::backward(&xv, &wv, &dy, (dx, accumulate), None);
                    });
                }
                let (mut dw, mut db) = (vec![0f32; n], vec![0f32; n]);
                // Without a gradient for x the sums for w and b still need the pass.
                let mut run = |dx: &mut [f32], accumulate: bool| {
                    let parameters = Some((&mut dw[..], false, &mut db[..], false));
                    layer_norm::backward(&xv, &wv, &dy, (dx, accumulate), parameters);
                };
                if to_x == Source::Constant {
                    run(&mut vec![0f32; xv.len()], false);
                } else {
                    back.write(to_x, &dims, &mut run)?;
                }
                back.add_owned(to_w, tensor(dw, &[n])?)?;
                back.add_owned(to_b, tensor(db, &[n])?)
            })
        }))
    }

    /// `x Wᵀ (+ b)`, then ReLU when asked: `[tokens, out]` from `w` `[out, in]`.
    pub fn linear(&self, x: &Value, w: &Value, b: Option<&Value>, relu: bool) -> Result<Value> {
        let (rows, inp) = rows_width(x.tensor())?;
        let (out_dim, w_in) = w.tensor().dims2()?;
        if w_in != inp {
            return Err(Error::bug(format!("linear map of width {w_in} on rows of {inp}")));
        }
        if !self.has_kernels(x) {
            return composed::linear(self, x, w, b, relu);
        }
        let y = {
            let bias = b.map(|b| values(b.tensor())).transpose()?;
            let w = widened(w.tensor())?;
            linear::forward(&values(x.tensor())?, &w, bias.as_deref(), inp, relu)
        };
        let y = tensor(y, &[rows, out_dim])?;
        let (to_x, to_w) = (x.source(), w.source());
        let to_b = b.map_or(Source::Constant, Value::source);
        let kept = if !relu || !self.records(&[to_x, to_w, to_b]) {
            KeptOutput::None
        } else if to_w != Source::Constant {
            // What follows a map that is trained keeps its result anyway.
            KeptOutput::Values(y.clone())
        } else {
            KeptOutput::Signs(Signs::of(&values(&y)?))
        };
        Ok(self.push(y, &[to_x, to_w, to_b], || {
            // Only the gradient of the matrix needs the input.
            let x = (to_w != Source::Constant).then(|| x.tensor().clone());
            let w = w.tensor().clone();
            Box::new(move |incoming, back| {
                let dy = if relu { incoming.into_owned()? } else { incoming.into_shared() };
                let mut db = vec![0f32; if to_b == Source::Constant { 0 } else { out_dim }];
                let mut summed = false;
                match &kept {
                    KeptOutput::None => {}
                    KeptOutput::Signs(signs) => change(&dy, |dy| signs.relu_backward(dy))?,
                    KeptOutput::Values(y) => {
                        let yv = values(y)?;
                        summed = to_b != Source::Constant;
                        let db = summed.then_some((&mut db[..], false));
                        change(&dy, |dy| linear::relu_backward(dy, &yv, db, out_dim))?;
                    }
                }
                drop(kept);
                if to_b != Source::Constant {
                    if !summed {
                        linear::grad_bias(&values(&dy)?, &mut db, false);
                    }
                    back.add_owned(to_b, tensor(db, &[out_dim])?)?;
                }
                let dy = values(&dy)?;
                if let Some(x) = x {
                    let xv = values(&x)?;
                    back.write(to_w, &[out_dim, inp], |dw, accumulate| {
                        linear::grad_weight(&dy, &xv, inp, dw, accumulate)
                    })?;
                }
                if to_x == Source::Constant {
                    return Ok(());
                }
                let wv = widened(&w)?;
                back.write(to_x, &[rows, inp], |dx, accumulate| {
                    linear::grad_input(&dy, &wv, inp, dx, accumulate)
                })
            })
        }))
    }

    /// Multi-head attention: `[query_tokens, width]`.
    pub fn attention(&self, q: &Value, k: &Value, v: &Value, spec: AttentionSpec) -> Result<Value> {
        if !self.has_kernels(q) {
            return composed::attention(self, q, k, v, spec);
        }
        if spec.k_rows.is_some() {
            return Err(Error::bug("keys in a pool for kernels that read them in a row"));
        }
        let (rows, width) = rows_width(q.tensor())?;
        let (k_rows, _) = rows_width(k.tensor())?;
        let out = attention::forward(
            spec.shape(width),
            &values(q.tensor())?,
            &values(k.tensor())?,
            &values(v.tensor())?,
        );
        let (to_q, to_k, to_v) = (q.source(), k.source(), v.source());
        Ok(self.push(tensor(out, &[rows, width])?, &[to_q, to_k, to_v], || {
            let (q, k, v) = (q.tensor().clone(), k.tensor().clone(), v.tensor().clone());
            Box::new(move |incoming, back| {
                let (dq, dk, dv) = attention::backward(
                    spec.shape(width),
                    &values(&q)?,
                    &values(&k)?,
                    &values(&v)?,
                    &values(incoming.tensor())?,
                );
                back.add_owned(to_q, tensor(dq, &[rows, width])?)?;
                back.add_owned(to_k, tensor(dk, &[k_rows, width])?)?;
                back.add_owned(to_v, tensor(dv, &[k_rows, width])?)
            })
        }))
    }
}
