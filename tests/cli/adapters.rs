//! `train --method adapters`, `hyper-adapters` and `hyper-x`, and `translate --adapters`: from a base
//! model to adapters, stored or generated, by language and by task. What `gen-adapters` makes of them
//! is in `gen_adapters`, bad input in `adapters_bad`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::lora::{copy, header, words};
use crate::support::{Invocation, Sandbox};
use crate::train::corpus_from;

/// Flags of small methods on the parallel text.
pub const STORED: &str = "--train train.jsonl --method adapters --adapter-bottleneck 4";
pub const HYPER: &str = "--train train.jsonl --method hyper-adapters --adapter-bottleneck 4 \
     --hyper-hidden 8 --embedding-dim 6";
pub const X: &str = "--train train.jsonl --method hyper-x --adapter-bottleneck 4 \
     --hyper-hidden 8 --hyper-projection 8 --embedding-dim 6";
/// Tasks beside translation: `dd` has nothing else.
const TASKS: &str = "--denoise dd.jsonl --tag tags.jsonl";

/// Text in one direction, `aa` to `lang`.
fn pairs(first: usize, n: usize, lang: &str) -> String {
    let with = |line: &str| {
        let mut r: Value = serde_json::from_str(line).unwrap();
        r["tgt_lang"] = lang.into();
        format!("{r}\n")
    };
    corpus_from(first, n).lines().map(with).collect()
}

/// `O` and `E` for odd and even digits; every third sentence in `bb`.
fn tagged(first: usize, n: usize) -> String {
    let tag = |w: &str| if ["nul", "dos", "kat", "ses", "ok"].contains(&w) { "E" } else { "O" };
    let one = |(i, line): (usize, &str)| {
        let r: Value = serde_json::from_str(line).unwrap();
        let tokens: Vec<&str> = words(r["src"].as_str().unwrap());
        let tags: Vec<&str> = tokens.iter().map(|w| tag(w)).collect();
        let lang = if i % 3 == 2 { "bb" } else { "aa" };
        format!("{}\n", json!({"lang": lang, "tokens": tokens, "tags": tags}))
    };
    corpus_from(first, n).lines().enumerate().map(one).collect()
}

/// A directory with text, a model that has learnt a little, and a run of each method, made once.
/// The model knows five languages: `aa`, `bb` and `cc` have parallel text, `dd` has text of its
/// own, and `ee` comes later.
fn base() -> PathBuf {
    static BASE: OnceLock<Sandbox> = OnceLock::new();
    let t = BASE.get_or_init(|| {
        let t = Sandbox::new();
        t.write("train.jsonl", corpus_from(0, 60));
        t.write("dev.jsonl", corpus_from(500, 6));
        t.write("ee.jsonl", pairs(100, 16, "ee"));
        let text = |line: &str| {
            let r: Value = serde_json::from_str(line).unwrap();
            format!("{}\n", json!({"lang": "dd", "text": r["src"]}))
        };
        t.write("dd.jsonl", corpus_from(200, 20).lines().map(text).collect::<String>());
        t.write("tags.jsonl", tagged(300, 20));
        t.write("lines.txt", "uno dos tri\nkat kin\nses nul ok nau\n");
        t.write("groups.tsv", "lang\tfamily\naa\tx\nbb\ty\ncc\ty\n");
        t.write("langs.jsonl", pairs(0, 1, "dd") + &pairs(0, 1, "ee"));
        let init = "init -q -o raw --vocab-size 60 --preset tiny train.jsonl langs.jsonl";
        t.isogloss(words(init)).run().ok();
        let full = "train -q -m raw --train train.jsonl --batch-tokens 128 --warmup-steps 4 \
            --lr-schedule constant --lr 5e-3 --dropout 0 --max-steps 20 -o full";
        t.isogloss(words(full)).run().ok();
        copy(&t.path("full/checkpoints/step-00000020"), &t.path("model"));
        for name in ["optimizer.safetensors", "state.json"] {
            std::fs::remove_file(t.path("model").join(name)).unwrap();
        }
        for name in ["raw", "full"] {
            std::fs::remove_dir_all(t.path(name)).unwrap();
        }
        train(&t, "stored", &format!("{STORED} --max-steps 4")).run().ok();
        train(&t, "hyper", &format!("{HYPER} --grad-accum 4 --max-steps 4")).run().ok();
        let x = format!("{X} {TASKS} --train-base none --grad-accum 8 --max-steps 4");
        train(&t, "x", &x).run().ok();
        for run in ["hyper", "x"] {
            let rows = hypernet(&t, &last(&t, run))["rows"].clone();
            let trained = |r: &Value| r["updates"].as_u64() > Some(0);
            assert!(rows.as_object().unwrap().values().all(trained), "{run}: {rows}");
        }
        t
    });
    t.dir().to_path_buf()
}

