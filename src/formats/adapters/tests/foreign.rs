//! Directories that AdapterHub's library wrote, or might have written.

use serde_json::{Value, json};

use super::*;
use crate::formats::safetensors::{self, Data, Entry};

/// `seq_bn` as the library writes it: no `architecture`, no width of an encoder-decoder model.
fn seq_bn() -> Value {
    json!({
        "config": {
            "adapter_residual_before_ln": false, "cross_adapter": false, "dropout": 0.0,
            "factorized_phm_W": true, "factorized_phm_rule": false,
            "hypercomplex_nonlinearity": "glorot-uniform", "init_weights": "bert",
            "inv_adapter": null, "inv_adapter_reduction_factor": null, "is_parallel": false,
            "learn_phm": true, "leave_out": [], "ln_after": false, "ln_before": false,
            "mh_adapter": false, "non_linearity": "relu", "original_ln_after": true,
            "original_ln_before": true, "output_adapter": true, "phm_bias": true,
            "phm_c_init": "normal", "phm_dim": 4, "phm_init_range": 0.0001, "phm_layer": false,
            "phm_rank": 1, "reduction_factor": 2, "residual_before_ln": true, "scaling": 1.0,
            "shared_W_phm": false, "shared_phm_rule": true, "stochastic_depth": 0.0,
            "use_gating": false
        },
        "hidden_size": null,
        "model_class": "MBartForConditionalGeneration",
        "model_name": "facebook/mbart-large-cc25",
        "model_type": "mbart",
        "name": "wmt",
        "version": "adapters.1.2.0"
    })
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

const PLAIN: [(&str, &[usize]); 4] = [
    ("adapter_down.0.weight", &[3, 6]),
    ("adapter_down.0.bias", &[3]),
    ("adapter_up.weight", &[6, 3]),
    ("adapter_up.bias", &[6]),
];

const BEFORE: [(&str, &[usize]); 8] = [
    ("adapter_norm_before.weight", &[6]),
    ("adapter_norm_before.bias", &[6]),
    ("adapter_down.0.weight", &[6]),
    ("adapter_down.0.bias", &[6]),
    ("adapter_down.1.weight", &[3, 6]),
    ("adapter_down.1.bias", &[3]),
    ("adapter_up.weight", &[6, 3]),
    ("adapter_up.bias", &[6]),
];

/// Tensors of every layer; values are those of the tensor's number.
fn tensors(prefix: &str, place: &str, parts: &[(&str, &[usize])]) -> Tensors {
    let sides = [("encoder", DEPTH[0]), ("decoder", DEPTH[1])];
    let layers =
        sides.iter().flat_map(|(side, n)| (0..*n).map(move |i| format!("{side}.layers.{i}")));
    let mut out = Tensors::new();
    for layer in layers {
        for (i, (end, shape)) in parts.iter().enumerate() {
            let n = shape.iter().product();
            let name = format!("{prefix}{layer}.{place}.adapters.wmt.{end}");
            out.insert(name, (shape.to_vec(), vec![i as f32; n]));
        }
    }
    out
}

fn write_foreign(dir: &Path, config: &Value, tensors: &Tensors) {
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join("adapter_config.json"), config.to_string()).unwrap();
    let entries = tensors.iter().map(|(name, (shape, values))| {
        (name.clone(), Entry { shape: shape.clone(), data: Data::F32(values) })
    });
    // The library writes no metadata.
    let path = dir.join("adapter.safetensors");
    safetensors::write(&path, &entries.collect(), &BTreeMap::new(), true).unwrap();
}

fn with(key: &str, value: Value) -> Value {
    let mut config = seq_bn();
    config["config"][key] = value;
    config
}

