//! `isogloss score`: the command lines of the contract, rows, joins, formats, the gate.

use serde_json::{Value, json};

use crate::support::{Finished, Sandbox};

/// Records of three directions; `worse` swaps the words of every n-th hypothesis.
fn records(worse: usize) -> String {
    let mut out = String::new();
    let words = ["house", "tree", "river", "stone", "light", "winter", "garden"];
    for (d, (src, tgt, tier)) in
        [("de", "en", "high"), ("en", "de", "high"), ("en", "is", "low")].into_iter().enumerate()
    {
        for i in 0..30usize {
            let text = |shift: usize| {
                let word = |k: usize| words[(i * (d + 2) + k * 3 + shift) % words.len()];
                format!("The {} and the {} near a {}, {i}.", word(0), word(1), word(2))
            };
            let hyp = if worse > 0 && i % worse == 0 { text(1) } else { text(0) };
            let record = json!({
                "id": format!("{src}-{tgt}-{i}"), "src_lang": src, "tgt_lang": tgt,
                "hyp": if i % 7 == 3 { hyp.replace("the", "a") } else { hyp },
                "tgt": text(0), "tier": tier,
            });
            out += &format!("{record}\n");
        }
    }
    out
}

fn sandbox() -> Sandbox {
    let t = Sandbox::new();
    t.write("good.jsonl", records(0));
    t.write("bad.jsonl", records(4));
    t.write("hyp.txt", "the cat sat on the mat\nno match here\n\n");
    t.write("ref.txt", "the cat sat on a mat\nnothing alike\n\n");
    t.write("ref2.txt", "the cat sat on the mat .\nno match here at all\nx\n");
    t
}

fn value(records: &[Value], metric: &str, row: &str) -> f64 {
    let found = records.iter().find(|r| {
        let names = [&r["lang_pair"], &r["group"], &r["average"]];
        r["type"] == "score" && r["metric"] == metric && names.iter().any(|n| **n == row)
    });
    found.and_then(|r| r["value"].as_f64()).unwrap_or_else(|| panic!("{metric} {row}: {records:?}"))
}

#[test]
fn records_by_direction() {
    let t = sandbox();
    let run = t.isogloss(["score", "--metric", "bleu", "--metric", "chrf", "good.jsonl"]).run();
    insta::assert_snapshot!("score_directions", run.ok().transcript());

    let run = t.isogloss(["score", "--metric", "bleu", "good.jsonl", "--json"]).run();
    let records = run.ok().records();
    // Three directions, the mean, and all segments.
    assert_eq!(records.len(), 5);
    let pairs = ["de-en", "en-de", "en-is"].map(|p| value(&records, "BLEU", p));
    let mean = pairs.iter().sum::<f64>() / 3.0;
    assert!((value(&records, "BLEU", "macro") - mean).abs() < 1e-9);
    assert_eq!(records[0]["num_sentences"], 30);
    assert_eq!(records[4]["num_sentences"], 90);
    assert_eq!(
        records[0]["signature"],
        "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0"
    );
}

#[test]
fn line_aligned_files_with_several_references() {
    let t = sandbox();
    let args = ["score", "--metric", "bleu", "--hyp", "hyp.txt", "--ref", "ref.txt", "--json"];
    let one = t.isogloss(args).run().ok().records();
    assert_eq!(one.len(), 1);
    assert_eq!((&one[0]["by"], &one[0]["num_refs"]), (&json!("all"), &json!(1)));
    // sacrebleu: `sacrebleu ref.txt -i hyp.txt -w 4`, then with both references.
    assert_eq!(format!("{:.4}", one[0]["value"].as_f64().unwrap()), "42.2107");
    let two = t.isogloss(args).args(["--ref", "ref2.txt"]).run().ok().records();
    assert_eq!(format!("{:.4}", two[0]["value"].as_f64().unwrap()), "100.0000");
    assert!(two[0]["signature"].as_str().unwrap().starts_with("nrefs:2|"));
    // The file of hypotheses may stand alone, and come through a pipe.
    let piped = t
        .isogloss(["score", "--ref", "ref.txt", "--json", "--system", "hyp"])
        .stdin(t.read("hyp.txt"))
        .run();
    assert_eq!(piped.ok().records()[0]["value"], one[0]["value"]);
    // Nothing, as a pipe brings it whose first command failed, is not text without references.
    let nothing = t.isogloss(["score", "--json"]).stdin("").run();
    nothing.code(3).says("no hypotheses");
}

