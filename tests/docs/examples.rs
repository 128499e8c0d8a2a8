//! Every command line that is shown to a reader is accepted by the parser.

use std::ffi::OsString;

use isogloss::exit::ExitCode;

use crate::shell::isogloss_lines;
use crate::{read, root};

/// The fenced blocks of a page in one of the given languages, with the line they start at.
fn blocks(page: &str, languages: &[&str]) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.trim().strip_prefix("```"), &mut open) {
            (Some(language), None) => {
                open = Some((number + 1, languages.contains(&language), String::new()));
            }
            (Some(_), Some(_)) => {
                if let Some((start, true, text)) = open.take() {
                    out.push((start, text));
                }
            }
            (None, Some((_, _, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    out
}

fn accepted(args: &[String]) -> Result<(), String> {
    let argv: Vec<OsString> = std::iter::once("isogloss")
        .chain(args.iter().map(String::as_str))
        .map(Into::into)
        .collect();
    // A settings file that is named gives what the line leaves out.
    let from_file = args.iter().any(|a| a == "--config");
    match isogloss::cli::parse(&argv, &|_| Ok(String::new())) {
        Ok(_) => Ok(()),
        Err(refusal) if from_file && refusal.error.message().contains("required") => Ok(()),
        Err(refusal) => Err(refusal.error.to_string()),
    }
}

#[test]
fn lines_of_the_readme() {
    let page = read("README.md");
    let mut seen = 0;
    for (start, block) in blocks(&page, &["sh", "console"]) {
        for args in isogloss_lines(&block) {
            seen += 1;
            if let Err(e) = accepted(&args) {
                panic!("README.md, block at line {start}: isogloss {}\n{e}", args.join(" "));
            }
        }
    }
    assert!(seen >= 8, "only {seen} command lines found");
}

/// Every command's long help has an example, and it parses.
#[test]
fn examples_of_the_help() {
    let mut program = isogloss::cli::command();
    program.build();
    for command in program.get_subcommands_mut().filter(|c| !c.is_hide_set()) {
        let name = command.get_name().to_string();
        if name == "help" {
            continue;
        }
        let help = command.render_long_help().to_string();
        let about = help.split("Usage:").next().unwrap_or_default();
        let after = help.rsplit("\n\n").next().unwrap_or_default();
        // An example may be wrapped to the width of the help: join its lines again.
        let mut examples: Vec<String> = Vec::new();
        for line in about.lines().chain(after.lines()) {
            let line = line.trim().trim_start_matches("Example:").trim();
            match examples.last_mut() {
                _ if line.starts_with("isogloss ") => examples.push(line.to_string()),
                Some(last)
                    if !last.is_empty() && !line.is_empty() && !line.contains("isogloss") =>
                {
                    last.push(' ');
                    last.push_str(line);
                }
                _ => examples.push(String::new()),
            }
        }
        examples.retain(|e| !e.is_empty());
        let own = examples
            .iter()
            .flat_map(|e| isogloss_lines(e))
            .filter(|args| args.contains(&name))
            .collect::<Vec<_>>();
        assert!(!own.is_empty(), "`isogloss {name} --help` has no example:\n{about}");
        for args in own {
            if let Err(e) = accepted(&args) {
                panic!("help of {name}: isogloss {}\n{e}", args.join(" "));
            }
        }
    }
}

/// The table of exit codes is the one of the program.
#[test]
fn exit_codes_of_the_readme() {
    let page = read("README.md");
    let rows: Vec<&str> = page.lines().filter(|l| l.starts_with("| ")).collect();
    for code in ExitCode::ALL {
        let number = (code as u8).to_string();
        let row = rows.iter().find(|r| {
            let first = r.split('|').nth(1).unwrap_or_default();
            first.split(',').any(|n| n.trim() == number)
        });
        let row = row.unwrap_or_else(|| panic!("the readme has no row for code {number}"));
        if !matches!(code, ExitCode::Interrupted | ExitCode::Terminated) {
            assert!(row.contains(code.meaning()), "code {number}: {}", code.meaning());
        }
    }
}

/// The order a reader expects.
#[test]
fn sections_of_the_readme() {
    let page = read("README.md");
    let headings: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("## ")).collect();
    assert_eq!(
        headings,
        [
            "A pipeline",
            "Your model and mine",
            "Commands",
            "Install",
            "Try it",
            "Exit codes",
            "Files",
            "Numbers",
            "Limits",
            "Licence"
        ]
    );
}

/// Links to files of the repository lead somewhere.
#[test]
fn links_of_the_readme() {
    let page = read("README.md");
    for link in page.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if link.starts_with("http") || link.starts_with('#') {
            continue;
        }
        let file = link.split('#').next().unwrap_or(link);
        assert!(root().join(file).exists(), "README.md links to `{file}`, which is not there");
    }
}
