//! Adapters and hyper-networks that are of another model, damaged, or of a run that began otherwise:
//! each is told apart and named.

use serde_json::{Value, json};

use crate::adapters::{HYPER, STORED, X, last, prepared, train};
use crate::adapters_bad::{LINE, patch, refused};
use crate::lora::{copy, header, words};
use crate::support::Sandbox;

#[test]
fn adapters_of_other_models() {
    let t = prepared();
    for (name, more) in
        [("other", "--seed 9"), ("wide", "--d-model 32"), ("deep", "--encoder-layers 3")]
    {
        let init = "init -q --vocab-size 60 --preset tiny train.jsonl langs.jsonl -o";
        t.isogloss(words(init)).arg(name).args(words(more)).run().ok();
    }
    t.isogloss(words("gen-adapters -q hyper -o bank")).run().ok();
    // Of a model that was trained along.
    train(&t, "joint", &format!("{HYPER} --train-base layer-norms --max-steps 1")).run().ok();
    let any = "--allow-base-mismatch";
    for run in ["stored", "hyper", "bank"] {
        let cases: Vec<(String, i32, &[&str])> = vec![
            (
                format!("{LINE} -m other --adapters {run}"),
                4,
                &["trained on another model", "(other)", "with `-m`", "--allow-base-mismatch"],
            ),
            (format!("{LINE} -m deep --adapters {run} {any}"), 4, &["another", "3"]),
            (format!("{LINE} -m wide --adapters {run} {any}"), 4, &["another", "64", "32"]),
        ];
        refused(&t, &cases);
        let allowed = format!("{LINE} -m other --adapters {run} {any}");
        t.isogloss(words(&allowed)).stdin("uno dos\n").run().ok();
    }
    let dir = last(&t, "joint");
    let model = format!("`-m {dir}`");
    let texts = ["trained on another model", model.as_str()];
    let cases = [
        (format!("{LINE} --adapters joint"), 4, &texts[..]),
        (format!("{LINE} -m joint --adapters stored"), 4, &["trained on another model"]),
        ("gen-adapters -m model joint -o new".to_string(), 4, &texts),
        ("gen-adapters -m other hyper -o new".to_string(), 4, &["another model", "(other)"]),
        ("gen-adapters -m deep hyper -o new --allow-base-mismatch".into(), 4, &["another shape"]),
    ];
    refused(&t, &cases);
    // What they are taken for, they belong to afterwards.
    t.isogloss(words("gen-adapters -q -m other hyper -o moved --allow-base-mismatch")).run().ok();
    let line = format!("{LINE} -m other --adapters moved");
    t.isogloss(words(&line)).stdin("uno dos\n").run().ok();
}

/// Changes the header of a safetensors file.
fn patch_tensors(
    t: &Sandbox,
    name: &str,
    change: impl FnOnce(&mut serde_json::Map<String, Value>),
) {
    let bytes = std::fs::read(t.path(name)).unwrap();
    let (mut head, data) = header(&bytes);
    change(head.as_object_mut().unwrap());
    let text = head.to_string();
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text.as_bytes());
    out.extend(&bytes[data..]);
    t.write(name, out);
}

fn rename(head: &mut serde_json::Map<String, Value>, from: &str, to: &str) {
    let tensor = head.remove(from).unwrap();
    head.insert(to.into(), tensor);
}

/// A change of a JSON document.
type Change = fn(&mut Value);

