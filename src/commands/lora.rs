//! Flags of the commands that run a model with a LoRA, and how it is found and checked.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::Context;
use crate::commands::masks::CARRIED;
use crate::error::{Error, Result};
use crate::formats::lora::{LoraFiles, adapter_dir, resolve};
use crate::formats::peft;
use crate::formats::placement::FILE;
use crate::formats::provenance::{display_name, file_sha256, hex, short};
use crate::methods::UnknownLanguage;
use crate::methods::lora::LoraSet;
use crate::model::Checkpoint;
use crate::model::checkpoint::linear_shapes;
use crate::model::inference::LowRankForm;
use sha2::{Digest, Sha256};

#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct LoraArgs {
    /// A LoRA: a run of `train --method lora`, what `prune-lora` wrote, or a directory of PEFT
    #[arg(long, value_name = "LORA", help_heading = "LoRA")]
    pub lora: Option<PathBuf>,
    /// Add the updates to the weights of each direction: faster, and more memory for each
    #[arg(long, requires = "lora", help_heading = "LoRA")]
    pub merge_lora: bool,
    /// What to do for a language or direction without a LoRA, or without adapters [default: error]
    #[arg(long, value_enum, value_name = "WHAT", help_heading = "LoRA")]
    pub unknown_language: Option<UnknownLanguage>,
    /// Take a LoRA or adapters that were trained on another model of the same shape
    #[arg(long, help_heading = "LoRA")]
    pub allow_base_mismatch: bool,
}

/// A LoRA as it was found.
pub struct LoadedLora {
    pub dir: PathBuf,
    pub name: String,
    pub files: LoraFiles,
    pub sha256: String,
}

impl LoadedLora {
    /// For signatures: `run@1a2b3c4d`.
    pub fn signature(&self) -> String {
        format!("{}@{}", self.name, &self.sha256[..8.min(self.sha256.len())])
    }

    /// Masks the LoRA was trained with.
    pub fn masks(&self) -> Option<PathBuf> {
        Some(self.dir.join(CARRIED)).filter(|path| path.is_file())
    }
}

/// Reads a LoRA for a model, and says what of it is ignored.
///
/// # Errors
/// Artifact: a broken set, or one of another model unless `any_base`.
pub fn load(
    path: &Path,
    checkpoint: &Checkpoint,
    any_base: bool,
    context: &Context,
) -> Result<LoadedLora> {
    let dir = resolve(path)?;
    let files = LoraFiles::read(&dir, &linear_shapes(&checkpoint.config))?;
    if let Some(base) = files.base_model_sha256()
        && !any_base
        && !checkpoint.stands_for(base)?
    {
        let own = checkpoint.sha256()?;
        return Err(Error::artifact("the LoRA was trained on another model")
            .at(&dir)
            .found(short(base))
            .expected(format!("{} ({})", short(&own), checkpoint.dir().display()))
            .hint("pass the model it was trained on with `-m`")
            .hint("`--allow-base-mismatch` takes it as it is"));
    }
    let mut hasher = Sha256::new();
    for (name, adapter) in &files.adapters {
        let weights = adapter_dir(&dir, name).join(peft::WEIGHTS);
        hasher.update(format!("{name} {}\n", file_sha256(&weights)?));
        if !adapter.ignored.is_empty() {
            context.report.warning(
                &Error::artifact("settings of the LoRA are not known and were ignored")
                    .at(adapter_dir(&dir, name).join(peft::CONFIG))
                    .found(adapter.ignored.join(", ")),
            );
        }
    }
    hasher.update(files.placement.to_text()?);
    let idle = |a: &peft::Adapter| a.modules.values().all(|m| m.lora_b.iter().all(|v| *v == 0.0));
    let idle: Vec<&str> =
        files.adapters.iter().filter(|(_, a)| idle(a)).map(|(n, _)| n.as_str()).collect();
    if !idle.is_empty() {
        context.report.warning(
            &Error::artifact(
                "adapters that change nothing: they were never trained, or pruned away",
            )
            .at(&dir)
            .found(idle.join(", ")),
        );
    }
    let set = dir.parent().filter(|_| !dir.join(FILE).is_file()).map(|p| p.join(FILE));
    if set.is_some_and(|set| set.is_file()) {
        context.report.warning(
            &Error::artifact("one adapter of a set, which every direction will use")
                .at(&dir)
                .hint(format!("the set, which knows whose it is, is {}", dir.join("..").display())),
        );
    }
    let name = display_name(&path.canonicalize().unwrap_or_else(|_| path.to_path_buf()));
    Ok(LoadedLora { dir, name, files, sha256: hex(&hasher.finalize()) })
}

impl LoraArgs {
    /// The LoRA of `--lora`, checked against the model.
    pub fn load(&self, checkpoint: &Checkpoint, context: &Context) -> Result<Option<LoadedLora>> {
        match &self.lora {
            Some(path) => load(path, checkpoint, self.allow_base_mismatch, context).map(Some),
            None => Ok(None),
        }
    }

    /// Flags that say something of nothing.
    pub fn refuse_idle(&self, has_adapters: bool) -> Result<()> {
        let idle = match self.unknown_language {
            Some(_) => "--unknown-language",
            None if self.allow_base_mismatch => "--allow-base-mismatch",
            None => return Ok(()),
        };
        if self.lora.is_some() || has_adapters {
            return Ok(());
        }
        Err(Error::usage(format!("`{idle}` without a LoRA or adapters"))
            .flag(idle)
            .hint("`--lora LORA` or `--adapters ADAPTERS` names them"))
    }

    pub fn form(&self) -> LowRankForm {
        if self.merge_lora { LowRankForm::Merged } else { LowRankForm::Beside }
    }

    /// The set as tensors, with what unknown languages do.
    pub fn provider(
        &self,
        lora: &LoadedLora,
        checkpoint: &Checkpoint,
    ) -> Result<(LoraSet, UnknownLanguage)> {
        let set = LoraSet::from_files(&lora.files, &linear_shapes(&checkpoint.config))
            .map_err(|e| e.at(&lora.dir))?;
        Ok((set, self.unknown_language.unwrap_or_default()))
    }
}
