//! Stored bottleneck adapters: one for each source, target, direction or group, or one for all.
//!
//! Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP" (ICML); Bapna and Firat
//! 2019, "Simple, Scalable Adaptation for Neural Machine Translation" (EMNLP). They are what
//! hyper-adapters (Baziotis et al. 2022) are measured against.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::placed::{LayerUse, SetUse, UnknownLanguage, users};
use crate::autograd::{Parameter, Value, copy_matching};
use crate::error::{Error, Result};
use crate::formats::adapters::{AdapterSetConfig, AdapterWeights, NormPlace, Position, Site};
use crate::formats::neurons::Side;
use crate::kernels::storage::values;
use crate::model::DirectionParts;
use crate::model::seam::{BottleneckAdapter, LayerParts};
use crate::random::{named_rng, normal, uniform};

/// How new adapters begin; biases are zero, a norm's scale is 1.
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
pub enum AdapterInit {
    /// Xavier down, zero up: the model begins as its base
    #[default]
    Identity,
    /// Xavier both ways, as in the hyper-adapters' baseline (Baziotis et al. 2022)
    Xavier,
    /// Normal with deviation 0.01 both ways, as in Hyper-X (Üstün et al. 2022)
    Small,
}

/// One adapter at one site; shapes as in [`BottleneckAdapter`].
#[derive(Clone, Debug)]
pub struct AdapterModule {
    pub down: Parameter,
    pub down_bias: Parameter,
    pub up: Parameter,
    pub up_bias: Parameter,
    pub norm: Option<(Parameter, Parameter)>,
}

impl AdapterModule {
    /// Frozen, with names as in a bank.
    pub fn new(adapter: &str, site: Site, d_model: usize, w: AdapterWeights) -> Result<Self> {
        let parameter = |part: &str, data: Vec<f32>, dims: &[usize]| {
            Ok::<_, Error>(Parameter {
                name: format!("{adapter}.{site}.{part}").into(),
                tensor: Tensor::from_vec(data, dims, &Device::Cpu)?,
                slot: None,
            })
        };
        let b = w.bottleneck();
        let norm = w.norm.map(|(scale, shift)| {
            let weight = parameter("norm.weight", scale, &[d_model])?;
            Ok::<_, Error>((weight, parameter("norm.bias", shift, &[d_model])?))
        });
        Ok(Self {
            down: parameter("down.weight", w.down, &[b, d_model])?,
            down_bias: parameter("down.bias", w.down_bias, &[b])?,
            up: parameter("up.weight", w.up, &[d_model, b])?,
            up_bias: parameter("up.bias", w.up_bias, &[d_model])?,
            norm: norm.transpose()?,
        })
    }

    fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        let norm = self.norm.iter().flat_map(|(w, b)| [w, b]);
        [&self.down, &self.down_bias, &self.up, &self.up_bias].into_iter().chain(norm)
    }
    fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        let norm = self.norm.iter_mut().flat_map(|(w, b)| [w, b]);
        [&mut self.down, &mut self.down_bias, &mut self.up, &mut self.up_bias]
            .into_iter()
            .chain(norm)
    }

    fn bottleneck(&self) -> usize {
        self.down_bias.tensor.elem_count()
    }

    /// The values, for a file.
    pub fn weights(&self) -> Result<AdapterWeights> {
        weights_of(&self.value(NormPlace::None))
    }

    pub(super) fn value(&self, norm: NormPlace) -> BottleneckAdapter {
        BottleneckAdapter {
            down: self.down.value(),
            down_bias: self.down_bias.value(),
            up: self.up.value(),
            up_bias: self.up_bias.value(),
            norm,
            affine: self.norm.as_ref().map(|(w, b)| (w.value(), b.value())),
        }
    }
}

/// The values of an adapter, for a file.
pub fn weights_of(adapter: &BottleneckAdapter) -> Result<AdapterWeights> {
    let of = |v: &Value| Ok::<_, Error>(values(v.tensor())?.to_vec());
    Ok(AdapterWeights {
        down: of(&adapter.down)?,
        down_bias: of(&adapter.down_bias)?,
        up: of(&adapter.up)?,
        up_bias: of(&adapter.up_bias)?,
        norm: match &adapter.affine {
            Some((w, b)) => Some((of(w)?, of(b)?)),
            None => None,
        },
    })
}

/// Adapters with the placement that says who uses them.
#[derive(Clone, Debug)]
pub struct AdapterSet {
    pub config: AdapterSetConfig,
    pub adapters: BTreeMap<String, BTreeMap<Site, AdapterModule>>,
}

/// What a new set consists of.
pub struct AdapterSpec {
    /// With a placement that knows its languages and adapters.
    pub config: AdapterSetConfig,
    pub bottleneck: usize,
    pub init: AdapterInit,
    pub seed: u64,
}

