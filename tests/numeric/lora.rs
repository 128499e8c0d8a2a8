//! LoRA in the model: against numbers recorded from PEFT, against finite differences and against
//! the merged model; what the specification of LSLo asks of training (its section 13).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Device, Tensor};
use isogloss::autograd::{Gate, Gradients, LowRank, Parameter, Tape, Value};
use isogloss::formats::lora::LoraFiles;
use isogloss::formats::neurons::Side;
use isogloss::formats::peft::Shapes;
use isogloss::formats::placement::{Index, Layer, Mix, Placement};
use isogloss::formats::safetensors::TensorFile;
use isogloss::kernels::dropout::Dropout;
use isogloss::kernels::storage::{change, values};
use isogloss::methods::lora::{GateScope, Gates, Initialisation, LoraSet, LoraSpec, merged};
use isogloss::methods::{UnknownLanguage, placement_for};
use isogloss::model::checkpoint::linear_shapes;
use isogloss::model::inference::{DirectionWeights, InferenceModel, LowRankForm};
use isogloss::model::{
    Checkpoint, DirectionParts, M2m100, ModelConfig, Noise, ParameterSet, Ragged, Teacher,
};

use crate::masked_model::translate;

const CASES: [&str; 2] = ["even", "lopsided"];

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
}

fn open(case: &str) -> (Checkpoint, Shapes) {
    let checkpoint = Checkpoint::open(&data("training").join(case)).unwrap();
    let shapes = linear_shapes(&checkpoint.config);
    (checkpoint, shapes)
}

fn ragged(file: &TensorFile, name: &str) -> Ragged {
    let read = |name: &str| -> Vec<u32> {
        let view = file.view(name).unwrap();
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
    Ragged::new(sentences)
}

/// Gives the set's parameters slots from 0 on, and buffers for them.
fn trainable(set: &mut LoraSet) -> Gradients {
    for (i, p) in set.parameters_mut().enumerate() {
        p.slot = Some(i);
    }
    Gradients::new(set.parameters()).unwrap()
}

pub fn plain_parts(set: &LoraSet) -> DirectionParts {
    parts(set, "x", "y")
}

fn parts(set: &LoraSet, src: &str, tgt: &str) -> DirectionParts {
    set.parts(&set.choose(src, tgt, UnknownLanguage::Error).unwrap(), &|_, _, _| None)
}

#[track_caller]
fn close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance, "{what} at {i}: {f}, expected {e}");
    }
}

/// Directories as PEFT writes them, its logits, losses, and the gradient of every A and B.
#[test]
fn equals_what_peft_records() {
    for case in CASES {
        let (checkpoint, shapes) = open(case);
        let dir = data("lora").join(case);
        let golden = TensorFile::open(&dir.join("golden.safetensors")).unwrap();
        let files = LoraFiles::read(&dir.join("adapter"), &shapes).unwrap();
        assert!(files.adapters["default"].ignored.is_empty(), "PEFT's defaults are known");
        let mut set = LoraSet::from_files(&files, &shapes).unwrap();
        let mut gradients = trainable(&mut set);
        let base = ParameterSet::load(&checkpoint, |_| false).unwrap();
        let bias = checkpoint.final_logits_bias().unwrap();
        let model = M2m100::new(&checkpoint.config, &base, bias).unwrap();
        let parts = plain_parts(&set);
        for i in 0..2 {
            let name = |part: &str| format!("batch.{i}.{part}");
            let (src, labels) = (ragged(&golden, &name("src")), ragged(&golden, &name("labels")));
            let teacher = Teacher { src: &src, labels: &labels, weights: None };
            let expected = |part: &str| golden.f32_values(&name(part), None).unwrap();
            let logits = model.logits(teacher, &parts).unwrap();
            close(&logits, &expected("logits"), 1e-5, "logits");
            let n = labels.num_tokens() as f64;
            let loss = model.evaluate(teacher, &parts, 0.1).unwrap().sums;
            assert!((loss.loss / n - f64::from(expected("loss")[0])).abs() < 5e-6);
            assert!((loss.nll / n - f64::from(expected("nll")[0])).abs() < 5e-6);
            if i == 0 {
                let scale = 1.0 / n as f32;
                model
                    .train(
                        Tape::recording(),
                        teacher,
                        &parts,
                        &Noise::none(),
                        0.1,
                        scale,
                        &mut gradients,
                    )
                    .unwrap();
            }
        }
        let recorded = golden.names().iter().filter(|n| n.starts_with("grad.")).count();
        assert_eq!(recorded, set.parameters().count());
        for p in set.parameters() {
            let (path, part) = p.name.rsplit_once('.').unwrap();
            let path = path.strip_prefix("default.").unwrap();
            let name = format!("grad.base_model.model.{path}.{part}.weight");
            let want = golden.f32_values(&name, Some(p.tensor.dims())).unwrap();
            let got = values(gradients.get(p.slot.unwrap()).unwrap()).unwrap().to_vec();
            close(&got, &want, 2e-6, &name);
        }
    }
}

fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn parameter(slot: usize, shape: &[usize], seed: u64) -> Parameter {
    let data = numbers(shape.iter().product(), seed);
    let tensor = Tensor::from_vec(data, shape, &Device::Cpu).unwrap();
    Parameter { name: format!("p{slot}").into(), tensor, slot: Some(slot) }
}

/// Two updates with a trained weight each, in a slice, behind dropout and ReLU: all gradients
/// against central differences.
#[test]
fn gradients_equal_finite_differences() {
    let (rows, inp, out, start, width, rank) = (5, 7, 6, 1, 4, 2);
    for relu in [false, true] {
        for p in [0.0, 0.4] {
            let x = parameter(0, &[rows, inp], 3);
            let (w, b) = (parameter(1, &[out, inp], 5), parameter(2, &[out], 7));
            let logits = parameter(3, &[2], 9);
            let factor = |slot: usize, shape: [usize; 2]| parameter(slot, &shape, 11 + slot as u64);
            let a = [factor(4, [rank, width]), factor(5, [rank, width])];
            let bs = [factor(6, [width, rank]), factor(7, [width, rank])];
            let all: Vec<&Parameter> =
                [&x, &w, &b, &logits].into_iter().chain(&a).chain(&bs).collect();
            let seed = numbers(rows * out, 99);
            let dropout = if p > 0.0 { Dropout::new(p, 17) } else { Dropout::NONE };
            let forward = |tape: &Tape| -> Value {
                let weights = tape.softmax(&logits.value()).unwrap();
                let updates: Vec<LowRank> = (0..2)
                    .map(|i| LowRank {
                        lora_a: a[i].value(),
                        lora_b: bs[i].value(),
                        scaling: 0.7 + i as f32,
                        start,
                        dropout: p,
                        gate: Some(Gate { weights: weights.clone(), index: i }),
                    })
                    .collect();
                tape.low_rank_linear(&x.value(), &w.value(), &b.value(), &updates, relu, dropout)
                    .unwrap()
            };
            let objective = || -> f64 {
                let y = forward(&Tape::disabled());
                let y = values(y.tensor()).unwrap();
                y.iter().zip(&seed).map(|(y, s)| f64::from(*y) * f64::from(*s)).sum()
            };
            let mut gradients = Gradients::new(all.iter().copied()).unwrap();
            let tape = Tape::recording();
            let y = forward(&tape);
            let seed_tensor = Tensor::from_vec(seed.clone(), (rows, out), &Device::Cpu).unwrap();
            tape.backward(vec![(y, seed_tensor)], &mut gradients).unwrap();
            for q in &all {
                let got = values(gradients.get(q.slot.unwrap()).unwrap()).unwrap().to_vec();
                for i in 0..got.len() {
                    let step = 1e-3f32;
                    let move_by = |d: f32| change(&q.tensor, |v| v[i] += d).unwrap();
                    move_by(step);
                    let up = objective();
                    move_by(-2.0 * step);
                    let down = objective();
                    move_by(step);
                    let want = (up - down) / f64::from(2.0 * step);
                    // A value near the bend of ReLU may lie on either side of it.
                    let ok = (f64::from(got[i]) - want).abs() < 2e-2 * (1.0 + want.abs());
                    assert!(ok, "{} {i}: {}, expected {want} (relu {relu}, p {p})", q.name, got[i]);
                }
            }
        }
    }
}

