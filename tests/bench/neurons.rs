//! What neuron masks save and what profiling costs, in turns within one process.
//!
//! `cargo bench --bench neurons` prints, for the shapes of the comparisons with other programs
//! (A: d 256, B: d 512), the time of a training step and the throughput of translation at some
//! densities as ratios to the dense model, beside what the multiplications predict, and the time
//! of counting over the same pass without it. `-- train A` runs one part for one shape.

mod shapes;
#[allow(
    dead_code,
    reason = "a benchmark starts as the program does, but sets its threads by itself"
)]
#[path = "../../src/startup.rs"]
mod startup;

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use isogloss::autograd::{Gradients, Tape};
use isogloss::decoding::{DecodingOptions, MaxNewTokens, Session, Target};
use isogloss::formats::neuron_stats::Counting;
use isogloss::model::inference::{Decoder, DirectionWeights, InferenceModel, LowRankForm};
use isogloss::model::seam::NeuronMask;
use isogloss::model::{DirectionParts, M2m100, ModelConfig, Noise, Teacher};
use isogloss::profiling::{ProfileOptions, Profiler, random};
use isogloss::text::Convention;
use isogloss::training::{Adam, AdamSettings};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The last one has no neuron at all: what it takes is what masks cannot save.
const DENSITIES: [f64; 5] = [1.0, 0.78, 0.5, 0.25, 0.0];
const LEN: usize = 32;
const TURNS: usize = 7;

fn parts(config: &ModelConfig, density: f64) -> DirectionParts {
    let mut parts = DirectionParts::none(config);
    let sides = [
        (&mut parts.encoder, config.encoder_ffn_dim, "encoder"),
        (&mut parts.decoder, config.decoder_ffn_dim, "decoder"),
    ];
    for (layers, ffn, side) in sides {
        for (i, layer) in layers.iter_mut().enumerate() {
            let kept = (density * ffn as f64).round() as usize;
            layer.neurons =
                Some(NeuronMask::from_flags(&random(ffn, kept, 1, &format!("{side}/{i}"))));
        }
    }
    parts
}

/// Multiplications for a source and a target token: all, and those of feed-forward blocks.
fn multiplications(c: &ModelConfig) -> (f64, f64) {
    let d = c.d_model as f64;
    let (e, f) = (c.encoder_layers as f64, c.decoder_layers as f64);
    let ffn = 2.0 * d * (e * c.encoder_ffn_dim as f64 + f * c.decoder_ffn_dim as f64);
    let attention = 4.0 * d * d * e + 8.0 * d * d * f;
    (ffn + attention + d * c.vocab_size as f64, ffn)
}

fn median(mut v: Vec<f64>) -> f64 {
    v.sort_by(f64::total_cmp);
    v[v.len() / 2]
}

fn predicted(c: &ModelConfig, density: f64) -> f64 {
    let (all, ffn) = multiplications(c);
    (all - (1.0 - density) * ffn) / all
}

/// Time of a step, forward, backward and Adam, over that of the dense one.
fn train(shape: &str, tokens: usize) -> Outcome {
    let config = shapes::config(shape)?;
    let set = shapes::parameters(&config, true)?;
    let model = M2m100::new(&config, &set, None)?;
    let mut gradients = Gradients::new(set.iter())?;
    let settings =
        AdamSettings { beta1: 0.9, beta2: 0.98, eps: 1e-9, weight_decay: 0.0, decoupled: false };
    let mut adam = Adam::new(settings, set.trainable())?;
    let src = shapes::sentences(&config, tokens, LEN, "sources");
    let labels = shapes::sentences(&config, tokens, LEN, "targets");
    let all: Vec<DirectionParts> = DENSITIES.iter().map(|&q| parts(&config, q)).collect();
    let mut seconds = vec![Vec::new(); all.len()];
    for turn in 0..=TURNS as u64 {
        for (parts, seconds) in all.iter().zip(&mut seconds) {
            let start = Instant::now();
            gradients.clear();
            let teacher = Teacher { src: &src, labels: &labels, weights: None };
            let scale = 1.0 / labels.num_tokens() as f32;
            let tape = Tape::recording();
            model.train(tape, teacher, parts, &Noise::new(turn), 0.1, scale, &mut gradients)?;
            adam.update(set.trainable(), &gradients, 1e-4, 1.0)?;
            // The first turn warms up.
            if turn > 0 {
                seconds.push(start.elapsed().as_secs_f64());
            }
        }
    }
    let medians: Vec<f64> = seconds.into_iter().map(median).collect();
    let floor = medians[DENSITIES.len() - 1] / medians[0];
    for (q, m) in DENSITIES.iter().zip(&medians) {
        println!(
            "train      {shape}  {tokens:5} tokens  density {q:.2}  time {:.3} of dense  \
             by multiplications {:.3}  by the time without neurons {:.3}",
            m / medians[0],
            predicted(&config, *q),
            1.0 - (1.0 - q) * (1.0 - floor)
        );
    }
    Ok(())
}

fn inference_model(config: &ModelConfig) -> Outcome<InferenceModel> {
    let set = shapes::parameters(config, false)?;
    let values = |name: &str, _: &[usize]| -> isogloss::Result<Vec<f32>> {
        Ok(set.get(name)?.tensor.flatten_all()?.to_vec1::<f32>()?)
    };
    Ok(InferenceModel::from_source(config, values, None)?)
}

