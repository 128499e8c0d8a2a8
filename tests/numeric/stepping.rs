//! Decoding with the layers of training, as devices without kernels of our own do it, against
//! transformers and against the decoder of the CPU. On the CPU here, with operations put together from
//! those of the tensor library, and with the kernels.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use isogloss::autograd::Value;
use isogloss::decoding::{BatchLimits, DecodingOptions, MaxNewTokens, Outcome, Target, run_with};
use isogloss::formats::neurons::Side;
use isogloss::kernels::vector::Isa;
use isogloss::model::inference::{Decoder, DirectionWeights, InferenceModel, LowRankForm};
use isogloss::model::seam::{LayerParts, LowRank};
use isogloss::model::stepping::{Shortlist, Stepper, StepperWeights};
use isogloss::model::{Checkpoint, DirectionParts, M2m100, ModelConfig, ParameterSet};

use crate::adapters::{Base, close, numbers};
use crate::decoding::{
    NAMES, Sentences, check_scores, data, golden, ids, options, search, sources,
};
use crate::masked_model::{parts as masked, searching, sources as short_sources};

fn model(name: &str) -> M2m100 {
    let checkpoint = Checkpoint::open(&data().join(name)).unwrap();
    let set = ParameterSet::load(&checkpoint, |_| false).unwrap();
    M2m100::new(&checkpoint.config, &set, checkpoint.final_logits_bias().unwrap()).unwrap()
}

fn weights(
    model: &M2m100,
    parts: &DirectionParts,
    shortlist: Option<Shortlist>,
) -> Arc<StepperWeights> {
    let all = |side: Side, layers: &[LayerParts]| {
        let one = |(i, parts)| model.prepared(side, i, parts).unwrap();
        layers.iter().enumerate().map(one).collect()
    };
    let encoder = all(Side::Encoder, &parts.encoder);
    let parts = DirectionParts { encoder, decoder: all(Side::Decoder, &parts.decoder) };
    Arc::new(StepperWeights { parts, shortlist: shortlist.map(Arc::new) })
}

fn translate(
    stepper: Stepper<'_>,
    weights: Arc<StepperWeights>,
    options: &DecodingOptions,
    tasks: Vec<(Vec<u32>, Target)>,
    batch: usize,
) -> Vec<Outcome> {
    let mut stream = Sentences::new(weights, tasks, batch.is_multiple_of(2));
    let limits = BatchLimits { sentences: batch, tokens: 100_000, window: 2 * batch };
    run_with(vec![stepper], options, limits, &mut stream).unwrap();
    stream.results
}

