//! Operations of a hyper-network: conditioning vectors put together from embeddings, and tensors cut
//! out of what its heads give.

use candle_core::{Device, Tensor};

use super::composed;
use super::tape::{Source, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::storage::values;

impl Tape {
    /// `[rows, sum of widths]`: each row is its pieces, one after another. A piece without a value
    /// is zeros; column by column all pieces have the widths given. All lies on `device`.
    pub fn concat_rows(
        &self,
        rows: &[Vec<Option<Value>>],
        widths: &[usize],
        device: &Device,
    ) -> Result<Value> {
        if !self.has_kernels_on(device) {
            return composed::concat_rows(self, rows, widths, device);
        }
        let total: usize = widths.iter().sum();
        let mut out = vec![0f32; rows.len() * total];
        let mut pieces: Vec<(Source, usize, usize)> = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            if row.len() != widths.len() {
                return Err(Error::bug("a row of another number of pieces"));
            }
            let mut at = i * total;
            for (piece, &width) in row.iter().zip(widths) {
                if let Some(piece) = piece {
                    let v = values(piece.tensor())?;
                    if v.len() != width {
                        return Err(Error::bug(format!("a piece of {} on {width}", v.len())));
                    }
                    out[at..at + width].copy_from_slice(&v);
                    if piece.is_tracked() {
                        pieces.push((piece.source(), at, width));
                    }
                }
                at += width;
            }
        }
        let sources: Vec<Source> = pieces.iter().map(|p| p.0).collect();
        let out = Tensor::from_vec(out, (rows.len(), total), &Device::Cpu)?;
        Ok(self.push(out, &sources, || {
            Box::new(move |incoming, back| {
                let dy = values(incoming.tensor())?;
                for (to, at, width) in pieces {
                    back.write(to, &[width], |d, accumulate| {
                        let dy = &dy[at..at + width];
                        if accumulate {
                            d.iter_mut().zip(dy).for_each(|(d, g)| *d += g);
                        } else {
                            d.copy_from_slice(dy);
                        }
                    })?;
                }
                Ok(())
            })
        }))
    }

    /// `scale * x[row] + shift`, in the shape `dims`, from `x` `[rows, product of dims]`.
    pub fn row(
        &self,
        x: &Value,
        row: usize,
        dims: &[usize],
        scale: f32,
        shift: f32,
    ) -> Result<Value> {
        let (rows, width) = x.tensor().dims2()?;
        if row >= rows || dims.iter().product::<usize>() != width {
            return Err(Error::bug(format!("row {row} of [{rows}, {width}] as {dims:?}")));
        }
        if !self.has_kernels(x) {
            return composed::row(self, x, row, dims, scale, shift);
        }
        let range = row * width..(row + 1) * width;
        let own = values(x.tensor())?[range.clone()].iter().map(|v| scale * v + shift).collect();
        let to = x.source();
        Ok(self.push(Tensor::from_vec::<_, f32>(own, dims, &Device::Cpu)?, &[to], || {
            Box::new(move |incoming, back| {
                let dy = values(incoming.tensor())?;
                back.write(to, &[rows, width], |dx, accumulate| {
                    if !accumulate {
                        dx.fill(0.0);
                    }
                    dx[range].iter_mut().zip(dy.iter()).for_each(|(d, g)| *d += scale * g);
                })
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Gradients, Parameter};
    use super::*;

    fn parameter(name: &str, slot: usize, v: Vec<f32>, dims: &[usize]) -> Parameter {
        let tensor = Tensor::from_vec(v, dims, &Device::Cpu).unwrap();
        Parameter { name: name.into(), tensor, slot: Some(slot) }
    }

    #[test]
    fn rows_are_put_together_and_their_gradients_add_up() {
        let a = parameter("a", 0, vec![1.0, 2.0], &[2]);
        let b = parameter("b", 1, vec![3.0], &[1]);
        let tape = Tape::recording();
        let rows = [vec![Some(a.value()), None], vec![Some(a.value()), Some(b.value())]];
        let z = tape.concat_rows(&rows, &[2, 1], &Device::Cpu).unwrap();
        assert_eq!(z.tensor().to_vec2::<f32>().unwrap(), [[1.0, 2.0, 0.0], [1.0, 2.0, 3.0]]);
        let mut gradients = Gradients::new([&a, &b]).unwrap();
        let seed = Tensor::from_vec(vec![1f32, 2.0, 4.0, 8.0, 16.0, 32.0], (2, 3), &Device::Cpu);
        tape.backward(vec![(z, seed.unwrap())], &mut gradients).unwrap();
        assert_eq!(gradients.get(0).unwrap().to_vec1::<f32>().unwrap(), [9.0, 18.0]);
        assert_eq!(gradients.get(1).unwrap().to_vec1::<f32>().unwrap(), [32.0]);
        let bad = Tape::disabled().concat_rows(&[vec![Some(b.value())]], &[2], &Device::Cpu);
        assert!(bad.is_err());
    }

    #[test]
    fn a_row_is_scaled_shifted_and_row_major() {
        let x = parameter("x", 0, (0..12).map(|v| v as f32).collect(), &[2, 6]);
        let tape = Tape::recording();
        let one = tape.row(&x.value(), 1, &[2, 3], 0.5, 1.0).unwrap();
        assert_eq!(one.tensor().to_vec2::<f32>().unwrap(), [[4.0, 4.5, 5.0], [5.5, 6.0, 6.5]]);
        let again = tape.row(&x.value(), 1, &[6], 2.0, 0.0).unwrap();
        let mut gradients = Gradients::new([&x]).unwrap();
        let ones =
            |dims: &[usize]| Tensor::ones(dims, candle_core::DType::F32, &Device::Cpu).unwrap();
        tape.backward(vec![(one, ones(&[2, 3])), (again, ones(&[6]))], &mut gradients).unwrap();
        let g = gradients.get(0).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(g, [[0.0; 6], [2.5; 6]]);
        assert!(Tape::disabled().row(&x.value(), 2, &[6], 1.0, 0.0).is_err());
        assert!(Tape::disabled().row(&x.value(), 0, &[5], 1.0, 0.0).is_err());
    }
}
