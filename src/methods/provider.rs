//! What a direction does differently, from all the parts a model runs with.

use super::lora::LoraSet;
use super::placed::{LayerUse, SetUse, UnknownLanguage};
use super::{MaskProvider, MaskUse};
use crate::error::Result;
use crate::formats::neurons::Side;
use crate::model::{DirectionParts, ModelConfig};

/// Masks and LoRA, each or neither.
#[derive(Default)]
pub struct Provider {
    pub masks: Option<MaskProvider>,
    pub lora: Option<(LoraSet, UnknownLanguage)>,
}

/// Which of them a direction uses. Directions that are equal run the same layers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectionUse {
    pub masks: MaskUse,
    pub lora: SetUse,
}

/// What one layer depends on: its mask's group, and adapters.
pub type LayerKey = (Option<String>, LayerUse);

impl Provider {
    pub fn is_empty(&self) -> bool {
        self.masks.is_none() && self.lora.is_none()
    }

    /// # Errors
    /// Data: the direction has no mask or no LoRA, and that was not allowed.
    pub fn choose(&self, src_lang: &str, tgt_lang: &str) -> Result<DirectionUse> {
        let masks = match &self.masks {
            Some(masks) => masks.choose(src_lang, tgt_lang)?,
            None => MaskUse::Dense,
        };
        let lora = match &self.lora {
            Some((set, unknown)) => set.choose(src_lang, tgt_lang, *unknown)?,
            None => SetUse::default(),
        };
        Ok(DirectionUse { masks, lora })
    }

    pub fn parts(&self, used: &DirectionUse, config: &ModelConfig) -> Result<DirectionParts> {
        let mut parts = match &self.masks {
            Some(masks) => masks.parts(&used.masks)?,
            None => DirectionParts::none(config),
        };
        if let Some((set, _)) = &self.lora {
            parts.add(set.parts(&used.lora, &|_, _, _| None));
        }
        Ok(parts)
    }
}

impl DirectionUse {
    /// What a layer depends on.
    pub fn layer(&self, side: Side, layer: usize) -> LayerKey {
        let (group, layers) = match side {
            Side::Encoder => (self.masks.encoder(), &self.lora.encoder),
            Side::Decoder => (self.masks.decoder(), &self.lora.decoder),
        };
        (group.map(str::to_string), layers.get(layer).cloned().unwrap_or_default())
    }
}
