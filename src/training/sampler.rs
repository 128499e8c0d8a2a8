//! Which sentences make the next batch. A batch holds one lane: one direction of one task. Lanes
//! are drawn with temperature, sentences of a lane come in shuffled order, grouped by length.

use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::corpus::{Corpus, DirectionExamples};
use super::task::Task;
use crate::error::{Error, Result};
use crate::random::named_rng;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SamplerSettings {
    /// Target tokens of a batch, at most (a longer sentence makes a batch of its own).
    pub batch_tokens: usize,
    /// Directions are drawn in proportion to `pairs ^ (1 / temperature)`; with tasks beside
    /// translation, whose sentences weigh differently, in proportion to that of their batches
    /// (Üstün et al. 2022).
    pub temperature: f64,
    pub seed: u64,
}

/// The sentences of one batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPlan {
    /// Index into [`Corpus::directions`].
    pub direction: usize,
    /// Indices into the direction's examples.
    pub examples: Vec<u32>,
    pub target_tokens: usize,
}

/// Where the sampler stands; enough to continue exactly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SamplerState {
    /// Words drawn from the stream of directions, as text: it is a 128-bit number.
    pub draws: String,
    /// By direction name: passes finished and batches taken from the current one.
    pub lanes: std::collections::BTreeMap<String, (u64, u64)>,
    pub sentences_seen: u64,
}

/// One lane's sentences in their current order.
struct Lane {
    name: String,
    epoch: u64,
    next: usize,
    batches: Vec<Vec<u32>>,
}

pub struct Sampler {
    corpus: Arc<Corpus>,
    settings: SamplerSettings,
    /// Cumulative chances of the lanes.
    cumulative: Vec<f64>,
    rng: ChaCha8Rng,
    lanes: Vec<Lane>,
    sentences_seen: u64,
}

/// Sentences sorted by length together; larger pools mean more equal lengths in a batch and
/// less randomness in what meets what.
const POOL: usize = 4096;

/// How much each lane holds: pairs of translation; with other tasks, batches.
fn lane_sizes(corpus: &Corpus, batch_tokens: usize) -> Vec<usize> {
    let all = &corpus.directions;
    if all.iter().all(|lane| lane.task == Task::Translation) {
        return all.iter().map(|lane| lane.examples.len()).collect();
    }
    all.iter()
        .map(|lane| {
            let mut order: Vec<u32> = (0..lane.examples.len() as u32).collect();
            let mut batches = Vec::new();
            pack(corpus, lane, &mut order, batch_tokens, &mut batches);
            batches.len()
        })
        .collect()
}

/// `size ^ (1 / temperature)`, over the largest: no power of a count can overflow.
fn weights(sizes: &[usize], temperature: f64) -> impl Iterator<Item = f64> {
    let most = sizes.iter().copied().max().unwrap_or(1) as f64;
    sizes.iter().map(move |&n| (n as f64 / most).powf(1.0 / temperature))
}

/// Sorts sentences by length and cuts them into batches.
fn pack(
    corpus: &Corpus,
    lane: &DirectionExamples,
    pool: &mut [u32],
    batch_tokens: usize,
    batches: &mut Vec<Vec<u32>>,
) {
    let lengths = |i: u32| {
        let e = lane.examples[i as usize];
        (corpus.sentence_len(e.tgt), corpus.sentence_len(e.src))
    };
    pool.sort_by_key(|&i| lengths(i));
    let (mut batch, mut tokens) = (Vec::new(), 0);
    for &i in pool.iter() {
        let (tgt, src) = lengths(i);
        // Both sides count, so that memory is bounded by either.
        let n = tgt.max(src);
        if !batch.is_empty() && tokens + n > batch_tokens {
            batches.push(std::mem::take(&mut batch));
            tokens = 0;
        }
        batch.push(i);
        tokens += n;
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
}

impl Sampler {
    pub fn new(corpus: Arc<Corpus>, settings: SamplerSettings) -> Self {
        let mut total = 0.0;
        let cumulative = weights(&lane_sizes(&corpus, settings.batch_tokens), settings.temperature)
            .map(|weight| {
                total += weight;
                total
            })
            .collect();
        let lanes = corpus
            .directions
            .iter()
            .map(|d| Lane { name: d.name(), epoch: 0, next: 0, batches: Vec::new() })
            .collect();
        Self {
            rng: named_rng(settings.seed, "sampler/directions"),
            corpus,
            settings,
            cumulative,
            lanes,
            sentences_seen: 0,
        }
    }

    pub fn corpus(&self) -> &Arc<Corpus> {
        &self.corpus
    }

    /// Examples drawn so far over all examples.
    pub fn epoch_frac(&self) -> f64 {
        self.sentences_seen as f64 / self.corpus.num_examples() as f64
    }

    /// The batches of one pass over a lane, decided by seed, name and number alone.
    fn batches(&self, direction: usize, epoch: u64) -> Vec<Vec<u32>> {
        let name = &self.lanes[direction].name;
        let mut rng = named_rng(self.settings.seed, &format!("sampler/{name}/{epoch}"));
        let lane = &self.corpus.directions[direction];
        let mut order: Vec<u32> = (0..lane.examples.len() as u32).collect();
        order.shuffle(&mut rng);
        let mut batches = Vec::new();
        for pool in order.chunks_mut(POOL) {
            pack(&self.corpus, lane, pool, self.settings.batch_tokens, &mut batches);
        }
        batches.shuffle(&mut rng);
        batches
    }

    pub fn next_batch(&mut self) -> BatchPlan {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let x: f64 = self.rng.random::<f64>() * total;
        let d = self.cumulative.partition_point(|c| *c <= x).min(self.lanes.len() - 1);
        if self.lanes[d].next >= self.lanes[d].batches.len() {
            if !self.lanes[d].batches.is_empty() {
                self.lanes[d].epoch += 1;
            }
            self.lanes[d].batches = self.batches(d, self.lanes[d].epoch);
            self.lanes[d].next = 0;
        }
        let lane = &mut self.lanes[d];
        let examples = lane.batches[lane.next].clone();
        lane.next += 1;
        self.sentences_seen += examples.len() as u64;
        let all = &self.corpus.directions[d].examples;
        let target_tokens =
            examples.iter().map(|&i| self.corpus.sentence_len(all[i as usize].tgt)).sum();
        BatchPlan { direction: d, examples, target_tokens }
    }

    pub fn state(&self) -> SamplerState {
        SamplerState {
            draws: self.rng.get_word_pos().to_string(),
            lanes: self.lanes.iter().map(|l| (l.name.clone(), (l.epoch, l.next as u64))).collect(),
            sentences_seen: self.sentences_seen,
        }
    }

    /// Continues from a saved state over the same data and settings.
    pub fn restore(&mut self, state: &SamplerState) -> Result<()> {
        let broken = || Error::artifact("data position in the checkpoint does not fit the data");
        self.rng.set_word_pos(state.draws.parse().map_err(|_| broken())?);
        self.sentences_seen = state.sentences_seen;
        for d in 0..self.lanes.len() {
            let &(epoch, next) = state.lanes.get(&self.lanes[d].name).ok_or_else(broken)?;
            self.lanes[d].epoch = epoch;
            self.lanes[d].next = next as usize;
            self.lanes[d].batches = if next > 0 { self.batches(d, epoch) } else { Vec::new() };
            if self.lanes[d].next > self.lanes[d].batches.len() {
                return Err(broken());
            }
        }
        Ok(())
    }
}
