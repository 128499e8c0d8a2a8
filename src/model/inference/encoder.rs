//! The encoder over the tokens of several sentences at once, and the keys and values that
//! decoding will read of them.

use super::InferenceModel;
use super::cache::SourceMemory;
use super::decoder::{Scratch, Workspace, end_block, norm_phase};
use super::observe::Watch;
use super::weights::DirectionWeights;
use crate::kernels::buffer::SharedMut;
use crate::kernels::infer::attention::attend_block;
use crate::kernels::packed::Epilogue;
use crate::kernels::team::Team;
use crate::kernels::vector::LANES;

/// Where a sentence's cross-attention goes: tokens, stride of the keys, where keys and values of
/// each layer begin, and the memory itself.
type Stored<'a> = (usize, usize, Vec<(usize, usize)>, SharedMut<'a>);

impl InferenceModel {
    /// Encodes sentences (`[mark, pieces..., eos]` each, none empty) and returns what decoding
    /// needs of each. Watched sentences may end in a padding position, which sees the others and
    /// is seen by none.
    pub(super) fn encode(
        &self,
        weights: &DirectionWeights,
        team: &mut Team,
        work: &mut Workspace,
        sentences: &[&[u32]],
        watch: Option<&Watch<'_>>,
    ) -> Vec<SourceMemory> {
        let c = &self.config;
        let (d, heads) = (c.d_model, c.encoder_attention_heads);
        let head_dim = d / heads;
        let scale = (head_dim as f32).powf(-0.5);
        let tokens: usize = sentences.iter().map(|s| s.len()).sum();
        let longest = sentences.iter().map(|s| s.len()).max().unwrap_or(0);
        let ffn = c.encoder_ffn_dim.max(2 * d).max(weights.adapter_width());
        work.prepare(team.threads(), tokens, d, ffn, longest, weights.low_width());

        let padded = |i: usize| watch.is_some_and(|w| w.ends_in_padding(i));
        let seen: Vec<usize> =
            sentences.iter().enumerate().map(|(i, s)| s.len() - usize::from(padded(i))).collect();
        let mut spans = Vec::with_capacity(sentences.len());
        let mut start = 0;
        for s in sentences {
            spans.push((start, s.len()));
            start += s.len();
        }
        let mut memories: Vec<SourceMemory> =
            seen.iter().map(|&len| SourceMemory::new(len, d, weights.decoder.len())).collect();
        let stored: Vec<Stored<'_>> = memories
            .iter_mut()
            .map(|m| {
                let at = (0..weights.decoder.len()).map(|l| (m.keys_at(l), m.values_at(l)));
                (m.len, m.key_stride(), at.collect(), SharedMut::new(m.data.as_mut_slice()))
            })
            .collect();

        let (rows, scratch) = work.shared();
        let isa = self.isa;
        team.run(tokens * self.num_values / 2, &|w| {
            // SAFETY of all phases: each piece writes its own rows, columns or sentences, and a
            // barrier lies between a write and the reads of it. The set `isa` was detected.
            w.each(sentences.len(), |i| {
                // Padding inside a sentence is not counted.
                let mut index = 0;
                for (j, &token) in sentences[i].iter().enumerate() {
                    // SAFETY: as above.
                    let out = unsafe { rows.hidden.row_mut(spans[i].0 + j, d) };
                    self.embed(token, index, out);
                    index += usize::from(token != c.pad_token_id);
                }
            });
            for (l, layer) in weights.encoder.iter().enumerate() {
                let attn = &layer.self_attn;
                // SAFETY: as above.
                unsafe {
                    norm_phase(w, isa, &attn.norm, rows.hidden, rows.normed, tokens, d);
                    attn.in_proj.phase(
                        w,
                        isa,
                        rows.normed,
                        rows.wide,
                        rows.spare,
                        tokens,
                        Epilogue::Set,
                    );
                }
                w.each(sentences.len() * heads, |i| {
                    let ((start, rows_of), head) = (spans[i / heads], i % heads);
                    let len = seen[i / heads];
                    // SAFETY: as above; the scratch is this thread's own.
                    unsafe {
                        let Scratch { keys, scores, .. } = &mut scratch.slice_mut(w.id, 1)[0];
                        let stride = len.next_multiple_of(LANES);
                        let q = rows.wide.data.ptr(start * rows.wide.stride + head * head_dim);
                        let keys = &mut keys.as_mut_slice()[..head_dim * stride];
                        transpose(q.add(d), rows.wide.stride, len, head_dim, keys, stride);
                        attend_block(
                            isa,
                            q,
                            rows.wide.stride,
                            rows_of,
                            keys.as_ptr(),
                            stride,
                            q.add(2 * d),
                            rows.wide.stride,
                            len,
                            head_dim,
                            scale,
                            scores.as_mut_slice(),
                            rows.context.data.ptr(start * rows.context.stride + head * head_dim),
                            rows.context.stride,
                        );
                    }
                });
                let f = &layer.feed_forward;
                // SAFETY: as above.
                unsafe {
                    let (from, spare) = (rows.context, rows.spare);
                    end_block(
                        (w, isa, &rows, tokens, d),
                        layer.adapters.attention.as_deref(),
                        |to, op| attn.out_proj.phase(w, isa, from, to, spare, tokens, op),
                    );
                    norm_phase(w, isa, &f.norm, rows.hidden, rows.normed, tokens, d);
                    f.fc1.phase(w, isa, rows.normed, rows.wide, rows.spare, tokens, Epilogue::Relu);
                    if let Some(watch) = watch {
                        watch.phase(w, l, rows.wide);
                    }
                    let (from, spare) = (rows.wide, rows.spare);
                    end_block(
                        (w, isa, &rows, tokens, d),
                        layer.adapters.feed_forward.as_deref(),
                        |to, op| f.fc2.phase(w, isa, from, to, spare, tokens, op),
                    );
                    if let Some(a) = &layer.adapters.layer {
                        a.phases(w, isa, rows.hidden, rows.normed, rows.wide, tokens, d);
                    }
                }
            }
            // SAFETY: as above.
            unsafe {
                norm_phase(w, isa, &self.norms.encoder, rows.hidden, rows.normed, tokens, d);
            }
            for (l, layer) in weights.decoder.iter().enumerate() {
                let kv = &layer.encoder_attn.kv_proj;
                // SAFETY: as above.
                unsafe {
                    kv.phase(w, isa, rows.normed, rows.wide, rows.spare, tokens, Epilogue::Set)
                };
                w.each(sentences.len(), |i| {
                    let (start, (len, stride, at, data)) = (spans[i].0, &stored[i]);
                    let (keys_at, values_at) = at[l];
                    // SAFETY: as above; the memory is this sentence's own.
                    unsafe {
                        let from = rows.wide.data.ptr(start * rows.wide.stride);
                        let keys = data.slice_mut(keys_at, d * stride);
                        transpose(from, rows.wide.stride, *len, d, keys, *stride);
                        let values = data.slice_mut(values_at, len * d);
                        for (t, v) in values.chunks_exact_mut(d).enumerate() {
                            let row = rows.wide.data.slice((start + t) * rows.wide.stride + d, d);
                            v.copy_from_slice(row);
                        }
                    }
                });
            }
        });
        memories
    }
}

/// `out[c][t] = rows[t][c]`; what lies between `len` and `out_stride` becomes zero.
///
/// # Safety
/// `rows` holds `len` rows of `width` values, `stride` apart.
unsafe fn transpose(
    rows: *const f32,
    stride: usize,
    len: usize,
    width: usize,
    out: &mut [f32],
    out_stride: usize,
) {
    for (c, out) in out[..width * out_stride].chunks_exact_mut(out_stride).enumerate() {
        for (t, o) in out[..len].iter_mut().enumerate() {
            // SAFETY: inside the rows, as promised.
            *o = unsafe { *rows.add(t * stride + c) };
        }
        out[len..].fill(0.0);
    }
}
