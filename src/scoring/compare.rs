//! Intervals and paired tests of the rows of a table.

use std::collections::HashMap;

use super::Metric;
use super::aggregate::Row;
use super::corpus::Corpus;
use super::resample::{
    Averaging, Interval, Samples, Seed, Table, Test, bootstrap, paired_bootstrap_p,
    randomization_p, randomize,
};
use super::signature::Resampling;
use crate::error::{Error, Result};

/// What to draw, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Significance {
    pub confidence: bool,
    /// Share of the samples inside an interval.
    pub ci_level: f64,
    pub samples: usize,
    pub test: Option<Test>,
    pub trials: usize,
    pub seed: Seed,
}

impl Significance {
    pub fn resamples(&self) -> bool {
        self.confidence || self.test.is_some()
    }
    /// The paired bootstrap gives intervals for nothing.
    fn bootstraps(&self) -> bool {
        self.confidence || self.test == Some(Test::Bootstrap)
    }
    /// What the signature says of it.
    pub fn resampling(&self) -> Resampling {
        Resampling {
            bootstrap_samples: self.bootstraps().then_some(self.samples),
            randomization_trials: (self.test == Some(Test::Randomization)).then_some(self.trials),
            seed: self.seed,
        }
    }
}

/// What resampling says of one row, by metric.
#[derive(Clone, Debug, Default)]
pub struct RowStatistics {
    pub intervals: Vec<Option<Interval>>,
    pub p_values: Vec<Option<f64>>,
}

/// Which segment of the system stands for each segment of the baseline.
#[derive(Debug)]
pub struct Alignment {
    /// By baseline unit: the system's unit of the same key.
    units: Vec<Option<usize>>,
    /// By baseline segment; `u32::MAX` in units that the system lacks.
    segments: Vec<u32>,
}

impl Alignment {
    /// Segments correspond by position within a unit where their references are equal, else by
    /// `id`. `names` are those of the system and the baseline, for errors.
    pub fn new(system: &Corpus, baseline: &Corpus, names: (&str, &str)) -> Result<Self> {
        let units: Vec<Option<usize>> = baseline
            .units
            .iter()
            .map(|b| system.units.iter().position(|s| s.key == b.key))
            .collect();
        let mut segments = vec![u32::MAX; baseline.segments.unit.len()];
        for (b, s) in units.iter().enumerate() {
            let Some(s) = *s else { continue };
            check_counts(system, s, baseline, b, names)?;
            let theirs = baseline.segments_of(&[b]);
            let ours = system.segments_of(&[s]);
            let by_position = theirs.iter().zip(&ours).all(|(&t, &o)| {
                baseline.segments.refs[t as usize] == system.segments.refs[o as usize]
            });
            if by_position {
                for (&t, &o) in theirs.iter().zip(&ours) {
                    segments[t as usize] = o;
                }
            } else {
                align_by_id(system, &ours, baseline, &theirs, names, &mut segments)?;
            }
        }
        Ok(Self { units, segments })
    }
}

/// Two systems must have translated the same segments, and be scored by the same references.
pub fn check_counts(
    system: &Corpus,
    unit: usize,
    baseline: &Corpus,
    baseline_unit: usize,
    names: (&str, &str),
) -> Result<()> {
    let (ours, theirs) = (&system.units[unit], &baseline.units[baseline_unit]);
    let (n, m) = (ours.num_sentences, theirs.num_sentences);
    let what = ours.key.describe();
    if n != m {
        return Err(Error::data(format!("system and baseline differ in number: {what}"))
            .found(format!("{n} segments in `{}`, {m} in `{}`", names.0, names.1))
            .expected(format!("the same segments; the first {} have a partner", n.min(m))));
    }
    if ours.refs_digest != theirs.refs_digest {
        return Err(Error::data(format!("system and baseline differ in references: {what}"))
            .found(format!("other references in `{}` than in `{}`", names.0, names.1))
            .hint("score both with the same references, for example with `--ref FILE`"));
    }
    Ok(())
}

