//! What the machine allows, as far as configuration depends on it: how many pairs its limit on open
//! files carries beside all else that lubdub opens.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::SystemTime;

use lubdub_proxy::tls::Moment;

use crate::plural::plural;

/// What the machine allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// File descriptors that the process can have at most: the hard limit.
    pub files: u64,
    /// Cores that it can use.
    pub cores: NonZeroUsize,
    /// What its clock shows.
    pub now: Moment,
}

/// What has descriptors as long as lubdub runs, by the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Household {
    /// Worker threads.
    pub workers: NonZeroUsize,
    /// Listening sockets for clients.
    pub listeners: usize,
    /// Host names of upstreams. There is one look-up of each at a time.
    pub names: usize,
}

/// Descriptors of the process as such: standard streams, the main thread's runtime, signals, files
/// that are being read, and what it was started with. About a quarter of them is open at rest.
const RESERVE: u64 = 64;
/// Descriptors for operators, whose requests must be answered when all else is full: the listener, its
/// connections (`admin::listener::CONNECTIONS`), and those of watchers (`admin::feed::Feed::PLACES`).
const ADMIN: u64 = 1 + 32 + 64;
/// A worker's runtime: two event queues, one to wake it by, one for signals, and the ring that it sends through
/// (counted in /proc/PID/fd).
const PER_WORKER: u64 = 5;
/// A listener's socket.
const PER_LISTENER: u64 = 1;
/// The system's resolver during a look-up: a socket for each of at most three name servers, and one
/// by which it orders the addresses.
const PER_NAME: u64 = 4;
/// Sockets of a pair.
const PER_PAIR: u64 = 2;
/// What no limit counts as: more than any kernel gives, yet a number to count with.
const UNLIMITED: u64 = 1 << 32;

impl Machine {
    /// This machine.
    pub(crate) fn probe() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            files: limit.maximum.unwrap_or(UNLIMITED),
            cores: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            now: SystemTime::now().into(),
        }
    }

    /// How many pairs the file limit carries beside `household`.
    pub(crate) fn pairs(&self, household: &Household) -> usize {
        let pairs = self.files.saturating_sub(household.descriptors()) / PER_PAIR;
        usize::try_from(pairs).unwrap_or(usize::MAX)
    }
}

impl Household {
    /// Descriptors that are no client's and no upstream's.
    fn descriptors(&self) -> u64 {
        let each = |count: usize, descriptors: u64| (count as u64).saturating_mul(descriptors);
        [
            each(self.workers.get(), PER_WORKER),
            each(self.listeners, PER_LISTENER),
            each(self.names, PER_NAME),
        ]
        .into_iter()
        .fold(RESERVE + ADMIN, u64::saturating_add)
    }
}

/// For messages, behind "beside".
impl fmt::Display for Household {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (workers, listeners) = (self.workers.get(), self.listeners);
        let of = |count: usize, noun| format!("{count} {}", plural(count as u64, noun));
        write!(
            f,
            "{} and {}",
            of(workers, "worker"),
            of(listeners, "listener")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn household(workers: usize, listeners: usize, names: usize) -> Household {
        Household {
            workers: NonZeroUsize::new(workers).unwrap(),
            listeners,
            names,
        }
    }

    #[test]
    fn pairs_are_what_the_file_limit_carries() {
        let pairs = |files, household: Household| {
            let cores = NonZeroUsize::MIN;
            let now = Moment::from_timestamp(0);
            Machine { files, cores, now }.pairs(&household)
        };
        assert_eq!(pairs(20_000, household(1, 1, 0)), 9_916);
        assert_eq!(pairs(1024, household(1, 1, 0)), 428);
        assert_eq!(pairs(1024, household(64, 1, 0)), 271);
        assert_eq!(pairs(1024, household(64, 4, 10)), 249);
        assert_eq!(pairs(167, household(1, 1, 0)), 0);
        assert_eq!(pairs(0, household(1, 1, 0)), 0);
        assert_eq!(pairs(20_000, household(usize::MAX, 1, 1)), 0);
    }

    #[test]
    fn what_it_stands_beside_is_named() {
        assert_eq!(household(1, 1, 0).to_string(), "1 worker and 1 listener");
        assert_eq!(
            household(64, 2, 0).to_string(),
            "64 workers and 2 listeners"
        );
    }
}
