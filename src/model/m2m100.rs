//! The whole model for training and evaluation with teacher forcing.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::checkpoint::{Checkpoint, SHARED};
use super::config::ModelConfig;
use super::layers::{Layer, LayerNorm, Memory, Noise};
use super::parameters::{FrozenType, ParameterSet};
use super::ragged::Ragged;
use super::seam::{DirectionParts, LayerParts};
use crate::autograd::{Gradients, Parameter, Tape, Value, composed};
use crate::error::{Error, Result};
use crate::formats::neurons::Side;
use crate::kernels::cross_entropy::{self, LossSums};
use crate::kernels::storage::{uninit, values};
use crate::kernels::weights::{stored, widened};
use crate::kernels::{embedding, linear};

/// The loss of one batch: sums over target tokens, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrainingLoss {
    pub sums: LossSums,
    pub num_tokens: usize,
}

/// M2M-100 with its weights.
pub struct M2m100 {
    pub(super) config: Arc<ModelConfig>,
    pub(super) shared: Parameter,
    /// `[max_len + offset, d_model]`.
    pub(super) positions: Tensor,
    pub(super) encoder: Vec<Arc<Layer>>,
    pub(super) encoder_norm: LayerNorm,
    pub(super) decoder: Vec<Arc<Layer>>,
    pub(super) decoder_norm: LayerNorm,
    pub(super) final_logits_bias: Option<Arc<[f32]>>,
}

/// One batch of one direction.
#[derive(Clone, Copy)]
pub struct Teacher<'a> {
    /// `[mark, pieces, eos]` each.
    pub src: &'a Ragged,
    /// `[mark, pieces, eos]` each; the decoder sees them shifted right.
    pub labels: &'a Ragged,
    /// One weight a target token; none means 1.
    pub weights: Option<&'a [f32]>,
}

impl M2m100 {
    pub fn new(
        config: &ModelConfig,
        set: &ParameterSet,
        final_logits_bias: Option<Vec<f32>>,
    ) -> Result<Self> {
        let pad = config.pad_token_id as usize;
        let rows = config.max_len() + pad + 1;
        let table = embedding::sinusoidal_positions(rows, config.d_model, pad);
        let device = set.get(SHARED)?.tensor.device();
        Ok(Self {
            shared: set.get(SHARED)?.clone(),
            positions: Tensor::from_vec(table, (rows, config.d_model), device)?,
            encoder: (0..config.encoder_layers)
                .map(|i| Layer::encoder(set, config, i).map(Arc::new))
                .collect::<Result<_>>()?,
            encoder_norm: LayerNorm::new(set, "model.encoder.layer_norm")?,
            decoder: (0..config.decoder_layers)
                .map(|i| Layer::decoder(set, config, i).map(Arc::new))
                .collect::<Result<_>>()?,
            decoder_norm: LayerNorm::new(set, "model.decoder.layer_norm")?,
            final_logits_bias: final_logits_bias.map(Into::into),
            config: Arc::new(config.clone()),
        })
    }

