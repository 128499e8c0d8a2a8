//! `isogloss tag`: a filter. Sentences of tokens in, the same with a tag for each token out, in
//! order.

mod scores;
mod sentences;
mod tagger;

use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::values::{inputs_or_stdin, parse_input};
use crate::commands::adapters::{AdapterArgs, LoadedAdapters};
use crate::commands::lora::{LoadedLora, LoraArgs};
use crate::commands::marks::MarkArgs;
use crate::commands::masks::{LoadedMasks, MaskArgs};
use crate::commands::translate::OnLong;
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Outcome;
use crate::io::{Input, Output};
use crate::methods::Provider;
use crate::model::Checkpoint;
use crate::records::Tagging;
use crate::training::{TAG_HEAD, TagHead};
use scores::Tally;
use sentences::{Sentence, Sentences};
use tagger::{Limits, Tagger};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScoreFormat {
    /// A table
    Text,
    /// One `tag_score` record a line
    Jsonl,
}

/// Tag words, such as with their parts of speech
///
/// A filter: one record of `lang` and `tokens` in, the same record with `hyp_tags` out, in order;
/// fields this program does not know are carried through. Tagging is trained by `train --tag`; what
/// it learnt is read from the adapters or LoRA it was trained with, else from the model. A word's
/// tag is read at its first piece; a word without a piece, or behind the cut of a sentence that is
/// too long, has the tag null. On the CPU a sentence's tags never depend on what it is batched with.
/// Records that have `tags` are scored: the share of words with the right tag, by language.
///
/// Example:
///   isogloss tag -m model --adapters run test.jsonl > tagged.jsonl
///   isogloss tag -m model --adapters run --score-only test.jsonl
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Records of tokens; `-` or nothing is standard input
    #[arg(value_name = "FILE", value_parser = parse_input)]
    pub inputs: Vec<Input>,
    /// Model directory, or a run (its best checkpoint)
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// Language of records that name none
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub lang: Option<String>,
    /// What to do with a sentence that is longer than the model's positions
    #[arg(long, value_enum, default_value = "cut", help_heading = "Input")]
    pub on_long: OnLong,

    #[command(flatten)]
    pub marks: MarkArgs,

    #[command(flatten)]
    pub neuron_masks: MaskArgs,
    /// All neurons for all languages, also of a model that was trained with masks
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

    /// Sentences tagged at once; changes speed and memory, on the CPU never a tag
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Speed")]
    pub batch_size: usize,
    /// Tokens tagged at once
    #[arg(long, value_name = "N", default_value_t = 16384, help_heading = "Speed")]
    pub batch_tokens: usize,
    /// Sentences read at once, from which batches are made
    #[arg(long, value_name = "N", default_value_t = 1024, help_heading = "Speed")]
    pub window: usize,

    /// End with `tag_score` records of what has `tags`: one for each language, and one for all
    #[arg(long, help_heading = "Output")]
    pub summary: bool,
    /// Nothing but the scores
    #[arg(long, conflicts_with = "summary", help_heading = "Output")]
    pub score_only: bool,
    /// Shape of the scores of `--score-only` [default: text on a terminal, else jsonl]
    #[arg(short, long, value_enum, requires = "score_only", help_heading = "Output")]
    pub format: Option<ScoreFormat>,
}

impl Args {
    fn check(&self) -> Result<()> {
        let sizes = [
            ("--batch-size", self.batch_size),
            ("--batch-tokens", self.batch_tokens),
            ("--window", self.window),
        ];
        if let Some((flag, _)) = sizes.into_iter().find(|(_, n)| *n == 0) {
            return Err(Error::usage("value is out of range").flag(flag).expected("at least 1"));
        }
        if self.lora.merge_lora {
            return Err(Error::usage("tagging keeps a LoRA beside the weights")
                .flag("--merge-lora")
                .hint("leave it out: the tags are the same"));
        }
        Ok(())
    }
}

/// What a model runs with, as it was found.
struct Loaded {
    masks: Option<LoadedMasks>,
    lora: Option<LoadedLora>,
    adapters: Option<LoadedAdapters>,
    /// The directory of the tag head.
    head_dir: PathBuf,
}

impl Loaded {
    fn new(args: &Args, checkpoint: &Checkpoint, context: &Context) -> Result<Self> {
        let lora = args.lora.load(checkpoint, context)?;
        let adapters = args.adapters.load(checkpoint, "tagging", args.lora.allow_base_mismatch)?;
        args.lora.refuse_idle(adapters.is_some())?;
        let carried = lora.as_ref().and_then(LoadedLora::masks);
        let carried = carried.or_else(|| adapters.as_ref().and_then(LoadedAdapters::masks));
        let masks = match args.no_masks {
            true => None,
            false => args.neuron_masks.load_or_carried_by(checkpoint, carried)?,
        };
        let head_dir = find_head(checkpoint, lora.as_ref(), adapters.as_ref())?;
        Ok(Self { masks, lora, adapters, head_dir })
    }

    /// Directories of what was trained with marks: the head is not always beside the others.
    fn dirs(&self) -> [Option<&Path>; 3] {
        let lora = self.lora.as_ref().map(|l| &*l.dir);
        let adapters = self.adapters.as_ref().map(|a| &*a.dir);
        [lora, adapters, Some(&self.head_dir)]
    }

