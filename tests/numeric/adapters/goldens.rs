//! Adapters, stored and generated, against numbers recorded from transformers
//! (tests/data/adapters/README.md).

use std::collections::{BTreeMap, BTreeSet};

use isogloss::autograd::{Gradients, Parameter, Tape};
use isogloss::formats::adapters::{NormPlace, Position, Site};
use isogloss::formats::hypernet::{Affine, Factor, HyperConfig, Kind, Row};
use isogloss::formats::neurons::Side;
use isogloss::formats::placement::Index;
use isogloss::formats::safetensors::TensorFile;
use isogloss::kernels::storage::{change, values};
use isogloss::methods::UnknownLanguage;
use isogloss::methods::adapters::{AdapterInit, AdapterSet};
use isogloss::methods::hyper::{HyperNetwork, TRANSLATION, rows_for};
use isogloss::model::{DirectionParts, ModelConfig, Noise, Ragged, Teacher};
use isogloss::training::Adam;
use serde_json::Value as Json;

use super::{Base, MODELS, Stored, close, data, translates_as_it_trains};

const CASES: [&str; 7] = [
    "stored-layer",
    "stored-sublayers",
    "stored-feed-forward",
    "hyper-adapters-static",
    "hyper-adapters-generated",
    "hyper-x",
    "hyper-x-norm",
];

/// Every number within `limit`, or within that share of the largest number.
#[track_caller]
fn close_by_scale(found: &[f32], expected: &[f32], limit: f32, what: &str) {
    let scale = expected.iter().fold(1f32, |m, v| m.max(v.abs()));
    close(found, expected, limit * scale, what);
}

/// What adapters are made of in a case.
enum Method {
    Stored(Box<AdapterSet>),
    Hyper(Box<HyperNetwork>),
}

impl Method {
    fn parameters(&self) -> Vec<&Parameter> {
        match self {
            Self::Stored(set) => set.parameters().collect(),
            Self::Hyper(network) => network.parameters().collect(),
        }
    }
    fn parts(&self, tape: &Tape, direction: &(String, String)) -> DirectionParts {
        let (src, tgt) = (direction.0.as_str(), direction.1.as_str());
        match self {
            Self::Stored(set) => {
                set.parts(&set.choose(src, tgt, UnknownLanguage::Error).unwrap()).unwrap()
            }
            Self::Hyper(network) => network
                .parts_for(tape, &Noise::none(), TRANSLATION, (src, tgt), &Side::BOTH)
                .unwrap(),
        }
    }
    /// As translation asks for them.
    fn chosen(&self, direction: &(String, String)) -> DirectionParts {
        match self {
            Self::Stored(_) => self.parts(&Tape::disabled(), direction),
            Self::Hyper(n) => {
                n.parts(&n.choose(TRANSLATION, &direction.0, &direction.1).unwrap()).unwrap()
            }
        }
    }
}

/// One recorded case on one model, its parameters in place.
struct Golden {
    name: String,
    base: Base,
    file: TensorFile,
    settings: Json,
    method: Method,
}

fn text(value: &Json) -> String {
    value.as_str().unwrap().to_string()
}

fn size(value: &Json) -> usize {
    value.as_u64().unwrap() as usize
}

/// A name of the file in ours: the recording calls the adapter that all share `all`.
fn renamed(name: &str) -> String {
    match name.strip_prefix("default.") {
        Some(rest) => format!("all.{rest}"),
        None => name.to_string(),
    }
}

impl Golden {
    fn open(model: &str, case: &str) -> Self {
        let dir = data("adapters").join(model);
        let file = TensorFile::open(&dir.join(format!("{case}.safetensors"))).unwrap();
        let json = std::fs::read_to_string(dir.join(format!("{case}.json"))).unwrap();
        let settings: Json = serde_json::from_str(&json).unwrap();
        let base = Base::open(settings["base"].as_str().unwrap());
        let mut method = match settings["method"].as_str() {
            Some("adapters") => {
                Method::Stored(Box::new(stored_case(&settings, base.config(), &file)))
            }
            _ => Method::Hyper(Box::new(hyper_case(&settings, base.config(), &file))),
        };
        match &mut method {
            Method::Stored(set) => base.number(set.parameters_mut()),
            Method::Hyper(network) => base.number(network.parameters_mut()),
        }
        let golden = Self { name: format!("{model} {case}"), base, file, settings, method };
        let own: BTreeSet<String> =
            golden.method.parameters().iter().map(|p| golden.recorded_name(p)).collect();
        let recorded: BTreeSet<String> = golden
            .file
            .names()
            .iter()
            .filter_map(|n| n.strip_prefix("grad.").map(str::to_string))
            .collect();
        assert_eq!(own, recorded, "{}", golden.name);
        golden
    }

