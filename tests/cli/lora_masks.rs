//! A LoRA on top of neuron masks: whatever runs it, the function is the one that was trained.

use serde_json::Value;

use crate::lora::{prepared, train, words};
use crate::support::Sandbox;

/// Scores of the given translations of one direction.
fn scores(t: &Sandbox, more: &str) -> Vec<f64> {
    let line = "translate -q --score-given -f jsonl one.jsonl";
    let run = t.isogloss(words(line)).args(words(more)).run();
    run.ok();
    run.records().iter().map(|r| r["score"].as_f64().unwrap()).collect()
}

#[track_caller]
fn same(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() < 1e-4 * (1.0 + e.abs()), "{what}: {f}, expected {e}");
    }
}

#[test]
fn masks_of_the_training_go_along() {
    let t = prepared();
    let text = t.read("dev.jsonl");
    let one = |l: &&str| {
        let r: Value = serde_json::from_str(l).unwrap();
        r["src_lang"] == "aa" && r["tgt_lang"] == "bb"
    };
    t.write("one.jsonl", text.lines().filter(one).collect::<Vec<_>>().join("\n"));
    t.isogloss(words("profile-neurons -q -m model -o stats.safetensors dev.jsonl")).run().ok();
    let build = "build-masks -q --k 60 -o masks.safetensors stats.safetensors";
    t.isogloss(words(build)).run().ok();
    let how = "--masks masks.safetensors --lora-modules fc1,fc2,q_proj --lr 0.03 --max-steps 6";
    train(&t, "masked", how).run().ok();
    let want = scores(&t, "-m model --lora masked");
    let plain = scores(&t, "-m model --lora masked --no-masks");
    assert!(want.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 1e-3), "masks change something");
    same(&scores(&t, "-m model --lora masked --masks masks.safetensors"), &want, "named");
    same(&scores(&t, "-m model --lora masked --merge-lora"), &want, "merged");
    let compose = "prune-lora -q -m model masked --direction aa-bb -o composed";
    t.isogloss(words(compose)).run().ok();
    same(&scores(&t, "-m model --lora composed"), &want, "composed");
    let merge = "prune-lora -q -m model masked --direction aa-bb --merge -o merged";
    t.isogloss(words(merge)).run().ok();
    same(&scores(&t, "-m merged"), &want, "a model");
    assert!(!t.exists("merged/neuron_masks.safetensors"), "its rows are zero already");
    // A LoRA of one direction is for no other.
    let other = t.isogloss(words("translate -m model --lora composed --src-lang bb --tgt-lang aa"));
    other.stdin("uno\n").run().code(3).says("direction `bb-aa` has no LoRA").says("aa-bb");
}
