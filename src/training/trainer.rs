//! One update after another: batches, loss, gradients, clipping, optimizer. Knows nothing of
//! files; the caller decides when to validate and save.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::{Batch, BatchNoise, build_batch};
use super::corpus::Corpus;
use super::noise::NoiseSettings;
use super::optimizer::Adam;
use super::parts::TrainedParts;
use super::ranks::{Alone, Ranks, differing_rank, sum_over};
use super::sampler::{BatchPlan, Sampler};
use super::schedule::LrSchedule;
use super::tagging::TagHead;
use super::task::Task;
use crate::autograd::{Gradients, Parameter, Tape};
use crate::error::{Error, Result};
use crate::kernels::cross_entropy::LossSums;
use crate::kernels::storage::values;
use crate::model::{DirectionParts, M2m100, Noise, ParameterSet, Tagged, Teacher, TrainingLoss};
use crate::records::LoraPrune;
use crate::text::Direction;

/// What decides an update beside model, data and state.
#[derive(Clone, Debug)]
pub struct TrainerOptions {
    pub schedule: LrSchedule,
    pub label_smoothing: f32,
    /// Largest norm of all gradients together; none means no clipping.
    pub clip_norm: Option<f64>,
    /// Batches of one rank in one update.
    pub grad_accum: usize,
    /// Ranks of one update, whose gradients are summed apart: as many as there are processes, or
    /// one process runs them in turn, to the same bits.
    pub ranks: usize,
    /// Keep the input of each layer alone and compute the layer again in the backward pass.
    pub gradient_checkpointing: bool,
    /// Products of values rounded to bf16, on devices other than the CPU.
    pub in_bf16: bool,
    pub seed: u64,
}

/// What one update did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepReport {
    pub step: u64,
    pub sums: LossSums,
    pub tokens: usize,
    /// What the sums are divided by: target tokens, times their weights.
    pub weight: f64,
    pub sentences: usize,
    pub lr: f64,
    /// Before clipping.
    pub grad_norm: f64,
    /// nll sum and weight by direction.
    pub by_pair: BTreeMap<String, (f64, f64)>,
    /// What was pruned before this update.
    pub pruned: Option<LoraPrune>,
}

/// What tasks beside translation need.
#[derive(Default)]
pub struct Tasks {
    /// How sentences of denoising are damaged, and what stands for a hidden piece.
    pub noise: Option<(NoiseSettings, u32)>,
    pub tag_head: Option<TagHead>,
}

/// What a run has beside model, data and optimizer.
pub struct Extras {
    /// What each direction does differently and no update changes: the masks.
    pub parts: BTreeMap<Direction, DirectionParts>,
    /// What a method trains beside the model, or with it.
    pub method: Option<Box<dyn TrainedParts>>,
    pub tasks: Tasks,
    /// The processes that train together.
    pub ranks: Box<dyn Ranks>,
}

impl Default for Extras {
    fn default() -> Self {
        let (parts, method, tasks) = Default::default();
        Self { parts, method, tasks, ranks: Box::new(Alone) }
    }
}

/// Model, data and optimizer of a run; what each direction does differently.
pub struct Trainer {
    pub model: M2m100,
    pub set: ParameterSet,
    pub optimizer: Adam,
    pub sampler: Sampler,
    pub options: TrainerOptions,
    /// What a method trains beside the model, or with it.
    pub method: Option<Box<dyn TrainedParts>>,
    pub tasks: Tasks,
    pub ranks: Box<dyn Ranks>,
    gradients: Gradients,
    /// Where gradients of several ranks are summed, when this process runs them all.
    sums: Option<Gradients>,
    /// What no update changes: the masks.
    parts: BTreeMap<Direction, DirectionParts>,
}

/// All trained parameters in slot order: the model's, then the method's, then the tag head's.
pub fn trained_parameters<'a>(
    set: &'a ParameterSet,
    method: Option<&'a dyn TrainedParts>,
    tag_head: Option<&'a TagHead>,
) -> impl Iterator<Item = &'a Parameter> {
    set.trainable()
        .chain(method.into_iter().flat_map(TrainedParts::parameters))
        .chain(tag_head.into_iter().flat_map(TagHead::trained))
}

