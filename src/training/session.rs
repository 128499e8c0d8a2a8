//! A run from start to end: resume, updates, validation, checkpoints, early stopping,
//! averaging, signals. Speaks through an [`Observer`]; prints nothing.

mod held_out;

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use super::corpus::Corpus;
use super::model_dir::ModelSource;
use super::parts::Mean;
use super::run_dir::{Best, Content, RunDir, RunState, weights_sha256};
use super::sampler::BatchPlan;
use super::settings::Settings;
use super::trainer::{StepReport, Trainer};
use crate::error::{Error, ErrorKind, Result};
use crate::formats::provenance::Provenance;
use crate::records::{CheckpointRecord, TrainStep, TrainingRecord};
use held_out::{held_out_loss, valid_records};

/// What decides when things happen.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    pub max_steps: Option<u64>,
    pub max_epochs: Option<f64>,
    pub max_minutes: Option<f64>,
    pub log_every: u64,
    pub log_pairs: bool,
    pub valid_every: u64,
    pub save_every: u64,
    pub keep_last: usize,
    pub keep_best: usize,
    /// Validations without improvement before stopping.
    pub patience: Option<u64>,
    /// Checkpoints averaged at the end; 0 for none.
    pub average: usize,
    /// `nll`, or the name of a score the scorer gives.
    pub best_metric: String,
    /// Target tokens of a validation batch.
    pub valid_tokens: usize,
}

/// Scores of translations by direction, for validation: (lang_pair, metric, value). The last
/// group may be `all`.
pub type Scorer<'a> = Box<dyn FnMut(&Trainer) -> Result<Vec<(String, String, f64)>> + 'a>;

/// Who listens to a session.
pub trait Observer {
    fn record(&mut self, record: &TrainingRecord) -> Result<()>;
    /// Every update.
    fn step(&mut self, report: &StepReport);
    /// A long piece of work begins (`Some`) or ends.
    fn phase(&mut self, what: Option<&str>);
    /// Whether [`Observer::batch`] is to be called.
    fn wants_batches(&self) -> bool {
        false
    }
    /// The token ids of a batch before its update.
    fn batch(&mut self, _step: u64, _src: &[&[u32]], _labels: &[&[u32]]) -> Result<()> {
        Ok(())
    }
}

/// The signal that asked the program to stop, 0 for none.
pub static STOP_SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Everything a run works on.
pub struct Session<'a> {
    pub trainer: Trainer,
    pub run: RunDir,
    pub valid: Option<&'a Corpus>,
    pub scorer: Option<Scorer<'a>>,
    pub options: SessionOptions,
    pub source: ModelSource<'a>,
    pub provenance: Provenance,
    pub settings: Settings,
    pub data_sha256: String,
    pub valid_sha256: Option<String>,
    pub base_sha256: String,
    pub config_sha256: String,
    pub masks_sha256: Option<String>,
    pub method_sha256: Option<String>,
}

/// Sums since the last log record.
#[derive(Default)]
struct Window {
    loss: f64,
    nll: f64,
    tokens: usize,
    weight: f64,
    sentences: usize,
    by_pair: std::collections::BTreeMap<String, (f64, f64)>,
}

struct Progress {
    best: Option<Best>,
    bad_validations: u64,
    tokens_seen: u64,
    elapsed_before: f64,
    started: Instant,
    /// Values and steps of kept best checkpoints.
    kept_best: Vec<(f64, u64)>,
    /// The step whose weights are on disk.
    last_saved: Option<u64>,
    last_validated: u64,
}

impl Progress {
    fn elapsed_s(&self) -> f64 {
        self.elapsed_before + self.started.elapsed().as_secs_f64()
    }
}

