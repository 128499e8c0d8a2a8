//! Gradual pruning of the pairs while they are trained (specification of LSLo, section 7): which
//! entries go, and when.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::set::{LoraModule, LoraSet};
use crate::autograd::{Gradients, Parameter};
use crate::error::{Error, Result};
use crate::formats::neurons::Side;
use crate::kernels::storage::{change, values};

/// What competes: the smallest of a pool go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PrunePool {
    /// All matrices of an adapter, over all layers: every language ends at the same share
    #[default]
    Language,
    /// All adapters in a layer: languages compete, to see how much each needs
    Layer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PruneWhat {
    /// B only, as published
    #[default]
    B,
    /// A and B, each within its own pool
    Ab,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum PruneUnit {
    /// Single entries, by magnitude, as published
    #[default]
    Entry,
    /// Whole ranks, by the norm of their outer product: a column of B (and with `ab` a row of A)
    Rank,
}

impl PruneUnit {
    pub fn name(self) -> &'static str {
        match self {
            Self::Entry => "entry",
            Self::Rank => "rank",
        }
    }
}

/// When how much: cubic, over periods counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PruneSchedule {
    /// The share that is pruned in the end.
    pub target: f64,
    /// First period, in which nothing is pruned yet.
    pub start: u64,
    /// Periods from there to the target.
    pub duration: u64,
    /// Updates of a period.
    pub every: u64,
}

impl PruneSchedule {
    /// The period of an update, both counted from 1.
    pub fn period(&self, step: u64) -> u64 {
        step.saturating_sub(1) / self.every.max(1) + 1
    }

    /// Whether a period begins with this update.
    pub fn begins(&self, step: u64) -> bool {
        step.saturating_sub(1).is_multiple_of(self.every.max(1))
    }

    /// The share of each pool that is pruned; none before the start (section 7.3).
    pub fn ratio(&self, period: u64) -> Option<f64> {
        if period < self.start {
            return None;
        }
        let past = (period - self.start) as f64;
        if past >= self.duration as f64 {
            return Some(self.target);
        }
        let left = 1.0 - past / self.duration as f64;
        Some(self.target - self.target * left.powi(3))
    }
}

/// What is pruned, and when.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pruning {
    pub schedule: PruneSchedule,
    pub pool: PrunePool,
    pub what: PruneWhat,
    pub unit: PruneUnit,
}

/// How much is gone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pruned {
    /// Entries (or ranks) that are gone, and all that may go, by adapter.
    pub by_adapter: BTreeMap<String, (u64, u64)>,
}

impl Pruned {
    pub fn total(&self) -> (u64, u64) {
        self.by_adapter.values().fold((0, 0), |(a, b), (c, d)| (a + c, b + d))
    }
}

/// Which entries are left, by parameter name; what is not listed is whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PruneMasks {
    pub kept: BTreeMap<String, Vec<bool>>,
}

/// What lives and dies together: an entry of a matrix, or a rank. Small, for there are as many as
/// parameters.
#[derive(Clone, Copy)]
struct Unit {
    score: f32,
    gone: bool,
    module: u32,
    /// Of the entry in its matrix, or of the rank.
    at: u32,
}

/// Pools are told apart by matrix (A or B) and by language or layer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum PoolKey<'a> {
    Adapter(&'a str, bool),
    Layer(Side, usize, bool),
}

impl PruneMasks {
    /// Prunes the smallest of every pool, until `ratio` of it is gone. What was gone before stays
    /// gone, and counts.
    pub fn prune(
        &mut self,
        set: &LoraSet,
        ratio: f64,
        pool: PrunePool,
        what: PruneWhat,
        unit: PruneUnit,
    ) -> Result<()> {
        let modules: Vec<&LoraModule> = set.adapters.values().flat_map(BTreeMap::values).collect();
        let mut pools: BTreeMap<PoolKey<'_>, Vec<usize>> = BTreeMap::new();
        let places = set.adapters.iter().flat_map(|(a, of)| of.keys().map(move |p| (a, p)));
        for (i, (adapter, path)) in places.enumerate() {
            let (side, layer, _) = LoraSet::place(path)?;
            let both: &[bool] = match (what, unit) {
                (PruneWhat::Ab, PruneUnit::Entry) => &[false, true],
                _ => &[false],
            };
            for &of_a in both {
                let key = match pool {
                    PrunePool::Language => PoolKey::Adapter(adapter, of_a),
                    PrunePool::Layer => PoolKey::Layer(side, layer, of_a),
                };
                pools.entry(key).or_default().push(i);
            }
        }
        // One pool at a time: together they would be several times the parameters.
        for (key, members) in pools {
            let of_a = matches!(key, PoolKey::Adapter(_, true) | PoolKey::Layer(_, _, true));
            let mut units = Vec::new();
            for &i in &members {
                self.add_units(modules[i], i as u32, of_a, unit, &mut units)?;
            }
            // The reference's `round`: half to even.
            let count = (ratio * units.len() as f64).round_ties_even() as usize;
            if count == 0 {
                continue;
            }
            // Whoever is gone goes first; between equals the order of adapter, module and position
            // decides.
            let compare = |a: &Unit, b: &Unit| {
                (!a.gone)
                    .cmp(&!b.gone)
                    .then(a.score.total_cmp(&b.score))
                    .then((a.module, a.at).cmp(&(b.module, b.at)))
            };
            if count < units.len() {
                units.select_nth_unstable_by(count, compare);
                units.truncate(count);
            }
            units.sort_unstable_by_key(|u| (u.module, u.at));
            for of_module in units.chunk_by(|a, b| a.module == b.module) {
                let module = modules[of_module[0].module as usize];
                self.drop(module, of_module, of_a, what, unit);
            }
        }
        Ok(())
    }

