//! Sets that are broken, for another model, or that do not belong together.

use super::*;

fn fails(dir: &Path, says: &str) {
    let e = open(dir).err().unwrap_or_else(|| panic!("{says}"));
    assert!(e.to_string().contains(says), "{says}: {e}");
    assert_eq!(e.exit_code() as i32, 4, "{e}");
}

fn plain() -> AdapterSetConfig {
    config(NormPlace::Before, true, &[Position::Layer])
}

#[test]
fn the_file_is_read_strictly() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(FILE);
    write(root.path(), &plain(), Layout::Bank);
    let good = std::fs::read_to_string(&path).unwrap();
    for (from, to, says) in [
        ("isogloss-adapters", "isogloss-adaptors", "not a set of adapters we know"),
        ("\"schema\": 1,\n  \"layout\"", "\"schema\": 2,\n  \"layout\"", "isogloss-adapters 2"),
        ("\"bank\"", "\"banks\"", "expected `bank` or `adapterhub`"),
        ("\"before\"", "\"befor\"", "unknown variant `befor`"),
        ("\"affine\"", "\"afine\"", "unknown field `afine`"),
        ("\"affine\": true", "\"affine\": 1", "adapters.json:7"),
        ("\"d_model\": 6", "\"d_model\": 0", "no width"),
        ("\"d_model\": 6", "\"d_model\": 7", "another width"),
        ("\"layer\"", "\"layers\"", "did you mean `layer`"),
        ("\"layer\"", "\"cross-attention\"", "the encoder has no position `cross-attention`"),
        ("\"source\"", "\"sauce\"", "unknown index"),
        ("\"languages\"", "\"slice\": [0, 2],\n    \"languages\"", "a slice is for LoRA"),
        ("\"languages\"", "\"empty\": [\"de\"],\n    \"languages\"", "listed as empty"),
        ("{", "[", "cannot read JSON"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        std::fs::write(&path, bad).unwrap();
        fails(root.path(), says);
    }
    std::fs::write(&path, good).unwrap();
    open(root.path()).unwrap();
    let deeper = AdapterDir::open(root.path(), D_MODEL, 2, 4).err().unwrap();
    assert!(deeper.to_string().contains("found: 3 layers   expected: 4"), "{deeper}");
    AdapterDir::open_as_is(root.path()).unwrap();
    std::fs::remove_file(root.path().join(BANK)).unwrap();
    fails(root.path(), "adapters have no values");
    std::fs::remove_file(&path).unwrap();
    fails(root.path(), "no adapters");
}

/// A set whose file says something else than the values beside it.
#[test]
fn adapters_and_placement_must_agree() {
    let root = tempfile::tempdir().unwrap();
    for layout in [Layout::Bank, Layout::AdapterHub] {
        let dir = root.path().join(layout.name());
        write(&dir, &plain(), layout);
        let says = |change: &dyn Fn(&mut AdapterSetConfig), says: &str| {
            let mut changed = plain();
            change(&mut changed);
            changed.write(&dir, layout).unwrap();
            fails(&dir, says);
        };
        says(
            &|c| {
                c.placement.adapters.insert("en".into());
            },
            "adapter `en` is missing",
        );
        says(
            &|c| {
                c.placement.adapters.remove("Romance");
                c.placement.languages.remove("fr");
            },
            "an adapter has no place in the set",
        );
        let target = |c: &mut AdapterSetConfig| {
            if let Some(l) = c.placement.languages.get_mut("fr") {
                l.target = true;
            }
        };
        says(&target, "adapter `Romance` has no values for decoder.layers.0.layer");
        let source = |c: &mut AdapterSetConfig| {
            if let Some(l) = c.placement.languages.get_mut("de") {
                l.source = false;
            }
        };
        says(&source, "no use for values of an adapter\n");
        says(&|c| c.placement.encoder[1].clear(), "`Romance` at encoder.layers.1.layer");
        says(
            &|c| {
                c.placement.decoder[1].insert("attention".into(), Index::Target);
            },
            "adapter `de` has no values for decoder.layers.1.attention",
        );
        says(
            &|c| {
                c.placement.empty.insert("Romance".into());
            },
            "listed as empty",
        );
        says(
            &|c| c.norm = NormPlace::None,
            match layout {
                Layout::Bank => "unused tensors: 14 (`Romance.encoder.layers.0.layer.norm.bias`",
                Layout::AdapterHub => "adapter normalises elsewhere",
            },
        );
        plain().write(&dir, layout).unwrap();
        open(&dir).unwrap();
    }
    let dir = root.path().join("adapterhub");
    // Without affine, the values must be those of no norm at all: they are looked at when read.
    let mut fixed = plain();
    fixed.affine = false;
    fixed.write(&dir, Layout::AdapterHub).unwrap();
    let site = Site { side: Side::Encoder, layer: 0, position: Position::Layer };
    let e = open(&dir).unwrap().weights("de", site).unwrap_err();
    assert!(e.to_string().contains("ones and zeros"), "{e}");
    plain().write(&dir, Layout::AdapterHub).unwrap();
    std::fs::remove_file(dir.join("de/adapter_config.json")).unwrap();
    fails(&dir, "adapter `de` is missing");
}

