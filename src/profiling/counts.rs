//! Sentence pairs -> activation counts. Specification: Neuron Specialization, section 3
//! (official code, `get_neurons.py`): evaluation mode, teacher forcing, a neuron is active where
//! its value after ReLU is above 0.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::formats::neuron_stats::{BlockStats, Counting, NeuronStats};
use crate::formats::neurons::{Block, Side};
use crate::model::inference::{
    Activity, ActivityOptions, BlockActivity, Decoder, ForcedPair, InferenceModel,
};
use crate::model::{M2m100, ModelConfig};
use crate::text::Convention;

#[derive(Clone, Debug)]
pub struct ProfileOptions {
    pub counting: Counting,
    /// Also sum the values.
    pub sums: bool,
    /// Where the marks of the text stand.
    pub convention: Convention,
    /// Tokens of a batch, padding included; the longer side counts.
    pub batch_tokens: usize,
}

#[derive(Clone, Debug)]
struct DirectionCounts {
    activity: Activity,
    tokens: [u64; 2],
    sentences: u64,
}

/// What reads the text.
enum Passes<'m> {
    /// The kernels of the CPU.
    Kernels(&'m InferenceModel, Box<Decoder<'m>>),
    OnDevice(&'m M2m100),
}

/// Counts text of any number of directions. Memory does not grow with the text.
pub struct Profiler<'m> {
    config: &'m ModelConfig,
    passes: Passes<'m>,
    options: ProfileOptions,
    directions: BTreeMap<String, DirectionCounts>,
}

impl<'m> Profiler<'m> {
    pub fn new(model: &'m InferenceModel, threads: usize, options: ProfileOptions) -> Self {
        let passes = Passes::Kernels(model, Box::new(Decoder::new(model, threads, 1)));
        Self { config: model.config(), passes, options, directions: BTreeMap::new() }
    }

    /// On the device of a model, with operations put together from those of the tensor library.
    pub fn on_device(model: &'m M2m100, options: ProfileOptions) -> Self {
        let passes = Passes::OnDevice(model);
        Self { config: model.config(), passes, options, directions: BTreeMap::new() }
    }

    /// Adds pairs of one direction: sources and labels, as the convention has them.
    ///
    /// # Errors
    /// The device's own.
    pub fn add(&mut self, lang_pair: &str, pairs: &[(&[u32], &[u32])]) -> Result<()> {
        let counting = &self.options.counting;
        let activity = ActivityOptions {
            threshold: counting.threshold,
            per_sentence: counting.unit == "sentence",
            sums: self.options.sums,
        };
        let counts = self.directions.entry(lang_pair.to_string()).or_insert_with(|| {
            let activity = Activity::new(self.config, activity);
            DirectionCounts { activity, tokens: [0; 2], sentences: 0 }
        });
        for batch in batches(pairs, self.options.batch_tokens) {
            let start = self.config.decoder_start_token_id;
            let forced = forced_pairs(&batch, &self.options, start);
            for p in &forced {
                let sum = |w: &[u32]| w.iter().map(|&n| u64::from(n)).sum::<u64>();
                counts.tokens[0] += sum(&p.src_weights);
                counts.tokens[1] += sum(&p.input_weights);
            }
            counts.sentences += forced.len() as u64;
            match &mut self.passes {
                Passes::Kernels(model, decoder) => {
                    decoder.observe(model.base_weights(), &forced, Some(&mut counts.activity));
                }
                Passes::OnDevice(model) => model.observe(&forced, &mut counts.activity)?,
            }
        }
        Ok(())
    }

    /// Runs the same passes without counting: the measure of what counting costs.
    ///
    /// # Errors
    /// A bug: on a device they cannot be told apart.
    pub fn run_plain(&mut self, pairs: &[(&[u32], &[u32])]) -> Result<()> {
        let Passes::Kernels(model, decoder) = &mut self.passes else {
            return Err(Error::bug("a pass without counting is one of the CPU"));
        };
        for batch in batches(pairs, self.options.batch_tokens) {
            let forced = forced_pairs(&batch, &self.options, self.config.decoder_start_token_id);
            decoder.observe(model.base_weights(), &forced, None);
        }
        Ok(())
    }

    /// What was counted; `base_model_sha256` is the fingerprint of the model.
    pub fn finish(self, base_model_sha256: Option<String>) -> NeuronStats {
        let c = self.config;
        let mut stats = NeuronStats {
            lang_pairs: self.directions.keys().cloned().collect(),
            counting: Some(self.options.counting),
            base_model_sha256,
            ..NeuronStats::default()
        };
        let sides = [
            (Side::Encoder, c.encoder_layers, c.encoder_ffn_dim),
            (Side::Decoder, c.decoder_layers, c.decoder_ffn_dim),
        ];
        for counts in self.directions.values() {
            stats.token_count.push(counts.tokens);
            stats.sentence_count.push(counts.sentences);
            for (side, layers, ffn_dim) in sides {
                let blocks: &[BlockActivity] = match side {
                    Side::Encoder => &counts.activity.encoder,
                    Side::Decoder => &counts.activity.decoder,
                };
                for (layer, activity) in (0..layers).zip(blocks) {
                    let b = stats.blocks.entry(Block::new(side, layer)).or_default();
                    b.ffn_dim = ffn_dim;
                    b.active.extend(&activity.active);
                    b.sums.extend(activity.sums());
                }
            }
        }
        stats
    }
}

