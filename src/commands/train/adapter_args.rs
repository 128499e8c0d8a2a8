//! Flags of `train --method adapters`, `hyper-adapters` and `hyper-x`, and what is wrong with them
//! before anything is read.

use std::path::PathBuf;

use serde::Serialize;

use super::args::{Args, Method};
use crate::error::{Error, Result};
use crate::formats::adapters::{NormPlace, Position};
use crate::formats::hypernet::Affine;
use crate::methods::adapters::AdapterInit;
use crate::methods::hyper::HyperInit;

const ADAPTERS: &str = "Adapters, stored or generated";
const HYPER: &str = "Hyper-networks";

/// Published sizes of hyper-networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum HyperSize {
    /// 102 hidden units; 32 of Hyper-X
    Small,
    /// 204 hidden units; 192 of Hyper-X
    Base,
    /// 612 hidden units; Hyper-X has none
    Large,
}

/// Flags of the methods that train adapters.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct AdapterTrainArgs {
    /// Width of the adapters [default: 64]
    #[arg(long, value_name = "N", help_heading = ADAPTERS)]
    pub adapter_bottleneck: Option<usize>,
    /// Where in a layer adapters stand; several by commas [default: layer; Hyper-X feed-forward]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PLACES", help_heading = ADAPTERS)]
    pub adapter_position: Vec<Position>,
    /// What an adapter normalises [default: before; Hyper-X none]
    #[arg(long, value_enum, value_name = "WHERE", help_heading = ADAPTERS)]
    pub adapter_norm: Option<NormPlace>,
    /// Scale and shift of that norm [default: learned; hyper-adapters none; Hyper-X generated]
    #[arg(long, value_enum, value_name = "WHENCE", help_heading = ADAPTERS)]
    pub adapter_affine: Option<Affine>,
    /// Whose stored adapter a layer uses, encoder/decoder: source, target, direction or shared
    /// [default: source/target]
    #[arg(long, value_name = "INDEX", help_heading = ADAPTERS)]
    pub adapter_index: Option<String>,
    /// Labels of languages for `--adapter-share`: TSV with a header line and the languages in its
    /// first column, or JSON
    #[arg(long, value_name = "FILE", help_heading = ADAPTERS)]
    pub adapter_groups: Option<PathBuf>,
    /// Languages with the same label in this column share their stored adapters
    #[arg(long, value_name = "COLUMN", requires = "adapter_groups", help_heading = ADAPTERS)]
    pub adapter_share: Option<String>,
    /// How stored adapters begin [default: identity]
    #[arg(long, value_enum, value_name = "HOW", help_heading = ADAPTERS)]
    pub adapter_init: Option<AdapterInit>,
    /// Parameters of the model that are trained with the adapters, as of `--freeze`, or none; may be
    /// repeated [default: none; Hyper-X layer-norms]
    #[arg(long, value_name = "GROUP", help_heading = ADAPTERS)]
    pub train_base: Vec<String>,

    /// Hidden units that the heads read [default: 64; Hyper-X 32]
    #[arg(long, value_name = "N", help_heading = HYPER)]
    pub hyper_hidden: Option<usize>,
    /// The same by name
    #[arg(long, value_enum, value_name = "SIZE", conflicts_with = "hyper_hidden", help_heading = HYPER)]
    pub hyper_size: Option<HyperSize>,
    /// As many hidden units as parameters allow: a number, or a share such as 1/6 or 50% of what
    /// stored adapters of these languages would take
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["hyper_hidden", "hyper_size"],
        help_heading = HYPER
    )]
    pub match_params: Option<String>,
    /// Residual blocks of hyper-adapters [default: 2]
    #[arg(long, value_name = "N", help_heading = HYPER)]
    pub hyper_blocks: Option<usize>,
    /// Width between the maps of Hyper-X's projector [default: 192]
    #[arg(long, value_name = "N", help_heading = HYPER)]
    pub hyper_projection: Option<usize>,
    /// Width of the vectors of languages and tasks [default: 50; Hyper-X 64]
    #[arg(long, value_name = "N", help_heading = HYPER)]
    pub embedding_dim: Option<usize>,
    /// Width of the vectors of layers [default: the same]
    #[arg(long, value_name = "N", help_heading = HYPER)]
    pub layer_embedding_dim: Option<usize>,
    /// Inputs that are not switched off, encoder/decoder, such as source,layer/target,layer
    /// [default: all]
    #[arg(long, value_name = "INPUTS", help_heading = HYPER)]
    pub hyper_inputs: Option<String>,
    /// One table of vectors for source and target languages
    #[arg(long, help_heading = HYPER)]
    pub tie_languages: bool,
    /// Encoder and decoder layers of the same number share a vector, as in the published code
    #[arg(long, help_heading = HYPER)]
    pub shared_layer_ids: bool,
    /// Norm of the conditioning vector
    #[arg(long, help_heading = HYPER)]
    pub hyper_input_norm: bool,
    /// Norm of what the heads read
    #[arg(long, help_heading = HYPER)]
    pub hyper_output_norm: bool,
    /// Dropout inside the hyper-network [default: 0]
    #[arg(long, value_name = "P", help_heading = HYPER)]
    pub hyper_dropout: Option<f32>,
    /// How a hyper-network begins [default: xavier; Hyper-X small]
    #[arg(long, value_enum, value_name = "HOW", help_heading = HYPER)]
    pub hyper_init: Option<HyperInit>,
    /// Do not divide what hyper-adapters make by the root of the hidden units
    #[arg(long, help_heading = HYPER)]
    pub no_rescale: bool,
    /// Learn vectors of new languages in the hyper-network of `--init-from`, all else frozen; each
    /// begins as another or a mixture: nl=de, pt=0.7*es+0.3*fr; may be repeated
    #[arg(long, value_name = "LANG=FROM", requires = "init_from", help_heading = HYPER)]
    pub new_language: Vec<String>,
}

