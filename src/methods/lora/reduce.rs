//! Smaller ranks after the fact: which pairs keep how many, what that costs, and the pairs of one
//! direction as a single plain LoRA.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Balance, Candidate, plan};
use super::set::{LoraModule, LoraSet};
use super::shrink::Pair;
use crate::error::Result;
use crate::formats::lora::module_path;
use crate::formats::neurons::Side;
use crate::formats::placement::{Index, Layer, Placement, SHARED};
use crate::kernels::storage::values;
use crate::methods::UnknownLanguage;

/// How a rank becomes smaller.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum RankMethod {
    /// The best approximation of B A there is (truncated singular value decomposition)
    #[default]
    Svd,
    /// The most important rows of A with their columns of B, unchanged
    Components,
}

/// A pair by adapter and full module path.
pub type Key = (String, String);

fn keys(set: &LoraSet) -> Vec<Key> {
    let modules = |(name, of): (&String, &BTreeMap<String, LoraModule>)| {
        of.keys().map(|path| (name.clone(), path.clone())).collect::<Vec<_>>()
    };
    set.adapters.iter().flat_map(modules).collect()
}

impl LoraModule {
    /// The factors and their scaling.
    pub fn pair(&self) -> Result<Pair> {
        let (a, b) = (values(&self.lora_a.tensor)?.to_vec(), values(&self.lora_b.tensor)?.to_vec());
        let rank = self.rank().max(1);
        Ok(Pair {
            rank: self.rank(),
            inp: a.len() / rank,
            out: b.len() / rank,
            lora_a: a,
            lora_b: b,
            scaling: self.scaling(),
        })
    }

    fn from_pair(adapter: &str, path: &str, pair: Pair) -> Result<Self> {
        // The scaling stays, so alpha shrinks with the rank.
        let alpha = f64::from(pair.scaling) * pair.rank as f64;
        Self::new(adapter, path, (pair.rank, alpha), pair.lora_a, pair.lora_b)
    }
}

/// The components of a pair from the most important on, as squared norms.
fn spectrum(pair: &Pair, method: RankMethod) -> Vec<f64> {
    let mut norms = match method {
        RankMethod::Svd => pair.singular_values(),
        RankMethod::Components => pair.component_importance(),
    };
    norms.sort_by(|a, b| b.total_cmp(a));
    norms.into_iter().map(|n| n * n).collect()
}

/// Ranks whose parameters stay within `budget`, and how many parameters they have.
pub fn plan_ranks(
    set: &LoraSet,
    budget: usize,
    balance: Balance,
    method: RankMethod,
) -> Result<(BTreeMap<Key, usize>, usize)> {
    let keys = keys(set);
    let owners: Vec<&String> = set.adapters.keys().collect();
    let mut candidates = Vec::with_capacity(keys.len());
    for (adapter, path) in &keys {
        let pair = set.adapters[adapter][path].pair()?;
        candidates.push(Candidate {
            cost: pair.inp + pair.out,
            values: spectrum(&pair, method),
            owner: owners.iter().position(|o| *o == adapter).unwrap_or(0),
        });
    }
    let plan = plan(&candidates, budget, balance);
    Ok((keys.into_iter().zip(plan.ranks).collect(), plan.params))
}

impl LoraSet {
    /// Gives each pair the rank that `rank` says, at most its own; pairs of rank 0 leave, and
    /// adapters of which nothing is left are empty.
    pub fn reduce(&mut self, rank: &dyn Fn(&Key) -> usize, method: RankMethod) -> Result<()> {
        for key in keys(self) {
            let pair = self.adapters[&key.0][&key.1].pair()?;
            let target = rank(&key).min(pair.rank);
            if target == pair.rank {
                continue;
            }
            let smaller = match method {
                RankMethod::Svd => pair.truncate(target),
                RankMethod::Components => {
                    let norms = pair.component_importance();
                    let mut order: Vec<usize> = (0..norms.len()).collect();
                    // Of equal ones the first stays.
                    order.sort_by(|&a, &b| norms[b].total_cmp(&norms[a]).then(a.cmp(&b)));
                    let mut keep = order[..target].to_vec();
                    keep.sort_unstable();
                    pair.keep_components(&keep)
                }
            };
            self.replace(&key, smaller)?;
        }
        self.list_empty();
        Ok(())
    }

