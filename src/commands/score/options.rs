//! Flags of `score` and what they mean.

use std::path::{Path, PathBuf};

use super::Args;
use crate::error::{Error, Result};
use crate::io::read_text;
use crate::scoring::Metric;
use crate::scoring::aggregate::{Average, By};
use crate::scoring::bleu::{Bleu, Smoothing};
use crate::scoring::chrf::Chrf;
use crate::scoring::compare::Significance;
use crate::scoring::labels::Labels;
use crate::scoring::resample::{Seed, Test};
use crate::scoring::ter::Ter;
use crate::scoring::tokenizers::{BleuTokenizer, Tercom, TokenizerName};

/// Names and defaults as in sacrebleu.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Metrics")]
pub struct MetricArgs {
    /// bleu, chrf, chrf++ or ter; repeat for several [default: bleu]
    #[arg(short, long, value_name = "METRIC")]
    pub metric: Vec<String>,
    /// Tokenizer of BLEU: 13a, intl, zh, char, none, spm, flores101, flores200, spBLEU-1K
    #[arg(long, value_name = "NAME", default_value = "13a")]
    pub tokenize: String,
    /// SentencePiece model of the tokenizers spm, flores101, flores200 and spBLEU-1K
    #[arg(long, value_name = "FILE")]
    pub spm_model: Option<PathBuf>,
    /// BLEU of lower-cased text
    #[arg(long)]
    pub lowercase: bool,
    /// Smoothing of BLEU: exp, floor, add-k or none
    #[arg(long, value_name = "METHOD", default_value = "exp")]
    pub smooth_method: String,
    /// Value of the smoothing floor [default: 0.1] or add-k [default: 1]
    #[arg(long, value_name = "X")]
    pub smooth_value: Option<f64>,
    /// Let BLEU stop at the longest n-gram that the hypotheses hold
    #[arg(long)]
    pub effective_order: bool,
    /// Characters in the longest n-gram of chrF
    #[arg(long, value_name = "N", default_value_t = 6,
          value_parser = clap::value_parser!(u64).range(0..=64))]
    pub chrf_char_order: u64,
    /// Words in the longest word n-gram of chrF; 2 makes it chrF++
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=64))]
    pub chrf_word_order: u64,
    /// Weight of recall in chrF
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub chrf_beta: u16,
    /// Count white space among the characters of chrF
    #[arg(long)]
    pub chrf_whitespace: bool,
    /// chrF of lower-cased text
    #[arg(long)]
    pub chrf_lowercase: bool,
    /// Smooth chrF as chrF++.py, NLTK and Moses do
    #[arg(long)]
    pub chrf_eps_smoothing: bool,
    /// Split punctuation off before TER
    #[arg(long)]
    pub ter_normalized: bool,
    /// Remove punctuation before TER
    #[arg(long)]
    pub ter_no_punct: bool,
    /// Treat ideographs and Asian punctuation in the two flags above
    #[arg(long)]
    pub ter_asian_support: bool,
    /// TER without lower-casing
    #[arg(long)]
    pub ter_case_sensitive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AverageChoice {
    /// Mean of the scores of the directions
    Macro,
    /// Score of all segments together
    Micro,
    Both,
}

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Rows")]
pub struct RowArgs {
    /// Rows by lang_pair (or direction), src_lang, tgt_lang, a field of the records, or a label
    /// [default: lang_pair]
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub by: Vec<String>,
    /// Labels of languages or directions, such as their tier or family: JSON or TSV
    #[arg(long, value_name = "FILE")]
    pub groups: Option<PathBuf>,
    /// How rows of several directions are averaged; by default macro for groups, both for all
    #[arg(long, value_enum)]
    pub average: Option<AverageChoice>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TestChoice {
    /// Paired bootstrap
    #[value(name = "paired_bs", alias = "bs", alias = "paired-bs")]
    PairedBs,
    /// Paired approximate randomization
    #[value(name = "paired_ar", alias = "ar", alias = "paired-ar")]
    PairedAr,
}

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Significance")]
pub struct SignificanceArgs {
    /// Bootstrap intervals
    #[arg(long)]
    pub confidence: bool,
    /// Share of the resamples inside an interval
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub ci_level: f64,
    /// Resamples of the bootstrap
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u64).range(2..=10_000_000))]
    pub samples: u64,
    /// p-values against the baseline, or against the first of several systems
    #[arg(long, value_enum)]
    pub test: Option<TestChoice>,
    /// Trials of approximate randomization
    #[arg(long, value_name = "N", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub trials: u64,
    /// Seed of the resampling, or none [default: SACREBLEU_SEED, else 12345]
    #[arg(long, value_name = "N")]
    pub resample_seed: Option<String>,
}

/// A metric and the name it was asked for by.
#[derive(Clone, Debug)]
pub struct NamedMetric {
    pub name: MetricName,
    pub metric: Metric,
}

