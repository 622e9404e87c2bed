//! Seeded chance for worlds: the same seed, the same world, in every build.

use std::time::Duration;

/// `SplitMix64` (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Of 0, 1 .. `n - 1`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }

    /// To a nanosecond, `high` not included.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        low + Duration::from_nanos(self.below((high - low).as_nanos() as u64))
    }

    /// As likely between 1 s and 2 s as between 1 min and 2 min.
    pub(crate) fn of_any_size(&mut self, low: Duration, high: Duration) -> Duration {
        let octaves = (high.as_nanos() / low.as_nanos()).ilog2() + 1;
        let octave = 1 << self.below(octaves.into());
        self.between(low * octave, (low * octave * 2).min(high))
    }

    /// A part of the whole, from `low` to `high` hundredths of it.
    pub(crate) fn share(&mut self, of: Duration, low: u32, high: u32) -> Duration {
        self.between(of * low / 100, of * high / 100)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
