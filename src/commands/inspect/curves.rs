//! `inspect --curves`: how training runs converged, side by side.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Args, Format};
use crate::cli::Context;
use crate::error::{Error, Result};
use crate::exit::Outcome;
use crate::formats::provenance::display_name;
use crate::io::{AtomicFile, Input, Output};
use crate::records::round6;
use crate::report::{Align, Line, Lines, Table, TableFormat};

const LOG: &str = "log.jsonl";

/// The loss on all held-out text at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    step: u64,
    seconds: Option<f64>,
    /// Nats per token; not a number where the loss was none.
    nll: f64,
}

struct Run {
    name: String,
    /// By step.
    points: Vec<Point>,
}

impl Run {
    /// The first of the lowest losses.
    fn best(&self) -> Option<Point> {
        let finite = self.points.iter().copied().filter(|p| p.nll.is_finite());
        finite.min_by(|a, b| a.nll.total_cmp(&b.nll))
    }
}

pub fn run(args: &Args, dir: &Path, context: &Context) -> Result<Outcome> {
    let names = names(&args.paths);
    let runs: Vec<Run> = args
        .paths
        .iter()
        .zip(names)
        .map(|(path, name)| Ok(Run { name, points: read(&path.join(LOG))? }))
        .collect::<Result<_>>()?;
    let records = convergence(&runs);
    let figures = figures(dir, &runs);
    let mut out = Output::stdout(false);
    if context.dry_run {
        for path in &args.paths {
            out.line(&format!("reads: {}", path.join(LOG).display()))?;
        }
        for path in figures.keys() {
            out.line(&format!("writes: {}", path.display()))?;
        }
        out.flush()?;
        return Ok(Outcome::Ok);
    }
    write(dir, &figures, context.force)?;
    match if context.json { Format::Jsonl } else { args.format } {
        Format::Text => out.text(&table(&records))?,
        Format::Jsonl => records.iter().try_for_each(|r| out.record(r))?,
        Format::Json => {
            for r in &records {
                let text = serde_json::to_string_pretty(r)
                    .map_err(|e| Error::bug("cannot encode a record").cause(e.to_string()))?;
                out.line(&text)?;
            }
        }
    }
    out.flush()?;
    Ok(Outcome::Ok)
}

/// The directories' names; where two are the same, all are called by their paths.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let own = |p: &PathBuf| display_name(&p.canonicalize().unwrap_or_else(|_| p.clone()));
    let names: Vec<String> = paths.iter().map(own).collect();
    let twice = |(i, name): (usize, &String)| names[..i].contains(name);
    match names.iter().enumerate().any(twice) {
        true => paths.iter().map(|p| p.display().to_string()).collect(),
        false => names,
    }
}

/// The validations of a log. Those that a resumed run made void are left out.
///
/// # Errors
/// Artifact: no log, a broken one, or one without validations.
fn read(path: &Path) -> Result<Vec<Point>> {
    if !path.is_file() {
        return Err(Error::artifact("not a training run").at(path).expected(format!("`{LOG}`")));
    }
    let mut lines = Input::Path(path.to_path_buf()).open()?;
    let mut points: Vec<Point> = Vec::new();
    // Steps with the seconds they were reached at, for logs whose validations have none.
    let mut times: Vec<(u64, f64)> = Vec::new();
    let mut broken: Option<Error> = None;
    while let Some(line) = lines.next_line()? {
        // Only the last line may be: a run that goes on, or was cut off, is still writing it.
        if let Some(e) = broken {
            return Err(e);
        }
        let place = |e: Error| e.at(path).line(line.number);
        let record: Map<String, Value> = match serde_json::from_str(&line.text) {
            Ok(record) => record,
            Err(e) => {
                let e = Error::artifact("the log is broken").cause(e.to_string());
                broken = Some(place(e));
                continue;
            }
        };
        let number = |key: &str| record.get(key).and_then(Value::as_f64);
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let step = || {
            let step = record.get("step").and_then(Value::as_u64);
            step.ok_or_else(|| place(Error::artifact("record of a log without a step").key("step")))
        };
        match text("type") {
            Some("train_step") => {
                if let Some(seconds) = number("elapsed_s") {
                    times.push((step()?, seconds));
                }
            }
            Some("valid") if text("group") == Some("all") => {
                let step = step()?;
                // A second one of a step is of the averaged checkpoints, which is no part of the
                // curve.
                if points.last().is_none_or(|p| p.step < step) {
                    let seconds = number("elapsed_s").or(times.last().map(|t| t.1));
                    points.push(Point { step, seconds, nll: number("nll").unwrap_or(f64::NAN) });
                }
            }
            Some("resume") => {
                let step = step()?;
                points.retain(|p| p.step <= step);
                times.retain(|t| t.0 <= step);
            }
            _ => {}
        }
    }
    match points.iter().any(|p| p.nll.is_finite()) {
        true => Ok(points),
        false => Err(Error::artifact("the run has no validation loss")
            .at(path)
            .hint("`train --valid FILE --valid-every N` measures it")),
    }
}

