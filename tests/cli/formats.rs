//! Number formats: `translate --dtype`, `export --dtype`, `inspect --dtype`, stored models in
//! bf16 and int8, and what is said about broken ones.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::Sandbox;
use crate::train::corpus_from;

/// A directory with text and a model, made once.
fn base() -> PathBuf {
    static BASE: OnceLock<Sandbox> = OnceLock::new();
    let t = BASE.get_or_init(|| {
        let t = Sandbox::new();
        t.write("train.jsonl", corpus_from(0, 120));
        t.write("dev.jsonl", corpus_from(500, 30));
        let init = ["init", "-q", "-o", "model", "--vocab-size", "60", "--preset", "tiny"];
        t.isogloss(init).arg("train.jsonl").run().ok();
        for dtype in ["f32", "bf16", "f16", "int8"] {
            let export = ["export", "-q", "-m", "model", "--dtype", dtype, "-o", dtype];
            t.isogloss(export).run().ok();
        }
        t
    });
    t.dir().to_path_buf()
}

/// A fresh directory with some of the same.
fn prepared(models: &[&str]) -> Sandbox {
    let t = Sandbox::new();
    for name in ["train.jsonl", "dev.jsonl"] {
        std::fs::copy(base().join(name), t.path(name)).unwrap();
    }
    for model in models {
        std::fs::create_dir(t.path(model)).unwrap();
        for entry in std::fs::read_dir(base().join(model)).unwrap().flatten() {
            std::fs::copy(entry.path(), t.path(model).join(entry.file_name())).unwrap();
        }
    }
    t
}

/// Translations with the score of each token, and the signature.
fn translated(t: &Sandbox, args: &[&str]) -> (String, String) {
    let run = ["translate", "-q", "--max-new-tokens", "12", "--token-scores", "--header"];
    let out = t.isogloss(run).args(args).arg("dev.jsonl").run().ok().stdout();
    let (header, body) = out.split_once('\n').unwrap();
    let header: Value = serde_json::from_str(header).unwrap();
    (body.to_string(), header["signature"].as_str().unwrap().to_string())
}

#[test]
fn stored_is_what_loading_makes_bit_for_bit() {
    let t = prepared(&["model", "f32", "bf16", "f16", "int8"]);
    let (f32, signature) = translated(&t, &["-m", "model"]);
    assert!(signature.contains("|dtype:f32|"), "{signature}");
    assert_eq!(translated(&t, &["-m", "model", "--dtype", "f32"]).0, f32);
    assert_eq!(translated(&t, &["-m", "f32"]).0, f32);
    for dtype in ["bf16", "int8"] {
        let (loaded, signature) = translated(&t, &["-m", "model", "--dtype", dtype]);
        assert!(signature.contains(&format!("|dtype:{dtype}|")), "{signature}");
        assert_ne!(loaded, f32);
        let (stored, signature) = translated(&t, &["-m", dtype]);
        assert!(signature.contains(&format!("|dtype:{dtype}|")), "{signature}");
        assert_eq!(stored, loaded, "{dtype}");
        // One sentence at a time, the same.
        assert_eq!(translated(&t, &["-m", dtype, "--batch-size", "1"]).0, loaded);
        assert_eq!(translated(&t, &["-m", dtype, "--score-given"]).1, signature);
    }
    // bf16 holds its own weights as f32 does; f16 is computed in f32.
    assert_eq!(
        translated(&t, &["-m", "bf16", "--dtype", "f32"]).0,
        translated(&t, &["-m", "bf16"]).0
    );
    assert!(translated(&t, &["-m", "f16"]).1.contains("|dtype:f32|"));
    // Integers may be computed in f32, too.
    assert!(translated(&t, &["-m", "int8", "--dtype", "f32"]).1.contains("|dtype:f32|"));
    let size = |m: &str| std::fs::metadata(weights(&t, m)).unwrap().len();
    assert!(size("int8") * 10 < size("f32") * 4 && size("bf16") * 10 < size("f32") * 6);
}

