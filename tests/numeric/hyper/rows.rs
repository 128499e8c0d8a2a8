//! Vectors of languages and tasks: none is used before it was trained, and new ones are mixed from
//! those that were.

use isogloss::error::ErrorKind;
use isogloss::formats::hypernet::{Factor, HyperConfig, Row};
use isogloss::formats::neurons::Side;
use isogloss::formats::provenance::Provenance;
use isogloss::kernels::storage::values;
use isogloss::methods::hyper::{HyperInit, HyperNetwork, Mixture, TRANSLATION};
use isogloss::methods::{AdapterSource, SetUse, UnknownLanguage};

use super::{hyper_adapters, hyper_x, on, trained, with_rows};
use crate::adapters::{close, wild};

fn create(c: HyperConfig) -> HyperNetwork {
    let network = HyperNetwork::create(c, HyperInit::Xavier, 2).unwrap();
    wild(network.parameters());
    network
}

fn adapters() -> HyperConfig {
    HyperConfig { embedding_dim: 6, ..hyper_adapters(8, [1, 1], 2, 5) }
}

/// The one error of a data fault, with its hints.
#[track_caller]
fn refused<T>(result: isogloss::Result<T>, says: &[&str]) {
    let e = result.err().expect("it is refused");
    assert_eq!(e.kind(), ErrorKind::Data, "{e}");
    let text = format!("{e} {:?} {}", e.expectation(), e.hints().join(" "));
    for says in says {
        assert!(text.contains(says), "`{says}` is not in: {text}");
    }
}

/// A declared language that no text had, a new one, a task that was never trained: all are refused
/// before anything is generated, and the message says which vector it is.
#[test]
fn vectors_without_an_update_are_never_used() {
    let mut network = create(trained(adapters(), &["aa", "bb", "cc"], &[]));
    assert!(network.choose(TRANSLATION, "aa", "bb").is_ok());
    network.config.rows.get_mut("target.bb").unwrap().updates = 0;
    refused(
        network.choose(TRANSLATION, "aa", "bb"),
        &["the vector of language `bb` as target has had no update", "train for longer"],
    );
    // As a source it was trained.
    assert!(network.choose(TRANSLATION, "bb", "aa").is_ok());
    refused(
        network.choose(TRANSLATION, "aa", "bbb"),
        &["language `bbb` has no vector as target", "one of aa, bb, cc", "did you mean `bb`"],
    );
    refused(network.choose(TRANSLATION, "dd", "aa"), &["--as \"dd=", "--new-language dd="]);
    refused(network.vector("target", "bb"), &["no update"]);
    // A vector of a layer is no language's.
    let layer = "layer.decoder.layers.0.layer";
    network.config.rows.get_mut(layer).unwrap().updates = 0;
    refused(
        network.choose(TRANSLATION, "aa", "cc"),
        &["the vector of layer `decoder.layers.0.layer` has had no update"],
    );

    let mut x = create(trained(hyper_x(8, [1, 1], 2, 4), &["aa", "bb"], &["tagging"]));
    refused(
        x.choose(TRANSLATION, "aa", "bb"),
        &["task `translation` has no vector", "one of tagging"],
    );
    x = create(trained(hyper_x(8, [1, 1], 2, 4), &["aa", "bb"], &["tagging", TRANSLATION]));
    x.config.rows.get_mut("task.translation").unwrap().updates = 0;
    refused(
        x.choose(TRANSLATION, "aa", "bb"),
        &["the vector of task `translation` has had no update"],
    );
    assert!(x.choose("tagging", "aa", "aa").is_ok());
    x.config.rows.get_mut("language.bb").unwrap().updates = 0;
    refused(x.choose("tagging", "bb", "bb"), &["the vector of language `bb` has had no update"]);
    // Training may excuse its new rows, but not rows that are not there.
    let new = |key: &str| key == "language.bb" || key == "language.zz";
    assert!(x.check_sides("tagging", ("bb", "bb"), &Side::BOTH, &new).is_ok());
    refused(
        x.check_sides("tagging", ("zz", "zz"), &Side::BOTH, &new),
        &["language `zz` has no vector"],
    );
}

