//! Stored adapters in the model: their definition, how they begin, how many values they have, and
//! translation against training. Also what the tests of hyper-networks share with them.

mod goldens;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use isogloss::autograd::{Gradients, Parameter, Tape, Value};
use isogloss::formats::adapters::{AdapterSetConfig, AdapterWeights, NormPlace, Position, Site};
use isogloss::formats::neurons::Side;
use isogloss::formats::placement::{Index, Layer, Placement};
use isogloss::kernels::storage::{change, values};
use isogloss::methods::adapters::{
    AdapterInit, AdapterModule, AdapterSet, AdapterSpec, weights_of,
};
use isogloss::methods::{UnknownLanguage, placement_for};
use isogloss::model::inference::{InferenceModel, LowRankForm};
use isogloss::model::seam::BottleneckAdapter;
use isogloss::model::{
    Checkpoint, DirectionParts, M2m100, ModelConfig, Noise, ParameterSet, Ragged, Teacher,
};

use crate::masked_model::translate;
use crate::stepping::steps_as_it_translates;

pub const MODELS: [&str; 2] = ["even", "lopsided"];

pub fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

/// Every number within `limit`; what is not a number never is.
#[track_caller]
pub fn close(found: &[f32], expected: &[f32], limit: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= limit, "{what} at {i}: {f}, expected {e}");
    }
}

/// Numbers between -1 and 1 that look random.
pub fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    // The first few of neighbouring seeds are alike.
    (0..8).for_each(|_| {
        next();
    });
    (0..n).map(|_| next()).collect()
}

/// Values away from 0 and 1: nothing of a part is hidden behind how it begins.
pub fn wild<'a>(parameters: impl Iterator<Item = &'a Parameter>) {
    for (i, p) in parameters.enumerate() {
        let v = numbers(p.tensor.elem_count(), i as u64 + 5);
        let embedding = p.name.starts_with("embedding.");
        let scale = p.name.contains("norm.weight") && !p.name.starts_with("head.");
        let (size, shift) = if embedding { (1.0, 0.0) } else { (0.4, f32::from(scale)) };
        change(&p.tensor, |t| t.iter_mut().zip(&v).for_each(|(t, v)| *t = size * v + shift))
            .unwrap();
    }
}

/// A tiny model, all of it trainable.
pub struct Base {
    pub checkpoint: Checkpoint,
    pub set: ParameterSet,
    pub model: M2m100,
}

impl Base {
    pub fn open(name: &str) -> Self {
        let checkpoint = Checkpoint::open(&data("training").join(name)).unwrap();
        let set = ParameterSet::load(&checkpoint, |_| true).unwrap();
        let bias = checkpoint.final_logits_bias().unwrap();
        let model = M2m100::new(&checkpoint.config, &set, bias).unwrap();
        Self { checkpoint, set, model }
    }
    pub fn config(&self) -> &ModelConfig {
        &self.checkpoint.config
    }
    pub fn plain(&self) -> DirectionParts {
        DirectionParts::none(self.config())
    }
    pub fn encode(&self, src: &Ragged, parts: &DirectionParts) -> Vec<f32> {
        let (tape, noise) = (Tape::disabled(), Noise::none());
        let h = self.model.encode(&tape, &noise, src, &parts.encoder).unwrap();
        values(h.tensor()).unwrap().to_vec()
    }
    pub fn logits(&self, parts: &DirectionParts) -> Vec<f32> {
        let (src, labels) = sentences();
        self.model.logits(Teacher { src: &src, labels: &labels, weights: None }, parts).unwrap()
    }
    pub fn inference(&self) -> InferenceModel {
        InferenceModel::from_checkpoint(&self.checkpoint).unwrap()
    }
    /// Gradient slots behind the model's own.
    pub fn number<'a>(&self, parameters: impl Iterator<Item = &'a mut Parameter>) {
        let first = self.set.trainable().count();
        parameters.enumerate().for_each(|(i, p)| p.slot = Some(first + i));
    }
}

pub fn sentences() -> (Ragged, Ragged) {
    let src: [&[u32]; 3] = [&[4, 9, 12, 30, 2], &[4, 7, 2], &[4, 8, 8, 21, 33, 11, 2]];
    let labels: [&[u32]; 3] = [&[5, 14, 2], &[5, 17, 18, 19, 2], &[5, 39, 2]];
    (Ragged::new(src), Ragged::new(labels))
}

