//! What has to be set for the whole process before anything else happens.

use isogloss::error::{Error, Result};

/// Keeps freed blocks instead of returning them to the kernel.
///
/// glibc maps every block above 128 KiB on its own and unmaps it when it is freed, so every
/// tensor of a training step is paged in anew. With both thresholds raised, a step takes 15 to
/// 25 % less time (measured on 2 cores at d 256 and d 512).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_freed_memory() {
    const MIB: libc::c_int = 1 << 20;
    // SAFETY: `mallopt` takes two integers and changes the allocator's own parameters only; no
    // other thread runs yet, so no allocation is under way while they change.
    unsafe {
        // Older versions refuse more than half of a thread's heap, which is 32 MiB.
        if libc::mallopt(libc::M_MMAP_THRESHOLD, 1024 * MIB) == 0 {
            libc::mallopt(libc::M_MMAP_THRESHOLD, 32 * MIB);
        }
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_freed_memory() {}

/// Limits every pool of this process to `n` threads: rayon's, which the tokenizers use and whose
/// size the team of the training kernels takes, and those of the tensor and table libraries,
/// which read the environment.
///
/// # Errors
/// Environment: the threads cannot be started.
pub fn use_threads(n: usize) -> Result<()> {
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS", "POLARS_MAX_THREADS"] {
        // SAFETY: called from `main` before any thread is started, so nothing reads the
        // environment at the same time.
        unsafe { std::env::set_var(name, n.to_string()) };
    }
    rayon::ThreadPoolBuilder::new().num_threads(n).build_global().map_err(|e| {
        Error::environment(format!("cannot start {n} threads"))
            .flag("--threads")
            .cause(e.to_string())
            .hint("ask for fewer with `--threads`")
    })
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    /// Pages this process had to fetch so far.
    fn minor_faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/self/stat").expect("proc");
        let after_name = stat.rsplit_once(')').expect("stat").1;
        after_name.split_whitespace().nth(7).expect("minflt").parse().expect("a number")
    }

    #[test]
    fn a_freed_block_is_used_again() {
        super::keep_freed_memory();
        let fill = || std::hint::black_box(vec![1u8; 24 << 20]);
        drop(fill());
        let before = minor_faults();
        for _ in 0..8 {
            drop(fill());
        }
        // Mapped anew, eight blocks would take 8 * 6144 pages.
        assert!(minor_faults() - before < 6144, "{} faults", minor_faults() - before);
    }
}