/// What a side does not read need not be trained for it.
#[test]
fn only_vectors_that_are_read_count() {
    let c = HyperConfig {
        encoder_inputs: on(&[Factor::Source, Factor::Layer]),
        decoder_inputs: on(&[Factor::Target, Factor::Layer]),
        ..adapters()
    };
    let mut network = create(trained(c, &["aa", "bb"], &[]));
    for key in ["source.bb", "target.aa"] {
        network.config.rows.get_mut(key).unwrap().updates = 0;
    }
    assert!(network.choose(TRANSLATION, "aa", "bb").is_ok());
    refused(network.choose(TRANSLATION, "bb", "bb"), &["`bb` as source has had no update"]);
    let layers = HyperConfig {
        encoder_inputs: on(&[Factor::Layer]),
        decoder_inputs: on(&[Factor::Layer]),
        ..adapters()
    };
    // One adapter for all: any language will do.
    assert!(create(trained(layers, &[], &[])).choose(TRANSLATION, "qq", "rr").is_ok());
}

/// Where the base model was asked for instead, a direction is the base; never an untrained vector.
#[test]
fn an_untrained_language_is_the_base_where_that_is_allowed() {
    let network = create(with_rows(adapters(), &["aa", "bb"], &[]));
    let source = AdapterSource::Hyper(Box::new(network));
    refused(source.choose("aa", "bb", UnknownLanguage::Error), &["no update"]);
    let used = source.choose("aa", "bb", UnknownLanguage::Base).unwrap();
    assert_eq!(used, SetUse::default());
}

#[test]
fn a_network_goes_to_disk_and_back_with_its_counts() {
    for c in [adapters(), hyper_x(8, [2, 1], 2, 4)] {
        let mut network = create(trained(c, &["aa", "bb"], &[TRANSLATION]));
        for (i, row) in network.config.rows.values_mut().enumerate() {
            row.updates = 3 * i as u64;
        }
        let last = network.config.rows.len() as u64 - 1;
        let one = network.config.language_tables().into_iter().next().unwrap();
        let row = Row { updates: 0, from: Some("0.5*aa+0.5*bb".into()) };
        network
            .set_row(&format!("{one}.mixed"), vec![0.25; network.config.embedding_dim], row)
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        network.write(dir.path(), &Provenance::default()).unwrap();
        let again = HyperNetwork::read(dir.path()).unwrap();
        assert_eq!(again.config, network.config);
        assert!(again.config.rows.values().any(|row| row.updates == 3 * last));
        for (a, b) in again.parameters().zip(network.parameters()) {
            assert_eq!((&a.name, a.tensor.dims()), (&b.name, b.tensor.dims()));
            assert_eq!(*values(&a.tensor).unwrap(), *values(&b.tensor).unwrap(), "{}", a.name);
        }
        assert_eq!(again.num_params(), network.num_params());
        // What had no update is refused after reading, too; what was mixed is not.
        let first = again.config.rows.iter().find(|(_, r)| r.updates == 0 && r.from.is_none());
        let (table, key) = first.unwrap().0.split_once('.').unwrap();
        refused(again.vector(table, key), &["no update"]);
        assert_eq!(again.vector(one, "mixed").unwrap(), vec![0.25; network.config.embedding_dim]);
    }
}

