//! Which adapter of a set each layer uses for a direction: `placement.json` of a set of LoRA, whose
//! adapters are PEFT directories beside it, and part of `adapters.json` of bottleneck adapters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::hf;
use super::neurons::Side;
use crate::error::{Error, Result};
use crate::io::write_bytes;

pub const FILE: &str = "placement.json";
/// The adapter that every direction shares. Its PEFT directory is the set's own.
pub const SHARED: &str = "default";
const FORMAT: &str = "isogloss-placement";
/// What it was called while only LoRA had one.
const OLD_FORMAT: &str = "isogloss-lora-placement";

/// Whose adapter a module uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Index {
    Source,
    Target,
    /// An adapter for each direction.
    Direction,
    /// One adapter for all.
    Shared,
    /// Source's and target's, weighted: what weight learning trains.
    Mixed(Mix),
}

/// Weights of source and target; they sum to one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mix {
    pub source: f32,
    pub target: f32,
}

/// The simple kinds by name.
pub const INDEX_NAMES: [&str; 4] = ["source", "target", "direction", "shared"];

impl Index {
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "source" => Self::Source,
            "target" => Self::Target,
            "direction" => Self::Direction,
            "shared" => Self::Shared,
            _ => return None,
        })
    }
    pub fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
            Self::Direction => "direction",
            Self::Shared => "shared",
            Self::Mixed(_) => "mixed",
        }
    }
    /// The simple kind a mixture leads to: the larger weight's (of equal ones the source's).
    pub fn decided(self) -> Self {
        match self {
            Self::Mixed(m) if m.target > m.source => Self::Target,
            Self::Mixed(_) => Self::Source,
            other => other,
        }
    }
}

/// How a language takes part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// The adapter it uses, which other languages may use too.
    pub adapter: String,
    /// Whether the adapter was trained with the language as source.
    pub source: bool,
    pub target: bool,
}

/// Index by module within a layer, such as `self_attn.q_proj`.
pub type Layer = BTreeMap<String, Index>;

/// The placement of a set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Placement {
    pub encoder: Vec<Layer>,
    pub decoder: Vec<Layer>,
    pub languages: BTreeMap<String, Language>,
    /// The adapter of each direction (`en-de`), where modules are indexed by it.
    pub directions: BTreeMap<String, String>,
    /// The directions it is for; none for all that its languages make.
    pub only: BTreeSet<String>,
    /// Names of all adapters.
    pub adapters: BTreeSet<String>,
    /// Those of which pruning left nothing.
    pub empty: BTreeSet<String>,
    /// First coordinate and number of coordinates that updates read and write; none for all.
    pub slice: Option<(usize, usize)>,
    pub base_model_sha256: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    schema: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_model_sha256: Option<String>,
    encoder: Vec<LayerEntry>,
    decoder: Vec<LayerEntry>,
    languages: BTreeMap<String, Language>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    directions: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    only: BTreeSet<String>,
    adapters: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    empty: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slice: Option<(usize, usize)>,
}

/// One index for all modules of a layer, or one for each.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum LayerEntry {
    All { index: IndexEntry, modules: Vec<String> },
    Each(BTreeMap<String, IndexEntry>),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum IndexEntry {
    Mixed(Mix),
    Name(String),
}

impl From<Index> for IndexEntry {
    fn from(index: Index) -> Self {
        match index {
            Index::Mixed(m) => Self::Mixed(m),
            other => Self::Name(other.name().into()),
        }
    }
}

fn index_of(entry: &IndexEntry) -> Result<Index> {
    match entry {
        IndexEntry::Mixed(m)
            if (m.source + m.target - 1.0).abs() < 1e-3 && m.source.min(m.target) >= 0.0 =>
        {
            Ok(Index::Mixed(*m))
        }
        IndexEntry::Mixed(m) => Err(Error::artifact("weights of source and target are no shares")
            .found(format!("{} and {}", m.source, m.target))
            .expected("two numbers from 0 to 1 that sum to 1")),
        IndexEntry::Name(name) => Index::parse(name).ok_or_else(|| {
            Error::artifact(format!("unknown index `{name}`"))
                .expected(INDEX_NAMES.join(", "))
                .suggest(name, INDEX_NAMES)
        }),
    }
}

/// Names of a list, each of which may stand there once.
fn once(names: &[String]) -> Result<BTreeSet<String>> {
    let mut out = BTreeSet::new();
    match names.iter().find(|n| !out.insert((*n).clone())) {
        None => Ok(out),
        Some(name) => Err(Error::artifact(format!("`{name}` is listed twice"))),
    }
}

