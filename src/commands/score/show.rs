//! Scores as tables and records.

use super::results::{Comparison, Results, Scored};
use crate::error::{Error, Result};
use crate::io::Output;
use crate::records::{GateRecord, GateStatus, ScoreRecord};
use crate::report::{Align, Table, TableFormat};
use crate::scoring::aggregate::RowId;
use crate::scoring::signature::{short, signature};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Jsonl,
    Json,
    Tsv,
    Markdown,
    Latex,
}

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Shape of standard output [default: text]
    #[arg(short, long, value_enum)]
    pub format: Option<Format>,
    /// Digits behind the point [default: 1; records keep all]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=15))]
    pub width: Option<u8>,
    /// Abbreviate signatures
    #[arg(long)]
    pub short: bool,
    /// Print the scores alone, one on a line
    #[arg(short = 'b', long)]
    pub score_only: bool,
}

/// Significance is marked below this p-value, as in sacrebleu.
const SIGNIFICANT: f64 = 0.05;

pub fn write(
    out: &mut Output,
    args: &OutputArgs,
    json: bool,
    results: &Results<'_>,
    gate: Option<&[GateRecord]>,
) -> Result<()> {
    let format = args.format.unwrap_or(if json { Format::Jsonl } else { Format::Text });
    if args.score_only {
        return score_only(out, args, results);
    }
    match format {
        Format::Jsonl => {
            for record in records(args, results) {
                out.record(&record)?;
            }
            for record in gate.into_iter().flatten() {
                out.record(record)?;
            }
            Ok(())
        }
        Format::Json => {
            let mut all = Vec::new();
            let value =
                |e: serde_json::Error| Error::bug("cannot encode a record").cause(e.to_string());
            for record in records(args, results) {
                all.push(serde_json::to_value(record).map_err(value)?);
            }
            for record in gate.into_iter().flatten() {
                all.push(serde_json::to_value(record).map_err(value)?);
            }
            out.line(&serde_json::to_string_pretty(&all).map_err(value)?)
        }
        Format::Tsv => out.text(&long_table(args, results, gate).render(TableFormat::Tsv)),
        Format::Text => tables(out, args, results, gate, TableFormat::Text),
        Format::Markdown => tables(out, args, results, gate, TableFormat::Markdown),
        Format::Latex => tables(out, args, results, gate, TableFormat::Latex),
    }
}

fn rounded(x: f64, width: u8) -> f64 {
    fixed(x, width).parse().unwrap_or(x)
}

/// Records of all systems. A width given by the user rounds, and signatures may be short.
fn records(args: &OutputArgs, results: &Results<'_>) -> Vec<ScoreRecord> {
    let metrics = results.metrics();
    let mut all = Vec::new();
    for system in 0..results.systems.len() {
        for mut record in results.records(system) {
            if let Some(width) = args.width {
                record.value = rounded(record.value, width);
                for field in [
                    &mut record.ci_mean,
                    &mut record.ci_low,
                    &mut record.ci_high,
                    &mut record.delta,
                ] {
                    *field = field.map(|x| rounded(x, width));
                }
            }
            if args.short
                && let Some(metric) = metrics.iter().find(|m| m.name() == record.metric)
            {
                record.signature = short(metric, &record.signature);
            }
            all.push(record);
        }
    }
    all
}

fn score_only(out: &mut Output, args: &OutputArgs, results: &Results<'_>) -> Result<()> {
    for system in &results.systems {
        for row in &system.rows {
            for &value in &row.values {
                out.line(&fixed(value, args.width.unwrap_or(1)))?;
            }
        }
    }
    Ok(())
}

/// As Python's `format` with `.{width}f`: both round the exact value, ties to even.
fn fixed(x: f64, width: u8) -> String {
    format!("{x:.*}", usize::from(width))
}

fn signed(x: f64, width: u8) -> String {
    let text = fixed(x, width);
    // A difference that rounds to nothing has no sign.
    if text.bytes().all(|b| matches!(b, b'-' | b'.' | b'0')) {
        fixed(0.0, width)
    } else {
        format!("{x:+.*}", usize::from(width))
    }
}

