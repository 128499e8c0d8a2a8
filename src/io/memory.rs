//! The memory of the machine and of this process, where the system tells (Linux).

/// Bytes this process has in memory now.
pub fn resident_bytes() -> Option<u64> {
    kilobytes_of("/proc/self/status", "VmRSS:")
}

/// Bytes that can be had without swapping.
pub fn available_bytes() -> Option<u64> {
    kilobytes_of("/proc/meminfo", "MemAvailable:")
}

fn kilobytes_of(path: &str, field: &str) -> Option<u64> {
    parse(&std::fs::read_to_string(path).ok()?, field)
}

fn parse(text: &str, field: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn fields_are_kilobytes() {
        let text = "VmHWM:\t  9 kB\nVmRSS:\t    1234 kB\nThreads:\t2\n";
        assert_eq!(super::parse(text, "VmRSS:"), Some(1234 * 1024));
        assert_eq!(super::parse(text, "VmSwap:"), None);
        assert_eq!(super::parse("VmRSS: many kB", "VmRSS:"), None);
    }
}