    fn recorded_name(&self, p: &Parameter) -> String {
        match self.method {
            Method::Stored(_) => format!("adapter.{}", renamed(&p.name)),
            Method::Hyper(_) => p.name.to_string(),
        }
    }
    fn directions(&self) -> Vec<(String, String)> {
        let all = self.settings["directions"].as_array().unwrap();
        all.iter().map(|d| (text(&d[0]), text(&d[1]))).collect()
    }
    fn smoothing(&self) -> f32 {
        self.settings["label_smoothing"].as_f64().unwrap() as f32
    }
    fn values(&self, name: &str) -> Vec<f32> {
        self.file.f32_values(name, None).unwrap()
    }
    fn scalar(&self, name: &str) -> f64 {
        f64::from(self.values(name)[0])
    }
    fn ragged(&self, name: &str) -> Ragged {
        let read = |name: &str| -> Vec<u32> {
            let view = self.file.view(name).unwrap();
            view.data().as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect()
        };
        let (ids, mut at) = (read(name), 0);
        let lens = read(&format!("{name}_lens"));
        let sentences: Vec<&[u32]> = lens
            .iter()
            .map(|&n| {
                at += n as usize;
                &ids[at - n as usize..at]
            })
            .collect();
        assert_eq!(at, ids.len());
        Ragged::new(sentences)
    }
    /// Source and labels of direction `i`.
    fn batch(&self, i: usize) -> (Ragged, Ragged) {
        (self.ragged(&format!("direction.{i}.src")), self.ragged(&format!("direction.{i}.labels")))
    }
}

fn positions(settings: &Json) -> Vec<Position> {
    let all = settings["positions"].as_array().unwrap();
    all.iter().map(|p| Position::parse(p.as_str().unwrap()).unwrap()).collect()
}

fn norm(settings: &Json) -> NormPlace {
    serde_json::from_value(settings["norm"].clone()).unwrap()
}