/// One column of a table: a system, perhaps the baseline.
enum Column<'a> {
    System(usize, &'a Scored),
    Baseline(&'a Scored),
    Scores(&'a str),
}

fn columns<'a>(results: &'a Results<'a>) -> Vec<Column<'a>> {
    let mut columns = Vec::new();
    match &results.comparison {
        Comparison::System(b) => columns.push(Column::Baseline(b)),
        Comparison::Scores { name, .. } => columns.push(Column::Scores(name)),
        _ => {}
    }
    columns.extend(results.systems.iter().enumerate().map(|(i, s)| Column::System(i, s)));
    columns
}

impl Column<'_> {
    fn title(&self, results: &Results<'_>) -> String {
        let name = match self {
            Self::System(0, s) if matches!(results.comparison, Comparison::First) => {
                return format!("Baseline: {}", s.name);
            }
            Self::System(_, s) => return s.name.clone(),
            Self::Baseline(s) => &s.name,
            Self::Scores(name) => *name,
        };
        format!("Baseline: {name}")
    }

    /// Score, interval, difference and p-value of a row in a metric; a dash where there is none.
    fn cell(&self, results: &Results<'_>, id: &RowId, metric: usize, width: u8) -> String {
        let (system, scored) = match self {
            Self::System(i, scored) => (Some(*i), *scored),
            Self::Baseline(scored) => (None, *scored),
            Self::Scores(_) => {
                let of_first = results.systems[0].rows.iter().position(|r| r.id == *id);
                let value = of_first.and_then(|row| results.baseline_value(0, row, metric));
                return value.map_or_else(|| "-".into(), |v| fixed(v, width));
            }
        };
        let Some(r) = scored.rows.iter().position(|r| r.id == *id) else { return "-".into() };
        let mut text = fixed(scored.rows[r].values[metric], width);
        let statistics = scored.statistics.get(r);
        if let Some(i) = statistics.and_then(|s| s.intervals[metric]) {
            text += &format!(" ({} ± {})", fixed(i.mean, width), fixed(i.half, width));
        }
        let Some(system) = system else { return text };
        if let Some(baseline) = results.baseline_value(system, r, metric) {
            let delta = scored.rows[r].values[metric] - baseline;
            text += &format!(" {}", signed(delta, width));
            if let Some(p) = statistics.and_then(|s| s.p_values[metric]) {
                // A system against itself has a p-value, but no difference to be sure of.
                let mark = if p < SIGNIFICANT && delta != 0.0 { "*" } else { "" };
                text += &format!(" (p = {p:.4}){mark}");
            }
        }
        text
    }
}

/// Rows of all columns, those of the systems first, each once.
fn row_ids<'a>(columns: &[Column<'a>], by: &str) -> Vec<&'a RowId> {
    let mut ids: Vec<&RowId> = Vec::new();
    let scored = |c: &Column<'a>| match c {
        Column::System(_, s) | Column::Baseline(s) => Some(*s),
        Column::Scores(_) => None,
    };
    for row in columns.iter().filter_map(scored).flat_map(|s| &s.rows) {
        if row.id.by == by && !ids.contains(&&row.id) {
            ids.push(&row.id);
        }
    }
    ids.sort();
    ids
}

