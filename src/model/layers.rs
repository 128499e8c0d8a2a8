//! The modules of a layer: linear maps, norms, attention, the feed-forward block.
//! Activations are `[tokens, d_model]` throughout.

use std::cell::Cell;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use super::config::ModelConfig;
use super::parameters::ParameterSet;
use super::seam::{LayerParts, NeuronMask, Position};
use crate::autograd::{AttentionSpec, FeedForwardWeights, Parameter, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::dropout::Dropout;

/// The random part of one forward pass: a fresh dropout mask for each place that asks, in
/// the order of asking. Nothing is stored, so a resumed run draws the same masks, and so does a
/// clone, from where it was cloned.
#[derive(Clone, Debug)]
pub struct Noise {
    key: u64,
    draws: Cell<u64>,
    active: bool,
}

impl Noise {
    /// No dropout, no layer drop.
    pub fn none() -> Self {
        Self { key: 0, draws: Cell::new(0), active: false }
    }
    /// Masks derived from `key`, which must differ between batches.
    pub fn new(key: u64) -> Self {
        Self { key, draws: Cell::new(0), active: true }
    }
    fn next_key(&self) -> u64 {
        let n = self.draws.get() + 1;
        self.draws.set(n);
        // SplitMix64 (Steele et al. 2014) over key and counter.
        let mut z = self.key.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn dropout(&self, p: f32) -> Dropout {
        if self.active && p > 0.0 { Dropout::new(p, self.next_key()) } else { Dropout::NONE }
    }
    /// Whether a whole layer is skipped (layer drop, Fan et al. 2020).
    pub fn drops_layer(&self, p: f32) -> bool {
        self.active && p > 0.0 && Dropout::new(p, self.next_key()).factor(0) == 0.0
    }
}

pub(super) struct Linear {
    /// Path within the layer, as the seam names it.
    module: &'static str,
    weight: Parameter,
    bias: Parameter,
}

impl Linear {
    fn new(set: &ParameterSet, layer: &str, module: &'static str) -> Result<Self> {
        Ok(Self {
            module,
            weight: set.get(&format!("{layer}.{module}.weight"))?.clone(),
            bias: set.get(&format!("{layer}.{module}.bias"))?.clone(),
        })
    }

    fn forward(&self, pass: &Pass<'_>, x: &Value, parts: &LayerParts, relu: bool) -> Result<Value> {
        self.forward_with(pass, x, &self.weight.value(), parts, relu)
    }

    fn forward_with(
        &self,
        pass: &Pass<'_>,
        x: &Value,
        w: &Value,
        parts: &LayerParts,
        relu: bool,
    ) -> Result<Value> {
        let b = self.bias.value();
        match parts.low_rank.get(self.module).filter(|updates| !updates.is_empty()) {
            None => pass.tape.linear(x, w, Some(&b), relu),
            Some(updates) => {
                let dropout = pass.noise.dropout(updates[0].dropout);
                pass.tape.low_rank_linear(x, w, &b, updates, relu, dropout)
            }
        }
    }
}

pub(super) struct LayerNorm {
    weight: Parameter,
    bias: Parameter,
}

impl LayerNorm {
    pub(super) fn new(set: &ParameterSet, name: &str) -> Result<Self> {
        Ok(Self {
            weight: set.get(&format!("{name}.weight"))?.clone(),
            bias: set.get(&format!("{name}.bias"))?.clone(),
        })
    }
    pub(super) fn forward(&self, tape: &Tape, x: &Value) -> Result<Value> {
        tape.layer_norm(x, &self.weight.value(), &self.bias.value())
    }
}

/// Multi-head attention with its norm: `self_attn` or `encoder_attn`.
struct Attention {
    heads: usize,
    /// Where an adapter on its output is placed.
    position: Position,
    norm: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
}

/// The parts of the context shared by all layers of a side.
pub(super) struct Pass<'a> {
    pub tape: &'a Tape,
    pub noise: &'a Noise,
    pub config: &'a ModelConfig,
    pub offsets: &'a Arc<[usize]>,
}

/// The rows of sentences that can be attended to.
pub(super) struct Keys {
    /// None: all.
    pub rows: Option<Tensor>,
    pub offsets: Arc<[usize]>,
}

impl Keys {
    pub(super) fn of(&self, x: &Value) -> Result<Value> {
        Ok(match &self.rows {
            Some(rows) => Value::constant(x.tensor().index_select(rows, 0)?),
            None => x.clone(),
        })
    }
}

/// What the cross-attention of a step sees: keys and values of sentences, which `offsets` part, and the
/// rows of each, which `groups` part.
pub(super) struct StepMemory<'a> {
    pub kv: &'a [Value; 2],
    pub offsets: &'a Arc<[usize]>,
    pub groups: &'a Arc<[usize]>,
}

