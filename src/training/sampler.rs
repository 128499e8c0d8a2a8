//! Which sentences make the next batch. A batch holds one lane: one direction of one task. Lanes
//! are drawn with temperature, sentences of a lane come in shuffled order, grouped by length.

use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::corpus::{Corpus, DirectionExamples, Example};
use super::task::Task;
use crate::error::{Error, Result};
use crate::model::BatchTokens;
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

/// Pools that are looked at for the largest batch: enough that no larger one is likely.
const FIRST_POOLS: usize = 4;

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
        self.batches_of_pools(direction, epoch, usize::MAX)
    }

    /// Tokens of the first batches of each lane that are sorted together, of source and target:
    /// what the largest batch of a run is told from. The number is the lane's.
    pub fn first_batches(&self) -> impl Iterator<Item = (usize, BatchTokens)> + '_ {
        (0..self.lanes.len()).flat_map(move |d| {
            let lane = &self.corpus.directions[d];
            let len = |i: u32, of: fn(&Example) -> u32| {
                self.corpus.sentence_len(of(&lane.examples[i as usize]))
            };
            self.batches_of_pools(d, 0, FIRST_POOLS).into_iter().map(move |batch| {
                let src = batch.iter().map(|&i| len(i, |e| e.src)).sum();
                let tgt = match lane.task {
                    Task::Tagging => 0,
                    _ => batch.iter().map(|&i| len(i, |e| e.tgt)).sum(),
                };
                (d, BatchTokens { src, tgt })
            })
        })
    }

    fn batches_of_pools(&self, direction: usize, epoch: u64, pools: usize) -> Vec<Vec<u32>> {
        let name = &self.lanes[direction].name;
        let mut rng = named_rng(self.settings.seed, &format!("sampler/{name}/{epoch}"));
        let lane = &self.corpus.directions[direction];
        let mut order: Vec<u32> = (0..lane.examples.len() as u32).collect();
        order.shuffle(&mut rng);
        let mut batches = Vec::new();
        for pool in order.chunks_mut(POOL).take(pools) {
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
            examples.iter().map(|&i| self.corpus.target(all[i as usize]).len()).sum();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::fixture::mixture;

    fn shares(sizes: &[usize], temperature: f64) -> Vec<f64> {
        let all: Vec<f64> = weights(sizes, temperature).collect();
        let sum: f64 = all.iter().sum();
        all.iter().map(|w| w / sum).collect()
    }

    fn settings(temperature: f64) -> SamplerSettings {
        SamplerSettings { batch_tokens: 40, temperature, seed: 5 }
    }

    /// Üstün et al. 2022: three sets of 1000, 100 and 10 batches.
    #[test]
    fn a_temperature_of_five_evens_out_shares() {
        let got = shares(&[1000, 100, 10], 5.0);
        for (got, want) in got.iter().zip([0.493, 0.311, 0.196]) {
            assert!((got - want).abs() < 5e-4, "{got}, expected {want}");
        }
        let plain = shares(&[1000, 100, 10], 1.0);
        assert!((plain[0] - 1000.0 / 1110.0).abs() < 1e-12);
        assert!((shares(&[7, 7], 3.0)[0] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn translation_counts_pairs_and_mixtures_count_batches() {
        assert_eq!(lane_sizes(&mixture(7, 0, 0), 40), [7, 7]);
        // Lanes of equal sentences: as many go into a batch as fit.
        let c = mixture(70, 90, 100);
        let want: Vec<usize> = c
            .directions
            .iter()
            .map(|d| {
                let e = d.examples[0];
                let n = c.sentence_len(e.tgt).max(c.sentence_len(e.src));
                d.examples.len().div_ceil(100 / n)
            })
            .collect();
        assert_eq!(lane_sizes(&c, 100), want);
        assert!(want[2] != 90 && want[3] != 100 && want[2] != want[3]);
    }

    #[test]
    fn lanes_are_drawn_by_their_batches() {
        let corpus = Arc::new(mixture(70, 300, 20));
        let want = shares(&lane_sizes(&corpus, 40), 2.0);
        let mut sampler = Sampler::new(corpus.clone(), settings(2.0));
        let n = 20_000;
        let mut drawn = vec![0; corpus.directions.len()];
        for _ in 0..n {
            let plan = sampler.next_batch();
            let lane = &corpus.directions[plan.direction];
            assert!(plan.examples.iter().all(|i| (*i as usize) < lane.examples.len()));
            drawn[plan.direction] += 1;
        }
        for (drawn, want) in drawn.iter().zip(want) {
            // Four standard deviations are at most 0.0142.
            assert!((f64::from(*drawn) / f64::from(n) - want).abs() < 0.0142, "{drawn} {want}");
        }
    }

    #[test]
    fn the_first_batches_have_their_tokens() {
        let corpus = Arc::new(mixture(30, 40, 50));
        let mut sampler = Sampler::new(corpus.clone(), settings(1.0));
        let mut told: Vec<(usize, BatchTokens)> = sampler.first_batches().collect();
        let mut drawn = Vec::new();
        // Every lane once through.
        while (0..corpus.directions.len()).any(|d| {
            drawn.iter().filter(|(l, _)| *l == d).count()
                < told.iter().filter(|(l, _)| *l == d).count()
        }) {
            let plan = sampler.next_batch();
            let lane = &corpus.directions[plan.direction];
            let all = |of: fn(&Example) -> u32| -> usize {
                plan.examples
                    .iter()
                    .map(|&i| corpus.sentence_len(of(&lane.examples[i as usize])))
                    .sum()
            };
            let is_tagging = lane.task == Task::Tagging;
            let tokens = BatchTokens {
                src: all(|e| e.src),
                tgt: if is_tagging { 0 } else { all(|e| e.tgt) },
            };
            if sampler.lanes[plan.direction].epoch == 0 {
                drawn.push((plan.direction, tokens));
            }
        }
        let key = |(d, t): &(usize, BatchTokens)| (*d, t.src, t.tgt);
        told.sort_by_key(key);
        drawn.sort_by_key(key);
        assert_eq!(told, drawn);
    }

    #[test]
    fn a_mixture_continues_where_it_stopped() {
        let corpus = Arc::new(mixture(30, 30, 30));
        let mut whole = Sampler::new(corpus.clone(), settings(5.0));
        (0..37).for_each(|_| drop(whole.next_batch()));
        let state = whole.state();
        let names: Vec<&String> = state.lanes.keys().collect();
        assert_eq!(names, ["de-en", "denoise:fi", "en-de", "tag:en"]);
        let mut resumed = Sampler::new(corpus, settings(5.0));
        resumed.restore(&state).unwrap();
        for _ in 0..100 {
            assert_eq!(resumed.next_batch(), whole.next_batch());
        }
        // A lane of another task is not the lane of the same language.
        let mut other = Sampler::new(Arc::new(mixture(30, 30, 0)), settings(5.0));
        assert!(other.restore(&state).is_ok());
        let mut more = state.clone();
        more.lanes.remove("denoise:fi");
        assert!(other.restore(&more).is_err());
    }
}
