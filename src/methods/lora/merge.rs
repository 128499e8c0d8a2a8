//! A plain LoRA added to the weights of a model.

use std::collections::BTreeMap;

use super::set::LoraSet;
use super::shrink::Pair;
use crate::error::{Error, Result};
use crate::formats::lora_placement::SHARED;
use crate::kernels::low_rank::{Update, merge};

/// Updates by the name of the weight they belong to.
pub struct MergedUpdates {
    pairs: BTreeMap<String, Pair>,
    start: usize,
}

/// What a plain LoRA (see [`LoraSet::compose`]) adds to a model.
pub fn merged(set: &LoraSet) -> Result<MergedUpdates> {
    let modules = set
        .adapters
        .get(SHARED)
        .filter(|_| set.placement.is_plain())
        .ok_or_else(|| Error::bug("only a plain LoRA can be merged"))?;
    let pairs = modules
        .iter()
        .map(|(path, m)| Ok((format!("{path}.weight"), m.pair()?)))
        .collect::<Result<_>>()?;
    Ok(MergedUpdates { pairs, start: set.placement.slice.map_or(0, |s| s.0) })
}

impl MergedUpdates {
    /// Adds what belongs to the weight of this name, `[out, in]`; does nothing to others.
    pub fn add_to(&self, name: &str, shape: &[usize], weight: &mut [f32]) -> Result<()> {
        let Some(pair) = self.pairs.get(name) else { return Ok(()) };
        let [out, inp] = *shape else { return Err(Error::bug("a weight is a matrix")) };
        if self.start + pair.inp > inp || self.start + pair.out > out {
            return Err(Error::bug("update of low rank and matrix do not fit"));
        }
        let update = Update {
            lora_a: &pair.lora_a,
            lora_b: &pair.lora_b,
            rank: pair.rank,
            start: self.start,
        };
        merge(weight, inp, update, pair.scaling);
        Ok(())
    }
}
