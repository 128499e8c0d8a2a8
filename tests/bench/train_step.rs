//! Training steps of random models, timed for comparison with other programs
//! (`train_peers.py` drives it): forward, backward and Adam on sentences of 32 source and 32
//! target tokens, label smoothing 0.1, dropout 0.1, f32.
//!
//! Reads requests on standard input: `A 2048 3` (shape, target tokens, steps) answers
//! `seconds 0.81 0.80 0.82`; with `lora 8` behind it a plain LoRA of rank 8 on all linear maps is
//! trained beside the frozen model (`lora_peers.py`), with `adapter 64` an adapter of that width after each
//! feed-forward block (`adapter_peers.py`); `rss` answers `peak_rss_mib 640.5`; `quit` or the end stops.

mod shapes;
#[allow(
    dead_code,
    reason = "a benchmark starts as the program does, but sets its threads by itself"
)]
#[path = "../../src/startup.rs"]
mod startup;
mod step;

use std::error::Error;
use std::io::{BufRead, Write};
use std::time::Instant;

use step::{Bench, Method};

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
    let mut bench: Option<((String, usize, Method), Bench)> = None;
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
            [shape, tokens, steps, ref method @ ..] => {
                let method = match method {
                    [] => Method::Full,
                    ["lora", rank] => Method::Lora(rank.parse()?),
                    ["adapter", bottleneck] => Method::Adapter(bottleneck.parse()?),
                    _ => return Err(format!("not understood: {line}").into()),
                };
                let case = (shape.to_string(), tokens.parse()?, method);
                if bench.as_ref().is_none_or(|(of, _)| *of != case) {
                    drop(bench.take());
                    let mut b = Bench::new(shape, case.1, method)?;
                    b.step()?;
                    bench = Some((case, b));
                }
                let Some((_, b)) = &mut bench else { continue };
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
