//! Models in bf16 and int8: close to f32 with every method on top, and no sentence dependent on
//! what it is translated with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use isogloss::decoding::{DecodingOptions, MaxNewTokens};
use isogloss::formats::lora::LoraFiles;
use isogloss::kernels::packed::WeightFormat;
use isogloss::kernels::vector::Isa;
use isogloss::methods::lora::LoraSet;
use isogloss::model::checkpoint::linear_shapes;
use isogloss::model::inference::{Decoder, DirectionWeights, InferenceModel, LowRankForm, Row};
use isogloss::model::{Checkpoint, DirectionParts};

use crate::decoding::{golden, search, sources, translate};
use crate::lora::plain_parts;
use crate::masked_model;

const NARROW: [WeightFormat; 2] = [WeightFormat::Bf16, WeightFormat::Int8];

fn open(path: &str) -> Checkpoint {
    let data: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    Checkpoint::open(&data.join(path)).unwrap()
}

fn load(checkpoint: &Checkpoint, format: WeightFormat) -> InferenceModel {
    InferenceModel::with_format(checkpoint, Isa::detect(), format).unwrap()
}

/// All logits of a few positions of two sentences, read together.
fn logits(model: &InferenceModel, weights: &DirectionWeights) -> Vec<f32> {
    let vocab = model.config().vocab_size;
    let mut decoder = Decoder::new(model, 2, 1);
    let src: [&[u32]; 2] = [&[4, 9, 12, 30, 2], &[4, 8, 8, 21, 33, 11, 2]];
    let slots = decoder.admit(weights, &src);
    let given = [2, 5, 14, 17, 18];
    let rows: Vec<Row> = slots
        .iter()
        .flat_map(|&slot| {
            given.iter().enumerate().map(move |(position, &token)| Row {
                slot,
                beam: 0,
                token,
                position,
            })
        })
        .collect();
    let outputs: Vec<usize> = (0..rows.len()).collect();
    let top = decoder.step(weights, &rows, &outputs, vocab);
    let mut all = vec![0.0; rows.len() * vocab];
    for i in &outputs {
        for c in top.best(*i) {
            all[i * vocab + c.id as usize] = c.logit;
        }
    }
    all
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Every method on top of every format. The tolerances are shares of the range of the logits:
/// errors of single weights (2^-9 and 1/254 of the greatest) partly cancel.
#[test]
fn logits_stay_close_with_masks_and_updates_of_low_rank() {
    for case in ["even", "lopsided"] {
        let checkpoint = open(&format!("training/{case}"));
        let shapes = linear_shapes(&checkpoint.config);
        let lora = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lora").join(case);
        let files = LoraFiles::read(&lora.join("adapter"), &shapes).unwrap();
        let set = LoraSet::from_files(&files, &shapes).unwrap();
        let low_rank = plain_parts(&set);
        let masked = masked_model::parts(&checkpoint.config, 0.4, 5);
        let mut both = masked.clone();
        for (both, low) in both
            .encoder
            .iter_mut()
            .chain(&mut both.decoder)
            .zip(low_rank.encoder.iter().chain(&low_rank.decoder))
        {
            both.low_rank = low.low_rank.clone();
        }
        let wide = load(&checkpoint, WeightFormat::F32);
        let plain = logits(&wide, wide.base_weights());
        let range = plain.iter().fold(f32::MIN, |m, v| m.max(*v))
            - plain.iter().fold(f32::MAX, |m, v| m.min(*v));
        let derive = |model: &InferenceModel, parts: &DirectionParts, form| {
            let weights = model.base_weights().with_parts(parts, form).unwrap();
            logits(model, &weights)
        };
        for format in NARROW {
            let model = load(&checkpoint, format);
            assert_eq!(model.format(), format);
            assert!(model.size_bytes() < wide.size_bytes());
            let limit = range * if format == WeightFormat::Bf16 { 0.01 } else { 0.04 };
            let mut found =
                vec![("none", distance(&logits(&model, model.base_weights()), &plain), f32::MAX)];
            for (name, parts) in [("masks", &masked), ("LoRA", &low_rank), ("both", &both)] {
                for form in [LowRankForm::Beside, LowRankForm::Merged] {
                    let want = derive(&wide, parts, form);
                    let got = distance(&derive(&model, parts, form), &want);
                    found.push((name, got, distance(&want, &plain)));
                }
            }
            // What a method changes is more than what the format does.
            let good =
                |(_, got, change): &(&str, f32, f32)| *got > 0.0 && *got < limit && got < change;
            assert!(found.iter().all(good), "{case} {format:?}: {found:?}, limit {limit}");
        }
    }
}

/// bf16 is f32 arithmetic on rounded weights: nothing else may differ, not a bit.
#[test]
fn bf16_is_the_f32_model_of_rounded_matrices() {
    for name in ["decoding/plain", "decoding/odd", "training/lopsided"] {
        let checkpoint = open(name);
        let rounded = InferenceModel::from_source(
            &checkpoint.config,
            |name, shape| {
                let mut values = checkpoint.values(name, shape)?;
                if shape.len() == 2 {
                    for v in &mut values {
                        let bits = v.to_bits();
                        *v = f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000);
                    }
                }
                Ok(values)
            },
            checkpoint.final_logits_bias().unwrap(),
        )
        .unwrap();
        let model = load(&checkpoint, WeightFormat::Bf16);
        assert_eq!(logits(&model, model.base_weights()), logits(&rounded, rounded.base_weights()));
    }
}

