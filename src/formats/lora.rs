//! A set of LoRA on disk: PEFT directories, one for each adapter, and `placement.json`, which says
//! whose adapter a layer uses. A directory without a placement is a plain LoRA of PEFT.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::hf;
use super::neurons::Side;
use super::peft::{self, Adapter, Shapes};
use super::placement::{FILE as PLACEMENT, Index, Layer, Placement, SHARED};
use super::provenance::{Provenance, short};
use crate::error::{Error, Result};

/// The adapters of a set with their placement.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraFiles {
    pub placement: Placement,
    pub adapters: BTreeMap<String, Adapter>,
}

/// The directory of an adapter of a set.
pub fn adapter_dir(dir: &Path, name: &str) -> PathBuf {
    if name == SHARED { dir.to_path_buf() } else { dir.join(name) }
}

/// The LoRA directory a path stands for: itself, or the best (else the latest) checkpoint of a run.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    let is_set = |dir: &Path| dir.join(PLACEMENT).is_file() || peft::is_adapter(dir);
    let is_model = |dir: &Path| dir.join(hf::CONFIG).is_file();
    match hf::resolve_dir(path, PLACEMENT, is_set) {
        Ok(Some(dir)) => return Ok(dir),
        found => {
            if let Some(other) = other_method(path) {
                return Err(other);
            }
            if let Ok(Some(model)) = hf::resolve_dir(path, hf::CONFIG, is_model) {
                return Err(Error::artifact("a whole model, not a LoRA")
                    .at(model)
                    .hint("name a model with `-m`")
                    .hint("`isogloss train --method lora` makes a LoRA"));
            }
            found?;
        }
    }
    let e = Error::artifact("not a LoRA or a run that trained one")
        .at(path)
        .expected(format!("`{PLACEMENT}` or `{}`", peft::CONFIG));
    let several = std::fs::read_dir(path)
        .map(|d| d.flatten().any(|entry| peft::is_adapter(&entry.path())))
        .unwrap_or(false);
    Err(match several {
        true => e.hint(format!(
            "it holds adapters; `{PLACEMENT}` would say which layers use which: name one of them"
        )),
        false if !path.exists() => e.hint("no such directory; check the path"),
        false => e.hint("`isogloss train --method lora` makes one"),
    })
}

/// Why a path that holds the parts of another method is no LoRA.
fn other_method(path: &Path) -> Option<Error> {
    let is_set = |dir: &Path| dir.join(super::adapters::FILE).is_file();
    let what = if let Ok(Some(_)) = super::hypernet::resolve(path) {
        "a hyper-network, not a LoRA"
    } else if let Ok(Some(_)) = hf::resolve_dir(path, super::adapters::FILE, is_set) {
        "bottleneck adapters, not a LoRA"
    } else {
        return None;
    };
    Some(Error::artifact(what).at(path).hint("name them with `--adapters`"))
}

/// `model.encoder.layers.3.self_attn.q_proj` of side, layer and module.
pub fn module_path(side: Side, layer: usize, module: &str) -> String {
    format!("model.{side}.layers.{layer}.{module}")
}

/// Side, layer and module within it of a full path.
pub fn split_path(path: &str) -> Option<(Side, usize, &str)> {
    let mut parts = path.strip_prefix("model.")?.splitn(4, '.');
    let side = Side::parse(parts.next()?)?;
    let (layers, layer, module) = (parts.next()?, parts.next()?, parts.next()?);
    (layers == "layers").then_some((side, layer.parse().ok()?, module))
}

/// Layers of encoder and decoder among the model's linear maps.
pub fn num_layers(shapes: &Shapes) -> [usize; 2] {
    Side::BOTH.map(|side| {
        let layers: BTreeSet<usize> = shapes
            .keys()
            .filter_map(|p| split_path(p))
            .filter(|p| p.0 == side)
            .map(|p| p.1)
            .collect();
        layers.len()
    })
}

impl LoraFiles {
    /// Reads `dir` (see [`resolve`]) for a model with the linear maps `shapes`.
    ///
    /// # Errors
    /// Artifact: a broken file, a placement of another depth, adapters that are not there or that
    /// nobody placed.
    pub fn read(dir: &Path, shapes: &Shapes) -> Result<Self> {
        let file = dir.join(PLACEMENT);
        if !file.is_file() {
            let adapter = Adapter::read(dir, shapes)?;
            let placement = plain_placement(&adapter, shapes);
            return Ok(Self { placement, adapters: BTreeMap::from([(SHARED.into(), adapter)]) });
        }
        let placement = Placement::read(&file)?;
        check_model(&placement, shapes).map_err(|e| e.at(&file))?;
        let mut adapters = BTreeMap::new();
        for name in placement.adapters.difference(&placement.empty) {
            let own = adapter_dir(dir, name);
            if !own.join(peft::CONFIG).is_file() {
                return Err(Error::artifact(format!("adapter `{name}` is missing"))
                    .at(own.join(peft::CONFIG))
                    .cause(format!("it is listed in {}", file.display())));
            }
            let adapter = Adapter::read(&own, shapes)?;
            for path in adapter.modules.keys() {
                if index_at(&placement, path).is_none() {
                    return Err(Error::artifact("the placement has no place for a module")
                        .at(own.join(peft::CONFIG))
                        .key("target_modules")
                        .found(format!("`{path}`"))
                        .cause(format!("the placement is {}", file.display())));
                }
            }
            adapters.insert(name.clone(), adapter);
        }
        let files = Self { placement, adapters };
        files.check_bases().map_err(|e| e.at(&file))?;
        files
            .check_unplaced(dir)
            .map_err(|e| e.cause(format!("the placement is {}", file.display())))?;
        Ok(files)
    }

