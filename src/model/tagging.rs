//! Token tagging: a linear head on the encoder's states (Üstün et al. 2022 for parts of speech).
//! The decoder takes no part.

use std::sync::Arc;

use candle_core::Tensor;

use super::layers::Noise;
use super::m2m100::M2m100;
use super::ragged::Ragged;
use super::seam::DirectionParts;
use crate::autograd::{Gradients, Parameter, Tape, Value};
use crate::error::{Error, Result};
use crate::kernels::storage::values;

/// The label of a position that has none: marks, and all pieces of a word but the first.
pub const IGNORED: u16 = u16::MAX;

/// One batch of tagged sentences of one language.
#[derive(Clone, Copy)]
pub struct Tagged<'a> {
    /// `[mark, pieces, eos]` each.
    pub src: &'a Ragged,
    /// `[src_tokens]`, below the number of tags or [`IGNORED`].
    pub tags: &'a [u16],
}

/// The linear map from encoder states to tags.
#[derive(Clone, Copy)]
pub struct TagWeights<'a> {
    /// `[num_tags, d_model]`.
    pub weight: &'a Parameter,
    /// `[num_tags]`.
    pub bias: &'a Parameter,
}

/// The loss of one batch: sums over words with a label.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TagLoss {
    /// In nats.
    pub nll: f64,
    pub words: usize,
    /// Words whose most likely tag is the right one.
    pub correct: usize,
}

impl M2m100 {
    /// Logits `[rows, num_tags]` of some positions.
    fn tag_logits(
        &self,
        tape: &Tape,
        noise: &Noise,
        (src, rows): (&Ragged, Arc<[u32]>),
        parts: &DirectionParts,
        head: TagWeights<'_>,
    ) -> Result<Value> {
        let h = self.encode(tape, noise, src, &parts.encoder)?;
        let h = tape.gather_rows(&h, rows)?;
        tape.linear(&h, &head.weight.value(), Some(&head.bias.value()), false)
    }

    /// The loss, its gradients times `scale` added to `gradients`. `tape` may hold what `parts`
    /// were computed from; it is used up.
    #[allow(clippy::too_many_arguments)]
    pub fn train_tags(
        &self,
        tape: Tape,
        batch: Tagged<'_>,
        parts: &DirectionParts,
        head: TagWeights<'_>,
        noise: &Noise,
        scale: f32,
        gradients: &mut Gradients,
    ) -> Result<TagLoss> {
        let (rows, labels) = labelled(batch, head)?;
        if rows.is_empty() {
            return Ok(TagLoss::default());
        }
        let logits = self.tag_logits(&tape, noise, (batch.src, rows), parts, head)?;
        let dims = logits.tensor().dims().to_vec();
        let mut z = values(logits.tensor())?.to_vec();
        let loss = softmax_loss(&mut z, &labels, Some(scale));
        let seed = Tensor::from_vec(z, dims, logits.tensor().device())?;
        tape.backward(vec![(logits, seed)], gradients)?;
        Ok(loss)
    }

    /// The loss without gradients or dropout.
    pub fn evaluate_tags(
        &self,
        batch: Tagged<'_>,
        parts: &DirectionParts,
        head: TagWeights<'_>,
    ) -> Result<TagLoss> {
        let (rows, labels) = labelled(batch, head)?;
        if rows.is_empty() {
            return Ok(TagLoss::default());
        }
        let of = (batch.src, rows);
        let logits = self.tag_logits(&Tape::disabled(), &Noise::none(), of, parts, head)?;
        let mut z = values(logits.tensor())?.to_vec();
        Ok(softmax_loss(&mut z, &labels, None))
    }

    /// The most likely tag of every position, marks included: `[src_tokens]`.
    pub fn predict_tags(
        &self,
        src: &Ragged,
        parts: &DirectionParts,
        head: TagWeights<'_>,
    ) -> Result<Vec<u16>> {
        let num_tags = head.num_tags()?;
        let all: Arc<[u32]> = (0..src.num_tokens() as u32).collect();
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let logits = self.tag_logits(&Tape::disabled(), &Noise::none(), (src, all), parts, head)?;
        let z = values(logits.tensor())?;
        Ok(z.chunks_exact(num_tags).map(|z| most_likely(z) as u16).collect())
    }
}

impl TagWeights<'_> {
    fn num_tags(&self) -> Result<usize> {
        let n = self.bias.tensor.elem_count();
        match n {
            0 => Err(Error::bug("a tag head without tags")),
            n if n > usize::from(IGNORED) => Err(Error::bug(format!("a tag head of {n} tags"))),
            n => Ok(n),
        }
    }
}

