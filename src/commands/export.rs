//! `isogloss export`: one direction's model as a plain model directory.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Context;
use crate::commands::adapters::refuse_beside;
use crate::commands::masks::MaskArgs;
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Outcome;
use crate::formats::neurons::split_pair;
use crate::formats::provenance::{Parent, Provenance, display_name};
use crate::io::{AtomicDir, Output, refuse_existing};
use crate::methods::CompactModel;
use crate::model::checkpoint::parameter_shapes;
use crate::model::{Checkpoint, ParameterSet};
use crate::text::TextTokenizer;
use crate::training::{ModelSource, write_model};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// A few lines
    Text,
    /// One `export` record
    Jsonl,
}

/// Write one direction's model as a plain, smaller model directory
///
/// Keeps the neurons of the direction's mask and folds what the others always add into the bias
/// of `fc2`, so that the result translates this direction as the masked model does, in any
/// program that reads M2M-100. That layout has one feed-forward width for all layers of a side:
/// a side gets the width of its widest layer, and narrower layers are filled up with neurons
/// that do nothing.
///
/// Example:
///   isogloss export -m run --masks masks.safetensors --direction en-de -o model-en-de
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Model directory, or a run (its best checkpoint)
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// The direction, such as `en-de`
    #[arg(long, value_name = "SRC-TGT")]
    pub direction: String,
    /// Directory to write
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    #[command(flatten)]
    pub neuron_masks: MaskArgs,
    /// Shape of standard output [default: text on a terminal, else jsonl]
    #[arg(short, long, value_enum, help_heading = "Output")]
    pub format: Option<OutputFormat>,
}

pub fn run(args: &Args, context: &Context) -> Result<Outcome> {
    let (src_lang, tgt_lang) = split_pair(&args.direction).ok_or_else(|| {
        Error::usage(format!("`{}` is not a direction", args.direction))
            .flag("--direction")
            .expected("source and target joined by a dash, such as `en-de`")
    })?;
    refuse_existing(&args.output, context.force)?;
    let checkpoint = Checkpoint::open(&args.model)?;
    refuse_beside(&checkpoint)?;
    let masks = args.neuron_masks.load_or_carried(&checkpoint)?.ok_or_else(|| {
        Error::usage("nothing makes this model smaller")
            .flag("--masks")
            .hint("`--masks FILE` names the neurons of each direction")
    })?;
    let tokenizer = TextTokenizer::load(checkpoint.dir(), &checkpoint.config)?;
    for lang in [src_lang, tgt_lang] {
        tokenizer.languages().find(lang, ErrorKind::Usage).map_err(|e| e.flag("--direction"))?;
    }
    let used = masks.provider.choose(src_lang, tgt_lang)?;
    let parts = masks.provider.parts(&used)?;
    let compact = CompactModel::new(&checkpoint.config, &parts);
    let config = compact.config();
    let count =
        |c| parameter_shapes(c).values().map(|s| s.iter().product::<usize>()).sum::<usize>();
    let (before, after) = (count(&checkpoint.config), count(config));
    let mut out = Output::stdout(false);
    if context.dry_run {
        out.line(&format!("model: {}", checkpoint.dir().display()))?;
        out.line(&format!("masks: {}", masks.path.display()))?;
        out.line(&format!("writes: {}", args.output.display()))?;
        out.line(&format!("parameters: {after} of {before}"))?;
        out.flush()?;
        return Ok(Outcome::Ok);
    }
    let set = ParameterSet::from_values(
        config,
        |_| false,
        |name, shape| compact.values(name, shape, |name, shape| checkpoint.values(name, shape)),
    )?;
    let bias = checkpoint.final_logits_bias()?;
    let source = ModelSource {
        dir: checkpoint.dir(),
        config,
        final_logits_bias: bias.as_deref(),
        carried: None,
        convention: None,
    };
    let provenance = Provenance {
        command: "export".into(),
        args: context.provenance_args(),
        seed: context.seed,
        parents: vec![
            Parent {
                role: "base_model".into(),
                name: display_name(&args.model),
                sha256: checkpoint.sha256()?,
            },
            Parent {
                role: "neuron_masks".into(),
                name: display_name(&masks.path),
                sha256: masks.sha256.clone(),
            },
        ],
        signature: None,
    };
    let dir = AtomicDir::create(&args.output)?;
    write_model(dir.path(), &source, &set, &provenance)?;
    dir.commit(context.force)?;

    let [encoder, decoder] = compact.widths();
    let padded =
        |kept: &[usize], width: usize| kept.iter().map(|k| width - k.min(&width)).sum::<usize>();
    let fill: usize =
        padded(&encoder, config.encoder_ffn_dim) + padded(&decoder, config.decoder_ffn_dim);
    let asked = args.format.map(|f| f == OutputFormat::Jsonl);
    if context.json || Output::wants_records(asked) {
        out.record(&json!({
            "type": "export", "lang_pair": args.direction, "path": args.output.display().to_string(),
            "num_parameters": after, "num_parameters_before": before,
            "encoder_ffn_dim": config.encoder_ffn_dim, "decoder_ffn_dim": config.decoder_ffn_dim,
            "encoder_kept": encoder, "decoder_kept": decoder, "num_fill_neurons": fill,
        }))?;
    } else {
        for (side, kept, width) in [
            ("encoder", &encoder, config.encoder_ffn_dim),
            ("decoder", &decoder, config.decoder_ffn_dim),
        ] {
            let kept: Vec<String> = kept.iter().map(ToString::to_string).collect();
            out.line(&format!("{side}: width {width}; layers keep {}", kept.join(", ")))?;
        }
        out.line(&format!("parameters: {after} of {before}"))?;
        if fill > 0 {
            out.line(&format!(
                "the format has one width a side: {fill} neurons that do nothing fill narrower layers"
            ))?;
        }
    }
    out.flush()?;
    Ok(Outcome::Ok)
}
