//! `isogloss score`: BLEU, chrF, TER by direction and group, significance, regression gate.

mod options;
mod results;
mod show;
mod source;

use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::cli::values::{inputs_or_stdin, refuse_two_stdin};
use crate::error::{Error, Result};
use crate::exit::Outcome;
use crate::io::{Input, Output, read_text};
use crate::records::{BaselineKind, SegmentFormat, SegmentOptions, read_scores};
use crate::scoring::corpus::{Corpus, Keep};
use crate::scoring::resample::Test;
pub(super) use options::MetricName;
use options::{Options, TestChoice};
use results::{Results, System};
use source::{ReferenceFiles, Source};

const EXAMPLE: &str = "isogloss score --metric bleu --metric chrf HYP.jsonl";

/// BLEU, chrF, TER by direction and group, significance, regression gate
///
/// Reads records that hold hypotheses and references (`hyp`, and `tgt`, `ref` or `refs`), as
/// `isogloss translate` writes them, or hypotheses and references from files of their own, joined
/// by `id` or by line. Scores, signatures, intervals and p-values are those of sacrebleu 2.6.0.
///
/// Examples:
///   isogloss score --metric bleu --metric chrf hyp.jsonl
///   isogloss score --metric bleu --hyp hyp.txt --ref ref.txt --json
///   isogloss score hyp.jsonl --baseline base.jsonl --max-drop bleu=0.5
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Hypotheses, one file per system; `-` or nothing reads standard input
    #[arg(value_name = "INPUT")]
    pub inputs: Vec<String>,

    /// Hypotheses, as INPUT
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub hyp: Vec<String>,
    /// References beside the hypotheses' own records; repeat for several
    #[arg(long = "ref", value_name = "FILE", help_heading = "Input")]
    pub refs: Vec<String>,
    /// Format of the hypotheses; by default from the file name, else from the first line
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Input")]
    pub input_format: Option<SegmentFormat>,
    /// Source language of segments that name none
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub src_lang: Option<String>,
    /// Target language of segments that name none
    #[arg(long, value_name = "LANG", help_heading = "Input")]
    pub tgt_lang: Option<String>,
    /// Name of a system, in the order of the files; by default the file's name
    #[arg(long, value_name = "NAME", help_heading = "Input")]
    pub system: Vec<String>,

    #[command(flatten)]
    pub metrics: options::MetricArgs,

    #[command(flatten)]
    pub rows: options::RowArgs,

    #[command(flatten)]
    pub significance: options::SignificanceArgs,

    /// Compare with these hypotheses, `score` records or sacrebleu's JSON
    #[arg(long, value_name = "FILE", help_heading = "Gate")]
    pub baseline: Option<String>,
    /// System to take from a baseline that holds the scores of several
    #[arg(long, value_name = "NAME", requires = "baseline", help_heading = "Gate")]
    pub baseline_system: Option<String>,
    /// Exit with code 1 when a row falls further below the baseline, for example bleu=0.5
    #[arg(long, value_name = "METRIC=DROP", requires = "baseline", help_heading = "Gate")]
    pub max_drop: Vec<String>,
    /// Let a fall pass unless its p-value is at most this; needs --test
    #[arg(long, value_name = "P", requires_all = ["max_drop", "test"], help_heading = "Gate")]
    pub max_p: Option<f64>,

    #[command(flatten)]
    pub output: show::OutputArgs,
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let options = Options::new(args)?;
    let inputs = system_inputs(args)?;
    let refs: Vec<Input> = args.refs.iter().map(|s| Input::parse(s)).collect();
    let baseline = args.baseline.as_deref().map(Input::parse);
    let flags = inputs.iter().map(|i| ("INPUT", i)).chain(refs.iter().map(|i| ("--ref", i)));
    refuse_two_stdin(flags.chain(baseline.iter().map(|i| ("--baseline", i))))?;
    let names = system_names(args, &inputs)?;
    let baseline = baseline.map(BaselineInput::look_at).transpose()?;
    check_significance(args, &options, inputs.len(), baseline.as_ref())?;
    if context.dry_run {
        return dry_run(&inputs, &refs, baseline.as_ref(), &options);
    }

    let reader = Reader { args, options: &options, context, main: &inputs[0], refs: &refs };
    let mut systems = Vec::with_capacity(inputs.len());
    for (input, name) in inputs.iter().zip(names) {
        systems.push(reader.read(input, name)?);
    }
    let mut results = Results::new(&options, systems)?;
    match baseline {
        None => {}
        Some(BaselineInput { input, kind: BaselineKind::Hypotheses, .. }) => {
            let name = input.name().display().to_string();
            results.compare_with_system(reader.read_baseline(&input, name)?)?;
        }
        Some(BaselineInput { input, kind: BaselineKind::Scores, text }) => {
            let path = input.name();
            let scores = read_scores(&path, &text.unwrap_or_default())?;
            results.compare_with_scores(&path, scores, args.baseline_system.as_deref())?;
        }
    }
    results.resample()?;
    let gate = results.gate()?;

    let mut out = Output::stdout(false);
    show::write(&mut out, &args.output, context.json, &results, gate.as_deref())?;
    out.flush()?;
    Ok(match gate {
        Some(gate) if gate.iter().any(|g| g.status != crate::records::GateStatus::Pass) => {
            Outcome::Negative
        }
        _ => Outcome::Ok,
    })
}

