//! Decoding step by step: one row for each hypothesis that grows by a token.

use super::InferenceModel;
use super::adapted::Spare;
use super::adapters::{PackedAdapter, add_phase};
use super::cache::{PagePool, PageShape, SentenceCache};
use super::observe::Watch;
use super::weights::{DirectionWeights, LayerNormWeights};
use crate::kernels::buffer::{Buffer, SharedMut};
use crate::kernels::crew::Crew;
use crate::kernels::infer::attention::{attend_block, attend_rows, scores_len};
use crate::kernels::infer::norm::layer_norm;
use crate::kernels::infer::vocab::TopK;
use crate::kernels::packed::int8::quantised_stride;
use crate::kernels::packed::{Epilogue, Rows, row_stride};
use crate::kernels::team::Worker;
use crate::kernels::vector::{Isa, LANES};

/// Tokens that are encoded together: enough to fill the kernels, few enough for the caches.
pub(super) const ENCODE_TOKENS: usize = 1024;

/// How many of the sentences are encoded at once, at least one of any.
pub fn encoded_together(sentences: &[&[u32]], max_tokens: usize) -> usize {
    let mut tokens = 0;
    let more = sentences.iter().take_while(|s| {
        tokens += s.len();
        tokens <= max_tokens
    });
    more.count().max(1)
}

/// One token to be read by the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The sentence, as [`Decoder::admit`] named it.
    pub slot: usize,
    /// The hypothesis that grows.
    pub beam: usize,
    pub token: u32,
    /// Zero-based place of the token in the decoder's input.
    pub position: usize,
}

/// Sentences in decoding, with the memory and threads they share.
pub struct Decoder<'m> {
    model: &'m InferenceModel,
    crew: Crew,
    work: Workspace,
    pool: PagePool,
    shape: PageShape,
    slots: Vec<Option<SentenceCache>>,
    top: TopK,
    /// Runs of rows of one sentence: slot, first row, number.
    groups: Vec<(usize, usize, usize)>,
}

impl<'m> Decoder<'m> {
    /// A decoder of `threads` threads with room for `beams` hypotheses of each sentence.
    pub fn new(model: &'m InferenceModel, threads: usize, beams: usize) -> Self {
        Self::with_crew(model, Crew::new(threads), beams)
    }

    /// The same, beside other decoders.
    pub fn with_crew(model: &'m InferenceModel, crew: Crew, beams: usize) -> Self {
        let c = model.config();
        Self {
            model,
            crew,
            work: Workspace::default(),
            pool: PagePool::default(),
            shape: PageShape { layers: c.decoder_layers, beams, d_model: c.d_model },
            slots: Vec::new(),
            top: TopK::default(),
            groups: Vec::new(),
        }
    }

