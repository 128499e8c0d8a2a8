//! Rows taken out of matrices, and put together.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use super::super::tape::{Source, Tape, Value};
use super::indices;
use crate::error::Result;

pub(in crate::autograd) fn gather_rows(tape: &Tape, x: &Value, rows: &Arc<[u32]>) -> Result<Value> {
    let dims = x.tensor().dims().to_vec();
    let rows = indices(rows, x.tensor().device())?;
    let (out, to) = (x.tensor().index_select(&rows, 0)?, x.source());
    Ok(tape.push(out, &[to], || {
        Box::new(move |incoming, back| {
            back.give(to, || {
                let dy = incoming.tensor();
                Ok(Tensor::zeros(dims, DType::F32, dy.device())?.index_add(&rows, dy, 0)?)
            })
        })
    }))
}

pub(in crate::autograd) fn concat_rows(
    tape: &Tape,
    rows: &[Vec<Option<Value>>],
    widths: &[usize],
    device: &Device,
) -> Result<Value> {
    let mut pieces: Vec<(Source, usize, usize, usize)> = Vec::new();
    let mut out = Vec::with_capacity(rows.len());
    for (i, row) in rows.iter().enumerate() {
        let mut at = 0;
        let mut values = Vec::with_capacity(row.len());
        for (piece, &width) in row.iter().zip(widths) {
            values.push(match piece {
                Some(piece) => {
                    pieces.push((piece.source(), i, at, width));
                    piece.tensor().reshape(width)?
                }
                None => Tensor::zeros(width, DType::F32, device)?,
            });
            at += width;
        }
        out.push(match values.is_empty() {
            true => Tensor::zeros(0, DType::F32, device)?,
            false => Tensor::cat(&values, 0)?,
        });
    }
    let sources: Vec<Source> = pieces.iter().map(|p| p.0).collect();
    Ok(tape.push(Tensor::stack(&out, 0)?, &sources, || {
        Box::new(move |incoming, back| {
            for (to, row, at, width) in pieces {
                back.give(to, || Ok(incoming.tensor().get(row)?.narrow(0, at, width)?))?;
            }
            Ok(())
        })
    }))
}

pub(in crate::autograd) fn row(
    tape: &Tape,
    x: &Value,
    row: usize,
    dims: &[usize],
    scale: f32,
    shift: f32,
) -> Result<Value> {
    let (rows, width) = x.tensor().dims2()?;
    let scale = f64::from(scale);
    let out = x.tensor().get(row)?.affine(scale, f64::from(shift))?.reshape(dims)?;
    let to = x.source();
    Ok(tape.push(out, &[to], || {
        Box::new(move |incoming, back| {
            back.give(to, || {
                let dy = (incoming.tensor().reshape((1, width))? * scale)?;
                Ok(dy.pad_with_zeros(0, row, rows - row - 1)?)
            })
        })
    }))
}
