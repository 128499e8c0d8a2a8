//! Memory of training, counted by the allocator: what the tape keeps of single operations, and a
//! whole pass against what `Footprint` tells from its shapes. One test at a time counts; the test
//! harness itself allocates little.

mod counting;

use std::collections::BTreeMap;
use std::sync::Mutex;

use candle_core::{Device, Tensor};
use counting::counted;
use isogloss::autograd::{Gradients, LowRank, Parameter, Tape, Value};
use isogloss::formats::adapters::{NormPlace, Position};
use isogloss::kernels::dropout::Dropout;
use isogloss::kernels::storage::values;
use isogloss::kernels::weights::{narrowed, widened};
use isogloss::model::checkpoint::linear_shapes;
use isogloss::model::seam::{BottleneckAdapter, LayerParts, NeuronMask};
use isogloss::model::{
    BatchTokens, DirectionParts, Footprint, FrozenType, M2m100, ModelConfig, Noise, ParameterSet,
    Ragged, Teacher,
};

static ONE_TEST: Mutex<()> = Mutex::new(());

fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let at = |i: u32| i.wrapping_add(seed).wrapping_mul(2_654_435_761) >> 8;
    (0..n as u32).map(|i| (at(i) as f32 / 8_388_608.0 - 1.0) * 0.1).collect()
}

fn parameter(slot: Option<usize>, shape: &[usize]) -> Parameter {
    let v = numbers(shape.iter().product(), shape.len() as u32 + slot.unwrap_or(7) as u32);
    let tensor = Tensor::from_vec(v, shape, &Device::Cpu).unwrap();
    Parameter { name: "p".into(), tensor, slot }
}

/// Bytes beyond those of a result that an operation leaves live, of these rows and widths.
const ROWS: usize = 512;
const WIDTH: usize = 96;

fn kept(f: impl Fn(&Tape) -> Value) -> usize {
    // Threads and their buffers come first.
    drop(f(&Tape::recording()));
    let tape = Tape::recording();
    counted(|| drop(f(&tape))).left
}

#[test]
fn an_operation_keeps_what_its_gradients_need() {
    let _one = ONE_TEST.lock().unwrap_or_else(|e| e.into_inner());
    let x = parameter(Some(0), &[ROWS, WIDTH]);
    let (frozen, frozen_b) = (parameter(None, &[WIDTH, WIDTH]), parameter(None, &[WIDTH]));
    let trained = parameter(Some(1), &[WIDTH, WIDTH]);
    let unit = 4 * ROWS * WIDTH;
    let small = 4096;
    // A tensor of its own as input, so that keeping it shows.
    let copy = |tape: &Tape| tape.dropout(&x.value(), Dropout::new(0.5, 3)).unwrap();
    let input = kept(copy);
    assert!(input < small, "dropout keeps its key: {input}");
    let linear = |w: &Parameter, relu: bool| {
        let b = frozen_b.value();
        kept(|t| t.linear(&copy(t), &w.value(), Some(&b), relu).unwrap())
    };
    let of_frozen = linear(&frozen, false);
    assert!(of_frozen < small, "a frozen map keeps no input: {of_frozen}");
    let of_relu = linear(&frozen, true);
    assert!(of_relu < unit / 32 + small && of_relu >= unit / 32, "a bit a value: {of_relu}");
    let of_trained = linear(&trained, false);
    assert!((unit..unit + small).contains(&of_trained), "a trained map does: {of_trained}");
    let both = linear(&trained, true);
    assert!((2 * unit..2 * unit + small).contains(&both), "and its result: {both}");

    // Updates of low rank keep the input and their inner side.
    let (a, b) = (parameter(Some(2), &[4, WIDTH]), parameter(Some(3), &[WIDTH, 4]));
    let update = LowRank {
        lora_a: a.value(),
        lora_b: b.value(),
        scaling: 1.0,
        start: 0,
        dropout: 0.0,
        gate: None,
    };
    let updated = kept(|t| {
        let (w, b) = (frozen.value(), frozen_b.value());
        let updates = std::slice::from_ref(&update);
        t.low_rank_linear(&copy(t), &w, &b, updates, false, Dropout::NONE).unwrap()
    });
    let inner = 4 * ROWS * 4;
    assert!((unit + inner..unit + inner + small).contains(&updated), "{updated}");

    // Without a gradient on its way, nothing at all; of a segment its input.
    let constant = Value::constant(x.tensor.clone());
    let plain = kept(|t| t.linear(&constant, &frozen.value(), None, true).unwrap());
    assert!(plain < small, "{plain}");
    let tape = Tape::checkpointing();
    let segment = counted(|| {
        let (x, trained) = (copy(&tape), trained.clone());
        let out = tape.segment(&(), move |tape, ()| {
            let h = tape.linear(&x, &trained.value(), None, true)?;
            let h = tape.linear(&h, &trained.value(), None, true)?;
            tape.linear(&h, &trained.value(), None, true)
        });
        drop(out.unwrap());
    });
    assert!((unit..unit + small).contains(&segment.left), "{}", segment.left);
    assert_eq!(tape.len(), 2);
}

