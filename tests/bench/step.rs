//! A training step of a random model: forward, backward and Adam on sentences of 32 source and 32
//! target tokens, label smoothing 0.1, dropout 0.1, f32.

use std::error::Error;

use isogloss::autograd::{Gradients, Parameter, Tape};
use isogloss::formats::adapters::{AdapterSetConfig, NormPlace, Position};
use isogloss::formats::placement::{Index, Layer, Placement, SHARED};
use isogloss::methods::UnknownLanguage;
use isogloss::methods::adapters::{AdapterInit, AdapterSet, AdapterSpec};
use isogloss::methods::lora::{Initialisation, LoraSet, LoraSpec};
use isogloss::model::checkpoint::linear_shapes;
use isogloss::model::{DirectionParts, M2m100, ModelConfig, Noise, ParameterSet, Ragged, Teacher};
use isogloss::training::{Adam, AdamSettings};

use crate::shapes;

pub const LEN: usize = 32;

/// What is trained beside a frozen model, if anything.
enum Parts {
    None,
    Lora(LoraSet),
    Adapters(AdapterSet),
}

impl Parts {
    fn parameters(&self) -> Box<dyn Iterator<Item = &Parameter> + '_> {
        match self {
            Self::None => Box::new(std::iter::empty()),
            Self::Lora(set) => Box::new(set.parameters()),
            Self::Adapters(set) => Box::new(set.parameters()),
        }
    }

    fn of_direction(&self, config: &ModelConfig) -> Result<DirectionParts, Box<dyn Error>> {
        Ok(match self {
            Self::None => DirectionParts::none(config),
            Self::Lora(set) => {
                set.parts(&set.choose("", "", UnknownLanguage::Error)?, &|_, _, _| None)
            }
            Self::Adapters(set) => set.parts(&set.choose("", "", UnknownLanguage::Error)?)?,
        })
    }
}

/// One part for all languages at each module that `modules` names in a layer.
fn shared_placement(
    config: &ModelConfig,
    modules: impl Fn(&str, usize) -> Vec<String>,
) -> Placement {
    let layers = |side: &str, n: usize| -> Vec<Layer> {
        let layer = |i| modules(side, i).into_iter().map(|m| (m, Index::Shared)).collect::<Layer>();
        (0..n).map(layer).collect()
    };
    Placement {
        encoder: layers("encoder", config.encoder_layers),
        decoder: layers("decoder", config.decoder_layers),
        adapters: [SHARED.to_string()].into(),
        ..Placement::default()
    }
}

/// A plain LoRA on every linear map; its parameters take the slots from 0 on.
fn plain_lora(config: &ModelConfig, rank: usize) -> Result<Parts, Box<dyn Error>> {
    let shapes = linear_shapes(config);
    let placement = shared_placement(config, |side, i| {
        let prefix = format!("model.{side}.layers.{i}.");
        let own = shapes.keys().filter_map(|p| p.strip_prefix(prefix.as_str()));
        own.map(str::to_string).collect()
    });
    let mut set = LoraSpec {
        placement,
        shapes: &shapes,
        rank: &|_, _| rank,
        alpha: Some(2.0 * rank as f64),
        dropout: 0.0,
        initialisation: Initialisation::Standard,
        seed: 1,
    }
    .create()?;
    set.parameters_mut().enumerate().for_each(|(i, p)| p.slot = Some(i));
    Ok(Parts::Lora(set))
}

/// A bottleneck adapter without a norm after each feed-forward block, as AdapterHub's `seq_bn`.
fn plain_adapters(config: &ModelConfig, bottleneck: usize) -> Result<Parts, Box<dyn Error>> {
    let placement = shared_placement(config, |_, _| vec![Position::FeedForward.name().to_string()]);
    let config = AdapterSetConfig {
        d_model: config.d_model,
        norm: NormPlace::None,
        affine: false,
        task: None,
        placement,
    };
    let init = AdapterInit::Xavier;
    let mut set = AdapterSpec { config, bottleneck, init, seed: 1 }.create()?;
    set.parameters_mut().enumerate().for_each(|(i, p)| p.slot = Some(i));
    Ok(Parts::Adapters(set))
}

/// What a step trains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    Full,
    /// Of this rank, on every linear map.
    Lora(usize),
    /// Of this width, after every feed-forward block.
    Adapter(usize),
}

pub struct Bench {
    model: M2m100,
    set: ParameterSet,
    adam: Adam,
    gradients: Gradients,
    src: Ragged,
    labels: Ragged,
    parts: DirectionParts,
    trained: Parts,
    steps: u64,
}

impl Bench {
    pub fn new(shape: &str, tokens: usize, method: Method) -> Result<Self, Box<dyn Error>> {
        let config = shapes::config(shape)?;
        let set = shapes::parameters(&config, method == Method::Full)?;
        let parts = match method {
            Method::Full => Parts::None,
            Method::Lora(rank) => plain_lora(&config, rank)?,
            Method::Adapter(bottleneck) => plain_adapters(&config, bottleneck)?,
        };
        let trained = || set.trainable().chain(parts.parameters());
        let settings = AdamSettings {
            beta1: 0.9,
            beta2: 0.98,
            eps: 1e-9,
            weight_decay: 0.0,
            decoupled: false,
        };
        Ok(Self {
            model: M2m100::new(&config, &set, None)?,
            adam: Adam::new(settings, trained())?,
            gradients: Gradients::new(trained())?,
            src: shapes::sentences(&config, tokens, LEN, "sources"),
            labels: shapes::sentences(&config, tokens, LEN, "targets"),
            parts: parts.of_direction(&config)?,
            set,
            trained: parts,
            steps: 0,
        })
    }

    pub fn step(&mut self) -> Result<(), Box<dyn Error>> {
        self.steps += 1;
        self.gradients.clear();
        self.model.train(
            Tape::recording(),
            Teacher { src: &self.src, labels: &self.labels, weights: None },
            &self.parts,
            &Noise::new(self.steps),
            0.1,
            1.0 / self.labels.num_tokens() as f32,
            &mut self.gradients,
        )?;
        let trained = self.set.trainable().chain(self.trained.parameters());
        self.adam.update(trained, &self.gradients, 1e-4, 1.0)?;
        Ok(())
    }
}
