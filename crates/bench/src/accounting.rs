//! What a process and its descendants cost, as the kernel accounts it: proc(5).
//!
//! Memory that the kernel holds for them, such as socket buffers, is not in it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// A process.
pub(crate) type Pid = u32;

/// What a process tree had used at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// Processor time by clock ticks, the descendants that have ended included.
    user_ticks: u64,
    system_ticks: u64,
    /// Processor time of each thread in nanoseconds.
    threads: BTreeMap<Pid, u64>,
    voluntary_switches: u64,
    involuntary_switches: u64,
}

/// What a process tree used between two moments.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// User and system time, in seconds.
    pub cpu_seconds: f64,
    /// The part of it that was spent outside of the kernel. The kernel tells the two apart by
    /// sampling; only their sum is exact.
    pub user_seconds: f64,
    /// The part of it that was spent in the kernel.
    pub system_seconds: f64,
    /// How often a thread waited for something.
    pub voluntary_switches: u64,
    /// How often a thread had to make room for another.
    pub involuntary_switches: u64,
}

/// The fields of /proc/PID/stat that matter here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: Pid,
    user_ticks: u64,
    system_ticks: u64,
}

// === impl Sample ===

impl Sample {
    /// What the process and its descendants have used so far.
    pub(crate) fn take(root: Pid) -> anyhow::Result<Self> {
        Self::of(tree(root)?)
    }

    /// What this process alone has used so far: in a side-by-side run proxy and backend are its
    /// children.
    pub(crate) fn take_own() -> anyhow::Result<Self> {
        let own = std::process::id();
        Self::of(stat(own)?.map(|stat| (own, stat)))
    }

    fn of(processes: impl IntoIterator<Item = (Pid, Stat)>) -> anyhow::Result<Self> {
        let mut sample = Self {
            user_ticks: 0,
            system_ticks: 0,
            threads: BTreeMap::new(),
            voluntary_switches: 0,
            involuntary_switches: 0,
        };
        for (pid, stat) in processes {
            sample.user_ticks += stat.user_ticks;
            sample.system_ticks += stat.system_ticks;
            for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
                sample.add_thread(&entry?.path());
            }
        }
        Ok(sample)
    }

    /// Adds what a thread has used, unless it has just ended.
    fn add_thread(&mut self, task: &Path) {
        let tid = (task.file_name()).and_then(|name| name.to_str()?.parse().ok());
        let schedstat = fs::read_to_string(task.join("schedstat"));
        let status = fs::read_to_string(task.join("status"));
        let (Some(tid), Ok(schedstat), Ok(status)) = (tid, schedstat, status) else {
            return;
        };
        let nanos = (schedstat.split(' ').next()).and_then(|nanos| nanos.parse().ok());
        self.threads.insert(tid, nanos.unwrap_or(0));
        self.voluntary_switches += number(&status, "voluntary_ctxt_switches:");
        self.involuntary_switches += number(&status, "nonvoluntary_ctxt_switches:");
    }

    /// What was used from an earlier moment to this one.
    pub(crate) fn since(&self, earlier: &Self) -> Usage {
        let tick = 1.0 / rustix::param::clock_ticks_per_second() as f64;
        let seconds = |now: u64, then: u64| now.saturating_sub(then) as f64 * tick;
        let user = seconds(self.user_ticks, earlier.user_ticks);
        let system = seconds(self.system_ticks, earlier.system_ticks);

        // A thread that has ended took its nanoseconds along; then ticks have to do.
        let all_alive = (earlier.threads.keys()).all(|tid| self.threads.contains_key(tid));
        let cpu = if all_alive {
            let nanos: u64 = (self.threads.iter())
                .map(|(tid, now)| now - earlier.threads.get(tid).map_or(0, |then| *now.min(then)))
                .sum();
            nanos as f64 / 1e9
        } else {
            user + system
        };
        let share = if user + system > 0.0 {
            user / (user + system)
        } else {
            0.0
        };
        Usage {
            cpu_seconds: cpu,
            user_seconds: cpu * share,
            system_seconds: cpu * (1.0 - share),
            voluntary_switches: self
                .voluntary_switches
                .saturating_sub(earlier.voluntary_switches),
            involuntary_switches: (self.involuntary_switches)
                .saturating_sub(earlier.involuntary_switches),
        }
    }
}

/// The memory that belongs to the process and its descendants alone, in bytes.
pub(crate) fn private_memory(root: Pid) -> anyhow::Result<u64> {
    let mut sum = 0;
    for (pid, _) in tree(root)? {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .with_context(|| format!("cannot read the memory of process {pid}"))?;
        sum += private_kibibytes(&rollup) * 1024;
    }
    Ok(sum)
}

/// The process and its descendants.
fn tree(root: Pid) -> anyhow::Result<Vec<(Pid, Stat)>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<Pid>().ok()) else {
            continue;
        };
        if let Ok(Some(stat)) = stat(pid) {
            all.insert(pid, stat);
        }
    }
    let first = all
        .remove(&root)
        .with_context(|| format!("there is no process {root}"))?;
    let mut tree = vec![(root, first)];
    let mut at = 0;
    while at < tree.len() {
        let parent = tree[at].0;
        let children: Vec<Pid> = (all.iter())
            .filter(|(_, stat)| stat.parent == parent)
            .map(|(pid, _)| *pid)
            .collect();
        tree.extend(children.iter().filter_map(|pid| all.remove_entry(pid)));
        at += 1;
    }
    Ok(tree)
}

fn stat(pid: Pid) -> io::Result<Option<Stat>> {
    Ok(parse_stat(&fs::read_to_string(format!(
        "/proc/{pid}/stat"
    ))?))
}

/// Reads /proc/PID/stat. The program's name may hold anything, so fields are counted behind its
/// last parenthesis, where field 3 begins.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: Pid::try_from(field(4)?).ok()?,
        // With cutime and cstime, of the children that have ended.
        user_ticks: field(14)? + field(16)?,
        system_ticks: field(15)? + field(17)?,
    })
}

/// The sum of the lines that begin with Private.
fn private_kibibytes(rollup: &str) -> u64 {
    rollup
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .filter_map(|line| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}

/// The number behind a name at the beginning of a line.
fn number(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let text = "42 (a) b (c) S 7 42 42 0 -1 4194560 100 200 0 0 11 22 33 44 20 0 1 0 9";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                parent: 7,
                user_ticks: 11 + 33,
                system_ticks: 22 + 44,
            })
        );
        assert_eq!(parse_stat("42 (short) S 7"), None);
    }

    #[test]
    fn private_memory_is_all_that_is_named_so() {
        let rollup = "55d0-7fff ---p 00000000 00:00 0 [rollup]\nRss: 100 kB\nShared_Clean: 8 kB\n\
                      Private_Clean:  3 kB\nPrivate_Dirty: 40 kB\nPrivate_Hugetlb: 0 kB\n";
        assert_eq!(private_kibibytes(rollup), 43);
    }

    #[test]
    fn this_process_is_accounted_for() {
        let own = std::process::id();
        let before = Sample::take(own).unwrap();
        let usage = Sample::take(own).unwrap().since(&before);
        assert!(usage.cpu_seconds < 60.0);
        assert!(!before.threads.is_empty());
        assert!(private_memory(own).unwrap() > 64 * 1024);
        assert!(Sample::take(Pid::MAX).is_err());
    }
}