/// Pairs in order of length, `batch_tokens` at a time, padding counted; one pair at least.
fn batches<'a>(
    pairs: &[(&'a [u32], &'a [u32])],
    batch_tokens: usize,
) -> Vec<Vec<(&'a [u32], &'a [u32])>> {
    let longer = |p: &(&[u32], &[u32])| p.0.len().max(p.1.len());
    let mut order = pairs.to_vec();
    order.sort_by_key(longer);
    let mut out: Vec<Vec<_>> = Vec::new();
    for pair in order {
        match out.last_mut() {
            // In rising order the new one is the longest.
            Some(batch) if (batch.len() + 1) * longer(&pair) <= batch_tokens => batch.push(pair),
            _ => out.push(vec![pair]),
        }
    }
    out
}

/// A batch with what counts in it.
fn forced_pairs(
    batch: &[(&[u32], &[u32])],
    options: &ProfileOptions,
    decoder_start: u32,
) -> Vec<ForcedPair> {
    let (counting, convention) = (&options.counting, options.convention);
    let longest = |side: fn(&(&[u32], &[u32])) -> usize| batch.iter().map(side).max().unwrap_or(0);
    let (src_len, tgt_len) = (longest(|p| p.0.len()), longest(|p| p.1.len()));
    let weights = |len: usize, longest: usize, mark: Option<usize>| {
        let mut w = vec![1u32; len];
        if let Some(mark) = mark.filter(|mark| !counting.marks && *mark < len) {
            w[mark] = 0;
        }
        let padding = (longest - len) as u32;
        w.extend((counting.padding && padding > 0).then_some(padding));
        w
    };
    batch
        .iter()
        .map(|(src, labels)| ForcedPair {
            src: src.to_vec(),
            // Teacher forcing: shifted right, a mark second.
            input: std::iter::once(decoder_start)
                .chain(labels[..labels.len().saturating_sub(1)].iter().copied())
                .collect(),
            src_weights: weights(src.len(), src_len, Some(convention.source_place(0, src.len()))),
            input_weights: weights(
                labels.len(),
                tgt_len,
                (convention.num_forced() > 0).then_some(1),
            ),
        })
        .collect()
}

/// Adds the counts of other text of the same model, counted the same way; directions of either
/// may be missing in the other.
///
/// # Errors
/// Artifact: another model, shape or way of counting.
pub fn add_stats(to: &mut NeuronStats, other: &NeuronStats) -> Result<()> {
    if let (Some(a), Some(b)) = (&to.base_model_sha256, &other.base_model_sha256)
        && a != b
    {
        return Err(Error::artifact("statistics are of another model than those before them")
            .key("base_model_sha256")
            .found(b[..b.len().min(12)].to_string())
            .expected(a[..a.len().min(12)].to_string()));
    }
    if let (Some(a), Some(b)) = (&to.counting, &other.counting)
        && a != b
    {
        return Err(Error::artifact("statistics were counted in another way than those before")
            .found(b.to_string())
            .expected(a.to_string()));
    }
    let shape = |s: &NeuronStats| -> Vec<(Block, usize)> {
        s.blocks.iter().map(|(b, c)| (*b, c.ffn_dim)).collect()
    };
    if shape(to) != shape(other) {
        let show = |s: &NeuronStats| {
            let sides = Side::BOTH.map(|side| {
                let widths: Vec<String> = s
                    .blocks
                    .iter()
                    .filter(|(b, _)| b.side == side)
                    .map(|(_, c)| c.ffn_dim.to_string())
                    .collect();
                format!("{side} [{}]", widths.join(", "))
            });
            sides.join(", ")
        };
        return Err(Error::artifact("statistics are of a model of another shape")
            .found(show(other))
            .expected(show(to)));
    }
    let has_sums = |s: &NeuronStats| s.blocks.values().all(|b| !b.sums.is_empty());
    let sums = has_sums(to) && has_sums(other);
    let mut lang_pairs: Vec<String> =
        to.lang_pairs.iter().chain(&other.lang_pairs).cloned().collect();
    lang_pairs.sort();
    lang_pairs.dedup();
    let place = |s: &NeuronStats, pair: &str| s.lang_pairs.iter().position(|p| p == pair);
    let mut result = NeuronStats {
        counting: to.counting.clone().or_else(|| other.counting.clone()),
        base_model_sha256: to.base_model_sha256.clone().or_else(|| other.base_model_sha256.clone()),
        ..NeuronStats::default()
    };
    for pair in &lang_pairs {
        let mut tokens = [0u64; 2];
        let mut sentences = 0u64;
        for s in [&*to, other] {
            if let Some(i) = place(s, pair) {
                let [encoder, decoder] = s.token_count[i];
                tokens = [add(tokens[0], encoder)?, add(tokens[1], decoder)?];
                sentences = add(sentences, s.sentence_count[i])?;
            }
        }
        result.token_count.push(tokens);
        result.sentence_count.push(sentences);
        for (&block, b) in &to.blocks {
            let mut active = vec![0u64; b.ffn_dim];
            let mut sum = vec![0f64; if sums { b.ffn_dim } else { 0 }];
            for s in [&*to, other] {
                let Some(i) = place(s, pair) else { continue };
                for (a, c) in active.iter_mut().zip(s.counts(block, i).unwrap_or(&[])) {
                    *a = add(*a, *c).map_err(|e| e.tensor(format!("{block}.active_count")))?;
                }
                for (a, v) in sum.iter_mut().zip(s.sums(block, i).unwrap_or(&[])) {
                    *a += v;
                }
            }
            let out = result
                .blocks
                .entry(block)
                .or_insert_with(|| BlockStats { ffn_dim: b.ffn_dim, ..BlockStats::default() });
            out.active.extend(active);
            out.sums.extend(sum);
        }
    }
    result.lang_pairs = lang_pairs;
    *to = result;
    Ok(())
}

