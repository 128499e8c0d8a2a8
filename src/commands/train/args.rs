//! Flags of `train`, and what is wrong with them before anything is read.

use std::path::PathBuf;

use serde::Serialize;

use super::adapter_args::AdapterTrainArgs;
use super::lora_args::LoraTrainArgs;
use super::task_args::TaskArgs;
use crate::cli::{Context, Launch};
use crate::commands::marks::MarkArgs;
use crate::commands::masks::MaskArgs;
use crate::commands::pairs::PairArgs;
use crate::error::{Error, Result};
use crate::model::FrozenType;
use crate::training::{ScheduleKind, Settings};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// All parameters of the model
    Full,
    /// Updates of low rank by language, beside the frozen model
    Lora,
    /// Bottleneck adapters by language, beside the model
    Adapters,
    /// A hyper-network that generates adapters from source, target and layer
    HyperAdapters,
    /// A hyper-network that generates adapters from task, language and layer
    HyperX,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Weight decay goes through the gradient (Kingma and Ba 2015)
    Adam,
    /// Weight decay acts on the weights (Loshchilov and Hutter 2019)
    Adamw,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// One readable line per event
    Text,
    /// The records of `log.jsonl`
    Jsonl,
}

/// Train or fine-tune a model
///
/// Reads parallel text, trains, and fills a run directory with checkpoints and a log. Each
/// checkpoint is a complete model directory that `transformers` loads too; where the model stays as it
/// is, it holds what the method trains alone: a LoRA as PEFT directories, adapters, a hyper-network.
/// Started again on the same directory, the command
/// continues where the last checkpoint stands, exactly.
///
/// Example:
///   isogloss train -m model --train train.jsonl --valid dev.jsonl --max-steps 2000 -o run
///   isogloss train -m model --method lora --lora-rank 8 --train train.jsonl -o lora
///   isogloss train -m model --method hyper-adapters --train train.jsonl -o hyper
#[derive(Clone, Debug, clap::Args, Serialize)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Model directory, or a run (its best checkpoint)
    #[arg(short, long, value_name = "MODEL")]
    pub model: PathBuf,
    /// Parallel text to train on; may be repeated
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present_any = ["denoise", "tag"],
        help_heading = "Input"
    )]
    pub train: Vec<String>,
    /// Parallel text to validate on; may be repeated
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub valid: Vec<String>,
    /// Run directory to fill
    #[arg(short, long, value_name = "RUN")]
    pub output: PathBuf,
    /// What is trained
    #[arg(long, value_enum, default_value = "full")]
    pub method: Method,
    /// Take the weights from this model or run instead of MODEL's; with another method, what it
    /// trains from this run
    #[arg(long, value_name = "MODEL", help_heading = "Input")]
    pub init_from: Option<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    pub pairs: PairArgs,
    #[command(flatten)]
    #[serde(flatten)]
    pub marks: MarkArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub neuron_masks: MaskArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub lora: LoraTrainArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub adapters: AdapterTrainArgs,

    #[command(flatten)]
    #[serde(flatten)]
    pub tasks: TaskArgs,

    /// Updates to make in all
    #[arg(long, value_name = "N", help_heading = "Length of the run")]
    pub max_steps: Option<u64>,
    /// Passes over the data to make in all
    #[arg(long, value_name = "X", help_heading = "Length of the run")]
    pub max_epochs: Option<f64>,
    /// Minutes to train in all, earlier starts included
    #[arg(long, value_name = "X", help_heading = "Length of the run")]
    pub max_minutes: Option<f64>,
    /// Stop after so many validations without improvement
    #[arg(long, value_name = "N", help_heading = "Length of the run")]
    pub patience: Option<u64>,

    /// Tokens of a batch (the longer side counts)
    #[arg(long, value_name = "N", default_value_t = 4096, help_heading = "Batches")]
    pub batch_tokens: usize,
    /// Batches of one update; each holds one direction. Of several ranks, each has as many
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Batches")]
    pub grad_accum: usize,
    /// Ranks that share an update, each with batches of its own: one process runs them in turn, and
    /// `mpirun -np N`, `srun -n N` or `torchrun --nproc-per-node N --no-python` have one process for each, on
    /// GPUs with one each (`--device cuda`), with the same result to the bit [default: as many as processes
    /// were started]
    #[arg(long, value_name = "N", help_heading = "Batches")]
    pub ranks: Option<usize>,
    /// Keep the input of each layer alone and compute the layer again in the backward pass: much
    /// less memory, about a third more time, the same result to the bit
    #[arg(long, help_heading = "Batches")]
    pub gradient_checkpointing: bool,
    /// Directions are drawn in proportion to pairs^(1/T)
    #[arg(long, value_name = "T", default_value_t = 1.0, help_heading = "Batches")]
    pub temperature: f64,

    /// Highest learning rate
    #[arg(long, value_name = "X", default_value_t = 5e-4, help_heading = "Optimizer")]
    pub lr: f64,
    /// Lowest learning rate after warm-up
    #[arg(long, value_name = "X", default_value_t = 0.0, help_heading = "Optimizer")]
    pub min_lr: f64,
    /// How the learning rate changes
    #[arg(long, value_enum, default_value = "inverse-sqrt", help_heading = "Optimizer")]
    pub lr_schedule: ScheduleKind,
    /// Updates over which the learning rate rises
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Optimizer")]
    pub warmup_steps: u64,
    /// Rule of the updates
    #[arg(long, value_enum, default_value = "adam", help_heading = "Optimizer")]
    pub optimizer: OptimizerKind,
    /// Decay of the mean of the gradients
    #[arg(long, value_name = "X", default_value_t = 0.9, help_heading = "Optimizer")]
    pub beta1: f64,
    /// Decay of the mean of their squares
    #[arg(long, value_name = "X", default_value_t = 0.98, help_heading = "Optimizer")]
    pub beta2: f64,
    /// Added to the root of the mean square
    #[arg(long, value_name = "X", default_value_t = 1e-8, help_heading = "Optimizer")]
    pub eps: f64,
    /// Share of each weight taken off in an update, times the learning rate
    #[arg(long, value_name = "X", default_value_t = 0.0, help_heading = "Optimizer")]
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 for no clipping
    #[arg(long, value_name = "X", default_value_t = 1.0, help_heading = "Optimizer")]
    pub clip_norm: f64,
    /// Probability spread evenly over the vocabulary in the target of the loss
    #[arg(long, value_name = "X", default_value_t = 0.1, help_heading = "Optimizer")]
    pub label_smoothing: f32,
    /// Replaces the configuration's dropout
    #[arg(long, value_name = "P", help_heading = "Optimizer")]
    pub dropout: Option<f32>,
    /// Replaces the configuration's dropout of attention weights
    #[arg(long, value_name = "P", help_heading = "Optimizer")]
    pub attention_dropout: Option<f32>,
    /// Replaces the configuration's dropout inside feed-forward blocks
    #[arg(long, value_name = "P", help_heading = "Optimizer")]
    pub activation_dropout: Option<f32>,
    /// Parameters to leave as they are: all, embeddings, encoder, decoder, attention,
    /// feed-forward, layer-norms, biases, or a pattern; may be repeated
    #[arg(long, value_name = "GROUP", help_heading = "Optimizer")]
    pub freeze: Vec<String>,
    /// Train these parameters only; may be repeated
    #[arg(long, value_name = "GROUP", help_heading = "Optimizer")]
    pub train_only: Vec<String>,

    /// Updates between validations
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Validation and output")]
    pub valid_every: u64,
    /// Also translate the held-out text and score it: bleu, chrf, chrf++ or ter; may be repeated
    #[arg(long, value_name = "METRIC", help_heading = "Validation and output")]
    pub valid_metric: Vec<String>,
    /// Tokenizer of that BLEU: 13a, intl, zh, char or none
    #[arg(
        long,
        value_name = "NAME",
        default_value = "13a",
        help_heading = "Validation and output"
    )]
    pub valid_tokenize: String,
    /// Beam of those translations; 1 is greedy search
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Validation and output")]
    pub valid_beam_size: usize,
    /// Translate at most N pairs of each direction, the first ones [default: all]
    #[arg(long, value_name = "N", help_heading = "Validation and output")]
    pub valid_sentences: Option<usize>,
    /// What decides which checkpoint is best: nll, or a metric of `--valid-metric`
    #[arg(
        long,
        value_name = "NAME",
        default_value = "nll",
        help_heading = "Validation and output"
    )]
    pub best_metric: String,
    /// Updates between checkpoints
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Validation and output")]
    pub save_every: u64,
    /// Checkpoints kept beside the best
    #[arg(long, value_name = "N", default_value_t = 2, help_heading = "Validation and output")]
    pub keep_last: usize,
    /// Best checkpoints kept
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Validation and output")]
    pub keep_best: usize,
    /// At the end, average the last N checkpoints into `checkpoints/average`
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Validation and output")]
    pub average: usize,
    /// Updates between log records
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = "Validation and output")]
    pub log_every: u64,
    /// Log the loss of each direction too
    #[arg(long, help_heading = "Validation and output")]
    pub log_pairs: bool,
    /// Shape of standard output
    #[arg(short, long, value_enum, default_value = "text", help_heading = "Validation and output")]
    pub format: OutputFormat,
    /// Write the token ids of every batch to a file, for comparison with other programs
    #[arg(long, value_name = "FILE", help_heading = "Validation and output")]
    pub dump_batches: Option<PathBuf>,
    /// Continue an unfinished run (the default)
    #[arg(long, conflicts_with = "overwrite", help_heading = "Validation and output")]
    pub resume: bool,
    /// Move an existing run aside and start afresh
    #[arg(long, help_heading = "Validation and output")]
    pub overwrite: bool,
}