const MODULES: [&str; 10] = [
    "self_attn.q_proj",
    "self_attn.k_proj",
    "self_attn.v_proj",
    "self_attn.out_proj",
    "encoder_attn.q_proj",
    "encoder_attn.k_proj",
    "encoder_attn.v_proj",
    "encoder_attn.out_proj",
    "fc1",
    "fc2",
];

fn layers(config: &ModelConfig, encoder: &[Index], decoder: &[Index]) -> Placement {
    let layer = |cross: bool, index: Index| -> Layer {
        let own = MODULES.iter().filter(|m| cross || !m.starts_with("encoder_attn"));
        own.map(|m| (m.to_string(), index)).collect()
    };
    assert_eq!((encoder.len(), decoder.len()), (config.encoder_layers, config.decoder_layers));
    Placement {
        encoder: encoder.iter().map(|i| layer(false, *i)).collect(),
        decoder: decoder.iter().map(|i| layer(true, *i)).collect(),
        ..Placement::default()
    }
}

fn pairs() -> Vec<(String, String)> {
    [("aa", "bb"), ("bb", "aa"), ("aa", "cc"), ("cc", "aa")]
        .map(|(s, t)| (s.to_string(), t.to_string()))
        .into()
}

/// A set over three languages; B as drawn when `wild`, else zero.
fn language_set(
    config: &ModelConfig,
    encoder: &[Index],
    decoder: &[Index],
    slice: Option<(usize, usize)>,
    wild: bool,
) -> LoraSet {
    let shapes = linear_shapes(config);
    let mut placement = layers(config, encoder, decoder);
    placement.slice = slice;
    let placement = placement_for(placement, &pairs(), &[], &|l| Ok(l.to_string())).unwrap();
    let set = LoraSpec {
        placement,
        shapes: &shapes,
        rank: &|adapter, _| if adapter == "cc" { 3 } else { 2 },
        alpha: None,
        dropout: 0.0,
        initialisation: Initialisation::Lslo,
        seed: 1,
    }
    .create()
    .unwrap();
    if wild {
        for (i, p) in set.parameters().enumerate() {
            let v = numbers(p.tensor.elem_count(), i as u64 + 5);
            change(&p.tensor, |t| t.iter_mut().zip(&v).for_each(|(t, v)| *t = 0.3 * v)).unwrap();
        }
    }
    set
}

fn sides(config: &ModelConfig, index: Index) -> (Vec<Index>, Vec<Index>) {
    (vec![index; config.encoder_layers], vec![index; config.decoder_layers])
}

fn sentences() -> (Ragged, Ragged) {
    let src: [&[u32]; 3] = [&[4, 9, 12, 30, 2], &[4, 7, 2], &[4, 8, 8, 21, 33, 11, 2]];
    let labels: [&[u32]; 3] = [&[5, 14, 2], &[5, 17, 18, 19, 2], &[5, 39, 2]];
    (Ragged::new(src), Ragged::new(labels))
}

fn logits(checkpoint: &Checkpoint, parts: &DirectionParts) -> Vec<f32> {
    let set = ParameterSet::load(checkpoint, |_| false).unwrap();
    let bias = checkpoint.final_logits_bias().unwrap();
    let model = M2m100::new(&checkpoint.config, &set, bias).unwrap();
    let (src, labels) = sentences();
    model.logits(Teacher { src: &src, labels: &labels, weights: None }, parts).unwrap()
}

