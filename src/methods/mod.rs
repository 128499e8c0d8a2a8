//! One published idea per file, its citation on top; all of them providers of the seam.

mod adapter_bank;
pub mod adapters;
mod compact;
pub mod geometry;
pub mod hyper;
pub mod lora;
mod neuron_masks;
mod placed;
mod provider;

pub use adapter_bank::AdapterBank;
pub use compact::CompactModel;
pub use neuron_masks::{MaskProvider, MaskUse, UnknownDirection};
pub use placed::{LayerUse, SetUse, UnknownLanguage, placement_for, users as placed_users};
pub use provider::{AdapterSource, DirectionUse, LayerKey, Provider};
