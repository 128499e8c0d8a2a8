//! The loss on held-out text, by direction and task.

use super::batch::{BatchNoise, build_batch};
use super::corpus::{Corpus, DirectionExamples};
use super::noise::NoiseSettings;
use super::task::Task;
use crate::error::{Error, Result};
use crate::kernels::cross_entropy::LossSums;
use crate::model::{DirectionParts, M2m100, TagWeights, Tagged, Teacher};
use crate::text::Direction;

/// What the loss depends on beside model and text.
#[derive(Clone, Copy)]
pub struct ValidationOptions<'a> {
    /// Label smoothing of translation and denoising.
    pub smoothing: f32,
    /// Target tokens of a batch.
    pub batch_tokens: usize,
    /// For denoising: how a sentence is damaged, and what stands for a hidden piece.
    pub noise: Option<(&'a NoiseSettings, u32)>,
    /// For tagging.
    pub head: Option<TagWeights<'a>>,
}

/// The loss of one lane.
#[derive(Clone, Debug, PartialEq)]
pub struct DirectionLoss {
    pub task: Task,
    pub direction: Direction,
    pub sums: LossSums,
    /// Target tokens; in tagging words with a tag.
    pub num_tokens: usize,
    /// In tagging, words whose most likely tag is the right one.
    pub correct: Option<usize>,
}

impl DirectionLoss {
    /// `en-de`, `denoise:fi` or `tag:fi`.
    pub fn name(&self) -> String {
        self.task.lane_name(&self.direction)
    }
    /// Nats per target token.
    pub fn nll(&self) -> f64 {
        self.sums.nll / self.num_tokens as f64
    }
    pub fn loss(&self) -> f64 {
        self.sums.loss / self.num_tokens as f64
    }
    /// Share of words with the right tag.
    pub fn accuracy(&self) -> Option<f64> {
        self.correct.map(|n| n as f64 / self.num_tokens as f64)
    }
}

/// The mean over the lanes of one task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskLoss {
    pub task: Task,
    /// Nats per target token, smoothed.
    pub loss: f64,
    pub nll: f64,
    pub num_tokens: usize,
    /// In tagging, the share of words with the right tag.
    pub accuracy: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValidationLoss {
    /// Sorted by task and direction.
    pub directions: Vec<DirectionLoss>,
}

impl ValidationLoss {
    /// Mean over all target tokens of translation: (loss, nll, tokens); of all tasks where there
    /// is no translation.
    pub fn total(&self) -> (f64, f64, usize) {
        let translates = self.directions.iter().any(|d| d.task == Task::Translation);
        mean(self.directions.iter().filter(|d| !translates || d.task == Task::Translation))
    }

    /// The tasks there are, in order.
    pub fn by_task(&self) -> Vec<TaskLoss> {
        let of = |task: Task| self.directions.iter().filter(move |d| d.task == task);
        Task::ALL
            .into_iter()
            .filter(|task| of(*task).next().is_some())
            .map(|task| {
                let (loss, nll, num_tokens) = mean(of(task));
                let correct: Option<usize> = of(task).map(|d| d.correct).sum();
                let accuracy = correct.map(|n| n as f64 / num_tokens.max(1) as f64);
                TaskLoss { task, loss, nll, num_tokens, accuracy }
            })
            .collect()
    }
}

/// Means of loss and nll over target tokens, and their number.
fn mean<'a>(lanes: impl Iterator<Item = &'a DirectionLoss>) -> (f64, f64, usize) {
    let (mut loss, mut nll, mut n) = (0.0, 0.0, 0);
    for lane in lanes {
        loss += lane.sums.loss;
        nll += lane.sums.nll;
        n += lane.num_tokens;
    }
    (loss / n.max(1) as f64, nll / n.max(1) as f64, n)
}

/// Of every validation, so that losses of different steps are of the same damaged sentences.
const NOISE_KEY: u64 = 0x76_616c_6964;

/// Evaluates every lane; sentences in order of length, `batch_tokens` at a time.
pub fn validate(
    model: &M2m100,
    corpus: &Corpus,
    parts: &dyn Fn(Task, &Direction) -> Result<DirectionParts>,
    options: &ValidationOptions<'_>,
    mut progress: impl FnMut(usize),
) -> Result<ValidationLoss> {
    let mut result = ValidationLoss::default();
    for d in &corpus.directions {
        let parts = parts(d.task, &d.direction)?;
        let mut order: Vec<u32> = (0..d.examples.len() as u32).collect();
        order.sort_by_key(|&i| corpus.sentence_len(d.examples[i as usize].tgt));
        let mut loss = DirectionLoss {
            task: d.task,
            direction: d.direction.clone(),
            sums: LossSums::default(),
            num_tokens: 0,
            correct: (d.task == Task::Tagging).then_some(0),
        };
        let mut rest = &order[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let n = rest
                .iter()
                .take_while(|&&i| {
                    tokens += corpus.sentence_len(d.examples[i as usize].tgt);
                    tokens <= options.batch_tokens
                })
                .count()
                .max(1);
            let (batch, tail) = rest.split_at(n);
            rest = tail;
            add_batch(model, corpus, (d, batch), &parts, options, &mut loss)?;
            progress(n);
        }
        result.directions.push(loss);
    }
    Ok(result)
}

/// Adds the loss of one batch.
fn add_batch(
    model: &M2m100,
    corpus: &Corpus,
    (lane, indices): (&DirectionExamples, &[u32]),
    parts: &DirectionParts,
    options: &ValidationOptions<'_>,
    loss: &mut DirectionLoss,
) -> Result<()> {
    let noise =
        options.noise.map(|(settings, mask_id)| BatchNoise { settings, mask_id, key: NOISE_KEY });
    if lane.task == Task::Denoising && noise.is_none() {
        return Err(Error::bug("denoising without noise"));
    }
    let batch = build_batch(corpus, lane, indices, noise);
    match &batch.tags {
        Some(tags) => {
            let head = options.head.ok_or_else(|| Error::bug("tagging without a tag head"))?;
            let part = model.evaluate_tags(Tagged { src: &batch.src, tags }, parts, head)?;
            loss.sums.loss += part.nll;
            loss.sums.nll += part.nll;
            loss.num_tokens += part.words;
            loss.correct = loss.correct.map(|n| n + part.correct);
        }
        None => {
            let teacher = Teacher { src: &batch.src, labels: &batch.labels, weights: None };
            let part = model.evaluate(teacher, parts, options.smoothing)?;
            loss.sums.loss += part.sums.loss;
            loss.sums.nll += part.sums.nll;
            loss.num_tokens += part.num_tokens;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
