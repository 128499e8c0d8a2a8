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

impl ExitCode {
    /// Every code, for the help and the man page.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Negative,
        Self::Usage,
        Self::Data,
        Self::Artifact,
        Self::Environment,
        Self::Bug,
        Self::Interrupted,
        Self::Terminated,
    ];

    pub fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done; also when the reader of standard output went away",
            Self::Negative => "a check ran and said no: a gate failed, a plan cannot work",
            Self::Usage => "flags, arguments or settings are wrong",
            Self::Data => "a record or line of input is wrong",
            Self::Artifact => {
                "a model, mask, adapter, tokenizer or checkpoint is missing, corrupt or does not fit"
            }
            Self::Environment => {
                "permission, disk, memory, device, or a lock held by another process"
            }
            Self::Bug => "an internal error; please report it",
            Self::Interrupted => "stopped by SIGINT; train has saved a checkpoint",
            Self::Terminated => "stopped by SIGTERM; train has saved a checkpoint",
        }
    }
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
