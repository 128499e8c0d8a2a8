//! What a user sees of a run: readable lines or records on standard output, a progress bar.
//! A closed standard output does not end the run: its log file holds the same records.

use std::io::Write;
use std::path::Path;

use crate::cli::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::io::{AtomicFile, Output, refuse_existing};
use crate::records::TrainingRecord;
use crate::report::Progress;
use crate::training::{Best, Observer, StepReport};

use super::{Args, OutputFormat};

pub struct TrainObserver<'a> {
    context: &'a Context,
    out: Option<Output>,
    json: bool,
    progress: Option<Progress>,
    dump: Option<AtomicFile>,
    run: &'a Path,
    /// What went wrong with standard output. The records are in the log too: training goes on,
    /// and the command fails at its end.
    failure: Option<Error>,
}

impl<'a> TrainObserver<'a> {
    pub fn new(args: &'a Args, context: &'a Context, step: u64) -> Result<Self> {
        let mut progress = context.report.progress("training", "steps", args.max_steps);
        progress.set(step);
        let dump = match args.dump_batches.as_deref() {
            Some(path) => {
                refuse_existing(path, context.force).map_err(|e| e.flag("--dump-batches"))?;
                Some(AtomicFile::create(path)?)
            }
            None => None,
        };
        Ok(Self {
            context,
            out: Some(Output::stdout(true)),
            json: context.json || args.format == OutputFormat::Jsonl,
            progress: Some(progress),
            dump,
            run: &args.output,
            failure: None,
        })
    }

    /// Whatever end the run came to: what `--dump-batches` holds gets its name.
    pub fn close(&mut self) -> Result<()> {
        if let Some(p) = self.progress.take() {
            p.finish();
        }
        if let Some(dump) = self.dump.take() {
            dump.commit(self.context.force)?;
        }
        match self.failure.take() {
            Some(e) => Err(e.hint("training went on; its records are in the run's log.jsonl")),
            None => Ok(()),
        }
    }

    pub fn say_best(&self, best: Option<&Best>) {
        if let Some(b) = best {
            self.context.report.status(format!(
                "best {} {:.4} at step {}: {}",
                b.metric,
                b.value,
                b.step,
                self.run.display()
            ));
        }
    }

    fn text(record: &TrainingRecord) -> Option<String> {
        Some(match record {
            TrainingRecord::TrainStep(s) => format!(
                "step {:>7}  epoch {:>6.2}  loss {:.4}  nll {:.4}  lr {:.2e}  norm {:.2}  {:.0} tok/s",
                s.step, s.epoch_frac, s.loss, s.nll, s.lr, s.grad_norm, s.tok_per_s
            ),
            TrainingRecord::Valid(v) => {
                let name = v.lang_pair.as_deref().or(v.group.as_deref()).unwrap_or("?");
                let scores: Vec<String> =
                    v.scores.iter().map(|(m, x)| format!("  {m} {x:.2}")).collect();
                format!(
                    "valid {:>6}  {name:<7}  loss {:.4}  nll {:.4}  ppl {:.2}{}",
                    v.step,
                    v.loss,
                    v.nll,
                    v.ppl,
                    scores.concat()
                )
            }
            TrainingRecord::Checkpoint(c) => {
                let best = if c.is_best { " (best)" } else { "" };
                format!("saved {:>6}  {}{best}", c.step, c.path)
            }
            TrainingRecord::LoraPrune(p) => format!(
                "prune {:>6}  period {:>3}  ratio {:.4}  {} of {} {}",
                p.step,
                p.period,
                p.ratio,
                p.pruned,
                p.total,
                if p.unit == "rank" { "ranks" } else { "entries" }
            ),
            TrainingRecord::LoraPlacement(p) => format!(
                "place {:>6}  {} layer {}{}  {}  (source {:.4}, target {:.4})",
                p.step,
                p.side,
                p.layer,
                p.module.as_ref().map_or(String::new(), |m| format!(" {m}")),
                p.index,
                p.weight_source,
                p.weight_target
            ),
            TrainingRecord::Resume { step } => format!("continuing from step {step}"),
            TrainingRecord::End { step, reason, elapsed_s } => {
                format!("finished at step {step} after {elapsed_s:.0} s: {reason}")
            }
        })
    }
}

impl Observer for TrainObserver<'_> {
    fn record(&mut self, record: &TrainingRecord) -> Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        let result = if self.json {
            out.record(record)
        } else {
            Self::text(record).map_or(Ok(()), |t| out.line(&t))
        };
        match result {
            Err(e) => {
                self.out = None;
                if e.kind() != ErrorKind::BrokenPipe {
                    self.failure = Some(e);
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn step(&mut self, report: &StepReport) {
        if let Some(p) = &mut self.progress {
            p.detail(format!(
                "loss {:.3}",
                report.sums.loss / report.weight.max(f64::MIN_POSITIVE)
            ));
            p.set(report.step);
        }
    }

    fn phase(&mut self, what: Option<&str>) {
        if let (Some(p), Some(what)) = (&mut self.progress, what) {
            p.detail(what);
        }
    }

    fn batch(&mut self, step: u64, src: &[&[u32]], labels: &[&[u32]]) -> Result<()> {
        let Some(dump) = &mut self.dump else { return Ok(()) };
        let record = serde_json::json!({"step": step, "src": src, "labels": labels});
        writeln!(dump, "{record}").map_err(|e| Error::io("write", Path::new("--dump-batches"), e))
    }

    fn wants_batches(&self) -> bool {
        self.dump.is_some()
    }
}
