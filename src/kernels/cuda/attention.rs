//! Attention over sentences of unequal lengths, without padding.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::launch::{Call, unwritten};
use crate::error::{Error, Result};
use crate::kernels::dropout::Dropout;

/// Largest dimension of a head that the kernels take.
const MOST: usize = 128;
/// Threads of a block, and rows it works on and with at a time: attention.cuh.
const THREADS: u32 = 128;
const ROWS: usize = 8;
const TILE: usize = 32;

/// Where sentences begin, on a device.
#[derive(Clone)]
pub struct Offsets {
    /// `[sentences + 1]`.
    places: Tensor,
    longest: usize,
    rows: usize,
}

impl Offsets {
    pub fn new(offsets: &Arc<[usize]>, device: &Device) -> Result<Self> {
        let places: Vec<u32> = offsets.iter().map(|&o| o as u32).collect();
        let longest = offsets.windows(2).map(|o| o[1] - o[0]).max().unwrap_or(0);
        let rows = offsets.last().copied().unwrap_or(0);
        Ok(Self { places: Tensor::from_vec(places, offsets.len(), device)?, longest, rows })
    }
}

/// What is fixed for one call; see [`crate::kernels::attention::Shape`].
#[derive(Clone)]
pub struct Attention {
    pub heads: usize,
    /// `heads * head_dim`.
    pub width: usize,
    pub causal: bool,
    pub dropout: Dropout,
    pub queries: Offsets,
    pub keys: Offsets,
}

impl Attention {
    /// Whether the kernels know heads and as many sentences; what they do not is composed.
    pub fn takes(heads: usize, width: usize, sentences: usize) -> bool {
        width / heads <= MOST && heads < 1 << 16 && sentences < 1 << 16
    }

    fn dim(&self) -> usize {
        self.width / self.heads
    }
    fn call(&self, name: &'static str, q: &Tensor) -> Result<Call> {
        let call = Call::new(name, q)?.u32(self.heads)?.u32(self.dim())?;
        let call = call.u32(usize::from(self.causal))?.draw(self.dropout);
        let call = call.f32(1.0 / (self.dim() as f32).sqrt());
        call.values(&self.queries.places)?.values(&self.keys.places)
    }
    /// Blocks for so many rows of a side at most, and bytes of memory together: a tile of two tensors and
    /// the own rows of as many as said, each with a value of room.
    fn blocks(&self, longest: usize) -> (usize, usize, usize) {
        (longest.div_ceil(ROWS), self.heads, self.queries.places.elem_count() - 1)
    }
    fn shared(&self, own: usize) -> usize {
        4 * (2 * TILE + own * ROWS) * (self.dim() + 1)
    }
    fn check(&self, q: &Tensor, k: &Tensor, v: &Tensor, places: Option<&Tensor>) -> Result<()> {
        let is = |t: &Tensor, rows: usize| t.elem_count() == rows * self.width;
        // Rows that are named lie wherever they do.
        let named =
            places.is_some_and(|p| p.elem_count() == self.keys.rows && k.dims() == v.dims());
        let all = is(k, self.keys.rows) && is(v, self.keys.rows);
        if is(q, self.queries.rows) && (named || places.is_none() && all) {
            return Ok(());
        }
        Err(Error::bug(format!("attention of {:?}, {:?} and {:?}", q.dims(), k.dims(), v.dims())))
    }

    /// The result, of the shape of `q`, and what the backward pass needs of it beside: the logarithm of each
    /// row's sum of exponentials, `[queries, heads]`. `places` are the rows of `k` and `v` that are keys, where
    /// these are not all.
    pub fn forward(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        places: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
        self.check(&q, &k, &v, places)?;
        let out = unwritten(q.shape(), DType::F32, &q)?;
        let lse = unwritten((self.queries.rows, self.heads), DType::F32, &q)?;
        let call = self.call("attention_f32", &q)?;
        let call = match places {
            Some(places) => call.values(places)?,
            None => call.no_values(),
        };
        let call = call.values(&q)?.values(&k)?.values(&v)?;
        let call = call.values(&out)?.values(&lse)?;
        // SAFETY: the arguments are the kernel's; tensors have the rows that the offsets end at, or those that
        // the places name, as whoever named them says.
        unsafe { call.launch(self.blocks(self.queries.longest), (THREADS, 1), self.shared(1))? };
        Ok((out, lse))
    }

    /// The gradients for `q`, `k` and `v`; `out` and `lse` as `forward` gave them.
    pub fn backward(
        &self,
        [q, k, v]: [&Tensor; 3],
        (out, lse): (&Tensor, &Tensor),
        d_out: &Tensor,
    ) -> Result<[Tensor; 3]> {
        let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
        let d_out = d_out.contiguous()?;
        self.check(&q, &k, &v, None)?;
        self.check(&d_out, &k, &v, None)?;
        let dq = unwritten(q.shape(), DType::F32, &q)?;
        let (dk, dv) =
            (unwritten(k.shape(), DType::F32, &q)?, unwritten(v.shape(), DType::F32, &q)?);
        let along = unwritten(lse.shape(), DType::F32, &q)?;
        let call = self.call("attention_backward_q_f32", &q)?.values(&q)?.values(&k)?.values(&v)?;
        let call = call.values(out)?.values(lse)?.values(&d_out)?.values(&dq)?.values(&along)?;
        // SAFETY: as in `forward`; d_out, out and dq are of the shape of q, along of that of lse.
        unsafe { call.launch(self.blocks(self.queries.longest), (THREADS, 1), self.shared(2))? };
        let call =
            self.call("attention_backward_kv_f32", &q)?.values(&q)?.values(&k)?.values(&v)?;
        let call = call.values(lse)?.values(&along)?.values(&d_out)?.values(&dk)?.values(&dv)?;
        // SAFETY: as above; dk and dv are of the shapes of k and v.
        unsafe { call.launch(self.blocks(self.keys.longest), (THREADS, 1), self.shared(2))? };
        Ok([dq, dk, dv])
    }
}
