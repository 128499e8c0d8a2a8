//! The hyper-network itself: conditioning vector, trunk, heads, adapters.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::create::{generates_norm, heads, shapes};
use super::mixture::Mixture;
use crate::autograd::{Parameter, Tape, Value, copy_matching};
use crate::error::{Error, Result};
use crate::formats::adapters::{NormPlace, Site};
use crate::formats::hypernet::{self, Affine, Factor, HyperConfig, Kind, Row};
use crate::formats::neurons::Side;
use crate::formats::provenance::Provenance;
use crate::kernels::dropout::Dropout;
use crate::kernels::storage::{change, values};
use crate::methods::placed::{LayerUse, SetUse};
use crate::model::seam::{BottleneckAdapter, LayerParts};
use crate::model::{DirectionParts, Noise};

/// A hyper-network with its parameters.
#[derive(Clone, Debug)]
pub struct HyperNetwork {
    pub config: HyperConfig,
    /// By name, as on disk.
    parameters: BTreeMap<String, Parameter>,
}

/// The task of translation: what a direction is for unless another is named.
pub const TRANSLATION: &str = "translation";

impl HyperNetwork {
    /// From values by name and shape, frozen.
    pub fn from_values(
        config: HyperConfig,
        mut values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>>,
    ) -> Result<Self> {
        let mut parameters = BTreeMap::new();
        for (name, shape) in shapes(&config) {
            let tensor = Tensor::from_vec(values(&name, &shape)?, shape, &Device::Cpu)?;
            let parameter = Parameter { name: name.as_str().into(), tensor, slot: None };
            parameters.insert(name, parameter);
        }
        Ok(Self { config, parameters })
    }

    /// From a directory, frozen.
    ///
    /// # Errors
    /// Artifact: broken files, or files that do not fit each other.
    pub fn read(dir: &std::path::Path) -> Result<Self> {
        let config = hypernet::read_config(dir)?;
        let file = hypernet::open_weights(dir, &shapes(&config))?;
        Self::from_values(config, |name, shape| file.f32_values(name, Some(shape)))
    }

    /// Writes it into `dir`, which exists.
    pub fn write(&self, dir: &std::path::Path, provenance: &Provenance) -> Result<()> {
        let guards = self
            .parameters
            .values()
            .map(|p| Ok((p, values(&p.tensor)?)))
            .collect::<Result<Vec<_>>>()?;
        let entries = guards.iter().map(|(p, v)| (&*p.name, p.tensor.dims().to_vec(), &v[..]));
        hypernet::write(dir, &self.config, entries, provenance)
    }

