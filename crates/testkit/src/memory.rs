//! How much memory this process has in use, as the kernel counts it.

/// Bytes of this process that are resident in memory.
///
/// # Panics
/// If `/proc` does not tell.
#[must_use]
pub fn resident() -> usize {
    resident_of("self")
}

/// The same of another process, by its number.
pub(crate) fn resident_of(process: &str) -> usize {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(path).expect("Linux has /proc");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = resident.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("VmRSS is in kB")
        * 1024
}