/// Names of metrics on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricName {
    Bleu,
    Chrf,
    ChrfPlusPlus,
    Ter,
}

const METRIC_NAMES: [&str; 4] = ["bleu", "chrf", "chrf++", "ter"];

impl MetricName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bleu => "bleu",
            Self::Chrf => "chrf",
            Self::ChrfPlusPlus => "chrf++",
            Self::Ter => "ter",
        }
    }

    /// The metric as sacrebleu computes it when nothing else is said.
    pub fn with_defaults(self, tokenizer: TokenizerName) -> Result<Metric> {
        Ok(match self {
            Self::Bleu => Metric::Bleu(Bleu {
                tokenizer: BleuTokenizer::new(tokenizer, None)?,
                ..Bleu::default()
            }),
            Self::Chrf => Metric::Chrf(Chrf::default()),
            Self::ChrfPlusPlus => Metric::Chrf(Chrf { word_order: 2, ..Chrf::default() }),
            Self::Ter => Metric::Ter(Ter::default()),
        })
    }

    /// Upper and lower case do not matter; `chrF2` and `chrF2++` are names sacrebleu prints.
    pub fn parse(name: &str, flag: &str) -> Result<Self> {
        match name.to_lowercase().as_str() {
            "bleu" => Ok(Self::Bleu),
            "chrf" | "chrf2" => Ok(Self::Chrf),
            "chrf++" | "chrf2++" => Ok(Self::ChrfPlusPlus),
            "ter" => Ok(Self::Ter),
            _ => Err(Error::usage(format!("unknown metric `{name}`"))
                .flag(flag)
                .expected(format!("one of {}", METRIC_NAMES.join(", ")))
                .suggest(name, METRIC_NAMES)),
        }
    }
}

/// A fall that fails the gate.
#[derive(Clone, Copy, Debug)]
pub struct MaxDrop {
    pub name: MetricName,
    pub drop: f64,
}

/// What the flags mean, checked.
pub struct Options {
    pub metrics: Vec<NamedMetric>,
    pub max_drops: Vec<MaxDrop>,
    pub max_p: Option<f64>,
    /// Breakdowns asked for; none: by direction where there are several.
    pub by: Option<Vec<By>>,
    /// Fields of the records that breakdowns need.
    pub fields: Vec<String>,
    /// Further names that `--by` knows, for hints.
    pub label_names: Vec<String>,
    pub average: Option<AverageChoice>,
    pub significance: Significance,
}

impl Options {
    pub fn new(args: &Args) -> Result<Self> {
        let max_drops: Vec<MaxDrop> =
            args.max_drop.iter().map(|s| max_drop(s)).collect::<Result<_>>()?;
        let metrics = metrics(&args.metrics, &max_drops)?;
        if let Some(p) = args.max_p
            && !(0.0..=1.0).contains(&p)
        {
            return Err(Error::usage("a p-value lies between 0 and 1").flag("--max-p"));
        }
        let labels = match &args.rows.groups {
            Some(path) => Some(Labels::parse(path, &read_text(path)?)?),
            None => None,
        };
        let (by, fields) = breakdowns(&args.rows.by, labels.as_ref());
        if let (Some(path), Some(labels)) = (&args.rows.groups, &labels) {
            check_groups_are_used(path, labels, &by)?;
        }
        Ok(Self {
            metrics,
            max_drops,
            max_p: args.max_p,
            by: (!by.is_empty()).then_some(by),
            fields,
            label_names: labels.map_or_else(Vec::new, |l| l.names()),
            average: args.rows.average,
            significance: significance(&args.significance)?,
        })
    }

    pub fn scores_bleu(&self) -> bool {
        self.metrics.iter().any(|m| m.name == MetricName::Bleu)
    }

    /// Averages of the rows of a breakdown.
    pub fn averages(&self, by: &By) -> &'static [Average] {
        use Average::{Macro, Micro};
        match (self.average, by) {
            (Some(AverageChoice::Macro), _) => &[Macro],
            (Some(AverageChoice::Micro), _) => &[Micro],
            (Some(AverageChoice::Both), _) | (None, By::All) => &[Macro, Micro],
            (None, _) => &[Macro],
        }
    }
}

