//! Activation counts and the neurons chosen from them, against those recorded from transformers
//! with hooks (tests/data/profiling/record.py), and the laws of counting.

use std::path::{Path, PathBuf};

use isogloss::formats::neuron_stats::{Counting, NeuronStats};
use isogloss::formats::neurons::{Block, Side};
use isogloss::formats::provenance::Provenance;
use isogloss::kernels::vector::Isa;
use isogloss::model::inference::InferenceModel;
use isogloss::model::{Checkpoint, M2m100, ParameterSet};
use isogloss::profiling::{ProfileOptions, Profiler, add_stats, cumulative, overlap};
use isogloss::text::Convention;
use serde_json::Value;

const CASES: [&str; 2] = ["even", "lopsided"];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

fn golden() -> Value {
    let text = std::fs::read_to_string(data().join("profiling/golden.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn model(case: &str, isa: Isa) -> InferenceModel {
    let checkpoint = Checkpoint::open(&data().join("training").join(case)).unwrap();
    InferenceModel::with_isa(&checkpoint, isa).unwrap()
}

fn ids(v: &Value) -> Vec<u32> {
    v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}

fn counts(v: &Value) -> Vec<u64> {
    v.as_array().unwrap().iter().map(|x| x.as_u64().unwrap()).collect()
}

/// Sentence pairs by direction.
type Text = Vec<(String, Vec<(Vec<u32>, Vec<u32>)>)>;

fn text(case: &Value) -> Text {
    let directions = case["directions"].as_object().unwrap();
    let pairs = |d: &Value| {
        d["pairs"].as_array().unwrap().iter().map(|p| (ids(&p[0]), ids(&p[1]))).collect()
    };
    directions.iter().map(|(name, d)| (name.clone(), pairs(d))).collect()
}

fn profile(
    model: &InferenceModel,
    threads: usize,
    text: &Text,
    options: ProfileOptions,
) -> NeuronStats {
    count(Profiler::new(model, threads, options), text)
}

fn count(mut profiler: Profiler<'_>, text: &Text) -> NeuronStats {
    for (direction, pairs) in text {
        let pairs: Vec<(&[u32], &[u32])> =
            pairs.iter().map(|(s, t)| (s.as_slice(), t.as_slice())).collect();
        profiler.add(direction, &pairs).unwrap();
    }
    profiler.finish(None)
}

fn options(counting: Counting) -> ProfileOptions {
    ProfileOptions { counting, sums: true, convention: Convention::M2m100, batch_tokens: 4096 }
}

fn conventions() -> Vec<(&'static str, Counting)> {
    let token = Counting::default();
    vec![
        ("token", token.clone()),
        ("sentence", Counting { unit: "sentence".into(), ..token.clone() }),
        ("no_marks", Counting { marks: false, ..token.clone() }),
        ("padded", Counting { padding: true, ..token.clone() }),
        ("threshold_0.5", Counting { threshold: 0.5, ..token }),
    ]
}

/// Section 3: every count of every convention, exactly; sums closely. Also as other devices count.
#[test]
fn counts_equal_those_recorded_with_hooks() {
    let golden = golden();
    for name in CASES {
        let case = &golden["cases"][name];
        let checkpoint = Checkpoint::open(&data().join("training").join(name)).unwrap();
        let set = ParameterSet::load(&checkpoint, |_| false).unwrap();
        let trained = M2m100::new(&checkpoint.config, &set, None).unwrap();
        for (convention, counting) in conventions() {
            for isa in Isa::available() {
                let stats = profile(&model(name, isa), 2, &text(case), options(counting.clone()));
                equals_recorded(&stats, case, convention, &format!("{name} {}", isa.name()));
            }
            let profiler = Profiler::on_device(&trained, options(counting));
            let stats = count(profiler, &text(case));
            equals_recorded(&stats, case, convention, &format!("{name} composed"));
        }
    }
}

fn equals_recorded(stats: &NeuronStats, case: &Value, convention: &str, what: &str) {
    for (i, pair) in stats.lang_pairs.iter().enumerate() {
        let d = &case["directions"][pair];
        assert_eq!(stats.sentence_count[i], d["sentences"].as_u64().unwrap());
        for (side, column) in [("encoder", 0), ("decoder", 1)] {
            if let Some(n) = d["positions"][side][convention].as_u64() {
                assert_eq!(stats.token_count[i][column], n, "{what} {pair} {side}");
            }
        }
        let modules = d["modules"].as_object().unwrap();
        assert_eq!(modules.len(), stats.blocks.len());
        for (module, m) in modules {
            let block = Block::parse(module).unwrap();
            let got = stats.counts(block, i).unwrap();
            assert_eq!(got, counts(&m[convention]), "{what} {pair} {module} {convention}");
            if convention == "token" {
                let sums = stats.sums(block, i).unwrap();
                for (s, w) in sums.iter().zip(m["sum"].as_array().unwrap()) {
                    assert!((s - w.as_f64().unwrap()).abs() < 1e-4);
                }
            }
        }
    }
}

/// Sections 4 and 10: neurons chosen from the recorded counts, and their overlap.
#[test]
fn selections_and_overlap_equal_the_recorded_ones() {
    let golden = golden();
    let names: Vec<&str> =
        golden["directions"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
    for case in CASES.map(|c| &golden["cases"][c]) {
        for (module, iou) in case["iou_70"].as_object().unwrap() {
            let mut masks = Vec::new();
            for pair in &names {
                let m = &case["directions"][*pair]["modules"][module];
                for k in ["70", "95"] {
                    let mask = cumulative(&counts(&m["token"]), k.parse().unwrap());
                    let kept: Vec<u64> =
                        (0..mask.len() as u64).filter(|&i| mask[i as usize]).collect();
                    assert_eq!(kept, counts(&m["selected"][k]), "{module} {pair} {k}");
                    if k == "70" {
                        masks.push(mask);
                    }
                }
            }
            for (a, row) in iou.as_array().unwrap().iter().enumerate() {
                for (b, want) in row.as_array().unwrap().iter().enumerate() {
                    let o = overlap(&masks[a], &masks[b]);
                    assert_eq!(vec![o.both, o.either], counts(want), "{module} {a} {b}");
                }
            }
        }
    }
}

/// Section 15 (g): the order of the text, its division into shards, batches and threads change
/// nothing when padding is left out.
#[test]
fn counts_are_additive_and_know_no_order() {
    let golden = golden();
    for name in CASES {
        let text = text(&golden["cases"][name]);
        let model = model(name, Isa::detect());
        for counting in conventions().into_iter().filter(|(n, _)| *n != "padded").map(|c| c.1) {
            let whole = profile(&model, 1, &text, options(counting.clone()));
            let mut turned = text.clone();
            turned.reverse();
            turned.iter_mut().for_each(|(_, pairs)| pairs.reverse());
            let small = ProfileOptions { batch_tokens: 7, ..options(counting.clone()) };
            assert_eq!(profile(&model, 3, &turned, small), whole);

            let shard = |which: usize| -> NeuronStats {
                let part: Text = text
                    .iter()
                    .map(|(d, pairs)| {
                        let own = pairs.iter().enumerate().filter(|(i, _)| i % 3 == which);
                        (d.clone(), own.map(|(_, p)| p.clone()).collect())
                    })
                    .collect();
                profile(&model, 2, &part, options(counting.clone()))
            };
            let mut sum = shard(2);
            for which in [0, 1] {
                add_stats(&mut sum, &shard(which)).unwrap();
            }
            assert_eq!(sum, whole);
        }
    }
}

/// More text than is encoded at once: pieces of a batch are counted like any other.
#[test]
fn long_batches_are_counted_piece_by_piece() {
    let golden = golden();
    let case = &golden["cases"]["even"];
    let model = model("even", Isa::detect());
    let text: Text =
        text(case).into_iter().map(|(d, pairs)| (d, vec![pairs; 80].concat())).collect();
    for (convention, counting) in conventions().into_iter().filter(|(n, _)| *n != "padded") {
        let large = ProfileOptions { batch_tokens: 100_000, ..options(counting.clone()) };
        let stats = profile(&model, 2, &text, large);
        assert!(stats.token_count.iter().any(|[encoder, _]| *encoder > 1024));
        for (i, pair) in stats.lang_pairs.iter().enumerate() {
            for (module, m) in case["directions"][pair]["modules"].as_object().unwrap() {
                let want: Vec<u64> = counts(&m[convention]).iter().map(|c| c * 80).collect();
                let got = stats.counts(Block::parse(module).unwrap(), i).unwrap();
                assert_eq!(got, want, "{pair} {module} {convention}");
            }
        }
    }
}

/// A model whose decoder starts with the padding token (as some are published) counts like any
/// other: padding is a place, not an id.
#[test]
fn a_start_token_that_is_the_padding_token_is_no_padding() {
    let dir = tempfile::tempdir().unwrap();
    let from = data().join("training/even");
    std::fs::copy(from.join("model.safetensors"), dir.path().join("model.safetensors")).unwrap();
    let config = std::fs::read_to_string(from.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    config["decoder_start_token_id"] = config["pad_token_id"].clone();
    std::fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
    let model = InferenceModel::from_checkpoint(&Checkpoint::open(dir.path()).unwrap()).unwrap();
    let text = text(&golden()["cases"]["even"]);
    let padded = Counting { padding: true, ..Counting::default() };
    for counting in [Counting::default(), padded] {
        let stats = profile(&model, 1, &text, options(counting));
        for b in stats.blocks.values() {
            assert!(b.active.iter().sum::<u64>() > 0 && b.sums.iter().all(|s| s.is_finite()));
        }
        assert!(stats.blocks[&Block::new(Side::Decoder, 1)].active.iter().any(|c| *c > 0));
    }
}

/// Padding does depend on the batch: alone, a sentence has none.
#[test]
fn padding_is_counted_only_when_asked_and_only_where_there_is_any() {
    let golden = golden();
    let text = text(&golden["cases"]["even"]);
    let model = model("even", Isa::detect());
    let padded = Counting { padding: true, ..Counting::default() };
    let alone = ProfileOptions { batch_tokens: 1, ..options(padded.clone()) };
    let mut alone = profile(&model, 1, &text, alone);
    let plain = profile(&model, 1, &text, options(Counting::default()));
    // Only as long as the two sides of a pair: one sentence a batch leaves nothing to fill.
    assert_eq!(alone.token_count, plain.token_count);
    alone.counting = plain.counting.clone();
    assert_eq!(alone, plain);
    assert_ne!(profile(&model, 1, &text, options(padded)).blocks, plain.blocks);
}

/// Written and read again, the content is the same, and so are the bytes of another writing.
#[test]
fn statistics_survive_a_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    let golden = golden();
    let model = model("lopsided", Isa::detect());
    let mut stats =
        profile(&model, 1, &text(&golden["cases"]["lopsided"]), options(Counting::default()));
    stats.base_model_sha256 = Some("abc".into());
    for (name, large) in [("narrow", false), ("wide", true)] {
        if large {
            let block = stats.blocks.get_mut(&Block::new(Side::Decoder, 0)).unwrap();
            block.active[3] = u64::MAX - 1;
        }
        // Sums are stored as f32.
        for b in stats.blocks.values_mut() {
            b.sums.iter_mut().for_each(|s| *s = f64::from(*s as f32));
        }
        let path = dir.path().join(name);
        stats.write(&Provenance::default(), &path, false).unwrap();
        let read = NeuronStats::read(&path).unwrap();
        assert_eq!(read, stats);
        let again = dir.path().join(format!("{name}-again"));
        read.write(&Provenance::default(), &again, false).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&again).unwrap());
    }
}
