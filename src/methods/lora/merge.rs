//! A plain LoRA added to the weights of a model.

use std::collections::BTreeMap;

use super::set::LoraSet;
use super::shrink::Pair;
use crate::error::{Error, Result};
use crate::formats::lora::split_path;
use crate::formats::neurons::Side;
use crate::formats::placement::SHARED;
use crate::kernels::low_rank::{Update, merge};
use crate::model::DirectionParts;

/// Updates by the name of the weight they belong to.
pub struct MergedUpdates {
    pairs: BTreeMap<String, Pair>,
    start: usize,
}

/// What a plain LoRA (see [`LoraSet::compose`]) adds to a model.
pub fn merged(set: &LoraSet) -> Result<MergedUpdates> {
    if !set.placement.is_plain() {
        return Err(Error::bug("only a plain LoRA can be merged"));
    }
    let modules = set.adapters.get(SHARED);
    let pairs = modules
        .into_iter()
        .flatten()
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

/// Makes the rows of `fc1.weight` zero that a direction's mask leaves out; does nothing to others.
pub fn zero_masked_rows(parts: &DirectionParts, name: &str, shape: &[usize], weight: &mut [f32]) {
    let place = name.strip_suffix(".weight").and_then(split_path);
    let Some((side, layer, "fc1")) = place else { return };
    let layers = match side {
        Side::Encoder => &parts.encoder,
        Side::Decoder => &parts.decoder,
    };
    let (Some(mask), [_, inp]) = (layers.get(layer).and_then(|l| l.neurons.as_ref()), shape) else {
        return;
    };
    let mut kept = mask.kept().iter().peekable();
    for (i, row) in weight.chunks_exact_mut((*inp).max(1)).enumerate() {
        match kept.next_if(|k| **k as usize == i) {
            Some(_) => {}
            None => row.fill(0.0),
        }
    }
}
