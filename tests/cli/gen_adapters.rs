//! `gen-adapters`: plain adapters from a hyper-network, the same function without it, and what it
//! tells of them and of the languages' vectors. Bad input is in `adapters_bad`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::adapters::{
    DEV, HYPER, gen_adapters, last, prepared, tensors, texts, train, translate, tree,
};
use crate::lora::words;

/// Vectors by table, and the adapters that stand for the network: as many as its inputs tell apart.
#[test]
fn structures_of_hyper_networks() {
    let t = prepared();
    for (i, (flags, rows, names)) in [
        ("--hyper-inputs source,layer/target,layer", "layer 4 source 3 target 3", "aa bb cc"),
        ("--tie-languages", "language 3 layer 4", "aa-bb aa-cc bb-aa bb-cc cc-aa cc-bb"),
        ("--shared-layer-ids --hyper-inputs target,layer", "layer 2 target 3", "aa bb cc"),
        ("--hyper-inputs layer --adapter-position attention,layer", "layer 8", "default"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("run{i}");
        let more = format!("{HYPER} --grad-accum 8 --max-steps 2 --hyper-output-norm {flags}");
        train(&t, &out, &more).run().ok();
        let dir = last(&t, &out);
        let mut tables: BTreeMap<String, usize> = BTreeMap::new();
        for name in tensors(&t, &format!("{dir}/hypernet.safetensors")).keys() {
            if let Some(key) = name.strip_prefix("embedding.") {
                *tables.entry(key.split_once('.').unwrap().0.to_string()).or_default() += 1;
            }
        }
        let found: Vec<String> = tables.iter().map(|(table, n)| format!("{table} {n}")).collect();
        assert_eq!(found.join(" "), rows, "{flags}");
        let bank = format!("bank{i}");
        let records = gen_adapters(&t, &format!("{out} -o {bank}"));
        let found: BTreeSet<&str> = records.iter().map(|r| r["name"].as_str().unwrap()).collect();
        assert_eq!(found, words(names).into_iter().collect(), "{flags}");
        let own = translate(&t, &format!("--adapters {out} {DEV}"));
        assert_eq!(
            texts(translate(&t, &format!("--adapters {bank} {DEV}"))),
            texts(own),
            "{flags}"
        );
    }
}

/// Written out, adapters translate as the hyper-network does, to the last digit of every score; and
/// they are the same bytes whenever they are made.
#[test]
fn exported_adapters_translate_as_the_hyper_network() {
    let t = prepared();
    let bare = translate(&t, DEV);
    for run in ["hyper", "x"] {
        let own = translate(&t, &format!("--adapters {run} {DEV}"));
        assert!(own.iter().zip(&bare).all(|(a, b)| a["score"] != b["score"]), "{run}");
        let line = "--src-lang cc --tgt-lang ee lines.txt --as ee=0.7*bb+0.3*aa";
        let mixed = translate(&t, &format!("--adapters {run} {line}"));
        for layout in ["bank", "adapterhub"] {
            let make = |out: &str| gen_adapters(&t, &format!("{run} --layout {layout} -o {out}"));
            let (one, two) = (format!("{run}-{layout}"), format!("{run}-{layout}-again"));
            assert_eq!(make(&one), make(&two));
            assert!(tree(&t, &one) == tree(&t, &two), "{run}: not the same bytes");
            assert_eq!(
                texts(translate(&t, &format!("--adapters {one} {DEV}"))),
                texts(own.clone())
            );
            let out = format!("{run}-{layout}-ee");
            let more = format!("--as ee=0.7*bb+0.3*aa --direction cc-ee --layout {layout}");
            gen_adapters(&t, &format!("-m model {run} {more} -o {out}"));
            let line = "--src-lang cc --tgt-lang ee lines.txt";
            let found = translate(&t, &format!("--adapters {out} {line}"));
            assert_eq!(texts(found), texts(mixed.clone()), "{run}: {layout}");
        }
    }
    // A mean is a mixture of equal parts, another mixture is something else.
    let line = "--adapters hyper --src-lang cc --tgt-lang ee lines.txt --as";
    let mean = translate(&t, &format!("{line} ee=mean(aa,bb)"));
    assert_eq!(translate(&t, &format!("{line} ee=0.5*aa+0.5*bb")), mean);
    assert_ne!(translate(&t, &format!("{line} ee=0.4*aa+0.6*bb")), mean);
    // `ee=bb` is `bb`, but for the mark of the language.
    gen_adapters(&t, "hyper --as ee=bb --direction cc-ee -o one");
    gen_adapters(&t, "hyper --direction cc-bb -o two");
    let values = |dir: &str| -> Vec<_> {
        tensors(&t, &format!("{dir}/adapters.safetensors")).into_values().collect()
    };
    assert_eq!(values("one"), values("two"));
}

#[test]
fn records_and_text_of_gen_adapters() {
    let t = prepared();
    let records = gen_adapters(&t, "hyper --languages aa,bb -o bank");
    let bank = tensors(&t, "bank/adapters.safetensors");
    let modules = ["encoder.layers.0", "encoder.layers.1", "decoder.layers.0", "decoder.layers.1"];
    assert_eq!(records.len(), 2 * modules.len());
    for (r, (pair, module)) in records
        .iter()
        .zip(["aa-bb", "bb-aa"].iter().flat_map(|p| modules.iter().map(move |m| (p, m))))
    {
        let of = |part: &str| &bank[&format!("{pair}.{module}.layer.{part}")].1;
        let norm = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let mut bytes = Sha256::new();
        for part in ["down.weight", "down.bias", "up.weight", "up.bias"] {
            of(part).iter().for_each(|v| bytes.update(v.to_le_bytes()));
        }
        let sha256: String = bytes.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let (src, tgt) = pair.split_once('-').unwrap();
        let (side, layer) = module.split_once(".layers.").unwrap();
        for (key, value) in [
            ("type", json!("adapter")),
            ("name", json!(pair)),
            ("src_lang", json!(src)),
            ("tgt_lang", json!(tgt)),
            ("module", json!(format!("{module}.layer"))),
            ("side", json!(side)),
            ("layer", json!(layer.parse::<u64>().unwrap())),
            ("bottleneck", json!(4)),
            ("params", json!(2 * 64 * 4 + 4 + 64)),
            ("path", json!("adapters.safetensors")),
            ("sha256", json!(sha256)),
        ] {
            assert_eq!(r[key], value, "{key} of {r}");
        }
        for (key, part) in [("norm_down", "down.weight"), ("norm_up", "up.weight")] {
            assert!((r[key].as_f64().unwrap() - norm(of(part))).abs() < 1e-5, "{r}");
        }
    }
    // By language: what the encoder uses for a source and the decoder for a target.
    let records = gen_adapters(&t, "x --languages aa,dd --layout adapterhub -o hub");
    assert_eq!(records[0]["path"], "aa/adapter.safetensors");
    let names: BTreeSet<&str> = records.iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["aa", "dd"].into(), "`dd` was in denoising alone");
    assert!(t.exists("hub/dd/adapter_config.json") && !t.exists("hub/adapters.safetensors"));

    let text = |more: &str| {
        let run = t.isogloss(["gen-adapters", "-q", "-f", "text"]).args(words(more)).run();
        run.ok().stdout()
    };
    let lines = "aa-bb: 4 sites, 2320 values\ncc-aa: 4 sites, 2320 values\n";
    assert_eq!(text("hyper --direction cc-aa --direction aa-bb -o some"), lines);
    let before = t.files();
    let plan = text("hyper -o new --embeddings vectors --dry-run");
    let dir = last(&t, "hyper");
    assert_eq!(
        plan,
        format!(
            "reads: {dir}\nwrites: new (6 adapters, 13920 values, 0 MiB)\n\
             writes: vectors (vectors of languages)\n"
        )
    );
    assert_eq!(t.files(), before);
}