#[test]
fn metric_names_are_found_in_any_case_and_refused_otherwise() {
    let t = sandbox();
    let args = ["score", "--json", "--hyp", "hyp.txt", "--ref", "ref.txt"];
    let run = t
        .isogloss(args)
        .args(["--metric", "BLEU", "--metric", "chrF", "--metric", "chrf++", "--metric", "Ter"])
        .run();
    let names: Vec<Value> = run.ok().records().iter().map(|r| r["metric"].clone()).collect();
    assert_eq!(names, ["BLEU", "chrF2", "chrF2++", "TER"]);
    t.isogloss(args).args(["--metric", "blue"]).run().code(2).says("`bleu`");
    let run = t.isogloss(args).args(["--tokenize", "13b"]).run();
    run.code(2);
    let error = &run.error_records()[0];
    assert_eq!((&error["kind"], &error["flag"]), (&json!("usage"), &json!("--tokenize")));
    assert_eq!(error["hints"][0], "did you mean `13a`?");
    t.isogloss(args).args(["--tokenize", "flores200"]).run().code(2);
    t.isogloss(args).args(["--tokenize", "spm", "--spm-model", "no.model"]).run().code(4);
    t.write("junk.model", b"\x0a\xff\xff\xff\xffjunk");
    let run = t.isogloss(args).args(["--tokenize", "spm", "--spm-model", "junk.model"]).run();
    run.code(4);
    assert_eq!(run.error_records()[0]["message"], "not a SentencePiece model");
}

