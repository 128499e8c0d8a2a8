//! Batches of one language through the encoder and the tag head.

use std::collections::BTreeMap;

use candle_core::Device;

use super::sentences::Sentence;
use crate::error::{Error, Result};
use crate::methods::Provider;
use crate::model::{Checkpoint, DirectionParts, M2m100, Ragged};
use crate::text::Convention;
use crate::training::{TagHead, Task};

/// How much is tagged at once.
#[derive(Clone, Copy)]
pub struct Limits {
    pub sentences: usize,
    pub tokens: usize,
}

pub struct Tagger {
    model: M2m100,
    device: Device,
    head: TagHead,
    provider: Provider,
    limits: Limits,
    convention: Convention,
    /// What the encoder runs with, by language: made once.
    parts: BTreeMap<String, DirectionParts>,
}

impl Tagger {
    pub fn new(
        checkpoint: &Checkpoint,
        device: &Device,
        mut head: TagHead,
        provider: Provider,
        limits: Limits,
        convention: Convention,
    ) -> Result<Self> {
        head.parameters_mut().try_for_each(|p| p.move_to(device))?;
        let (model, device) = (M2m100::on_device(checkpoint, device, false)?, device.clone());
        Ok(Self { model, device, head, provider, limits, convention, parts: BTreeMap::new() })
    }

    /// Makes what a language runs with, if it is new.
    ///
    /// # Errors
    /// Data: it has no mask, LoRA or adapters, and that was not allowed.
    pub fn prepare(&mut self, lang: &str) -> Result<()> {
        if self.parts.contains_key(lang) {
            return Ok(());
        }
        let config = self.model.config();
        let parts = self.provider.encoder_parts(Task::Tagging.name(), lang, config);
        let parts = parts.map_err(|e| {
            match ["LoRA", "adapter", "language"].iter().any(|what| e.message().contains(what)) {
                true => e.hint("`--unknown-language base` runs the base model where it has none"),
                false => e,
            }
        })?;
        self.parts.insert(lang.to_string(), parts.on(&self.device)?);
        Ok(())
    }

    /// One tag for each token of each sentence, in order; none for tokens that are not in
    /// [`Sentence::encoded`]. All languages were prepared.
    pub fn tag(&self, sentences: &[Sentence]) -> Result<Vec<Vec<Option<String>>>> {
        let mut tags = vec![Vec::new(); sentences.len()];
        let items: Vec<(&str, usize)> =
            sentences.iter().map(|s| (&*s.lang, s.encoded.ids.len())).collect();
        for batch in batches(&items, self.limits) {
            let of = |i: &usize| &sentences[*i];
            let sources: Vec<_> = batch
                .iter()
                .map(|i| {
                    let ids = &of(i).encoded.ids;
                    // Text of one language: its own mark, on whichever side marks stand.
                    self.convention.source(ids, ids.first().copied().unwrap_or(0))
                })
                .collect();
            let src = Ragged::new(sources.iter().map(|s| &**s));
            let lang = batch.first().map_or("", |i| &of(i).lang);
            let parts = self.parts.get(lang).ok_or_else(|| {
                Error::bug(format!("nothing was made ready for language `{lang}`"))
            })?;
            let labels = self.model.predict_tags(&src, parts, self.head.weights())?;
            for (i, start) in batch.iter().zip(&*src.offsets) {
                tags[*i] = self.tags_of(of(i), labels.get(*start..).unwrap_or_default());
            }
        }
        Ok(tags)
    }

    /// From the labels of a sentence's pieces: the first one's of each word.
    fn tags_of(&self, sentence: &Sentence, labels: &[u16]) -> Vec<Option<String>> {
        let tag = |word: usize| {
            let first = sentence.encoded.first_piece(word)?;
            let len = sentence.encoded.ids.len();
            let label = labels.get(self.convention.source_place(first, len))?;
            self.head.tag(*label).map(str::to_string)
        };
        (0..sentence.record.tokens.len()).map(tag).collect()
    }
}

/// Indices of sentences, given as language and number of tokens: each batch of one language, with
/// sentences about as long as each other, at least one.
fn batches(items: &[(&str, usize)], limits: Limits) -> Vec<Vec<usize>> {
    let mut order: Vec<(usize, &(&str, usize))> = items.iter().enumerate().collect();
    order.sort_by_key(|(_, item)| **item);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let (mut lang, mut tokens) = ("", 0);
    for (i, &(own, len)) in order {
        let fits = |batch: &&mut Vec<usize>| {
            own == lang && batch.len() < limits.sentences && tokens + len <= limits.tokens
        };
        match batches.last_mut().filter(fits) {
            Some(batch) => {
                batch.push(i);
                tokens += len;
            }
            None => {
                batches.push(vec![i]);
                (lang, tokens) = (own, len);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_of_one_language_and_within_limits() {
        let items = [("b", 4), ("a", 9), ("b", 3), ("a", 2), ("b", 4), ("a", 3)];
        let of = |sentences, tokens| batches(&items, Limits { sentences, tokens });
        assert_eq!(of(64, 1000), [vec![3, 5, 1], vec![2, 0, 4]]);
        assert_eq!(of(2, 1000), [vec![3, 5], vec![1], vec![2, 0], vec![4]]);
        assert_eq!(of(64, 7), [vec![3, 5], vec![1], vec![2, 0], vec![4]]);
        // One is always taken, however long.
        assert_eq!(of(64, 1).len(), 6);
        assert!(batches(&[], Limits { sentences: 1, tokens: 1 }).is_empty());
    }
}
