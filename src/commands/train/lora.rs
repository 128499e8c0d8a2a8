//! `train --method lora`: the pairs that its flags ask for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::args::Args;
use super::indexed::{column, indices, label, pairs_of};
use super::lora_args::LoraTrainArgs;
use crate::cli::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::formats::lora::{LoraFiles, check_model, num_layers, resolve, split_path};
use crate::formats::peft::{Shapes, is_suffix};
use crate::formats::placement::{FILE, Index, Layer, Mix, Placement};
use crate::formats::provenance::{Parent, display_name, file_sha256, hex};
use crate::io::read_text;
use crate::kernels::storage::values;
use crate::methods::lora::{Gates, LoraSet, LoraSpec, Pruning, Ranks};
use crate::methods::placement_for;
use crate::model::Checkpoint;
use crate::model::checkpoint::linear_shapes;
use crate::scoring::labels::Labels;
use crate::training::{LEARNED, TaskLane};

/// A set about to be trained.
pub struct NewLora {
    pub set: LoraSet,
    pub gates: Option<Gates>,
    pub pruning: Option<Pruning>,
    pub shapes: Shapes,
    /// Fingerprint of placement, ranks and first values.
    pub sha256: String,
    /// Files it was made from: a placement, labels, another LoRA.
    pub parents: Vec<Parent>,
}

impl LoraTrainArgs {
    /// The pairs for the directions of a text, in their first state.
    pub fn create(
        &self,
        args: &Args,
        context: &Context,
        base: &Checkpoint,
        base_sha256: &str,
        lanes: &BTreeSet<TaskLane>,
    ) -> Result<NewLora> {
        let shapes = linear_shapes(&base.config);
        let labels = match &self.lora_groups {
            Some(path) => Some(Labels::parse(path, &read_text(path)?).map_err(|e| e.at(path))?),
            None => None,
        };
        let mut placement = self.layers(&shapes, context)?;
        placement.base_model_sha256 = Some(base_sha256.to_string());
        placement.slice = match &self.lora_slice {
            Some(text) => Some(slice(text, base.config.d_model)?),
            None => placement.slice,
        };
        check_model(&placement, &shapes).map_err(|e| {
            match (e.place().key.as_deref() == Some("slice"), &self.lora_placement) {
                (true, _) if self.lora_slice.is_some() => {
                    e.of_kind(ErrorKind::Usage).flag("--lora-slice")
                }
                (_, Some(path)) => e.at(path),
                (_, None) => e,
            }
        })?;
        let (pairs, encoded) = pairs_of(lanes);
        let share = self.column(labels.as_ref(), self.lora_share.as_deref(), "--lora-share")?;
        let adapter_of = |lang: &str| match (&labels, share) {
            (Some(labels), Some(column)) => {
                label(labels, lang, column).ok_or_else(|| self.unlabelled(lang, "--lora-share"))
            }
            _ => Ok(lang.to_string()),
        };
        let placement = placement_for(placement, &pairs, &encoded, &adapter_of).map_err(|e| {
            // A label is data; the code of a language is never a bad name.
            match &self.lora_groups {
                Some(path) => e.of_kind(ErrorKind::Data).at(path).flag("--lora-share"),
                None => e,
            }
        })?;
        let ranks = self.ranks(&placement, labels.as_ref())?;
        let rank = |adapter: &str, path: &str| ranks.of(adapter, path);
        let set = LoraSpec {
            placement,
            shapes: &shapes,
            rank: &rank,
            alpha: self.lora_alpha,
            dropout: self.lora_dropout.unwrap_or(0.0),
            initialisation: self.lora_init.unwrap_or_default(),
            seed: context.seed,
        }
        .create()
        .map_err(|e| {
            match e.place().tensor.as_deref().is_some_and(|p| ranks.is_of_module(p)) {
                true => e.flag("--lora-module-rank"),
                false => e.flag("--lora-rank"),
            }
        })?;
        if let Some(path) = &args.init_from {
            self.begin_from(path, &set, &shapes, context)?;
        }
        let gates = self.learn_placement.map(|s| Gates::new(&set.placement, s)).transpose()?;
        let sha256 = fingerprint(&set, gates.as_ref())?;
        let parents = self.parents(args)?;
        Ok(NewLora { set, gates, pruning: self.pruning(args), shapes, sha256, parents })
    }