/// Section 13 (a): with B = 0 the model is its base, bit for bit; in inference too.
#[test]
fn a_new_set_changes_no_bit() {
    for case in CASES {
        let (checkpoint, _) = open(case);
        let config = &checkpoint.config;
        let (e, d) = sides(config, Index::Source);
        let set = language_set(config, &e, &d, None, false);
        let none = DirectionParts::none(config);
        assert_eq!(logits(&checkpoint, &parts(&set, "aa", "bb")), logits(&checkpoint, &none));
        let model = InferenceModel::from_checkpoint(&checkpoint).unwrap();
        let own = parts(&set, "aa", "bb");
        for form in [LowRankForm::Beside, LowRankForm::Merged] {
            let weights = Arc::new(model.base_weights().with_parts(&own, form).unwrap());
            let base = translate(&model, model.base_weights().clone(), true);
            assert_eq!(translate(&model, weights, true), base, "{form:?}");
        }
    }
}

/// Section 13 (g): A within 1/sqrt(r), variance 1/(3r); the standard one within 1/sqrt(in).
#[test]
fn initialisation_has_its_bounds() {
    let (checkpoint, shapes) = open("even");
    let config = &checkpoint.config;
    let (e, d) = sides(config, Index::Shared);
    for (kind, bound) in [(Initialisation::Lslo, 0.5f32), (Initialisation::Standard, 0.25)] {
        let placement =
            placement_for(layers(config, &e, &d), &pairs(), &[], &|l| Ok(l.to_string())).unwrap();
        let spec = LoraSpec {
            placement,
            shapes: &shapes,
            rank: &|_, _| 4,
            alpha: Some(8.0),
            dropout: 0.0,
            initialisation: kind,
            seed: 3,
        };
        let set = spec.create().unwrap();
        let mut all = Vec::new();
        for (path, m) in &set.adapters["default"] {
            // Of width 16, all but fc2.
            if !path.ends_with("fc2") {
                all.extend_from_slice(&values(&m.lora_a.tensor).unwrap());
            }
            assert!(values(&m.lora_b.tensor).unwrap().iter().all(|v| *v == 0.0));
            assert_eq!(m.scaling(), 2.0);
        }
        let n = all.len() as f32;
        let variance = all.iter().map(|v| v * v).sum::<f32>() / n;
        let largest = all.iter().fold(0f32, |m, v| m.max(v.abs()));
        assert!(largest <= bound && largest > 0.99 * bound, "{kind:?}: {largest}");
        assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.1, "{kind:?}: {variance}");
        assert!(all.iter().sum::<f32>().abs() / n < 0.02 * bound.max(0.3));
    }
}

/// Section 9: 2 d (5 N_e + 8 N_d) a rank: 319,488 for the published shape in slice mode, 466,944
/// full-width.
#[test]
fn parameter_totals_of_the_published_shape() {
    let config: ModelConfig = serde_json::from_value(serde_json::json!({
        "model_type": "m2m_100", "vocab_size": 256_000, "d_model": 1024, "encoder_layers": 12,
        "decoder_layers": 12, "encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096,
        "encoder_attention_heads": 16, "decoder_attention_heads": 16,
    }))
    .unwrap();
    let shapes = linear_shapes(&config);
    // Not the attention's output projection.
    let without_out = |mut p: Placement| {
        for layer in p.encoder.iter_mut().chain(&mut p.decoder) {
            layer.retain(|m, _| !m.ends_with("out_proj"));
        }
        p
    };
    for (slice, per_rank) in [(Some((0, 1024)), 319_488), (None, 466_944)] {
        let (e, d) = (vec![Index::Source; 12], vec![Index::Target; 12]);
        let mut placement = without_out(layers(&config, &e, &d));
        placement.slice = slice;
        let pairs = [("en".to_string(), "oc".to_string()), ("oc".to_string(), "en".to_string())];
        let placement = placement_for(placement, &pairs, &[], &|l| Ok(l.to_string())).unwrap();
        // 2 for a high-resource language, 8 for a low one: sum of ranks 10.
        let set = LoraSpec {
            placement,
            shapes: &shapes,
            rank: &|adapter, _| if adapter == "oc" { 8 } else { 2 },
            alpha: None,
            dropout: 0.0,
            initialisation: Initialisation::Lslo,
            seed: 1,
        }
        .create()
        .unwrap();
        assert_eq!(set.num_params(), 10 * per_rank);
    }
}

