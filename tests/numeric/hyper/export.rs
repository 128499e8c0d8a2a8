//! Plain adapters instead of a hyper-network (check 5 of both specifications): exported, written in
//! either layout and read again they are what is generated on the fly.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use isogloss::formats::adapters::{
    AdapterDir, AdapterWriter, BANK, Layout, NormPlace, Position, Site,
};
use isogloss::formats::hypernet::{Affine, Factor, HyperConfig};
use isogloss::formats::neurons::Side;
use isogloss::formats::placement::Index;
use isogloss::formats::provenance::Provenance;
use isogloss::methods::hyper::{HyperInit, HyperNetwork, TRANSLATION};
use isogloss::methods::{AdapterBank, UnknownLanguage};
use isogloss::model::DirectionParts;

use super::{all_values, at, hyper_adapters, hyper_x, on, trained};
use crate::adapters::{Base, MODELS, close, pairs, translates_as_it_trains, wild};

const LANGUAGES: [&str; 3] = ["aa", "bb", "cc"];

fn network(c: HyperConfig) -> HyperNetwork {
    let c = trained(c, &LANGUAGES, &[TRANSLATION]);
    let network = HyperNetwork::create(c, HyperInit::Xavier, 1).unwrap();
    wild(network.parameters());
    network
}

fn directions() -> Vec<(String, String)> {
    pairs(&[("aa", "bb"), ("bb", "aa"), ("aa", "cc"), ("cc", "bb")])
}

/// As `gen-adapters` does it: one adapter at one site after the other.
fn export(network: &HyperNetwork, layout: Layout, dir: &Path) -> [Index; 2] {
    let plan = network.plan_export(("translation", &Side::BOTH), &directions()).unwrap();
    let provenance = Provenance::default();
    let mut writer =
        AdapterWriter::create(dir, &plan.config, layout, &plan.shapes, "base", &provenance)
            .unwrap();
    while let Some((name, site)) = writer.next() {
        let (src, tgt) = &plan.languages[name];
        let weights =
            network.export("translation", (src.as_deref(), tgt.as_deref()), &[site]).unwrap();
        writer.push(&weights[0]).unwrap();
    }
    writer.finish().unwrap();
    Side::BOTH.map(|side| network.index(side))
}

fn bank(dir: &Path, base: &Base) -> AdapterBank {
    let c = base.config();
    let dir = AdapterDir::open(dir, c.d_model, c.encoder_layers, c.decoder_layers).unwrap();
    AdapterBank::new(dir)
}

fn read(bank: &AdapterBank, src: &str, tgt: &str) -> DirectionParts {
    bank.parts(&bank.choose(src, tgt, UnknownLanguage::Error).unwrap()).unwrap()
}

fn generated(network: &HyperNetwork, src: &str, tgt: &str) -> DirectionParts {
    network.parts(&network.choose(TRANSLATION, src, tgt).unwrap()).unwrap()
}

/// What adapters of a side differ by, for each way to switch inputs; Hyper-X with every norm.
fn systems(base: &Base) -> Vec<(HyperNetwork, [Index; 2])> {
    use Factor::{Layer, Source, Target};
    let c = base.config();
    let layers = [c.encoder_layers, c.decoder_layers];
    let plain = HyperConfig {
        embedding_dim: 5,
        layer_embedding_dim: 3,
        ..hyper_adapters(c.d_model, layers, 4, 6)
    };
    let switched = |encoder: &[Factor], decoder: &[Factor]| {
        let (encoder_inputs, decoder_inputs) = (on(encoder), on(decoder));
        network(HyperConfig { encoder_inputs, decoder_inputs, ..plain.clone() })
    };
    // Sums of few terms, so that 1e-6 is not lost in rounding.
    let x = HyperConfig {
        embedding_dim: 5,
        layer_embedding_dim: 5,
        projection: Some(6),
        ..hyper_x(c.d_model, layers, 4, 6)
    };
    let after = HyperConfig { norm: NormPlace::After, affine: Affine::Generated, ..x.clone() };
    let learned = HyperConfig { affine: Affine::Learned, ..after.clone() };
    let tied = HyperConfig { tie_languages: true, affine: Affine::None, ..plain.clone() };
    let by_side = [Index::Source, Index::Target];
    vec![
        (switched(&[Source, Layer], &[Target, Layer]), by_side),
        (switched(&[Target, Layer], &[Source]), [Index::Target, Index::Source]),
        (switched(&[Source], &[Source, Target, Layer]), [Index::Source, Index::Direction]),
        (switched(&[Layer], &[Layer]), [Index::Shared; 2]),
        (switched(&[Layer], &[Target]), [Index::Shared, Index::Target]),
        (network(plain.clone()), [Index::Direction; 2]),
        (network(tied), [Index::Direction; 2]),
        (network(x), by_side),
        (network(after), by_side),
        (network(learned), by_side),
    ]
}

