//! Writes the demo corpus: English with German, Spanish, Japanese, Portuguese, Russian and
//! Turkish, made by a grammar and lexicon of our own, so that the demo needs no text from
//! elsewhere.
//!
//! ```text
//! cargo run --release --example demo_corpus -- --out DIR --seed 1 --sentences 7000
//! ```

mod generator;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use generator::corpus::{Sizes, generate};

const HELP: &str = "\
Write the demo corpus: train.jsonl, dev.jsonl and test.jsonl

Usage: demo_corpus --out DIR [options]

  --out DIR         where the files go; made if missing
  --seed N          names the corpus: same seed and sizes, same bytes (default 1)
  --sentences N     training pairs of each well-supplied language (default 7000)
  --low N           training pairs of Portuguese, the small one (default 600)
  --dev N           validation pairs of each language (default 60)
  --test N          test pairs of each language (default 200)
  -h, --help        this text
";

struct Settings {
    out: PathBuf,
    seed: u64,
    sizes: Sizes,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "-h" || a == "--help") {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    // The codes of the command line they stand beside: 2 for usage, 5 for the environment.
    let (code, message) = match settings(&arguments) {
        Err(message) => (2, message),
        Ok(settings) => match generate(settings.seed, &settings.sizes) {
            Err(_) => (2, "the grammar gives no such number of different sentences".to_string()),
            Ok(corpus) => {
                let files = [("train", corpus.train), ("dev", corpus.dev), ("test", corpus.test)];
                match write(&settings.out, &files) {
                    Ok(()) => return ExitCode::SUCCESS,
                    Err(message) => (5, message),
                }
            }
        },
    };
    eprintln!("error: {message}");
    ExitCode::from(code)
}

fn settings(arguments: &[String]) -> Result<Settings, String> {
    let mut out = None;
    let mut seed = 1;
    let mut sizes = Sizes { high: 7000, low: 600, dev: 60, test: 200 };
    let mut rest = arguments.iter();
    while let Some(flag) = rest.next() {
        let mut value =
            || rest.next().ok_or_else(|| format!("`{flag}` needs a value\n   hint: see `--help`"));
        let number = |text: &String| {
            text.parse::<usize>().map_err(|_| format!("`{flag}` is not a number\n   found: {text}"))
        };
        match flag.as_str() {
            "--out" => out = Some(PathBuf::from(value()?)),
            "--seed" => seed = number(value()?)? as u64,
            "--sentences" => sizes.high = number(value()?)?,
            "--low" => sizes.low = number(value()?)?,
            "--dev" => sizes.dev = number(value()?)?,
            "--test" => sizes.test = number(value()?)?,
            _ => return Err(format!("unknown argument `{flag}`\n   hint: see `--help`")),
        }
    }
    let out = out.ok_or("`--out` is missing\n   hint: see `--help`")?;
    Ok(Settings { out, seed, sizes })
}

/// Each file under a temporary name first, so that an interrupted run leaves no half corpus
/// under a name that make would trust; `train.jsonl` last, since make watches it.
fn write(out: &Path, files: &[(&str, String)]) -> Result<(), String> {
    let fail = |path: &Path, error: std::io::Error| {
        format!("cannot write\n  --> {}\n   caused by: {error}", path.display())
    };
    std::fs::create_dir_all(out).map_err(|e| fail(out, e))?;
    let mut summary = String::new();
    for (name, text) in files.iter().rev() {
        let path = out.join(format!("{name}.jsonl"));
        let draft = out.join(format!(".{name}.jsonl.{}", std::process::id()));
        std::fs::write(&draft, text)
            .and_then(|()| std::fs::rename(&draft, &path))
            .map_err(|e| fail(&path, e))?;
        let _ = writeln!(summary, "{}: {} records", path.display(), text.lines().count());
    }
    eprint!("{summary}");
    Ok(())
}
