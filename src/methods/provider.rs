//! What a direction does differently, from all the parts a model runs with.

use super::AdapterBank;
use super::hyper::{HyperNetwork, TRANSLATION};
use super::lora::LoraSet;
use super::placed::{LayerUse, SetUse, UnknownLanguage};
use super::{MaskProvider, MaskUse};
use crate::autograd::Tape;
use crate::error::Result;
use crate::formats::hypernet::Factor;
use crate::formats::neurons::Side;
use crate::model::{DirectionParts, ModelConfig, Noise};

/// Where bottleneck adapters come from.
pub enum AdapterSource {
    /// Read when they are asked for.
    Bank(Box<AdapterBank>),
    /// Generated when they are asked for.
    Hyper(Box<HyperNetwork>),
}

impl AdapterSource {
    /// The adapters of a direction of translation.
    ///
    /// # Errors
    /// Data: a language or direction has none and `unknown` says to stop.
    pub fn choose(&self, src: &str, tgt: &str, unknown: UnknownLanguage) -> Result<SetUse> {
        match self {
            Self::Bank(bank) => bank.choose(src, tgt, unknown),
            Self::Hyper(network) => match network.choose(TRANSLATION, src, tgt) {
                Err(_)
                    if unknown == UnknownLanguage::Base
                        && knows(network, TRANSLATION, &Side::BOTH) =>
                {
                    Ok(SetUse::default())
                }
                chosen => chosen,
            },
        }
    }

    /// What the encoder does differently for a task beside translation, on text of one language; the
    /// decoder, which takes no part, needs no adapters of that language.
    ///
    /// # Errors
    /// Data: the language has none and `unknown` says to stop, or the task has no vector.
    pub fn encoder_parts(
        &self,
        task: &str,
        lang: &str,
        unknown: UnknownLanguage,
        config: &ModelConfig,
    ) -> Result<DirectionParts> {
        match self {
            Self::Bank(bank) => {
                let placement = &bank.dir().config().placement;
                self.parts(&placement.choose_encoder("adapter", lang, unknown)?, config)
            }
            Self::Hyper(network) => {
                let (sides, langs) = ([Side::Encoder], (lang, lang));
                match network.check_trained(task, langs, &sides) {
                    Ok(()) => {
                        let (tape, noise) = (Tape::disabled(), Noise::none());
                        network.parts_for(&tape, &noise, task, langs, &sides)
                    }
                    Err(_) if unknown == UnknownLanguage::Base && knows(network, task, &sides) => {
                        Ok(DirectionParts::none(config))
                    }
                    Err(e) => Err(e),
                }
            }
        }
    }

    fn parts(&self, used: &SetUse, config: &ModelConfig) -> Result<DirectionParts> {
        match self {
            _ if *used == SetUse::default() => Ok(DirectionParts::none(config)),
            Self::Bank(bank) => bank.parts(used),
            Self::Hyper(network) => network.parts(used),
        }
    }
}

/// Whether sides can be told of a task. That they cannot is no matter of languages, which a base
/// model could stand in for.
fn knows(network: &HyperNetwork, task: &str, sides: &[Side]) -> bool {
    let asks = |side: &Side| network.config.inputs(*side).contains(&Factor::Task);
    !sides.iter().any(asks) || network.vector(Factor::Task.name(), task).is_ok()
}

/// Masks, LoRA and adapters, each or none.
#[derive(Default)]
pub struct Provider {
    pub masks: Option<MaskProvider>,
    pub lora: Option<(LoraSet, UnknownLanguage)>,
    pub adapters: Option<(AdapterSource, UnknownLanguage)>,
}

/// Which of them a direction uses. Directions that are equal run the same layers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirectionUse {
    pub masks: MaskUse,
    pub lora: SetUse,
    pub adapters: SetUse,
}

/// What one layer depends on: its mask's group, LoRA and adapters.
pub type LayerKey = (Option<String>, LayerUse, LayerUse);

impl Provider {
    pub fn is_empty(&self) -> bool {
        self.masks.is_none() && self.lora.is_none() && self.adapters.is_none()
    }

    /// # Errors
    /// Data: the direction has no mask, LoRA or adapters, and that was not allowed.
    pub fn choose(&self, src_lang: &str, tgt_lang: &str) -> Result<DirectionUse> {
        let masks = match &self.masks {
            Some(masks) => masks.choose(src_lang, tgt_lang)?,
            None => MaskUse::Dense,
        };
        let lora = match &self.lora {
            Some((set, unknown)) => set.choose(src_lang, tgt_lang, *unknown)?,
            None => SetUse::default(),
        };
        let adapters = match &self.adapters {
            Some((source, unknown)) => source.choose(src_lang, tgt_lang, *unknown)?,
            None => SetUse::default(),
        };
        Ok(DirectionUse { masks, lora, adapters })
    }

    pub fn parts(&self, used: &DirectionUse, config: &ModelConfig) -> Result<DirectionParts> {
        let mut parts = match &self.masks {
            Some(masks) => masks.parts(&used.masks)?,
            None => DirectionParts::none(config),
        };
        if let Some((set, _)) = &self.lora {
            parts.add(set.parts(&used.lora, &|_, _, _| None));
        }
        if let Some((source, _)) = &self.adapters {
            parts.add(source.parts(&used.adapters, config)?);
        }
        Ok(parts)
    }

    /// What the encoder runs with for a task beside translation, on text of one language. Masks are
    /// those of the direction from the language to itself.
    ///
    /// # Errors
    /// As of [`Provider::choose`], of the encoder alone.
    pub fn encoder_parts(
        &self,
        task: &str,
        lang: &str,
        config: &ModelConfig,
    ) -> Result<DirectionParts> {
        let mut parts = match &self.masks {
            Some(masks) => masks.parts(&masks.choose(lang, lang)?)?,
            None => DirectionParts::none(config),
        };
        if let Some((set, unknown)) = &self.lora {
            let used = set.placement.choose_encoder("LoRA", lang, *unknown)?;
            parts.add(set.parts(&used, &|_, _, _| None));
        }
        if let Some((source, unknown)) = &self.adapters {
            parts.add(source.encoder_parts(task, lang, *unknown, config)?);
        }
        Ok(parts)
    }
}

impl DirectionUse {
    /// What a layer depends on.
    pub fn layer(&self, side: Side, layer: usize) -> LayerKey {
        let (group, lora, adapters) = match side {
            Side::Encoder => (self.masks.encoder(), &self.lora.encoder, &self.adapters.encoder),
            Side::Decoder => (self.masks.decoder(), &self.lora.decoder, &self.adapters.decoder),
        };
        let of = |layers: &[LayerUse]| layers.get(layer).cloned().unwrap_or_default();
        (group.map(str::to_string), of(lora), of(adapters))
    }
}