    pub fn model(&self) -> &'m InferenceModel {
        self.model
    }
    /// Whether the decoders beside this one rest: [`Crew::gather`].
    pub fn gather(&mut self, others_rest: bool) {
        self.crew.gather(others_rest);
    }

    /// Encodes sentences (`[mark, pieces..., eos]`, at most the model's length) and returns the
    /// slot each was given.
    pub fn admit(&mut self, weights: &DirectionWeights, sentences: &[&[u32]]) -> Vec<usize> {
        let mut slots = Vec::with_capacity(sentences.len());
        let mut rest = sentences;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(encoded_together(rest, ENCODE_TOKENS));
            rest = later;
            slots.extend(self.admit_watched(weights, now, None));
        }
        slots
    }

    /// Encodes sentences at once.
    pub(super) fn admit_watched(
        &mut self,
        weights: &DirectionWeights,
        sentences: &[&[u32]],
        watch: Option<&Watch<'_>>,
    ) -> Vec<usize> {
        let memories =
            self.model.encode(weights, &mut self.crew.team(), &mut self.work, sentences, watch);
        let admit = |memory| {
            let cache = SentenceCache::new(memory, self.shape);
            let slot = match self.slots.iter().position(Option::is_none) {
                Some(free) => free,
                None => {
                    self.slots.push(None);
                    self.slots.len() - 1
                }
            };
            self.slots[slot] = Some(cache);
            slot
        };
        memories.into_iter().map(admit).collect()
    }

    /// Hypothesis `i` of a sentence continues what was hypothesis `parents[i]`.
    pub fn reorder(&mut self, slot: usize, parents: &[usize]) {
        if let Some(cache) = &mut self.slots[slot] {
            cache.reorder(parents);
        }
    }

    /// Ends a sentence; its slot and memory are used again.
    pub fn release(&mut self, slot: usize) {
        if let Some(cache) = self.slots[slot].take() {
            cache.release(&mut self.pool);
        }
    }

    /// Reads one token for each row. Rows of a sentence stand together; several positions of
    /// one hypothesis may be read at once, in order. For each row named in `outputs` the result
    /// holds the `best` next tokens and the normaliser, in the order of `outputs`.
    pub fn step(
        &mut self,
        weights: &DirectionWeights,
        rows: &[Row],
        outputs: &[usize],
        best: usize,
    ) -> &TopK {
        self.step_watched(weights, rows, outputs, best, None)
    }

    /// A watched step may have padding positions, which see what is before them and are seen by
    /// none.
    pub(super) fn step_watched(
        &mut self,
        weights: &DirectionWeights,
        rows: &[Row],
        outputs: &[usize],
        best: usize,
        watch: Option<&Watch<'_>>,
    ) -> &TopK {
        let model = self.model;
        let c = model.config();
        let (d, heads, isa) = (c.d_model, c.decoder_attention_heads, model.isa);
        let head_dim = d / heads;
        let scale = (head_dim as f32).powf(-0.5);
        let count = rows.len();

        self.groups.clear();
        let mut longest = 1;
        for (i, row) in rows.iter().enumerate() {
            match self.groups.last_mut() {
                Some((slot, _, number)) if *slot == row.slot => *number += 1,
                _ => self.groups.push((row.slot, i, 1)),
            }
            if let Some(cache) = &mut self.slots[row.slot] {
                cache.append(row.beam, row.position, &mut self.pool);
                longest = longest.max(row.position + 1).max(cache.memory.len);
            }
        }
        let mut team = self.crew.team();
        let threads = team.threads();
        let ffn = c.decoder_ffn_dim.max(weights.adapter_width());
        self.work.prepare(threads, count, d, ffn, longest, weights.low_width());
        let output = weights.shortlist.as_deref().unwrap_or(&model.output);
        self.top.prepare(output, threads, outputs.len(), best);

        let (slots, groups) = (&self.slots, &self.groups);
        let (shared, scratch) = self.work.shared();
        let top = self.top.shared();
        let value_offset = self.shape.value_offset();
        // Few sentences are shared out by heads.
        let split = if groups.len() >= 4 * threads { 1 } else { heads };
        let width = heads / split;

        let work = count * model.num_values / 2;
        team.run(work, &|w| {
            // SAFETY of all phases: each piece writes its own rows, columns, or heads of a
            // sentence, and a barrier lies between a write and the reads of it. The set `isa`
            // was detected.
            let chunk = count.div_ceil(threads * 2).max(1);
            w.each(count.div_ceil(chunk), |i| {
                for r in i * chunk..((i + 1) * chunk).min(count) {
                    // SAFETY: as above.
                    let out = unsafe { shared.hidden.row_mut(r, d) };
                    model.embed(rows[r].token, rows[r].position, out);
                }
            });
            for (l, layer) in weights.decoder.iter().enumerate() {
                let attn = &layer.self_attn;
                // SAFETY: as above.
                unsafe {
                    norm_phase(w, isa, &attn.norm, shared.hidden, shared.normed, count, d);
                    attn.in_proj.phase(
                        w,
                        isa,
                        shared.normed,
                        shared.wide,
                        shared.spare,
                        count,
                        Epilogue::Set,
                    );
                }
                w.each(groups.len() * split, |i| {
                    let (slot, first, number) = groups[i / split];
                    let Some(cache) = &slots[slot] else { return };
                    let own = i % split * width * head_dim;
                    let span = width * head_dim;
                    // SAFETY: as above; entries of these heads are this piece's own.
                    unsafe {
                        let Scratch { pointers, scores, .. } = &mut scratch.slice_mut(w.id, 1)[0];
                        for r in first..first + number {
                            let from = shared.wide.data.ptr(r * shared.wide.stride + own);
                            let key = cache.key(l, rows[r].position, rows[r].beam).add(own);
                            key.copy_from_nonoverlapping(from.add(d), span);
                            key.add(value_offset).copy_from_nonoverlapping(from.add(2 * d), span);
                        }
                        for r in first..first + number {
                            pointers.clear();
                            let padding = watch.is_some_and(|w| w.is_padding(r));
                            let seen = rows[r].position + usize::from(!padding);
                            pointers.extend(cache.keys(l, rows[r].beam, seen).map(KeyPtr));
                            for offset in (own..own + span).step_by(head_dim) {
                                attend_rows(
                                    isa,
                                    shared.wide.data.ptr(r * shared.wide.stride + offset),
                                    KeyPtr::slice(pointers),
                                    offset,
                                    value_offset,
                                    head_dim,
                                    scale,
                                    scores.as_mut_slice(),
                                    shared.context.data.ptr(r * shared.context.stride + offset),
                                );
                            }
                        }
                    }
                });
                let cross = &layer.encoder_attn;
                // SAFETY: as above.
                unsafe {
                    let (from, spare) = (shared.context, shared.spare);
                    end_block(
                        (w, isa, &shared, count, d),
                        layer.adapters.attention.as_deref(),
                        |to, op| attn.out_proj.phase(w, isa, from, to, spare, count, op),
                    );
                    norm_phase(w, isa, &cross.norm, shared.hidden, shared.normed, count, d);
                    cross.q_proj.phase(
                        w,
                        isa,
                        shared.normed,
                        shared.wide,
                        shared.spare,
                        count,
                        Epilogue::Set,
                    );
                }
                w.each(groups.len() * split, |i| {
                    let (slot, first, number) = groups[i / split];
                    let Some(cache) = &slots[slot] else { return };
                    let memory = &cache.memory;
                    let data = memory.data.as_slice();
                    let own = i % split * width * head_dim;
                    // SAFETY: as above.
                    unsafe {
                        let scores = scratch.slice_mut(w.id, 1)[0].scores.as_mut_slice();
                        for offset in (own..own + width * head_dim).step_by(head_dim) {
                            attend_block(
                                isa,
                                shared.wide.data.ptr(first * shared.wide.stride + offset),
                                shared.wide.stride,
                                number,
                                data[memory.keys_at(l) + offset * memory.key_stride()..].as_ptr(),
                                memory.key_stride(),
                                data[memory.values_at(l) + offset..].as_ptr(),
                                d,
                                memory.len,
                                head_dim,
                                scale,
                                scores,
                                shared.context.data.ptr(first * shared.context.stride + offset),
                                shared.context.stride,
                            );
                        }
                    }
                });
                let f = &layer.feed_forward;
                // SAFETY: as above.
                unsafe {
                    let (from, spare) = (shared.context, shared.spare);
                    end_block(
                        (w, isa, &shared, count, d),
                        layer.adapters.cross_attention.as_deref(),
                        |to, op| cross.out_proj.phase(w, isa, from, to, spare, count, op),
                    );
                    norm_phase(w, isa, &f.norm, shared.hidden, shared.normed, count, d);
                    f.fc1.phase(
                        w,
                        isa,
                        shared.normed,
                        shared.wide,
                        shared.spare,
                        count,
                        Epilogue::Relu,
                    );
                    if let Some(watch) = watch {
                        watch.phase(w, l, shared.wide);
                    }
                    let (from, spare) = (shared.wide, shared.spare);
                    end_block(
                        (w, isa, &shared, count, d),
                        layer.adapters.feed_forward.as_deref(),
                        |to, op| f.fc2.phase(w, isa, from, to, spare, count, op),
                    );
                    if let Some(a) = &layer.adapters.layer {
                        a.phases(w, isa, shared.hidden, shared.normed, shared.wide, count, d);
                    }
                }
            }
            if outputs.is_empty() {
                return;
            }
            let norm = &model.norms.decoder;
            let chunk = outputs.len().div_ceil(threads * 2).max(1);
            w.each(outputs.len().div_ceil(chunk), |i| {
                for o in i * chunk..((i + 1) * chunk).min(outputs.len()) {
                    // SAFETY: as above.
                    unsafe {
                        let x = shared.hidden.row_mut(outputs[o], d);
                        layer_norm(isa, x, &norm.weight, &norm.bias, shared.normed.row_mut(o, d));
                    }
                }
            });
            // SAFETY: as above; `top` was prepared for these rows.
            unsafe { output.phases(w, isa, shared.normed, shared.spare.quant, top) };
        });
        &self.top
    }

    /// What the last step found.
    pub fn top(&self) -> &TopK {
        &self.top
    }

    /// The logit of one token for output `output` of the last step, whatever its rank, in a shortlist
    /// or not.
    pub fn logit(&self, output: usize, id: u32) -> f32 {
        let d = self.model.config().d_model;
        let row = &self.work.normed.as_slice()[output * row_stride(d)..][..d];
        self.model.output.logit(self.model.isa, row, id)
    }
}