fn config() -> ModelConfig {
    serde_json::from_value(serde_json::json!({
        "model_type": "m2m_100", "vocab_size": 700, "d_model": 96, "encoder_layers": 5,
        "decoder_layers": 3, "encoder_ffn_dim": 384, "decoder_ffn_dim": 288,
        "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "max_position_embeddings": 64, "dropout": 0.1, "attention_dropout": 0.1,
        "encoder_layerdrop": 0.0, "decoder_layerdrop": 0.0,
    }))
    .unwrap()
}

struct Method {
    parts: DirectionParts,
    parameters: Vec<Parameter>,
}

impl Method {
    fn none() -> Self {
        Self { parts: DirectionParts::none(&config()), parameters: Vec::new() }
    }
    fn trained(&mut self, shape: &[usize]) -> Value {
        self.parameters.push(parameter(Some(self.parameters.len()), shape));
        self.parameters[self.parameters.len() - 1].value()
    }
    /// Rank 4 on the maps whose paths end like this.
    fn lora(modules: &[&str], dropout: f32) -> Self {
        let mut m = Self::none();
        for (path, (out, inp)) in linear_shapes(&config()) {
            let mut of = path.splitn(5, '.').skip(1);
            let side = of.next().unwrap();
            let (layer, module) =
                (of.nth(1).unwrap().parse::<usize>().unwrap(), of.next().unwrap());
            if !modules.iter().any(|end| module.ends_with(end)) {
                continue;
            }
            let (lora_a, lora_b) = (m.trained(&[4, inp]), m.trained(&[out, 4]));
            let update = LowRank { lora_a, lora_b, scaling: 0.5, start: 0, dropout, gate: None };
            let layers =
                if side == "encoder" { &mut m.parts.encoder } else { &mut m.parts.decoder };
            layers[layer].low_rank.insert(module.to_string(), vec![update]);
        }
        m
    }
    fn adapters(norm: NormPlace) -> Self {
        let mut m = Self::none();
        let (d, bottleneck) = (config().d_model, 16);
        for layer in 0..8 {
            let adapter = BottleneckAdapter {
                down: m.trained(&[bottleneck, d]),
                down_bias: m.trained(&[bottleneck]),
                up: m.trained(&[d, bottleneck]),
                up_bias: m.trained(&[d]),
                norm,
                affine: None,
            };
            let layers: Vec<&mut LayerParts> =
                m.parts.encoder.iter_mut().chain(&mut m.parts.decoder).collect();
            let position =
                if norm == NormPlace::After { Position::FeedForward } else { Position::Layer };
            layers.into_iter().nth(layer).unwrap().adapters = BTreeMap::from([(position, adapter)]);
        }
        m
    }
    fn masked(mut self) -> Self {
        let c = config();
        let mask = |ffn: usize| {
            Some(NeuronMask::from_flags(&(0..ffn).map(|i| i % 3 != 0).collect::<Vec<_>>()))
        };
        self.parts.encoder.iter_mut().for_each(|l| l.neurons = mask(c.encoder_ffn_dim));
        self.parts.decoder.iter_mut().for_each(|l| l.neurons = mask(c.decoder_ffn_dim));
        self
    }
}

