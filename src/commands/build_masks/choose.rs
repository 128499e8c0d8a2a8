//! Counts -> masks, with a record of each.

use std::collections::BTreeMap;

use super::groups::{LabelFile, few, members, wanted};
use super::shared::Shared;
use super::thresholds::Thresholds;
use super::{Args, Rule};
use crate::cli::Context;
use crate::error::{Error, Result};
use crate::formats::neuron_masks::{GroupMasks, NeuronMasks};
use crate::formats::neuron_stats::NeuronStats;
use crate::formats::neurons::{Block, Side, split_pair};
use crate::model::Checkpoint;
use crate::profiling::{
    Combine, Share, combine_counts, combine_masks, complement, cumulative, distribution,
    empty_block, largest, random,
};
use crate::records::{LayerMask, round6};
use crate::report::{Align, Table};

/// Masks of all groups, and what is told of them.
pub struct Chosen {
    pub masks: NeuronMasks,
    pub records: Vec<LayerMask>,
}

/// What a choice is made from.
struct Source<'a> {
    args: &'a Args,
    seed: u64,
    stats: &'a NeuronStats,
    thresholds: &'a Thresholds,
    /// Norms of the rows of `fc1.weight`, for `--rule magnitude`.
    norms: BTreeMap<Block, Vec<f64>>,
}

impl Chosen {
    pub fn new(
        args: &Args,
        context: &Context,
        stats: &NeuronStats,
        thresholds: &Thresholds,
        labels: Option<&LabelFile<'_>>,
        model: Option<&Checkpoint>,
    ) -> Result<Self> {
        let place = |e: Error| e.at(&args.inputs[0]);
        let pairs = &stats.lang_pairs;
        let wanted = wanted(args, pairs).map_err(place)?;
        check_counts(stats, &wanted, args.rule).map_err(place)?;
        let asked: Vec<String> = wanted.iter().map(|&i| pairs[i].clone()).collect();
        if let Some(rule) = thresholds.unused(&asked) {
            return Err(Error::usage(format!("`--k-for {rule}` fits no direction"))
                .flag("--k-for")
                .expected(few(&asked)));
        }
        if let Some(width) = stats.blocks.values().map(|b| b.ffn_dim).min()
            && args.top.is_some_and(|n| n > width)
        {
            return Err(Error::usage("value is out of range")
                .flag("--top")
                .expected(format!("1 to {width}, the neurons of the narrowest layer")));
        }
        let norms = match model {
            Some(model) => row_norms(model, stats)?,
            None => BTreeMap::new(),
        };
        let source = Source { args, seed: context.seed, stats, thresholds, norms };
        let groups = members(args, pairs, &wanted, labels)?;
        let mut chosen = Self {
            masks: NeuronMasks {
                group_kind: args.group_by.clone(),
                rule: Some(source.rule_name()),
                base_model_sha256: stats.base_model_sha256.clone(),
                counting: stats.counting.as_ref().map(ToString::to_string),
                ..NeuronMasks::default()
            },
            records: Vec::new(),
        };
        for (group, members) in &groups {
            let masks = source.group(group, members)?;
            if let Some(block) = empty_block(&masks) {
                return Err(Error::data(format!("no neuron of `{block}` is left for `{group}`"))
                    .hint("a union, a lower `--k` with `complement`, or fewer members keep some"));
            }
            source.record(group, members, &masks, &mut chosen.records)?;
            chosen.masks.groups.insert(group.clone(), masks);
            let names = members.iter().map(|&i| pairs[i].clone()).collect();
            chosen.masks.members.insert(group.clone(), names);
        }
        for text in &args.merge {
            chosen.merge(text)?;
        }
        Ok(chosen)
    }

    /// `de-fr=de-en+en-fr`. Specification, section 14 (official code, `merge_mask.py`).
    fn merge(&mut self, text: &str) -> Result<()> {
        let bad = || {
            Error::usage(format!("`{text}` cannot be read"))
                .flag("--merge")
                .expected("such as `de-fr=de-en+en-fr`")
        };
        let (new, from) = text.split_once('=').ok_or_else(bad)?;
        let (encoder, decoder) = from.split_once('+').ok_or_else(bad)?;
        split_pair(new).filter(|_| !new.contains('.')).ok_or_else(bad)?;
        let names: Vec<String> = self.masks.groups.keys().cloned().collect();
        let find = |name: &str| {
            let owner = self.masks.members.iter().find(|(_, m)| m.iter().any(|p| p == name));
            let name = owner.map_or(name, |(group, _)| group);
            self.masks.groups.get(name).ok_or_else(|| {
                Error::data(format!("no mask for `{name}` to merge"))
                    .flag("--merge")
                    .expected(few(&names))
                    .suggest(name, names.iter().map(String::as_str))
            })
        };
        let side = |masks: &GroupMasks, side: Side| -> Vec<(Block, Vec<bool>)> {
            let of = masks.iter().filter(|(b, _)| b.side == side);
            of.map(|(b, flags)| (*b, flags.clone())).collect()
        };
        let mut masks = GroupMasks::new();
        masks.extend(side(find(encoder)?, Side::Encoder));
        masks.extend(side(find(decoder)?, Side::Decoder));
        let taken = self.masks.groups.contains_key(new)
            || self.masks.members.values().any(|m| m.iter().any(|p| p == new));
        if taken {
            return Err(Error::usage(format!("direction `{new}` has a mask already"))
                .flag("--merge")
                .hint("`--direction` leaves directions out"));
        }
        for (block, flags) in &masks {
            self.records.push(LayerMask {
                group_kind: "merged".into(),
                rule: format!("merged {from}"),
                ..layer_mask(new, *block, flags)
            });
        }
        self.masks.groups.insert(new.into(), masks);
        self.masks.members.insert(new.into(), vec![new.into()]);
        Ok(())
    }