fn layer_of(entry: LayerEntry) -> Result<Layer> {
    match entry {
        LayerEntry::All { index, modules } => {
            let index = index_of(&index)?;
            Ok(once(&modules)?.into_iter().map(|m| (m, index)).collect())
        }
        LayerEntry::Each(map) => map.into_iter().map(|(m, i)| Ok((m, index_of(&i)?))).collect(),
    }
}

fn entry_of(layer: &Layer) -> LayerEntry {
    let mut kinds = layer.values();
    match kinds.next() {
        Some(first) if kinds.all(|i| i == first) => {
            LayerEntry::All { index: (*first).into(), modules: layer.keys().cloned().collect() }
        }
        _ => LayerEntry::Each(layer.iter().map(|(m, i)| (m.clone(), (*i).into())).collect()),
    }
}

impl Placement {
    pub fn side(&self, side: Side) -> &[Layer] {
        match side {
            Side::Encoder => &self.encoder,
            Side::Decoder => &self.decoder,
        }
    }

    /// Every placed module in order: side, layer, module within the layer, index.
    pub fn modules(&self) -> impl Iterator<Item = (Side, usize, &str, Index)> {
        Side::BOTH.into_iter().flat_map(move |side| {
            self.side(side).iter().enumerate().flat_map(move |(i, layer)| {
                layer.iter().map(move |(module, index)| (side, i, module.as_str(), *index))
            })
        })
    }

    /// Whether nothing depends on a language: a plain LoRA.
    pub fn is_plain(&self) -> bool {
        self.modules().all(|(.., index)| index == Index::Shared)
    }

    /// The file's text; same placement, same bytes.
    pub fn to_text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(&self.to_file())
            .map_err(|e| Error::bug("cannot encode a placement").cause(e.to_string()))?;
        Ok(text + "\n")
    }

    /// As a part of another file.
    pub fn to_value(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self.to_file())
            .map_err(|e| Error::bug("cannot encode a placement").cause(e.to_string()))
    }

    fn to_file(&self) -> File {
        File {
            format: FORMAT.into(),
            schema: 1,
            base_model_sha256: self.base_model_sha256.clone(),
            encoder: self.encoder.iter().map(entry_of).collect(),
            decoder: self.decoder.iter().map(entry_of).collect(),
            languages: self.languages.clone(),
            directions: self.directions.clone(),
            only: self.only.clone(),
            adapters: self.adapters.iter().cloned().collect(),
            empty: self.empty.clone(),
            slice: self.slice,
        }
    }

    pub fn write(&self, dir: &Path) -> Result<()> {
        write_bytes(&dir.join(FILE), self.to_text()?.as_bytes())
    }

    /// Reads a placement file.
    ///
    /// # Errors
    /// Artifact: not a placement, or one that contradicts itself.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_file(hf::read_json(path)?, path)
    }

    /// From a part of the file `path`.
    pub fn from_value(value: serde_json::Value, path: &Path) -> Result<Self> {
        let file = serde_json::from_value(value).map_err(|e| {
            Error::artifact("placement cannot be read").at(path).cause(e.to_string())
        })?;
        Self::from_file(file, path)
    }

    fn from_file(file: File, path: &Path) -> Result<Self> {
        if ![FORMAT, OLD_FORMAT].contains(&file.format.as_str()) || file.schema != 1 {
            return Err(Error::artifact("not a placement we know")
                .at(path)
                .key("format")
                .found(format!("{} {}", file.format, file.schema))
                .expected(format!("{FORMAT} 1")));
        }
        let side = |name: &str, layers: Vec<LayerEntry>| -> Result<Vec<Layer>> {
            let place = |i: usize| move |e: Error| e.at(path).key(format!("{name}[{i}]"));
            layers.into_iter().enumerate().map(|(i, l)| layer_of(l).map_err(place(i))).collect()
        };
        let placement = Self {
            encoder: side("encoder", file.encoder)?,
            decoder: side("decoder", file.decoder)?,
            languages: file.languages,
            directions: file.directions,
            only: file.only,
            adapters: once(&file.adapters).map_err(|e| e.at(path).key("adapters"))?,
            empty: file.empty,
            slice: file.slice,
            base_model_sha256: file.base_model_sha256,
        };
        placement.check().map_err(|e| e.at(path))?;
        Ok(placement)
    }

    fn check(&self) -> Result<()> {
        for name in &self.adapters {
            check_name(name).map_err(|e| e.key("adapters"))?;
        }
        if let Some(name) = self.empty.iter().find(|n| !self.adapters.contains(*n)) {
            return Err(Error::artifact(format!("`{name}` is empty but no adapter")).key("empty"));
        }
        if self.modules().any(|(.., i)| i == Index::Shared) && !self.adapters.contains(SHARED) {
            return Err(Error::artifact(format!("a module is shared but there is no `{SHARED}`"))
                .key("adapters"));
        }
        // A language needs an adapter where a layer asks for it.
        let mixed = |i: Index| matches!(i, Index::Mixed(_));
        let asks = |kind: Index| self.modules().any(|(.., i)| i == kind || mixed(i));
        let (source, target) = (asks(Index::Source), asks(Index::Target));
        let missing = |key: String, who: String, adapter: &str| {
            Error::artifact(format!("{who} uses an adapter that is not there"))
                .key(key)
                .found(format!("`{adapter}`"))
                .suggest(adapter, self.adapters.iter().map(String::as_str))
        };
        for (code, language) in &self.languages {
            let needed = source && language.source || target && language.target;
            if needed && !self.adapters.contains(&language.adapter) {
                let who = format!("language `{code}`");
                return Err(missing(format!("languages.{code}"), who, &language.adapter));
            }
        }
        for (pair, adapter) in &self.directions {
            if !self.adapters.contains(adapter) {
                let who = format!("direction `{pair}`");
                return Err(missing(format!("directions.{pair}"), who, adapter));
            }
        }
        Ok(())
    }
}