fn ragged(sentences: usize, len: usize, seed: u32) -> Ragged {
    let rows: Vec<Vec<u32>> = (0..sentences as u32)
        .map(|s| (0..len as u32).map(|i| 4 + (s * 31 + i * 17 + seed) % 690).collect())
        .collect();
    Ragged::new(rows.iter().map(Vec::as_slice))
}

type Trained<'a> = &'a dyn Fn(&str) -> bool;

/// A model, what is trained of it and beside it, and one batch.
struct Setup<'a> {
    trained: Trained<'a>,
    frozen: FrozenType,
    model: M2m100,
    parts: DirectionParts,
    gradients: Gradients,
    src: Ragged,
    labels: Ragged,
}

impl<'a> Setup<'a> {
    /// Weights are such that bf16 holds them.
    fn new(trained: Trained<'a>, method: Method, frozen: FrozenType) -> Self {
        let set = ParameterSet::from_values(&config(), trained, |name, shape| {
            let drawn = narrowed(&numbers(shape.iter().product(), name.len() as u32), shape)?;
            Ok(widened(&drawn)?.to_vec())
        });
        let set = set.unwrap().kept_in(frozen).unwrap();
        let Method { parts, parameters } = method;
        // Slots of a method begin at 0 here.
        assert!(set.trainable().count() == 0 || parameters.is_empty());
        let model = M2m100::new(&config(), &set, None).unwrap();
        let gradients = Gradients::new(set.iter().chain(&parameters)).unwrap();
        let (src, labels) = (ragged(25, 23, 1), ragged(25, 29, 2));
        Self { trained, frozen, model, parts, gradients, src, labels }
    }

    /// Loss and gradients of a pass, in bits.
    fn run(&mut self, checkpoints: bool) -> (u64, Vec<Vec<u32>>) {
        let loss = self.pass(checkpoints);
        let bits = |slot: usize| {
            let g = values(self.gradients.get(slot).unwrap()).unwrap();
            g.iter().map(|v| v.to_bits()).collect()
        };
        (loss, (0..self.gradients.len()).map(bits).collect())
    }

    fn pass(&mut self, checkpoints: bool) -> u64 {
        self.gradients.clear();
        let tape = if checkpoints { Tape::checkpointing() } else { Tape::recording() };
        let teacher = Teacher { src: &self.src, labels: &self.labels, weights: None };
        let noise = Noise::new(5);
        let gradients = &mut self.gradients;
        let loss = self.model.train(tape, teacher, &self.parts, &noise, 0.1, 1.0, gradients);
        loss.unwrap().sums.loss.to_bits()
    }

    /// The highest point of a pass, counted and told.
    fn peaks(&mut self, checkpoints: bool) -> (usize, usize) {
        let tokens = BatchTokens { src: self.src.num_tokens(), tgt: self.labels.num_tokens() };
        let Self { trained, frozen, .. } = *self;
        let footprint = Footprint { config: &config(), trained, frozen, checkpoints };
        let told = footprint.training(&self.parts, tokens);
        let pass = counted(|| self.pass(checkpoints));
        assert!(pass.left < 4096, "a pass leaves {} bytes", pass.left);
        (pass.peak, told)
    }
}

type Case<'a> = (&'a str, Trained<'a>, Method, FrozenType);

const FROZEN: Trained<'static> = &|_| false;