/// What the self-attention of a step sees: what writes keys and values of its rows to a pool and gives the
/// whole, where hypotheses begin among the rows that they see, and which rows of the pool those are.
pub(super) type Own<'a, F> = (F, &'a Arc<[usize]>, &'a Tensor);

/// Encoder states with the offsets of their sentences.
pub(super) type Memory = (Value, Arc<[usize]>);

impl Attention {
    fn new(set: &ParameterSet, layer: &str, cross: bool, heads: usize) -> Result<Self> {
        let m = |own: &'static str, other: &'static str| {
            Linear::new(set, layer, if cross { other } else { own })
        };
        let name = if cross { "encoder_attn" } else { "self_attn" };
        Ok(Self {
            heads,
            position: if cross { Position::CrossAttention } else { Position::Attention },
            norm: LayerNorm::new(set, &format!("{layer}.{name}_layer_norm"))?,
            q_proj: m("self_attn.q_proj", "encoder_attn.q_proj")?,
            k_proj: m("self_attn.k_proj", "encoder_attn.k_proj")?,
            v_proj: m("self_attn.v_proj", "encoder_attn.v_proj")?,
            out_proj: m("self_attn.out_proj", "encoder_attn.out_proj")?,
        })
    }

    /// `x + dropout(out_proj(attention(norm(x))))`; keys come from `memory` when given.
    fn forward(
        &self,
        pass: &Pass<'_>,
        x: &Value,
        memory: Option<(&Value, &Arc<[usize]>)>,
        causal: bool,
        parts: &LayerParts,
    ) -> Result<Value> {
        let tape = pass.tape;
        let h = self.norm.forward(tape, x)?;
        let (from, k_offsets) = memory.unwrap_or((&h, pass.offsets));
        let q = self.q_proj.forward(pass, &h, parts, false)?;
        let kv = self.keys_values(pass, from, parts)?;
        self.attend(pass, x, &q, (&kv, k_offsets, None), causal, parts)
    }

    fn keys_values(&self, pass: &Pass<'_>, from: &Value, parts: &LayerParts) -> Result<[Value; 2]> {
        Ok([
            self.k_proj.forward(pass, from, parts, false)?,
            self.v_proj.forward(pass, from, parts, false)?,
        ])
    }

    /// `x + dropout(out_proj(attention))` of queries, and of keys and values with their sentences.
    fn attend(
        &self,
        pass: &Pass<'_>,
        x: &Value,
        q: &Value,
        ([k, v], k_offsets, k_rows): (&[Value; 2], &Arc<[usize]>, Option<&Tensor>),
        causal: bool,
        parts: &LayerParts,
    ) -> Result<Value> {
        let spec = AttentionSpec {
            heads: self.heads,
            q_offsets: pass.offsets.clone(),
            k_offsets: k_offsets.clone(),
            causal,
            dropout: pass.noise.dropout(pass.config.attention_dropout),
            k_rows: k_rows.cloned(),
        };
        let a = pass.tape.attention(q, k, v, spec)?;
        let o = self.out_proj.forward(pass, &a, parts, false)?;
        end_block(pass, x, &o, parts, self.position)
    }
}

/// `fc2(relu(fc1(norm(x))))` with its residual connection.
struct FeedForward {
    norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
}

