//! Systems, their rows, what resampling says of them, and the verdict of the gate.

use std::path::{Path, PathBuf};

use super::options::{MetricName, Options};
use crate::error::{Error, Result};
use crate::records::{GateRecord, ScoreRecord};
use crate::scoring::Metric;
use crate::scoring::aggregate::{Average, By, Row, RowId, rows};
use crate::scoring::compare::{Alignment, Baseline, RowStatistics, check_counts, resample_rows};
use crate::scoring::corpus::Corpus;
use crate::scoring::gate::{GateRule, GateScore, judge};
use crate::scoring::signature::{comparable, signature};

/// One file of hypotheses, scored.
pub struct System {
    pub name: String,
    pub path: PathBuf,
    pub corpus: Corpus,
    pub first_names: Vec<String>,
    pub translation_signature: Option<String>,
}

/// A system with its rows.
pub struct Scored {
    pub name: String,
    path: PathBuf,
    corpus: Corpus,
    translation_signature: Option<String>,
    pub rows: Vec<Row>,
    /// By row; empty before resampling.
    pub statistics: Vec<RowStatistics>,
}

/// What the systems are compared with.
pub enum Comparison {
    None,
    /// The first of the systems.
    First,
    /// Hypotheses of their own.
    System(Box<Scored>),
    /// Scores computed earlier.
    Scores {
        name: String,
        scores: Vec<ScoreRecord>,
    },
}

pub struct Results<'a> {
    pub options: &'a Options,
    pub systems: Vec<Scored>,
    pub comparison: Comparison,
}

impl<'a> Results<'a> {
    pub fn new(options: &'a Options, systems: Vec<System>) -> Result<Self> {
        let by = breakdowns(options, &systems)?;
        let systems: Vec<Scored> =
            systems.into_iter().map(|s| scored(s, options, &by)).collect::<Result<_>>()?;
        let comparison = match options.significance.test {
            Some(_) if systems.len() > 1 => Comparison::First,
            _ => Comparison::None,
        };
        Ok(Self { options, systems, comparison })
    }

    pub fn metrics(&self) -> Vec<&Metric> {
        self.options.metrics.iter().map(|m| &m.metric).collect()
    }

    /// Compares with the hypotheses of another system.
    pub fn compare_with_system(&mut self, baseline: System) -> Result<()> {
        // The same breakdowns, those of the first system; `all` too, where it has the rows.
        let by = breakdowns_of_rows(self.options, &self.systems[0], &baseline);
        let baseline = scored(baseline, self.options, &by)?;
        for system in &self.systems {
            for (b, unit) in baseline.corpus.units.iter().enumerate() {
                let ours = system.corpus.units.iter().position(|u| u.key == unit.key);
                if let Some(s) = ours {
                    let names = (system.name.as_str(), baseline.name.as_str());
                    check_counts(&system.corpus, s, &baseline.corpus, b, names)
                        .map_err(|e| e.at(&system.path))?;
                }
            }
        }
        self.comparison = Comparison::System(Box::new(baseline));
        Ok(())
    }

