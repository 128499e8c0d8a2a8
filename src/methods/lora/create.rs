//! New pairs for the languages of a text: which modules an adapter needs, their ranks, their first
//! values.

use std::collections::BTreeMap;

use rand::Rng;

use super::set::{LoraModule, LoraSet};
use crate::error::{Error, Result};
use crate::formats::lora::{check_model, module_path};
use crate::formats::peft::Shapes;
use crate::formats::placement::Placement;
use crate::methods::placed::users;
use crate::random::named_rng;

/// How A begins; B is zero, so that the model begins as its base.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Initialisation {
    /// Uniform within 1/sqrt(rank), as the published LSLo (Cao et al. 2024)
    #[default]
    Lslo,
    /// Uniform within 1/sqrt(width of the input), as PEFT
    Standard,
}

/// What a new set consists of.
pub struct LoraSpec<'a> {
    /// Layers and modules; languages and adapters are filled in.
    pub placement: Placement,
    pub shapes: &'a Shapes,
    /// Rank of an adapter's module, given by full path.
    pub rank: &'a dyn Fn(&str, &str) -> usize,
    /// None means that alpha is the rank: a scaling of 1.
    pub alpha: Option<f64>,
    pub dropout: f64,
    pub initialisation: Initialisation,
    pub seed: u64,
}

impl LoraSpec<'_> {
    /// The set, its parameters frozen.
    ///
    /// # Errors
    /// Usage: a rank of 0, or above the matrix's. Artifact: a placement of another model.
    pub fn create(self) -> Result<LoraSet> {
        check_model(&self.placement, self.shapes)?;
        let mut adapters: BTreeMap<String, BTreeMap<String, LoraModule>> = BTreeMap::new();
        for (side, layer, module, index) in self.placement.modules() {
            let path = module_path(side, layer, module);
            let (out, inp) = self.shapes[&path];
            let width = |whole: usize| self.placement.slice.map_or(whole, |s| s.1);
            let (out, inp) = (width(out), width(inp));
            for adapter in users(&self.placement, index) {
                let rank = (self.rank)(adapter, &path);
                if rank == 0 || rank > out.min(inp) {
                    return Err(Error::usage("rank is out of range")
                        .tensor(&path)
                        .found(format!("{rank} for `{adapter}`"))
                        .expected(format!("1 to {}", out.min(inp))));
                }
                let module = self.module(adapter, &path, rank, (out, inp))?;
                adapters.entry(adapter.to_string()).or_default().insert(path.clone(), module);
            }
        }
        if adapters.is_empty() {
            return Err(Error::usage("the placement leaves nothing to train").flag("--lora-index"));
        }
        Ok(LoraSet { placement: self.placement, adapters, dropout: self.dropout })
    }

    fn module(
        &self,
        adapter: &str,
        path: &str,
        rank: usize,
        (out, inp): (usize, usize),
    ) -> Result<LoraModule> {
        // Specification of LSLo, section 5: PyTorch takes the fan-in of a [d, r] tensor from its
        // second dimension, the rank.
        let fan_in = match self.initialisation {
            Initialisation::Lslo => rank,
            Initialisation::Standard => inp,
        };
        let bound = 1.0 / (fan_in as f32).sqrt();
        let mut rng = named_rng(self.seed, &format!("lora/{adapter}/{path}"));
        let a: Vec<f32> = (0..rank * inp).map(|_| rng.random_range(-bound..bound)).collect();
        let alpha = self.alpha.unwrap_or(rank as f64);
        LoraModule::new(adapter, path, (rank, alpha), a, vec![0.0; out * rank])
    }
}
