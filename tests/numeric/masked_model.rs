//! Neuron Specialization in the model: the masked model against its definition, which is the
//! plain model with rows of `fc1.weight` set to zero, in training and in translation.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use isogloss::autograd::{Gradients, Tape, Value};
use isogloss::decoding::{BatchLimits, DecodingOptions, Feed, Outcome, Stream, Target, Task, run};
use isogloss::kernels::storage::{change, values};
use isogloss::methods::CompactModel;
use isogloss::model::inference::{DirectionWeights, InferenceModel, LowRankForm};
use isogloss::model::seam::{LowRank, NeuronMask};
use isogloss::model::{
    Checkpoint, DirectionParts, M2m100, ModelConfig, Noise, ParameterSet, Ragged, Teacher,
};
use std::sync::Arc;

fn dir(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(case)
}

const CASES: [&str; 2] = ["training/even", "training/lopsided"];

/// Keeps about `share` of the neurons of each layer, others in each.
pub fn parts(config: &ModelConfig, share: f64, salt: u64) -> DirectionParts {
    let mut parts = DirectionParts::none(config);
    let mut state = salt | 1;
    let mut chance = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    let sides = [
        (&mut parts.encoder, config.encoder_ffn_dim),
        (&mut parts.decoder, config.decoder_ffn_dim),
    ];
    for (layers, ffn) in sides {
        for layer in layers {
            let flags: Vec<bool> = (0..ffn).map(|_| chance() < share).collect();
            layer.neurons = Some(NeuronMask::from_flags(&flags));
        }
    }
    parts
}

/// The masks by the name of the matrix they act on.
fn masks(parts: &DirectionParts) -> BTreeMap<String, Vec<bool>> {
    let mut out = BTreeMap::new();
    for (side, layers) in [("encoder", &parts.encoder), ("decoder", &parts.decoder)] {
        for (i, layer) in layers.iter().enumerate() {
            let mask = layer.neurons.as_ref().unwrap();
            let mut flags = vec![false; mask.ffn_dim()];
            mask.kept().iter().for_each(|&k| flags[k as usize] = true);
            out.insert(format!("model.{side}.layers.{i}.fc1.weight"), flags);
        }
    }
    out
}

/// Sets the rows outside the masks to zero.
fn zero_rows(set: &ParameterSet, parts: &DirectionParts) {
    for (name, flags) in masks(parts) {
        let tensor = &set.get(&name).unwrap().tensor;
        let width = tensor.dims()[1];
        change(tensor, |w| {
            for (row, keep) in w.chunks_exact_mut(width).zip(&flags) {
                if !keep {
                    row.fill(0.0);
                }
            }
        })
        .unwrap();
    }
}

struct Batch {
    src: Ragged,
    labels: Ragged,
}

fn batch() -> Batch {
    let src: Vec<Vec<u32>> =
        vec![vec![4, 9, 12, 30, 2], vec![4, 7, 2], vec![4, 8, 8, 21, 33, 11, 2]];
    let labels: Vec<Vec<u32>> = vec![vec![5, 14, 2], vec![5, 17, 18, 19, 2], vec![5, 39, 2]];
    let ragged = |v: &[Vec<u32>]| Ragged::new(v.iter().map(Vec::as_slice));
    Batch { src: ragged(&src), labels: ragged(&labels) }
}

/// Loss and all gradients by parameter.
fn train(
    set: &ParameterSet,
    config: &ModelConfig,
    parts: &DirectionParts,
) -> (f64, BTreeMap<String, Vec<f32>>) {
    let model = M2m100::new(config, set, None).unwrap();
    let mut gradients = Gradients::new(set.iter()).unwrap();
    let b = batch();
    let teacher = Teacher { src: &b.src, labels: &b.labels, weights: None };
    let loss = model
        .train(Tape::recording(), teacher, parts, &Noise::none(), 0.1, 0.1, &mut gradients)
        .unwrap();
    let named = set.trainable().map(|p| {
        let g = gradients.get(p.slot.unwrap()).unwrap();
        (p.name.to_string(), values(g).unwrap().to_vec())
    });
    (loss.sums.loss, named.collect())
}

