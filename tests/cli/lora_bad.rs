//! What the LoRA commands say to bad input: never a silent base model, never a guess.

use serde_json::{Value, json};

use crate::lora::{LAST, copy, header, prepared, train, words};
use crate::support::Sandbox;

/// Runs each command line; says all that are not as expected at once.
#[track_caller]
fn refused(t: &Sandbox, cases: &[(&str, i32, &[&str])]) {
    let before = t.files();
    let mut wrong = Vec::new();
    for (line, code, texts) in cases {
        let run = t.isogloss(words(line)).stdin("uno dos\n").run();
        let silent: Vec<_> = texts.iter().filter(|text| !run.stderr.contains(**text)).collect();
        if run.code != Some(*code) || !silent.is_empty() {
            let (found, said) = (run.code, &run.stderr);
            wrong.push(format!("{line}\n{found:?} for {code}, no {silent:?} in:\n{said}"));
        }
        if t.exists("new") {
            wrong.push(format!("{line}\nleft `new` behind"));
            std::fs::remove_dir_all(t.path("new")).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(t.files(), before, "a refused command leaves nothing behind");
}

/// A copy of the LoRA as `name`, for damage.
fn damaged(t: &Sandbox, name: &str) {
    copy(&t.path(LAST), &t.path(name));
}

fn read_json(t: &Sandbox, name: &str) -> Value {
    serde_json::from_str(&t.read(name)).unwrap()
}

/// Puts these keys into a JSON file.
fn patch(t: &Sandbox, name: &str, keys: &Value) {
    let mut value = read_json(t, name);
    for (key, new) in keys.as_object().unwrap() {
        value[key] = new.clone();
    }
    t.write(name, value.to_string());
}

/// Changes the header of a safetensors file.
fn patch_tensors(t: &Sandbox, name: &str, change: impl Fn(&mut serde_json::Map<String, Value>)) {
    let bytes = std::fs::read(t.path(name)).unwrap();
    let (mut head, data) = header(&bytes);
    change(head.as_object_mut().unwrap());
    let text = head.to_string();
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text.as_bytes());
    out.extend(&bytes[data..]);
    t.write(name, out);
}

/// Each damaged LoRA must stop a translation with exit code 4 and these texts.
#[track_caller]
fn all_refused(t: &Sandbox, cases: &[(String, &[&str])]) {
    let lines: Vec<String> = cases
        .iter()
        .map(|(dir, _)| format!("translate -m model --src-lang aa --tgt-lang bb --lora {dir}"))
        .collect();
    let cases: Vec<(&str, i32, &[&str])> =
        lines.iter().zip(cases).map(|(line, (_, texts))| (line.as_str(), 4, *texts)).collect();
    refused(t, &cases);
}

const TRAIN: &str = "train -m model --train train.jsonl --max-steps 1 -o new";

#[test]
fn flags_of_training() {
    let t = prepared();
    t.write("short.tsv", "lang\ttier\tfamily\naa\thigh\tx\nbb\tlow\ty\n");
    // Flags, code and telling text.
    let lora: &[(&str, i32, &[&str])] = &[
        ("--lora-rank 0", 2, &["`0` is not a rank", "--lora-rank"]),
        ("--lora-rank x", 2, &["`x` is not a rank"]),
        ("--lora-rank 8;", 2, &["`` is not a rank"]),
        ("--lora-rank bbb=4;*=2", 2, &["no language or label is called `bbb`", "`bb`?"]),
        ("--lora-rank aa=4;bb=2", 2, &["language `cc` has no rank", "`,cc=R`"]),
        ("--lora-rank 2;8 --lora-groups groups.tsv", 2, &["as many ranks", "high, medium, low"]),
        ("--lora-rank 2;2;8", 2, &["as many ranks", "--lora-groups"]),
        (
            "--lora-rank 65",
            2,
            &["rank is out of range", "`model.encoder.layers.0.fc1`", "65 for", "1 to 64"],
        ),
        ("--lora-rank 9 --lora-slice 0..8", 2, &["out of range", "1 to 8"]),
        ("--lora-rank low=2;*=4", 2, &["no language or label is called `low`"]),
        ("--lora-module-rank fc1", 2, &["`fc1` is not MODULE=R"]),
        ("--lora-module-rank fc1=0", 2, &["`0` is not a rank", "--lora-module-rank"]),
        ("--lora-module-rank fc9=2", 2, &["no update is at a module `fc9`", "`fc1`"]),
        ("--lora-module-rank out_proj=2", 2, &["no update is at a module `out_proj`"]),
        ("--lora-index sorce", 2, &["unknown index `sorce`", "did you mean `source`"]),
        ("--lora-index mixed", 2, &["unknown index `mixed`", "source, target, direction"]),
        ("--lora-index source*3/target", 2, &["another number of encoder layers", "3 in"]),
        ("--lora-index source/target,target,source", 2, &["number of decoder layers"]),
        ("--lora-slice 5..3", 2, &["`5..3` is no range", "--lora-slice"]),
        ("--lora-slice all", 2, &["`all` is no range"]),
        ("--lora-modules fc9", 2, &["unknown module `fc9`", "did you mean `fc1`"]),
        ("--lora-modules fc1,", 2, &["unknown module ``"]),
        ("--lora-modules embed_tokens", 2, &["unknown module `embed_tokens`"]),
        ("--lora-groups groups.tsv --lora-rank-by famly", 2, &["no column `famly`", "`family`?"]),
        ("--lora-groups groups.tsv --lora-share famly", 2, &["no column `famly`", "`family`?"]),
        ("--lora-groups short.tsv --lora-share family", 3, &["`cc` has no label", "short.tsv"]),
        ("--lora-groups missing.tsv", 4, &["missing.tsv"]),
        ("--lora-share family", 2, &["`--lora-groups"]),
        ("--lora-alpha 0", 2, &["--lora-alpha", "above 0"]),
        ("--lora-dropout 1", 2, &["--lora-dropout", "below 1"]),
        ("--lora-placement run --lora-index source", 2, &["--lora-placement", "--lora-index"]),
        ("--lora-placement run --lora-modules fc1", 2, &["--lora-placement", "--lora-modules"]),
        ("--lora-placement missing", 4, &["not a LoRA", "missing", "no such directory"]),
        ("--lora-placement model", 4, &["not a LoRA", "a whole model"]),
        ("--lora-placement groups.tsv", 4, &["cannot read JSON", "groups.tsv"]),
        ("--learn-placement layer --lora-index source", 2, &["`--learn-placement`"]),
        ("--learn-placement layers", 2, &["`layers`", "`layer`, `matrix`"]),
        ("--prune 100%", 2, &["--prune", "below 100%"]),
        ("--prune 90", 2, &["--prune", "write `90%`"]),
        ("--prune 90% --prune-every 0", 2, &["--prune-every", "at least 1"]),
        ("--prune 90% --prune-start 0", 2, &["--prune-start", "at least 1"]),
        ("--prune 90% --prune-duration 0", 2, &["--prune-duration", "at least 1"]),
        ("--prune-every 3", 2, &["`--prune <SHARE>` is required"]),
        ("--prune-pool layer", 2, &["`--prune <SHARE>` is required"]),
        ("--freeze all", 2, &["`--freeze` with a LoRA"]),
        ("--train-only encoder", 2, &["`--train-only` with a LoRA"]),
        ("-m run", 4, &["this is a LoRA", "`--lora`"]),
        ("--init-from model", 4, &["not a LoRA", "--init-from"]),
    ];
    let mut lines: Vec<(String, i32, &[&str])> = Vec::new();
    for (flags, code, texts) in lora {
        lines.push((format!("{TRAIN} --method lora {flags}"), *code, *texts));
    }
    for flags in [
        "--lora-rank 4",
        "--lora-module-rank fc1=2",
        "--lora-alpha 2",
        "--lora-init standard",
        "--lora-dropout 0.1",
        "--lora-index source",
        "--lora-modules fc1",
        "--lora-slice d_model",
        "--lora-placement run",
        "--lora-groups groups.tsv",
        "--learn-placement layer",
        "--prune 50%",
    ] {
        lines.push((format!("{TRAIN} {flags}"), 2, &["without a LoRA", "`--method lora`"]));
    }
    let epochs = "train -m model --train train.jsonl --max-epochs 1 -o new --method lora";
    lines.push((format!("{epochs} --prune 50%"), 2, &["length of a period", "--prune-every N"]));
    let cases: Vec<(&str, i32, &[&str])> = lines.iter().map(|(l, c, t)| (&**l, *c, *t)).collect();
    refused(&t, &cases);
}

#[test]
fn flags_of_pruning_and_translation() {
    let t = prepared();
    t.write("there/mine.txt", "mine");
    let prune: &[(&str, i32, &[&str])] = &[
        ("run -o new", 2, &["nothing to do", "`--compact`"]),
        ("run --ratio 100% -o new", 2, &["--ratio", "below 100%"]),
        ("run --ratio 50 -o new", 2, &["--ratio", "write `50%`"]),
        ("run --budget 0 -o new", 2, &["nothing would be left", "--budget"]),
        ("run --budget 100 -o new", 2, &["nothing would be left", "input and output width"]),
        ("run --budget much -o new", 2, &["`much`", "`0.4%`", "`200k`"]),
        ("run --budget 150% -o new", 2, &["`150%`", "not between 0 and 1"]),
        ("run --budget 5k --rank 2 -o new", 2, &["`--budget`", "`--rank`"]),
        ("run --rank 0 -o new", 2, &["--rank", "at least 1"]),
        ("run --method svd", 2, &["`--method` without smaller ranks", "`--budget`"]),
        ("run --pool layer", 2, &["`--ratio <SHARE>` is required"]),
        ("run --unit rank", 2, &["`--ratio <SHARE>` is required"]),
        ("run --balance uniform", 2, &["`--budget <BUDGET>` is required"]),
        ("run --merge -o new", 2, &["`--direction <SRC-TGT>` is required"]),
        ("run --direction aa -o new", 2, &["`aa` is not a direction"]),
        ("run --direction aa-xx -o new", 2, &["unknown language `xx`", "--direction"]),
        ("run --compact -o there", 5, &["there", "--force"]),
        ("run --compact -o -", 2, &["name a file"]),
        ("missing --compact -o new", 4, &["not a LoRA", "no such directory"]),
        ("model --compact -o new", 4, &["not a LoRA", "a whole model"]),
        ("run -m run --compact -o new", 4, &["this is a LoRA"]),
    ];
    let line = |(flags, code, texts): &(&str, i32, &'static [&'static str])| {
        (format!("prune-lora -m model {flags}"), *code, *texts)
    };
    let mut lines: Vec<(String, i32, &[&str])> = prune.iter().map(line).collect();
    let translate = "translate -m model --src-lang aa --tgt-lang bb";
    for (flags, code, texts) in [
        ("--merge-lora", 2, &["`--lora <LORA>` is required"][..]),
        ("--unknown-language base", 2, &["without a LoRA or adapters"]),
        ("--allow-base-mismatch", 2, &["without a LoRA or adapters"]),
        ("--lora missing", 4, &["not a LoRA", "missing", "no such directory"]),
        ("--lora model", 4, &["not a LoRA", "`isogloss train --method lora`"]),
        ("--lora dev.jsonl", 4, &["not a LoRA", "dev.jsonl"]),
    ] {
        lines.push((format!("{translate} {flags}"), code, texts));
    }
    let cases: Vec<(&str, i32, &[&str])> = lines.iter().map(|(l, c, t)| (&**l, *c, *t)).collect();
    refused(&t, &cases);
}