    /// What may be pruned of a module: entries of A or B, or ranks.
    fn add_units(
        &self,
        module: &LoraModule,
        index: u32,
        of_a: bool,
        unit: PruneUnit,
        units: &mut Vec<Unit>,
    ) -> Result<()> {
        let unit_of = |at: usize, score: f32, kept: Option<&Vec<bool>>| Unit {
            score,
            gone: kept.is_some_and(|k| !k[at]),
            module: index,
            at: at as u32,
        };
        let matrix = if of_a { &module.lora_a } else { &module.lora_b };
        let kept = self.kept.get(&*matrix.name);
        let v = values(&matrix.tensor)?;
        match unit {
            PruneUnit::Entry => {
                units.extend(v.iter().enumerate().map(|(j, v)| unit_of(j, v.abs(), kept)));
            }
            PruneUnit::Rank => {
                let a = values(&module.lora_a.tensor)?;
                let rank = module.rank();
                let width_in = a.len() / rank.max(1);
                // The first row of B tells whether its columns are gone.
                units.extend((0..rank).map(|r| {
                    let row = &a[r * width_in..(r + 1) * width_in];
                    let norm_a: f32 = row.iter().map(|v| v * v).sum::<f32>().sqrt();
                    let column = v.iter().skip(r).step_by(rank);
                    let norm_b: f32 = column.map(|v| v * v).sum::<f32>().sqrt();
                    unit_of(r, norm_a * norm_b * module.scaling(), kept)
                }));
            }
        }
        Ok(())
    }

    /// These units of a module are gone.
    fn drop(
        &mut self,
        module: &LoraModule,
        units: &[Unit],
        of_a: bool,
        what: PruneWhat,
        unit: PruneUnit,
    ) {
        match unit {
            PruneUnit::Entry => {
                let kept = self.mask_of(if of_a { &module.lora_a } else { &module.lora_b });
                units.iter().for_each(|u| kept[u.at as usize] = false);
            }
            PruneUnit::Rank => {
                let rank = module.rank();
                let kept = self.mask_of(&module.lora_b);
                for u in units {
                    kept.iter_mut().skip(u.at as usize).step_by(rank).for_each(|k| *k = false);
                }
                if what == PruneWhat::Ab {
                    let kept = self.mask_of(&module.lora_a);
                    let width = kept.len() / rank.max(1);
                    for u in units {
                        kept[u.at as usize * width..][..width].fill(false);
                    }
                }
            }
        }
    }

    fn mask_of(&mut self, p: &Parameter) -> &mut Vec<bool> {
        self.kept.entry(p.name.to_string()).or_insert_with(|| vec![true; p.tensor.elem_count()])
    }

    /// Makes pruned entries zero.
    pub fn apply(&self, set: &LoraSet) -> Result<()> {
        for p in set.parameters() {
            if let Some(kept) = self.kept.get(&*p.name) {
                change(&p.tensor, |v| zero(v, kept))?;
            }
        }
        Ok(())
    }

    /// Makes the gradients of pruned entries zero.
    pub fn apply_to_gradients(&self, set: &LoraSet, gradients: &mut Gradients) -> Result<()> {
        for p in set.parameters() {
            if let (Some(kept), Some(slot)) = (self.kept.get(&*p.name), p.slot)
                && gradients.get(slot).is_some()
            {
                gradients.write(slot, |g, _| zero(g, kept))?;
            }
        }
        Ok(())
    }

    /// Makes pruned entries zero where an update may have moved them: in parameters with a gradient.
    pub fn apply_where_trained(&self, set: &LoraSet, gradients: &Gradients) -> Result<()> {
        for p in set.parameters() {
            if let (Some(kept), Some(slot)) = (self.kept.get(&*p.name), p.slot)
                && gradients.get(slot).is_some()
            {
                change(&p.tensor, |v| zero(v, kept))?;
            }
        }
        Ok(())
    }

