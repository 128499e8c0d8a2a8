//! How hyper-networks begin: the scales of section 6.3 of hyper-adapters, those of section 5 of
//! Hyper-X, and that a new Hyper-X leaves the model as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use isogloss::formats::adapters::NormPlace;
use isogloss::formats::hypernet::{Affine, Factor, HyperConfig};
use isogloss::kernels::storage::values;
use isogloss::methods::hyper::{HyperInit, HyperNetwork, TRANSLATION, rows_for};

use super::{all_values, generate, hyper_adapters, hyper_x, on, trained, with_rows};
use crate::adapters::{Base, MODELS, sentences};

/// Deviations of what a new network generates, about 0 (about 1 for a norm's scale): raw, and
/// divided by the root of d_h.
#[derive(Clone, Copy, Debug, Default)]
struct Scales {
    weights: [f64; 2],
    down_bias: [f64; 2],
    others: [f64; 2],
}

/// The sizes of section 6.3: blocks and d_h.
const SIZES: [(usize, usize); 9] =
    [(1, 64), (1, 256), (1, 612), (2, 64), (2, 102), (2, 128), (2, 204), (2, 306), (2, 612)];

/// Measured once for all tests: the larger networks have 83 million parameters.
static SCALES: LazyLock<BTreeMap<(usize, usize), Scales>> =
    LazyLock::new(|| SIZES.into_iter().map(|size| (size, measured(size.0, size.1))).collect());

/// d 512, b 128, e 50, over languages and layers; narrow networks differ more between draws, so it
/// takes several.
fn measured(blocks: usize, hidden: usize) -> Scales {
    let languages = ["aa", "bb", "cc", "dd"];
    let draws = match hidden {
        ..200 => 4,
        200..400 => 2,
        _ => 1,
    };
    let mut sums = [[Spread::default(); 3]; 2];
    for seed in 0..draws {
        let c = HyperConfig { blocks, ..hyper_adapters(512, [1, 1], 128, hidden) };
        let c = with_rows(c, &languages, &[]);
        let mut network = HyperNetwork::create(c, HyperInit::Xavier, seed + 1).unwrap();
        for (i, rescale) in [false, true].into_iter().enumerate() {
            network.config.rescale = rescale;
            for (l, src) in languages.iter().enumerate() {
                for a in generate(&network, TRANSLATION, src, languages[(l + 1) % 4]) {
                    let v = all_values(&a);
                    sums[i][0].add(&v[0], 0.0);
                    sums[i][0].add(&v[2], 0.0);
                    sums[i][1].add(&v[1], 0.0);
                    sums[i][2].add(&v[3], 0.0);
                    sums[i][2].add(&v[4], 1.0);
                    sums[i][2].add(&v[5], 0.0);
                }
            }
        }
    }
    let of = |kind: usize| [0, 1].map(|i| sums[i][kind].deviation());
    Scales { weights: of(0), down_bias: of(1), others: of(2) }
}

#[derive(Clone, Copy, Default)]
struct Spread {
    n: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, v: &[f32], centre: f64) {
        self.n += v.len() as f64;
        self.squares += v.iter().map(|v| (f64::from(*v) - centre).powi(2)).sum::<f64>();
    }
    fn deviation(&self) -> f64 {
        (self.squares / self.n).sqrt()
    }
}

#[track_caller]
fn within(found: f64, expected: f64, share: f64, what: &str) {
    assert!((found / expected - 1.0).abs() <= share, "{what}: {found}, expected {expected}");
}

/// Check 3 of section 17: table 6.3, weights with Xavier heads, without and with rescaling.
#[test]
fn generated_weights_begin_as_large_as_the_table_says() {
    for (size, plain, rescaled) in [
        ((1, 64), 0.044, 0.0055),
        ((1, 256), 0.077, 0.0048),
        ((1, 612), 0.107, 0.0043),
        ((2, 64), 0.055, 0.0068),
        ((2, 102), 0.069, 0.0068),
        ((2, 204), 0.089, 0.0062),
        ((2, 612), 0.147, 0.0059),
    ] {
        let found = SCALES[&size];
        within(found.weights[0], plain, 0.15, &format!("{size:?} plain"));
        within(found.weights[1], rescaled, 0.15, &format!("{size:?} rescaled"));
    }
}

