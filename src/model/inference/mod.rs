//! The model as translation runs it: weights packed once, plain f32 slices, caches, no tape and
//! no tensor objects in the loops.
//!
//! Sequences are ragged: rows of all sentences lie one after another, without padding, and
//! attention runs sentence by sentence. Together with kernels whose sums do not depend on the
//! number of rows this makes every result byte-identical for every batch.

mod adapted;
mod adapters;
mod cache;
mod decoder;
mod direction;
mod encoder;
mod observe;
mod weights;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::kernels::buffer::Arena;
use crate::kernels::embedding::sinusoidal_positions;
use crate::kernels::infer::vocab::OutputLayer;
use crate::kernels::packed::WeightFormat;
use crate::kernels::packed::int8::MAX_INPUTS;
use crate::kernels::vector::Isa;
use crate::model::checkpoint::parameter_shapes;
use crate::model::{Checkpoint, ModelConfig};

pub use adapted::{AdaptedLinear, LowRankForm};
pub use cache::SourceMemory;
pub use decoder::{Decoder, Row, encoded_together};
pub use observe::{Activity, ActivityOptions, BlockActivity, ForcedPair};
pub use weights::{DecoderLayer, DirectionWeights, EncoderLayer, FinalNorms, Given, Parameters};

/// A model ready to translate: immutable, shared by all decoders.
pub struct InferenceModel {
    config: ModelConfig,
    isa: Isa,
    format: WeightFormat,
    /// In all matrices: what reading one token costs.
    num_values: usize,
    /// The one embedding matrix: looked up for tokens, and the output layer.
    output: OutputLayer,
    /// `[max_len + offset, d_model]`.
    positions: Vec<f32>,
    norms: FinalNorms,
    base: Arc<DirectionWeights>,
}

impl InferenceModel {
    /// Packs the weights of a checkpoint in f32, reading the file row by row and once: the packed
    /// weights are all the memory it takes.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        Self::with_isa(checkpoint, Isa::detect())
    }

    /// The same on a given instruction set, one of [`Isa::available`].
    pub fn with_isa(checkpoint: &Checkpoint, isa: Isa) -> Result<Self> {
        Self::with_format(checkpoint, isa, WeightFormat::F32)
    }

    /// The same with matrices in another format.
    pub fn with_format(checkpoint: &Checkpoint, isa: Isa, format: WeightFormat) -> Result<Self> {
        let bias = checkpoint.final_logits_bias()?;
        Self::load(&checkpoint.config, isa, format, checkpoint, bias)
    }

    /// From weights that are not on disk, such as those of a model in training. `values` gives a
    /// parameter by its name and shape in the checkpoint, row-major.
    pub fn from_source(
        config: &ModelConfig,
        values: impl Fn(&str, &[usize]) -> Result<Vec<f32>>,
        final_logits_bias: Option<Vec<f32>>,
    ) -> Result<Self> {
        let parameters = weights::Given(values);
        Self::load(config, Isa::detect(), WeightFormat::F32, &parameters, final_logits_bias)
    }

    fn load(
        config: &ModelConfig,
        isa: Isa,
        format: WeightFormat,
        parameters: &dyn weights::Parameters,
        final_logits_bias: Option<Vec<f32>>,
    ) -> Result<Self> {
        let widest = config.d_model.max(config.encoder_ffn_dim).max(config.decoder_ffn_dim);
        if format == WeightFormat::Int8 && widest > MAX_INPUTS {
            return Err(Error::artifact("model is too wide for sums of products in int8")
                .found(widest.to_string())
                .expected(format!("at most {MAX_INPUTS}")));
        }
        let source = weights::Source {
            config,
            format,
            parameters,
            final_logits_bias: final_logits_bias.as_deref(),
        };
        let pad = config.pad_token_id as usize;
        let mut arena = Arena::with_capacity(weights::packed_len(config, format));
        let base = DirectionWeights::load(&source, &mut arena)?;
        let output = weights::load_output(&source, &mut arena)?;
        let matrices = parameter_shapes(config).into_values().filter(|s| s.len() == 2);
        Ok(Self {
            isa,
            format,
            num_values: matrices.map(|s| s[0] * s[1]).sum(),
            output,
            // Positions begin behind the padding row, and decoding may use one more than a
            // source of full length.
            positions: sinusoidal_positions(config.max_len() + pad + 2, config.d_model, pad),
            norms: FinalNorms::load(&source)?,
            base: Arc::new(base),
            config: config.clone(),
        })
    }

    /// How the matrices are held.
    pub fn format(&self) -> WeightFormat {
        self.format
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The layers of a plain model. Methods derive a direction's own layers from these: what a
    /// direction does not change, it shares.
    pub fn base_weights(&self) -> &Arc<DirectionWeights> {
        &self.base
    }

    /// An output layer `[ids.len(), d_model]` of some tokens, for [`DirectionWeights::shortlist`]; `ids`
    /// ascend and are in the vocabulary.
    ///
    /// # Errors
    /// As of [`OutputLayer::of_tokens`].
    pub fn output_of(&self, ids: Vec<u32>) -> Result<OutputLayer> {
        self.output.of_tokens(ids)
    }

    /// What the weights occupy.
    pub fn size_bytes(&self) -> usize {
        self.base.size_bytes() + self.output.size_bytes()
    }

    /// The longest sequence either side can hold, decoder start included.
    pub fn max_len(&self) -> usize {
        self.config.max_len()
    }

    /// The input of a side: `[d_model]` for one token at `index` of its sequence.
    ///
    /// transformers, `M2M100SinusoidalPositionalEmbedding.create_position_ids_from_input_ids`:
    /// padding has the zero row, all others count from `padding_idx + 1`.
    fn embed(&self, token: u32, index: usize, out: &mut [f32]) {
        let d = self.config.d_model;
        self.output.weight().row(token as usize, self.config.embed_scale(), out);
        if token != self.config.pad_token_id {
            let at = (index + self.config.pad_token_id as usize + 1) * d;
            for (o, p) in out.iter_mut().zip(&self.positions[at..at + d]) {
                *o += p;
            }
        }
    }
}
