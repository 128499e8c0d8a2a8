//! `isogloss prune-lora`: make a trained LoRA smaller, see what each language needs, put it into
//! another form.

mod figures;
mod show;
mod steps;

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Context;
use crate::commands::adapters::refuse_beside;
use crate::commands::lora::{LoadedLora, load};
use crate::commands::marks::kept_by;
use crate::commands::masks::{CARRIED, MaskArgs};
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Outcome;
use crate::formats::neurons::split_pair;
use crate::formats::provenance::{Parent, Provenance, display_name};
use crate::io::{AtomicDir, Output, refuse_existing, refuse_stdout, write_bytes};
use crate::methods::lora::{
    Balance, LoraSet, PrunePool, PruneUnit, PruneWhat, RankMethod, merged, zero_masked_rows,
};
use crate::model::checkpoint::linear_shapes;
use crate::model::{Checkpoint, ParameterSet};
use crate::text::TextTokenizer;
use crate::training::{ModelSource, keep_convention, write_model};
use steps::{Budget, Done, Limits};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// A table of adapters
    Text,
    /// One `lora_module` record a pair, and a `lora_plan`
    Jsonl,
}

/// Make a trained LoRA smaller, and see what each language needs
///
/// Prunes entries or ranks by magnitude, lowers ranks to a limit or to a parameter budget that is
/// distributed over languages, layers and modules, and writes the result as a LoRA again: PEFT
/// directories with the ranks and alphas of what is left. `--direction` makes one plain LoRA of
/// what a direction uses, `--merge` a whole model. Without `--output` it only reports.
///
/// Example:
///   isogloss prune-lora -m model run --budget 0.4% -o small
///   isogloss prune-lora -m model run --ratio 90% --pool layer --figure figures
///   isogloss prune-lora -m model run --direction en-de --merge -o model-en-de
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// A LoRA: a run of `train --method lora`, a LoRA directory, or a directory of PEFT
    #[arg(value_name = "LORA")]
    pub lora: PathBuf,
    /// The model it was trained on
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// Directory to write
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Prune this share of each pool, such as 90%: the smallest go
    #[arg(long, value_name = "SHARE", help_heading = "Pruning by magnitude")]
    pub ratio: Option<crate::cli::values::Fraction>,
    /// What competes [default: language]
    #[arg(long, value_enum, requires = "ratio", help_heading = "Pruning by magnitude")]
    pub pool: Option<PrunePool>,
    /// Matrices that are pruned [default: b]
    #[arg(long, value_enum, requires = "ratio", help_heading = "Pruning by magnitude")]
    pub what: Option<PruneWhat>,
    /// What is pruned at once [default: entry]
    #[arg(long, value_enum, requires = "ratio", help_heading = "Pruning by magnitude")]
    pub unit: Option<PruneUnit>,

    /// Parameters that may be left: a share of the model's such as 0.4%, or a number such as 200k
    #[arg(long, value_name = "BUDGET", conflicts_with = "rank", help_heading = "Smaller ranks")]
    pub budget: Option<Budget>,
    /// How a budget is distributed [default: absolute]
    #[arg(long, value_enum, requires = "budget", help_heading = "Smaller ranks")]
    pub balance: Option<Balance>,
    /// Highest rank of any pair
    #[arg(long, value_name = "R", help_heading = "Smaller ranks")]
    pub rank: Option<usize>,
    /// How a rank becomes smaller [default: svd]
    #[arg(long, value_enum, help_heading = "Smaller ranks")]
    pub method: Option<RankMethod>,
    /// Remove ranks that do nothing, as gradual pruning leaves them; changes no translation
    #[arg(long, help_heading = "Smaller ranks")]
    pub compact: bool,

    /// Make one plain LoRA of what this direction uses, such as en-de
    #[arg(long, value_name = "SRC-TGT", help_heading = "Output")]
    pub direction: Option<String>,
    /// Write a model with that LoRA merged into its weights
    #[arg(long, requires = "direction", help_heading = "Output")]
    pub merge: bool,
    /// Draw what is left of each adapter by layer and by module into this directory
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub figure: Option<PathBuf>,
    /// Take a LoRA that was trained on another model of the same shape
    #[arg(long, help_heading = "Output")]
    pub allow_base_mismatch: bool,
    /// Shape of standard output [default: text on a terminal, else jsonl]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub format: Option<OutputFormat>,
}

