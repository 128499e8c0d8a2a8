//! `isogloss build-masks`: choose each direction's neurons; measure what directions share.

mod choose;
mod figures;
mod groups;
mod shared;
mod thresholds;

use std::path::PathBuf;

use crate::cli::Context;
use crate::error::{Error, Result};
use crate::exit::Outcome;
use crate::formats::neuron_masks::NeuronMasks;
use crate::formats::neuron_stats::NeuronStats;
use crate::formats::provenance::{Parent, Provenance, display_name, file_sha256};
use crate::io::{Output, read_text, refuse_existing, refuse_stdout};
use crate::model::Checkpoint;
use crate::profiling::{Combine, add_stats};
use crate::report::TableFormat;
use crate::scoring::labels::Labels;
use choose::Chosen;
use figures::Figures;
use shared::Shared;
use thresholds::Thresholds;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// A table of layers, over all groups
    Text,
    /// One `layer_mask` record a group and layer
    Jsonl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Rule {
    /// The fewest neurons, most active first, that account for k per cent of the activations
    Cumulative,
    /// The same number of neurons, drawn by chance
    Random,
    /// The same number of neurons, those with the largest rows of `fc1.weight` (needs `--model`)
    Magnitude,
    /// All neurons but those of `cumulative`
    Complement,
    /// As `cumulative`, by the sums of the values (needs `profile-neurons --sums`)
    Activation,
    /// The N most active neurons of each layer (needs `--top`)
    TopN,
}

impl Rule {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cumulative => "cumulative",
            Self::Random => "random",
            Self::Magnitude => "magnitude",
            Self::Complement => "complement",
            Self::Activation => "activation",
            Self::TopN => "top-n",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum CombineArg {
    /// Neurons that any member keeps
    Union,
    /// Neurons that all members keep
    Intersection,
    /// Counts are added before neurons are chosen
    Counts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compare {
    /// Encoders of directions into one language, decoders of directions from one language
    Varying,
    /// All with all
    All,
}

/// Choose each direction's neurons and measure their overlap
///
/// Reads the counts of `profile-neurons` (those of several files add up), keeps for each
/// direction and layer the fewest neurons that account for k per cent of the activations, and
/// writes them as masks for `train --masks` and `translate --masks`. Overlap is intersection
/// over union. Without `--output` only records, a table or figures are written.
///
/// Example:
///   isogloss build-masks --k 95 -o masks.safetensors stats.safetensors
///   isogloss build-masks --k 70 --overlap --figure figures stats.safetensors
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Statistics from `profile-neurons`; several are added up
    #[arg(value_name = "STATS", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Where the masks go, such as masks.safetensors
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// How neurons are chosen
    #[arg(long, value_enum, default_value = "cumulative", help_heading = "Choice")]
    pub rule: Rule,
    /// Share of the activations to account for, in per cent
    #[arg(
        long,
        value_name = "K",
        default_value = "95",
        allow_negative_numbers = true,
        help_heading = "Choice"
    )]
    pub k: String,
    /// The same for the encoder [default: --k]
    #[arg(long, value_name = "K", allow_negative_numbers = true, help_heading = "Choice")]
    pub k_encoder: Option<String>,
    /// The same for the decoder [default: --k]
    #[arg(long, value_name = "K", allow_negative_numbers = true, help_heading = "Choice")]
    pub k_decoder: Option<String>,
    /// The same for some directions, such as `en-*=90` or `*-en:decoder=85`; may be repeated, the
    /// last that fits counts
    #[arg(long, value_name = "DIRECTIONS[:SIDE]=K", help_heading = "Choice")]
    pub k_for: Vec<String>,
    /// Neurons of each layer, for `--rule top-n`
    #[arg(long, value_name = "N", help_heading = "Choice")]
    pub top: Option<usize>,
    /// The model, for `--rule magnitude`; the statistics must be of it
    #[arg(short, long, value_name = "MODEL", help_heading = "Choice")]
    pub model: Option<PathBuf>,
    /// Only these directions, such as `en-de` or `en-*`; may be repeated
    #[arg(long, value_name = "SRC-TGT", help_heading = "Choice")]
    pub direction: Vec<String>,

    /// One mask for several directions: direction, source, target, or a column of `--groups`
    #[arg(long, value_name = "NAME", default_value = "direction", help_heading = "Groups")]
    pub group_by: String,
    /// Labels of languages or directions, such as family: TSV or JSON as for `score`
    #[arg(long, value_name = "FILE", help_heading = "Groups")]
    pub groups: Option<PathBuf>,
    /// How the members of a group become one
    #[arg(long, value_enum, default_value = "union", help_heading = "Groups")]
    pub combine: CombineArg,
    /// A mask for a direction without statistics: `de-fr=de-en+en-fr` takes the encoder of the
    /// first and the decoder of the second; may be repeated
    #[arg(long, value_name = "NEW=ENCODER+DECODER", help_heading = "Groups")]
    pub merge: Vec<String>,

    /// Also a `mask_overlap` record for each pair, and `layer_overlap` for each layer
    #[arg(long, help_heading = "Overlap")]
    pub overlap: bool,
    /// Write heat maps of each layer and the curve over layers as SVG into this directory
    #[arg(long, value_name = "DIR", help_heading = "Overlap")]
    pub figure: Option<PathBuf>,
    /// Which directions are compared
    #[arg(long, value_enum, default_value = "varying", help_heading = "Overlap")]
    pub compare: Compare,
    /// Column of `--groups` that tells related languages from others [default: family, if there is
    /// one]
    #[arg(long, value_name = "NAME", help_heading = "Overlap")]
    pub related_by: Option<String>,

    /// Shape of standard output [default: text on a terminal, else jsonl]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub format: Option<OutputFormat>,
}

