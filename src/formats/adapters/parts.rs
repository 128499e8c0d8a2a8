//! The tensors of one adapter at one site, whatever a layout calls them.

use std::collections::BTreeMap;
use std::path::Path;

use super::{AdapterWeights, Site};
use crate::error::{Error, Result};
use crate::formats::safetensors::TensorFile;

/// Bottleneck by site.
pub type Sites = BTreeMap<Site, usize>;
/// Bottleneck by site of each adapter.
pub type Shapes = BTreeMap<String, Sites>;

/// One tensor of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Down,
    DownBias,
    Up,
    UpBias,
    /// Of the norm.
    Scale,
    Shift,
}

impl Part {
    pub fn shape(self, bottleneck: usize, d_model: usize) -> Vec<usize> {
        match self {
            Self::Down => vec![bottleneck, d_model],
            Self::DownBias => vec![bottleneck],
            Self::Up => vec![d_model, bottleneck],
            Self::UpBias | Self::Scale | Self::Shift => vec![d_model],
        }
    }

    /// None for the norm of an adapter without scale and shift.
    pub fn values(self, weights: &AdapterWeights) -> Option<&[f32]> {
        match self {
            Self::Down => Some(&weights.down),
            Self::DownBias => Some(&weights.down_bias),
            Self::Up => Some(&weights.up),
            Self::UpBias => Some(&weights.up_bias),
            Self::Scale => weights.norm.as_ref().map(|n| n.0.as_slice()),
            Self::Shift => weights.norm.as_ref().map(|n| n.1.as_slice()),
        }
    }
}

/// The weights whose parts `read` gives.
pub(super) fn assemble(
    affine: bool,
    read: impl Fn(Part) -> Result<Vec<f32>>,
) -> Result<AdapterWeights> {
    let norm = if affine { Some((read(Part::Scale)?, read(Part::Shift)?)) } else { None };
    Ok(AdapterWeights {
        down: read(Part::Down)?,
        down_bias: read(Part::DownBias)?,
        up: read(Part::Up)?,
        up_bias: read(Part::UpBias)?,
        norm,
    })
}

/// Whether a tensor's header says what it should.
pub(super) fn check_tensor(file: &TensorFile, name: &str, shape: &[usize]) -> Result<()> {
    use safetensors::Dtype;
    let view = file.view(name)?;
    if !matches!(view.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16 | Dtype::F64) {
        return Err(Error::artifact("tensor has a type we cannot compute with")
            .at(file.path())
            .tensor(name)
            .found(format!("{:?}", view.dtype()))
            .expected("F32, F16, BF16 or F64"));
    }
    file.check_shape(name, view.shape(), shape)
}

/// Names of tensors that should be in a file and are not, or the reverse.
pub(super) fn check_names(path: &Path, missing: &[String], unused: &[String]) -> Result<()> {
    if missing.is_empty() && unused.is_empty() {
        return Ok(());
    }
    let few = |names: &[String]| {
        let shown: Vec<String> = names.iter().take(3).map(|n| format!("`{n}`")).collect();
        let more = if names.len() > 3 { ", ..." } else { "" };
        format!("{} ({}{more})", names.len(), shown.join(", "))
    };
    let mut e = Error::artifact("tensors do not match the configuration of the adapters").at(path);
    if !missing.is_empty() {
        e = e.cause(format!("missing tensors: {}", few(missing)));
    }
    if !unused.is_empty() {
        e = e.cause(format!("unused tensors: {}", few(unused)));
    }
    Err(e)
}
