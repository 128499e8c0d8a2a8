//! New pairs for the languages of a text: which modules an adapter needs, their ranks, their first
//! values.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;

use super::set::{LoraModule, LoraSet};
use crate::error::{Error, Result};
use crate::formats::lora::{check_model, module_path};
use crate::formats::lora_placement::{Index, Language, Placement, SHARED, check_name};
use crate::formats::peft::Shapes;
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

/// The languages and adapters that directions need. `adapter_of` names the adapter of a language.
///
/// # Errors
/// A name that cannot be a directory's.
pub fn placement_for(
    mut placement: Placement,
    directions: &[(String, String)],
    adapter_of: &dyn Fn(&str) -> Result<String>,
) -> Result<Placement> {
    let indices: BTreeSet<&'static str> =
        placement.modules().map(|(.., index)| index.name()).collect();
    let has = |name: &str| indices.contains(name);
    let mixed = has("mixed");
    let mut languages: BTreeMap<String, Language> = BTreeMap::new();
    if has("source") || has("target") || has("direction") || mixed {
        for (src, tgt) in directions {
            for (code, is_source) in [(src, true), (tgt, false)] {
                let adapter = adapter_of(code)?;
                let entry = Language { adapter, source: false, target: false };
                let language = languages.entry(code.clone()).or_insert(entry);
                language.source |= is_source;
                language.target |= !is_source;
            }
        }
    }
    let mut adapters = BTreeSet::new();
    if has("shared") {
        adapters.insert(SHARED.to_string());
    }
    if has("source") || mixed {
        adapters.extend(languages.values().filter(|l| l.source).map(|l| l.adapter.clone()));
    }
    if has("target") || mixed {
        adapters.extend(languages.values().filter(|l| l.target).map(|l| l.adapter.clone()));
    }
    for name in &adapters {
        check_name(name)?;
    }
    if adapters.contains(SHARED) && languages.values().any(|l| l.adapter == SHARED) {
        return Err(Error::usage(format!("`{SHARED}` is the name of the adapter that all share")));
    }
    if has("direction") {
        // Named by the adapters of both languages: `de-en`, `Romance-en`.
        let mut owner: BTreeMap<String, (String, String)> = BTreeMap::new();
        for (src, tgt) in directions {
            let (s, t) = (languages[src].adapter.clone(), languages[tgt].adapter.clone());
            let name = format!("{s}-{t}");
            check_name(&name)?;
            let first = owner.entry(name.clone()).or_insert_with(|| (s.clone(), t.clone()));
            if *first != (s, t) || adapters.contains(&name) {
                return Err(Error::usage(format!("two adapters would be called `{name}`"))
                    .hint("use labels without a dash"));
            }
            placement.directions.insert(format!("{src}-{tgt}"), name);
        }
        adapters.extend(owner.into_keys());
    }
    placement.languages = languages;
    placement.adapters = adapters;
    Ok(placement)
}

/// Adapters that use a module.
fn users(placement: &Placement, index: Index) -> BTreeSet<&str> {
    let by = |used: fn(&Language) -> bool| {
        placement.languages.values().filter(move |l| used(l)).map(|l| l.adapter.as_str())
    };
    match index {
        Index::Source => by(|l| l.source).collect(),
        Index::Target => by(|l| l.target).collect(),
        Index::Mixed(_) => by(|_| true).collect(),
        Index::Shared => [SHARED].into(),
        Index::Direction => placement.directions.values().map(String::as_str).collect(),
    }
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
