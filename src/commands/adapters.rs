//! Flags of the commands that run a model with bottleneck adapters, stored or generated, and how
//! they are found and checked.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::commands::masks::CARRIED;
use crate::error::{Error, ErrorKind, Result};
use crate::formats::adapters::AdapterDir;
use crate::formats::hypernet::{self, HyperConfig};
use crate::formats::provenance::{display_name, file_sha256, hex, short};
use crate::formats::{hf, lora};
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
    #[arg(long, conflicts_with_all = ["adapters", "mixtures", "swaps"], help_heading = "Adapters")]
    pub no_adapters: bool,
    /// A language the hyper-network has no vector of, mixed from others: pt=0.7*es+0.3*fr,
    /// pt=mean(es,fr); may be repeated
    #[arg(long = "as", value_name = "LANG=MIXTURE", help_heading = "Adapters")]
    pub mixtures: Vec<String>,
    /// Use other languages' vector for a language that has one, for analysis: de=nl,
    /// pt=0.5*es+0.5*fr; may be repeated
    #[arg(long = "swap", value_name = "LANG=MIXTURE", help_heading = "Adapters")]
    pub swaps: Vec<String>,
}

/// Adapters as they were found.
pub struct LoadedAdapters {
    pub dir: PathBuf,
    pub name: String,
    pub source: AdapterSource,
    pub sha256: String,
}

impl LoadedAdapters {
    /// Masks they were trained with.
    pub fn masks(&self) -> Option<PathBuf> {
        Some(self.dir.join(CARRIED)).filter(|path| path.is_file())
    }

    /// For signatures: `run@1a2b3c4d`.
    pub fn signature(&self) -> String {
        format!("{}@{}", self.name, &self.sha256[..8.min(self.sha256.len())])
    }
}

/// Whether a model was trained with adapters that lie beside it.
pub fn are_beside(checkpoint: &Checkpoint) -> bool {
    let dir = checkpoint.dir();
    hypernet::is_hypernet(dir) || dir.join(crate::formats::adapters::FILE).is_file()
}

/// For commands whose result is a plain model.
///
/// # Errors
/// Artifact: the model needs the adapters beside it.
pub fn refuse_beside(checkpoint: &Checkpoint) -> Result<()> {
    if !are_beside(checkpoint) {
        return Ok(());
    }
    Err(Error::artifact("the model was trained with adapters, which a plain model does not hold")
        .at(checkpoint.dir())
        .hint("without them it is not the model that was trained"))
}

/// The directory of the hyper-network that a path stands for.
///
/// # Errors
/// Artifact: says what the path is instead, where that is known.
pub fn hyper_dir(path: &Path) -> Result<PathBuf> {
    let found = hypernet::resolve(path);
    if let Ok(Some(dir)) = found {
        return Ok(dir);
    }
    let is_model = |dir: &Path| dir.join(hf::CONFIG).is_file();
    let other = if AdapterDir::resolve(path).is_ok() {
        "stored adapters"
    } else if lora::resolve(path).is_ok() {
        "a LoRA"
    } else if matches!(hf::resolve_dir(path, hf::CONFIG, is_model), Ok(Some(_))) {
        "a whole model"
    } else {
        found?;
        ""
    };
    let e = Error::artifact("not a hyper-network or a run that trained one")
        .at(path)
        .expected(format!("`{}`", hypernet::FILE));
    Err(match other {
        "" if !path.exists() => e.hint("no such directory; check the path"),
        "" => e,
        other => e.found(other),
    }
    .hint("`isogloss train --method hyper-adapters` or `hyper-x` trains one"))
}

/// Whether adapters and a model belong together. `own` is the fingerprint of the model they were
/// trained on; none when they were trained with it and lie beside it.
pub fn check_base(own: Option<&str>, dir: &Path, checkpoint: &Checkpoint) -> Result<()> {
    match base_mismatch(own, dir, checkpoint)? {
        None => Ok(()),
        Some(e) => Err(e.hint("`--allow-base-mismatch` takes them as they are")),
    }
}

