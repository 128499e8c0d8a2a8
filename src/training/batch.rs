//! The sentences of one batch as the model takes them.

use super::corpus::{Corpus, DirectionExamples, Example};
use super::noise::{NoiseSettings, noised, sentence_key};
use super::task::Task;
use crate::model::{IGNORED, Ragged};

/// Token ids of one batch.
pub struct Batch {
    pub src: Ragged,
    /// In tagging the same as the source, and of no use.
    pub labels: Ragged,
    /// One weight a target token.
    pub weights: Option<Vec<f32>>,
    /// In tagging one label a source token, else [`IGNORED`].
    pub tags: Option<Vec<u16>>,
}

impl Batch {
    /// What the sums of the loss are divided by: target tokens times their weights, or words that
    /// have a tag.
    pub fn weight(&self) -> f64 {
        match (&self.tags, &self.weights) {
            (Some(tags), _) => tags.iter().filter(|t| **t != IGNORED).count() as f64,
            (None, Some(w)) => w.iter().map(|w| f64::from(*w)).sum(),
            (None, None) => self.labels.num_tokens() as f64,
        }
    }
}

/// How sources of denoising are damaged.
#[derive(Clone, Copy, Debug)]
pub struct BatchNoise<'a> {
    pub settings: &'a NoiseSettings,
    /// What stands for a hidden piece.
    pub mask_id: u32,
    /// With each sentence's index it decides the damage.
    pub key: u64,
}

/// Gathers the sentences of a batch: `indices` into the examples of `lane`, of `corpus`. `noise`
/// is for denoising; other tasks pass it by.
pub fn build_batch(
    corpus: &Corpus,
    lane: &DirectionExamples,
    indices: &[u32],
    noise: Option<BatchNoise<'_>>,
) -> Batch {
    let of = |i: &u32| -> Example { lane.examples[*i as usize] };
    let clean = || indices.iter().map(|i| corpus.sentence(of(i).src));
    match lane.task {
        Task::Tagging => {
            let src = Ragged::new(clean());
            let mut tags = Vec::with_capacity(src.num_tokens());
            for i in indices {
                let sentence = of(i).src;
                match corpus.labels(sentence) {
                    Some(labels) => tags.extend_from_slice(labels),
                    None => tags.resize(tags.len() + corpus.sentence_len(sentence), IGNORED),
                }
            }
            Batch { labels: src.clone(), src, weights: None, tags: Some(tags) }
        }
        Task::Denoising | Task::Translation => {
            let src = match noise.filter(|_| lane.task == Task::Denoising) {
                None => Ragged::new(clean()),
                Some(n) => {
                    let damaged: Vec<Vec<u32>> = indices
                        .iter()
                        .map(|i| {
                            let sentence = of(i).src;
                            let key = sentence_key(n.key, sentence);
                            noised(corpus.sentence(sentence), n.settings, n.mask_id, key)
                        })
                        .collect();
                    Ragged::new(damaged.iter().map(Vec::as_slice))
                }
            };
            let labels = Ragged::new(indices.iter().map(|i| corpus.sentence(of(i).tgt)));
            let weights = corpus.has_weights().then(|| {
                indices
                    .iter()
                    .flat_map(|i| {
                        let e = of(i);
                        std::iter::repeat_n(e.weight, corpus.sentence_len(e.tgt))
                    })
                    .collect()
            });
            Batch { src, labels, weights, tags: None }
        }
    }
}