#[test]
fn damaged_hyper_networks() {
    let t = prepared();
    let json: &[(Change, &[&str])] = &[
        (|j| j["slyce"] = 1.into(), &["cannot be read", "unknown field `slyce`"]),
        (|j| j["format"] = "other".into(), &["not a hyper-network we know", "isogloss-hypernet 1"]),
        (|j| j["schema"] = 2.into(), &["not a hyper-network we know"]),
        (|j| j["hidden"] = 0.into(), &["out of range", "`hidden`", "1 to 1048576"]),
        (|j| j["hidden"] = (1u64 << 40).into(), &["out of range", "`hidden`", "1099511627776"]),
        (|j| j["hidden"] = 9.into(), &["wrong shape", "head.down_bias.weight", "[4, 8]", "[4, 9]"]),
        (|j| j["hidden"] = (-1).into(), &["cannot be read", "-1"]),
        (|j| j["embedding_dim"] = 7.into(), &["wrong shape", "embedding.source.aa", "[6]", "[7]"]),
        (|j| j["blocks"] = 1_000_000_000.into(), &["absurd depth", "`blocks`"]),
        (|j| j["encoder_layers"] = 1_000_000_000.into(), &["absurd depth"]),
        (|j| j["encoder_layers"] = 3.into(), &["a layer has no vector", "encoder.layers.2"]),
        (|j| j["affine"] = "generated".into(), &["4 tensors are missing", "head.norm_bias"]),
        (|j| j["kind"] = "hyper-x".into(), &["projection and kind", "`projection`"]),
        (|j| j["kind"] = "hyper-y".into(), &["`hyper-y`", "`hyper-adapters` or `hyper-x`"]),
        (|j| j["encoder_inputs"] = json!(["task"]), &["no input `task`", "`encoder_inputs`"]),
        (|j| j["positions"] = json!([]), &["out of range", "`positions`"]),
        (|j| drop(j.as_object_mut().unwrap().remove("hidden")), &["missing field `hidden`"]),
        (
            |j| drop(j["rows"].as_object_mut().unwrap().remove("source.aa")),
            &["not used", "embedding.source.aa", "hypernet.safetensors"],
        ),
        (
            |j| drop(j["rows"].as_object_mut().unwrap().remove("layer.encoder.layers.0.layer")),
            &["a layer has no vector", "layer.encoder.layers.0.layer"],
        ),
        (|j| j["rows"]["source.zz"] = json!({"updates": 3}), &["missing", "embedding.source.zz"]),
        (|j| j["rows"]["sorce.zz"] = json!({"updates": 3}), &["`sorce.zz` belongs to no table"]),
        (|j| j["rows"]["source.aa"]["x"] = 1.into(), &["unknown field `x`"]),
        (|j| *j = json!([]), &["not a hyper-network we know"]),
        (|j| j["base_model_sha256"] = "äöü".into(), &["trained on another model", "äöü"]),
    ];
    let from = t.path(&last(&t, "hyper"));
    let mut cases: Vec<(String, i32, &[&str])> = Vec::new();
    for (i, (change, texts)) in json.iter().enumerate() {
        copy(&from, &t.path(&format!("json{i}")));
        patch(&t, &format!("json{i}/hypernet.json"), change);
        cases.push((format!("{LINE} --adapters json{i}"), 4, *texts));
    }
    for name in ["broken", "none", "cut", "empty", "renamed", "turned", "whole", "nan"] {
        copy(&from, &t.path(name));
    }
    let weights = |name: &str| format!("{name}/hypernet.safetensors");
    let bytes = std::fs::read(t.path(&weights("cut"))).unwrap();
    t.write("broken/hypernet.json", "{");
    std::fs::remove_file(t.path(&weights("none"))).unwrap();
    t.write(&weights("cut"), &bytes[..bytes.len() - 100]);
    t.write(&weights("empty"), "");
    let head = "head.up_bias";
    patch_tensors(&t, &weights("renamed"), |h| rename(h, "head.up_bias.bias", "head.up_bias.bios"));
    patch_tensors(&t, &weights("turned"), |h| h["head.up_bias.weight"]["shape"] = json!([8, 64]));
    patch_tensors(&t, &weights("whole"), |h| h["head.up_bias.weight"]["dtype"] = json!("I32"));
    let (names, data) = header(&bytes);
    let at = data + names["head.up_bias.bias"]["data_offsets"][0].as_u64().unwrap() as usize;
    let mut nan = bytes.clone();
    nan[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    t.write(&weights("nan"), nan);
    let files: [(&str, &[&str]); 8] = [
        ("broken", &["cannot read JSON", "broken/hypernet.json:1"]),
        ("none", &["cannot read", "none/hypernet.safetensors"]),
        ("cut", &["not a valid safetensors file", "cut/hypernet.safetensors"]),
        ("empty", &["not a safetensors file", "empty/hypernet.safetensors"]),
        ("renamed", &["1 tensors are missing", "head.up_bias.bias"]),
        ("turned", &["wrong shape", head, "[8, 64]", "[64, 8]"]),
        ("whole", &[head, "I32"]),
        ("nan", &["not finite"]),
    ];
    cases.extend(files.map(|(dir, texts)| (format!("{LINE} --adapters {dir}"), 4, texts)));
    // The other reader of the same files.
    let both: [(&str, &[&str]); 3] = [
        ("cut", &["not a valid safetensors file"]),
        ("json0", &["unknown field `slyce`"]),
        ("nan", &["values that are no numbers"]),
    ];
    cases.extend(both.map(|(dir, texts)| (format!("gen-adapters {dir} -o new"), 4, texts)));
    refused(&t, &cases);
}

#[test]
fn damaged_adapters() {
    let t = prepared();
    let json: &[(Change, &[&str])] = &[
        (|j| j["slyce"] = 1.into(), &["unknown field `slyce`"]),
        (|j| j["format"] = "x".into(), &["not a set of adapters we know", "isogloss-adapters 1"]),
        (|j| j["d_model"] = 32.into(), &["another width", "`d_model`", "found: 32"]),
        (|j| j["layout"] = "adapterhub".into(), &["adapter `aa` is missing", "adapters.json"]),
        (|j| j["norm"] = "none".into(), &["unused tensors: 24", "norm.bias"]),
        (|j| j["norm"] = "below".into(), &["`below`", "`before`"]),
        (
            |j| j["placement"]["encoder"][0]["modules"] = json!(["mid"]),
            &["no position of adapters: `mid`", "placement.encoder[0]", "feed-forward"],
        ),
        (
            |j| j["placement"]["adapters"].as_array_mut().unwrap().push("zz".into()),
            &["adapter `zz` is missing"],
        ),
        (
            |j| drop(j["placement"]["adapters"].as_array_mut().unwrap().remove(0)),
            &["`aa` uses an adapter that is not there"],
        ),
        (
            |j| j["placement"]["languages"]["aa"]["adapter"] = "bb".into(),
            &["no use for values of an adapter", "`aa`"],
        ),
        (|j| *j = json!([]), &["not a set of adapters we know"]),
    ];
    let from = t.path(&last(&t, "stored"));
    let mut cases: Vec<(String, i32, &[&str])> = Vec::new();
    for (i, (change, texts)) in json.iter().enumerate() {
        copy(&from, &t.path(&format!("json{i}")));
        patch(&t, &format!("json{i}/adapters.json"), change);
        cases.push((format!("{LINE} --adapters json{i}"), 4, *texts));
    }
    for name in ["broken", "none", "cut", "renamed", "turned"] {
        copy(&from, &t.path(name));
    }
    let weights = |name: &str| format!("{name}/adapters.safetensors");
    let bytes = std::fs::read(t.path(&weights("cut"))).unwrap();
    t.write("broken/adapters.json", "{");
    std::fs::remove_file(t.path(&weights("none"))).unwrap();
    t.write(&weights("cut"), &bytes[..bytes.len() - 100]);
    let bias = "aa.decoder.layers.0.layer.up.bias";
    patch_tensors(&t, &weights("renamed"), |h| {
        rename(h, bias, "aa.decoder.layers.0.layer.up.bios")
    });
    let up = "aa.decoder.layers.0.layer.up.weight";
    patch_tensors(&t, &weights("turned"), |h| h[up]["shape"] = json!([4, 64]));
    let files: [(&str, &[&str]); 5] = [
        ("broken", &["cannot read JSON", "broken/adapters.json:1"]),
        ("none", &["adapters have no values", "none/adapters.safetensors"]),
        ("cut", &["not a valid safetensors file", "cut/adapters.safetensors"]),
        ("renamed", &["missing tensors: 1", bias, "unused tensors: 1", "up.bios"]),
        ("turned", &["wrong shape", up, "[4, 64]", "[64, 4]"]),
    ];
    cases.extend(files.map(|(dir, texts)| (format!("{LINE} --adapters {dir}"), 4, texts)));
    refused(&t, &cases);
}

/// A run goes on as it began, or not at all.
#[test]
fn runs_that_were_something_else() {
    let t = prepared();
    for (run, flags, texts) in [
        ("stored", format!("{STORED} --adapter-bottleneck 5"), &["adapter_bottleneck"][..]),
        ("stored", HYPER.to_string(), &["method"]),
        ("hyper", format!("{HYPER} --grad-accum 4 --no-rescale"), &["no_rescale"]),
        ("hyper", format!("{HYPER} --grad-accum 4 --hyper-hidden 9"), &["hyper_hidden"]),
        (
            "x",
            format!("{X} --denoise dd.jsonl --train-base none --grad-accum 8"),
            &["training text"],
        ),
    ] {
        let before = t.files();
        let done = train(&t, run, &format!("{flags} --max-steps 9")).run();
        done.code(2).says(&format!("--> {run}"));
        for text in texts {
            done.says(text);
        }
        assert!(!done.stderr.contains(&format!("-m {run}")), "{}", done.stderr);
        assert_eq!(t.files(), before);
    }
}
