//! Processes that train one model together: each runs batches of its own, and all make the same
//! update from the sum of their gradients.
//!
//! Sums are taken in the order of the ranks, so that they have the same bits wherever they are
//! taken: an update of several processes is that of one process that runs their batches in turn.

#[cfg(feature = "mpi")]
mod mpi;
mod sums;

#[cfg(feature = "mpi")]
pub use mpi::MpiRanks;
pub(super) use sums::sum_over;

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
    /// All ranks have come to the same end.
    fn finish(self: Box<Self>) {}
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

/// How this process was started: as which of how many, by the variables that launchers set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    pub rank: usize,
    pub size: usize,
    pub launcher: &'static str,
}

/// Launchers, and their variables for rank and number of processes.
const LAUNCHERS: [(&str, &str, &str); 4] = [
    ("mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("mpiexec", "PMI_RANK", "PMI_SIZE"),
    ("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("torchrun", "RANK", "WORLD_SIZE"),
];

impl Launch {
    /// How this process was started.
    pub fn of_process() -> Option<Self> {
        Self::find(|name| std::env::var(name).ok())
    }

    /// None where one process was started alone. `variable` reads the environment.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name| variable(name).and_then(|v| v.trim().parse::<usize>().ok());
        LAUNCHERS.iter().find_map(|&(launcher, rank, size)| {
            let (rank, size) = (number(rank)?, number(size)?);
            (size > 1 && rank < size).then_some(Self { rank, size, launcher })
        })
    }

    /// Joins the processes that were started together.
    ///
    /// # Errors
    /// Environment: this program cannot speak to them.
    pub fn join(launch: Option<Self>) -> Result<Box<dyn Ranks>> {
        match launch {
            None => Ok(Box::new(Alone)),
            Some(launch) => launch.connect(),
        }
    }

    #[cfg(feature = "mpi")]
    fn connect(self) -> Result<Box<dyn Ranks>> {
        let ranks = MpiRanks::new()?;
        if ranks.size() != self.size {
            return Err(self.unreachable("its MPI library is not that of this program"));
        }
        Ok(Box::new(ranks))
    }

    #[cfg(not(feature = "mpi"))]
    fn connect(self) -> Result<Box<dyn Ranks>> {
        Err(self
            .unreachable("this program was built without MPI")
            .hint("build it with `cargo build --release --features mpi`"))
    }

    fn unreachable(self, why: &str) -> Error {
        Error::environment("cannot speak to the processes this one was started with")
            .found(format!("`{}` started {} of them", self.launcher, self.size))
            .cause(why)
            .hint("start one process, or `mpirun -np N` of the MPI library it was built with")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_told_by_their_variables() {
        let of = |variables: &[(&str, &str)]| {
            let found = |name: &str| {
                variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_string())
            };
            Launch::find(found).map(|l| (l.rank, l.size, l.launcher))
        };
        assert_eq!(of(&[]), None);
        let mpirun = [("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "4")];
        assert_eq!(of(&mpirun), Some((1, 4, "mpirun")));
        assert_eq!(of(&[("RANK", "0"), ("WORLD_SIZE", "2")]), Some((0, 2, "torchrun")));
        // Half a launcher, one process, nonsense.
        assert_eq!(of(&[("WORLD_SIZE", "2")]), None);
        assert_eq!(of(&[("RANK", "0"), ("WORLD_SIZE", "1")]), None);
        assert_eq!(of(&[("RANK", "2"), ("WORLD_SIZE", "2")]), None);
        assert_eq!(of(&[("RANK", "x"), ("WORLD_SIZE", "2")]), None);
    }

    #[test]
    fn one_process_is_its_own_sum() {
        let mut values = [1.0, -0.0];
        Alone.sum(&mut values).unwrap();
        assert_eq!(values.map(f32::to_bits), [1.0, -0.0].map(f32::to_bits));
        assert_eq!(Alone.gather(&[3, 4]).unwrap(), [3, 4]);
    }
}
