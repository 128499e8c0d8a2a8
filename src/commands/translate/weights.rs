//! What directions are decoded with, made when they are asked for, once each.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::shortlist::Shortlists;
use crate::error::Result;
use crate::formats::neurons::Side;
use crate::kernels::infer::vocab::OutputLayer;
use crate::methods::{DirectionUse, LayerKey, Provider};
use crate::model::inference::{
    DecoderLayer, DirectionWeights, EncoderLayer, InferenceModel, LowRankForm,
};
use crate::model::seam::LayerParts;
use crate::model::stepping::{Shortlist, StepperWeights};
use crate::model::{DirectionParts, M2m100};
use crate::text::TextTokenizer;

/// Makes weights of directions.
pub trait Maker {
    type Weights;
    /// Those of a direction into a language.
    ///
    /// # Errors
    /// Data: the language has no shortlist, where there are shortlists.
    fn weights(&mut self, used: &DirectionUse, tgt_lang: &str) -> Result<Arc<Self::Weights>>;
}

/// What both makers are given.
pub struct Sources<'a> {
    pub parts: Arc<Provider>,
    pub shortlists: Option<Shortlists>,
    pub tokenizer: &'a TextTokenizer,
}

/// Packed for the kernels of the CPU.
pub struct Packed<'a> {
    model: &'a InferenceModel,
    sources: Sources<'a>,
    form: LowRankForm,
    /// Layers by number and what they depend on, and whole directions.
    encoders: BTreeMap<(usize, LayerKey), EncoderLayer>,
    decoders: BTreeMap<(usize, LayerKey), DecoderLayer>,
    weights: BTreeMap<DirectionUse, Arc<DirectionWeights>>,
    /// Output layers of shortlists, and directions with them, by the mark of the target language.
    outputs: BTreeMap<u32, Arc<OutputLayer>>,
    listed: BTreeMap<(DirectionUse, u32), Arc<DirectionWeights>>,
}

impl<'a> Packed<'a> {
    pub fn new(model: &'a InferenceModel, sources: Sources<'a>, form: LowRankForm) -> Self {
        Self {
            model,
            sources,
            form,
            encoders: BTreeMap::new(),
            decoders: BTreeMap::new(),
            weights: BTreeMap::new(),
            outputs: BTreeMap::new(),
            listed: BTreeMap::new(),
        }
    }

    fn unlisted(&mut self, used: &DirectionUse) -> Result<Arc<DirectionWeights>> {
        let base = self.model.base_weights();
        if self.sources.parts.is_empty() {
            return Ok(Arc::clone(base));
        }
        if let Some(weights) = self.weights.get(used) {
            return Ok(Arc::clone(weights));
        }
        let parts = self.sources.parts.parts(used, self.model.config())?;
        let form = self.form;
        let mut own =
            DirectionWeights { encoder: Vec::new(), decoder: Vec::new(), shortlist: None };
        // Other directions may use the same layer.
        for (i, (layer, parts)) in base.encoder.iter().zip(&parts.encoder).enumerate() {
            let key = (i, used.layer(Side::Encoder, i));
            if !self.encoders.contains_key(&key) {
                self.encoders.insert(key.clone(), layer.with_parts(parts, form)?);
            }
            own.encoder.push(self.encoders[&key].clone());
        }
        for (i, (layer, parts)) in base.decoder.iter().zip(&parts.decoder).enumerate() {
            let key = (i, used.layer(Side::Decoder, i));
            if !self.decoders.contains_key(&key) {
                self.decoders.insert(key.clone(), layer.with_parts(parts, form)?);
            }
            own.decoder.push(self.decoders[&key].clone());
        }
        let own = Arc::new(own);
        self.weights.insert(used.clone(), Arc::clone(&own));
        Ok(own)
    }
}

impl Maker for Packed<'_> {
    type Weights = DirectionWeights;

    fn weights(&mut self, used: &DirectionUse, tgt_lang: &str) -> Result<Arc<DirectionWeights>> {
        let weights = self.unlisted(used)?;
        let Some(shortlists) = &self.sources.shortlists else { return Ok(weights) };
        let mark = self.sources.tokenizer.languages().id_of(tgt_lang)?;
        let key = (used.clone(), mark);
        if let Some(listed) = self.listed.get(&key) {
            return Ok(Arc::clone(listed));
        }
        if !self.outputs.contains_key(&mark) {
            let ids = shortlists.ids(mark, tgt_lang)?.to_vec();
            self.outputs.insert(mark, Arc::new(self.model.output_of(ids)?));
        }
        let listed = Arc::new(DirectionWeights {
            encoder: weights.encoder.clone(),
            decoder: weights.decoder.clone(),
            shortlist: Some(Arc::clone(&self.outputs[&mark])),
        });
        self.listed.insert(key, Arc::clone(&listed));
        Ok(listed)
    }
}

/// On another device.
pub struct OnDevice<'a> {
    model: &'a M2m100,
    sources: Sources<'a>,
    layers: BTreeMap<(Side, usize, LayerKey), LayerParts>,
    shortlists: BTreeMap<u32, Arc<Shortlist>>,
    /// By the mark of the target language too, where there are shortlists.
    weights: BTreeMap<(DirectionUse, Option<u32>), Arc<StepperWeights>>,
}

impl<'a> OnDevice<'a> {
    pub fn new(model: &'a M2m100, sources: Sources<'a>) -> Self {
        Self {
            model,
            sources,
            layers: BTreeMap::new(),
            shortlists: BTreeMap::new(),
            weights: BTreeMap::new(),
        }
    }

    /// Layers that directions share lie on the device once.
    fn parts(&mut self, used: &DirectionUse) -> Result<DirectionParts> {
        let parts = self.sources.parts.parts(used, self.model.config())?;
        let mut all = |side: Side, layers: Vec<LayerParts>| -> Result<Vec<LayerParts>> {
            let one = |(i, layer): (usize, LayerParts)| {
                let key = (side, i, used.layer(side, i));
                if !self.layers.contains_key(&key) {
                    self.layers.insert(key.clone(), self.model.prepared(side, i, &layer)?);
                }
                Ok(self.layers[&key].clone())
            };
            layers.into_iter().enumerate().map(one).collect()
        };
        let encoder = all(Side::Encoder, parts.encoder)?;
        Ok(DirectionParts { encoder, decoder: all(Side::Decoder, parts.decoder)? })
    }
}

impl Maker for OnDevice<'_> {
    type Weights = StepperWeights;

    fn weights(&mut self, used: &DirectionUse, tgt_lang: &str) -> Result<Arc<StepperWeights>> {
        let tokenizer = self.sources.tokenizer;
        let listed = self.sources.shortlists.is_some();
        let mark = listed.then(|| tokenizer.languages().id_of(tgt_lang)).transpose()?;
        let key = (used.clone(), mark);
        if let Some(weights) = self.weights.get(&key) {
            return Ok(Arc::clone(weights));
        }
        let shortlist = match (mark, &self.sources.shortlists) {
            (Some(mark), Some(shortlists)) => {
                if !self.shortlists.contains_key(&mark) {
                    let ids = shortlists.ids(mark, tgt_lang)?.to_vec();
                    self.shortlists.insert(mark, Arc::new(Shortlist::new(self.model, ids)?));
                }
                Some(Arc::clone(&self.shortlists[&mark]))
            }
            _ => None,
        };
        let weights = Arc::new(StepperWeights { parts: self.parts(used)?, shortlist });
        self.weights.insert(key, Arc::clone(&weights));
        Ok(weights)
    }
}
