//! How much memory this process has in use, as the kernel counts it.

/// Bytes of this process that are resident in memory.
///
/// # Panics
/// If `/proc` does not tell.
#[must_use]
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has /proc");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("statm has a second number") * rustix_page_size()
}

fn rustix_page_size() -> usize {
    rustix::param::page_size()
}