#[test]
fn inspect_measures_and_remembers_the_rounding() {
    let t = prepared(&["model", "int8"]);
    let inspect = |args: &[&str]| -> Value {
        let run = t.isogloss(["inspect", "--format", "json"]).args(args).run();
        serde_json::from_str(&run.ok().stdout()).unwrap()
    };
    assert!(inspect(&["model"]).get("rounding").is_none());
    let int8 = &inspect(&["model", "--dtype", "int8"])["rounding"];
    let bf16 = &inspect(&["model", "--dtype", "bf16"])["rounding"];
    // Evenly spread errors of half a step, 1/254 of the greatest of a row; 2^-9 of a value.
    let error = |r: &Value| r["relative_error"].as_f64().unwrap();
    assert!((0.002..0.02).contains(&error(int8)), "{int8}");
    assert!((0.001..0.0025).contains(&error(bf16)), "{bf16}");
    assert_eq!(inspect(&["model", "--dtype", "f32"])["rounding"]["relative_error"], 0.0);
    let kinds = int8["kinds"].as_array().unwrap();
    let names: Vec<&str> = kinds.iter().map(|k| k["kind"].as_str().unwrap()).collect();
    // 6 of the encoder, 10 of the decoder, and the embedding.
    assert_eq!(names.len(), 17);
    assert!(names.contains(&"embedding") && names.contains(&"decoder.encoder_attn.v_proj"));
    for k in kinds {
        assert!(k["worst_row_error"].as_f64() >= k["relative_error"].as_f64(), "{k}");
        assert!(k["worst_row"].as_str().unwrap().ends_with(']'));
    }
    let stored = inspect(&["int8"]);
    assert_eq!(&stored["rounding"], int8);
    assert_eq!(stored["weights"], "int8, a scale for each row");
    assert_eq!(stored["provenance"]["command"], "export");
    t.isogloss(["inspect", "int8", "--dtype", "int8"]).run().code(4).says("rounded already");
    // A variable for a whole pipeline asks nothing of it.
    let run = t.isogloss(["inspect", "--quick", "model"]).env("ISOGLOSS_DTYPE", "int8").run();
    assert!(!run.ok().stdout().contains("rounding"));
}

#[test]
fn export_writes_half_floats_in_the_published_layout() {
    let t = prepared(&["model", "bf16", "f16"]);
    let config =
        |m: &str| -> Value { serde_json::from_str(&t.read(&format!("{m}/config.json"))).unwrap() };
    assert_eq!(config("bf16")["dtype"], "bfloat16");
    assert_eq!(config("f16")["dtype"], "float16");
    for (m, dtype) in [("bf16", "BF16"), ("f16", "F16")] {
        let header = header(&t, m);
        assert_eq!(header["model.encoder.layers.0.fc1.weight"]["dtype"], dtype);
        assert_eq!(header["model.encoder.layers.0.fc1.bias"]["dtype"], "F32");
        assert!(config(m).get("isogloss_quantization").is_none());
        // Training goes on from them.
        let train = ["train", "-q", "--train", "train.jsonl", "--max-steps", "1", "-o"];
        t.isogloss(train).args([&format!("run-{m}"), "-m", m]).run().ok();
    }
    let export = ["export", "-q", "-m", "model", "--dtype", "int8"];
    let record = t.isogloss(export).args(["-o", "x", "--json"]).run().ok().records().remove(0);
    assert_eq!((&record["type"], &record["dtype"]), (&json!("export"), &json!("int8")));
    assert!(record["size_bytes"].as_u64() < record["size_bytes_before"].as_u64());
    // The same bytes twice.
    t.isogloss(export).args(["-o", "y"]).run().ok();
    let bytes = |m: &str| std::fs::read(weights(&t, m)).unwrap();
    assert!(bytes("x") == bytes("y"));
    let dry = t.isogloss(export).args(["-o", "z", "--dry-run"]).run();
    assert!(dry.ok().stdout().contains("writes: z in int8") && !t.exists("z"));
}

#[test]
fn what_was_trained_on_the_original_fits_its_copies() {
    let t = prepared(&["model", "bf16", "int8"]);
    let train = [
        "train",
        "-q",
        "-m",
        "model",
        "--method",
        "lora",
        "--warmup-steps",
        "1",
        "--train",
        "train.jsonl",
        "--max-steps",
        "3",
        "--batch-tokens",
        "64",
        "--lr",
        "0.01",
        "-o",
        "lora",
    ];
    t.isogloss(train).run().ok();
    let profile = ["profile-neurons", "-q", "-m", "model", "-o", "stats.safetensors"];
    t.isogloss(profile).arg("dev.jsonl").run().ok();
    let build = ["build-masks", "-q", "--k", "60", "-o", "masks.safetensors"];
    t.isogloss(build).arg("stats.safetensors").run().ok();
    for extra in [
        &["--lora", "lora"][..],
        &["--lora", "lora", "--merge-lora"],
        &["--masks", "masks.safetensors"],
        &["--masks", "masks.safetensors", "--lora", "lora"],
    ] {
        for dtype in ["bf16", "int8"] {
            let loaded = translated(&t, &[&["-m", "model", "--dtype", dtype], extra].concat()).0;
            assert_eq!(translated(&t, &[&["-m", dtype], extra].concat()).0, loaded, "{extra:?}");
            assert_ne!(translated(&t, &["-m", dtype]).0, loaded);
        }
    }
}