    fn parents(&self, args: &Args) -> Result<Vec<Parent>> {
        let mut parents = Vec::new();
        let mut add = |role: &str, path: &Path, file: PathBuf| -> Result<()> {
            let sha256 = file_sha256(&file)?;
            parents.push(Parent { role: role.into(), name: display_name(path), sha256 });
            Ok(())
        };
        if let Some(path) = &self.lora_placement {
            let file = match placement_file(path) {
                Some(file) => file,
                None => resolve(path)?.join(FILE),
            };
            if file.is_file() {
                add("lora_placement", path, file)?;
            }
        }
        if let Some(path) = &self.lora_groups {
            add("labels", path, path.clone())?;
        }
        if let Some(path) = &args.init_from {
            let dir = resolve(path)?;
            let file = [dir.join(FILE), dir.join(crate::formats::peft::CONFIG)];
            if let Some(file) = file.into_iter().find(|f| f.is_file()) {
                add("init_from", path, file)?;
            }
        }
        Ok(parents)
    }

    /// Takes the pairs of another LoRA where they have the same name and shape.
    fn begin_from(
        &self,
        path: &Path,
        set: &LoraSet,
        shapes: &Shapes,
        context: &Context,
    ) -> Result<()> {
        let flag = |e: Error| e.flag("--init-from");
        let dir = resolve(path).map_err(flag)?;
        let other = LoraSet::from_files(&LoraFiles::read(&dir, shapes)?, shapes)?;
        let (taken, all) = (set.take_from(&other)?, set.parameters().count());
        if taken == 0 {
            return Err(flag(
                Error::artifact("no pair of this LoRA fits those to be trained")
                    .at(&dir)
                    .hint("languages, ranks and placement must be the same"),
            ));
        }
        if taken < all {
            context.report.warning(&flag(
                Error::artifact("the other LoRA has no pair of this rank for some modules")
                    .at(&dir)
                    .found(format!("{} of {} pairs taken over", taken / 2, all / 2))
                    .hint("the others begin anew"),
            ));
        }
        Ok(())
    }

    /// Which module of which layer is indexed how.
    fn layers(&self, shapes: &Shapes, context: &Context) -> Result<Placement> {
        if let Some(path) = &self.lora_placement {
            let learned = read_placement(path, shapes)?;
            let near =
                |i: Index| matches!(i, Index::Mixed(m) if (m.source - m.target).abs() < 0.02);
            let close = learned.modules().filter(|(.., i)| near(*i)).count();
            if close > 0 {
                context.report.warning(
                    &Error::artifact("a learned placement is hardly decided")
                        .at(path)
                        .found(format!(
                            "weights of source and target within 0.02 at {close} of {} modules",
                            learned.modules().count()
                        ))
                        .hint("learn it for longer, or with a higher `--lr`"),
                );
            }
            let decide = |layers: Vec<Layer>| {
                let layer = |l: Layer| l.into_iter().map(|(m, i)| (m, i.decided())).collect();
                layers.into_iter().map(layer).collect()
            };
            return Ok(Placement {
                encoder: decide(learned.encoder),
                decoder: decide(learned.decoder),
                slice: learned.slice,
                ..Placement::default()
            });
        }
        let text = self.lora_index.as_deref().unwrap_or("source/target");
        let (encoder, decoder) = text.split_once('/').unwrap_or((text, text));
        let depth = num_layers(shapes);
        let names = self.modules(shapes)?;
        let mixed = Index::Mixed(Mix { source: 0.5, target: 0.5 });
        let side = |spec: &str, side: &str, layers: usize| -> Result<Vec<Layer>> {
            let indices = indices(spec, side, layers, "--lora-index")?;
            let layer = |(i, index): (usize, Index)| {
                let index = if self.learn_placement.is_some() { mixed } else { index };
                let prefix = format!("model.{side}.layers.{i}.");
                let own = shapes.keys().filter_map(|p| p.strip_prefix(prefix.as_str()));
                own.filter(|m| names.contains(*m)).map(|m| (m.to_string(), index)).collect()
            };
            Ok(indices.into_iter().enumerate().map(layer).collect())
        };
        if self.learn_placement.is_some() && self.lora_index.is_some() {
            return Err(Error::usage("the index is given, and is to be learned")
                .flag("--lora-index")
                .hint("leave out `--lora-index` or `--learn-placement`"));
        }
        Ok(Placement {
            encoder: side(encoder, "encoder", depth[0])?,
            decoder: side(decoder, "decoder", depth[1])?,
            ..Placement::default()
        })
    }

