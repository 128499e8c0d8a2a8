//! Parameters of a hyper-network: names and shapes, how many, and their first values.

use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha8Rng;

use super::network::HyperNetwork;
use crate::error::{Error, Result};
use crate::formats::adapters::NormPlace;
use crate::formats::hypernet::{Affine, Factor, HyperConfig, Kind, Row};
use crate::random::{named_rng, normal, uniform};

/// How a hyper-network begins.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum HyperInit {
    /// Xavier for every map (hyper-adapters' default)
    Xavier,
    /// Xavier, then the heads of weights scaled so that what they give has the deviation of a
    /// Xavier adapter, rescaling included; small other heads
    Match,
    /// Normal with deviation 0.01 (Hyper-X)
    Small,
}

/// Names and shapes of all parameters (hyper-adapters, sections 5 and 7; Hyper-X, sections 3, 4
/// and 6).
pub fn shapes(c: &HyperConfig) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = BTreeMap::new();
    for key in c.rows.keys() {
        let is_layer = key.starts_with("layer.");
        let width = if is_layer { c.layer_embedding_dim } else { c.embedding_dim };
        shapes.insert(format!("embedding.{key}"), vec![width]);
    }
    let input: usize = c.kind.factors().iter().map(|f| c.width_of(*f)).sum();
    let mut linear = |name: &str, out: usize, inp: usize| {
        shapes.insert(format!("{name}.weight"), vec![out, inp]);
        shapes.insert(format!("{name}.bias"), vec![out]);
    };
    let mut norms: Vec<(String, usize)> = Vec::new();
    match c.kind {
        Kind::HyperAdapters => {
            linear("trunk.input", c.hidden, input);
            for k in 0..c.blocks {
                norms.push((format!("trunk.blocks.{k}.norm"), c.hidden));
                linear(&format!("trunk.blocks.{k}.fc1"), c.hidden, c.hidden);
                linear(&format!("trunk.blocks.{k}.fc2"), c.hidden, c.hidden);
            }
            if c.input_norm {
                norms.push(("trunk.input_norm".into(), input));
            }
            if c.output_norm {
                norms.push(("trunk.output_norm".into(), c.hidden));
            }
        }
        Kind::HyperX => {
            let projection = c.projection.unwrap_or(c.hidden);
            linear("trunk.fc1", projection, input);
            linear("trunk.fc2", c.hidden, projection);
        }
    }
    for (name, size) in heads(c) {
        linear(&format!("head.{name}"), size, c.hidden);
    }
    if c.norm != NormPlace::None && c.affine == Affine::Learned {
        norms.push(("norm".into(), c.d_model));
    }
    for (name, width) in norms {
        shapes.insert(format!("{name}.weight"), vec![width]);
        shapes.insert(format!("{name}.bias"), vec![width]);
    }
    shapes
}

/// Heads and how many values each gives.
pub fn heads(c: &HyperConfig) -> Vec<(&'static str, usize)> {
    let (d, b) = (c.d_model, c.bottleneck);
    let mut heads =
        vec![("down_weight", d * b), ("down_bias", b), ("up_weight", d * b), ("up_bias", d)];
    if generates_norm(c) {
        heads.extend([("norm_weight", d), ("norm_bias", d)]);
    }
    heads
}

pub fn generates_norm(c: &HyperConfig) -> bool {
    c.norm != NormPlace::None && c.affine == Affine::Generated
}

/// Of all parameters together.
pub fn num_params(c: &HyperConfig) -> usize {
    shapes(c).values().map(|s| s.iter().product::<usize>()).sum()
}

/// As on disk; see [`HyperConfig`].
const MAX_HIDDEN: usize = 1 << 20;

