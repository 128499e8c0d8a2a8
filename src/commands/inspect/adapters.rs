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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::adapters::{AdapterWeights, AdapterWriter, FILE, Site};
    use crate::formats::placement::{Index, Layer, Placement, SHARED};
    use crate::formats::provenance::Provenance;

    /// One shared adapter, of width 3 on two layers of the encoder.
    fn write(dir: &Path, layout: Layout) {
        let layer = Layer::from([("layer".to_string(), Index::Shared)]);
        let placement = Placement {
            encoder: vec![layer; 2],
            decoder: vec![Layer::new()],
            adapters: [SHARED.to_string()].into(),
            ..Placement::default()
        };
        let config = AdapterSetConfig {
            d_model: 4,
            norm: NormPlace::Before,
            affine: true,
            task: None,
            placement,
        };
        let sites = ["encoder.layers.0.layer", "encoder.layers.1.layer"];
        let sites: Sites = sites.iter().map(|site| (Site::parse(site).unwrap(), 3)).collect();
        let shapes = Shapes::from([(SHARED.to_string(), sites)]);
        let provenance = Provenance { command: "train".into(), ..Provenance::default() };
        let mut writer =
            AdapterWriter::create(dir, &config, layout, &shapes, "base", &provenance).unwrap();
        let weights = AdapterWeights {
            down: vec![0.5; 12],
            down_bias: vec![0.0; 3],
            up: vec![0.0; 12],
            up_bias: vec![0.0; 4],
            norm: Some((vec![1.0; 4], vec![0.0; 4])),
        };
        while writer.next().is_some() {
            writer.push(&weights).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn sets_files_and_banks_say_what_they_are() {
        let root = tempfile::tempdir().unwrap();
        let options = Options { tensors: false, quick: false, dtype: None };
        for layout in [Layout::Bank, Layout::AdapterHub] {
            let dir = root.path().join(layout.name());
            write(&dir, layout);
            let found = super::super::directory(&dir, options).unwrap();
            assert_eq!(found["kind"], "adapter_set");
            assert_eq!(found["layout"], layout.name());
            // Two sites of 3 * 4 + 3 + 4 * 3 + 4 + 4 + 4 values.
            assert_eq!((&found["num_adapters"], &found["num_values"]), (&json!(1), &json!(78)));
            let adapters = json!({SHARED: {"num_sites": 2, "bottlenecks": [3]}});
            assert_eq!(found["adapters"], adapters);
            assert_eq!(found["encoder"], "shared (layer); shared (layer)");
            assert!(found["sha256"].as_str().is_some_and(|s| s.len() == 64));
            let quick = Options { quick: true, ..options };
            assert!(!contents(&dir, quick).unwrap().contains_key("sha256"));
            let file = super::super::file(&dir.join(FILE), options).unwrap();
            assert_eq!(
                (&file["kind"], &file["norm"]),
                (&json!("adapter_placement"), &json!("before"))
            );
            if layout == Layout::Bank {
                assert_eq!(found["provenance"]["command"], "train");
                let bank = super::super::file(&dir.join(BANK), options).unwrap();
                assert_eq!(bank["kind"], "adapter_bank");
                assert_eq!((&bank["d_model"], &bank["stores_norm"]), (&json!(4), &json!(true)));
                assert_eq!(bank["adapters"], adapters);
            } else {
                let one = super::super::directory(&dir.join(SHARED), options).unwrap();
                assert_eq!(
                    (&one["kind"], &one["name"]),
                    (&json!("adapter_directory"), &json!(SHARED))
                );
            }
        }
    }
}