    /// In name order.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.parameters.values()
    }
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.parameters.values_mut()
    }
    pub fn num_params(&self) -> usize {
        self.parameters().map(|p| p.tensor.elem_count()).sum()
    }

    fn parameter(&self, name: &str) -> Result<&Parameter> {
        let found = self.parameters.get(name);
        found.ok_or_else(|| Error::bug(format!("the hyper-network has no `{name}`")))
    }

    pub(super) fn change(&self, name: &str, f: impl FnOnce(&mut [f32])) -> Result<()> {
        change(&self.parameter(name)?.tensor, f)
    }

    /// The vector of a table's key, `[embedding_dim]`.
    ///
    /// # Errors
    /// Data: there is none, or it was never trained.
    pub fn vector(&self, table: &str, key: &str) -> Result<Vec<f32>> {
        self.check_row(table, key)?;
        Ok(values(&self.parameter(&format!("embedding.{table}.{key}"))?.tensor)?.to_vec())
    }

    /// Whether a vector is there and was trained.
    fn check_row(&self, table: &str, key: &str) -> Result<()> {
        let what = if ["task", "layer"].contains(&table) { table } else { "language" };
        let role = match table {
            "source" | "target" => format!(" as {table}"),
            _ => String::new(),
        };
        match self.config.rows.get(&format!("{table}.{key}")) {
            Some(row) if row.is_trained() => Ok(()),
            Some(_) => Err(Error::data(format!(
                "the vector of {what} `{key}`{role} has had no update: it is as it was drawn"
            ))
            .hint(match table {
                "layer" => "train it on a task that runs this side of the model",
                _ => "train for longer, or give the hyper-network text of it",
            })),
            None => {
                let have = self.config.languages(table);
                let e = Error::data(format!("{what} `{key}` has no vector{role}"))
                    .expected(format!("one of {}", have.join(", ")))
                    .suggest(key, have.iter().copied());
                Err(match self.mixture_of(key) {
                    Some(mixture) => e.cause(format!(
                        "`{mixture}`, of which it is mixed, has no trained one{role}"
                    )),
                    None => e,
                })
            }
        }
    }

    /// What a language was mixed from in a table that has it.
    fn mixture_of(&self, language: &str) -> Option<&str> {
        let mut tables = self.config.language_tables().into_iter();
        tables.find_map(|t| self.config.rows.get(&format!("{t}.{language}"))?.from.as_deref())
    }

    /// What each layer of a direction depends on. In training vectors may be new.
    pub(super) fn used(&self, src: &str, tgt: &str) -> SetUse {
        let side = |side: Side, layers: usize| {
            let inputs = self.config.inputs(side);
            let own = match side {
                Side::Encoder => (inputs.contains(&Factor::Language), false),
                Side::Decoder => (false, inputs.contains(&Factor::Language)),
            };
            let layer = LayerUse {
                source: (inputs.contains(&Factor::Source) || own.0).then(|| src.to_string()),
                target: (inputs.contains(&Factor::Target) || own.1).then(|| tgt.to_string()),
                generated: true,
                ..LayerUse::default()
            };
            vec![layer; layers]
        };
        SetUse {
            encoder: side(Side::Encoder, self.config.encoder_layers),
            decoder: side(Side::Decoder, self.config.decoder_layers),
        }
    }

    /// What a direction's layers depend on.
    ///
    /// # Errors
    /// Data: a language without a vector, or with one that was never trained.
    pub fn choose(&self, task: &str, src: &str, tgt: &str) -> Result<SetUse> {
        self.check_trained(task, (src, tgt), &Side::BOTH)?;
        Ok(self.used(src, tgt))
    }

    /// Whether sides have adapters that were trained, and languages and task vectors that were.
    ///
    /// # Errors
    /// Data: says what was not.
    pub fn check_trained(&self, task: &str, langs: (&str, &str), sides: &[Side]) -> Result<()> {
        self.check_sides(task, langs, sides, &|_| false)?;
        let Some(trained) = &self.config.trained_sides else { return Ok(()) };
        match sides.iter().find(|side| !trained.contains(side)) {
            None => Ok(()),
            Some(side) => {
                Err(Error::data(format!("the adapters of the {side} have had no update"))
                    .hint("train it on a task that runs this side of the model"))
            }
        }
    }

    /// Whether all vectors that the sides of a task need are there and trained, but for those that
    /// `excused` accepts by table and key (`source.de`), which must be there only.
    ///
    /// # Errors
    /// Data: says what is not.
    pub fn check_sides(
        &self,
        task: &str,
        (src, tgt): (&str, &str),
        sides: &[Side],
        excused: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let used = self.used(src, tgt);
        for site in self.config.sites().into_iter().filter(|s| sides.contains(&s.side)) {
            for (table, key) in self.keys(task, &used, site) {
                let name = format!("{table}.{key}");
                let is_there = self.config.rows.contains_key(&name);
                if excused(&name) && is_there {
                    continue;
                }
                let can_be_made = !is_there && table != "task" && self.mixture_of(&key).is_none();
                self.check_row(table, &key).map_err(|e| match can_be_made {
                    true => {
                        e.hint(format!("`--as \"{key}=0.5*A+0.5*B\"` mixes one from others")).hint(
                            format!("`train --new-language {key}=A` learns one from a few pairs"),
                        )
                    }
                    false => e,
                })?;
            }
        }
        Ok(())
    }

    /// Tables and keys that a site's vector is put together from; none of what is switched off.
    fn keys(&self, task: &str, used: &SetUse, site: Site) -> Vec<(&'static str, String)> {
        let layers = match site.side {
            Side::Encoder => &used.encoder,
            Side::Decoder => &used.decoder,
        };
        let layer = layers.get(site.layer).cloned().unwrap_or_default();
        let inputs = self.config.inputs(site.side);
        let factors = self.config.kind.factors().iter().filter(|f| inputs.contains(f));
        let key = |f: &Factor| match (f, site.side) {
            (Factor::Task, _) => Some(task.to_string()),
            (Factor::Source, _) | (Factor::Language, Side::Encoder) => layer.source.clone(),
            (Factor::Target, _) | (Factor::Language, Side::Decoder) => layer.target.clone(),
            (Factor::Layer, _) => Some(self.config.layer_key(site)),
        };
        factors.filter_map(|f| Some((self.config.table(*f), key(f)?))).collect()
    }

    /// A direction's layers for translation, without a way back.
    pub fn parts(&self, used: &SetUse) -> Result<DirectionParts> {
        self.parts_on(&Tape::disabled(), &Noise::none(), TRANSLATION, used, &Side::BOTH)
    }

    /// What a training batch of a task runs with, of the sides it needs; operations go on `tape`.
    pub fn parts_for(
        &self,
        tape: &Tape,
        noise: &Noise,
        task: &str,
        (src, tgt): (&str, &str),
        sides: &[Side],
    ) -> Result<DirectionParts> {
        self.parts_on(tape, noise, task, &self.used(src, tgt), sides)
    }

    fn parts_on(
        &self,
        tape: &Tape,
        noise: &Noise,
        task: &str,
        used: &SetUse,
        sides: &[Side],
    ) -> Result<DirectionParts> {
        let mut parts = DirectionParts {
            encoder: vec![LayerParts::default(); self.config.encoder_layers],
            decoder: vec![LayerParts::default(); self.config.decoder_layers],
        };
        let mut sites = self.config.sites();
        sites.retain(|s| sides.contains(&s.side));
        let adapters = self.generate(tape, noise, task, used, &sites)?;
        for (site, adapter) in sites.into_iter().zip(adapters) {
            let layers = match site.side {
                Side::Encoder => &mut parts.encoder,
                Side::Decoder => &mut parts.decoder,
            };
            layers[site.layer].adapters.insert(site.position, adapter);
        }
        Ok(parts)
    }

    /// The adapters of sites, all in one pass through trunk and heads (hyper-adapters, section 5;
    /// Hyper-X, sections 3 and 4).
    pub fn generate(
        &self,
        tape: &Tape,
        noise: &Noise,
        task: &str,
        used: &SetUse,
        sites: &[Site],
    ) -> Result<Vec<BottleneckAdapter>> {
        let c = &self.config;
        let hidden = self.trunk(tape, noise, &self.conditions(tape, task, used, sites)?)?;
        let mut given: BTreeMap<&str, Value> = BTreeMap::new();
        for (head, _) in heads(c) {
            given.insert(head, self.linear(tape, &hidden, &format!("head.{head}"), false)?);
        }
        let scale = if c.rescale { 1.0 / (c.hidden as f32).sqrt() } else { 1.0 };
        // One is added to the scale of a norm after the division, and by hyper-adapters only.
        let one = if c.kind == Kind::HyperAdapters { 1.0 } else { 0.0 };
        let (d, b) = (c.d_model, c.bottleneck);
        let of = |head: &str, row: usize, dims: &[usize], shift: f32| {
            let all = given.get(head).ok_or_else(|| Error::bug(format!("no head `{head}`")))?;
            tape.row(all, row, dims, scale, shift)
        };
        (0..sites.len())
            .map(|i| {
                let affine = if generates_norm(c) {
                    Some((of("norm_weight", i, &[d], one)?, of("norm_bias", i, &[d], 0.0)?))
                } else if c.norm != NormPlace::None && c.affine == Affine::Learned {
                    let value = |name: &str| Ok::<_, Error>(self.parameter(name)?.value());
                    Some((value("norm.weight")?, value("norm.bias")?))
                } else {
                    None
                };
                Ok(BottleneckAdapter {
                    down: of("down_weight", i, &[b, d], 0.0)?,
                    down_bias: of("down_bias", i, &[b], 0.0)?,
                    up: of("up_weight", i, &[d, b], 0.0)?,
                    up_bias: of("up_bias", i, &[d], 0.0)?,
                    norm: c.norm,
                    affine,
                })
            })
            .collect()
    }

    /// `[sites, sum of the factors' widths]`.
    fn conditions(&self, tape: &Tape, task: &str, used: &SetUse, sites: &[Site]) -> Result<Value> {
        let c = &self.config;
        let factors = c.kind.factors();
        let widths: Vec<usize> = factors.iter().map(|f| c.width_of(*f)).collect();
        let rows = sites.iter().map(|site| {
            let mut keys = self.keys(task, used, *site).into_iter();
            let inputs = c.inputs(site.side);
            factors
                .iter()
                .map(|f| {
                    if !inputs.contains(f) {
                        return Ok(None);
                    }
                    // A direction that was not chosen has no languages: nothing may take their place.
                    let key = keys.next();
                    let (table, key) =
                        key.ok_or_else(|| Error::bug(format!("no direction for {site}")))?;
                    let name = format!("embedding.{table}.{key}");
                    match self.parameters.get(&name) {
                        Some(p) => Ok(Some(p.value())),
                        None => self.check_row(table, &key).and(Err(Error::bug(name))),
                    }
                })
                .collect::<Result<Vec<_>>>()
        });
        let device = self.parameters().next().map_or(&Device::Cpu, |p| p.tensor.device());
        tape.concat_rows(&rows.collect::<Result<Vec<_>>>()?, &widths, device)
    }

    fn linear(&self, tape: &Tape, x: &Value, name: &str, relu: bool) -> Result<Value> {
        let weight = self.parameter(&format!("{name}.weight"))?.value();
        let bias = self.parameter(&format!("{name}.bias"))?.value();
        tape.linear(x, &weight, Some(&bias), relu)
    }

    fn norm(&self, tape: &Tape, x: &Value, name: &str) -> Result<Value> {
        let weight = self.parameter(&format!("{name}.weight"))?.value();
        let bias = self.parameter(&format!("{name}.bias"))?.value();
        tape.layer_norm(x, &weight, &bias)
    }

    /// `[rows, hidden]`.
    fn trunk(&self, tape: &Tape, noise: &Noise, z: &Value) -> Result<Value> {
        let c = &self.config;
        if c.kind == Kind::HyperX {
            let h = self.linear(tape, z, "trunk.fc1", true)?;
            return self.linear(tape, &h, "trunk.fc2", false);
        }
        let z = if c.input_norm { self.norm(tape, z, "trunk.input_norm")? } else { z.clone() };
        let h = self.linear(tape, &z, "trunk.input", true)?;
        let mut h = tape.dropout(&h, noise.dropout(c.dropout))?;
        for k in 0..c.blocks {
            let name = format!("trunk.blocks.{k}");
            let n = self.norm(tape, &h, &format!("{name}.norm"))?;
            let n = self.linear(tape, &n, &format!("{name}.fc1"), true)?;
            let n = tape.dropout(&n, noise.dropout(c.dropout))?;
            let n = self.linear(tape, &n, &format!("{name}.fc2"), false)?;
            h = tape.residual(&h, &n, Dropout::NONE)?;
        }
        if c.output_norm { self.norm(tape, &h, "trunk.output_norm") } else { Ok(h) }
    }

    /// Standard deviations of generated down and up weights, over languages and sites.
    pub fn spread_of_weights(&self) -> Result<(f64, f64)> {
        let c = &self.config;
        let of = |factor: Factor| -> Vec<&str> {
            let own = c.kind.factors().contains(&factor);
            c.languages(c.table(if own { factor } else { Factor::Language }))
        };
        // Sources need not be targets; without either there is one adapter for all.
        let (sources, targets) = (of(Factor::Source), of(Factor::Target));
        let pairs = sources.len().max(targets.len()).clamp(1, 16);
        let nth = |all: &[&str], i: usize| {
            all.get(i % all.len().max(1)).map_or_else(String::new, |l| l.to_string())
        };
        let tasks = c.languages("task");
        let task = tasks.first().copied().unwrap_or(TRANSLATION);
        let sites = c.sites();
        let (mut down, mut up) = (Spread::default(), Spread::default());
        // A few languages tell it.
        for i in 0..pairs {
            let used = self.used(&nth(&sources, i), &nth(&targets, i));
            let known = |site: &Site| {
                let keys = self.keys(task, &used, *site);
                keys.iter().all(|(t, k)| c.rows.contains_key(&format!("{t}.{k}")))
            };
            let sites: Vec<Site> = sites.iter().copied().filter(known).collect();
            for a in self.generate(&Tape::disabled(), &Noise::none(), task, &used, &sites)? {
                down.add(&values(a.down.tensor())?);
                up.add(&values(a.up.tensor())?);
            }
        }
        Ok((down.deviation(), up.deviation()))
    }

    /// Gives a language a vector mixed from others', in every table that has them all.
    ///
    /// # Errors
    /// Usage: it has one already. Data: a language of the mixture has none, or an untrained one.
    pub fn add_language(&mut self, name: &str, mixture: &Mixture) -> Result<()> {
        let mut added = Vec::new();
        let mut lacking = None;
        for table in self.config.language_tables() {
            let key = format!("{table}.{name}");
            if self.config.rows.contains_key(&key) {
                return Err(Error::usage(format!("language `{name}` has a vector already"))
                    .hint("name a language that has none"));
            }
            match self.mixed(table, mixture) {
                Ok(vector) => added.push((key, vector)),
                Err(e) => lacking = Some(e),
            }
        }
        if let (true, Some(e)) = (added.is_empty(), lacking) {
            return Err(e);
        }
        for (key, vector) in added {
            self.set_row(&key, vector, Row { updates: 0, from: Some(mixture.to_string()) })?;
        }
        Ok(())
    }

    /// Adds or replaces a vector.
    pub fn set_row(&mut self, key: &str, vector: Vec<f32>, row: Row) -> Result<()> {
        let name = format!("embedding.{key}");
        let width = vector.len();
        let tensor = Tensor::from_vec(vector, width, &Device::Cpu)?;
        self.config.rows.insert(key.to_string(), row);
        self.parameters.insert(name.clone(), Parameter { name: name.into(), tensor, slot: None });
        Ok(())
    }

    /// Takes what another network has of the same names and shapes, and how often its vectors were
    /// updated; returns how many parameters.
    pub fn take_from(&mut self, other: &Self) -> Result<usize> {
        let dims = |n: &Self, key: &str| {
            n.parameters.get(&format!("embedding.{key}")).map(|p| p.tensor.dims().to_vec())
        };
        for (key, row) in &other.config.rows {
            if self.config.rows.contains_key(key) && dims(self, key) == dims(other, key) {
                self.config.rows.insert(key.clone(), row.clone());
            }
        }
        if let Some(own) = &mut self.config.trained_sides {
            own.extend(other.config.trained_sides.iter().flatten());
        }
        copy_matching(self.parameters(), other.parameters())
    }
}

/// Mean and deviation of many values.
#[derive(Default)]
struct Spread {
    n: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, v: &[f32]) {
        self.n += v.len() as f64;
        self.sum += v.iter().map(|v| f64::from(*v)).sum::<f64>();
        self.squares += v.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
    }
    fn deviation(&self) -> f64 {
        let n = self.n.max(1.0);
        (self.squares / n - (self.sum / n).powi(2)).max(0.0).sqrt()
    }
}