/// Log probabilities of translations, searched for and given, are those of the training path.
pub fn translates_as_it_trains(
    base: &Base,
    model: &InferenceModel,
    parts: &DirectionParts,
    what: &str,
) {
    let weights = Arc::new(model.base_weights().with_parts(parts, LowRankForm::Beside).unwrap());
    // A given target is the source itself.
    let given = translate(model, weights.clone(), true);
    let plain = translate(model, model.base_weights().clone(), true);
    assert_ne!(given, plain, "{what}: the adapters do nothing");
    let src = Ragged::new(given.iter().map(|(tokens, _)| tokens.as_slice()));
    let searched = translate(model, weights, false);
    steps_as_it_translates(&base.model, parts, (&given, &searched), what);
    for found in [&given, &searched] {
        let labels = Ragged::new(found.iter().map(|(tokens, _)| tokens.as_slice()));
        let teacher = Teacher { src: &src, labels: &labels, weights: None };
        let logits = base.model.logits(teacher, parts).unwrap();
        let vocab = base.config().vocab_size;
        for (i, (tokens, scores)) in found.iter().enumerate() {
            let first = labels.offsets[i];
            let want: Vec<f32> = (0..tokens.len())
                .map(|k| {
                    let z = &logits[(first + k) * vocab..][..vocab];
                    let sum: f64 = z.iter().map(|v| f64::from(*v).exp()).sum();
                    let forced = k == 0;
                    let z = f64::from(z[tokens[k] as usize]);
                    if forced { 0.0 } else { (z - sum.ln()) as f32 }
                })
                .collect();
            close(scores, &want, 2e-5, &format!("{what}: log probabilities of {i}"));
        }
    }
}

/// What a set of stored adapters is to be.
pub struct Stored<'a> {
    pub positions: &'a [Position],
    pub norm: NormPlace,
    pub affine: bool,
    /// Of the encoder, of the decoder.
    pub index: [Index; 2],
    pub bottleneck: usize,
    pub init: AdapterInit,
}

impl Stored<'_> {
    pub fn create(&self, config: &ModelConfig, directions: &[(String, String)]) -> AdapterSet {
        let layer = |side: Side, index: Index| -> Layer {
            let here = self.positions.iter().filter(|p| p.is_on(side));
            here.map(|p| (p.name().to_string(), index)).collect()
        };
        let placement = Placement {
            encoder: vec![layer(Side::Encoder, self.index[0]); config.encoder_layers],
            decoder: vec![layer(Side::Decoder, self.index[1]); config.decoder_layers],
            ..Placement::default()
        };
        let placement = placement_for(placement, directions, &[], &|l| Ok(l.to_string())).unwrap();
        let spec = AdapterSpec {
            config: AdapterSetConfig {
                d_model: config.d_model,
                norm: self.norm,
                affine: self.affine,
                task: None,
                placement,
            },
            bottleneck: self.bottleneck,
            init: self.init,
            seed: 1,
        };
        spec.create().unwrap()
    }
}

pub fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(s, t)| (s.to_string(), t.to_string())).collect()
}

const NORMS: [(NormPlace, bool); 5] = [
    (NormPlace::None, false),
    (NormPlace::Before, false),
    (NormPlace::Before, true),
    (NormPlace::After, false),
    (NormPlace::After, true),
];

/// `v` normalised by mean and variance, then scaled and shifted; in f64.
fn normalised(v: &[f64], affine: Option<&(Vec<f32>, Vec<f32>)>) -> Vec<f64> {
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    let variance = v.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    let at = |list: Option<&Vec<f32>>, i: usize| list.map(|l| f64::from(l[i]));
    v.iter()
        .enumerate()
        .map(|(i, v)| {
            let scale = at(affine.map(|a| &a.0), i).unwrap_or(1.0);
            let shift = at(affine.map(|a| &a.1), i).unwrap_or(0.0);
            (v - mean) / (variance + 1e-5).sqrt() * scale + shift
        })
        .collect()
}

