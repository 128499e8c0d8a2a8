//! Beam search, step for step as `GenerationMixin._beam_search` of transformers 5 does it
//! (`generation/utils.py`), for one sentence.
//!
//! At each step the `2 * beam_size` best continuations of all running hypotheses are taken.
//! Those among the first `beam_size` that end become finished hypotheses; the best that do not
//! end run on. Sums are f32, as there. Equal scores are ordered by hypothesis and token id,
//! where torch leaves the order open.

use std::cmp::Ordering;

use super::hypothesis::{History, Hypothesis, NodeId, normalized};
use super::options::{DecodingOptions, EarlyStopping};
use super::session::{Next, Verdict};

/// What transformers uses for "no score".
const NO_SCORE: f32 = -1.0e9;

#[derive(Clone, Copy)]
struct Running {
    last: NodeId,
    score: f32,
}

struct Finished {
    last: NodeId,
    score: f32,
    score_norm: f32,
}

#[derive(Clone, Copy)]
struct Continuation {
    beam: usize,
    token: u32,
    log_prob: f32,
    /// Sum of log probabilities with this token.
    score: f32,
}

pub(super) struct BeamSearch {
    history: History,
    /// Best first.
    running: Vec<Running>,
    /// Best first, at most `beam_size`.
    finished: Vec<Finished>,
    /// Tokens of the running hypotheses, forced ones included.
    len: usize,
    max_new: usize,
    candidates: Vec<Continuation>,
}

impl BeamSearch {
    /// One hypothesis of the forced tokens.
    pub fn new(forced: &[u32], max_new: usize) -> Self {
        let mut history = History::default();
        let last = history.forced(forced);
        Self {
            history,
            running: vec![Running { last, score: 0.0 }],
            finished: Vec::new(),
            len: forced.len(),
            max_new,
            candidates: Vec::new(),
        }
    }

    pub fn num_running(&self) -> usize {
        self.running.len()
    }

    pub fn history(&self, beam: usize) -> (&History, NodeId) {
        (&self.history, self.running[beam].last)
    }

    /// `next[i]` are the continuations of running hypothesis `i`.
    pub fn advance(&mut self, next: &[Next<'_>], options: &DecodingOptions, eos: u32) -> Verdict {
        let beams = options.beam_size;
        if self.len >= self.max_new {
            // Forced tokens were all there was room for.
            let Running { last, score } = self.running[0];
            self.finished.push(Finished { last, score, score_norm: score });
            return Verdict::Done;
        }
        self.candidates.clear();
        for (beam, (next, from)) in next.iter().zip(&self.running).enumerate() {
            self.candidates.extend(next.allowed().map(|(token, log_prob)| Continuation {
                beam,
                token,
                log_prob,
                score: log_prob + from.score,
            }));
        }
        // Candidates come ordered by beam and then by rank; equal scores fall back to token ids.
        self.candidates.sort_unstable_by(|a, b| {
            let by_score = b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal);
            by_score.then(a.beam.cmp(&b.beam)).then(a.token.cmp(&b.token))
        });
        self.candidates.truncate(2 * beams);
        self.len += 1;
        let at_limit = self.len >= self.max_new;

        // `_update_finished_beams`: the top `beam_size` may finish, unless the list is closed.
        let closed = options.early_stopping == EarlyStopping::Full && self.finished.len() == beams;
        let parents = std::mem::take(&mut self.running);
        let (mut tokens, mut origins) = (Vec::new(), Vec::new());
        for (rank, c) in self.candidates.iter().enumerate() {
            let ends = at_limit || c.token == eos;
            if ends && rank < beams && !closed {
                let last = self.history.push(parents[c.beam].last, c.token, c.log_prob);
                let score_norm = normalized(c.score, self.len, options.length_penalty);
                insert(&mut self.finished, Finished { last, score: c.score, score_norm }, beams);
            } else if !ends && self.running.len() < beams {
                let last = self.history.push(parents[c.beam].last, c.token, c.log_prob);
                self.running.push(Running { last, score: c.score });
                tokens.push(c.token);
                origins.push(c.beam);
            }
        }
        if self.running.is_empty() || self.is_settled(options) {
            return Verdict::Done;
        }
        Verdict::Continue { tokens, parents: origins }
    }

    /// `_check_early_stop_heuristic` and `_beam_search_has_unfinished_sequences`.
    fn is_settled(&self, options: &DecodingOptions) -> bool {
        let full = self.finished.len() == options.beam_size;
        if options.early_stopping == EarlyStopping::Full && full {
            return true;
        }
        let never = options.early_stopping == EarlyStopping::Never;
        let len = if never && options.length_penalty > 0.0 { self.max_new } else { self.len };
        let best_possible = normalized(self.running[0].score, len, options.length_penalty);
        let worst = match self.finished.last() {
            Some(last) if full => last.score_norm,
            _ => NO_SCORE,
        };
        best_possible <= worst
    }