#[test]
fn one_adapter_is_shared_by_all_directions() {
    let dir = tempfile::tempdir().unwrap();
    for prefix in ["model.", ""] {
        write_foreign(dir.path(), &seq_bn(), &tensors(prefix, "output_adapters", &PLAIN));
        assert_eq!(AdapterDir::resolve(dir.path()).unwrap(), dir.path());
        let read = open(dir.path()).unwrap();
        let config = read.config();
        assert_eq!((config.norm, config.affine, config.d_model), (NormPlace::None, false, 6));
        let layer = Layer::from([("layer".to_string(), Index::Shared)]);
        assert_eq!(config.placement.encoder, vec![layer.clone(); 2]);
        assert_eq!(config.placement.decoder, vec![layer; 3]);
        assert_eq!(config.placement.adapters, [SHARED.to_string()].into());
        assert_eq!((read.base_model_sha256(), read.layout()), (None, Layout::AdapterHub));
        let sites = &read.shapes()[SHARED];
        assert_eq!((sites.len(), sites.values().all(|b| *b == 3)), (5, true));
        let site = Site { side: Side::Decoder, layer: 2, position: Position::Layer };
        let w = read.weights(SHARED, site).unwrap();
        let expected = [vec![0.0; 18], vec![1.0; 3], vec![2.0; 18], vec![3.0; 6]];
        assert_eq!([w.down, w.down_bias, w.up, w.up_bias], expected);
        assert!(w.norm.is_none());
        let e = read.weights("wmt", site).unwrap_err();
        assert!(e.to_string().contains("no adapter `wmt`"), "{e}");
        let elsewhere = Site { position: Position::FeedForward, ..site };
        assert!(read.weights(SHARED, elsewhere).is_err());
    }
}

/// Of our own sets, too; their model is known from the file.
#[test]
fn one_adapter_of_a_set_of_ours_stands_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let set = config(NormPlace::Before, true, &[Position::Layer]);
    write(root.path(), &set, Layout::AdapterHub);
    let read = open(&root.path().join("Romance")).unwrap();
    assert_eq!(read.base_model_sha256(), Some("ab12"));
    assert_eq!(read.config().placement.decoder, vec![Layer::new(); 3]);
    let site = Site { side: Side::Encoder, layer: 1, position: Position::Layer };
    assert_eq!(read.weights(SHARED, site).unwrap(), weights(&set, "Romance", site, 2));
}

#[test]
fn settings_that_say_the_same_are_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let position = |config: &Value| {
        write_foreign(dir.path(), config, &tensors("", "output_adapters", &PLAIN));
        let read = open(dir.path()).unwrap_or_else(|e| panic!("{config}: {e}"));
        read.shapes()[SHARED].keys().next().unwrap().position
    };
    // The residual taken once before, or once after.
    let mut twice = with("residual_before_ln", json!(false));
    twice["config"]["original_ln_after"] = json!(false);
    assert_eq!(position(&twice), Position::Layer);
    let mut inside = with("original_ln_before", json!(false));
    assert_eq!(position(&inside), Position::FeedForward);
    inside["config"]["residual_before_ln"] = json!(false);
    assert_eq!(position(&inside), Position::FeedForward);
    for (key, value) in [
        ("architecture", json!("bottleneck")),
        ("non_linearity", json!("ReLU")),
        ("scaling", json!(1)),
        ("reduction_factor", json!({"0": 2, "1": 1.75, "default": 1.6})),
        ("adapter_residual_before_ln", json!(true)),
        ("something_new", json!(false)),
        ("init_weights_seed", json!(7)),
        ("leave_out", json!(null)),
    ] {
        assert_eq!(position(&with(key, value)), Position::Layer);
    }
    // Keys that are not there have the library's defaults.
    let mut short = seq_bn();
    short["config"] = json!({
        "mh_adapter": false, "output_adapter": true, "reduction_factor": 2.0,
        "non_linearity": "relu",
    });
    assert_eq!(position(&short), Position::FeedForward);
}

