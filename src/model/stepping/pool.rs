//! Keys and values of tokens in every layer, in rows that are handed out one after another.

use candle_core::{DType, Device, Tensor};

use crate::autograd::Value;
use crate::error::{Error, Result};

/// Rows of the smallest pool.
const MIN_ROWS: usize = 1024;

pub struct Pool {
    num_layers: usize,
    /// `[capacity, width]` each; none before there is anything.
    layers: Vec<[Tensor; 2]>,
    width: usize,
    capacity: usize,
    used: usize,
    device: Device,
}

/// The rows of a full pool that moved to a new one: in the order they stood in.
pub struct Moved(Vec<u32>);

impl Moved {
    /// # Errors
    /// A bug: the row was given up.
    pub fn now_at(&self, row: u32) -> Result<u32> {
        let place = self.0.binary_search(&row);
        place.map(|at| at as u32).map_err(|_| Error::bug("a row of a pool that was given up"))
    }
}

impl Pool {
    pub fn new(num_layers: usize, width: usize, device: &Device) -> Self {
        let (layers, device) = (Vec::new(), device.clone());
        Self { num_layers, layers, width, capacity: 0, used: 0, device }
    }

    fn empty(&self, rows: usize) -> Result<[Tensor; 2]> {
        let zeros = || Tensor::zeros((rows, self.width), DType::F32, &self.device);
        Ok([zeros()?, zeros()?])
    }

    /// Makes room for `count` rows more. When the pool is full, the rows that `live` names, ascending,
    /// move to a new one of twice their number.
    pub fn reserve(
        &mut self,
        count: usize,
        live: impl FnOnce() -> Vec<u32>,
    ) -> Result<Option<Moved>> {
        if self.used + count <= self.capacity {
            return Ok(None);
        }
        let live = live();
        let capacity = (2 * (live.len() + count)).max(MIN_ROWS);
        if live.is_empty() {
            // What nobody needs makes room first.
            self.layers.clear();
            self.layers =
                (0..self.num_layers).map(|_| self.empty(capacity)).collect::<Result<_>>()?;
        } else {
            let rows = self.rows(&live)?;
            for l in 0..self.num_layers {
                let new = self.empty(capacity)?;
                for (old, new) in self.layers[l].iter().zip(&new) {
                    new.slice_set(&old.index_select(&rows, 0)?, 0, 0)?;
                }
                self.layers[l] = new;
            }
        }
        (self.capacity, self.used) = (capacity, live.len());
        Ok(Some(Moved(live)))
    }

    /// The first of `count` rows, for which there is room.
    pub fn take(&mut self, count: usize) -> u32 {
        self.used += count;
        (self.used - count) as u32
    }

    /// Fills rows from `first` on.
    pub fn write(&self, layer: usize, first: u32, kv: &[Value; 2]) -> Result<()> {
        for (to, from) in self.layers[layer].iter().zip(kv) {
            to.slice_set(&from.tensor().contiguous()?, 0, first as usize)?;
        }
        Ok(())
    }

    /// Names rows on the device.
    pub fn rows(&self, rows: &[u32]) -> Result<Tensor> {
        Ok(Tensor::from_slice(rows, rows.len(), &self.device)?)
    }

    /// Keys and values of all rows.
    pub fn all(&self, layer: usize) -> [Value; 2] {
        self.layers[layer].clone().map(Value::constant)
    }

    /// Keys and values of the rows named.
    pub fn read(&self, layer: usize, rows: &Tensor) -> Result<[Value; 2]> {
        let [k, v] = &self.layers[layer];
        Ok([Value::constant(k.index_select(rows, 0)?), Value::constant(v.index_select(rows, 0)?)])
    }
}
