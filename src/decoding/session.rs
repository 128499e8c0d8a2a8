//! Sentences in decoding together: all take a step at once, each ends when its own search says
//! so, and others may join at any time. Because rows do not influence each other, who decodes
//! with whom changes nothing but the speed.

use super::beam::BeamSearch;
use super::constraints::banned_next;
use super::greedy::GreedySearch;
use super::hypothesis::{Finish, Hypothesis, normalized};
use super::options::DecodingOptions;
use super::steps::Steps;
use crate::error::{Error, Result};
use crate::kernels::infer::vocab::{Candidate, Normalizer};
use crate::model::inference::Row;

/// What a sentence is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A translation by search that begins with `forced`: a mark, a prefix, both or neither.
    Search { forced: Vec<u32> },
    /// The score of a given translation: `[mark, pieces..., eos]`, the first `num_forced` tokens
    /// (the mark, where there is one) being free.
    Given { labels: Vec<u32>, num_forced: usize },
}

/// The result for one sentence: hypotheses, best first; one for a given target.
pub type Outcome = Vec<Hypothesis>;

/// The possible next tokens of one hypothesis.
pub(super) struct Next<'a> {
    /// Best first.
    pub best: &'a [Candidate],
    pub norm: Normalizer,
    /// Sorted.
    pub banned: &'a [u32],
}

impl Next<'_> {
    /// Allowed tokens with their log probabilities, best first.
    pub fn allowed(&self) -> impl Iterator<Item = (u32, f32)> + '_ {
        self.best
            .iter()
            .filter(|c| self.banned.binary_search(&c.id).is_err())
            .map(|c| (c.id, self.norm.log_prob(c.logit)))
    }
}

/// What a search wants after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    /// The running hypotheses: last token, and which of the former ones each continues.
    Continue {
        tokens: Vec<u32>,
        parents: Vec<usize>,
    },
}

enum Search {
    Greedy(GreedySearch),
    Beam(BeamSearch),
    Given(Given),
}

/// A target to be scored: all its tokens are read in one step.
struct Given {
    /// `[mark, pieces..., eos]`
    labels: Vec<u32>,
    num_forced: usize,
    /// The step's first output of this sentence, and the normaliser of each label.
    first: usize,
    norms: Vec<Normalizer>,
}

impl Given {
    /// Right after the step. What search forces is free.
    fn finish(&self, decoder: &impl Steps, length_penalty: f64) -> Result<Hypothesis> {
        let asked = self.labels.iter().enumerate().skip(self.num_forced);
        let asked: Vec<(usize, u32)> = asked.map(|(i, &token)| (self.first + i, token)).collect();
        let free = self.labels.len() - asked.len();
        let mut token_scores = vec![0.0; free];
        let logits = decoder.logits(&asked)?;
        token_scores.extend(self.norms[free..].iter().zip(logits).map(|(n, z)| n.log_prob(z)));
        let score: f32 = token_scores.iter().sum();
        Ok(Hypothesis {
            score_norm: normalized(score, self.labels.len(), length_penalty),
            tokens: self.labels.clone(),
            token_scores,
            score,
            finish: Finish::Eos,
        })
    }
}

struct Active<T> {
    tag: T,
    slot: usize,
    search: Search,
    /// Tokens the decoder has not read yet, and the hypotheses they belong to: one token each,
    /// or several in a row of the first hypothesis at the start.
    pending: Vec<u32>,
    position: usize,
    /// How far this step moves on.
    stride: usize,
    num_src_tokens: usize,
    max_new: usize,
}

/// A decoder with the sentences in it. `T` is the caller's name of a sentence.
pub struct Session<D, T> {
    decoder: D,
    options: DecodingOptions,
    active: Vec<Active<T>>,
    rows: Vec<Row>,
    outputs: Vec<usize>,
    banned: Vec<Vec<u32>>,
    tokens_in: usize,
}

impl<D: Steps, T> Session<D, T> {
    pub fn new(decoder: D, options: DecodingOptions) -> Self {
        Self {
            decoder,
            options,
            active: Vec::new(),
            rows: Vec::new(),
            outputs: Vec::new(),
            banned: Vec::new(),
            tokens_in: 0,
        }
    }

    /// Whether the sessions beside this one rest: [`Steps::gather`].
    pub fn gather(&mut self, others_rest: bool) {
        self.decoder.gather(others_rest);
    }
    /// Sentences in decoding.
    pub fn num_active(&self) -> usize {
        self.active.len()
    }
    /// What they hold: source tokens and the most target tokens each may have.
    pub fn num_tokens(&self) -> usize {
        self.tokens_in
    }

    /// The share of [`Session::num_tokens`] a sentence will take.
    pub fn cost(&self, src: &[u32], target: &Target) -> usize {
        src.len() + self.max_new(src, target)
    }

    fn max_new(&self, src: &[u32], target: &Target) -> usize {
        match target {
            Target::Search { .. } => {
                let max_len = self.decoder.max_len();
                self.options.max_new_tokens.resolve(src.len(), max_len).max(1)
            }
            Target::Given { labels, .. } => labels.len(),
        }
    }

