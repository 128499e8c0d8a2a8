//! Attention over sentences of unequal lengths: padded to the longest, with the padding masked.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::super::ops::AttentionSpec;
use super::super::tape::{Tape, Value};
use super::{indices, product, product_t};
use crate::error::Result;
use crate::kernels::attention::{draw_start, seen_by};

/// Rows of sentences as `[sentences, longest]`, and back.
struct Padded {
    sentences: usize,
    longest: usize,
    /// Row of each place; padding reads the row behind the last.
    rows: Tensor,
    /// Place of each row.
    places: Tensor,
}

impl Padded {
    fn new(offsets: &[usize], device: &Device) -> Result<Self> {
        let lens: Vec<usize> = offsets.windows(2).map(|o| o[1] - o[0]).collect();
        let longest = lens.iter().copied().max().unwrap_or(0);
        let end = offsets.last().copied().unwrap_or(0) as u32;
        let mut rows = Vec::with_capacity(lens.len() * longest);
        let mut places = Vec::with_capacity(end as usize);
        for (s, len) in lens.iter().enumerate() {
            for i in 0..longest {
                rows.push(if i < *len { (offsets[s] + i) as u32 } else { end });
            }
            places.extend((0..*len).map(|i| (s * longest + i) as u32));
        }
        let (rows, places) = (indices(&rows, device)?, indices(&places, device)?);
        Ok(Self { sentences: lens.len(), longest, rows, places })
    }

    /// `[sentences, heads, longest, head_dim]` from `[rows, heads * head_dim]`.
    fn split(&self, t: &Tensor, heads: usize) -> Result<Tensor> {
        let width = t.dims2()?.1;
        let t = t.pad_with_zeros(0, 0, 1)?.index_select(&self.rows, 0)?;
        let t = t.reshape((self.sentences, self.longest, heads, width / heads))?;
        Ok(t.transpose(1, 2)?.contiguous()?)
    }

    /// The other way.
    fn join(&self, t: &Tensor) -> Result<Tensor> {
        let (s, heads, len, dim) = t.dims4()?;
        let t = t.transpose(1, 2)?.contiguous()?.reshape((s * len, heads * dim))?;
        Ok(t.index_select(&self.places, 0)?)
    }
}

/// How sentences lie padded, and what is hidden from whom: the same in all layers of a pass.
struct Layout {
    q: Padded,
    k: Padded,
    /// See [`hidden`].
    hidden: Tensor,
}

/// The layouts of one pass. Sentences are told apart by where their offsets lie, which are kept alive for
/// it.
#[derive(Clone, Default)]
pub(in crate::autograd) struct Layouts {
    padded: Rc<RefCell<Vec<Known>>>,
    #[cfg(feature = "cuda")]
    offsets: Rc<RefCell<Vec<OnGpu>>>,
}

/// Offsets, and the same on a GPU.
#[cfg(feature = "cuda")]
type OnGpu = (Arc<[usize]>, crate::kernels::cuda::Offsets);

/// A layout and what it is for.
struct Known {
    q_offsets: Arc<[usize]>,
    k_offsets: Arc<[usize]>,
    causal: bool,
    layout: Rc<Layout>,
}

impl Layouts {
    /// Offsets on a GPU.
    #[cfg(feature = "cuda")]
    pub(in crate::autograd) fn offsets(
        &self,
        offsets: &Arc<[usize]>,
        device: &Device,
    ) -> Result<crate::kernels::cuda::Offsets> {
        let mut known = self.offsets.borrow_mut();
        if let Some((_, found)) = known.iter().find(|(k, _)| Arc::ptr_eq(k, offsets)) {
            return Ok(found.clone());
        }
        let new = crate::kernels::cuda::Offsets::new(offsets, device)?;
        known.push((Arc::clone(offsets), new.clone()));
        Ok(new)
    }

    fn of(&self, spec: &AttentionSpec, device: &Device) -> Result<Rc<Layout>> {
        let is_it = |known: &&Known| {
            Arc::ptr_eq(&known.q_offsets, &spec.q_offsets)
                && Arc::ptr_eq(&known.k_offsets, &spec.k_offsets)
                && known.causal == spec.causal
        };
        if let Some(known) = self.padded.borrow().iter().find(is_it) {
            return Ok(Rc::clone(&known.layout));
        }
        let (q, k) = (Padded::new(&spec.q_offsets, device)?, Padded::new(&spec.k_offsets, device)?);
        let hidden = hidden(spec, &q, &k, device)?;
        let layout = Rc::new(Layout { q, k, hidden });
        self.padded.borrow_mut().push(Known {
            q_offsets: Arc::clone(&spec.q_offsets),
            k_offsets: Arc::clone(&spec.k_offsets),
            causal: spec.causal,
            layout: Rc::clone(&layout),
        });
        Ok(layout)
    }
}

/// 0 where a query sees a key and minus infinity elsewhere, `[sentences, 1, queries, keys]`. A
/// padded query sees the first key, so that no row is without.
fn hidden(spec: &AttentionSpec, q: &Padded, k: &Padded, device: &Device) -> Result<Tensor> {
    let mut m = vec![f32::NEG_INFINITY; q.sentences * q.longest * k.longest];
    let rows = m.chunks_exact_mut(k.longest.max(1));
    for (row, at) in rows.zip(0..) {
        let (s, i) = (at / q.longest, at % q.longest);
        let tq = spec.q_offsets[s + 1] - spec.q_offsets[s];
        let tk = spec.k_offsets[s + 1] - spec.k_offsets[s];
        let seen = match (i < tq, spec.causal) {
            (false, _) => 1,
            (true, true) => seen_by(i, tq, tk),
            (true, false) => tk,
        };
        row[..seen.min(k.longest)].fill(0.0);
    }
    Ok(Tensor::from_vec(m, (q.sentences, 1, q.longest, k.longest), device)?)
}

