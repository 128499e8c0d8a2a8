//! Bottleneck adapters: whose there are, how wide they are, and which layer uses whose.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::lora::placed;
use super::{Facts, Options, facts, tensors};
use crate::error::Result;
use crate::formats::adapters::{
    AdapterDir, AdapterSetConfig, BANK, BankHeader, Layout, NormPlace, Shapes, Sites,
};
use crate::formats::safetensors::TensorFile;

/// So many adapters are shown one by one.
const SHOWN: usize = 200;

pub fn set(path: &Path, options: Options) -> Result<Facts> {
    Ok(facts(path, "adapter_set", contents(path, options)?))
}

/// An `adapters.json` by itself.
pub fn placement(path: &Path) -> Result<Facts> {
    let (config, layout) = AdapterSetConfig::read(path)?;
    let mut rest = settings(&config, layout);
    rest.insert("adapters".into(), json!(config.placement.adapters));
    rest.insert("languages".into(), json!(config.placement.languages.keys().collect::<Vec<_>>()));
    rest.extend(placed(&config.placement));
    Ok(facts(path, "adapter_placement", rest))
}

/// What a set's directory holds.
pub fn contents(path: &Path, options: Options) -> Result<Facts> {
    let set = AdapterDir::open_as_is(path)?;
    let mut rest = settings(set.config(), set.layout());
    rest.insert("num_adapters".into(), set.shapes().len().into());
    rest.insert("num_values".into(), set.num_values().into());
    rest.extend(placed(&set.config().placement));
    rest.insert("adapters".into(), adapters(set.shapes()).into());
    if !options.quick {
        rest.insert("sha256".into(), set.sha256()?.into());
    }
    if set.layout() == Layout::Bank {
        let file = TensorFile::open(&path.join(BANK))?;
        rest.extend(tensors::header(&mut file.metadata()));
    }
    Ok(rest)
}

/// What the file of a bank says without the set's own.
pub fn bank(file: &TensorFile) -> Result<Facts> {
    let header = BankHeader::read(file)?;
    let mut rest = Map::new();
    rest.insert("d_model".into(), header.d_model.into());
    rest.insert("stores_norm".into(), header.with_norm.into());
    rest.insert("num_adapters".into(), header.shapes.len().into());
    rest.insert("adapters".into(), adapters(&header.shapes).into());
    Ok(rest)
}

fn settings(config: &AdapterSetConfig, layout: Layout) -> Facts {
    let mut rest = Map::new();
    rest.insert("layout".into(), layout.name().into());
    rest.insert("d_model".into(), config.d_model.into());
    rest.insert("norm".into(), json!(config.norm));
    if config.norm != NormPlace::None {
        rest.insert("affine".into(), config.affine.into());
    }
    rest
}

/// Sites and bottlenecks of each adapter.
fn adapters(shapes: &Shapes) -> Facts {
    let of = |sites: &Sites| -> Value {
        let bottlenecks: BTreeSet<usize> = sites.values().copied().collect();
        json!({"num_sites": sites.len(), "bottlenecks": bottlenecks})
    };
    let shown = shapes.iter().take(SHOWN);
    let mut out: Facts = shown.map(|(name, sites)| (name.clone(), of(sites))).collect();
    if let Some(more) = shapes.len().checked_sub(SHOWN).filter(|n| *n > 0) {
        out.insert("...".into(), format!("{more} more").into());
    }
    out
}
