//! What LoRA and adapters by language have in common on the command line: which layer is indexed by
//! what, and labels of languages.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::formats::neurons::Side;
use crate::formats::placement::{INDEX_NAMES, Index};
use crate::methods::UnknownLanguage;
use crate::scoring::corpus::UnitKey;
use crate::scoring::labels::{LabelOf, Labels};
use crate::training::{Corpus, Task, TaskLane};

/// `source*9,target*3`, or one index for all layers.
pub fn indices(spec: &str, side: &str, layers: usize, flag: &str) -> Result<Vec<Index>> {
    let mut out = Vec::new();
    let one = !spec.contains([',', '*']);
    for item in spec.split(',').map(str::trim) {
        let (name, times) = match item.split_once('*') {
            Some((name, n)) => {
                let times = n.trim().parse::<usize>().ok().filter(|n| *n > 0);
                let times = times.ok_or_else(|| {
                    Error::usage(format!("`{}` is not a number of layers", n.trim()))
                        .flag(flag)
                        .expected("such as `source*9,target*3`")
                })?;
                (name.trim(), times)
            }
            None => (item, if one { layers } else { 1 }),
        };
        let index = Index::parse(name).ok_or_else(|| {
            Error::usage(format!("unknown index `{name}`"))
                .flag(flag)
                .expected(INDEX_NAMES.join(", "))
                .suggest(name, INDEX_NAMES)
        })?;
        out.extend(std::iter::repeat_n(index, times.min(layers + 1)));
    }
    if out.len() != layers {
        return Err(Error::usage(format!("the index is for another number of {side} layers"))
            .flag(flag)
            .found(format!("{} in `{spec}`", out.len()))
            .expected(layers.to_string())
            .hint("`source*2,target*1` counts layers; one name alone is for all"));
    }
    Ok(out)
}

/// A language's label in a column.
pub fn label(labels: &Labels, lang: &str, column: usize) -> Option<String> {
    let key = UnitKey { src_lang: Some(lang.into()), tgt_lang: None, fields: Vec::new() };
    labels.label(&key, column, LabelOf::Source)
}

/// A column of labels by its name.
pub fn column(labels: &Labels, name: &str, flag: &str) -> Result<usize> {
    match labels.column(name) {
        Some((at, LabelOf::Pair)) => Ok(at),
        _ => {
            let own: Vec<String> = labels.names().into_iter().step_by(3).collect();
            Err(Error::usage(format!("the labels have no column `{name}`"))
                .flag(flag)
                .expected(own.join(", "))
                .suggest(name, own.iter().map(String::as_str)))
        }
    }
}

/// The tasks and directions of a text.
pub fn lanes_of(corpus: &Corpus) -> BTreeSet<TaskLane> {
    corpus.directions.iter().map(|d| (d.task, d.direction.clone())).collect()
}

/// Directions as `placement_for` takes them, and languages that only an encoder reads.
pub fn pairs_of(lanes: &BTreeSet<TaskLane>) -> (Vec<(String, String)>, Vec<String>) {
    let decodes = |task: Task| task.sides().contains(&Side::Decoder);
    let (both, encoded): (Vec<&TaskLane>, _) = lanes.iter().partition(|lane| decodes(lane.0));
    let pair = |(_, d): &TaskLane| (d.src_lang.clone(), d.tgt_lang.clone());
    // Two tasks may have one direction.
    let pairs: BTreeSet<(String, String)> = both.into_iter().map(pair).collect();
    let encoded = encoded.into_iter().map(|(_, d): &TaskLane| d.src_lang.clone()).collect();
    (pairs.into_iter().collect(), encoded)
}

/// All lanes, with what to do where nothing was trained for them: one of the held-out text may run
/// the base model, and that is said. `check` fails for those.
pub fn checked_lanes(
    train: &Corpus,
    valid: Option<&Corpus>,
    check: &dyn Fn(&TaskLane) -> Result<()>,
    context: &Context,
) -> BTreeMap<TaskLane, UnknownLanguage> {
    let mut out: BTreeMap<TaskLane, UnknownLanguage> =
        lanes_of(train).into_iter().map(|lane| (lane, UnknownLanguage::Error)).collect();
    for lane in valid.map(lanes_of).unwrap_or_default() {
        if out.contains_key(&lane) {
            continue;
        }
        let unknown = match check(&lane) {
            Ok(()) => UnknownLanguage::Error,
            Err(e) => {
                context.report.warning(
                    &Error::data(format!(
                        "the held-out direction `{}` is not all trained",
                        lane.0.lane_name(&lane.1)
                    ))
                    .cause(e.message().to_string())
                    .hint("the base model stands in for it"),
                );
                UnknownLanguage::Base
            }
        };
        out.insert(lane, unknown);
    }
    out
}
