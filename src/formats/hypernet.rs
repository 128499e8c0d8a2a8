//! A hyper-network on disk: `hypernet.json` says how it is built and which vectors it has, and
//! `hypernet.safetensors` holds its parameters by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::adapters::{NormPlace, Position, Site};
use super::hf;
use super::neurons::Side;
use super::provenance::Provenance;
use super::safetensors::{self, Data, Entry, TensorFile};
use crate::error::{Error, Result};
use crate::io::write_bytes;

pub const FILE: &str = "hypernet.json";
pub const WEIGHTS: &str = "hypernet.safetensors";
const FORMAT: &str = "isogloss-hypernet";

/// The published systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Baziotis et al. 2022: source, target and layer; residual trunk; outputs rescaled.
    HyperAdapters,
    /// Üstün et al. 2022: task, language and layer; two-layer projector; small first weights.
    HyperX,
}

/// What a conditioning vector is put together from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    Task,
    Source,
    Target,
    /// That of the side: source in the encoder, target in the decoder.
    Language,
    Layer,
}

impl Factor {
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Source => "source",
            Self::Target => "target",
            Self::Language => "language",
            Self::Layer => "layer",
        }
    }
}

impl Kind {
    /// All factors, in the order of the vector.
    pub fn factors(self) -> &'static [Factor] {
        match self {
            Self::HyperAdapters => &[Factor::Source, Factor::Target, Factor::Layer],
            Self::HyperX => &[Factor::Task, Factor::Language, Factor::Layer],
        }
    }
    pub fn name(self) -> &'static str {
        match self {
            Self::HyperAdapters => "hyper-adapters",
            Self::HyperX => "hyper-x",
        }
    }
}

/// Where scale and shift of the adapters' norm come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Affine {
    /// None: scale 1 and shift 0
    None,
    /// Trained: an adapter's own, or one pair for all that a hyper-network generates
    Learned,
    /// From the hyper-network
    Generated,
}

/// One vector of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Updates it has had; 0 means that it is as it was drawn.
    pub updates: u64,
    /// What it was mixed from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

impl Row {
    pub fn is_trained(&self) -> bool {
        self.updates > 0 || self.from.is_some()
    }
}

/// How a hyper-network is built. Sizes are those of the specifications of both papers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HyperConfig {
    pub kind: Kind,
    pub d_model: usize,
    pub encoder_layers: usize,
    pub decoder_layers: usize,
    /// Of the adapters.
    pub bottleneck: usize,
    pub positions: BTreeSet<Position>,
    pub norm: NormPlace,
    pub affine: Affine,
    /// Factors that are not switched off (zeros stand for those that are).
    pub encoder_inputs: BTreeSet<Factor>,
    pub decoder_inputs: BTreeSet<Factor>,
    /// Of tasks and languages.
    pub embedding_dim: usize,
    pub layer_embedding_dim: usize,
    /// What the heads read: `d_h` of hyper-adapters, `P` of Hyper-X.
    pub hidden: usize,
    /// Between the two maps of Hyper-X's projector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<usize>,
    /// Residual blocks of hyper-adapters' trunk.
    #[serde(default)]
    pub blocks: usize,
    #[serde(default)]
    pub input_norm: bool,
    #[serde(default)]
    pub output_norm: bool,
    #[serde(default)]
    pub dropout: f32,
    /// Whether all that is generated is divided by the root of `hidden`.
    pub rescale: bool,
    /// One table of languages for sources and targets.
    #[serde(default)]
    pub tie_languages: bool,
    /// Layer `i` of the encoder and of the decoder have one vector, as the published code has it.
    #[serde(default)]
    pub shared_layer_ids: bool,
    /// Sides whose adapters have had an update; none where nobody noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_sides: Option<BTreeSet<Side>>,
    /// All vectors, by table and key: `source.de`, `task.translation`.
    pub rows: BTreeMap<String, Row>,
    /// Fingerprint of the model it belongs to; none for the model it lies beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_model_sha256: Option<String>,
}