/// Sections 4 of both specifications, number by number.
#[test]
fn an_adapter_computes_its_definition() {
    let (d, b, rows) = (7, 3, 4);
    let matrix = |w: &[f32], v: &[f64], bias: &[f32]| -> Vec<f64> {
        let width = v.len();
        bias.iter()
            .enumerate()
            .map(|(i, bias)| {
                let row = w[i * width..][..width].iter().zip(v);
                f64::from(*bias) + row.map(|(w, v)| f64::from(*w) * v).sum::<f64>()
            })
            .collect()
    };
    let x = numbers(rows * d, 50);
    let tensor = |v: &[f32], dims: &[usize]| {
        Value::constant(Tensor::from_vec(v.to_vec(), dims, &Device::Cpu).unwrap())
    };
    for (norm, affine) in NORMS {
        let w = AdapterWeights {
            down: numbers(b * d, 51),
            down_bias: numbers(b, 52),
            up: numbers(d * b, 53),
            up_bias: numbers(d, 54),
            norm: affine.then(|| (numbers(d, 55), numbers(d, 56))),
        };
        let adapter = BottleneckAdapter {
            down: tensor(&w.down, &[b, d]),
            down_bias: tensor(&w.down_bias, &[b]),
            up: tensor(&w.up, &[d, b]),
            up_bias: tensor(&w.up_bias, &[d]),
            norm,
            affine: w.norm.as_ref().map(|(s, t)| (tensor(s, &[d]), tensor(t, &[d]))),
        };
        let y = adapter.forward(&Tape::disabled(), &tensor(&x, &[rows, d])).unwrap();
        let mut want = Vec::new();
        for x in x.chunks(d) {
            let x: Vec<f64> = x.iter().map(|v| f64::from(*v)).collect();
            let affine = w.norm.as_ref();
            let n = if norm == NormPlace::Before { normalised(&x, affine) } else { x.clone() };
            let a: Vec<f64> =
                matrix(&w.down, &n, &w.down_bias).into_iter().map(|v| v.max(0.0)).collect();
            let u = matrix(&w.up, &a, &w.up_bias);
            let u = if norm == NormPlace::After { normalised(&u, affine) } else { u };
            want.extend(x.iter().zip(&u).map(|(x, u)| (x + u) as f32));
        }
        close(&values(y.tensor()).unwrap(), &want, 5e-6, &format!("{norm:?} {affine}"));
    }
}

/// Each position alone and all together, each norm: the packed adapters of translation compute what
/// those of training do, token by token and in search.
#[test]
fn every_position_and_norm_translates_as_it_trains() {
    for model in MODELS {
        let base = Base::open(model);
        let inference = base.inference();
        let mut seen: Vec<Vec<f32>> = vec![base.logits(&base.plain())];
        let alone = Position::ALL.map(|p| vec![p]);
        for positions in alone.iter().chain([&Position::ALL.to_vec()]) {
            for (norm, affine) in NORMS {
                let stored = Stored {
                    positions,
                    norm,
                    affine,
                    index: [Index::Shared; 2],
                    bottleneck: 5,
                    init: AdapterInit::Xavier,
                };
                let set = stored.create(base.config(), &[]);
                wild(set.parameters());
                let used = set.choose("aa", "bb", UnknownLanguage::Error).unwrap();
                let parts = set.parts(&used).unwrap();
                let what = format!("{model} {positions:?} {norm:?} {affine}");
                translates_as_it_trains(&base, &inference, &parts, &what);
                // No two of them are the same.
                let logits = base.logits(&parts);
                assert!(!seen.contains(&logits), "{what}");
                seen.push(logits);
            }
        }
    }
}

/// Up maps of zeros: the base model, bit for bit; the other ways to begin change it a little, or
/// much.
#[test]
fn new_identity_adapters_change_no_bit() {
    let base = Base::open("even");
    let model = base.inference();
    let plain = base.logits(&base.plain());
    let translated =
        [false, true].map(|given| translate(&model, model.base_weights().clone(), given));
    for (norm, affine) in NORMS {
        let create = |init: AdapterInit| {
            let stored = Stored {
                positions: &Position::ALL,
                norm,
                affine,
                index: [Index::Source, Index::Target],
                bottleneck: 4,
                init,
            };
            let set = stored.create(base.config(), &pairs(&[("aa", "bb")]));
            set.parts(&set.choose("aa", "bb", UnknownLanguage::Error).unwrap()).unwrap()
        };
        let parts = create(AdapterInit::Identity);
        let bits = |v: &[f32]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&base.logits(&parts)), bits(&plain), "{norm:?} {affine}");
        let weights =
            Arc::new(model.base_weights().with_parts(&parts, LowRankForm::Beside).unwrap());
        for (given, want) in [false, true].into_iter().zip(&translated) {
            assert_eq!(translate(&model, weights.clone(), given), *want, "{norm:?} {affine}");
        }
        let far = |init| {
            let moved = base.logits(&create(init));
            moved.iter().zip(&plain).fold(0f32, |m, (a, b)| m.max((a - b).abs()))
        };
        assert!(far(AdapterInit::Xavier) > 0.05, "{norm:?} {affine}");
        // A norm behind blows up what is small.
        if norm != NormPlace::After {
            let small = far(AdapterInit::Small);
            assert!(small > 0.0 && small < 0.02, "{norm:?} {affine}: {small}");
        }
    }
}

