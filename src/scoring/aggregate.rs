//! From units to the rows of a table: sums and means by direction, language, group.

use polars::prelude::*;

use super::Metric;
use super::corpus::{Unit, UnitKey};
use super::labels::{LabelOf, Labels};
use super::signature::NumRefs;
use crate::error::{Error, Result};

/// What rows are made by.
#[derive(Clone, Debug)]
pub enum By {
    /// The whole input.
    All,
    LangPair,
    SrcLang,
    TgtLang,
    /// The field of the records at this place of [`UnitKey::fields`].
    Field {
        name: String,
        index: usize,
    },
    /// A column of a file of labels.
    Label {
        name: String,
        labels: Labels,
        column: usize,
        of: LabelOf,
    },
}

/// The label of segments that lack the field.
pub const NO_LABEL: &str = "(none)";

impl By {
    /// As in records and in `--by`.
    pub fn name(&self) -> &str {
        match self {
            Self::All => "all",
            Self::LangPair => "lang_pair",
            Self::SrcLang => "src_lang",
            Self::TgtLang => "tgt_lang",
            Self::Field { name, .. } | Self::Label { name, .. } => name,
        }
    }

    fn label(&self, key: &UnitKey) -> Option<String> {
        match self {
            Self::All => Some("all".into()),
            Self::LangPair => key.lang_pair(),
            Self::SrcLang => key.src_lang.clone(),
            Self::TgtLang => key.tgt_lang.clone(),
            Self::Field { index, .. } => key.fields.get(*index).cloned().flatten(),
            Self::Label { labels, column, of, .. } => labels.label(key, *column, *of),
        }
    }
}

/// How a row of several directions is averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Average {
    /// Mean of the scores of the directions.
    Macro,
    /// Score of all segments together.
    Micro,
}

impl Average {
    pub fn name(self) -> &'static str {
        match self {
            Self::Macro => "macro",
            Self::Micro => "micro",
        }
    }
}

/// Which row of which breakdown; the same for two systems scored alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId {
    pub by: String,
    pub label: String,
    /// None for a single direction.
    pub average: Option<Average>,
}

impl RowId {
    /// As shown in a table.
    pub fn display(&self) -> String {
        match (self.by.as_str(), self.average) {
            ("all", Some(average)) => average.name().to_string(),
            (_, Some(Average::Micro)) => format!("{} (micro)", self.label),
            _ => self.label.clone(),
        }
    }
}

/// A row of the table, before resampling.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: RowId,
    pub src_lang: Option<String>,
    pub tgt_lang: Option<String>,
    pub num_pairs: u64,
    pub num_sentences: u64,
    pub num_refs: NumRefs,
    /// Score by metric, in percent.
    pub values: Vec<f64>,
    /// Summed statistics by metric; none for a mean of scores.
    pub sums: Option<Vec<Vec<f64>>>,
    /// Units of each direction that the row averages; one entry for a row scored as a whole.
    pub parts: Vec<Vec<usize>>,
}

fn polars_error(e: PolarsError) -> Error {
    Error::bug("cannot aggregate scores").cause(e.to_string())
}

/// Name of the column of one statistic.
fn stat(metric: usize, at: usize) -> String {
    format!("m{metric}s{at}")
}

/// Rows of one breakdown, sorted by label. `averages` says which rows are made of a label with
/// several directions; one with a single direction gets a single row.
pub fn rows(units: &[Unit], metrics: &[Metric], by: &By, averages: &[Average]) -> Result<Vec<Row>> {
    aggregate(units, metrics, by, averages).map_err(polars_error)
}