    /// Each part with its place.
    fn places(&self) -> Vec<(&'static str, &Path)> {
        let masks = self.masks.as_ref().map(|m| ("masks", &*m.path));
        let lora = self.lora.as_ref().map(|l| ("LoRA", &*l.dir));
        let adapters = self.adapters.as_ref().map(|a| ("adapters", &*a.dir));
        let head = Some(("tag head", &*self.head_dir));
        [masks, lora, adapters, head].into_iter().flatten().collect()
    }

    fn provider(self, args: &Args, checkpoint: &Checkpoint) -> Result<Provider> {
        Ok(Provider {
            masks: self.masks.map(|m| m.provider),
            lora: self.lora.map(|l| args.lora.provider(&l, checkpoint)).transpose()?,
            adapters: self
                .adapters
                .map(|a| (a.source, args.lora.unknown_language.unwrap_or_default())),
        })
    }
}

/// The tag head was trained with what lies beside it: adapters or a LoRA before the model.
fn find_head(
    checkpoint: &Checkpoint,
    lora: Option<&LoadedLora>,
    adapters: Option<&LoadedAdapters>,
) -> Result<PathBuf> {
    let own = [adapters.map(|a| &*a.dir), lora.map(|l| &*l.dir), Some(checkpoint.dir())];
    let dirs: Vec<_> = own.into_iter().flatten().collect();
    if let Some(dir) = dirs.iter().find(|dir| dir.join(TAG_HEAD).is_file()) {
        return Ok(dir.to_path_buf());
    }
    let looked: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    let e = Error::artifact("no tag head was found")
        .expected(format!("`{TAG_HEAD}` in {}", looked.join(" or ")))
        .hint("`isogloss train --tag FILE` trains one");
    Err(match dirs.len() {
        1 => e.hint("`--adapters RUN` names adapters that were trained to tag"),
        _ => e,
    })
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    args.check()?;
    let checkpoint = Checkpoint::open(&args.model)?;
    let tokenizer = args.marks.tokenizer(&checkpoint)?;
    if let Some(lang) = &args.lang {
        tokenizer.languages().find(lang, ErrorKind::Usage).map_err(|e| e.flag("--lang"))?;
    }
    let loaded = Loaded::new(args, &checkpoint, context)?;
    let tokenizer = args.marks.with_parts(tokenizer, loaded.dirs())?;
    let head = TagHead::read(&loaded.head_dir, checkpoint.config.d_model)?;
    let inputs = inputs_or_stdin(&args.inputs, "isogloss tag -m model --adapters run test.jsonl")?;
    let mut out = Output::stdout(false);
    if context.dry_run {
        out.line(&format!("model: {}", checkpoint.dir().display()))?;
        for (what, path) in loaded.places() {
            out.line(&format!("{what}: {}", path.display()))?;
        }
        out.line(&format!("tags: {}", head.tags().join(" ")))?;
        for input in &inputs {
            if input.path().is_some() {
                input.open()?;
            }
            out.line(&format!("reads: {}", input.name().display()))?;
        }
        out.flush()?;
        return Ok(Outcome::Ok);
    }
    for (what, path) in loaded.places() {
        context.report.note(format!("{what}: {}", path.display()));
    }
    let mut tally = Tally::new(head.tags());
    let provider = loaded.provider(args, &checkpoint)?;
    let limits = Limits { sentences: args.batch_size, tokens: args.batch_tokens };
    let convention = tokenizer.convention();
    let mut tagger =
        Tagger::new(&checkpoint, context.device(), head, provider, limits, convention)?;
    let mut sentences = Sentences::new(inputs, args.lang.clone(), &tokenizer, &checkpoint.config)
        .refusing_long(args.on_long == OnLong::Error);
    let mut progress = context.report.progress("tagging", "sentences", None);
    loop {
        // What was read before a broken record is tagged first.
        let (window, failure) = sentences.window(args.window, |lang| tagger.prepare(lang));
        let tags = tagger.tag(&window)?;
        let n = window.len() as u64;
        for (sentence, tags) in window.into_iter().zip(tags) {
            tally.add(&sentence, &tags);
            if !args.score_only {
                out.record(&record(sentence, tags))?;
            }
        }
        progress.add(n);
        if let Some(e) = failure {
            out.flush()?;
            return Err(e);
        }
        if n == 0 {
            break;
        }
    }
    progress.finish();
    tally.warn(context);
    finish(args, context, &tally, &mut out)?;
    out.flush()?;
    Ok(Outcome::Ok)
}

fn record(
    sentence: Sentence,
    tags: Vec<Option<String>>,
) -> serde_json::Map<String, serde_json::Value> {
    let record = sentence.record;
    Tagging {
        lang: sentence.lang,
        tokens: record.tokens,
        hyp_tags: tags,
        truncated: sentence.truncated,
    }
    .into_map(record.raw)
}

/// The scores, where they are asked for; else for people.
fn finish(args: &Args, context: &Context, tally: &Tally, out: &mut Output) -> Result<()> {
    let scores = tally.scores();
    if scores.is_empty() && args.score_only {
        return Err(Error::data("nothing can be scored: no record has `tags`").field("tags"));
    }
    if args.score_only {
        let asked = args.format.map(|f| f == ScoreFormat::Jsonl);
        return match Output::wants_records(asked.or(context.json.then_some(true))) {
            true => scores.iter().try_for_each(|s| out.record(s)),
            false => out.text(&scores::table(&scores)),
        };
    }
    if args.summary {
        scores.iter().try_for_each(|s| out.record(s))?;
    }
    if !scores.is_empty() {
        out.flush()?;
        context.report.status(scores::table(&scores).trim_end());
    }
    Ok(())
}