impl Trainer {
    pub fn new(
        model: M2m100,
        set: ParameterSet,
        optimizer: Adam,
        sampler: Sampler,
        options: TrainerOptions,
        extras: Extras,
    ) -> Result<Self> {
        let Extras { parts, method, tasks, ranks } = extras;
        let buffers =
            || Gradients::new(trained_parameters(&set, method.as_deref(), tasks.tag_head.as_ref()));
        let gradients = buffers()?;
        if gradients.is_empty() {
            return Err(Error::bug("a trainer without a trainable parameter"));
        }
        if ranks.size() != 1 && ranks.size() != options.ranks {
            return Err(Error::bug("ranks of an update are neither one process nor all"));
        }
        let sums = (options.ranks > ranks.size()).then(buffers).transpose()?;
        Ok(Self {
            model,
            set,
            optimizer,
            sampler,
            options,
            method,
            tasks,
            ranks,
            gradients,
            sums,
            parts,
        })
    }

    /// Updates made so far.
    pub fn step(&self) -> u64 {
        self.optimizer.step()
    }
    pub fn gradients(&self) -> &Gradients {
        &self.gradients
    }
    /// What a direction does differently now; operations that lead there go on `tape`.
    fn parts_on(
        &self,
        tape: &Tape,
        noise: &Noise,
        task: Task,
        direction: &Direction,
    ) -> Result<DirectionParts> {
        let own = self.parts.get(direction);
        let mut parts = own
            .ok_or_else(|| Error::bug(format!("nothing is known of direction {direction}")))?
            .clone();
        if let Some(method) = &self.method {
            method.add_parts(tape, noise, task, direction, &mut parts)?;
        }
        Ok(parts)
    }
    /// The same without a way back, for evaluation.
    pub fn parts(&self, task: Task, direction: &Direction) -> Result<DirectionParts> {
        self.parts_on(&Tape::disabled(), &Noise::none(), task, direction)
    }
    /// All trained parameters in slot order.
    pub fn trained(&self) -> impl Iterator<Item = &Parameter> {
        trained_parameters(&self.set, self.method.as_deref(), self.tasks.tag_head.as_ref())
    }

    /// The batches of the next update, of all ranks: those of the first come first.
    pub fn draw(&mut self) -> Vec<BatchPlan> {
        let batches = self.options.grad_accum * self.options.ranks;
        (0..batches).map(|_| self.sampler.next_batch()).collect()
    }

    /// Whether all ranks stand at the same step, with the same values and the same data before them.
    ///
    /// # Errors
    /// Artifact, in the first rank: one does not; those of [`Ranks::gather`].
    pub fn check_equal(&mut self) -> Result<()> {
        if self.ranks.size() == 1 {
            return Ok(());
        }
        let mut state = format!("{} {:?}", self.step(), self.sampler.state()).into_bytes();
        for p in self.trained() {
            let moments = p.slot.map(|slot| self.optimizer.moments(slot));
            let kept = moments.map(|m| [&m.first, &m.second]).into_iter().flatten();
            for tensor in std::iter::once(&p.tensor).chain(kept) {
                let sum = values(tensor)?
                    .iter()
                    .fold(0u64, |sum, v| sum.rotate_left(5).wrapping_add(u64::from(v.to_bits())));
                state.extend(sum.to_le_bytes());
            }
        }
        match differing_rank(&mut *self.ranks, &state)? {
            None => Ok(()),
            Some(rank) => Err(Error::artifact("processes do not begin from the same state")
                .found(format!("rank {rank} stands elsewhere than rank 0"))
                .hint("all must see the run's directory; `--overwrite` starts afresh")),
        }
    }