impl Args {
    fn check(&self) -> Result<()> {
        let asked = self.ratio.is_some() || self.shrinks() || self.direction.is_some();
        if self.output.is_some() && !asked {
            return Err(Error::usage("nothing to do: the output would be the input")
                .flag("--output")
                .hint("add `--ratio`, `--budget`, `--rank`, `--compact` or `--direction`"));
        }
        if self.rank == Some(0) {
            return Err(Error::usage("value is out of range")
                .flag("--rank")
                .expected("at least 1"));
        }
        if self.method.is_some() && self.rank.is_none() && self.budget.is_none() {
            return Err(Error::usage("`--method` without smaller ranks")
                .flag("--method")
                .hint("add `--rank` or `--budget`"));
        }
        if self.ratio.is_some_and(|r| r.0 >= 1.0) {
            return Err(Error::usage("value is out of range")
                .flag("--ratio")
                .expected("below 100%"));
        }
        Ok(())
    }

    fn shrinks(&self) -> bool {
        self.budget.is_some() || self.rank.is_some() || self.compact
    }
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    args.check()?;
    if let Some(path) = &args.output {
        refuse_stdout(path)?;
        refuse_existing(path, context.force)?;
    }
    let direction = match &args.direction {
        None => None,
        Some(text) => Some(split_pair(text).ok_or_else(|| {
            Error::usage(format!("`{text}` is not a direction"))
                .flag("--direction")
                .expected("source and target joined by a dash, such as `en-de`")
        })?),
    };
    let checkpoint = Checkpoint::open(&args.model)?;
    if args.merge {
        refuse_beside(&checkpoint)?;
    }
    if let Some((src, tgt)) = direction {
        let tokenizer = TextTokenizer::load(checkpoint.dir(), &checkpoint.config)?;
        for lang in [src, tgt] {
            let known = tokenizer.languages().find(lang, ErrorKind::Usage);
            known.map_err(|e| e.flag("--direction"))?;
        }
    }
    let lora = load(&args.lora, &checkpoint, args.allow_base_mismatch, context)?;
    let shapes = linear_shapes(&checkpoint.config);
    let set = LoraSet::from_files(&lora.files, &shapes).map_err(|e| e.at(&lora.dir))?;
    let base_params = ParameterSet::count(&checkpoint.config);
    if args.pool == Some(PrunePool::Layer) && !steps::has_equal_ranks(&set) {
        context.report.warning(
            &Error::data("adapters of different ranks compete, whose values are not comparable")
                .flag("--pool")
                .hint("train with one rank for all to see what languages need"),
        );
    }
    let limits = Limits {
        budget: args.budget.map(|b| b.of(base_params)),
        balance: args.balance.unwrap_or_default(),
        rank: args.rank,
        method: args.method.unwrap_or_default(),
        compact: args.compact,
    };
    let cut = args.ratio.map(|r| steps::Cut {
        ratio: r.0,
        pool: args.pool.unwrap_or_default(),
        what: args.what.unwrap_or_default(),
        unit: args.unit.unwrap_or_default(),
    });
    let done = steps::prune(set, cut, &limits)?;
    let result = match direction {
        Some((src, tgt)) => done.set.compose(src, tgt).map_err(|e| e.flag("--direction"))?,
        None => done.set.clone(),
    };
    if args.output.is_some() && args.merge && result.adapters.is_empty() {
        context.report.warning(
            &Error::artifact("nothing is left of the LoRA here: the model is its base")
                .flag("--direction"),
        );
    } else if args.output.is_some() && result.adapters.is_empty() {
        return Err(Error::usage("nothing would be left of the LoRA")
            .flag(match (direction, args.budget) {
                (Some(_), _) => "--direction",
                (None, Some(_)) => "--budget",
                _ => "--ratio",
            })
            .hint("a rank of one pair costs its input and output width"));
    }
    let drawn = match &args.figure {
        Some(dir) => figures::draw(&done, dir, context.force)?,
        None => Vec::new(),
    };
    if context.dry_run {
        context.report.status(format!(
            "reads: {}, {}",
            checkpoint.dir().display(),
            lora.dir.display()
        ));
        for path in args.output.iter().chain(drawn.iter().map(|(path, _)| path)) {
            context.report.status(format!("would write: {}", path.display()));
        }
        context.report.note("nothing was written");
    } else {
        if let Some(output) = &args.output {
            write(args, context, &checkpoint, &lora, (&result, direction), output)?;
        }
        for (path, svg) in &drawn {
            write_bytes(path, svg.as_bytes())?;
        }
    }
    let mut out = Output::stdout(false);
    let asked = args.format.map(|f| f == OutputFormat::Jsonl);
    if context.json || Output::wants_records(asked) {
        show::records(&mut out, &done, &result, base_params)?;
    } else {
        show::table(&mut out, &done, &result, base_params)?;
    }
    out.flush()?;
    Ok(Outcome::Ok)
}

