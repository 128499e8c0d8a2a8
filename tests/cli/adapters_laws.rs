//! What must hold of adapters whatever is trained: a sentence's translation does not depend on what is
//! translated with it, nothing that no update has touched is used in silence, and what is written can
//! be read.

use serde_json::{Value, json};

use crate::adapters::{
    DEV, HYPER, STORED, X, gen_adapters, last, prepared, tensors, train, translate,
};
use crate::lora::words;
use crate::support::Sandbox;

fn hypernet(t: &Sandbox, run: &str) -> Value {
    let name = format!("{}/hypernet.json", last(t, run));
    serde_json::from_str(&t.read(&name)).unwrap()
}

/// Records with their scores, which have all their digits.
fn scores(records: &[Value]) -> Vec<(String, String, f64)> {
    let text = |r: &Value, key: &str| r[key].as_str().unwrap().to_string();
    records
        .iter()
        .map(|r| (text(r, "tgt_lang"), text(r, "hyp"), r["score"].as_f64().unwrap()))
        .collect()
}

/// Directions in one input, in any order, give what each gives alone: with layers that depend on both
/// languages, on one, and on none.
#[test]
fn directions_in_one_input_do_not_disturb_each_other() {
    let t = prepared();
    let line = |src: &str, tgt: &str, text: &str| {
        format!("{}\n", json!({"src": text, "src_lang": src, "tgt_lang": tgt}))
    };
    // `dd` and `ee` have no vectors: the base model stands in for them.
    let directions = [("aa", "bb"), ("dd", "ee"), ("aa", "cc"), ("bb", "aa"), ("aa", "ee")];
    let cases = [
        ("both", format!("{HYPER} --grad-accum 4")),
        ("sides", format!("{HYPER} --grad-accum 4 --hyper-inputs source,layer/target,layer")),
        ("target", format!("{HYPER} --grad-accum 4 --hyper-inputs layer/target,layer")),
        ("nothing", format!("{HYPER} --grad-accum 4 --hyper-inputs layer/target")),
        ("stored-sides", format!("{STORED} --grad-accum 4")),
        ("stored-shared", format!("{STORED} --adapter-index shared/target --grad-accum 4")),
    ];
    for (out, flags) in &cases {
        train(&t, out, &format!("{flags} --max-steps 3")).run().ok();
        let run = |lines: &[String]| {
            t.write("mixed.jsonl", lines.concat());
            scores(&translate(&t, &format!("--adapters {out} --unknown-language base mixed.jsonl")))
        };
        let texts = ["uno dos tri", "kat kin"];
        let lines: Vec<String> = directions
            .iter()
            .flat_map(|(s, t)| texts.iter().map(|text| line(s, t, text)))
            .collect();
        let alone: Vec<_> = lines.iter().flat_map(|l| run(std::slice::from_ref(l))).collect();
        assert_eq!(run(&lines), alone, "{out}");
        let reversed: Vec<String> = lines.iter().rev().cloned().collect();
        let mut found = run(&reversed);
        found.reverse();
        assert_eq!(found, alone, "{out}, backwards");
        let bare = {
            t.write("mixed.jsonl", lines.concat());
            scores(&translate(&t, "mixed.jsonl"))
        };
        let differs: Vec<bool> = alone.iter().zip(&bare).map(|(a, b)| a.2 != b.2).collect();
        assert!(differs[..2].iter().all(|d| *d), "{out}: adapters change aa-bb");
    }
}