impl Args {
    /// The processes this one trains with: one rank is one process, however it was started.
    pub fn joined(&self, launch: Option<Launch>) -> Option<Launch> {
        launch.filter(|_| self.ranks != Some(1))
    }

    /// The settings that are kept with the run.
    pub(super) fn settings(
        &self,
        context: &Context,
        frozen: FrozenType,
        ranks: usize,
    ) -> Result<Settings> {
        let value = serde_json::to_value(self)
            .map_err(|e| Error::bug("cannot encode settings").cause(e.to_string()))?;
        let mut settings: Settings = match value {
            serde_json::Value::Object(m) => m.into_iter().filter(|(_, v)| !v.is_null()).collect(),
            _ => Settings::new(),
        };
        // Compared by content, not by path.
        for name in [
            "model",
            "train",
            "valid",
            "init_from",
            "masks",
            "lora_placement",
            "lora_groups",
            "adapter_groups",
            "denoise",
            "tag",
            "valid_denoise",
            "valid_tag",
        ] {
            settings.remove(name);
        }
        // Whose the masks are is told by their fingerprint.
        settings.remove("foreign_masks");
        if let Some(every) = self.lora.period(self) {
            settings.insert("prune_every".into(), every.into());
        }
        // One is what runs had before there were ranks.
        settings.remove("ranks");
        if ranks > 1 {
            settings.insert("ranks".into(), ranks.into());
        }
        settings.insert("seed".into(), context.seed.into());
        if frozen == FrozenType::Bf16 {
            settings.insert("dtype".into(), "bf16".into());
        }
        Ok(settings)
    }

