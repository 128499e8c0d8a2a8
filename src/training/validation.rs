//! The loss on held-out text, by direction.

use super::corpus::Corpus;
use super::trainer::build_batch;
use crate::error::Result;
use crate::kernels::cross_entropy::LossSums;
use crate::model::{DirectionParts, M2m100, Teacher};
use crate::text::Direction;

#[derive(Clone, Debug, PartialEq)]
pub struct DirectionLoss {
    pub direction: Direction,
    pub sums: LossSums,
    pub num_tokens: usize,
}

impl DirectionLoss {
    /// Nats per target token.
    pub fn nll(&self) -> f64 {
        self.sums.nll / self.num_tokens as f64
    }
    pub fn loss(&self) -> f64 {
        self.sums.loss / self.num_tokens as f64
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValidationLoss {
    /// Sorted by direction.
    pub directions: Vec<DirectionLoss>,
}

impl ValidationLoss {
    /// Mean over all target tokens: (loss, nll, tokens).
    pub fn total(&self) -> (f64, f64, usize) {
        let n: usize = self.directions.iter().map(|d| d.num_tokens).sum();
        let sum = |f: fn(&LossSums) -> f64| {
            self.directions.iter().map(|d| f(&d.sums)).sum::<f64>() / n.max(1) as f64
        };
        (sum(|s| s.loss), sum(|s| s.nll), n)
    }
}

/// Evaluates every direction; sentences in order of length, `batch_tokens` at a time.
pub fn validate(
    model: &M2m100,
    corpus: &Corpus,
    parts: &dyn Fn(&Direction) -> Result<DirectionParts>,
    smoothing: f32,
    batch_tokens: usize,
    mut progress: impl FnMut(usize),
) -> Result<ValidationLoss> {
    let mut result = ValidationLoss::default();
    for d in &corpus.directions {
        let parts = parts(&d.direction)?;
        let mut order: Vec<u32> = (0..d.examples.len() as u32).collect();
        order.sort_by_key(|&i| corpus.sentence_len(d.examples[i as usize].tgt));
        let mut loss = DirectionLoss {
            direction: d.direction.clone(),
            sums: LossSums::default(),
            num_tokens: 0,
        };
        let mut rest = &order[..];
        while !rest.is_empty() {
            let mut tokens = 0;
            let n = rest
                .iter()
                .take_while(|&&i| {
                    tokens += corpus.sentence_len(d.examples[i as usize].tgt);
                    tokens <= batch_tokens
                })
                .count()
                .max(1);
            let (batch, tail) = rest.split_at(n);
            rest = tail;
            let batch = build_batch(corpus, &d.examples, batch);
            let teacher = Teacher { src: &batch.src, labels: &batch.labels, weights: None };
            let part = model.evaluate(teacher, &parts, smoothing)?;
            loss.sums.loss += part.sums.loss;
            loss.sums.nll += part.sums.nll;
            loss.num_tokens += part.num_tokens;
            progress(n);
        }
        result.directions.push(loss);
    }
    Ok(result)
}