/// What the papers have as defaults is what a plain command builds.
#[test]
fn defaults_are_those_of_the_papers() {
    let t = prepared();
    let plain = "--train train.jsonl --max-steps 1 --method";
    train(&t, "ha", &format!("{plain} hyper-adapters")).run().ok();
    train(&t, "hx", &format!("{plain} hyper-x")).run().ok();
    let (ha, hx) = (hypernet(&t, "ha"), hypernet(&t, "hx"));
    for (found, expected) in [
        (
            &ha,
            json!({"kind": "hyper-adapters", "positions": ["layer"], "norm": "before",
                "embedding_dim": 50, "layer_embedding_dim": 50, "blocks": 2, "rescale": true,
                "tie_languages": false, "shared_layer_ids": false,
                "encoder_inputs": ["source", "target", "layer"],
                "decoder_inputs": ["source", "target", "layer"]}),
        ),
        (
            &hx,
            json!({"kind": "hyper-x", "positions": ["feed-forward"], "norm": "none",
                "embedding_dim": 64, "layer_embedding_dim": 64, "projection": 192, "hidden": 32,
                "rescale": false, "encoder_inputs": ["task", "language", "layer"],
                "decoder_inputs": ["task", "language", "layer"]}),
        ),
    ] {
        for (key, value) in expected.as_object().unwrap() {
            let sorted = |v: &Value| match v.as_array() {
                Some(a) => {
                    let mut a: Vec<String> = a.iter().map(Value::to_string).collect();
                    a.sort();
                    json!(a)
                }
                None => v.clone(),
            };
            assert_eq!(sorted(&found[key]), sorted(value), "{}: {key}", found["kind"]);
        }
    }
    // Heads begin as Xavier in the one, with deviation 0.01 in the other; one update moves little.
    for (run, init, low, high) in [("ha", "xavier", 0.021, 0.023), ("hx", "small", 0.009, 0.011)] {
        let more = format!(
            "{plain} {} --lr 1e-9 --hyper-init {init}",
            if run == "ha" { "hyper-adapters" } else { "hyper-x" }
        );
        train(&t, &format!("{run}-named"), &more).run().ok();
        train(&t, &format!("{run}-still"), &more.replace(&format!(" --hyper-init {init}"), ""))
            .run()
            .ok();
        let file = |out: &str| tensors(&t, &format!("{}/hypernet.safetensors", last(&t, out)));
        let (named, still) = (file(&format!("{run}-named")), file(&format!("{run}-still")));
        assert_eq!(named, still, "{run}: the default is `{init}`");
        let head = &named["head.up_weight.weight"].1;
        let deviation =
            (head.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / head.len() as f64).sqrt();
        assert!((low..high).contains(&deviation), "{run}: {deviation}");
    }
}

/// Adapters that lay beside a model are neither half copied nor left out in silence.
#[test]
fn what_is_made_of_a_model_with_adapters_can_be_read() {
    let t = prepared();
    train(&t, "norms", &format!("{X} --grad-accum 4 --max-steps 2")).run().ok();
    let more = "-m norms --train train.jsonl --max-steps 1";
    let run = train(&t, "plain", more).run();
    run.ok().says("was trained with adapters");
    translate(&t, &format!("-m plain {DEV}"));
    train(&t, "joint", &format!("{more} --method adapters --train-base layer-norms")).run().ok();
    let own = translate(&t, &format!("-m joint {DEV}"));
    assert!(own.iter().all(|r| r["adapters"].is_array()));
    t.isogloss(words("profile-neurons -m norms -o stats.safetensors dev.jsonl"))
        .run()
        .ok()
        .says("its neurons are counted without");
    t.isogloss(words("profile-neurons -q -m model -o stats2.safetensors dev.jsonl")).run().ok();
    let build = "build-masks -q --k 60 -o masks.safetensors stats2.safetensors";
    t.isogloss(words(build)).run().ok();
    let export = "export -m norms --masks masks.safetensors --foreign-masks --direction aa-bb -o plain-aa-bb";
    t.isogloss(words(export)).run().code(4).says("a plain model does not hold");
    assert!(!t.exists("plain-aa-bb"));
    train(&t, "lora", &format!("{more} --method lora")).run().ok();
    let merge = "prune-lora -q -m norms lora --direction aa-bb --merge -o merged";
    t.isogloss(words(merge)).run().code(4).says("a plain model does not hold");
    assert!(!t.exists("merged"));
}

/// Vectors that text of weight 0 has led to are as they were drawn, and are refused as such.
#[test]
fn text_of_no_weight_trains_no_vector() {
    let t = prepared();
    let weightless = |line: &str| {
        let mut r: Value = serde_json::from_str(line).unwrap();
        if r["tgt_lang"] == "bb" {
            r["weight"] = json!(0);
        }
        format!("{r}\n")
    };
    let text: String = t.read("train.jsonl").lines().map(weightless).collect();
    t.write("weighted.jsonl", text);
    let flags = HYPER.replace("train.jsonl", "weighted.jsonl");
    train(&t, "zero", &format!("{flags} --grad-accum 4 --max-steps 4")).run().ok();
    let rows = hypernet(&t, "zero")["rows"].clone();
    assert_eq!(rows["target.bb"]["updates"], 0, "{rows}");
    assert!(rows["target.cc"]["updates"].as_u64() > Some(0), "{rows}");
    let line = "translate -q -m model --adapters zero --src-lang aa --tgt-lang bb lines.txt";
    t.isogloss(words(line)).run().code(3).says("`bb` as target has had no update");
}

