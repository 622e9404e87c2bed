//! How much memory a process has in use, as the kernel counts it.

/// Which of the pages that are resident count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Resident {
    /// All of them.
    All,
    /// Those that are not of a file: heap and stacks.
    Anonymous,
}

/// Bytes of this process that are resident in memory.
///
/// # Panics
/// If `/proc` does not tell.
#[must_use]
pub fn resident() -> usize {
    resident_of("self", Resident::All)
}

/// The same of another process, by its number.
pub(crate) fn resident_of(process: &str, which: Resident) -> usize {
    let field = match which {
        Resident::All => "VmRSS:",
        Resident::Anonymous => "RssAnon:",
    };
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(path).expect("Linux has /proc");
    let resident = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = resident.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.parse::<usize>().ok())
        .expect("what is resident is in kB")
        * 1024
}