#[test]
fn a_damaged_bank_is_an_error_or_another_bank() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(BANK);
    write(root.path(), &plain(), Layout::Bank);
    let good = std::fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    for cut in [0, 7, 8, 100, header - 1, header, good.len() - 1] {
        std::fs::write(&path, &good[..cut]).unwrap();
        assert_eq!(open(root.path()).err().unwrap().exit_code() as i32, 4, "{cut}");
    }
    // A change anywhere in names, types, shapes and places; now and then a digit for a digit.
    for at in (0..header).step_by(11) {
        for to in [b'7', b'"'] {
            let mut bad = good.clone();
            bad[at] = to;
            std::fs::write(&path, &bad).unwrap();
            match open(root.path()) {
                Ok(read) => drop(read.sha256()),
                Err(e) => assert_eq!(e.exit_code() as i32, 4, "{e}"),
            }
        }
    }
    let text = String::from_utf8_lossy(&good[8..header]).into_owned();
    for (from, to, says) in [
        ("adapter_bank", "neuron_masks", "found: `neuron_masks`"),
        (
            "de.encoder.layers.0.layer.up.bias",
            "de.encoder.layers.0.layer.up.bios",
            "missing tensors: 1",
        ),
        (
            "de.encoder.layers.0.layer.up.bias",
            "de.encoder.layers.00.layer.up.bias",
            "unused tensors: 1",
        ),
        ("de.encoder.layers.0.layer", "xx.encoder.layers.0.layer", "missing tensors: 6"),
        (
            "\"dtype\":\"F32\",\"shape\":[2,6]",
            "\"dtype\":\"I32\",\"shape\":[2,6]",
            "a type we cannot compute with",
        ),
        ("\"shape\":[2,6]", "\"shape\":[6,2]", "found: [6, 2]   expected: [6, 6]"),
        ("\"shape\":[2,6]", "\"shape\":[1,12]", "found: [1, 12]   expected: [1, 6]"),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text, "{from}");
        let mut bytes = (bad.len() as u64).to_le_bytes().to_vec();
        bytes.extend(bad.as_bytes());
        bytes.extend(&good[header..]);
        std::fs::write(&path, &bytes).unwrap();
        fails(root.path(), says);
    }
}