/// The largest hidden size whose hyper-network has at most `budget` parameters.
///
/// # Errors
/// Usage: not even one unit fits, or more than there can be.
pub fn fit_hidden(config: &HyperConfig, budget: usize) -> Result<usize> {
    let with = |hidden: usize| num_params(&HyperConfig { hidden, ..config.clone() });
    if with(1) > budget {
        return Err(Error::usage("no hyper-network is so small")
            .found(format!("{budget} parameters"))
            .expected(format!("at least {} for a hidden size of 1", with(1)))
            .hint("a smaller `--adapter-bottleneck` makes smaller heads"));
    }
    let (mut low, mut high) = (1, MAX_HIDDEN);
    if with(high) <= budget {
        return Err(Error::usage("no hyper-network is so large")
            .found(format!("{budget} parameters"))
            .expected(format!("below {} of a hidden size of {high}", with(high))));
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if with(middle) <= budget { low = middle } else { high = middle }
    }
    Ok(low)
}

impl HyperNetwork {
    /// A new network, its parameters frozen. Each parameter has a random stream of its own.
    pub fn create(config: HyperConfig, init: HyperInit, seed: u64) -> Result<Self> {
        let kind = config.kind;
        let network = Self::from_values(config, |name, shape| {
            let mut rng = named_rng(seed, &format!("hyper/{name}"));
            Ok(first_values(&mut rng, kind, init, name, shape))
        })?;
        if init == HyperInit::Match {
            network.match_heads(seed)?;
        }
        Ok(network)
    }

    /// Section 6.2 of hyper-adapters with the division in the measurement, over all languages
    /// rather than the first one.
    fn match_heads(&self, seed: u64) -> Result<()> {
        let (d, b) = (self.config.d_model, self.config.bottleneck);
        let target = (2.0 / (d + b) as f64).sqrt();
        let found = self.spread_of_weights()?;
        for (head, found) in [("down_weight", found.0), ("up_weight", found.1)] {
            if found > 0.0 {
                self.change(&format!("head.{head}.weight"), |v| {
                    v.iter_mut().for_each(|v| *v = (f64::from(*v) * target / found) as f32);
                })?;
            }
        }
        for (head, _) in heads(&self.config) {
            if !head.starts_with("down_weight") && !head.starts_with("up_weight") {
                let name = format!("head.{head}.weight");
                let mut rng = named_rng(seed, &format!("hyper/{name}/small"));
                self.change(&name, |v| {
                    let drawn = uniform(&mut rng, v.len(), 0.01);
                    v.copy_from_slice(&drawn);
                })?;
            }
        }
        Ok(())
    }
}

fn first_values(
    rng: &mut ChaCha8Rng,
    kind: Kind,
    init: HyperInit,
    name: &str,
    shape: &[usize],
) -> Vec<f32> {
    let n = shape.iter().product();
    match shape {
        // Section 6.1 of hyper-adapters, section 5 of Hyper-X.
        _ if name.starts_with("embedding.") => match kind {
            Kind::HyperAdapters => truncated_normal(rng, n),
            Kind::HyperX => normal(rng, n, 1.0),
        },
        [_, _] if init == HyperInit::Small => normal(rng, n, 0.01),
        [out, inp] => uniform(rng, n, (6.0 / (inp + out) as f64).sqrt()),
        _ if name.contains("norm.weight") && !name.starts_with("head.") => vec![1.0; n],
        _ => vec![0.0; n],
    }
}

/// Normal with deviation 1, cut at 2 on either side.
fn truncated_normal(rng: &mut ChaCha8Rng, n: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(n);
    while out.len() < n {
        let drawn = normal(rng, n - out.len(), 1.0);
        out.extend(drawn.into_iter().filter(|v| v.abs() <= 2.0));
    }
    out
}

/// The vectors a network needs for keys by factor, and for its own layers; none of what is switched
/// off on both sides.
pub fn rows_for(
    config: &HyperConfig,
    keys: &BTreeMap<Factor, BTreeSet<String>>,
) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::new();
    for factor in config.encoder_inputs.union(&config.decoder_inputs) {
        for key in keys.get(factor).into_iter().flatten() {
            rows.insert(format!("{}.{key}", config.table(*factor)), Row::default());
        }
    }
    for site in config.sites() {
        if config.inputs(site.side).contains(&Factor::Layer) {
            rows.insert(format!("layer.{}", config.layer_key(site)), Row::default());
        }
    }
    rows
}