fn align_by_id(
    system: &Corpus,
    ours: &[u32],
    baseline: &Corpus,
    theirs: &[u32],
    names: (&str, &str),
    segments: &mut [u32],
) -> Result<()> {
    let differ = |t: u32, what: &str| {
        Error::data(what)
            .line(baseline.segments.line[t as usize])
            .found(format!("a segment of `{}` without its like in `{}`", names.1, names.0))
            .hint("both must hold the same references in the same order, or the same `id`s")
    };
    let mut by_id = HashMap::with_capacity(ours.len());
    for &o in ours {
        if let Some(id) = system.segments.id[o as usize]
            && by_id.insert(id, o).is_some()
        {
            return Err(Error::data("two segments share an id")
                .line(system.segments.line[o as usize])
                .found(format!("an `id` that stands earlier in `{}` too", names.0)));
        }
    }
    for &t in theirs {
        let id = baseline.segments.id[t as usize]
            .ok_or_else(|| differ(t, "references of system and baseline differ"))?;
        let o = by_id
            .remove(&id)
            .ok_or_else(|| differ(t, "baseline and system do not hold the same segments"))?;
        if system.segments.refs[o as usize] != baseline.segments.refs[t as usize] {
            return Err(differ(t, "references of system and baseline differ"));
        }
        segments[t as usize] = o;
    }
    Ok(())
}

/// Samples of the segments of some units.
struct Part {
    system: Vec<Samples>,
    baseline: Vec<Samples>,
    /// By metric.
    shuffled: Vec<Vec<(f64, f64)>>,
}

/// A system that others are compared with.
pub struct Baseline<'a> {
    pub corpus: &'a Corpus,
    pub rows: &'a [Row],
    pub alignment: Alignment,
}

/// Intervals and, against a baseline, p-values for each row of a system.
pub fn resample_rows(
    corpus: &Corpus,
    rows: &[Row],
    baseline: Option<&Baseline<'_>>,
    what: &Significance,
) -> Result<Vec<RowStatistics>> {
    // Means and breakdowns share their parts.
    let mut parts: HashMap<Vec<usize>, Part> = HashMap::new();
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let pairing = baseline.and_then(|b| Pairing::of(row, b));
        for units in &row.parts {
            if !parts.contains_key(units) {
                let paired = baseline.filter(|_| pairing.is_some());
                parts.insert(units.clone(), draw(corpus, units, paired, what)?);
            }
        }
        let here: Vec<&Part> = row.parts.iter().filter_map(|units| parts.get(units)).collect();
        out.push(row_statistics(&corpus.metrics, row, &here, pairing, what));
    }
    Ok(out)
}

/// The baseline's row of the same name, if it holds the same units.
#[derive(Clone, Copy)]
struct Pairing<'a> {
    row: &'a Row,
}

impl<'a> Pairing<'a> {
    fn of(row: &Row, baseline: &Baseline<'a>) -> Option<Self> {
        let theirs = baseline.rows.iter().find(|r| r.id == row.id)?;
        let mut ours: Vec<usize> = row.parts.iter().flatten().copied().collect();
        let mut mapped: Vec<usize> = theirs
            .parts
            .iter()
            .flatten()
            .map(|&u| baseline.alignment.units[u])
            .collect::<Option<_>>()?;
        ours.sort_unstable();
        mapped.sort_unstable();
        (ours == mapped).then_some(Self { row: theirs })
    }
}

