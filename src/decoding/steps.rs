//! What a search asks of a model: sentences are taken in, and every hypothesis of them grows by a token
//! at a step.

use crate::error::Result;
use crate::kernels::infer::vocab::{Candidate, Normalizer};
use crate::model::inference::{Decoder, DirectionWeights, Row};
use crate::model::stepping::{Stepper, StepperWeights};

/// Decodes step by step.
pub trait Steps {
    /// What a direction is decoded with.
    type Weights;

    /// The first token of every target.
    fn start(&self) -> u32;
    /// The last.
    fn eos(&self) -> u32;
    /// The longest sequence either side can hold.
    fn max_len(&self) -> usize;
    /// Whether those beside it rest, so that their processors can be used.
    fn gather(&mut self, others_rest: bool);
    /// Encodes sentences (`[mark, pieces..., eos]`); returns the slot of each.
    fn admit(&mut self, weights: &Self::Weights, sentences: &[&[u32]]) -> Result<Vec<usize>>;
    /// Reads one token for each row, rows of a sentence standing together, those of one hypothesis in the
    /// order of positions. Afterwards [`Steps::best`] and [`Steps::norm`] tell of each row in `outputs`,
    /// by its place there: at least `best` next tokens, or all there are.
    fn step(
        &mut self,
        weights: &Self::Weights,
        rows: &[Row],
        outputs: &[usize],
        best: usize,
    ) -> Result<()>;
    /// Next tokens, best first.
    fn best(&self, output: usize) -> &[Candidate];
    fn norm(&self, output: usize) -> Normalizer;
    /// Logits of tokens, in a shortlist or not, at outputs of the last step.
    fn logits(&self, of: &[(usize, u32)]) -> Result<Vec<f32>>;
    /// Hypothesis `i` of a sentence continues what was hypothesis `parents[i]`.
    fn reorder(&mut self, slot: usize, parents: &[usize]);
    /// Ends a sentence.
    fn release(&mut self, slot: usize);
}

impl Steps for Decoder<'_> {
    type Weights = DirectionWeights;

    fn start(&self) -> u32 {
        self.model().config().decoder_start_token_id
    }
    fn eos(&self) -> u32 {
        self.model().config().eos_token_id
    }
    fn max_len(&self) -> usize {
        self.model().max_len()
    }
    fn gather(&mut self, others_rest: bool) {
        self.gather(others_rest);
    }
    fn admit(&mut self, weights: &DirectionWeights, sentences: &[&[u32]]) -> Result<Vec<usize>> {
        Ok(self.admit(weights, sentences))
    }
    fn step(
        &mut self,
        weights: &DirectionWeights,
        rows: &[Row],
        outputs: &[usize],
        best: usize,
    ) -> Result<()> {
        self.step(weights, rows, outputs, best);
        Ok(())
    }
    fn best(&self, output: usize) -> &[Candidate] {
        self.top().best(output)
    }
    fn norm(&self, output: usize) -> Normalizer {
        self.top().norms[output]
    }
    fn logits(&self, of: &[(usize, u32)]) -> Result<Vec<f32>> {
        Ok(of.iter().map(|&(output, id)| self.logit(output, id)).collect())
    }
    fn reorder(&mut self, slot: usize, parents: &[usize]) {
        self.reorder(slot, parents);
    }
    fn release(&mut self, slot: usize) {
        self.release(slot);
    }
}

impl Steps for Stepper<'_> {
    type Weights = StepperWeights;

    fn start(&self) -> u32 {
        self.model().config().decoder_start_token_id
    }
    fn eos(&self) -> u32 {
        self.model().config().eos_token_id
    }
    fn max_len(&self) -> usize {
        self.model().config().max_len()
    }
    /// The processors have little to do.
    fn gather(&mut self, _: bool) {}
    fn admit(&mut self, weights: &StepperWeights, sentences: &[&[u32]]) -> Result<Vec<usize>> {
        self.admit(weights, sentences)
    }
    fn step(
        &mut self,
        weights: &StepperWeights,
        rows: &[Row],
        outputs: &[usize],
        best: usize,
    ) -> Result<()> {
        self.step(weights, rows, outputs, best)
    }
    fn best(&self, output: usize) -> &[Candidate] {
        self.best(output)
    }
    fn norm(&self, output: usize) -> Normalizer {
        self.norm(output)
    }
    fn logits(&self, of: &[(usize, u32)]) -> Result<Vec<f32>> {
        self.logits(of)
    }
    fn reorder(&mut self, slot: usize, parents: &[usize]) {
        self.reorder(slot, parents);
    }
    fn release(&mut self, slot: usize) {
        self.release(slot);
    }
}
