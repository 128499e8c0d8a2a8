//! Decoding against transformers: logits, and the tokens and scores of `generate`.
//! `tests/data/decoding/record.py` recorded the numbers.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use isogloss::decoding::{
    BatchLimits, DecodingOptions, EarlyStopping, Feed, Hypothesis, MaxNewTokens, Outcome, Stream,
    Target, Task, run,
};
use isogloss::error::Error;
use isogloss::kernels::vector::Isa;
use isogloss::model::Checkpoint;
use isogloss::model::inference::{Decoder, DirectionWeights, InferenceModel, Row};
use serde_json::Value;

pub fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/decoding")
}

pub fn golden() -> Value {
    let text = std::fs::read_to_string(data().join("golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn model(name: &str, isa: Isa) -> InferenceModel {
    InferenceModel::with_isa(&Checkpoint::open(&data().join(name)).unwrap(), isa).unwrap()
}

pub fn ids(v: &Value) -> Vec<u32> {
    v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}

pub fn sources(golden: &Value) -> Vec<Vec<u32>> {
    golden["sources"].as_array().unwrap().iter().map(ids).collect()
}

pub const NAMES: [&str; 2] = ["plain", "odd"];

#[test]
fn logits_equal_the_reference() {
    let golden = golden();
    for name in NAMES {
        for isa in Isa::available() {
            let model = model(name, isa);
            let vocab = model.config().vocab_size;
            let mut decoder = Decoder::new(&model, 2, 1);
            let weights = Arc::clone(model.base_weights());
            for case in golden["models"][name]["logits"].as_array().unwrap() {
                let (src, tokens) = (ids(&case["src"]), ids(&case["decoder"]));
                let slot = decoder.admit(&weights, &[&src])[0];
                let rows: Vec<Row> = tokens
                    .iter()
                    .enumerate()
                    .map(|(position, &token)| Row { slot, beam: 0, token, position })
                    .collect();
                let outputs: Vec<usize> = (0..rows.len()).collect();
                let top = decoder.step(&weights, &rows, &outputs, vocab);
                for (i, want) in case["logits"].as_array().unwrap().iter().enumerate() {
                    let best = top.best(i);
                    assert_eq!(best.len(), vocab);
                    for c in best {
                        let want = want[c.id as usize].as_f64().unwrap();
                        let difference = (f64::from(c.logit) - want).abs();
                        assert!(
                            difference < 1e-4,
                            "{name} {} {src:?} {i}: {difference}",
                            isa.name()
                        );
                    }
                }
                decoder.release(slot);
            }
        }
    }
}

/// The options that one recorded call of `generate` stands for, and its forced mark.
pub fn options(settings: &Value, mark: u32) -> (DecodingOptions, Option<u32>) {
    let number = |key: &str, default: u64| settings[key].as_u64().unwrap_or(default) as usize;
    let options = DecodingOptions {
        beam_size: number("num_beams", 1),
        n_best: number("num_return_sequences", 1),
        length_penalty: settings["length_penalty"].as_f64().unwrap_or(1.0),
        early_stopping: match &settings["early_stopping"] {
            Value::Bool(true) => EarlyStopping::Full,
            Value::String(_) => EarlyStopping::Never,
            _ => EarlyStopping::Heuristic,
        },
        max_new_tokens: MaxNewTokens::Fixed(number("max_new_tokens", 0)),
        min_new_tokens: number("min_new_tokens", 0),
        no_repeat_ngram_size: number("no_repeat_ngram_size", 0),
        suppress_tokens: settings["suppress_tokens"]
            .as_array()
            .map_or(Vec::new(), |_| ids(&settings["suppress_tokens"])),
    };
    (options, settings["free"].is_null().then_some(mark))
}

/// A stream over sentences in memory.
pub struct Sentences<W> {
    weights: Arc<W>,
    tasks: std::vec::IntoIter<(Vec<u32>, Target)>,
    pub results: Vec<Outcome>,
    /// Pretends that input is slow: every third question without waiting finds nothing.
    questions: usize,
    slow: bool,
    next: usize,
}

impl<W> Stream for Sentences<W> {
    type Tag = usize;
    type Weights = W;
    fn next(&mut self, wait: bool) -> isogloss::Result<Feed<usize, W>> {
        self.questions += 1;
        if self.slow && !wait && self.questions.is_multiple_of(3) {
            return Ok(Feed::Pending);
        }
        Ok(match self.tasks.next() {
            None => Feed::End,
            Some((src, target)) => {
                self.next += 1;
                let task = if src.is_empty() {
                    Task::Pass
                } else {
                    Task::Decode { weights: Arc::clone(&self.weights), src, target }
                };
                Feed::Item(self.next - 1, task)
            }
        })
    }
    fn emit(&mut self, tag: usize, outcome: Option<Outcome>) -> isogloss::Result<()> {
        assert_eq!(tag, self.results.len(), "order of the input");
        self.results.push(outcome.unwrap_or_default());
        Ok(())
    }
    fn idle(&mut self) -> isogloss::Result<()> {
        Ok(())
    }
}

pub fn translate(
    model: &InferenceModel,
    options: &DecodingOptions,
    tasks: Vec<(Vec<u32>, Target)>,
    threads: usize,
    batch: usize,
    slow: bool,
) -> Vec<Outcome> {
    let mut stream = Sentences::new(Arc::clone(model.base_weights()), tasks, slow);
    let limits = BatchLimits { sentences: batch, tokens: 100_000, window: 2 * batch };
    run(model, threads, options, limits, &mut stream).unwrap();
    stream.results
}

impl<W> Sentences<W> {
    pub fn new(weights: Arc<W>, tasks: Vec<(Vec<u32>, Target)>, slow: bool) -> Self {
        let (tasks, results) = (tasks.into_iter(), Vec::new());
        Self { weights, tasks, results, questions: 0, slow, next: 0 }
    }
}

pub fn search(sources: &[Vec<u32>], mark: Option<u32>) -> Vec<(Vec<u32>, Target)> {
    sources
        .iter()
        .map(|s| (s.clone(), Target::Search { forced: mark.into_iter().collect() }))
        .collect()
}

#[test]
fn search_equals_generate_token_for_token() {
    let golden = golden();
    let mark = golden["mark"].as_u64().unwrap() as u32;
    let mut compared = 0;
    for name in NAMES {
        let model = model(name, Isa::detect());
        for case in golden["models"][name]["generate"].as_array().unwrap() {
            let (options, mark) = options(&case["settings"], mark);
            let got = translate(&model, &options, search(&sources(&golden), mark), 2, 4, false);
            for (i, want) in case["expected"].as_array().unwrap().iter().enumerate() {
                let want = want.as_array().unwrap();
                assert_eq!(got[i].len(), want.len());
                for (got, want) in got[i].iter().zip(want) {
                    assert_eq!(got.tokens, ids(&want["tokens"]), "{name} {} {i}", case["name"]);
                    if let Some(score) = want["score_norm"].as_f64() {
                        let difference = (f64::from(got.score_norm) - score).abs();
                        let tolerance = 2e-5 * score.abs().max(1.0);
                        assert!(
                            difference < tolerance,
                            "{name} {} {i}: {difference}",
                            case["name"]
                        );
                    }
                    check_scores(got, options.length_penalty);
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 2 * 6 * 55);
}

pub fn check_scores(h: &Hypothesis, penalty: f64) {
    assert_eq!(h.tokens.len(), h.token_scores.len());
    let sum: f64 = h.token_scores.iter().map(|&s| f64::from(s)).sum();
    assert!((sum - f64::from(h.score)).abs() < 1e-4);
    let norm = f64::from(h.score) / (h.tokens.len() as f64).powf(penalty);
    assert!((norm - f64::from(h.score_norm)).abs() < 1e-4 * norm.abs().max(1.0));
}

#[test]
fn batch_threads_order_and_instruction_set_change_no_bit() {
    let golden = golden();
    let mark = golden["mark"].as_u64().map(|m| m as u32);
    let mut sources = sources(&golden);
    // Enough sentences to leave and join, and one that is only carried along.
    for i in 0..40u32 {
        let len = 1 + (i * 7 % 13) as usize;
        sources.push((0..len as u32).map(|j| 3 + (i * 31 + j * 17) % 45).collect());
    }
    sources[9].clear();
    for (name, beam_size) in [("plain", 1), ("plain", 5), ("odd", 3)] {
        let options = DecodingOptions {
            beam_size,
            max_new_tokens: MaxNewTokens::Fixed(25),
            n_best: beam_size,
            ..Default::default()
        };
        let base = model(name, Isa::detect());
        let first = translate(&base, &options, search(&sources, mark), 1, 1, false);
        assert!(first[9].is_empty());
        for (threads, batch, slow) in [
            (1, 7, false),
            (2, 3, true),
            (3, 64, false),
            (2, 64, true),
            (3, 96, true),
            (4, 64, false),
        ] {
            let got = translate(&base, &options, search(&sources, mark), threads, batch, slow);
            assert_eq!(got, first, "{name} beam {beam_size} batch {batch}");
        }
        let mut reversed = sources.clone();
        reversed.reverse();
        let mut got = translate(&base, &options, search(&reversed, mark), 2, 16, false);
        got.reverse();
        assert_eq!(got, first, "order");
        for isa in Isa::available() {
            let got = translate(&model(name, isa), &options, search(&sources, mark), 2, 16, false);
            if isa == Isa::Portable && Isa::detect() != isa && !cfg!(target_feature = "fma") {
                continue;
            }
            assert_eq!(got, first, "{}", isa.name());
        }
    }
}

/// Fails in the middle of its input.
struct Failing {
    weights: Arc<DirectionWeights>,
    left: usize,
    failed: bool,
}

impl Stream for Failing {
    type Tag = ();
    type Weights = DirectionWeights;
    fn next(&mut self, _: bool) -> isogloss::Result<Feed<(), DirectionWeights>> {
        assert!(!self.failed, "asked again");
        let Some(left) = self.left.checked_sub(1) else {
            self.failed = true;
            return Err(Error::data("broken"));
        };
        self.left = left;
        let target = Target::Search { forced: Vec::new() };
        let weights = Arc::clone(&self.weights);
        Ok(Feed::Item((), Task::Decode { weights, src: vec![4, 9, 2], target }))
    }
    fn emit(&mut self, _: (), _: Option<Outcome>) -> isogloss::Result<()> {
        assert!(!self.failed, "given back after the failure");
        Ok(())
    }
    fn idle(&mut self) -> isogloss::Result<()> {
        Ok(())
    }
}

/// However many work, a stream that failed is left alone, and its error is what comes out.
#[test]
fn a_stream_that_fails_is_not_asked_again() {
    let model = model("plain", Isa::detect());
    let options = DecodingOptions { max_new_tokens: MaxNewTokens::Fixed(6), ..Default::default() };
    let limits = BatchLimits { sentences: 128, tokens: 100_000, window: 256 };
    for left in [0, 1, 70, 300] {
        for _ in 0..10 {
            let weights = Arc::clone(model.base_weights());
            let mut stream = Failing { weights, left, failed: false };
            let e = run(&model, 4, &options, limits, &mut stream).unwrap_err();
            assert_eq!(e.message(), "broken");
            assert!(stream.failed);
        }
    }
}

#[test]
fn a_given_target_scores_what_search_gave_it() {
    let golden = golden();
    let mark = golden["mark"].as_u64().map(|m| m as u32);
    let sources = sources(&golden);
    for name in NAMES {
        let model = model(name, Isa::detect());
        let options = DecodingOptions {
            beam_size: 4,
            n_best: 4,
            max_new_tokens: MaxNewTokens::Fixed(18),
            ..Default::default()
        };
        let found = translate(&model, &options, search(&sources, mark), 2, 3, false);
        let mut tasks = Vec::new();
        for (src, hyps) in sources.iter().zip(&found) {
            for h in hyps {
                tasks
                    .push((src.clone(), Target::Given { labels: h.tokens.clone(), num_forced: 1 }));
            }
        }
        let scored = translate(&model, &options, tasks, 2, 5, false);
        for (h, s) in found.iter().flatten().zip(&scored) {
            // The same arithmetic, one position at a time or all at once: the same bits.
            assert_eq!(s[0].token_scores, h.token_scores);
            assert_eq!(s[0].tokens, h.tokens);
        }
    }
}
