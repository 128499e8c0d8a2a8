//! `train --method hyper-adapters` and `hyper-x`: the hyper-network that the flags ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::adapter_args::{AdapterTrainArgs, HyperSize};
use super::args::{Args, Method};
use crate::cli::Context;
use crate::commands::adapters::{base_mismatch, check_shape, hyper_dir, of_flag};
use crate::error::{Error, Result};
use crate::formats::adapters::{NormPlace, Position};
use crate::formats::hypernet::{Affine, Factor, HyperConfig, Kind, Row, WEIGHTS};
use crate::formats::neurons::Side;
use crate::formats::provenance::{Parent, display_name, file_sha256, hex};
use crate::kernels::storage::values;
use crate::methods::hyper::{HyperInit, HyperNetwork, Mixture, fit_hidden, num_params, rows_for};
use crate::model::{Checkpoint, ModelConfig};
use crate::text::Direction;
use crate::training::{Corpus, Task};

/// A hyper-network about to be trained.
pub struct NewHyper {
    pub network: HyperNetwork,
    /// Of its parameters, those whose names these are; none for all.
    pub only: Option<BTreeSet<String>>,
    /// Fingerprint of structure and first values.
    pub sha256: String,
    pub parents: Vec<Parent>,
}

impl NewHyper {
    pub fn trains(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(name))
    }
    pub fn num_trained(&self) -> usize {
        let own = self.network.parameters().filter(|p| self.trains(&p.name));
        own.map(|p| p.tensor.elem_count()).sum()
    }
}

impl AdapterTrainArgs {
    /// The hyper-network for a text, in its first state. `base_sha256` is that of a model that stays
    /// as it is.
    pub fn create_hyper(
        &self,
        args: &Args,
        context: &Context,
        base: &Checkpoint,
        base_sha256: Option<&str>,
        corpus: &Corpus,
    ) -> Result<NewHyper> {
        if !self.new_language.is_empty() {
            return self.create_rows(args, base, corpus);
        }
        let mut config = self.structure(args.method, &base.config)?;
        config.base_model_sha256 = base_sha256.map(str::to_string);
        config.rows = rows_for(&config, &keys(corpus));
        if let Some(text) = &self.match_params {
            config.hidden = fit_hidden(&config, budget(text, &config, corpus)?)
                .map_err(|e| e.flag("--match-params"))?;
        }
        let n = num_params(&config);
        if n > super::MAX_PARAMS {
            let flag =
                if self.match_params.is_some() { "--match-params" } else { "--hyper-hidden" };
            return Err(Error::usage("a hyper-network of absurd size")
                .flag(flag)
                .found(format!("{n} parameters"))
                .expected(format!("at most {}", super::MAX_PARAMS))
                .hint("`--adapter-bottleneck` times hidden units is what its heads have"));
        }
        let init = self.hyper_init.unwrap_or(match config.kind {
            Kind::HyperAdapters => HyperInit::Xavier,
            Kind::HyperX => HyperInit::Small,
        });
        let mut network = HyperNetwork::create(config, init, context.seed)?;
        let mut parents = Vec::new();
        if let Some(path) = &args.init_from {
            let (dir, parent) = begin_from(path)?;
            let other = HyperNetwork::read(&dir)?;
            check_kind(&other, args.method)?;
            let taken = network.take_from(&other)?;
            super::say_taken(taken, network.parameters().count(), &dir, context)?;
            parents.push(parent);
        }
        let sha256 = fingerprint(&network)?;
        Ok(NewHyper { network, only: None, sha256, parents })
    }