/// The file of a model's weights.
fn weights(t: &Sandbox, model: &str) -> PathBuf {
    let int8 = t.path(model).join("model.int8.safetensors");
    // Either the one or the other.
    let plain = t.path(model).join("model.safetensors");
    assert_ne!(int8.is_file(), plain.is_file());
    if int8.is_file() { int8 } else { plain }
}

/// Name, type, shape and place of each tensor.
fn header(t: &Sandbox, model: &str) -> Value {
    let bytes = std::fs::read(weights(t, model)).unwrap();
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    serde_json::from_slice(&bytes[8..8 + n]).unwrap()
}

/// Writes the model's weights with another header and changed data.
fn patch(t: &Sandbox, model: &str, change: impl FnOnce(&mut Value, &mut Vec<u8>)) {
    let path = weights(t, model);
    let bytes = std::fs::read(&path).unwrap();
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + n]).unwrap();
    let mut data = bytes[8 + n..].to_vec();
    change(&mut header, &mut data);
    let mut text = serde_json::to_vec(&header).unwrap();
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut out = (text.len() as u64).to_le_bytes().to_vec();
    out.extend(text);
    out.extend(data);
    std::fs::write(path, out).unwrap();
}

const FC1: &str = "model.encoder.layers.0.fc1.weight";
const SCALE: &str = "model.encoder.layers.0.fc1.weight.scale";

