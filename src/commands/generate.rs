//! `isogloss generate`: completions and man pages from the command-line definition.

use std::path::{Path, PathBuf};

use clap_complete::Shell;

use crate::cli::{Context, render};
use crate::error::{Error, Result};
use crate::exit::Outcome;
use crate::io::{Output, write_bytes};

/// Completions and man pages from the command-line definition
///
/// The copies in `completions/` and `man/` are made by `isogloss generate all`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Completions of one shell, on standard output
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
    /// One man page per command and one for the whole
    Man {
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
    /// Everything a repository keeps: DIR/completions and DIR/man
    All {
        #[arg(value_name = "DIR", default_value = ".")]
        dir: PathBuf,
    },
    /// Panics: the tests look at what a user would see
    #[cfg(debug_assertions)]
    #[command(hide = true)]
    Panic,
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    match &args.what {
        What::Completions { shell } => {
            let mut out = Output::stdout(false);
            out.text(&render::completions(*shell))?;
            out.flush()?;
        }
        What::Man { dir } => write_all(dir, &render::man_pages()?, context)?,
        What::All { dir } => {
            write_all(&dir.join("completions"), &render::all_completions(), context)?;
            write_all(&dir.join("man"), &render::man_pages()?, context)?;
        }
        #[cfg(debug_assertions)]
        What::Panic => panic!("asked for by a test"),
    }
    Ok(Outcome::Ok)
}

/// Writes generated files and removes those of commands that are gone. These files are the
/// program's own: they are replaced without `--force`.
fn write_all(dir: &Path, files: &[(String, String)], context: &Context) -> Result<()> {
    if context.dry_run {
        for (name, _) in files {
            context.report.status(format!("would write {}", dir.join(name).display()));
        }
        return Ok(());
    }
    for (name, text) in files {
        write_bytes(&dir.join(name), text.as_bytes())?;
    }
    let entries = std::fs::read_dir(dir).map_err(|e| Error::io("read", dir, e))?;
    for entry in entries {
        let path = entry.map_err(|e| Error::io("read", dir, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = name.starts_with("isogloss-") && name.ends_with(".1");
        if ours && !files.iter().any(|(n, _)| *n == name) {
            std::fs::remove_file(&path).map_err(|e| Error::io("remove", &path, e))?;
        }
    }
    context.report.status(format!("wrote {} files to {}", files.len(), dir.display()));
    Ok(())
}