    /// A model to run on a device and not to train; with `in_bf16` its matrices lie there in bf16, and
    /// both factors of products are rounded to it.
    ///
    /// # Errors
    /// Those of reading; the device's own: no memory, above all.
    pub fn on_device(checkpoint: &Checkpoint, device: &Device, in_bf16: bool) -> Result<Self> {
        let frozen = if in_bf16 { FrozenType::Bf16 } else { FrozenType::F32 };
        let mut set = ParameterSet::read(&checkpoint.config, checkpoint, |_| false, frozen)?;
        set.move_to(device, in_bf16)?;
        Self::new(&checkpoint.config, &set, checkpoint.final_logits_bias()?)
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Parts of a layer on the device of the model, made ready to run and not to train.
    ///
    /// # Errors
    /// The device's own; a bug: there is no such layer.
    pub fn prepared(&self, side: Side, layer: usize, parts: &LayerParts) -> Result<LayerParts> {
        let layers = match side {
            Side::Encoder => &self.encoder,
            Side::Decoder => &self.decoder,
        };
        let layer = layers.get(layer).ok_or_else(|| Error::bug("parts of a layer too many"))?;
        layer.prepared(parts.on(self.shared.tensor.device())?)
    }

    fn embed(&self, tape: &Tape, noise: &Noise, ids: &Ragged) -> Result<Value> {
        if ids.max_len() > self.config.max_len() {
            return Err(Error::bug("sentence is longer than the position table"));
        }
        self.check_ids(&ids.ids)?;
        let x = tape.embed(
            &self.shared.value(),
            &self.positions,
            ids.ids.clone(),
            &ids.offsets,
            self.config.pad_token_id as usize + 1,
            self.config.embed_scale(),
        )?;
        tape.dropout(&x, noise.dropout(self.config.dropout))
    }

    pub(super) fn check_ids(&self, ids: &[u32]) -> Result<()> {
        match ids.iter().find(|&&id| id as usize >= self.config.vocab_size) {
            Some(id) => Err(Error::bug(format!("token id {id} is not in the vocabulary"))),
            None => Ok(()),
        }
    }

    /// Where the tokens of a source stand; padding has the zero row, and all others are counted from
    /// behind it.
    ///
    /// transformers, `M2M100SinusoidalPositionalEmbedding.create_position_ids_from_input_ids`.
    pub(super) fn source_places(&self, ids: &[u32]) -> Vec<u32> {
        let pad = self.config.pad_token_id;
        let mut last = pad;
        let place = |id: &u32| match *id == pad {
            true => pad,
            false => {
                last += 1;
                last
            }
        };
        ids.iter().map(place).collect()
    }

    /// Where a token at an index of the decoder's input stands.
    pub(super) fn target_place(&self, id: u32, index: usize) -> u32 {
        let pad = self.config.pad_token_id;
        if id == pad { pad } else { pad + 1 + index as u32 }
    }

    /// Rows of tokens whose places are given.
    pub(super) fn embed_at(&self, tape: &Tape, ids: &Arc<[u32]>, places: &[u32]) -> Result<Value> {
        self.check_ids(ids)?;
        let rows = self.positions.dims2()?.0;
        if places.iter().any(|&p| p as usize >= rows) {
            return Err(Error::bug("sentence is longer than the position table"));
        }
        let scale = self.config.embed_scale();
        tape.embed_at(&self.shared.tensor, &self.positions, (ids, places), scale)
    }

    /// Encoder states `[src_tokens, d_model]`.
    pub fn encode(
        &self,
        tape: &Tape,
        noise: &Noise,
        src: &Ragged,
        parts: &[LayerParts],
    ) -> Result<Value> {
        let x = self.embed(tape, noise, src)?;
        self.encode_rows(tape, noise, x, &src.offsets, parts)
    }

    /// The same from embedded tokens.
    pub(super) fn encode_rows(
        &self,
        tape: &Tape,
        noise: &Noise,
        mut x: Value,
        offsets: &Arc<[usize]>,
        parts: &[LayerParts],
    ) -> Result<Value> {
        for (layer, parts) in self.encoder.iter().zip(parts) {
            if !noise.drops_layer(self.config.encoder_layerdrop) {
                x = layer.forward(tape, noise, &self.config, (x, offsets), None, parts)?;
            }
        }
        self.encoder_norm.forward(tape, &x)
    }

    /// Decoder states `[tgt_tokens, d_model]` over inputs that begin with the start token.
    pub fn decode(
        &self,
        tape: &Tape,
        noise: &Noise,
        input: &Ragged,
        memory: &Value,
        memory_offsets: &Arc<[usize]>,
        parts: &[LayerParts],
    ) -> Result<Value> {
        let memory: Memory = (memory.clone(), Arc::clone(memory_offsets));
        let mut x = self.embed(tape, noise, input)?;
        for (layer, parts) in self.decoder.iter().zip(parts) {
            if !noise.drops_layer(self.config.decoder_layerdrop) {
                let at = (x, &input.offsets);
                x = layer.forward(tape, noise, &self.config, at, Some(&memory), parts)?;
            }
        }
        self.decoder_norm.forward(tape, &x)
    }

    fn hidden(
        &self,
        tape: &Tape,
        noise: &Noise,
        batch: Teacher<'_>,
        parts: &DirectionParts,
    ) -> Result<Value> {
        let memory = self.encode(tape, noise, batch.src, &parts.encoder)?;
        let input = batch.labels.shifted_right(self.config.decoder_start_token_id);
        self.decode(tape, noise, &input, &memory, &batch.src.offsets, &parts.decoder)
    }

    /// Logits `[tgt_tokens, vocab]` with teacher forcing.
    pub fn logits(&self, batch: Teacher<'_>, parts: &DirectionParts) -> Result<Vec<f32>> {
        let h = self.hidden(&Tape::disabled(), &Noise::none(), batch, parts)?;
        Ok(linear::forward(
            &values(h.tensor())?,
            &widened(&self.shared.tensor)?,
            self.final_logits_bias.as_deref(),
            self.config.d_model,
            false,
        ))
    }

    /// The loss without gradients or dropout.
    pub fn evaluate(
        &self,
        batch: Teacher<'_>,
        parts: &DirectionParts,
        smoothing: f32,
    ) -> Result<TrainingLoss> {
        let h = self.hidden(&Tape::disabled(), &Noise::none(), batch, parts)?;
        let num_tokens = batch.labels.num_tokens();
        if !h.tensor().device().is_cpu() {
            let inputs = self.loss_inputs(h.tensor(), batch, smoothing, false);
            let (sums, _) = composed::cross_entropy(&inputs, None, false)?;
            return Ok(TrainingLoss { sums, num_tokens });
        }
        let sums = cross_entropy::forward(&cross_entropy::Inputs {
            hidden: &values(h.tensor())?,
            weight: stored(&self.shared.tensor)?.weights(),
            bias: self.final_logits_bias.as_deref(),
            labels: &batch.labels.ids,
            weights: batch.weights,
            smoothing,
            width: self.config.d_model,
        });
        Ok(TrainingLoss { sums, num_tokens })
    }

    fn loss_inputs<'a>(
        &'a self,
        hidden: &'a Tensor,
        batch: Teacher<'a>,
        smoothing: f32,
        in_bf16: bool,
    ) -> composed::CrossEntropy<'a> {
        composed::CrossEntropy {
            hidden,
            weight: &self.shared.tensor,
            bias: self.final_logits_bias.as_deref(),
            labels: &batch.labels.ids,
            weights: batch.weights,
            smoothing,
            in_bf16,
        }
    }

    /// The loss, its gradients times `scale` added to `gradients`. `tape` may hold what `parts`
    /// were computed from; it is used up.
    #[allow(clippy::too_many_arguments)]
    pub fn train(
        &self,
        tape: Tape,
        batch: Teacher<'_>,
        parts: &DirectionParts,
        noise: &Noise,
        smoothing: f32,
        scale: f32,
        gradients: &mut Gradients,
    ) -> Result<TrainingLoss> {
        let h = self.hidden(&tape, noise, batch, parts)?;
        if !tape.has_kernels(&h) {
            let inputs = self.loss_inputs(h.tensor(), batch, smoothing, tape.is_in_bf16());
            let of_weight = self.shared.is_trainable();
            let (sums, found) = composed::cross_entropy(&inputs, Some(scale), of_weight)?;
            let found = found.ok_or_else(|| Error::bug("a loss without gradients"))?;
            let to_weight = found.weight.map(|g| (self.shared.value(), g));
            let seeds = [(h, found.hidden)].into_iter().chain(to_weight).collect();
            tape.backward(seeds, gradients)?;
            return Ok(TrainingLoss { sums, num_tokens: batch.labels.num_tokens() });
        }
        let dims = h.tensor().dims().to_vec();
        let mut dh = uninit(h.tensor().elem_count());
        let sums = {
            let (hidden, weight) = (values(h.tensor())?, stored(&self.shared.tensor)?);
            let inputs = cross_entropy::Inputs {
                hidden: &hidden,
                weight: weight.weights(),
                bias: self.final_logits_bias.as_deref(),
                labels: &batch.labels.ids,
                weights: batch.weights,
                smoothing,
                width: self.config.d_model,
            };
            let mut sums = LossSums::default();
            match self.shared.slot {
                Some(slot) => gradients.write(slot, |dw, accumulate| {
                    sums = cross_entropy::forward_backward(
                        &inputs,
                        scale,
                        &mut dh,
                        Some((dw, accumulate)),
                    );
                })?,
                None => {
                    sums = cross_entropy::forward_backward(&inputs, scale, &mut dh, None);
                }
            }
            sums
        };
        let seed = Tensor::from_vec(dh, dims, &Device::Cpu)?;
        tape.backward(vec![(h, seed)], gradients)?;
        Ok(TrainingLoss { sums, num_tokens: batch.labels.num_tokens() })
    }
}
