//! `isogloss export`: a model, or one direction's, as a plain model directory.

mod write;

use std::path::PathBuf;

use serde_json::json;

use crate::cli::Context;
use crate::cli::values::Dtype;
use crate::commands::adapters::refuse_beside;
use crate::commands::masks::{CARRIED, MaskArgs};
use crate::error::{Error, ErrorKind, Result};
use crate::exit::Outcome;
use crate::formats::neurons::split_pair;
use crate::formats::provenance::{Parent, Provenance, display_name};
use crate::io::{AtomicDir, Output, refuse_existing, write_bytes};
use crate::methods::CompactModel;
use crate::model::checkpoint::{COPY_OF, parameter_shapes};
use crate::model::inference::Given;
use crate::model::rounding::{StoredFormat, rounding_cost};
use crate::model::{Checkpoint, ParameterSet};
use crate::text::TextTokenizer;
use crate::training::{ModelSource, write_model};
use write::{weights_file, write_rounded};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// A few lines
    Text,
    /// One `export` record
    Jsonl,
}

/// Write a model in another number format, or one direction's model, as a model directory
///
/// With `--dtype` the weights are written as f32, bf16 or f16 in the published layout, which any
/// program reads that reads M2M-100, or as int8: integers with a scale for each row, a quarter of
/// the size, which only `isogloss translate` reads, and computes with as they are. Biases and norms
/// stay f32. A model stored in bf16 or int8 translates as the original does with the same `--dtype`.
///
/// With `--direction` the model keeps the neurons of the direction's mask and folds what the
/// others always add into the bias of `fc2`, so that the result translates this direction as the
/// masked model does. The layout has one feed-forward width for all layers of a side: a side gets
/// the width of its widest layer, and narrower layers are filled up with neurons that do nothing.
///
/// Example:
///   isogloss export -m run --dtype int8 -o model-int8
///   isogloss export -m run --masks masks.safetensors --direction en-de -o model-en-de
#[derive(Clone, Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Model directory, or a run (its best checkpoint)
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// Only this direction, such as `en-de`, by its neuron mask
    #[arg(long, value_name = "SRC-TGT")]
    pub direction: Option<String>,
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
    let format = context.dtype_named().map(stored_format);
    match (&args.direction, format) {
        (Some(direction), format) => one_direction(args, direction, format, context),
        (None, Some(format)) => whole(args, format, context),
        (None, None) => Err(Error::usage("nothing is asked of the model")
            .hint("`--dtype int8` writes it in another number format")
            .hint("`--direction SRC-TGT` with `--masks` writes one direction's model")),
    }
}

/// The format of files that `--dtype` names.
pub fn stored_format(dtype: Dtype) -> StoredFormat {
    match dtype {
        Dtype::F32 => StoredFormat::F32,
        Dtype::Bf16 => StoredFormat::Bf16,
        Dtype::F16 => StoredFormat::F16,
        Dtype::Int8 => StoredFormat::Int8,
    }
}

