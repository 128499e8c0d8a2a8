//! Some rows of a matrix.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::composed;
use super::tape::{Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::storage::values;

impl Tape {
    /// The rows of `x` `[tokens, width]` with these indices, in their order: `[rows, width]`. A row
    /// may be asked for more than once; its gradients add up.
    pub fn gather_rows(&self, x: &Value, rows: Arc<[u32]>) -> Result<Value> {
        let (n, width) = x.tensor().dims2()?;
        if let Some(row) = rows.iter().find(|&&r| r as usize >= n) {
            return Err(Error::bug(format!("row {row} of a matrix of {n} rows")));
        }
        if !self.has_kernels(x) {
            return composed::gather_rows(self, x, &rows);
        }
        let mut out = Vec::with_capacity(rows.len() * width);
        {
            let v = values(x.tensor())?;
            for &r in &*rows {
                out.extend_from_slice(&v[r as usize * width..][..width]);
            }
        }
        let out = Tensor::from_vec(out, (rows.len(), width), &Device::Cpu)?;
        let to = x.source();
        Ok(self.push(out, &[to], || {
            Box::new(move |incoming, back| {
                let dy = values(incoming.tensor())?;
                back.write(to, &[n, width], |dx, accumulate| {
                    if !accumulate {
                        dx.fill(0.0);
                    }
                    for (&r, dy) in rows.iter().zip(dy.chunks_exact(width)) {
                        let dx = &mut dx[r as usize * width..][..width];
                        dx.iter_mut().zip(dy).for_each(|(d, g)| *d += g);
                    }
                })
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Gradients, Parameter};
    use super::*;

    #[test]
    fn rows_and_their_gradients() {
        let x: Vec<f32> = (0..8).map(|v| v as f32).collect();
        let tensor = Tensor::from_vec(x, (4, 2), &Device::Cpu).unwrap();
        let p = Parameter { name: "x".into(), tensor, slot: Some(0) };
        let mut gradients = Gradients::new([&p]).unwrap();
        let dy = [10f32, 20.0, 1.0, 2.0, 100.0, 200.0];
        // The second pass adds to the first.
        for pass in 1..3 {
            let tape = Tape::recording();
            let y = tape.gather_rows(&p.value(), [2, 0, 2].into()).unwrap();
            assert_eq!(y.tensor().dims(), [3, 2]);
            assert_eq!(&*values(y.tensor()).unwrap(), [4.0, 5.0, 0.0, 1.0, 4.0, 5.0]);
            let seed = Tensor::from_slice(&dy, (3, 2), &Device::Cpu).unwrap();
            tape.backward(vec![(y, seed)], &mut gradients).unwrap();
            let want = [1.0, 2.0, 0.0, 0.0, 110.0, 220.0, 0.0, 0.0].map(|v: f32| v * pass as f32);
            assert_eq!(&*values(gradients.get(0).unwrap()).unwrap(), want);
        }
        let tape = Tape::recording();
        assert!(tape.gather_rows(&p.value(), [4].into()).is_err());
        let constant = Value::constant(p.tensor.clone());
        assert!(!tape.gather_rows(&constant, [1].into()).unwrap().is_tracked());
    }
}