fn open(case: &str) -> (Checkpoint, ParameterSet) {
    let checkpoint = Checkpoint::open(&dir(case)).unwrap();
    let set = ParameterSet::load(&checkpoint, |_| true).unwrap();
    (checkpoint, set)
}

#[track_caller]
fn close(found: &[f32], expected: &[f32], what: &str) {
    let scale = expected.iter().fold(1f32, |m, v| m.max(v.abs()));
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 1e-5 * scale, "{what} at {i}: {f}, expected {e}");
    }
}

/// Section 5, and section 15 (b) and (c): loss and every gradient equal those of the plain model
/// with the rows zeroed; the rows themselves get exactly zero, biases and `fc2` do not.
#[test]
fn masked_training_equals_the_dense_reference() {
    for case in CASES {
        for share in [0.0, 0.3, 0.78] {
            let (checkpoint, set) = open(case);
            let config = &checkpoint.config;
            let parts = parts(config, share, 77);
            let (loss, got) = train(&set, config, &parts);
            let all = &got;
            zero_rows(&set, &parts);
            let (want_loss, want) = train(&set, config, &DirectionParts::none(config));
            assert!((loss - want_loss).abs() < 1e-5 * want_loss, "{loss} {want_loss}");
            let masks = masks(&parts);
            let mut constants = 0;
            for (name, want) in &want {
                let got = &got[name];
                let Some(flags) = masks.get(name) else {
                    close(got, want, name);
                    continue;
                };
                let width = got.len() / flags.len();
                for (i, keep) in flags.iter().enumerate() {
                    let rows = (&got[i * width..][..width], &want[i * width..][..width]);
                    if *keep {
                        close(rows.0, rows.1, name);
                    } else {
                        assert!(rows.0.iter().all(|g| *g == 0.0), "{name} row {i}");
                    }
                }
                // A neuron that is left out still learns its bias and its column of fc2.
                let layer = name.strip_suffix(".fc1.weight").unwrap();
                let bias = values(&set.get(&format!("{layer}.fc1.bias")).unwrap().tensor)
                    .unwrap()
                    .to_vec();
                let (db1, dw2) =
                    (&all[&format!("{layer}.fc1.bias")], &all[&format!("{layer}.fc2.weight")]);
                for i in (0..flags.len()).filter(|&i| !flags[i] && bias[i] > 0.0) {
                    assert!(db1[i] != 0.0, "{layer}: bias {i} learns");
                    assert!(
                        (0..width).any(|r| dw2[r * flags.len() + i] != 0.0),
                        "{layer}: column {i}"
                    );
                    constants += 1;
                }
            }
            assert!(share > 0.5 || constants > 0, "no neuron with a positive bias was left out");
        }
    }
}

/// Section 15 (d): k = 100 without dead neurons is the plain model, bit for bit.
#[test]
fn a_mask_of_ones_changes_no_bit() {
    for case in CASES {
        let (checkpoint, set) = open(case);
        let config = &checkpoint.config;
        let plain = train(&set, config, &DirectionParts::none(config));
        assert_eq!(train(&set, config, &parts(config, 1.1, 5)), plain);
        let model = InferenceModel::from_checkpoint(&checkpoint).unwrap();
        let weights =
            model.base_weights().with_parts(&parts(config, 1.1, 5), LowRankForm::Beside).unwrap();
        for (a, b) in weights.encoder.iter().zip(&model.base_weights().encoder) {
            assert!(Arc::ptr_eq(&a.feed_forward, &b.feed_forward), "nothing is copied");
        }
    }
}

