//! What `train` has for little memory: gradient checkpointing, frozen matrices in bf16, and the plan
//! that tells the memory before the run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::lora::{header, prepared, words};
use crate::support::{Invocation, Sandbox};

fn train(t: &Sandbox, out: &str, more: &str) -> Invocation {
    let line = "train -q -m model --train train.jsonl --batch-tokens 64 --grad-accum 2 \
        --warmup-steps 1 --log-every 1 --save-every 3 --lr 0.01 --dropout 0.1 \
        --attention-dropout 0.1 -o";
    t.isogloss(words(line)).arg(out).args(words(more))
}

/// All files of a checkpoint but the run's state, which has the time in it.
fn checkpoint(t: &Sandbox, run: &str, step: u64) -> BTreeMap<String, Vec<u8>> {
    let dir = format!("{run}/checkpoints/step-{step:08}/");
    let own = |name: String| name.strip_prefix(&dir).map(str::to_string);
    let names: Vec<String> = t.files().into_iter().filter_map(own).collect();
    let read = |name: &String| std::fs::read(t.path(&format!("{dir}{name}"))).unwrap();
    names.iter().filter(|n| *n != "state.json").map(|n| (n.clone(), read(n))).collect()
}

#[track_caller]
fn same(t: &Sandbox, a: &str, b: &str, step: u64) {
    let (one, other) = (checkpoint(t, a, step), checkpoint(t, b, step));
    assert!(one.contains_key("optimizer.safetensors"), "{:?}", one.keys());
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (file, bytes) in &one {
        assert!(bytes == &other[file], "{a} and {b}: {file} differs");
    }
}

/// The losses of the updates in the log.
fn losses(t: &Sandbox, run: &str) -> Vec<f64> {
    let log = t.read(&format!("{run}/log.jsonl"));
    let records = log.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    records.filter(|r| r["type"] == "train_step").map(|r| r["loss"].as_f64().unwrap()).collect()
}

const METHODS: [(&str, &str); 5] = [
    ("lora", "--method lora --lora-rank 4 --lora-dropout 0.1"),
    ("gates", "--method lora --learn-placement layer"),
    ("adapters", "--method adapters --adapter-bottleneck 8"),
    ("hyper", "--method hyper-adapters --adapter-bottleneck 8"),
    ("masked", "--method full --masks masks.safetensors"),
];

fn with_masks() -> Sandbox {
    let t = prepared();
    t.isogloss(words("profile-neurons -q -m model -o stats.safetensors dev.jsonl")).run().ok();
    let build = "build-masks -q --k 60 -o masks.safetensors stats.safetensors";
    t.isogloss(words(build)).run().ok();
    t
}

#[test]
fn checkpointing_changes_no_bit() {
    let t = with_masks();
    for (name, how) in METHODS {
        let (plain, again) = (format!("{name}-plain"), format!("{name}-again"));
        train(&t, &plain, &format!("{how} --max-steps 4")).run().ok();
        let flag = "--gradient-checkpointing";
        train(&t, &again, &format!("{how} --max-steps 4 {flag}")).run().ok();
        same(&t, &plain, &again, 4);
        assert_eq!(losses(&t, &plain), losses(&t, &again));
    }
    let plain = "--method full --activation-dropout 0.1 --max-steps 3";
    train(&t, "full", plain).run().ok();
    train(&t, "full-again", &format!("{plain} --gradient-checkpointing")).run().ok();
    same(&t, "full", "full-again", 3);
}

/// Switched on and off between the starts of one run.
#[test]
fn checkpointing_may_begin_and_end_with_a_start() {
    let t = prepared();
    let how = "--method lora --lora-rank 4 --lora-dropout 0.1";
    train(&t, "whole", &format!("{how} --max-steps 6")).run().ok();
    train(&t, "parts", &format!("{how} --max-steps 2 --gradient-checkpointing")).run().ok();
    train(&t, "parts", &format!("{how} --max-steps 4")).run().ok();
    train(&t, "parts", &format!("{how} --max-steps 6 --gradient-checkpointing")).run().ok();
    same(&t, "whole", "parts", 6);
}