fn aggregate(
    units: &[Unit],
    metrics: &[Metric],
    by: &By,
    averages: &[Average],
) -> PolarsResult<Vec<Row>> {
    let frame = unit_frame(units, metrics, by)?;
    let stats: Vec<String> = metrics
        .iter()
        .enumerate()
        .flat_map(|(m, metric)| (0..metric.num_stats()).map(move |k| stat(m, k)))
        .collect();

    // Directions within a label, each with its score; then their mean.
    let pairs = scored(sums(&frame, &["label", "pair"], &stats)?, metrics)?;
    let value_names: Vec<String> = (0..metrics.len()).map(|m| format!("value{m}")).collect();
    let means = means(&pairs, "label", &value_names)?;
    // All segments of a label together.
    let whole = scored(sums(&frame, &["label"], &stats)?, metrics)?;

    let labels = strings(&whole, "label")?;
    let members = members(&frame, &["label"])?;
    let pair_members = members_by_label(&frame, &pairs)?;
    let mut out = Vec::new();
    for (at, label) in labels.iter().enumerate() {
        let units_here: Vec<&Unit> = members[at].iter().map(|&u| &units[u]).collect();
        let parts = pair_members.get(label).cloned().unwrap_or_default();
        let pair = matches!(by, By::LangPair).then(|| &units_here[0].key);
        let row = |average: Option<Average>| -> PolarsResult<Row> {
            let is_mean = average == Some(Average::Macro);
            let from = if is_mean { &means } else { &whole };
            let values = value_names
                .iter()
                .map(|name| floats(from, name).map(|v| v[at]))
                .collect::<PolarsResult<Vec<f64>>>()?;
            let sums = if is_mean { None } else { Some(stat_sums(&whole, metrics, at)?) };
            Ok(Row {
                id: RowId { by: by.name().to_string(), label: label.clone(), average },
                src_lang: pair.and_then(|k| k.src_lang.clone()),
                tgt_lang: pair.and_then(|k| k.tgt_lang.clone()),
                num_pairs: parts.len() as u64,
                num_sentences: units_here.iter().map(|u| u.num_sentences).sum(),
                num_refs: NumRefs {
                    min: units_here.iter().map(|u| u.num_refs.min).min().unwrap_or(0),
                    max: units_here.iter().map(|u| u.num_refs.max).max().unwrap_or(0),
                },
                values,
                sums,
                parts: if is_mean { parts.clone() } else { vec![members[at].clone()] },
            })
        };
        if parts.len() > 1 {
            for &average in averages {
                out.push(row(Some(average))?);
            }
        } else {
            out.push(row(None)?);
        }
    }
    out.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(out)
}

/// One line per unit: label, direction, statistics.
fn unit_frame(units: &[Unit], metrics: &[Metric], by: &By) -> PolarsResult<DataFrame> {
    let text = |name: &str, f: &dyn Fn(&Unit) -> Option<String>| {
        let values: Vec<String> =
            units.iter().map(|u| f(u).unwrap_or_else(|| NO_LABEL.to_string())).collect();
        Column::new(name.into(), values)
    };
    let mut columns =
        vec![text("label", &|u| by.label(&u.key)), text("pair", &|u| u.key.lang_pair())];
    for (m, metric) in metrics.iter().enumerate() {
        for k in 0..metric.num_stats() {
            let values: Vec<f64> = units.iter().map(|u| u.sums[m][k]).collect();
            columns.push(Column::new(stat(m, k).into(), values));
        }
    }
    DataFrame::new(units.len(), columns)
}

/// Sums of `columns` by `keys`, groups in the order of their first line. The columns keep their
/// names.
// The successor that polars recommends is its lazy engine, a dozen more crates for one sum.
#[allow(deprecated)]
fn sums(frame: &DataFrame, keys: &[&str], columns: &[String]) -> PolarsResult<DataFrame> {
    let mut out =
        frame.group_by_stable(keys.iter().copied())?.select(columns.iter().map(|c| &**c)).sum()?;
    for column in columns {
        out.rename(&format!("{column}_sum"), column.as_str().into())?;
    }
    Ok(out)
}

/// Means of `columns` by `key`, under their own names.
#[allow(deprecated)]
fn means(frame: &DataFrame, key: &str, columns: &[String]) -> PolarsResult<DataFrame> {
    let mut out = frame.group_by_stable([key])?.select(columns.iter().map(|c| &**c)).mean()?;
    for column in columns {
        out.rename(&format!("{column}_mean"), column.as_str().into())?;
    }
    Ok(out)
}

/// Adds the column `value{m}` of each metric.
fn scored(mut frame: DataFrame, metrics: &[Metric]) -> PolarsResult<DataFrame> {
    for (m, metric) in metrics.iter().enumerate() {
        let stats: Vec<Vec<f64>> = (0..metric.num_stats())
            .map(|k| floats(&frame, &stat(m, k)))
            .collect::<PolarsResult<_>>()?;
        let values: Vec<f64> = (0..frame.height())
            .map(|row| metric.score(&stats.iter().map(|s| s[row]).collect::<Vec<f64>>()))
            .collect();
        frame.with_column(Column::new(format!("value{m}").into(), values))?;
    }
    Ok(frame)
}

fn stat_sums(frame: &DataFrame, metrics: &[Metric], row: usize) -> PolarsResult<Vec<Vec<f64>>> {
    metrics
        .iter()
        .enumerate()
        .map(|(m, metric)| {
            (0..metric.num_stats()).map(|k| Ok(floats(frame, &stat(m, k))?[row])).collect()
        })
        .collect()
}

