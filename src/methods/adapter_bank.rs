//! Stored adapters on disk.

use std::collections::BTreeMap;

use super::adapters::{AdapterModule, AdapterSet, placed_parts};
use super::placed::{SetUse, UnknownLanguage};
use crate::error::Result;
use crate::formats::adapters::{AdapterDir, Site};
use crate::model::DirectionParts;

impl AdapterSet {
    /// Everything a directory holds, frozen.
    pub fn from_dir(dir: &AdapterDir) -> Result<Self> {
        let config = dir.config().clone();
        let mut adapters: BTreeMap<String, BTreeMap<Site, AdapterModule>> = BTreeMap::new();
        for (name, sites) in dir.shapes() {
            for &site in sites.keys() {
                let weights = dir.weights(name, site)?;
                let module = AdapterModule::new(name, site, config.d_model, weights)?;
                adapters.entry(name.clone()).or_default().insert(site, module);
            }
        }
        Ok(Self { config, adapters })
    }
}

/// Adapters on disk, of which a direction's are read when they are asked for: a bank of hundreds of
/// languages is never held in memory.
pub struct AdapterBank {
    dir: AdapterDir,
}

impl AdapterBank {
    pub fn new(dir: AdapterDir) -> Self {
        Self { dir }
    }
    pub fn dir(&self) -> &AdapterDir {
        &self.dir
    }

    /// As of [`AdapterSet::choose`].
    pub fn choose(&self, src: &str, tgt: &str, unknown: UnknownLanguage) -> Result<SetUse> {
        self.dir.config().placement.choose("adapter", src, tgt, unknown)
    }

    /// What a direction's layers do differently.
    pub fn parts(&self, used: &SetUse) -> Result<DirectionParts> {
        let config = self.dir.config();
        placed_parts(config, used, |adapter, site| {
            let weights = self.dir.weights(adapter, site)?;
            Ok(AdapterModule::new(adapter, site, config.d_model, weights)?.value(config.norm))
        })
    }
}
