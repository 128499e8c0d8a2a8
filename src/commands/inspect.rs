//! `isogloss inspect`: what a file or directory is.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::Context;
use crate::cli::values::Dtype;
use crate::error::{Error, Result};
use crate::exit::Outcome;
use crate::formats::hf;
use crate::io::{Input, LineReader, Output};
use crate::report::facts_text;

mod adapters;
mod curves;
mod documents;
mod hypernet;
mod lines;
mod lora;
mod model;
mod neurons;
mod run;
mod tensors;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// One indented object for each path
    Json,
    /// One object a line for each path
    Jsonl,
}

/// Say what any file or directory is: model, run, tensors, tokenizer, text, scores
///
/// Knows model directories (ours, M2M-100, NLLB-200), training runs, LoRA and adapter
/// directories, every safetensors file, tokenizer.json and SentencePiece models, and JSON Lines,
/// TSV or plain text of any size in constant memory.
///
/// With `--dtype` it says what rounding the weights of a model to a number format costs: the
/// relative error (root mean square) of each kind of matrix and of its worst row. What the rounding
/// does to translations is another question, which `isogloss score` answers.
///
/// With `--curves` the paths are training runs: their losses on held-out text are drawn by step and
/// by time, and `convergence` records say when each was first as good as the worst came to be.
///
/// Example: isogloss inspect model run train.jsonl
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Files or directories; `-` reads records or lines from standard input
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Shape of the answer
    #[arg(short, long, value_enum, default_value = "text")]
    pub format: Format,
    /// List every tensor with type and shape
    #[arg(long)]
    pub tensors: bool,
    /// Read headers only: no checksums, no look at the values
    #[arg(long)]
    pub quick: bool,
    /// Draw the validation losses of training runs into this directory, one line for each run
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tensors", "quick"])]
    pub curves: Option<PathBuf>,
}

/// Facts about one path, in the order they are shown.
type Facts = Map<String, Value>;

/// What the sub-readers need of the flags.
#[derive(Clone, Copy)]
struct Options {
    tensors: bool,
    quick: bool,
    /// Measure what a model loses in this number format.
    dtype: Option<Dtype>,
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let format = if context.json { Format::Jsonl } else { args.format };
    let dtype = context.dtype_named();
    let options = Options { tensors: args.tensors, quick: args.quick, dtype };
    if args.paths.iter().filter(|p| p.as_os_str() == "-").count() > 1 {
        return Err(Error::usage("standard input can be read only once").flag("PATH"));
    }
    if let Some(dir) = &args.curves {
        return curves::run(args, dir, context);
    }
    let mut out = Output::stdout(false);
    let mut first = true;
    let mut failure: Option<Error> = None;
    for path in &args.paths {
        let facts = match inspect(path, options) {
            Ok(facts) => facts,
            // One path that cannot be read does not hide the others.
            Err(e) => {
                out.flush()?;
                if let Some(earlier) = failure.replace(e) {
                    context.report.error(&earlier);
                }
                continue;
            }
        };
        match format {
            Format::Text => {
                if !first {
                    out.line("")?;
                }
                first = false;
                out.text(&facts_text(&facts))?;
            }
            Format::Json => {
                let text = serde_json::to_string_pretty(&facts)
                    .map_err(|e| Error::bug("cannot encode a record").cause(e.to_string()))?;
                out.line(&text)?;
            }
            Format::Jsonl => out.record(&facts)?,
        }
    }
    out.flush()?;
    match failure {
        Some(e) => Err(e),
        None => Ok(Outcome::Ok),
    }
}

/// `type`, `path` and `kind` in front of what a reader found out.
fn facts(path: &Path, kind: &str, rest: Facts) -> Facts {
    let mut facts = Map::new();
    facts.insert("type".into(), "inspection".into());
    facts.insert("path".into(), path.display().to_string().into());
    facts.insert("kind".into(), kind.into());
    facts.extend(rest);
    facts
}