#[test]
fn batch_threads_and_instruction_set_change_no_bit_in_any_format() {
    let golden = golden();
    let mark = golden["mark"].as_u64().map(|m| m as u32);
    let mut sources = sources(&golden);
    for i in 0..30u32 {
        let len = 1 + i * 7 % 13;
        sources.push((0..len).map(|j| 3 + (i * 31 + j * 17) % 45).collect());
    }
    for (name, beam_size) in [("decoding/plain", 5), ("decoding/odd", 1)] {
        let checkpoint = open(name);
        let options = DecodingOptions {
            beam_size,
            max_new_tokens: MaxNewTokens::Fixed(20),
            n_best: beam_size,
            ..Default::default()
        };
        for format in NARROW {
            let model = load(&checkpoint, format);
            let alone = translate(&model, &options, search(&sources, mark), 1, 1, false);
            for (threads, batch) in [(1, 7), (2, 64), (3, 16)] {
                let got =
                    translate(&model, &options, search(&sources, mark), threads, batch, batch == 7);
                assert_eq!(got, alone, "{name} {format:?} batch {batch}");
            }
            for isa in Isa::available().into_iter().filter(|i| *i != Isa::Portable) {
                let model = InferenceModel::with_format(&checkpoint, isa, format).unwrap();
                let got = translate(&model, &options, search(&sources, mark), 2, 16, false);
                assert_eq!(got, alone, "{name} {format:?} {}", isa.name());
            }
            // Almost every token is the one that f32 chooses.
            let wide = load(&checkpoint, WeightFormat::F32);
            let wide = translate(&wide, &options, search(&sources, mark), 2, 16, false);
            let same = wide.iter().zip(&alone).filter(|(w, a)| w[0].tokens == a[0].tokens).count();
            assert!(same * 10 >= sources.len() * 6, "{name} {format:?}: {same} equal");
        }
    }
}

#[test]
fn a_direction_shares_what_it_does_not_change_in_every_format() {
    let checkpoint = open("training/even");
    for format in NARROW {
        let model = load(&checkpoint, format);
        let parts = masked_model::parts(&checkpoint.config, 0.4, 5);
        let own = model.base_weights().with_parts(&parts, LowRankForm::Beside).unwrap();
        let layers = own.encoder.iter().zip(&model.base_weights().encoder).zip(&parts.encoder);
        for ((a, b), parts) in layers {
            assert!(Arc::ptr_eq(&a.self_attn, &b.self_attn));
            assert_eq!(a.feed_forward.fc1.weight().format(), format);
            // Kept rows are the same integers with the same scales.
            let (kept, all) = (a.feed_forward.fc1.weight(), b.feed_forward.fc1.weight());
            let mask = parts.neurons.as_ref().unwrap();
            assert_eq!(kept.n(), mask.kept().len());
            let rows = all.to_rows();
            let want =
                mask.kept().iter().flat_map(|&i| rows[i as usize * all.k()..][..all.k()].to_vec());
            assert_eq!(kept.to_rows(), want.collect::<Vec<_>>());
        }
    }
}
