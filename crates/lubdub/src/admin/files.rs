//! How many descriptors the process has open, and may have.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Descriptors.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files {
    pub(super) open: u64,
    pub(super) max: u64,
}

const OPEN: &str = "/proc/self/fd";

/// How many there are, where the system says so.
pub(super) fn count() -> Option<Files> {
    // Since Linux 6.2 the size is their number; before, it is 0, and they have to be counted.
    let open = match fs::metadata(OPEN).ok()?.len() {
        0 => fs::read_dir(OPEN).ok()?.count() as u64,
        size => size,
    };
    let max = getrlimit(Resource::Nofile).current?;
    Some(Files { open, max })
}
