//! Linear maps with updates of low rank, as an operation of [`Tape`], and the weights of updates
//! that compete.

use candle_core::{Device, Tensor};

use super::composed;
use super::tape::{Source, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::dropout::{self, Dropout};
use crate::kernels::low_rank::Update;
use crate::kernels::storage::{change, values};
use crate::kernels::weights::widened;
use crate::kernels::{elementwise, linear};

/// A trained weight of an update: entry `index` of `weights` `[n]`.
#[derive(Clone, Debug)]
pub struct Gate {
    pub weights: Value,
    pub index: usize,
}

/// An update of low rank of one matrix: `y[:, I] += scaling * gate * (x[:, I] Aᵀ) Bᵀ`, with `I`
/// the coordinates from `start` on.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `[rank, width_in]`
    pub lora_a: Value,
    /// `[width_out, rank]`
    pub lora_b: Value,
    pub scaling: f32,
    /// The first coordinate of input and output; 0 when the widths are those of the matrix.
    pub start: usize,
    /// Probability that a value of the update's input is dropped in training.
    pub dropout: f32,
    /// None means 1.
    pub gate: Option<Gate>,
}

impl LowRank {
    pub fn rank(&self) -> Result<usize> {
        Ok(self.lora_a.tensor().dims2()?.0)
    }

    /// Scaling times gate.
    pub fn scale(&self) -> Result<f32> {
        let Some(gate) = &self.gate else { return Ok(self.scaling) };
        let weight = values(gate.weights.tensor())?.get(gate.index).copied();
        Ok(self.scaling * weight.ok_or_else(|| Error::bug("an update without a weight"))?)
    }

