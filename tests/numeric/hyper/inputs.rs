//! Which inputs decide what is generated, and the way back from the loss to all of them.

use std::collections::BTreeSet;

use isogloss::autograd::{Gradients, Parameter, Tape};
use isogloss::formats::adapters::{NormPlace, Position, Site};
use isogloss::formats::hypernet::{Affine, Factor, HyperConfig};
use isogloss::formats::neurons::Side;
use isogloss::kernels::storage::{change, values};
use isogloss::methods::SetUse;
use isogloss::methods::hyper::{HyperInit, HyperNetwork, TRANSLATION};
use isogloss::model::seam::LayerParts;
use isogloss::model::{DirectionParts, Noise, Teacher};

use super::{all_values, at, hyper_adapters, hyper_x, on, trained};
use crate::adapters::{Base, MODELS, sentences, wild};

const LANGUAGES: [&str; 3] = ["aa", "bb", "cc"];

/// Over three languages, with values that hide nothing.
fn network(c: HyperConfig) -> HyperNetwork {
    let c = trained(c, &LANGUAGES, &["denoising", TRANSLATION]);
    let network = HyperNetwork::create(c, HyperInit::Xavier, 1).unwrap();
    wild(network.parameters());
    network
}

fn parts(network: &HyperNetwork, src: &str, tgt: &str) -> DirectionParts {
    network.parts(&network.choose(TRANSLATION, src, tgt).unwrap()).unwrap()
}

fn layers(base: &Base) -> [usize; 2] {
    [base.config().encoder_layers, base.config().decoder_layers]
}

/// All that can be switched on, and tables of different widths.
fn full_adapters(base: &Base) -> HyperConfig {
    HyperConfig {
        embedding_dim: 5,
        layer_embedding_dim: 3,
        input_norm: true,
        output_norm: true,
        dropout: 0.2,
        ..hyper_adapters(base.config().d_model, layers(base), 4, 12)
    }
}

fn full_x(base: &Base) -> HyperConfig {
    HyperConfig {
        embedding_dim: 4,
        layer_embedding_dim: 4,
        projection: Some(9),
        norm: NormPlace::After,
        affine: Affine::Generated,
        ..hyper_x(base.config().d_model, layers(base), 4, 8)
    }
}

/// The loss of a batch in one direction with trunk dropout, from a given state of the network.
struct Objective<'a> {
    base: &'a Base,
    network: &'a HyperNetwork,
}

impl Objective<'_> {
    fn parts(&self, tape: &Tape) -> DirectionParts {
        // The same masks each time.
        let noise = Noise::new(11);
        self.network.parts_for(tape, &noise, TRANSLATION, ("aa", "bb"), &Side::BOTH).unwrap()
    }
    fn loss(&self) -> f64 {
        let (src, labels) = sentences();
        let teacher = Teacher { src: &src, labels: &labels, weights: None };
        let parts = self.parts(&Tape::disabled());
        self.base.model.evaluate(teacher, &parts, 0.1).unwrap().sums.loss
    }
    fn gradients(&self) -> Gradients {
        let all = self.base.set.iter().chain(self.network.parameters());
        let mut gradients = Gradients::new(all).unwrap();
        let (src, labels) = sentences();
        let teacher = Teacher { src: &src, labels: &labels, weights: None };
        let tape = Tape::recording();
        let parts = self.parts(&tape);
        let model = &self.base.model;
        model.train(tape, teacher, &parts, &Noise::none(), 0.1, 1.0, &mut gradients).unwrap();
        gradients
    }
    /// The loss's slope along one entry.
    fn slope(&self, p: &Parameter, i: usize) -> f64 {
        let step = 4e-3f32;
        let first = values(&p.tensor).unwrap()[i];
        let at = |v: f32| {
            change(&p.tensor, |t| t[i] = v).unwrap();
            let loss = self.loss();
            change(&p.tensor, |t| t[i] = first).unwrap();
            loss
        };
        (at(first + step) - at(first - step)) / (2.0 * f64::from(step))
    }
}

