//! What LoRA and adapters by language have in common on the command line: which layer is indexed by
//! what, and labels of languages.

use std::collections::BTreeMap;

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::formats::placement::{INDEX_NAMES, Index};
use crate::methods::UnknownLanguage;
use crate::scoring::corpus::UnitKey;
use crate::scoring::labels::{LabelOf, Labels};
use crate::text::Direction;
use crate::training::Corpus;

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

/// All directions, with what to do where nothing was trained for them: a direction of the held-out
/// text may run the base model, and that is said. `check` fails for those.
pub fn directions_of(
    train: &Corpus,
    valid: Option<&Corpus>,
    check: &dyn Fn(&Direction) -> Result<()>,
    context: &Context,
) -> BTreeMap<Direction, UnknownLanguage> {
    let own = |c: &Corpus| c.directions.iter().map(|d| d.direction.clone()).collect::<Vec<_>>();
    let mut out: BTreeMap<Direction, UnknownLanguage> =
        own(train).into_iter().map(|d| (d, UnknownLanguage::Error)).collect();
    for d in valid.map(own).unwrap_or_default() {
        if out.contains_key(&d) {
            continue;
        }
        let unknown = match check(&d) {
            Ok(()) => UnknownLanguage::Error,
            Err(e) => {
                context.report.warning(
                    &Error::data(format!("the held-out direction `{d}` is not all trained"))
                        .cause(e.message().to_string())
                        .hint("the base model stands in for it"),
                );
                UnknownLanguage::Base
            }
        };
        out.insert(d, unknown);
    }
    out
}
