//! `train --method lora`, `translate --lora` and `prune-lora`: from a base model to adapters by
//! language, smaller ones, and a model of one direction. Bad input is in `lora_bad`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::support::Sandbox;
use crate::train::corpus_from;

/// Files of a model.
const MODEL: [&str; 5] = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
];
/// The last checkpoint of `run`.
pub const LAST: &str = "run/checkpoints/step-00000008";

/// A directory with text, a model that has learnt a little, and a LoRA of it, made once.
fn base() -> PathBuf {
    static BASE: OnceLock<Sandbox> = OnceLock::new();
    let t = BASE.get_or_init(|| {
        let t = Sandbox::new();
        t.write("train.jsonl", corpus_from(0, 120));
        t.write("dev.jsonl", corpus_from(500, 12));
        t.write("groups.tsv", "lang\ttier\tfamily\naa\thigh\tx\nbb\tlow\ty\ncc\tmedium\ty\n");
        let init = ["init", "-q", "-o", "raw", "--vocab-size", "60", "--preset", "tiny"];
        t.isogloss(init).arg("train.jsonl").run().ok();
        let full = "train -q -m raw --train train.jsonl --batch-tokens 128 --warmup-steps 4 \
            --lr-schedule constant --lr 5e-3 --dropout 0 --max-steps 40 -o full";
        t.isogloss(words(full)).run().ok();
        std::fs::create_dir(t.path("model")).unwrap();
        for name in MODEL {
            let from = t.path("full/checkpoints/step-00000040").join(name);
            std::fs::copy(from, t.path("model").join(name)).unwrap();
        }
        train(&t, "run", &format!("--max-steps 8 --save-every 4 {RANKS}")).run().ok();
        for name in ["raw", "full"] {
            std::fs::remove_dir_all(t.path(name)).unwrap();
        }
        t
    });
    t.dir().to_path_buf()
}

const RANKS: &str =
    "--lora-rank 2;4;8;aa=6 --lora-groups groups.tsv --lora-module-rank fc1=3 --lr 0.03";

/// A fresh directory with the same files.
pub fn prepared() -> Sandbox {
    let t = Sandbox::new();
    copy(&base(), t.dir());
    t
}

/// Copies what is in a directory.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

pub fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// `train --method lora` of small batches; of a flag given twice the last counts.
pub fn train(t: &Sandbox, out: &str, more: &str) -> crate::support::Invocation {
    let line = "train -q -m model --train train.jsonl --batch-tokens 64 --warmup-steps 1 \
        --log-every 1 --method lora -o";
    t.isogloss(words(line)).arg(out).args(words(more))
}

fn records(text: &str, kind: &str) -> Vec<Value> {
    let parse = |l: &str| serde_json::from_str::<Value>(l).unwrap();
    text.lines().map(parse).filter(|r| r["type"] == kind).collect()
}

/// Header of a safetensors file, and where the data begins.
pub fn header(bytes: &[u8]) -> (Value, usize) {
    let n = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&bytes[8..8 + n]).unwrap(), 8 + n)
}

