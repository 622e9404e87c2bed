//! What the bench asks of the machine: cores to stay on, files to hold, and what it is.

use std::fs;

use anyhow::Context;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// A processor core.
pub(crate) type Core = usize;

/// The machine that was measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// The name that the processor gives itself.
    pub processor: String,
    /// How many cores this process may use.
    pub cores: usize,
    /// How many files a process may have open.
    pub files: u64,
    /// Major and minor version of the kernel.
    pub kernel: String,
}

// === impl Machine ===

impl Machine {
    /// This machine.
    pub(crate) fn probe() -> anyhow::Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, name)| name.trim());
        Ok(Self {
            processor: processor.to_owned(),
            cores: cores()?.len(),
            files: getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
            kernel: major_minor(&rustix::system::uname().release().to_string_lossy()),
        })
    }
}

/// Of a kernel's release: what stands behind names a build of one host's, and goes on no page.
fn major_minor(release: &str) -> String {
    let end = release
        .match_indices(|c: char| !c.is_ascii_digit())
        .nth(1)
        .map_or(release.len(), |(end, _)| end);
    release[..end].to_owned()
}

/// The cores that this thread may use. They need not be the machine's first ones.
pub(crate) fn cores() -> anyhow::Result<Vec<Core>> {
    let set = sched_getaffinity(None).context("cannot ask for the cores")?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|&core| set.is_set(core))
        .collect())
}

/// Stays on these cores from here on, and so do the children of this thread.
pub(crate) fn pin(cores: &[Core]) -> anyhow::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    for &core in cores {
        anyhow::ensure!(core < CpuSet::MAX_CPU, "there is no core {core}");
        set.set(core);
    }
    sched_setaffinity(None, &set).with_context(|| format!("cannot stay on the cores {cores:?}"))
}

/// Does something while on these cores, and is back on those of before when it is done. A process
/// that is started meanwhile stays there.
pub(crate) fn on_cores<T>(cores: &[Core], work: impl FnOnce() -> T) -> anyhow::Result<T> {
    let before = sched_getaffinity(None)?;
    pin(cores)?;
    let done = work();
    sched_setaffinity(None, &before)?;
    Ok(done)
}

/// Raises the soft limit of open files to the hard one, and returns it.
pub(crate) fn raise_file_limit() -> anyhow::Result<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open files")?;
    Ok(limit.current.unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_told_by_major_and_minor_version() {
        for release in ["6.18.44-of-this-host", "6.18-rc1", "6.18"] {
            assert_eq!(major_minor(release), "6.18");
        }
    }

    /// The number of cores was asked for while on one of them, so that from the second measurement
    /// on the proxy, its load and the backend shared a single core.
    #[test]
    fn work_on_one_core_leaves_the_others_usable() {
        let before = cores().unwrap();
        let last = *before.last().unwrap();
        let meanwhile = on_cores(&[last], cores).unwrap().unwrap();
        assert_eq!((meanwhile, cores().unwrap()), (vec![last], before));
    }
}