#[test]
fn frozen_matrices_in_bf16() {
    let t = prepared();
    let how = "--method lora --lora-rank 4 --max-steps 6";
    train(&t, "f32", how).run().ok();
    train(&t, "bf16", &format!("{how} --dtype bf16")).run().ok();
    let (wide, narrow) = (losses(&t, "f32"), losses(&t, "bf16"));
    assert_ne!(wide, narrow, "the base was rounded");
    for (step, (w, n)) in wide.iter().zip(&narrow).enumerate() {
        // A weight moves by at most one part in 256.
        assert!((w - n).abs() < 0.02 * w, "step {step}: {n}, in f32 {w}");
    }
    // It decides the result: another run, and told by name.
    let again = how.replace("-steps 6", "-steps 9");
    train(&t, "f32", &format!("{again} --dtype bf16"))
        .run()
        .code(2)
        .says("dtype: (none) -> \"bf16\"");
    train(&t, "bf16", &again).run().code(2).says("dtype: \"bf16\" -> (none)");
    // Exact on resume, with checkpoints too.
    let flags = "--dtype bf16 --gradient-checkpointing";
    train(&t, "parts", &format!("{} {flags}", how.replace("-steps 6", "-steps 3"))).run().ok();
    train(&t, "parts", &format!("{how} {flags}")).run().ok();
    same(&t, "bf16", "parts", 6);

    // A model that is trained in part is written as it was kept, and read back as that.
    let some = "--train-only layer-norms --train-only decoder --dtype bf16";
    train(&t, "some", &format!("{some} --max-steps 3")).run().ok();
    let bytes = &checkpoint(&t, "some", 3)["model.safetensors"];
    let tensors = header(bytes).0;
    for (name, dtype) in [
        ("model.shared.weight", "BF16"),
        ("model.encoder.layers.0.fc1.weight", "BF16"),
        ("model.encoder.layers.0.fc1.bias", "F32"),
        ("model.encoder.layers.0.final_layer_norm.weight", "F32"),
        ("model.decoder.layers.0.fc1.weight", "F32"),
    ] {
        assert_eq!(tensors[name]["dtype"], dtype, "{name}");
    }
    train(&t, "whole", &format!("{some} --max-steps 6")).run().ok();
    train(&t, "some", &format!("{some} --max-steps 6")).run().ok();
    same(&t, "whole", "some", 6);
    let run =
        t.isogloss(words("translate -q -m some --src-lang aa --tgt-lang bb")).stdin("uno dos\n");
    run.run().ok();
    // A model that is trained whole has nothing to keep in bf16.
    train(&t, "full", "--max-steps 2").run().ok();
    train(&t, "full-bf16", "--max-steps 2 --dtype bf16").run().ok();
    assert_eq!(losses(&t, "full"), losses(&t, "full-bf16"));
}

#[test]
fn number_formats_it_has_not() {
    let t = prepared();
    let run = train(&t, "r", "--max-steps 1 --dtype f16").run();
    run.code(2).says("does not compute in `f16`").says("`f32`, `bf16`");
    assert!(!t.exists("r"));
    let line = "profile-neurons -m model -o s.safetensors --dtype bf16 dev.jsonl";
    let run = t.isogloss(words(line)).run();
    run.code(2).says("does not compute in `bf16`");
}

/// Lines of the plan by what they say.
fn plan(t: &Sandbox, more: &str) -> BTreeMap<String, u64> {
    let run = train(t, "planned", &format!("--max-steps 4 --dry-run {more}")).run();
    let text = run.ok().stdout();
    let at = text.lines().position(|l| l.starts_with("memory: ")).unwrap();
    let number = |l: &str| {
        let words: Vec<&str> = l.split(' ').collect();
        words[words.iter().position(|w| *w == "MiB").unwrap() - 1].parse::<u64>().unwrap()
    };
    assert!(!t.exists("planned"), "nothing is written");
    text.lines()
        .skip(at)
        .map(|l| (l.trim().split(&[':', ','][..]).next().unwrap().to_string(), number(l)))
        .collect()
}

#[test]
fn the_plan_tells_the_memory() {
    let t = Sandbox::new();
    t.write("train.jsonl", crate::train::corpus_from(0, 400));
    // 17 M values: enough that a part shows in MiB.
    let init = "init -q -o model --vocab-size 60 --d-model 256 --encoder-layers 8 \
        --decoder-layers 8 --heads 4 --ffn-dim 1024 train.jsonl";
    t.isogloss(words(init)).run().ok();
    let lora = "--method lora --lora-rank 8 --batch-tokens 1024";
    let (f32, bf16) = (plan(&t, lora), plan(&t, &format!("{lora} --dtype bf16")));
    let (wide, narrow) = (f32["frozen weights in f32"], bf16["frozen weights in bf16"]);
    assert!(wide > 50 && narrow.abs_diff(wide / 2) <= 2, "{f32:?} {bf16:?}");
    assert!(f32["their moments"].abs_diff(2 * f32["their gradients"]) <= 1, "rounding");
    let activations = |p: &BTreeMap<String, u64>| {
        *p.iter().find(|(k, _)| k.starts_with("activations of ")).unwrap().1
    };
    let again = plan(&t, &format!("{lora} --gradient-checkpointing"));
    assert!(activations(&again) * 2 < activations(&f32), "{again:?} {f32:?}");
    let full = plan(&t, "--batch-tokens 1024");
    assert_eq!(full["frozen weights in f32"], 1, "positions alone");
    assert!(full["trained weights in f32"].abs_diff(wide) <= 1);
    let small = plan(&t, &lora.replace("1024", "256"));
    assert!(activations(&small) * 2 < activations(&f32));
    for p in [&f32, &bf16, &again, &full, &small] {
        let stages = activations(p);
        let fixed: u64 = p
            .iter()
            .filter(|(k, _)| *k != "memory" && !k.starts_with("activations"))
            .map(|(_, v)| v)
            .sum();
        let sum = fixed + stages;
        // Rounding, and the allocator's share.
        assert!((sum..=sum + sum / 15 + 8).contains(&p["memory"]), "{p:?}");
    }
    // A run says the same in a line.
    let line = format!("{lora} --max-steps 1 -v");
    let run =
        t.isogloss(words("train -m model --train train.jsonl -o run")).args(words(&line)).run();
    run.ok();
    let said = run.stderr.lines().find(|l| l.contains("memory: ")).unwrap().to_string();
    let mib: u64 = words(&said).iter().rev().find_map(|w| w.parse().ok()).unwrap();
    assert!(mib.abs_diff(f32["memory"]) <= 8, "{said} {f32:?}");
}