    /// One row a block, over all groups.
    pub fn table(&self, shared: Option<&Shared>) -> Table {
        let mut columns = vec![
            ("module", Align::Left),
            ("neurons", Align::Right),
            ("kept %", Align::Right),
            ("least", Align::Right),
            ("most", Align::Right),
        ];
        if shared.is_some() {
            columns.extend([("IoU %", Align::Right), ("pairs", Align::Right)]);
        }
        let mut table = Table::new(columns);
        let mut blocks: BTreeMap<Block, Vec<f64>> = BTreeMap::new();
        let mut widths = BTreeMap::new();
        for masks in self.masks.groups.values() {
            for (block, flags) in masks {
                let kept = flags.iter().filter(|f| **f).count();
                blocks.entry(*block).or_default().push(100.0 * kept as f64 / flags.len() as f64);
                widths.insert(*block, flags.len());
            }
        }
        for (block, densities) in &blocks {
            let Some(d) = distribution(densities) else { continue };
            let mut row = vec![
                block.to_string(),
                widths[block].to_string(),
                format!("{:.1}", d.mean),
                format!("{:.1}", d.min),
                format!("{:.1}", d.max),
            ];
            if let Some(shared) = shared {
                let of = shared.distribution(*block, "all");
                row.push(of.map_or("-".into(), |(d, _)| format!("{:.1}", 100.0 * d.mean)));
                row.push(of.map_or("0".into(), |(_, n)| n.to_string()));
            }
            table.row(row);
        }
        table
    }
}

impl Source<'_> {
    /// For signatures and figures: `k95`, `random-k95`, `top512`.
    fn rule_name(&self) -> String {
        let k = self.thresholds.single().map_or("k-mixed".into(), |k| format!("k{k}"));
        match self.args.rule {
            Rule::Cumulative => k,
            Rule::TopN => format!("top{}", self.args.top.unwrap_or(0)),
            rule => format!("{}-{k}", rule.as_str()),
        }
    }

    /// The masks of a group. Rules that are controls of `cumulative` (as many neurons as it
    /// keeps, or all but those) look at what the whole group keeps by it.
    fn group(&self, group: &str, members: &[usize]) -> Result<GroupMasks> {
        let mut masks = self.combined(group, members)?;
        for (&block, flags) in &mut masks {
            let kept = || flags.iter().filter(|f| **f).count();
            *flags = match self.args.rule {
                Rule::Complement => complement(flags),
                Rule::Random => {
                    let name = format!("build-masks/{group}/{block}");
                    random(flags.len(), kept(), self.seed, &name)
                }
                Rule::Magnitude => largest(&self.norms[&block], kept()),
                Rule::Cumulative | Rule::Activation | Rule::TopN => continue,
            };
        }
        Ok(masks)
    }

    fn combined(&self, group: &str, members: &[usize]) -> Result<GroupMasks> {
        let blocks = || self.stats.blocks.keys().copied();
        let threshold =
            |i: usize, block: Block| self.thresholds.of(&self.stats.lang_pairs[i], block.side);
        if self.args.combine() == Combine::Counts && members.len() > 1 {
            let choose = |block: Block| {
                let share = threshold(members[0], block);
                if members.iter().any(|&i| threshold(i, block) != share) {
                    return Err(Error::usage(format!(
                        "members of `{group}` have different thresholds"
                    ))
                    .flag("--k-for")
                    .hint("`--combine union` chooses for each member before it combines"));
                }
                let weights: Vec<Vec<u64>> =
                    members.iter().map(|&i| self.weights(block, i)).collect();
                let sum = combine_counts(weights.iter().map(Vec::as_slice))?;
                Ok((block, self.choose(&sum, share)))
            };
            return blocks().map(choose).collect();
        }
        let masks: Vec<GroupMasks> = members
            .iter()
            .map(|&i| {
                let choose = |b: Block| (b, self.choose(&self.weights(b, i), threshold(i, b)));
                blocks().map(choose).collect()
            })
            .collect();
        Ok(combine_masks(&masks.iter().collect::<Vec<_>>(), self.args.combine()))
    }

    /// What neurons are weighed by: counts, or sums as whole numbers, where what is below zero
    /// weighs nothing.
    fn weights(&self, block: Block, pair: usize) -> Vec<u64> {
        if self.args.rule != Rule::Activation {
            return self.counts(block, pair).to_vec();
        }
        let sums = self.stats.sums(block, pair).unwrap_or(&[]);
        sums.iter().map(|s| (s.max(0.0) * (1u64 << 20) as f64) as u64).collect()
    }

    fn counts(&self, block: Block, pair: usize) -> &[u64] {
        self.stats.counts(block, pair).unwrap_or(&[])
    }

    fn choose(&self, weights: &[u64], share: Share) -> Vec<bool> {
        match self.args.top {
            Some(n) => {
                let weights: Vec<f64> = weights.iter().map(|&c| c as f64).collect();
                largest(&weights, n)
            }
            None => cumulative(weights, share),
        }
    }

    fn record(
        &self,
        group: &str,
        members: &[usize],
        masks: &GroupMasks,
        records: &mut Vec<LayerMask>,
    ) -> Result<()> {
        for (&block, flags) in masks {
            let counts = combine_counts(members.iter().map(|&i| self.counts(block, i)))?;
            let sum = |all: bool| -> u128 {
                let of = counts.iter().zip(flags).filter(|(_, f)| all || **f);
                of.map(|(c, _)| u128::from(*c)).sum()
            };
            let (covered, total) = (sum(false), sum(true));
            let shares: Vec<f64> = members
                .iter()
                .map(|&i| self.thresholds.of(&self.stats.lang_pairs[i], block.side).percent())
                .collect();
            let single = shares.iter().all(|s| *s == shares[0]).then_some(shares[0]);
            records.push(LayerMask {
                group_kind: self.args.group_by.clone(),
                rule: self.args.rule.as_str().into(),
                k: single.filter(|_| self.args.rule != Rule::TopN),
                covered_frac: Some(round6(covered as f64 / total.max(1) as f64)),
                ..layer_mask(group, block, flags)
            });
        }
        Ok(())
    }
}

