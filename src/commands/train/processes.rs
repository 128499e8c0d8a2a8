//! A run of several processes: the first opens the run and writes, the others read what it opened.

use candle_core::Device;

use super::Args;
use super::resume::{self, Identity};
use crate::cli::{Context, Launch};
use crate::error::{Error, Result};
use crate::training::{
    self, Alone, Meeting, Ranks, RunDir, RunState, latest_checkpoint, read_state,
};

/// How many ranks share an update: as asked for, or one for each process.
///
/// # Errors
/// Usage: other processes were started than ranks are asked for.
pub fn num_ranks(args: &Args, launch: Option<Launch>) -> Result<usize> {
    match (args.ranks, launch) {
        (Some(asked), Some(l)) if asked != l.size => {
            Err(Error::usage("not a process for each rank")
                .flag("--ranks")
                .found(format!("{} processes, started by `{}`", l.size, l.launcher))
                .expected(format!("{asked} processes, or one")))
        }
        (Some(asked), _) => Ok(asked),
        (None, Some(l)) => Ok(l.size),
        (None, None) => Ok(1),
    }
}

/// The processes that train together.
///
/// # Errors
/// Environment: this program cannot speak to the others.
pub fn join(launch: Option<Launch>, device: &Device) -> Result<Box<dyn Ranks>> {
    let Some(l) = launch else { return Ok(Box::new(Alone)) };
    let found = format!("`{}` started {} of them", l.launcher, l.size);
    let meeting =
        Meeting { rank: l.rank, size: l.size, address: Launch::address(), job: Launch::job() };
    training::join(device, &meeting).map_err(|e| e.found(found))
}

/// Whether all processes were given the same.
///
/// # Errors
/// Usage, in the first process: one reads other text, another model or other settings than the first.
pub fn check_equal(ranks: &mut dyn Ranks, identity: &Identity<'_>) -> Result<()> {
    match training::differing_rank(ranks, identity.text()?.as_bytes())? {
        None => Ok(()),
        Some(rank) => {
            Err(Error::usage("processes that train together were given different things")
                .found(format!("text, model or settings of rank {rank} are not those of rank 0"))
                .hint("files must be the same on all machines; standard input reaches only one"))
        }
    }
}

/// The run: held by the first process, and known to the others when it is open. None for these.
///
/// # Errors
/// Those of [`resume::open_run`].
pub fn open_run(
    ranks: &mut dyn Ranks,
    args: &Args,
    context: &Context,
    identity: &Identity<'_>,
) -> Result<(Option<RunDir>, Option<RunState>)> {
    let run = match ranks.rank() {
        0 => Some(resume::open_run(args, context, identity)?),
        _ => None,
    };
    ranks.gather(&[0])?;
    Ok(match run {
        Some((run, resumed)) => (Some(run), resumed),
        None => {
            let latest = latest_checkpoint(&args.output)?;
            (None, latest.map(|dir| read_state(&dir)).transpose()?)
        }
    })
}