    /// Adds sentences, all translated with `weights`; so must be those already there.
    pub fn admit(
        &mut self,
        weights: &D::Weights,
        sentences: Vec<(T, Vec<u32>, Target)>,
    ) -> Result<()> {
        let sources: Vec<&[u32]> = sentences.iter().map(|s| s.1.as_slice()).collect();
        let slots = self.decoder.admit(weights, &sources)?;
        let start = self.decoder.start();
        for ((tag, src, target), slot) in sentences.into_iter().zip(slots) {
            let max_new = self.max_new(&src, &target);
            let mut pending = vec![start];
            let search = match target {
                Target::Given { labels, num_forced } => {
                    pending.extend_from_slice(&labels[..labels.len().saturating_sub(1)]);
                    Search::Given(Given { labels, num_forced, first: 0, norms: Vec::new() })
                }
                Target::Search { mut forced } => {
                    forced.truncate(max_new);
                    pending.extend_from_slice(&forced);
                    if self.options.beam_size <= 1 {
                        Search::Greedy(GreedySearch::new(&forced, max_new))
                    } else {
                        Search::Beam(BeamSearch::new(&forced, max_new))
                    }
                }
            };
            self.tokens_in += src.len() + max_new;
            self.active.push(Active {
                tag,
                slot,
                search,
                pending,
                position: 0,
                stride: 0,
                num_src_tokens: src.len(),
                max_new,
            });
        }
        Ok(())
    }

    /// One step for every sentence; returns those that ended.
    pub fn step(&mut self, weights: &D::Weights) -> Result<Vec<(T, Outcome)>> {
        let (start, eos) = (self.decoder.start(), self.decoder.eos());
        let most_banned = self.lay_out(start, eos);
        let width = if self.options.beam_size <= 1 { 1 } else { 2 * self.options.beam_size };
        self.decoder.step(weights, &self.rows, &self.outputs, width + most_banned)?;
        let norm = |output: usize| self.decoder.norm(output);
        if let Some(bad) = (0..self.outputs.len()).find(|&o| !norm(o).is_finite()) {
            return Err(Error::artifact("model computes values that are not finite")
                .found(format!(
                    "a logit that is not a number or infinite, at target position {}",
                    self.rows[self.outputs[bad]].position
                ))
                .hint("the checkpoint is damaged, or its training diverged"));
        }

        let mut verdicts = Vec::with_capacity(self.active.len());
        let mut output = 0;
        for a in &mut self.active {
            let next = |output: usize| Next {
                best: self.decoder.best(output),
                norm: norm(output),
                banned: &self.banned[output],
            };
            let first = output;
            verdicts.push(match &mut a.search {
                Search::Greedy(s) => {
                    output += 1;
                    s.advance(&next(first), eos)
                }
                Search::Beam(s) => {
                    output += s.num_running();
                    let lists: Vec<Next<'_>> = (first..output).map(next).collect();
                    s.advance(&lists, &self.options, eos)
                }
                Search::Given(given) => {
                    output += given.labels.len();
                    given.norms.extend((first..output).map(norm));
                    given.first = first;
                    Verdict::Done
                }
            });
        }
        let mut outcomes = Vec::new();
        for (index, verdict) in verdicts.into_iter().enumerate() {
            let a = &mut self.active[index];
            match verdict {
                Verdict::Continue { tokens, parents } => {
                    a.position += a.stride;
                    a.pending = tokens;
                    self.decoder.reorder(a.slot, &parents);
                }
                Verdict::Done => {
                    let o = &self.options;
                    outcomes.push((
                        index,
                        match &a.search {
                            Search::Greedy(s) => s.finish(o.length_penalty, eos),
                            Search::Beam(s) => s.finish(o.n_best.max(1), eos),
                            Search::Given(g) => vec![g.finish(&self.decoder, o.length_penalty)?],
                        },
                    ));
                }
            }
        }
        Ok(self.remove(outcomes))
    }

    /// Rows and outputs of the next step, with each output's forbidden tokens; returns the
    /// largest number of those.
    fn lay_out(&mut self, start: u32, eos: u32) -> usize {
        self.rows.clear();
        self.outputs.clear();
        let mut most = 0;
        for a in &mut self.active {
            let beams = match &a.search {
                Search::Beam(s) => s.num_running(),
                _ => 1,
            };
            a.stride = if beams == 1 { a.pending.len() } else { 1 };
            if beams == 1 {
                // One hypothesis, perhaps with several tokens to read.
                self.rows.extend(a.pending.iter().enumerate().map(|(i, &token)| Row {
                    slot: a.slot,
                    beam: 0,
                    token,
                    position: a.position + i,
                }));
            } else {
                self.rows.extend(a.pending.iter().enumerate().map(|(beam, &token)| Row {
                    slot: a.slot,
                    beam,
                    token,
                    position: a.position,
                }));
            }
            let outputs = match &a.search {
                Search::Given(given) => given.labels.len(),
                _ => beams,
            };
            for i in 0..outputs {
                let output = self.outputs.len();
                self.outputs.push(self.rows.len() - outputs + i);
                if self.banned.len() <= output {
                    self.banned.push(Vec::new());
                }
                let banned = &mut self.banned[output];
                match &a.search {
                    Search::Given(_) => banned.clear(),
                    Search::Greedy(s) => {
                        let (history, last) = s.history();
                        banned_next(&self.options, history, last, start, eos, banned);
                    }
                    Search::Beam(s) => {
                        let (history, last) = s.history(i);
                        banned_next(&self.options, history, last, start, eos, banned);
                    }
                }
                most = most.max(banned.len());
            }
        }
        most
    }

    /// Takes ended sentences out; `outcomes` is ordered by index.
    fn remove(&mut self, outcomes: Vec<(usize, Outcome)>) -> Vec<(T, Outcome)> {
        let mut outcomes = outcomes.into_iter().peekable();
        let mut ended = Vec::new();
        let mut kept = Vec::with_capacity(self.active.len());
        for (index, a) in std::mem::take(&mut self.active).into_iter().enumerate() {
            match outcomes.next_if(|(i, _)| *i == index) {
                Some((_, outcome)) => {
                    self.decoder.release(a.slot);
                    self.tokens_in -= a.num_src_tokens + a.max_new;
                    ended.push((a.tag, outcome));
                }
                None => kept.push(a),
            }
        }
        self.active = kept;
        ended
    }
}
