//! Decoding step by step with the layers of training, on whatever device their weights lie. Where the
//! CPU has [`super::inference`], other devices have this.
//!
//! Rows are ragged here too: keys and values of all tokens stand in one pool for each layer, a hypothesis
//! is a list of rows of it, which attention reads. So beams are put in another order without a value being
//! moved.

mod candidates;
mod pool;

use std::sync::Arc;

use candle_core::Tensor;

use super::inference::{Row, encoded_together};
use super::layers::{Noise, Pass, StepMemory};
use super::m2m100::M2m100;
use super::ragged::Ragged;
use super::seam::DirectionParts;
use crate::autograd::{Tape, Value, composed};
use crate::error::{Error, Result};
use crate::kernels::infer::vocab::{Candidate, Normalizer};
use candidates::Candidates;
use pool::Pool;

/// Tokens that are encoded together.
const ENCODE_TOKENS: usize = 8192;

/// What a direction is decoded with.
pub struct StepperWeights {
    /// On the device of the model.
    pub parts: DirectionParts,
    pub shortlist: Option<Arc<Shortlist>>,
}

/// The output layer of some tokens.
pub struct Shortlist {
    /// Ascending.
    ids: Vec<u32>,
    /// `[ids, d_model]`
    weight: Tensor,
    /// `[ids]`
    bias: Option<Tensor>,
}

impl Shortlist {
    /// The output layer of the tokens `ids`, which ascend and are in the vocabulary.
    ///
    /// # Errors
    /// The device's own.
    pub fn new(model: &M2m100, ids: Vec<u32>) -> Result<Self> {
        model.check_ids(&ids)?;
        let device = model.shared.tensor.device();
        let at = Tensor::from_slice(&ids, ids.len(), device)?;
        let bias = model.final_logits_bias.as_ref();
        let bias = bias.map(|b| ids.iter().map(|&id| b[id as usize]).collect::<Vec<_>>());
        Ok(Self {
            weight: model.shared.tensor.index_select(&at, 0)?,
            bias: bias.map(|b| Tensor::from_vec(b, ids.len(), device)).transpose()?,
            ids,
        })
    }
}

/// A sentence in decoding.
struct Sentence {
    number: u64,
    /// Rows of its source in the pool of memories: the first, and how many.
    source: (u32, u32),
    /// Rows of each hypothesis in the pool of histories, one a position.
    beams: Vec<Vec<u32>>,
}

/// What cross-attention sees, as it was gathered for some sentences.
struct Memory {
    sentences: Vec<u64>,
    offsets: Arc<[usize]>,
    layers: Vec<[Value; 2]>,
}

/// Sentences in decoding on the device of a model.
pub struct Stepper<'m> {
    model: &'m M2m100,
    in_bf16: bool,
    /// `[vocab]`
    bias: Option<Tensor>,
    sentences: Vec<Option<Sentence>>,
    num_admitted: u64,
    sources: Pool,
    histories: Pool,
    memory: Option<Memory>,
    /// `[outputs, d_model]` of the last step.
    outputs: Option<Tensor>,
    candidates: Candidates,
}

impl<'m> Stepper<'m> {
    /// # Errors
    /// The device's own.
    pub fn new(model: &'m M2m100, in_bf16: bool) -> Result<Self> {
        let c = model.config();
        let device = model.shared.tensor.device();
        let bias = model.final_logits_bias.as_deref();
        Ok(Self {
            model,
            in_bf16,
            bias: bias.map(|b| Tensor::from_slice(b, b.len(), device)).transpose()?,
            sentences: Vec::new(),
            num_admitted: 0,
            sources: Pool::new(c.decoder_layers, c.d_model, device),
            histories: Pool::new(c.decoder_layers, c.d_model, device),
            memory: None,
            outputs: None,
            candidates: Candidates::default(),
        })
    }