impl HyperConfig {
    pub fn inputs(&self, side: Side) -> &BTreeSet<Factor> {
        match side {
            Side::Encoder => &self.encoder_inputs,
            Side::Decoder => &self.decoder_inputs,
        }
    }

    /// Every place that gets an adapter, in order.
    pub fn sites(&self) -> Vec<Site> {
        let mut sites = Vec::new();
        for (side, layers) in
            [(Side::Encoder, self.encoder_layers), (Side::Decoder, self.decoder_layers)]
        {
            for layer in 0..layers {
                let here = self.positions.iter().filter(|p| p.is_on(side));
                sites.extend(here.map(|&position| Site { side, layer, position }));
            }
        }
        sites
    }

    /// The table that a factor reads.
    pub fn table(&self, factor: Factor) -> &'static str {
        match factor {
            Factor::Source | Factor::Target if self.tie_languages => Factor::Language.name(),
            other => other.name(),
        }
    }

    pub fn width_of(&self, factor: Factor) -> usize {
        match factor {
            Factor::Layer => self.layer_embedding_dim,
            _ => self.embedding_dim,
        }
    }

    /// The key of a site in the table of layers.
    pub fn layer_key(&self, site: Site) -> String {
        match self.shared_layer_ids {
            true => format!("layers.{}.{}", site.layer, site.position.name()),
            false => site.to_string(),
        }
    }

    /// Languages with a vector in a table, sorted.
    pub fn languages(&self, table: &str) -> Vec<&str> {
        let keys = self.rows.keys();
        keys.filter_map(|k| k.split_once('.').filter(|(t, _)| *t == table)).map(|k| k.1).collect()
    }

    /// Tables of languages that are in use.
    pub fn language_tables(&self) -> BTreeSet<&'static str> {
        let of = |f: &Factor| !matches!(f, Factor::Task | Factor::Layer);
        self.kind.factors().iter().filter(|f| of(f)).map(|f| self.table(*f)).collect()
    }

    fn check(&self) -> Result<()> {
        let at_least_one = [
            ("d_model", self.d_model),
            ("bottleneck", self.bottleneck),
            ("embedding_dim", self.embedding_dim),
            ("layer_embedding_dim", self.layer_embedding_dim),
            ("hidden", self.hidden),
            ("positions", self.positions.len()),
            ("projection", self.projection.unwrap_or(1)),
        ];
        // Generous bounds, so that a broken file asks for no absurd memory.
        let limit = 1 << 20;
        for (key, n) in at_least_one {
            if n == 0 || n > limit {
                return Err(Error::artifact("a size of the hyper-network is out of range")
                    .key(key)
                    .found(n.to_string())
                    .expected(format!("1 to {limit}")));
            }
        }
        let depths = [
            ("encoder_layers", self.encoder_layers, 10_000),
            ("decoder_layers", self.decoder_layers, 10_000),
            ("blocks", self.blocks, 1000),
        ];
        for (key, n, limit) in depths {
            if n > limit {
                return Err(Error::artifact("a hyper-network of absurd depth")
                    .key(key)
                    .found(n.to_string())
                    .expected(format!("0 to {limit}")));
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::artifact("not a rate of dropout")
                .key("dropout")
                .found(self.dropout.to_string())
                .expected("0 to below 1"));
        }
        if (self.kind == Kind::HyperX) != self.projection.is_some() {
            return Err(Error::artifact("projection and kind of hyper-network do not fit")
                .key("projection"));
        }
        let known: BTreeSet<Factor> = self.kind.factors().iter().copied().collect();
        for (key, inputs) in
            [("encoder_inputs", &self.encoder_inputs), ("decoder_inputs", &self.decoder_inputs)]
        {
            if let Some(f) = inputs.difference(&known).next() {
                return Err(Error::artifact(format!("this kind has no input `{}`", f.name()))
                    .key(key)
                    .expected(known.iter().map(|f| f.name()).collect::<Vec<_>>().join(", ")));
            }
        }
        let tables: BTreeSet<&str> = self.kind.factors().iter().map(|f| self.table(*f)).collect();
        for key in self.rows.keys() {
            let fits =
                key.split_once('.').is_some_and(|(t, k)| tables.contains(t) && !k.is_empty());
            if !fits {
                return Err(Error::artifact(format!("`{key}` belongs to no table"))
                    .key("rows")
                    .expected(format!(
                        "one of {} and a key, such as `{}.x`",
                        tables.iter().copied().collect::<Vec<_>>().join(", "),
                        tables.first().copied().unwrap_or_default()
                    )));
            }
        }
        for site in self.sites() {
            let key = format!("layer.{}", self.layer_key(site));
            if self.inputs(site.side).contains(&Factor::Layer) && !self.rows.contains_key(&key) {
                return Err(Error::artifact("a layer has no vector").key("rows").found(key));
            }
        }
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct File {
    format: String,
    schema: u32,
    #[serde(flatten)]
    config: HyperConfig,
}

/// Whether a directory holds a hyper-network.
pub fn is_hypernet(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

/// The directory a path stands for: itself, or the best (else the latest) checkpoint of a run.
/// None when there is no hyper-network.
pub fn resolve(path: &Path) -> Result<Option<PathBuf>> {
    hf::resolve_dir(path, FILE, is_hypernet)
}

/// Reads `hypernet.json` of a directory.
///
/// # Errors
/// Artifact: not a hyper-network, or one that contradicts itself.
pub fn read_config(dir: &Path) -> Result<HyperConfig> {
    let path = dir.join(FILE);
    let value: serde_json::Value = hf::read_json(&path)?;
    let (format, schema) = (value.get("format"), value.get("schema"));
    if format.and_then(|v| v.as_str()) != Some(FORMAT) || schema != Some(&1.into()) {
        return Err(Error::artifact("not a hyper-network we know")
            .at(&path)
            .key("format")
            .expected(format!("{FORMAT} 1")));
    }
    let mut value = value;
    if let Some(map) = value.as_object_mut() {
        map.remove("format");
        map.remove("schema");
    }
    let config: HyperConfig = serde_json::from_value(value).map_err(|e| {
        Error::artifact("hyper-network cannot be read").at(&path).cause(e.to_string())
    })?;
    config.check().map_err(|e| e.at(&path))?;
    Ok(config)
}

/// Opens the parameters and checks their names and shapes.
pub fn open_weights(dir: &Path, shapes: &BTreeMap<String, Vec<usize>>) -> Result<TensorFile> {
    let file = TensorFile::open(&dir.join(WEIGHTS))?;
    let names = file.names();
    let missing: Vec<&String> = shapes.keys().filter(|n| !file.contains(n)).collect();
    let unused: Vec<&String> = names.iter().filter(|n| !shapes.contains_key(*n)).collect();
    for (what, list) in [("missing", missing), ("not used", unused)] {
        if let Some(first) = list.first() {
            return Err(Error::artifact(format!("{} tensors are {what}", list.len()))
                .at(file.path())
                .tensor(first.to_string())
                .cause(format!("`{FILE}` beside it says what there should be")));
        }
    }
    for (name, shape) in shapes {
        file.check_shape(name, file.view(name)?.shape(), shape)?;
    }
    Ok(file)
}

/// Writes both files into `dir`, which exists.
pub fn write<'a>(
    dir: &Path,
    config: &HyperConfig,
    parameters: impl Iterator<Item = (&'a str, Vec<usize>, &'a [f32])>,
    provenance: &Provenance,
) -> Result<()> {
    let file = File { format: FORMAT.into(), schema: 1, config: config.clone() };
    let text = serde_json::to_string_pretty(&file)
        .map_err(|e| Error::bug("cannot encode a hyper-network").cause(e.to_string()))?;
    write_bytes(&dir.join(FILE), (text + "\n").as_bytes())?;
    let entries: BTreeMap<String, Entry<'_>> = parameters
        .map(|(name, shape, v)| (name.to_string(), Entry { shape, data: Data::F32(v) }))
        .collect();
    let mut metadata = provenance.metadata("hypernet");
    if let Some(sha256) = &config.base_model_sha256 {
        metadata.insert("base_model_sha256".into(), sha256.clone());
    }
    safetensors::write(&dir.join(WEIGHTS), &entries, &metadata, true)
}