/// The files of hypotheses, by position or by `--hyp`.
fn system_inputs(args: &Args) -> Result<Vec<Input>> {
    let named: Vec<Input> = args.inputs.iter().chain(&args.hyp).map(|s| Input::parse(s)).collect();
    inputs_or_stdin(&named, EXAMPLE)
}

/// The file's name without its extension where those differ, else the path.
fn system_names(args: &Args, inputs: &[Input]) -> Result<Vec<String>> {
    if !args.system.is_empty() {
        if args.system.len() != inputs.len() {
            return Err(Error::usage("as many names as systems are needed")
                .flag("--system")
                .found(format!("{} names, {} systems", args.system.len(), inputs.len())));
        }
        if let Some((i, name)) =
            args.system.iter().enumerate().find(|(i, name)| args.system[..*i].contains(name))
        {
            return Err(Error::usage(format!("two systems are named `{name}`"))
                .flag("--system")
                .found(format!("name {}", i + 1)));
        }
        return Ok(args.system.clone());
    }
    let full: Vec<String> = inputs.iter().map(|i| i.name().display().to_string()).collect();
    let stems: Vec<String> = inputs
        .iter()
        .zip(&full)
        .map(|(input, full)| {
            let stem = input.path().and_then(Path::file_stem);
            stem.map_or_else(|| full.clone(), |s| s.to_string_lossy().into_owned())
        })
        .collect();
    let distinct =
        |names: &[String]| names.iter().enumerate().all(|(i, name)| !names[..i].contains(name));
    if distinct(&stems) {
        return Ok(stems);
    }
    if distinct(&full) {
        return Ok(full);
    }
    Err(Error::usage("a file of hypotheses is given twice")
        .hint("each file is a system of its own; name them apart with `--system`"))
}

/// A `--baseline`, and what its first line says it is.
struct BaselineInput {
    input: Input,
    kind: BaselineKind,
    /// The whole text of scores.
    text: Option<String>,
}

impl BaselineInput {
    fn look_at(input: Input) -> Result<Self> {
        let Some(path) = input.path() else {
            return Err(Error::usage("the baseline is read more than once")
                .flag("--baseline")
                .found("`-`")
                .hint("save it to a file first"));
        };
        let first = input.open()?.next_line()?;
        let kind = BaselineKind::detect(first.as_ref().map_or("", |l| &l.text));
        let text = match kind {
            BaselineKind::Scores => Some(read_text(path)?),
            BaselineKind::Hypotheses => None,
        };
        Ok(Self { input, kind, text })
    }
}

/// Tests need segments of two systems.
fn check_significance(
    args: &Args,
    options: &Options,
    num_systems: usize,
    baseline: Option<&BaselineInput>,
) -> Result<()> {
    let Some(test) = options.significance.test else { return Ok(()) };
    let error = Error::usage(format!("`{}` compares two systems", test.name())).flag("--test");
    match baseline {
        Some(BaselineInput { kind: BaselineKind::Scores, input, .. }) => {
            Err(error.found(format!("scores in `{}`", input.name().display())).hint(
                "give the hypotheses of the baseline: scores alone say nothing of single segments",
            ))
        }
        None if num_systems < 2 => {
            Err(error
                .hint("name the other with `--baseline FILE`, or give two files of hypotheses"))
        }
        _ => {
            debug_assert!(args.significance.test.is_some_and(|t| Test::from(t) == test));
            Ok(())
        }
    }
}

