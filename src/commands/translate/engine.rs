//! The model on the device that was chosen, and the decoding of a stream with it.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::reader::Message;
use super::stream::{Totals, TranslationStream, Writing};
use super::weights::{OnDevice, Packed, Sources};
use crate::cli::Context;
use crate::cli::values::Dtype;
use crate::decoding::{BatchLimits, DecodingOptions, run as decode, run_with as decode_with};
use crate::error::Result;
use crate::io::Output;
use crate::kernels::packed::WeightFormat;
use crate::kernels::vector::Isa;
use crate::model::inference::{InferenceModel, LowRankForm};
use crate::model::stepping::Stepper;
use crate::model::{Checkpoint, M2m100};

/// What translates.
pub enum Engine {
    /// With the kernels of the CPU.
    Packed(Box<InferenceModel>),
    /// On another device; with factors of products rounded to bf16 or not.
    OnDevice(Box<M2m100>, bool),
}

impl Engine {
    /// With the format that its matrices are computed in.
    ///
    /// # Errors
    /// Artifact: the model is damaged or too wide for the format. Those of the device: no memory, above all.
    pub fn load(checkpoint: &Checkpoint, context: &Context) -> Result<(Self, WeightFormat)> {
        let format = match context.dtype() {
            Some(Dtype::F32) => WeightFormat::F32,
            Some(Dtype::Bf16) => WeightFormat::Bf16,
            Some(Dtype::Int8) => WeightFormat::Int8,
            // Half floats are computed in f32, in which they are exact.
            None | Some(Dtype::F16) => checkpoint.weight_format()?,
        };
        let device = context.device();
        if device.is_cpu() {
            let model = InferenceModel::with_format(checkpoint, Isa::detect(), format)?;
            return Ok((Self::Packed(Box::new(model)), format));
        }
        // Integers are exact in f32.
        let in_bf16 = format == WeightFormat::Bf16;
        let format = if in_bf16 { WeightFormat::Bf16 } else { WeightFormat::F32 };
        let model = M2m100::on_device(checkpoint, device, in_bf16)?;
        Ok((Self::OnDevice(Box::new(model), in_bf16), format))
    }

    /// All that `feed` brings, to the output.
    ///
    /// # Errors
    /// Those of the input, the output and the device.
    pub fn translate(
        &self,
        (options, limits, form): (DecodingOptions, BatchLimits, LowRankForm),
        sources: Sources<'_>,
        (feed, out, writing): (Receiver<Message>, Output, Writing),
        context: &Context,
    ) -> Result<Totals> {
        let (parts, tokenizer) = (Arc::clone(&sources.parts), sources.tokenizer);
        match self {
            Self::Packed(model) => {
                let maker = Packed::new(model, sources, form);
                let mut stream =
                    TranslationStream::new(feed, maker, parts, tokenizer, context, out, writing);
                decode(model, context.threads, &options, limits, &mut stream)?;
                stream.finish()
            }
            Self::OnDevice(model, in_bf16) => {
                let maker = OnDevice::new(model, sources);
                let mut stream =
                    TranslationStream::new(feed, maker, parts, tokenizer, context, out, writing);
                let stepper = Stepper::new(model, *in_bf16)?;
                decode_with(vec![stepper], &options, limits, &mut stream)?;
                stream.finish()
            }
        }
    }
}
