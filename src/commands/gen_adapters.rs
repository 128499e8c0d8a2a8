//! `isogloss gen-adapters`: plain adapters from a hyper-network, and its language vectors.

mod figures;
mod vectors;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::cli::Context;
use crate::commands::adapters::{check_base, check_shape, hyper_dir, load_mixtures, of_flag};
use crate::commands::marks::kept_by;
use crate::commands::masks::CARRIED;
use crate::error::{Error, Result};
use crate::exit::Outcome;
use crate::formats::adapters::{AdapterWeights, AdapterWriter, BANK, Layout, Site};
use crate::formats::neurons::{Side, split_pair};
use crate::formats::placement::Index;
use crate::formats::provenance::{Parent, Provenance, display_name, file_sha256};
use crate::formats::{hf, hypernet};
use crate::io::{AtomicDir, Output, refuse_existing, refuse_stdout};
use crate::methods::hyper::{ExportPlan, HyperNetwork};
use crate::model::Checkpoint;
use crate::records::{AdapterRecord, round6};
use crate::training::{Task, keep_convention};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// One line an adapter
    Text,
    /// One `adapter` record for each adapter at each site
    Jsonl,
}

/// Plain adapters from a hyper-network
///
/// Generates the adapters of languages or directions from a trained hyper-network and writes them as
/// one bank of safetensors, or as directories in AdapterHub's layout. With them the hyper-network is
/// not needed any more: `translate --adapters` gives the same translations. A language the
/// hyper-network never saw is mixed from others with `--as`. `--embeddings` writes the language
/// vectors with a projection into the plane and their similarities.
///
/// Example:
///   isogloss gen-adapters -m model run -o bank
///   isogloss gen-adapters -m model run --languages de,fr,pt --as "pt=0.7*es+0.3*fr" -o bank
///   isogloss gen-adapters run --embeddings vectors --groups groups.tsv --by family
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A run of `train --method hyper-adapters` or `hyper-x`, or one of its checkpoints
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// The model it was trained on, to check that they belong together
    #[arg(short, long, value_name = "MODEL")]
    pub model: Option<PathBuf>,
    /// Directory to write
    #[arg(short, long, value_name = "BANK", required_unless_present = "embeddings")]
    pub output: Option<PathBuf>,

    /// Only these languages, by commas: as sources, as targets, and all their pairs
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "LANGS",
        conflicts_with = "direction",
        help_heading = "Languages"
    )]
    pub languages: Vec<String>,
    /// Only this direction, such as en-de; may be repeated
    #[arg(long, value_name = "SRC-TGT", help_heading = "Languages")]
    pub direction: Vec<String>,
    /// A language the hyper-network has no vector of, mixed from others: pt=0.7*es+0.3*fr,
    /// pt=mean(es,fr); may be repeated
    #[arg(long = "as", value_name = "LANG=MIXTURE", help_heading = "Languages")]
    pub mixtures: Vec<String>,

    /// The task they are for; those of tagging are for the encoder alone
    #[arg(long, value_enum, default_value = "translation", help_heading = "Languages")]
    pub task: Task,

    /// How adapters lie in the directory
    #[arg(long, value_enum, default_value = "bank", help_heading = "Output")]
    pub layout: Layout,
    /// Write the language vectors, their projection and their similarities into this directory
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub embeddings: Option<PathBuf>,
    /// Labels of languages for its figures: TSV with a header line and the languages in its first
    /// column, or JSON
    #[arg(long, value_name = "FILE", requires = "embeddings", help_heading = "Output")]
    pub groups: Option<PathBuf>,
    /// Column of those labels [default: the first]
    #[arg(long, value_name = "COLUMN", requires = "groups", help_heading = "Output")]
    pub by: Option<String>,
    /// Take a hyper-network that was trained on another model of the same shape
    #[arg(long, requires = "model", help_heading = "Output")]
    pub allow_base_mismatch: bool,
    /// Shape of standard output [default: text on a terminal, else jsonl]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub format: Option<OutputFormat>,
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    if let Some(path) = &args.output {
        refuse_stdout(path)?;
        refuse_existing(path, context.force)?;
    }
    if args.output.is_some() && args.output == args.embeddings {
        return Err(Error::usage("adapters and vectors need a directory each").flag("--embeddings"));
    }
    let dir = hyper_dir(&args.run)?;
    let masks = dir.join(CARRIED);
    if masks.is_file() {
        context.report.warning(
            &Error::artifact("trained with neuron masks, which adapters do not hold")
                .at(&dir)
                .hint(format!("`translate --masks {}` runs them with these", masks.display())),
        );
    }
    let mut network = HyperNetwork::read(&dir)?;
    let known = network.config.clone();
    load_mixtures(&mut network, &args.mixtures)?;
    let (base_sha256, base_model) = base(args, &dir, &network)?;
    network.config.base_model_sha256 = base_sha256;
    let mut out = Output::stdout(false);
    let asked = args.format.map(|f| f == OutputFormat::Jsonl).or(context.json.then_some(true));
    let text = !Output::wants_records(asked);
    let plan = match &args.output {
        None => None,
        Some(target) => {
            let directions = directions(args, context, &network)?;
            let task = (args.task.name(), args.task.sides());
            let plan = network.plan_export(task, &directions).map_err(|e| {
                if args.direction.is_empty() { e } else { of_flag("--direction")(e) }
            })?;
            Some((target, plan))
        }
    };
    let num_values = plan.as_ref().map_or(0, |(_, plan)| num_values(&network, plan));
    if context.dry_run {
        out.line(&format!("reads: {}", dir.display()))?;
        if let Some((target, plan)) = &plan {
            out.line(&format!(
                "writes: {} ({} adapters, {num_values} values, {} MiB)",
                target.display(),
                plan.shapes.len(),
                (num_values * 4) >> 20
            ))?;
        }
        if let Some(target) = &args.embeddings {
            out.line(&format!("writes: {} (vectors of languages)", target.display()))?;
        }
        out.flush()?;
    }
    if let Some(target) = &args.embeddings {
        vectors::write(args, context, &network, target)?;
    }
    let Some((target, plan)) = plan.filter(|_| !context.dry_run) else { return Ok(Outcome::Ok) };
    let provenance = Provenance {
        command: "gen-adapters".into(),
        args: [
            ("as".to_string(), args.mixtures.clone().into()),
            ("kind".to_string(), known.kind.name().into()),
        ]
        .into(),
        seed: context.seed,
        parents: vec![Parent {
            role: "hypernet".into(),
            name: display_name(&args.run),
            sha256: file_sha256(&dir.join(hypernet::WEIGHTS))?,
        }],
        signature: None,
    };
    let atomic = AtomicDir::create(target)?;
    let writer = AdapterWriter::create(
        atomic.path(),
        &plan.config,
        args.layout,
        &plan.shapes,
        &base_model,
        &provenance,
    )?;
    export(args, context, &network, &plan, writer, &mut out, text)?;
    if let Some(convention) = kept_by(&dir)? {
        keep_convention(convention, atomic.path())?;
    }
    atomic.commit(context.force)?;
    out.flush()?;
    context.report.status(format!(
        "{} adapters, {num_values} values: {}",
        plan.shapes.len(),
        target.display()
    ));
    Ok(Outcome::Ok)
}

