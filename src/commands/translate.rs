//! `isogloss translate`: a filter. Text or records in, translations out, in order.

mod defaults;
mod engine;
mod reader;
mod shortlist;
mod stream;
mod weights;

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::Device;
use serde_json::json;

use crate::cli::Context;
use crate::cli::values::{inputs_or_stdin, parse_input};
use crate::commands::adapters::{AdapterArgs, LoadedAdapters};
use crate::commands::lora::{LoadedLora, LoraArgs};
use crate::commands::marks::MarkArgs;
use crate::commands::masks::{LoadedMasks, MaskArgs};
use crate::decoding::{BatchLimits, DecodingOptions, EarlyStopping, MaxNewTokens};
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Outcome;
use crate::formats::provenance::TOOL;
use crate::io::{Input, Output};
use crate::kernels::packed::WeightFormat;
use crate::methods::Provider;
use crate::methods::UnknownLanguage;
use crate::model::Checkpoint;
use crate::records::{InputFormat, ReadOptions, SCHEMA};
use defaults::ModelDefaults;
use engine::Engine;
use reader::{Prefix, ReaderOptions, spawn};
use shortlist::{ShortlistArgs, Shortlists};
use stream::Writing;
use weights::Sources;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// One hypothesis a line
    Text,
    /// One `translation` record a line
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OnLong {
    /// Keep the beginning; the record says `truncated`
    Cut,
    /// Stop
    Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Stopping {
    /// When no running hypothesis seems able to beat the finished ones
    False,
    /// As soon as there are enough finished hypotheses
    True,
    /// When no running hypothesis can beat the finished ones at any length
    Never,
}

/// Translate text or records, in order
///
/// A filter: one line or record in, one line or record out, whatever it holds. Records may
/// each name their own languages; fields this program does not know are carried through, so
/// that references reach `isogloss score`. Search and scores are those of `generate` in
/// transformers. On the CPU a sentence's translation never depends on what it is batched with.
///
/// `--dtype bf16` or `int8` rounds the weights of the model while it is loaded: half or a quarter
/// of the memory, and less time. `isogloss inspect MODEL --dtype int8` says how much is lost; a
/// model that `isogloss export` stored in one of them is computed in it. On a GPU (`--device`)
/// `bf16` rounds both factors of every product, and integers are computed as `f32`.
///
/// Example:
///   isogloss translate -m model test.jsonl | isogloss score --metric chrf -
///   isogloss translate -m model --src-lang en --tgt-lang de < lines.txt > lines.de
///   isogloss translate -m model --lora run test.jsonl > hyp.jsonl
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Text or records; `-` or nothing is standard input
    #[arg(value_name = "FILE", value_parser = parse_input)]
    pub inputs: Vec<Input>,
    /// Model directory, or a run (its best checkpoint)
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// List the model's languages and exit
    #[arg(long)]
    pub list_langs: bool,
    /// Source language of lines, and of records that name none
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub src_lang: Option<String>,
    /// Target language of lines, and of records that name none
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub tgt_lang: Option<String>,
    /// Format of the input; else by extension and content
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Input")]
    pub input_format: Option<InputFormat>,
    /// Translate each record's target side into its source language
    #[arg(long, conflicts_with = "both_directions", help_heading = "Input")]
    pub reverse: bool,
    /// Translate each record both ways: two records out for each one in
    #[arg(long, help_heading = "Input")]
    pub both_directions: bool,
    /// What to do with a source that is longer than the model's positions
    #[arg(long, value_enum, default_value = "cut", help_heading = "Input")]
    pub on_long: OnLong,
    /// Answer a broken line with an `error` record (an empty line in text) and go on; exit code 3
    #[arg(long, help_heading = "Input")]
    pub skip_bad: bool,
    /// The same, for at most N broken lines
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub max_errors: Option<u64>,

    #[command(flatten)]
    pub marks: MarkArgs,

    #[command(flatten)]
    pub neuron_masks: MaskArgs,
    /// All neurons for all directions, also of a model that was trained with masks
    #[arg(
        long,
        conflicts_with_all = ["masks", "unknown_direction", "foreign_masks"],
        help_heading = "Neuron masks"
    )]
    pub no_masks: bool,

    #[command(flatten)]
    pub lora: LoraArgs,

    #[command(flatten)]
    pub adapters: AdapterArgs,

    /// Hypotheses kept at each step; 1 is greedy search
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Decoding")]
    pub beam_size: usize,
    /// Scores are divided by length to this power [default: the model's, else 1.0]
    #[arg(long, value_name = "X", allow_negative_numbers = true, help_heading = "Decoding")]
    pub length_penalty: Option<f64>,
    /// Most tokens of a translation, language and end mark included [default: one and a half times
    /// the source and 50 more]
    #[arg(long, value_name = "N", help_heading = "Decoding")]
    pub max_new_tokens: Option<usize>,
    /// No end before this many tokens [default: the model's, else 0]
    #[arg(long, value_name = "N", help_heading = "Decoding")]
    pub min_new_tokens: Option<usize>,
    /// When beam search ends (transformers' `early_stopping`) [default: the model's, else false]
    #[arg(long, value_enum, help_heading = "Decoding")]
    pub early_stopping: Option<Stopping>,
    /// No n-gram of this size twice in a translation; 0 allows all [default: the model's, else 0]
    #[arg(long, value_name = "N", help_heading = "Decoding")]
    pub no_repeat_ngram_size: Option<usize>,
    /// A token id that is never chosen; may be repeated
    #[arg(long, value_name = "ID", help_heading = "Decoding")]
    pub suppress_token: Vec<u32>,
    /// Every translation begins with this text; its tokens count in the length, with a log
    /// probability of 0, as those of a forced mark do
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with_all = ["score_given", "reverse", "both_directions", "prefix_field"],
        help_heading = "Decoding"
    )]
    pub prefix: Option<String>,
    /// Each translation begins with the text of this field of its record, if it has one
    #[arg(
        long,
        value_name = "FIELD",
        conflicts_with_all = ["score_given", "reverse", "both_directions"],
        help_heading = "Decoding"
    )]
    pub prefix_field: Option<String>,
    /// Hypotheses in each record
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Decoding")]
    pub n_best: usize,
    /// Id and log probability of each token in each record
    #[arg(long, help_heading = "Decoding")]
    pub token_scores: bool,
    /// Do not search: score each record's reference
    #[arg(long, help_heading = "Decoding")]
    pub score_given: bool,

    #[command(flatten)]
    pub shortlist: ShortlistArgs,

    /// Sentences decoded at once, by one worker or, where there are enough, in batches of their own by
    /// several; changes speed and memory, on the CPU never a translation
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Decoding")]
    pub batch_size: usize,
    /// Tokens decoded at once: sources and longest possible translations
    #[arg(long, value_name = "N", default_value_t = 16384, help_heading = "Decoding")]
    pub batch_tokens: usize,
    /// Sentences between the oldest unfinished and the newest read
    #[arg(long, value_name = "N", default_value_t = 1024, help_heading = "Decoding")]
    pub window: usize,

    /// Shape of standard output; default: text for text, records for records
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub format: Option<OutputFormat>,
    /// Begin with a `header` record
    #[arg(long, help_heading = "Output")]
    pub header: bool,
    /// End with a `summary` record
    #[arg(long, help_heading = "Output")]
    pub summary: bool,
    /// Write every line at once, also to a file or pipe
    #[arg(long, help_heading = "Output")]
    pub line_buffered: bool,
}