/// Check 6 of section 17: the entry with the largest gradient of each parameter against central
/// differences, through both sides of the model.
#[test]
fn gradients_equal_finite_differences() {
    let base = Base::open("even");
    let asked_for: [(HyperConfig, &[&str]); 2] = [
        (
            full_adapters(&base),
            &[
                "embedding.source.aa",
                "embedding.target.bb",
                "embedding.layer.encoder.layers.0.layer",
                "trunk.input.weight",
                "trunk.blocks.0.fc1.weight",
                "head.up_weight.weight",
                "head.norm_weight.weight",
            ],
        ),
        (
            full_x(&base),
            &[
                "embedding.task.translation",
                "embedding.language.aa",
                "trunk.fc1.weight",
                "trunk.fc2.weight",
            ],
        ),
    ];
    for (c, asked_for) in asked_for {
        let mut network = network(c);
        base.number(network.parameters_mut());
        let objective = Objective { base: &base, network: &network };
        let gradients = objective.gradients();
        let mut compared = BTreeSet::new();
        for p in network.parameters() {
            let Some(g) = gradients.get(p.slot.unwrap()) else { continue };
            let g = values(g).unwrap().to_vec();
            let (i, largest) = g
                .iter()
                .enumerate()
                .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
                .map(|(i, v)| (i, f64::from(*v)))
                .unwrap();
            assert!(largest.abs() > 0.02, "{}: {largest} is too little to compare", p.name);
            let slope = objective.slope(p, i);
            let ok = (largest - slope).abs() < 0.02 * largest.abs() + 4e-3;
            assert!(ok, "{} at {i}: {largest}, differences say {slope}", p.name);
            compared.insert(&*p.name);
        }
        for name in asked_for {
            assert!(compared.contains(name), "{name}");
        }
        // Rows that a direction does not read are all that is left out.
        for p in network.parameters().filter(|p| !compared.contains(&*p.name)) {
            let unread = ["source.bb", "source.cc", "target.aa", "target.cc", "task.denoising"];
            let name = p.name.strip_prefix("embedding.").unwrap();
            assert!(unread.contains(&name) || name == "language.cc", "{name}");
        }
    }
}

/// Check 7 of section 17: a language that is switched off on a side changes nothing there, bit for
/// bit, and one that is on does. Hyper-X: the source in the encoder, the target in the decoder.
#[test]
fn a_side_sees_only_what_is_switched_on() {
    use Factor::{Layer, Source, Target};
    for model in MODELS {
        let base = Base::open(model);
        let (src, _) = sentences();
        let switched = |encoder: &[Factor], decoder: &[Factor]| {
            network(HyperConfig {
                encoder_inputs: on(encoder),
                decoder_inputs: on(decoder),
                ..full_adapters(&base)
            })
        };
        for (network, encoder, decoder) in [
            (switched(&[Source, Layer], &[Target, Layer]), [true, false], [false, true]),
            (switched(&[Target, Layer], &[Source, Layer]), [false, true], [true, false]),
            (switched(&[Source, Target, Layer], &[Layer]), [true, true], [false, false]),
            (network(full_x(&base)), [true, false], [false, true]),
        ] {
            let one = parts(&network, "aa", "bb");
            // Another source, another target.
            for (other, i) in [(parts(&network, "cc", "bb"), 0), (parts(&network, "aa", "cc"), 1)] {
                let states = [&one, &other].map(|p| base.encode(&src, p));
                assert_eq!(states[0] != states[1], encoder[i], "{model} encoder {i}");
                for site in network.config.sites() {
                    let seen = if site.side == Side::Encoder { encoder } else { decoder };
                    let generated = [&one, &other].map(|p| all_values(at(p, site)));
                    assert_eq!(generated[0] != generated[1], seen[i], "{model} {site} {i}");
                }
            }
        }
    }
}