/// Lines of each group, groups in the order of their first line.
fn members(frame: &DataFrame, keys: &[&str]) -> PolarsResult<Vec<Vec<usize>>> {
    let grouped = frame.group_by_stable(keys.iter().copied())?;
    Ok(grouped
        .get_groups()
        .iter()
        .map(|group| match group {
            GroupsIndicator::Idx((_, lines)) => lines.iter().map(|&i| i as usize).collect(),
            GroupsIndicator::Slice([first, len]) => {
                (first as usize..(first + len) as usize).collect()
            }
        })
        .collect())
}

/// For each label, the lines of each of its directions.
fn members_by_label(
    frame: &DataFrame,
    pairs: &DataFrame,
) -> PolarsResult<std::collections::BTreeMap<String, Vec<Vec<usize>>>> {
    let mut out = std::collections::BTreeMap::<String, Vec<Vec<usize>>>::new();
    let members = members(frame, &["label", "pair"])?;
    for (label, lines) in strings(pairs, "label")?.into_iter().zip(members) {
        out.entry(label).or_default().push(lines);
    }
    Ok(out)
}

fn strings(frame: &DataFrame, name: &str) -> PolarsResult<Vec<String>> {
    let column = frame.column(name)?.str()?;
    Ok(column.iter().map(|v| v.unwrap_or(NO_LABEL).to_string()).collect())
}

fn floats(frame: &DataFrame, name: &str) -> PolarsResult<Vec<f64>> {
    Ok(frame.column(name)?.f64()?.iter().map(|v| v.unwrap_or(0.0)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::ter::Ter;
    use super::*;

    /// TER: edits and reference length, so that means are easy to follow.
    fn unit(pair: (&str, &str), domain: Option<&str>, edits: f64, length: f64) -> Unit {
        Unit {
            key: UnitKey {
                src_lang: Some(pair.0.into()),
                tgt_lang: Some(pair.1.into()),
                fields: vec![domain.map(str::to_string)],
            },
            num_sentences: 10,
            num_refs: NumRefs { min: 1, max: 1 },
            sums: vec![vec![edits, length]],
            refs_digest: 0,
        }
    }

    fn show(rows: &[Row]) -> Vec<(String, f64, u64)> {
        rows.iter().map(|r| (r.id.display(), r.values[0], r.num_pairs)).collect()
    }

    #[test]
    fn macro_and_micro_averages() {
        let units = [
            unit(("en", "de"), Some("news"), 10.0, 100.0),
            unit(("de", "en"), Some("news"), 30.0, 100.0),
            unit(("en", "de"), Some("talk"), 20.0, 50.0),
            unit(("en", "fr"), None, 100.0, 200.0),
        ];
        let metrics = [Metric::Ter(Ter::default())];
        let both = [Average::Macro, Average::Micro];
        let pairs = rows(&units, &metrics, &By::LangPair, &both).unwrap();
        assert_eq!(
            show(&pairs),
            [("de-en".into(), 30.0, 1), ("en-de".into(), 20.0, 1), ("en-fr".into(), 50.0, 1)]
        );
        assert_eq!(pairs[1].parts, [vec![0, 2]]);
        assert_eq!(pairs[1].sums, Some(vec![vec![30.0, 150.0]]));
        assert_eq!(pairs[1].tgt_lang.as_deref(), Some("de"));

        let all = rows(&units, &metrics, &By::All, &both).unwrap();
        assert_eq!(show(&all)[1], ("micro".into(), 100.0 * 160.0 / 450.0, 3));
        assert_eq!((all[0].id.display(), all[0].num_pairs), ("macro".into(), 3));
        assert!((all[0].values[0] - 100.0 / 3.0).abs() < 1e-12);
        assert_eq!(all[0].parts, [vec![0, 2], vec![1], vec![3]]);
        assert_eq!(all[0].num_sentences, 40);

        let by = By::Field { name: "domain".into(), index: 0 };
        let domains = rows(&units, &metrics, &by, &[Average::Macro]).unwrap();
        assert_eq!(
            show(&domains),
            [("(none)".into(), 50.0, 1), ("news".into(), 20.0, 2), ("talk".into(), 40.0, 1)]
        );
        let sources = rows(&units, &metrics, &By::SrcLang, &[Average::Micro]).unwrap();
        assert_eq!(show(&sources)[1], ("en (micro)".into(), 100.0 * 130.0 / 350.0, 2));
    }

    #[test]
    fn text_without_languages_is_one_row() {
        let mut plain = unit(("a", "b"), None, 1.0, 4.0);
        plain.key = UnitKey::default();
        let metrics = [Metric::Ter(Ter::default())];
        let all = rows(&[plain], &metrics, &By::All, &[Average::Macro, Average::Micro]).unwrap();
        assert_eq!(show(&all), [("all".into(), 25.0, 1)]);
    }
}
