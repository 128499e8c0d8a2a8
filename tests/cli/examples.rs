//! The scripts of `examples/`, with a stand-in for the program where only exit codes matter.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// A program that ends `translate` and `score` with the given codes and notes its arguments.
fn stand_in(dir: &Path, translate: i32, score: i32) -> PathBuf {
    let path = dir.join("isogloss");
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> \"{}/calls\"\n\
         case $1 in translate) echo '{{}}'; exit {translate} ;; score) exit {score} ;; esac\n",
        dir.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn check(translate: i32, score: i32) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let program = stand_in(dir.path(), translate, score);
    let Output { status, stderr, .. } = Command::new(examples().join("ci/regression-check.sh"))
        .args(["model", "dev.jsonl", "baseline.jsonl"])
        .env("ISOGLOSS", program)
        .env("MAX_BLEU", "0.7")
        .current_dir(dir.path())
        .output()
        .unwrap();
    let calls = fs::read_to_string(dir.path().join("calls")).unwrap();
    (status.code(), calls, String::from_utf8(stderr).unwrap())
}

#[test]
fn regression_check_tells_worse_from_broken() {
    let (code, calls, _) = check(0, 0);
    assert_eq!(code, Some(0));
    let calls: Vec<&str> = calls.lines().collect();
    assert!(calls[0].starts_with("translate -m model ") && calls[0].ends_with(" dev.jsonl"));
    assert!(calls[1].contains("--baseline baseline.jsonl --max-drop bleu=0.7 --max-drop chrf=0.5"));

    assert_eq!(check(0, 1).0, Some(1));
    assert_eq!(check(0, 3).0, Some(3));
    // A failed translation is not scored, and never means "quality fell".
    let (code, calls, stderr) = check(4, 0);
    assert_eq!((code, calls.lines().count()), (Some(4), 1));
    assert!(stderr.contains("broken"), "{stderr}");
    assert_eq!(check(1, 0).0, Some(5));
}

#[test]
fn regression_check_wants_three_arguments() {
    let output =
        Command::new(examples().join("ci/regression-check.sh")).arg("model").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("usage:"));
}

#[test]
fn steps_are_timed_and_pass_codes_on() {
    let dir = tempfile::tempdir().unwrap();
    let times = dir.path().join("times.tsv");
    let step = |name: &str, command: &[&str]| {
        Command::new(examples().join("step.sh"))
            .arg(&times)
            .arg(name)
            .args(command)
            .output()
            .unwrap()
    };
    let output = step("one", &["echo", "a  b"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"a  b\n"[..]));
    assert_eq!(step("two", &["sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(step("one", &["true"]).status.code(), Some(0));
    // A step run again has one line, a failed one has none.
    let names: Vec<String> = fs::read_to_string(&times)
        .unwrap()
        .lines()
        .map(|l| l.split('\t').next().unwrap().to_string())
        .collect();
    assert_eq!(names, ["one"]);
}