/// Values within 1e-6 and logits within 1e-5, whatever the adapters are indexed by.
#[test]
fn exported_adapters_equal_generated_ones() {
    for model in MODELS {
        let base = Base::open(model);
        for (i, (network, index)) in systems(&base).into_iter().enumerate() {
            for layout in [Layout::Bank, Layout::AdapterHub] {
                let dir = tempfile::tempdir().unwrap();
                assert_eq!(export(&network, layout, dir.path()), index);
                let bank = bank(dir.path(), &base);
                assert_eq!(bank.dir().layout(), layout);
                for (src, tgt) in directions() {
                    let what = format!("{model} {i} {layout:?} {src}-{tgt}");
                    let (found, want) = (read(&bank, &src, &tgt), generated(&network, &src, &tgt));
                    same_parts(&network, &found, &want, &what);
                    close(&base.logits(&found), &base.logits(&want), 1e-5, &what);
                }
            }
        }
    }
}

#[track_caller]
fn same_parts(network: &HyperNetwork, found: &DirectionParts, want: &DirectionParts, what: &str) {
    for site in network.config.sites() {
        let (found, want) = (at(found, site), at(want, site));
        assert_eq!(found.norm, want.norm, "{what}");
        let (mut found, want) = (all_values(found), all_values(want));
        // A layout may write out that a norm has scale 1 and shift 0.
        if found.len() == want.len() + 2 {
            let shift = found.pop().unwrap();
            let scale = found.pop().unwrap();
            assert!(scale.iter().all(|v| *v == 1.0) && shift.iter().all(|v| *v == 0.0), "{what}");
        }
        assert_eq!(found.len(), want.len(), "{what}");
        for (part, (found, want)) in found.iter().zip(&want).enumerate() {
            close(found, want, 1e-6, &format!("{what} {site}: part {part}"));
        }
    }
    let adapters = |p: &DirectionParts| -> usize {
        p.encoder.iter().chain(&p.decoder).map(|l| l.adapters.len()).sum()
    };
    assert_eq!(adapters(found), adapters(want), "{what}");
}

/// Translation with a bank is translation with the hyper-network.
#[test]
fn exported_adapters_translate_as_generated_ones_train() {
    let base = Base::open("even");
    let model = base.inference();
    for (network, _) in systems(&base) {
        let dir = tempfile::tempdir().unwrap();
        export(&network, Layout::Bank, dir.path());
        let found = read(&bank(dir.path(), &base), "aa", "cc");
        translates_as_it_trains(&base, &model, &found, "bank");
        close(&base.logits(&found), &base.logits(&generated(&network, "aa", "cc")), 1e-5, "bank");
    }
}

/// Directions and languages that were not exported, or never trained, are refused.
#[test]
fn a_bank_knows_what_it_was_made_for() {
    let base = Base::open("even");
    let (network, _) = systems(&base).swap_remove(5);
    let dir = tempfile::tempdir().unwrap();
    export(&network, Layout::Bank, dir.path());
    let bank = bank(dir.path(), &base);
    let e = bank.choose("bb", "cc", UnknownLanguage::Error).unwrap_err().to_string();
    assert!(e.contains("direction `bb-cc` has no adapter"), "{e}");
    let e = network
        .plan_export(("translation", &Side::BOTH), &pairs(&[("aa", "bb"), ("aa", "dd")]))
        .err()
        .unwrap();
    assert_eq!(e.exit_code() as i32, 3);
    assert!(e.to_string().contains("language `dd` has no vector as target"), "{e}");
    let mut fresh = network;
    fresh.config.rows.get_mut("source.bb").unwrap().updates = 0;
    let e = fresh
        .plan_export(("translation", &Side::BOTH), &pairs(&[("aa", "bb"), ("bb", "aa")]))
        .err()
        .unwrap();
    assert!(e.to_string().contains("`bb` as source has had no update"), "{e}");
    let (sources, targets) = fresh.sources_and_targets();
    assert!(!sources.contains("bb") && targets.contains("bb"));
}

/// Opening a bank reads headers; a direction's values are read when they are asked for, and those of
/// no other.
#[test]
fn a_bank_reads_a_directions_values_when_they_are_asked_for() {
    let base = Base::open("even");
    let (network, _) = systems(&base).swap_remove(0);
    for (layout, file) in [(Layout::Bank, BANK), (Layout::AdapterHub, "cc/adapter.safetensors")] {
        let dir = tempfile::tempdir().unwrap();
        export(&network, layout, dir.path());
        let bank = bank(dir.path(), &base);
        let site = Site { side: Side::Decoder, layer: 1, position: Position::Layer };
        let up_bias = |tgt: &str| all_values(at(&read(&bank, "aa", tgt), site))[3].clone();
        let before = ["bb", "cc"].map(up_bias);
        // Another first value in the file that the bank has already checked.
        let path = dir.path().join(file);
        let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let wanted: Vec<u8> = before[1].iter().flat_map(|v| v.to_le_bytes()).collect();
        let offset = bytes.windows(wanted.len()).position(|w| w == wanted).unwrap();
        file.seek(SeekFrom::Start(offset as u64)).unwrap();
        file.write_all(&9f32.to_le_bytes()).unwrap();
        file.sync_all().unwrap();
        let after = ["bb", "cc"].map(up_bias);
        assert_eq!(after[0], before[0]);
        assert_eq!(after[1][0], 9.0);
        assert_eq!(after[1][1..], before[1][1..]);
    }
}