/// Hyper-adapters, section 7: 2db + b + d values, and 2d more for the norm's scale and shift, for
/// each language and layer it is used in.
#[test]
fn stored_adapters_have_the_size_of_the_specification() {
    let (base, b) = (Base::open("lopsided"), 5);
    let (d, layers) = (base.config().d_model, [3, 1]);
    let directions = pairs(&[("aa", "bb"), ("aa", "cc"), ("bb", "cc")]);
    for (index, keys) in [
        ([Index::Source, Index::Target], [2, 2]),
        ([Index::Target, Index::Source], [2, 2]),
        ([Index::Direction, Index::Shared], [3, 1]),
    ] {
        for (affine, one) in [(true, 2 * d * b + b + d + 2 * d), (false, 2 * d * b + b + d)] {
            let stored = Stored {
                positions: &[Position::Layer],
                norm: NormPlace::Before,
                affine,
                index,
                bottleneck: b,
                init: AdapterInit::Xavier,
            };
            let set = stored.create(base.config(), &directions);
            let sites = layers[0] * keys[0] + layers[1] * keys[1];
            assert_eq!(set.num_params(), sites * one, "{index:?}");
            let by_shape: usize = set.shapes().values().map(BTreeMap::len).sum();
            assert_eq!(by_shape, sites);
        }
    }
}

/// How they begin: Xavier within sqrt(6/(d+b)), or deviation 0.01; biases 0, scales 1.
#[test]
fn stored_adapters_begin_as_they_should() {
    let config: ModelConfig = serde_json::from_value(serde_json::json!({
        "model_type": "m2m_100", "vocab_size": 10, "d_model": 128, "encoder_layers": 1,
        "decoder_layers": 0, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8,
        "encoder_attention_heads": 1, "decoder_attention_heads": 1,
    }))
    .unwrap();
    let (d, b) = (128, 32);
    // A uniform draw within a bound has a deviation of the bound over the root of 3.
    let xavier = (2.0 / (d + b) as f64).sqrt();
    for (init, down, up) in [
        (AdapterInit::Identity, xavier, 0.0),
        (AdapterInit::Xavier, xavier, xavier),
        (AdapterInit::Small, 0.01, 0.01),
    ] {
        let stored = Stored {
            positions: &[Position::Layer],
            norm: NormPlace::Before,
            affine: true,
            index: [Index::Shared; 2],
            bottleneck: b,
            init,
        };
        let set = stored.create(&config, &[]);
        for p in set.parameters() {
            let v = values(&p.tensor).unwrap();
            let mean_square = v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / v.len() as f64;
            let want = match p.name.rsplit_once("layer.").unwrap().1 {
                "down.weight" => down,
                "up.weight" => up,
                "norm.weight" => 1.0,
                _ => 0.0,
            };
            let found = mean_square.sqrt();
            assert!((found - want).abs() <= 0.05 * want, "{init:?} {}: {found}, {want}", p.name);
            if init != AdapterInit::Small && want == xavier {
                let most = v.iter().fold(0f32, |m, v| m.max(v.abs()));
                assert!(f64::from(most) <= xavier * 3f64.sqrt(), "{}: {most}", p.name);
            }
        }
    }
}

