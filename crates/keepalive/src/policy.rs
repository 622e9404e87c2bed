//! What the operator wants of one side's heartbeat, in a form that cannot hold nonsense.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Span;

/// The heartbeat of one side: how often it is pinged and when its silence is a lapse.
///
/// Built with [`Policy::try_new`]; a `Policy` in hand is always usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// None if it is zero, which no interval is.
    interval: Span,
    timeout: Span,
    jitter: Jitter,
    /// From when the next ping is counted.
    pub mode: Mode,
    /// What counts as a sign of life.
    pub evidence: Evidence,
    /// Whether a lapse ends the pair.
    pub enforce: Enforce,
}

/// From when the next own ping is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// From the last own ping: always ping.
    #[default]
    Interval,
    /// From the last byte read from the side, if that is later: ping only after a quiet interval.
    Idle,
}

/// What counts as a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Evidence {
    /// Every (decrypted) byte read from the side.
    #[default]
    Any,
    /// Only a whole PONG frame, of any payload.
    Pong,
}

/// Whether a side whose deadline has passed has lapsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enforce {
    /// Yes.
    #[default]
    Always,
    /// From its first matched pong on: a peer that never answers pings is only observed.
    Learned,
    /// No, only report that it would have.
    Never,
}

/// The share of the interval by which a ping may come early, in [0, 1].
///
/// Kept in millionths, so that policies can be compared and hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(u32);

/// Why a policy was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// A ping interval under one millisecond.
    #[error("an interval must be at least 1ms")]
    IntervalTooShort,
    /// A timeout under one millisecond.
    #[error("a timeout must be at least 1ms")]
    TimeoutTooShort,
    /// A duration so long that a deadline could not be computed.
    #[error("a duration must be at most 365 days")]
    TooLong,
    /// A jitter outside [0, 1], or not a number.
    #[error("jitter must be a share between 0 and 1")]
    JitterOutOfRange,
}

// === impl Policy ===

impl Policy {
    /// The shortest interval and timeout.
    pub const MIN: Duration = Duration::from_millis(1);
    /// The longest interval and timeout: far beyond use, well within the clock's range.
    pub const MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

    /// A policy with the default mode, evidence and enforcement.
    ///
    /// `interval` is the time from one own ping to the next, `None` for no own pings;
    /// `timeout` the time that a side has for a sign of life after an own ping was written to it.
    ///
    /// # Errors
    /// If a duration is outside [`Policy::MIN`] to [`Policy::MAX`].
    pub fn try_new(
        interval: Option<Duration>,
        timeout: Duration,
        jitter: Jitter,
    ) -> Result<Self, InvalidPolicy> {
        if interval.is_some_and(|interval| interval < Self::MIN) {
            return Err(InvalidPolicy::IntervalTooShort);
        }
        if timeout < Self::MIN {
            return Err(InvalidPolicy::TimeoutTooShort);
        }
        if timeout > Self::MAX || interval.is_some_and(|interval| interval > Self::MAX) {
            return Err(InvalidPolicy::TooLong);
        }
        Ok(Self {
            interval: interval.unwrap_or_default().into(),
            timeout: timeout.into(),
            jitter,
            mode: Mode::default(),
            evidence: Evidence::default(),
            enforce: Enforce::default(),
        })
    }

    /// The time from one own ping to the next; `None` if this side is not pinged.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        (self.interval != Span::default()).then(|| self.interval.into())
    }

    /// The time that the side has for a sign of life after an own ping was written to it.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout.into()
    }

    /// The share of the interval by which a ping may come early.
    #[must_use]
    pub fn jitter(&self) -> Jitter {
        self.jitter
    }
}

impl Default for Policy {
    /// The classic recipe: a ping every 30 s, and a read deadline of 60 s (30 + 30).
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30).into(),
            timeout: Duration::from_secs(30).into(),
            jitter: Jitter::default(),
            mode: Mode::default(),
            evidence: Evidence::default(),
            enforce: Enforce::default(),
        }
    }
}

// === impl Jitter ===

impl Jitter {
    const ONE: u32 = 1_000_000;

    /// No jitter: every interval is the whole interval.
    pub const NONE: Self = Self(0);

    /// Takes a share of the interval, 0 to 1.
    ///
    /// # Errors
    /// If `share` is not a number in [0, 1].
    pub fn try_new(share: f64) -> Result<Self, InvalidPolicy> {
        if !(0.0..=1.0).contains(&share) {
            return Err(InvalidPolicy::JitterOutOfRange);
        }
        // In range by the check above, so the cast cannot truncate.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Ok(Self((share * f64::from(Self::ONE)).round() as u32))
    }

    /// The share of the interval, 0 to 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ONE)
    }
}

impl Default for Jitter {
    /// A tenth of the interval.
    fn default() -> Self {
        Self(Self::ONE / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonsense_cannot_be_built() {
        let second = Duration::from_secs(1);
        let policy = |interval, timeout| Policy::try_new(interval, timeout, Jitter::NONE);
        assert_eq!(
            policy(Some(Duration::from_micros(999)), second),
            Err(InvalidPolicy::IntervalTooShort)
        );
        assert_eq!(
            policy(None, Duration::ZERO),
            Err(InvalidPolicy::TimeoutTooShort)
        );
        assert_eq!(policy(None, Duration::MAX), Err(InvalidPolicy::TooLong));
        assert_eq!(
            policy(Some(Duration::MAX), second),
            Err(InvalidPolicy::TooLong)
        );
        for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            assert_eq!(
                Jitter::try_new(share),
                Err(InvalidPolicy::JitterOutOfRange),
                "{share}"
            );
        }
    }

    #[test]
    fn the_default_is_the_classic_recipe() {
        let policy = Policy::default();
        assert_eq!(policy.interval(), Some(Duration::from_secs(30)));
        assert_eq!(policy.timeout(), Duration::from_secs(30));
        assert!((policy.jitter().share() - 0.1).abs() < f64::EPSILON);
    }
}
