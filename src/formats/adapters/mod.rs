//! Bottleneck adapters on disk: `adapters.json` says what they are and which layer uses whose, and
//! beside it lie either one bank, `adapters.safetensors`, or a directory in AdapterHub's layout for
//! each adapter.

mod adapterhub;
mod bank;
mod dir;
mod parts;
mod set;
mod sites;
#[cfg(test)]
mod tests;
mod writer;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::neurons::Side;
use super::placement::Placement;
use super::provenance::hex;
pub use bank::BankHeader;
pub use dir::AdapterDir;
pub use parts::{Shapes, Sites};
pub use set::{Layout, is_set};
pub use writer::AdapterWriter;

/// What the adapters are, and their placement.
pub const FILE: &str = "adapters.json";
/// All adapters in one file.
pub const BANK: &str = "adapters.safetensors";

/// Where in a layer an adapter stands. Its name is the module of a placement's layer.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// On the output of self-attention, before its residual connection
    Attention,
    /// On the output of cross-attention, before its residual connection (decoder)
    CrossAttention,
    /// On the output of the feed-forward block, before its residual connection
    FeedForward,
    /// On the output of the whole layer
    Layer,
}

impl Position {
    pub const ALL: [Self; 4] =
        [Self::Attention, Self::CrossAttention, Self::FeedForward, Self::Layer];

    /// As in placements and tensor names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attention => "attention",
            Self::CrossAttention => "cross-attention",
            Self::FeedForward => "feed-forward",
            Self::Layer => "layer",
        }
    }
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }
    pub fn is_on(self, side: Side) -> bool {
        self != Self::CrossAttention || side == Side::Decoder
    }
}

/// A place for an adapter in a model: `encoder.layers.0.layer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    pub side: Side,
    pub layer: usize,
    pub position: Position,
}

impl Site {
    /// From `encoder.layers.0.layer`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let side = Side::parse(parts.next()?)?;
        let (layers, layer, position) = (parts.next()?, parts.next()?, parts.next()?);
        let site = Self { side, layer: layer.parse().ok()?, position: Position::parse(position)? };
        // Nothing may have two names.
        (layers == "layers" && site.to_string() == text).then_some(site)
    }
}

impl std::fmt::Display for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.layers.{}.{}", self.side, self.layer, self.position.name())
    }
}

/// Where an adapter normalises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum NormPlace {
    /// Nowhere
    None,
    /// Its input (Bapna and Firat 2019)
    #[default]
    Before,
    /// What it adds to its input
    After,
}

/// What all adapters of a set have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterSetConfig {
    pub d_model: usize,
    pub norm: NormPlace,
    /// Whether the norm has scale and shift; without, scale is 1 and shift 0.
    pub affine: bool,
    /// The task they were made for; none serves all that they were trained with.
    pub task: Option<String>,
    /// Layers name positions as their modules.
    pub placement: Placement,
}

/// One adapter at one site: `x + up relu(down norm(x) + down_bias) + up_bias`, or with the norm
/// around what is added.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterWeights {
    /// `[bottleneck, d_model]`
    pub down: Vec<f32>,
    /// `[bottleneck]`
    pub down_bias: Vec<f32>,
    /// `[d_model, bottleneck]`
    pub up: Vec<f32>,
    /// `[d_model]`
    pub up_bias: Vec<f32>,
    /// Scale and shift, `[d_model]` each.
    pub norm: Option<(Vec<f32>, Vec<f32>)>,
}

impl AdapterWeights {
    pub fn bottleneck(&self) -> usize {
        self.down_bias.len()
    }
    pub fn num_values(&self) -> usize {
        let norm = self.norm.as_ref().map_or(0, |(w, b)| w.len() + b.len());
        self.down.len() + self.down_bias.len() + self.up.len() + self.up_bias.len() + norm
    }
    /// Whether all values are numbers.
    pub fn is_finite(&self) -> bool {
        let parts = bank::stored(true).iter().filter_map(|part| part.values(self));
        parts.flatten().all(|v| v.is_finite())
    }
    /// Fingerprint of the values, in hexadecimal.
    pub fn sha256(&self) -> String {
        let mut hasher = Sha256::new();
        let mut bytes = Vec::new();
        for values in bank::stored(true).iter().filter_map(|part| part.values(self)) {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
            hasher.update(&bytes);
        }
        hex(&hasher.finalize())
    }
}
