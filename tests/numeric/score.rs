//! Scores against Python sacrebleu 2.6.0 on texts made by `tests/data/score/record.py`: numbers,
//! details, signatures, intervals and p-values.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use isogloss::records::Segment;
use isogloss::scoring::Metric;
use isogloss::scoring::aggregate::{By, Row, rows};
use isogloss::scoring::bleu::{Bleu, Smoothing};
use isogloss::scoring::chrf::Chrf;
use isogloss::scoring::compare::{Alignment, Baseline, Significance, resample_rows};
use isogloss::scoring::corpus::{Corpus, Keep};
use isogloss::scoring::resample::{Interval, Seed, Test};
use isogloss::scoring::signature::signature;
use isogloss::scoring::ter::Ter;
use isogloss::scoring::tokenizers::{BleuTokenizer, Tercom, TokenizerName};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/score").join(name)
}

fn json(name: &str) -> Value {
    let text = std::fs::read_to_string(data(name)).expect("recorded file");
    serde_json::from_str(&text).expect("JSON")
}

/// The texts of one name.
struct Texts {
    a: Vec<String>,
    b: Vec<String>,
    /// By reference, then by segment; none where a segment has fewer.
    refs: Vec<Vec<Option<String>>>,
}

fn corpora() -> BTreeMap<String, Texts> {
    let text = |v: &Value| v.as_str().map(str::to_string);
    let list = |v: &Value| v.as_array().expect("list").iter().filter_map(text).collect();
    json("corpora.json")
        .as_object()
        .expect("object")
        .iter()
        .map(|(name, v)| {
            let refs = v["refs"].as_array().expect("list").iter();
            let texts = Texts {
                a: list(&v["a"]),
                b: list(&v["b"]),
                refs: refs
                    .map(|r| r.as_array().expect("list").iter().map(text).collect())
                    .collect(),
            };
            (name.clone(), texts)
        })
        .collect()
}

impl Texts {
    fn score(&self, hyps: &[String], metrics: &[Metric], keep: Keep) -> Corpus {
        let segments: Vec<Segment<'_>> = hyps
            .iter()
            .enumerate()
            .map(|(i, hyp)| Segment {
                hyp: Some(hyp.as_str().into()),
                refs: self.refs.iter().filter_map(|r| r[i].as_deref().map(Into::into)).collect(),
                ..Segment::default()
            })
            .collect();
        let mut corpus = Corpus::new(metrics.to_vec(), keep);
        corpus.add(&segments, |s| Ok(Some(s.borrowed()))).expect("scored");
        corpus
    }
}

fn whole(corpus: &Corpus) -> Vec<Row> {
    rows(&corpus.units, &corpus.metrics, &By::All, &[]).expect("rows")
}

fn bleu(args: &Value, model: Option<&Path>) -> Metric {
    let flag = |name: &str| args[name].as_bool().unwrap_or(false);
    let name = TokenizerName::parse(args["tokenize"].as_str().unwrap_or("13a")).expect("known");
    Metric::Bleu(Bleu {
        tokenizer: BleuTokenizer::new(name, model).expect("model"),
        lowercase: flag("lowercase"),
        smoothing: Smoothing::new(
            args["smooth_method"].as_str().unwrap_or("exp"),
            args["smooth_value"].as_f64(),
        )
        .expect("smoothing"),
        effective_order: flag("effective_order"),
    })
}

fn metric(name: &str, args: &Value) -> Metric {
    let flag = |name: &str| args[name].as_bool().unwrap_or(false);
    let number = |name: &str, default: u64| args[name].as_u64().unwrap_or(default);
    match name {
        "bleu" => bleu(args, None),
        "chrf" => Metric::Chrf(Chrf {
            char_order: number("char_order", 6) as usize,
            word_order: number("word_order", 0) as usize,
            beta: number("beta", 2) as u32,
            lowercase: flag("lowercase"),
            whitespace: flag("whitespace"),
            eps_smoothing: flag("eps_smoothing"),
        }),
        "ter" => Metric::Ter(Ter {
            tokenizer: Tercom {
                normalized: flag("normalized"),
                no_punct: flag("no_punct"),
                asian_support: flag("asian_support"),
                case_sensitive: flag("case_sensitive"),
            },
        }),
        other => panic!("{other}"),
    }
}

/// Far below the last digit anyone prints; logarithms and exponentials of two C libraries may
/// differ in their last bit.
#[track_caller]
fn close(found: f64, expected: &Value, what: &str) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what}: {expected}"));
    let tolerance = 1e-10 * expected.abs().max(1.0);
    assert!((found - expected).abs() <= tolerance, "{what}: {found} is not {expected}");
}