/// Section 13 (h): beside, merged per direction, merged into a model, and the training path agree
/// to 1e-5; translations are identical. Source, target, direction, mixed; with and without slice.
#[test]
fn merged_equals_unmerged() {
    let mixed = Index::Mixed(Mix { source: 0.3, target: 0.7 });
    for case in CASES {
        let (checkpoint, _) = open(case);
        let config = &checkpoint.config;
        let model = InferenceModel::from_checkpoint(&checkpoint).unwrap();
        for (index, slice) in [
            (Index::Source, None),
            (Index::Target, Some((2, 9))),
            (Index::Direction, None),
            (Index::Shared, Some((0, 16))),
            (mixed, None),
        ] {
            let (e, d) = sides(config, index);
            let set = language_set(config, &e, &d, slice, true);
            let own = parts(&set, "aa", "cc");
            assert_ne!(
                logits(&checkpoint, &own),
                logits(&checkpoint, &DirectionParts::none(config))
            );
            let composed = set.compose("aa", "cc").unwrap();
            let one = logits(&checkpoint, &parts(&composed, "aa", "cc"));
            close(&one, &logits(&checkpoint, &own), 2e-5, "composed");
            let updates = merged(&composed).unwrap();
            let whole = InferenceModel::from_source(
                config,
                |name, shape| {
                    let mut v = checkpoint.values(name, shape)?;
                    updates.add_to(name, shape, &mut v)?;
                    Ok(v)
                },
                checkpoint.final_logits_bias().unwrap(),
            )
            .unwrap();
            for given in [false, true] {
                let want = translate(&whole, whole.base_weights().clone(), given);
                for form in [LowRankForm::Beside, LowRankForm::Merged] {
                    let weights: DirectionWeights =
                        model.base_weights().with_parts(&own, form).unwrap();
                    let found = translate(&model, Arc::new(weights), given);
                    for ((tokens, scores), (want, want_scores)) in found.iter().zip(&want) {
                        assert_eq!(tokens, want, "{case} {index:?} {form:?}");
                        close(scores, want_scores, 1e-5, "log probabilities");
                    }
                }
            }
        }
    }
}

/// Section 13 (i): in slice mode fc1's update leaves hidden units outside the slice as they are,
/// and fc2's ignores them.
#[test]
fn a_slice_reads_and_writes_its_coordinates_only() {
    let (checkpoint, shapes) = open("even");
    let config = &checkpoint.config;
    let (e, d) = sides(config, Index::Shared);
    let (start, width) = (3, 8);
    let set = language_set(config, &e, &d, Some((start, width)), true);
    let files = set.to_files(&shapes, "even").unwrap();
    for (path, m) in &files.adapters["default"].modules {
        let (out, inp) = shapes[path];
        let inside = |i: usize| (start..start + width).contains(&i);
        for (i, v) in m.lora_a.iter().enumerate() {
            assert_eq!(*v != 0.0, inside(i % inp), "{path} A");
        }
        for (i, v) in m.lora_b.iter().enumerate() {
            assert_eq!(*v != 0.0, inside(i / m.rank), "{path} B");
        }
        assert_eq!((m.lora_a.len(), m.lora_b.len()), (m.rank * inp, out * m.rank));
    }
    let back = LoraSet::from_files(&files, &shapes).unwrap();
    for (a, b) in set.parameters().zip(back.parameters()) {
        assert_eq!((&a.name, a.tensor.dims()), (&b.name, b.tensor.dims()));
        assert_eq!(*values(&a.tensor).unwrap(), *values(&b.tensor).unwrap());
    }
    // Through the operation itself: columns of the result, and of the input's gradient.
    let own = &parts(&set, "aa", "bb").encoder[0].low_rank["fc1"][0];
    let (rows, ffn, dm) = (4, config.encoder_ffn_dim, config.d_model);
    let x = parameter(0, &[rows, dm], 1);
    let zeros = |shape: &[usize]| {
        Value::constant(Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap())
    };
    let tape = Tape::recording();
    let y = tape
        .low_rank_linear(
            &x.value(),
            &zeros(&[ffn, dm]),
            &zeros(&[ffn]),
            std::slice::from_ref(own),
            false,
            Dropout::NONE,
        )
        .unwrap();
    for (i, v) in values(y.tensor()).unwrap().iter().enumerate() {
        assert_eq!(*v != 0.0, (start..start + width).contains(&(i % ffn)));
    }
    let mut gradients = Gradients::new([&x]).unwrap();
    let seed = Tensor::ones((rows, ffn), candle_core::DType::F32, &Device::Cpu).unwrap();
    tape.backward(vec![(y, seed)], &mut gradients).unwrap();
    for (i, v) in values(gradients.get(0).unwrap()).unwrap().iter().enumerate() {
        assert_eq!(*v != 0.0, (start..start + width).contains(&(i % dm)));
    }
}