fn decode(
    model: &InferenceModel,
    weights: &Arc<DirectionWeights>,
    sources: &[Vec<u32>],
    beam_size: usize,
    threads: usize,
) -> Outcome<f64> {
    let options = DecodingOptions {
        beam_size,
        max_new_tokens: MaxNewTokens::Fixed(LEN),
        min_new_tokens: LEN,
        ..Default::default()
    };
    let mut session: Session<_, usize> =
        Session::new(Decoder::new(model, threads, options.beam_size), options);
    let start = Instant::now();
    let sentences = sources
        .iter()
        .enumerate()
        .map(|(i, s)| (i, s.clone(), Target::Search { forced: Vec::new() }))
        .collect();
    session.admit(weights, sentences)?;
    while session.num_active() > 0 {
        session.step(weights)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Tokens a second of compacted layers over those of the dense ones.
fn translate(shape: &str, threads: usize) -> Outcome {
    let config = shapes::config(shape)?;
    let model = inference_model(&config)?;
    let all: Vec<Arc<DirectionWeights>> = DENSITIES
        .iter()
        .map(|&q| {
            Ok(Arc::new(model.base_weights().with_parts(&parts(&config, q), LowRankForm::Beside)?))
        })
        .collect::<Outcome<_>>()?;
    for (batch, beam) in [(1, 1), (64, 1), (16, 5)] {
        let text = shapes::sentences(&config, batch * LEN, LEN, "sources");
        let sources: Vec<Vec<u32>> = text.sentences().map(<[u32]>::to_vec).collect();
        let mut seconds = vec![Vec::new(); all.len()];
        for turn in 0..=TURNS {
            for (weights, seconds) in all.iter().zip(&mut seconds) {
                let s = decode(&model, weights, &sources, beam, threads)?;
                if turn > 0 {
                    seconds.push(s);
                }
            }
        }
        let medians: Vec<f64> = seconds.into_iter().map(median).collect();
        // Encoder products once, those of the decoder and the output layer for each hypothesis;
        // keys and values of the source once.
        let d = config.d_model as f64;
        let cost = |q: f64| {
            let ffn = |n: usize| 2.0 * d * q * n as f64;
            let encoder =
                config.encoder_layers as f64 * (4.0 * d * d + ffn(config.encoder_ffn_dim));
            let memory = config.decoder_layers as f64 * 2.0 * d * d;
            let step = config.decoder_layers as f64 * (6.0 * d * d + ffn(config.decoder_ffn_dim))
                + d * config.vocab_size as f64;
            encoder + memory + beam as f64 * step
        };
        let floor = medians[DENSITIES.len() - 1] / medians[0];
        for (q, m) in DENSITIES.iter().zip(&medians) {
            println!(
                "translate  {shape}  batch {batch:2} beam {beam}  density {q:.2}  speed {:.3} of \
                 dense  by multiplications {:.3}  by the time without neurons {:.3}",
                medians[0] / m,
                cost(1.0) / cost(*q),
                1.0 / (1.0 - (1.0 - q) * (1.0 - floor))
            );
        }
    }
    Ok(())
}

/// Time of counting over that of the same pass without.
fn profile(shape: &str, threads: usize) -> Outcome {
    let config = shapes::config(shape)?;
    let model = inference_model(&config)?;
    let text = shapes::sentences(&config, 64 * LEN, LEN, "sources");
    let pairs: Vec<(&[u32], &[u32])> = text.sentences().map(|s| (s, s)).collect();
    let conventions = [
        ("token", Counting::default(), false),
        ("sentence", Counting { unit: "sentence".into(), ..Counting::default() }, false),
        ("sums", Counting::default(), true),
    ];
    for (name, counting, sums) in conventions {
        let options =
            ProfileOptions { counting, sums, convention: Convention::M2m100, batch_tokens: 4096 };
        let mut profiler = Profiler::new(&model, threads, options);
        let (mut plain, mut counted) = (Vec::new(), Vec::new());
        for turn in 0..=2 * TURNS {
            let start = Instant::now();
            profiler.run_plain(&pairs)?;
            let middle = start.elapsed().as_secs_f64();
            profiler.add("a-b", &pairs)?;
            let both = start.elapsed().as_secs_f64();
            if turn > 0 {
                plain.push(middle);
                counted.push(both - middle);
            }
        }
        println!(
            "profile    {shape}  {name:8}  time {:.3} of the plain pass",
            median(counted) / median(plain)
        );
    }
    Ok(())
}

fn main() -> Outcome {
    startup::keep_freed_memory();
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = |what: &str, shape: &str| {
        let part = args.first().is_none_or(|a| a == what);
        part && args.get(1).is_none_or(|s| s == shape)
    };
    println!("{threads} threads; medians of {TURNS} turns, of profiling {}", 2 * TURNS);
    for shape in ["A", "B"] {
        if asked("train", shape) {
            train(shape, 1024)?;
        }
        if asked("translate", shape) {
            translate(shape, threads)?;
        }
        if asked("profile", shape) {
            profile(shape, threads)?;
        }
    }
    Ok(())
}
