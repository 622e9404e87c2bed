//! Points in time of a pair's life, in half of the room that an `Instant` takes: a pair keeps
//! dozens of them, and there are thousands of pairs.

use std::ops::Add;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Nanoseconds since the pair opened; enough for 584 years, and then they stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(u64);

/// A time to wait, in the same unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Span(u64);

/// Moments that pairs have in common: multiples of a step after an origin, which lies so many
/// nanoseconds before the pair's opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grid(u64);

impl Moment {
    /// When the pair opened.
    pub(crate) const OPENED: Self = Self(0);
    /// Later than every other.
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// `now`, in the life of a pair that opened at `opened`.
    pub(crate) fn of(now: Instant, opened: Instant) -> Self {
        Self(nanos(now.saturating_duration_since(opened)))
    }

    pub(crate) fn instant(self, opened: Instant) -> Instant {
        opened + Duration::from_nanos(self.0)
    }

    /// Microseconds since the pair opened.
    pub(crate) fn micros(self) -> u64 {
        self.0 / 1000
    }

    pub(crate) fn span_since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// The time from `earlier` to here; none if that was later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(nanos(time)))
    }
}

impl Add<Span> for Moment {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl From<Duration> for Span {
    fn from(time: Duration) -> Self {
        Self(nanos(time))
    }
}

impl From<Span> for Duration {
    fn from(span: Span) -> Self {
        Self::from_nanos(span.0)
    }
}

impl Grid {
    /// Every moment is on it.
    pub(crate) const NONE: Self = Self(u64::MAX);

    /// The one that begins at `origin`, for a pair that opened at `opened`.
    pub(crate) fn since(origin: Instant, opened: Instant) -> Self {
        Self(nanos(opened.saturating_duration_since(origin)))
    }

    /// The last moment until this one that is a multiple of `step` after the origin.
    pub(crate) fn before(self, moment: Moment, step: Span) -> Moment {
        if self == Self::NONE {
            return moment;
        }
        let beyond = moment.0.wrapping_add(self.0).checked_rem(step.0);
        Moment(moment.0.saturating_sub(beyond.unwrap_or_default()))
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
