//! `isogloss tokenize`: what a model reads instead of text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::Context;
use crate::cli::values::{inputs_or_stdin, parse_input};
use crate::commands::marks::MarkArgs;
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Outcome;
use crate::io::{Input, Output};
use crate::model::Checkpoint;
use crate::records::{InputFormat, MonolingualReader, MonolingualRecord, Vocabulary};
use crate::text::{Encoded, TextTokenizer};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Side {
    /// As the encoder reads it, with its marks
    Source,
    /// As the decoder is to write it, with its marks
    Target,
    /// Without marks
    Pieces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// The pieces of a text, separated by spaces
    Text,
    /// A record a text
    Jsonl,
}

/// Show the tokens that a model reads for a text
///
/// One line or record of text in, its token ids and pieces out, with marks where the model's
/// tokenizer puts them. `decoded` is what the ids are turned into again; `num_unk` counts pieces that
/// the vocabulary lacks. Records have `lang` and `text`; of a pair both sides are shown.
///
/// Example:
///   isogloss tokenize -m model --lang en < lines.txt
///   isogloss tokenize -m model -f jsonl test.jsonl | jq -c .ids
///   isogloss tokenize -m model --vocabulary train.jsonl > tokens.jsonl
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Text or records; `-` or nothing is standard input
    #[arg(value_name = "FILE", value_parser = parse_input)]
    pub inputs: Vec<Input>,
    /// Model directory, or a run (its best checkpoint)
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// Language of texts that name none
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub lang: Option<String>,
    /// Target language of sources, where they are marked with it (SMaLL-100) [default: the text's
    /// own]
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub tgt_lang: Option<String>,
    /// Format of the input; else by extension and content
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Input")]
    pub input_format: Option<InputFormat>,
    /// On which side of the model the text stands
    #[arg(long, value_enum, default_value = "source", help_heading = "Input")]
    pub side: Side,
    #[command(flatten)]
    pub marks: MarkArgs,
    /// Count instead: one `vocabulary` record a language, with the tokens of its texts, the most
    /// frequent first; marks are not counted. For `translate --shortlist`
    #[arg(long, conflicts_with_all = ["format", "side", "tgt_lang"], help_heading = "Output")]
    pub vocabulary: bool,
    /// Shape of standard output [default: text on a terminal, else jsonl]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub format: Option<OutputFormat>,
}

/// One text.
#[derive(Serialize)]
struct Tokens<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    lang: &'a str,
    text: &'a str,
    ids: &'a [u32],
    /// None for ids without a piece.
    pieces: &'a [Option<String>],
    num_unk: u32,
    decoded: &'a str,
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let checkpoint = Checkpoint::open(&args.model)?;
    let tokenizer = args.marks.tokenizer(&checkpoint)?;
    for (flag, lang) in [("--lang", &args.lang), ("--tgt-lang", &args.tgt_lang)] {
        if let Some(lang) = lang {
            tokenizer.languages().find(lang, ErrorKind::Usage).map_err(|e| e.flag(flag))?;
        }
    }
    let inputs = inputs_or_stdin(&args.inputs, "isogloss tokenize -m model --lang en lines.txt")?;
    let mut out = Output::stdout(false);
    if context.dry_run {
        out.line(&format!("tokenizer: {}", tokenizer.path().display()))?;
        for input in &inputs {
            if input.path().is_some() {
                input.open()?;
            }
            out.line(&format!("reads: {}", input.name().display()))?;
        }
        out.flush()?;
        return Ok(Outcome::Ok);
    }
    let asked = args.format.map(|f| f == OutputFormat::Jsonl);
    let records = Output::wants_records(asked.or(context.json.then_some(true)));
    let mut num_unk = 0;
    // By language: texts, and how often each token occurs.
    let mut counts: BTreeMap<String, (u64, Vec<u64>)> = BTreeMap::new();
    for input in &inputs {
        let mut reader = MonolingualReader::open(input, args.input_format, args.lang.clone())?;
        while let Some(record) = reader.next_record()? {
            let encoded = encoded(args, &tokenizer, &record)
                .map_err(|e| e.at(input.name()).line(record.line).field(record.lang_field))?;
            num_unk += u64::from(encoded.num_unk);
            if args.vocabulary {
                let none = || (0, vec![0; checkpoint.config.vocab_size]);
                let (texts, counts) = counts.entry(record.lang.to_string()).or_insert_with(none);
                *texts += 1;
                encoded.ids.iter().for_each(|&id| counts[id as usize] += 1);
                continue;
            }
            let pieces: Vec<_> = encoded.ids.iter().map(|id| tokenizer.piece(*id)).collect();
            if records {
                out.record(&Tokens {
                    kind: "tokens",
                    lang: &record.lang,
                    text: &record.text,
                    ids: &encoded.ids,
                    pieces: &pieces,
                    num_unk: encoded.num_unk,
                    decoded: &tokenizer.decode(&encoded.ids)?,
                })?;
            } else {
                let pieces: Vec<String> = pieces.into_iter().flatten().collect();
                out.line(&pieces.join(" "))?;
            }
        }
    }
    for (lang, (texts, counts)) in counts {
        out.record(&Vocabulary::new(lang, texts, &counts))?;
    }
    out.flush()?;
    if num_unk > 0 {
        context.report.warning(&Error::data(match num_unk {
            1 => "1 token is unknown to the tokenizer".to_string(),
            n => format!("{n} tokens are unknown to the tokenizer"),
        }));
    }
    Ok(Outcome::Ok)
}

fn encoded(args: &Args, tokenizer: &TextTokenizer, record: &MonolingualRecord) -> Result<Encoded> {
    let (lang, text) = (&*record.lang, &*record.text);
    let side = if args.vocabulary { Side::Pieces } else { args.side };
    match side {
        Side::Source => {
            let tgt_lang = args.tgt_lang.as_deref().unwrap_or(lang);
            tokenizer.encode_source(lang, tgt_lang, text, usize::MAX)
        }
        Side::Target => tokenizer.encode_target(lang, text, usize::MAX),
        Side::Pieces => {
            tokenizer.languages().id_of(lang)?;
            let ids = tokenizer.encode_pieces(text)?;
            let is_unk = |id: &&u32| Some(**id) == tokenizer.unk_id();
            let num_unk = ids.iter().filter(is_unk).count() as u32;
            Ok(Encoded { ids, num_unk, truncated: false })
        }
    }
}
