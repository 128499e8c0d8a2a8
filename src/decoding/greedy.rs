//! Greedy search: the best token at every step (transformers: `GenerationMixin._sample` with
//! `do_sample=False`).

use super::hypothesis::{History, Hypothesis, NodeId, normalized};
use super::session::{Next, Verdict};

pub(super) struct GreedySearch {
    history: History,
    last: NodeId,
    score: f32,
    /// Tokens so far, forced ones included.
    len: usize,
    max_new: usize,
}

impl GreedySearch {
    pub fn new(forced: &[u32], max_new: usize) -> Self {
        let mut history = History::default();
        let last = history.forced(forced);
        Self { history, last, score: 0.0, len: forced.len(), max_new }
    }

    pub fn history(&self) -> (&History, NodeId) {
        (&self.history, self.last)
    }

    /// Takes the best of the allowed tokens; where none is allowed, the sentence ends.
    pub fn advance(&mut self, next: &Next<'_>, eos: u32) -> Verdict {
        if self.len >= self.max_new {
            // Forced tokens were all there was room for.
            return Verdict::Done;
        }
        let Some((token, log_prob)) = next.allowed().next() else { return Verdict::Done };
        self.last = self.history.push(self.last, token, log_prob);
        self.score += log_prob;
        self.len += 1;
        if token == eos || self.len >= self.max_new {
            return Verdict::Done;
        }
        Verdict::Continue { tokens: vec![token], parents: vec![0] }
    }

    pub fn finish(&self, length_penalty: f64, eos: u32) -> Vec<Hypothesis> {
        let norm = normalized(self.score, self.len.max(1), length_penalty);
        vec![self.history.hypothesis(self.last, self.score, norm, eos)]
    }
}