/// A key's address, sendable inside a thread's scratch.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct KeyPtr(*const f32);

// SAFETY: an address only; it is followed inside the phase that made it.
unsafe impl Send for KeyPtr {}

impl KeyPtr {
    fn slice(of: &[Self]) -> &[*const f32] {
        // SAFETY: the type is a transparent wrapper.
        unsafe { std::slice::from_raw_parts(of.as_ptr().cast(), of.len()) }
    }
}

/// What one thread needs for itself.
#[derive(Default)]
pub(super) struct Scratch {
    /// Transposed keys of one head.
    pub keys: Buffer,
    pub scores: Buffer,
    pub pointers: Vec<KeyPtr>,
}

/// Activations of one step or one encoding, grown to their peak and used again.
#[derive(Default)]
pub(super) struct Workspace {
    hidden: Buffer,
    normed: Buffer,
    /// Queries, keys and values, or the inner layer of the feed-forward block.
    wide: Buffer,
    context: Buffer,
    /// Between the thin products of updates of low rank.
    low: Buffer,
    /// Inputs in integers.
    quant: Buffer,
    scratch: Vec<Scratch>,
    narrow_stride: usize,
    wide_stride: usize,
    low_stride: usize,
    quant_stride: usize,
}

/// The same as the threads see it.
#[derive(Clone, Copy)]
pub(super) struct SharedWorkspace<'a> {
    pub hidden: Rows<'a>,
    pub normed: Rows<'a>,
    pub wide: Rows<'a>,
    pub context: Rows<'a>,
    pub spare: Spare<'a>,
}