/// What dropout multiplies probabilities by, `[sentences, heads, queries, keys]`.
fn factors(spec: &AttentionSpec, q: &Padded, k: &Padded, device: &Device) -> Result<Tensor> {
    // First draw, queries and keys of each sentence.
    let parts: Vec<[u32; 3]> = (0..q.sentences)
        .map(|s| {
            let (q0, k0) = (spec.q_offsets[s], spec.k_offsets[s]);
            let (tq, tk) = (spec.q_offsets[s + 1] - q0, spec.k_offsets[s + 1] - k0);
            // Draws are numbered in 32 bits.
            [draw_start((q0, k0), (tq, tk), spec.heads, 0) as u32, tq as u32, tk as u32]
        })
        .collect();
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        let parts = Tensor::from_vec(parts.concat(), (q.sentences, 3), device)?;
        let sizes = (spec.heads, q.longest, k.longest);
        return crate::kernels::cuda::attention_factors(&parts, spec.dropout, sizes);
    }
    let dims = (q.sentences, spec.heads, q.longest, k.longest);
    let mut f = vec![0f32; dims.0 * dims.1 * dims.2 * dims.3];
    for (at, f) in f.iter_mut().enumerate() {
        let (row, j) = (at / dims.3, (at % dims.3) as u32);
        let (row, i) = (row / dims.2, (row % dims.2) as u32);
        let (s, h) = (row / dims.1, (row % dims.1) as u32);
        let [start, tq, tk] = parts[s];
        if i < tq && j < tk {
            let index = start.wrapping_add(h * tq * tk + i * tk + j);
            *f = spec.dropout.factor(index as usize);
        }
    }
    Ok(Tensor::from_vec(f, dims, device)?)
}

pub(in crate::autograd) fn attention(
    tape: &Tape,
    q: &Value,
    k: &Value,
    v: &Value,
    spec: AttentionSpec,
) -> Result<Value> {
    let device = q.tensor().device();
    #[cfg(feature = "cuda")]
    {
        let (width, sentences) = (q.tensor().dims2()?.1, spec.q_offsets.len() - 1);
        let takes = crate::kernels::cuda::Attention::takes(spec.heads, width, sentences);
        if device.is_cuda() && takes {
            return super::super::cuda::attention(tape, q, k, v, &spec);
        }
    }
    let gathered = match &spec.k_rows {
        None => None,
        Some(rows) => {
            let of = |x: &Value| -> Result<Value> {
                Ok(Value::constant(x.tensor().index_select(rows, 0)?))
            };
            Some((of(k)?, of(v)?))
        }
    };
    let (k, v) = gathered.as_ref().map_or((k, v), |(k, v)| (k, v));
    let layout = tape.layouts().of(&spec, device)?;
    let (q_rows, k_rows) = (&layout.q, &layout.k);
    let (qh, kh, vh) = (
        q_rows.split(q.tensor(), spec.heads)?,
        k_rows.split(k.tensor(), spec.heads)?,
        k_rows.split(v.tensor(), spec.heads)?,
    );
    let scale = 1.0 / (qh.dims4()?.3 as f64).sqrt();
    let narrow = tape.is_in_bf16();
    let scores = (product_t(&qh, &kh, narrow)? * scale)?;
    let scores = scores.broadcast_add(&layout.hidden)?;
    let e = scores.broadcast_sub(&scores.max_keepdim(3)?)?.exp()?;
    let p = e.broadcast_div(&e.sum_keepdim(3)?)?.to_dtype(DType::F32)?;
    let drawn = match spec.dropout.is_none() {
        true => None,
        false => Some(factors(&spec, q_rows, k_rows, device)?),
    };
    let thin = |p: &Tensor, drawn: &Option<Tensor>| -> Result<Tensor> {
        Ok(match drawn {
            Some(f) => (p * f)?,
            None => p.clone(),
        })
    };
    let out = q_rows.join(&product(&thin(&p, &drawn)?, &vh, narrow)?)?;
    let (to_q, to_k, to_v) = (q.source(), k.source(), v.source());
    Ok(tape.push(out, &[to_q, to_k, to_v], || {
        let layout = Rc::clone(&layout);
        Box::new(move |incoming, back| {
            let (q_rows, k_rows) = (&layout.q, &layout.k);
            let d_out = q_rows.split(incoming.tensor(), spec.heads)?;
            back.give(to_v, || {
                let seen = thin(&p, &drawn)?.transpose(2, 3)?.contiguous()?;
                k_rows.join(&product(&seen, &d_out, narrow)?)
            })?;
            let dp = thin(&product_t(&d_out, &vh, narrow)?, &drawn)?;
            let mean = (&dp * &p)?.sum_keepdim(3)?;
            let ds = ((dp.broadcast_sub(&mean)? * &p)? * scale)?;
            back.give(to_q, || q_rows.join(&product(&ds, &kh, narrow)?))?;
            back.give(to_k, || {
                k_rows.join(&product(&ds.transpose(2, 3)?.contiguous()?, &qh, narrow)?)
            })
        })
    }))
}