/// A new set with the recorded values in it. Who uses which adapter is told from the names.
fn stored_case(settings: &Json, config: &ModelConfig, file: &TensorFile) -> AdapterSet {
    let directions: Vec<(String, String)> = settings["directions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| (text(&d[0]), text(&d[1])))
        .collect();
    let index = |side: &str| {
        let name = settings["adapters"][0][side].as_str().unwrap();
        let (src, tgt) = (directions[0].0.as_str(), directions[0].1.as_str());
        match name {
            "all" => Index::Shared,
            n if n == src => Index::Source,
            n if n == tgt => Index::Target,
            _ => Index::Direction,
        }
    };
    let spec = Stored {
        positions: &positions(settings),
        norm: norm(settings),
        affine: settings["affine"] == "stored",
        index: [index("encoder"), index("decoder")],
        bottleneck: size(&settings["bottleneck"]),
        init: AdapterInit::Identity,
    };
    let set = spec.create(config, &directions);
    for p in set.parameters() {
        let name = format!("adapter.{}", renamed(&p.name));
        let v = file.f32_values(&name, Some(p.tensor.dims())).unwrap();
        change(&p.tensor, |t| t.copy_from_slice(&v)).unwrap();
    }
    set
}

fn hyper_case(settings: &Json, config: &ModelConfig, file: &TensorFile) -> HyperNetwork {
    let own = &settings["hyper_network"];
    let is_x = settings["method"] == "hyper-x";
    let kind = if is_x { Kind::HyperX } else { Kind::HyperAdapters };
    let inputs = |side: &str| -> BTreeSet<Factor> {
        match is_x {
            true => kind.factors().iter().copied().collect(),
            false => serde_json::from_value(own["inputs"][side].clone()).unwrap(),
        }
    };
    let flag = |key: &str| own[key].as_bool().unwrap_or(false);
    let mut c = HyperConfig {
        kind,
        d_model: config.d_model,
        encoder_layers: config.encoder_layers,
        decoder_layers: config.decoder_layers,
        bottleneck: size(&settings["bottleneck"]),
        positions: positions(settings).into_iter().collect(),
        norm: norm(settings),
        affine: match settings["affine"].as_str() {
            Some("generated") => Affine::Generated,
            _ => Affine::None,
        },
        encoder_inputs: inputs("encoder"),
        decoder_inputs: inputs("decoder"),
        embedding_dim: size(&own["embedding_dim"]),
        layer_embedding_dim: size(&own["embedding_dim"]),
        hidden: size(&own[if is_x { "output_dim" } else { "hidden_dim" }]),
        projection: is_x.then(|| size(&own["hidden_dim"])),
        blocks: own["blocks"].as_u64().unwrap_or(0) as usize,
        input_norm: flag("input_norm"),
        output_norm: flag("output_norm"),
        dropout: 0.0,
        rescale: flag("rescale"),
        tie_languages: flag("tied"),
        shared_layer_ids: false,
        trained_sides: None,
        rows: BTreeMap::new(),
        base_model_sha256: None,
    };
    let languages: BTreeSet<String> = ["de", "en", "ja"].map(String::from).into();
    let tasks = ["denoising", TRANSLATION].map(String::from).into();
    let keys = [Factor::Source, Factor::Target, Factor::Language]
        .map(|f| (f, languages.clone()))
        .into_iter()
        .chain([(Factor::Task, tasks)])
        .collect();
    c.rows = rows_for(&c, &keys);
    c.rows.values_mut().for_each(|r| *r = Row { updates: 1, from: None });
    HyperNetwork::from_values(c, |name, shape| file.f32_values(name, Some(shape))).unwrap()
}

#[test]
fn outputs_and_losses_equal_the_reference() {
    each_case(|g| {
        for (i, direction) in g.directions().iter().enumerate() {
            let parts = g.method.chosen(direction);
            let (src, labels) = g.batch(i);
            let what = |part: &str| format!("{} direction.{i}.{part}", g.name);
            let want = |part: &str| g.values(&format!("direction.{i}.{part}"));
            close(&g.base.encode(&src, &parts), &want("encoded"), 1e-5, &what("encoded"));
            let teacher = Teacher { src: &src, labels: &labels, weights: None };
            let logits = g.base.model.logits(teacher, &parts).unwrap();
            close(&logits, &want("logits"), 1e-5, &what("logits"));
            let plain = g.base.model.logits(teacher, &g.base.plain()).unwrap();
            let change = logits.iter().zip(&plain).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(change > 0.5, "{}: adapters change logits by {change}", g.name);
            let loss = g.base.model.evaluate(teacher, &parts, g.smoothing()).unwrap().sums;
            let n = labels.num_tokens() as f64;
            for (part, sum) in [("loss", loss.loss), ("nll", loss.nll)] {
                let want = g.scalar(&format!("direction.{i}.{part}"));
                assert!((sum / n - want).abs() < 5e-6, "{}: {sum}, {want}", what(part));
            }
        }
    });
}

/// Of every adapter or parameter of a hyper-network, and of the base below and above them.
#[test]
fn every_gradient_equals_the_reference() {
    each_case(|g| {
        let own = g.method.parameters();
        let mut gradients = Gradients::new(g.base.set.iter().chain(own.iter().copied())).unwrap();
        let mut total = 0.0;
        for (i, direction) in g.directions().iter().enumerate() {
            let (src, labels) = g.batch(i);
            let teacher = Teacher { src: &src, labels: &labels, weights: None };
            let tape = Tape::recording();
            let parts = g.method.parts(&tape, direction);
            let n = labels.num_tokens() as f64;
            let (noise, scale) = (Noise::none(), (1.0 / n) as f32);
            let model = &g.base.model;
            let loss = model
                .train(tape, teacher, &parts, &noise, g.smoothing(), scale, &mut gradients)
                .unwrap();
            total += loss.sums.loss / n;
        }
        assert!((total - g.scalar("loss")).abs() < 1e-5, "{}: {total}", g.name);
        let gradient = |p: &Parameter| -> Option<Vec<f32>> {
            gradients.get(p.slot.unwrap()).map(|t| values(t).unwrap().to_vec())
        };
        let (mut squares, mut unread) = (0.0, 0);
        for p in &own {
            let name = format!("grad.{}", g.recorded_name(p));
            let want = g.file.f32_values(&name, Some(p.tensor.dims())).unwrap();
            let zero = want.iter().all(|v| *v == 0.0);
            let Some(found) = gradient(p) else {
                assert!(zero, "{}: {name} got no gradient", g.name);
                unread += 1;
                continue;
            };
            squares += found.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            close_by_scale(&found, &want, 5e-6, &format!("{} {name}", g.name));
        }
        // A row that no direction reads has no gradient, not one of zeros.
        let recorded = own.iter().filter(|p| {
            g.values(&format!("grad.{}", g.recorded_name(p))).iter().all(|v| *v == 0.0)
        });
        assert_eq!(unread, recorded.count(), "{}", g.name);
        let norm = g.scalar("grad_norm");
        assert!((squares.sqrt() - norm).abs() < 1e-5 * norm, "{} {norm}", g.name);
        let base = g.base.set.iter().filter_map(|p| {
            let name = format!("base_grad.{}", p.name);
            g.file.contains(&name).then_some((p, name))
        });
        let mut compared = 0;
        for (p, name) in base {
            let found = gradient(p).unwrap();
            close_by_scale(&found, &g.values(&name), 5e-6, &format!("{} {name}", g.name));
            compared += 1;
        }
        assert_eq!(compared, 4);
        let all = Adam::gradient_norm(&gradients).unwrap();
        let norm = g.scalar("base_grad_norm");
        let base = (all * all - squares).sqrt();
        assert!((base - norm).abs() < 1e-5 * norm, "{}: {base}, {norm}", g.name);
    });
}

#[test]
fn generated_values_equal_the_reference() {
    let mut sites = 0;
    each_case(|g| {
        let names: BTreeSet<Site> = g
            .file
            .names()
            .iter()
            .filter_map(|n| n.strip_prefix("generated."))
            .map(|n| Site::parse(&n.split('.').take(4).collect::<Vec<_>>().join(".")).unwrap())
            .collect();
        assert_eq!(names.len(), if matches!(g.method, Method::Hyper(_)) { 2 } else { 0 });
        let parts = g.method.chosen(&g.directions()[0]);
        for site in names {
            let layers = if site.side == Side::Encoder { &parts.encoder } else { &parts.decoder };
            let adapter = &layers[site.layer].adapters[&site.position];
            let mut tensors = vec![
                ("down.weight", &adapter.down),
                ("down.bias", &adapter.down_bias),
                ("up.weight", &adapter.up),
                ("up.bias", &adapter.up_bias),
            ];
            if let Some((scale, shift)) = &adapter.affine {
                tensors.extend([("norm.weight", scale), ("norm.bias", shift)]);
            }
            let prefix = format!("generated.{site}.");
            let recorded = g.file.names().iter().filter(|n| n.starts_with(&prefix)).count();
            assert_eq!(recorded, tensors.len(), "{} {site}", g.name);
            for (part, value) in tensors {
                let name = format!("{prefix}{part}");
                let want = g.file.f32_values(&name, Some(value.tensor().dims())).unwrap();
                let found = values(value.tensor()).unwrap();
                close(&found, &want, 5e-6, &format!("{} {name}", g.name));
            }
            sites += 1;
        }
    });
    assert_eq!(sites, 2 * 4 * 2);
}

#[test]
fn recorded_adapters_translate_as_they_train() {
    each_case(|g| {
        let model = g.base.inference();
        for direction in g.directions() {
            translates_as_it_trains(&g.base, &model, &g.method.chosen(&direction), &g.name);
        }
    });
}

fn each_case(mut run: impl FnMut(&Golden)) {
    for model in MODELS {
        for case in CASES {
            run(&Golden::open(model, case));
        }
    }
}