#[test]
fn vectors_of_languages_and_their_figures() {
    let t = prepared();
    let args =
        "gen-adapters -q hyper --as ee=0.5*aa+0.5*bb --embeddings vectors --groups groups.tsv";
    t.isogloss(words(args)).run().ok();
    let files: Vec<String> = tree(&t, "vectors").into_keys().collect();
    let figures = ["similarity-source", "similarity-target", "vectors-source", "vectors-target"];
    let expected = ["languages.jsonl".to_string()].into_iter();
    assert_eq!(files, expected.chain(figures.map(|f| format!("{f}.svg"))).collect::<Vec<_>>());
    for figure in figures {
        let svg = t.read(&format!("vectors/{figure}.svg"));
        assert!(
            svg.starts_with("<svg") && ["aa", "bb", "cc", "ee"].iter().all(|l| svg.contains(l))
        );
    }
    let network = tensors(&t, &format!("{}/hypernet.safetensors", last(&t, "hyper")));
    let text = t.read("vectors/languages.jsonl");
    let records: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    for role in ["source", "target"] {
        let row = |l: &str| -> Vec<f64> {
            let v = &network[&format!("embedding.{role}.{l}")].1;
            v.iter().map(|v| f64::from(*v)).collect()
        };
        let [a, b, c] = ["aa", "bb", "cc"].map(row);
        let mixed: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a + b) / 2.0).collect();
        let own = BTreeMap::from([("aa", a), ("bb", b), ("cc", c), ("ee", mixed)]);
        let dot = |a: &str, b: &str| own[a].iter().zip(&own[b]).map(|(x, y)| x * y).sum::<f64>();
        let of = |kind: &str| -> Vec<&Value> {
            records.iter().filter(|r| r["type"] == kind && r["role"] == role).collect()
        };
        let vectors = of("language_vector");
        assert_eq!(vectors.len(), 4);
        for r in vectors {
            let lang = r["lang"].as_str().unwrap();
            let found = r["vector"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap());
            assert!(found.zip(&own[lang]).all(|(x, y)| (x - y).abs() < 1e-5), "{r}");
            assert!((r["norm"].as_f64().unwrap() - dot(lang, lang).sqrt()).abs() < 1e-5);
            let group = match lang {
                "aa" => json!("x"),
                "ee" => Value::Null,
                _ => json!("y"),
            };
            assert_eq!((&r["group"], &r["trained"]), (&group, &json!(true)));
        }
        let similarity = of("language_similarity");
        assert_eq!(similarity.len(), 6, "each pair once");
        for r in similarity {
            let (a, b) = (r["lang_a"].as_str().unwrap(), r["lang_b"].as_str().unwrap());
            let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
            assert!((r["cosine_frac"].as_f64().unwrap() - cosine).abs() < 1e-5, "{r}");
        }
        assert_eq!(of("embedding_projection")[0]["num_languages"], 4);
    }
}
