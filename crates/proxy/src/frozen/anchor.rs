//! Times that two processes understand.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::InvalidPair;

/// One moment by both clocks: this process's own, of which only differences mean something, and the
/// host's `CLOCK_MONOTONIC`, in nanoseconds, which all processes have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Anchor {
    pub(crate) instant: Instant,
    pub(crate) nanos: i64,
}

impl Anchor {
    /// Reads both clocks.
    pub(crate) fn now() -> Self {
        let instant = tokio::time::Instant::now().into_std();
        let monotonic = clock_gettime(ClockId::Monotonic);
        let seconds = monotonic.tv_sec.saturating_mul(1_000_000_000);
        Self {
            instant,
            nanos: seconds.saturating_add(monotonic.tv_nsec),
        }
    }

    /// When the host's clock began, by this process's own: the same moment in all processes of the host.
    pub(crate) fn origin(&self) -> Instant {
        // A clock that began before this one can say is none that has an origin.
        self.instant(0).unwrap_or(self.instant)
    }

    /// `instant` by the host's clock.
    pub(crate) fn nanos(&self, instant: Instant) -> i64 {
        let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        match instant.checked_duration_since(self.instant) {
            Some(later) => self.nanos.saturating_add(nanos(later)),
            None => self.nanos.saturating_sub(nanos(self.instant - instant)),
        }
    }

    /// A moment of the host's clock by this process's own.
    ///
    /// # Errors
    /// If that clock cannot say it.
    pub(crate) fn instant(&self, nanos: i64) -> Result<Instant, InvalidPair> {
        let apart = Duration::from_nanos(nanos.abs_diff(self.nanos));
        let instant = if nanos >= self.nanos {
            self.instant.checked_add(apart)
        } else {
            self.instant.checked_sub(apart)
        };
        instant.ok_or(InvalidPair::Senseless("a time that there is not"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_come_back_to_the_nanosecond() {
        let anchor = Anchor::now();
        for apart in [0, 1, 999_999_999, 86_400_000_000_000] {
            let apart = Duration::from_nanos(apart);
            for instant in [anchor.instant + apart, anchor.instant - apart] {
                assert_eq!(anchor.instant(anchor.nanos(instant)).unwrap(), instant);
            }
        }
        let (early, late) = (anchor.instant - Duration::from_nanos(5), anchor.instant);
        assert_eq!(anchor.nanos(late) - anchor.nanos(early), 5);
    }

    /// Each process had an origin of its own. After some upgrades the pairs of one process woke it at as many
    /// moments as it had had predecessors.
    #[test]
    fn all_processes_have_the_same_origin() {
        let first = Anchor::now();
        let later = Anchor {
            instant: first.instant + Duration::from_secs(5),
            nanos: first.nanos + 5_000_000_000,
        };
        assert_eq!(first.origin(), later.origin());
        assert_eq!(first.nanos(first.origin()), 0);
    }

    #[test]
    fn no_time_is_too_far_away() {
        let anchor = Anchor::now();
        for nanos in [i64::MIN, -1, 0, i64::MAX] {
            let _ = anchor.instant(nanos);
        }
    }
}