    /// Masks read from a file must be of the parameters there are.
    pub fn check(&self, set: &LoraSet) -> Result<()> {
        let sizes: BTreeMap<&str, usize> =
            set.parameters().map(|p| (&*p.name, p.tensor.elem_count())).collect();
        for (name, kept) in &self.kept {
            if sizes.get(name.as_str()) != Some(&kept.len()) {
                return Err(Error::artifact("a pruning mask does not fit the LoRA")
                    .tensor(name)
                    .found(kept.len().to_string())
                    .expected(format!("{:?}", sizes.get(name.as_str()))));
            }
        }
        Ok(())
    }

    /// How much of each adapter is gone, of what may go: entries, or ranks.
    pub fn count(&self, set: &LoraSet, what: PruneWhat, unit: PruneUnit) -> Pruned {
        let mut pruned = Pruned::default();
        for (adapter, modules) in &set.adapters {
            let entry = pruned.by_adapter.entry(adapter.clone()).or_default();
            for m in modules.values() {
                // The first row of B tells which ranks are gone.
                let seen = match unit {
                    PruneUnit::Entry => usize::MAX,
                    PruneUnit::Rank => m.rank(),
                };
                let mut add = |p: &Parameter| {
                    let n = p.tensor.elem_count().min(seen);
                    let kept = self.kept.get(&*p.name).map(|k| &k[..n]);
                    entry.0 += kept.map_or(0, |k| k.iter().filter(|k| !**k).count()) as u64;
                    entry.1 += n as u64;
                };
                add(&m.lora_b);
                if what == PruneWhat::Ab && unit == PruneUnit::Entry {
                    add(&m.lora_a);
                }
            }
        }
        pruned
    }
}

