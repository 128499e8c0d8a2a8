//! `isogloss profile-neurons`: how often each feed-forward neuron fires, per direction.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::cli::Context;
use crate::cli::values::{inputs_or_stdin, parse_input};
use crate::commands::marks::MarkArgs;
use crate::commands::pairs::{PairArgs, warn_about};
use crate::error::{Error, Result};
use crate::exit::Outcome;
use crate::formats::neuron_stats::{Counting, NeuronStats};
use crate::formats::neurons::{Block, Side, split_pair};
use crate::formats::provenance::{Parent, Provenance, display_name, hex};
use crate::io::{Input, Output, refuse_existing, refuse_stdout};
use crate::model::inference::InferenceModel;
use crate::model::{Checkpoint, M2m100};
use crate::profiling::{ProfileOptions, Profiler, distribution, quantile};
use crate::records::{LayerProfile, NeuronProfile, round6};
use crate::report::{Align, Table, TableFormat};
use crate::training::Corpus;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// A table of layers, over all directions
    Text,
    /// One `layer_profile` record a direction and layer
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Unit {
    /// Each token position counts
    Token,
    /// Each sentence counts once, whatever the number of its tokens
    Sentence,
}

/// Count how often each feed-forward neuron fires
///
/// Reads parallel text through the model with teacher forcing and counts, for each direction,
/// layer and neuron, how often the value behind the activation is above 0. Counts are whole
/// numbers: those of several files add up, and neither the order of the input nor batches nor
/// threads change them. `build-masks` chooses neurons from them. Without `--output` only records
/// or a table are written.
///
/// Example:
///   isogloss profile-neurons -m model -o stats.safetensors dev.jsonl
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Parallel text; `-` or nothing is standard input
    #[arg(value_name = "FILE", value_parser = parse_input)]
    pub inputs: Vec<Input>,
    /// Model directory, or a run (its best checkpoint)
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// Where the statistics go, such as stats.safetensors
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub pairs: PairArgs,
    #[command(flatten)]
    pub marks: MarkArgs,

    /// What is counted
    #[arg(long, value_enum, default_value = "token", help_heading = "Counting")]
    pub unit: Unit,
    /// Leave out the positions of language marks
    #[arg(long, help_heading = "Counting")]
    pub exclude_marks: bool,
    /// Count padding positions too, as the method's first implementation does; the counts then
    /// depend on batches
    #[arg(long, help_heading = "Counting")]
    pub include_padding: bool,
    /// A value above this is active
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.0,
        allow_negative_numbers = true,
        help_heading = "Counting"
    )]
    pub threshold: f32,
    /// Also sum the values, for means and for `build-masks --rule activation`
    #[arg(long, help_heading = "Counting")]
    pub sums: bool,
    /// Tokens of a batch, padding included
    #[arg(long, value_name = "N", default_value_t = 4096, help_heading = "Counting")]
    pub batch_tokens: usize,

    /// Shape of standard output [default: text on a terminal, else jsonl]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub format: Option<OutputFormat>,
    /// One `neuron_profile` record for each neuron as well
    #[arg(long, help_heading = "Output")]
    pub per_neuron: bool,
}

