//! Hyper-networks: what the specifications of hyper-adapters (its section 17) and Hyper-X (section
//! 16) ask for. Here sizes, and the layout of what is generated.

mod export;
mod inputs;
mod ranks;
mod rows;
mod start;
mod training;

use std::collections::{BTreeMap, BTreeSet};

use isogloss::autograd::Tape;
use isogloss::formats::adapters::{NormPlace, Position, Site};
use isogloss::formats::hypernet::{Affine, Factor, HyperConfig, Kind};
use isogloss::formats::neurons::Side;
use isogloss::kernels::storage::values;
use isogloss::methods::hyper::{
    HyperInit, HyperNetwork, TRANSLATION, fit_hidden, num_params, rows_for, shapes,
};
use isogloss::model::seam::BottleneckAdapter;
use isogloss::model::{DirectionParts, Noise};

fn on(factors: &[Factor]) -> BTreeSet<Factor> {
    factors.iter().copied().collect()
}

/// Hyper-adapters with all switches on and a generated norm, without vectors.
pub fn hyper_adapters(d: usize, layers: [usize; 2], b: usize, hidden: usize) -> HyperConfig {
    HyperConfig {
        kind: Kind::HyperAdapters,
        d_model: d,
        encoder_layers: layers[0],
        decoder_layers: layers[1],
        bottleneck: b,
        positions: [Position::Layer].into(),
        norm: NormPlace::Before,
        affine: Affine::Generated,
        encoder_inputs: on(Kind::HyperAdapters.factors()),
        decoder_inputs: on(Kind::HyperAdapters.factors()),
        embedding_dim: 50,
        layer_embedding_dim: 50,
        hidden,
        projection: None,
        blocks: 2,
        input_norm: false,
        output_norm: false,
        dropout: 0.0,
        rescale: true,
        tie_languages: false,
        shared_layer_ids: false,
        trained_sides: None,
        rows: BTreeMap::new(),
        base_model_sha256: None,
    }
}

/// Hyper-X without a norm in its adapters, without vectors; `hidden` is `P`.
pub fn hyper_x(d: usize, layers: [usize; 2], b: usize, hidden: usize) -> HyperConfig {
    HyperConfig {
        kind: Kind::HyperX,
        positions: [Position::FeedForward].into(),
        norm: NormPlace::None,
        affine: Affine::None,
        encoder_inputs: on(Kind::HyperX.factors()),
        decoder_inputs: on(Kind::HyperX.factors()),
        embedding_dim: 64,
        layer_embedding_dim: 64,
        projection: Some(192),
        blocks: 0,
        rescale: false,
        ..hyper_adapters(d, layers, b, hidden)
    }
}

/// The same with new vectors for languages and tasks, and for its layers.
pub fn with_rows(mut c: HyperConfig, languages: &[&str], tasks: &[&str]) -> HyperConfig {
    let names = |list: &[&str]| list.iter().map(|l| l.to_string()).collect::<BTreeSet<_>>();
    let keys = [
        (Factor::Source, names(languages)),
        (Factor::Target, names(languages)),
        (Factor::Language, names(languages)),
        (Factor::Task, names(tasks)),
    ];
    c.rows = rows_for(&c, &keys.into());
    c
}

/// The same with vectors that count as trained.
pub fn trained(c: HyperConfig, languages: &[&str], tasks: &[&str]) -> HyperConfig {
    let mut c = with_rows(c, languages, tasks);
    c.rows.values_mut().for_each(|row| row.updates = 1);
    c
}

/// Values of the parameters whose names begin so.
fn count(c: &HyperConfig, prefix: &str) -> usize {
    let own = shapes(c).into_iter().filter(|(name, _)| name.starts_with(prefix));
    own.map(|(_, shape)| shape.iter().product::<usize>()).sum()
}

fn numbered(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|i| format!("{prefix}{i}")).collect()
}