/// Damage to `adapter_config.json`, one key at a time.
#[test]
fn configurations_of_peft() {
    let t = prepared();
    let good = read_json(&t, &format!("{LAST}/aa/adapter_config.json"));
    let with = |key: &str, name: &str, value: Value| {
        let mut map = good[key].clone();
        map[name] = value;
        json!({ key: map })
    };
    let mut more = good["target_modules"].clone();
    more.as_array_mut().unwrap().push(json!("fc9"));
    let mut wide = good["target_modules"].clone();
    wide.as_array_mut().unwrap().push(json!("self_attn.out_proj"));
    let cases: Vec<(Value, &[&str])> = vec![
        (json!({"r": 0}), &["rank is not a whole number above 0", "key `r`"]),
        (json!({"r": 2.5}), &["rank is not a whole number above 0", "2.5"]),
        (json!({"r": "8"}), &["`r` is not a number"]),
        (json!({"r": null}), &["has no `r`"]),
        (json!({"r": 65}), &["rank is above that of the matrix `model.", "1 to 64"]),
        (json!({"r": 5}), &["wrong shape", "lora_A.weight", "[6, 64]", "[5, 64]", "rank 5"]),
        (with("rank_pattern", "model.encoder.layers.0.fc1", json!(0)), &["`rank_pattern.model."]),
        (
            with("rank_pattern", "model.encoder.layers.7.fc1", json!(3)),
            &["`model.encoder.layers.7.fc1` matches no module", "model.encoder.layers.0.fc1"],
        ),
        (with("alpha_pattern", "fc3", json!(3)), &["`fc3` matches no module", "`alpha_pattern."]),
        (json!({"alpha_pattern": {"fc1": "x"}}), &["alpha is not a number", "`alpha_pattern.fc1`"]),
        (with("rank_pattern", "(", json!(3)), &["`(` is not a regular expression"]),
        (json!({"lora_alpha": "x"}), &["`lora_alpha` is not a number"]),
        (json!({"target_modules": more}), &["`fc9` matches no linear map", "`fc1`"]),
        (json!({"target_modules": wide}), &["missing tensors: 8", "self_attn.out_proj"]),
        (
            json!({"target_modules": ["fc1"], "rank_pattern": {"fc1": 3}, "alpha_pattern": {}}),
            &["unused tensors: 44", "encoder_attn.k_proj.lora_A.weight"],
        ),
        (json!({"target_modules": ["lm_head"]}), &["`lm_head` matches", "embeddings"]),
        (json!({"target_modules": null}), &["does not say which modules", "`target_modules`"]),
        (json!({"target_modules": []}), &["does not say which modules"]),
        (json!({"target_modules": 5}), &["neither list nor text"]),
        (json!({"use_rslora": true}), &["rank-stabilized LoRA is not supported", "use_rslora"]),
        (json!({"use_dora": true}), &["DoRA is not supported", "use_dora"]),
        (json!({"bias": "lora_only"}), &["training of biases is not supported", "`bias`"]),
        (json!({"lora_bias": true}), &["a LoRA with bias is not supported"]),
        (json!({"fan_in_fan_out": true}), &["transposed weights is not supported"]),
        (json!({"modules_to_save": ["lm_head"]}), &["whole modules", "`modules_to_save`"]),
        (json!({"layers_to_transform": [0]}), &["layers by number", "`layers_to_transform`"]),
        (json!({"target_parameters": ["fc1.weight"]}), &["single parameters is not supported"]),
        (json!({"init_lora_weights": "pissa_niter_4"}), &["began as `pissa_niter_4`"]),
        (json!({"peft_type": "LOHA"}), &["not the configuration of a LoRA", "`LOHA`"]),
        (
            json!({"peft_type": null, "config": {"architecture": "lora"}, "version": "1"}),
            &["not the configuration of a LoRA", "adapter of AdapterHub"],
        ),
    ];
    let mut all: Vec<(String, &[&str])> = Vec::new();
    for (i, (keys, texts)) in cases.iter().enumerate() {
        let dir = format!("config{i}");
        damaged(&t, &dir);
        patch(&t, &format!("{dir}/aa/adapter_config.json"), keys);
        all.push((dir, *texts));
    }
    all_refused(&t, &all);
    // Without effect, or accepted with a word.
    for (dir, keys) in [
        ("plain", json!({"use_dora": false, "use_rslora": null, "layers_to_transform": null})),
        ("new", json!({"some_new_key": 5, "another": "x"})),
    ] {
        damaged(&t, dir);
        patch(&t, &format!("{dir}/aa/adapter_config.json"), &keys);
        let line = format!("translate -m model --src-lang aa --tgt-lang bb --lora {dir}");
        let run = t.isogloss(words(&line)).stdin("uno dos\n").run();
        run.ok();
        let warned = run.stderr.contains("another, some_new_key");
        assert_eq!(warned, dir == "new", "{}", run.stderr);
    }
}