/// Section 15 (e): under plain gradient descent two directions with disjoint masks leave each
/// other's rows of `fc1.weight` as they are.
#[test]
fn disjoint_masks_leave_each_others_rows() {
    let (checkpoint, set) = open("training/even");
    let config = &checkpoint.config;
    let one = parts(config, 0.4, 3);
    let mut other = one.clone();
    for layer in other.encoder.iter_mut().chain(&mut other.decoder) {
        let mask = layer.neurons.as_ref().unwrap();
        let mut flags = vec![true; mask.ffn_dim()];
        mask.kept().iter().for_each(|&k| flags[k as usize] = false);
        layer.neurons = Some(NeuronMask::from_flags(&flags));
    }
    let read = |name: &str| values(&set.get(name).unwrap().tensor).unwrap().to_vec();
    let before: BTreeMap<String, Vec<f32>> =
        masks(&one).keys().map(|n| (n.clone(), read(n))).collect();
    let (_, gradients) = train(&set, config, &one);
    for p in set.trainable() {
        change(&p.tensor, |w| {
            w.iter_mut().zip(&gradients[&*p.name]).for_each(|(w, g)| *w -= 0.5 * g);
        })
        .unwrap();
    }
    for (name, flags) in masks(&other) {
        let (now, then) = (read(&name), &before[&name]);
        let width = now.len() / flags.len();
        let mut moved = 0;
        for (i, others) in flags.iter().enumerate() {
            let same = now[i * width..][..width] == then[i * width..][..width];
            assert!(same || !others, "{name} row {i} belongs to the other direction");
            // A neuron that no token of this batch activates stays, too.
            moved += usize::from(!same);
        }
        assert!(moved > 0, "{name}: the direction's own rows learn");
    }
}

/// The general path (an update of low rank in the block) and the compact one agree: an update
/// that is zero changes nothing.
#[test]
fn the_general_path_agrees_with_the_compact_one() {
    for case in CASES {
        let (checkpoint, set) = open(case);
        let config = &checkpoint.config;
        let compact = parts(config, 0.5, 9);
        let mut general = compact.clone();
        let sides = [
            (&mut general.encoder, config.encoder_ffn_dim),
            (&mut general.decoder, config.decoder_ffn_dim),
        ];
        for (layers, ffn) in sides {
            for layer in layers {
                let zeros = |r, c| {
                    Value::constant(
                        Tensor::zeros((r, c), candle_core::DType::F32, &Device::Cpu).unwrap(),
                    )
                };
                let update = LowRank {
                    lora_a: zeros(2, config.d_model),
                    lora_b: zeros(ffn, 2),
                    scaling: 1.0,
                    start: 0,
                    dropout: 0.0,
                    gate: None,
                };
                layer.low_rank.insert("fc1".into(), vec![update]);
            }
        }
        let (loss, got) = train(&set, config, &general);
        let (want_loss, want) = train(&set, config, &compact);
        assert!((loss - want_loss).abs() < 1e-5 * want_loss);
        for (name, want) in &want {
            close(&got[name], want, name);
        }
    }
}

/// Values of a parameter with the rows outside the masks zeroed.
fn zeroed(
    checkpoint: &Checkpoint,
    parts: &DirectionParts,
    name: &str,
    shape: &[usize],
) -> Vec<f32> {
    let mut w = checkpoint.values(name, shape).unwrap();
    if let Some(flags) = masks(parts).get(name) {
        for (row, keep) in w.chunks_exact_mut(shape[1]).zip(flags) {
            if !keep {
                row.fill(0.0);
            }
        }
    }
    w
}

struct Lines<'a> {
    weights: Arc<DirectionWeights>,
    rest: &'a [Vec<u32>],
    given: bool,
    out: Vec<(Vec<u32>, Vec<f32>)>,
}

impl Stream for Lines<'_> {
    type Tag = ();
    type Weights = DirectionWeights;
    fn next(&mut self, _wait: bool) -> isogloss::Result<Feed<(), DirectionWeights>> {
        let Some((src, rest)) = self.rest.split_first() else { return Ok(Feed::End) };
        self.rest = rest;
        let target = if self.given {
            Target::Given { labels: src.clone(), num_forced: 1 }
        } else {
            Target::Search { forced: vec![5] }
        };
        Ok(Feed::Item((), Task::Decode { weights: self.weights.clone(), src: src.clone(), target }))
    }
    fn emit(&mut self, _: (), outcome: Option<Outcome>) -> isogloss::Result<()> {
        let h = outcome.unwrap().remove(0);
        self.out.push((h.tokens, h.token_scores));
        Ok(())
    }
    fn idle(&mut self) -> isogloss::Result<()> {
        Ok(())
    }
}