fn write(
    args: &Args,
    context: &Context,
    checkpoint: &Checkpoint,
    lora: &LoadedLora,
    (result, direction): (&LoraSet, Option<(&str, &str)>),
    output: &std::path::Path,
) -> Result<()> {
    let shapes = linear_shapes(&checkpoint.config);
    let own_sha256 = checkpoint.sha256()?;
    // What it was trained on, whatever it is used with.
    let trained_on = lora.files.base_model_sha256().unwrap_or(&own_sha256).to_string();
    let base = Parent {
        role: "base_model".into(),
        name: display_name(&args.model),
        sha256: if args.merge { own_sha256 } else { trained_on.clone() },
    };
    let own = Parent { role: "lora".into(), name: lora.name.clone(), sha256: lora.sha256.clone() };
    // Masks of the model or of the LoRA's training go along.
    let no_flags = MaskArgs { masks: None, unknown_direction: None, foreign_masks: false };
    let masks = no_flags.load_or_carried_by(checkpoint, lora.masks())?;
    let mut settings = context.provenance_args();
    let mut parents = vec![base, own];
    if let Some(m) = &masks {
        settings.insert("unknown_direction".into(), json!(m.unknown));
        parents.push(Parent {
            role: "neuron_masks".into(),
            name: display_name(&m.path),
            sha256: m.sha256.clone(),
        });
    }
    let provenance = Provenance {
        command: "prune-lora".into(),
        args: settings,
        seed: context.seed,
        parents,
        signature: None,
    };
    let dir = AtomicDir::create(output)?;
    if args.merge {
        let weights = merged(result)?;
        // The rows of `fc1` that the direction does without are zero before the update is added, as
        // they were in training; so the model needs no mask.
        let kept = match (&masks, direction) {
            (Some(m), Some((src, tgt))) => Some(m.provider.parts(&m.provider.choose(src, tgt)?)?),
            _ => None,
        };
        let set = ParameterSet::from_values(
            &checkpoint.config,
            |_| false,
            |name, shape| {
                let mut values = checkpoint.values(name, shape)?;
                if let Some(parts) = &kept {
                    zero_masked_rows(parts, name, shape, &mut values);
                }
                weights.add_to(name, shape, &mut values)?;
                Ok(values)
            },
        )?;
        let bias = checkpoint.final_logits_bias()?;
        let source = ModelSource {
            dir: checkpoint.dir(),
            config: &checkpoint.config,
            final_logits_bias: bias.as_deref(),
            carried: None,
            convention: kept_by(&lora.dir)?,
        };
        write_model(dir.path(), &source, &set, &provenance)?;
    } else {
        let mut files = result.to_files(&shapes, &display_name(&args.model))?;
        files.placement.base_model_sha256 = Some(trained_on);
        files.write(dir.path(), &shapes, &provenance)?;
        if let Some(convention) = kept_by(&lora.dir)? {
            keep_convention(convention, dir.path())?;
        }
        if let Some(path) = lora.masks() {
            let bytes = std::fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
            write_bytes(&dir.path().join(CARRIED), &bytes)?;
        }
    }
    dir.commit(context.force)
}
