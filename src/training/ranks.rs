//! Processes that train one model together: each runs batches of its own, and all make the same
//! update from the sum of their gradients.
//!
//! Sums are taken in the order of the ranks, so that they have the same bits wherever they are
//! taken: an update of several processes is that of one process that runs their batches in turn.

mod meeting;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "cuda")]
mod nccl;
mod sums;

pub use meeting::Meeting;
#[cfg(feature = "mpi")]
pub use mpi::MpiRanks;
#[cfg(feature = "cuda")]
pub use nccl::NcclRanks;
pub(super) use sums::sum_over;

use candle_core::{Device, Tensor};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// What processes tell each other.
pub trait Ranks {
    /// Which of them this one is, from 0.
    fn rank(&self) -> usize;
    /// How many there are.
    fn size(&self) -> usize;
    /// The words of each rank, one rank after another; all give as many.
    ///
    /// # Errors
    /// Environment or stopped: another process has gone.
    fn gather(&mut self, mine: &[u64]) -> Result<Vec<u64>>;
    /// Replaces values by their sum over all ranks, taken in order: `(v0 + v1) + v2 ...`. All give
    /// as many.
    ///
    /// # Errors
    /// As of [`Ranks::gather`].
    fn sum(&mut self, values: &mut [f32]) -> Result<()>;
    /// The sum of a tensor `[n]` over all ranks on the device where it lies, taken in order; none where these
    /// ranks speak through the host.
    ///
    /// # Errors
    /// As of [`Ranks::gather`].
    fn sum_on_device(&mut self, _values: &Tensor) -> Result<Option<Tensor>> {
        Ok(None)
    }
    /// Waits, however long it takes, until all ranks have come here: to the same end of a run.
    fn finish(self: Box<Self>) {}
}

/// The first rank that has other bytes than rank 0, as rank 0 sees it: it speaks for all, so that the
/// others are told of none.
///
/// # Errors
/// As of [`Ranks::gather`].
pub fn differing_rank(ranks: &mut dyn Ranks, mine: &[u8]) -> Result<Option<usize>> {
    let digest = Sha256::digest(mine);
    let (words, _) = digest.as_chunks::<8>();
    let words: Vec<u64> = words.iter().map(|w| u64::from_le_bytes(*w)).collect();
    let all = ranks.gather(&words)?;
    let differing = all.chunks(words.len()).position(|other| other != words);
    Ok(differing.filter(|_| ranks.rank() == 0))
}

/// One process.
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }
    fn size(&self) -> usize {
        1
    }
    fn gather(&mut self, mine: &[u64]) -> Result<Vec<u64>> {
        Ok(mine.to_vec())
    }
    fn sum(&mut self, _values: &mut [f32]) -> Result<()> {
        Ok(())
    }
}

/// Joins the processes that were started together: through NCCL where each computes on a GPU, else through
/// MPI.
///
/// # Errors
/// Environment: this program cannot speak to them.
pub fn join(device: &Device, meeting: &Meeting) -> Result<Box<dyn Ranks>> {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        return Ok(Box::new(NcclRanks::new(device, meeting)?));
    }
    debug_assert!(device.is_cpu());
    connect(meeting.size)
}

#[cfg(feature = "mpi")]
fn connect(processes: usize) -> Result<Box<dyn Ranks>> {
    let ranks = MpiRanks::new()?;
    match ranks.size() == processes {
        true => Ok(Box::new(ranks)),
        false => {
            Err(unreachable("they were not started by the MPI library this program was built with"))
        }
    }
}

#[cfg(not(feature = "mpi"))]
fn connect(_processes: usize) -> Result<Box<dyn Ranks>> {
    #[cfg(feature = "cuda")]
    return Err(unreachable("this one computes on the CPU, and was built without MPI")
        .hint("`--device cuda` takes a GPU for each process, or says why it cannot"));
    #[cfg(not(feature = "cuda"))]
    Err(unreachable("this program was built without MPI")
        .hint("build it with `cargo build --release --features mpi`"))
}

fn unreachable(why: &str) -> Error {
    Error::environment("cannot speak to the processes this one was started with")
        .cause(why)
        .hint("`--ranks 1` trains in this process alone")
        .hint("`mpirun -np N` is to be that of the MPI library this program was built with")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_is_its_own_sum() {
        let mut values = [1.0, -0.0];
        Alone.sum(&mut values).unwrap();
        assert_eq!(values.map(f32::to_bits), [1.0, -0.0].map(f32::to_bits));
        assert_eq!(Alone.gather(&[3, 4]).unwrap(), [3, 4]);
        assert_eq!(differing_rank(&mut Alone, b"text").unwrap(), None);
    }
}
