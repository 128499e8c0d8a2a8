//! Teacher forcing with an eye on the feed-forward blocks: how often each neuron is active.
//! The same passes as in translation, without the output layer, so that what is counted depends
//! neither on batches nor on threads.

use super::decoder::{Decoder, ENCODE_TOKENS, Row, encoded_together};
use super::weights::DirectionWeights;
use crate::kernels::buffer::SharedMut;
use crate::kernels::infer::activity::{
    Columns, SUM_SCALE, add_values, count_positions, count_sentences,
};
use crate::kernels::packed::Rows;
use crate::kernels::team::Worker;
use crate::model::ModelConfig;

/// What counts as active, and once per what.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivityOptions {
    /// A neuron is active where its value after the activation is above this.
    pub threshold: f32,
    /// Once for a sentence rather than for each position.
    pub per_sentence: bool,
    /// Also sum the values.
    pub sums: bool,
}

/// Counts of one feed-forward block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockActivity {
    /// `[ffn_dim]`
    pub active: Vec<u64>,
    /// `[ffn_dim]` in units of `2^-20`, or empty.
    sums: Vec<i64>,
}

impl BlockActivity {
    /// Adds counts, and sums in units of `2^-20` where they are kept.
    pub(crate) fn add(&mut self, active: &[f64], sums: &[f64]) {
        self.active.iter_mut().zip(active).for_each(|(to, n)| *to = to.saturating_add(*n as u64));
        self.sums.iter_mut().zip(sums).for_each(|(to, n)| *to = to.saturating_add(*n as i64));
    }

    /// Sums of the values, `[ffn_dim]`, or nothing.
    pub fn sums(&self) -> impl Iterator<Item = f64> + '_ {
        self.sums.iter().map(|s| *s as f64 / SUM_SCALE)
    }
}

/// Counts of all blocks of a model, in the order of the layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Activity {
    pub options: ActivityOptions,
    pub encoder: Vec<BlockActivity>,
    pub decoder: Vec<BlockActivity>,
}

impl Activity {
    pub fn new(config: &ModelConfig, options: ActivityOptions) -> Self {
        let block = |ffn: usize| BlockActivity {
            active: vec![0; ffn],
            sums: vec![0; if options.sums { ffn } else { 0 }],
        };
        Self {
            options,
            encoder: vec![block(config.encoder_ffn_dim); config.encoder_layers],
            decoder: vec![block(config.decoder_ffn_dim); config.decoder_layers],
        }
    }
}

/// A sentence pair as the two sides read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForcedPair {
    /// `[mark, pieces..., eos]`
    pub src: Vec<u32>,
    /// `[start, mark, pieces...]`
    pub input: Vec<u32>,
    /// How often each position of `src` counts. One more than its tokens: a last padding
    /// position, which all padding positions of the sentence equal, counts so often.
    pub src_weights: Vec<u32>,
    /// The same for `input`.
    pub input_weights: Vec<u32>,
}

impl ForcedPair {
    pub(crate) fn source(&self) -> Counted<'_> {
        (&self.src, &self.src_weights)
    }
    pub(crate) fn target(&self) -> Counted<'_> {
        (&self.input, &self.input_weights)
    }
}

/// The counts as the threads of a pass see them.
pub(super) struct Watch<'a> {
    options: ActivityOptions,
    blocks: Vec<(SharedMut<'a, u64>, SharedMut<'a, i64>)>,
    /// Of each row.
    weights: &'a [u32],
    /// First row and number of rows of each sentence, padding included.
    sentences: Vec<(usize, usize)>,
    /// Whether each row is padding: the last of its sentence may be.
    padding: Vec<bool>,
}

/// A side of a sentence: its tokens, and how often each position counts.
pub(crate) type Counted<'a> = (&'a [u32], &'a [u32]);

/// Columns of a piece of work: their counts stay in the first-level cache.
const PIECE: usize = 512;

impl<'a> Watch<'a> {
    fn new(
        options: ActivityOptions,
        blocks: &'a mut [BlockActivity],
        weights: &'a [u32],
        sides: impl Iterator<Item = Counted<'a>>,
    ) -> Self {
        let blocks = blocks
            .iter_mut()
            .map(|b| (SharedMut::new(&mut b.active[..]), SharedMut::new(&mut b.sums[..])))
            .collect();
        let (mut sentences, mut padding) = (Vec::new(), Vec::with_capacity(weights.len()));
        for (tokens, weights) in sides {
            sentences.push((padding.len(), weights.len()));
            padding.extend((0..weights.len()).map(|i| i >= tokens.len()));
        }
        Self { options, blocks, weights, sentences, padding }
    }