impl FeedForward {
    fn new(set: &ParameterSet, layer: &str) -> Result<Self> {
        Ok(Self {
            norm: LayerNorm::new(set, &format!("{layer}.final_layer_norm"))?,
            fc1: Linear::new(set, layer, "fc1")?,
            fc2: Linear::new(set, layer, "fc2")?,
        })
    }
    /// The block of the kept neurons alone, not to be trained. A neuron that is not kept still has its
    /// bias: a constant that the second map takes in.
    fn compact(&self, mask: &NeuronMask) -> Result<FeedForwardWeights> {
        let [w1, b1, w2, b2] =
            [&self.fc1.weight, &self.fc1.bias, &self.fc2.weight, &self.fc2.bias].map(|p| &p.tensor);
        let (ffn, width) = w1.dims2()?;
        let device = w1.device();
        let mut flags = vec![1f32; ffn];
        mask.kept().iter().for_each(|&i| flags[i as usize] = 0.0);
        let others = (b1.relu()? * Tensor::from_vec(flags, ffn, device)?)?.unsqueeze(0)?;
        let constant = others.matmul(&w2.to_dtype(DType::F32)?.t()?)?.squeeze(0)?;
        let (own1, own_b1, own2) = if mask.kept().is_empty() {
            // Something to multiply: a neuron that does nothing.
            let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, device);
            (zeros(&[1, width])?, zeros(&[1])?, zeros(&[width, 1])?)
        } else {
            let rows = Tensor::from_slice(mask.kept(), mask.kept().len(), device)?;
            (w1.index_select(&rows, 0)?, b1.index_select(&rows, 0)?, w2.index_select(&rows, 1)?)
        };
        Ok(FeedForwardWeights {
            w1: Value::constant(own1),
            b1: Value::constant(own_b1),
            w2: Value::constant(own2),
            b2: Value::constant((constant + b2)?),
        })
    }

    fn forward(&self, pass: &Pass<'_>, x: &Value, parts: &LayerParts) -> Result<Value> {
        let tape = pass.tape;
        let dropout = pass.noise.dropout(pass.config.activation_dropout);
        let h = self.norm.forward(tape, x)?;
        if let Some(w) = &parts.compact {
            let h = tape.linear(&h, &w.w1, Some(&w.b1), true)?;
            let h = tape.linear(&h, &w.w2, Some(&w.b2), false)?;
            return end_block(pass, x, &h, parts, Position::FeedForward);
        }
        let mask = parts.neurons.as_ref().filter(|m| !m.is_full());
        let updated = |m: &str| parts.low_rank.contains_key(m);
        let h = match mask {
            Some(mask) if dropout.is_none() && !updated("fc1") && !updated("fc2") => {
                let weights = FeedForwardWeights {
                    w1: self.fc1.weight.value(),
                    b1: self.fc1.bias.value(),
                    w2: self.fc2.weight.value(),
                    b2: self.fc2.bias.value(),
                };
                tape.masked_feed_forward(&h, &weights, mask.kept())?
            }
            mask => {
                let mut w1 = self.fc1.weight.value();
                if let Some(mask) = mask {
                    w1 = tape.keep_rows(&w1, mask.kept())?;
                }
                let h = self.fc1.forward_with(pass, &h, &w1, parts, true)?;
                let h = tape.dropout(&h, dropout)?;
                self.fc2.forward(pass, &h, parts, false)?
            }
        };
        end_block(pass, x, &h, parts, Position::FeedForward)
    }
}

/// `x + dropout(h)`: the residual connection of a block, with an adapter on `dropout(h)` where the
/// layer has one there (Hyper-X: behind the dropout, before the addition).
fn end_block(
    pass: &Pass<'_>,
    x: &Value,
    h: &Value,
    parts: &LayerParts,
    position: Position,
) -> Result<Value> {
    let dropout = pass.noise.dropout(pass.config.dropout);
    match parts.adapters.get(&position) {
        None => pass.tape.residual(x, h, dropout),
        Some(adapter) => {
            let h = pass.tape.dropout(h, dropout)?;
            pass.tape.residual(x, &adapter.forward(pass.tape, &h)?, Dropout::NONE)
        }
    }
}

/// One layer of either side; decoder layers have cross-attention.
pub(super) struct Layer {
    self_attn: Attention,
    encoder_attn: Option<Attention>,
    feed_forward: FeedForward,
}

impl Layer {
    pub(super) fn encoder(set: &ParameterSet, config: &ModelConfig, i: usize) -> Result<Self> {
        let name = format!("model.encoder.layers.{i}");
        Ok(Self {
            self_attn: Attention::new(set, &name, false, config.encoder_attention_heads)?,
            encoder_attn: None,
            feed_forward: FeedForward::new(set, &name)?,
        })
    }
    pub(super) fn decoder(set: &ParameterSet, config: &ModelConfig, i: usize) -> Result<Self> {
        let name = format!("model.decoder.layers.{i}");
        let heads = config.decoder_attention_heads;
        Ok(Self {
            self_attn: Attention::new(set, &name, false, heads)?,
            encoder_attn: Some(Attention::new(set, &name, true, heads)?),
            feed_forward: FeedForward::new(set, &name)?,
        })
    }

    /// One segment of the tape: with gradient checkpointing only `x` is kept of it.
    pub(super) fn forward(
        self: &Arc<Self>,
        tape: &Tape,
        noise: &Noise,
        config: &Arc<ModelConfig>,
        (x, offsets): (Value, &Arc<[usize]>),
        memory: Option<&Memory>,
        parts: &LayerParts,
    ) -> Result<Value> {
        let (layer, config, offsets) = (Arc::clone(self), Arc::clone(config), Arc::clone(offsets));
        let (memory, parts) = (memory.cloned(), parts.clone());
        tape.segment(noise, move |tape, noise| {
            let pass = Pass { tape, noise, config: &config, offsets: &offsets };
            layer.compute(&pass, &x, memory.as_ref().map(|(m, o)| (m, o)), &parts)
        })
    }

