//! `train --method adapters`: the stored adapters that its flags ask for.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::adapter_args::AdapterTrainArgs;
use super::args::Args;
use super::indexed::{column, indices, label, pairs_of};
use crate::cli::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::formats::adapters::{AdapterDir, AdapterSetConfig, NormPlace, Position};
use crate::formats::hypernet::{self, Affine};
use crate::formats::neurons::Side;
use crate::formats::placement::{Layer, Placement};
use crate::formats::provenance::{Parent, display_name, file_sha256, hex};
use crate::io::read_text;
use crate::kernels::storage::values;
use crate::methods::adapters::{AdapterSet, AdapterSpec};
use crate::methods::{placed_users, placement_for};
use crate::model::ModelConfig;
use crate::scoring::labels::Labels;
use crate::training::TaskLane;

/// A set about to be trained.
pub struct NewAdapters {
    pub set: AdapterSet,
    /// Fingerprint of placement and first values.
    pub sha256: String,
    /// Files it was made from: labels, other adapters.
    pub parents: Vec<Parent>,
}

impl AdapterTrainArgs {
    /// Where adapters stand.
    pub(super) fn positions(&self, default: Position) -> BTreeSet<Position> {
        match self.adapter_position.is_empty() {
            true => [default].into(),
            false => self.adapter_position.iter().copied().collect(),
        }
    }

    /// The adapters for the directions of a text, in their first state. `base_sha256` is that of a
    /// model that stays as it is.
    pub fn create_stored(
        &self,
        args: &Args,
        context: &Context,
        model: &ModelConfig,
        base_sha256: Option<&str>,
        lanes: &BTreeSet<TaskLane>,
    ) -> Result<NewAdapters> {
        let labels = match &self.adapter_groups {
            Some(path) => Some(Labels::parse(path, &read_text(path)?).map_err(|e| e.at(path))?),
            None => None,
        };
        let share = match (&labels, &self.adapter_share) {
            (Some(labels), Some(name)) => Some(column(labels, name, "--adapter-share")?),
            _ => None,
        };
        let at = |e: Error| match &self.adapter_groups {
            Some(path) => e.of_kind(ErrorKind::Data).at(path).flag("--adapter-share"),
            None => e,
        };
        let adapter_of = |lang: &str| match (&labels, share) {
            (Some(labels), Some(column)) => label(labels, lang, column)
                .ok_or_else(|| Error::data(format!("language `{lang}` has no label"))),
            _ => Ok(lang.to_string()),
        };
        let mut placement = self.layers(model)?;
        placement.base_model_sha256 = base_sha256.map(str::to_string);
        let (pairs, encoded) = pairs_of(lanes);
        let placement = placement_for(placement, &pairs, &encoded, &adapter_of).map_err(at)?;
        let norm = self.adapter_norm.unwrap_or_default();
        let bottleneck = self.adapter_bottleneck.unwrap_or(super::DEFAULT_BOTTLENECK);
        let sites: usize =
            placement.modules().map(|(.., index)| placed_users(&placement, index).len()).sum();
        let n = sites.saturating_mul(bottleneck).saturating_mul(2 * model.d_model + 1);
        if n > super::MAX_PARAMS {
            return Err(Error::usage("adapters of absurd size")
                .flag("--adapter-bottleneck")
                .found(format!("{n} parameters"))
                .expected(format!("at most {}", super::MAX_PARAMS)));
        }
        let set = AdapterSpec {
            config: AdapterSetConfig {
                d_model: model.d_model,
                norm,
                affine: norm != NormPlace::None && self.adapter_affine != Some(Affine::None),
                task: None,
                placement,
            },
            bottleneck,
            init: self.adapter_init.unwrap_or_default(),
            seed: context.seed,
        }
        .create()?;
        let mut parents = Vec::new();
        if let Some(path) = &self.adapter_groups {
            let sha256 = file_sha256(path)?;
            parents.push(Parent { role: "labels".into(), name: display_name(path), sha256 });
        }
        if let Some(path) = &args.init_from {
            let flag = |e: Error| e.flag("--init-from");
            if let Ok(Some(dir)) = hypernet::resolve(path) {
                return Err(flag(Error::artifact("a hyper-network, not stored adapters").at(dir))
                    .hint("`isogloss gen-adapters` makes adapters of it"));
            }
            let dir = AdapterDir::resolve(path).map_err(flag)?;
            let (e, d) = (model.encoder_layers, model.decoder_layers);
            let dir = AdapterDir::open(&dir, model.d_model, e, d).map_err(flag)?;
            let taken = set.take_from(&AdapterSet::from_dir(&dir)?)?;
            super::say_taken(taken, set.parameters().count(), dir.dir(), context)?;
            let sha256 = dir.sha256()?;
            parents.push(Parent { role: "init_from".into(), name: display_name(path), sha256 });
        }
        let sha256 = fingerprint(&set)?;
        Ok(NewAdapters { set, sha256, parents })
    }

    fn layers(&self, model: &ModelConfig) -> Result<Placement> {
        let positions = self.positions(Position::Layer);
        let text = self.adapter_index.as_deref().unwrap_or("source/target");
        let (encoder, decoder) = text.split_once('/').unwrap_or((text, text));
        let side = |spec: &str, side: Side, layers: usize| -> Result<Vec<Layer>> {
            let here: Vec<Position> = positions.iter().copied().filter(|p| p.is_on(side)).collect();
            let layer = |index| -> Layer {
                here.iter().map(|p| (p.name().to_string(), index)).collect::<BTreeMap<_, _>>()
            };
            let all = indices(spec, side.as_str(), layers, "--adapter-index")?;
            Ok(all.into_iter().map(layer).collect())
        };
        Ok(Placement {
            encoder: side(encoder, Side::Encoder, model.encoder_layers)?,
            decoder: side(decoder, Side::Decoder, model.decoder_layers)?,
            ..Placement::default()
        })
    }
}

fn fingerprint(set: &AdapterSet) -> Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(set.config.placement.to_text()?);
    hasher.update(format!("{:?} {}\n", set.config.norm, set.config.affine));
    for p in set.parameters() {
        hasher.update(format!("{} {:?}\n", p.name, p.tensor.dims()));
        values(&p.tensor)?.iter().for_each(|v| hasher.update(v.to_le_bytes()));
    }
    Ok(hex(&hasher.finalize()))
}
