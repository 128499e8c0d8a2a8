//! Completions and man pages in the repository are those of the program.

use std::collections::BTreeMap;

use crate::root;

const REFRESH: &str = "refresh with `cargo run -- generate all` (or `make generate`) and commit";

fn compare(folder: &str, files: Vec<(String, String)>) {
    let files: BTreeMap<String, String> = files.into_iter().collect();
    let dir = root().join(folder);
    let mut committed = BTreeMap::new();
    for entry in std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{folder}: {e}; {REFRESH}")) {
        let path = entry.expect("entry").path();
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        committed.insert(name, std::fs::read_to_string(&path).expect("text"));
    }
    let names = |m: &BTreeMap<String, String>| m.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(&files), "files of {folder}/ differ; {REFRESH}");
    for (name, text) in &files {
        assert!(committed[name] == *text, "{folder}/{name} is out of date; {REFRESH}");
    }
}

#[test]
fn completions_are_current() {
    compare("completions", isogloss::cli::render::all_completions());
}

#[test]
fn man_pages_are_current() {
    compare("man", isogloss::cli::render::man_pages().expect("man pages"));
}

/// The page of the program tells what scripts need.
#[test]
fn the_program_page_is_complete() {
    let pages = isogloss::cli::render::man_pages().expect("man pages");
    let page = &pages[0].1;
    for section in ["NAME", "SYNOPSIS", "ENVIRONMENT", "FILES", "SETTINGS"] {
        assert!(page.contains(&format!(".SH {section}")), "{section}");
    }
    assert!(page.contains(".SH \"EXIT STATUS\""));
    for variable in isogloss::cli::env::VARIABLES {
        assert!(page.contains(&variable.name.replace('-', "\\-")), "{}", variable.name);
    }
}

/// Every long flag a user sees can be completed in every shell.
#[test]
fn completions_know_every_flag() {
    let mut program = isogloss::cli::command();
    program.build();
    for (file, script) in isogloss::cli::render::all_completions() {
        for command in program.get_subcommands().filter(|c| !c.is_hide_set()) {
            for arg in command.get_arguments().filter(|a| !a.is_hide_set()) {
                let Some(long) = arg.get_long() else { continue };
                // fish writes `-l name`.
                let there =
                    script.contains(&format!("--{long}")) || script.contains(&format!("-l {long}"));
                assert!(there, "{file} lacks --{long} of {}", command.get_name());
            }
        }
        // `fairseq-generate` is another program.
        let words = |c: char| !c.is_alphanumeric() && c != '-';
        let shown = script.split(words).any(|w| ["generate", "isogloss-generate"].contains(&w));
        assert!(!shown, "{file} shows the maintainer's command");
    }
}