/// A fresh directory with the same files.
pub fn prepared() -> Sandbox {
    let t = Sandbox::new();
    copy(&base(), t.dir());
    t
}

/// `train` in small batches; of a flag given twice the last counts.
pub fn train(t: &Sandbox, out: &str, more: &str) -> Invocation {
    let line = "train -q -m model --batch-tokens 64 --warmup-steps 1 --log-every 1 --lr 0.03 \
        --temperature 5 -o";
    t.isogloss(words(line)).arg(out).args(words(more))
}

/// The last checkpoint of a run.
pub fn last(t: &Sandbox, run: &str) -> String {
    format!("{run}/checkpoints/{}", t.read(&format!("{run}/latest")).trim())
}

fn json_of(t: &Sandbox, name: &str) -> Value {
    serde_json::from_str(&t.read(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn hypernet(t: &Sandbox, dir: &str) -> Value {
    json_of(t, &format!("{dir}/hypernet.json"))
}

/// Shape and values of each tensor.
pub type Tensors = BTreeMap<String, (Vec<u64>, Vec<f32>)>;

pub fn tensors(t: &Sandbox, name: &str) -> Tensors {
    let bytes = std::fs::read(t.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (head, data) = header(&bytes);
    let mut out = Tensors::new();
    for (tensor, of) in head.as_object().unwrap() {
        if tensor != "__metadata__" {
            let shape = of["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap());
            let at = |i: usize| data + of["data_offsets"][i].as_u64().unwrap() as usize;
            let values = bytes[at(0)..at(1)].chunks_exact(4);
            let values = values.map(|v| f32::from_le_bytes(v.try_into().unwrap())).collect();
            out.insert(tensor.clone(), (shape.collect(), values));
        }
    }
    out
}

fn num_values(tensors: &Tensors) -> usize {
    tensors.values().map(|(_, v)| v.len()).sum()
}

/// Names and bytes of the files below a directory.
pub fn tree(t: &Sandbox, dir: &str) -> BTreeMap<String, Vec<u8>> {
    let prefix = format!("{dir}/");
    let names: Vec<String> = t.files().into_iter().filter(|f| f.starts_with(&prefix)).collect();
    assert!(!names.is_empty(), "nothing in {dir}");
    let bytes = |f: &String| std::fs::read(t.path(f)).unwrap();
    names.iter().map(|f| (f[prefix.len()..].to_string(), bytes(f))).collect()
}

/// Records of translations; scores have all their digits.
pub fn translate(t: &Sandbox, more: &str) -> Vec<Value> {
    let line = "translate -q -m model --beam-size 2 --max-new-tokens 8 -f jsonl";
    let run = t.isogloss(words(line)).args(words(more)).run();
    run.ok();
    run.records()
}

pub const DEV: &str = "--both-directions dev.jsonl";

/// Everything but the names of the adapters, which a hyper-network does not use.
pub fn texts(mut records: Vec<Value>) -> Vec<Value> {
    records.iter_mut().for_each(|r| drop(r.as_object_mut().unwrap().remove("adapters")));
    records
}

pub fn gen_adapters(t: &Sandbox, more: &str) -> Vec<Value> {
    let run = t.isogloss(["gen-adapters", "-q", "-f", "jsonl"]).args(words(more)).run();
    run.ok();
    run.records()
}

/// Tensors that differ, or are in one alone.
fn changed(a: &Tensors, b: &Tensors) -> BTreeSet<String> {
    a.keys().chain(b.keys()).filter(|k| a.get(*k) != b.get(*k)).cloned().collect()
}

/// An adapter for everyone whose turn it is, at every place asked for, of the shapes asked for; and
/// the model stays as it is.
#[test]
fn stored_adapters_by_index_position_and_norm() {
    let t = prepared();
    let model = tree(&t, "model");
    let bare = translate(&t, DEV);
    let languages = ["aa", "bb", "cc"];
    let directions = ["aa-bb", "aa-cc", "bb-aa", "cc-aa"];
    // Flags; whose adapters the layers of encoder and decoder use; places of both sides; a norm.
    type Users<'a> = [&'a [&'a str]; 4];
    let all = ["attention", "feed-forward", "layer"];
    type Case<'a> = (&'a str, Users<'a>, &'a [&'a str], &'a [&'a str], bool);
    let cases: [Case<'_>; 6] = [
        ("", [&languages; 4], &["layer"], &["layer"], true),
        (
            "--adapter-index direction --adapter-position attention --adapter-norm none",
            [&directions; 4],
            &["attention"],
            &["attention"],
            false,
        ),
        (
            "--adapter-index target --adapter-position feed-forward --adapter-norm after",
            [&languages; 4],
            &["feed-forward"],
            &["feed-forward"],
            true,
        ),
        (
            "--adapter-index shared --adapter-position cross-attention --adapter-affine none",
            [&["default"]; 4],
            &[],
            &["cross-attention"],
            false,
        ),
        (
            "--adapter-groups groups.tsv --adapter-share family --adapter-norm after \
             --adapter-position attention,cross-attention,feed-forward,layer",
            [&["x", "y"]; 4],
            &all,
            &["attention", "cross-attention", "feed-forward", "layer"],
            true,
        ),
        (
            "--adapter-index source*1,shared*1/shared --adapter-init xavier",
            [&languages, &["default"], &["default"], &["default"]],
            &["layer"],
            &["layer"],
            true,
        ),
    ];
    for (i, (flags, users, encoder, decoder, norm)) in cases.into_iter().enumerate() {
        let out = format!("run{i}");
        train(&t, &out, &format!("{STORED} --max-steps 2 {flags}")).run().ok();
        let mut expected = BTreeMap::new();
        for (side, places, layers) in
            [("encoder", encoder, &users[..2]), ("decoder", decoder, &users[2..])]
        {
            for (layer, names) in layers.iter().enumerate() {
                for (name, place) in names.iter().flat_map(|n| places.iter().map(move |p| (n, p))) {
                    let site = format!("{name}.{side}.layers.{layer}.{place}");
                    let mut part = |part: &str, shape: &[u64]| {
                        expected.insert(format!("{site}.{part}"), shape.to_vec());
                    };
                    part("down.weight", &[4, 64]);
                    part("down.bias", &[4]);
                    part("up.weight", &[64, 4]);
                    part("up.bias", &[64]);
                    if norm {
                        part("norm.weight", &[64]);
                        part("norm.bias", &[64]);
                    }
                }
            }
        }
        let dir = last(&t, &out);
        let found = tensors(&t, &format!("{dir}/adapters.safetensors"));
        let shapes: BTreeMap<String, Vec<u64>> =
            found.into_iter().map(|(n, (shape, _))| (n, shape)).collect();
        assert_eq!(shapes, expected, "{flags}");
        let files =
            ["adapters.json", "adapters.safetensors", "optimizer.safetensors", "state.json"];
        assert!(tree(&t, &dir).keys().eq(files), "{flags}: {:?}", tree(&t, &dir).keys());
        let own = translate(&t, &format!("--adapters {out} {DEV}"));
        assert!(own.iter().zip(&bare).any(|(a, b)| a["score"] != b["score"]), "{flags}");
        let names: BTreeSet<&str> = users.iter().flat_map(|u| u.iter().copied()).collect();
        for r in &own {
            let used = r["adapters"].as_array().unwrap();
            assert!(!used.is_empty() && used.iter().all(|n| names.contains(n.as_str().unwrap())));
        }
    }
    assert!(tree(&t, "model") == model, "the model is as it was");
}

/// Trained with the model, adapters lie beside it, and it runs with them by itself.
#[test]
fn a_model_that_was_trained_with_its_adapters() {
    let t = prepared();
    let old = tensors(&t, "model/model.safetensors");
    for (out, flags, file) in [
        ("all", format!("{STORED} --train-base all"), "adapters.json"),
        // Hyper-X trains layer norms unless it is told otherwise.
        ("norms", X.to_string(), "hypernet.json"),
    ] {
        train(&t, out, &format!("{flags} --max-steps 2")).run().ok();
        let dir = last(&t, out);
        let files = tree(&t, &dir);
        for name in ["config.json", "model.safetensors", "tokenizer.json", file] {
            assert!(files.contains_key(name), "{out}: no {name} in {:?}", files.keys());
        }
        let new = changed(&old, &tensors(&t, &format!("{dir}/model.safetensors")));
        let is_norm = |n: &&String| n.contains("layer_norm");
        if out == "norms" {
            let norms: BTreeSet<String> = old.keys().filter(is_norm).cloned().collect();
            assert_eq!(new, norms, "layer norms, and nothing else");
        } else {
            assert!(new.contains("model.encoder.layers.0.fc1.weight") && new.len() > norms(&old));
        }
        let own = translate(&t, &format!("-m {out} {DEV}"));
        let without = translate(&t, &format!("-m {out} --no-adapters {DEV}"));
        assert!(own.iter().all(|r| r["adapters"].is_array()));
        assert!(without.iter().all(|r| r["adapters"].is_null()));
        assert!(own.iter().zip(&without).any(|(a, b)| a["score"] != b["score"]), "{out}");
        assert_eq!(translate(&t, &format!("-m {dir} --adapters {out} {DEV}")), own, "by name");
        if out == "norms" {
            gen_adapters(&t, "norms -o bank");
            let bank = translate(&t, &format!("-m norms --adapters bank {DEV}"));
            assert_eq!(texts(bank), texts(own));
        }
    }
}

fn norms(tensors: &Tensors) -> usize {
    tensors.keys().filter(|n| n.contains("layer_norm")).count()
}

#[test]
fn resume_is_exact() {
    let t = prepared();
    let stored = "--adapter-position attention,layer --train-base layer-norms";
    for (name, flags, file) in [
        ("stored", format!("{STORED} {stored}"), "adapters.safetensors"),
        ("hyper", format!("{HYPER} --hyper-dropout 0.2"), "hypernet.json"),
        ("x", format!("{X} {TASKS}"), "tag_head.safetensors"),
    ] {
        let go = |out: &str, steps: u64| {
            let more = format!("{flags} --grad-accum 2 --save-every 2 --max-steps {steps}");
            train(&t, out, &more).run().ok();
        };
        let (whole, parts) = (format!("{name}-whole"), format!("{name}-parts"));
        go(&whole, 4);
        go(&parts, 2);
        go(&parts, 4);
        let of = |run: &str| {
            let mut files = tree(&t, &format!("{run}/checkpoints/step-00000004"));
            assert!(files.remove("state.json").is_some()); // holds seconds
            files
        };
        let (whole, parts) = (of(&whole), of(&parts));
        assert!(whole.contains_key(file) && whole.contains_key("optimizer.safetensors"), "{name}");
        assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>());
        for (file, bytes) in &whole {
            assert!(bytes == &parts[file], "{name}: {file} differs");
        }
    }
}

#[test]
fn averages_and_beginning_from_a_run() {
    let t = prepared();
    for (run, flags, file) in
        [("stored", STORED, "adapters.safetensors"), ("hyper", HYPER, "hypernet.safetensors")]
    {
        let mean = format!("{run}-mean");
        train(
            &t,
            &mean,
            &format!("{flags} --grad-accum 4 --save-every 2 --max-steps 4 --average 2"),
        )
        .run()
        .ok();
        let of = |name: &str| tensors(&t, &format!("{mean}/checkpoints/{name}/{file}"));
        let (a, b, found) = (of("step-00000002"), of("step-00000004"), of("average"));
        assert!(a.keys().eq(found.keys()) && a != b, "{run}");
        for (name, (_, values)) in &found {
            let both = a[name].1.iter().zip(&b[name].1);
            for (x, (a, b)) in values.iter().zip(both) {
                assert!((x - (a + b) / 2.0).abs() <= 1e-6 * (a.abs() + b.abs()), "{run}: {name}");
            }
        }
        translate(&t, &format!("--adapters {mean}/checkpoints/average {DEV}"));

        // A step that goes nowhere leaves what was there at its beginning.
        let still = format!("{flags} --lr 1e-12 --max-steps 1");
        let first = |out: &str, more: &str| {
            train(&t, out, &format!("{still} {more}")).run().ok();
            tensors(&t, &format!("{}/{file}", last(&t, out)))
        };
        let source = tensors(&t, &format!("{}/{file}", last(&t, run)));
        let taken = first(&format!("{run}-taken"), &format!("--init-from {run}"));
        let fresh = first(&format!("{run}-fresh"), "");
        let near = |a: &Tensors, b: &Tensors| {
            a.keys().eq(b.keys())
                && a.iter()
                    .all(|(n, (_, v))| v.iter().zip(&b[n].1).all(|(x, y)| (x - y).abs() < 1e-9))
        };
        assert!(near(&taken, &source) && !near(&fresh, &source), "{run}");
    }
    // What there is of it.
    let wider = format!("{STORED} --adapter-position feed-forward,layer --max-steps 1");
    let run = train(&t, "wider", &format!("{wider} --init-from stored")).run();
    run.ok().says("72 of 144 tensors taken over");
}

/// Parameters and hidden size that a dry run tells.
fn planned(t: &Sandbox, flags: &str) -> (usize, usize) {
    let run = train(t, "never", &format!("{flags} --max-steps 1 --dry-run")).run();
    let text = run.ok().stdout();
    let line =
        text.lines().find(|l| l.contains(" parameters (") && !l.starts_with("model")).unwrap();
    let number = |after: &str| -> Option<usize> {
        let digits = line.split_once(after)?.1;
        digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    assert!(!t.exists("never"));
    (number(": ").unwrap(), number(", hidden ").unwrap_or(0))
}

#[test]
fn sizes_follow_a_budget() {
    let t = prepared();
    // Two layers of either side for three sources and three targets; a norm is two times 64.
    let stored = 4 * 3 * (2 * 64 * 4 + 4 + 64 + 2 * 64);
    assert_eq!(planned(&t, STORED).0, stored);
    let adapters = "--train train.jsonl --method hyper-adapters --adapter-bottleneck 4";
    let x = "--train train.jsonl --method hyper-x --adapter-bottleneck 4 --hyper-projection 8";
    for (flags, budget, most) in [
        (format!("{adapters} --embedding-dim 6"), "1/2", stored / 2),
        (format!("{adapters} --embedding-dim 6 --tie-languages"), "50%", stored / 2),
        (format!("{adapters} --hyper-blocks 0 --adapter-affine generated"), "6000", 6000),
        (
            format!("{adapters} --embedding-dim 6 --adapter-position attention,layer"),
            "1/6",
            stored / 3,
        ),
        (format!("{x} --embedding-dim 6 --adapter-norm before"), "75.5%", stored * 151 / 200),
    ] {
        let (params, hidden) = planned(&t, &format!("{flags} --match-params {budget}"));
        assert!(params <= most && hidden > 1, "{flags}: {params} of {most}");
        let with = |hidden: usize| planned(&t, &format!("{flags} --hyper-hidden {hidden}"));
        assert_eq!(with(hidden), (params, hidden), "{flags}");
        assert!(with(hidden + 1).0 > most, "{flags}: one more unit fits");
    }
    for (size, hidden) in [("small", 102), ("base", 204), ("large", 612)] {
        assert_eq!(planned(&t, &format!("{adapters} --hyper-size {size}")).1, hidden);
    }
    for (size, hidden) in [("small", 32), ("base", 192)] {
        assert_eq!(planned(&t, &format!("{x} --hyper-size {size}")).1, hidden);
    }
    // What is told is what is written.
    let file = format!("{}/hypernet.safetensors", last(&t, "hyper"));
    assert_eq!(planned(&t, HYPER), (num_values(&tensors(&t, &file)), 8));
}

/// Of all there is, the vectors of the new language alone are new.
#[test]
fn a_new_language_learns_its_vectors_alone() {
    let t = prepared();
    for (run, flags, keys, line) in [
        (
            "hyper",
            "--method hyper-adapters --train ee.jsonl --new-language ee=0.5*aa+0.5*bb",
            &["source.ee", "target.ee"][..],
            "--src-lang aa --tgt-lang ee",
        ),
        (
            // From text of its own, without a single pair.
            "x",
            "--method hyper-x --denoise ee-text.jsonl --denoise-lang ee --new-language ee=bb",
            &["language.ee"],
            "--src-lang ee --tgt-lang cc",
        ),
    ] {
        let text = t.read("dd.jsonl").replace("\"lang\":\"dd\",", "");
        t.write("ee-text.jsonl", text);
        let go = |out: &str, steps: u64| {
            let more = format!("{flags} --init-from {run} --max-steps {steps} --save-every 2");
            train(&t, out, &more).run().ok();
        };
        let (whole, parts) = (format!("{run}-ee"), format!("{run}-ee-parts"));
        go(&whole, 4);
        let (old_dir, dir) = (last(&t, run), last(&t, &whole));
        let file = |dir: &str| tensors(&t, &format!("{dir}/hypernet.safetensors"));
        let (old, new) = (file(&old_dir), file(&dir));
        let names: BTreeSet<String> = keys.iter().map(|k| format!("embedding.{k}")).collect();
        assert_eq!(changed(&old, &new), names, "{run}");
        let rows = hypernet(&t, &dir)["rows"].clone();
        for key in keys {
            let (table, _) = key.split_once('.').unwrap();
            let row = |l: &str| &old[&format!("embedding.{table}.{l}")].1;
            let first: Vec<f32> = match run {
                "hyper" => row("aa").iter().zip(row("bb")).map(|(a, b)| (a + b) / 2.0).collect(),
                _ => row("bb").clone(),
            };
            let learnt = &new[&format!("embedding.{key}")].1;
            let steps: Vec<f32> = learnt.iter().zip(&first).map(|(a, b)| (a - b).abs()).collect();
            assert!(steps.iter().all(|s| *s < 0.2) && steps.iter().any(|s| *s > 1e-3), "{steps:?}");
            assert!(rows[*key]["updates"].as_u64() > Some(0), "{rows}");
        }
        assert!(!t.exists(&format!("{dir}/model.safetensors")), "the model is frozen");
        let own = translate(&t, &format!("--adapters {whole} {line} lines.txt"));
        assert_ne!(own, translate(&t, &format!("{line} lines.txt")));
        // What was there before is as it was.
        let known = "--src-lang aa --tgt-lang bb lines.txt";
        assert_eq!(
            translate(&t, &format!("--adapters {whole} {known}")),
            translate(&t, &format!("--adapters {run} {known}"))
        );
        go(&parts, 2);
        go(&parts, 4);
        let files = ["hypernet.json", "hypernet.safetensors", "optimizer.safetensors"];
        for name in files {
            let bytes = |dir: &str| std::fs::read(t.path(dir).join(name)).unwrap();
            assert!(bytes(&dir) == bytes(&last(&t, &parts)), "{run}: {name}");
        }
    }
}

/// Tasks have lines of their own in the log, and a language of one task gets adapters for others.
#[test]
fn tasks_in_a_mixture() {
    let t = prepared();
    let valid = "--valid dev.jsonl --valid-denoise dd.jsonl --valid-tag tags.jsonl";
    let more = format!("{X} {TASKS} {valid} --train-base none --grad-accum 8 --max-steps 4");
    train(&t, "mixed", &format!("{more} --log-pairs --tag-languages aa")).run().ok();
    let log: Vec<Value> =
        t.read("mixed/log.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let valid: BTreeMap<&str, &Value> = log
        .iter()
        .filter(|r| r["type"] == "valid")
        .filter_map(|r| Some((r["group"].as_str().or(r["lang_pair"].as_str())?, r)))
        .collect();
    let expected = "aa-bb aa-cc all bb-aa cc-aa denoise:dd denoising tag:aa tag:bb tagging";
    assert_eq!(valid.keys().copied().collect::<Vec<_>>(), words(expected));
    for (group, r) in valid {
        let is_tag = group.starts_with("tag");
        let accuracy = r["accuracy"].as_f64();
        assert_eq!(accuracy.is_some(), is_tag, "{r}");
        assert!(accuracy.is_none_or(|a| (0.0..=100.0).contains(&a)), "{r}");
    }
    let seen: BTreeSet<&String> =
        log.iter().filter_map(|r| r["by_pair"].as_object()).flat_map(|m| m.keys()).collect();
    let expected = "aa-bb aa-cc bb-aa cc-aa denoise:dd tag:aa";
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), words(expected), "`tag:bb` is held out");
    let dir = last(&t, "mixed");
    let rows = hypernet(&t, &dir)["rows"].clone();
    for key in ["task.translation", "task.denoising", "task.tagging", "language.dd"] {
        assert!(rows[key]["updates"].as_u64() > Some(0), "{key}: {rows}");
    }
    let head = tensors(&t, &format!("{dir}/tag_head.safetensors"));
    assert!(head.values().any(|(shape, _)| *shape == [2, 64]), "{:?}", head.keys());
    let found = translate(&t, "--adapters mixed --src-lang dd --tgt-lang aa lines.txt");
    assert_eq!(found[0]["adapters"], json!(["aa", "dd"]));
}

/// Masks of neurons and adapters together are the function that was trained.
#[test]
fn adapters_on_top_of_neuron_masks() {
    let t = prepared();
    t.isogloss(words("profile-neurons -q -m model -o stats.safetensors dev.jsonl")).run().ok();
    let build = "build-masks -q --k 60 -o masks.safetensors stats.safetensors";
    t.isogloss(words(build)).run().ok();
    for (out, flags) in [("stored-masked", STORED), ("hyper-masked", HYPER)] {
        let more = format!("{flags} --masks masks.safetensors --grad-accum 4 --max-steps 2");
        train(&t, out, &more).run().ok();
        assert!(t.exists(&format!("{}/neuron_masks.safetensors", last(&t, out))));
        let line = format!("--adapters {out} {DEV}");
        let masked = translate(&t, &format!("{line} --masks masks.safetensors"));
        let dense = translate(&t, &format!("{line} --no-masks"));
        assert!(masked.iter().zip(&dense).all(|(a, b)| a["score"] != b["score"]), "{out}");
        assert!(masked.iter().all(|r| r["mask"].is_string() && r["adapters"].is_array()));
    }
    let run = t.isogloss(words("gen-adapters hyper-masked -o bank")).run();
    run.ok().says("trained with neuron masks").says("--masks hyper-masked/checkpoints/");
    let masks = format!("--masks masks.safetensors {DEV}");
    assert_eq!(
        texts(translate(&t, &format!("--adapters bank {masks}"))),
        texts(translate(&t, &format!("--adapters hyper-masked {masks}")))
    );
}
