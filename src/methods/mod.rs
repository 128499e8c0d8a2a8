//! One published idea per file, its citation on top; all of them providers of the seam.

mod compact;
pub mod lora;
mod neuron_masks;
mod provider;

pub use compact::CompactModel;
pub use neuron_masks::{MaskProvider, MaskUse, UnknownDirection};
pub use provider::{DirectionUse, LayerKey, Provider};
