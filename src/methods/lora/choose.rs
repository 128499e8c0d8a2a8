//! Whose adapters a direction uses.

use super::LoraSet;
use crate::error::{Error, ErrorKind, Result};
use crate::formats::lora_placement::{Index, Language, SHARED};
use crate::formats::neurons::Side;

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

/// The adapters of one side; those it has no use for are left out, so that directions that run the
/// same layers are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SideUse {
    source: Option<String>,
    target: Option<String>,
    direction: Option<String>,
}

impl SideUse {
    pub(super) fn of(&self, index: Index) -> Option<&str> {
        match index {
            Index::Source => self.source.as_deref(),
            Index::Target => self.target.as_deref(),
            Index::Direction => self.direction.as_deref(),
            Index::Shared => Some(SHARED),
            Index::Mixed(_) => None,
        }
    }
}

/// The adapters a direction uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoraUse {
    pub encoder: SideUse,
    pub decoder: SideUse,
}

impl LoraSet {
    /// Whether any module of a side asks for the adapter of the source, target, or direction.
    fn asks(&self, side: Side) -> [bool; 3] {
        let mut asks = [false; 3];
        for (s, .., index) in self.placement.modules() {
            if s == side {
                let mixed = matches!(index, Index::Mixed(_));
                asks[0] |= mixed || index == Index::Source;
                asks[1] |= mixed || index == Index::Target;
                asks[2] |= index == Index::Direction;
            }
        }
        asks
    }

    /// The adapters of a direction.
    ///
    /// # Errors
    /// Data: a language or direction has none and `unknown` says to stop.
    pub fn choose(&self, src: &str, tgt: &str, unknown: UnknownLanguage) -> Result<LoraUse> {
        let side = |side: Side| -> Result<SideUse> {
            let [source, target, direction] = self.asks(side);
            let mut out = SideUse::default();
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
        Ok(LoraUse { encoder: side(Side::Encoder)?, decoder: side(Side::Decoder)? })
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
            .suggest(code, have.iter().copied())
            .hint("`--unknown-language base` runs the base model where its LoRA would stand"))
    }

    /// A direction's adapter is named by the adapters of its languages: `de-en`, `Romance-en`.
    fn direction(&self, src: &str, tgt: &str, unknown: UnknownLanguage) -> Result<Option<String>> {
        let languages = &self.placement.languages;
        let name = |code: &str| languages.get(code).map(|l| l.adapter.as_str());
        let pair = name(src).zip(name(tgt)).map(|(s, t)| format!("{s}-{t}"));
        if let Some(pair) = pair.filter(|p| self.placement.adapters.contains(p)) {
            return Ok(Some(pair));
        }
        if unknown == UnknownLanguage::Base {
            return Ok(None);
        }
        let have: Vec<&str> = self.placement.adapters.iter().map(String::as_str).collect();
        let shown = have[..have.len().min(12)].join(", ");
        let more = if have.len() > 12 { ", ..." } else { "" };
        let pair = format!("{src}-{tgt}");
        Err(Error::new(ErrorKind::Data, format!("direction `{pair}` has no LoRA"))
            .expected(format!("one of {shown}{more}"))
            .suggest(&pair, have.iter().copied())
            .hint("`--unknown-language base` runs the base model where its LoRA would stand"))
    }
}