    /// What the first rank says and the signal that any rank has had.
    ///
    /// # Errors
    /// As of [`Ranks::gather`].
    pub(super) fn agree(&mut self, is_over: bool, signal: i32) -> Result<(bool, i32)> {
        let told = self.ranks.gather(&[u64::from(is_over), signal as u64])?;
        let (told, _) = told.as_chunks::<2>();
        let signal = told.iter().map(|[_, signal]| *signal as i32).max().unwrap_or(0);
        Ok((told.first().is_some_and(|[is_over, _]| *is_over == 1), signal))
    }
    /// Goes on alone, when all ranks have come to the same end; waits until they have.
    pub(super) fn part(&mut self) {
        std::mem::replace(&mut self.ranks, Box::new(Alone)).finish();
    }

    /// Those of the drawn batches that this process runs.
    fn own_batches(&self, all: usize) -> std::ops::Range<usize> {
        let each = all / self.ranks.size();
        self.ranks.rank() * each..(self.ranks.rank() + 1) * each
    }

    /// The loss of one batch; its gradients times `scale` are added to the buffers.
    fn add_gradients(
        &mut self,
        tape: Tape,
        batch: &Batch,
        parts: &DirectionParts,
        noise: &Noise,
        scale: f32,
    ) -> Result<TrainingLoss> {
        let gradients = &mut self.gradients;
        let Some(tags) = &batch.tags else {
            let teacher = Teacher {
                src: &batch.src,
                labels: &batch.labels,
                weights: batch.weights.as_deref(),
            };
            let smoothing = self.options.label_smoothing;
            return self.model.train(tape, teacher, parts, noise, smoothing, scale, gradients);
        };
        let head = self.tasks.tag_head.as_ref();
        let head = head.ok_or_else(|| Error::bug("tagging without a tag head"))?.weights();
        let tagged = Tagged { src: &batch.src, tags };
        let loss = self.model.train_tags(tape, tagged, parts, head, noise, scale, gradients)?;
        let sums = LossSums { loss: loss.nll, nll: loss.nll };
        Ok(TrainingLoss { sums, num_tokens: loss.words })
    }

    /// One update from the given batches, those of all ranks. When loss or gradient is not finite,
    /// nothing is changed (but what the schedule of pruning said) and the error names the
    /// sentences; all ranks return it.
    pub fn update(&mut self, plans: &[BatchPlan]) -> Result<StepReport> {
        let corpus: Arc<Corpus> = self.sampler.corpus().clone();
        let step = self.step() + 1;
        let lr = self.options.schedule.at(step);
        let own = self.own_batches(plans.len());
        let batches: Vec<(usize, Batch)> = own
            .clone()
            .map(|i| {
                let noise = self.tasks.noise.as_ref().map(|(settings, mask_id)| BatchNoise {
                    settings,
                    mask_id: *mask_id,
                    key: batch_key(self.options.seed, "noise", step, i as u64),
                });
                let lane = &corpus.directions[plans[i].direction];
                (i, build_batch(&corpus, lane, &plans[i].examples, noise))
            })
            .collect();
        let weights: Vec<u64> = batches.iter().map(|(_, b)| b.weight().to_bits()).collect();
        let weights = self.ranks.gather(&weights)?;
        let weights: Vec<f64> = weights.into_iter().map(f64::from_bits).collect();
        let weight: f64 = weights.iter().sum();
        // Sentences of weight 0 only: an update that changes nothing but the moments.
        let scale = if weight > 0.0 { (1.0 / weight) as f32 } else { 0.0 };
        let mut pruned = None;
        if let Some(method) = &mut self.method {
            pruned = method.begin_step(step)?;
        }
        let own = self.add_batches(plans, &batches, scale, step)?;
        drop(batches);
        let told = self.ranks.gather(&own)?;
        let (told, _) = told.as_chunks::<3>();
        let mut report = StepReport { step, lr, weight, pruned, ..Default::default() };
        for ((plan, weight), told) in plans.iter().zip(weights).zip(told) {
            let [loss, nll, tokens] = *told;
            let (loss, nll) = (f64::from_bits(loss), f64::from_bits(nll));
            if !loss.is_finite() {
                return Err(not_finite("loss", step, &corpus, std::slice::from_ref(plan)));
            }
            report.sums.loss += loss;
            report.sums.nll += nll;
            report.tokens += tokens as usize;
            report.sentences += plan.examples.len();
            let pair = report.by_pair.entry(corpus.directions[plan.direction].name()).or_default();
            pair.0 += nll;
            pair.1 += weight;
        }
        sum_over(&mut *self.ranks, &mut self.gradients)?;
        if let Some(method) = &self.method {
            method.mask_gradients(&mut self.gradients)?;
        }
        report.grad_norm = Adam::gradient_norm(&self.gradients)?;
        if !report.grad_norm.is_finite() {
            return Err(not_finite("gradient", step, &corpus, plans));
        }
        let clip = match self.options.clip_norm {
            // PyTorch's `clip_grad_norm_`, with its constant.
            Some(max) => (max / (report.grad_norm + 1e-6)).min(1.0),
            None => 1.0,
        };
        let head = self.tasks.tag_head.as_ref();
        let trained = trained_parameters(&self.set, self.method.as_deref(), head);
        self.optimizer.update(trained, &self.gradients, lr, clip)?;
        if let Some(method) = &mut self.method {
            let lanes = plans.iter().map(|p| &corpus.directions[p.direction]);
            let lanes = lanes.map(|lane| (lane.task, lane.direction.clone())).collect();
            method.end_step(&self.gradients, &lanes)?;
        }
        Ok(report)
    }

