//! Round-trip times of one side, from matched pongs only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Last, smoothed, least and greatest round trip of a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rtt {
    last: Micros,
    smoothed: Micros,
    min: Micros,
    max: Micros,
}

/// Microseconds that saturate at 71 minutes: a quarter of a `Duration`, and there are four of
/// them on each side of every pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Micros(u32);

impl Rtt {
    /// The estimate after a first sample.
    pub(crate) fn first(sample: Duration) -> Self {
        let sample = Micros::from(sample);
        Self {
            last: sample,
            smoothed: sample,
            min: sample,
            max: sample,
        }
    }

    /// Takes a further sample; smoothing as in RFC 6298 2.3 (an eighth of the new one).
    pub(crate) fn update(&mut self, sample: Duration) {
        let sample = Micros::from(sample);
        self.last = sample;
        self.min = self.min.min(sample);
        self.max = self.max.max(sample);
        let smoothed = (7 * u64::from(self.smoothed.0) + u64::from(sample.0)) / 8;
        self.smoothed = Micros(u32::try_from(smoothed).unwrap_or(u32::MAX));
    }

    /// The latest round trip.
    #[must_use]
    pub fn last(&self) -> Duration {
        self.last.into()
    }

    /// The smoothed round trip (RFC 6298 2.3, without its variance).
    #[must_use]
    pub fn smoothed(&self) -> Duration {
        self.smoothed.into()
    }

    /// The least round trip so far.
    #[must_use]
    pub fn min(&self) -> Duration {
        self.min.into()
    }

    /// The greatest round trip so far.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max.into()
    }
}

impl From<Duration> for Micros {
    fn from(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX))
    }
}

impl From<Micros> for Duration {
    fn from(micros: Micros) -> Self {
        Self::from_micros(micros.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_its_samples() {
        let ms = Duration::from_millis;
        let mut rtt = Rtt::first(ms(80));
        assert_eq!(rtt.smoothed(), ms(80));
        rtt.update(ms(160));
        rtt.update(ms(8));
        assert_eq!(rtt.last(), ms(8));
        assert_eq!(rtt.min(), ms(8));
        assert_eq!(rtt.max(), ms(160));
        // (7*80 + 160)/8 = 90, (7*90 + 8)/8 = 79.75
        assert_eq!(rtt.smoothed(), Duration::from_micros(79_750));
    }

    #[test]
    fn saturates_instead_of_wrapping() {
        let rtt = Rtt::first(Duration::from_secs(1_000_000));
        assert_eq!(rtt.last(), Duration::from_micros(u32::MAX.into()));
    }
}
