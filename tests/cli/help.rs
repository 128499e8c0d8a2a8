//! Help and version: always there, never more than asked for, equal to the snapshots.

use crate::support::Sandbox;

/// The commands a user sees.
fn commands() -> Vec<String> {
    let program = isogloss::cli::command();
    program
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .map(|c| c.get_name().to_string())
        .collect()
}

#[test]
fn program_help() {
    let t = Sandbox::new();
    insta::assert_snapshot!("help_long", t.isogloss(["--help"]).run().transcript());
    insta::assert_snapshot!("help_short", t.isogloss(["-h"]).run().transcript());
}

#[test]
fn command_help() {
    let t = Sandbox::new();
    for command in commands() {
        let run = t.isogloss([&command, "--help"]).run();
        run.ok();
        insta::assert_snapshot!(format!("help_{command}"), run.transcript());
        let by_name = t.isogloss(["help", &command]).run();
        assert_eq!(by_name.ok().stdout(), run.stdout(), "help {command}");
    }
}

/// Without arguments: the help, as a complaint.
#[test]
fn nothing_typed() {
    let run = Sandbox::new().isogloss([] as [&str; 0]).run();
    run.code(2).says("Usage: isogloss");
    assert!(run.stdout().is_empty());
}

#[test]
fn version_is_one_line() {
    let t = Sandbox::new();
    let line = concat!("isogloss ", env!("CARGO_PKG_VERSION"), "\n");
    for flag in ["--version", "-V"] {
        assert_eq!(t.isogloss([flag]).run().ok().stdout(), line);
    }
}

#[test]
fn version_says_more_with_verbose() {
    let t = Sandbox::new();
    for args in [["--version", "--verbose"], ["--verbose", "--version"], ["-V", "-v"]] {
        let out = t.isogloss(args).run().ok().stdout();
        let names: Vec<&str> = out.lines().skip(1).filter_map(|l| l.split(':').next()).collect();
        assert_eq!(names, ["commit", "target", "devices", "processes", "candle", "sacrebleu-rs"]);
        assert!(out.lines().any(|l| l.starts_with("devices: cpu")), "{out}");
    }
    assert_eq!(t.isogloss(["-vV"]).run().ok().stdout().lines().count(), 7);
}

/// Colour on request only: help goes into files and snapshots.
#[test]
fn help_is_plain_unless_colour_is_asked_for() {
    let t = Sandbox::new();
    assert!(!t.isogloss(["--help"]).run().ok().stdout().contains('\u{1b}'));
    assert!(t.isogloss(["--color", "always", "--help"]).run().stdout().contains('\u{1b}'));
    assert!(!t.isogloss(["--color=never", "--help"]).run().stdout().contains('\u{1b}'));
    let by_variable = t.isogloss(["init", "--help"]).env("ISOGLOSS_COLOR", "always").run();
    assert!(by_variable.stdout().contains('\u{1b}'));
}