/// Damage to the weights, and files that are not there.
#[test]
fn weights_and_files() {
    let t = prepared();
    let names = [
        "renamed", "dora", "turned", "whole", "more", "embedded", "cut", "none", "pickle",
        "nobody", "broken", "list", "bare",
    ];
    for name in names {
        damaged(&t, name);
    }
    let module = "base_model.model.model.encoder.layers.0.fc1.";
    let [a, b] = ["A", "B"].map(|m| format!("{module}lora_{m}.weight"));
    let weights = |name: &str| format!("{name}/aa/adapter_model.safetensors");
    let rename = |name: &str, to: &str| {
        patch_tensors(&t, &weights(name), |head| {
            let tensor = head.remove(&a).unwrap();
            head.insert(format!("{module}{to}"), tensor);
        });
    };
    rename("renamed", "lora_A.default.weight");
    rename("dora", "lora_magnitude_vector");
    patch_tensors(&t, &weights("turned"), |head| head[&b]["shape"] = json!([3, 256]));
    patch_tensors(&t, &weights("whole"), |head| head[&a]["dtype"] = json!("I32"));
    let add = |name: &str, tensor: &str| {
        patch_tensors(&t, &weights(name), |head| {
            let mut empty = head[&a].clone();
            let end = head.values().filter_map(|v| v["data_offsets"][1].as_u64()).max().unwrap();
            (empty["shape"], empty["data_offsets"]) = (json!([0]), json!([end, end]));
            head.insert(tensor.into(), empty);
        });
    };
    add("more", "extra");
    // As PEFT writes them when the vocabulary was enlarged.
    let embedding = "base_model.model.model.shared.weight";
    add("embedded", embedding);
    let bytes = std::fs::read(t.path(&weights("cut"))).unwrap();
    t.write(&weights("cut"), &bytes[..bytes.len() - 100]);
    std::fs::remove_file(t.path(&weights("none"))).unwrap();
    std::fs::rename(t.path(&weights("pickle")), t.path("pickle/aa/adapter_model.bin")).unwrap();
    std::fs::remove_dir_all(t.path("nobody/aa")).unwrap();
    t.write("broken/aa/adapter_config.json", "{");
    t.write("list/aa/adapter_config.json", "[]");
    std::fs::remove_file(t.path("bare/placement.json")).unwrap();
    let cases: [(&str, &[&str]); 13] = [
        (
            "renamed",
            &["missing tensors: 1", &a, "unused tensors: 1", "lora_A.default.weight", "aa/"],
        ),
        ("dora", &["DoRA is not supported", "fc1.lora_magnitude_vector"]),
        ("turned", &["wrong shape", &b, "[3, 256]", "[256, 3]"]),
        ("whole", &[&a, "I32"]),
        ("more", &["unused tensors: 1", "`extra`", "for a model with as many layers?"]),
        (
            "embedded",
            &[
                "unused tensors: 1",
                embedding,
                "embedded/aa/adapter_model.safetensors",
                "saved with the embeddings",
                "save_embedding_layers=False",
            ],
        ),
        ("cut", &["not a valid safetensors file", "cut/aa/"]),
        ("none", &["LoRA has no weights", "none/aa/adapter_model.safetensors"]),
        ("pickle", &["LoRA has no weights", "is a pickle", "safe_serialization=True"]),
        ("nobody", &["adapter `aa` is missing", "listed in nobody/placement.json"]),
        ("broken", &["cannot read JSON", "broken/aa/adapter_config.json"]),
        ("list", &["is not an object", "list/aa/adapter_config.json"]),
        ("bare", &["not a LoRA", "it holds adapters", "name one of them"]),
    ];
    all_refused(&t, &cases.map(|(dir, texts)| (dir.to_string(), texts)));
    // One of them by itself is a plain LoRA.
    let line = "translate -m model --src-lang aa --tgt-lang bb --lora bare/aa";
    t.isogloss(words(line)).stdin("uno\n").run().ok();
}