fn file(t: &Sandbox, name: &str) -> Vec<u8> {
    std::fs::read(t.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn config(t: &Sandbox, dir: &str) -> Value {
    serde_json::from_str(&t.read(&format!("{dir}/adapter_config.json"))).unwrap()
}

/// Names and bytes of the files below a directory.
fn tree(t: &Sandbox, dir: &str) -> BTreeMap<String, Vec<u8>> {
    let prefix = format!("{dir}/");
    let names: Vec<String> = t.files().into_iter().filter(|f| f.starts_with(&prefix)).collect();
    assert!(!names.is_empty(), "nothing in {dir}");
    names.iter().map(|f| (f[prefix.len()..].to_string(), file(t, f))).collect()
}

/// Shapes in all adapters below a directory.
fn shapes(t: &Sandbox, dir: &str) -> Vec<(String, Vec<u64>)> {
    let mut out = Vec::new();
    for (name, bytes) in tree(t, dir) {
        if !name.ends_with("adapter_model.safetensors") {
            continue;
        }
        for (tensor, of) in header(&bytes).0.as_object().unwrap() {
            if tensor != "__metadata__" {
                let shape = of["shape"].as_array().unwrap();
                let shape = shape.iter().map(|n| n.as_u64().unwrap()).collect();
                out.push((format!("{name}: {tensor}"), shape));
            }
        }
    }
    out
}

/// Parameters in all adapters below a directory.
fn num_params(t: &Sandbox, dir: &str) -> u64 {
    shapes(t, dir).iter().map(|(_, shape)| shape.iter().product::<u64>()).sum()
}

/// Hypotheses with their languages, and scores.
type Translations = (Vec<(String, String)>, Vec<f64>);

fn translate(t: &Sandbox, more: &str) -> Translations {
    let line = "translate -q -m model --beam-size 1 --max-new-tokens 8 -f jsonl";
    let run = t.isogloss(words(line)).args(words(more)).run();
    let rows = records(&run.ok().stdout(), "translation");
    let pair = |r: &Value| format!("{}-{}", r["src_lang"], r["tgt_lang"]).replace('"', "");
    let hyp = |r: &Value| (pair(r), r["hyp"].as_str().unwrap().to_string());
    (rows.iter().map(hyp).collect(), rows.iter().map(|r| r["score"].as_f64().unwrap()).collect())
}

const DEV: &str = "--both-directions dev.jsonl";

/// Same texts, and scores that differ by rounding only.
#[track_caller]
fn same(a: &Translations, b: &Translations) {
    assert_eq!(a.0, b.0);
    assert!(a.1.iter().zip(&b.1).all(|(x, y)| (x - y).abs() < 1e-3), "{:?}\n{:?}", a.1, b.1);
}

/// One PEFT directory a language, ranks as asked for, keys of every version of PEFT.
#[test]
fn files_are_as_the_contract_says() {
    let t = prepared();
    let expected: BTreeSet<&str> = [
        "aa/adapter_config.json",
        "aa/adapter_model.safetensors",
        "bb/adapter_config.json",
        "bb/adapter_model.safetensors",
        "cc/adapter_config.json",
        "cc/adapter_model.safetensors",
        "optimizer.safetensors",
        "placement.json",
        "state.json",
    ]
    .into();
    for dir in ["run/checkpoints/step-00000004", LAST] {
        let files = tree(&t, dir);
        assert_eq!(files.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    }
    let keys = "alpha_pattern base_model_name_or_path bias fan_in_fan_out inference_mode \
        init_lora_weights lora_alpha lora_dropout modules_to_save peft_type r rank_pattern \
        target_modules task_type";
    let modules = json!([
        "encoder_attn.k_proj",
        "encoder_attn.q_proj",
        "encoder_attn.v_proj",
        "fc1",
        "fc2",
        "self_attn.k_proj",
        "self_attn.q_proj",
        "self_attn.v_proj"
    ]);
    // High 2, medium 4, low 8; aa is high, but named.
    for (lang, rank) in [("aa", 6), ("bb", 8), ("cc", 4)] {
        let c = config(&t, &format!("{LAST}/{lang}"));
        let found: Vec<&str> = c.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(BTreeSet::from_iter(found), BTreeSet::from_iter(words(keys)), "{lang}");
        assert_eq!((&c["r"], &c["lora_alpha"]), (&json!(rank), &json!(rank)), "{lang}");
        let fc1 = ["decoder.layers.0", "decoder.layers.1", "encoder.layers.0", "encoder.layers.1"]
            .map(|l| (format!("model.{l}.fc1"), json!(3)));
        let fc1 = Value::Object(fc1.into_iter().collect());
        assert_eq!((&c["rank_pattern"], &c["alpha_pattern"]), (&fc1, &fc1), "{lang}");
        assert_eq!(c["target_modules"], modules);
        assert_eq!((&c["peft_type"], &c["bias"]), (&json!("LORA"), &json!("none")));
        assert_eq!(c["base_model_name_or_path"], "model");
        let bytes = file(&t, &format!("{LAST}/{lang}/adapter_model.safetensors"));
        assert_eq!(header(&bytes).0["__metadata__"]["format"], "pt");
    }
    for (name, shape) in shapes(&t, LAST) {
        assert!(name.contains(": base_model.model.model."), "{name}");
        let rank = if name.contains("lora_A") { shape[0] } else { shape[1] };
        let own = [("aa/", 6), ("bb/", 8), ("cc/", 4)].iter().find(|l| name.starts_with(l.0));
        assert_eq!(rank, if name.contains(".fc1.") { 3 } else { own.unwrap().1 }, "{name}");
    }

    // All share one: a plain LoRA, which is a PEFT directory itself.
    train(&t, "plain", "--max-steps 1 --lora-index shared").run().ok();
    let plain = tree(&t, "plain/checkpoints/step-00000001");
    assert!(plain.contains_key("adapter_config.json"), "{:?}", plain.keys());
    assert!(plain.keys().all(|n| !n.contains('/') && n != "model.safetensors"));
    assert_eq!(config(&t, "plain/checkpoints/step-00000001")["rank_pattern"], json!({}));
}

#[test]
fn the_same_command_gives_the_same_bytes() {
    let t = prepared();
    train(&t, "again", &format!("--max-steps 8 --save-every 4 {RANKS}")).run().ok();
    let adapters = |dir: &str| {
        let mut files = tree(&t, dir);
        assert!(files.remove("state.json").is_some()); // holds seconds
        files
    };
    assert_eq!(adapters("again/checkpoints/step-00000008"), adapters(LAST));
}

#[test]
fn resume_is_exact() {
    let t = prepared();
    for (name, how) in [
        (
            "pruned",
            "--prune 50% --prune-every 1 --prune-start 1 --prune-duration 3 --lora-dropout 0.1",
        ),
        ("learned", "--learn-placement layer"),
        ("matrix", "--learn-placement matrix --prune 30% --prune-every 2 --prune-what ab"),
    ] {
        let go = |out: &str, steps: u64| {
            let more = format!("{how} --lr 0.01 --save-every 3 --max-steps {steps}");
            train(&t, out, &more).run().ok();
        };
        let (whole, parts) = (format!("{name}-whole"), format!("{name}-parts"));
        go(&whole, 6);
        go(&parts, 3);
        go(&parts, 6);
        let of = |run: &str| {
            let mut files = tree(&t, &format!("{run}/checkpoints/step-00000006"));
            files.remove("state.json");
            files
        };
        let (whole, parts) = (of(&whole), of(&parts));
        assert!(whole.contains_key("lora_state.safetensors"), "{name}");
        assert!(whole.contains_key("optimizer.safetensors"), "{name}");
        assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>());
        for (file, bytes) in &whole {
            assert!(bytes == &parts[file], "{name}: {file} differs");
        }
    }
}

#[test]
fn the_pruning_schedule_is_in_the_log() {
    let t = prepared();
    let how = "--prune 50% --prune-every 1 --prune-start 2 --prune-duration 3 --max-steps 6";
    train(&t, "pruned", how).run().ok();
    let log = records(&t.read("pruned/log.jsonl"), "lora_prune");
    let ratios: Vec<f64> = log.iter().map(|r| r["ratio"].as_f64().unwrap()).collect();
    // 1 - (1 - i/3)^3 of the half, from the second period on.
    let expected = [0.0, 0.5 * 19.0 / 27.0, 0.5 * 26.0 / 27.0, 0.5, 0.5];
    assert_eq!(ratios.len(), expected.len(), "{ratios:?}");
    assert!(ratios.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{ratios:?}");
    for r in &log {
        assert_eq!(r["period"], r["step"]);
        let [pruned, total] = ["pruned", "total"].map(|k| r[k].as_f64().unwrap());
        assert!((pruned / total - r["ratio"].as_f64().unwrap()).abs() < 1e-3, "{r}");
        let by_adapter = r["by_adapter"].as_object().unwrap();
        assert_eq!(by_adapter.keys().collect::<Vec<_>>(), ["aa", "bb", "cc"]);
        // Every language ends at the same share.
        let close = |v: &Value| (v.as_f64().unwrap() - pruned / total).abs() < 1e-3;
        assert!(by_adapter.values().all(close), "{r}");
    }
    // What is in the files.
    let last = log.last().unwrap();
    let (mut zeros, mut total) = (0, 0);
    for (name, bytes) in tree(&t, "pruned/checkpoints/step-00000006") {
        if name.ends_with("adapter_model.safetensors") {
            let (head, data) = header(&bytes);
            for (_, b) in head.as_object().unwrap().iter().filter(|(n, _)| n.contains("lora_B")) {
                let at = |i: usize| data + b["data_offsets"][i].as_u64().unwrap() as usize;
                let values = bytes[at(0)..at(1)].chunks_exact(4);
                total += values.len() as u64;
                zeros += values.filter(|v| *v == [0; 4]).count() as u64;
            }
        }
    }
    assert_eq!(last["total"].as_u64(), Some(total));
    assert!(last["pruned"].as_u64().unwrap() <= zeros && zeros < total, "{last} {zeros}");
}

#[test]
fn a_learned_placement_is_logged_and_taken() {
    let t = prepared();
    train(&t, "learned", "--learn-placement layer --lr 0.03 --max-steps 8").run().ok();
    let log = records(&t.read("learned/log.jsonl"), "lora_placement");
    assert_eq!(log.len(), 4, "two layers on either side");
    train(&t, "taken", "--lora-placement learned --max-steps 1").run().ok();
    let read = |run: &str| -> Value {
        serde_json::from_str(&t.read(&format!("{run}/placement.json"))).unwrap()
    };
    let (soft, taken) =
        (read("learned/checkpoints/step-00000008"), read("taken/checkpoints/step-00000001"));
    for r in &log {
        let [source, target] = ["weight_source", "weight_target"].map(|k| r[k].as_f64().unwrap());
        assert!((source + target - 1.0).abs() < 1e-5 && source != 0.5, "{r}");
        assert_eq!(r["index"], if target > source { "target" } else { "source" });
        let (side, layer) = (r["side"].as_str().unwrap(), r["layer"].as_u64().unwrap() as usize);
        assert_eq!(taken[side][layer]["index"], r["index"]);
        let weight = soft[side][layer]["index"]["target"].as_f64().unwrap();
        assert!((weight - target).abs() < 1e-5, "{soft}");
    }
    let file = "learned/checkpoints/step-00000008/placement.json";
    train(&t, "file", &format!("--lora-placement {file} --max-steps 1")).run().ok();
    assert_eq!(read("file/checkpoints/step-00000001"), taken);
}

#[test]
fn translations_are_the_same_in_every_form() {
    let t = prepared();
    let own = translate(&t, &format!("--lora run {DEV}"));
    assert_eq!(own.0.len(), 24);
    assert_eq!(translate(&t, &format!("--lora {LAST} {DEV}")), own);
    same(&translate(&t, &format!("--lora run --merge-lora {DEV}")), &own);
    let bare = translate(&t, DEV);
    assert_ne!(bare.0, own.0, "the LoRA does something");
    // Each direction by itself.
    let sources: Vec<Value> = t.read("dev.jsonl").lines().map(parse).collect();
    let directions: BTreeSet<&str> = own.0.iter().map(|(pair, _)| pair.as_str()).collect();
    assert_eq!(directions.len(), 4);
    for pair in directions {
        let (src, tgt) = pair.split_once('-').unwrap();
        let forward = |r: &&Value| r["src_lang"] == src && r["tgt_lang"] == tgt;
        let back = |r: &&Value| r["src_lang"] == tgt && r["tgt_lang"] == src;
        let lines: Vec<&str> = match src {
            "aa" => sources.iter().filter(forward).filter_map(|r| r["src"].as_str()).collect(),
            _ => sources.iter().filter(back).filter_map(|r| r["tgt"].as_str()).collect(),
        };
        t.write("lines.txt", lines.join("\n") + "\n");
        let alone = format!("--lora run --src-lang {src} --tgt-lang {tgt} lines.txt");
        let wanted: Vec<_> = own.0.iter().filter(|(p, _)| p == pair).cloned().collect();
        assert_eq!(translate(&t, &alone).0, wanted, "{pair}");
    }
    for path in ["run", LAST] {
        let run = t.isogloss(["translate", "-m", path, "dev.jsonl"]).run();
        run.code(4).says("this is a LoRA").says("`--lora`");
    }
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// Without an adapter: an error, or the base model where it is asked for.
#[test]
fn languages_without_a_lora_as_asked() {
    let t = prepared();
    let two = "--direction aa-bb --direction bb-aa --max-steps 4 --lr 0.03";
    train(&t, "sides", two).run().ok();
    train(&t, "pairs", &format!("--lora-index direction {two}")).run().ok();
    for (run, src, tgt, message) in [
        ("sides", "cc", "aa", "language `cc` has no LoRA"),
        ("sides", "aa", "cc", "language `cc` has no LoRA"),
        ("pairs", "aa", "cc", "direction `aa-cc` has no LoRA"),
    ] {
        let line = format!("translate -m model --lora {run} --src-lang {src} --tgt-lang {tgt}");
        let refused = t.isogloss(words(&line)).stdin("uno dos\n").run();
        refused.code(3).says(message).says("--unknown-language base");
    }
    t.write("lines.txt", "uno dos\ntri kat kin\nses nul\n");
    for (run, src, tgt) in [("sides", "cc", "cc"), ("pairs", "aa", "cc")] {
        let line = format!("--src-lang {src} --tgt-lang {tgt} lines.txt");
        let with = format!("--lora {run} --unknown-language base {line}");
        same(&translate(&t, &with), &translate(&t, &line));
        same(&translate(&t, &format!("--merge-lora {with}")), &translate(&t, &line));
    }
    // One side has an adapter.
    let line = "--src-lang aa --tgt-lang cc lines.txt";
    let half = translate(&t, &format!("--lora sides --unknown-language base {line}"));
    assert_ne!(half.1, translate(&t, line).1);
}

/// Records, plan and files tell the same, and no budget is exceeded.
#[test]
fn budgets_hold_and_records_add_up() {
    let t = prepared();
    let before = num_params(&t, LAST);
    for (i, (budget, more)) in [
        ("20k", ""),
        ("5%", "--balance absolute"),
        ("5000", "--balance uniform --method components"),
        ("0.005", ""),
        ("10_000", "--ratio 50% --unit rank"),
    ]
    .into_iter()
    .enumerate()
    {
        let out = format!("small{i}");
        let line = format!("prune-lora -q -m model run --budget {budget} -o {out} {more}");
        let text = t.isogloss(words(&line)).run().ok().stdout();
        let (modules, plan) = (records(&text, "lora_module"), records(&text, "lora_plan"));
        assert_eq!(plan.len(), 1);
        let of = |key: &str| plan[0][key].as_u64().unwrap_or_else(|| panic!("{key}: {plan:?}"));
        let sum = |key: &str| modules.iter().map(|m| m[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!((sum("params_before"), of("params_before")), (before, before), "{budget}");
        let written = num_params(&t, &out);
        assert!(0 < written && written <= of("budget"), "{budget}: {written}");
        for key in ["params_after", "params_written", "params_predicted"] {
            assert_eq!(of(key), written, "{budget}: {key}");
        }
        assert_eq!(sum("params_after"), written);
        let share = written as f64 / of("base_params") as f64;
        assert!((plan[0]["share_after_frac"].as_f64().unwrap() - share).abs() < 1e-6);
        assert_eq!(modules.len(), shapes(&t, LAST).len() / 2);
        // A rank of every record is that of its file, with the alpha that keeps the scaling.
        let files: BTreeMap<String, Vec<u64>> = shapes(&t, &out).into_iter().collect();
        for m in &modules {
            let [adapter, path] = ["adapter", "module"].map(|k| m[k].as_str().unwrap());
            let name = format!(
                "{adapter}/adapter_model.safetensors: base_model.model.model.{path}.lora_A.weight"
            );
            let rank = files.get(&name).map_or(0, |shape| shape[0]);
            assert_eq!(m["rank_after"].as_u64(), Some(rank), "{m}");
            assert_eq!(m["removed"].as_bool(), Some(rank == 0), "{m}");
            assert_eq!(m["alpha_after"].as_f64(), Some(rank as f64), "{m}");
        }
        translate(&t, &format!("--lora {out} {DEV}"));
    }
}

#[test]
fn compact_removes_what_does_nothing() {
    let t = prepared();
    let how = "--prune 60% --prune-every 1 --prune-start 1 --prune-duration 3 --prune-unit rank";
    train(&t, "pruned", &format!("{how} --max-steps 6 --lr 0.03")).run().ok();
    let line = "prune-lora -q -m model pruned --compact -o";
    t.isogloss(words(line)).arg("small").run().ok();
    let own = translate(&t, &format!("--lora pruned {DEV}"));
    same(&translate(&t, &format!("--lora small {DEV}")), &own);
    let sizes = [num_params(&t, "small"), num_params(&t, "pruned/checkpoints/step-00000006")];
    assert!(sizes[0] * 10 <= sizes[1] * 5, "{sizes:?}");
    // The same again: same bytes; a target that is there is refused.
    t.isogloss(words(line)).arg("again").run().ok();
    assert_eq!(tree(&t, "again"), tree(&t, "small"));
    t.write("small/mine.txt", "mine");
    t.isogloss(words(line)).arg("small").run().code(5).says("--force");
    assert!(t.exists("small/mine.txt"));
    t.isogloss(words(line)).args(["small", "--force"]).run().ok();
    assert_eq!(tree(&t, "again"), tree(&t, "small"));
}

/// A plain LoRA, also without the placement, and a model: all translate alike.
#[test]
fn one_direction_as_plain_lora_and_as_model() {
    let t = prepared();
    t.write("lines.txt", "uno dos\ntri kat kin\nses nul sep ok\nnau\n");
    let steps = "--lr 0.03 --max-steps 8";
    train(&t, "learned", &format!("--learn-placement matrix {steps}")).run().ok();
    train(&t, "sliced", &format!("--lora-slice 8..40 {steps}")).run().ok();
    train(&t, "pairs", &format!("--lora-index shared/direction {steps}")).run().ok();
    for (run, src, tgt) in [
        ("run", "aa", "bb"),
        ("run", "cc", "aa"),
        ("learned", "bb", "aa"),
        ("sliced", "aa", "bb"),
        ("pairs", "aa", "cc"),
    ] {
        let line = format!("--src-lang {src} --tgt-lang {tgt} lines.txt");
        let own = translate(&t, &format!("--lora {run} {line}"));
        let prune = format!("prune-lora -q -m model {run} --direction {src}-{tgt} --force -o");
        t.isogloss(words(&prune)).arg("plain").run().ok();
        assert!(t.exists("plain/adapter_config.json") && t.exists("plain/placement.json"));
        same(&translate(&t, &format!("--lora plain {line}")), &own);
        std::fs::remove_file(t.path("plain/placement.json")).unwrap();
        assert_eq!(tree(&t, "plain").len(), 2);
        same(&translate(&t, &format!("--lora plain {line}")), &own);
        t.isogloss(words(&prune)).args(["merged", "--merge"]).run().ok();
        assert!(!t.exists("merged/adapter_config.json"));
        same(&translate(&t, &format!("-m merged {line}")), &own);
        assert_ne!(translate(&t, &line).1, own.1);
    }
}

#[test]
fn figures_are_whole() {
    let t = prepared();
    let line = "prune-lora -q -m model run --ratio 70% --pool layer --figure fig";
    t.isogloss(words(line)).run().ok();
    for name in ["fig/layers.svg", "fig/modules.svg"] {
        let svg = t.read(name);
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
        assert!(svg.contains("<text") && svg.contains(">cc<") && !svg.contains("NaN"), "{name}");
    }
    // Other bytes are a conflict, found before anything is written; equal ones are none.
    t.write("fig/modules.svg", "mine");
    t.isogloss(words(line)).args(["-o", "small"]).run().code(5).says("fig/modules.svg");
    assert!(!t.exists("small") && t.read("fig/modules.svg") == "mine");
    std::fs::remove_dir_all(t.path("fig")).unwrap();
    t.isogloss(words(line)).run().ok();
    t.isogloss(words(line)).run().ok();
}

#[test]
fn other_settings_are_refused_on_resume() {
    let t = prepared();
    let before = tree(&t, "run");
    let was = format!("--max-steps 8 --save-every 4 {RANKS}");
    train(&t, "run", &was).run().code(2).says("the run is finished");
    for (from, to, says) in [
        ("2;4;8;aa=6", "4", "lora_rank: \"2;4;8;aa=6\" -> \"4\""),
        ("fc1=3", "fc1=4", "lora_module_rank: [\"fc1=3\"] -> [\"fc1=4\"]"),
        ("--max-steps 8", "--max-steps 9 --lora-dropout 0.1", "lora_dropout: (none) -> 0.1"),
        ("--max-steps 8", "--max-steps 9 --prune 50%", "prune: (none) -> 0.5"),
        ("--max-steps 8", "--max-steps 9 --lora-index target", "-> \"target\""),
        ("--max-steps 8", "--max-steps 9 --learn-placement layer", "-> \"layer\""),
    ] {
        train(&t, "run", &was.replace(from, to)).run().code(2).says(says);
    }
    let full = "train -q -m model --train train.jsonl --max-steps 9 -o run";
    t.isogloss(words(full)).run().code(2).says("method: \"lora\" -> \"full\"");
    // The text behind the labels counts, too.
    t.write("groups.tsv", "lang\ttier\naa\thigh\nbb\tmedium\ncc\tlow\n");
    train(&t, "run", &was.replace("-steps 8", "-steps 9")).run().code(2).says("what is trained: ");
    let after = tree(&t, "run");
    let changed: Vec<&String> = before.keys().filter(|k| after.get(*k) != before.get(*k)).collect();
    assert_eq!(
        (changed, after.len()),
        (vec![&"lock".to_string()], before.len()),
        "who had it last"
    );
}

#[test]
fn a_dry_run_counts_and_writes_nothing() {
    let t = prepared();
    let before = t.files();
    let run = train(&t, "new", &format!("--max-steps 8 --dry-run {RANKS}")).run();
    let text = run.ok().stdout();
    assert!(text.contains(&format!("LoRA: {} parameters", num_params(&t, LAST))), "{text}");
    assert!(text.contains("in 3 adapters: aa, bb, cc"), "{text}");
    let line = "prune-lora -q -m model run --rank 2 --figure fig -o small --dry-run";
    t.isogloss(words(line)).run().ok();
    assert_eq!(t.files(), before);
}

/// Languages of a family share their pairs.
#[test]
fn languages_share_by_label() {
    let t = prepared();
    let share = "--lora-groups groups.tsv --lora-share family --lora-rank-by family \
        --lora-rank x=2;y=5 --max-steps 2 --lr 0.03";
    train(&t, "shared", share).run().ok();
    let dir = "shared/checkpoints/step-00000002";
    assert_eq!(config(&t, &format!("{dir}/x"))["r"], 2);
    assert_eq!(config(&t, &format!("{dir}/y"))["r"], 5);
    assert!(!t.exists(&format!("{dir}/bb")));
    translate(&t, &format!("--lora shared {DEV}"));
    // Ranks by number need no column of tiers.
    t.write("families.tsv", "lang\tfamily\naa\tx\nbb\ty\ncc\ty\n");
    train(&t, "few", "--lora-groups families.tsv --lora-share family --max-steps 1").run().ok();
}

/// Some languages are only sources, others only targets.
#[test]
fn one_sided_languages_can_be_read_back() {
    let t = prepared();
    for index in ["source", "target", "source/target", "target/shared"] {
        let out = format!("one-{}", index.replace('/', "-"));
        let how = format!("--no-both-directions --lora-index {index} --max-steps 1");
        train(&t, &out, &how).run().ok();
        let line = format!("--lora {out} --src-lang aa --tgt-lang bb dev.jsonl");
        assert_eq!(translate(&t, &line).0.len(), 12, "{index}");
    }
    let line = "translate -m model --lora one-source --src-lang bb --tgt-lang aa";
    t.isogloss(words(line)).stdin("uno\n").run().code(3).says("`bb`");
}

/// Periods that follow from `--max-steps` must not move under a run.
#[test]
fn more_steps_do_not_move_the_pruning_schedule() {
    let t = prepared();
    train(&t, "pruned", "--prune 50% --max-steps 3").run().ok();
    train(&t, "pruned", "--prune 50% --max-steps 31").run().code(2).says("prune_every: 1 -> 3");
    train(&t, "every", "--prune 50% --prune-every 1 --max-steps 3").run().ok();
    train(&t, "every", "--prune 50% --prune-every 1 --max-steps 4").run().ok();
}