impl Args {
    fn counting(&self) -> Counting {
        Counting {
            unit: match self.unit {
                Unit::Token => "token".into(),
                Unit::Sentence => "sentence".into(),
            },
            marks: !self.exclude_marks,
            padding: self.include_padding,
            threshold: self.threshold,
        }
    }
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    args.pairs.check()?;
    if args.batch_tokens == 0 {
        return Err(Error::usage("value is out of range")
            .flag("--batch-tokens")
            .expected("at least 1"));
    }
    if !args.threshold.is_finite() {
        return Err(Error::usage("value is out of range").flag("--threshold").expected("a number"));
    }
    if args.per_neuron && args.format == Some(OutputFormat::Text) {
        return Err(Error::usage("`--per-neuron` needs records as output")
            .flag("--per-neuron")
            .hint("leave `--format text` out"));
    }
    if let Some(output) = &args.output {
        refuse_stdout(output)?;
        refuse_existing(output, context.force)?;
    }
    let checkpoint = Checkpoint::open(&args.model)?;
    let tokenizer = args.marks.tokenizer(&checkpoint)?;
    let inputs = inputs_or_stdin(
        &args.inputs,
        "isogloss profile-neurons -m model -o stats.safetensors dev.jsonl",
    )?;
    let options = args.pairs.corpus_options(&checkpoint.config, false)?;
    let mut out = Output::stdout(false);
    if context.dry_run {
        out.line(&format!("model: {}", checkpoint.dir().display()))?;
        for i in &inputs {
            if i.path().is_some() {
                i.open()?;
            }
            out.line(&format!("reads: {}", i.name().display()))?;
        }
        if let Some(output) = &args.output {
            out.line(&format!("writes: {}", output.display()))?;
        }
        out.flush()?;
        return Ok(Outcome::Ok);
    }
    if checkpoint.dir().join(super::masks::CARRIED).is_file() {
        context.report.warning(
            &Error::artifact(
                "the model was trained with neuron masks; its neurons are counted without",
            )
            .at(checkpoint.dir()),
        );
    }
    if super::adapters::are_beside(&checkpoint) {
        context.report.warning(
            &Error::artifact(
                "the model was trained with adapters; its neurons are counted without",
            )
            .at(checkpoint.dir()),
        );
    }
    let profile = ProfileOptions {
        counting: args.counting(),
        sums: args.sums,
        convention: tokenizer.convention(),
        batch_tokens: args.batch_tokens,
    };
    let device = context.device();
    let (packed, moved);
    let mut profiler = if device.is_cpu() {
        packed = InferenceModel::from_checkpoint(&checkpoint)?;
        Profiler::new(&packed, context.threads, profile)
    } else {
        moved = M2m100::on_device(&checkpoint, device, false)?;
        Profiler::on_device(&moved, profile)
    };
    let mut progress = context.report.progress("profiling", "records", None);
    let mut before = 0;
    let mut hasher = TextFingerprint::default();
    let summary = Corpus::read_in_windows(&inputs, &tokenizer, &options, |corpus| {
        hasher.add(corpus);
        for d in &corpus.directions {
            let examples = d.examples.iter();
            let sources: Vec<_> =
                examples.map(|e| (corpus.source(*e), corpus.target(*e))).collect();
            let pairs: Vec<(&[u32], &[u32])> = sources.iter().map(|(s, t)| (&**s, *t)).collect();
            profiler.add(&d.direction.to_string(), &pairs)?;
        }
        progress.add(corpus.summary.num_records - before);
        before = corpus.summary.num_records;
        Ok(())
    })?;
    progress.finish();
    warn_about("parallel", &summary, &options, context);
    let sha256 = checkpoint.sha256()?;
    let stats = profiler.finish(Some(sha256.clone()));
    if let Some(output) = &args.output {
        let mut names: Vec<String> = inputs.iter().map(|i| display_name(&i.name())).collect();
        names.sort();
        // Counts depend neither on the order of the text nor, without padding and on the CPU, on
        // batches.
        let mut settings = context.provenance_args();
        let by_batch = args.include_padding || !device.is_cpu();
        settings.retain(|k, _| k != "inputs" && (k != "batch_tokens" || by_batch));
        if !device.is_cpu() {
            settings.insert("device".into(), "cuda".into());
        }
        let provenance = Provenance {
            command: "profile-neurons".into(),
            args: settings,
            seed: context.seed,
            parents: vec![
                Parent { role: "base_model".into(), name: display_name(&args.model), sha256 },
                Parent { role: "text".into(), name: names.join(","), sha256: hasher.finish() },
            ],
            signature: None,
        };
        stats.write(&provenance, output, context.force)?;
        context.report.status(format!(
            "{} directions, {} feed-forward blocks, {} tokens: {}",
            stats.lang_pairs.len(),
            stats.blocks.len(),
            stats.token_count.iter().flatten().sum::<u64>(),
            output.display()
        ));
    }
    let asked = args.format.map(|f| f == OutputFormat::Jsonl);
    if context.json || args.per_neuron || Output::wants_records(asked) {
        write_records(args, &stats, &mut out)?;
    } else {
        out.text(&table(&stats).render(TableFormat::Text))?;
    }
    out.flush()?;
    Ok(Outcome::Ok)
}

/// SHA-256 of each pair, added up: the same for every order of the text and every division into
/// files.
#[derive(Default)]
struct TextFingerprint([u64; 4]);

impl TextFingerprint {
    fn add(&mut self, corpus: &Corpus) {
        for d in &corpus.directions {
            let name = d.direction.to_string();
            for e in &d.examples {
                let mut hasher = Sha256::new();
                hasher.update(&name);
                for side in [e.src, e.tgt] {
                    let ids = corpus.sentence(side);
                    hasher.update((ids.len() as u64).to_le_bytes());
                    ids.iter().for_each(|id| hasher.update(id.to_le_bytes()));
                }
                let digest: [u8; 32] = hasher.finalize().into();
                for (sum, part) in self.0.iter_mut().zip(digest.as_chunks::<8>().0) {
                    *sum = sum.wrapping_add(u64::from_le_bytes(*part));
                }
            }
        }
    }
    fn finish(&self) -> String {
        self.0.iter().map(|part| hex(&part.to_le_bytes())).collect()
    }
}