pub fn sources() -> Vec<Vec<u32>> {
    (0..12u32)
        .map(|i| {
            std::iter::once(4)
                .chain((0..i % 7).map(|j| 7 + (i * 5 + j * 3) % 30))
                .chain([2])
                .collect()
        })
        .collect()
}

pub fn searching() -> DecodingOptions {
    DecodingOptions {
        max_new_tokens: isogloss::decoding::MaxNewTokens::Fixed(12),
        beam_size: 3,
        ..Default::default()
    }
}

pub fn translate(
    model: &InferenceModel,
    weights: Arc<DirectionWeights>,
    given: bool,
) -> Vec<(Vec<u32>, Vec<f32>)> {
    let sources = sources();
    let options = searching();
    let mut lines = Lines { weights, rest: &sources, given, out: Vec::new() };
    let limits = BatchLimits { sentences: 5, tokens: 4096, window: 16 };
    run(model, 2, &options, limits, &mut lines).unwrap();
    lines.out
}

/// Compacted layers and the exported model give what the plain model with zeroed rows gives:
/// log probabilities within 1e-5, translations identical. Also with no neuron at all.
#[test]
fn compacted_translation_equals_the_dense_reference() {
    for case in CASES {
        let checkpoint = Checkpoint::open(&dir(case)).unwrap();
        let config = &checkpoint.config;
        for share in [0.0, 0.3, 0.78] {
            let parts = parts(config, share, 21);
            let model = InferenceModel::from_checkpoint(&checkpoint).unwrap();
            let compact =
                Arc::new(model.base_weights().with_parts(&parts, LowRankForm::Beside).unwrap());
            assert!(compact.size_bytes() < model.base_weights().size_bytes());
            let dense = InferenceModel::from_source(
                config,
                |name, shape| Ok(zeroed(&checkpoint, &parts, name, shape)),
                checkpoint.final_logits_bias().unwrap(),
            )
            .unwrap();
            let small = CompactModel::new(config, &parts);
            assert_eq!(
                small.config().encoder_ffn_dim,
                small.widths()[0].iter().copied().max().unwrap().max(1)
            );
            let exported = InferenceModel::from_source(
                small.config(),
                |name, shape| small.values(name, shape, |n, s| checkpoint.values(n, s)),
                checkpoint.final_logits_bias().unwrap(),
            )
            .unwrap();
            for given in [false, true] {
                let want = translate(&dense, dense.base_weights().clone(), given);
                let found = [
                    translate(&model, compact.clone(), given),
                    translate(&exported, exported.base_weights().clone(), given),
                ];
                for found in found {
                    for ((tokens, scores), (want_tokens, want_scores)) in found.iter().zip(&want) {
                        assert_eq!(tokens, want_tokens, "{case} {share}");
                        close(scores, want_scores, "log probabilities");
                    }
                }
            }
        }
    }
}

/// A mask on one side only, or on one layer, is a mask like any other.
#[test]
fn layers_without_a_mask_keep_all_their_neurons() {
    let (checkpoint, set) = open("training/lopsided");
    let config = &checkpoint.config;
    let mut own = parts(config, 0.5, 4);
    own.encoder.iter_mut().for_each(|l| l.neurons = None);
    let (_, gradients) = train(&set, config, &own);
    let rows = |name: &str, d: usize| {
        gradients[name].chunks(d).filter(|r| r.iter().all(|g| *g == 0.0)).count()
    };
    assert!(rows("model.decoder.layers.0.fc1.weight", config.d_model) > 0);
    let model = InferenceModel::from_checkpoint(&checkpoint).unwrap();
    let weights = model.base_weights().with_parts(&own, LowRankForm::Beside).unwrap();
    assert!(Arc::ptr_eq(
        &weights.encoder[0].feed_forward,
        &model.base_weights().encoder[0].feed_forward
    ));
    let short = DirectionParts { encoder: vec![], ..own };
    assert!(model.base_weights().with_parts(&short, LowRankForm::Beside).is_err());
}
