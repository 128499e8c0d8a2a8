//! Directories of AdapterHub against descriptions of their own: names from a list, formulas as
//! the library computes them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::formats::safetensors::TensorFile;

fn read_config(dir: &Path, name: &str) -> Value {
    crate::formats::hf::read_json(&dir.join(name).join("adapter_config.json")).unwrap()
}

#[test]
fn names_are_those_of_mbart() {
    let root = tempfile::tempdir().unwrap();
    let config =
        config(NormPlace::Before, true, &[Position::CrossAttention, Position::FeedForward]);
    write(root.path(), &config, Layout::AdapterHub);
    assert_eq!(
        files(root.path()).into_keys().collect::<Vec<_>>(),
        [
            "Romance/adapter.safetensors",
            "Romance/adapter_config.json",
            "adapters.json",
            "de/adapter.safetensors",
            "de/adapter_config.json",
        ]
    );
    let file = TensorFile::open(&root.path().join("de/adapter.safetensors")).unwrap();
    let mut expected: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (stem, b) in [
        ("model.encoder.layers.0.output_adapters.adapters.de", 2),
        ("model.encoder.layers.1.output_adapters.adapters.de", 2),
        ("model.decoder.layers.0.cross_attention_adapters.adapters.de", 2),
        ("model.decoder.layers.0.output_adapters.adapters.de", 2),
        ("model.decoder.layers.1.cross_attention_adapters.adapters.de", 2),
        ("model.decoder.layers.1.output_adapters.adapters.de", 2),
        ("model.decoder.layers.2.cross_attention_adapters.adapters.de", 4),
        ("model.decoder.layers.2.output_adapters.adapters.de", 4),
    ] {
        for (end, shape) in [
            ("adapter_norm_before.weight", vec![6]),
            ("adapter_norm_before.bias", vec![6]),
            ("adapter_down.0.weight", vec![6]),
            ("adapter_down.0.bias", vec![6]),
            ("adapter_down.1.weight", vec![b, 6]),
            ("adapter_down.1.bias", vec![b]),
            ("adapter_up.weight", vec![6, b]),
            ("adapter_up.bias", vec![6]),
        ] {
            expected.insert(format!("{stem}.{end}"), shape);
        }
    }
    let found: BTreeMap<String, Vec<usize>> = file
        .names()
        .into_iter()
        .map(|n| (n.clone(), file.view(&n).unwrap().shape().to_vec()))
        .collect();
    assert_eq!(found, expected);
    assert_eq!(file.metadata()["kind"], "adapter");
}

/// Every key of the table in section 9.3, with the value it must have.
#[test]
fn the_configuration_says_everything() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &config(NormPlace::After, true, &[Position::Layer]), Layout::AdapterHub);
    let expected = json!({
        "config": {
            "architecture": null,
            "mh_adapter": false, "output_adapter": true, "cross_adapter": false,
            "reduction_factor": {"4": 1.5, "default": 3},
            "non_linearity": "relu",
            "original_ln_before": true, "original_ln_after": true,
            "residual_before_ln": true, "adapter_residual_before_ln": false,
            "ln_before": false, "ln_after": true,
            "is_parallel": false, "scaling": 1.0, "use_gating": false, "dropout": 0.0,
            "init_weights": "bert", "init_weights_seed": null,
            "leave_out": [],
            "inv_adapter": null, "inv_adapter_reduction_factor": null,
            "phm_layer": false, "phm_dim": 4, "factorized_phm_W": true, "shared_W_phm": false,
            "shared_phm_rule": true, "factorized_phm_rule": false, "phm_c_init": "normal",
            "phm_init_range": 0.0001, "learn_phm": true,
            "hypercomplex_nonlinearity": "glorot-uniform", "phm_rank": 1, "phm_bias": true,
            "stochastic_depth": 0.0
        },
        "hidden_size": 6,
        "model_class": "M2M100ForConditionalGeneration",
        "model_name": "org/base",
        "model_type": "m2m_100",
        "name": "de",
        "version": "adapters.1.2.0"
    });
    assert_eq!(read_config(root.path(), "de"), expected);
    // The library takes a whole number for no number.
    let text = std::fs::read_to_string(root.path().join("de/adapter_config.json")).unwrap();
    assert!(text.contains("\"scaling\": 1.0,"), "{text}");
    // `Romance` has no decoder: layers 2 to 4 after the two of the encoder.
    let own = read_config(root.path(), "Romance");
    assert_eq!(own["config"]["leave_out"], json!([2, 3, 4]));
    assert_eq!(own["config"]["reduction_factor"], json!(3));
}

/// A vector's mean and spread taken out, as PyTorch's `LayerNorm` with its default epsilon.
fn layer_norm(v: &[f32], scale: &[f32], shift: &[f32]) -> Vec<f32> {
    let n = v.len() as f32;
    let mean = v.iter().sum::<f32>() / n;
    let variance = v.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n;
    let deviation = (variance + 1e-5).sqrt();
    let rows = v.iter().zip(scale).zip(shift);
    rows.map(|((x, w), b)| (x - mean) / deviation * w + b).collect()
}

