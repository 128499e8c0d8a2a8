//! What a method other than full training is about to train.

use std::collections::BTreeSet;

use super::adapter_args::AdapterTrainArgs;
use super::adapters::NewAdapters;
use super::args::{Args, Method};
use super::hyper::NewHyper;
use super::indexed::{checked_lanes, lanes_of};
use super::lora::NewLora;
use crate::cli::Context;
use crate::error::Result;
use crate::formats::provenance::Parent;
use crate::methods::UnknownLanguage;
use crate::model::checkpoint::parameter_shapes;
use crate::model::{Checkpoint, ModelConfig};
use crate::training::{
    AdapterTraining, Corpus, HyperTraining, LoraTraining, ParameterGroup, TaskLane, TrainedParts,
    uses_of,
};

/// Parts in their first state.
pub enum NewMethod {
    Lora(Box<NewLora>),
    Adapters(Box<NewAdapters>),
    Hyper(Box<NewHyper>),
}

/// What is told of a method before it is trained.
pub struct About {
    /// Fingerprint of structure and first values.
    pub sha256: String,
    /// Files it was made from.
    pub parents: Vec<Parent>,
    /// One line for people.
    pub description: String,
    /// Names of adapters, or of languages with a vector.
    pub names: Vec<String>,
}

impl AdapterTrainArgs {
    /// Parameters of the model that are trained with adapters.
    pub fn base_groups(&self, method: Method) -> Result<Vec<ParameterGroup>> {
        let default = match method {
            Method::HyperX if self.new_language.is_empty() => &["layer-norms".to_string()][..],
            _ => &[],
        };
        let names = if self.train_base.is_empty() { default } else { &self.train_base[..] };
        let named = names.iter().filter(|n| *n != "none");
        named.map(|n| ParameterGroup::parse(n).map_err(|e| e.flag("--train-base"))).collect()
    }
}

impl NewMethod {
    /// What the flags ask for, for the directions of a text: a language of the held-out text alone
    /// would have nothing trained.
    pub fn create(
        args: &Args,
        context: &Context,
        base: &Checkpoint,
        base_sha256: &str,
        corpus: &Corpus,
    ) -> Result<Option<Self>> {
        let lanes = lanes_of(corpus);
        let model = &base.config;
        let groups = args.adapters.base_groups(args.method)?;
        let trains_base =
            parameter_shapes(model).keys().any(|name| groups.iter().any(|g| g.holds(name)));
        // What is trained with its model lies beside it.
        let frozen = (!trains_base).then_some(base_sha256);
        let adapters = &args.adapters;
        Ok(match args.method {
            Method::Full => None,
            Method::Lora => {
                let new = args.lora.create(args, context, base, base_sha256, &lanes)?;
                Some(Self::Lora(Box::new(new)))
            }
            Method::Adapters => {
                let new = adapters.create_stored(args, context, model, frozen, &lanes)?;
                Some(Self::Adapters(Box::new(new)))
            }
            Method::HyperAdapters | Method::HyperX => {
                let new = adapters.create_hyper(args, context, base, frozen, corpus)?;
                Some(Self::Hyper(Box::new(new)))
            }
        })
    }

    /// What is told of it; `model_values` are the model's.
    pub fn about(&self, model_values: usize) -> About {
        let (sha256, parents) = match self {
            Self::Lora(l) => (&l.sha256, &l.parents),
            Self::Adapters(a) => (&a.sha256, &a.parents),
            Self::Hyper(h) => (&h.sha256, &h.parents),
        };
        About {
            sha256: sha256.clone(),
            parents: parents.clone(),
            description: self.describe(model_values),
            names: self.names(),
        }
    }

    fn num_params(&self) -> usize {
        match self {
            Self::Lora(l) => l.set.num_params(),
            Self::Adapters(a) => a.set.num_params(),
            Self::Hyper(h) => h.num_trained(),
        }
    }

    fn describe(&self, model_values: usize) -> String {
        let num = self.num_params();
        let share = 100.0 * num as f64 / model_values.max(1) as f64;
        let of = format!("{num} parameters ({share:.2}% of the model)");
        match self {
            Self::Lora(l) => format!("LoRA: {of} in {} adapters", l.set.adapters.len()),
            Self::Adapters(a) => format!("adapters: {of}, {} by name", a.set.adapters.len()),
            Self::Hyper(h) => {
                let c = &h.network.config;
                let what = match &h.only {
                    None => format!("hidden {}, bottleneck {}", c.hidden, c.bottleneck),
                    Some(only) => format!("{} vectors of new languages alone", only.len()),
                };
                format!("{}: {of}, {what}", c.kind.name())
            }
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Lora(l) => l.set.adapters.keys().cloned().collect(),
            Self::Adapters(a) => a.set.adapters.keys().cloned().collect(),
            Self::Hyper(h) => {
                let c = &h.network.config;
                let names: BTreeSet<&str> =
                    c.language_tables().into_iter().flat_map(|t| c.languages(t)).collect();
                names.into_iter().map(str::to_string).collect()
            }
        }
    }

    /// Ready for the trainer, gradient slots from `first_slot` on.
    pub fn training(
        self,
        corpus: &Corpus,
        valid: Option<&Corpus>,
        context: &Context,
        (model, base_model): (&ModelConfig, String),
        first_slot: usize,
    ) -> Result<Box<dyn TrainedParts>> {
        let error = UnknownLanguage::Error;
        Ok(match self {
            Self::Lora(new) => {
                let placement = &new.set.placement;
                let check = |(task, d): &TaskLane| {
                    uses_of(placement, "LoRA", (*task, d), error).map(|_| ())
                };
                let lanes = checked_lanes(corpus, valid, &check, context);
                Box::new(LoraTraining::new(
                    new.set,
                    new.gates,
                    new.pruning,
                    lanes.into_iter(),
                    (new.shapes, base_model),
                    first_slot,
                )?)
            }
            Self::Adapters(new) => {
                let placement = &new.set.config.placement;
                let check = |(task, d): &TaskLane| {
                    uses_of(placement, "adapter", (*task, d), error).map(|_| ())
                };
                let lanes = checked_lanes(corpus, valid, &check, context);
                let set = new.set;
                Box::new(AdapterTraining::new(
                    set,
                    lanes.into_iter(),
                    model,
                    base_model,
                    first_slot,
                )?)
            }
            Self::Hyper(new) => {
                let only = new.only;
                // Vectors that are trained are new before the first update: only their presence
                // counts.
                let excused = |key: &str| {
                    only.as_ref().is_none_or(|o| o.contains(&format!("embedding.{key}")))
                };
                let check = |(task, d): &TaskLane| {
                    let langs = (d.src_lang.as_str(), d.tgt_lang.as_str());
                    new.network.check_sides(task.name(), langs, task.sides(), &excused)
                };
                let lanes = checked_lanes(corpus, valid, &check, context);
                let base = |(lane, u): (TaskLane, UnknownLanguage)| {
                    (u == UnknownLanguage::Base).then_some(lane)
                };
                let without = lanes.into_iter().filter_map(base).collect();
                let trains = |name: &str| only.as_ref().is_none_or(|o| o.contains(name));
                Box::new(HyperTraining::new(new.network, trains, without, first_slot))
            }
        })
    }
}
