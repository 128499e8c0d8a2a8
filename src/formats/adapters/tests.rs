//! Sets written and read again, and everything that is refused.

mod foreign;
mod hub;
mod refused;

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::formats::placement::{Index, Language, Layer, Placement, SHARED};
use crate::formats::provenance::{Parent, Provenance};

const D_MODEL: usize = 6;
/// Unlike, so that the decoder's numbers show where they begin.
const DEPTH: [usize; 2] = [2, 3];

fn provenance() -> Provenance {
    let base = Parent { role: "base_model".into(), name: "m".into(), sha256: "ab12".into() };
    Provenance { command: "test".into(), parents: vec![base], ..Provenance::default() }
}

/// The encoder by source, the decoder by target; `fr` is a source only.
fn placement(positions: &[Position]) -> Placement {
    let layer = |side: Side, index: Index| -> Layer {
        let on = positions.iter().filter(|p| p.is_on(side));
        on.map(|p| (p.name().to_string(), index)).collect()
    };
    let language = |a: &str, target: bool| Language { adapter: a.into(), source: true, target };
    Placement {
        encoder: vec![layer(Side::Encoder, Index::Source); DEPTH[0]],
        decoder: vec![layer(Side::Decoder, Index::Target); DEPTH[1]],
        languages: [("de", language("de", true)), ("fr", language("Romance", false))]
            .map(|(code, l)| (code.to_string(), l))
            .into(),
        adapters: ["de", "Romance"].map(String::from).into(),
        base_model_sha256: Some("ab12".into()),
        ..Placement::default()
    }
}

fn config(norm: NormPlace, affine: bool, positions: &[Position]) -> AdapterSetConfig {
    AdapterSetConfig { d_model: D_MODEL, norm, affine, task: None, placement: placement(positions) }
}

/// What the placement of [`config`] needs; the last decoder layer is wider.
fn shapes(config: &AdapterSetConfig) -> Shapes {
    let mut out = Shapes::new();
    for (side, layer, module, _) in config.placement.modules() {
        let site = Site { side, layer, position: Position::parse(module).unwrap() };
        for name in ["de", "Romance"] {
            if side == Side::Encoder || name == "de" {
                let wide = side == Side::Decoder && layer == 2;
                out.entry(name.into()).or_default().insert(site, if wide { 4 } else { 2 });
            }
        }
    }
    out
}

/// Values that no other place has: any mix-up shows.
fn weights(config: &AdapterSetConfig, adapter: &str, site: Site, b: usize) -> AdapterWeights {
    let place = format!("{adapter}.{site}");
    let seed = place.bytes().fold(7u32, |h, c| h.wrapping_mul(31).wrapping_add(c.into()));
    let mut next = seed;
    let mut fill = |n: usize| -> Vec<f32> {
        let value = |_| {
            next = next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (next >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(value).collect()
    };
    let d = config.d_model;
    AdapterWeights {
        down: fill(b * d),
        down_bias: fill(b),
        up: fill(d * b),
        up_bias: fill(d),
        norm: config.stores_norm().then(|| (fill(d), fill(d))),
    }
}

fn write(dir: &Path, config: &AdapterSetConfig, layout: Layout) {
    let shapes = shapes(config);
    let mut writer =
        AdapterWriter::create(dir, config, layout, &shapes, "org/base", &provenance()).unwrap();
    let order: Vec<(String, Site)> = writer.order().map(|(n, s)| (n.into(), s)).collect();
    for (name, site) in &order {
        assert_eq!(writer.next(), Some((name.as_str(), *site)));
        writer.push(&weights(config, name, *site, shapes[name][site])).unwrap();
    }
    assert_eq!(writer.next(), None);
    writer.finish().unwrap();
}

fn open(dir: &Path) -> crate::error::Result<AdapterDir> {
    AdapterDir::open(dir, D_MODEL, DEPTH[0], DEPTH[1])
}

/// Every file below a directory, by path.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            out.extend(files(&path).into_iter().map(|(n, b)| (format!("{name}/{n}"), b)));
        } else {
            out.insert(name, std::fs::read(&path).unwrap());
        }
    }
    out
}

const NORMS: [(NormPlace, bool); 5] = [
    (NormPlace::None, false),
    (NormPlace::Before, true),
    (NormPlace::Before, false),
    (NormPlace::After, true),
    (NormPlace::After, false),
];