impl Workspace {
    pub fn prepare(
        &mut self,
        threads: usize,
        rows: usize,
        d: usize,
        ffn: usize,
        longest: usize,
        low: usize,
    ) {
        self.low_stride = low;
        self.low.ensure(rows * low);
        self.quant_stride = quantised_stride(ffn.max(d));
        self.quant.ensure(rows * self.quant_stride);
        self.narrow_stride = row_stride(d);
        self.wide_stride = row_stride(ffn.max(3 * d));
        self.hidden.ensure(rows * self.narrow_stride);
        self.normed.ensure(rows * self.narrow_stride);
        self.context.ensure(rows * self.narrow_stride);
        self.wide.ensure(rows * self.wide_stride);
        self.scratch.resize_with(threads, Scratch::default);
        for s in &mut self.scratch {
            s.keys.ensure(d * longest.next_multiple_of(LANES));
            s.scores.ensure(scores_len(longest));
            s.pointers.reserve(longest);
        }
    }

    pub fn shared(&mut self) -> (SharedWorkspace<'_>, SharedMut<'_, Scratch>) {
        let narrow = |b| Rows { data: SharedMut::new(b), stride: self.narrow_stride };
        (
            SharedWorkspace {
                hidden: narrow(self.hidden.as_mut_slice()),
                normed: narrow(self.normed.as_mut_slice()),
                context: narrow(self.context.as_mut_slice()),
                spare: Spare {
                    low: Rows {
                        data: SharedMut::new(self.low.as_mut_slice()),
                        stride: self.low_stride,
                    },
                    quant: Rows {
                        data: SharedMut::new(self.quant.as_mut_slice()),
                        stride: self.quant_stride,
                    },
                },
                wide: Rows {
                    data: SharedMut::new(self.wide.as_mut_slice()),
                    stride: self.wide_stride,
                },
            },
            SharedMut::new(&mut self.scratch),
        )
    }
}

/// The end of a block: `last` is its last map, which adds its result to the hidden rows; with an
/// adapter on the block it stores the result beside them first.
///
/// # Safety
/// As of the phases of the adapter and of `last`: nobody else touches the workspace.
pub(super) unsafe fn end_block(
    (w, isa, rows, count, d): (&Worker<'_>, Isa, &SharedWorkspace<'_>, usize, usize),
    adapter: Option<&PackedAdapter>,
    last: impl Fn(Rows<'_>, Epilogue),
) {
    let Some(adapter) = adapter else { return last(rows.hidden, Epilogue::Add) };
    // The block has read its normalised input, and the adapter comes after the attention.
    last(rows.normed, Epilogue::Set);
    // SAFETY: passed on.
    unsafe {
        adapter.phases(w, isa, rows.normed, rows.context, rows.wide, count, d);
        add_phase(w, rows.normed, rows.hidden, count, d);
    }
}

/// One phase: `y = norm(x)` for the first `count` rows.
///
/// # Safety
/// `isa` is available, `x` is not written and `y` not touched by anyone else in this phase.
pub(super) unsafe fn norm_phase(
    w: &Worker<'_>,
    isa: Isa,
    norm: &LayerNormWeights,
    x: Rows<'_>,
    y: Rows<'_>,
    count: usize,
    d: usize,
) {
    let run = |r: usize| {
        // SAFETY: rows of the first `count`; `y`'s are this piece's own.
        unsafe { layer_norm(isa, x.row_mut(r, d), &norm.weight, &norm.bias, y.row_mut(r, d)) };
    };
    if count * d < 4096 {
        return w.alone(|| (0..count).for_each(run));
    }
    let chunk = count.div_ceil(w.threads() * 3);
    w.each(count.div_ceil(chunk), |i| (i * chunk..((i + 1) * chunk).min(count)).for_each(run));
}