/// A side that no task has run is refused, though its vectors were trained on the other side.
#[test]
fn a_side_without_an_update_is_refused() {
    let t = prepared();
    let flags = "--method hyper-adapters --adapter-bottleneck 4 --hyper-hidden 8 --embedding-dim 6 \
        --tag tags.jsonl --shared-layer-ids --hyper-inputs source,layer --grad-accum 4 --max-steps 3";
    train(&t, "tagger", flags).run().ok();
    let line = "translate -q -m model --adapters tagger --src-lang aa --tgt-lang bb lines.txt";
    t.isogloss(words(line)).run().code(3).says("the adapters of the decoder have had no update");
    t.isogloss(words("tag -q -m model --adapters tagger tags.jsonl")).run().ok();
    // The same of adapters that are stored: tagging trains those of the encoder.
    let flags = "--method adapters --adapter-bottleneck 4 --adapter-init xavier --train-base none \
        --tag tags.jsonl --train one.jsonl --no-both-directions --grad-accum 4 --max-steps 3";
    let one: String = t
        .read("train.jsonl")
        .lines()
        .filter(|l| l.contains("\"cc\""))
        .map(|l| format!("{l}\n"))
        .collect();
    t.write("one.jsonl", one);
    train(&t, "stored-tagger", flags).run().ok();
    let file = tensors(&t, &format!("{}/adapters.safetensors", last(&t, "stored-tagger")));
    assert!(file.contains_key("bb.encoder.layers.0.layer.down.weight"));
    assert!(!file.contains_key("bb.decoder.layers.0.layer.down.weight"));
    let line =
        "translate -q -m model --adapters stored-tagger --src-lang aa --tgt-lang bb lines.txt";
    t.isogloss(words(line)).run().code(3).says("was not trained with it as target");
    t.isogloss(words("tag -q -m model --adapters stored-tagger tags.jsonl")).run().ok();
}

/// Adapters made for one task are not taken for another; each task has its own.
#[test]
fn exported_adapters_are_for_their_task() {
    let t = prepared();
    gen_adapters(&t, "x -o translating");
    let tag =
        |more: &str| t.isogloss(words("tag -q -m model")).args(words(more)).arg("tags.jsonl").run();
    std::fs::copy(
        t.path(&format!("{}/tag_head.safetensors", last(&t, "x"))),
        t.path("model/tag_head.safetensors"),
    )
    .unwrap();
    tag("--adapters translating").code(4).says("made for another task").says("--task tagging");
    let records = gen_adapters(&t, "x --task tagging --languages aa,bb -o tagging");
    assert!(records.iter().all(|r| r["side"] == "encoder"), "the decoder takes no part");
    let own = tag("--adapters x");
    assert_eq!(tag("--adapters tagging").ok().stdout(), own.ok().stdout());
    let line = "translate -q -m model --adapters tagging --src-lang aa --tgt-lang bb lines.txt";
    t.isogloss(words(line)).run().code(4).says("made for another task").says("translation");
    // What depends on no task serves all.
    gen_adapters(&t, "hyper -o any");
    let json: Value = serde_json::from_str(&t.read("any/adapters.json")).unwrap();
    assert!(json["task"].is_null());
}