    pub fn finish(&self, n_best: usize, eos: u32) -> Vec<Hypothesis> {
        let best = self.finished.iter().take(n_best);
        best.map(|f| self.history.hypothesis(f.last, f.score, f.score_norm, eos)).collect()
    }
}

/// Keeps the list sorted and at most `limit` long; among equals the earlier one stays ahead.
fn insert(list: &mut Vec<Finished>, new: Finished, limit: usize) {
    let at = list.partition_point(|f| f.score_norm >= new.score_norm);
    list.insert(at, new);
    list.truncate(limit);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::infer::vocab::{Candidate, Normalizer};

    const EOS: u32 = 2;

    /// Continuations with given log probabilities.
    fn lists(lists: &[&[(u32, f32)]]) -> Vec<Vec<Candidate>> {
        lists
            .iter()
            .map(|l| l.iter().map(|&(id, logit)| Candidate { logit, id }).collect())
            .collect()
    }

    fn step(s: &mut BeamSearch, o: &DecodingOptions, next: &[&[(u32, f32)]]) -> Verdict {
        let lists = lists(next);
        let next: Vec<Next<'_>> = lists
            .iter()
            .map(|best| Next { best, norm: Normalizer { max: 0.0, log_sum: 0.0 }, banned: &[] })
            .collect();
        s.advance(&next, o, EOS)
    }

    fn options(beam_size: usize, early_stopping: EarlyStopping) -> DecodingOptions {
        DecodingOptions { beam_size, early_stopping, n_best: beam_size, ..Default::default() }
    }

    #[test]
    fn only_the_first_ranks_finish_and_the_rest_run_on() {
        let o = options(2, EarlyStopping::Heuristic);
        let mut s = BeamSearch::new(&[9], 10);
        // The end mark is third of four: it neither finishes nor runs.
        let v = step(&mut s, &o, &[&[(5, -0.1), (6, -0.2), (EOS, -0.3), (7, -0.4)]]);
        assert_eq!(v, Verdict::Continue { tokens: vec![5, 6], parents: vec![0, 0] });
        assert!(s.finished.is_empty());
        // Now it is second; both runners come from hypothesis 1.
        let v = step(
            &mut s,
            &o,
            &[&[(EOS, -1.0), (4, -9.0)], &[(3, -0.1), (4, -1.5), (5, -2.5), (6, -4.0)]],
        );
        assert_eq!(v, Verdict::Continue { tokens: vec![3, 4], parents: vec![1, 1] });
        assert_eq!(s.finished.len(), 1);
        // Length counts the mark and the end mark.
        assert!((s.finished[0].score_norm - -1.1 / 3.0).abs() < 1e-6);
        let hyp = &s.finish(1, EOS)[0];
        assert_eq!(hyp.tokens, [9, 5, EOS]);
        assert_eq!(hyp.token_scores, [0.0, -0.1, -1.0]);
    }

    #[test]
    fn stopping_rules_differ() {
        let play = |early| {
            let o = options(1, early);
            let mut s = BeamSearch::new(&[], 100);
            // Finished with -1 over one token; the runner has -1.5 after one token.
            match step(&mut s, &o, &[&[(EOS, -1.0), (5, -1.5)]]) {
                Verdict::Done => 1,
                // Three further tokens for nothing: -1.5 over four is better than -1.
                Verdict::Continue { .. } => {
                    for n in 2..5 {
                        if step(&mut s, &o, &[&[(5, 0.0), (6, -9.0)]]) == Verdict::Done {
                            return n;
                        }
                    }
                    5
                }
            }
        };
        // At its present length the runner is worse: the heuristic gives up at once.
        assert_eq!(play(EarlyStopping::Heuristic), 1);
        assert_eq!(play(EarlyStopping::Full), 1);
        assert_eq!(play(EarlyStopping::Never), 5);
    }

    #[test]
    fn at_the_limit_the_best_ranks_finish_whatever_they_end_with() {
        let o = options(2, EarlyStopping::Heuristic);
        let mut s = BeamSearch::new(&[], 1);
        let v = step(&mut s, &o, &[&[(5, -0.1), (EOS, -0.2), (6, -0.3), (7, -0.4)]]);
        assert_eq!(v, Verdict::Done);
        let ends: Vec<Vec<u32>> = s.finish(2, EOS).into_iter().map(|h| h.tokens).collect();
        assert_eq!(ends, [vec![5], vec![EOS]]);
    }

    #[test]
    fn equal_scores_are_ordered_by_hypothesis_then_token() {
        let o = options(2, EarlyStopping::Heuristic);
        let mut s = BeamSearch::new(&[], 10);
        step(&mut s, &o, &[&[(5, -1.0), (6, -1.0), (7, -1.0), (8, -1.0)]]);
        let v = step(&mut s, &o, &[&[(9, -1.0), (8, -1.0)], &[(3, -1.0), (4, -1.0)]]);
        assert_eq!(v, Verdict::Continue { tokens: vec![8, 9], parents: vec![0, 0] });
    }
}
