//! When the latest own pings were written, in half of the room that as many moments take: every
//! side of every pair keeps this.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// When each of the last [`Stamps::COUNT`] own pings was written, to a microsecond: the moment of
/// the last, and how long before each the one before it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Stamps {
    /// Microseconds after the pair opened.
    last: u64,
    /// At `n % COUNT`, the microseconds from ping `n - 1` to ping `n`; [`Stamps::LONG`] for more
    /// than can be told.
    gaps: [u32; Self::COUNT],
}

impl Stamps {
    /// So many pings are remembered.
    pub(crate) const COUNT: usize = 16;

    /// 71 minutes.
    const LONG: u32 = u32::MAX;

    /// Own ping `sequence`, the next one, was written.
    pub(crate) fn push(&mut self, sequence: u64, now: Moment) {
        let now = now.micros();
        let gap = now.saturating_sub(self.last);
        self.gaps[Self::slot(sequence)] = u32::try_from(gap).unwrap_or(Self::LONG);
        self.last = now;
    }

    /// The time since own ping `sequence` was written, which is one of the last of `next`; `None`
    /// if so long passed between two pings since that it cannot be told.
    pub(crate) fn age(&self, sequence: u64, next: u64, now: Moment) -> Option<Duration> {
        let mut micros = now.micros().saturating_sub(self.last);
        for later in sequence + 1..next {
            let gap = self.gaps[Self::slot(later)];
            if gap == Self::LONG {
                return None;
            }
            micros += u64::from(gap);
        }
        Some(Duration::from_micros(micros))
    }

    fn slot(sequence: u64) -> usize {
        (sequence % Self::COUNT as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::OPENED + Duration::from_secs(seconds)
    }

    #[test]
    fn ages_of_all_that_are_remembered() {
        let mut stamps = Stamps::default();
        for n in 0..40 {
            stamps.push(n, at(n * n));
        }
        for n in 24..40 {
            let age = stamps.age(n, 40, at(2000));
            assert_eq!(age, Some(Duration::from_secs(2000 - n * n)), "{n}");
        }
    }

    #[test]
    fn what_was_too_long_ago_has_no_age() {
        let mut stamps = Stamps::default();
        stamps.push(0, at(0));
        stamps.push(1, at(5_000));
        stamps.push(2, at(5_001));
        assert_eq!(stamps.age(0, 3, at(5_002)), None);
        assert_eq!(stamps.age(1, 3, at(5_002)), Some(Duration::from_secs(2)));
        let long_after = Duration::from_secs(1_000_000);
        assert_eq!(stamps.age(2, 3, at(1_005_001)), Some(long_after));
    }
}
