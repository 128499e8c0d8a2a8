//! Refusals: their form, their exit codes, and their records under `--json`.

use crate::support::Sandbox;

#[test]
fn usage_errors() {
    let t = Sandbox::new();
    let cases: [&[&str]; 17] = [
        &["trian"],
        &["xyzzy"],
        &["init", "--sede", "3"],
        &["init", "--beta1", "0.9"],
        &["--lr", "3", "train"],
        &["init", "-o"],
        &["init", "-o", "m", "--seed", "x"],
        &["init", "-o", "m", "--seed", "-1"],
        &["train", "-m", "m", "--train", "x", "-o", "r", "--lr", "fast"],
        &["train", "-m", "m", "--train", "x", "-o", "r", "--keep-last", "99999999999999999999"],
        &["init", "-o", "m", "--threads", "99999999"],
        &["init", "-o", "m", "--progress", "sometimes"],
        &["init", "-o", "m", "--device", "cpux"],
        &["init", "-o", "m", "--device", "cuda:x"],
        &["train", "--train", "x"],
        &["train", "-m", "m", "--train", "x", "-o", "r", "--resume", "--overwrite"],
        &["help", "nothing"],
    ];
    let mut page = String::new();
    for args in cases {
        let run = t.isogloss(args).run();
        run.code(2);
        assert!(run.stdout().is_empty(), "{}", run.transcript());
        assert!(run.stderr.starts_with("error: "), "{}", run.transcript());
        assert!(!run.stderr.contains('\u{1b}'), "{}", run.transcript());
        page.push_str(&run.transcript());
        page.push('\n');
    }
    insta::assert_snapshot!(page);
}

#[test]
fn a_variable_is_named_when_it_is_wrong() {
    let t = Sandbox::new();
    let run = t.isogloss(["init", "-o", "m"]).env("ISOGLOSS_DEVICE", "tpu").run();
    run.code(2).says("ISOGLOSS_DEVICE").says("tpu");
    // A typed flag is wrong by itself.
    let run =
        t.isogloss(["init", "-o", "m", "--device", "tpu"]).env("ISOGLOSS_DEVICE", "tpu").run();
    assert!(!run.code(2).stderr.contains("ISOGLOSS_DEVICE"));
}

/// One record, wherever `--json` stands, and also when a file asks for it.
#[test]
fn errors_as_records() {
    let t = Sandbox::new();
    for args in
        [["--json", "init", "-o", "m", "--seed", "x"], ["init", "-o", "m", "--seed", "x", "--json"]]
    {
        let run = t.isogloss(args).run();
        run.code(2);
        let records = run.error_records();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0]["type"], "error");
        assert_eq!(records[0]["kind"], "usage");
        assert_eq!(records[0]["flag"], "--seed");
        assert!(records[0]["hints"].is_array());
    }
    let run = t.isogloss(["--json", "init", "-o", "m", "none.jsonl"]).run();
    assert_eq!(run.code(4).error_records()[0]["path"], "none.jsonl");
    t.write("c.toml", "[global]\njson = true\n");
    let run = t.isogloss(["init", "-o", "m", "none.jsonl", "--config", "c.toml"]).run();
    assert_eq!(run.code(4).error_records()[0]["kind"], "artifact");
    t.write("c.toml", "[init]\nvocab_sice = 1\n");
    let run = t.isogloss(["init", "--json", "--config", "c.toml"]).run();
    let record = &run.code(2).error_records()[0];
    assert_eq!(record["key"], "init.vocab_sice");
    assert_eq!(record["line"], 2);
}

#[test]
fn colour_of_errors() {
    let t = Sandbox::new();
    let plain = t.isogloss(["init", "--sede"]).run();
    assert!(plain.stderr.starts_with("error: "));
    let coloured = t.isogloss(["init", "--sede", "--color", "always"]).run();
    assert!(coloured.stderr.starts_with("\u{1b}[1;31merror:\u{1b}[0m "), "{}", coloured.stderr);
    // A record has no colour.
    let record = t.isogloss(["init", "--sede", "--color", "always", "--json"]).run();
    assert_eq!(record.error_records().len(), 1);
}

/// Hostile text must not reach the terminal as control characters.
#[test]
fn control_characters_are_shown_escaped() {
    let t = Sandbox::new();
    let run = t.isogloss(["init", "-o", "m", "--seed", "\u{1b}[31mred\u{7}\n"]).run();
    let text = run.code(2).stderr.clone();
    assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
}

/// Asked before anything is read, so that no work is lost.
#[test]
fn devices_and_number_formats() {
    let t = Sandbox::new();
    let train = ["train", "-m", "m", "--train", "x", "-o", "r", "--max-steps", "1"];
    let run = t.isogloss(train).args(["--dtype", "f16", "--device", "cpu"]).run();
    run.code(2).says("does not compute in `f16`").says("--dtype");
    let run = t.isogloss(train).args(["--device", "cuda:1"]).run();
    run.code(5).says("computes on the CPU only");
    // Commands that compute nothing ignore them: a variable may be set for a whole pipeline.
    let run = t.isogloss(["init", "-o", "m", "none.jsonl"]).env("ISOGLOSS_DTYPE", "bf16").run();
    run.code(4);
    let run = t.isogloss(train).args(["-v", "--device", "auto"]).run();
    run.code(4).says("device: `");
}

/// The test build has a command that panics; users never see one on purpose.
#[cfg(debug_assertions)]
#[test]
fn a_panic_asks_for_a_report() {
    let t = Sandbox::new();
    let run = t.isogloss(["generate", "panic"]).run();
    run.code(101).says("error: internal error: asked for by a test").says("report it");
    assert!(!run.stderr.contains("stack backtrace"), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 4, "{}", run.stderr);
    let run = t.isogloss(["--json", "generate", "panic"]).run();
    assert_eq!(run.code(101).error_records()[0]["kind"], "bug");
    let run = t.isogloss(["generate", "panic"]).env("RUST_BACKTRACE", "1").run();
    assert!(run.code(101).stderr.lines().count() > 10, "{}", run.stderr);
}

/// Quiet twice leaves errors only; the level may come from the environment, flags win.
#[test]
fn levels() {
    let t = Sandbox::new();
    let dir = t.path("out").display().to_string();
    let args = ["generate", "man", &dir];
    assert!(t.isogloss(args).run().ok().stderr.contains("wrote"));
    assert!(t.isogloss(args).arg("-q").run().ok().stderr.is_empty());
    assert!(t.isogloss(args).env("ISOGLOSS_LOG", "warn").run().ok().stderr.is_empty());
    assert!(t.isogloss(args).arg("-v").env("ISOGLOSS_LOG", "warn").run().stderr.contains("wrote"));
    t.isogloss(args).env("ISOGLOSS_LOG", "loud").run().code(2).says("ISOGLOSS_LOG");
}