/// The sum of the vectors, each table by itself.
#[test]
fn a_mixture_is_the_weighted_sum_of_vectors() {
    let mut network = create(trained(adapters(), &["aa", "bb", "cc"], &[]));
    let vector = |n: &HyperNetwork, t: &str, l: &str| n.vector(t, l).unwrap();
    let before = network.num_params();
    network.add_language("dd", &Mixture::parse("0.7*aa+0.3*cc").unwrap()).unwrap();
    for table in ["source", "target"] {
        let (a, c) = (vector(&network, table, "aa"), vector(&network, table, "cc"));
        let want: Vec<f32> = a.iter().zip(&c).map(|(a, c)| 0.7 * a + 0.3 * c).collect();
        close(&vector(&network, table, "dd"), &want, 1e-6, table);
        let row = &network.config.rows[&format!("{table}.dd")];
        assert_eq!((row.updates, row.from.as_deref()), (0, Some("0.7*aa+0.3*cc")));
    }
    assert_ne!(vector(&network, "source", "dd"), vector(&network, "target", "dd"));
    // Two vectors more and nothing else: a language costs 2e numbers.
    assert_eq!(network.num_params(), before + 2 * 6);
    assert!(network.choose(TRANSLATION, "dd", "aa").is_ok());
    assert!(network.choose(TRANSLATION, "aa", "dd").is_ok());
    // A mean, a copy, a mixture of mixtures.
    network.add_language("ee", &Mixture::parse("mean(aa,bb,cc)").unwrap()).unwrap();
    let three = ["aa", "bb", "cc"].map(|l| vector(&network, "source", l));
    let mean: Vec<f32> = (0..6).map(|i| three.iter().map(|v| v[i]).sum::<f32>() / 3.0).collect();
    close(&vector(&network, "source", "ee"), &mean, 1e-6, "mean");
    network.add_language("ff", &Mixture::parse("bb").unwrap()).unwrap();
    assert_eq!(vector(&network, "target", "ff"), vector(&network, "target", "bb"));
    network.add_language("gg", &Mixture::parse("0.5*dd+0.5*ff").unwrap()).unwrap();
    assert!(network.choose(TRANSLATION, "gg", "ee").is_ok());
}

/// A copy is in every way what it was copied from; a table that lacks a language of the mixture goes
/// without the new one.
#[test]
fn a_mixture_is_known_where_its_languages_are() {
    let mut network = create(trained(adapters(), &["aa", "bb"], &[]));
    network.config.rows.get_mut("target.bb").unwrap().updates = 0;
    network.add_language("dd", &Mixture::parse("bb").unwrap()).unwrap();
    assert!(network.choose(TRANSLATION, "dd", "aa").is_ok());
    refused(network.choose(TRANSLATION, "aa", "dd"), &["language `dd` has no vector as target"]);
    // Tied tables have one row, Hyper-X one table.
    let tied = HyperConfig { tie_languages: true, ..adapters() };
    for c in [tied, hyper_x(8, [1, 1], 2, 4)] {
        let mut network = create(trained(c, &["aa", "bb"], &[TRANSLATION]));
        let rows = network.config.rows.len();
        network.add_language("dd", &Mixture::parse("0.5*aa+0.5*bb").unwrap()).unwrap();
        assert_eq!(network.config.rows.len(), rows + 1);
        assert!(network.config.rows.contains_key("language.dd"));
        assert!(network.choose(TRANSLATION, "dd", "dd").is_ok());
    }
}

#[test]
fn mixtures_of_nothing_trained_and_names_twice_are_refused() {
    let mut network = create(trained(adapters(), &["aa", "bb", "cc"], &[]));
    for key in ["source.cc", "target.cc"] {
        network.config.rows.get_mut(key).unwrap().updates = 0;
    }
    let rows = network.config.rows.clone();
    let mut add = |name: &str, of: &str| network.add_language(name, &Mixture::parse(of)?);
    refused(add("dd", "0.5*aa+0.5*xx"), &["language `xx` has no vector"]);
    refused(add("dd", "0.5*aa+0.5*cc"), &["language `cc`", "has had no update"]);
    refused(add("dd", "dd"), &["language `dd` has no vector"]);
    for name in ["aa", "cc"] {
        let e = add(name, "bb").unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Usage);
        assert!(e.to_string().contains(&format!("`{name}` has a vector already")), "{e}");
    }
    for (of, says) in [
        ("0.5*aa+0.5*aa", "twice"),
        ("0.5*aa+0.4*bb", "sum to 0.9"),
        ("1.5*aa+-0.5*bb", "the weight of `bb` is -0.5"),
    ] {
        let e = add("dd", of).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Usage);
        assert!(e.to_string().contains(says), "{e}");
    }
    add("dd", "bb").unwrap();
    let e = add("dd", "aa").unwrap_err();
    assert!(e.to_string().contains("`dd` has a vector already"), "{e}");
    // Nothing of what was refused is left behind.
    let new: Vec<&String> = network.config.rows.keys().filter(|k| !rows.contains_key(*k)).collect();
    assert_eq!(new, ["source.dd", "target.dd"]);
}
