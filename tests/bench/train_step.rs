//! Training steps of random models, timed for comparison with other programs
//! (`train_peers.py` drives it): forward, backward and Adam on sentences of 32 source and 32
//! target tokens, label smoothing 0.1, dropout 0.1, f32.
//!
//! Reads requests on standard input: `A 2048 3` (shape, target tokens, steps) answers
//! `seconds 0.81 0.80 0.82`; `rss` answers `peak_rss_mib 640.5`; `quit` or the end stops.

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

use isogloss::autograd::Gradients;
use isogloss::model::{DirectionParts, M2m100, Noise, ParameterSet, Ragged, Teacher};
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
    steps: u64,
}

impl Bench {
    fn new(shape: &str, tokens: usize) -> Result<Self, Box<dyn Error>> {
        let config = shapes::config(shape)?;
        let set = shapes::parameters(&config)?;
        let settings = AdamSettings {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-9,
            weight_decay: 0.0,
            decoupled: false,
        };
        Ok(Self {
            name: format!("{shape} {tokens}"),
            model: M2m100::new(&config, &set, None)?,
            adam: Adam::new(settings, set.trainable()),
            gradients: Gradients::new(set.iter())?,
            src: shapes::sentences(&config, tokens, LEN, "sources"),
            labels: shapes::sentences(&config, tokens, LEN, "targets"),
            parts: DirectionParts::none(&config),
            set,
            steps: 0,
        })
    }

    fn step(&mut self) -> Result<(), Box<dyn Error>> {
        self.steps += 1;
        self.gradients.clear();
        self.model.train(
            Teacher { src: &self.src, labels: &self.labels, weights: None },
            &self.parts,
            &Noise::new(self.steps),
            0.1,
            1.0 / self.labels.num_tokens() as f32,
            &mut self.gradients,
        )?;
        self.adam.update(self.set.trainable(), &self.gradients, 1e-4, 1.0)?;
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
            [shape, tokens, steps] => {
                let name = format!("{shape} {tokens}");
                if bench.as_ref().is_none_or(|b| b.name != name) {
                    drop(bench.take());
                    let mut b = Bench::new(shape, tokens.parse()?)?;
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
