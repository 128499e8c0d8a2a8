//! Exit codes as a type, with their meanings.

/// How a command ended when it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done.
    Ok,
    /// A check ran and said no: gate failed, regression found, the plan of `--dry-run` is wrong.
    Negative,
}

/// The numbers scripts see. 1 is reserved for "the answer is no"; 2 and above mean broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Ok = 0,
    Negative = 1,
    Usage = 2,
    Data = 3,
    Artifact = 4,
    Environment = 5,
    Bug = 101,
    Interrupted = 130,
    Terminated = 143,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Ok => Self::Ok,
            Outcome::Negative => Self::Negative,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}
