//! Random weights for training from scratch.
//!
//! Biases and the padding row of the embedding are zero, layer norms one and zero. The rest
//! depends on the [`InitMethod`]. The default is fairseq's, which M2M-100 was trained from: the
//! scaled embedding is then as large as the positions added to it, whatever the width. With a
//! fixed deviation of 0.02 a narrow model sees little but positions at first, and learns which
//! word translates which several times later.
//!
//! Each parameter has its own random stream, named by the parameter: adding a layer, or reading
//! parameters in another order, changes no other value.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::checkpoint::{SHARED, parameter_shapes};
use super::config::ModelConfig;
use crate::random::{named_rng, normal, uniform};

/// How weights are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum InitMethod {
    /// Linear weights uniform by fan-in and fan-out (Glorot and Bengio 2010), embeddings normal
    /// with deviation 1/sqrt(d_model), as fairseq does
    #[default]
    Xavier,
    /// All weights normal with deviation `--init-std`, as transformers does
    Normal,
}

/// A parameter with its shape, row-major.
pub struct Parameter {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// All parameters of the architecture, under the names of [`parameter_shapes`].
pub fn initial_parameters(
    config: &ModelConfig,
    method: InitMethod,
    seed: u64,
) -> BTreeMap<String, Parameter> {
    let shapes: Vec<(String, Vec<usize>)> = parameter_shapes(config).into_iter().collect();
    shapes
        .into_par_iter()
        .map(|(name, shape)| {
            let values = initial_values(&name, &shape, config, method, seed);
            (name, Parameter { shape, values })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

/// The values of one parameter.
pub fn initial_values(
    name: &str,
    shape: &[usize],
    config: &ModelConfig,
    method: InitMethod,
    seed: u64,
) -> Vec<f32> {
    let n = shape.iter().product();
    if name.ends_with("layer_norm.weight") {
        return vec![1.0; n];
    }
    if name.ends_with(".bias") {
        return vec![0.0; n];
    }
    let rng = &mut named_rng(seed, &format!("initial {name}"));
    let d = config.d_model;
    let mut values = match method {
        InitMethod::Normal => normal(rng, n, config.init_std),
        InitMethod::Xavier if name == SHARED => normal(rng, n, (d as f64).powf(-0.5)),
        InitMethod::Xavier => uniform(rng, n, xavier_bound(name, shape)),
    };
    if name == SHARED {
        let pad = config.pad_token_id as usize;
        values[pad * d..(pad + 1) * d].fill(0.0);
    }
    values
}

/// Largest value of a linear weight `[out, in]`. That of queries, keys and values is smaller by
/// the root of two, which fairseq found to converge better (`modules/multihead_attention.py`,
/// `reset_parameters`).
fn xavier_bound(name: &str, shape: &[usize]) -> f64 {
    let fans: usize = shape.iter().sum();
    let bound = (6.0 / fans as f64).sqrt();
    let projects = ["q_proj.weight", "k_proj.weight", "v_proj.weight"];
    if projects.iter().any(|p| name.ends_with(p)) { bound / 2f64.sqrt() } else { bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ModelConfig {
        serde_json::from_value(serde_json::json!({
            "model_type": "m2m_100", "vocab_size": 50, "d_model": 64,
            "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 128,
            "decoder_ffn_dim": 128, "encoder_attention_heads": 2,
            "decoder_attention_heads": 2, "init_std": 0.02,
        }))
        .unwrap()
    }

    #[test]
    fn moments_constants_and_streams() {
        let c = config();
        let a = initial_parameters(&c, InitMethod::Normal, 1);
        assert_eq!(a.len(), parameter_shapes(&c).len());
        let fc1 = &a["model.encoder.layers.0.fc1.weight"].values;
        let n = fc1.len() as f64;
        let mean = fc1.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let std = (fc1.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n).sqrt();
        let kurtosis = fc1.iter().map(|&v| f64::from(v).powi(4)).sum::<f64>() / n / std.powi(4);
        // Standard errors for 8192 draws: 0.00022, 0.00016, 0.054.
        assert!(mean.abs() < 0.001 && (std - 0.02).abs() < 0.0007, "{mean} {std}");
        assert!((kurtosis - 3.0).abs() < 0.25, "{kurtosis}");
        assert!(a["model.encoder.layers.0.fc1.bias"].values.iter().all(|&v| v == 0.0));
        assert!(a["model.decoder.layer_norm.weight"].values.iter().all(|&v| v == 1.0));
        assert!(a["model.decoder.layer_norm.bias"].values.iter().all(|&v| v == 0.0));
        let shared = &a[SHARED].values;
        assert!(
            shared[64..128].iter().all(|&v| v == 0.0) && shared[..64].iter().all(|&v| v != 0.0)
        );
        // Every drawn parameter differs from every other, and all change with the seed.
        let b = initial_parameters(&c, InitMethod::Normal, 2);
        let mut heads: Vec<Vec<u32>> = Vec::new();
        for (name, p) in a.iter().filter(|(n, _)| !n.contains("norm") && n.ends_with("weight")) {
            heads.push(p.values[..8].iter().map(|v| v.to_bits()).collect());
            assert_ne!(p.values[..8], b[name].values[..8], "{name}");
        }
        let n = heads.len();
        heads.sort();
        heads.dedup();
        assert_eq!(heads.len(), n);
        // One more layer changes no value of the others.
        let mut deeper = config();
        deeper.encoder_layers = 2;
        let d = initial_parameters(&deeper, InitMethod::Normal, 1);
        assert!(a.iter().all(|(name, p)| d[name].values == p.values));
    }

    #[test]
    fn xavier_follows_the_fans() {
        let parameters = initial_parameters(&config(), InitMethod::Xavier, 1);
        let of = |name: &str| &parameters[&format!("model.decoder.layers.0.{name}")].values;
        let largest = |v: &[f32]| v.iter().fold(0.0, |m: f32, x| m.max(x.abs()));
        let std = |v: &[f32]| {
            (v.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / v.len() as f64).sqrt()
        };
        // The largest of n uniform draws lies about bound/n below the bound.
        for (name, bound) in [
            ("fc1.weight", (6.0f64 / (64.0 + 128.0)).sqrt()),
            ("fc2.weight", (6.0f64 / (64.0 + 128.0)).sqrt()),
            ("self_attn.out_proj.weight", (6.0f64 / 128.0).sqrt()),
            ("self_attn.q_proj.weight", (3.0f64 / 128.0).sqrt()),
            ("encoder_attn.k_proj.weight", (3.0f64 / 128.0).sqrt()),
            ("encoder_attn.v_proj.weight", (3.0f64 / 128.0).sqrt()),
        ] {
            let values = of(name);
            let m = f64::from(largest(values));
            assert!(m <= bound + 1e-7 && m > bound * 0.995, "{name}: {m} of {bound}");
            assert!((std(values) / (bound / 3f64.sqrt()) - 1.0).abs() < 0.03, "{name}");
            let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64;
            assert!(mean.abs() < 0.05 * bound, "{name}");
        }
        let shared = &parameters[SHARED].values;
        assert!((std(&shared[128..]) / 0.125 - 1.0).abs() < 0.05);
        assert!(shared[64..128].iter().all(|&v| v == 0.0));
        assert!(of("fc1.bias").iter().all(|&v| v == 0.0));
    }
}
