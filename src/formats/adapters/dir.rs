//! Sets of adapters as they are read: checked by their headers, values on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::adapterhub::{self, HubAdapter};
use super::bank::{self, BankHeader};
use super::parts::{Shapes, Sites};
use super::set::Layout;
use super::{AdapterSetConfig, AdapterWeights, BANK, FILE, NormPlace, Site, sites};
use crate::error::{Error, Result};
use crate::formats::neurons::Side;
use crate::formats::placement::{Index, Layer, Placement, SHARED};
use crate::formats::provenance::hex;
use crate::formats::safetensors::TensorFile;
use crate::formats::{hf, lora};

/// The adapters of a directory. Values stay on disk until they are asked for.
pub struct AdapterDir {
    dir: PathBuf,
    config: AdapterSetConfig,
    layout: Layout,
    shapes: Shapes,
    files: Files,
}

enum Files {
    Bank(Box<TensorFile>),
    Hub(BTreeMap<String, HubAdapter>),
}

impl AdapterDir {
    /// The directory of adapters a path stands for: itself, or the best (else the latest)
    /// checkpoint of a run.
    ///
    /// # Errors
    /// Artifact: says what the path is instead, where that is known.
    pub fn resolve(path: &Path) -> Result<PathBuf> {
        let fits = |dir: &Path| dir.join(FILE).is_file() || adapterhub::is_adapter(dir);
        let found = hf::resolve_dir(path, FILE, fits);
        if let Ok(Some(dir)) = found {
            return Ok(dir);
        }
        let trained = "`isogloss train --method adapters` makes adapters, and `isogloss \
                       gen-adapters` makes them of a hyper-network";
        if let Ok(dir) = lora::resolve(path) {
            return Err(Error::artifact("a LoRA, not bottleneck adapters")
                .at(dir)
                .hint("name it with `--lora`")
                .hint(trained));
        }
        let is_model = |dir: &Path| dir.join(hf::CONFIG).is_file();
        if let Ok(Some(model)) = hf::resolve_dir(path, hf::CONFIG, is_model) {
            return Err(Error::artifact("a whole model, not adapters")
                .at(model)
                .hint("name a model with `-m`")
                .hint(trained));
        }
        found?;
        let e = Error::artifact("not adapters or a run that trained some")
            .at(path)
            .expected(format!("a directory with `{FILE}` or `{}`", adapterhub::CONFIG));
        let several = std::fs::read_dir(path)
            .map(|d| d.flatten().any(|entry| adapterhub::is_adapter(&entry.path())))
            .unwrap_or(false);
        Err(match several {
            true => e.hint(format!(
                "it holds adapters; `{FILE}` would say which layers use which: name one of them"
            )),
            false if path.is_file() => e.hint("name the directory that the file is in"),
            false if !path.exists() => e.hint("no such directory; check the path"),
            false => e.hint(trained),
        })
    }

    /// Opens a directory (see [`AdapterDir::resolve`]) for a model of this size: a set, or one
    /// adapter of AdapterHub, which all directions then share. Reads headers only.
    ///
    /// # Errors
    /// Artifact: a broken file, adapters for another model, that compute something we do not know,
    /// that are missing, or that nobody placed.
    pub fn open(
        dir: &Path,
        d_model: usize,
        encoder_layers: usize,
        decoder_layers: usize,
    ) -> Result<Self> {
        let depth = [encoder_layers, decoder_layers];
        if !dir.join(FILE).is_file() {
            return Self::open_single(dir, d_model, depth);
        }
        let (config, layout) = AdapterSetConfig::read(&dir.join(FILE))?;
        config.check_model(d_model, depth).map_err(|e| e.at(dir.join(FILE)))?;
        Self::open_set(dir, config, layout)
    }

    /// Opens a set for the model it says it is for.
    pub fn open_as_is(dir: &Path) -> Result<Self> {
        let (config, layout) = AdapterSetConfig::read(&dir.join(FILE))?;
        Self::open_set(dir, config, layout)
    }

    fn open_set(dir: &Path, config: AdapterSetConfig, layout: Layout) -> Result<Self> {
        let (shapes, files) = match layout {
            Layout::Bank => open_bank(dir, &config)?,
            Layout::AdapterHub => open_hub(dir, &config)?,
        };
        sites::check(&config.placement, &shapes).map_err(|e| {
            let values = match layout {
                Layout::Bank => dir.join(BANK),
                Layout::AdapterHub => dir.to_path_buf(),
            };
            e.at(dir.join(FILE)).cause(format!("the values are in {}", values.display()))
        })?;
        Ok(Self { dir: dir.to_path_buf(), config, layout, shapes, files })
    }

