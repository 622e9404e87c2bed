//! Seeded randomness for schedules: repeatable in tests, and good enough to spread pings.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// `SplitMix64` (Steele, Lea, Flood 2014). Not for secrets: nonces and mask keys come from the
/// operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The `n`th draw, uniform in [`low`, `high`], both included, to a nanosecond. Who asks for the
    /// same draw gets the same share of the range.
    pub(crate) fn draw(self, n: u64, low: Duration, high: Duration) -> Duration {
        // Intervals are at most `Policy::MAX`, far below 2^64 ns.
        let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let (low, high) = (nanos(low), nanos(high));
        let span = u128::from(high.saturating_sub(low)) + 1;
        // Scaling by the high half of a product keeps the bias under span / 2^64.
        let offset = (u128::from(self.bits(n)) * span) >> 64;
        Duration::from_nanos(low + u64::try_from(offset).unwrap_or_default())
    }

    fn bits(self, n: u64) -> u64 {
        let steps = n.wrapping_add(1);
        let mut z = (self.0).wrapping_add(steps.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bounds_and_fills_them() {
        let chance = Chance::new(1);
        let (low, high) = (Duration::from_secs(15), Duration::from_secs(30));
        let mut tenths = [0_u32; 10];
        for n in 0..10_000 {
            let drawn = chance.draw(n, low, high);
            assert!((low..=high).contains(&drawn));
            let share = (drawn - low).as_secs_f64() / (high - low).as_secs_f64();
            tenths[((share * 10.0) as usize).min(9)] += 1;
        }
        assert!(tenths.iter().all(|n| (800..1200).contains(n)), "{tenths:?}");
    }

    #[test]
    fn one_value_is_a_range_too() {
        let second = Duration::from_secs(1);
        assert_eq!(Chance::new(7).draw(0, second, second), second);
    }
}
