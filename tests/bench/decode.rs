//! Times decoding from token ids.
//!
//! Without arguments a random model is made and some batch and beam sizes are timed. With
//! `-- --serve MODEL [bf16|int8]` it answers requests on standard input, so that a driver
//! (`tests/bench/translate_peers.py`, `first_translation.py`) can take turns with another system: one JSON object a line,
//! `{"sources": [[...]], "batch": 16, "beam": 5, "tokens": 32, "threads": 2}`; the answer is a line of JSON with
//! `seconds`. Every hypothesis gets exactly `tokens` tokens. With `"shortlist": 30000` they are among as many.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use isogloss::decoding::{
    BatchLimits, DecodingOptions, Feed, MaxNewTokens, Outcome, Stream, Target, Task, run,
};
use isogloss::error::{Error, Result};
use isogloss::kernels::packed::WeightFormat;
use isogloss::kernels::vector::Isa;
use isogloss::model::Checkpoint;
use isogloss::model::inference::{DirectionWeights, InferenceModel};

type Failure = Box<dyn std::error::Error>;
type Fallible<T> = std::result::Result<T, Failure>;

fn main() -> Fallible<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    match args.as_slice() {
        [flag, dir] if flag == "--serve" => serve(Path::new(dir), None),
        [flag, dir, format] if flag == "--serve" => serve(Path::new(dir), Some(format)),
        [] => measure(threads),
        _ => Err("usage: decode [--serve MODEL [f32|bf16|int8]]".into()),
    }
}

/// Decodes all sources, `batch` sentences at a time, the shortest first.
fn decode(
    model: &InferenceModel,
    sources: &[Vec<u32>],
    batch: usize,
    beam_size: usize,
    tokens: usize,
    threads: usize,
    shortlist: Option<usize>,
) -> Fallible<f64> {
    let options = DecodingOptions {
        beam_size,
        max_new_tokens: MaxNewTokens::Fixed(tokens),
        min_new_tokens: tokens,
        ..Default::default()
    };
    let mut weights = Arc::clone(model.base_weights());
    if let Some(n) = shortlist {
        let size = model.config().vocab_size;
        let ids = (0..n).map(|i| (i * size / n) as u32).collect();
        weights = Arc::new(DirectionWeights {
            encoder: weights.encoder.clone(),
            decoder: weights.decoder.clone(),
            shortlist: Some(Arc::new(model.output_of(ids)?)),
        });
    }
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|&i| sources[i].len());
    let mut lines = Lines { weights, sources, order: order.into_iter(), tokens };
    let limits = BatchLimits { sentences: batch, tokens: usize::MAX, window: 2 * batch };
    let start = Instant::now();
    run(model, threads, &options, limits, &mut lines)?;
    Ok(start.elapsed().as_secs_f64())
}

/// The sources in an order, each to become `tokens` tokens.
struct Lines<'a> {
    weights: Arc<DirectionWeights>,
    sources: &'a [Vec<u32>],
    order: std::vec::IntoIter<usize>,
    tokens: usize,
}

impl Stream for Lines<'_> {
    type Tag = ();
    type Weights = DirectionWeights;

    fn next(&mut self, _: bool) -> Result<Feed<(), DirectionWeights>> {
        let Some(i) = self.order.next() else { return Ok(Feed::End) };
        let target = Target::Search { forced: Vec::new() };
        let (weights, src) = (Arc::clone(&self.weights), self.sources[i].clone());
        Ok(Feed::Item((), Task::Decode { weights, src, target }))
    }
    fn emit(&mut self, _: (), outcome: Option<Outcome>) -> Result<()> {
        let whole = |hyps: &Outcome| hyps.first().is_some_and(|h| h.tokens.len() == self.tokens);
        match outcome.is_some_and(|hyps| whole(&hyps)) {
            true => Ok(()),
            false => Err(Error::bug("a hypothesis has the wrong length")),
        }
    }
    fn idle(&mut self) -> Result<()> {
        Ok(())
    }
}