    fn compute(
        &self,
        pass: &Pass<'_>,
        x: &Value,
        memory: Option<(&Value, &Arc<[usize]>)>,
        parts: &LayerParts,
    ) -> Result<Value> {
        let causal = self.encoder_attn.is_some();
        let mut x = self.self_attn.forward(pass, x, None, causal, parts)?;
        if let Some(cross) = &self.encoder_attn {
            x = cross.forward(pass, &x, memory, false, parts)?;
        }
        self.end(pass, &x, parts)
    }

    /// The parts with what of the layer they change cut out of it once, to run and not to train. They
    /// lie on the layer's device.
    pub(super) fn prepared(&self, mut parts: LayerParts) -> Result<LayerParts> {
        let updated = ["fc1", "fc2"].iter().any(|m| parts.low_rank.contains_key(*m));
        let mask = parts.neurons.as_ref().filter(|m| !m.is_full() && !updated);
        parts.compact = mask.map(|m| self.feed_forward.compact(m).map(Arc::new)).transpose()?;
        Ok(parts)
    }

    /// Keys and values `[src_tokens, d_model]` of encoder states for the cross-attention.
    pub(super) fn memory_of(
        &self,
        pass: &Pass<'_>,
        states: &Value,
        parts: &LayerParts,
    ) -> Result<[Value; 2]> {
        self.cross()?.keys_values(pass, states, parts)
    }

    /// The next tokens `x` `[rows, d_model]` of several hypotheses, which `pass.offsets` part. `own` takes
    /// keys and values of the rows and returns those of the whole hypotheses, which `own_offsets` part.
    pub(super) fn step(
        &self,
        pass: &Pass<'_>,
        x: &Value,
        (own, own_offsets, own_rows): Own<'_, impl FnOnce([Value; 2]) -> Result<[Value; 2]>>,
        memory: &StepMemory<'_>,
        parts: &LayerParts,
    ) -> Result<Value> {
        let attn = &self.self_attn;
        let h = attn.norm.forward(pass.tape, x)?;
        let q = attn.q_proj.forward(pass, &h, parts, false)?;
        let kv = own(attn.keys_values(pass, &h, parts)?)?;
        let x = attn.attend(pass, x, &q, (&kv, own_offsets, Some(own_rows)), true, parts)?;
        let cross = self.cross()?;
        let h = cross.norm.forward(pass.tape, &x)?;
        let q = cross.q_proj.forward(pass, &h, parts, false)?;
        let grouped = Pass { offsets: memory.groups, ..*pass };
        let x = cross.attend(&grouped, &x, &q, (memory.kv, memory.offsets, None), false, parts)?;
        self.end(pass, &x, parts)
    }

    fn cross(&self) -> Result<&Attention> {
        self.encoder_attn.as_ref().ok_or_else(|| Error::bug("a decoder layer without its memory"))
    }

    /// The whole layer without parts, with an eye on the inner values of its feed-forward block, which
    /// `watch` sees. `keys` are the rows that can be attended to.
    pub(super) fn watched(
        &self,
        pass: &Pass<'_>,
        x: &Value,
        keys: &Keys,
        memory: Option<(&Value, &Arc<[usize]>)>,
        watch: &mut dyn FnMut(&Tensor) -> Result<()>,
    ) -> Result<Value> {
        let (tape, parts) = (pass.tape, &LayerParts::default());
        let attn = &self.self_attn;
        let h = attn.norm.forward(tape, x)?;
        let q = attn.q_proj.forward(pass, &h, parts, false)?;
        let kv = attn.keys_values(pass, &keys.of(&h)?, parts)?;
        let causal = self.encoder_attn.is_some();
        let mut x = attn.attend(pass, x, &q, (&kv, &keys.offsets, None), causal, parts)?;
        if let Some(cross) = &self.encoder_attn {
            x = cross.forward(pass, &x, memory, false, parts)?;
        }
        let f = &self.feed_forward;
        let h = f.norm.forward(tape, &x)?;
        let h = f.fc1.forward(pass, &h, parts, true)?;
        watch(h.tensor())?;
        let h = f.fc2.forward(pass, &h, parts, false)?;
        end_block(pass, &x, &h, parts, Position::FeedForward)
    }

    /// What follows the attentions.
    fn end(&self, pass: &Pass<'_>, x: &Value, parts: &LayerParts) -> Result<Value> {
        let x = self.feed_forward.forward(pass, x, parts)?;
        match parts.adapters.get(&Position::Layer) {
            None => Ok(x),
            Some(adapter) => adapter.forward(pass.tape, &x),
        }
    }
}
