//! What the machine allows, as far as configuration depends on it.

use std::num::NonZeroUsize;

/// What the machine allows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    /// File descriptors that the process can have at most: the hard limit.
    pub files: u64,
    /// Cores that it can use.
    pub cores: NonZeroUsize,
}

/// Descriptors that are not sockets of pairs: standard streams, listeners, pollers, certificates
/// being read, name resolution.
const RESERVE: u64 = 64;
/// Descriptors for connections of operators: scrapes must work when all else is full.
const ADMIN: u64 = 32;
/// What no limit counts as: more than any kernel gives, yet a number to count with.
const UNLIMITED: u64 = 1 << 32;
/// Sockets of a pair.
const PER_PAIR: u64 = 2;

impl Machine {
    /// This machine.
    pub(crate) fn probe() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        Self {
            files: limit.maximum.unwrap_or(UNLIMITED),
            cores: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }

    /// How many descriptors can be open with so many pairs and handshakes in flight. A handshake
    /// can hold as many as a pair: the client's, and the upstream's before it is one.
    pub(crate) fn needed(pairs: usize, handshakes: NonZeroUsize) -> u64 {
        let connections = (pairs as u64).saturating_add(handshakes.get() as u64);
        connections
            .saturating_mul(PER_PAIR)
            .saturating_add(RESERVE + ADMIN)
    }

    /// How many pairs the file limit carries.
    pub(crate) fn pairs(&self) -> usize {
        let pairs = self.files.saturating_sub(RESERVE + ADMIN) / PER_PAIR;
        usize::try_from(pairs).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_what_the_file_limit_carries() {
        let pairs = |files| {
            Machine {
                files,
                cores: NonZeroUsize::MIN,
            }
            .pairs()
        };
        assert_eq!(pairs(20_000), 9_952);
        assert_eq!(pairs(1024), 464);
        assert_eq!(pairs(97), 0);
        assert_eq!(pairs(0), 0);
    }
}