/// The second table of section 6.3: biases and what becomes scale and shift of the norm.
#[test]
fn generated_small_vectors_begin_as_large_as_the_table_says() {
    for (hidden, down_bias, others) in [
        (102, [1.17, 0.116], [0.72, 0.071]),
        (204, [1.26, 0.088], [0.86, 0.060]),
        (612, [1.39, 0.056], [1.12, 0.045]),
    ] {
        let found = SCALES[&(2, hidden)];
        for i in 0..2 {
            let rescaled = i == 1;
            let what = |of: &str| format!("{of} of {hidden}, rescaled: {rescaled}");
            within(found.down_bias[i], down_bias[i], 0.15, &what("down bias"));
            within(found.others[i], others[i], 0.15, &what("others"));
        }
    }
}

/// Check 4 of section 17: with rescaling a wider trunk changes little, without it a trunk of double
/// width generates weights 1.3 to 1.4 times as large.
#[test]
fn only_without_rescaling_do_weights_grow_with_the_width() {
    for (narrow, wide) in [(64, 128), (102, 204), (306, 612)] {
        let (a, b) = (SCALES[&(2, narrow)].weights, SCALES[&(2, wide)].weights);
        let grown = b[0] / a[0];
        assert!((1.25..1.45).contains(&grown), "{narrow} to {wide}: {grown}");
        assert!((b[1] / a[1] - 1.0).abs() < 0.15, "{narrow} to {wide}: {}", b[1] / a[1]);
        // The division is by the root of the width and nothing else.
        within(a[0] / a[1], (narrow as f64).sqrt(), 1e-4, "division");
    }
}

/// Section 6.2 with the division in the measurement: weights begin as large as a stored adapter's,
/// rescaled or not, and what is small begins within 0.01 of the trunk's sum.
#[test]
fn matched_weights_begin_as_large_as_stored_ones() {
    let (d, b) = (64, 16);
    let target = (2.0 / (d + b) as f64).sqrt();
    let all = hyper_adapters(d, [2, 2], b, 32);
    let layers_only = HyperConfig {
        encoder_inputs: on(&[Factor::Layer]),
        decoder_inputs: on(&[Factor::Layer]),
        ..all.clone()
    };
    // Sources that are no targets, as in a text into one language.
    let mut one_way = all.clone();
    let names = |list: &[&str]| list.iter().map(|l| l.to_string()).collect::<BTreeSet<_>>();
    let keys = [(Factor::Source, names(&["aa", "bb"])), (Factor::Target, names(&["cc"]))];
    one_way.rows = rows_for(&one_way, &keys.into());
    for (c, pairs) in [
        (with_rows(all, &["aa", "bb", "cc"], &[]), vec![("aa", "bb"), ("bb", "cc"), ("cc", "aa")]),
        (with_rows(layers_only, &["aa"], &[]), vec![("aa", "aa")]),
        (one_way, vec![("aa", "cc"), ("bb", "cc")]),
    ] {
        for rescale in [true, false] {
            let c = HyperConfig { rescale, ..c.clone() };
            let h = c.hidden;
            let network = HyperNetwork::create(c, HyperInit::Match, 7).unwrap();
            let mut spread = [Spread::default(); 2];
            for (src, tgt) in &pairs {
                for a in generate(&network, TRANSLATION, src, tgt) {
                    let v = all_values(&a);
                    spread[0].add(&v[0], 0.0);
                    spread[1].add(&v[2], 0.0);
                }
            }
            for spread in spread {
                // Over other directions than those it was measured with.
                within(spread.deviation(), target, 0.15, &format!("{pairs:?} {rescale}"));
            }
            for p in network.parameters().filter(|p| p.name.starts_with("head.")) {
                let wide = p.name.contains("down_weight") || p.name.contains("up_weight");
                let v = values(&p.tensor).unwrap();
                let most = v.iter().fold(0f32, |m, v| m.max(v.abs()));
                match (p.name.ends_with(".weight"), wide) {
                    (false, _) => assert_eq!(most, 0.0, "{}", p.name),
                    (true, false) => {
                        assert!(most <= 0.01 && most > 0.0095, "{}: {most}", p.name);
                        assert_eq!(v.len() % h, 0);
                    }
                    (true, true) => assert!(most > 0.01, "{}: {most}", p.name),
                }
            }
        }
    }
}