impl Args {
    fn check(&self) -> Result<()> {
        let at_least_one = |flag: &str, n: usize| {
            if n > 0 {
                Ok(())
            } else {
                Err(Error::usage("value is out of range").flag(flag).expected("at least 1"))
            }
        };
        if !(1..=MAX_BEAM_SIZE).contains(&self.beam_size) {
            return Err(Error::usage("value is out of range")
                .flag("--beam-size")
                .found(self.beam_size.to_string())
                .expected(format!("1 to {MAX_BEAM_SIZE}")));
        }
        at_least_one("--n-best", self.n_best)?;
        at_least_one("--batch-size", self.batch_size)?;
        at_least_one("--batch-tokens", self.batch_tokens)?;
        at_least_one("--window", self.window)?;
        at_least_one("--max-new-tokens", self.max_new_tokens.unwrap_or(1))?;
        if self.n_best > self.beam_size {
            return Err(Error::usage("more hypotheses are asked for than the beam holds")
                .flag("--n-best")
                .found(self.n_best.to_string())
                .expected(format!("at most --beam-size {}", self.beam_size)));
        }
        if !self.length_penalty.is_none_or(|x| x.abs() <= MAX_LENGTH_PENALTY) {
            return Err(Error::usage("value is out of range")
                .flag("--length-penalty")
                .expected(format!("-{MAX_LENGTH_PENALTY} to {MAX_LENGTH_PENALTY}")));
        }
        if let (Some(least), Some(most)) = (self.min_new_tokens, self.max_new_tokens)
            && least > most
        {
            return Err(Error::usage("the least length is above the greatest")
                .flag("--min-new-tokens")
                .found(least.to_string())
                .expected(format!("at most --max-new-tokens {most}")));
        }
        if self.score_given && (self.n_best > 1 || self.no_repeat_ngram_size.is_some()) {
            return Err(Error::usage(
                "options of search with `--score-given`, which does not search",
            )
            .flag("--score-given"));
        }
        Ok(())
    }