impl Args {
    fn combine(&self) -> Combine {
        match self.combine {
            CombineArg::Union => Combine::Union,
            CombineArg::Intersection => Combine::Intersection,
            CombineArg::Counts => Combine::Counts,
        }
    }

    fn check(&self, context: &Context) -> Result<()> {
        let needs = |flag: &str, what: &str| {
            Error::usage(format!("`--rule {}` needs `{flag}`", self.rule.as_str()))
                .flag("--rule")
                .hint(what.to_string())
        };
        if self.rule == Rule::TopN && self.top.is_none() {
            return Err(needs("--top", "`--top N` says how many neurons each layer keeps"));
        }
        if self.rule == Rule::Magnitude && self.model.is_none() {
            return Err(needs("--model", "`--model DIR` has the weights"));
        }
        if self.top == Some(0) {
            return Err(Error::usage("value is out of range").flag("--top").expected("at least 1"));
        }
        if self.top.is_some() && self.rule != Rule::TopN {
            return Err(Error::usage("`--top` belongs to `--rule top-n`").flag("--top"));
        }
        if self.model.is_some() && self.rule != Rule::Magnitude {
            return Err(Error::usage("`--model` belongs to `--rule magnitude`").flag("--model"));
        }
        if self.related_by.is_some() && !self.overlap && self.figure.is_none() {
            return Err(Error::usage("nothing is compared")
                .flag("--related-by")
                .hint("add `--overlap` or `--figure DIR`"));
        }
        if self.inputs.iter().any(|p| p.as_os_str() == "-") {
            return Err(Error::usage("statistics are read by path, not from standard input"));
        }
        if let Some(output) = &self.output {
            refuse_stdout(output)?;
            refuse_existing(output, context.force)?;
        }
        Ok(())
    }
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    args.check(context)?;
    let thresholds = Thresholds::new(args, context)?;
    let labels = match &args.groups {
        Some(path) => Some((path.as_path(), Labels::parse(path, &read_text(path)?)?)),
        None => None,
    };
    let mut parents = Vec::new();
    let mut stats: Option<NeuronStats> = None;
    for path in &args.inputs {
        let own = NeuronStats::read(path)?;
        if args.rule == Rule::Activation && own.blocks.values().any(|b| b.sums.is_empty()) {
            return Err(Error::artifact("statistics hold no sums of activation")
                .at(path)
                .hint("`isogloss profile-neurons --sums` counts them too"));
        }
        parents.push(Parent {
            role: "neuron_stats".into(),
            name: display_name(path),
            sha256: file_sha256(path)?,
        });
        match &mut stats {
            None => stats = Some(own),
            Some(sum) => add_stats(sum, &own).map_err(|e| e.at(path))?,
        }
    }
    let stats = stats.ok_or_else(|| Error::usage("no statistics are given"))?;
    let model = match &args.model {
        Some(path) => Some(Checkpoint::open(path)?),
        None => None,
    };
    let chosen = Chosen::new(args, context, &stats, &thresholds, labels.as_ref(), model.as_ref())?;
    let wants_overlap = args.overlap || args.figure.is_some();
    let shared =
        if wants_overlap { Some(Shared::new(args, &chosen, labels.as_ref())?) } else { None };
    // Before anything is written: what cannot be drawn must not leave half of the outputs.
    let figures = match (&args.figure, &shared) {
        (Some(dir), Some(shared)) => Some(Figures::new(dir, args, &chosen, shared, context.force)?),
        _ => None,
    };
    let mut out = Output::stdout(false);
    if context.dry_run {
        for path in &args.inputs {
            out.line(&format!("reads: {}", path.display()))?;
        }
        let drawn = figures.iter().flat_map(Figures::paths);
        for path in args.output.iter().cloned().chain(drawn) {
            out.line(&format!("writes: {}", path.display()))?;
        }
        out.line(&format!("masks: {} groups", chosen.masks.groups.len()))?;
        out.flush()?;
        return Ok(Outcome::Ok);
    }
    if let Some(output) = &args.output {
        let provenance = Provenance {
            command: "build-masks".into(),
            args: context.provenance_args(),
            seed: context.seed,
            parents,
            signature: None,
        };
        chosen.masks.write(&provenance, output, context.force)?;
        context.report.status(format!(
            "{} masks, {:.1} % of the neurons kept: {}",
            chosen.masks.groups.len(),
            100.0 * density(&chosen.masks),
            output.display()
        ));
    }
    if let (Some(figures), Some(dir)) = (&figures, &args.figure) {
        figures.write(context.force)?;
        context.report.status(format!("{} figures: {}", figures.paths().count(), dir.display()));
    }
    let asked = args.format.map(|f| f == OutputFormat::Jsonl);
    if context.json || Output::wants_records(asked) {
        for record in &chosen.records {
            out.record(record)?;
        }
        if args.overlap
            && let Some(shared) = &shared
        {
            shared.write(&mut out)?;
        }
    } else {
        let table = chosen.table(shared.as_ref());
        out.text(&table.render(TableFormat::Text))?;
    }
    out.flush()?;
    Ok(Outcome::Ok)
}

/// Kept neurons over all, over all groups.
fn density(masks: &NeuronMasks) -> f64 {
    let flags = || masks.groups.values().flat_map(|b| b.values().flatten());
    flags().filter(|f| **f).count() as f64 / flags().count().max(1) as f64
}
