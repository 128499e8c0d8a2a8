//! A run that is there already: continued, refused, or moved aside.

use std::path::{Path, PathBuf};

use super::{Args, Method};
use crate::cli::Context;
use crate::error::{Error, Result};
use crate::formats::provenance::short;
use crate::training::{RunDir, RunState, Settings, differences, latest_checkpoint, read_state};
use crate::version;

/// What a run must have been started with to be continued.
pub struct Identity<'a> {
    pub settings: &'a Settings,
    pub data_sha256: &'a str,
    pub valid_sha256: Option<&'a str>,
    pub base_sha256: &'a str,
    pub config_sha256: &'a str,
    pub masks_sha256: Option<&'a str>,
    pub method_sha256: Option<&'a str>,
    pub num_examples: usize,
}

impl Identity<'_> {
    /// All of it in words.
    pub fn text(&self) -> Result<String> {
        let settings = serde_json::to_string(self.settings)
            .map_err(|e| Error::bug("cannot encode settings").cause(e.to_string()))?;
        let sha256s = [self.valid_sha256, self.masks_sha256, self.method_sha256];
        Ok(format!(
            "{} {settings} {} {} {} {sha256s:?}",
            version::short(),
            self.data_sha256,
            self.base_sha256,
            self.config_sha256
        ))
    }

    /// Each difference from a state, as `what: old -> new`.
    fn differences(&self, state: &RunState) -> Vec<String> {
        let mut changed = differences(&state.settings, self.settings);
        let mut compare = |what: &str, old: Option<&str>, new: Option<&str>| {
            let short = |s: Option<&str>| s.map_or("(none)".into(), short);
            if old != new {
                changed.push(format!("{what}: {} -> {}", short(old), short(new)));
            }
        };
        compare("training text", Some(&state.data_sha256), Some(self.data_sha256));
        compare("held-out text", state.valid_sha256.as_deref(), self.valid_sha256);
        compare("base model", Some(&state.base_sha256), Some(self.base_sha256));
        compare("configuration", state.config_sha256.as_deref(), Some(self.config_sha256));
        compare("neuron masks", state.masks_sha256.as_deref(), self.masks_sha256);
        compare("what is trained", state.method_sha256.as_deref(), self.method_sha256);
        changed
    }
}

/// The state that a command would continue from; None where it starts. Changes nothing.
///
/// # Errors
/// Environment: the path is something else. Usage: the run there had other settings, or is finished.
pub fn check_run(args: &Args, identity: &Identity<'_>) -> Result<Option<RunState>> {
    refuse_others(&args.output)?;
    if args.overwrite { Ok(None) } else { to_continue(args, identity) }
}

fn refuse_others(path: &Path) -> Result<()> {
    if path.exists() && !path.join("checkpoints").is_dir() {
        let empty = std::fs::read_dir(path).is_ok_and(|mut d| d.next().is_none());
        if !empty {
            return Err(Error::environment("output exists and is not a training run")
                .at(path)
                .hint("choose another `--output`"));
        }
    }
    Ok(())
}

fn to_continue(args: &Args, identity: &Identity<'_>) -> Result<Option<RunState>> {
    let path = &args.output;
    let Some(dir) = latest_checkpoint(path)? else { return Ok(None) };
    let state = read_state(&dir)?;
    let changed = identity.differences(&state);
    if !changed.is_empty() {
        let mut e = Error::usage("the run was started with other settings").at(path);
        for c in changed {
            e = e.cause(c);
        }
        let from = match args.method {
            Method::Full => "-m",
            _ => "--init-from",
        };
        if let (Some(every), true) =
            (state.settings.get("prune_every"), args.lora.prune_every.is_none())
            && identity.settings.get("prune_every") != Some(every)
        {
            e = e.hint(format!("`--prune-every {every}` keeps the schedule of pruning"));
        }
        if let Some(ranks) = state.settings.get("ranks")
            && identity.settings.get("ranks") != Some(ranks)
        {
            e = e.hint(format!("`--ranks {ranks}` in one process, or `mpirun -np {ranks}`"));
        }
        return Err(e
            .hint(format!("for a new run from its weights: `{from} {} -o NEW`", path.display()))
            .hint("`--overwrite` moves the old run aside and starts afresh"));
    }
    if let Some(reason) = &state.finished {
        let epochs_done = state.sampler.sentences_seen as f64 / identity.num_examples as f64;
        let more = args.max_steps.is_none_or(|n| n > state.step)
            && args.max_epochs.is_none_or(|n| n > epochs_done)
            && args.max_minutes.is_none_or(|n| n * 60.0 > state.elapsed_s)
            && reason != "no improvement";
        if !more {
            return Err(Error::usage(format!("the run is finished ({reason})"))
                .at(path)
                .found(format!("{} steps", state.step))
                .hint("raise `--max-steps` to train on")
                .hint("`--overwrite` moves it aside and starts afresh"));
        }
    }
    Ok(Some(state))
}

/// Opens the run directory and decides between starting, continuing and refusing.
pub fn open_run(
    args: &Args,
    context: &Context,
    identity: &Identity<'_>,
) -> Result<(RunDir, Option<RunState>)> {
    let path = &args.output;
    refuse_others(path)?;
    if args.overwrite && path.exists() {
        // Held for a moment, so that a run in progress is not moved away.
        drop(RunDir::open(path)?);
        let aside = (1..)
            .map(|n| PathBuf::from(format!("{}.old-{n}", path.display())))
            .find(|p| !p.exists())
            .ok_or_else(|| Error::bug("no free name"))?;
        std::fs::rename(path, &aside).map_err(|e| Error::io("move aside", path, e))?;
        context.report.status(format!("moved the old run to {}", aside.display()));
    }
    let run = RunDir::open(path)?;
    let state = to_continue(args, identity)?;
    if let Some(state) = &state {
        for name in run.set_aside_beyond(state.step)? {
            context.report.status(format!(
                "not part of this run any more: {path}/checkpoints/{name}",
                path = path.display()
            ));
        }
    }
    write_settings(path, context)?;
    Ok((run, state))
}

/// `config.toml` of the run: the effective settings, for `--config`.
fn write_settings(path: &Path, context: &Context) -> Result<()> {
    crate::io::write_bytes(&path.join("config.toml"), context.config_toml(path).as_bytes())
}