/// For each run its best loss, and when it first was as good as the worst run came to be.
fn convergence(runs: &[Run]) -> Vec<Value> {
    let bests = runs.iter().filter_map(Run::best);
    let target = bests.map(|p| p.nll).fold(f64::NEG_INFINITY, f64::max);
    let record = |run: &Run| {
        let best = run.best()?;
        let reached = run.points.iter().find(|p| p.nll <= target)?;
        Some(json!({
            "type": "convergence", "run": run.name, "best_nll": round6(best.nll),
            "best_step": best.step, "target_nll": round6(target), "reached_step": reached.step,
            "reached_s": reached.seconds,
        }))
    };
    runs.iter().filter_map(record).collect()
}

fn table(records: &[Value]) -> String {
    let columns = [
        ("run", Align::Left),
        ("best nll", Align::Right),
        ("at step", Align::Right),
        ("as good as the worst at step", Align::Right),
        ("after s", Align::Right),
    ];
    let mut table = Table::new(columns);
    for r in records {
        let number = |key: &str| match r.get(key) {
            Some(Value::Null) | None => "-".to_string(),
            Some(v) => v.to_string(),
        };
        let nll = r.get("best_nll").and_then(Value::as_f64).unwrap_or(f64::NAN);
        let name = r.get("run").and_then(Value::as_str).unwrap_or_default().to_string();
        table.row([
            name,
            format!("{nll:.4}"),
            number("best_step"),
            number("reached_step"),
            number("reached_s"),
        ]);
    }
    table.render(TableFormat::Text)
}

/// Both figures by path.
fn figures(dir: &Path, runs: &[Run]) -> BTreeMap<PathBuf, String> {
    let seconds = runs.iter().flat_map(|r| &r.points).filter_map(|p| p.seconds);
    let longest = seconds.fold(0.0, f64::max);
    let (unit, each) = match longest {
        s if s > 3.0 * 3600.0 => ("hours", 3600.0),
        s if s > 300.0 => ("minutes", 60.0),
        _ => ("seconds", 1.0),
    };
    let figure = |title: &str, x_label: &str, x: &dyn Fn(&Point) -> f64| {
        let points: Vec<Vec<(f64, f64)>> =
            runs.iter().map(|r| r.points.iter().map(|p| (x(p), p.nll)).collect()).collect();
        let lines: Vec<Line<'_>> =
            runs.iter().zip(&points).map(|(r, points)| Line { name: &r.name, points }).collect();
        Lines { title, subtitle: "", x_label, y_label: "nats per token", lines: &lines }.to_svg()
    };
    let by_step = figure("Validation loss by step", "step", &|p| p.step as f64);
    let by_time = figure("Validation loss by time", &format!("time in {unit}"), &|p| {
        p.seconds.map_or(f64::NAN, |s| s / each)
    });
    [("loss-by-step.svg", by_step), ("loss-by-time.svg", by_time)]
        .into_iter()
        .map(|(name, svg)| (dir.join(name), svg))
        .collect()
}