fn zero(v: &mut [f32], kept: &[bool]) {
    for (v, kept) in v.iter_mut().zip(kept) {
        if !kept {
            *v = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Initialisation, LoraSpec};
    use super::*;
    use crate::formats::peft::Shapes;
    use crate::formats::placement::{Index, Layer, Placement};
    use crate::methods::placement_for;

    /// Section 7.3 with the README's values: T1 = 2, T2 = 10, P = 0.9.
    #[test]
    fn the_schedule_is_that_of_the_specification() {
        let s = PruneSchedule { target: 0.9, start: 2, duration: 10, every: 7 };
        let table = [
            0.0, 0.2439, 0.4392, 0.5913, 0.7056, 0.7875, 0.8424, 0.8757, 0.8928, 0.8991, 0.9, 0.9,
            0.9, 0.9,
        ];
        assert_eq!(s.ratio(1), None);
        for (i, want) in table.into_iter().enumerate() {
            let found = s.ratio(i as u64 + 2).unwrap();
            assert!((found - want).abs() < 5e-5, "period {}: {found}, expected {want}", i + 2);
        }
        assert_eq!([1, 7, 8, 14, 15].map(|step| s.period(step)), [1, 1, 2, 2, 3]);
        assert_eq!(
            [1, 2, 7, 8, 9, 15].map(|step| s.begins(step)),
            [true, false, false, true, false, true]
        );
    }

    /// Two languages of ranks 2 and 3 over an encoder and a decoder layer.
    fn set() -> LoraSet {
        let shapes: Shapes = [
            ("model.encoder.layers.0.fc1", (12, 5)),
            ("model.encoder.layers.1.fc1", (12, 5)),
            ("model.decoder.layers.0.fc2", (5, 12)),
        ]
        .map(|(p, s)| (p.to_string(), s))
        .into();
        let layer = |m: &str| Layer::from([(m.to_string(), Index::Source)]);
        let placement = Placement {
            encoder: vec![layer("fc1"), layer("fc1")],
            decoder: vec![layer("fc2")],
            ..Placement::default()
        };
        let pairs = [("a", "b"), ("b", "a")].map(|(s, t)| (s.to_string(), t.to_string()));
        let placement = placement_for(placement, &pairs, &[], &|l| Ok(l.to_string())).unwrap();
        let set = LoraSpec {
            placement,
            shapes: &shapes,
            rank: &|adapter, _| if adapter == "a" { 2 } else { 3 },
            alpha: None,
            dropout: 0.0,
            initialisation: Initialisation::Lslo,
            seed: 1,
        }
        .create()
        .unwrap();
        stir(&set, 1);
        set
    }

    /// Other values everywhere, none of them zero; those of `b` are larger.
    fn stir(set: &LoraSet, seed: u32) {
        for (i, p) in set.parameters().enumerate() {
            let size = if p.name.starts_with('b') { 3.0 } else { 1.0 };
            change(&p.tensor, |v| {
                for (j, v) in v.iter_mut().enumerate() {
                    let h = (i as u32 * 977 + j as u32 + seed * 31).wrapping_mul(2_654_435_761);
                    *v = size * ((h >> 8) as f32 / 8_388_608.0 - 1.0 + 1e-4);
                }
            })
            .unwrap();
        }
    }

    fn gone(masks: &PruneMasks, part: impl Fn(&str) -> bool) -> usize {
        let of = masks.kept.iter().filter(|(name, _)| part(name));
        of.flat_map(|(_, k)| k).filter(|k| !**k).count()
    }

    /// Section 13 (e): after each period the sparsity of each language is the ratio, rounded half
    /// to even; what was gone stays gone, though every value changes; A is dense.
    #[test]
    fn pools_of_languages_lose_the_ratio_and_nothing_comes_back() {
        let set = set();
        let mut masks = PruneMasks::default();
        let mut before = masks.clone();
        for (i, ratio) in [0.0, 0.2439, 0.5, 0.7056, 0.9, 0.9].into_iter().enumerate() {
            stir(&set, i as u32 + 2);
            masks.apply(&set).unwrap();
            masks.prune(&set, ratio, PrunePool::Language, PruneWhat::B, PruneUnit::Entry).unwrap();
            for (name, rank) in [("a", 2), ("b", 3)] {
                let all = rank * (12 + 12 + 5);
                let want = (ratio * all as f64).round_ties_even() as usize;
                assert_eq!(gone(&masks, |n| n.starts_with(name)), want, "{name} at {ratio}");
            }
            assert_eq!(gone(&masks, |n| n.ends_with("lora_A")), 0);
            for (name, kept) in &before.kept {
                let now = &masks.kept[name];
                assert!(kept.iter().zip(now).all(|(old, new)| *old || !*new), "{name}");
            }
            before = masks.clone();
        }
        let pruned = masks.count(&set, PruneWhat::B, PruneUnit::Entry);
        assert_eq!(pruned.by_adapter["a"], (52, 58));
        // The largest of each pool are left.
        masks.apply(&set).unwrap();
        let b = set.adapters["a"]["model.encoder.layers.0.fc1"].lora_b.clone();
        let zeros = values(&b.tensor).unwrap().iter().filter(|v| **v == 0.0).count();
        assert_eq!(zeros, masks.kept[&*b.name].iter().filter(|k| !**k).count());
    }

    /// Section 7.2: in a layer languages compete, and `a`, whose values are smaller, loses more;
    /// every layer ends at the ratio.
    #[test]
    fn pools_of_layers_make_languages_compete() {
        let set = set();
        let mut masks = PruneMasks::default();
        masks.prune(&set, 0.5, PrunePool::Layer, PruneWhat::B, PruneUnit::Entry).unwrap();
        for (layer, all) in [("encoder.layers.0", 60), ("encoder.layers.1", 60), ("decoder", 25)] {
            let want = (all as f64 * 0.5).round_ties_even() as usize;
            assert_eq!(gone(&masks, |n| n.contains(layer)), want, "{layer}");
        }
        let share =
            |name: &str, all: usize| gone(&masks, |n| n.starts_with(name)) as f64 / all as f64;
        assert!(share("a", 58) > 1.5 * share("b", 87));
    }

    /// Whole ranks: columns of B, with `ab` rows of A too; A and B have pools of their own when
    /// entries are pruned.
    #[test]
    fn ranks_and_both_matrices() {
        let set = set();
        let mut masks = PruneMasks::default();
        masks.prune(&set, 0.5, PrunePool::Language, PruneWhat::Ab, PruneUnit::Rank).unwrap();
        masks.apply(&set).unwrap();
        // Of 6 and 9 ranks (half of 9 is 4.5, to even 4).
        for (name, want) in [("a", 3), ("b", 4)] {
            let mut dead = 0;
            for m in set.adapters[name].values() {
                let (a, b) = (values(&m.lora_a.tensor).unwrap(), values(&m.lora_b.tensor).unwrap());
                let (rank, width) = (m.rank(), a.len() / m.rank());
                for r in 0..rank {
                    let row = a[r * width..(r + 1) * width].iter().all(|v| *v == 0.0);
                    let column = b.iter().skip(r).step_by(rank).all(|v| *v == 0.0);
                    assert_eq!(row, column);
                    dead += usize::from(row);
                }
            }
            assert_eq!(dead, want, "{name}");
        }
        let set = self::set();
        let mut masks = PruneMasks::default();
        masks.prune(&set, 0.9, PrunePool::Language, PruneWhat::Ab, PruneUnit::Entry).unwrap();
        let count = |end: &str| gone(&masks, |n| n.starts_with('a') && n.ends_with(end));
        assert_eq!((count("lora_B"), count("lora_A")), (52, 40));
        let mut short = masks.clone();
        short.kept.values_mut().for_each(|k| k.truncate(3));
        assert!(short.check(&set).is_err() && masks.check(&set).is_ok());
    }
}