/// Generates adapter by adapter; no more than one is held.
fn export(
    args: &Args,
    context: &Context,
    network: &HyperNetwork,
    plan: &ExportPlan,
    mut writer: AdapterWriter,
    out: &mut Output,
    text: bool,
) -> Result<()> {
    let total = plan.shapes.len() as u64;
    let mut progress = context.report.progress("generating", "adapters", Some(total));
    for (name, sites) in &plan.shapes {
        let sites: Vec<Site> = sites.keys().copied().collect();
        let of = plan.languages.get(name);
        let (src, tgt) = of.map_or((None, None), |(s, t)| (s.as_deref(), t.as_deref()));
        let adapters = network.export(args.task.name(), (src, tgt), &sites)?;
        for (site, weights) in sites.iter().zip(&adapters) {
            writer.push(weights)?;
            if !text {
                out.record(&record(args.layout, name, (src, tgt), *site, weights))?;
            }
        }
        if text {
            let values: usize = adapters.iter().map(AdapterWeights::num_values).sum();
            out.line(&format!("{name}: {} sites, {values} values", sites.len()))?;
        }
        progress.add(1);
    }
    progress.finish();
    writer.finish()
}

fn record(
    layout: Layout,
    name: &str,
    (src, tgt): (Option<&str>, Option<&str>),
    site: Site,
    weights: &AdapterWeights,
) -> AdapterRecord {
    let norm =
        |v: &[f32]| round6(v.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt());
    AdapterRecord {
        name: name.to_string(),
        src_lang: src.map(str::to_string),
        tgt_lang: tgt.map(str::to_string),
        module: site.to_string(),
        side: site.side.to_string(),
        layer: site.layer,
        bottleneck: weights.bottleneck(),
        params: weights.num_values(),
        norm_down: norm(&weights.down),
        norm_up: norm(&weights.up),
        path: match layout {
            Layout::Bank => BANK.to_string(),
            Layout::AdapterHub => format!("{name}/adapter.safetensors"),
        },
        sha256: weights.sha256(),
    }
}

