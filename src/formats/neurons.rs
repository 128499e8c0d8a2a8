//! What statistics and masks of feed-forward neurons have in common: the names of blocks.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Encoder or decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Encoder,
    Decoder,
}

impl Side {
    pub const BOTH: [Self; 2] = [Self::Encoder, Self::Decoder];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Decoder => "decoder",
        }
    }
    pub fn parse(s: &str) -> Option<Self> {
        Self::BOTH.into_iter().find(|side| side.as_str() == s)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The feed-forward block of one layer; layers count from 0 within their side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    pub side: Side,
    pub layer: usize,
}

impl Block {
    pub fn new(side: Side, layer: usize) -> Self {
        Self { side, layer }
    }
    /// From `encoder.layers.3.fc1`.
    pub fn parse(module: &str) -> Option<Self> {
        let mut parts = module.split('.');
        let side = Side::parse(parts.next()?)?;
        let (layers, layer, fc1) = (parts.next()?, parts.next()?, parts.next()?);
        let number: usize = layer.parse().ok()?;
        let plain = number.to_string() == layer && parts.next().is_none();
        (layers == "layers" && fc1 == "fc1" && plain).then_some(Self::new(side, number))
    }
}

/// The checkpoint's path without the leading `model.`: `encoder.layers.3.fc1`.
impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.layers.{}.fc1", self.side, self.layer)
    }
}

/// Source and target of `src-tgt`; codes hold no dash.
pub fn split_pair(lang_pair: &str) -> Option<(&str, &str)> {
    let (src, tgt) = lang_pair.split_once('-')?;
    (!src.is_empty() && !tgt.is_empty() && !tgt.contains('-')).then_some((src, tgt))
}

/// Layers of a side must be numbered from 0 without a gap.
pub(super) fn check_layers(blocks: impl Iterator<Item = Block>) -> Result<()> {
    let mut next = [0usize; 2];
    for b in blocks {
        let n = &mut next[usize::from(b.side == Side::Decoder)];
        if b.layer != *n {
            return Err(Error::artifact(format!("layer {n} of the {} is missing", b.side))
                .found(b.to_string()));
        }
        *n += 1;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let b = Block::new(Side::Decoder, 11);
        assert_eq!(b.to_string(), "decoder.layers.11.fc1");
        assert_eq!(Block::parse("decoder.layers.11.fc1"), Some(b));
        for bad in
            ["decoder.layers.011.fc1", "decoder.layers.1.fc2", "x.layers.1.fc1", "", "decoder"]
        {
            assert_eq!(Block::parse(bad), None, "{bad}");
        }
        assert_eq!(split_pair("en-de"), Some(("en", "de")));
        assert_eq!(split_pair("en-de-x"), None);
        assert_eq!(split_pair("Slavic"), None);
    }
}