/// The whole model in another number format.
fn whole(args: &Args, format: StoredFormat, context: &Context) -> Result<Outcome> {
    if let Some(flag) = args.neuron_masks.first_flag() {
        return Err(Error::usage(format!("`{flag}` without a direction"))
            .flag(flag)
            .hint("`--direction SRC-TGT` names whose neurons are kept"));
    }
    refuse_existing(&args.output, context.force)?;
    let checkpoint = Checkpoint::open(&args.model)?;
    refuse_beside(&checkpoint)?;
    let before: u64 = checkpoint.files().files().iter().map(|f| f.size_bytes()).sum();
    let mut out = Output::stdout(false);
    if context.dry_run {
        out.line(&format!("model: {}", checkpoint.dir().display()))?;
        out.line(&format!("writes: {} in {}", args.output.display(), format.name()))?;
        out.flush()?;
        return Ok(Outcome::Ok);
    }
    let cost = rounding_cost(&checkpoint, format)?;
    let bias = checkpoint.final_logits_bias()?;
    let source = ModelSource {
        dir: checkpoint.dir(),
        config: &checkpoint.config,
        final_logits_bias: bias.as_deref(),
        carried: None,
        convention: None,
    };
    let sha256 = checkpoint.sha256()?;
    let mut provenance = Provenance {
        command: "export".into(),
        args: context.provenance_args(),
        seed: context.seed,
        parents: vec![Parent {
            role: "base_model".into(),
            name: display_name(&args.model),
            sha256: sha256.clone(),
        }],
        signature: None,
    };
    let masks = checkpoint.dir().join(CARRIED);
    let masks = match masks.is_file() {
        true => {
            // They mean what they meant to the model, and so does what it does without one.
            let setting = checkpoint.setting("unknown_direction");
            provenance.args.extend(setting.map(|v| ("unknown_direction".to_string(), v)));
            Some(std::fs::read(&masks).map_err(|e| Error::io("read", &masks, e))?)
        }
        false => None,
    };
    let mut metadata = provenance.metadata("model");
    metadata.insert(COPY_OF.into(), sha256);
    let dir = AtomicDir::create(&args.output)?;
    write_rounded(dir.path(), &source, &checkpoint, format, Some(&cost), &metadata)?;
    if let Some(bytes) = masks {
        write_bytes(&dir.path().join(CARRIED), &bytes)?;
    }
    dir.commit(context.force)?;
    let written = args.output.join(weights_file(format));
    let after = std::fs::metadata(&written).map_err(|e| Error::io("read", &written, e))?.len();
    let asked = args.format.map(|f| f == OutputFormat::Jsonl);
    if context.json || Output::wants_records(asked) {
        out.record(&json!({
            "type": "export", "path": args.output.display().to_string(), "dtype": format.name(),
            "size_bytes": after, "size_bytes_before": before,
            "relative_error": cost["relative_error"],
        }))?;
    } else {
        let error = cost["relative_error"].as_f64().unwrap_or_default() * 100.0;
        out.line(&format!("weights: {after} bytes of {before}, in {}", format.name()))?;
        out.line(&format!("rounding error: {error:.3} % of the weights (root mean squares)"))?;
    }
    out.flush()?;
    Ok(Outcome::Ok)
}

fn one_direction(
    args: &Args,
    direction: &str,
    format: Option<StoredFormat>,
    context: &Context,
) -> Result<Outcome> {
    let (src_lang, tgt_lang) = split_pair(direction).ok_or_else(|| {
        Error::usage(format!("`{direction}` is not a direction"))
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
    let values = |name: &str, shape: &[usize]| {
        compact.values(name, shape, |name, shape| checkpoint.values(name, shape))
    };
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
    match format {
        None => {
            let set = ParameterSet::from_values(config, |_| false, values)?;
            write_model(dir.path(), &source, &set, &provenance)?;
        }
        Some(format) => {
            let metadata = provenance.metadata("model");
            write_rounded(dir.path(), &source, &Given(values), format, None, &metadata)?;
        }
    }
    dir.commit(context.force)?;

    let [encoder, decoder] = compact.widths();
    let padded =
        |kept: &[usize], width: usize| kept.iter().map(|k| width - k.min(&width)).sum::<usize>();
    let fill: usize =
        padded(&encoder, config.encoder_ffn_dim) + padded(&decoder, config.decoder_ffn_dim);
    let asked = args.format.map(|f| f == OutputFormat::Jsonl);
    if context.json || Output::wants_records(asked) {
        out.record(&json!({
            "type": "export", "lang_pair": direction, "path": args.output.display().to_string(),
            "num_parameters": after, "num_parameters_before": before,
            "encoder_ffn_dim": config.encoder_ffn_dim, "decoder_ffn_dim": config.decoder_ffn_dim,
            "encoder_kept": encoder, "decoder_kept": decoder, "num_fill_neurons": fill,
            "dtype": format.map_or("f32", StoredFormat::name),
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
