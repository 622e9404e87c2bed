//! Points in time that a pair keeps for long and seldom looks at, in half of the room that an `Instant` takes.

use std::num::NonZero;
use std::ops::AddAssign;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::clock;

/// An `Instant`: nanoseconds since lubdub first asked, half of a `u64` higher, for a pair of another process is older.
/// One that is more than 292 years away is that far away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp(NonZero<u64>);

static ORIGIN: LazyLock<Instant> = LazyLock::new(clock);

impl Stamp {
    /// What stands for the origin.
    const MIDDLE: u64 = 1 << 63;

    pub(super) fn instant(self) -> Instant {
        match self.0.get().checked_sub(Self::MIDDLE) {
            Some(after) => *ORIGIN + Duration::from_nanos(after),
            None => *ORIGIN - Duration::from_nanos(Self::MIDDLE - self.0.get()),
        }
    }
}

impl From<Instant> for Stamp {
    fn from(instant: Instant) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let after = nanos(instant.saturating_duration_since(*ORIGIN));
        let before = nanos(ORIGIN.saturating_duration_since(instant));
        let shifted = Self::MIDDLE.saturating_add(after).saturating_sub(before);
        Self(NonZero::new(shifted).unwrap_or(NonZero::<u64>::MIN))
    }
}

impl AddAssign<Duration> for Stamp {
    fn add_assign(&mut self, time: Duration) {
        *self = (self.instant() + time).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_same_before_and_after_the_origin() {
        let now = clock();
        let day = Duration::from_hours(24);
        for instant in [*ORIGIN, now, now + day, now - day / 24] {
            let stamp = Stamp::from(instant);
            assert_eq!(stamp.instant(), instant);
            let mut later = stamp;
            later += Duration::from_nanos(1);
            assert_eq!(later.instant(), instant + Duration::from_nanos(1));
            assert!(later > stamp);
        }
        assert_eq!(size_of::<Option<Stamp>>(), 8);
    }
}