/// Section 13 (j) and (c): the encoder's states depend on the target language exactly when one of
/// its layers is target-indexed; a language that a batch does not use gets no gradient.
#[test]
fn a_direction_touches_its_own_pairs_only() {
    let (checkpoint, _) = open("even");
    let config = &checkpoint.config;
    let base = ParameterSet::load(&checkpoint, |_| false).unwrap();
    let model = M2m100::new(config, &base, None).unwrap();
    let (src, labels) = sentences();
    let (tape, noise) = (Tape::disabled(), Noise::none());
    for (last, depends) in [(Index::Source, false), (Index::Target, true)] {
        let set = language_set(config, &[Index::Source, last], &[Index::Target; 2], None, true);
        let encode = |tgt: &str| {
            let p = parts(&set, "aa", tgt);
            values(model.encode(&tape, &noise, &src, &p.encoder).unwrap().tensor())
                .unwrap()
                .to_vec()
        };
        assert_eq!(encode("bb") != encode("cc"), depends);
    }
    let mut set = language_set(config, &[Index::Source; 2], &[Index::Target; 2], None, true);
    let mut gradients = trainable(&mut set);
    let teacher = Teacher { src: &src, labels: &labels, weights: None };
    let own = parts(&set, "aa", "bb");
    model.train(Tape::recording(), teacher, &own, &noise, 0.1, 0.1, &mut gradients).unwrap();
    let touched: BTreeSet<(&str, &str)> = set
        .parameters()
        .filter(|p| gradients.get(p.slot.unwrap()).is_some())
        .map(|p| {
            let (adapter, rest) = p.name.split_once('.').unwrap();
            (adapter, rest.strip_prefix("model.").unwrap().split('.').next().unwrap())
        })
        .collect();
    assert_eq!(touched, BTreeSet::from([("aa", "encoder"), ("bb", "decoder")]));
}