    /// The network of `--init-from` with vectors of new languages, which alone are trained.
    fn create_rows(&self, args: &Args, base: &Checkpoint, corpus: &Corpus) -> Result<NewHyper> {
        let flag = "--new-language";
        let Some(path) = &args.init_from else {
            return Err(Error::usage("new languages of which hyper-network?")
                .flag(flag)
                .hint("add `--init-from RUN`"));
        };
        let [any, _, hyper, residual, projected] = self.given_structure();
        if let Some(other) = any.or(hyper).or(residual).or(projected) {
            return Err(Error::usage(
                "the structure is that of the hyper-network of `--init-from`",
            )
            .flag(other));
        }
        let (dir, parent) = begin_from(path)?;
        let mut network = HyperNetwork::read(&dir)?;
        check_kind(&network, args.method)?;
        check_shape(&network.config, &base.config).map_err(|e| e.at(&dir))?;
        let own = network.config.base_model_sha256.as_deref();
        if let Some(e) = base_mismatch(own, &dir, base)? {
            return Err(e);
        }
        network.config.base_model_sha256 = Some(base.sha256()?);
        let mut only = BTreeSet::new();
        for text in &self.new_language {
            let (name, mixture) = Mixture::parse_named(text).map_err(of_flag(flag))?;
            let known: BTreeSet<String> = network.config.rows.keys().cloned().collect();
            network.add_language(&name, &mixture).map_err(of_flag(flag))?;
            let added: Vec<String> =
                network.config.rows.keys().filter(|k| !known.contains(*k)).cloned().collect();
            for key in added {
                // Only updates make it a vector of its own.
                network.config.rows.insert(key.clone(), Row::default());
                only.insert(format!("embedding.{key}"));
            }
        }
        let new: BTreeSet<&str> =
            only.iter().filter_map(|n| n.rsplit_once('.').map(|n| n.1)).collect();
        let of_lane = |d: &Direction| [d.src_lang.clone(), d.tgt_lang.clone()];
        let in_text: BTreeSet<String> =
            corpus.directions.iter().flat_map(|lane| of_lane(&lane.direction)).collect();
        if let Some(l) = new.iter().find(|l| !in_text.contains(**l)) {
            return Err(Error::data(format!("the text has nothing in the new language `{l}`"))
                .flag(flag)
                .found(format!("text in {}", in_text.into_iter().collect::<Vec<_>>().join(", "))));
        }
        for lane in &corpus.directions {
            let d = &lane.direction;
            if !new.contains(d.src_lang.as_str()) && !new.contains(d.tgt_lang.as_str()) {
                let languages = new.iter().copied().collect::<Vec<_>>().join(", ");
                return Err(Error::data(format!(
                    "nothing would be learned from `{}`",
                    lane.name()
                ))
                .expected(format!("text of {languages}"))
                .hint(match lane.task {
                    Task::Translation => "`--direction A-B` chooses directions of a text",
                    Task::Denoising => "`--denoise-languages` chooses languages of a text",
                    Task::Tagging => "`--tag-languages` chooses languages of a text",
                }));
            }
            let own = |key: &str| only.contains(&format!("embedding.{key}"));
            let (task, langs) = (lane.task, (d.src_lang.as_str(), d.tgt_lang.as_str()));
            network.check_sides(task.name(), langs, task.sides(), &own).map_err(|e| {
                Error::new(e.kind(), e.message())
                    .cause(format!("it is needed for `{}`", lane.name()))
                    .hint("a new language begins as languages that have one in the same role")
            })?;
        }
        let sha256 = fingerprint(&network)?;
        Ok(NewHyper { network, only: Some(only), sha256, parents: vec![parent] })
    }

    fn structure(&self, method: Method, model: &ModelConfig) -> Result<HyperConfig> {
        let kind = kind(method);
        let is_x = kind == Kind::HyperX;
        let norm = self.adapter_norm.unwrap_or(match kind {
            Kind::HyperAdapters => NormPlace::Before,
            Kind::HyperX => NormPlace::None,
        });
        let affine = self.adapter_affine.unwrap_or(match kind {
            Kind::HyperX if norm != NormPlace::None => Affine::Generated,
            _ => Affine::None,
        });
        let hidden = match (self.hyper_hidden, self.hyper_size, kind) {
            (Some(n), ..) => n,
            (_, None, Kind::HyperAdapters) => 64,
            (_, Some(HyperSize::Small), Kind::HyperAdapters) => 102,
            (_, Some(HyperSize::Base), Kind::HyperAdapters) => 204,
            (_, Some(HyperSize::Large), Kind::HyperAdapters) => 612,
            (_, None | Some(HyperSize::Small), Kind::HyperX) => 32,
            (_, Some(_), Kind::HyperX) => 192,
        };
        let (encoder_inputs, decoder_inputs) = self.inputs(kind)?;
        let embedding_dim = self.embedding_dim.unwrap_or(if is_x { 64 } else { 50 });
        let position = if is_x { Position::FeedForward } else { Position::Layer };
        Ok(HyperConfig {
            kind,
            d_model: model.d_model,
            encoder_layers: model.encoder_layers,
            decoder_layers: model.decoder_layers,
            bottleneck: self.adapter_bottleneck.unwrap_or(super::DEFAULT_BOTTLENECK),
            positions: self.positions(position),
            norm,
            affine,
            encoder_inputs,
            decoder_inputs,
            embedding_dim,
            layer_embedding_dim: self.layer_embedding_dim.unwrap_or(embedding_dim),
            hidden,
            projection: is_x.then(|| self.hyper_projection.unwrap_or(192)),
            blocks: if is_x { 0 } else { self.hyper_blocks.unwrap_or(2) },
            input_norm: self.hyper_input_norm,
            output_norm: self.hyper_output_norm,
            dropout: self.hyper_dropout.unwrap_or(0.0),
            rescale: !is_x && !self.no_rescale,
            tie_languages: self.tie_languages,
            shared_layer_ids: self.shared_layer_ids,
            trained_sides: Some(BTreeSet::new()),
            rows: BTreeMap::new(),
            base_model_sha256: None,
        })
    }

