//! Whether this process was started alone, or as one of several that work together.

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
}