/// Equal weights at first; the gradient of the logits sums to zero; the larger weight decides.
#[test]
fn gates_begin_even_and_decide_by_the_larger_weight() {
    let (checkpoint, _) = open("even");
    let config = &checkpoint.config;
    let mixed = Index::Mixed(Mix { source: 0.5, target: 0.5 });
    let (e, d) = sides(config, mixed);
    let mut set = language_set(config, &e, &d, None, true);
    let n = set.parameters().count();
    for (scope, gates_of_layer) in [(GateScope::Layer, 1), (GateScope::Matrix, 6)] {
        let mut gates = Gates::new(&set.placement, scope).unwrap();
        assert_eq!(gates.logits.len(), if gates_of_layer == 1 { 4 } else { 2 * 6 + 2 * 10 });
        set.parameters_mut().enumerate().for_each(|(i, p)| p.slot = Some(i));
        gates.logits.values_mut().enumerate().for_each(|(i, p)| p.slot = Some(n + i));
        let all = set.parameters().chain(gates.logits.values());
        let mut gradients = Gradients::new(all).unwrap();
        let base = ParameterSet::load(&checkpoint, |_| false).unwrap();
        let model = M2m100::new(config, &base, None).unwrap();
        let (src, labels) = sentences();
        let teacher = Teacher { src: &src, labels: &labels, weights: None };
        let used = set.choose("aa", "bb", UnknownLanguage::Error).unwrap();
        let on = |tape: &Tape| {
            let weights = gates.weights(tape).unwrap();
            set.parts(&used, &|side, layer, module| {
                gates.of(&weights, side, layer, module).cloned()
            })
        };
        // Half and half is what the placement says too.
        let plain = set.parts(&used, &|_, _, _| None);
        close(
            &logits(&checkpoint, &on(&Tape::disabled())),
            &logits(&checkpoint, &plain),
            1e-5,
            "half",
        );
        let tape = Tape::recording();
        let own = on(&tape);
        model.train(tape, teacher, &own, &Noise::none(), 0.1, 0.1, &mut gradients).unwrap();
        for p in gates.logits.values() {
            let g = values(gradients.get(p.slot.unwrap()).unwrap()).unwrap().to_vec();
            assert!((g[0] + g[1]).abs() < 1e-6 && g[0].abs() > 1e-9, "{}: {g:?}", p.name);
        }
        let first = gates.logits.values().next().unwrap();
        change(&first.tensor, |v| v.copy_from_slice(&[0.0, 2.0])).unwrap();
        let placed = gates.place(&set.placement).unwrap();
        let (_, _, module, index) = placed.modules().find(|m| m.0 == Side::Decoder).unwrap();
        let Index::Mixed(m) = index else { panic!("{module}") };
        assert!((m.target - 1.0 / (1.0 + (-2.0f32).exp())).abs() < 1e-6);
        assert_eq!(index.decided(), Index::Target);
        assert_eq!(placed.encoder[0]["fc1"].decided(), Index::Source, "of equal ones the source");
    }
}

/// Directions whose sides use the same adapters run the same layers.
#[test]
fn equal_sides_are_equal_uses() {
    let (checkpoint, _) = open("even");
    let config = &checkpoint.config;
    let set = language_set(config, &[Index::Source; 2], &[Index::Target; 2], None, false);
    let used = |s: &str, t: &str| set.choose(s, t, UnknownLanguage::Error);
    let (ab, ac) = (used("aa", "bb").unwrap(), used("aa", "cc").unwrap());
    assert_eq!(ab.encoder, ac.encoder);
    assert_ne!(ab.decoder, ac.decoder);
    let e = used("aa", "dd").unwrap_err().to_string();
    assert!(e.contains("`dd` has no LoRA") && e.contains("aa, bb, cc"), "{e}");
    let base = set.choose("dd", "ee", UnknownLanguage::Base).unwrap();
    let none = set.parts(&base, &|_, _, _| None);
    assert!(none.encoder.iter().chain(&none.decoder).all(|l| l.low_rank.is_empty()));
    // A language that was never a source has nothing to say as one.
    let shapes = linear_shapes(config);
    let placement = layers(config, &[Index::Source; 2], &[Index::Target; 2]);
    let one = [("aa".to_string(), "bb".to_string())];
    let placement = placement_for(placement, &one, &[], &|l| Ok(l.to_string())).unwrap();
    let set = LoraSpec {
        placement,
        shapes: &shapes,
        rank: &|_, _| 2,
        alpha: None,
        dropout: 0.0,
        initialisation: Initialisation::Lslo,
        seed: 1,
    }
    .create()
    .unwrap();
    let by: BTreeMap<&str, usize> =
        set.adapters.iter().map(|(n, m)| (n.as_str(), m.len())).collect();
    assert_eq!(by, BTreeMap::from([("aa", 2 * 6), ("bb", 2 * 10)]));
    let e = set.choose("bb", "aa", UnknownLanguage::Error).unwrap_err().to_string();
    assert!(e.contains("not trained with it as source"), "{e}");
}
