//! Rows of a matrix by their numbers, and what is added to them.

use candle_core::{DType, Tensor};

use super::launch::{Call, THREADS, unwritten};
use crate::error::{Error, Result};

/// `scale * weight[id] + positions[place]` of each token, `[tokens, width]`; `weight` in f32 or bf16.
pub fn embed(
    weight: &Tensor,
    ids: &Tensor,
    positions: &Tensor,
    places: &Tensor,
    scale: f32,
) -> Result<Tensor> {
    let (tokens, width) = (ids.elem_count(), weight.dims2()?.1);
    let name = match weight.dtype() {
        DType::F32 => "embed_f32",
        DType::BF16 => "embed_bf16",
        other => return Err(Error::bug(format!("embeddings in {other:?}"))),
    };
    let y = unwritten((tokens, width), DType::F32, weight)?;
    let call = Call::new(name, weight)?.u32(width)?.f32(scale).values(weight)?.values(ids)?;
    let call = call.values(positions)?.values(places)?.values(&y)?;
    // SAFETY: the arguments are the kernel's; ids and places are rows of their matrices, as whoever read the
    // tokens checked, and y holds a row for each.
    unsafe { call.launch((tokens, 1, 1), (THREADS.min(width.next_multiple_of(32) as u32), 1), 0)? };
    Ok(y)
}

/// Which rows are added to which: each target once, with its rows in their order.
pub struct Rows {
    targets: Vec<u32>,
    starts: Vec<u32>,
    order: Vec<u32>,
}

impl Rows {
    /// Row `i` is added to row `ids[i]`.
    pub fn to(ids: &[u32]) -> Self {
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        order.sort_by_key(|&i| ids[i as usize]);
        let (mut targets, mut starts) = (Vec::new(), Vec::new());
        for (at, &i) in order.iter().enumerate() {
            let id = ids[i as usize];
            if targets.last() != Some(&id) {
                targets.push(id);
                starts.push(at as u32);
            }
        }
        starts.push(order.len() as u32);
        Self { targets, starts, order }
    }
}

/// Adds `scale` times the rows of `x` to rows of `y` `[rows, width]`, where it lies.
pub fn add_rows(y: &Tensor, x: &Tensor, rows: &Rows, scale: f32) -> Result<()> {
    let (x, (height, width)) = (x.contiguous()?, y.dims2()?);
    if x.elem_count() != rows.order.len() * width
        || rows.targets.last().is_some_and(|&t| t as usize >= height)
    {
        return Err(Error::bug(format!("rows {:?} added to {:?}", x.dims(), y.dims())));
    }
    let numbers = |v: &[u32]| Tensor::from_slice(v, v.len(), y.device());
    let (targets, starts, order) =
        (numbers(&rows.targets)?, numbers(&rows.starts)?, numbers(&rows.order)?);
    let call = Call::new("add_rows_f32", y)?.u32(width)?.f32(scale).values(&targets)?;
    let call = call.values(&starts)?.values(&order)?.values(&x)?.values(y)?;
    let threads = THREADS.min(width.next_multiple_of(32) as u32);
    // SAFETY: the arguments are the kernel's; targets lie within y and differ, and order counts rows of x.
    unsafe { call.launch((rows.targets.len(), 1, 1), (threads, 1), 0) }
}
