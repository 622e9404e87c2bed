//! When the latest own pings were written. Every side of every pair keeps this, and mostly the latest ping is the
//! only one that is unanswered: then it is one moment.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// When each own ping from the oldest unanswered one on was written, and at least the last, to a microsecond: the
/// moment of the last, and how long before each the one before it was. At most [`Stamps::COUNT`] are unanswered.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "StampsState", into = "StampsState")]
pub(crate) struct Stamps {
    /// Microseconds after the pair opened.
    last: u64,
    /// `None` as long as the last ping is the only one of interest.
    gaps: Option<Box<Gaps>>,
}

/// At `n % COUNT`, the microseconds from ping `n - 1` to ping `n`; [`Stamps::LONG`] for more
/// than can be told.
type Gaps = [u32; Stamps::COUNT];

/// The form in which they go along to another process.
#[derive(Serialize, Deserialize)]
struct StampsState {
    last: u64,
    gaps: Gaps,
}

// === impl Stamps ===

impl Stamps {
    /// So many pings are remembered.
    pub(crate) const COUNT: usize = 16;

    /// What it has on the heap at the most.
    pub(crate) const HEAP_MAX: usize = size_of::<Gaps>();

    /// 71 minutes.
    const LONG: u32 = u32::MAX;

    /// Own ping `sequence`, the next one, was written. Of those before it, only `oldest` and later ones will be
    /// asked for.
    pub(crate) fn push(&mut self, sequence: u64, oldest: u64, now: Moment) {
        let now = now.micros();
        if oldest < sequence {
            let gap = now.saturating_sub(self.last);
            let gaps = self.gaps.get_or_insert_default();
            gaps[Self::slot(sequence)] = u32::try_from(gap).unwrap_or(Self::LONG);
        } else {
            self.gaps = None;
        }
        self.last = now;
    }

    /// Of the last of `next`, only `oldest` and later ones will be asked for from now on.
    pub(crate) fn settle(&mut self, oldest: u64, next: u64) {
        if oldest + 1 >= next {
            self.gaps = None;
        }
    }

    /// The time since own ping `sequence` was written, which is one of the last of `next`; `None`
    /// if so long passed between two pings since that it cannot be told.
    pub(crate) fn age(&self, sequence: u64, next: u64, now: Moment) -> Option<Duration> {
        let mut micros = now.micros().saturating_sub(self.last);
        for later in sequence + 1..next {
            let gap = self.gaps.as_ref()?[Self::slot(later)];
            if gap == Self::LONG {
                return None;
            }
            micros += u64::from(gap);
        }
        Some(Duration::from_micros(micros))
    }

    pub(crate) fn heap_size(&self) -> usize {
        self.gaps.as_deref().map_or(0, size_of_val)
    }

    fn slot(sequence: u64) -> usize {
        (sequence % Self::COUNT as u64) as usize
    }
}

impl From<StampsState> for Stamps {
    fn from(StampsState { last, gaps }: StampsState) -> Self {
        let gaps = (gaps != Gaps::default()).then(|| Box::new(gaps));
        Self { last, gaps }
    }
}

impl From<Stamps> for StampsState {
    fn from(Stamps { last, gaps }: Stamps) -> Self {
        let gaps = gaps.map(|gaps| *gaps).unwrap_or_default();
        Self { last, gaps }
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
            stamps.push(n, n.saturating_sub(16), at(n * n));
        }
        for n in 24..40 {
            let age = stamps.age(n, 40, at(2000));
            assert_eq!(age, Some(Duration::from_secs(2000 - n * n)), "{n}");
        }
    }

    #[test]
    fn what_was_too_long_ago_has_no_age() {
        let mut stamps = Stamps::default();
        stamps.push(0, 0, at(0));
        stamps.push(1, 0, at(5_000));
        stamps.push(2, 0, at(5_001));
        assert_eq!(stamps.age(0, 3, at(5_002)), None);
        assert_eq!(stamps.age(1, 3, at(5_002)), Some(Duration::from_secs(2)));
        let long_after = Duration::from_secs(1_000_000);
        assert_eq!(stamps.age(2, 3, at(1_005_001)), Some(long_after));
    }

    #[test]
    fn a_ping_behind_which_nothing_is_unanswered_takes_no_heap() {
        let mut stamps = Stamps::default();
        for n in 0..40 {
            stamps.push(n, n, at(30 * n));
            assert_eq!(stamps.heap_size(), 0);
            assert_eq!(
                stamps.age(n, n + 1, at(30 * n + 1)),
                Some(Duration::from_secs(1))
            );
        }
        stamps.push(40, 39, at(1200));
        assert_eq!(stamps.heap_size(), Stamps::HEAP_MAX);
        assert_eq!(stamps.age(39, 41, at(1201)), Some(Duration::from_secs(31)));
        stamps.settle(39, 41);
        assert_eq!(stamps.heap_size(), Stamps::HEAP_MAX);
        stamps.settle(40, 41);
        assert_eq!(stamps.heap_size(), 0);
    }
}