#[test]
fn broken_models_in_int8_say_what_is_wrong() {
    let at =
        |header: &Value, name: &str| header[name]["data_offsets"][0].as_u64().unwrap() as usize;
    type Change<'a> = Box<dyn FnOnce(&mut Value, &mut Vec<u8>) + 'a>;
    let cases: Vec<(Change<'_>, &[&str])> = vec![
        (
            Box::new(|h, _| {
                let own = h.as_object_mut().unwrap();
                let scale = own.remove(SCALE).unwrap();
                own.insert("model.something".into(), scale);
            }),
            &["missing tensors: 1", SCALE, "unused tensors: 1"],
        ),
        (
            Box::new(|h, _| {
                let n = h[SCALE]["shape"][0].as_u64().unwrap();
                h[SCALE]["shape"] = json!([n / 2, 2]);
            }),
            &["wrong shape", SCALE],
        ),
        (Box::new(|h, _| h[SCALE]["dtype"] = json!("I32")), &[SCALE, "I32", "F32"]),
        (Box::new(|h, _| h[FC1]["dtype"] = json!("U8")), &[FC1, "U8", "I8"]),
        (
            Box::new(|h, d| {
                let at = at(h, SCALE) + 4;
                d[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
            }),
            &[SCALE, "NaN in row 1", "finite"],
        ),
        (
            Box::new(|h, d| {
                let at = at(h, SCALE);
                d[at..at + 4].copy_from_slice(&(-1f32).to_le_bytes());
            }),
            &[SCALE, "-1 in row 0"],
        ),
        (
            Box::new(|h, d| {
                let at = at(h, FC1) + 64 + 3;
                d[at] = 0x80;
            }),
            &[FC1, "-128 in row 1", "-127 to 127"],
        ),
        (
            Box::new(|_, d| {
                let half = d.len() / 2;
                d.truncate(half);
            }),
            &["not a valid safetensors file", "truncated"],
        ),
    ];
    for (change, says) in cases {
        let t = prepared(&["int8"]);
        patch(&t, "int8", change);
        let run = t.isogloss(["translate", "-m", "int8", "dev.jsonl"]).run();
        run.code(4).says("--> int8");
        says.iter().for_each(|text| {
            run.says(text);
        });
        assert_eq!(run.stdout(), "");
    }
    let marked = |marker: Value| {
        let t = prepared(&["int8"]);
        let mut config: Value = serde_json::from_str(&t.read("int8/config.json")).unwrap();
        config["isogloss_quantization"] = marker;
        t.write("int8/config.json", config.to_string());
        t
    };
    let t = marked(json!({"format": "int4"}));
    t.isogloss(["translate", "-m", "int8", "dev.jsonl"])
        .run()
        .code(4)
        .says("does not know")
        .says("`int4`")
        .says("isogloss_quantization");
    let t = prepared(&["int8"]);
    let mut config: Value = serde_json::from_str(&t.read("int8/config.json")).unwrap();
    config.as_object_mut().unwrap().remove("isogloss_quantization");
    t.write("int8/config.json", config.to_string());
    // Without the mark the integers are nobody's weights, under the published name least of all.
    let translate = ["translate", "-m", "int8", "dev.jsonl"];
    t.isogloss(translate).run().code(4).says("model has no weights");
    std::fs::rename(t.path("int8/model.int8.safetensors"), t.path("int8/model.safetensors"))
        .unwrap();
    t.isogloss(translate).run().code(4).says("unused tensors");
    let t = prepared(&["int8"]);
    std::fs::rename(t.path("int8/model.int8.safetensors"), t.path("int8/model.safetensors"))
        .unwrap();
    t.isogloss(translate).run().code(4).says("model.int8.safetensors");
}

#[test]
fn other_commands_refuse_what_they_cannot_do() {
    let t = prepared(&["model", "int8"]);
    let train = ["train", "--train", "train.jsonl", "-o", "run", "-m"];
    let int8 = ["int8", "--max-steps", "1"];
    t.isogloss(train).args(int8).run().code(4).says("only translates").says("exported from");
    for (args, code, says) in [
        (vec!["profile-neurons", "-m", "int8", "-o", "s", "dev.jsonl"], 4, "only translates"),
        (vec!["export", "-m", "int8", "--dtype", "f32", "-o", "x"], 4, "only translates"),
        (
            vec!["init", "--from", "int8", "--new-language", "ee=bb", "-o", "x"],
            4,
            "only translates",
        ),
        (
            vec!["train", "-m", "model", "--train", "train.jsonl", "--dtype", "int8", "-o", "x"],
            2,
            "does not compute in `int8`",
        ),
        (
            vec!["translate", "-m", "model", "--dtype", "f16", "dev.jsonl"],
            2,
            "`f32`, `bf16`, `int8` in this command",
        ),
        (vec!["translate", "-m", "model", "--dtype", "int4", "dev.jsonl"], 2, "int4"),
        (vec!["export", "-m", "model", "-o", "x"], 2, "--dtype int8"),
        (vec!["export", "-m", "model", "--dtype", "int8", "-o", "int8"], 5, "exists already"),
        (
            vec!["export", "-m", "model", "--dtype", "int8", "--masks", "m", "-o", "x"],
            2,
            "without a direction",
        ),
    ] {
        t.isogloss(&args).run().code(code).says(says);
    }
    // Set for a pipeline, it is no wish to write another format.
    let run = t.isogloss(["export", "-m", "model", "-o", "x"]).env("ISOGLOSS_DTYPE", "int8").run();
    run.code(2).says("nothing is asked");
    assert!(!t.exists("x"));
}

#[test]
fn a_weight_that_a_format_does_not_hold_is_named() {
    let t = prepared(&["f32"]);
    patch(&t, "f32", |h, d| {
        let at = h[FC1]["data_offsets"][0].as_u64().unwrap() as usize;
        d[at..at + 4].copy_from_slice(&1e6f32.to_le_bytes());
    });
    let export = |dtype: &str| {
        t.isogloss(["export", "-q", "-m", "f32", "--dtype", dtype, "-o", dtype]).run()
    };
    export("f16").code(4).says("cannot be stored in f16").says(FC1).says("1000000");
    assert!(!t.exists("f16"));
    export("bf16").ok();
    patch(&t, "f32", |h, d| {
        let at = h[FC1]["data_offsets"][0].as_u64().unwrap() as usize;
        d[at..at + 4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    export("int8").code(4).says("cannot be stored in int8").says(FC1);
}

/// Settings of a search that is not done are named, and other programs' weights stay where they are.
#[test]
fn what_a_directory_holds_beside_its_model() {
    let t = prepared(&["model"]);
    t.write("model/generation_config.json", r#"{"repetition_penalty": 1.5, "num_beams": 5}"#);
    let translate = ["translate", "-m", "model", "--max-new-tokens", "4", "dev.jsonl"];
    t.isogloss(translate).run().ok().says("found: repetition_penalty");
    for name in ["rust_model.ot", "model.onnx", "training.pth"] {
        t.write(&format!("model/{name}"), "x");
    }
    t.write("model/notes.txt", "kept");
    t.isogloss(["export", "-q", "-m", "model", "--dtype", "bf16", "-o", "out"]).run().ok();
    let files = t.files();
    let beside: Vec<&String> = files.iter().filter(|f| f.starts_with("out/")).collect();
    assert!(beside.iter().any(|f| f.ends_with("notes.txt")), "{beside:?}");
    let weights = [".ot", ".onnx", ".pth"];
    assert!(!beside.iter().any(|f| weights.iter().any(|w| f.ends_with(w))), "{beside:?}");
}