    /// Names within a layer, such as `self_attn.q_proj`.
    fn modules(&self, shapes: &Shapes) -> Result<BTreeSet<String>> {
        let all: BTreeSet<&str> = shapes.keys().filter_map(|p| Some(split_path(p)?.2)).collect();
        let text = self.lora_modules.as_deref().unwrap_or("q_proj,k_proj,v_proj,fc1,fc2");
        let mut out = BTreeSet::new();
        for name in text.split(',').map(str::trim) {
            let fits = |m: &&str| name == "all" || is_suffix(m, name);
            let found: Vec<&str> = all.iter().copied().filter(fits).collect();
            if found.is_empty() {
                let short = all.iter().map(|m| m.rsplit('.').next().unwrap_or(m));
                let names: BTreeSet<&str> = all.iter().copied().chain(short).collect();
                return Err(Error::usage(format!("unknown module `{name}`"))
                    .flag("--lora-modules")
                    .expected(all.iter().copied().collect::<Vec<_>>().join(", "))
                    .suggest(name, names));
            }
            out.extend(found.into_iter().map(str::to_string));
        }
        Ok(out)
    }

    fn column(
        &self,
        labels: Option<&Labels>,
        name: Option<&str>,
        flag: &str,
    ) -> Result<Option<usize>> {
        let (Some(labels), Some(name)) = (labels, name) else { return Ok(None) };
        column(labels, name, flag).map(Some)
    }

    fn unlabelled(&self, lang: &str, flag: &str) -> Error {
        let e = Error::data(format!("language `{lang}` has no label")).flag(flag);
        match &self.lora_groups {
            Some(path) => e.at(path),
            None => e,
        }
    }

    /// The rank of every adapter and module.
    fn ranks(&self, placement: &Placement, labels: Option<&Labels>) -> Result<Ranks> {
        let column = match &self.lora_rank_by {
            Some(name) => self.column(labels, Some(name), "--lora-rank-by")?,
            // Without one by this name no language has a label.
            None => self.column(labels, Some("tier"), "--lora-rank-by").unwrap_or(None),
        };
        let text = self.lora_rank.as_deref().unwrap_or("8");
        Ranks::resolve(text, &self.lora_module_rank, placement, &|lang| {
            Ok(labels.zip(column).and_then(|(labels, column)| label(labels, lang, column)))
        })
    }
}

/// The file itself, or what a run has learned.
fn placement_file(path: &Path) -> Option<PathBuf> {
    let learned = path.join(LEARNED);
    if path.is_file() { Some(path.to_path_buf()) } else { Some(learned).filter(|f| f.is_file()) }
}

/// A placement file, what a run has learned, or the placement of a LoRA.
fn read_placement(path: &Path, shapes: &Shapes) -> Result<Placement> {
    if let Some(file) = placement_file(path) {
        return Placement::read(&file);
    }
    Ok(LoraFiles::read(&resolve(path)?, shapes)?.placement)
}

/// `0..1024` or `d_model` as first coordinate and number.
fn slice(text: &str, d_model: usize) -> Result<(usize, usize)> {
    if text == "d_model" {
        return Ok((0, d_model));
    }
    let ends = text.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    match ends {
        Some((a, b)) if a < b => Ok((a, b - a)),
        _ => Err(Error::usage(format!("`{text}` is no range of coordinates"))
            .flag("--lora-slice")
            .expected(format!("such as `0..{d_model}`, or `d_model`"))),
    }
}

fn fingerprint(set: &LoraSet, gates: Option<&Gates>) -> Result<String> {
    let mut hasher = Sha256::new();
    hasher.update(set.placement.to_text()?);
    for (adapter, modules) in &set.adapters {
        for (path, m) in modules {
            hasher.update(format!("{adapter} {path} {} {}\n", m.rank(), m.alpha));
            for p in [&m.lora_a, &m.lora_b] {
                values(&p.tensor)?.iter().for_each(|v| hasher.update(v.to_le_bytes()));
            }
        }
    }
    if let Some(gates) = gates {
        gates.logits.keys().for_each(|name| hasher.update(format!("{name}\n")));
    }
    Ok(hex(&hasher.finalize()))
}