#[test]
fn what_computes_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refuse = |config: &Value, says: &str| {
        write_foreign(dir.path(), config, &tensors("", "output_adapters", &PLAIN));
        let e = open(dir.path()).err().unwrap_or_else(|| panic!("{says}"));
        assert!(e.to_string().contains(says), "{says}: {e}");
        assert!(e.to_string().contains("adapter_config.json"), "{e}");
        assert_eq!(e.exit_code() as i32, 4, "{e}");
    };
    for (key, value, says) in [
        ("architecture", json!("lora"), "another method than bottleneck adapters"),
        ("architecture", json!("prefix_tuning"), "\"prefix_tuning\""),
        ("architecture", json!("union"), "\"union\""),
        ("is_parallel", json!(true), "a parallel adapter"),
        ("use_gating", json!(true), "a gate"),
        ("phm_layer", json!(true), "PHM"),
        ("scaling", json!("learned"), "scaled"),
        ("scaling", json!(4.0), "scaled"),
        ("inv_adapter", json!("nice"), "invertible"),
        ("stochastic_depth", json!(0.1), "stochastic depth"),
        ("non_linearity", json!("swish"), "only adapters with `relu`"),
        ("non_linearity", Value::Null, "only adapters with `relu`"),
        ("something_new", json!(true), "unknown setting `something_new`"),
        ("leaveout", json!([1]), "did you mean `leave_out`"),
        ("original_ln_after", json!(false), "residual connections"),
        ("residual_before_ln", json!(false), "residual connections"),
        ("residual_before_ln", json!("post_add"), "post_add"),
        ("mh_adapter", json!(true), "after the residual connection of attention"),
        ("cross_adapter", json!(true), "after the residual connection of attention"),
        ("output_adapter", json!(false), "no adapter anywhere"),
        ("output_adapter", json!(1), "not true or false"),
        ("leave_out", json!([0, 1, 2, 3, 4]), "leaves no layer"),
        ("leave_out", json!([5]), "another depth"),
        ("leave_out", json!([-1]), "not a list of numbers"),
        ("leave_out", json!("0"), "not a list of numbers"),
        ("reduction_factor", json!({"0": 2}), "`1` or `default`"),
        ("reduction_factor", json!({"5": 2, "default": 2}), "another depth"),
        ("reduction_factor", json!({"00": 2, "default": 2}), "no number of a layer"),
        ("reduction_factor", json!(0), "not a number above 0"),
        ("reduction_factor", json!(null), "not a number above 0"),
    ] {
        refuse(&with(key, value), says);
    }
    let mut both = with("ln_before", json!(true));
    both["config"]["ln_after"] = json!(true);
    refuse(&both, "two norms");
    let mut covered = with("ln_after", json!(true));
    covered["config"]["adapter_residual_before_ln"] = json!(true);
    refuse(&covered, "covers the adapter's residual");
    let outer = |key: &str, value: Value| {
        let mut config = seq_bn();
        config[key] = value;
        config
    };
    refuse(&outer("config", json!("pfeiffer")), "\"pfeiffer\"");
    refuse(&outer("config", Value::Null), "not the configuration of an adapter");
    refuse(&outer("name", Value::Null), "no name");
    refuse(&outer("hidden_size", json!(512)), "another width");
    refuse(&outer("peft_type", json!("LORA")), "a LoRA of PEFT");
    refuse(&json!([]), "not an object");
}

#[test]
fn tensors_are_those_of_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let all = tensors("model.", "output_adapters", &PLAIN);
    let refuse = |config: &Value, tensors: &Tensors, says: &[&str]| {
        write_foreign(dir.path(), config, tensors);
        let e = open(dir.path()).err().unwrap_or_else(|| panic!("{says:?}"));
        for says in says {
            assert!(e.to_string().contains(says), "{says}: {e}");
        }
        assert_eq!(e.exit_code() as i32, 4, "{e}");
    };
    let name = |layer: &str, end: &str| format!("model.{layer}.output_adapters.adapters.wmt.{end}");
    let mut short = all.clone();
    for end in ["weight", "bias"] {
        let (shape, values) =
            short.remove(&name("encoder.layers.1", &format!("adapter_up.{end}"))).unwrap();
        short.insert(name("encoder.layers.1", &format!("gate.{end}")), (shape, values));
    }
    refuse(
        &seq_bn(),
        &short,
        &[
            "missing tensors: 2 (`model.encoder.layers.1.output_adapters.adapters.wmt.adapter_up.weight`",
            "unused tensors: 2 (`model.encoder.layers.1.output_adapters.adapters.wmt.gate.bias`",
        ],
    );
    refuse(&with("leave_out", json!([4])), &all, &["unused tensors: 4 (`model.decoder.layers.2"]);
    refuse(
        &seq_bn(),
        &tensors("", "attention_adapters", &PLAIN),
        &["missing tensors: 20", ", ..."],
    );
    refuse(&with("ln_before", json!(true)), &all, &["adapter_down.0.weight", "[3, 6]", "[6]"]);
    refuse(
        &with("reduction_factor", json!(3)),
        &all,
        &["found: [3, 6]   expected: [2, 6]", "`reduction_factor`"],
    );
    let mut mixed = all.clone();
    let (old, new) = (name("decoder.layers.0", "adapter_up.bias"), "decoder.layers.0.x");
    let moved = mixed.remove(&old).unwrap();
    mixed.insert(new.into(), moved);
    refuse(&seq_bn(), &mixed, &["unused tensors: 1 (`decoder.layers.0.x`)", &old]);
    let mut other = all;
    other.get_mut(&old).unwrap().0 = vec![3, 2];
    refuse(&seq_bn(), &other, &["found: [3, 2]   expected: [6]"]);
    let mut renamed = seq_bn();
    renamed["name"] = json!("other");
    refuse(
        &renamed,
        &tensors("", "output_adapters", &PLAIN),
        &["adapters.other.", "adapters.wmt."],
    );
}