fn draw(
    corpus: &Corpus,
    units: &[usize],
    baseline: Option<&Baseline<'_>>,
    what: &Significance,
) -> Result<Part> {
    // Segments in the baseline's order, as every system has them in sacrebleu.
    let (segments, theirs) = match baseline {
        None => (corpus.segments_of(units), Vec::new()),
        Some(b) => {
            let wanted: Vec<usize> = (0..b.corpus.units.len())
                .filter(|&u| b.alignment.units[u].is_some_and(|s| units.contains(&s)))
                .collect();
            let theirs = b.corpus.segments_of(&wanted);
            (theirs.iter().map(|&t| b.alignment.segments[t as usize]).collect(), theirs)
        }
    };
    let n = segments.len();
    let metrics = &corpus.metrics;
    let singles = |corpus: &Corpus, segments: &[u32]| -> Vec<Vec<f32>> {
        (0..metrics.len()).map(|m| corpus.rows_single(m, segments)).collect()
    };
    fn tables<'a>(metrics: &'a [Metric], rows: &'a [Vec<f32>]) -> Vec<Table<'a, f32>> {
        metrics.iter().zip(rows).map(|(metric, rows)| Table { metric, rows }).collect()
    }

    let mut rng = what.seed.rng();
    let mut shuffled = Vec::new();
    if let (Some(b), Some(Test::Randomization)) = (baseline, what.test) {
        let doubles: Vec<(Vec<f64>, Vec<f64>)> = (0..metrics.len())
            .map(|m| (b.corpus.rows_double(m, &theirs), corpus.rows_double(m, &segments)))
            .collect();
        let pairs: Vec<(Table<'_, f64>, Table<'_, f64>)> = metrics
            .iter()
            .zip(&doubles)
            .map(|(metric, (b, s))| (Table { metric, rows: b }, Table { metric, rows: s }))
            .collect();
        // sacrebleu draws a system's interval from the same stream, behind the exchanges.
        shuffled = randomize(&mut rng, n, what.trials, &pairs);
    }
    let (mut system, mut of_baseline) = (Vec::new(), Vec::new());
    if what.bootstraps() {
        let ours = singles(corpus, &segments);
        let mut all = tables(metrics, &ours);
        if let (Some(b), Some(Test::Bootstrap)) = (baseline, what.test) {
            // Both systems see the same resamples.
            let theirs = singles(b.corpus, &theirs);
            all.extend(tables(metrics, &theirs));
            system = bootstrap(&mut rng, n, what.samples, &all)?;
            of_baseline = system.split_off(metrics.len());
        } else {
            system = bootstrap(&mut rng, n, what.samples, &all)?;
        }
    }
    Ok(Part { system, baseline: of_baseline, shuffled })
}

fn row_statistics(
    metrics: &[Metric],
    row: &Row,
    parts: &[&Part],
    pairing: Option<Pairing<'_>>,
    what: &Significance,
) -> RowStatistics {
    let averaging = if what.test.is_some() { Averaging::Numpy } else { Averaging::Exact };
    let mut out = RowStatistics::default();
    for m in 0..metrics.len() {
        let system = average(parts.iter().map(|p| p.system.get(m)));
        out.intervals.push(system.as_ref().map(|s| s.interval(what.ci_level, averaging)));
        out.p_values.push(pairing.and_then(|pairing| {
            let observed = (row.values[m] - pairing.row.values[m]).abs();
            match what.test? {
                Test::Bootstrap => {
                    let baseline = average(parts.iter().map(|p| p.baseline.get(m)))?;
                    Some(paired_bootstrap_p(system.as_ref()?, &baseline, observed))
                }
                Test::Randomization => {
                    let shuffled = average_pairs(parts.iter().map(|p| p.shuffled.get(m)))?;
                    Some(randomization_p(&shuffled, observed))
                }
            }
        }));
    }
    out
}

/// Samples of a mean of scores: the mean of the parts' scores, sample by sample.
fn average<'a>(parts: impl Iterator<Item = Option<&'a Samples>>) -> Option<Samples> {
    let parts: Vec<&Samples> = parts.collect::<Option<_>>()?;
    match parts.as_slice() {
        [] => None,
        [one] => Some((*one).clone()),
        many => Some(Samples {
            scores: (0..many[0].scores.len())
                .map(|i| many.iter().map(|p| p.scores[i]).sum::<f64>() / many.len() as f64)
                .collect(),
            single: false,
        }),
    }
}

fn average_pairs<'a>(
    parts: impl Iterator<Item = Option<&'a Vec<(f64, f64)>>>,
) -> Option<Vec<(f64, f64)>> {
    let parts: Vec<&Vec<(f64, f64)>> = parts.collect::<Option<_>>()?;
    let n = parts.len() as f64;
    let len = parts.first()?.len();
    Some(
        (0..len)
            .map(|i| {
                let (a, b) = parts.iter().fold((0.0, 0.0), |(a, b), p| (a + p[i].0, b + p[i].1));
                (a / n, b / n)
            })
            .collect(),
    )
}