    fn open_single(dir: &Path, d_model: usize, depth: [usize; 2]) -> Result<Self> {
        if !dir.join(adapterhub::CONFIG).is_file() {
            return Err(Error::artifact("no adapters")
                .at(dir)
                .expected(format!("`{FILE}` or `{}`", adapterhub::CONFIG)));
        }
        let (adapter, sites) = HubAdapter::open(dir, d_model, depth)?;
        let [encoder, decoder] = depth.map(|layers| vec![Layer::new(); layers]);
        let mut placement = Placement {
            encoder,
            decoder,
            adapters: [SHARED.to_string()].into(),
            base_model_sha256: adapter.base_model_sha256.clone(),
            ..Placement::default()
        };
        for site in sites.keys() {
            let layers = match site.side {
                Side::Encoder => &mut placement.encoder,
                Side::Decoder => &mut placement.decoder,
            };
            layers[site.layer].insert(site.position.name().to_string(), Index::Shared);
        }
        let norm = adapter.norm;
        Ok(Self {
            dir: dir.to_path_buf(),
            config: AdapterSetConfig {
                d_model,
                norm,
                affine: norm != NormPlace::None,
                task: None,
                placement,
            },
            layout: Layout::AdapterHub,
            shapes: Shapes::from([(SHARED.to_string(), sites)]),
            files: Files::Hub(BTreeMap::from([(SHARED.to_string(), adapter)])),
        })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
    pub fn config(&self) -> &AdapterSetConfig {
        &self.config
    }
    pub fn layout(&self) -> Layout {
        self.layout
    }
    /// Bottleneck by site of each adapter.
    pub fn shapes(&self) -> &BTreeMap<String, Sites> {
        &self.shapes
    }
    /// Fingerprint of the model the adapters were trained on, where they say so.
    pub fn base_model_sha256(&self) -> Option<&str> {
        self.config.placement.base_model_sha256.as_deref()
    }

    /// Values of all adapters, as they are used: a copy in a file does not count, nor do ones and
    /// zeros for a norm without scale and shift.
    pub fn num_values(&self) -> u64 {
        let d_model = self.config.d_model as u64;
        let norm = if self.config.stores_norm() { 2 * d_model } else { 0 };
        let sites = self.shapes.values().flat_map(BTreeMap::values);
        sites.map(|b| *b as u64).map(|b| 2 * b * d_model + b + d_model + norm).sum()
    }

    /// The values of an adapter at a site, read now.
    ///
    /// # Errors
    /// Artifact: a name or a site that the set does not have; copies of a norm that differ.
    pub fn weights(&self, adapter: &str, site: Site) -> Result<AdapterWeights> {
        let sites = self.shapes.get(adapter).ok_or_else(|| {
            Error::artifact(format!("there is no adapter `{adapter}`"))
                .at(&self.dir)
                .suggest(adapter, self.shapes.keys().map(String::as_str))
        })?;
        let bottleneck = *sites.get(&site).ok_or_else(|| {
            Error::artifact(format!("adapter `{adapter}` has no values for {site}")).at(&self.dir)
        })?;
        match &self.files {
            Files::Bank(file) => bank::weights(file, &self.config, (adapter, site), bottleneck),
            Files::Hub(adapters) => {
                let own =
                    adapters.get(adapter).ok_or_else(|| Error::bug("adapter without file"))?;
                own.weights(site, bottleneck, self.config.d_model, self.config.affine)
            }
        }
    }

    /// Fingerprint of configuration and values, in hexadecimal: the same for both layouts,
    /// whatever made the files. Reads all values.
    pub fn sha256(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        hasher.update(self.config.to_text(Layout::Bank)?);
        for (adapter, sites) in &self.shapes {
            for site in sites.keys() {
                let own = self.weights(adapter, *site)?.sha256();
                hasher.update(format!("{adapter}.{site} {own}\n"));
            }
        }
        Ok(hex(&hasher.finalize()))
    }
}

fn open_bank(dir: &Path, config: &AdapterSetConfig) -> Result<(Shapes, Files)> {
    let path = dir.join(BANK);
    if !path.is_file() {
        return Err(Error::artifact("adapters have no values")
            .at(dir)
            .expected(format!("`{}`", path.display()))
            .cause(format!("`layout` of {FILE} is `{}`", Layout::Bank.name())));
    }
    let file = TensorFile::open(&path)?;
    let header = BankHeader::of_set(&file, config)?;
    Ok((header.shapes, Files::Bank(Box::new(file))))
}

fn open_hub(dir: &Path, config: &AdapterSetConfig) -> Result<(Shapes, Files)> {
    let file = dir.join(FILE);
    let placement = &config.placement;
    let depth = [placement.encoder.len(), placement.decoder.len()];
    let (mut adapters, mut shapes) = (BTreeMap::new(), Shapes::new());
    for name in placement.adapters.difference(&placement.empty) {
        let own = dir.join(name);
        if !own.join(adapterhub::CONFIG).is_file() {
            return Err(Error::artifact(format!("adapter `{name}` is missing"))
                .at(own.join(adapterhub::CONFIG))
                .cause(format!("it is listed in {}", file.display())));
        }
        let (adapter, sites) = HubAdapter::open(&own, config.d_model, depth)?;
        if adapter.norm != config.norm {
            return Err(Error::artifact("adapter normalises elsewhere than the set")
                .at(own.join(adapterhub::CONFIG))
                .key("config.ln_before")
                .cause(format!("`norm` of {} is another", file.display())));
        }
        adapters.insert(name.clone(), adapter);
        shapes.insert(name.clone(), sites);
    }
    // One that nobody placed would be left out in silence.
    let entries = std::fs::read_dir(dir).map_err(|e| Error::io("read", dir, e))?;
    let there: BTreeSet<String> = entries
        .flatten()
        .filter(|e| adapterhub::is_adapter(&e.path()))
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    if let Some(name) = there.iter().find(|n| !adapters.contains_key(*n)) {
        let own = dir.join(name).join(adapterhub::CONFIG);
        return Err(match placement.empty.contains(name) {
            true => Error::artifact(format!("adapter `{name}` is listed as empty, and is there"))
                .at(own),
            false => Error::artifact("an adapter has no place in the set")
                .at(own)
                .found(format!("`{name}`"))
                .hint("move it away, or add it to `adapters` of the placement"),
        });
    }
    Ok((shapes, Files::Hub(adapters)))
}