    /// Compares with scores computed earlier. They must have been computed alike.
    pub fn compare_with_scores(
        &mut self,
        path: &Path,
        scores: Vec<ScoreRecord>,
        system: Option<&str>,
    ) -> Result<()> {
        let mut names: Vec<&str> = scores.iter().map(|s| s.system.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let chosen = match (system, names.as_slice()) {
            (Some(wanted), names) => match names.iter().find(|n| **n == wanted) {
                Some(name) => name.to_string(),
                None => {
                    return Err(Error::data(format!("the baseline has no system `{wanted}`"))
                        .at(path)
                        .flag("--baseline-system")
                        .found(names.join(", "))
                        .suggest(wanted, names.iter().copied()));
                }
            },
            (None, [only]) => only.to_string(),
            (None, several) => {
                return Err(Error::data("the baseline holds the scores of several systems")
                    .at(path)
                    .found(several.join(", "))
                    .hint("choose one with `--baseline-system NAME`"));
            }
        };
        let scores: Vec<ScoreRecord> = scores.into_iter().filter(|s| s.system == chosen).collect();
        for score in &scores {
            self.check_signature(path, score)?;
        }
        let name = path.file_stem().map_or(chosen, |s| s.to_string_lossy().into_owned());
        self.comparison = Comparison::Scores { name, scores };
        Ok(())
    }

    /// Two numbers with different recipes must not be subtracted.
    fn check_signature(&self, path: &Path, score: &ScoreRecord) -> Result<()> {
        for system in &self.systems {
            let found = system.rows.iter().find(|row| matches(row, &system.rows, score));
            let metric = self.options.metrics.iter().find(|m| m.metric.name() == score.metric);
            let (Some(row), Some(m)) = (found, metric) else { continue };
            let ours = signature(&m.metric, row.num_refs, &Default::default());
            // Only of one direction: averages also change with the set of directions, and what
            // is missing there has verdicts of its own.
            if row.id.by == "lang_pair"
                && score.num_sentences > 0
                && score.num_sentences != row.num_sentences
            {
                return Err(Error::data(format!(
                    "the baseline's {} is of other segments: {}",
                    score.metric,
                    row.id.display()
                ))
                .at(path)
                .found(format!("{} segments in the baseline", score.num_sentences))
                .expected(format!("{} as in `{}`", row.num_sentences, system.name)));
            }
            if comparable(&ours) != comparable(&score.signature) {
                return Err(Error::data(format!(
                    "the baseline's {} was computed in another way",
                    score.metric
                ))
                .at(path)
                .found(comparable(&score.signature))
                .expected(comparable(&ours))
                .hint("score both alike: the same tokenizer, flags and references"));
            }
        }
        Ok(())
    }

    /// Intervals and p-values.
    pub fn resample(&mut self) -> Result<()> {
        let what = &self.options.significance;
        if !what.resamples() {
            return Ok(());
        }
        let baseline = match &self.comparison {
            Comparison::System(baseline) => Some(&**baseline),
            Comparison::First => self.systems.first(),
            _ => None,
        };
        let mut of_systems = Vec::with_capacity(self.systems.len());
        for (i, system) in self.systems.iter().enumerate() {
            let paired = match (baseline, what.test) {
                (Some(b), Some(_)) if !(i == 0 && matches!(self.comparison, Comparison::First)) => {
                    Some(Baseline {
                        corpus: &b.corpus,
                        rows: &b.rows,
                        alignment: Alignment::new(
                            &system.corpus,
                            &b.corpus,
                            (system.name.as_str(), b.name.as_str()),
                        )
                        .map_err(|e| e.at(&b.path))?,
                    })
                }
                _ => None,
            };
            of_systems.push(resample_rows(&system.corpus, &system.rows, paired.as_ref(), what)?);
        }
        let of_baseline = match &self.comparison {
            Comparison::System(b) => Some(resample_rows(&b.corpus, &b.rows, None, what)?),
            _ => None,
        };
        for (system, statistics) in self.systems.iter_mut().zip(of_systems) {
            system.statistics = statistics;
        }
        if let (Comparison::System(b), Some(statistics)) = (&mut self.comparison, of_baseline) {
            b.statistics = statistics;
        }
        Ok(())
    }

    /// The baseline's score of a row in a metric.
    pub fn baseline_value(&self, system: usize, row: usize, metric: usize) -> Option<f64> {
        let id = &self.systems[system].rows[row].id;
        match &self.comparison {
            Comparison::None => None,
            Comparison::First if system == 0 => None,
            Comparison::First => value_of(&self.systems[0], id, metric),
            Comparison::System(b) => value_of(b, id, metric),
            Comparison::Scores { scores, .. } => {
                let name = self.options.metrics[metric].metric.name();
                let rows = &self.systems[system].rows;
                scores
                    .iter()
                    .find(|s| s.metric == name && matches(&rows[row], rows, s))
                    .map(|s| s.value)
            }
        }
    }

    /// Verdicts for each system, metric of `--max-drop` and row; none without that flag.
    pub fn gate(&self) -> Result<Option<Vec<GateRecord>>> {
        if self.options.max_drops.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::new();
        for system in &self.systems {
            for max_drop in &self.options.max_drops {
                let m = self.metric_of(max_drop.name)?;
                let metric = &self.options.metrics[m].metric;
                let scores: Vec<GateScore> = system
                    .rows
                    .iter()
                    .enumerate()
                    .map(|(r, row)| GateScore {
                        id: row.id.clone(),
                        value: row.values[m],
                        p_value: system.statistics.get(r).and_then(|s| s.p_values[m]),
                    })
                    .collect();
                let rule = GateRule {
                    higher_is_better: metric.higher_is_better(),
                    max_drop: max_drop.drop,
                    max_p: self.options.max_p,
                };
                for verdict in judge(&scores, &self.baseline_scores(m), &rule) {
                    let names = RowNames::of(&verdict.id);
                    let delta = verdict.delta();
                    out.push(GateRecord {
                        kind: "gate",
                        system: system.name.clone(),
                        lang_pair: names.lang_pair,
                        by: names.by,
                        group: names.group,
                        average: names.average,
                        metric: metric.name(),
                        baseline: verdict.baseline,
                        value: verdict.value,
                        delta,
                        max_drop: max_drop.drop,
                        p_value: verdict.p_value,
                        status: verdict.status,
                    });
                }
            }
        }
        Ok(Some(out))
    }

    /// The metric that `--max-drop` names; `chrf` and `chrf++` may be one and the same.
    fn metric_of(&self, name: MetricName) -> Result<usize> {
        let metrics = &self.options.metrics;
        let is_chrf = |m: &MetricName| matches!(m, MetricName::Chrf | MetricName::ChrfPlusPlus);
        metrics
            .iter()
            .position(|m| m.name == name)
            .or_else(|| metrics.iter().position(|m| is_chrf(&m.name) && is_chrf(&name)))
            .ok_or_else(|| Error::bug("a metric of the gate was not computed"))
    }

    fn baseline_scores(&self, metric: usize) -> Vec<(RowId, f64)> {
        match &self.comparison {
            Comparison::None => Vec::new(),
            Comparison::First => values(&self.systems[0], metric),
            Comparison::System(b) => values(b, metric),
            Comparison::Scores { scores, .. } => {
                let name = self.options.metrics[metric].metric.name();
                scores.iter().filter(|s| s.metric == name).map(|s| (row_id(s), s.value)).collect()
            }
        }
    }

    /// The scores of a system as records, rows in the order of the table.
    pub fn records(&self, system: usize) -> Vec<ScoreRecord> {
        let scored = &self.systems[system];
        let mut out = Vec::new();
        for (r, row) in scored.rows.iter().enumerate() {
            for m in 0..self.options.metrics.len() {
                out.push(self.record(system, scored, r, row, m));
            }
        }
        out
    }

    fn record(&self, s: usize, scored: &Scored, r: usize, row: &Row, m: usize) -> ScoreRecord {
        let what = &self.options.significance;
        let metric = &self.options.metrics[m].metric;
        let names = RowNames::of(&row.id);
        let statistics = scored.statistics.get(r);
        let interval = statistics.and_then(|s| s.intervals[m]);
        let p_value = statistics.and_then(|s| s.p_values[m]);
        let value = row.values[m];
        ScoreRecord {
            kind: "score".into(),
            system: scored.name.clone(),
            lang_pair: names.lang_pair,
            src_lang: row.src_lang.clone(),
            tgt_lang: row.tgt_lang.clone(),
            by: names.by,
            group: names.group,
            average: names.average,
            num_pairs: (row.num_pairs > 1).then_some(row.num_pairs),
            metric: metric.name(),
            value,
            num_sentences: row.num_sentences,
            num_refs: (row.num_refs.min == row.num_refs.max).then_some(u64::from(row.num_refs.min)),
            ci_mean: interval.map(|i| i.mean),
            ci_low: interval.map(|i| i.low),
            ci_high: interval.map(|i| i.high),
            ci_level: interval.map(|_| what.ci_level),
            delta: self.baseline_value(s, r, m).map(|b| value - b),
            p_value,
            test: p_value.and(what.test).map(|t| t.name().to_string()),
            verbose_score: row.sums.as_ref().and_then(|sums| metric.verbose(&sums[m])),
            signature: signature(metric, row.num_refs, &what.resampling()),
            translation_signature: scored.translation_signature.clone(),
        }
    }
}

/// How records name a row.
struct RowNames {
    lang_pair: Option<String>,
    by: Option<String>,
    group: Option<String>,
    average: Option<String>,
}

impl RowNames {
    fn of(id: &RowId) -> Self {
        let is_pair = id.by == "lang_pair";
        Self {
            lang_pair: is_pair.then(|| id.label.clone()),
            by: (!is_pair).then(|| id.by.clone()),
            group: (!is_pair).then(|| id.label.clone()),
            average: id.average.map(|a| a.name().to_string()),
        }
    }
}

fn row_id(score: &ScoreRecord) -> RowId {
    let average = match score.average.as_deref() {
        Some("macro") => Some(Average::Macro),
        Some("micro") => Some(Average::Micro),
        _ => None,
    };
    match &score.lang_pair {
        Some(pair) => RowId { by: "lang_pair".into(), label: pair.clone(), average },
        None => RowId {
            by: score.by.clone().unwrap_or_else(|| "all".into()),
            label: score.group.clone().unwrap_or_else(|| "all".into()),
            average,
        },
    }
}

/// Whether a score of the baseline is one of this row: of the same name, or of the whole input
/// where the row is the only one.
fn matches(row: &Row, rows: &[Row], score: &ScoreRecord) -> bool {
    let id = row_id(score);
    row.id == id || (rows.len() == 1 && id.by == "all" && id.average != Some(Average::Macro))
}

fn value_of(system: &Scored, id: &RowId, metric: usize) -> Option<f64> {
    system.rows.iter().find(|r| r.id == *id).map(|r| r.values[metric])
}

fn values(system: &Scored, metric: usize) -> Vec<(RowId, f64)> {
    system.rows.iter().map(|r| (r.id.clone(), r.values[metric])).collect()
}

fn scored(system: System, options: &Options, by: &[By]) -> Result<Scored> {
    let System { name, path, corpus, translation_signature, .. } = system;
    let mut all = Vec::new();
    for by in by {
        all.extend(rows(&corpus.units, &corpus.metrics, by, options.averages(by))?);
    }
    Ok(Scored { name, path, corpus, translation_signature, rows: all, statistics: Vec::new() })
}

/// The breakdowns of all systems: those asked for, else by direction where segments name their
/// languages; then the whole input, unless its one direction says it all.
fn breakdowns(options: &Options, systems: &[System]) -> Result<Vec<By>> {
    let pairs = |s: &System| {
        let mut pairs: Vec<Option<String>> =
            s.corpus.units.iter().map(|u| u.key.lang_pair()).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    };
    let has_pairs = systems.iter().any(|s| pairs(s).iter().any(Option::is_some));
    let mut by = match &options.by {
        Some(by) => by.clone(),
        None if has_pairs => vec![By::LangPair],
        None => Vec::new(),
    };
    for system in systems {
        check_fields(options, &by, system)?;
    }
    let several = systems.iter().any(|s| pairs(s).len() > 1);
    let says_it_all = |by: &By| matches!(by, By::LangPair | By::All);
    if several || !by.iter().any(says_it_all) {
        by.retain(|b| !matches!(b, By::All));
        by.push(By::All);
    }
    Ok(by)
}

/// The breakdowns of a baseline: those of the systems, and the whole input where it has more
/// directions than they.
fn breakdowns_of_rows(options: &Options, system: &Scored, baseline: &System) -> Vec<By> {
    let wanted = options.by.clone().unwrap_or_else(|| vec![By::LangPair]);
    let has = |name: &str| system.rows.iter().any(|r| r.id.by == name);
    let mut by: Vec<By> = wanted.into_iter().filter(|b| has(b.name())).collect();
    if has("all") || baseline.corpus.units.len() > system.corpus.units.len() {
        by.retain(|b| !matches!(b, By::All));
        by.push(By::All);
    }
    by
}

/// A breakdown that no segment has a value for is a slip of the hand.
fn check_fields(options: &Options, by: &[By], system: &System) -> Result<()> {
    let units = &system.corpus.units;
    for by in by {
        let (found, what) = match by {
            By::All => (true, ""),
            By::LangPair => (units.iter().any(|u| u.key.lang_pair().is_some()), "languages"),
            By::SrcLang => (units.iter().any(|u| u.key.src_lang.is_some()), "a source language"),
            By::TgtLang => (units.iter().any(|u| u.key.tgt_lang.is_some()), "a target language"),
            By::Field { name, index } => {
                if units.iter().any(|u| u.key.fields[*index].is_some()) {
                    continue;
                }
                let mut known: Vec<&str> = vec!["lang_pair", "src_lang", "tgt_lang"];
                known.extend(options.label_names.iter().map(String::as_str));
                known.extend(system.first_names.iter().map(String::as_str));
                return Err(Error::data(format!("no segment has the field `{name}`"))
                    .at(&system.path)
                    .flag("--by")
                    .suggest(name, known)
                    .hint("labels of languages come from a file named by `--groups`"));
            }
            By::Label { name, labels, column, of } => {
                if units.iter().any(|u| labels.label(&u.key, *column, *of).is_some()) {
                    continue;
                }
                let seen: Vec<String> =
                    units.iter().filter_map(|u| u.key.lang_pair()).take(3).collect();
                return Err(Error::data(format!("no direction has a label `{name}`"))
                    .at(&system.path)
                    .flag("--groups")
                    .found(seen.join(", "))
                    .expected(
                        "the language codes of the segments, or directions such as `de-en`",
                    ));
            }
        };
        if !found {
            return Err(Error::data(format!("no segment names {what}"))
                .at(&system.path)
                .flag("--by")
                .hint("give them with `--src-lang` and `--tgt-lang`"));
        }
    }
    Ok(())
}
