//! Which directions share a mask.

use std::collections::BTreeMap;
use std::path::Path;

use super::Args;
use super::thresholds::Directions;
use crate::error::{Error, Result};
use crate::formats::neurons::split_pair;
use crate::scoring::corpus::UnitKey;
use crate::scoring::labels::Labels;

pub type LabelFile<'a> = (&'a Path, Labels);

/// A direction as labels know it.
pub fn unit_key(lang_pair: &str) -> UnitKey {
    let (src, tgt) = split_pair(lang_pair).unwrap_or((lang_pair, ""));
    UnitKey { src_lang: Some(src.into()), tgt_lang: Some(tgt.into()), fields: Vec::new() }
}

/// The directions that are asked for, as indices.
pub fn wanted(args: &Args, lang_pairs: &[String]) -> Result<Vec<usize>> {
    if args.direction.is_empty() {
        return Ok((0..lang_pairs.len()).collect());
    }
    let mut keep = vec![false; lang_pairs.len()];
    for text in &args.direction {
        let pattern = Directions::parse(text, "--direction")?;
        let mut any = false;
        for (k, pair) in keep.iter_mut().zip(lang_pairs) {
            let fits = pattern.fits(pair);
            *k |= fits;
            any |= fits;
        }
        if !any {
            return Err(Error::data(format!("the statistics have no direction `{text}`"))
                .flag("--direction")
                .expected(few(lang_pairs))
                .suggest(text, lang_pairs.iter().map(String::as_str)));
        }
    }
    Ok((0..lang_pairs.len()).filter(|&i| keep[i]).collect())
}

/// A list that stays readable.
pub fn few(names: &[String]) -> String {
    let more = if names.len() > 12 { ", ..." } else { "" };
    format!("{}{more}", names[..names.len().min(12)].join(", "))
}

/// Groups by name with the indices of their members.
pub fn members(
    args: &Args,
    lang_pairs: &[String],
    wanted: &[usize],
    labels: Option<&LabelFile<'_>>,
) -> Result<BTreeMap<String, Vec<usize>>> {
    let by = args.group_by.as_str();
    let column = match (by, labels) {
        ("direction" | "source" | "target", _) => None,
        (_, None) => {
            return Err(Error::usage(format!("unknown grouping `{by}`"))
                .flag("--group-by")
                .expected("direction, source, target, or a column of `--groups`"));
        }
        (_, Some((path, labels))) => Some(labels.column(by).ok_or_else(|| {
            Error::usage(format!("the labels have no column `{by}`"))
                .flag("--group-by")
                .at(path)
                .expected(labels.names().join(", "))
        })?),
    };
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &i in wanted {
        let pair = &lang_pairs[i];
        let (src, tgt) = split_pair(pair).unwrap_or((pair, ""));
        let name = match (by, column, labels) {
            ("direction", ..) => pair.clone(),
            ("source", ..) => src.to_string(),
            ("target", ..) => tgt.to_string(),
            (_, Some((column, of)), Some((path, labels))) => {
                labels.label(&unit_key(pair), column, of).ok_or_else(|| {
                    Error::data(format!("direction `{pair}` has no label `{by}`")).at(path)
                })?
            }
            _ => return Err(Error::bug("a grouping without labels")),
        };
        if name.contains('.') {
            let e = Error::data(format!("group `{name}` cannot name a tensor"))
                .expected("a name without a dot");
            return Err(match labels {
                Some((path, _)) => e.at(path),
                None => e,
            });
        }
        groups.entry(name).or_default().push(i);
    }
    Ok(groups)
}
