//! The memory that one batch takes beside weights, gradients and moments, told from shapes: what
//! the tape keeps of a forward pass, and what exists for a while. It follows `layers.rs` and the
//! operations of `autograd` line by line; `tests/memory` holds it against what is allocated.

use super::config::ModelConfig;
use super::parameters::FrozenType;
use super::seam::{BottleneckAdapter, DirectionParts, LayerParts, NormPlace, Position};
use crate::kernels::cross_entropy;
use crate::kernels::masked::aligned;

/// Tokens of a batch; in tagging no target tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchTokens {
    pub src: usize,
    pub tgt: usize,
}

/// What decides the memory of a batch beside its tokens.
#[derive(Clone, Copy)]
pub struct Footprint<'a> {
    pub config: &'a ModelConfig,
    /// Whether a parameter of the model is trained, by name.
    pub trained: &'a dyn Fn(&str) -> bool,
    pub frozen: FrozenType,
    /// With gradient checkpointing.
    pub checkpoints: bool,
}

/// Values, not bytes, of one layer.
#[derive(Clone, Copy, Default)]
struct LayerCost {
    /// Kept for the backward pass.
    kept: usize,
    /// Of these, the layer's input.
    input: usize,
    /// For a while in the forward pass, beyond what is kept.
    forward: usize,
    /// The highest point of the backward pass, what is kept until then included; parts of the
    /// layer that have run keep nothing any more.
    highest: usize,
    /// Whether a gradient leads back through the layer's output.
    tracked: bool,
}

/// What a map does to what leads into it.
struct Map {
    tracked: bool,
    needs_input: bool,
    /// Values of the updates' inner sides.
    downs: usize,
}

/// One layer of a side.
struct LayerShape<'a> {
    of: &'a Footprint<'a>,
    name: String,
    parts: &'a LayerParts,
    ffn: usize,
    rows: usize,
    /// Rows of the encoder states, and whether they are tracked.
    memory: Option<(usize, bool)>,
}

impl Footprint<'_> {
    /// Bytes at the highest point of one forward and backward pass.
    pub fn training(&self, parts: &DirectionParts, tokens: BatchTokens) -> usize {
        let c = self.config;
        let d = c.d_model;
        let embedding = (self.trained)(super::checkpoint::SHARED);
        let (encoder, states) = self.side("encoder", &parts.encoder, tokens.src, None, embedding);
        let norm = |side: &str| {
            ["weight", "bias"]
                .iter()
                .any(|p| (self.trained)(&format!("model.{side}.layer_norm.{p}")))
        };
        let states = states || norm("encoder");
        let mut kept: usize = if states { tokens.src * d } else { 0 };
        let decoder = match tokens.tgt {
            0 => Vec::new(),
            n => self.side("decoder", &parts.decoder, n, Some((tokens.src, states)), embedding).0,
        };
        // All layers of the decoder read the encoder states.
        kept += if tokens.tgt > 0 { tokens.src * d } else { 0 };
        let rows = |is_decoder: bool| if is_decoder { tokens.tgt } else { tokens.src };
        let mut peak = 0;
        for (l, is_decoder) in
            encoder.iter().map(|l| (l, false)).chain(decoder.iter().map(|l| (l, true)))
        {
            // In front of the layer: its input; while it runs: what it makes.
            peak = peak.max(kept + l.forward + rows(is_decoder) * d);
            kept += if self.checkpoints { l.input } else { l.kept };
        }
        let tail = if tokens.tgt > 0 { tokens.tgt } else { tokens.src };
        // The input of the last norm, its result, and the gradient of that.
        kept += tail * d;
        let loss = match tokens.tgt {
            0 => 0,
            n => {
                let bf16 = self.frozen == FrozenType::Bf16 && !embedding;
                cross_entropy::scratch_bytes(n, c.vocab_size, d, bf16) / 4
            }
        };
        peak = peak.max(kept + 2 * tail * d + loss);
        // The backward pass frees what it has used, layer by layer, from the last one on.
        kept -= tail * d;
        let of_states = if tokens.tgt > 0 && states { tokens.src * d } else { 0 };
        for (l, is_decoder) in
            decoder.iter().rev().map(|l| (l, true)).chain(encoder.iter().rev().map(|l| (l, false)))
        {
            kept -= if self.checkpoints { l.input } else { l.kept };
            if l.tracked {
                // The gradient that comes in waits for the residual connection.
                peak = peak.max(kept + l.highest + of_states + rows(is_decoder) * d);
            }
        }
        4 * (peak + self.widened())
    }

    /// The same without a way back.
    pub fn evaluation(&self, parts: &DirectionParts, tokens: BatchTokens) -> usize {
        let c = self.config;
        let inner = c.encoder_ffn_dim.max(c.decoder_ffn_dim);
        let adapters = |l: &LayerParts| l.adapters.len();
        let more = parts.encoder.iter().chain(&parts.decoder).map(adapters).max().unwrap_or(0);
        let rows = tokens.src.max(tokens.tgt);
        let layer = rows * ((4 + more.min(1)) * c.d_model + inner);
        let bf16 = self.frozen == FrozenType::Bf16;
        let loss = cross_entropy::scratch_bytes(tokens.tgt, c.vocab_size, c.d_model, bf16);
        4 * (tokens.src * c.d_model + layer.max(2 * rows * c.d_model) + self.widened()) + loss
    }

    /// The largest matrix, where it is widened to be used.
    fn widened(&self) -> usize {
        let c = self.config;
        match self.frozen {
            FrozenType::F32 => 0,
            FrozenType::Bf16 => c.d_model * c.encoder_ffn_dim.max(c.decoder_ffn_dim),
        }
    }

    /// The layers of a side, and whether its result is tracked.
    fn side(
        &self,
        side: &str,
        parts: &[LayerParts],
        rows: usize,
        memory: Option<(usize, bool)>,
        embedding: bool,
    ) -> (Vec<LayerCost>, bool) {
        let c = self.config;
        let ffn = if side == "encoder" { c.encoder_ffn_dim } else { c.decoder_ffn_dim };
        let mut tracked = embedding;
        let layers = parts
            .iter()
            .enumerate()
            .map(|(i, parts)| {
                let name = format!("model.{side}.layers.{i}");
                let layer = LayerShape { of: self, name, parts, ffn, rows, memory };
                let cost = layer.cost(tracked);
                tracked = cost.tracked;
                cost
            })
            .collect();
        (layers, tracked)
    }
}