    /// Flags, then what the model brings along, then the defaults of `generate`.
    fn options(&self, model: &ModelDefaults) -> DecodingOptions {
        let mut suppress_tokens = model.suppress_tokens.clone();
        suppress_tokens.extend(&self.suppress_token);
        DecodingOptions {
            beam_size: self.beam_size,
            n_best: self.n_best,
            length_penalty: self.length_penalty.or(model.length_penalty).unwrap_or(1.0),
            early_stopping: match self.early_stopping {
                Some(Stopping::False) => EarlyStopping::Heuristic,
                Some(Stopping::True) => EarlyStopping::Full,
                Some(Stopping::Never) => EarlyStopping::Never,
                None => model.early_stopping.unwrap_or_default(),
            },
            max_new_tokens: match self.max_new_tokens {
                Some(n) => MaxNewTokens::Fixed(n),
                None => {
                    MaxNewTokens::BySource { limit: model.max_new_tokens.unwrap_or(usize::MAX) }
                }
            },
            min_new_tokens: self.min_new_tokens.or(model.min_new_tokens).unwrap_or(0),
            no_repeat_ngram_size: self
                .no_repeat_ngram_size
                .or(model.no_repeat_ngram_size)
                .unwrap_or(0),
            suppress_tokens,
        }
    }

    /// One line that names model and search (style of sacrebleu's signatures).
    fn signature(
        &self,
        checkpoint: &Checkpoint,
        (masks, lora, adapters, shortlists): (
            Option<&LoadedMasks>,
            Option<&LoadedLora>,
            Option<&LoadedAdapters>,
            Option<&Shortlists>,
        ),
        options: &DecodingOptions,
        (format, device): (WeightFormat, &Device),
    ) -> Result<String> {
        let sha256 = checkpoint.sha256()?;
        let maxlen =
            self.max_new_tokens.map_or_else(|| "1.5*src+50".to_string(), |n| n.to_string());
        let masks = masks.map_or(String::new(), |m| format!("mask:{}|", m.signature()));
        let unknown = match self.lora.unknown_language {
            Some(UnknownLanguage::Base) => "@base",
            _ => "",
        };
        let lora = lora.map_or(String::new(), |l| format!("lora:{}{unknown}|", l.signature()));
        let adapters =
            adapters.map_or(String::new(), |a| format!("adapters:{}{unknown}|", a.signature()));
        let shortlist = shortlists.map_or(String::new(), |s| format!("shortlist:{}|", s.signature));
        // Elsewhere sums are taken in another order, and bf16 rounds more.
        let device = if device.is_cpu() { "" } else { "device:cuda|" };
        Ok(format!(
            "model:{}@{}|{masks}{lora}{adapters}{shortlist}beam:{}|lp:{:?}|maxlen:{maxlen}|dtype:{}|{device}version:{}",
            checkpoint.name(),
            &sha256[..8],
            self.beam_size,
            options.length_penalty,
            format.name(),
            env!("CARGO_PKG_VERSION"),
        ))
    }
}