fn sentences(columns: &[Column<'_>], id: &RowId) -> String {
    columns
        .iter()
        .filter_map(|c| match c {
            Column::System(_, s) | Column::Baseline(s) => {
                s.rows.iter().find(|r| r.id == *id).map(|r| r.num_sentences.to_string())
            }
            Column::Scores(_) => None,
        })
        .next()
        .unwrap_or_default()
}

fn tables(
    out: &mut Output,
    args: &OutputArgs,
    results: &Results<'_>,
    gate: Option<&[GateRecord]>,
    format: TableFormat,
) -> Result<()> {
    let width = args.width.unwrap_or(1);
    let columns = columns(results);
    let mut blocks: Vec<String> = Vec::new();
    let breakdowns = breakdown_names(&columns);
    let num_rows: usize = breakdowns.iter().map(|by| row_ids(&columns, by).len()).sum();
    if columns.len() > 1 && num_rows == 1 {
        blocks.push(systems_table(&columns, results, &breakdowns, width).render(format));
    } else if columns.len() > 1 {
        for m in 0..results.options.metrics.len() {
            blocks.push(side_by_side(&columns, results, &breakdowns, m, width).render(format));
        }
    } else {
        blocks.push(rows_table(&columns, results, &breakdowns, width).render(format));
    }
    blocks.push(notes(args, results, format));
    if let Some(gate) = gate {
        blocks.extend(failures(gate, width).map(|t| t.render(format)));
    }
    blocks.retain(|b| !b.is_empty());
    out.text(&blocks.join("\n"))
}

/// Breakdowns in the order they were asked for, the whole input last.
fn breakdown_names(columns: &[Column<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for column in columns {
        let (Column::System(_, scored) | Column::Baseline(scored)) = column else { continue };
        for row in &scored.rows {
            if !names.contains(&row.id.by) {
                names.push(row.id.by.clone());
            }
        }
    }
    if let Some(at) = names.iter().position(|n| n == "all") {
        let all = names.remove(at);
        names.push(all);
    }
    names
}

/// The name of the first column, after the breakdown shown in it.
fn row_title(breakdowns: &[String]) -> String {
    let names: Vec<&str> = breakdowns
        .iter()
        .filter(|b| *b != "all" || breakdowns.len() == 1)
        .map(|b| match b.as_str() {
            "lang_pair" => "direction",
            "src_lang" => "source",
            "tgt_lang" => "target",
            "all" => "corpus",
            other => other,
        })
        .collect();
    names.join(" / ")
}

/// The label of a row among those of several breakdowns.
fn row_label(id: &RowId, breakdowns: &[String]) -> String {
    let several = breakdowns.iter().filter(|b| *b != "all").count() > 1;
    if several && id.by != "all" && id.by != "lang_pair" {
        format!("{}={}", id.by, id.display())
    } else {
        id.display()
    }
}

/// One system: a line for each row, a column for each metric.
fn rows_table(
    columns: &[Column<'_>],
    results: &Results<'_>,
    breakdowns: &[String],
    width: u8,
) -> Table {
    let mut header =
        vec![(row_title(breakdowns), Align::Left), ("segments".to_string(), Align::Right)];
    header.extend(results.metrics().iter().map(|m| (m.name(), Align::Right)));
    let mut table = Table::new(header);
    for by in breakdowns {
        for id in row_ids(columns, by) {
            let mut cells = vec![row_label(id, breakdowns), sentences(columns, id)];
            for m in 0..results.options.metrics.len() {
                cells.push(columns[0].cell(results, id, m, width));
            }
            table.row(cells);
        }
    }
    table
}

/// Several systems, one row each: sacrebleu's table.
fn systems_table(
    columns: &[Column<'_>],
    results: &Results<'_>,
    breakdowns: &[String],
    width: u8,
) -> Table {
    let mut header = vec![("system".to_string(), Align::Left)];
    header.extend(results.metrics().iter().map(|m| (m.name(), Align::Right)));
    let mut table = Table::new(header);
    for id in breakdowns.iter().flat_map(|by| row_ids(columns, by)) {
        for column in columns {
            let mut cells = vec![column.title(results)];
            for m in 0..results.options.metrics.len() {
                cells.push(column.cell(results, id, m, width));
            }
            table.row(cells);
        }
    }
    table
}

/// Several systems and rows: a table for each metric, the systems beside each other.
fn side_by_side(
    columns: &[Column<'_>],
    results: &Results<'_>,
    breakdowns: &[String],
    metric: usize,
    width: u8,
) -> Table {
    let mut header =
        vec![(row_title(breakdowns), Align::Left), ("segments".to_string(), Align::Right)];
    header.extend(columns.iter().map(|c| (c.title(results), Align::Right)));
    let mut table = Table::new(header).titled(results.metrics()[metric].name());
    for by in breakdowns {
        for id in row_ids(columns, by) {
            let mut cells = vec![row_label(id, breakdowns), sentences(columns, id)];
            cells.extend(columns.iter().map(|c| c.cell(results, id, metric, width)));
            table.row(cells);
        }
    }
    table
}

/// Signatures, one line for each, and what the marks mean.
fn notes(args: &OutputArgs, results: &Results<'_>, format: TableFormat) -> String {
    let what = &results.options.significance;
    let mut lines: Vec<String> = Vec::new();
    let names: Vec<String> = results.metrics().iter().map(|m| m.name()).collect();
    let longest = names.iter().map(String::len).max().unwrap_or(0);
    for (metric, name) in results.metrics().into_iter().zip(&names) {
        for row in results.systems.iter().flat_map(|s| &s.rows) {
            let full = signature(metric, row.num_refs, &what.resampling());
            let text = if args.short { short(metric, &full) } else { full };
            let line = format!("{name:longest$}  {text}");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    if let Some(test) = what.test {
        lines
            .push(format!("{}: p-values against the baseline, * below {SIGNIFICANT}", test.name()));
    }
    if what.confidence || what.test == Some(crate::scoring::resample::Test::Bootstrap) {
        let share = what.ci_level * 100.0;
        lines
            .push(format!("in brackets: mean of the resamples ± half of their {share} % interval"));
    }
    match format {
        TableFormat::Markdown => lines.iter().map(|l| format!("`{l}`  \n")).collect(),
        TableFormat::Latex => lines.iter().map(|l| format!("% {l}\n")).collect(),
        _ => lines.iter().map(|l| format!("{l}\n")).collect(),
    }
}

/// The rows that failed the gate; none when all passed.
fn failures(gate: &[GateRecord], width: u8) -> Option<Table> {
    let failed: Vec<&GateRecord> = gate.iter().filter(|g| g.status != GateStatus::Pass).collect();
    if failed.is_empty() {
        return None;
    }
    let several = gate.iter().any(|g| g.system != gate[0].system);
    let mut header = vec![("gate", Align::Left), ("row", Align::Left), ("metric", Align::Left)];
    if several {
        header.insert(1, ("system", Align::Left));
    }
    header.extend(["baseline", "value", "delta", "max drop"].map(|name| (name, Align::Right)));
    let tested = failed.iter().any(|g| g.p_value.is_some());
    if tested {
        header.push(("p", Align::Right));
    }
    let title = format!("{} of {} rows failed the gate", failed.len(), gate.len());
    let mut table = Table::new(header).titled(title);
    for g in failed {
        let number = |x: Option<f64>| x.map_or_else(|| "-".to_string(), |x| fixed(x, width));
        let mut cells = vec![g.status.name().to_string(), gate_row(g), g.metric.clone()];
        if several {
            cells.insert(1, g.system.clone());
        }
        cells.extend([
            number(g.baseline),
            number(g.value),
            g.delta.map_or_else(|| "-".to_string(), |d| signed(d, width)),
            g.max_drop.to_string(),
        ]);
        if tested {
            cells.push(g.p_value.map_or_else(|| "-".to_string(), |p| format!("{p:.4}")));
        }
        table.row(cells);
    }
    Some(table)
}

fn gate_row(gate: &GateRecord) -> String {
    if let Some(pair) = &gate.lang_pair {
        return pair.clone();
    }
    let (by, group) = (gate.by.as_deref().unwrap_or("all"), gate.group.as_deref().unwrap_or("all"));
    match (by, gate.average.as_deref()) {
        ("all", Some(average)) => average.to_string(),
        ("all", None) => "all".into(),
        (_, Some("micro")) => format!("{by}={group} (micro)"),
        _ => format!("{by}={group}"),
    }
}

/// Everything in one table of single facts, for programs that read tab-separated values.
fn long_table(args: &OutputArgs, results: &Results<'_>, gate: Option<&[GateRecord]>) -> Table {
    let names = [
        "system",
        "by",
        "row",
        "average",
        "num_pairs",
        "num_sentences",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "delta",
        "p_value",
        "gate",
        "signature",
    ];
    let mut table = Table::new(names.map(|name| (name, Align::Left)));
    let width = args.width.unwrap_or(1);
    let number = |x: Option<f64>| x.map_or_else(String::new, |x| fixed(x, width));
    for r in records(args, results) {
        let verdict = gate.into_iter().flatten().find(|g| {
            g.system == r.system
                && g.metric == r.metric
                && (&g.lang_pair, &g.by, &g.group, &g.average)
                    == (&r.lang_pair, &r.by, &r.group, &r.average)
        });
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        table.row([
            r.system.clone(),
            r.by.clone().unwrap_or_else(|| "lang_pair".into()),
            r.lang_pair.clone().or(r.group.clone()).unwrap_or_default(),
            text(&r.average),
            r.num_pairs.unwrap_or(1).to_string(),
            r.num_sentences.to_string(),
            r.metric.clone(),
            fixed(r.value, width),
            number(r.ci_low),
            number(r.ci_high),
            r.delta.map_or_else(String::new, |d| signed(d, width)),
            r.p_value.map_or_else(String::new, |p| format!("{p:.4}")),
            verdict.map_or_else(String::new, |g| g.status.name().to_string()),
            r.signature.clone(),
        ]);
    }
    // What the systems lack has a line of its own.
    for g in gate.into_iter().flatten().filter(|g| g.value.is_none()) {
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        let mut cells = vec![String::new(); names.len()];
        cells[0] = g.system.clone();
        cells[1] = g.by.clone().unwrap_or_else(|| "lang_pair".into());
        cells[2] = g.lang_pair.clone().or(g.group.clone()).unwrap_or_default();
        cells[3] = text(&g.average);
        cells[6] = g.metric.clone();
        cells[12] = g.status.name().to_string();
        table.row(cells);
    }
    table
}
