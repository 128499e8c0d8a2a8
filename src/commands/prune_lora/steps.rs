//! What is done to a set, in order: entries by magnitude, then ranks.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::cli::values::{Count, Fraction};
use crate::error::{Error, Result};
use crate::methods::lora::{
    Balance, LoraSet, PruneMasks, PrunePool, PruneUnit, PruneWhat, RankMethod, plan_ranks,
};
use crate::records::{LoraModuleRecord, round6};

/// A number of parameters, or a share of the model's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    Share(f64),
    Params(u64),
}

impl Budget {
    pub fn of(self, base_params: usize) -> usize {
        match self {
            Self::Share(share) => (share * base_params as f64).floor() as usize,
            Self::Params(n) => n as usize,
        }
    }
}

impl FromStr for Budget {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        if s.ends_with('%') || s.starts_with("0.") {
            return s.parse::<Fraction>().map(|f| Self::Share(f.0));
        }
        let count = s.parse::<Count>().map_err(|_| {
            Error::usage("not a budget")
                .expected("a share such as `0.4%`, or a count such as `200k`")
        })?;
        Ok(Self::Params(count.0))
    }
}

/// Pruning by magnitude.
#[derive(Clone, Copy)]
pub struct Cut {
    pub ratio: f64,
    pub pool: PrunePool,
    pub what: PruneWhat,
    pub unit: PruneUnit,
}

/// What ranks may be.
pub struct Limits {
    pub budget: Option<usize>,
    pub balance: Balance,
    pub rank: Option<usize>,
    pub method: RankMethod,
    pub compact: bool,
}

/// What was done.
pub struct Done {
    pub set: LoraSet,
    pub modules: Vec<LoraModuleRecord>,
    /// All adapters there were, also those of which nothing is left.
    pub adapters: BTreeSet<String>,
    pub params_before: usize,
    pub params_after: usize,
    pub budget: Option<usize>,
    /// What the plan for the budget says will be left.
    pub predicted: Option<usize>,
    pub criterion: String,
}

pub fn has_equal_ranks(set: &LoraSet) -> bool {
    let ranks: BTreeSet<usize> =
        set.adapters.values().flat_map(BTreeMap::values).map(|m| m.rank()).collect();
    ranks.len() <= 1
}

/// A choice as it is typed.
fn name(choice: impl clap::ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string())
}

fn criterion(cut: Option<Cut>, limits: &Limits) -> String {
    let mut parts = Vec::new();
    if let Some(c) = cut {
        parts.push(format!(
            "magnitude:{}:{}:{}:{}",
            c.ratio,
            name(c.pool),
            name(c.what),
            name(c.unit)
        ));
    }
    if limits.compact {
        parts.push("compact".into());
    }
    if let Some(rank) = limits.rank {
        parts.push(format!("{}:rank:{rank}", name(limits.method)));
    }
    if let Some(budget) = limits.budget {
        let balance = name(limits.balance);
        parts.push(format!("{}:budget:{budget}:{balance}", name(limits.method)));
    }
    if parts.is_empty() { "none".into() } else { parts.join("|") }
}

pub fn prune(original: LoraSet, cut: Option<Cut>, limits: &Limits) -> Result<Done> {
    let adapters = original.placement.adapters.clone();
    let params_before = original.num_params();
    let mut before = Vec::new();
    for (adapter, modules) in &original.adapters {
        for (path, m) in modules {
            before.push((adapter.clone(), path.clone(), m.alpha, m.pair()?));
        }
    }
    let mut set = original;
    if let Some(cut) = cut {
        let mut masks = PruneMasks::default();
        masks.prune(&set, cut.ratio, cut.pool, cut.what, cut.unit)?;
        masks.apply(&set)?;
    }
    if limits.compact {
        set.compact()?;
    }
    if let Some(rank) = limits.rank {
        set.reduce(&|_| rank, limits.method)?;
    }
    let mut predicted = None;
    if let Some(budget) = limits.budget {
        let (ranks, params) = plan_ranks(&set, budget, limits.balance, limits.method)?;
        predicted = Some(params);
        set.reduce(&|key| ranks.get(key).copied().unwrap_or(0), limits.method)?;
    }
    let criterion = criterion(cut, limits);
    let mut modules = Vec::with_capacity(before.len());
    for (adapter, path, alpha, pair) in before {
        let (side, layer, _) = LoraSet::place(&path)?;
        let after = set.adapters.get(&adapter).and_then(|of| of.get(&path));
        let left = match after {
            Some(m) => m.pair()?,
            None => pair.keep_components(&[]),
        };
        let entries = pair.lora_b.len() as u64;
        let entries_kept = left.lora_b.iter().filter(|v| **v != 0.0).count() as u64;
        modules.push(LoraModuleRecord {
            module: path.strip_prefix("model.").unwrap_or(&path).to_string(),
            side: side.to_string(),
            layer,
            rank_before: pair.rank,
            rank_after: left.rank,
            alpha_before: alpha,
            alpha_after: after.map_or(0.0, |m| m.alpha),
            importance: round6(pair.energy().sqrt()),
            entries,
            entries_kept,
            kept_frac: round6(entries_kept as f64 / entries.max(1) as f64),
            // Most pairs of a report are as they were.
            error: if left == pair { 0.0 } else { round6(pair.relative_error(&left)) },
            params_before: pair.num_params(),
            params_after: left.num_params(),
            removed: after.is_none(),
            criterion: criterion.clone(),
            adapter,
        });
    }
    Ok(Done {
        params_after: set.num_params(),
        set,
        modules,
        adapters,
        params_before,
        budget: limits.budget,
        predicted,
        criterion,
    })
}