#[test]
fn scores_details_and_signatures() {
    let corpora = corpora();
    let golden = json("golden.json");
    let golden = golden["scores"].as_object().expect("object");
    assert!(golden.len() >= 20);
    let mut compared = 0;
    for (name, expected) in golden {
        let texts = &corpora[name];
        let expected = expected.as_array().expect("list");
        let metrics: Vec<Metric> =
            expected.iter().map(|e| metric(e[0].as_str().expect("name"), &e[1])).collect();
        let row = whole(&texts.score(&texts.a, &metrics, Keep::Sums)).remove(0);
        for (m, (metric, e)) in metrics.iter().zip(expected).enumerate() {
            let what = format!("{name} {} {}", e[0], e[1]);
            close(row.values[m], &e[2], &what);
            let sums = &row.sums.as_ref().expect("sums")[m];
            let verbose = metric.verbose(sums).unwrap_or_default();
            assert_eq!(verbose, e[3].as_str().expect("text"), "{what}");
            let signed = signature(metric, row.num_refs, &Default::default());
            assert_eq!(signed, e[4].as_str().expect("text"), "{what}");
            compared += 1;
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn sentencepiece_tokenizers() {
    let corpora = corpora();
    let golden = json("golden.json");
    for (name, expected) in golden["spm"].as_object().expect("object") {
        let texts = &corpora[name];
        for e in expected.as_array().expect("list") {
            let path = data(e[0].as_str().expect("file"));
            let metric = bleu(&serde_json::json!({"tokenize": e[1]}), Some(&path));
            let row = whole(&texts.score(&texts.a, std::slice::from_ref(&metric), Keep::Sums));
            close(row[0].values[0], &e[2], &format!("{name} {} {}", e[0], e[1]));
            assert_eq!(signature(&metric, row[0].num_refs, &Default::default()), e[3]);
        }
    }
}

fn significance(test: Option<Test>, confidence: bool, samples: u64, trials: u64) -> Significance {
    Significance {
        confidence,
        ci_level: 0.95,
        samples: samples as usize,
        test,
        trials: trials as usize,
        seed: Seed::default(),
    }
}

#[track_caller]
fn same_interval(found: Option<Interval>, mean: &Value, half: &Value, what: &str) {
    match found {
        None => assert!(mean.is_null() && half.is_null(), "{what}: no interval, but {mean}"),
        Some(i) => {
            close(i.mean, mean, what);
            close(i.half, half, what);
        }
    }
}

#[test]
fn intervals() {
    let corpora = corpora();
    let golden = json("golden.json");
    let mut compared = 0;
    for (name, expected) in golden["intervals"].as_object().expect("object") {
        let texts = &corpora[name];
        for e in expected.as_array().expect("list") {
            let what = format!("{name} {} {}", e[0], e[1]);
            let metric = metric(e[0].as_str().expect("name"), &e[1]);
            let draw = significance(None, true, e[2].as_u64().expect("number"), 0);
            let corpus = texts.score(&texts.a, std::slice::from_ref(&metric), Keep::Single);
            let rows = whole(&corpus);
            let statistics = resample_rows(&corpus, &rows, None, &draw).expect("resampled");
            same_interval(statistics[0].intervals[0], &e[3], &e[4], &what);
            assert_eq!(signature(&metric, rows[0].num_refs, &draw.resampling()), e[5], "{what}");
            compared += 1;
        }
    }
    assert!(compared >= 40, "{compared}");
}

fn compare_pair(texts: &Texts, b: &[String], expected: &Value, name: &str) {
    let metrics = [
        Metric::Bleu(Bleu::default()),
        Metric::Chrf(Chrf { word_order: 2, ..Chrf::default() }),
        Metric::Ter(Ter::default()),
    ];
    let n = expected["n"].as_u64().expect("number");
    let confidence = expected["confidence"].as_i64().expect("number");
    let what = match expected["test"].as_str() {
        Some("bs") => significance(Some(Test::Bootstrap), false, n, 0),
        _ if confidence > 0 => significance(Some(Test::Randomization), true, confidence as u64, n),
        _ => significance(Some(Test::Randomization), false, 0, n),
    };
    let baseline = texts.score(&texts.a, &metrics, Keep::Double);
    let system = texts.score(b, &metrics, Keep::Double);
    let (base_rows, rows) = (whole(&baseline), whole(&system));
    let alone = resample_rows(&baseline, &base_rows, None, &what).expect("resampled");
    let alignment = Alignment::new(&system, &baseline, ("b", "a")).expect("aligned");
    let paired = Baseline { corpus: &baseline, rows: &base_rows, alignment };
    let found = resample_rows(&system, &rows, Some(&paired), &what).expect("resampled");
    for (m, metric) in metrics.iter().enumerate() {
        let e = &expected["metrics"][metric.name()];
        let what_here = format!("{name} {} {confidence} {}", expected["test"], metric.name());
        close(base_rows[0].values[m], &e["baseline"][0], &what_here);
        close(rows[0].values[m], &e["system"][0], &what_here);
        same_interval(alone[0].intervals[m], &e["baseline"][1], &e["baseline"][2], &what_here);
        same_interval(found[0].intervals[m], &e["system"][1], &e["system"][2], &what_here);
        close(found[0].p_values[m].expect("a p-value"), &e["p_value"], &what_here);
        let signed = signature(metric, rows[0].num_refs, &what.resampling());
        assert_eq!(signed, e["signature"].as_str().expect("text"), "{what_here}");
    }
}

#[test]
fn paired_tests() {
    let corpora = corpora();
    let golden = json("golden.json");
    for (name, expected) in golden["paired"].as_object().expect("object") {
        let texts = &corpora[name];
        for e in expected.as_array().expect("list") {
            compare_pair(texts, &texts.b, e, name);
        }
    }
    let texts = &corpora["de"];
    for e in golden["paired_same"].as_array().expect("list") {
        compare_pair(texts, &texts.a, e, "same");
    }
}
