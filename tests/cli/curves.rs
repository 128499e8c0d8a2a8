//! `inspect --curves`: validation losses of training runs as figures and records.

use serde_json::Value;

use crate::lora::words;
use crate::support::Sandbox;
use crate::train::corpus_from;

/// Two runs from one model, of which one learns faster.
fn prepared() -> Sandbox {
    let t = Sandbox::new();
    t.write("train.jsonl", corpus_from(0, 80));
    t.write("dev.jsonl", corpus_from(300, 8));
    t.isogloss(words("init -q -o model --vocab-size 60 --preset tiny train.jsonl")).run().ok();
    for (run, lr) in [("slow", "1e-4"), ("runs/fast", "3e-3")] {
        train(&t, run, lr, 8).run().ok();
    }
    t
}

fn train(t: &Sandbox, out: &str, lr: &str, steps: u64) -> crate::support::Invocation {
    let line = "train -q -m model --train train.jsonl --valid dev.jsonl --batch-tokens 128 \
        --warmup-steps 1 --lr-schedule constant --dropout 0 --valid-every 2 --save-every 4 \
        --log-every 1 -o";
    let steps = steps.to_string();
    t.isogloss(words(line)).args([out, "--lr", lr, "--max-steps", &steps])
}

fn log(t: &Sandbox, run: &str) -> Vec<Value> {
    let text = t.read(&format!("{run}/log.jsonl"));
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn runs_side_by_side() {
    let t = prepared();
    let run = t.isogloss(words("inspect slow runs/fast --curves fig -f jsonl")).run();
    let records = run.ok().records();
    assert_eq!(records.len(), 2);
    // What the log says, worked out again.
    let valid = |run: &str| -> Vec<(u64, f64, f64)> {
        let all = log(&t, run);
        let own = all.iter().filter(|r| r["type"] == "valid" && r["group"] == "all");
        let number = |r: &Value, k: &str| r[k].as_f64().unwrap_or_else(|| panic!("{k}: {r}"));
        own.map(|r| (r["step"].as_u64().unwrap(), number(r, "nll"), number(r, "elapsed_s")))
            .collect()
    };
    let (slow, fast) = (valid("slow"), valid("runs/fast"));
    let steps: Vec<u64> = slow.iter().map(|v| v.0).collect();
    assert_eq!(steps, [2, 4, 6, 8]);
    assert!(slow.windows(2).all(|w| w[0].2 <= w[1].2), "time goes on: {slow:?}");
    let least = |v: &[(u64, f64, f64)]| v.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
    let target = least(&slow).max(least(&fast));
    for (record, (name, own)) in records.iter().zip([("slow", &slow), ("fast", &fast)]) {
        assert_eq!((&record["type"], &record["run"]), (&"convergence".into(), &name.into()));
        assert!((record["best_nll"].as_f64().unwrap() - least(own)).abs() < 1e-6);
        assert!((record["target_nll"].as_f64().unwrap() - target).abs() < 1e-6);
        let reached = own.iter().find(|p| p.1 <= target).unwrap();
        assert_eq!(record["reached_step"], reached.0);
        assert_eq!(record["reached_s"], reached.2);
    }
    for (name, x) in [("loss-by-step", "step"), ("loss-by-time", "time in seconds")] {
        let svg = t.read(&format!("fig/{name}.svg"));
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
        assert!(svg.contains(">slow<") && svg.contains(">fast<") && svg.contains(x), "{name}");
        // Four points of each of two runs, and the lowest again.
        assert_eq!(svg.matches("<title>").count(), 1 + 2 * (4 + 1), "{name}");
    }
    // The same again is no conflict; other figures are.
    let text = t.isogloss(words("inspect slow runs/fast --curves fig")).run().ok().stdout();
    assert!(text.contains("slow") && text.contains("best nll"), "{text}");
    let line = "inspect slow --curves fig";
    t.isogloss(words(line)).run().code(5).says("loss-by-step.svg").says("--force");
    t.isogloss(words(line)).arg("--force").run().ok();
    assert!(!t.read("fig/loss-by-step.svg").contains(">fast<"));
}

#[test]
fn older_logs_take_the_time_of_the_step_and_resumed_ones_the_last_word() {
    let t = prepared();
    train(&t, "slow", "1e-4", 12).run().ok();
    assert!(log(&t, "slow").iter().any(|r| r["type"] == "resume"));
    let of = |run: &str| {
        let line = format!("inspect {run} --curves {run}-fig --json");
        t.isogloss(words(&line)).run().ok().records().remove(0)
    };
    assert_eq!(of("slow")["best_step"], 12);
    let old: Vec<String> = log(&t, "slow")
        .into_iter()
        .map(|mut r| {
            if r["type"] == "valid" {
                r.as_object_mut().unwrap().shift_remove("elapsed_s");
            }
            r.to_string()
        })
        .collect();
    t.write("old/log.jsonl", old.join("\n") + "\n");
    let step = log(&t, "slow");
    let step = step.iter().find(|r| r["type"] == "train_step" && r["step"] == 12).unwrap();
    assert_eq!(of("old")["reached_s"], step["elapsed_s"]);
}

#[test]
fn what_is_no_run_is_refused() {
    let t = Sandbox::new();
    t.write("text/log.jsonl", "{\"type\":\"end\",\"step\":1}\n");
    t.write("broken/log.jsonl", "{\n{}\n");
    t.write("good/log.jsonl", "{\"type\":\"valid\",\"step\":5,\"group\":\"all\",\"nll\":2.5}\n");
    t.write("a/good/log.jsonl", t.read("good/log.jsonl"));
    for (line, code, says) in [
        ("inspect none --curves fig", 4, "none/log.jsonl"),
        ("inspect text --curves fig", 4, "no validation loss"),
        ("inspect good broken --curves fig", 4, "broken/log.jsonl:1"),
        ("inspect good --curves fig --tensors", 2, "--tensors"),
    ] {
        let run = t.isogloss(words(line)).run();
        run.code(code).says(says);
        assert!(!t.exists("fig") && run.stdout().is_empty(), "{line}");
    }
    let run = t.isogloss(words("inspect good --curves fig --dry-run")).run();
    assert!(run.ok().stdout().contains("writes: fig/loss-by-time.svg"));
    assert!(!t.exists("fig"));
    // Without any time there is a figure by step, and an empty one.
    let run = t.isogloss(words("inspect good a/good --curves fig --json")).run();
    let records = run.ok().records();
    assert_eq!(records[0]["reached_s"], Value::Null);
    assert_eq!((&records[0]["run"], &records[1]["run"]), (&"good".into(), &"a/good".into()));
    assert!(t.read("fig/loss-by-step.svg").contains(">a/good<"));
    t.write("file", "x");
    t.isogloss(words("inspect good --curves file")).run().code(5);
}
