//! Flags of the commands that run a model with neuron masks, and how masks are found and checked.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::formats::neuron_masks::NeuronMasks;
use crate::formats::provenance::short;
use crate::methods::{MaskProvider, UnknownDirection};
use crate::model::Checkpoint;

/// Masks that a checkpoint carries, because it was trained with them.
pub const CARRIED: &str = "neuron_masks.safetensors";

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct MaskArgs {
    /// Neuron masks from `build-masks`: each direction uses its own neurons
    #[arg(long, value_name = "FILE", help_heading = "Neuron masks")]
    pub masks: Option<PathBuf>,
    /// What to do for a direction without a mask [default: error, or what the model was trained
    /// with]
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "Neuron masks")]
    pub unknown_direction: Option<UnknownDirection>,
    /// Take masks that were built from the statistics of another model of the same shape
    #[arg(long, help_heading = "Neuron masks")]
    pub foreign_masks: bool,
}

/// Masks read from a file, fitted to a model.
pub struct LoadedMasks {
    pub path: PathBuf,
    pub sha256: String,
    /// The file as it was read.
    pub file: Arc<[u8]>,
    pub unknown: UnknownDirection,
    pub rule: Option<String>,
    pub provider: MaskProvider,
}

impl LoadedMasks {
    /// For signatures: `masks@k95@1a2b3c4d`.
    pub fn signature(&self) -> String {
        let stem = self.path.file_stem().map_or("-".into(), |n| n.to_string_lossy());
        let rule = self.rule.as_deref().map_or(String::new(), |r| format!("@{r}"));
        let unknown = match self.unknown {
            UnknownDirection::Error => "",
            UnknownDirection::Dense => "@dense",
            UnknownDirection::Merged => "@merged",
        };
        format!("{stem}{rule}@{}{unknown}", &self.sha256[..8.min(self.sha256.len())])
    }
}

impl MaskArgs {
    /// The masks of `--masks`, checked against the model.
    ///
    /// # Errors
    /// Artifact: a broken file, or masks of another model.
    pub fn load(&self, checkpoint: &Checkpoint) -> Result<Option<LoadedMasks>> {
        match &self.masks {
            Some(path) => self.read(path.clone(), checkpoint, UnknownDirection::Error).map(Some),
            None => self.refuse_idle().map(|()| None),
        }
    }

    /// A flag that was given.
    pub fn first_flag(&self) -> Option<&'static str> {
        match self.unknown_direction {
            _ if self.masks.is_some() => Some("--masks"),
            Some(_) => Some("--unknown-direction"),
            None => self.foreign_masks.then_some("--foreign-masks"),
        }
    }

    /// Flags about masks mean nothing without any.
    fn refuse_idle(&self) -> Result<()> {
        let Some(idle) = self.first_flag() else { return Ok(()) };
        Err(Error::usage(format!("`{idle}` without masks"))
            .flag(idle)
            .hint("`--masks FILE` names them"))
    }

    /// The same, or the masks the checkpoint carries.
    pub fn load_or_carried(&self, checkpoint: &Checkpoint) -> Result<Option<LoadedMasks>> {
        let carried = checkpoint.dir().join(CARRIED);
        match &self.masks {
            None if carried.is_file() => {
                let trained = checkpoint.setting("unknown_direction");
                let trained = trained.and_then(|v| serde_json::from_value(v).ok());
                self.read(carried, checkpoint, trained.unwrap_or_default()).map(Some)
            }
            _ => self.load(checkpoint),
        }
    }

    /// The same, or the masks a LoRA or adapters were trained with.
    pub fn load_or_carried_by(
        &self,
        checkpoint: &Checkpoint,
        carried: Option<PathBuf>,
    ) -> Result<Option<LoadedMasks>> {
        match (&self.masks, carried) {
            (None, Some(path)) => {
                self.read(path, checkpoint, UnknownDirection::default()).map(Some)
            }
            _ => self.load_or_carried(checkpoint),
        }
    }

    fn read(
        &self,
        path: PathBuf,
        checkpoint: &Checkpoint,
        default: UnknownDirection,
    ) -> Result<LoadedMasks> {
        let masks = NeuronMasks::read(&path)?;
        let unknown = self.unknown_direction.unwrap_or(default);
        let provider = MaskProvider::new(&path, &masks, &checkpoint.config, unknown)?;
        let sha256 = masks.sha256().unwrap_or_default();
        if let Some(parent) = masks.base_model_sha256.as_deref()
            && !self.foreign_masks
        {
            let ancestors = checkpoint.parents();
            let related = ancestors.iter().any(|p| p == parent || *p == sha256);
            if !related {
                let own = checkpoint.sha256()?;
                if own != parent {
                    return Err(Error::artifact(
                        "masks were built from the statistics of another model",
                    )
                    .at(&path)
                    .found(short(parent))
                    .expected(format!(
                        "{} ({}), or the model it was trained from",
                        short(&own),
                        checkpoint.dir().display()
                    ))
                    .hint("`isogloss profile-neurons` counts for this model")
                    .hint("`--foreign-masks` takes them as they are"));
                }
            }
        }
        let file = masks.file.clone().unwrap_or_default();
        Ok(LoadedMasks { path, sha256, file, unknown, rule: masks.rule, provider })
    }
}