/// Positions with a label, and the labels.
fn labelled(batch: Tagged<'_>, head: TagWeights<'_>) -> Result<(Arc<[u32]>, Vec<u16>)> {
    let num_tags = head.num_tags()?;
    if batch.tags.len() != batch.src.num_tokens() {
        return Err(Error::bug("tags and tokens differ in number"));
    }
    let at = (0u32..).zip(batch.tags).filter(|(_, t)| **t != IGNORED);
    let (rows, labels): (Vec<u32>, Vec<u16>) = at.map(|(i, t)| (i, *t)).unzip();
    if let Some(t) = labels.iter().find(|&&t| usize::from(t) >= num_tags) {
        return Err(Error::bug(format!("label {t} for a head of {num_tags} tags")));
    }
    Ok((rows.into(), labels))
}

/// The index of the largest value, the first of equal ones.
fn most_likely(z: &[f32]) -> usize {
    let better = |best: usize, i: usize| if z[i] > z[best] { i } else { best };
    (0..z.len()).fold(0, better)
}

/// Cross-entropy of logits `z` `[rows, num_tags]`, which become its gradient times `scale`, when
/// one is given.
fn softmax_loss(z: &mut [f32], labels: &[u16], scale: Option<f32>) -> TagLoss {
    let mut loss = TagLoss { words: labels.len(), ..TagLoss::default() };
    let num_tags = z.len() / labels.len().max(1);
    for (z, &label) in z.chunks_exact_mut(num_tags).zip(labels) {
        let label = usize::from(label);
        loss.correct += usize::from(most_likely(z) == label);
        let most = z.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = z.iter().map(|v| f64::from(v - most).exp()).sum();
        loss.nll += sum.ln() - f64::from(z[label] - most);
        if let Some(scale) = scale {
            for v in z.iter_mut() {
                *v = scale * (f64::from(*v - most).exp() / sum) as f32;
            }
            z[label] -= scale;
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::storage::change;
    use crate::model::initialise::{InitMethod, initial_values};
    use crate::model::{ModelConfig, ParameterSet};
    use candle_core::Device;

    const TAGS: usize = 3;
    const X: u16 = IGNORED;

    struct Setup {
        model: M2m100,
        set: ParameterSet,
        parts: DirectionParts,
        weight: Parameter,
        bias: Parameter,
        src: Ragged,
    }

    fn parameter(name: &str, dims: &[usize], values: Vec<f32>, slot: usize) -> Parameter {
        let tensor = Tensor::from_vec(values, dims, &Device::Cpu).unwrap();
        Parameter { name: name.into(), tensor, slot: Some(slot) }
    }

    impl Setup {
        fn new() -> Self {
            let config: ModelConfig = serde_json::from_value(serde_json::json!({
                "model_type": "m2m_100", "vocab_size": 20, "d_model": 8, "encoder_layers": 2,
                "decoder_layers": 1, "encoder_ffn_dim": 12, "decoder_ffn_dim": 12,
                "encoder_attention_heads": 2, "decoder_attention_heads": 2,
                "max_position_embeddings": 16,
            }))
            .unwrap();
            let set = ParameterSet::from_values(
                &config,
                |_| true,
                |name, shape| Ok(initial_values(name, shape, &config, InitMethod::Xavier, 1)),
            )
            .unwrap();
            let n = set.trainable().count();
            let w = initial_values("head.weight", &[TAGS, 8], &config, InitMethod::Xavier, 2);
            Self {
                model: M2m100::new(&config, &set, None).unwrap(),
                parts: DirectionParts::none(&config),
                weight: parameter("w", &[TAGS, 8], w, n),
                bias: parameter("b", &[TAGS], vec![0.1, -0.3, 0.2], n + 1),
                src: Ragged::new([&[5, 8, 9, 10, 2][..], &[5, 11, 8, 2][..]]),
                set,
            }
        }
        fn head(&self) -> TagWeights<'_> {
            TagWeights { weight: &self.weight, bias: &self.bias }
        }
        fn gradients(&self) -> Gradients {
            Gradients::new(self.set.trainable().chain([&self.weight, &self.bias])).unwrap()
        }
        fn train(&self, tags: &[u16], scale: f32, gradients: &mut Gradients) -> TagLoss {
            let batch = Tagged { src: &self.src, tags };
            let noise = Noise::none();
            let tape = Tape::recording();
            self.model
                .train_tags(tape, batch, &self.parts, self.head(), &noise, scale, gradients)
                .unwrap()
        }
        fn evaluate(&self, tags: &[u16]) -> TagLoss {
            let batch = Tagged { src: &self.src, tags };
            self.model.evaluate_tags(batch, &self.parts, self.head()).unwrap()
        }
    }

    const TAGGED: [u16; 9] = [X, 0, X, 2, X, X, 1, 2, X];

    #[test]
    fn the_loss_is_that_of_the_definition() {
        let s = Setup::new();
        let states =
            s.model.encode(&Tape::disabled(), &Noise::none(), &s.src, &s.parts.encoder).unwrap();
        let (h, w) = (values(states.tensor()).unwrap(), values(&s.weight.tensor).unwrap());
        let b = values(&s.bias.tensor).unwrap();
        let (mut nll, mut correct, mut best) = (0.0, 0, Vec::new());
        for (i, &tag) in TAGGED.iter().enumerate() {
            let z: Vec<f64> = (0..TAGS)
                .map(|t| {
                    let dot = (0..8).map(|k| f64::from(h[i * 8 + k]) * f64::from(w[t * 8 + k]));
                    dot.sum::<f64>() + f64::from(b[t])
                })
                .collect();
            let top = (0..TAGS).max_by(|&a, &b| z[a].total_cmp(&z[b])).unwrap();
            best.push(top as u16);
            if tag != X {
                let sum: f64 = z.iter().map(|z| z.exp()).sum();
                nll -= (z[tag as usize].exp() / sum).ln();
                correct += usize::from(top == tag as usize);
            }
        }
        let loss = s.evaluate(&TAGGED);
        assert!((loss.nll - nll).abs() < 1e-5, "{} {nll}", loss.nll);
        assert_eq!((loss.words, loss.correct), (4, correct));
        assert_eq!(s.model.predict_tags(&s.src, &s.parts, s.head()).unwrap(), best);
        let trained = s.train(&TAGGED, 0.5, &mut s.gradients());
        assert_eq!(trained, loss);
        // Predictions as labels are all right.
        assert_eq!(s.evaluate(&best).correct, best.len());
    }

    #[test]
    fn gradients_equal_finite_differences() {
        let s = Setup::new();
        let mut gradients = s.gradients();
        let scale = 0.25;
        s.train(&TAGGED, scale, &mut gradients);
        let own =
            ["model.encoder.layers.0.fc1.weight", "model.encoder.layers.1.self_attn.v_proj.bias"];
        let encoder = own.iter().map(|n| s.set.get(n).unwrap());
        let shared = s.set.get(crate::model::checkpoint::SHARED).unwrap();
        for p in encoder.chain([shared, &s.weight, &s.bias]) {
            let g = values(gradients.get(p.slot.unwrap()).unwrap()).unwrap().to_vec();
            let mut largest = 0f64;
            for i in (0..g.len()).step_by(g.len().div_ceil(40)) {
                let step = 2e-3f32;
                let at = |d: f32| {
                    change(&p.tensor, |v| v[i] += d).unwrap();
                    let nll = s.evaluate(&TAGGED).nll;
                    change(&p.tensor, |v| v[i] -= d).unwrap();
                    nll
                };
                let want = f64::from(scale) * (at(step) - at(-step)) / (2.0 * f64::from(step));
                assert!(
                    (f64::from(g[i]) - want).abs() < 2e-3 * (1.0 + want.abs()),
                    "{} at {i}: {}, expected {want}",
                    p.name,
                    g[i]
                );
                largest = largest.max(want.abs());
            }
            assert!(largest > 1e-2, "{}: nothing to compare", p.name);
        }
        // The decoder takes no part.
        for p in s.set.trainable().filter(|p| p.name.starts_with("model.decoder.")) {
            assert!(gradients.get(p.slot.unwrap()).is_none(), "{}", p.name);
        }
    }

    #[test]
    fn ignored_positions_have_neither_loss_nor_gradient() {
        let s = Setup::new();
        let only = |at: usize| {
            let mut tags = [X; 9];
            tags[at] = TAGGED[at];
            s.evaluate(&tags).nll
        };
        let sum: f64 = [1, 3, 6, 7].map(only).iter().sum();
        assert!((s.evaluate(&TAGGED).nll - sum).abs() < 1e-5);
        // Of the second sentence only: the words of the first get no gradient.
        let mut gradients = s.gradients();
        s.train(&[X, X, X, X, X, X, 1, 2, X], 1.0, &mut gradients);
        let shared = s.set.get(crate::model::checkpoint::SHARED).unwrap();
        let g = values(gradients.get(shared.slot.unwrap()).unwrap()).unwrap().to_vec();
        let norm = |id: usize| g[id * 8..(id + 1) * 8].iter().map(|v| v.abs()).sum::<f32>();
        assert_eq!((norm(9), norm(10)), (0.0, 0.0));
        assert!(norm(11) > 0.0 && norm(8) > 0.0);
        let mut gradients = s.gradients();
        assert_eq!(s.train(&[X; 9], 1.0, &mut gradients), TagLoss::default());
        assert!((0..gradients.len()).all(|slot| gradients.get(slot).is_none()));
    }

    #[test]
    fn labels_that_do_not_fit_are_refused() {
        let s = Setup::new();
        for tags in [&[X; 8][..], &[X, 3, X, X, X, X, X, X, X]] {
            let batch = Tagged { src: &s.src, tags };
            assert!(s.model.evaluate_tags(batch, &s.parts, s.head()).is_err());
        }
    }
}