/// The metrics named, each once, and those that the gate needs.
fn metrics(args: &MetricArgs, max_drops: &[MaxDrop]) -> Result<Vec<NamedMetric>> {
    let mut names: Vec<MetricName> = Vec::new();
    for name in &args.metric {
        let name = MetricName::parse(name, "--metric")?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for max_drop in max_drops {
        if !names.contains(&max_drop.name) {
            names.push(max_drop.name);
        }
    }
    if names.is_empty() {
        names.push(MetricName::Bleu);
    }
    // Checked also when BLEU is not asked for: a wrong name is never passed over.
    let tokenizer = TokenizerName::parse(&args.tokenize)?;
    let smoothing = Smoothing::new(&args.smooth_method, args.smooth_value)?;
    let mut out = Vec::with_capacity(names.len());
    for name in names {
        let metric = match name {
            MetricName::Bleu => Metric::Bleu(Bleu {
                tokenizer: BleuTokenizer::new(tokenizer, args.spm_model.as_deref())?,
                lowercase: args.lowercase,
                smoothing,
                effective_order: args.effective_order,
            }),
            MetricName::Chrf | MetricName::ChrfPlusPlus => Metric::Chrf(chrf(args, name)?),
            MetricName::Ter => Metric::Ter(Ter {
                tokenizer: Tercom {
                    normalized: args.ter_normalized,
                    no_punct: args.ter_no_punct,
                    asian_support: args.ter_asian_support,
                    case_sensitive: args.ter_case_sensitive,
                },
            }),
        };
        // `--chrf-word-order 2` makes `chrf` what `chrf++` is.
        if out.iter().all(|m: &NamedMetric| m.metric.name() != metric.name()) {
            out.push(NamedMetric { name, metric });
        }
    }
    Ok(out)
}

fn chrf(args: &MetricArgs, name: MetricName) -> Result<Chrf> {
    let word_order = match name {
        MetricName::ChrfPlusPlus => args.chrf_word_order.max(2),
        _ => args.chrf_word_order,
    };
    if args.chrf_char_order + word_order == 0 {
        return Err(Error::usage("chrF needs n-grams of characters or words")
            .flag("--chrf-char-order")
            .found("0 characters, 0 words"));
    }
    Ok(Chrf {
        char_order: args.chrf_char_order as usize,
        word_order: word_order as usize,
        beta: u32::from(args.chrf_beta),
        lowercase: args.chrf_lowercase,
        whitespace: args.chrf_whitespace,
        eps_smoothing: args.chrf_eps_smoothing,
    })
}

/// `bleu=0.5`
fn max_drop(text: &str) -> Result<MaxDrop> {
    let wrong = |what: &str| {
        Error::usage(format!("{what}: `{text}`"))
            .flag("--max-drop")
            .expected("a metric and a number of at least 0, for example `bleu=0.5`")
    };
    let (name, drop) = text.split_once('=').ok_or_else(|| wrong("not METRIC=DROP"))?;
    let drop: f64 = drop.trim().parse().map_err(|_| wrong("the drop is not a number"))?;
    if !drop.is_finite() || drop < 0.0 {
        return Err(wrong("the drop is negative or not finite"));
    }
    Ok(MaxDrop { name: MetricName::parse(name.trim(), "--max-drop")?, drop })
}

/// Breakdowns by name, and the fields of records they need.
fn breakdowns(names: &[String], labels: Option<&Labels>) -> (Vec<By>, Vec<String>) {
    let (mut out, mut fields) = (Vec::<By>::new(), Vec::<String>::new());
    for name in names {
        let by = match name.trim() {
            "" => continue,
            "lang_pair" | "direction" => By::LangPair,
            "src_lang" | "source" => By::SrcLang,
            "tgt_lang" | "target" => By::TgtLang,
            "all" => By::All,
            other => match labels.and_then(|l| l.column(other).zip(Some(l))) {
                Some(((column, of), labels)) => {
                    By::Label { name: other.to_string(), labels: labels.clone(), column, of }
                }
                None => {
                    fields.push(other.to_string());
                    By::Field { name: other.to_string(), index: fields.len() - 1 }
                }
            },
        };
        if out.iter().all(|b| b.name() != by.name()) {
            out.push(by);
        }
    }
    (out, fields)
}

/// A file of labels that no row is made by was named by mistake.
fn check_groups_are_used(path: &Path, labels: &Labels, by: &[By]) -> Result<()> {
    if by.iter().any(|b| matches!(b, By::Label { .. })) {
        return Ok(());
    }
    Err(Error::usage("no row is made by these labels")
        .flag("--groups")
        .at(path)
        .hint(format!("add `--by` with one of {}", labels.names().join(", "))))
}

fn significance(args: &SignificanceArgs) -> Result<Significance> {
    if !(0.0..1.0).contains(&args.ci_level) {
        return Err(Error::usage("the level of an interval lies between 0 and 1")
            .flag("--ci-level")
            .found(args.ci_level.to_string())
            .expected("for example 0.95"));
    }
    // sacrebleu's own variable: a script that sets it gets equal numbers from both programs.
    let seed = match &args.resample_seed {
        Some(seed) => Seed::parse(seed)?,
        None => match std::env::var("SACREBLEU_SEED") {
            Ok(seed) if !seed.is_empty() => Seed::parse(&seed)?,
            _ => Seed::default(),
        },
    };
    Ok(Significance {
        confidence: args.confidence,
        ci_level: args.ci_level,
        samples: args.samples as usize,
        test: args.test.map(Test::from),
        trials: args.trials as usize,
        seed,
    })
}