fn dry_run(
    inputs: &[Input],
    refs: &[Input],
    baseline: Option<&BaselineInput>,
    options: &Options,
) -> Result<Outcome> {
    let mut out = Output::stdout(false);
    let kinds = [("hypotheses", inputs), ("references", refs)];
    for (what, inputs) in kinds {
        for input in inputs {
            if input.path().is_some() {
                input.open()?;
            }
            out.line(&format!("would read {what}: {}", input.name().display()))?;
        }
    }
    if let Some(baseline) = baseline {
        out.line(&format!("would read the baseline: {}", baseline.input.name().display()))?;
    }
    let names: Vec<String> = options.metrics.iter().map(|m| m.metric.name()).collect();
    out.line(&format!("would compute {}", names.join(", ")))?;
    out.flush()?;
    Ok(Outcome::Ok)
}

/// Reads systems.
struct Reader<'a> {
    args: &'a Args,
    options: &'a Options,
    context: &'a Context,
    /// The first system's file.
    main: &'a Input,
    refs: &'a [Input],
}

impl Reader<'_> {
    fn segment_options(&self, format: Option<SegmentFormat>) -> SegmentOptions {
        SegmentOptions {
            format,
            src_lang: self.args.src_lang.clone(),
            tgt_lang: self.args.tgt_lang.clone(),
            fields: self.options.fields.clone(),
        }
    }

    fn read(&self, input: &Input, name: String) -> Result<System> {
        let options = self.segment_options(self.args.input_format);
        let files = ReferenceFiles { named: self.refs, fallback: &[] };
        let source = Source::open(input, files, options, &self.segment_options(None))?;
        self.score(source, name)
    }

    /// A baseline that holds no references borrows those of the first system.
    fn read_baseline(&self, input: &Input, name: String) -> Result<System> {
        let options = self.segment_options(None);
        let fallback = match self.main {
            Input::Stdin => &[],
            file => std::slice::from_ref(file),
        };
        let files = ReferenceFiles { named: self.refs, fallback };
        let source = Source::open(input, files, options.clone(), &options)?;
        self.score(source, name)
    }

    /// Streams the segments through the metrics: one thread reads on while the others score.
    fn score(&self, mut source: Source, name: String) -> Result<System> {
        let keep = match (self.options.significance.resamples(), self.options.significance.test) {
            (false, _) => Keep::Sums,
            (true, Some(Test::Randomization)) => Keep::Double,
            (true, _) => Keep::Single,
        };
        let metrics = self.options.metrics.iter().map(|m| m.metric.clone()).collect();
        let mut corpus = Corpus::new(metrics, keep);
        let parser = source.parser().clone();
        let path: PathBuf = parser.path().to_path_buf();
        let mut progress = self.context.report.progress("scoring", "segments", None);
        let mut chunk = source.next_chunk()?;
        while !chunk.is_empty() {
            let (next, added) = rayon::join(
                || source.next_chunk(),
                || corpus.add(&chunk, |raw| parser.parse(raw)).map_err(|e| e.at(&path)),
            );
            added?;
            progress.set(corpus.num_sentences());
            chunk = next?;
        }
        progress.finish();
        if corpus.num_sentences() == 0 {
            return Err(Error::data("there is nothing to score").at(&path));
        }
        if corpus.num_tokenized_ends >= 100 && self.options.scores_bleu() {
            self.context.report.warning(
                &Error::data("100 hypotheses or more end in a space and a full stop")
                    .at(&path)
                    .hint("BLEU is for detokenized text; did you forget to detokenize?"),
            );
        }
        Ok(System {
            name,
            path,
            corpus,
            first_names: source.first_names().to_vec(),
            translation_signature: source.translation_signature().map(str::to_string),
        })
    }
}

impl From<TestChoice> for Test {
    fn from(choice: TestChoice) -> Self {
        match choice {
            TestChoice::PairedBs => Self::Bootstrap,
            TestChoice::PairedAr => Self::Randomization,
        }
    }
}
