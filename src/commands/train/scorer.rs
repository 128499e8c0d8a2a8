//! `--valid-metric`: translates held-out text with the model as it stands and scores the result.

use std::sync::Arc;

use super::Args;
use crate::commands::score::MetricName;
use crate::decoding::{
    BatchLimits, DecodingOptions, Feed, Outcome, Stream, Target, Task as DecodingTask,
    run as decode,
};
use crate::error::{Error, Result};
use crate::kernels::weights::widened;
use crate::model::ModelConfig;
use crate::model::inference::{DirectionWeights, InferenceModel, LowRankForm};
use crate::scoring::tokenizers::TokenizerName;
use crate::scoring::{Metric, Scratch};
use crate::text::TextTokenizer;
use crate::training::{Corpus, Example, Scorer, Task, Trainer};

/// Sentences decoded together, and their tokens.
const LIMITS: BatchLimits = BatchLimits { sentences: 64, tokens: 8192, window: 1024 };

/// Metrics asked for, with the names they are logged by.
pub struct ValidMetrics(Vec<(String, Metric)>);

impl ValidMetrics {
    pub fn new(args: &Args) -> Result<Self> {
        // A SentencePiece model is nothing `train` has a flag for.
        let tokenizer = TokenizerName::parse(&args.valid_tokenize)
            .ok()
            .filter(|name| !name.needs_model())
            .ok_or_else(|| {
                Error::usage(format!("unknown tokenizer `{}`", args.valid_tokenize))
                    .flag("--valid-tokenize")
                    .expected("13a, intl, zh, char or none")
            })?;
        let mut metrics: Vec<(String, Metric)> = Vec::new();
        for name in &args.valid_metric {
            let name = MetricName::parse(name, "--valid-metric")?;
            if metrics.iter().all(|(n, _)| n != name.as_str()) {
                let metric = name.with_defaults(tokenizer)?;
                metrics.push((name.as_str().to_string(), metric));
            }
        }
        Ok(Self(metrics))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `nll` and the metrics: what may decide which checkpoint is best.
    pub fn check_best(&self, best: &str) -> Result<()> {
        let names: Vec<&str> =
            std::iter::once("nll").chain(self.0.iter().map(|(n, _)| n.as_str())).collect();
        if names.contains(&best) {
            return Ok(());
        }
        Err(Error::usage(format!("no validation score is called `{best}`"))
            .flag("--best-metric")
            .expected(format!("one of {}", names.join(", ")))
            .suggest(best, names.iter().copied())
            .hint("`--valid-metric` adds scores of translations"))
    }

    /// The scorer of a session. `corpus` keeps its text.
    pub fn scorer<'a>(
        self,
        args: &Args,
        threads: usize,
        config: &'a ModelConfig,
        final_logits_bias: Option<&'a [f32]>,
        corpus: &'a Corpus,
        tokenizer: &'a TextTokenizer,
    ) -> Scorer<'a> {
        let options = DecodingOptions { beam_size: args.valid_beam_size, ..Default::default() };
        let limit = args.valid_sentences.unwrap_or(usize::MAX);
        Box::new(move |trainer: &Trainer| {
            let model = InferenceModel::from_source(
                config,
                |name, _| Ok(widened(&trainer.set.get(name)?.tensor)?.to_vec()),
                final_logits_bias.map(<[f32]>::to_vec),
            )?;
            let mut totals: Vec<Vec<f64>> =
                self.0.iter().map(|(_, m)| vec![0.0; m.num_stats()]).collect();
            let mut rows = Vec::new();
            let translated = corpus.directions.iter().filter(|d| d.task == Task::Translation);
            for d in translated {
                let forced = tokenizer.forced(&d.direction.tgt_lang)?;
                let mut stream =
                    Sentences {
                        corpus,
                        tokenizer,
                        metrics: &self.0,
                        weights: Arc::new(model.base_weights().with_parts(
                            &trainer.parts(d.task, &d.direction)?,
                            LowRankForm::Beside,
                        )?),
                        forced,
                        rest: &d.examples[..d.examples.len().min(limit)],
                        scratch: Scratch::default(),
                        stats: self.0.iter().map(|(_, m)| vec![0.0; m.num_stats()]).collect(),
                    };
                decode(&model, threads, &options, LIMITS, &mut stream)?;
                let pair = d.direction.to_string();
                for ((name, metric), (stats, total)) in
                    self.0.iter().zip(stream.stats.iter().zip(&mut totals))
                {
                    rows.push((pair.clone(), name.clone(), metric.score(stats)));
                    for (t, s) in total.iter_mut().zip(stats) {
                        *t += s;
                    }
                }
            }
            // All sentences of all directions as one text.
            for ((name, metric), total) in self.0.iter().zip(&totals) {
                rows.push(("all".to_string(), name.clone(), metric.score(total)));
            }
            Ok(rows)
        })
    }
}

/// The sentences of one direction, and the sums of their statistics.
struct Sentences<'a> {
    corpus: &'a Corpus,
    tokenizer: &'a TextTokenizer,
    metrics: &'a [(String, Metric)],
    weights: Arc<DirectionWeights>,
    forced: Option<u32>,
    rest: &'a [Example],
    scratch: Scratch,
    /// Of each metric.
    stats: Vec<Vec<f64>>,
}

impl Stream for Sentences<'_> {
    /// The reference's sentence.
    type Tag = u32;
    type Weights = DirectionWeights;

    fn next(&mut self, _wait: bool) -> Result<Feed<u32, DirectionWeights>> {
        let Some((example, rest)) = self.rest.split_first() else { return Ok(Feed::End) };
        self.rest = rest;
        let task = DecodingTask::Decode {
            weights: Arc::clone(&self.weights),
            src: self.corpus.source(*example).into_owned(),
            target: Target::Search { forced: self.forced.into_iter().collect() },
        };
        Ok(Feed::Item(example.tgt, task))
    }

    fn emit(&mut self, reference: u32, outcome: Option<Outcome>) -> Result<()> {
        let hypotheses = outcome.unwrap_or_default();
        let hyp = match hypotheses.first() {
            Some(h) => self.tokenizer.decode(&h.tokens)?,
            None => String::new(),
        };
        let reference = self
            .corpus
            .text(reference)
            .ok_or_else(|| Error::bug("held-out text was read without its text"))?;
        for ((_, metric), sums) in self.metrics.iter().zip(&mut self.stats) {
            let mut stats = Vec::with_capacity(sums.len());
            metric.segment(&hyp, &[reference], &mut self.scratch, &mut stats);
            for (sum, s) in sums.iter_mut().zip(stats) {
                *sum += s;
            }
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<()> {
        Ok(())
    }
}