    /// `source,layer/target,layer` as the inputs of both sides.
    fn inputs(&self, kind: Kind) -> Result<(BTreeSet<Factor>, BTreeSet<Factor>)> {
        let all: BTreeSet<Factor> = kind.factors().iter().copied().collect();
        let Some(text) = &self.hyper_inputs else { return Ok((all.clone(), all)) };
        let side = |list: &str| -> Result<BTreeSet<Factor>> {
            let one = |name: &str| {
                let names = || all.iter().map(|f| f.name());
                all.iter().copied().find(|f| f.name() == name).ok_or_else(|| {
                    Error::usage(format!("unknown input `{name}`"))
                        .flag("--hyper-inputs")
                        .expected(names().collect::<Vec<_>>().join(", "))
                        .suggest(name, names())
                })
            };
            // A side may depend on nothing: all its adapters are then one.
            match list.trim() {
                "" => Ok(BTreeSet::new()),
                list => list.split(',').map(|n| one(n.trim())).collect(),
            }
        };
        let (encoder, decoder) = text.split_once('/').unwrap_or((text, text));
        Ok((side(encoder)?, side(decoder)?))
    }
}

fn kind(method: Method) -> Kind {
    match method {
        Method::HyperX => Kind::HyperX,
        _ => Kind::HyperAdapters,
    }
}

/// What one kind has learned means nothing to the other.
fn check_kind(network: &HyperNetwork, method: Method) -> Result<()> {
    let (found, asked) = (network.config.kind, kind(method));
    if found == asked {
        return Ok(());
    }
    Err(Error::usage("the hyper-network of `--init-from` is of another kind")
        .flag("--method")
        .found(asked.name())
        .expected(found.name())
        .hint(format!("`--method {}`", found.name())))
}

/// Keys by factor that a text needs: tasks, sources, targets, languages of either.
fn keys(corpus: &Corpus) -> BTreeMap<Factor, BTreeSet<String>> {
    let mut keys: BTreeMap<Factor, BTreeSet<String>> = BTreeMap::new();
    let mut add = |factor: Factor, key: &str| {
        keys.entry(factor).or_default().insert(key.to_string());
    };
    for lane in &corpus.directions {
        let (src, tgt) = (&lane.direction.src_lang, &lane.direction.tgt_lang);
        add(Factor::Task, lane.task.name());
        add(Factor::Source, src);
        add(Factor::Target, tgt);
        add(Factor::Language, src);
        add(Factor::Language, tgt);
    }
    keys
}

/// What `--match-params` allows: a number, or a share of what stored adapters keyed by source in the
/// encoder and target in the decoder would take, with norms of their own.
fn budget(text: &str, config: &HyperConfig, corpus: &Corpus) -> Result<usize> {
    let bad = || {
        Error::usage(format!("`{text}` is no number of parameters"))
            .flag("--match-params")
            .expected("such as 2000000, 1/6 or 50%")
    };
    let number = |t: &str| t.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
    let share = if let Some((a, b)) = text.split_once('/') {
        number(a).zip(number(b)).map(|(a, b)| a / b)
    } else if let Some(percent) = text.strip_suffix('%') {
        number(percent).map(|p| p / 100.0)
    } else {
        return text.trim().parse::<usize>().ok().filter(|n| *n > 0).ok_or_else(bad);
    };
    let share = share.ok_or_else(bad)?;
    let lanes = corpus.directions.iter().filter(|l| l.task == Task::Translation);
    let (mut sources, mut targets) = (BTreeSet::new(), BTreeSet::new());
    for lane in lanes {
        sources.insert(&lane.direction.src_lang);
        targets.insert(&lane.direction.tgt_lang);
    }
    let (d, b) = (config.d_model, config.bottleneck);
    let one = 2 * d * b + b + d + 2 * d;
    let of = |side: Side, keys: usize| {
        keys * config.sites().iter().filter(|s| s.side == side).count() * one
    };
    let stored = of(Side::Encoder, sources.len()) + of(Side::Decoder, targets.len());
    if stored == 0 {
        return Err(Error::usage(format!("`{text}` of nothing: there is no parallel text"))
            .flag("--match-params")
            .expected("a number of parameters"));
    }
    Ok((share * stored as f64) as usize)
}

/// The directory of `--init-from`, and what is to be remembered of it.
fn begin_from(path: &Path) -> Result<(PathBuf, Parent)> {
    let dir = hyper_dir(path).map_err(|e| e.flag("--init-from"))?;
    let sha256 = file_sha256(&dir.join(WEIGHTS))?;
    Ok((dir, Parent { role: "init_from".into(), name: display_name(path), sha256 }))
}

fn fingerprint(network: &HyperNetwork) -> Result<String> {
    let mut hasher = Sha256::new();
    let text = serde_json::to_vec(&network.config)
        .map_err(|e| Error::bug("cannot encode a hyper-network").cause(e.to_string()))?;
    hasher.update(text);
    for p in network.parameters() {
        values(&p.tensor)?.iter().for_each(|v| hasher.update(v.to_le_bytes()));
    }
    Ok(hex(&hasher.finalize()))
}
