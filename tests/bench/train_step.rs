//! Training steps of random models, timed for comparison with other programs
//! (`train_peers.py` drives it): forward, backward and Adam on sentences of 32 source and 32
//! target tokens, label smoothing 0.1, dropout 0.1, f32.
//!
//! Reads requests on standard input: `A 2048 3` (shape, target tokens, steps) answers
//! `seconds 0.81 0.80 0.82`; with `lora 8` behind it a plain LoRA of rank 8 on all linear maps is
//! trained beside the frozen model (`lora_peers.py`); `rss` answers `peak_rss_mib 640.5`; `quit` or the end stops.

mod shapes;
#[allow(
    dead_code,
    reason = "a benchmark starts as the program does, but sets its threads by itself"
)]
#[path = "../../src/startup.rs"]
mod startup;

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use isogloss::autograd::{Gradients, Tape};
use isogloss::formats::placement::{Index, Layer, Placement, SHARED};
use isogloss::methods::UnknownLanguage;
use isogloss::methods::lora::{Initialisation, LoraSet, LoraSpec};
use isogloss::model::checkpoint::linear_shapes;
use isogloss::model::{DirectionParts, M2m100, ModelConfig, Noise, ParameterSet, Ragged, Teacher};
use isogloss::training::{Adam, AdamSettings};

const LEN: usize = 32;

struct Bench {
    name: String,
    model: M2m100,
    set: ParameterSet,
    adam: Adam,
    gradients: Gradients,
    src: Ragged,
    labels: Ragged,
    parts: DirectionParts,
    lora: Option<LoraSet>,
    steps: u64,
}

/// A plain LoRA on every linear map; its parameters take the slots from 0 on.
fn plain_lora(config: &ModelConfig, rank: usize) -> Result<LoraSet, Box<dyn Error>> {
    let shapes = linear_shapes(config);
    let layers = |side: &str, n: usize| -> Vec<Layer> {
        let layer = |i: usize| {
            let prefix = format!("model.{side}.layers.{i}.");
            let own = shapes.keys().filter_map(|p| p.strip_prefix(prefix.as_str()));
            own.map(|m| (m.to_string(), Index::Shared)).collect()
        };
        (0..n).map(layer).collect()
    };
    let placement = Placement {
        encoder: layers("encoder", config.encoder_layers),
        decoder: layers("decoder", config.decoder_layers),
        adapters: [SHARED.to_string()].into(),
        ..Placement::default()
    };
    let mut set = LoraSpec {
        placement,
        shapes: &shapes,
        rank: &|_, _| rank,
        alpha: Some(2.0 * rank as f64),
        dropout: 0.0,
        initialisation: Initialisation::Standard,
        seed: 1,
    }
    .create()?;
    set.parameters_mut().enumerate().for_each(|(i, p)| p.slot = Some(i));
    Ok(set)
}

impl Bench {
    fn new(shape: &str, tokens: usize, rank: Option<usize>) -> Result<Self, Box<dyn Error>> {
        let config = shapes::config(shape)?;
        let set = shapes::parameters(&config, rank.is_none())?;
        let lora = rank.map(|rank| plain_lora(&config, rank)).transpose()?;
        let parts = match &lora {
            Some(lora) => {
                let used = lora.choose("", "", UnknownLanguage::Error)?;
                lora.parts(&used, &|_, _, _| None)
            }
            None => DirectionParts::none(&config),
        };
        let trained = || set.trainable().chain(lora.iter().flat_map(LoraSet::parameters));
        let settings = AdamSettings {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-9,
            weight_decay: 0.0,
            decoupled: false,
        };
        Ok(Self {
            name: format!("{shape} {tokens} {rank:?}"),
            model: M2m100::new(&config, &set, None)?,
            adam: Adam::new(settings, trained()),
            gradients: Gradients::new(trained())?,
            src: shapes::sentences(&config, tokens, LEN, "sources"),
            labels: shapes::sentences(&config, tokens, LEN, "targets"),
            parts,
            set,
            lora,
            steps: 0,
        })
    }

    fn step(&mut self) -> Result<(), Box<dyn Error>> {
        self.steps += 1;
        self.gradients.clear();
        self.model.train(
            Tape::recording(),
            Teacher { src: &self.src, labels: &self.labels, weights: None },
            &self.parts,
            &Noise::new(self.steps),
            0.1,
            1.0 / self.labels.num_tokens() as f32,
            &mut self.gradients,
        )?;
        let lora = self.lora.iter().flat_map(LoraSet::parameters);
        let trained = self.set.trainable().chain(lora);
        self.adam.update(trained, &self.gradients, 1e-4, 1.0)?;
        Ok(())
    }
}

fn peak_rss_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .and_then(|l| l.split_whitespace().next().and_then(|v| v.parse::<f64>().ok()));
    kib.unwrap_or(0.0) / 1024.0
}

fn main() -> Result<(), Box<dyn Error>> {
    startup::keep_freed_memory();
    let mut bench: Option<Bench> = None;
    // `cargo bench` (which says so) has no driver: one small case is shown.
    let mut lines: Box<dyn Iterator<Item = std::io::Result<String>>> =
        if std::env::args().any(|a| a == "--bench") {
            Box::new(["A 2048 5", "rss"].into_iter().map(|l| Ok(l.to_string())))
        } else {
            Box::new(std::io::stdin().lock().lines())
        };
    while let Some(line) = lines.next().transpose()? {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["quit"] => break,
            ["rss"] => println!("peak_rss_mib {:.1}", peak_rss_mib()),
            [shape, tokens, steps] | [shape, tokens, steps, "lora", _] => {
                let rank = words.get(4).map(|r| r.parse::<usize>()).transpose()?;
                let name = format!("{shape} {tokens} {rank:?}");
                if bench.as_ref().is_none_or(|b| b.name != name) {
                    drop(bench.take());
                    let mut b = Bench::new(shape, tokens.parse()?, rank)?;
                    b.step()?;
                    bench = Some(b);
                }
                let Some(b) = &mut bench else { continue };
                let mut answer = String::from("seconds");
                for _ in 0..steps.parse::<usize>()? {
                    let start = Instant::now();
                    b.step()?;
                    answer.push_str(&format!(" {:.4}", start.elapsed().as_secs_f64()));
                }
                println!("{answer}");
            }
            _ => eprintln!("not understood: {line}"),
        }
        std::io::stdout().flush()?;
    }
    Ok(())
}