/// A batch gives gradients to the adapters of its direction and to no other.
#[test]
fn a_direction_trains_its_own_adapters_only() {
    let base = Base::open("even");
    let stored = Stored {
        positions: &[Position::Layer],
        norm: NormPlace::Before,
        affine: true,
        index: [Index::Source, Index::Target],
        bottleneck: 4,
        init: AdapterInit::Xavier,
    };
    let mut set = stored.create(base.config(), &pairs(&[("aa", "bb"), ("bb", "aa"), ("aa", "cc")]));
    base.number(set.parameters_mut());
    let mut gradients = Gradients::new(base.set.iter().chain(set.parameters())).unwrap();
    let (src, labels) = sentences();
    let teacher = Teacher { src: &src, labels: &labels, weights: None };
    let used = set.choose("aa", "bb", UnknownLanguage::Error).unwrap();
    let parts = set.parts(&used).unwrap();
    let (tape, noise) = (Tape::recording(), Noise::none());
    base.model.train(tape, teacher, &parts, &noise, 0.1, 0.1, &mut gradients).unwrap();
    let touched: BTreeSet<(&str, &str)> = set
        .parameters()
        .filter(|p| gradients.get(p.slot.unwrap()).is_some())
        .map(|p| {
            let mut words = p.name.split('.');
            (words.next().unwrap(), words.next().unwrap())
        })
        .collect();
    assert_eq!(touched, BTreeSet::from([("aa", "encoder"), ("bb", "decoder")]));
    // A language that was no target has no adapter as one.
    let e = set.choose("cc", "aa", UnknownLanguage::Error).unwrap_err().to_string();
    assert!(e.contains("`cc` was not trained with it as source"), "{e}");
}

/// Each layer of a side may use another's adapters: by source, by target, by direction, or all's.
#[test]
fn layers_may_differ_in_whose_adapters_they_use() {
    let base = Base::open("even");
    let layer = |index: Index| -> Layer { [("layer".to_string(), index)].into() };
    let placement = Placement {
        encoder: vec![layer(Index::Source), layer(Index::Target)],
        decoder: vec![layer(Index::Shared), layer(Index::Direction)],
        ..Placement::default()
    };
    let directions = pairs(&[("aa", "bb"), ("bb", "aa")]);
    let placement = placement_for(placement, &directions, &[], &|l| Ok(l.to_string())).unwrap();
    let config = AdapterSetConfig {
        d_model: base.config().d_model,
        norm: NormPlace::None,
        affine: false,
        task: None,
        placement,
    };
    let spec = AdapterSpec { config, bottleneck: 2, init: AdapterInit::Xavier, seed: 1 };
    let set = spec.create().unwrap();
    let used = set.choose("aa", "bb", UnknownLanguage::Error).unwrap();
    let parts = set.parts(&used).unwrap();
    for (side, layer, name) in [
        (Side::Encoder, 0, "aa"),
        (Side::Encoder, 1, "bb"),
        (Side::Decoder, 0, "default"),
        (Side::Decoder, 1, "aa-bb"),
    ] {
        let layers = if side == Side::Encoder { &parts.encoder } else { &parts.decoder };
        let found = weights_of(&layers[layer].adapters[&Position::Layer]).unwrap();
        let site = Site { side, layer, position: Position::Layer };
        assert_eq!(found, set.adapters[name][&site].weights().unwrap(), "{site}");
    }
}

/// Values survive the way into a module and back, matrices in row-major order.
#[test]
fn weights_of_an_adapter_go_round() {
    let (d, b) = (6, 4);
    let w = AdapterWeights {
        down: numbers(b * d, 1),
        down_bias: numbers(b, 2),
        up: numbers(d * b, 3),
        up_bias: numbers(d, 4),
        norm: Some((numbers(d, 5), numbers(d, 6))),
    };
    let site = Site { side: Side::Decoder, layer: 1, position: Position::Layer };
    let module = AdapterModule::new("x", site, d, w.clone()).unwrap();
    assert_eq!(module.down.tensor.dims(), [b, d]);
    assert_eq!(module.up.tensor.dims(), [d, b]);
    assert_eq!(&*module.up_bias.name, "x.decoder.layers.1.layer.up.bias");
    assert_eq!(module.weights().unwrap(), w);
    let adapter = BottleneckAdapter {
        down: module.down.value(),
        down_bias: module.down_bias.value(),
        up: module.up.value(),
        up_bias: module.up_bias.value(),
        norm: NormPlace::Before,
        affine: module.norm.as_ref().map(|(s, t)| (s.value(), t.value())),
    };
    assert_eq!(weights_of(&adapter).unwrap(), w);
    assert_eq!(w.num_values(), 2 * d * b + b + d + 2 * d);
}