fn strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// `found` as the table prints it, in its unit and with its digits.
fn printed(found: usize, unit: f64, digits: usize) -> String {
    format!("{:.digits$}", found as f64 / unit)
}

/// Hyper-adapters, section 7, and check 2 of section 17: 51 languages, 12 layers, d 512, b 128,
/// e 50, two blocks, generated norms.
#[test]
fn parameter_totals_of_hyper_adapters() {
    let languages = numbered("l", 51);
    let (d, b, e, blocks, n, l) = (512, 128, 50, 2, 51, 12);
    let values = 2 * d * b + b + d + 2 * d;
    assert_eq!(values, 132_736);
    // In units of 1e3 for the tables; of the trunk as printed; of 1e6 for heads and total.
    for (h, trunk, trunk_unit, trunk_digits, heads, total) in [
        (64, "26.6", 1e3, 1, "8.63", "8.66"),
        (102, "57.8", 1e3, 1, "13.67", "13.74"),
        (204, "198.9", 1e3, 1, "27.21", "27.42"),
        (256, "302.8", 1e3, 1, "34.11", "34.42"),
        (612, "1.60", 1e6, 2, "81.37", "82.97"),
    ] {
        let c = with_rows(hyper_adapters(d, [6, 6], b, h), &strs(&languages), &[]);
        let tables = 2 * n * e + l * e;
        let of_trunk = 3 * e * h + h + blocks * (2 * h * h + 2 * h + 2 * h);
        let of_heads = (h + 1) * values;
        assert_eq!(count(&c, "embedding."), tables);
        assert_eq!(count(&c, "trunk."), of_trunk, "{h}");
        assert_eq!(count(&c, "head."), of_heads, "{h}");
        assert_eq!(num_params(&c), tables + of_trunk + of_heads, "{h}");
        assert_eq!(printed(tables, 1e3, 1), "5.7");
        assert_eq!(printed(of_trunk, trunk_unit, trunk_digits), trunk);
        assert_eq!(printed(of_heads, 1e6, 2), heads);
        assert_eq!(printed(num_params(&c), 1e6, 2), total);
        // One table of languages instead of two; a static norm has no heads.
        let tied = HyperConfig { tie_languages: true, ..hyper_adapters(d, [6, 6], b, h) };
        let tied = with_rows(tied, &strs(&languages), &[]);
        assert_eq!(num_params(&tied), num_params(&c) - n * e);
        let still = HyperConfig { affine: Affine::None, ..c.clone() };
        assert_eq!(num_params(&still), num_params(&c) - (h + 1) * 2 * d);
    }
}

/// Pitfall 4 of hyper-adapters: z is as wide as its three pieces; and what else can be switched.
#[test]
fn parameters_of_the_other_switches() {
    let h = 7;
    let c = HyperConfig {
        embedding_dim: 5,
        layer_embedding_dim: 3,
        ..hyper_adapters(16, [2, 1], 4, h)
    };
    let c = with_rows(c, &["aa", "bb"], &[]);
    assert_eq!(shapes(&c)["trunk.input.weight"], [h, 2 * 5 + 3]);
    assert_eq!(count(&c, "embedding."), 2 * 2 * 5 + 3 * 3);
    // Made, it is as large.
    let network = HyperNetwork::create(c.clone(), HyperInit::Xavier, 1).unwrap();
    assert_eq!(network.num_params(), num_params(&c));
    let norms = HyperConfig { input_norm: true, output_norm: true, ..c.clone() };
    assert_eq!(num_params(&norms), num_params(&c) + 2 * 13 + 2 * h);
    // What is switched off is zeroed, not removed: the trunk keeps its shape.
    let off = HyperConfig {
        encoder_inputs: on(&[Factor::Layer]),
        decoder_inputs: on(&[Factor::Target]),
        ..c.clone()
    };
    let off = with_rows(off, &["aa", "bb"], &[]);
    assert_eq!(count(&off, "trunk."), count(&c, "trunk."));
    let rows: Vec<&str> = off.rows.keys().map(String::as_str).collect();
    let layers = ["layer.encoder.layers.0.layer", "layer.encoder.layers.1.layer"];
    assert_eq!(rows, [&layers[..], &["target.aa", "target.bb"]].concat());
    // The published code's ids: layer i of both sides is one.
    let shared = HyperConfig { shared_layer_ids: true, ..c.clone() };
    let shared = with_rows(shared, &["aa", "bb"], &[]);
    let of_layers = |c: &HyperConfig| c.languages("layer").len();
    assert_eq!((of_layers(&c), of_layers(&shared)), (3, 2));
    // A stored scale and shift for all.
    let learned = HyperConfig { affine: Affine::Learned, ..c.clone() };
    assert_eq!(num_params(&learned), num_params(&c) - (h + 1) * 32 + 32);
    let several = HyperConfig {
        positions: [Position::Attention, Position::CrossAttention].into(),
        ..c.clone()
    };
    // Two encoder layers with one place, a decoder layer with two.
    assert_eq!(with_rows(several, &["aa"], &[]).languages("layer").len(), 4);
}