/// Damages `placement.json` and expects each to be refused.
#[track_caller]
fn placements(cases: &[(Value, &[&str])]) {
    let t = prepared();
    let mut all: Vec<(String, &[&str])> = Vec::new();
    for (i, (keys, texts)) in cases.iter().enumerate() {
        let dir = format!("placed{i}");
        damaged(&t, &dir);
        patch(&t, &format!("{dir}/placement.json"), keys);
        all.push((dir, *texts));
    }
    all_refused(&t, &all);
}

fn layer(index: Value, modules: &[&str]) -> Value {
    json!({"index": index, "modules": modules})
}

/// All modules with updates in the encoder.
const ENCODER: [&str; 5] =
    ["fc1", "fc2", "self_attn.k_proj", "self_attn.q_proj", "self_attn.v_proj"];

#[test]
fn broken_placements() {
    let own = layer(json!("source"), &ENCODER);
    let with = |first: Value| json!({ "encoder": [first, own.clone()] });
    let language = |adapter: &str| json!({"adapter": adapter, "source": true, "target": true});
    placements(&[
        (json!({"format": "other"}), &["not a placement", "`format`", "other 1"]),
        (json!({"schema": 2}), &["not a placement", "isogloss-placement 1"]),
        (json!({"slyce": [0, 8]}), &["unknown field `slyce`"]),
        (json!({"encoder": [own]}), &["another depth", "`encoder`", "1 layers"]),
        (json!({"encoder": [own, own, own]}), &["another depth", "3 layers"]),
        (with(layer(json!("sorce"), &ENCODER)), &["unknown index `sorce`", "`source`?"]),
        (with(layer(json!("source"), &["fc9"])), &["no module `fc9`", "`encoder[0]`", "`fc1`"]),
        (with(layer(json!("source"), &["fc1"])), &["no place for a module", "aa/adapter_config"]),
        (with(layer(json!({"source": 0.9, "target": 0.9}), &ENCODER)), &["sum to 1"]),
        (json!({"adapters": ["aa", "bb", "cc", "zz"]}), &["adapter `zz` is missing"]),
        (json!({"adapters": ["bb", "cc"]}), &["`aa` uses an adapter that is not there"]),
        (json!({"adapters": ["aa", "bb", "cc", "../x"]}), &["`../x` cannot be the name"]),
        (
            json!({"languages": {"aa": language("ab"), "bb": language("bb")}}),
            &["language `aa` uses an adapter that is not there", "`languages.aa`", "`ab`"],
        ),
        (json!({"empty": ["zz"]}), &["`zz` is empty but no adapter"]),
        (json!({"slice": [0, 32]}), &["outside the slice", "not zero", "0..32"]),
        (json!({"slice": [0, 999]}), &["outside a matrix", "`slice`"]),
        (json!({"slice": [8, 0]}), &["outside a matrix"]),
        (json!({"base_model_sha256": "00ff"}), &["trained on different models", "00ff"]),
    ]);
}