/// `matrix v + bias`.
fn affine(matrix: &[f32], bias: &[f32], v: &[f32]) -> Vec<f32> {
    let row = |(row, b): (&[f32], &f32)| row.iter().zip(v).map(|(m, x)| m * x).sum::<f32>() + b;
    matrix.chunks(v.len()).zip(bias).map(row).collect()
}

fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// What the library makes of a block's output `h` and its residual `x`, with no norm of the layer
/// (`modeling.py`: `pre_forward`, `forward`, `post_forward`).
fn library(config: &Value, file: &TensorFile, stem: &str, h: &[f32], x: &[f32]) -> Vec<f32> {
    let flag = |key: &str| config[key].as_bool().unwrap();
    let tensor = |end: &str| file.f32_values(&format!("{stem}.{end}"), None).unwrap();
    let mut hidden = h.to_vec();
    let mut residual = h.to_vec();
    if flag("original_ln_before") {
        hidden = add(&hidden, x);
    }
    if !flag("residual_before_ln") {
        residual = hidden.clone();
    }
    let mut linear = 0;
    if flag("ln_before") {
        hidden =
            layer_norm(&hidden, &tensor("adapter_down.0.weight"), &tensor("adapter_down.0.bias"));
        linear = 1;
    }
    let down = |end: &str| tensor(&format!("adapter_down.{linear}.{end}"));
    let mut inner = affine(&down("weight"), &down("bias"), &hidden);
    inner.iter_mut().for_each(|v| *v = v.max(0.0));
    let mut out = affine(&tensor("adapter_up.weight"), &tensor("adapter_up.bias"), &inner);
    if flag("adapter_residual_before_ln") {
        out = add(&out, &residual);
    }
    if flag("ln_after") {
        let (w, b) = (tensor("adapter_norm_after.weight"), tensor("adapter_norm_after.bias"));
        out = layer_norm(&out, &w, &b);
    }
    if !flag("adapter_residual_before_ln") {
        out = add(&out, &residual);
    }
    if flag("original_ln_after") {
        out = add(&out, x);
    }
    out
}

/// What an adapter adds to `v`.
fn added(w: &AdapterWeights, norm: NormPlace, v: &[f32]) -> Vec<f32> {
    let (ones, zeros) = (vec![1.0; v.len()], vec![0.0; v.len()]);
    let (scale, shift) = w.norm.as_ref().map_or((&ones, &zeros), |(s, b)| (s, b));
    let input = match norm {
        NormPlace::Before => layer_norm(v, scale, shift),
        _ => v.to_vec(),
    };
    let inner: Vec<f32> =
        affine(&w.down, &w.down_bias, &input).iter().map(|v| v.max(0.0)).collect();
    let out = affine(&w.up, &w.up_bias, &inner);
    if norm == NormPlace::After { layer_norm(&out, scale, shift) } else { out }
}

/// Section 9.3: after the layer, `y + a(y)` with `y = x + h`; inside a block, `x + h + a(h)`.
#[test]
fn the_library_computes_our_formulas() {
    let root = tempfile::tempdir().unwrap();
    let h = [0.7, -1.3, 2.1, 0.4, -0.2, 1.9];
    let x = [-3.0, 0.5, 1.1, -0.6, 2.2, 0.3];
    let places = [
        (Position::Layer, "output_adapters"),
        (Position::FeedForward, "output_adapters"),
        (Position::Attention, "attention_adapters"),
        (Position::CrossAttention, "cross_attention_adapters"),
    ];
    for (i, (norm, affine)) in NORMS.into_iter().enumerate() {
        for (position, word) in places {
            let dir = root.path().join(format!("{i}-{}", position.name()));
            let set = config(norm, affine, &[position]);
            let (keys, sites): (Vec<String>, Vec<Sites>) =
                shapes(&set).into_iter().filter(|(n, _)| n == "de").unzip();
            // Cross-attention leaves the encoder, and with it `Romance`, without adapters.
            let mut set = set;
            set.placement.adapters = keys.iter().cloned().collect();
            set.placement.languages.remove("fr");
            let shapes: Shapes = keys.into_iter().zip(sites).collect();
            let create = AdapterWriter::create;
            let mut writer =
                create(&dir, &set, Layout::AdapterHub, &shapes, "base", &provenance()).unwrap();
            while let Some((name, site)) = writer.next() {
                let w = weights(&set, name, site, shapes[name][&site]);
                writer.push(&w).unwrap();
            }
            writer.finish().unwrap();
            let file = TensorFile::open(&dir.join("de/adapter.safetensors")).unwrap();
            let library_config = &read_config(&dir, "de")["config"];
            for layer in 0..3 {
                let site = Site { side: Side::Decoder, layer, position };
                let own = open(&dir).unwrap().weights("de", site).unwrap();
                let stem = format!("model.decoder.layers.{layer}.{word}.adapters.de");
                let found = library(library_config, &file, &stem, &h, &x);
                let y = add(&x, &h);
                let input = if position == Position::Layer { y.clone() } else { h.to_vec() };
                let expected = add(&y, &added(&own, norm, &input));
                for (a, b) in found.iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-5, "{position:?} {norm:?}: {a} {b}");
                }
                // The terms are there at all.
                let moved = found.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(moved > 0.1, "{position:?} {norm:?}: {moved}");
            }
        }
    }
}