    /// Whether the last row of a sentence is padding.
    pub fn ends_in_padding(&self, sentence: usize) -> bool {
        let (first, rows) = self.sentences[sentence];
        self.padding[first + rows - 1]
    }
    pub fn is_padding(&self, row: usize) -> bool {
        self.padding[row]
    }

    /// One phase: counts the inner values of a layer.
    ///
    /// # Safety
    /// Nobody writes `wide` in this phase.
    pub unsafe fn phase(&self, w: &Worker<'_>, layer: usize, wide: Rows<'_>) {
        let (active, sums) = self.blocks[layer];
        let ffn = active.len();
        let piece = ffn.div_ceil(w.threads()).min(PIECE);
        // SAFETY: only read in this phase.
        let values = unsafe { wide.data.slice(0, self.weights.len() * wide.stride) };
        w.each(ffn.div_ceil(piece.max(1)), |i| {
            let first = i * piece;
            let count = piece.min(ffn - first);
            let of = Columns { values, stride: wide.stride, first, count };
            let (mut counts, mut any) = ([0u32; PIECE], [0u32; PIECE]);
            let (counts, any) = (&mut counts[..count], &mut any[..count]);
            let o = &self.options;
            if o.per_sentence {
                count_sentences(of, &self.sentences, self.weights, o.threshold, any, counts);
            } else {
                count_positions(of, self.weights, o.threshold, counts);
            }
            // SAFETY: the columns of a piece are its own.
            let active = unsafe { active.slice_mut(first, count) };
            for (a, c) in active.iter_mut().zip(counts.iter()) {
                *a += u64::from(*c);
            }
            if o.sums {
                // SAFETY: as above.
                add_values(of, self.weights, unsafe { sums.slice_mut(first, count) });
            }
        });
    }
}

impl Decoder<'_> {
    /// Reads sentence pairs with teacher forcing and adds what the neurons do to `activity`;
    /// without one it only computes, as the measure of what counting costs. No sentence may be
    /// empty or longer than the model's positions.
    pub fn observe(
        &mut self,
        weights: &DirectionWeights,
        pairs: &[ForcedPair],
        activity: Option<&mut Activity>,
    ) {
        let pad = self.model().config().pad_token_id;
        // The weights decide how many rows are looked at.
        let fits = |(tokens, weights): Counted<'_>| {
            !tokens.is_empty() && (tokens.len()..=tokens.len() + 1).contains(&weights.len())
        };
        assert!(pairs.iter().all(|p| fits(p.source()) && fits(p.target())));
        let padded = |(tokens, weights): Counted<'_>| {
            let mut ids = tokens.to_vec();
            ids.extend((weights.len() > tokens.len()).then_some(pad));
            ids
        };
        let sources: Vec<Vec<u32>> = pairs.iter().map(|p| padded(p.source())).collect();
        let sources: Vec<&[u32]> = sources.iter().map(Vec::as_slice).collect();
        let (options, encoder, decoder) = match activity {
            Some(a) => (Some(a.options), &mut a.encoder[..], &mut a.decoder[..]),
            None => (None, &mut [][..], &mut [][..]),
        };
        // Sources are encoded in the pieces `admit` would take.
        let mut slots = Vec::with_capacity(pairs.len());
        let mut rest = pairs;
        while !rest.is_empty() {
            let at = slots.len();
            let (now, later) = rest.split_at(encoded_together(&sources[at..], ENCODE_TOKENS));
            rest = later;
            let counted: Vec<u32> = now.iter().flat_map(|p| &p.src_weights).copied().collect();
            let sides = now.iter().map(ForcedPair::source);
            let watch = options.map(|o| Watch::new(o, &mut *encoder, &counted, sides));
            let encoded = &sources[at..at + now.len()];
            slots.extend(self.admit_watched(weights, encoded, watch.as_ref()));
        }
        let mut rows = Vec::new();
        for (pair, &slot) in pairs.iter().zip(&slots) {
            for (position, token) in padded(pair.target()).into_iter().enumerate() {
                rows.push(Row { slot, beam: 0, token, position });
            }
        }
        let counted: Vec<u32> = pairs.iter().flat_map(|p| &p.input_weights).copied().collect();
        let sides = pairs.iter().map(ForcedPair::target);
        let watch = options.map(|o| Watch::new(o, &mut *decoder, &counted, sides));
        self.step_watched(weights, &rows, &[], 0, watch.as_ref());
        for slot in slots {
            self.release(slot);
        }
    }
}