/// Beyond it the length to this power is no number any more.
const MAX_LENGTH_PENALTY: f64 = 10.0;
/// Each hypothesis keeps a cache of its own; nobody asks for more on purpose.
const MAX_BEAM_SIZE: usize = 1024;

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    args.check()?;
    let checkpoint = Checkpoint::open_any(&args.model)?;
    let tokenizer = args.marks.tokenizer(&checkpoint)?;
    let mut out = Output::stdout(args.line_buffered);
    if args.list_langs {
        for code in tokenizer.languages().codes() {
            out.line(code)?;
        }
        out.flush()?;
        return Ok(Outcome::Ok);
    }
    for (flag, lang) in [("--src-lang", &args.src_lang), ("--tgt-lang", &args.tgt_lang)] {
        if let Some(lang) = lang {
            tokenizer.languages().find(lang, ErrorKind::Usage).map_err(|e| e.flag(flag))?;
        }
    }
    let lora = args.lora.load(&checkpoint, context)?;
    let adapters = args.adapters.load(&checkpoint, "translation", args.lora.allow_base_mismatch)?;
    args.lora.refuse_idle(adapters.is_some())?;
    let dirs = [lora.as_ref().map(|l| &*l.dir), adapters.as_ref().map(|a| &*a.dir)];
    let tokenizer = Arc::new(args.marks.with_parts(tokenizer, dirs)?);
    let carried = lora.as_ref().and_then(LoadedLora::masks);
    let carried = carried.or_else(|| adapters.as_ref().and_then(LoadedAdapters::masks));
    let masks = match args.no_masks {
        true => None,
        false => args.neuron_masks.load_or_carried_by(&checkpoint, carried)?,
    };
    let defaults = ModelDefaults::read(checkpoint.dir())?;
    if let Some(warning) = defaults.warning() {
        context.report.warning(&warning);
    }
    let options = args.options(&defaults);
    if let Some(id) =
        options.suppress_tokens.iter().find(|&&id| id as usize >= checkpoint.config.vocab_size)
    {
        return Err(Error::usage(format!("token id {id} is not in the vocabulary"))
            .flag("--suppress-token")
            .expected(format!("below {}", checkpoint.config.vocab_size)));
    }
    let shortlists = args.shortlist.load(&checkpoint, &tokenizer)?;
    let inputs = if args.inputs.is_empty() && Input::Stdin.is_terminal() {
        context.report.status("reading from the terminal; end with Ctrl-D");
        vec![Input::Stdin]
    } else {
        inputs_or_stdin(&args.inputs, "isogloss translate -m model test.jsonl")?
    };
    if context.dry_run {
        out.line(&format!("model: {}", checkpoint.dir().display()))?;
        if let Some(masks) = &masks {
            out.line(&format!("masks: {}", masks.path.display()))?;
        }
        if let Some(lora) = &lora {
            out.line(&format!("LoRA: {}", lora.dir.display()))?;
        }
        if let Some(adapters) = &adapters {
            out.line(&format!("adapters: {}", adapters.dir.display()))?;
        }
        if let Some(shortlists) = &shortlists {
            out.line(&format!("shortlist: {}", shortlists.path.display()))?;
        }
        for i in &inputs {
            if i.path().is_some() {
                i.open()?;
            }
            out.line(&format!("reads: {}", i.name().display()))?;
        }
        out.line("writes: translations to standard output")?;
        out.flush()?;
        return Ok(Outcome::Ok);
    }

    let (engine, format) = Engine::load(&checkpoint, context)?;
    let signature = if args.header || args.summary {
        let parts = (masks.as_ref(), lora.as_ref(), adapters.as_ref(), shortlists.as_ref());
        Some(args.signature(&checkpoint, parts, &options, (format, context.device()))?)
    } else {
        None
    };
    let started = std::time::Instant::now();
    if let Some(masks) = &masks {
        context.report.note(format!("masks: {}", masks.path.display()));
    }
    if let Some(lora) = &lora {
        context.report.note(format!("LoRA: {}", lora.dir.display()));
    }
    if let Some(adapters) = &adapters {
        context.report.note(format!("adapters: {}", adapters.dir.display()));
    }
    if let Some(shortlists) = &shortlists {
        context.report.note(format!("shortlist: {}", shortlists.path.display()));
    }
    let parts = Arc::new(Provider {
        masks: masks.map(|m| m.provider),
        lora: lora.map(|l| args.lora.provider(&l, &checkpoint)).transpose()?,
        adapters: adapters.map(|a| (a.source, args.lora.unknown_language.unwrap_or_default())),
    });
    let feed = spawn(
        inputs,
        Arc::clone(&tokenizer),
        ReaderOptions {
            read: ReadOptions {
                format: args.input_format,
                src_lang: args.src_lang.clone(),
                tgt_lang: args.tgt_lang.clone(),
            },
            reverse: args.reverse,
            both_directions: args.both_directions,
            score_given: args.score_given,
            prefix: Prefix { text: args.prefix.clone(), field: args.prefix_field.clone() },
            parts: Arc::clone(&parts),
            max_len: checkpoint.config.max_len(),
            refuse_long: args.on_long == OnLong::Error,
            tolerate: if args.skip_bad { u64::MAX } else { args.max_errors.unwrap_or(0) },
        },
        args.window,
    )?;
    let writing = Writing {
        format: args.format,
        n_best: args.n_best,
        token_scores: args.token_scores,
        score_given: args.score_given,
        summary: args.summary,
        header: args.header.then(|| {
            json!({
                "type": "header", "kind": "translation", "schema": SCHEMA, "tool": TOOL,
                "command": "translate", "args": args_of(context), "signature": signature,
            })
        }),
    };
    let limits =
        BatchLimits { sentences: args.batch_size, tokens: args.batch_tokens, window: args.window };
    let sources = Sources { parts, shortlists, tokenizer: &tokenizer };
    let how = (options, limits, args.lora.form());
    let totals = engine.translate(how, sources, (feed, out, writing), context)?;
    let mut out = totals.out;
    if args.summary {
        let elapsed = started.elapsed().as_secs_f64();
        out.record(&json!({
            "type": "summary", "num_records": totals.num_items,
            "num_warnings": context.report.num_warnings(),
            "num_errors": totals.num_errors,
            "elapsed_s": (elapsed * 1e3).round() / 1e3,
            "tok_per_s": (totals.num_tokens as f64 / elapsed.max(1e-9)).round(),
            "signature": signature,
            "status": if totals.num_errors == 0 { "ok" } else { "errors" },
        }))?;
    }
    out.flush()?;
    match totals.first_error {
        Some(e) => Err(e.hint(format!(
            "{} broken of {}; each has a line of its own in the output",
            totals.num_errors, totals.num_items
        ))),
        None => Ok(Outcome::Ok),
    }
}

/// The settings that decide what a translation is.
fn args_of(context: &Context) -> serde_json::Value {
    let names = [
        "beam_size",
        "length_penalty",
        "max_new_tokens",
        "min_new_tokens",
        "early_stopping",
        "no_repeat_ngram_size",
        "suppress_token",
        "shortlist_size",
        "n_best",
        "prefix",
        "prefix_field",
        "score_given",
        "mark_convention",
        "nllb_legacy_source",
        "unknown_direction",
        "unknown_language",
        "no_masks",
        "no_adapters",
        "as",
        "swap",
        "reverse",
        "both_directions",
        "dtype",
    ];
    context
        .settings
        .iter()
        .filter(|(k, _)| names.contains(&k.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}