impl AdapterSpec {
    /// The set, its parameters frozen.
    ///
    /// # Errors
    /// Usage: a bottleneck of 0, or nothing placed. A bug: a position that does not exist.
    pub fn create(self) -> Result<AdapterSet> {
        if self.bottleneck == 0 {
            return Err(Error::usage("a bottleneck of no width").flag("--adapter-bottleneck"));
        }
        let mut adapters: BTreeMap<String, BTreeMap<Site, AdapterModule>> = BTreeMap::new();
        for (side, layer, module, index) in self.config.placement.modules() {
            let position = Position::parse(module)
                .ok_or_else(|| Error::bug(format!("`{module}` is no position")))?;
            let site = Site { side, layer, position };
            for adapter in users(&self.config.placement, index) {
                let weights = self.first_values(adapter, site);
                let module = AdapterModule::new(adapter, site, self.config.d_model, weights)?;
                adapters.entry(adapter.to_string()).or_default().insert(site, module);
            }
        }
        if adapters.is_empty() {
            return Err(Error::usage("no adapter is left to train").flag("--adapter-index"));
        }
        Ok(AdapterSet { config: self.config, adapters })
    }

    fn first_values(&self, adapter: &str, site: Site) -> AdapterWeights {
        let (d, b) = (self.config.d_model, self.bottleneck);
        let mut rng = named_rng(self.seed, &format!("adapter/{adapter}/{site}"));
        let bound = (6.0 / (d + b) as f64).sqrt();
        let mut draw = |n: usize| match self.init {
            AdapterInit::Small => normal(&mut rng, n, 0.01),
            _ => uniform(&mut rng, n, bound),
        };
        let down = draw(d * b);
        let up = match self.init {
            AdapterInit::Identity => vec![0.0; d * b],
            _ => draw(d * b),
        };
        let norm = self.config.affine.then(|| (vec![1.0; d], vec![0.0; d]));
        AdapterWeights { down, down_bias: vec![0.0; b], up, up_bias: vec![0.0; d], norm }
    }
}

impl AdapterSet {
    /// The parameters, by adapter and site.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.adapters.values().flat_map(BTreeMap::values).flat_map(AdapterModule::parameters)
    }
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        let modules = self.adapters.values_mut().flat_map(BTreeMap::values_mut);
        modules.flat_map(AdapterModule::parameters_mut)
    }
    pub fn num_params(&self) -> usize {
        self.parameters().map(|p| p.tensor.elem_count()).sum()
    }

    /// Bottleneck by adapter and site.
    pub fn shapes(&self) -> BTreeMap<String, BTreeMap<Site, usize>> {
        let sites = |of: &BTreeMap<Site, AdapterModule>| {
            of.iter().map(|(site, m)| (*site, m.bottleneck())).collect()
        };
        self.adapters.iter().map(|(name, of)| (name.clone(), sites(of))).collect()
    }

    /// The adapters of a direction.
    ///
    /// # Errors
    /// Data: a language or direction has none and `unknown` says to stop.
    pub fn choose(&self, src: &str, tgt: &str, unknown: UnknownLanguage) -> Result<SetUse> {
        self.config.placement.choose("adapter", src, tgt, unknown)
    }

    /// What a direction's layers do differently.
    pub fn parts(&self, used: &SetUse) -> Result<DirectionParts> {
        placed_parts(&self.config, used, |adapter, site| {
            let module = self.adapters.get(adapter).and_then(|of| of.get(&site));
            module.map(|m| m.value(self.config.norm)).ok_or_else(|| missing(adapter, site))
        })
    }

    /// Takes what another set has of the same names and shapes; returns how many parameters.
    pub fn take_from(&self, other: &Self) -> Result<usize> {
        copy_matching(self.parameters(), other.parameters())
    }
}

fn missing(adapter: &str, site: Site) -> Error {
    Error::bug(format!("adapter `{adapter}` has no {site}"))
}

/// The layers of a direction, each adapter from `get`.
pub(super) fn placed_parts(
    config: &AdapterSetConfig,
    used: &SetUse,
    mut get: impl FnMut(&str, Site) -> Result<BottleneckAdapter>,
) -> Result<DirectionParts> {
    let mut side = |side: Side, used: &[LayerUse]| -> Result<Vec<LayerParts>> {
        let layers = config.placement.side(side).iter().enumerate();
        layers
            .map(|(i, layer)| {
                let mut parts = LayerParts::default();
                for (module, index) in layer {
                    let position = Position::parse(module)
                        .ok_or_else(|| Error::bug(format!("`{module}` is no position")))?;
                    // Without a name the direction does without an adapter here.
                    if let Some(name) = used.get(i).and_then(|u| u.of(*index)) {
                        let site = Site { side, layer: i, position };
                        parts.adapters.insert(position, get(name, site)?);
                    }
                }
                Ok(parts)
            })
            .collect()
    };
    Ok(DirectionParts {
        encoder: side(Side::Encoder, &used.encoder)?,
        decoder: side(Side::Decoder, &used.decoder)?,
    })
}
