//! Completions, man pages and the end of the help, all from the one definition of the command
//! line. Every function gives text; writing files is somebody else's task.

use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::env::VARIABLES;
use crate::error::{Error, Result};
use crate::exit::ExitCode;
use crate::version::VERSION;

/// The name of each shell's file, as its own tools expect it.
const SHELLS: &[(Shell, &str)] = &[
    (Shell::Bash, "isogloss.bash"),
    (Shell::Elvish, "isogloss.elv"),
    (Shell::Fish, "isogloss.fish"),
    (Shell::PowerShell, "_isogloss.ps1"),
    (Shell::Zsh, "_isogloss"),
];

/// Files that commands read and write, for the man page.
const FILES: &[(&str, &str)] = &[
    (
        "MODEL/config.json, model.safetensors, tokenizer.json, generation_config.json",
        "A model directory in the layout of Hugging Face's M2M-100.",
    ),
    (
        "RUN/config.toml",
        "The effective settings of a training run; --config RUN/config.toml gives them back.",
    ),
    ("RUN/log.jsonl", "The records of a training run, append-only."),
    ("RUN/checkpoints/, RUN/latest, RUN/best", "What a training run keeps."),
    (
        "FILE.jsonl",
        "Parallel text or translations: JSON Lines with src_lang, tgt_lang, src, tgt and hyp.",
    ),
    (
        "FILE.toml",
        "Settings for --config: one table per command and [global]; keys are the long flags with \
         underscores, paths are relative to the file.",
    ),
];

/// The end of `isogloss --help`: what scripts rely on.
pub fn closing_page() -> String {
    let mut out = String::from("Environment variables:\n");
    let width = VARIABLES.iter().map(|v| v.name.len()).max().unwrap_or(0);
    for v in VARIABLES {
        out.push_str(&format!("  {:width$}  {}\n", v.name, v.help));
    }
    out.push_str("\nExit codes:\n");
    let codes: Vec<(String, &str)> = exit_codes();
    let width = codes.iter().map(|(c, _)| c.len()).max().unwrap_or(0);
    for (code, meaning) in codes {
        out.push_str(&format!("  {code:width$}  {meaning}\n"));
    }
    out.push_str(
        "\nA setting is taken from its flag, else its environment variable, else the file of\n",
    );
    out.push_str("`--config`, else its default; `--dump-config` shows which one won.");
    out
}

fn exit_codes() -> Vec<(String, &'static str)> {
    ExitCode::ALL.iter().map(|c| ((*c as u8).to_string(), c.meaning())).collect()
}

/// The definition without what is hidden: tools for the maintainer are nothing to complete.
fn visible() -> clap::Command {
    let full = super::command();
    let mut shown = clap::Command::new("isogloss")
        .version(VERSION)
        .about(full.get_about().cloned().unwrap_or_default())
        .subcommand_required(true)
        .args(full.get_arguments().filter(|a| !a.is_hide_set()));
    for command in full.get_subcommands().filter(|c| !c.is_hide_set()) {
        shown = shown.subcommand(command.clone());
    }
    shown
}

/// The completion script of one shell.
pub fn completions(shell: Shell) -> String {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut visible(), "isogloss", &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Every completion script with the name of its file.
pub fn all_completions() -> Vec<(String, String)> {
    SHELLS.iter().map(|(shell, file)| (file.to_string(), completions(*shell))).collect()
}

/// Every man page with the name of its file: the program's, then one per command.
pub fn man_pages() -> Result<Vec<(String, String)>> {
    let program = visible();
    let mut pages = vec![("isogloss.1".to_string(), program_page(program.clone())?)];
    let mut built = program;
    built.build();
    for command in built.get_subcommands().filter(|c| c.get_name() != "help") {
        let name = format!("isogloss-{}", command.get_name());
        pages.push((format!("{name}.1"), command_page(command.clone(), &name)?));
    }
    Ok(pages)
}

fn program_page(program: clap::Command) -> Result<String> {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT"]);
    for v in VARIABLES {
        roff.control("TP", []);
        roff.text([bold(v.name)]);
        roff.text([roman(v.help)]);
    }
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in exit_codes() {
        roff.control("TP", []);
        roff.text([bold(code)]);
        roff.text([roman(meaning)]);
    }
    roff.control("SH", ["FILES"]);
    for (name, meaning) in FILES {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*meaning)]);
    }
    roff.control("SH", ["SETTINGS"]);
    roff.text([roman(
        "A setting is taken from its flag, else its environment variable, else the file of \
         --config, else its default. --dump-config prints the effective settings, each with its \
         origin, in the form that --config reads.",
    )]);
    page(program, "isogloss", |man, w| {
        man.render_options_section(w)?;
        man.render_subcommands_section(w)?;
        roff.to_writer(w)
    })
}

fn command_page(command: clap::Command, name: &str) -> Result<String> {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([
        bold("isogloss"),
        roman("(1): environment variables, exit status, files, settings files"),
    ]);
    let extra = command.get_after_long_help().is_some() || command.get_after_help().is_some();
    page(command, name, |man, w| {
        man.render_options_section(w)?;
        if extra {
            man.render_extra_section(w)?;
        }
        roff.to_writer(w)
    })
}

/// Title, name, synopsis and description, then what `rest` adds. No date: the same program
/// gives the same bytes.
fn page(
    mut command: clap::Command,
    name: &str,
    rest: impl FnOnce(&Man, &mut dyn std::io::Write) -> std::io::Result<()>,
) -> Result<String> {
    // The short usage of the help; listing every flag twice helps nobody.
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").trim();
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]);
    synopsis.text([roman(usage)]);
    let man = Man::new(command)
        .title(name.to_uppercase())
        // A blank, not nothing: an empty argument would be lost, and the next take its place.
        .date(" ")
        .source(format!("isogloss {VERSION}"))
        .manual("isogloss manual");
    let mut bytes = Vec::new();
    let mut write = || -> std::io::Result<()> {
        man.render_title(&mut bytes)?;
        man.render_name_section(&mut bytes)?;
        synopsis.to_writer(&mut bytes)?;
        man.render_description_section(&mut bytes)
    };
    write()
        .and_then(|()| rest(&man, &mut bytes))
        .map_err(|e| Error::bug("cannot render a man page").cause(e.to_string()))?;
    Ok(unfilled_examples(&String::from_utf8_lossy(&bytes)))
}

/// Lines that are set in are commands: they stay as they are, however wide the page is.
fn unfilled_examples(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    let mut inside = false;
    for line in page.lines() {
        let is_example = line.starts_with("  ");
        if is_example != inside {
            out.push_str(if is_example { ".nf\n" } else { ".fi\n" });
            inside = is_example;
        }
        out.push_str(line);
        out.push('\n');
    }
    if inside {
        out.push_str(".fi\n");
    }
    out
}
