//! Whose adapters a direction uses.

use std::collections::BTreeSet;

use super::LoraSet;
use crate::error::{Error, ErrorKind, Result};
use crate::formats::lora_placement::{Index, Language, Layer, SHARED};

/// What to do for a language or direction without an adapter.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownLanguage {
    /// Stop
    #[default]
    Error,
    /// Use the base model where its adapter would stand
    Base,
}

/// The adapters of one layer; those it has no use for are left out, so that layers that do the same
/// for two directions are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerUse {
    source: Option<String>,
    target: Option<String>,
    direction: Option<String>,
    shared: bool,
}

impl LayerUse {
    pub(super) fn of(&self, index: Index) -> Option<&str> {
        match index {
            Index::Source => self.source.as_deref(),
            Index::Target => self.target.as_deref(),
            Index::Direction => self.direction.as_deref(),
            Index::Shared => self.shared.then_some(SHARED),
            Index::Mixed(_) => None,
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let kinds = [Index::Source, Index::Target, Index::Direction, Index::Shared];
        kinds.into_iter().filter_map(|kind| self.of(kind))
    }
}

/// The adapters a direction uses, by layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoraUse {
    pub encoder: Vec<LayerUse>,
    pub decoder: Vec<LayerUse>,
}

impl LoraUse {
    /// Names of all adapters in use, each once, sorted.
    pub fn names(&self) -> BTreeSet<&str> {
        let layers = self.encoder.iter().chain(&self.decoder);
        layers.flat_map(LayerUse::names).collect()
    }
}

/// Which of source, target, direction and all the modules of a layer ask for.
fn asks(layer: &Layer) -> [bool; 4] {
    let any = |f: fn(Index) -> bool| layer.values().any(|i| f(*i));
    [
        any(|i| matches!(i, Index::Source | Index::Mixed(_))),
        any(|i| matches!(i, Index::Target | Index::Mixed(_))),
        any(|i| i == Index::Direction),
        any(|i| i == Index::Shared),
    ]
}

impl LoraSet {
    /// The adapters of a direction.
    ///
    /// # Errors
    /// Data: a language or direction has none and `unknown` says to stop.
    pub fn choose(&self, src: &str, tgt: &str, unknown: UnknownLanguage) -> Result<LoraUse> {
        let pair = format!("{src}-{tgt}");
        let only = &self.placement.only;
        if !only.is_empty() && !only.contains(&pair) {
            if unknown == UnknownLanguage::Base {
                return Ok(LoraUse::default());
            }
            let have: Vec<&str> = only.iter().map(String::as_str).collect();
            return Err(Error::new(ErrorKind::Data, format!("direction `{pair}` has no LoRA"))
                .expected(have.join(", ")));
        }
        let layer = |layer: &Layer| -> Result<LayerUse> {
            let [source, target, direction, shared] = asks(layer);
            let mut out = LayerUse { shared, ..LayerUse::default() };
            if source {
                out.source = self.language(src, "source", |l| l.source, unknown)?;
            }
            if target {
                out.target = self.language(tgt, "target", |l| l.target, unknown)?;
            }
            if direction {
                out.direction = self.direction(src, tgt, unknown)?;
            }
            Ok(out)
        };
        Ok(LoraUse {
            encoder: self.placement.encoder.iter().map(layer).collect::<Result<_>>()?,
            decoder: self.placement.decoder.iter().map(layer).collect::<Result<_>>()?,
        })
    }

    fn language(
        &self,
        code: &str,
        role: &str,
        trained: impl Fn(&Language) -> bool,
        unknown: UnknownLanguage,
    ) -> Result<Option<String>> {
        let languages = &self.placement.languages;
        if let Some(language) = languages.get(code).filter(|l| trained(l)) {
            return Ok(Some(language.adapter.clone()));
        }
        if unknown == UnknownLanguage::Base {
            return Ok(None);
        }
        let have: Vec<&str> =
            languages.iter().filter(|(_, l)| trained(l)).map(|(c, _)| c.as_str()).collect();
        let message = match languages.contains_key(code) {
            true => format!("the LoRA of `{code}` was not trained with it as {role} language"),
            false => format!("language `{code}` has no LoRA"),
        };
        Err(Error::new(ErrorKind::Data, message)
            .expected(format!("as {role} one of {}", have.join(", ")))
            .suggest(code, have.iter().copied()))
    }

    fn direction(&self, src: &str, tgt: &str, unknown: UnknownLanguage) -> Result<Option<String>> {
        let pair = format!("{src}-{tgt}");
        if let Some(adapter) = self.placement.directions.get(&pair) {
            return Ok(Some(adapter.clone()));
        }
        if unknown == UnknownLanguage::Base {
            return Ok(None);
        }
        let have: Vec<&str> = self.placement.directions.keys().map(String::as_str).collect();
        let shown = have[..have.len().min(12)].join(", ");
        let more = if have.len() > 12 { ", ..." } else { "" };
        Err(Error::new(ErrorKind::Data, format!("direction `{pair}` has no LoRA"))
            .expected(format!("one of {shown}{more}"))
            .suggest(&pair, have.iter().copied()))
    }
}