/// Files of a checkpoint, beside which adapters lie.
const RESERVED: [&str; 4] = [FILE, "state.json", "README.md", "log.jsonl"];

/// A name becomes a directory's: no separators, nothing hidden, no other file's.
pub fn check_name(name: &str) -> Result<()> {
    let plain = !name.is_empty()
        && !RESERVED.contains(&name)
        && !name.ends_with(".safetensors")
        && !name.ends_with("_config.json")
        && !name.starts_with(['.', '-'])
        && name.len() <= 100
        && name.chars().all(|c| c.is_alphanumeric() || "_-.+@ ".contains(c));
    if plain {
        return Ok(());
    }
    Err(Error::artifact(format!("`{name}` cannot be the name of an adapter"))
        .expected("letters, digits, `_`, `-`: it becomes a directory"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Placement {
        let layer = |i: Index| Layer::from([("fc1".into(), i), ("self_attn.q_proj".into(), i)]);
        let mut uneven = layer(Index::Target);
        uneven.insert("fc1".into(), Index::Mixed(Mix { source: 0.25, target: 0.75 }));
        let language = |a: &str| Language { adapter: a.into(), source: true, target: a == "de" };
        Placement {
            encoder: vec![layer(Index::Source), uneven],
            decoder: vec![Layer::new()],
            languages: [("de", "de"), ("fr", "Romance")]
                .map(|(l, a)| (l.to_string(), language(a)))
                .into(),
            directions: BTreeMap::new(),
            only: ["de-fr".to_string()].into(),
            adapters: ["de", "Romance"].map(String::from).into(),
            empty: BTreeSet::new(),
            slice: Some((0, 16)),
            base_model_sha256: Some("ab".into()),
        }
    }

    #[test]
    fn write_read_write_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let p = example();
        p.write(dir.path()).unwrap();
        let back = Placement::read(&dir.path().join(FILE)).unwrap();
        assert_eq!(back, p);
        assert_eq!(back.to_text().unwrap(), p.to_text().unwrap());
        assert_eq!(p.modules().count(), 4);
        assert_eq!(p.encoder[1]["fc1"].decided(), Index::Target);
        assert!(!p.is_plain());
    }

    #[test]
    fn contradictions_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let good = example().to_text().unwrap();
        for (from, to, says) in [
            ("\"source\"", "\"sorce\"", "did you mean `source`"),
            ("0.75", "0.5", "sum to 1"),
            ("\"target\": 0.75", "\"target\": -0.25", "sum to 1"),
            ("\"Romance\",\n      \"source\"", "\"Roman\",\n      \"source\"", "not there"),
            ("placement\"", "placment\"", "not a placement"),
            ("\"de\"\n  ]", "\"../de\"\n  ]", "cannot be the name"),
            ("\"slice\"", "\"slyce\"", "slyce"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            std::fs::write(&path, bad).unwrap();
            let e = Placement::read(&path).unwrap_err();
            assert!(e.to_string().contains(says), "{from}: {e}");
            assert_eq!(e.exit_code() as i32, 4);
        }
    }
}