#[test]
fn write_read_write_gives_the_same_bytes_in_both_layouts() {
    let root = tempfile::tempdir().unwrap();
    let inside = [Position::Attention, Position::CrossAttention, Position::FeedForward];
    for (i, (norm, affine)) in NORMS.into_iter().enumerate() {
        for (j, positions) in [&[Position::Layer][..], &inside].into_iter().enumerate() {
            let config = config(norm, affine, positions);
            let mut fingerprints = Vec::new();
            for layout in [Layout::Bank, Layout::AdapterHub] {
                let dir = root.path().join(format!("{i}-{j}-{}", layout.name()));
                write(&dir, &config, layout);
                let read = open(&dir).unwrap();
                assert_eq!((read.config(), read.layout()), (&config, layout));
                assert_eq!(*read.shapes(), shapes(&config));
                assert_eq!(read.base_model_sha256(), Some("ab12"));
                let again = dir.with_extension("again");
                let mut writer = AdapterWriter::create(
                    &again,
                    read.config(),
                    read.layout(),
                    read.shapes(),
                    "org/base",
                    &provenance(),
                )
                .unwrap();
                let mut num_values = 0;
                while let Some((name, site)) = writer.next() {
                    let w = read.weights(name, site).unwrap();
                    assert_eq!(w, weights(&config, name, site, w.bottleneck()), "{name} {site}");
                    num_values += w.num_values() as u64;
                    writer.push(&w).unwrap();
                }
                writer.finish().unwrap();
                assert_eq!(files(&again), files(&dir));
                assert_eq!(read.num_values(), num_values);
                fingerprints.push(read.sha256().unwrap());
            }
            assert_eq!(fingerprints[0], fingerprints[1]);
        }
    }
}

#[test]
fn a_fingerprint_tells_values_and_configurations_apart() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(BANK);
    write(root.path(), &config(NormPlace::None, false, &[Position::Layer]), Layout::Bank);
    let one = open(root.path()).unwrap().sha256().unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let two = open(root.path()).unwrap().sha256().unwrap();
    assert_ne!(one, two);
    let elsewhere = config(NormPlace::None, false, &[Position::FeedForward]);
    write(root.path(), &elsewhere, Layout::Bank);
    assert!(![one, two].contains(&open(root.path()).unwrap().sha256().unwrap()));
}

/// Names, order, shapes and values of a bank, without our reader.
#[test]
fn a_bank_is_what_the_reference_library_reads() {
    let root = tempfile::tempdir().unwrap();
    let config = config(NormPlace::After, true, &[Position::Layer]);
    write(root.path(), &config, Layout::Bank);
    let bytes = std::fs::read(root.path().join(BANK)).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let metadata = &header["__metadata__"];
    assert_eq!((&metadata["kind"], &metadata["format"]), (&"adapter_bank".into(), &"pt".into()));
    let mut expected = Vec::new();
    for site in [
        "Romance.encoder.layers.0.layer",
        "Romance.encoder.layers.1.layer",
        "de.encoder.layers.0.layer",
        "de.encoder.layers.1.layer",
        "de.decoder.layers.0.layer",
        "de.decoder.layers.1.layer",
        "de.decoder.layers.2.layer",
    ] {
        let ends = ["down.weight", "down.bias", "up.weight", "up.bias", "norm.weight", "norm.bias"];
        expected.extend(ends.map(|end| format!("{site}.{end}")));
    }
    assert_eq!(header.keys().skip(1).cloned().collect::<Vec<_>>(), expected);
    let file = ::safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let site = Site { side: Side::Decoder, layer: 2, position: Position::Layer };
    let own = weights(&config, "de", site, 4);
    let norm = own.norm.clone().unwrap();
    for (end, shape, values) in [
        ("down.weight", vec![4, 6], own.down),
        ("down.bias", vec![4], own.down_bias),
        ("up.weight", vec![6, 4], own.up),
        ("up.bias", vec![6], own.up_bias),
        ("norm.weight", vec![6], norm.0),
        ("norm.bias", vec![6], norm.1),
    ] {
        let view = file.tensor(&format!("de.decoder.layers.2.layer.{end}")).unwrap();
        assert_eq!(view.shape(), shape);
        let read: Vec<f32> =
            view.data().chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        assert_eq!(read, values, "{end}");
    }
}

/// The names of adapters are taken as they are, dots and all.
#[test]
fn names_of_adapters_may_look_like_names_of_tensors() {
    let root = tempfile::tempdir().unwrap();
    let mut config = config(NormPlace::None, false, &[Position::Layer]);
    let name = "x.encoder.layers.0.layer.down";
    config.placement.languages.get_mut("de").unwrap().adapter = name.into();
    config.placement.adapters = [name, "Romance"].map(String::from).into();
    let mut shapes = shapes(&config);
    let de = shapes.remove("de").unwrap();
    shapes.insert(name.into(), de);
    let create = |layout| {
        AdapterWriter::create(root.path(), &config, layout, &shapes, "base", &provenance())
    };
    let mut writer = create(Layout::Bank).unwrap();
    while let Some((adapter, site)) = writer.next() {
        let weights = weights(&config, adapter, site, shapes[adapter][&site]);
        writer.push(&weights).unwrap();
    }
    writer.finish().unwrap();
    let read = open(root.path()).unwrap();
    assert_eq!(*read.shapes(), shapes);
    let e = create(Layout::AdapterHub).err().unwrap();
    assert!(e.to_string().contains("a dot"), "{e}");
}