/// A JSON object as facts.
fn object(value: Value) -> Facts {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn inspect(path: &Path, options: Options) -> Result<Facts> {
    if path.as_os_str() == "-" {
        let input = Input::Stdin;
        if input.is_terminal() {
            return Err(Error::usage("standard input is a terminal").flag("PATH"));
        }
        return lines::inspect(input.open()?, None);
    }
    let meta = std::fs::metadata(path).map_err(|e| Error::io("read", path, e))?;
    if meta.is_dir() { directory(path, options) } else { file(path, options) }
}

fn directory(path: &Path, options: Options) -> Result<Facts> {
    let has = |name: &str| path.join(name).exists();
    if has(hf::CONFIG) {
        return model::directory(path, options);
    }
    if has(crate::formats::placement::FILE) {
        return lora::set(path, options);
    }
    if has(crate::formats::adapters::FILE) {
        return adapters::set(path, options);
    }
    if has(crate::formats::hypernet::FILE) {
        return hypernet::directory(path);
    }
    if has("adapter_config.json") {
        return documents::adapter_directory(path, options);
    }
    if has("checkpoints") || has("latest") || has("best") {
        return run::directory(path, options);
    }
    let mut names: Vec<String> = std::fs::read_dir(path)
        .map_err(|e| Error::io("read", path, e))?
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    // One adapter for each language, each in a directory of its name.
    let adapters: Vec<&String> =
        names.iter().filter(|n| path.join(n).join("adapter_config.json").is_file()).collect();
    if !adapters.is_empty() {
        return Ok(facts(
            path,
            "adapter_bank",
            object(json!({"num_adapters": adapters.len(), "adapters": adapters})),
        ));
    }
    let mut e = Error::artifact("not a directory we know").at(path);
    e = if names.is_empty() {
        e.found("an empty directory")
    } else {
        let more = if names.len() > 6 { ", ..." } else { "" };
        e.found(format!("{}{more}", names[..names.len().min(6)].join(", ")))
    };
    Err(e.expected(
        "config.json (model), checkpoints (training run), placement.json, adapters.json, \
         hypernet.json or adapter_config.json",
    ))
}

fn file(path: &Path, options: Options) -> Result<Facts> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|f| f.take(4096).read_to_end(&mut head))
        .map_err(|e| Error::io("read", path, e))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    // A header length, then a JSON object.
    let looks_like_tensors = head.len() > 9
        && head[8] == b'{'
        && u64::from_le_bytes(head[..8].try_into().unwrap_or_default()) < 1 << 30;
    if extension == "safetensors" || looks_like_tensors {
        return tensors::inspect(path, options);
    }
    let unknown = |found: &str| {
        Error::artifact("not a file we know").at(path).found(found).expected(
            "safetensors, tokenizer.json, config.json, a SentencePiece model, or UTF-8 text \
             (JSON Lines, TSV, plain lines)",
        )
    };
    if head.is_empty() {
        return Err(unknown("an empty file"));
    }
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"\x80\x02") {
        return Err(unknown("a zip archive or pickle")
            .hint("a pickle can run code when loaded; convert weights with `save_pretrained`"));
    }
    if head.starts_with(b"\x1f\x8b") || head.starts_with(b"\x28\xb5\x2f\xfd") {
        return Err(unknown("a compressed file")
            .hint(format!("unpack it first: `zcat {} | isogloss inspect -`", path.display())));
    }
    let text_begins = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&head);
    let first = text_begins.iter().find(|b| !b.is_ascii_whitespace());
    let is_document = extension == "json" || !is_one_value_a_line(text_begins);
    if matches!(first, Some(b'{' | b'[')) && is_document && extension != "jsonl" {
        match hf::read_json::<Value>(path) {
            Ok(value) => return documents::inspect(path, value, options),
            // Several values: JSON Lines under another name.
            Err(e) if extension == "json" && is_one_value_a_line(text_begins) => drop(e),
            Err(e) => return Err(e),
        }
    }
    let is_text = std::str::from_utf8(&head).map_or_else(|e| e.error_len().is_none(), |_| true);
    // Under a name that promises text, a wrong byte is an error with its line.
    let promised = matches!(extension, "jsonl" | "ndjson" | "tsv" | "txt");
    if head.contains(&0) || !(is_text || promised) {
        return match documents::sentencepiece(path)? {
            Some(found) => Ok(found),
            None => Err(unknown("binary data")),
        };
    }
    // Short SentencePiece headers may pass for text.
    if extension == "model"
        && let Some(found) = documents::sentencepiece(path)?
    {
        return Ok(found);
    }
    let reader = File::open(path).map_err(|e| Error::io("read", path, e))?;
    lines::inspect(LineReader::new(path.to_path_buf(), Box::new(reader)), Some(extension))
}

/// Whether the first line is a whole JSON object, or is too long to tell and begins with one of
/// the fields of a record.
fn is_one_value_a_line(head: &[u8]) -> bool {
    match head.iter().position(|&b| b == b'\n') {
        Some(end) => serde_json::from_slice::<Map<String, Value>>(&head[..end]).is_ok(),
        None if head.len() < 4096 => false,
        None => {
            let text = String::from_utf8_lossy(head);
            let first = text.trim_start_matches(['{', ' ']).split('"').nth(1).unwrap_or("");
            ["type", "id", "src", "src_lang", "tgt", "tgt_lang", "text", "translation", "hyp"]
                .contains(&first)
        }
    }
}