/// Hyper-X, section 6, and check 1 of section 16: h 768, b 256, three tasks, 17 languages, 12
/// layers.
#[test]
fn parameter_totals_of_hyper_x() {
    let (languages, tasks) = (numbered("l", 17), numbered("t", 3));
    let (d, b, s) = (768, 256, 192);
    for (p, projector, heads, norms, plain, generated) in [
        (32, 43_232, 13_009_920, 50_688, "13.06", "13.11"),
        (192, 74_112, 76_088_320, 296_448, "76.16", "76.46"),
    ] {
        assert_eq!((p + 1) * (2 * d * b + b + d), heads);
        assert_eq!((s * s + s) + (s * p + p), projector);
        let c = with_rows(hyper_x(d, [12, 0], b, p), &strs(&languages), &strs(&tasks));
        assert_eq!(count(&c, "embedding."), 2048);
        assert_eq!(count(&c, "trunk."), projector);
        assert_eq!(count(&c, "head."), heads);
        assert_eq!(num_params(&c), projector + heads + 2048);
        assert_eq!(printed(num_params(&c), 1e6, 2), plain);
        let after = HyperConfig { norm: NormPlace::After, affine: Affine::Generated, ..c };
        assert_eq!(num_params(&after), projector + heads + norms + 2048);
        assert_eq!(printed(num_params(&after), 1e6, 2), generated);
    }
}

/// `--match-params`: the largest size that fits, never one more, whatever the budget.
#[test]
fn the_hidden_size_is_the_largest_within_a_budget() {
    let languages = numbered("l", 51);
    let a = with_rows(hyper_adapters(512, [6, 6], 128, 1), &strs(&languages), &[]);
    let x = with_rows(hyper_x(768, [12, 0], 256, 1), &strs(&languages), &[TRANSLATION]);
    for c in [a, x] {
        let with = |hidden: usize| num_params(&HyperConfig { hidden, ..c.clone() });
        for hidden in [1, 2, 3, 63, 64, 65, 102, 612, 4096] {
            assert_eq!(fit_hidden(&c, with(hidden)).unwrap(), hidden);
            assert_eq!(fit_hidden(&c, with(hidden + 1) - 1).unwrap(), hidden);
        }
        let mut last = 0;
        for budget in (with(1)..with(40)).step_by(1_234_567) {
            let hidden = fit_hidden(&c, budget).unwrap();
            assert!(with(hidden) <= budget && budget < with(hidden + 1) && hidden >= last);
            last = hidden;
        }
        let e = fit_hidden(&c, with(1) - 1).unwrap_err();
        assert_eq!(e.exit_code() as i32, 2);
        assert!(e.to_string().contains(&format!("at least {}", with(1))), "{e}");
        let e = fit_hidden(&c, usize::MAX).unwrap_err();
        assert_eq!(e.exit_code() as i32, 2, "{e}");
    }
    // A bank of K adapters and heads of d_h + 1 = K are equally large.
    let bank = 612 * 132_736;
    let c = with_rows(hyper_adapters(512, [6, 6], 128, 1), &strs(&languages), &[]);
    assert!((595..612).contains(&fit_hidden(&c, bank).unwrap()));
}