/// What would run the base model where somebody thinks there is a LoRA.
#[test]
fn contradictions_of_placements() {
    let own = layer(json!("source"), &ENCODER);
    let twice = [&ENCODER[..], &["fc1"]].concat();
    placements(&[
        (json!({"adapters": ["aa", "aa", "bb", "cc"]}), &["`aa`", "twice"]),
        (json!({"encoder": [layer(json!("source"), &twice), own]}), &["`fc1`", "twice"]),
        (
            json!({"encoder": [layer(json!({"source": 2.0, "target": -1.0}), &ENCODER), own]}),
            &["from 0 to 1"],
        ),
        // Nothing is left of it, says the placement, and there it is.
        (json!({"empty": ["aa"]}), &["`aa`", "empty"]),
        // Shared by all, but no such adapter.
        (json!({"encoder": [layer(json!("shared"), &ENCODER), own]}), &["`default`"]),
        // Not even a fingerprint: no slicing within a letter.
        (json!({"base_model_sha256": "aäöüäöüäöü"}), &["trained on different models"]),
    ]);
}

#[test]
fn other_models() {
    let t = prepared();
    for (name, more) in
        [("other", "--seed 9"), ("wide", "--ffn-dim 96"), ("deep", "--encoder-layers 3")]
    {
        let init = "init -q --vocab-size 60 --preset tiny train.jsonl -o";
        t.isogloss(words(init)).arg(name).args(words(more)).run().ok();
    }
    let direction = "prune-lora -q -m model run --direction aa-bb -o plain";
    t.isogloss(words(direction)).run().ok();
    std::fs::remove_file(t.path("plain/placement.json")).unwrap();
    let line = "--src-lang aa --tgt-lang bb";
    let cases: [(String, i32, &[&str]); 6] = [
        (
            format!("translate -m other --lora run {line}"),
            4,
            &["the LoRA was trained on another model", "(other)", "--allow-base-mismatch"],
        ),
        (format!("translate -m other --lora plain {line}"), 4, &["trained on another model"]),
        ("prune-lora -m other run --compact -o new".into(), 4, &["trained on another model"]),
        (
            format!("translate -m wide --lora run --allow-base-mismatch {line}"),
            4,
            &["wrong shape", "fc1.lora_B.weight", "[256, 3]", "[96, 3]"],
        ),
        (
            format!("translate -m deep --lora run --allow-base-mismatch {line}"),
            4,
            &["another depth", "2 layers", "3"],
        ),
        (
            format!("{TRAIN} --method lora -m deep --lora-placement run"),
            4,
            &["another depth", "`encoder`"],
        ),
    ];
    refused(&t, &cases.each_ref().map(|(l, c, texts)| (l.as_str(), *c, *texts)));
    for lora in ["run", "plain"] {
        let allowed = format!("translate -m other --lora {lora} --allow-base-mismatch {line}");
        t.isogloss(words(&allowed)).stdin("uno dos\n").run().ok();
    }
    let any = "prune-lora -q -m other run --allow-base-mismatch --compact -o new";
    t.isogloss(words(any)).run().ok();
}