/// The library cannot save both copies of a norm as safetensors, for they are one tensor there; a
/// file made otherwise may hold either or both.
#[test]
fn copies_of_a_norm_must_agree() {
    let dir = tempfile::tempdir().unwrap();
    let config = with("ln_before", json!(true));
    let mut both = tensors("model.", "output_adapters", &BEFORE);
    for (name, (_, values)) in &mut both {
        let is_norm = name.contains("norm_before") || name.contains("adapter_down.0");
        if is_norm {
            values.fill(if name.ends_with("weight") { 1.5 } else { -0.5 });
        }
    }
    let without = |word: &str| -> Tensors {
        both.iter()
            .filter(|(n, _)| !n.contains(word))
            .map(|(n, t)| (n.clone(), t.clone()))
            .collect()
    };
    let site = Site { side: Side::Encoder, layer: 1, position: Position::Layer };
    for tensors in [both.clone(), without("norm_before"), without("adapter_down.0")] {
        write_foreign(dir.path(), &config, &tensors);
        let read = open(dir.path()).unwrap();
        assert_eq!((read.config().norm, read.config().affine), (NormPlace::Before, true));
        let w = read.weights(SHARED, site).unwrap();
        assert_eq!(w.norm, Some((vec![1.5; 6], vec![-0.5; 6])));
        assert_eq!((w.down[0], w.down_bias[0]), (4.0, 5.0));
    }
    let name = "model.encoder.layers.1.output_adapters.adapters.wmt.adapter_down.0.bias";
    both.get_mut(name).unwrap().1[5] = -0.4;
    write_foreign(dir.path(), &config, &both);
    let read = open(dir.path()).unwrap();
    let e = read.weights(SHARED, site).unwrap_err();
    assert!(e.to_string().contains("two copies of a norm differ"), "{e}");
    assert!(e.to_string().contains("encoder.layers.1"), "{e}");
    assert!(read.weights(SHARED, Site { layer: 0, ..site }).is_ok());
    both.retain(|n, _| !n.contains("bias") || n.contains("adapter_up") || n.contains("down.1"));
    write_foreign(dir.path(), &config, &both);
    let e = open(dir.path()).err().unwrap();
    assert!(e.to_string().contains("missing tensors: 10"), "{e}");
}

#[test]
fn a_pickle_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write_foreign(dir.path(), &seq_bn(), &Tensors::new());
    let weights = dir.path().join("adapter.safetensors");
    std::fs::write(&weights, b"PK\x03\x04aaaaaaaaaaaa").unwrap();
    let e = open(dir.path()).err().unwrap();
    assert!(e.to_string().contains("this is a pickle"), "{e}");
    std::fs::rename(&weights, dir.path().join("pytorch_adapter.bin")).unwrap();
    let e = open(dir.path()).err().unwrap();
    assert!(e.to_string().contains("adapter has no weights"), "{e}");
    assert!(e.to_string().contains("use_safetensors=True"), "{e}");
}
