//! Which plain adapters stand for a hyper-network: one for each source, target or direction,
//! whatever its inputs depend on.

use std::collections::{BTreeMap, BTreeSet};

use super::network::HyperNetwork;
use crate::autograd::Tape;
use crate::error::{Error, ErrorKind, Result};
use crate::formats::adapters::{AdapterSetConfig, AdapterWeights, NormPlace, Site};
use crate::formats::hypernet::{Affine, Factor};
use crate::formats::neurons::Side;
use crate::formats::placement::{Index, Layer, Placement};
use crate::methods::adapters::weights_of;
use crate::methods::placed::placement_for;
use crate::model::Noise;

/// The adapters of some directions.
pub struct ExportPlan {
    pub config: AdapterSetConfig,
    /// Bottleneck by adapter and site.
    pub shapes: BTreeMap<String, BTreeMap<Site, usize>>,
    /// Source and target language that an adapter is made for, where it depends on them.
    pub languages: BTreeMap<String, (Option<String>, Option<String>)>,
}

impl HyperNetwork {
    /// By what the adapters of a side differ.
    pub fn index(&self, side: Side) -> Index {
        let inputs = self.config.inputs(side);
        let own = inputs.contains(&Factor::Language);
        let source = inputs.contains(&Factor::Source) || own && side == Side::Encoder;
        let target = inputs.contains(&Factor::Target) || own && side == Side::Decoder;
        match (source, target) {
            (true, true) => Index::Direction,
            (true, false) => Index::Source,
            (false, true) => Index::Target,
            (false, false) => Index::Shared,
        }
    }

    /// Languages that the network can translate from, and into.
    pub fn sources_and_targets(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let of = |factor: Factor| -> BTreeSet<String> {
            let factors = self.config.kind.factors();
            let table = match factors.contains(&factor) {
                true => self.config.table(factor),
                false => self.config.table(Factor::Language),
            };
            let trained = |l: &&str| {
                self.config.rows.get(&format!("{table}.{l}")).is_some_and(|r| r.is_trained())
            };
            self.config.languages(table).into_iter().filter(trained).map(str::to_string).collect()
        };
        (of(Factor::Source), of(Factor::Target))
    }

    /// What adapters directions need for a task that runs these sides.
    ///
    /// # Errors
    /// Data: a language without a vector, or with one that was never trained. Usage: a language
    /// whose name cannot be an adapter's.
    pub fn plan_export(
        &self,
        (task, sides): (&str, &[Side]),
        directions: &[(String, String)],
    ) -> Result<ExportPlan> {
        let c = &self.config;
        let layers = |side: Side, count: usize| -> Vec<Layer> {
            let index = self.index(side);
            let here = c.positions.iter().filter(|p| p.is_on(side) && sides.contains(&side));
            vec![here.map(|p| (p.name().to_string(), index)).collect(); count]
        };
        let placement = Placement {
            encoder: layers(Side::Encoder, c.encoder_layers),
            decoder: layers(Side::Decoder, c.decoder_layers),
            base_model_sha256: c.base_model_sha256.clone(),
            ..Placement::default()
        };
        let (both, encoded): (&[_], Vec<String>) = match sides.contains(&Side::Decoder) {
            true => (directions, Vec::new()),
            false => (&[], directions.iter().map(|d| d.0.clone()).collect()),
        };
        let placement = placement_for(placement, both, &encoded, &|l| Ok(l.to_string()))
            .map_err(|e| e.of_kind(ErrorKind::Usage))?;
        let (mut checked, mut plan) = (BTreeSet::new(), BTreeMap::new());
        let mut shapes: BTreeMap<String, BTreeMap<Site, usize>> = BTreeMap::new();
        let by_direction = sides.iter().any(|side| self.index(*side) == Index::Direction);
        for (src, tgt) in directions {
            // A pair of hundreds of languages is nothing new after both were seen.
            match checked.insert((Side::Encoder, src)) | checked.insert((Side::Decoder, tgt)) {
                true => self.check_trained(task, (src, tgt), sides)?,
                false if !by_direction => continue,
                false => {}
            }
            let used = placement.choose("adapter", src, tgt, Default::default())?;
            for site in c.sites().into_iter().filter(|s| sides.contains(&s.side)) {
                let layer = match site.side {
                    Side::Encoder => used.encoder.get(site.layer),
                    Side::Decoder => used.decoder.get(site.layer),
                };
                let index = self.index(site.side);
                let Some(name) = layer.and_then(|l| l.of(index)) else { continue };
                let new = !shapes.contains_key(name);
                let sites = shapes.entry(name.to_string()).or_default();
                sites.insert(site, c.bottleneck);
                if new || index == Index::Direction {
                    plan.entry(name.to_string()).or_insert((None, None));
                }
                if let Some(of) = plan.get_mut(name) {
                    if matches!(index, Index::Source | Index::Direction) {
                        of.0.get_or_insert_with(|| src.clone());
                    }
                    if matches!(index, Index::Target | Index::Direction) {
                        of.1.get_or_insert_with(|| tgt.clone());
                    }
                }
            }
        }
        let config = AdapterSetConfig {
            d_model: c.d_model,
            norm: c.norm,
            affine: c.norm != NormPlace::None && c.affine != Affine::None,
            task: sides
                .iter()
                .any(|side| c.inputs(*side).contains(&Factor::Task))
                .then(|| task.to_string()),
            placement,
        };
        Ok(ExportPlan { config, shapes, languages: plan })
    }

    /// The values of an adapter for a task at its sites, all at once.
    pub fn export(
        &self,
        task: &str,
        (src, tgt): (Option<&str>, Option<&str>),
        sites: &[Site],
    ) -> Result<Vec<AdapterWeights>> {
        // What a side does not depend on is nothing to it.
        let used = self.used(src.unwrap_or_default(), tgt.unwrap_or_default());
        let (tape, noise) = (Tape::disabled(), Noise::none());
        let adapters = self.generate(&tape, &noise, task, &used, sites)?;
        let weights: Vec<AdapterWeights> =
            adapters.iter().map(weights_of).collect::<Result<_>>()?;
        match weights.iter().position(|w| !w.is_finite()) {
            None => Ok(weights),
            Some(i) => {
                Err(Error::artifact("the hyper-network generates values that are no numbers")
                    .tensor(sites[i].to_string()))
            }
        }
    }
}