/// A flag that cannot be met is a usage error that names itself, whoever notices it.
#[test]
fn flags_are_blamed_themselves() {
    let t = prepared();
    let lora: &[(&str, i32, &[&str])] = &[
        ("--lora-slice 0..999", 2, &["--lora-slice", "999"]),
        ("--lora-module-rank fc1=200", 2, &["flag `--lora-module-rank`", "1 to 64"]),
        ("--lora-index source*x", 2, &["--lora-index", "`x` is not a number of layers"]),
        ("--lora-rank aa=4;aa=5;*=3", 2, &["`aa`", "twice"]),
        ("--lora-rank *=3;4", 2, &["--lora-rank"]),
        ("--lora-module-rank fc1=2 --lora-module-rank fc1=4", 2, &["`fc1`", "twice"]),
    ];
    let lines: Vec<(String, i32, &[&str])> =
        lora.iter().map(|(f, c, s)| (format!("{TRAIN} --method lora {f}"), *c, *s)).collect();
    let cases: Vec<(&str, i32, &[&str])> = lines.iter().map(|(l, c, s)| (&**l, *c, *s)).collect();
    refused(&t, &cases);
}

/// Adapters become directories of a checkpoint, which has names of its own.
#[test]
fn labels_that_are_no_names() {
    let t = prepared();
    for label in ["x/1", "..", "optimizer.safetensors", "placement.json", "state.json"] {
        t.write("odd.tsv", format!("lang\ttier\tfamily\naa\thigh\t{label}\nbb\ta\ty\ncc\ta\ty\n"));
        let run = train(&t, "new", "--lora-groups odd.tsv --lora-share family --max-steps 1").run();
        assert!(matches!(run.code, Some(2 | 3)), "{label}: {}", run.transcript());
        run.says(label);
        assert!(!t.exists("new"), "{label}: found before anything is written");
    }
}