fn serve(dir: &Path, format: Option<&String>) -> Fallible<()> {
    let checkpoint = Checkpoint::open_any(dir)?;
    let format = match format.map(String::as_str) {
        None => checkpoint.weight_format()?,
        Some("f32") => WeightFormat::F32,
        Some("bf16") => WeightFormat::Bf16,
        Some("int8") => WeightFormat::Int8,
        Some(other) => return Err(format!("no format `{other}`").into()),
    };
    let model = InferenceModel::with_format(&checkpoint, Isa::detect(), format)?;
    let mut out = std::io::stdout();
    for line in std::io::stdin().lock().lines() {
        let request: serde_json::Value = serde_json::from_str(&line?)?;
        let number =
            |key: &str| request[key].as_u64().map(|n| n as usize).ok_or(format!("no `{key}`"));
        let sources: Vec<Vec<u32>> = serde_json::from_value(request["sources"].clone())?;
        let seconds = decode(
            &model,
            &sources,
            number("batch")?,
            number("beam")?,
            number("tokens")?,
            number("threads")?,
            number("shortlist").ok(),
        )?;
        writeln!(out, "{}", serde_json::json!({ "seconds": seconds }))?;
        out.flush()?;
    }
    Ok(())
}

/// A model of the small shape (d 256, 3 + 3 layers, 8000 words) with random weights.
fn measure(threads: usize) -> Fallible<()> {
    let dir = tempfile::tempdir()?;
    write_random_model(dir.path())?;
    let model = InferenceModel::from_checkpoint(&Checkpoint::open(dir.path())?)?;
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) % below
    };
    let sources: Vec<Vec<u32>> = (0..64)
        .map(|_| {
            let len = 9 + random(30);
            (0..len).map(|_| 10 + random(7900) as u32).chain([2]).collect()
        })
        .collect();
    const TOKENS: usize = 32;
    println!("{threads} threads; output tokens a second, median of 5");
    for batch in [1, 16, 64] {
        for beam in [1, 5] {
            let sources = &sources[..batch.max(4)];
            let mut seconds: Vec<f64> = (0..6)
                .map(|_| decode(&model, sources, batch, beam, TOKENS, threads, None))
                .collect::<Result<_, _>>()?;
            seconds.remove(0);
            seconds.sort_by(f64::total_cmp);
            let rate = (sources.len() * TOKENS) as f64 / seconds[2];
            println!("batch {batch:3}  beam {beam}  {rate:8.0}");
        }
    }
    Ok(())
}

fn write_random_model(dir: &Path) -> Fallible<()> {
    use isogloss::formats::safetensors::{Data, Entry, write};
    let config = serde_json::json!({
        "model_type": "m2m_100", "vocab_size": 8000, "d_model": 256, "encoder_layers": 3,
        "decoder_layers": 3, "encoder_ffn_dim": 1024, "decoder_ffn_dim": 1024,
        "encoder_attention_heads": 4, "decoder_attention_heads": 4,
        "max_position_embeddings": 256, "scale_embedding": true,
    });
    std::fs::write(dir.join("config.json"), config.to_string())?;
    let mut state = 7u64;
    let values: Vec<(String, Vec<usize>, Vec<f32>)> =
        isogloss::model::checkpoint::parameter_shapes(&serde_json::from_value(config)?)
            .into_iter()
            .map(|(name, shape)| {
                let ones = name.ends_with("layer_norm.weight");
                let values = (0..shape.iter().product::<usize>())
                    .map(|_| {
                        state = state
                            .wrapping_mul(6364136223846793005)
                            .wrapping_add(1442695040888963407);
                        let v = (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5;
                        if ones { 1.0 } else { v * 0.07 }
                    })
                    .collect();
                (name, shape, values)
            })
            .collect();
    let tensors = values
        .iter()
        .map(|(n, shape, v)| (n.clone(), Entry { shape: shape.clone(), data: Data::F32(v) }))
        .collect();
    write(&dir.join("model.safetensors"), &tensors, &Default::default(), true)?;
    Ok(())
}