impl AdapterTrainArgs {
    /// A flag that was given, of those that any method of adapters has, that stored adapters have,
    /// that hyper-networks have, and that one kind of these has.
    fn given(&self) -> [Option<&'static str>; 5] {
        let first = |flags: &[(&'static str, bool)]| flags.iter().find(|f| f.1).map(|f| f.0);
        [
            first(&[
                ("--adapter-bottleneck", self.adapter_bottleneck.is_some()),
                ("--adapter-position", !self.adapter_position.is_empty()),
                ("--adapter-norm", self.adapter_norm.is_some()),
                ("--adapter-affine", self.adapter_affine.is_some()),
                ("--train-base", !self.train_base.is_empty()),
            ]),
            first(&[
                ("--adapter-index", self.adapter_index.is_some()),
                ("--adapter-groups", self.adapter_groups.is_some()),
                ("--adapter-init", self.adapter_init.is_some()),
            ]),
            first(&[
                ("--hyper-hidden", self.hyper_hidden.is_some()),
                ("--hyper-size", self.hyper_size.is_some()),
                ("--match-params", self.match_params.is_some()),
                ("--embedding-dim", self.embedding_dim.is_some()),
                ("--layer-embedding-dim", self.layer_embedding_dim.is_some()),
                ("--hyper-inputs", self.hyper_inputs.is_some()),
                ("--shared-layer-ids", self.shared_layer_ids),
                ("--hyper-init", self.hyper_init.is_some()),
                ("--new-language", !self.new_language.is_empty()),
            ]),
            first(&[
                ("--hyper-blocks", self.hyper_blocks.is_some()),
                ("--tie-languages", self.tie_languages),
                ("--hyper-input-norm", self.hyper_input_norm),
                ("--hyper-output-norm", self.hyper_output_norm),
                ("--hyper-dropout", self.hyper_dropout.is_some()),
                ("--no-rescale", self.no_rescale),
            ]),
            first(&[("--hyper-projection", self.hyper_projection.is_some())]),
        ]
    }

    /// The same but `--new-language`: what decides a structure.
    pub(super) fn given_structure(&self) -> [Option<&'static str>; 5] {
        Self { new_language: Vec::new(), ..self.clone() }.given()
    }

    /// What is wrong before anything is read.
    pub fn check(&self, args: &Args) -> Result<()> {
        let [any, stored, hyper, residual, projected] = self.given();
        let misplaced = |flag: Option<&'static str>, fits: &[Method], hint: &str| match flag {
            Some(flag) if !fits.contains(&args.method) => {
                Err(Error::usage(format!("`{flag}` is not for this method")).flag(flag).hint(hint))
            }
            _ => Ok(()),
        };
        use Method::{Adapters, HyperAdapters, HyperX};
        misplaced(
            any,
            &[Adapters, HyperAdapters, HyperX],
            "`--method adapters`, `hyper-adapters` and `hyper-x` train adapters",
        )?;
        misplaced(stored, &[Adapters], "add `--method adapters`")?;
        misplaced(
            hyper,
            &[HyperAdapters, HyperX],
            "add `--method hyper-adapters` or `--method hyper-x`",
        )?;
        misplaced(residual, &[HyperAdapters], "add `--method hyper-adapters`")?;
        misplaced(projected, &[HyperX], "add `--method hyper-x`")?;
        if !matches!(args.method, Adapters | HyperAdapters | HyperX) {
            return Ok(());
        }
        for (flag, given) in
            [("--freeze", !args.freeze.is_empty()), ("--train-only", !args.train_only.is_empty())]
        {
            if given {
                return Err(Error::usage(format!(
                    "`{flag}` with adapters, which freeze the model"
                ))
                .flag(flag)
                .hint("`--train-base GROUP` trains parameters of the model with them"));
            }
        }
        let sizes = [
            ("--adapter-bottleneck", self.adapter_bottleneck),
            ("--hyper-hidden", self.hyper_hidden),
            ("--hyper-projection", self.hyper_projection),
            ("--embedding-dim", self.embedding_dim),
            ("--layer-embedding-dim", self.layer_embedding_dim),
        ];
        for (flag, size) in sizes {
            if size.is_some_and(|n| n == 0 || n > 1 << 20) {
                return Err(Error::usage("value is out of range")
                    .flag(flag)
                    .expected(format!("1 to {}", 1 << 20)));
            }
        }
        if self.adapter_groups.is_some() && self.adapter_share.is_none() {
            return Err(Error::usage("labels without a word on who shares adapters")
                .flag("--adapter-groups")
                .hint("add `--adapter-share COLUMN`"));
        }
        if self.hyper_blocks.is_some_and(|n| n > 1000) {
            return Err(Error::usage("value is out of range")
                .flag("--hyper-blocks")
                .expected("0 to 1000"));
        }
        if self.hyper_dropout.is_some_and(|p| !(0.0..1.0).contains(&p)) {
            return Err(Error::usage("value is out of range")
                .flag("--hyper-dropout")
                .expected("0 to below 1"));
        }
        let norm = self.adapter_norm;
        if norm == Some(NormPlace::None) && self.adapter_affine.is_some() {
            return Err(Error::usage("scale and shift of a norm that is not there")
                .flag("--adapter-affine")
                .hint("`--adapter-norm before` or `after` puts it there"));
        }
        if args.method == Adapters && self.adapter_affine == Some(Affine::Generated) {
            return Err(Error::usage("stored adapters generate nothing")
                .flag("--adapter-affine")
                .expected("none or learned"));
        }
        if args.method == HyperX && norm.is_none() && self.adapter_affine.is_some() {
            return Err(Error::usage("Hyper-X has no norm unless it is asked for")
                .flag("--adapter-affine")
                .hint("add `--adapter-norm before` or `--adapter-norm after`"));
        }
        if args.method == HyperX && self.hyper_size == Some(HyperSize::Large) {
            return Err(Error::usage("Hyper-X is published in two sizes")
                .flag("--hyper-size")
                .expected("small or base"));
        }
        if !self.new_language.is_empty() && !self.train_base.is_empty() {
            return Err(
                Error::usage("new languages are learned with all else frozen").flag("--train-base")
            );
        }
        Ok(())
    }
}