/// Adapters of a direction at all sites.
fn generate(network: &HyperNetwork, task: &str, src: &str, tgt: &str) -> Vec<BottleneckAdapter> {
    let (tape, noise) = (Tape::disabled(), Noise::none());
    let parts = network.parts_for(&tape, &noise, task, (src, tgt), &Side::BOTH).unwrap();
    network.config.sites().into_iter().map(|site| at(&parts, site).clone()).collect()
}

fn at(parts: &DirectionParts, site: Site) -> &BottleneckAdapter {
    let layers = if site.side == Side::Encoder { &parts.encoder } else { &parts.decoder };
    &layers[site.layer].adapters[&site.position]
}

/// All values of an adapter, in the order of the heads.
fn all_values(a: &BottleneckAdapter) -> Vec<Vec<f32>> {
    let norm = a.affine.iter().flat_map(|(scale, shift)| [scale, shift]);
    let parts = [&a.down, &a.down_bias, &a.up, &a.up_bias].into_iter().chain(norm);
    parts.map(|v| values(v.tensor()).unwrap().to_vec()).collect()
}

/// Check 1 of section 17, and section 4: G values; entry (i, j) of a matrix is number
/// `i * columns + j` of its head. Section 5.4: all are divided by the root of d_h, biases of heads included, and
/// then 1 is added to the scale; Hyper-X does neither.
#[test]
fn generated_adapters_have_g_values_in_row_major_order() {
    let (d, b, h) = (10, 3, 16);
    let norm = |c: HyperConfig, norm| HyperConfig { norm, affine: Affine::Generated, ..c };
    let adapters = norm(hyper_adapters(d, [1, 1], b, h), NormPlace::Before);
    let plain = HyperConfig { rescale: false, ..adapters.clone() };
    let x = norm(hyper_x(d, [1, 1], b, h), NormPlace::After);
    for (c, divisor, one) in [(adapters, 4.0, 1.0), (plain, 1.0, 1.0), (x, 1.0, 0.0)] {
        let c = trained(c, &["aa"], &[TRANSLATION]);
        // Heads of weights 0 give their biases: 0, 4, 8, ...
        let network = HyperNetwork::from_values(c, |name, shape| {
            let n: usize = shape.iter().product();
            let bias = name.starts_with("head.") && name.ends_with(".bias");
            Ok((0..n).map(|i| if bias { 4.0 * i as f32 } else { 0.0 }).collect())
        })
        .unwrap();
        for adapter in generate(&network, TRANSLATION, "aa", "aa") {
            let value = |i: usize| 4.0 * i as f32 / divisor;
            let (down, up) = (adapter.down.tensor(), adapter.up.tensor());
            assert_eq!((down.dims(), up.dims()), (&[b, d][..], &[d, b][..]));
            let (down, up) = (down.to_vec2::<f32>().unwrap(), up.to_vec2::<f32>().unwrap());
            for i in 0..b {
                for j in 0..d {
                    assert_eq!((down[i][j], up[j][i]), (value(i * d + j), value(j * b + i)));
                }
            }
            let all = all_values(&adapter);
            let g: usize = all.iter().map(Vec::len).sum();
            assert_eq!(g, 2 * d * b + b + d + 2 * d);
            let [_, down_bias, _, up_bias, scale, shift] = &all[..] else { panic!() };
            assert!((0..b).all(|i| down_bias[i] == value(i)));
            assert!((0..d).all(|i| up_bias[i] == value(i) && shift[i] == value(i)));
            assert!((0..d).all(|i| scale[i] == value(i) + one), "{scale:?}");
        }
    }
}