    /// Target tokens of a validation batch.
    pub(super) fn valid_tokens(&self) -> usize {
        self.batch_tokens.max(4096)
    }

    pub(super) fn check(&self) -> Result<()> {
        let positive = |flag: &str, ok: bool, what: &str| {
            if ok {
                Ok(())
            } else {
                Err(Error::usage("value is out of range").flag(flag).expected(what))
            }
        };
        if self.max_steps.is_none() && self.max_epochs.is_none() && self.max_minutes.is_none() {
            return Err(Error::usage("the length of the run is not given")
                .hint("add `--max-steps N`, `--max-epochs X` or `--max-minutes X`"));
        }
        let above_zero = |x: Option<f64>| x.is_none_or(|x| x.is_finite() && x > 0.0);
        positive("--max-minutes", above_zero(self.max_minutes), "a number above 0")?;
        positive("--max-epochs", above_zero(self.max_epochs), "a number above 0")?;
        self.pairs.check()?;
        positive("--batch-tokens", self.batch_tokens > 0, "at least 1")?;
        positive("--grad-accum", self.grad_accum > 0, "at least 1")?;
        positive("--ranks", self.ranks != Some(0), "at least 1")?;
        positive("--valid-every", self.valid_every > 0, "at least 1")?;
        positive("--save-every", self.save_every > 0, "at least 1")?;
        positive("--log-every", self.log_every > 0, "at least 1")?;
        positive(
            "--temperature",
            self.temperature.is_finite() && self.temperature > 0.0,
            "a number above 0",
        )?;
        positive("--lr", self.lr.is_finite() && self.lr > 0.0, "a number above 0")?;
        positive("--min-lr", self.min_lr >= 0.0 && self.min_lr <= self.lr, "0 to --lr")?;
        positive("--beta1", (0.0..1.0).contains(&self.beta1), "0 to below 1")?;
        positive("--beta2", (0.0..1.0).contains(&self.beta2), "0 to below 1")?;
        positive("--eps", above_zero(Some(self.eps)), "a number above 0")?;
        positive(
            "--weight-decay",
            self.weight_decay.is_finite() && self.weight_decay >= 0.0,
            "at least 0",
        )?;
        positive("--clip-norm", self.clip_norm.is_finite() && self.clip_norm >= 0.0, "at least 0")?;
        positive("--label-smoothing", (0.0..1.0).contains(&self.label_smoothing), "0 to below 1")?;
        for (flag, p) in [
            ("--dropout", self.dropout),
            ("--attention-dropout", self.attention_dropout),
            ("--activation-dropout", self.activation_dropout),
        ] {
            positive(flag, p.is_none_or(|p| (0.0..1.0).contains(&p)), "0 to below 1")?;
        }
        if matches!(self.lr_schedule, ScheduleKind::Linear | ScheduleKind::Cosine)
            && self.max_steps.is_none()
        {
            return Err(Error::usage("this schedule ends at the last step, which is not given")
                .flag("--lr-schedule")
                .hint("add `--max-steps N`"));
        }
        let held_out = [&self.valid, &self.tasks.valid_denoise, &self.tasks.valid_tag];
        if held_out.iter().all(|v| v.is_empty()) && self.patience.is_some() {
            return Err(Error::usage("early stopping needs held-out text")
                .flag("--patience")
                .hint("add `--valid FILE`"));
        }
        self.lora.check(self)?;
        self.adapters.check(self)?;
        self.tasks.check()?;
        positive("--valid-beam-size", self.valid_beam_size > 0, "at least 1")?;
        positive("--valid-sentences", self.valid_sentences != Some(0), "at least 1")?;
        if self.valid.is_empty() && (!self.valid_metric.is_empty() || self.best_metric != "nll") {
            let flag =
                if self.valid_metric.is_empty() { "--best-metric" } else { "--valid-metric" };
            return Err(Error::usage("scores need held-out text")
                .flag(flag)
                .hint("add `--valid FILE`"));
        }
        Ok(())
    }
}