    /// Runs batches, numbered among `plans`; their gradients times `scale` are left in the
    /// buffers. Returns loss, nll and tokens of each, the sums as bits. After a loss that is not
    /// finite, the others are left out.
    fn add_batches(
        &mut self,
        plans: &[BatchPlan],
        batches: &[(usize, Batch)],
        scale: f32,
        step: u64,
    ) -> Result<Vec<u64>> {
        let corpus: Arc<Corpus> = self.sampler.corpus().clone();
        let mut told = Vec::with_capacity(3 * batches.len());
        if let Some(sums) = &mut self.sums {
            sums.clear();
        }
        for of_rank in batches.chunks(self.options.grad_accum) {
            self.gradients.clear();
            for (i, batch) in of_rank {
                let lane = &corpus.directions[plans[*i].direction];
                let noise = Noise::new(batch_key(self.options.seed, "dropout", step, *i as u64));
                let tape = match self.options.gradient_checkpointing {
                    true => Tape::checkpointing(),
                    false => Tape::recording(),
                };
                let tape = if self.options.in_bf16 { tape.in_bf16() } else { tape };
                let parts = self.parts_on(&tape, &noise, lane.task, &lane.direction)?;
                let loss = self.add_gradients(tape, batch, &parts, &noise, scale)?;
                let LossSums { loss: sum, nll } = loss.sums;
                told.extend([sum.to_bits(), nll.to_bits(), loss.num_tokens as u64]);
                if !sum.is_finite() {
                    told.resize(3 * batches.len(), 0);
                    return Ok(told);
                }
            }
            if let Some(sums) = &mut self.sums {
                sums.add(&self.gradients)?;
            }
        }
        if let Some(sums) = &mut self.sums {
            std::mem::swap(sums, &mut self.gradients);
        }
        Ok(told)
    }
}

/// A number for what is random in one batch, which a resumed run finds again.
fn batch_key(seed: u64, what: &str, step: u64, batch: u64) -> u64 {
    use rand::RngCore;
    crate::random::named_rng(seed, &format!("{what}/{step}/{batch}")).next_u64()
}

fn not_finite(what: &str, step: u64, corpus: &Corpus, plans: &[BatchPlan]) -> Error {
    let mut places: Vec<String> = Vec::new();
    for p in plans {
        let examples = &corpus.directions[p.direction].examples;
        places.extend(p.examples.iter().map(|&i| corpus.place(examples[i as usize].record)));
    }
    let shown = places.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    let more = if places.len() > 5 { ", ..." } else { "" };
    Error::data(format!("{what} is not finite at step {step}"))
        .found(format!("a batch of {} pairs: {shown}{more}", places.len()))
        .hint("lower `--lr`, raise `--warmup-steps` or set `--clip-norm`")
}