/// The same for commands that take no others: why they do not belong together, if they do not.
pub fn base_mismatch(
    own: Option<&str>,
    dir: &Path,
    checkpoint: &Checkpoint,
) -> Result<Option<Error>> {
    let beside;
    let own = match own {
        Some(own) => own,
        None if same_dir(dir, checkpoint.dir()) => return Ok(None),
        None if dir.join(hf::CONFIG).is_file() => {
            beside = Checkpoint::open(dir)?.sha256()?;
            &beside
        }
        // Nothing is known of those that other programs made.
        None => return Ok(None),
    };
    if checkpoint.stands_for(own)? {
        return Ok(None);
    }
    let model = checkpoint.sha256()?;
    let e = Error::artifact("the adapters were trained on another model")
        .at(dir)
        .found(short(own))
        .expected(format!("{} ({})", short(&model), checkpoint.dir().display()));
    Ok(Some(match dir.join(hf::CONFIG).is_file() {
        true => e.hint(format!("they were trained with their model: `-m {}`", dir.display())),
        false => e.hint("pass the model they were trained on with `-m`"),
    }))
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

/// Reads a hyper-network for a model, with vectors of further languages, and with vectors in the
/// place of others.
///
/// # Errors
/// Artifact: a broken one, or one of another model unless `any_base`. Usage or data: mixtures that
/// cannot be.
pub fn load_hyper(
    dir: &Path,
    checkpoint: &Checkpoint,
    (mixtures, swaps): (&[String], &[String]),
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
    load_swaps(&mut network, swaps)?;
    swaps.iter().for_each(|s| hasher.update(format!("swap {s}\n")));
    Ok((network, hex(&hasher.finalize())))
}

/// A flag that cannot be met is an error of usage, whoever notices it.
pub fn of_flag(flag: &str) -> impl Fn(Error) -> Error + '_ {
    move |e| match e.kind() {
        ErrorKind::Data => e.of_kind(ErrorKind::Usage).flag(flag),
        _ => e.flag(flag),
    }
}

/// Gives languages the vectors that `--as` asks for.
pub fn load_mixtures(network: &mut HyperNetwork, mixtures: &[String]) -> Result<()> {
    for text in mixtures {
        let (name, mixture) = Mixture::parse_named(text).map_err(of_flag("--as"))?;
        network.add_language(&name, &mixture).map_err(of_flag("--as"))?;
    }
    Ok(())
}

/// Puts the vectors that `--swap` asks for in the place of languages' own.
fn load_swaps(network: &mut HyperNetwork, swaps: &[String]) -> Result<()> {
    let parse = |text: &String| Mixture::parse_named(text);
    let swaps = swaps.iter().map(parse).collect::<Result<Vec<_>>>();
    swaps.and_then(|swaps| network.swap_languages(&swaps)).map_err(of_flag("--swap"))
}

impl AdapterArgs {
    /// A flag that only a hyper-network can follow, if one was given.
    fn of_vectors(&self) -> Option<&'static str> {
        match (self.mixtures.is_empty(), self.swaps.is_empty()) {
            (false, _) => Some("--as"),
            (true, false) => Some("--swap"),
            (true, true) => None,
        }
    }

    /// The adapters of `--adapters`, or those that lie beside the model, for a task.
    pub fn load(
        &self,
        checkpoint: &Checkpoint,
        task: &str,
        any_base: bool,
    ) -> Result<Option<LoadedAdapters>> {
        let path = match &self.adapters {
            Some(path) => path.as_path(),
            None if are_beside(checkpoint) && !self.no_adapters => checkpoint.dir(),
            None => {
                return match self.of_vectors() {
                    None => Ok(None),
                    Some(flag) => Err(Error::usage("a mixture for which hyper-network?")
                        .flag(flag)
                        .hint("name it with `--adapters RUN`")),
                };
            }
        };
        let name = display_name(&path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
        if let Ok(Some(dir)) = hypernet::resolve(path) {
            let vectors = (&*self.mixtures, &*self.swaps);
            let (network, sha256) = load_hyper(&dir, checkpoint, vectors, any_base)?;
            let source = AdapterSource::Hyper(Box::new(network));
            return Ok(Some(LoadedAdapters { dir, name, source, sha256 }));
        }
        let dir = AdapterDir::resolve(path)?;
        if let Some(flag) = self.of_vectors() {
            let e = Error::usage("stored adapters have no vectors to mix").flag(flag).at(dir);
            return Err(match self.mixtures.is_empty() {
                true => e,
                false => e.hint("mix them where they are made: `gen-adapters --as`"),
            });
        }
        let c = &checkpoint.config;
        let bank = AdapterDir::open(&dir, c.d_model, c.encoder_layers, c.decoder_layers)?;
        if !any_base {
            check_base(bank.base_model_sha256(), &dir, checkpoint)?;
        }
        if let Some(own) = bank.config().task.as_ref().filter(|own| *own != task) {
            return Err(Error::artifact("the adapters were made for another task")
                .at(&dir)
                .found(own.clone())
                .expected(task)
                .hint(format!("`isogloss gen-adapters --task {task}` makes those of this one")));
        }
        let sha256 = bank.sha256()?;
        let source = AdapterSource::Bank(Box::new(AdapterBank::new(bank)));
        Ok(Some(LoadedAdapters { dir, name, source, sha256 }))
    }
}