/// A tag head goes on from where it was, and stays as it is while new languages are learned.
#[test]
fn a_tag_head_goes_on() {
    let t = prepared();
    let head = |run: &str| tensors(&t, &format!("{}/tag_head.safetensors", last(&t, run)));
    let old = head("x");
    t.write("tags-ee.jsonl", t.read("tags.jsonl").replace("\"bb\"", "\"ee\""));
    let new =
        "--method hyper-x --init-from x --new-language ee=bb --tag-languages ee --max-steps 3";
    train(&t, "ee", &format!("{new} --tag tags-ee.jsonl")).run().ok();
    assert_eq!(head("ee"), old, "frozen with all else");
    assert!(hypernet(&t, "ee")["rows"]["language.ee"]["updates"].as_u64() > Some(0));
    t.write("odd.jsonl", t.read("tags-ee.jsonl").replace("\"O\"", "\"Q\""));
    let run = train(&t, "odd", &format!("{new} --tag odd.jsonl")).run();
    run.code(3).says("unknown tag `Q`").says("odd.jsonl:1");
    let run = train(&t, "no-head", "--method hyper-adapters --init-from hyper --new-language ee=bb --tag tags-ee.jsonl --max-steps 1").run();
    run.code(2).says("no tag head");
    // Plain training goes on from it, too; a tag it does not know begins anew.
    let go_on = format!("{X} --train-base none --init-from x --lr 1e-9 --max-steps 1 --tag");
    train(&t, "on", &format!("{go_on} tags.jsonl")).run().ok();
    for (name, (_, v)) in head("on") {
        let near = v.iter().zip(&old[&name].1).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{name}");
    }
    let more = t.read("tags.jsonl") + &t.read("odd.jsonl").replace("\"ee\"", "\"aa\"");
    t.write("more.jsonl", more);
    let run = train(&t, "more", &format!("{go_on} more.jsonl")).run();
    run.ok().says("not all tags were trained there").says("2 of 3");
    let weight = &head("more")["tag_head.weight"].1;
    let was = &old["tag_head.weight"].1;
    // Tags are sorted: E, O, Q.
    assert!(weight.iter().zip(was).all(|(a, b)| (a - b).abs() < 1e-6));
}

/// A hyper-network that goes on keeps count of the updates it has had.
#[test]
fn vectors_that_were_trained_before_stay_trained() {
    let t = prepared();
    train(&t, "on", &format!("{HYPER} --init-from hyper --max-steps 1")).run().ok();
    translate(&t, &format!("--adapters on {DEV}"));
    let (old, new) = (hypernet(&t, "hyper")["rows"].clone(), hypernet(&t, "on")["rows"].clone());
    for (key, row) in old.as_object().unwrap() {
        assert!(new[key]["updates"].as_u64() >= row["updates"].as_u64(), "{key}");
    }
    train(&t, "other", &format!("{X} --init-from hyper --max-steps 1"))
        .run()
        .code(2)
        .says("of another kind")
        .says("--method hyper-adapters");
}

/// A task that was never trained is no language that the base model could stand in for.
#[test]
fn a_base_model_stands_in_for_languages_only() {
    let t = prepared();
    let flags = X.replace("--train train.jsonl", "--denoise dd.jsonl --train-base none");
    train(&t, "text", &format!("{flags} --max-steps 2")).run().ok();
    let line = "translate -q -m model --adapters text --src-lang dd --tgt-lang dd lines.txt";
    for more in ["", "--unknown-language base"] {
        t.isogloss(words(line))
            .args(words(more))
            .run()
            .code(3)
            .says("task `translation` has no vector");
    }
}

/// Held-out text that names a vector without an update runs the base model, and that is said.
#[test]
fn held_out_text_of_untrained_vectors_is_not_taken_for_trained() {
    let t = prepared();
    let one: String = t
        .read("train.jsonl")
        .lines()
        .filter(|l| !l.contains("\"cc\""))
        .map(|l| format!("{l}\n"))
        .collect();
    t.write("one.jsonl", one);
    let name = format!("{}/hypernet.json", last(&t, "hyper"));
    let mut json: Value = serde_json::from_str(&t.read(&name)).unwrap();
    json["rows"]["target.cc"]["updates"] = json!(0);
    t.write(&name, json.to_string());
    let more = "--method hyper-adapters --init-from hyper --new-language ee=bb --train ee.jsonl \
        --valid dev.jsonl --max-steps 1";
    let run = train(&t, "ee", more).run();
    run.ok().says("`aa-cc` is not all trained").says("base model stands in");
}

#[test]
fn adapters_of_absurd_size_are_refused() {
    let t = prepared();
    let flags = STORED.replace("--adapter-bottleneck 4", "--adapter-bottleneck 1048576");
    // With the languages there are it is small enough on paper; with more places it is not.
    let more = format!(
        "{flags} --adapter-index direction --adapter-position attention,feed-forward,layer --dry-run --max-steps 1"
    );
    let run = train(&t, "new", &more).run();
    run.code(2).says("absurd size").says("--adapter-bottleneck");
}
