//! Flags of the commands that run a model with bottleneck adapters, stored or generated, and how
//! they are found and checked.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::formats::adapters::AdapterDir;
use crate::formats::hypernet::{self, HyperConfig};
use crate::formats::provenance::{display_name, file_sha256, hex, short};
use crate::methods::hyper::{HyperNetwork, Mixture};
use crate::methods::{AdapterBank, AdapterSource};
use crate::model::{Checkpoint, ModelConfig};

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct AdapterArgs {
    /// Adapters: a run of `train --method adapters`, `hyper-adapters` or `hyper-x`, what
    /// `gen-adapters` wrote, or a directory of AdapterHub
    #[arg(long, value_name = "ADAPTERS", help_heading = "Adapters")]
    pub adapters: Option<PathBuf>,
    /// Without the adapters that lie beside a model that was trained with them
    #[arg(long, conflicts_with_all = ["adapters", "mixtures"], help_heading = "Adapters")]
    pub no_adapters: bool,
    /// A language the hyper-network has no vector of, mixed from others: pt=0.7*es+0.3*fr,
    /// pt=mean(es,fr); may be repeated
    #[arg(long = "as", value_name = "LANG=MIXTURE", help_heading = "Adapters")]
    pub mixtures: Vec<String>,
}

/// Adapters as they were found.
pub struct LoadedAdapters {
    pub dir: PathBuf,
    pub name: String,
    pub source: AdapterSource,
    pub sha256: String,
}

impl LoadedAdapters {
    /// For signatures: `run@1a2b3c4d`.
    pub fn signature(&self) -> String {
        format!("{}@{}", self.name, &self.sha256[..8.min(self.sha256.len())])
    }
}

/// Whether adapters and a model belong together. `own` is the fingerprint of the model they were
/// trained on; none when they were trained with it and lie beside it.
pub fn check_base(own: Option<&str>, dir: &Path, checkpoint: &Checkpoint) -> Result<()> {
    let beside;
    let own = match own {
        Some(own) => own,
        None if same_dir(dir, checkpoint.dir()) => return Ok(()),
        None if dir.join(crate::formats::hf::CONFIG).is_file() => {
            beside = Checkpoint::open(dir)?.sha256()?;
            &beside
        }
        // Nothing is known of those that other programs made.
        None => return Ok(()),
    };
    let model = checkpoint.sha256()?;
    if own == model {
        return Ok(());
    }
    let mut e = Error::artifact("the adapters were trained on another model")
        .at(dir)
        .found(short(own))
        .expected(format!("{} ({})", short(&model), checkpoint.dir().display()));
    e = match dir.join(crate::formats::hf::CONFIG).is_file() {
        true => e.hint(format!("they were trained with their model: `-m {}`", dir.display())),
        false => e.hint("pass the model they were trained on with `-m`"),
    };
    Err(e.hint("`--allow-base-mismatch` takes them as they are"))
}

fn same_dir(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Whether a hyper-network was made for models of this shape.
pub fn check_shape(config: &HyperConfig, model: &ModelConfig) -> Result<()> {
    let found = (config.d_model, config.encoder_layers, config.decoder_layers);
    let expected = (model.d_model, model.encoder_layers, model.decoder_layers);
    if found == expected {
        return Ok(());
    }
    let shape = |(d, e, l): (usize, usize, usize)| format!("width {d}, {e}+{l} layers");
    Err(Error::artifact("the hyper-network is for a model of another shape")
        .found(shape(found))
        .expected(shape(expected)))
}

/// Reads a hyper-network for a model, with vectors of further languages.
///
/// # Errors
/// Artifact: a broken one, or one of another model unless `any_base`. Usage or data: mixtures that
/// cannot be.
pub fn load_hyper(
    dir: &Path,
    checkpoint: &Checkpoint,
    mixtures: &[String],
    any_base: bool,
) -> Result<(HyperNetwork, String)> {
    let mut network = HyperNetwork::read(dir)?;
    check_shape(&network.config, &checkpoint.config).map_err(|e| e.at(dir))?;
    if !any_base {
        check_base(network.config.base_model_sha256.as_deref(), dir, checkpoint)?;
    }
    let mut hasher = Sha256::new();
    hasher.update(file_sha256(&dir.join(hypernet::WEIGHTS))?);
    load_mixtures(&mut network, mixtures)?;
    mixtures.iter().for_each(|m| hasher.update(format!("{m}\n")));
    Ok((network, hex(&hasher.finalize())))
}

/// Gives languages the vectors that `--as` asks for.
pub fn load_mixtures(network: &mut HyperNetwork, mixtures: &[String]) -> Result<()> {
    for text in mixtures {
        let (name, mixture) = Mixture::parse_named(text).map_err(|e| e.flag("--as"))?;
        network.add_language(&name, &mixture).map_err(|e| e.flag("--as"))?;
    }
    Ok(())
}

impl AdapterArgs {
    /// The adapters of `--adapters`, or those that lie beside the model.
    pub fn load(
        &self,
        checkpoint: &Checkpoint,
        any_base: bool,
    ) -> Result<Option<LoadedAdapters>> {
        let beside = checkpoint.dir();
        let carried = hypernet::is_hypernet(beside)
            || beside.join(crate::formats::adapters::FILE).is_file();
        let path = match &self.adapters {
            Some(path) => path.as_path(),
            None if carried && !self.no_adapters => beside,
            None => {
                return match self.mixtures.is_empty() {
                    true => Ok(None),
                    false => Err(Error::usage("a mixture for which hyper-network?")
                        .flag("--as")
                        .hint("name it with `--adapters RUN`")),
                };
            }
        };
        let name = display_name(&path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
        if let Ok(Some(dir)) = hypernet::resolve(path) {
            let (network, sha256) = load_hyper(&dir, checkpoint, &self.mixtures, any_base)?;
            let source = AdapterSource::Hyper(Box::new(network));
            return Ok(Some(LoadedAdapters { dir, name, source, sha256 }));
        }
        let dir = AdapterDir::resolve(path)?;
        if !self.mixtures.is_empty() {
            return Err(Error::usage("stored adapters have no vectors to mix")
                .flag("--as")
                .at(dir)
                .hint("mix them where they are made: `gen-adapters --as`"));
        }
        let c = &checkpoint.config;
        let bank = AdapterDir::open(&dir, c.d_model, c.encoder_layers, c.decoder_layers)?;
        if !any_base {
            check_base(bank.base_model_sha256(), &dir, checkpoint)?;
        }
        let sha256 = bank.sha256()?;
        let source = AdapterSource::Bank(AdapterBank::new(bank));
        Ok(Some(LoadedAdapters { dir, name, source, sha256 }))
    }
}