/// The order of the vector's pieces: source, target, layer, in columns of their own; zeros where one
/// is switched off.
#[test]
fn each_input_has_its_own_columns() {
    let base = Base::open("even");
    let c = HyperConfig {
        embedding_dim: 2,
        layer_embedding_dim: 3,
        blocks: 0,
        decoder_inputs: on(&[Factor::Target, Factor::Layer]),
        ..hyper_adapters(16, layers(&base), 4, 7)
    };
    // h is z: positive vectors pass through an identity and ReLU; the head repeats its first 7.
    let c = HyperConfig { bottleneck: 7, rescale: false, ..trained(c, &["aa", "bb"], &[]) };
    let network = HyperNetwork::from_values(c, |name, shape| {
        let n: usize = shape.iter().product();
        let first = match name {
            "embedding.source.aa" => 10.0,
            "embedding.target.bb" => 20.0,
            "embedding.layer.encoder.layers.1.layer" => 30.0,
            "embedding.layer.decoder.layers.0.layer" => 40.0,
            _ if name.starts_with("embedding.") => 90.0,
            "trunk.input.weight" | "head.down_bias.weight" => {
                return Ok((0..n).map(|i| f32::from(u8::from(i % 8 == 0))).collect());
            }
            _ => return Ok(vec![0.0; n]),
        };
        Ok((0..n).map(|i| first + i as f32).collect())
    })
    .unwrap();
    let parts = parts(&network, "aa", "bb");
    let z = |site: &str| all_values(at(&parts, Site::parse(site).unwrap()))[1].clone();
    assert_eq!(z("encoder.layers.1.layer"), [10.0, 11.0, 20.0, 21.0, 30.0, 31.0, 32.0]);
    assert_eq!(z("decoder.layers.0.layer"), [0.0, 0.0, 20.0, 21.0, 40.0, 41.0, 42.0]);
}

/// Check 9 of section 17: layer 0 of the encoder and of the decoder have vectors of their own; with
/// the switch of the published code (pitfall 1) and equal inputs they get the same adapter.
#[test]
fn encoder_and_decoder_layers_differ_unless_they_share_their_ids() {
    let base = Base::open("even");
    for tie_languages in [false, true] {
        for shared in [false, true] {
            let c = HyperConfig { shared_layer_ids: shared, tie_languages, ..full_adapters(&base) };
            let network = network(c);
            let parts = parts(&network, "aa", "bb");
            let site = |side, layer| Site { side, layer, position: Position::Layer };
            let of = |side, layer| all_values(at(&parts, site(side, layer)));
            for i in 0..2 {
                let equal = of(Side::Encoder, i) == of(Side::Decoder, i);
                assert_eq!(equal, shared, "layer {i}");
            }
            assert_ne!(of(Side::Encoder, 0), of(Side::Encoder, 1));
            assert_ne!(of(Side::Encoder, 0), of(Side::Decoder, 1));
        }
    }
    // Unequal inputs lead to unequal adapters whatever the ids.
    let c = HyperConfig {
        shared_layer_ids: true,
        encoder_inputs: on(&[Factor::Source, Factor::Layer]),
        decoder_inputs: on(&[Factor::Target, Factor::Layer]),
        ..full_adapters(&base)
    };
    let parts = parts(&network(c), "aa", "bb");
    let first = |layers: &[LayerParts]| all_values(&layers[0].adapters[&Position::Layer]);
    assert_ne!(first(&parts.encoder), first(&parts.decoder));
}

/// With one table a language is the same vector as source and as target.
#[test]
fn tied_tables_are_one_table() {
    let base = Base::open("even");
    let c = HyperConfig { tie_languages: true, ..full_adapters(&base) };
    let c = HyperConfig { encoder_inputs: on(&[Factor::Source]), ..c };
    let c = HyperConfig { decoder_inputs: on(&[Factor::Source]), ..c };
    let source = network(c.clone());
    assert_eq!(source.config.languages("language"), LANGUAGES);
    assert!(source.config.languages("source").is_empty());
    let (ab, ac) = (parts(&source, "aa", "bb"), parts(&source, "aa", "cc"));
    let site = Site { side: Side::Encoder, layer: 0, position: Position::Layer };
    assert_eq!(all_values(at(&ab, site)), all_values(at(&ac, site)));
    assert_eq!(source.vector("language", "aa").unwrap().len(), 5);
    assert!(source.vector("source", "aa").is_err());
}

/// Zeros stand for inputs that are switched off, and for no other: what [`HyperNetwork::choose`] did
/// not give is refused rather than generated from the wrong vectors.
#[test]
fn directions_that_were_not_chosen_are_refused() {
    let base = Base::open("even");
    for c in [HyperConfig { layer_embedding_dim: 5, ..full_adapters(&base) }, full_x(&base)] {
        let e = network(c).parts(&SetUse::default()).unwrap_err().to_string();
        assert!(e.contains("no direction for encoder.layers.0"), "{e}");
    }
}