fn add(a: u64, b: u64) -> Result<u64> {
    a.checked_add(b).ok_or_else(|| Error::artifact("counts add up to more than 64 bits hold"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(pairs: &[(&str, [u64; 2])]) -> NeuronStats {
        let mut s = NeuronStats { counting: Some(Counting::default()), ..Default::default() };
        let block = s.blocks.entry(Block::new(Side::Encoder, 0)).or_default();
        block.ffn_dim = 2;
        for (pair, counts) in pairs {
            s.lang_pairs.push(pair.to_string());
            block.active.extend(counts);
            s.token_count.push([counts[0], 1]);
            s.sentence_count.push(1);
        }
        s
    }

    #[test]
    fn shards_add_up_in_any_order() {
        let (a, b) = (stats(&[("a-b", [1, 2]), ("b-a", [5, 5])]), stats(&[("a-b", [10, 20])]));
        let mut one = a.clone();
        add_stats(&mut one, &b).unwrap();
        let mut two = b.clone();
        add_stats(&mut two, &a).unwrap();
        assert_eq!(one, two);
        assert_eq!(one, {
            let mut s = stats(&[("a-b", [11, 22]), ("b-a", [5, 5])]);
            s.token_count = vec![[11, 2], [5, 1]];
            s.sentence_count = vec![2, 1];
            s
        });
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let a = stats(&[("a-b", [1, 2])]);
        let mut b = a.clone();
        b.counting = Some(Counting { padding: true, ..Counting::default() });
        let e = add_stats(&mut a.clone(), &b).unwrap_err().to_string();
        assert!(e.contains("another way") && e.contains("with padding"), "{e}");
        let (mut a, mut b) = (a.clone(), a);
        (a.base_model_sha256, b.base_model_sha256) = (Some("x".into()), Some("y".into()));
        assert!(add_stats(&mut a.clone(), &b).unwrap_err().to_string().contains("another model"));
        b.base_model_sha256 = None;
        b.blocks.insert(Block::new(Side::Decoder, 0), BlockStats::default());
        assert!(add_stats(&mut a, &b).unwrap_err().to_string().contains("another shape"));
    }

    #[test]
    fn marks_are_left_out_where_they_stand() {
        for (convention, src, labels, src_weights, input_weights) in [
            (Convention::M2m100, [7, 100, 2], &[8, 101, 102, 2][..], [0, 1, 1], &[1, 0, 1, 1][..]),
            (Convention::NllbLegacy, [100, 2, 7], &[8, 101, 102, 2], [1, 1, 0], &[1, 0, 1, 1]),
            (Convention::Small100, [8, 100, 2], &[101, 102, 2], [0, 1, 1], &[1, 1, 1]),
        ] {
            let counting = Counting { marks: false, ..Counting::default() };
            let options = ProfileOptions { counting, sums: false, convention, batch_tokens: 64 };
            let pair = forced_pairs(&[(&src[..], labels)], &options, 2).remove(0);
            assert_eq!(
                (pair.src_weights, pair.input_weights),
                (src_weights.to_vec(), input_weights.to_vec())
            );
            assert_eq!(pair.input, [&[2], &labels[..labels.len() - 1]].concat());
            let options = ProfileOptions { counting: Counting::default(), ..options };
            let pair = forced_pairs(&[(&src[..], labels)], &options, 2).remove(0);
            assert!(pair.src_weights.iter().chain(&pair.input_weights).all(|w| *w == 1));
        }
    }

    #[test]
    fn batches_are_bounded_and_complete() {
        let long = [7u32; 9];
        let pairs: Vec<(&[u32], &[u32])> =
            [3, 9, 1, 2, 5].iter().map(|&n| (&long[..n], &long[..1])).collect();
        let b = batches(&pairs, 6);
        let lengths: Vec<Vec<usize>> =
            b.iter().map(|b| b.iter().map(|p| p.0.len()).collect()).collect();
        assert_eq!(lengths, [vec![1, 2], vec![3], vec![5], vec![9]]);
    }
}