impl Session<'_> {
    /// Trains to the end. `resumed` is the state of the checkpoint the trainer was restored
    /// from.
    pub fn run(
        mut self,
        resumed: Option<RunState>,
        observer: &mut dyn Observer,
    ) -> Result<Option<Best>> {
        let mut p = Progress {
            best: resumed.as_ref().and_then(|s| s.best.clone()),
            bad_validations: resumed.as_ref().map_or(0, |s| s.bad_validations),
            tokens_seen: resumed.as_ref().map_or(0, |s| s.tokens_seen),
            elapsed_before: resumed.as_ref().map_or(0.0, |s| s.elapsed_s),
            started: Instant::now(),
            kept_best: resumed.as_ref().map_or_else(Vec::new, |s| s.kept_best.clone()),
            last_saved: resumed.as_ref().map(|s| s.step),
            last_validated: resumed.as_ref().map_or(0, |s| s.last_validated),
        };
        if resumed.is_some() {
            // A crash may have come between the state and the pointer, and an average that
            // was best is made anew at the end.
            if let Some(b) = &p.best {
                self.run.set_best(&RunDir::checkpoint_name(b.step), b)?;
            }
            self.emit(&TrainingRecord::Resume { step: self.trainer.step() }, observer)?;
        }
        let mut window = Window::default();
        let mut window_start = Instant::now();
        let reason = loop {
            if let Some(reason) = self.finished(&p) {
                break reason;
            }
            let agreed = self.trainer.agree(false, STOP_SIGNAL.load(Ordering::Relaxed));
            let stopped = match agreed {
                Ok((_, 0)) => None,
                Ok((_, signal)) => Some(Error::new(
                    ErrorKind::Stopped(signal),
                    format!("stopped by signal at step {}", self.trainer.step()),
                )),
                Err(e) => Some(e),
            };
            if let Some(e) = stopped {
                self.save(&mut p, observer)?;
                self.trainer.part();
                return Err(self.to_be_continued(e));
            }
            let position = self.trainer.sampler.state();
            let plans = self.trainer.draw();
            if observer.wants_batches() {
                self.show_batches(&plans, observer)?;
            }
            let report = match self.trainer.update(&plans) {
                Ok(r) => r,
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::Data | ErrorKind::Stopped(_) | ErrorKind::Parted
                    ) =>
                {
                    // Parameters are those of before the step; so must the data position be.
                    self.trainer.sampler.restore(&position)?;
                    self.save(&mut p, observer)?;
                    self.trainer.part();
                    if e.kind() != ErrorKind::Data {
                        return Err(self.to_be_continued(e));
                    }
                    return Err(e.hint(format!(
                        "a checkpoint from before it: {}",
                        RunDir::checkpoint_name(self.trainer.step())
                    )));
                }
                Err(e) => return Err(e),
            };
            p.tokens_seen += report.tokens as u64;
            observer.step(&report);
            if let Some(pruned) = &report.pruned {
                self.emit(&TrainingRecord::LoraPrune(pruned.clone()), observer)?;
            }
            window.loss += report.sums.loss;
            window.nll += report.sums.nll;
            window.tokens += report.tokens;
            window.weight += report.weight;
            window.sentences += report.sentences;
            for (pair, (nll, n)) in &report.by_pair {
                let sum = window.by_pair.entry(pair.clone()).or_default();
                sum.0 += nll;
                sum.1 += n;
            }
            let step = report.step;
            if step % self.options.log_every == 0 || self.finished(&p).is_some() {
                let record = self.step_record(&report, &window, window_start, &p);
                self.emit(&record, observer)?;
                window = Window::default();
                window_start = Instant::now();
            }
            if step % self.options.valid_every == 0 {
                let paused = Instant::now();
                self.validate(&mut p, observer)?;
                window_start += paused.elapsed();
                if self.options.patience.is_some_and(|n| p.bad_validations >= n) {
                    break "no improvement";
                }
            }
            if step % self.options.save_every == 0 {
                let paused = Instant::now();
                self.save(&mut p, observer)?;
                window_start += paused.elapsed();
            }
        };
        // Nobody else is needed any more; whoever has gone before is not missed.
        let _ = self.trainer.agree(true, 0);
        if p.last_validated != self.trainer.step() {
            self.validate(&mut p, observer)?;
        }
        self.save(&mut p, observer)?;
        let mut best = p.best.clone();
        if self.options.average > 1
            && let Some(average) = self.average(&p, observer)?
        {
            best = Some(average);
        }
        let step = self.trainer.step();
        let found = self.trainer.method.as_ref().map(|m| m.finish(self.run.path(), step));
        for record in found.transpose()?.unwrap_or_default() {
            self.emit(&record, observer)?;
        }
        // Last, so that a run that was cut off before is not taken for finished.
        let name = RunDir::checkpoint_name(self.trainer.step());
        self.run.save_state(&name, &self.state(&p, Some(reason)))?;
        self.emit(
            &TrainingRecord::End {
                step: self.trainer.step(),
                reason: reason.into(),
                elapsed_s: round3(p.elapsed_s()),
            },
            observer,
        )?;
        self.trainer.part();
        Ok(best)
    }

    fn to_be_continued(&self, e: Error) -> Error {
        e.at(self.run.path()).hint("a checkpoint was saved; the same command continues the run")
    }

    fn content(&self) -> Content<'_> {
        let set = &self.trainer.set;
        Content {
            // A model that stays as it was lies elsewhere.
            model: set.trainable().next().map(|_| (&self.source, set)),
            method: self.trainer.method.as_deref(),
            tag_head: self.trainer.tasks.tag_head.as_ref(),
            convention: self.source.convention,
            carried: self.source.carried,
        }
    }

    fn finished(&self, p: &Progress) -> Option<&'static str> {
        let o = &self.options;
        if o.max_steps.is_some_and(|n| self.trainer.step() >= n) {
            Some("max steps")
        } else if o.max_epochs.is_some_and(|n| self.trainer.sampler.epoch_frac() >= n) {
            Some("max epochs")
        } else if o.max_minutes.is_some_and(|n| p.elapsed_s() >= n * 60.0) {
            Some("max minutes")
        } else {
            None
        }
    }

    fn show_batches(&self, plans: &[BatchPlan], observer: &mut dyn Observer) -> Result<()> {
        let corpus = self.trainer.sampler.corpus();
        for p in plans {
            let examples = &corpus.directions[p.direction].examples;
            let of = |i: &u32| examples[*i as usize];
            let sources: Vec<_> = p.examples.iter().map(|i| corpus.source(of(i))).collect();
            let src: Vec<&[u32]> = sources.iter().map(|s| &**s).collect();
            let tgt: Vec<&[u32]> = p.examples.iter().map(|i| corpus.target(of(i))).collect();
            observer.batch(self.trainer.step() + 1, &src, &tgt)?;
        }
        Ok(())
    }

    fn emit(&mut self, record: &TrainingRecord, observer: &mut dyn Observer) -> Result<()> {
        self.run.log(record)?;
        observer.record(record)
    }

    fn step_record(
        &self,
        report: &StepReport,
        window: &Window,
        since: Instant,
        p: &Progress,
    ) -> TrainingRecord {
        let n = window.weight.max(f64::MIN_POSITIVE);
        TrainingRecord::TrainStep(TrainStep {
            step: report.step,
            epoch_frac: round3(self.trainer.sampler.epoch_frac()),
            loss: window.loss / n,
            nll: window.nll / n,
            tokens: window.tokens as u64,
            sentences: window.sentences as u64,
            lr: report.lr,
            grad_norm: report.grad_norm,
            tok_per_s: round3(window.tokens as f64 / since.elapsed().as_secs_f64().max(1e-9)),
            elapsed_s: round3(p.elapsed_s()),
            by_pair: self
                .options
                .log_pairs
                .then(|| window.by_pair.iter().map(|(k, (nll, n))| (k.clone(), nll / n)).collect()),
        })
    }

    /// Loss and scores on the held-out text; remembers the best.
    fn validate(&mut self, p: &mut Progress, observer: &mut dyn Observer) -> Result<()> {
        p.last_validated = self.trainer.step();
        let Some(corpus) = self.valid else { return Ok(()) };
        observer.phase(Some("validating"));
        let elapsed_s = p.elapsed_s();
        let trainer = &self.trainer;
        let loss = held_out_loss(trainer, corpus, self.options.valid_tokens)?;
        let scores = match self.scorer.as_mut() {
            Some(s) => s(&self.trainer)?,
            None => Vec::new(),
        };
        observer.phase(None);
        let step = self.trainer.step();
        for record in valid_records(step, elapsed_s, &loss, &scores) {
            self.emit(&record, observer)?;
        }
        if !loss.total().1.is_finite() {
            return Err(Error::data(format!(
                "the loss on the held-out text is not finite at step {step}"
            ))
            .at(self.run.path())
            .hint(
                "a lower `--lr` or a longer `--warmup-steps` may help; no checkpoint was saved",
            ));
        }
        let metric = self.options.best_metric.clone();
        let value = if metric == "nll" {
            loss.total().1
        } else {
            scores
                .iter()
                .find(|(pair, m, _)| pair == "all" && *m == metric)
                .map(|s| s.2)
                .ok_or_else(|| {
                    Error::usage(format!("no validation score is called `{metric}`"))
                        .flag("--best-metric")
                })?
        };
        let better = match &p.best {
            None => true,
            Some(b) if lower_is_better(&metric) => value < b.value,
            Some(b) => value > b.value,
        };
        if better {
            p.bad_validations = 0;
            p.best = Some(Best { step, metric, value });
        } else {
            p.bad_validations += 1;
        }
        // A best checkpoint is one that exists.
        if better || self.options.keep_best > 1 {
            p.kept_best.push((value, step));
            self.save(p, observer)?;
        }
        Ok(())
    }

    fn state(&self, p: &Progress, finished: Option<&str>) -> RunState {
        RunState {
            schema: 1,
            step: self.trainer.step(),
            sampler: self.trainer.sampler.state(),
            best: p.best.clone(),
            kept_best: p.kept_best.clone(),
            bad_validations: p.bad_validations,
            last_validated: p.last_validated,
            elapsed_s: p.elapsed_s(),
            tokens_seen: p.tokens_seen,
            settings: self.settings.clone(),
            data_sha256: self.data_sha256.clone(),
            valid_sha256: self.valid_sha256.clone(),
            base_sha256: self.base_sha256.clone(),
            config_sha256: Some(self.config_sha256.clone()),
            masks_sha256: self.masks_sha256.clone(),
            method_sha256: self.method_sha256.clone(),
            finished: finished.map(str::to_string),
        }
    }

    /// Writes a checkpoint of this step; where its weights are on disk already, only the state.
    fn save(&mut self, p: &mut Progress, observer: &mut dyn Observer) -> Result<()> {
        let step = self.trainer.step();
        let name = RunDir::checkpoint_name(step);
        let lower = lower_is_better(&self.options.best_metric);
        p.kept_best.sort_by(|a, b| if lower { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
        p.kept_best.truncate(self.options.keep_best.max(1));
        let state = self.state(p, None);
        let is_new = p.last_saved != Some(step);
        if is_new {
            self.run.save(
                &name,
                &self.content(),
                Some(&self.trainer.optimizer),
                Some(&state),
                &self.provenance,
            )?;
            p.last_saved = Some(step);
        } else {
            self.run.save_state(&name, &state)?;
        }
        let best = p.best.as_ref().filter(|b| b.step == step);
        if let Some(best) = best {
            self.run.set_best(&name, best)?;
        }
        let mut protected = vec![name.clone()];
        protected.extend(p.kept_best.iter().map(|&(_, step)| RunDir::checkpoint_name(step)));
        protected.extend(p.best.iter().map(|b| RunDir::checkpoint_name(b.step)));
        let keep = self.options.keep_last.max(self.options.average);
        self.run.prune(keep, |n| self.is_scheduled(n), &protected)?;
        if is_new {
            let dir = self.run.checkpoint_dir(&name);
            let record = TrainingRecord::Checkpoint(CheckpointRecord {
                step,
                path: format!("checkpoints/{name}"),
                size_bytes: RunDir::size_bytes(&dir),
                sha256: weights_sha256(&dir)?,
                is_best: best.is_some(),
            });
            self.emit(&record, observer)?;
        }
        Ok(())
    }

    /// Whether `--save-every` asks for the checkpoint of this name. One that a signal or a best
    /// validation left is kept for its own sake, but neither counts nor is averaged: how often a
    /// run was stopped changes nothing.
    fn is_scheduled(&self, name: &str) -> bool {
        let step = name.strip_prefix("step-").and_then(|n| n.parse::<u64>().ok());
        step.is_some_and(|n| n > 0 && n.is_multiple_of(self.options.save_every))
    }

    /// The mean of the last checkpoints' weights as `checkpoints/average`; becomes the best
    /// when its validation says so, and is returned then.
    fn average(&mut self, p: &Progress, observer: &mut dyn Observer) -> Result<Option<Best>> {
        let last = RunDir::checkpoint_name(self.trainer.step());
        let mut names = self.run.checkpoints()?;
        names.retain(|n| self.is_scheduled(n) || *n == last);
        let names = &names[names.len().saturating_sub(self.options.average)..];
        observer.phase(Some("averaging"));
        let dirs: Vec<_> = names.iter().map(|n| self.run.checkpoint_dir(n)).collect();
        if self.trainer.set.trainable().next().is_some() {
            average_into(&self.trainer, &dirs)?;
        }
        if let Some(method) = &mut self.trainer.method {
            method.average(&dirs)?;
        }
        if let Some(head) = &mut self.trainer.tasks.tag_head {
            head.average(&dirs)?;
        }
        let step = self.trainer.step();
        let (dir, sha256) =
            self.run.save("average", &self.content(), None, None, &self.provenance)?;
        observer.phase(None);
        let mut best = None;
        if let (Some(corpus), "nll") = (self.valid, self.options.best_metric.as_str()) {
            let trainer = &self.trainer;
            let loss = held_out_loss(trainer, corpus, self.options.valid_tokens)?;
            let value = loss.total().1;
            for record in valid_records(step, p.elapsed_s(), &loss, &[]) {
                self.emit(&record, observer)?;
            }
            if p.best.as_ref().is_none_or(|b| value < b.value) {
                let average = Best { step, metric: "nll".into(), value };
                self.run.set_best("average", &average)?;
                best = Some(average);
            }
        }
        let record = TrainingRecord::Checkpoint(CheckpointRecord {
            step,
            path: "checkpoints/average".into(),
            size_bytes: RunDir::size_bytes(&dir),
            sha256,
            is_best: best.is_some(),
        });
        self.emit(&record, observer)?;
        Ok(best)
    }
}

/// What ranks other than the first do: the same updates, until the first says that the run is over or
/// all have come to the same fault. They write nothing, and leave it to the first to say why.
///
/// # Errors
/// Those of an update that are this rank's alone.
pub fn follow(mut trainer: Trainer) -> Result<()> {
    loop {
        let (is_over, signal) = trainer.agree(false, STOP_SIGNAL.load(Ordering::Relaxed))?;
        if is_over || signal != 0 {
            break;
        }
        let plans = trainer.draw();
        match trainer.update(&plans) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::Data => break,
            Err(e) => return Err(e),
        }
    }
    trainer.part();
    Ok(())
}

fn lower_is_better(metric: &str) -> bool {
    metric == "nll" || metric.eq_ignore_ascii_case("ter")
}

/// Replaces the trainer's weights by the mean over checkpoints.
fn average_into(trainer: &Trainer, dirs: &[std::path::PathBuf]) -> Result<()> {
    let checkpoints =
        dirs.iter().map(|d| crate::model::Checkpoint::open(d)).collect::<Result<Vec<_>>>()?;
    let mut mean = Mean::of(checkpoints.len());
    // One parameter at a time, for a model may be large.
    for p in trainer.set.trainable() {
        for c in &checkpoints {
            mean.add(&p.name, &c.values(&p.name, p.tensor.dims())?);
        }
        mean.store(std::iter::once(p))?;
        mean.clear();
    }
    Ok(())
}

/// As records show times and rates.
fn round3(v: f64) -> f64 {
    (v * 1000.0).round() / 1000.0
}