/// What is told of any mask.
fn layer_mask(group: &str, block: Block, flags: &[bool]) -> LayerMask {
    let kept = flags.iter().filter(|f| **f).count() as u64;
    LayerMask {
        group: group.into(),
        side: block.side.to_string(),
        layer: block.layer,
        module: block.to_string(),
        kept,
        total: flags.len() as u64,
        density_frac: round6(kept as f64 / flags.len().max(1) as f64),
        ..LayerMask::default()
    }
}

/// Every direction must have been active in every block.
fn check_counts(stats: &NeuronStats, wanted: &[usize], rule: Rule) -> Result<()> {
    for &i in wanted {
        for &block in stats.blocks.keys() {
            let counts = stats.counts(block, i).unwrap_or(&[]);
            let sums = stats.sums(block, i).unwrap_or(&[]);
            let (silent, tensor) = if rule == Rule::Activation {
                (!sums.iter().any(|s| *s > 0.0), "sum_activation")
            } else {
                (counts.iter().all(|&c| c == 0), "active_count")
            };
            if silent {
                return Err(Error::artifact(format!(
                    "no neuron was ever active in direction `{}`",
                    stats.lang_pairs[i]
                ))
                .tensor(format!("{block}.{tensor}"))
                .hint("was there text of this direction? `--direction` chooses others"));
            }
        }
    }
    Ok(())
}

/// Euclidean norms of the rows of `fc1.weight`.
fn row_norms(model: &Checkpoint, stats: &NeuronStats) -> Result<BTreeMap<Block, Vec<f64>>> {
    let c = &model.config;
    if let Some(sha256) = &stats.base_model_sha256
        && *sha256 != model.sha256()?
    {
        return Err(Error::artifact("statistics are of another model")
            .at(model.dir())
            .flag("--model")
            .expected(format!("fingerprint {}", &sha256[..12.min(sha256.len())])));
    }
    let layers = |side: Side| match side {
        Side::Encoder => (c.encoder_layers, c.encoder_ffn_dim),
        Side::Decoder => (c.decoder_layers, c.decoder_ffn_dim),
    };
    let norms = stats.blocks.iter().map(|(&block, b)| {
        let (count, ffn) = layers(block.side);
        if block.layer >= count || ffn != b.ffn_dim {
            return Err(Error::artifact("statistics are of a model of another shape")
                .at(model.dir())
                .flag("--model")
                .found(format!("{block} with {} neurons", b.ffn_dim))
                .expected(format!("{count} {} layers of {ffn} neurons", block.side)));
        }
        let w = model.values(&format!("model.{block}.weight"), &[ffn, c.d_model])?;
        let rows = w.chunks_exact(c.d_model);
        let norm = |r: &[f32]| r.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        Ok((block, rows.map(norm).collect()))
    });
    norms.collect()
}