#[test]
fn groups_and_labels() {
    let t = sandbox();
    t.write("labels.json", r#"{"de": {"family": "West"}, "is": {"family": "North"}}"#);
    let run = t
        .isogloss(["score", "good.jsonl", "--by", "direction,tier", "--by", "tgt_lang"])
        .args(["--by", "family", "--groups", "labels.json", "--average", "both"])
        .run();
    insta::assert_snapshot!("score_groups", run.ok().transcript());

    let run = t.isogloss(["score", "good.jsonl", "--by", "tear"]).run();
    run.code(3).says("no segment has the field `tear`").says("`tier`");
    let run = t.isogloss(["score", "good.jsonl", "--by", "tier", "--groups", "labels.json"]).run();
    run.code(2).says("--by");
    t.isogloss(["score", "--hyp", "hyp.txt", "--ref", "ref.txt", "--by", "src_lang"])
        .run()
        .code(3)
        .says("--src-lang");
    let run = t
        .isogloss(["score", "--hyp", "hyp.txt", "--ref", "ref.txt", "--json"])
        .args(["--src-lang", "xx", "--tgt-lang", "yy"])
        .run();
    assert_eq!(run.ok().records()[0]["lang_pair"], "xx-yy");
}

/// An object of texts by language names no direction: flags do, and only without them its order.
#[test]
fn references_in_translation_objects() {
    let t = sandbox();
    let (de, en) = ("der alte Baum am Fluss", "the old tree at the river");
    let two = json!({"hyp": de, "translation": {"de": de, "en": en}});
    t.write("two.jsonl", format!("{two}\n{two}\n"));
    let score = |file: &str, flags: &[&str]| {
        t.isogloss(["score", "--metric", "chrf", "--json", file]).args(flags).run()
    };
    for (flags, pair) in [
        (&[][..], "de-en"),
        (&["--src-lang", "de"], "de-en"),
        (&["--tgt-lang", "en"], "de-en"),
        (&["--src-lang", "en"], "en-de"),
        (&["--tgt-lang", "de"], "en-de"),
        (&["--src-lang", "en", "--tgt-lang", "de"], "en-de"),
    ] {
        let run = score("two.jsonl", flags);
        let record = &run.ok().records()[0];
        assert_eq!(record["lang_pair"], pair, "{flags:?}");
        let is_same = record["value"].as_f64().unwrap() > 99.9;
        assert_eq!(is_same, pair == "en-de", "{flags:?}: {record}");
    }
    // A language without a text is not replaced by another.
    let run = score("two.jsonl", &["--tgt-lang", "is"]);
    run.code(3);
    let error = &run.error_records()[0];
    assert_eq!(error["message"], "`translation` has no text in `is`");
    assert_eq!((&error["path"], &error["line"]), (&json!("two.jsonl"), &json!(1)));
    assert_eq!((&error["field"], &error["found"]), (&json!("translation"), &json!("`de`, `en`")));
    assert_eq!(error["expected"], "`is`, as `--tgt-lang` says");
    let three = json!({"hyp": de, "translation": {"de": de, "en": en, "is": "tréð"}});
    t.write("three.jsonl", format!("{three}\n"));
    score("three.jsonl", &["--tgt-lang", "de"]).code(3).says("must hold two languages");
    let run = score("three.jsonl", &["--src-lang", "is", "--tgt-lang", "de"]);
    assert_eq!(run.ok().records()[0]["lang_pair"], "is-de");
    // Fields of the record's own come before the object.
    let own = json!({"hyp": "a", "tgt": "a", "src_lang": "fr", "tgt_lang": "pt",
        "translation": {"de": de, "en": en}});
    t.write("own.jsonl", format!("{own}\n"));
    assert_eq!(score("own.jsonl", &[]).ok().records()[0]["lang_pair"], "fr-pt");
}

/// The exit code for each kind of baseline, fall and gap.
#[test]
fn the_gate_in_a_table() {
    let t = sandbox();
    let scores = t.isogloss(["score", "good.jsonl", "--json"]).run();
    t.write("scores.jsonl", scores.ok().stdout());
    let array = t.isogloss(["score", "good.jsonl", "--format", "json"]).run();
    t.write("array.json", array.ok().stdout());
    let all = value(&scores.records(), "BLEU", "micro");
    let signature = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0";
    let sacrebleu = |score: f64| {
        format!(
            "{{\n \"name\": \"BLEU\",\n \"score\": {score:.1},\n \"signature\": \"{signature}\"\n}}\n"
        )
    };
    t.write("sacrebleu.json", sacrebleu(all));
    t.write("high.json", format!("[\n{}]\n", sacrebleu(all + 20.0)));
    let two: String =
        records(0).lines().filter(|l| !l.contains("en-is")).fold(String::new(), |mut all, line| {
            all += line;
            all.push('\n');
            all
        });
    t.write("two.jsonl", &two);
    let one: String =
        two.lines().filter(|l| l.contains("de-en")).map(|l| format!("{l}\n")).collect();
    t.write("one.jsonl", one);

    let cases: [(&str, &str, &[&str], i32); 19] = [
        // A system against itself, as hypotheses, records, an array, sacrebleu's JSON.
        ("good.jsonl", "good.jsonl", &["bleu=0"], 0),
        ("good.jsonl", "scores.jsonl", &["bleu=0"], 0),
        ("good.jsonl", "array.json", &["bleu=0"], 0),
        ("good.jsonl", "sacrebleu.json", &["bleu=0.1"], 0),
        // A worse system.
        ("bad.jsonl", "good.jsonl", &["bleu=0.5"], 1),
        ("bad.jsonl", "scores.jsonl", &["bleu=0.5"], 1),
        ("bad.jsonl", "good.jsonl", &["bleu=100"], 0),
        ("bad.jsonl", "sacrebleu.json", &["bleu=0.5"], 1),
        ("good.jsonl", "high.json", &["bleu=0.5"], 1),
        // A better one; for TER more is worse.
        ("good.jsonl", "bad.jsonl", &["bleu=0"], 0),
        ("good.jsonl", "bad.jsonl", &["ter=0"], 0),
        ("bad.jsonl", "good.jsonl", &["ter=0.5"], 1),
        // One of several metrics falls too far.
        ("bad.jsonl", "good.jsonl", &["bleu=100", "chrf=0.1"], 1),
        ("bad.jsonl", "good.jsonl", &["bleu=100", "chrf=100"], 0),
        // A direction is gone; a direction is new; a metric is not in the baseline.
        ("two.jsonl", "good.jsonl", &["bleu=100"], 1),
        ("two.jsonl", "scores.jsonl", &["bleu=100"], 1),
        ("good.jsonl", "two.jsonl", &["bleu=100"], 0),
        ("good.jsonl", "scores.jsonl", &["chrf=100"], 1),
        // sacrebleu's score of the only direction there is.
        ("one.jsonl", "high.json", &["bleu=100"], 0),
    ];
    for (hyp, baseline, drops, code) in cases {
        let mut run = t.isogloss(["score", hyp, "--baseline", baseline]);
        for drop in drops {
            run = run.args(["--max-drop", drop]);
        }
        run.run().code(code);
    }

    // Broken runs are not failed checks.
    let run = |args: &[&str]| t.isogloss(["score", "good.jsonl"]).args(args).run();
    run(&["--max-drop", "bleu=0.5"]).code(2);
    run(&["--baseline", "good.jsonl", "--max-drop", "bleu"]).code(2).says("METRIC=DROP");
    run(&["--baseline", "good.jsonl", "--max-drop", "bleu=-1"]).code(2);
    run(&["--baseline", "good.jsonl", "--max-drop", "blue=1"]).code(2).says("`bleu`");
    run(&["--baseline", "none.jsonl", "--max-drop", "bleu=1"]).code(4);
    run(&["--baseline", "scores.jsonl", "--max-drop", "bleu=1", "--tokenize", "char"])
        .code(3)
        .says("computed in another way");
    run(&["--baseline", "scores.jsonl", "--test", "paired_bs"]).code(2).says("--test");
    run(&["--test", "paired_bs"]).code(2).says("--baseline");
    t.write("other.jsonl", records(0).replace("winter", "summer"));
    run(&["--baseline", "other.jsonl", "--max-drop", "bleu=1"]).code(3).says("references");
    t.write("cut.jsonl", records(0).lines().skip(1).fold(String::new(), |a, l| a + l + "\n"));
    run(&["--baseline", "cut.jsonl", "--max-drop", "bleu=1"]).code(3).says("differ in number");
}

#[test]
fn the_contract_line_ends_with_the_failing_rows() {
    let t = sandbox();
    let run =
        t.isogloss(["score", "bad.jsonl", "--baseline", "good.jsonl", "--max-drop", "bleu=9"]);
    insta::assert_snapshot!("score_gate", run.run().code(1).transcript());
    let run =
        t.isogloss(["score", "bad.jsonl", "--baseline", "good.jsonl", "--max-drop", "bleu=9"]);
    let run = run.arg("--json").run();
    let gates: Vec<Value> =
        run.code(1).records().into_iter().filter(|r| r["type"] == "gate").collect();
    assert_eq!(gates.len(), 5);
    for g in &gates {
        let drop = g["baseline"].as_f64().unwrap() - g["value"].as_f64().unwrap();
        assert!((drop + g["delta"].as_f64().unwrap()).abs() < 1e-9);
        assert_eq!(g["status"], if drop > 9.0 { "fail" } else { "pass" });
    }
}

#[test]
fn significance() {
    let t = sandbox();
    let run = t
        .isogloss(["score", "good.jsonl", "bad.jsonl", "--test", "paired_bs", "--samples", "200"])
        .args(["--metric", "bleu", "--metric", "ter"])
        .run();
    insta::assert_snapshot!("score_paired", run.ok().transcript());

    let args = ["score", "bad.jsonl", "--baseline", "good.jsonl", "--test", "ar", "--trials", "99"];
    let run = t.isogloss(args).arg("--json").run();
    for r in run.ok().records() {
        assert_eq!(r["test"], "paired_ar");
        let p = r["p_value"].as_f64().unwrap();
        assert!((0.01..=1.0).contains(&p), "{r}");
        assert!(r["signature"].as_str().unwrap().contains("|ar:99|seed:12345|"), "{r}");
        assert!(r.get("ci_low").is_none());
    }
    // A fall that could be chance passes, if asked to.
    let gate = ["--max-drop", "bleu=0.5", "--max-p"];
    t.isogloss(args).args(gate).arg("0.001").run().ok();
    t.isogloss(args).args(gate).arg("1").run().code(1);
    t.isogloss(["score", "bad.jsonl", "--baseline", "good.jsonl"])
        .args(gate)
        .arg("1")
        .run()
        .code(2);

    // Equal seeds, equal numbers; sacrebleu's variable and our flag are one.
    let interval = |name: &str, seed: &str, flag: &[&str]| {
        let args = ["score", "good.jsonl", "--confidence", "--samples", "50", "--json"];
        t.isogloss(args).args(flag).env(name, seed).run().ok().stdout()
    };
    let default = interval("X", "", &[]);
    assert_eq!(interval("SACREBLEU_SEED", "12345", &[]), default);
    let other = interval("SACREBLEU_SEED", "7", &[]);
    assert_ne!(other, default);
    assert_eq!(interval("X", "", &["--resample-seed", "7"]), other);
    assert_eq!(interval("X", "", &["--threads", "1"]), default);
}

#[test]
fn formats() {
    let t = sandbox();
    let mut page = String::new();
    for format in ["text", "jsonl", "json", "tsv", "markdown", "latex"] {
        let run = t
            .isogloss(["score", "--hyp", "hyp.txt", "--ref", "ref.txt", "--format", format])
            .args(["--metric", "bleu", "--metric", "chrf++", "--width", "3"])
            .run();
        page += &run.ok().transcript();
        page.push('\n');
    }
    insta::assert_snapshot!("score_formats", page);
    let alone =
        t.isogloss(["score", "--hyp", "hyp.txt", "--ref", "ref.txt", "-b", "-w", "4"]).run();
    assert_eq!(alone.ok().stdout(), "42.2107\n");
    let short = t.isogloss(["score", "--hyp", "hyp.txt", "--ref", "ref.txt", "--short"]).run();
    assert!(short.ok().stdout().contains("#:1|c:mixed|e:no|tok:13a|s:exp|v:2.6.0"));
}

#[test]
fn joins_and_foreign_forms() {
    let t = sandbox();
    let score = |run: &Finished| run.ok().records()[0]["value"].clone();
    let aligned =
        score(&t.isogloss(["score", "--hyp", "hyp.txt", "--ref", "ref.txt", "--json"]).run());
    // By id, in another order.
    let (hyps, refs) = (t.read("hyp.txt"), t.read("ref.txt"));
    let line = |i: usize, name: &str, text: &str| format!("{}\n", json!({"id": i, name: text}));
    let hyp: String = hyps.lines().enumerate().map(|(i, l)| line(i, "hyp", l)).collect();
    let reference: String = numbered(&refs).rev().map(|(i, l)| line(i, "ref", l)).collect();
    t.write("h.jsonl", hyp);
    t.write("r.jsonl", reference);
    let run = t.isogloss(["score", "h.jsonl", "--ref", "r.jsonl", "--json"]).run();
    assert_eq!(score(&run), aligned);
    // TSV, and what fairseq-generate prints.
    let rows: String = hyps.lines().zip(refs.lines()).map(|(h, r)| format!("{h}\t{r}\n")).collect();
    t.write("both.tsv", format!("hyp\tref\n{rows}"));
    assert_eq!(score(&t.isogloss(["score", "both.tsv", "--json"]).run()), aligned);
    let fairseq: String = numbered(&hyps)
        .rev()
        .map(|(i, h)| format!("S-{i}\tx\nH-{i}\t-0.5\t{h}\nP-{i}\t-0.1\n"))
        .collect();
    t.write("generate.out", fairseq);
    let run = t
        .isogloss(["score", "generate.out", "--input-format", "fairseq", "--ref", "ref.txt"])
        .arg("--json")
        .run();
    assert_eq!(score(&run), aligned);
    // Plain text as a baseline borrows the references of the records.
    let lines: String = records(0)
        .lines()
        .map(|l| {
            format!("{}\n", serde_json::from_str::<Value>(l).unwrap()["hyp"].as_str().unwrap())
        })
        .collect();
    t.write("base.txt", lines);
    t.isogloss(["score", "good.jsonl", "--baseline", "base.txt", "--max-drop", "bleu=0"])
        .run()
        .ok();
    t.isogloss(["score", "bad.jsonl", "--baseline", "base.txt", "--max-drop", "bleu=0"])
        .run()
        .code(1);
}

#[test]
fn bad_input() {
    let t = sandbox();
    t.write("short.txt", "one\n");
    t.write("latin.txt", b"caf\xe9\n\n\n");
    t.write("nohyp.jsonl", "{\"tgt\":\"a\"}\n");
    t.write("noref.jsonl", "{\"hyp\":\"a\"}\n");
    t.write("cut.jsonl", "{\"hyp\":\"a\",\"tgt\":\"b\"}\n{\"hyp\":\"a\n");
    t.write("empty.jsonl", "");
    let cases: [(&[&str], i32); 12] = [
        (&["--hyp", "hyp.txt", "--ref", "short.txt"], 3),
        (&["--hyp", "short.txt", "--ref", "ref.txt"], 3),
        (&["--hyp", "latin.txt", "--ref", "ref.txt"], 3),
        (&["--hyp", "hyp.txt"], 2),
        (&["nohyp.jsonl"], 3),
        (&["noref.jsonl"], 3),
        (&["cut.jsonl"], 3),
        (&["empty.jsonl"], 3),
        (&["missing.jsonl"], 4),
        (&["."], 4),
        (&["-", "--ref", "-"], 2),
        (&["good.jsonl", "./good.jsonl", "good.jsonl"], 2),
    ];
    let mut page = String::new();
    for (args, code) in cases {
        let run = t.isogloss(["score"]).args(args).run();
        run.code(code);
        assert!(run.stdout().is_empty(), "{}", run.transcript());
        page += &run.transcript();
        page.push('\n');
    }
    insta::assert_snapshot!("score_errors", page);
}

/// Whatever comes in: an answer or a clear refusal, never a panic.
#[test]
fn any_bytes() {
    let t = Sandbox::new();
    let mut state = 7u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % n
    };
    let pieces: [&[u8]; 16] = [
        b"{\"hyp\":\"",
        b"\",\"tgt\":\"",
        b"\"}\n",
        b"\n",
        b"\r\n",
        b"\t",
        b"\xff\xfe",
        b"\xed\xa0\x80",
        "漢字 é".as_bytes(),
        b"\\u0000",
        b"[[[[",
        b"H-0\t-1\tx\n",
        b"hyp\tref\n",
        b"1.5,,-",
        b"\x1c\x1f \x0b",
        b"a b c a b c",
    ];
    for round in 0..30 {
        let mut bytes = Vec::new();
        for _ in 0..random(60) {
            bytes.extend_from_slice(pieces[random(pieces.len())]);
        }
        let format = ["jsonl", "tsv", "text", "fairseq"][round % 4];
        t.write("ref.txt", &bytes);
        let run = t
            .isogloss(["score", "--input-format", format, "--metric", "bleu", "--metric", "chrf++"])
            .args(["--metric", "ter", "--ref", "ref.txt", "--tokenize", "zh", "-"])
            .stdin(&bytes)
            .run();
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.transcript());
    }
    // Lines of a million characters, with and without words to shift.
    let line = "ab c, ".repeat(170_000);
    t.write("long.txt", format!("{line}\n{}\n", "x".repeat(1_000_000)));
    t.write("other.txt", format!("c {line}\n{}\n", "x".repeat(999_999)));
    let run = t
        .isogloss(["score", "--metric", "bleu", "--metric", "chrf++", "--metric", "ter", "--json"])
        .args(["--hyp", "long.txt", "--ref", "other.txt"])
        .run();
    assert_eq!(run.ok().records().len(), 3);
}

/// Lines with their zero-based numbers, from either end.
fn numbered(text: &str) -> impl DoubleEndedIterator<Item = (usize, &str)> {
    text.lines().collect::<Vec<_>>().into_iter().enumerate()
}
