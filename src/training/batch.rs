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
    let clean = || {
        let sources: Vec<_> = indices.iter().map(|i| corpus.source(of(i))).collect();
        Ragged::new(sources.iter().map(|s| &**s))
    };
    match lane.task {
        Task::Tagging => {
            let src = clean();
            let mut tags = Vec::with_capacity(src.num_tokens());
            for i in indices {
                let sentence = of(i).src;
                match corpus.labels(sentence) {
                    Some(labels) => {
                        tags.extend_from_slice(&corpus.convention().source_labels(labels));
                    }
                    None => tags.resize(tags.len() + corpus.sentence_len(sentence), IGNORED),
                }
            }
            Batch { labels: src.clone(), src, weights: None, tags: Some(tags) }
        }
        Task::Denoising | Task::Translation => {
            let src = match noise.filter(|_| lane.task == Task::Denoising) {
                None => clean(),
                Some(n) => {
                    let damaged: Vec<Vec<u32>> = indices
                        .iter()
                        .map(|i| {
                            let e = of(i);
                            let key = sentence_key(n.key, e.src);
                            let damaged =
                                noised(corpus.sentence(e.src), n.settings, n.mask_id, key);
                            corpus.as_source(&damaged, e).into_owned()
                        })
                        .collect();
                    Ragged::new(damaged.iter().map(Vec::as_slice))
                }
            };
            let labels = Ragged::new(indices.iter().map(|i| corpus.target(of(i))));
            let weights = corpus.has_weights().then(|| {
                indices
                    .iter()
                    .flat_map(|i| {
                        let e = of(i);
                        std::iter::repeat_n(e.weight, corpus.target(e).len())
                    })
                    .collect()
            });
            Batch { src, labels, weights, tags: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Convention;
    use crate::training::fixture::{lane, mixture, mixture_by};

    const NOISE: NoiseSettings = NoiseSettings { mask: 0.3, drop: 0.2, shuffle: 3 };

    fn batch(c: &Corpus, task: Task, indices: &[u32], key: u64) -> Batch {
        let noise = BatchNoise { settings: &NOISE, mask_id: 3, key };
        build_batch(c, &c.directions[lane(c, task)], indices, Some(noise))
    }

    #[test]
    fn denoising_restores_the_clean_sentence() {
        let c = mixture(2, 20, 0);
        let lane = &c.directions[lane(&c, Task::Denoising)];
        let all: Vec<u32> = (0..20).collect();
        let b = batch(&c, Task::Denoising, &all, 9);
        let mut damaged = 0;
        for (i, e) in lane.examples.iter().enumerate() {
            let clean = c.sentence(e.src);
            assert_eq!(b.labels.sentence(i), clean);
            let key = sentence_key(9, e.src);
            assert_eq!(b.src.sentence(i), noised(clean, &NOISE, 3, key));
            damaged += usize::from(b.src.sentence(i) != clean);
        }
        assert!(damaged > 15, "{damaged}");
        // Equal texts are damaged in different ways.
        assert_ne!(b.src.sentence(0), b.src.sentence(1));
        assert_eq!(b.weight(), b.labels.num_tokens() as f64);
        assert!(b.tags.is_none() && b.weights.is_none());
        // What a sentence is batched with changes nothing; the key does.
        let alone = batch(&c, Task::Denoising, &[7], 9);
        assert_eq!(alone.src.sentence(0), b.src.sentence(7));
        assert_ne!(batch(&c, Task::Denoising, &all, 10).src, b.src);
        assert_eq!(build_batch(&c, lane, &all, None).src, b.labels);
    }

    #[test]
    fn marks_stand_where_the_convention_has_them() {
        let of = |convention, task| {
            let c = mixture_by(convention, 2, 2, 2);
            let b = batch(&c, task, &[1, 0], 1);
            let d = &c.directions[lane(&c, task)];
            let stored = [1, 0].map(|i: usize| {
                let e = d.examples[i];
                (c.sentence(e.src).to_vec(), c.sentence(e.tgt).to_vec())
            });
            (b, stored)
        };
        let moved_back = |s: &[u32]| [&s[1..], &s[..1]].concat();

        let (b, stored) = of(Convention::NllbLegacy, Task::Translation);
        for (i, (src, tgt)) in stored.iter().enumerate() {
            assert_ne!(src[0], tgt[0]);
            assert_eq!(b.src.sentence(i), moved_back(src));
            assert_eq!(b.labels.sentence(i), tgt);
        }
        let (b, stored) = of(Convention::Small100, Task::Translation);
        for (i, (src, tgt)) in stored.iter().enumerate() {
            assert_eq!(b.src.sentence(i), [&tgt[..1], &src[1..]].concat());
            assert_eq!(b.labels.sentence(i), &tgt[1..]);
        }
        assert_eq!(b.weight(), b.labels.num_tokens() as f64);

        // Damage is done before marks are moved, so that it is the same in any convention.
        let (plain, _) = of(Convention::M2m100, Task::Denoising);
        let (b, _) = of(Convention::NllbLegacy, Task::Denoising);
        assert_eq!(b.src.sentence(0), moved_back(plain.src.sentence(0)));

        let (plain, _) = of(Convention::M2m100, Task::Tagging);
        let (b, _) = of(Convention::NllbLegacy, Task::Tagging);
        assert_eq!(b.src.sentence(1), moved_back(plain.src.sentence(1)));
        let words = |b: &Batch| -> Vec<(u32, u16)> {
            let tags = b.tags.iter().flatten();
            b.src.ids.iter().copied().zip(tags.copied()).filter(|(_, t)| *t != IGNORED).collect()
        };
        assert_eq!((words(&b), words(&b).len()), (words(&plain), 6));

        let sha256 = |c| mixture_by(c, 2, 0, 0).sha256();
        assert_eq!(sha256(Convention::M2m100), sha256(Convention::Nllb));
        assert_ne!(sha256(Convention::M2m100), sha256(Convention::Small100));
    }

    #[test]
    fn other_tasks_are_not_damaged() {
        let c = mixture(4, 0, 4);
        let b = batch(&c, Task::Translation, &[1, 0], 1);
        let d = &c.directions[lane(&c, Task::Translation)];
        for (i, e) in [1, 0].map(|i: usize| d.examples[i]).iter().enumerate() {
            assert_eq!(b.src.sentence(i), c.sentence(e.src));
            assert_eq!(b.labels.sentence(i), c.sentence(e.tgt));
        }
        let b = batch(&c, Task::Tagging, &[2, 3], 1);
        let d = &c.directions[lane(&c, Task::Tagging)];
        let sentence = d.examples[2].src;
        assert_eq!(b.src.sentence(0), c.sentence(sentence));
        let tags = b.tags.as_deref().unwrap();
        assert_eq!(tags.len(), b.src.num_tokens());
        assert_eq!(&tags[..tags.len() / 2], c.labels(sentence).unwrap());
        // Three words each.
        assert_eq!(b.weight(), 6.0);
        assert!(tags.iter().filter(|t| **t == IGNORED).count() > 4);
    }
}