fn cases() -> Vec<Case<'static>> {
    let all = ["proj", "fc1", "fc2"];
    let (f32, bf16) = (FrozenType::F32, FrozenType::Bf16);
    vec![
        ("full", &|_| true, Method::none(), f32),
        ("full, masked", &|_| true, Method::none().masked(), f32),
        ("norms", &|n: &str| n.contains("layer_norm"), Method::none(), bf16),
        ("decoder", &|n: &str| n.starts_with("model.decoder"), Method::none(), f32),
        ("lora", FROZEN, Method::lora(&all, 0.0), f32),
        ("lora in bf16", FROZEN, Method::lora(&all, 0.0), bf16),
        ("lora with dropout", FROZEN, Method::lora(&all, 0.1), f32),
        ("lora on q and v", FROZEN, Method::lora(&["q_proj", "v_proj"], 0.0), bf16),
        ("lora, masked", FROZEN, Method::lora(&all, 0.0).masked(), bf16),
        ("adapters", FROZEN, Method::adapters(NormPlace::Before), f32),
        ("adapters in bf16", FROZEN, Method::adapters(NormPlace::None), bf16),
        ("adapters, masked", FROZEN, Method::adapters(NormPlace::After).masked(), bf16),
    ]
}

/// The same operations in the same order, with the same random masks.
#[test]
fn computed_again_is_the_same_to_the_bit() {
    let _one = ONE_TEST.lock().unwrap_or_else(|e| e.into_inner());
    for (name, trained, method, frozen) in cases() {
        let mut setup = Setup::new(trained, method, frozen);
        let (plain, again) = (setup.run(false), setup.run(true));
        assert!(plain.1.iter().any(|g| g.iter().any(|v| *v != 0)), "{name}: no gradient");
        assert!(plain == again, "{name}: loss or gradients differ");
    }
}

/// bf16 is how a weight is kept, not how it is computed with.
#[test]
fn what_bf16_holds_computes_as_f32() {
    let _one = ONE_TEST.lock().unwrap_or_else(|e| e.into_inner());
    let methods = || {
        [
            Method::lora(&["proj", "fc1", "fc2"], 0.1),
            Method::adapters(NormPlace::Before),
            Method::adapters(NormPlace::None).masked(),
            Method::lora(&["q_proj"], 0.0).masked(),
        ]
    };
    for (a, b) in methods().into_iter().zip(methods()) {
        let wide = Setup::new(FROZEN, a, FrozenType::F32).run(false);
        assert!(wide == Setup::new(FROZEN, b, FrozenType::Bf16).run(false));
    }
    // What is trained is its own master copy in f32, beside matrices in bf16.
    let trained: Trained<'_> = &|n: &str| n.ends_with("fc1.weight") || n.contains("norm");
    let wide = Setup::new(trained, Method::none(), FrozenType::F32).run(false);
    assert!(wide == Setup::new(trained, Method::none(), FrozenType::Bf16).run(false));
}

/// Within 10 %: the margin of the plan is 15 % of the whole, weights included.
#[test]
fn a_pass_takes_what_its_shapes_tell() {
    let _one = ONE_TEST.lock().unwrap_or_else(|e| e.into_inner());
    let mut faults = Vec::new();
    for (name, trained, method, frozen) in cases() {
        let mut setup = Setup::new(trained, method, frozen);
        setup.pass(false);
        let (plain, again) = (setup.peaks(false), setup.peaks(true));
        for (what, (counted, told)) in [("", plain), (", checkpoints", again)] {
            let ratio = told as f64 / counted as f64;
            let line = format!("{name}{what}: {counted} bytes, {told} told ({ratio:.3})");
            println!("{line}");
            if !(0.9..1.1).contains(&ratio) {
                faults.push(line);
            }
        }
        if !name.contains("decoder") {
            assert!(again.0 * 10 < plain.0 * 9, "{name}: {} and {}", plain.0, again.0);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn bf16_is_half() {
    let _one = ONE_TEST.lock().unwrap_or_else(|e| e.into_inner());
    let v = numbers(1 << 16, 1);
    let t = counted(|| narrowed(&v, &[256, 256]).unwrap());
    assert!((2 << 16..(2 << 16) + 1024).contains(&t.left), "{}", t.left);
}
