//! How long echoes took, as an HDR histogram.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest time that is told apart; longer ones count as this.
const LONGEST: Duration = Duration::from_secs(60);
/// How many digits of a time are kept.
const DIGITS: u8 = 3;

/// Times, counted in nanoseconds.
#[derive(Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
}

/// The quantiles of times, in microseconds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantiles {
    /// Half of them took no longer.
    pub p50_us: f64,
    /// 90 % of them took no longer.
    pub p90_us: f64,
    /// 99 % of them took no longer.
    pub p99_us: f64,
    /// 99.9 % of them took no longer.
    pub p999_us: f64,
    /// None took longer.
    pub max_us: f64,
}

// === impl Latencies ===

impl Latencies {
    /// No times yet.
    pub(crate) fn new() -> Self {
        let longest = LONGEST.as_nanos() as u64;
        Self {
            histogram: Histogram::new_with_max(longest, DIGITS)
                .expect("the bounds are constants that the histogram accepts"),
        }
    }

    /// Counts a time.
    #[inline]
    pub(crate) fn record(&mut self, time: Duration) {
        self.histogram
            .saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Forgets all times.
    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
    }

    /// The quantiles of what was counted.
    pub(crate) fn quantiles(&self) -> Quantiles {
        let at = |quantile| micros(self.histogram.value_at_quantile(quantile));
        Quantiles {
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(self.histogram.max()),
        }
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new();
        for us in 1..=1000 {
            latencies.record(Duration::from_micros(us));
        }
        let near = |seen: f64, expected: f64| (seen / expected - 1.0).abs() < 0.002;
        let quantiles = latencies.quantiles();
        assert!(near(quantiles.p50_us, 500.0), "{quantiles:?}");
        assert!(near(quantiles.p90_us, 900.0), "{quantiles:?}");
        assert!(near(quantiles.p99_us, 990.0), "{quantiles:?}");
        assert!(near(quantiles.p999_us, 999.0), "{quantiles:?}");
        assert!(near(quantiles.max_us, 1000.0), "{quantiles:?}");
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest() {
        let mut latencies = Latencies::new();
        latencies.record(Duration::from_secs(3600));
        let seen = latencies.quantiles().p50_us;
        assert!((seen / 60e6 - 1.0).abs() < 0.1, "{seen}");
        latencies.clear();
        assert_eq!(latencies.quantiles(), Quantiles::default());
    }
}
