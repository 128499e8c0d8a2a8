//! Overlap as pictures: a heat map of each layer, and the course over layers.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::choose::Chosen;
use super::shared::Shared;
use super::{Args, Compare};
use crate::error::{Error, Result};
use crate::formats::neurons::{Block, Side, split_pair};
use crate::io::AtomicFile;
use crate::profiling::cluster;
use crate::report::{Curves, HeatMap, Join, Series};

/// All figures, ready to be written.
pub struct Figures(BTreeMap<PathBuf, String>);

impl Figures {
    /// # Errors
    /// Data: nothing to compare. Environment: other files stand where they are to be written.
    pub fn new(
        dir: &Path,
        args: &Args,
        chosen: &Chosen,
        shared: &Shared,
        force: bool,
    ) -> Result<Self> {
        let mut figures: BTreeMap<PathBuf, String> = BTreeMap::new();
        let rule = chosen.masks.rule.clone().unwrap_or_default();
        for &block in shared.blocks.keys() {
            if let Some(svg) = heat_map(args, shared, block, &rule) {
                figures.insert(dir.join(format!("{}-layer-{}.svg", block.side, block.layer)), svg);
            }
        }
        if figures.is_empty() {
            let e = Error::data("no two groups can be compared").flag("--figure");
            return Err(match shared.names.len() {
                0 | 1 => e.found("one mask").expected("two or more"),
                _ => e.hint("`--compare all` compares all directions with each other"),
            });
        }
        figures.insert(dir.join("overlap.svg"), curves(shared, &rule, &["all"]));
        if let Some(name) = &shared.label_name {
            let plain = |c: char| if c.is_alphanumeric() || "-_".contains(c) { c } else { '_' };
            let name: String = name.chars().map(plain).collect();
            let svg = curves(shared, &rule, &["same", "other"]);
            figures.insert(dir.join(format!("overlap-by-{name}.svg")), svg);
        }
        if dir.exists() && !dir.is_dir() {
            return Err(Error::environment("not a directory").at(dir).flag("--figure"));
        }
        let differs = |(path, svg): &(&PathBuf, &String)| {
            path.exists() && std::fs::read(path).ok().as_deref() != Some(svg.as_bytes())
        };
        if !force && let Some((path, _)) = figures.iter().find(differs) {
            return Err(Error::environment("figure exists already")
                .at(path)
                .flag("--figure")
                .hint("choose another directory, or replace it with `--force`"));
        }
        Ok(Self(figures))
    }

    pub fn paths(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.0.keys().cloned()
    }

    pub fn write(&self, force: bool) -> Result<()> {
        for (path, svg) in &self.0 {
            let mut file = AtomicFile::create(path)?;
            file.write_all(svg.as_bytes()).map_err(|e| Error::io("write", path, e))?;
            file.commit(force)?;
        }
        Ok(())
    }
}

/// The largest set of groups that are compared with each other: directions into (from) the
/// language that most have as their target (source).
fn comparable(args: &Args, shared: &Shared, side: Side) -> (Vec<usize>, Option<String>) {
    let all: Vec<usize> = (0..shared.names.len()).collect();
    if args.compare == Compare::All {
        return (all, None);
    }
    let mut by_lang: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &i in &all {
        let Some((src, tgt)) = split_pair(&shared.names[i]) else { return (all, None) };
        by_lang.entry(if side == Side::Encoder { tgt } else { src }).or_default().push(i);
    }
    // The first in the alphabet among equals.
    let best = by_lang.into_iter().rev().max_by_key(|(_, members)| members.len());
    match best {
        Some((lang, members)) => {
            let what = if side == Side::Encoder { "into" } else { "from" };
            (members, Some(format!("directions {what} {lang}")))
        }
        None => (all, None),
    }
}

fn heat_map(args: &Args, shared: &Shared, block: Block, rule: &str) -> Option<String> {
    let (members, what) = comparable(args, shared, block.side);
    let n = members.len();
    if n < 2 {
        return None;
    }
    let place: BTreeMap<usize, usize> =
        members.iter().enumerate().map(|(at, &i)| (i, at)).collect();
    let mut values = vec![f64::NAN; n * n];
    for at in 0..n {
        values[at * n + at] = 1.0;
    }
    for (a, b, o) in &shared.blocks[&block] {
        if let (Some(&a), Some(&b)) = (place.get(a), place.get(b)) {
            values[a * n + b] = o.iou();
            values[b * n + a] = o.iou();
        }
    }
    let (order, clusters) = cluster(&values, n);
    let joins: Vec<Join> =
        clusters.iter().map(|c| Join { left: c.left, right: c.right, height: c.height }).collect();
    let labels: Vec<String> = members.iter().map(|&i| shared.names[i].clone()).collect();
    let families: Vec<String> = match shared.labels.is_empty() {
        true => Vec::new(),
        false => members.iter().map(|&i| shared.labels[i].clone()).collect(),
    };
    let subtitle = match what {
        Some(what) => format!("{what}, {rule}; ordered by similarity (average linkage)"),
        None => format!("{rule}; ordered by similarity (average linkage)"),
    };
    let figure = HeatMap {
        title: &format!("Shared neurons, {} layer {}", block.side, block.layer),
        subtitle: &subtitle,
        labels: &labels,
        families: &families,
        values: &values,
        order: &order,
        joins: &joins,
        unit: "IoU",
    };
    Some(figure.to_svg())
}

/// Mean, lower and upper quartile of each layer.
type Points = Vec<(f64, f64, f64)>;

fn curves(shared: &Shared, rule: &str, relations: &[&'static str]) -> String {
    let layers = shared.blocks.keys().map(|b| b.layer + 1).max().unwrap_or(0);
    let ticks: Vec<String> = (0..layers).map(|l| l.to_string()).collect();
    let mut points: Vec<(String, Points)> = Vec::new();
    for side in Side::BOTH {
        for relation in relations {
            let of = shared.blocks.keys().filter(|b| b.side == side).map(|&b| {
                shared
                    .distribution(b, relation)
                    .map_or((f64::NAN, f64::NAN, f64::NAN), |(d, _)| (d.mean, d.p25, d.p75))
            });
            let own: Points = of.collect();
            let name = match (*relation, &shared.label_name) {
                ("all", _) | (_, None) => side.to_string(),
                (relation, Some(label)) => format!("{side}, {relation} {label}"),
            };
            if own.iter().any(|p| p.0.is_finite()) {
                points.push((name, own));
            }
        }
    }
    let series: Vec<Series<'_>> =
        points.iter().map(|(name, points)| Series { name, points }).collect();
    Curves {
        title: "Shared neurons over layers",
        subtitle: &format!("mean IoU of pairs of directions, with quartiles; {rule}"),
        x_label: "layer",
        y_label: "IoU",
        ticks: &ticks,
        series: &series,
    }
    .to_svg()
}
