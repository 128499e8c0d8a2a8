//! Flags of `train --method lora`, and what is wrong with them before anything is read.

use std::path::PathBuf;

use serde::Serialize;

use super::args::{Args, Method};
use crate::cli::Context;
use crate::cli::values::Fraction;
use crate::error::{Error, Result};
use crate::methods::lora::{
    GateScope, Initialisation, PrunePool, PruneSchedule, PruneUnit, PruneWhat, Pruning,
};

const HEADING: &str = "LoRA";
const PRUNING: &str = "Gradual pruning of a LoRA";

/// Flags of `--method lora`.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct LoraTrainArgs {
    /// Ranks: one number; `high=2,low=8,de=4,*=2` by language or label of `--lora-groups`; or
    /// `2;2;8` for the labels high, medium and low, as in `2;2;8;en=2` [default: 8]
    #[arg(long, value_name = "RANKS", help_heading = HEADING)]
    pub lora_rank: Option<String>,
    /// Rank of one module for all languages, such as `fc1=4`; may be repeated
    #[arg(long, value_name = "MODULE=R", help_heading = HEADING)]
    pub lora_module_rank: Vec<String>,
    /// The update is alpha / rank * B A [default: alpha is the rank, a scaling of 1]
    #[arg(long, value_name = "X", help_heading = HEADING)]
    pub lora_alpha: Option<f64>,
    /// How A begins; B is zero [default: lslo]
    #[arg(long, value_enum, value_name = "HOW", help_heading = HEADING)]
    pub lora_init: Option<Initialisation>,
    /// Dropout of the updates' input [default: 0]
    #[arg(long, value_name = "P", help_heading = HEADING)]
    pub lora_dropout: Option<f64>,
    /// Whose pair a layer uses, encoder/decoder: source, target, direction or shared; by layer as
    /// `source*9,target*3/target`; `shared` alone is a plain LoRA [default: source/target]
    #[arg(long, value_name = "INDEX", help_heading = HEADING)]
    pub lora_index: Option<String>,
    /// Modules with updates: names such as q_proj, self_attn.q_proj, fc1, or all [default:
    /// q_proj,k_proj,v_proj,fc1,fc2]
    #[arg(long, value_name = "NAMES", help_heading = HEADING)]
    pub lora_modules: Option<String>,
    /// Updates read and write these coordinates only: `0..1024`, or `d_model` for the first
    /// d_model of them, as published [default: all]
    #[arg(long, value_name = "RANGE", help_heading = HEADING)]
    pub lora_slice: Option<String>,
    /// Take the placement of a run of `--learn-placement` (where the larger weight decides), of a
    /// LoRA, or of a placement.json
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with_all = ["lora_index", "lora_modules", "learn_placement"],
        help_heading = HEADING
    )]
    pub lora_placement: Option<PathBuf>,
    /// Labels of languages for `--lora-rank` and `--lora-share`: TSV with a header line and the
    /// languages in its first column, or JSON
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    pub lora_groups: Option<PathBuf>,
    /// Column of those labels that `--lora-rank` means [default: tier]
    #[arg(long, value_name = "COLUMN", requires = "lora_groups", help_heading = HEADING)]
    pub lora_rank_by: Option<String>,
    /// Languages with the same label in this column share their pairs, of the highest of their ranks
    #[arg(long, value_name = "COLUMN", requires = "lora_groups", help_heading = HEADING)]
    pub lora_share: Option<String>,
    /// Learn whether source or target should index each layer (or matrix), with the pairs of both;
    /// a reconstruction, for the published rule was not released
    #[arg(long, value_enum, value_name = "WHAT", help_heading = HEADING)]
    pub learn_placement: Option<GateScope>,

    /// Prune this share in the end, such as 90%
    #[arg(long, value_name = "SHARE", help_heading = PRUNING)]
    #[serde(serialize_with = "share")]
    pub prune: Option<Fraction>,
    /// First period of the schedule, which prunes nothing yet [default: 2]
    #[arg(long, value_name = "N", requires = "prune", help_heading = PRUNING)]
    pub prune_start: Option<u64>,
    /// Periods from there to the full share [default: 10]
    #[arg(long, value_name = "N", requires = "prune", help_heading = PRUNING)]
    pub prune_duration: Option<u64>,
    /// Updates of a period [default: a 15th of --max-steps]
    #[arg(long, value_name = "N", requires = "prune", help_heading = PRUNING)]
    pub prune_every: Option<u64>,
    /// What competes [default: language]
    #[arg(long, value_enum, value_name = "POOL", requires = "prune", help_heading = PRUNING)]
    pub prune_pool: Option<PrunePool>,
    /// Matrices that are pruned [default: b]
    #[arg(long, value_enum, value_name = "WHAT", requires = "prune", help_heading = PRUNING)]
    pub prune_what: Option<PruneWhat>,
    /// What is pruned at once [default: entry]
    #[arg(long, value_enum, value_name = "UNIT", requires = "prune", help_heading = PRUNING)]
    pub prune_unit: Option<PruneUnit>,
}