/// `d // f` of Python on the exact values, by whole numbers.
fn python_floor(d: u128, f: f64) -> u128 {
    let bits = f.to_bits();
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1075;
    match exponent {
        0.. => d / (mantissa << exponent),
        _ => (d << -exponent) / mantissa,
    }
}

#[test]
fn every_bottleneck_has_a_factor() {
    for d in [1usize, 2, 6, 16, 100, 511, 512, 768, 1024] {
        for b in (1..=600).chain([1000, 1024, 4096, 65_521]) {
            let set = AdapterSetConfig { d_model: d, ..config(NormPlace::None, false, &[]) };
            let site = Site { side: Side::Encoder, layer: 0, position: Position::Layer };
            let document =
                adapterhub::to_json("x", &Sites::from([(site, b)]), &set, "base").unwrap();
            let factor = &document["config"]["reduction_factor"];
            let f = factor.as_f64().unwrap();
            assert_eq!((d as f64 / f) as usize, b, "{d} / {factor}");
            assert_eq!(python_floor(d as u128, f), b as u128, "{d} // {factor}");
            assert!(factor.to_string().len() <= 18, "{factor}");
        }
    }
    assert_eq!((python_floor(16, 0.8), python_floor(16, 3.0)), (19, 5));
}

#[test]
fn what_the_layout_cannot_say_is_refused_before_anything_is_written() {
    use Position::{Attention, FeedForward, Layer};
    let root = tempfile::tempdir().unwrap();
    let refuse = |set: &AdapterSetConfig, shapes: &Shapes, says: &str| {
        let dir = root.path().join("set");
        let e = AdapterWriter::create(&dir, set, Layout::AdapterHub, shapes, "base", &provenance())
            .err()
            .unwrap_or_else(|| panic!("{says}"));
        assert_eq!(e.exit_code() as i32, 2, "{e}");
        assert!(e.to_string().contains(says), "{e}");
        assert!(e.to_string().contains("layout `bank`"), "{e}");
        assert!(!dir.exists());
        let bank = root.path().join("bank");
        AdapterWriter::create(&bank, set, Layout::Bank, shapes, "base", &provenance()).unwrap();
    };
    let of = |positions: &[Position]| {
        let set = config(NormPlace::None, false, positions);
        let shapes = shapes(&set);
        (set, shapes)
    };
    let (set, shapes) = of(&[Layer, FeedForward]);
    refuse(&set, &shapes, "both are its `output_adapter`");
    let (set, shapes) = of(&[Layer, Attention]);
    refuse(&set, &shapes, "after the layer and on attention together");
    let (set, mut shapes) = of(&[FeedForward, Attention]);
    let site = Site { side: Side::Encoder, layer: 1, position: Attention };
    shapes.get_mut("de").unwrap().insert(site, 3);
    refuse(&set, &shapes, "{2, 3} in encoder.layers.1");
    let (mut set, mut shapes) = of(&[FeedForward, Attention]);
    set.placement.encoder[1].remove("attention");
    for sites in shapes.values_mut() {
        sites.remove(&site);
    }
    refuse(&set, &shapes, "not all of them in encoder.layers.1");
}

/// Layers without adapters are left out by the numbers of both sides.
#[test]
fn layers_are_left_out() {
    let root = tempfile::tempdir().unwrap();
    let mut set = config(NormPlace::None, false, &[Position::FeedForward]);
    for layer in [&mut set.placement.encoder[1], &mut set.placement.decoder[0]] {
        layer.clear();
    }
    write(root.path(), &set, Layout::AdapterHub);
    let own = read_config(root.path(), "de");
    assert_eq!(own["config"]["leave_out"], json!([1, 2]));
    assert_eq!(own["config"]["reduction_factor"], json!({"4": 1.5, "default": 3}));
    let read = open(root.path()).unwrap();
    let found: BTreeSet<String> = read.shapes()["de"].keys().map(Site::to_string).collect();
    let expected = [
        "encoder.layers.0.feed-forward",
        "decoder.layers.1.feed-forward",
        "decoder.layers.2.feed-forward",
    ];
    assert_eq!(found, expected.map(String::from).into());
}