#[test]
fn search_equals_generate_token_for_token() {
    let golden = golden();
    let mark = golden["mark"].as_u64().unwrap() as u32;
    let mut compared = 0;
    for name in NAMES {
        let model = model(name);
        let plain = weights(&model, &DirectionParts::none(model.config()), None);
        for case in golden["models"][name]["generate"].as_array().unwrap() {
            let (options, mark) = options(&case["settings"], mark);
            let stepper = Stepper::new(&model, false).unwrap();
            let got =
                translate(stepper, plain.clone(), &options, search(&sources(&golden), mark), 4);
            for (i, want) in case["expected"].as_array().unwrap().iter().enumerate() {
                let want = want.as_array().unwrap();
                assert_eq!(got[i].len(), want.len());
                for (got, want) in got[i].iter().zip(want) {
                    assert_eq!(got.tokens, ids(&want["tokens"]), "{name} {} {i}", case["name"]);
                    check_scores(got, options.length_penalty);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 2 * 6 * 55);
}

/// Hypotheses, and log probabilities up to the order of sums.
fn same(got: &[Outcome], want: &[Outcome], what: &str) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert_eq!(got.len(), want.len(), "{what}: {i}");
        for (got, want) in got.iter().zip(want) {
            assert_eq!(got.tokens, want.tokens, "{what}: {i}");
            close(&got.token_scores, &want.token_scores, 1e-4, &format!("{what}: {i}"));
        }
    }
}

/// Sentences join and leave, pools fill up and are laid out anew, sources hold padding, and some targets
/// are given.
#[test]
fn streams_equal_those_of_the_cpu() {
    let golden = golden();
    let mark = golden["mark"].as_u64().map(|m| m as u32);
    for name in NAMES {
        let model = model(name);
        let packed =
            InferenceModel::with_isa(&Checkpoint::open(&data().join(name)).unwrap(), Isa::detect())
                .unwrap();
        let mut all = sources(&golden);
        for i in 0..60u32 {
            let len = 1 + (i * 7 % 19) as usize;
            all.push((0..len as u32).map(|j| (3 + (i * 31 + j * 17)) % 45).collect());
        }
        for (beam_size, batch) in [(1, 16), (4, 9), (5, 40)] {
            let options = DecodingOptions {
                beam_size,
                n_best: beam_size,
                max_new_tokens: MaxNewTokens::Fixed(25),
                no_repeat_ngram_size: if beam_size == 4 { 2 } else { 0 },
                ..Default::default()
            };
            let want =
                crate::decoding::translate(&packed, &options, search(&all, mark), 2, 7, false);
            let plain = weights(&model, &DirectionParts::none(model.config()), None);
            let stepper = || Stepper::new(&model, false).unwrap();
            let what = format!("{name}, beam {beam_size}");
            let got = translate(stepper(), plain.clone(), &options, search(&all, mark), batch);
            same(&got, &want, &what);
            let given: Vec<_> = all
                .iter()
                .zip(&want)
                .map(|(src, h)| {
                    (src.clone(), Target::Given { labels: h[0].tokens.clone(), num_forced: 1 })
                })
                .collect();
            let scored = translate(stepper(), plain.clone(), &options, given.clone(), batch);
            let want = crate::decoding::translate(&packed, &options, given, 2, 7, false);
            same(&scored, &want, &format!("{what}, given"));
        }
    }
}

/// Updates of low rank of several maps of each layer.
fn updates(config: &ModelConfig) -> DirectionParts {
    let mut parts = DirectionParts::none(config);
    let d = config.d_model;
    let mut seed = 7;
    let mut value = |dims: [usize; 2]| {
        seed += 1;
        let v: Vec<f32> = numbers(dims[0] * dims[1], seed).iter().map(|x| 0.3 * x).collect();
        Value::constant(Tensor::from_vec(v, (dims[0], dims[1]), &Device::Cpu).unwrap())
    };
    let encoder = (&mut parts.encoder, config.encoder_ffn_dim, "self_attn.v_proj");
    let decoder = (&mut parts.decoder, config.decoder_ffn_dim, "encoder_attn.v_proj");
    for (layers, ffn, v_proj) in [encoder, decoder] {
        for layer in layers {
            let maps =
                [("self_attn.q_proj", d, d), (v_proj, d, d), ("fc1", ffn, d), ("fc2", d, ffn)];
            for (module, n, k) in maps {
                let (lora_a, lora_b) = (value([3, k]), value([n, 3]));
                let (start, dropout, gate) = (0, 0.0, None);
                let update = LowRank { lora_a, lora_b, scaling: 0.7, start, dropout, gate };
                layer.low_rank.insert(module.to_string(), vec![update]);
            }
        }
    }
    parts
}

#[test]
fn masks_updates_and_shortlists_equal_those_of_the_cpu() {
    for name in ["even", "lopsided"] {
        let base = Base::open(name);
        let config = base.config();
        let packed = base.inference();
        let updated = updates(config);
        let mut both = masked(config, 0.5, 3);
        both.add(updated.clone());
        let own = |parts: &DirectionParts| {
            packed.base_weights().with_parts(parts, LowRankForm::Beside).unwrap()
        };
        let plain = translate_packed(&packed, own(&DirectionParts::none(config)));
        let cases = [
            ("masks", masked(config, 0.4, 5)),
            ("no neurons", masked(config, 0.0, 5)),
            ("updates", updated),
            ("both", both),
        ];
        for (what, parts) in cases {
            let want = translate_packed(&packed, own(&parts));
            assert_ne!(want, plain, "{what} do nothing");
            let got = translate_short(&base.model, weights(&base.model, &parts, None));
            same(&got, &want, &format!("{name}, {what}"));
        }
        let listed: Vec<u32> =
            [2, 5].into_iter().chain((6..config.vocab_size as u32).step_by(3)).collect();
        let shortlist = Shortlist::new(&base.model, listed.clone()).unwrap();
        let mut few = own(&DirectionParts::none(config));
        few.shortlist = Some(Arc::new(packed.output_of(listed).unwrap()));
        let want = translate_packed(&packed, few);
        assert_ne!(want, plain, "a shortlist does nothing");
        let got = translate_short(
            &base.model,
            weights(&base.model, &DirectionParts::none(config), Some(shortlist)),
        );
        same(&got, &want, &format!("{name}, shortlist"));
    }
}

fn short_tasks() -> Vec<(Vec<u32>, Target)> {
    search(&short_sources(), Some(5))
}

fn translate_packed(model: &InferenceModel, weights: DirectionWeights) -> Vec<Outcome> {
    let mut stream = Sentences::new(Arc::new(weights), short_tasks(), false);
    let limits = BatchLimits { sentences: 5, tokens: 4096, window: 16 };
    let decoder = Decoder::new(model, 2, searching().beam_size);
    run_with(vec![decoder], &searching(), limits, &mut stream).unwrap();
    stream.results
}

fn translate_short(model: &M2m100, weights: Arc<StepperWeights>) -> Vec<Outcome> {
    let stepper = Stepper::new(model, false).unwrap();
    translate(stepper, weights, &searching(), short_tasks(), 5)
}

/// Tokens and their scores.
type Scored = (Vec<u32>, Vec<f32>);

/// Translations and scores that the CPU's decoder found with these parts, found again.
pub fn steps_as_it_translates(
    model: &M2m100,
    parts: &DirectionParts,
    (given, searched): (&[Scored], &[Scored]),
    what: &str,
) {
    let weights = weights(model, parts, None);
    let targets = short_sources()
        .into_iter()
        .map(|src| (src.clone(), Target::Given { labels: src, num_forced: 1 }))
        .collect();
    let stepper = Stepper::new(model, false).unwrap();
    let scored = translate(stepper, weights.clone(), &searching(), targets, 5);
    let found = translate_short(model, weights);
    for (got, want) in [(scored, given), (found, searched)] {
        assert_eq!(got.len(), want.len());
        for (i, (got, (tokens, scores))) in got.iter().zip(want).enumerate() {
            assert_eq!(&got[0].tokens, tokens, "{what}: {i}");
            close(&got[0].token_scores, scores, 3e-5, &format!("{what}: {i}"));
        }
    }
}
