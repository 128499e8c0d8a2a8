//! What a direction does differently, from all the parts a model runs with.

use super::lora::{LoraSet, LoraUse, UnknownLanguage};
use super::{MaskProvider, MaskUse};
use crate::error::Result;
use crate::model::{DirectionParts, ModelConfig};

/// Masks and LoRA, each or neither.
pub struct Provider {
    pub masks: Option<MaskProvider>,
    pub lora: Option<(LoraSet, UnknownLanguage)>,
}

/// Which of them a direction uses. Directions that are equal run the same layers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectionUse {
    pub masks: MaskUse,
    pub lora: LoraUse,
}

impl Provider {
    /// # Errors
    /// Data: the direction has no mask or no LoRA, and that was not allowed.
    pub fn choose(&self, src_lang: &str, tgt_lang: &str) -> Result<DirectionUse> {
        let masks = match &self.masks {
            Some(masks) => masks.choose(src_lang, tgt_lang)?,
            None => MaskUse::Dense,
        };
        let lora = match &self.lora {
            Some((set, unknown)) => set.choose(src_lang, tgt_lang, *unknown)?,
            None => LoraUse::default(),
        };
        Ok(DirectionUse { masks, lora })
    }

    pub fn parts(&self, used: &DirectionUse, config: &ModelConfig) -> Result<DirectionParts> {
        let mut parts = match &self.masks {
            Some(masks) => masks.parts(&used.masks)?,
            None => DirectionParts::none(config),
        };
        if let Some((set, _)) = &self.lora {
            parts.add_low_rank(set.parts(&used.lora, &|_, _, _| None));
        }
        Ok(parts)
    }
}

impl DirectionUse {
    /// What the encoder's layers depend on.
    pub fn encoder(&self) -> Self {
        let masks = match &self.masks {
            MaskUse::Merged { encoder, .. } => MaskUse::Group(encoder.clone()),
            other => other.clone(),
        };
        Self { masks, lora: LoraUse { encoder: self.lora.encoder.clone(), ..LoraUse::default() } }
    }

    /// What the decoder's layers depend on.
    pub fn decoder(&self) -> Self {
        let masks = match &self.masks {
            MaskUse::Merged { decoder, .. } => MaskUse::Group(decoder.clone()),
            other => other.clone(),
        };
        Self { masks, lora: LoraUse { decoder: self.lora.decoder.clone(), ..LoraUse::default() } }
    }
}