/// # Errors
/// Environment: other files stand where the figures are to be written.
fn write(dir: &Path, figures: &BTreeMap<PathBuf, String>, force: bool) -> Result<()> {
    let differs = |(path, svg): &(&PathBuf, &String)| {
        path.exists() && std::fs::read(path).ok().as_deref() != Some(svg.as_bytes())
    };
    if !force && let Some((path, _)) = figures.iter().find(differs) {
        return Err(Error::environment("figure exists already")
            .at(path)
            .flag("--curves")
            .hint("choose another directory, or replace it with `--force`"));
    }
    std::fs::create_dir_all(dir).map_err(|e| Error::io("create directory", dir, e))?;
    for (path, svg) in figures {
        let mut file = AtomicFile::create(path)?;
        file.write_all(svg.as_bytes()).map_err(|e| Error::io("write", path, e))?;
        file.commit(true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> Result<Vec<Point>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(LOG);
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    fn run_of(name: &str, points: &[(u64, f64, f64)]) -> Run {
        let point = |&(step, s, nll): &(u64, f64, f64)| Point { step, seconds: Some(s), nll };
        Run { name: name.into(), points: points.iter().map(point).collect() }
    }

    #[test]
    fn resumed_runs_forget_what_came_after() {
        let points = log(concat!(
            r#"{"type":"train_step","step":10,"elapsed_s":1.5}"#,
            "\n",
            r#"{"type":"valid","step":10,"lang_pair":"a-b","nll":9.0}"#,
            "\n",
            r#"{"type":"valid","step":10,"group":"all","nll":3.0}"#,
            "\n",
            r#"{"type":"train_step","step":15,"elapsed_s":2.5}"#,
            "\n",
            r#"{"type":"train_step","step":20,"elapsed_s":3.5}"#,
            "\n",
            r#"{"type":"valid","step":20,"group":"all","nll":1.0,"elapsed_s":3.25}"#,
            "\n",
            r#"{"type":"resume","step":15}"#,
            "\n",
            r#"{"type":"valid","step":18,"group":"all","nll":2.5}"#,
            "\n",
            r#"{"type":"new_kind","step":"?"}"#,
            "\n",
            r#"{"type":"valid","step":20,"group":"all","nll":null,"elapsed_s":4.5}"#,
            "\n",
            r#"{"type":"valid","step":20,"group":"all","nll":0.5,"elapsed_s":5.5}"#,
            "\n",
            r#"{"type":"valid","st"#,
        ))
        .unwrap();
        let found: Vec<(u64, Option<f64>)> = points.iter().map(|p| (p.step, p.seconds)).collect();
        // Of the step before where the validation has no time of its own; 20 is the second one, and
        // not that of the average.
        assert_eq!(found, [(10, Some(1.5)), (18, Some(2.5)), (20, Some(4.5))]);
        assert_eq!((points[0].nll, points[1].nll), (3.0, 2.5));
        assert!(points[2].nll.is_nan());
    }

    #[test]
    fn broken_logs_are_refused() {
        let valid = r#"{"type":"valid","step":1,"group":"all","nll":1.0}"#;
        for (text, line, says) in [
            (format!("{valid}\n{{\n{valid}\n"), Some(2), "broken"),
            (valid.replace("\"step\":1,", ""), Some(1), "without a step"),
            ("{\"type\":\"end\"}\n".to_string(), None, "no validation loss"),
            (valid.replace("1.0", "null"), None, "no validation loss"),
            (String::new(), None, "no validation loss"),
        ] {
            let e = log(&text).unwrap_err();
            assert_eq!((e.exit_code() as i32, e.place().line), (4, line), "{e}");
            assert!(e.to_string().contains(says), "{e}");
        }
        assert!(
            read(Path::new("none/log.jsonl")).unwrap_err().to_string().contains("not a training")
        );
    }

    #[test]
    fn runs_are_compared_at_the_best_loss_of_the_worst() {
        let runs = [
            run_of("slow", &[(1, 1.0, 4.0), (2, 2.0, f64::NAN), (3, 3.0, 2.0), (4, 4.0, 2.5)]),
            run_of("fast", &[(1, 10.0, 2.0), (2, 20.0, 1.5), (3, 30.0, 1.0)]),
        ];
        let records = convergence(&runs);
        assert_eq!(
            records[0],
            json!({"type": "convergence", "run": "slow", "best_nll": 2.0, "best_step": 3,
                "target_nll": 2.0, "reached_step": 3, "reached_s": 3.0})
        );
        assert_eq!(
            records[1],
            json!({"type": "convergence", "run": "fast", "best_nll": 1.0, "best_step": 3,
                "target_nll": 2.0, "reached_step": 1, "reached_s": 10.0})
        );
        let text = table(&records);
        assert!(
            text.contains("slow") && text.contains("2.0000") && text.contains("10.0"),
            "{text}"
        );
    }

    #[test]
    fn time_has_a_unit_to_its_size() {
        for (seconds, unit, last) in
            [(200.0, "seconds", "200"), (600.0, "minutes", "10"), (14400.0, "hours", "4")]
        {
            let runs = [run_of("x", &[(1, seconds / 2.0, 3.0), (2, seconds, 2.0)])];
            let all = figures(Path::new("d"), &runs);
            let svg = &all[Path::new("d/loss-by-time.svg")];
            assert!(svg.contains(&format!("time in {unit}")), "{unit}");
            assert!(svg.contains(&format!("x, {last}: 2 (lowest)")), "{unit}");
            assert!(all[Path::new("d/loss-by-step.svg")].contains("x, 2: 2 (lowest)"));
        }
    }
}
