//! Random weights as transformers initialises M2M-100: linear and embedding weights from
//! `normal(0, init_std)`, biases zero, the padding row of the embedding zero, layer norms one and
//! zero (transformers: `modeling_utils.py`, `PreTrainedModel._init_weights`).
//!
//! Each parameter has its own random stream, named by the parameter: adding a layer, or reading
//! parameters in another order, changes no other value.

use std::collections::BTreeMap;
use std::f64::consts::TAU;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::checkpoint::{SHARED, parameter_shapes};
use super::config::ModelConfig;

/// A parameter with its shape, row-major.
pub struct Parameter {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// All parameters of the architecture, under the names of [`parameter_shapes`].
pub fn initial_parameters(config: &ModelConfig, seed: u64) -> BTreeMap<String, Parameter> {
    let shapes: Vec<(String, Vec<usize>)> = parameter_shapes(config).into_iter().collect();
    shapes
        .into_par_iter()
        .map(|(name, shape)| {
            let values = initial_values(&name, &shape, config, seed);
            (name, Parameter { shape, values })
        })
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

/// The values of one parameter.
pub fn initial_values(name: &str, shape: &[usize], config: &ModelConfig, seed: u64) -> Vec<f32> {
    let n = shape.iter().product();
    if name.ends_with("layer_norm.weight") {
        return vec![1.0; n];
    }
    if name.ends_with(".bias") {
        return vec![0.0; n];
    }
    let mut values = normal(&mut stream(seed, name), n, config.init_std);
    if name == SHARED {
        let d = config.d_model;
        let pad = config.pad_token_id as usize;
        values[pad * d..(pad + 1) * d].fill(0.0);
    }
    values
}

/// The random stream of a parameter: ChaCha8 keyed by the SHA-256 of seed and name.
fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(b"initial ");
    hasher.update(name.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

/// `n` draws of `normal(0, std)` by Box and Muller (1958), rounded to f32.
fn normal(rng: &mut ChaCha8Rng, n: usize, std: f64) -> Vec<f32> {
    // 53 random bits in (0, 1]: the logarithm is finite.
    let mut uniform = || ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
    let mut out = Vec::with_capacity(n + 1);
    while out.len() < n {
        let radius = std * (-2.0 * uniform().ln()).sqrt();
        let (sin, cos) = (TAU * uniform()).sin_cos();
        out.push((radius * cos) as f32);
        out.push((radius * sin) as f32);
    }
    out.truncate(n);
    out
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
        let a = initial_parameters(&c, 1);
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
        let b = initial_parameters(&c, 2);
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
        let d = initial_parameters(&deeper, 1);
        assert!(a.iter().all(|(name, p)| d[name].values == p.values));
    }
}