    /// Lets `f` use the factors.
    pub fn with_update<T>(&self, f: impl FnOnce(Update<'_>) -> Result<T>) -> Result<T> {
        let rank = self.rank()?;
        let (a, b) = (values(self.lora_a.tensor())?, values(self.lora_b.tensor())?);
        f(Update { lora_a: &a, lora_b: &b, rank, start: self.start })
    }

    /// Whether the factors fit each other and a matrix `[out, inp]`.
    pub fn fits(&self, out: usize, inp: usize) -> Result<bool> {
        let (rank, width_in) = self.lora_a.tensor().dims2()?;
        let (width_out, rank_b) = self.lora_b.tensor().dims2()?;
        Ok(rank == rank_b
            && rank > 0
            && self.start + width_in <= inp
            && self.start + width_out <= out)
    }
}

/// Where the gradients of a map with updates go: those of `x`, `w` and `b` first.
pub(super) fn sources(map: [&Value; 3], updates: &[LowRank]) -> Vec<Source> {
    let mut to: Vec<Source> = map.into_iter().map(Value::source).collect();
    for u in updates {
        to.extend([u.lora_a.source(), u.lora_b.source()]);
        to.extend(u.gate.as_ref().map(|g| g.weights.source()));
    }
    to
}

impl Tape {
    /// `x Wᵀ + b` and all `updates`, then ReLU when asked: `[tokens, out]`. The updates see `x`
    /// through the dropout `d`.
    pub fn low_rank_linear(
        &self,
        x: &Value,
        w: &Value,
        b: &Value,
        updates: &[LowRank],
        relu: bool,
        d: Dropout,
    ) -> Result<Value> {
        let (rows, inp) = x.tensor().dims2()?;
        let (out, w_in) = w.tensor().dims2()?;
        for u in updates {
            if w_in != inp || !u.fits(out, inp)? {
                return Err(Error::bug("update of low rank and matrix do not fit"));
            }
        }
        if !self.has_kernels(x) {
            return composed::low_rank_linear(self, x, w, b, updates, relu, d);
        }
        let (y, downs) = {
            let xv = values(x.tensor())?;
            let bias = values(b.tensor())?;
            let mut y = linear::forward(&xv, &widened(w.tensor())?, Some(&bias), inp, false);
            let thinned = (!d.is_none()).then(|| dropout::apply(&xv, d));
            let seen = thinned.as_deref().unwrap_or(&xv);
            let mut downs = Vec::with_capacity(updates.len());
            for u in updates {
                let scale = u.scale()?;
                u.with_update(|update| {
                    let down = update.down(seen, inp);
                    update.up(&down, scale, &mut y, out);
                    downs.push(down);
                    Ok(())
                })?;
            }
            if relu {
                elementwise::relu(&mut y);
            }
            (Tensor::from_vec(y, (rows, out), &Device::Cpu)?, downs)
        };
        let to = sources([x, w, b], updates);
        let kept = relu.then(|| y.clone());
        Ok(self.push(y, &to, || {
            let (x, w, updates) = (x.tensor().clone(), w.tensor().clone(), updates.to_vec());
            let (to_x, to_w, to_b) = (to[0], to[1], to[2]);
            Box::new(move |incoming, back| {
                let dy = match &kept {
                    Some(y) => {
                        let dy = incoming.into_owned()?;
                        let y = values(y)?;
                        change(&dy, |dy| elementwise::relu_backward(dy, &y))?;
                        dy
                    }
                    None => incoming.into_shared(),
                };
                drop(kept);
                let (dy, xv) = (values(&dy)?, values(&x)?);
                back.write(to_b, &[out], |db, accumulate| linear::grad_bias(&dy, db, accumulate))?;
                back.write(to_w, &[out, inp], |dw, accumulate| {
                    linear::grad_weight(&dy, &xv, inp, dw, accumulate)
                })?;
                let thinned = (!d.is_none()).then(|| dropout::apply(&xv, d));
                let seen = thinned.as_deref().unwrap_or(&xv);
                let mut grad_downs = Vec::with_capacity(updates.len());
                for (u, down) in updates.iter().zip(&downs) {
                    let scale = u.scale()?;
                    u.with_update(|update| {
                        let g = update.grad_down(&dy, out);
                        if let Some(gate) = &u.gate {
                            let n = gate.weights.tensor().elem_count();
                            // The update is linear in its weight.
                            let slope: f64 = g
                                .iter()
                                .zip(down)
                                .map(|(g, d)| f64::from(*g) * f64::from(*d))
                                .sum();
                            back.write(gate.weights.source(), &[n], |dg, accumulate| {
                                if !accumulate {
                                    dg.fill(0.0);
                                }
                                dg[gate.index] += u.scaling * slope as f32;
                            })?;
                        }
                        let shape = u.lora_b.tensor().dims();
                        back.write(u.lora_b.source(), shape, |db, accumulate| {
                            update.grad_b(&dy, out, down, scale, (db, accumulate));
                        })?;
                        let shape = u.lora_a.tensor().dims();
                        back.write(u.lora_a.source(), shape, |da, accumulate| {
                            update.grad_a(&g, seen, inp, scale, (da, accumulate));
                        })?;
                        grad_downs.push(g);
                        Ok(())
                    })?;
                }
                if to_x == Source::Constant {
                    return Ok(());
                }
                let wv = widened(&w)?;
                let mut failed = Ok(());
                back.write(to_x, &[rows, inp], |dx, accumulate| {
                    linear::grad_input(&dy, &wv, inp, dx, accumulate);
                    // What went through dropout comes back through it.
                    let mut through = thinned.as_ref().map(|t| vec![0f32; t.len()]);
                    for (u, g) in updates.iter().zip(&grad_downs) {
                        let into: &mut [f32] = match &mut through {
                            Some(t) => t,
                            None => &mut *dx,
                        };
                        let run = u.scale().and_then(|scale| {
                            u.with_update(|update| {
                                update.grad_x(g, scale, into, inp);
                                Ok(())
                            })
                        });
                        if run.is_err() {
                            failed = run;
                        }
                    }
                    if let Some(t) = through {
                        elementwise::add_in_place(dx, &dropout::apply(&t, d));
                    }
                })?;
                failed
            })
        }))
    }

    /// Softmax of a vector `[n]`.
    pub fn softmax(&self, x: &Value) -> Result<Value> {
        if !self.has_kernels(x) {
            return composed::softmax(self, x);
        }
        let n = x.tensor().dims1()?;
        let v = values(x.tensor())?;
        let most = v.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let e: Vec<f32> = v.iter().map(|v| (v - most).exp()).collect();
        let sum: f32 = e.iter().sum();
        let p: Vec<f32> = e.iter().map(|e| e / sum).collect();
        let to = x.source();
        Ok(self.push(Tensor::from_vec(p.clone(), n, &Device::Cpu)?, &[to], || {
            Box::new(move |incoming, back| {
                let g = values(incoming.tensor())?;
                let mean: f32 = g.iter().zip(&p).map(|(g, p)| g * p).sum();
                let dx: Vec<f32> = g.iter().zip(&p).map(|(g, p)| p * (g - mean)).collect();
                back.add_owned(to, Tensor::from_vec(dx, n, &Device::Cpu)?)
            })
        }))
    }
}