    /// Adapters of several models are no set.
    fn check_bases(&self) -> Result<()> {
        let own = |name: &str, sha: &str| format!("`{name}`: {}", short(sha));
        let placed = self.placement.base_model_sha256.as_deref().map(|sha| ("placement", sha));
        let adapters = self.adapters.iter();
        let mut all =
            placed
                .into_iter()
                .chain(adapters.filter_map(|(name, a)| {
                    Some((name.as_str(), a.base_model_sha256.as_deref()?))
                }));
        let Some(first) = all.next() else { return Ok(()) };
        match all.find(|(_, sha)| *sha != first.1) {
            None => Ok(()),
            Some(other) => Err(Error::artifact("adapters were trained on different models")
                .found(own(other.0, other.1))
                .expected(own(first.0, first.1))),
        }
    }

    /// An adapter that nobody placed would be left out in silence.
    fn check_unplaced(&self, dir: &Path) -> Result<()> {
        let entries = std::fs::read_dir(dir).map_err(|e| Error::io("read", dir, e))?;
        let mut names: Vec<String> = entries
            .flatten()
            .filter(|e| peft::is_adapter(&e.path()))
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .collect();
        if peft::is_adapter(dir) {
            names.push(SHARED.to_string());
        }
        names.sort();
        match names.iter().find(|n| !self.adapters.contains_key(*n)) {
            None => Ok(()),
            Some(name) if self.placement.empty.contains(name) => {
                Err(Error::artifact(format!("adapter `{name}` is listed as empty, and is there"))
                    .at(adapter_dir(dir, name).join(peft::CONFIG)))
            }
            Some(name) => Err(Error::artifact("an adapter has no place in the set")
                .at(adapter_dir(dir, name).join(peft::CONFIG))
                .found(format!("`{name}`"))
                .hint("move it away, or add it to `adapters` of the placement")),
        }
    }

    /// Writes the set into `dir`, which exists. A plain LoRA becomes a PEFT directory.
    pub fn write(&self, dir: &Path, shapes: &Shapes, provenance: &Provenance) -> Result<()> {
        for (name, adapter) in &self.adapters {
            let own = adapter_dir(dir, name);
            std::fs::create_dir_all(&own).map_err(|e| Error::io("create directory", &own, e))?;
            adapter.write(&own, shapes, provenance)?;
        }
        self.placement.write(dir)
    }

    /// Fingerprint of the model the adapters were trained on, where they say so.
    pub fn base_model_sha256(&self) -> Option<&str> {
        let own = self.placement.base_model_sha256.as_deref();
        own.or_else(|| self.adapters.values().find_map(|a| a.base_model_sha256.as_deref()))
    }

    pub fn num_params(&self) -> usize {
        self.adapters.values().map(Adapter::num_params).sum()
    }
}

fn index_at(placement: &Placement, path: &str) -> Option<Index> {
    let (side, layer, module) = split_path(path)?;
    placement.side(side).get(layer)?.get(module).copied()
}

/// Every module of the adapter is shared by all directions.
fn plain_placement(adapter: &Adapter, shapes: &Shapes) -> Placement {
    let [encoder, decoder] = num_layers(shapes);
    let mut placement = Placement {
        encoder: vec![Layer::new(); encoder],
        decoder: vec![Layer::new(); decoder],
        adapters: [SHARED.to_string()].into(),
        base_model_sha256: adapter.base_model_sha256.clone(),
        ..Placement::default()
    };
    for (side, layer, module) in adapter.modules.keys().filter_map(|p| split_path(p)) {
        let layers = match side {
            Side::Encoder => &mut placement.encoder,
            Side::Decoder => &mut placement.decoder,
        };
        layers[layer].insert(module.to_string(), Index::Shared);
    }
    placement
}

/// Whether the placement has the model's layers and names its modules.
pub fn check_model(placement: &Placement, shapes: &Shapes) -> Result<()> {
    for (side, layers) in Side::BOTH.into_iter().zip(num_layers(shapes)) {
        let found = placement.side(side).len();
        if found != layers {
            return Err(Error::artifact("placement is for a model of another depth")
                .key(side.as_str())
                .found(format!("{found} layers"))
                .expected(layers.to_string()));
        }
    }
    for (side, layer, module, _) in placement.modules() {
        if !shapes.contains_key(&module_path(side, layer, module)) {
            let prefix = module_path(side, layer, "");
            return Err(Error::artifact(format!("the model has no module `{module}`"))
                .key(format!("{side}[{layer}]"))
                .suggest(module, shapes.keys().filter_map(|p| p.strip_prefix(prefix.as_str()))));
        }
    }
    if let Some((start, width)) = placement.slice {
        let narrow = placement.modules().find(|(side, layer, module, _)| {
            let (out, inp) = shapes[&module_path(*side, *layer, module)];
            start.checked_add(width).is_none_or(|end| end > out.min(inp)) || width == 0
        });
        if let Some((side, layer, module, _)) = narrow {
            return Err(Error::artifact("the slice lies outside a matrix")
                .key("slice")
                .found(format!("{width} coordinates from {start}"))
                .expected(format!(
                    "inside the {:?} of `{}`",
                    shapes[&module_path(side, layer, module)],
                    module_path(side, layer, module)
                )));
        }
    }
    Ok(())
}