/// `--dry-run` finds what the command would.
#[test]
fn a_dry_run_of_nothing() {
    let t = prepared();
    let line = "prune-lora -m model run --budget 0 -o new --dry-run";
    let run = t.isogloss(words(line)).run();
    assert!(matches!(run.code, Some(1 | 2)), "{:?} {}", run.code, run.stderr);
    run.says("nothing would be left");
}

/// Advice must be possible to follow.
#[test]
fn hints_fit_the_command() {
    let t = prepared();
    // `-m RUN` is refused for a LoRA.
    let run = train(&t, "run", "--max-steps 9 --lora-rank 4").run();
    run.code(2).says("lora_rank");
    assert!(!run.stderr.contains("-m run"), "{}", run.stderr);
    // `prune-lora` has no `--unknown-language`.
    train(&t, "two", "--max-steps 1 --direction aa-bb --direction bb-aa").run().ok();
    let run = t.isogloss(words("prune-lora -m model two --direction aa-cc")).run();
    run.code(3).says("language `cc` has no LoRA");
    assert!(!run.stderr.contains("--unknown-language"), "{}", run.stderr);
    // A plain LoRA of PEFT is a LoRA, too.
    let line = "prune-lora -q -m model run --direction aa-bb -o plain";
    t.isogloss(words(line)).run().ok();
    std::fs::remove_file(t.path("plain/placement.json")).unwrap();
    train(&t, "taken", "--max-steps 1 --lora-placement plain").run().ok();
}
