//! What this binary is: version, commit, target, and the parts that decide its numbers.

/// As in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Twelve digits of the commit it was built from, or `unknown`.
pub const COMMIT: &str = env!("ISOGLOSS_BUILD_COMMIT");
/// The target triple.
pub const TARGET: &str = env!("ISOGLOSS_BUILD_TARGET");
/// The tensor library's version.
pub const CANDLE: &str = env!("ISOGLOSS_BUILD_CANDLE");
/// The metric crate's version.
pub const SACREBLEU_RS: &str = env!("ISOGLOSS_BUILD_SACREBLEU");

/// Devices this version computes on.
pub fn devices() -> &'static [&'static str] {
    if cfg!(feature = "cuda") { &["cpu", "cuda"] } else { &["cpu"] }
}

/// How processes of one training speak to each other in this version.
pub fn processes() -> &'static str {
    match (cfg!(feature = "mpi"), cfg!(feature = "cuda")) {
        (true, true) => "mpi, nccl",
        (true, false) => "mpi",
        (false, true) => "nccl",
        (false, false) => "none",
    }
}

/// The one line of `--version`.
pub fn short() -> String {
    format!("isogloss {VERSION}\n")
}

/// The page of `--version --verbose`.
pub fn long() -> String {
    format!(
        "{}commit: {COMMIT}\ntarget: {TARGET}\ndevices: {}\nprocesses: {}\ncandle: {CANDLE}\n\
         sacrebleu-rs: {SACREBLEU_RS}\n",
        short(),
        devices().join(", "),
        processes(),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_are_known_in_a_checkout() {
        let text = super::long();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(concat!("isogloss ", env!("CARGO_PKG_VERSION"))));
        for name in ["candle", "sacrebleu-rs", "target"] {
            let line = text.lines().find(|l| l.starts_with(name)).unwrap();
            assert!(!line.ends_with("unknown"), "{line}");
        }
    }
}