/// Shares of positions (or sentences) in which the neurons of a block are active.
fn shares(stats: &NeuronStats, block: Block, pair: usize) -> (u64, Vec<f64>) {
    let side = usize::from(block.side == Side::Decoder);
    let by_sentence = stats.counting.as_ref().is_some_and(|c| c.unit == "sentence");
    let of = if by_sentence { stats.sentence_count[pair] } else { stats.token_count[pair][side] };
    let counts = stats.counts(block, pair).unwrap_or(&[]);
    (of, counts.iter().map(|&c| c as f64 / of.max(1) as f64).collect())
}

fn write_records(args: &Args, stats: &NeuronStats, out: &mut Output) -> Result<()> {
    let counting = args.counting();
    for (i, lang_pair) in stats.lang_pairs.iter().enumerate() {
        let Some((src_lang, tgt_lang)) = split_pair(lang_pair) else { continue };
        for (&block, b) in &stats.blocks {
            let (of, shares) = shares(stats, block, i);
            let counts = stats.counts(block, i).unwrap_or(&[]);
            let mut sorted = shares.clone();
            sorted.sort_by(f64::total_cmp);
            let at = |q| quantile(&sorted, q).unwrap_or(0.0);
            out.record(&LayerProfile {
                lang_pair: lang_pair.clone(),
                src_lang: src_lang.into(),
                tgt_lang: tgt_lang.into(),
                side: block.side.to_string(),
                layer: block.layer,
                module: block.to_string(),
                token_count: stats.token_count[i][usize::from(block.side == Side::Decoder)],
                sentence_count: stats.sentence_count[i],
                ffn_dim: b.ffn_dim,
                active_frac: round6(shares.iter().sum::<f64>() / b.ffn_dim.max(1) as f64),
                never_active: counts.iter().filter(|&&c| c == 0).count() as u64,
                always_active: counts.iter().filter(|&&c| c == of && of > 0).count() as u64,
                threshold: counting.threshold,
                unit: counting.unit.clone(),
                p10: round6(at(0.1)),
                p50: round6(at(0.5)),
                p90: round6(at(0.9)),
            })?;
            if !args.per_neuron {
                continue;
            }
            let sums = stats.sums(block, i).filter(|s| !s.is_empty());
            for (neuron, (&active_count, share)) in counts.iter().zip(&shares).enumerate() {
                let tokens = stats.token_count[i][usize::from(block.side == Side::Decoder)];
                out.record(&NeuronProfile {
                    lang_pair: lang_pair.clone(),
                    side: block.side.to_string(),
                    layer: block.layer,
                    module: block.to_string(),
                    neuron,
                    active_count,
                    active_frac: round6(*share),
                    mean_activation: sums.map(|s| round6(s[neuron] / tokens.max(1) as f64)),
                })?;
            }
        }
    }
    Ok(())
}

/// One row a block: what its neurons do on average over directions, and in any of them.
fn table(stats: &NeuronStats) -> Table {
    let mut table = Table::new([
        ("module", Align::Left),
        ("neurons", Align::Right),
        ("active %", Align::Right),
        ("least", Align::Right),
        ("most", Align::Right),
        ("never", Align::Right),
        ("always", Align::Right),
    ]);
    for (&block, b) in &stats.blocks {
        let mut means = Vec::new();
        let (mut never, mut always) = (vec![true; b.ffn_dim], vec![true; b.ffn_dim]);
        for i in 0..stats.lang_pairs.len() {
            let (_, shares) = shares(stats, block, i);
            means.push(100.0 * shares.iter().sum::<f64>() / b.ffn_dim.max(1) as f64);
            for (n, share) in shares.iter().enumerate() {
                never[n] &= *share == 0.0;
                always[n] &= *share == 1.0;
            }
        }
        let Some(d) = distribution(&means) else { continue };
        let count = |flags: &[bool]| flags.iter().filter(|f| **f).count().to_string();
        table.row([
            block.to_string(),
            b.ffn_dim.to_string(),
            format!("{:.1}", d.mean),
            format!("{:.1}", d.min),
            format!("{:.1}", d.max),
            count(&never),
            count(&always),
        ]);
    }
    table
}