#[test]
fn paths_that_are_something_else_say_what() {
    let root = tempfile::tempdir().unwrap();
    let set = root.path().join("set");
    write(&set, &plain(), Layout::AdapterHub);
    assert_eq!(AdapterDir::resolve(&set).unwrap(), set);
    // A run that trained some.
    let run = root.path().join("run");
    let step = run.join("checkpoints/step-00000010");
    write(&step, &plain(), Layout::Bank);
    std::fs::write(run.join("latest"), "step-00000010\n").unwrap();
    assert_eq!(AdapterDir::resolve(&run).unwrap(), step);
    let says = |path: &Path, says: &str| {
        let e = AdapterDir::resolve(path).err().unwrap_or_else(|| panic!("{says}"));
        assert!(e.to_string().contains(says), "{says}: {e}");
        assert_eq!(e.exit_code() as i32, 4, "{e}");
    };
    says(&root.path().join("nowhere"), "no such directory");
    says(&step.join(BANK), "name the directory that the file is in");
    std::fs::remove_file(set.join(FILE)).unwrap();
    says(&set, "name one of them");
    std::fs::remove_file(step.join(FILE)).unwrap();
    says(&run, "a checkpoint that is not there");
    std::fs::write(step.join("config.json"), "{}").unwrap();
    says(&run, "a whole model, not adapters");
    std::fs::remove_file(step.join("config.json")).unwrap();
    std::fs::write(step.join("adapter_config.json"), r#"{"peft_type":"LORA"}"#).unwrap();
    says(&step, "a LoRA, not bottleneck adapters");
    says(&run, "a LoRA, not bottleneck adapters");
}

#[test]
fn a_writer_takes_what_was_announced() {
    let root = tempfile::tempdir().unwrap();
    let set = plain();
    let shapes = shapes(&set);
    let create = |shapes: &Shapes, set: &AdapterSetConfig| {
        AdapterWriter::create(root.path(), set, Layout::Bank, shapes, "base", &provenance())
    };
    let mut lacking = shapes.clone();
    lacking.remove("de");
    assert_eq!(create(&lacking, &set).err().unwrap().exit_code() as i32, 101);
    let mut narrow = shapes.clone();
    narrow.values_mut().for_each(|sites| sites.values_mut().for_each(|b| *b = 0));
    assert_eq!(create(&narrow, &set).err().unwrap().exit_code() as i32, 101);
    let mut other = set.clone();
    other.placement.encoder[0] = Layer::from([("fc1".to_string(), Index::Source)]);
    assert_eq!(create(&shapes, &other).err().unwrap().exit_code() as i32, 101);
    let mut writer = create(&shapes, &set).unwrap();
    let (name, site) = writer.next().map(|(n, s)| (n.to_string(), s)).unwrap();
    let good = weights(&set, &name, site, 2);
    let longer = |v: &Vec<f32>| [v.as_slice(), &[0.0]].concat();
    let (scale, shift) = good.norm.clone().unwrap();
    for bad in [
        AdapterWeights { down: longer(&good.down), ..good.clone() },
        AdapterWeights { down_bias: longer(&good.down_bias), ..good.clone() },
        AdapterWeights { up: longer(&good.up), ..good.clone() },
        AdapterWeights { up_bias: longer(&good.up_bias), ..good.clone() },
        AdapterWeights { norm: None, ..good.clone() },
        AdapterWeights { norm: Some((longer(&scale), shift.clone())), ..good.clone() },
        AdapterWeights { norm: Some((scale, longer(&shift))), ..good.clone() },
    ] {
        let e = writer.push(&bad).unwrap_err();
        assert_eq!(e.exit_code() as i32, 101);
        assert_eq!(writer.next(), Some((name.as_str(), site)), "{e}");
    }
    writer.push(&good).unwrap();
    assert_eq!(writer.finish().unwrap_err().exit_code() as i32, 101);
    // Nothing is left of it.
    assert!(files(root.path()).is_empty());
    write(root.path(), &set, Layout::Bank);
    assert_eq!(files(root.path()).len(), 2);
}

/// Directions of hundreds of languages are too many names for one file.
#[test]
fn a_bank_that_nobody_could_read_is_not_begun() {
    let root = tempfile::tempdir().unwrap();
    let mut set = config(NormPlace::None, false, &[]);
    let layer = Layer::from([("layer".to_string(), Index::Direction)]);
    set.placement.encoder = vec![layer; 60];
    set.placement.decoder.clear();
    set.placement.languages.clear();
    set.placement.adapters.clear();
    let mut shapes = Shapes::new();
    for i in 0..3000 {
        let name = format!("{}-{i}", "x".repeat(90));
        set.placement.directions.insert(name.clone(), name.clone());
        set.placement.adapters.insert(name.clone());
        let site = |layer| Site { side: Side::Encoder, layer, position: Position::Layer };
        shapes.insert(name, (0..60).map(|layer| (site(layer), 1)).collect());
    }
    let create =
        |layout| AdapterWriter::create(root.path(), &set, layout, &shapes, "base", &provenance());
    let e = create(Layout::Bank).err().unwrap();
    assert_eq!(e.exit_code() as i32, 2);
    assert!(e.to_string().contains("too many tensors"), "{e}");
    assert!(e.to_string().contains("layout `adapterhub`"), "{e}");
    assert!(e.to_string().contains("fewer languages"), "{e}");
    assert!(files(root.path()).is_empty());
    assert!(create(Layout::AdapterHub).is_ok());
}