    pub fn model(&self) -> &'m M2m100 {
        self.model
    }

    /// With operations put together from those of the tensor library, on the CPU too.
    fn tape(&self) -> Tape {
        let tape = Tape::disabled().composed();
        if self.in_bf16 { tape.in_bf16() } else { tape }
    }

    /// Encodes sentences (`[mark, pieces..., eos]`, at most the model's length) and returns the slot
    /// each was given.
    ///
    /// # Errors
    /// The device's own: no memory, above all.
    pub fn admit(&mut self, weights: &StepperWeights, sentences: &[&[u32]]) -> Result<Vec<usize>> {
        let mut slots = Vec::with_capacity(sentences.len());
        let mut rest = sentences;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(encoded_together(rest, ENCODE_TOKENS));
            self.encode(weights, now, &mut slots)?;
            rest = later;
        }
        Ok(slots)
    }

    fn encode(
        &mut self,
        weights: &StepperWeights,
        sentences: &[&[u32]],
        slots: &mut Vec<usize>,
    ) -> Result<()> {
        let (model, tape, noise) = (self.model, self.tape(), Noise::none());
        let src = Ragged::new(sentences.iter().copied());
        let places: Vec<u32> = sentences.iter().flat_map(|s| model.source_places(s)).collect();
        let x = model.embed_at(&tape, &src.ids, &places)?;
        let states = model.encode_rows(&tape, &noise, x, &src.offsets, &weights.parts.encoder)?;
        let live = || {
            let sources = self.sentences.iter().flatten().map(|s| s.source);
            let mut rows: Vec<u32> = sources.flat_map(|(first, n)| first..first + n).collect();
            rows.sort_unstable();
            rows
        };
        let moved = self.sources.reserve(src.num_tokens(), live)?;
        if let Some(moved) = moved {
            for s in self.sentences.iter_mut().flatten() {
                s.source.0 = moved.now_at(s.source.0)?;
            }
        }
        let first = self.sources.take(src.num_tokens());
        let config = model.config();
        let pass = Pass { tape: &tape, noise: &noise, config, offsets: &src.offsets };
        for (l, (layer, parts)) in model.decoder.iter().zip(&weights.parts.decoder).enumerate() {
            self.sources.write(l, first, &layer.memory_of(&pass, &states, parts)?)?;
        }
        for (s, offset) in sentences.iter().zip(&*src.offsets) {
            let sentence = Sentence {
                number: self.num_admitted,
                source: (first + *offset as u32, s.len() as u32),
                beams: vec![Vec::new()],
            };
            self.num_admitted += 1;
            match self.sentences.iter().position(Option::is_none) {
                Some(free) => {
                    self.sentences[free] = Some(sentence);
                    slots.push(free);
                }
                None => {
                    self.sentences.push(Some(sentence));
                    slots.push(self.sentences.len() - 1);
                }
            }
        }
        Ok(())
    }

    /// Reads one token for each row. Rows of a sentence stand together; several positions of one
    /// hypothesis may be read at once, in order. Of each row named in `outputs` the `best` next tokens
    /// are found.
    ///
    /// # Errors
    /// The device's own: no memory, above all.
    pub fn step(
        &mut self,
        weights: &StepperWeights,
        rows: &[Row],
        outputs: &[usize],
        best: usize,
    ) -> Result<()> {
        let (model, tape, noise) = (self.model, self.tape(), Noise::none());
        self.make_room(rows.len())?;
        let first = self.histories.take(rows.len());
        let (mut seen, mut seen_offsets, mut offsets) = (Vec::new(), vec![0], vec![0]);
        let (mut group_offsets, mut slots) = (vec![0], Vec::new());
        let mut longest = 0;
        for (i, row) in rows.iter().enumerate() {
            let sentence = self.sentences.get_mut(row.slot).and_then(Option::as_mut);
            let beam = sentence.and_then(|s| s.beams.get_mut(row.beam));
            let beam = beam.ok_or_else(|| Error::bug("a row of no hypothesis"))?;
            if beam.len() != row.position {
                return Err(Error::bug("a hypothesis with a gap"));
            }
            beam.push(first + i as u32);
            let next = rows.get(i + 1);
            if next.is_none_or(|n| (n.slot, n.beam) != (row.slot, row.beam)) {
                // What its last row sees; those before see less of it.
                seen.extend_from_slice(beam);
                seen_offsets.push(seen.len());
                offsets.push(i + 1);
                longest = longest.max(beam.len());
            }
            if next.is_none_or(|n| n.slot != row.slot) {
                slots.push(row.slot);
                group_offsets.push(i + 1);
            }
        }
        self.check_size((offsets.len() - 1) * longest)?;
        self.remember(&slots)?;
        let memory = self.memory.as_ref().ok_or_else(|| Error::bug("a step without sources"))?;

        let ids: Arc<[u32]> = rows.iter().map(|r| r.token).collect();
        let places: Vec<u32> =
            rows.iter().map(|r| model.target_place(r.token, r.position)).collect();
        let mut x = model.embed_at(&tape, &ids, &places)?;
        let seen = self.histories.rows(&seen)?;
        let (seen_offsets, groups): (Arc<[usize]>, Arc<[usize]>) =
            (seen_offsets.into(), group_offsets.into());
        let (config, offsets): (_, Arc<[usize]>) = (model.config(), offsets.into());
        let pass = Pass { tape: &tape, noise: &noise, config, offsets: &offsets };
        for (l, (layer, parts)) in model.decoder.iter().zip(&weights.parts.decoder).enumerate() {
            let own = |kv: [Value; 2]| {
                self.histories.write(l, first, &kv)?;
                Ok(self.histories.all(l))
            };
            let (kv, offsets) = (&memory.layers[l], &memory.offsets);
            let source = StepMemory { kv, offsets, groups: &groups };
            x = layer.step(&pass, &x, (own, &seen_offsets, &seen), &source, parts)?;
        }
        let chosen: Vec<u32> = outputs.iter().map(|&o| o as u32).collect();
        let x = x.tensor().index_select(&self.histories.rows(&chosen)?, 0)?;
        let h = model.decoder_norm.forward(&tape, &Value::constant(x))?;
        self.outputs = Some(h.tensor().clone());
        let (weight, bias, ids) = match weights.shortlist.as_deref() {
            Some(s) => (&s.weight, s.bias.as_ref(), Some(&*s.ids)),
            None => (&model.shared.tensor, self.bias.as_ref(), None),
        };
        self.candidates.find(&tape, h.tensor(), (weight, bias), ids, best)
    }

    /// Whether so many rows can be in one tensor: kernels of the library count values in 32 bits.
    fn check_size(&self, rows: usize) -> Result<()> {
        match rows.checked_mul(self.model.config().d_model) {
            Some(n) if u32::try_from(n).is_ok() => Ok(()),
            _ => Err(Error::environment("more is decoded at once than the device can take")
                .hint("a smaller `--batch-size`, `--batch-tokens` or `--beam-size`")),
        }
    }

    /// Room for the keys and values of so many tokens.
    fn make_room(&mut self, count: usize) -> Result<()> {
        let live = || {
            let beams = self.sentences.iter().flatten().flat_map(|s| &s.beams);
            let mut rows: Vec<u32> = beams.flatten().copied().collect();
            rows.sort_unstable();
            rows.dedup();
            rows
        };
        if let Some(moved) = self.histories.reserve(count, live)? {
            let beams = self.sentences.iter_mut().flatten().flat_map(|s| &mut s.beams);
            for row in beams.flatten() {
                *row = moved.now_at(*row)?;
            }
        }
        Ok(())
    }

    /// Gathers what these sentences attend to, unless it stands there from the last step.
    fn remember(&mut self, slots: &[usize]) -> Result<()> {
        let chosen: Vec<&Sentence> = slots.iter().flat_map(|&s| &self.sentences[s]).collect();
        let numbers: Vec<u64> = chosen.iter().map(|s| s.number).collect();
        if self.memory.as_ref().is_some_and(|m| m.sentences == numbers) {
            return Ok(());
        }
        let (mut rows, mut offsets) = (Vec::new(), vec![0]);
        for s in &chosen {
            rows.extend(s.source.0..s.source.0 + s.source.1);
            offsets.push(rows.len());
        }
        let longest = chosen.iter().map(|s| s.source.1 as usize).max().unwrap_or(0);
        self.check_size(chosen.len() * longest)?;
        let rows = self.sources.rows(&rows)?;
        let layers = 0..self.model.decoder.len();
        // Its room is needed for the next.
        self.memory = None;
        self.memory = Some(Memory {
            sentences: numbers,
            offsets: offsets.into(),
            layers: layers.map(|l| self.sources.read(l, &rows)).collect::<Result<_>>()?,
        });
        Ok(())
    }

    /// Next tokens at an output of the last step, best first.
    pub fn best(&self, output: usize) -> &[Candidate] {
        self.candidates.best(output)
    }

    /// What makes a logit at an output of the last step a log probability, in nats.
    pub fn norm(&self, output: usize) -> Normalizer {
        self.candidates.norm(output)
    }

    /// The logits of tokens at outputs of the last step, whatever their rank, in a shortlist or not.
    ///
    /// # Errors
    /// The device's own.
    pub fn logits(&self, of: &[(usize, u32)]) -> Result<Vec<f32>> {
        let Some(h) = &self.outputs else { return Err(Error::bug("logits before a step")) };
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let (outputs, ids): (Vec<u32>, Vec<u32>) = of.iter().map(|&(o, id)| (o as u32, id)).unzip();
        let rows = |t: &Tensor, at: &[u32]| -> Result<Tensor> {
            let rows = t.index_select(&Tensor::from_slice(at, at.len(), t.device())?, 0)?;
            composed::factor(&rows, self.in_bf16)
        };
        let products = (rows(h, &outputs)? * rows(&self.model.shared.tensor, &ids)?)?;
        let mut logits = products.sum(1)?.to_vec1::<f32>()?;
        if let Some(bias) = &self.model.final_logits_bias {
            logits.iter_mut().zip(&ids).for_each(|(z, &id)| *z += bias[id as usize]);
        }
        Ok(logits)
    }

    /// Hypothesis `i` of a sentence continues what was hypothesis `parents[i]`.
    pub fn reorder(&mut self, slot: usize, parents: &[usize]) {
        if let Some(s) = &mut self.sentences[slot] {
            s.beams = parents.iter().map(|&p| s.beams[p].clone()).collect();
        }
    }

    /// Ends a sentence; its slot is used again.
    pub fn release(&mut self, slot: usize) {
        self.sentences[slot] = None;
    }
}