pub(super) fn share<S: serde::Serializer>(
    v: &Option<Fraction>,
    s: S,
) -> std::result::Result<S::Ok, S::Error> {
    v.map(|f| f.0).serialize(s)
}

impl LoraTrainArgs {
    /// A flag of this method that was given.
    fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--lora-rank", self.lora_rank.is_some()),
            ("--lora-module-rank", !self.lora_module_rank.is_empty()),
            ("--lora-alpha", self.lora_alpha.is_some()),
            ("--lora-init", self.lora_init.is_some()),
            ("--lora-dropout", self.lora_dropout.is_some()),
            ("--lora-index", self.lora_index.is_some()),
            ("--lora-modules", self.lora_modules.is_some()),
            ("--lora-slice", self.lora_slice.is_some()),
            ("--lora-placement", self.lora_placement.is_some()),
            ("--lora-groups", self.lora_groups.is_some()),
            ("--learn-placement", self.learn_placement.is_some()),
            ("--prune", self.prune.is_some()),
        ];
        flags.into_iter().find(|f| f.1).map(|f| f.0)
    }

    /// What is wrong before anything is read.
    pub fn check(&self, args: &Args) -> Result<()> {
        let range = |flag: &str, ok: bool, what: &str| match ok {
            true => Ok(()),
            false => Err(Error::usage("value is out of range").flag(flag).expected(what)),
        };
        if args.method != Method::Lora {
            return match self.given() {
                Some(flag) => Err(Error::usage(format!("`{flag}` without a LoRA"))
                    .flag(flag)
                    .hint("add `--method lora`")),
                None => Ok(()),
            };
        }
        for (flag, given) in
            [("--freeze", !args.freeze.is_empty()), ("--train-only", !args.train_only.is_empty())]
        {
            if given {
                return Err(Error::usage(format!("`{flag}` with a LoRA, which freezes the model"))
                    .flag(flag)
                    .hint("`--lora-modules` says where updates are"));
            }
        }
        range(
            "--lora-alpha",
            self.lora_alpha.is_none_or(|a| a.is_finite() && a > 0.0),
            "a number above 0",
        )?;
        range(
            "--lora-dropout",
            self.lora_dropout.is_none_or(|p| (0.0..1.0).contains(&p)),
            "0 to below 1",
        )?;
        range("--prune", self.prune.is_none_or(|p| p.0 < 1.0), "below 100%")?;
        range("--prune-start", self.prune_start != Some(0), "at least 1")?;
        range("--prune-duration", self.prune_duration != Some(0), "at least 1")?;
        range("--prune-every", self.prune_every != Some(0), "at least 1")?;
        if self.prune.is_some() && self.prune_every.is_none() && args.max_steps.is_none() {
            return Err(Error::usage("the length of a period is not given")
                .flag("--prune")
                .hint("add `--prune-every N` or `--max-steps N`"));
        }
        Ok(())
    }

    /// What is allowed and yet hardly meant.
    pub fn warn_about(&self, args: &Args, context: &Context) {
        let (Some(pruning), Some(steps)) = (self.pruning(args), args.max_steps) else { return };
        let s = pruning.schedule;
        // The full share is pruned when this period begins.
        let periods = s.start + s.duration - 1;
        if periods * s.every >= steps {
            let fits = steps.saturating_sub(1) / periods.max(1);
            let mut e = Error::usage("the run ends before its share is pruned")
                .flag("--prune")
                .found(format!("it is reached at update {}", periods * s.every + 1));
            if fits > 0 {
                e = e.hint(format!("`--prune-every {fits}` fits {steps} updates"));
            }
            context.report.warning(&e);
        }
    }

    /// Updates of a period of pruning: kept with the run, for `--max-steps` may be raised later.
    pub fn period(&self, args: &Args) -> Option<u64> {
        self.prune?;
        self.prune_every.or(args.max_steps.map(|n| n.div_ceil(15).max(1)))
    }

    pub(super) fn pruning(&self, args: &Args) -> Option<Pruning> {
        Some(Pruning {
            schedule: PruneSchedule {
                target: self.prune?.0,
                start: self.prune_start.unwrap_or(2),
                duration: self.prune_duration.unwrap_or(10),
                every: self.period(args).unwrap_or(1),
            },
            pool: self.prune_pool.unwrap_or_default(),
            what: self.prune_what.unwrap_or_default(),
            unit: self.prune_unit.unwrap_or_default(),
        })
    }
}