    fn list_empty(&mut self) {
        let placement = &mut self.placement;
        let gone = placement.adapters.iter().filter(|a| !self.adapters.contains_key(*a));
        placement.empty = gone.cloned().collect();
    }

    fn replace(&mut self, (adapter, path): &Key, pair: Pair) -> Result<()> {
        let Some(modules) = self.adapters.get_mut(adapter) else { return Ok(()) };
        if pair.rank == 0 {
            modules.remove(path);
            if modules.is_empty() {
                self.adapters.remove(adapter);
            }
        } else {
            modules.insert(path.clone(), LoraModule::from_pair(adapter, path, pair)?);
        }
        Ok(())
    }

    /// Removes the ranks that do nothing: a zero row of A, or a zero column of B. The updates stay
    /// as they were.
    pub fn compact(&mut self) -> Result<()> {
        for key in keys(self) {
            let pair = self.adapters[&key.0][&key.1].pair()?;
            let dead: BTreeSet<usize> = pair.dead_components().into_iter().collect();
            if !dead.is_empty() {
                let live: Vec<usize> = (0..pair.rank).filter(|r| !dead.contains(r)).collect();
                self.replace(&key, pair.keep_components(&live))?;
            }
        }
        self.list_empty();
        Ok(())
    }

    /// The pairs a direction uses as one plain LoRA, for this direction only; without an adapter
    /// when it uses none. Where a module has several, they stand one after another.
    pub fn compose(&self, src: &str, tgt: &str) -> Result<Self> {
        let used = self.choose(src, tgt, UnknownLanguage::Error)?;
        let parts = self.parts(&used, &|_, _, _| None);
        let mut modules = BTreeMap::new();
        let mut placement = Placement {
            adapters: [SHARED.to_string()].into(),
            slice: self.placement.slice,
            base_model_sha256: self.placement.base_model_sha256.clone(),
            only: [format!("{src}-{tgt}")].into(),
            ..Placement::default()
        };
        for (side, layers) in [(Side::Encoder, &parts.encoder), (Side::Decoder, &parts.decoder)] {
            let mut placed: Vec<Layer> = Vec::new();
            for (i, layer) in layers.iter().enumerate() {
                let mut own = Layer::new();
                for (module, updates) in &layer.low_rank {
                    let mut pairs = Vec::new();
                    for u in updates {
                        let rank = u.rank()?;
                        let (a, b) = (values(u.lora_a.tensor())?, values(u.lora_b.tensor())?);
                        pairs.push(Pair {
                            rank,
                            inp: a.len() / rank.max(1),
                            out: b.len() / rank.max(1),
                            lora_a: a.to_vec(),
                            lora_b: b.to_vec(),
                            scaling: u.scale()?,
                        });
                    }
                    // One pair stays as it is.
                    let pair = match pairs.len() {
                        1 => pairs.pop(),
                        _ => Pair::concat(&pairs.iter().map(|p| (p, 1.0)).collect::<Vec<_>>(), 1.0)
                            // A rank above the matrix's says nothing more.
                            .map(|p| {
                                if p.rank > p.inp.min(p.out) {
                                    p.truncate(p.inp.min(p.out))
                                } else {
                                    p
                                }
                            }),
                    };
                    let path = module_path(side, i, module);
                    if let Some(pair) = pair {
                        modules.insert(path.clone(), LoraModule::from_pair(SHARED, &path, pair)?);
                        own.insert(module.clone(), Index::Shared);
                    }
                }
                placed.push(own);
            }
            match side {
                Side::Encoder => placement.encoder = placed,
                Side::Decoder => placement.decoder = placed,
            }
        }
        let mut adapters = BTreeMap::new();
        if !modules.is_empty() {
            adapters.insert(SHARED.to_string(), modules);
        }
        Ok(Self { placement, adapters, dropout: self.dropout })
    }
}
