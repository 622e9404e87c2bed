//! What a process and its descendants cost, as the kernel accounts it: proc(5).
//!
//! Memory that the kernel holds for them, such as socket buffers, is not in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// A process.
pub(crate) type Pid = u32;

/// A process and its descendants. Finding them reads all of /proc, which takes milliseconds, so it
/// is done before anything is timed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Processes(Vec<Pid>);

/// What some processes had used at one moment.
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

/// What some processes used between two moments.
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

// === impl Processes ===

impl Processes {
    /// The process and its descendants, as they are now.
    pub(crate) fn of(root: Pid) -> anyhow::Result<Self> {
        let mut parents = BTreeMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<Pid>().ok()) else {
                continue;
            };
            // One that has just ended is nobody's descendant.
            if let Ok(stat) = stat(pid) {
                parents.insert(pid, stat.parent);
            }
        }
        anyhow::ensure!(
            parents.remove(&root).is_some(),
            "there is no process {root}"
        );
        let mut family = vec![root];
        let mut at = 0;
        while let Some(&parent) = family.get(at) {
            let children = (parents.iter()).filter(|(_, its_parent)| **its_parent == parent);
            family.extend(children.map(|(pid, _)| *pid));
            at += 1;
        }
        Ok(Self(family))
    }

    /// This process alone: in a side-by-side run proxy and backend are its children.
    pub(crate) fn own() -> Self {
        Self(vec![std::process::id()])
    }

    /// The memory that belongs to them alone, in bytes. What two of them share is not in it.
    pub(crate) fn private_memory(&self) -> anyhow::Result<u64> {
        let mut sum = 0;
        for pid in &self.0 {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
                .with_context(|| format!("cannot read the memory of process {pid}"))?;
            sum += private_kibibytes(&rollup) * 1024;
        }
        Ok(sum)
    }
}

// === impl Sample ===

impl Sample {
    /// What the processes have used so far. That one of them has ended is a failure: its work
    /// would be missing.
    pub(crate) fn take(processes: &Processes) -> anyhow::Result<Self> {
        let mut sample = Self {
            user_ticks: 0,
            system_ticks: 0,
            threads: BTreeMap::new(),
            voluntary_switches: 0,
            involuntary_switches: 0,
        };
        for &pid in &processes.0 {
            let stat = stat(pid).with_context(|| format!("process {pid} has ended"))?;
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

fn stat(pid: Pid) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| ErrorKind::InvalidData.into())
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

/// The sum of the lines that begin with Private, and of what of them is swapped out.
fn private_kibibytes(rollup: &str) -> u64 {
    rollup
        .lines()
        .filter(|line| line.starts_with("Private_") || line.starts_with("SwapPss:"))
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
    use std::process::{Command, Stdio};

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
    fn private_memory_is_all_that_is_named_so_wherever_it_is() {
        let rollup = "55d0-7fff ---p 00000000 00:00 0 [rollup]\nRss: 100 kB\nShared_Clean: 8 kB\n\
                      Private_Clean:  3 kB\nPrivate_Dirty: 40 kB\nPrivate_Hugetlb: 0 kB\n\
                      Swap: 9 kB\nSwapPss: 5 kB\n";
        assert_eq!(private_kibibytes(rollup), 48);
    }

    #[test]
    fn this_process_is_accounted_for() {
        let own = Processes::own();
        let before = Sample::take(&own).unwrap();
        let usage = Sample::take(&own).unwrap().since(&before);
        assert!(usage.cpu_seconds < 60.0);
        assert!(!before.threads.is_empty());
        assert!(own.private_memory().unwrap() > 64 * 1024);
        assert!(Processes::of(Pid::MAX).is_err());
    }

    #[test]
    fn children_belong_to_a_process_and_their_end_is_noticed() {
        let mut child = Command::new("cat")
            .stdin(Stdio::piped())
            .spawn()
            .expect("every system has cat");
        let family = Processes::of(std::process::id()).unwrap();
        let alone = Processes(vec![child.id()]);
        let found = family.0.contains(&child.id());
        let alive = Sample::take(&alone).is_ok();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found && alive, "{family:?}");
        assert!(Sample::take(&alone).is_err());
    }

    #[test]
    fn nanoseconds_are_added_up_over_threads_and_a_new_one_counts_whole() {
        let earlier = sample(&[(1, 5_000_000), (2, 0)], 0);
        let later = sample(&[(1, 6_500_000), (2, 250_000), (3, 250_000)], 0);
        assert_eq!(later.since(&earlier).cpu_seconds, 0.002);
    }

    #[test]
    fn what_a_thread_took_along_is_still_in_the_ticks() {
        let earlier = sample(&[(1, 5_000_000), (2, 900_000_000)], 100);
        let later = sample(&[(1, 6_000_000)], 150);
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(later.since(&earlier).cpu_seconds, 50.0 / ticks);
    }

    /// A sample of threads with their nanoseconds, of which all ticks were spent in the kernel.
    fn sample(threads: &[(Pid, u64)], system_ticks: u64) -> Sample {
        Sample {
            user_ticks: 0,
            system_ticks,
            threads: threads.iter().copied().collect(),
            voluntary_switches: 0,
            involuntary_switches: 0,
        }
    }
}
