//! Points in time of a pair's life, in half of the room that an `Instant` takes: a pair keeps
//! dozens of them, and there are thousands of pairs.

use std::num::NonZero;
use std::ops::Add;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// Nanoseconds since the pair opened; enough for 584 years, and then they stand still.
///
/// One more than these, so that a moment that may be missing takes no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub(crate) struct Moment(NonZero<u64>);

/// A time to wait, in the same unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Span(u64);

/// Moments that pairs have in common: multiples of a step after an origin, which lies so many
/// nanoseconds before the pair's opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Grid(u64);

impl Moment {
    /// When the pair opened.
    pub(crate) const OPENED: Self = Self(NonZero::<u64>::MIN);
    /// Later than every other.
    pub(crate) const NEVER: Self = Self(NonZero::<u64>::MAX);

    /// `now`, in the life of a pair that opened at `opened`.
    pub(crate) fn of(now: Instant, opened: Instant) -> Self {
        nanos(now.saturating_duration_since(opened)).into()
    }

    pub(crate) fn instant(self, opened: Instant) -> Instant {
        opened + Duration::from_nanos(self.nanos())
    }

    fn nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Microseconds since the pair opened.
    pub(crate) fn micros(self) -> u64 {
        self.nanos() / 1000
    }

    pub(crate) fn span_since(self, earlier: Self) -> Span {
        Span(self.0.get().saturating_sub(earlier.0.get()))
    }

    /// The time from `earlier` to here; none if that was later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        self.span_since(earlier).into()
    }
}

impl From<u64> for Moment {
    fn from(nanos: u64) -> Self {
        Self(NonZero::<u64>::MIN.saturating_add(nanos))
    }
}

impl From<Moment> for u64 {
    fn from(moment: Moment) -> Self {
        moment.nanos()
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
        let beyond = moment.nanos().wrapping_add(self.0).checked_rem(step.0);
        moment
            .nanos()
            .saturating_sub(beyond.unwrap_or_default())
            .into()
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