/// Fingerprint and name of the model that the adapters belong to.
fn base(args: &Args, dir: &Path, network: &HyperNetwork) -> Result<(Option<String>, String)> {
    let own = network.config.base_model_sha256.clone();
    let Some(path) = &args.model else {
        // Trained with its model, it lies beside it.
        let sha256 = match own {
            None if dir.join(hf::CONFIG).is_file() => Some(Checkpoint::open(dir)?.sha256()?),
            own => own,
        };
        return Ok((sha256, display_name(&args.run)));
    };
    let checkpoint = Checkpoint::open(path)?;
    check_shape(&network.config, &checkpoint.config).map_err(|e| e.at(dir))?;
    if !args.allow_base_mismatch {
        check_base(own.as_deref(), dir, &checkpoint)?;
    }
    Ok((Some(checkpoint.sha256()?), display_name(path)))
}

fn num_values(network: &HyperNetwork, plan: &ExportPlan) -> usize {
    let c = &network.config;
    let (d, b) = (c.d_model, c.bottleneck);
    let one = 2 * d * b + b + d + if plan.config.affine { 2 * d } else { 0 };
    plan.shapes.values().map(|sites| sites.len() * one).sum()
}

/// The directions asked for; all by default, but for languages whose vectors were never trained.
fn directions(
    args: &Args,
    context: &Context,
    network: &HyperNetwork,
) -> Result<Vec<(String, String)>> {
    if !args.direction.is_empty() {
        let parse = |text: &String| match split_pair(text) {
            Some((src, tgt)) => Ok((src.to_string(), tgt.to_string())),
            None => Err(Error::usage(format!("`{text}` is no direction"))
                .flag("--direction")
                .expected("two languages, such as en-de")),
        };
        return args.direction.iter().map(parse).collect();
    }
    let (sources, targets) = network.sources_and_targets();
    let wanted: BTreeSet<&String> = args.languages.iter().collect();
    if let Some(l) = wanted.iter().find(|l| !sources.contains(**l) && !targets.contains(**l)) {
        let have: BTreeSet<&String> = sources.union(&targets).collect();
        let untrained = network.config.rows.keys().any(|k| k.ends_with(&format!(".{l}")));
        let (message, hint) = match untrained {
            true => (
                format!("the vector of language `{l}` has had no update"),
                "train for longer, or give the hyper-network text of it".to_string(),
            ),
            false => (
                format!("language `{l}` has no vector"),
                format!("`--as \"{l}=0.5*A+0.5*B\"` mixes one from others"),
            ),
        };
        return Err(Error::usage(message)
            .flag("--languages")
            .expected(have.iter().map(|l| l.as_str()).collect::<Vec<_>>().join(", "))
            .suggest(l, have.iter().map(|l| l.as_str()))
            .hint(hint));
    }
    let idle: Vec<&str> = network
        .config
        .rows
        .iter()
        .filter_map(|(key, row)| {
            let (table, language) = key.split_once('.')?;
            let asked = wanted.is_empty() || wanted.iter().any(|l| *l == language);
            let is_language = network.config.language_tables().contains(table);
            (is_language && asked && !row.is_trained()).then_some(key.as_str())
        })
        .collect();
    if !idle.is_empty() {
        context.report.warning(
            &Error::artifact("directions whose vectors have had no update are left out")
                .at(&args.run)
                .found(idle.join(", ")),
        );
    }
    let of = |all: &BTreeSet<String>| -> Vec<String> {
        all.iter().filter(|l| wanted.is_empty() || wanted.contains(l)).cloned().collect()
    };
    let (sources, targets) = (of(&sources), of(&targets));
    let both = |l: &String| (l.clone(), l.clone());
    let depends = |on: [Index; 2]| Side::BOTH.iter().any(|side| on.contains(&network.index(*side)));
    // A role that decides nothing needs no languages.
    let pairs: Vec<(String, String)> = match (
        depends([Index::Source, Index::Direction]),
        depends([Index::Target, Index::Direction]),
    ) {
        (true, true) => sources
            .iter()
            .flat_map(|s| targets.iter().filter(move |t| *t != s).map(|t| (s.clone(), t.clone())))
            .collect(),
        (true, false) => sources.iter().map(both).collect(),
        (false, true) => targets.iter().map(both).collect(),
        (false, false) => vec![Default::default()],
    };
    if pairs.is_empty() {
        return Err(Error::usage("these languages make no direction")
            .flag("--languages")
            .expected("at least one source and another target"));
    }
    Ok(pairs)
}
