//! Whether this process was started alone, or as one of several that work together.

/// How this process was started: as which of how many, by the variables that launchers set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Launch {
    pub rank: usize,
    pub size: usize,
    pub launcher: &'static str,
    /// Which of the processes on its machine; none where the launcher does not say.
    pub local: Option<usize>,
}

/// Launchers, and their variables for rank, number of processes, and rank on its machine.
const LAUNCHERS: [(&str, &str, &str, &str); 4] = [
    ("mpirun", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("mpiexec", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    ("torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK"),
];

/// Where rank 0 is called when nothing is said, for processes of one machine.
const ADDRESS: (&str, u16) = ("127.0.0.1", 29500);

impl Launch {
    /// How this process was started.
    pub fn of_process() -> Option<Self> {
        Self::find(|name| std::env::var(name).ok())
    }

    /// None where one process was started alone. `variable` reads the environment.
    pub fn find(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let number = |name| variable(name).and_then(|v| v.trim().parse::<usize>().ok());
        // Started by another of them, `torchrun` is what started this process.
        let inner = variable("TORCHELASTIC_RUN_ID").is_some();
        let known = LAUNCHERS.iter().filter(|l| !inner || l.0 == "torchrun");
        known.into_iter().find_map(|&(launcher, rank, size, local)| {
            let (rank, size, local) = (number(rank)?, number(size)?, number(local));
            (size > 1 && rank < size).then_some(Self { rank, size, launcher, local })
        })
    }

    /// Where rank 0 is called, `host:port`: on the machine of `MASTER_ADDR`, at the port above `MASTER_PORT`,
    /// where a launcher listens itself.
    pub fn address() -> String {
        Self::address_by(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    }
    /// What tells this job from others that run on its machines.
    pub fn job() -> String {
        let names = ["TORCHELASTIC_RUN_ID", "PMIX_NAMESPACE", "SLURM_JOB_ID", "SLURM_STEP_ID"];
        names.map(|n| std::env::var(n).unwrap_or_default()).join(" ")
    }
    fn address_by(variable: impl Fn(&str) -> Option<String>) -> String {
        let host = variable("MASTER_ADDR").unwrap_or_else(|| ADDRESS.0.into());
        let port = variable("MASTER_PORT").and_then(|p| p.trim().parse().ok()).unwrap_or(ADDRESS.1);
        format!("{host}:{}", port.saturating_add(1))
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
        assert_eq!(Launch::address_by(|_| None), "127.0.0.1:29501");
        let at =
            |name: &str| Some(if name == "MASTER_ADDR" { "node1" } else { "1234" }.to_string());
        assert_eq!(Launch::address_by(at), "node1:1235");
        let local = |name: &str| {
            let known = [("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1")];
            known.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_string())
        };
        assert_eq!(Launch::find(local).unwrap().local, Some(1));
        let outer = [("SLURM_PROCID", "0"), ("SLURM_STEP_NUM_TASKS", "2")];
        let inner = [("RANK", "5"), ("WORLD_SIZE", "8"), ("TORCHELASTIC_RUN_ID", "x")];
        assert_eq!(of(&outer), Some((0, 2, "srun")));
        assert_eq!(of(&[&outer[..], &inner].concat()), Some((5, 8, "torchrun")));
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