impl LayerShape<'_> {
    fn trains(&self, module: &str) -> bool {
        (self.of.trained)(&format!("{}.{module}", self.name))
    }
    fn trains_any(&self, module: &str) -> bool {
        self.trains(&format!("{module}.weight")) || self.trains(&format!("{module}.bias"))
    }

    fn map(&self, module: &str, rows: usize, input: bool) -> Map {
        let updates = self.parts.low_rank.get(module).map_or(&[][..], Vec::as_slice);
        let own = updates.iter().any(|u| u.lora_a.is_tracked() || u.lora_b.is_tracked());
        let tracked = input || own || self.trains_any(module);
        let weight = self.trains(&format!("{module}.weight"));
        let ranks: usize =
            updates.iter().map(|u| u.lora_b.tensor().dims().last().copied().unwrap_or(0)).sum();
        Map {
            tracked,
            needs_input: tracked && (weight || !updates.is_empty()),
            downs: if tracked { rows * ranks } else { 0 },
        }
    }

    /// Inputs that updates of low rank see through dropout: copies, forward and backward.
    fn thinned(&self, module: &str, rows: usize, width: usize) -> usize {
        let updates = self.parts.low_rank.get(module).map_or(&[][..], Vec::as_slice);
        if updates.first().is_some_and(|u| u.dropout > 0.0) { 2 * rows * width } else { 0 }
    }

    fn adapter(&self, at: Position, input: bool, cost: &mut LayerCost) -> bool {
        let Some(adapter) = self.parts.adapters.get(&at) else { return input };
        let BottleneckAdapter { down, down_bias, up, up_bias, norm, affine } = adapter;
        let d = self.of.config.d_model;
        let own = down.is_tracked() || up.is_tracked();
        let biases = down_bias.is_tracked() || up_bias.is_tracked();
        let norms = affine.as_ref().is_some_and(|(s, b)| s.is_tracked() || b.is_tracked());
        let tracked = input || own || biases || norms;
        let inner = self.rows * down.tensor().dims().first().copied().unwrap_or(0);
        if tracked {
            let normed = if *norm == NormPlace::None { 0 } else { self.rows * d };
            cost.kept += normed;
            if own {
                cost.kept += self.rows * d + inner;
            } else {
                cost.kept += inner.div_ceil(32);
            }
        }
        cost.forward = cost.forward.max(inner + 3 * self.rows * d);
        cost.highest = cost.highest.max(cost.kept + 2 * inner + 2 * self.rows * d);
        tracked
    }

    fn attention(&self, name: &str, cross: bool, x: bool, cost: &mut LayerCost) -> bool {
        let (n, d) = (self.rows, self.of.config.d_model);
        let h = x || self.trains_any(&format!("{name}_layer_norm"));
        let (keys, states) = match self.memory.filter(|_| cross) {
            Some((rows, tracked)) => (rows, tracked),
            None => (n, h),
        };
        let q = self.map(&format!("{name}.q_proj"), n, h);
        let k = self.map(&format!("{name}.k_proj"), keys, states);
        let v = self.map(&format!("{name}.v_proj"), keys, states);
        let attends = q.tracked || k.tracked || v.tracked;
        let o = self.map(&format!("{name}.out_proj"), n, attends);
        let of_keys = k.needs_input || v.needs_input;
        if h {
            cost.kept += n * d;
        }
        if q.needs_input || (of_keys && !cross) {
            cost.kept += n * d;
        }
        if attends {
            cost.kept += n * d + 2 * keys * d;
        }
        if o.needs_input {
            cost.kept += n * d;
        }
        cost.kept += q.downs + k.downs + v.downs + o.downs;
        let copies = self.thinned(&format!("{name}.q_proj"), n, d);
        cost.forward = cost.forward.max(4 * n * d + 2 * keys * d);
        cost.highest = cost.highest.max(cost.kept + 2 * n * d + 2 * keys * d + copies);
        let at = if cross { Position::CrossAttention } else { Position::Attention };
        self.adapter(at, x || o.tracked, cost)
    }

    fn feed_forward(&self, x: bool, cost: &mut LayerCost) -> bool {
        let (n, d) = (self.rows, self.of.config.d_model);
        let h = x || self.trains_any("final_layer_norm");
        if h {
            cost.kept += n * d;
        }
        let dropout = self.of.config.activation_dropout > 0.0;
        let mask = self.parts.neurons.as_ref().filter(|m| !m.is_full());
        let updated = |m: &str| self.parts.low_rank.contains_key(m);
        let compact = mask.filter(|_| !dropout && !updated("fc1") && !updated("fc2"));
        let (fc1, inner) = (self.map("fc1", n, h), n * self.ffn);
        let fc2 = self.map("fc2", n, fc1.tracked);
        if let Some(mask) = compact {
            let kept = aligned(mask.kept().len());
            let block = kept * (2 * d + 1) + d;
            if fc2.tracked {
                cost.kept += block + n * kept + if fc1.needs_input { n * d } else { 0 };
            }
            cost.forward = cost.forward.max(block + n * (kept + 3 * d));
            let part = if fc1.needs_input { kept * d } else { 0 };
            cost.highest = cost.highest.max(cost.kept + n * (kept + d) + part);
            return self.adapter(Position::FeedForward, x || fc2.tracked, cost);
        }
        if fc1.needs_input {
            cost.kept += n * d;
        }
        let keeps_values = fc1.needs_input;
        if fc1.tracked {
            cost.kept += if keeps_values { inner } else { inner.div_ceil(32) };
        }
        if fc2.needs_input && (dropout || !keeps_values) {
            cost.kept += inner;
        }
        cost.kept += fc1.downs + fc2.downs;
        // A masked copy of `fc1.weight`, which the backward pass needs too.
        let masked = if mask.is_some() { self.ffn * d } else { 0 };
        if fc1.tracked {
            cost.kept += masked;
        }
        let copies = self.thinned("fc2", n, self.ffn).max(self.thinned("fc1", n, d));
        cost.forward = cost.forward.max(3 * n * d + inner + masked + copies / 2);
        cost.highest = cost.highest.max(cost.kept + n * d + inner + copies);
        self.adapter(Position::FeedForward, x || fc2.tracked, cost)
    }

    fn cost(&self, x: bool) -> LayerCost {
        let mut cost = LayerCost::default();
        let mut tracked = self.attention("self_attn", false, x, &mut cost);
        if self.memory.is_some() {
            tracked = self.attention("encoder_attn", true, tracked, &mut cost);
        }
        tracked = self.feed_forward(tracked, &mut cost);
        cost.tracked = self.adapter(Position::Layer, tracked, &mut cost);
        cost.input = if cost.tracked { self.rows * self.of.config.d_model } else { 0 };
        if !cost.tracked {
            (cost.kept, cost.highest) = (0, 0);
        }
        cost
    }
}