/// Check 2 of Hyper-X's section 16, and section 5: deviations of 7.7e-4 and 1.8e-3. They depend on
/// the sizes of the projector, not on those of the adapter, which are smaller here.
#[test]
fn hyper_x_begins_as_small_as_its_table_says() {
    let languages = ["aa", "bb", "cc", "dd"];
    for (p, want) in [(32, 7.7e-4), (192, 1.8e-3)] {
        let mut spread = Spread::default();
        // Norms of a vector of 32 numbers differ much between networks.
        for seed in 0..12 {
            let c = with_rows(hyper_x(64, [2, 0], 16, p), &languages, &["x", "y"]);
            let network = HyperNetwork::create(c, HyperInit::Small, seed).unwrap();
            for language in languages {
                for task in ["x", "y"] {
                    for a in generate(&network, task, language, language) {
                        let v = all_values(&a);
                        spread.add(&v[0], 0.0);
                        spread.add(&v[2], 0.0);
                    }
                }
            }
            // Biases of everything are 0, maps have a deviation of 0.01, vectors of 1.
            for q in network.parameters() {
                let mut own = Spread::default();
                own.add(&values(&q.tensor).unwrap(), 0.0);
                match q.name.split('.').next() {
                    Some("embedding") => within(own.deviation(), 1.0, 0.4, &q.name),
                    _ if q.name.ends_with(".bias") => assert_eq!(own.squares, 0.0, "{}", q.name),
                    _ => within(own.deviation(), 0.01, 0.15, &q.name),
                }
            }
        }
        within(spread.deviation(), want, 0.15, &format!("P {p}"));
    }
}

/// Check 3 of Hyper-X's section 16: with new adapters the encoder's states differ by less than one
/// part in a hundred, and by something. Large first weights would show.
#[test]
fn a_new_hyper_x_leaves_the_encoder_as_it_is() {
    for model in MODELS {
        let base = Base::open(model);
        let config = base.config();
        let layers = [config.encoder_layers, config.decoder_layers];
        let (src, _) = sentences();
        let plain = base.encode(&src, &base.plain());
        for p in [32, 192] {
            let change = |init: HyperInit, norm: NormPlace| {
                let affine = if norm == NormPlace::None { Affine::None } else { Affine::Generated };
                let c = hyper_x(config.d_model, layers, 8, p);
                let c = HyperConfig { norm, affine, ..c };
                let c = trained(c, &["aa", "bb"], &[TRANSLATION]);
                let network = HyperNetwork::create(c, init, 5).unwrap();
                let used = network.choose(TRANSLATION, "aa", "bb").unwrap();
                let states = base.encode(&src, &network.parts(&used).unwrap());
                let norm = |v: &mut dyn Iterator<Item = f32>| -> f64 {
                    v.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
                };
                let difference = norm(&mut states.iter().zip(&plain).map(|(a, b)| a - b));
                difference / norm(&mut plain.iter().copied())
            };
            let small = change(HyperInit::Small, NormPlace::None);
            assert!(small > 1e-7 && small < 1e-2, "{model} {p}: {small}");
            // The norm makes its input as large as any: only its own scale keeps it small.
            let small = change(HyperInit::Small, NormPlace::After);
            assert!(small > 1e-7 && small < 5e-2, "{model} {p}, norm after: {small}");
            let large = change(HyperInit::Xavier, NormPlace::None);
            assert!(large > 1e-2, "{model} {p}: {large}");
        }
    }
}

/// Section 6.1: vectors of languages and layers are normal with deviation 1, cut at 2, which leaves a
/// deviation of 0.88; those of Hyper-X are not cut.
#[test]
fn vectors_begin_normal_and_those_of_hyper_adapters_cut() {
    let wide = |c: HyperConfig| HyperConfig { embedding_dim: 20_000, ..c };
    let of = |c: HyperConfig| -> (f64, f32) {
        let c = with_rows(wide(c), &["aa"], &[TRANSLATION]);
        let network = HyperNetwork::create(c, HyperInit::Xavier, 9).unwrap();
        let language = network
            .parameters()
            .find(|p| ["embedding.source.aa", "embedding.language.aa"].contains(&&*p.name))
            .unwrap();
        let v = values(&language.tensor).unwrap();
        let mut spread = Spread::default();
        spread.add(&v, 0.0);
        (spread.deviation(), v.iter().fold(0f32, |m, v| m.max(v.abs())))
    };
    let (deviation, most) = of(hyper_adapters(4, [1, 0], 2, 2));
    within(deviation, 0.8796, 0.02, "cut");
    assert!(most <= 2.0 && most > 1.99, "{most}");
    let (deviation, most) = of(HyperConfig { projection: Some(2), ..hyper_x(4, [1, 0], 2, 2) });
    within(deviation, 1.0, 0.02, "not cut");
    assert!(most > 3.0, "{most}");
}
