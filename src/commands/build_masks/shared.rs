//! How many neurons groups share, layer by layer.

use std::collections::BTreeMap;

use super::choose::Chosen;
use super::groups::{LabelFile, unit_key};
use super::{Args, Compare};
use crate::error::{Error, Result};
use crate::formats::neurons::{Block, Side, split_pair};
use crate::io::Output;
use crate::profiling::{Distribution, Overlap, distribution, overlap};
use crate::records::{LayerOverlap, MaskOverlap, round6};
use crate::scoring::labels::LabelOf;

/// Overlaps of the compared pairs of groups.
pub struct Shared {
    /// Names of the groups, sorted.
    pub names: Vec<String>,
    /// Label of each, such as its family; empty without labels.
    pub labels: Vec<String>,
    /// What the labels are called.
    pub label_name: Option<String>,
    /// Of each block: pairs of indices into `names`, the first smaller.
    pub blocks: BTreeMap<Block, Vec<(usize, usize, Overlap)>>,
    distributions: BTreeMap<(Block, &'static str), (Distribution, usize)>,
}

/// Relations a distribution is made for.
pub const RELATIONS: [&str; 3] = ["all", "same", "other"];

impl Shared {
    pub fn new(args: &Args, chosen: &Chosen, labels: Option<&LabelFile<'_>>) -> Result<Self> {
        let names: Vec<String> = chosen.masks.groups.keys().cloned().collect();
        let label_name = match (&args.related_by, labels) {
            (Some(name), None) => {
                return Err(Error::usage(format!("`{name}` is a column of no file"))
                    .flag("--related-by")
                    .hint("`--groups FILE` has the labels"));
            }
            (Some(name), Some((path, labels))) => {
                if labels.column(name).is_none() {
                    return Err(Error::usage(format!("the labels have no column `{name}`"))
                        .flag("--related-by")
                        .at(path)
                        .expected(labels.names().join(", ")));
                }
                Some(name.clone())
            }
            (None, Some((_, labels))) if labels.column("family").is_some() => Some("family".into()),
            _ => None,
        };
        let own_labels = match (&label_name, labels) {
            (Some(name), Some((_, labels))) => {
                let (column, of) = labels.column(name).unwrap_or((0, LabelOf::Pair));
                let label = |g: &String| labels.label(&unit_key(g), column, of).unwrap_or_default();
                names.iter().map(label).collect()
            }
            _ => Vec::new(),
        };
        let mut shared = Self {
            labels: own_labels,
            label_name,
            blocks: BTreeMap::new(),
            distributions: BTreeMap::new(),
            names,
        };
        for block in chosen.masks.groups.values().next().into_iter().flat_map(|m| m.keys()) {
            let masks: Vec<&Vec<bool>> =
                shared.names.iter().map(|n| &chosen.masks.groups[n][block]).collect();
            let mut pairs = Vec::new();
            for a in 0..masks.len() {
                for b in a + 1..masks.len() {
                    if compared(args.compare, block.side, &shared.names[a], &shared.names[b]) {
                        pairs.push((a, b, overlap(masks[a], masks[b])));
                    }
                }
            }
            shared.blocks.insert(*block, pairs);
        }
        for (&block, pairs) in &shared.blocks {
            for relation in RELATIONS {
                let values: Vec<f64> = pairs
                    .iter()
                    .filter(|(a, b, _)| shared.is(relation, *a, *b))
                    .map(|(.., o)| o.iou())
                    .collect();
                if let Some(d) = distribution(&values) {
                    shared.distributions.insert((block, relation), (d, values.len()));
                }
            }
        }
        Ok(shared)
    }

    fn is(&self, relation: &str, a: usize, b: usize) -> bool {
        if relation == "all" {
            return true;
        }
        let (Some(a), Some(b)) = (self.labels.get(a), self.labels.get(b)) else { return false };
        !a.is_empty() && !b.is_empty() && (a == b) == (relation == "same")
    }

    /// Distribution and number of pairs.
    pub fn distribution(
        &self,
        block: Block,
        relation: &'static str,
    ) -> Option<(Distribution, usize)> {
        self.distributions.get(&(block, relation)).copied()
    }

    pub fn write(&self, out: &mut Output) -> Result<()> {
        for (block, pairs) in &self.blocks {
            for (a, b, o) in pairs {
                out.record(&MaskOverlap {
                    group_a: self.names[*a].clone(),
                    group_b: self.names[*b].clone(),
                    side: block.side.to_string(),
                    layer: block.layer,
                    iou_frac: round6(o.iou()),
                    kept_both: o.both,
                })?;
            }
        }
        for ((block, relation), (d, n)) in &self.distributions {
            out.record(&LayerOverlap {
                side: block.side.to_string(),
                layer: block.layer,
                relation: relation.to_string(),
                num_pairs: *n as u64,
                iou_mean: round6(d.mean),
                iou_p25: round6(d.p25),
                iou_median: round6(d.median),
                iou_p75: round6(d.p75),
                iou_min: round6(d.min),
                iou_max: round6(d.max),
            })?;
        }
        Ok(())
    }
}

/// Specification, section 10: encoder layers are compared between directions with one target,
/// decoder layers between directions with one source. Groups of other names are all compared.
pub fn compared(how: Compare, side: Side, a: &str, b: &str) -> bool {
    match (how, split_pair(a), split_pair(b)) {
        (Compare::Varying, Some((src_a, tgt_a)), Some((src_b, tgt_b))) => match side {
            Side::Encoder => tgt_a == tgt_b,
            Side::Decoder => src_a == src_b,
        },
        _ => true,
    }
}
