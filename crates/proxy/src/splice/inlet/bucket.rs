//! A token bucket: so much a second, and at most what a second brings at a time.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// A bucket that fills with time. Exact: nothing is rounded while it is filled and emptied.
#[derive(Debug)]
pub(super) struct Bucket {
    /// What a second brings, and the most that it holds.
    rate: NonZeroU64,
    /// What it holds, in parts; less than nothing if more was taken than there was.
    level: i128,
    /// When it held that.
    at: Instant,
}

impl Bucket {
    /// So many parts are one: those that a rate of one brings in a nanosecond.
    const PARTS: i128 = 1_000_000_000;
    /// More can hardly be owed: a held pong at a byte a second.
    const LONGEST: Duration = Duration::from_secs(600);

    pub(super) fn full(rate: NonZeroU64, now: Instant) -> Self {
        Self {
            rate,
            level: Self::capacity(rate),
            at: now,
        }
    }

    /// One that will be full then, within [`LONGEST`](Self::LONGEST). Said so it has the same meaning for every rate.
    pub(super) fn full_from(rate: NonZeroU64, full: Instant, now: Instant) -> Self {
        let mut bucket = Self::full(rate, now);
        let short = full.saturating_duration_since(now);
        bucket.level -= bucket.brought_in(short.min(Self::LONGEST));
        bucket
    }

    /// When it will be full, if nothing is taken.
    pub(super) fn full_at(&self) -> Instant {
        self.time_of(Self::capacity(self.rate))
    }

    /// Fills it with what the time since the last call has brought.
    pub(super) fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        let level = self.level.saturating_add(self.brought_in(passed));
        self.level = level.min(Self::capacity(self.rate));
        self.at = self.at.max(now);
    }

    /// How many whole ones it holds. Less than none are owed.
    pub(super) fn level(&self) -> i128 {
        self.level.div_euclid(Self::PARTS)
    }

    /// The same where what is owed does not matter.
    pub(super) fn available(&self) -> u64 {
        u64::try_from(self.level()).unwrap_or_default()
    }

    pub(super) fn take(&mut self, count: u64) {
        self.level -= i128::from(count) * Self::PARTS;
    }

    /// When it holds one.
    pub(super) fn one_at(&self) -> Instant {
        self.time_of(Self::PARTS)
    }

    fn capacity(rate: NonZeroU64) -> i128 {
        i128::from(rate.get()) * Self::PARTS
    }

    fn brought_in(&self, time: Duration) -> i128 {
        let nanos = i128::try_from(time.as_nanos()).unwrap_or(i128::MAX);
        nanos.saturating_mul(self.rate.get().into())
    }

    /// The first moment at which it holds so many parts.
    fn time_of(&self, level: i128) -> Instant {
        let (lacking, rate) = (level - self.level, i128::from(self.rate.get()));
        let nanos = (lacking.max(0) + rate - 1) / rate;
        self.at + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 2))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rate(rate: u64) -> NonZeroU64 {
        NonZeroU64::new(rate).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "any moment will do")]
    fn any_moment() -> Instant {
        Instant::now()
    }

    #[test]
    fn it_holds_what_a_second_brings_and_no_more() {
        let now = any_moment();
        let mut bucket = Bucket::full(rate(20), now);
        assert_eq!(bucket.available(), 20);
        bucket.refill(now + 100 * SECOND);
        assert_eq!(bucket.available(), 20);
        bucket.take(20);
        assert_eq!(bucket.available(), 0);
        bucket.refill(now + 100 * SECOND + SECOND / 2);
        assert_eq!(bucket.available(), 10);
    }

    #[test]
    fn one_more_is_there_exactly_when_it_says() {
        for per_second in [1, 3, 7, 1000, 999_999_937, 3_000_000_000, u64::MAX] {
            let now = any_moment();
            let mut bucket = Bucket::full(rate(per_second), now);
            bucket.take(per_second);
            let next = bucket.one_at();
            bucket.refill(next - Duration::from_nanos(1));
            assert_eq!(bucket.available(), 0, "{per_second}");
            bucket.refill(next);
            assert!(bucket.available() >= 1, "{per_second}");
        }
    }

    #[test]
    fn what_was_taken_too_much_is_owed() {
        let now = any_moment();
        let mut bucket = Bucket::full(rate(2), now);
        bucket.take(3);
        assert_eq!((bucket.level(), bucket.available()), (-1, 0));
        assert_eq!(bucket.one_at(), now + SECOND);
    }

    #[test]
    fn another_goes_on_from_when_it_will_be_full() {
        let now = any_moment();
        let mut bucket = Bucket::full(rate(1000), now);
        bucket.take(750);
        let mut other = Bucket::full_from(rate(1000), bucket.full_at(), now);
        assert_eq!(other.available(), 250);
        other.refill(now + SECOND / 4);
        assert_eq!(other.available(), 500);
        // On other terms the same share of a second is to come.
        assert_eq!(
            Bucket::full_from(rate(4), bucket.full_at(), now).available(),
            1
        );
        // What is owed goes along, and whatever another process said, ten minutes fill it.
        for (said, full_after) in [(2, 2), (100, 100), (100_000, 600)] {
            let late = Bucket::full_from(rate(4), now + said * SECOND, now);
            assert_eq!(late.full_at(), now + full_after * SECOND);
        }
    }

    proptest! {
        /// In no time more is given than that time brings, and what the bucket holds.
        #[test]
        fn no_window_has_more_than_the_rate_and_a_burst(
            per_second in prop_oneof![1..50_u64, 1..u64::MAX],
            steps in vec((0..2_000_000_000_u64, any::<u64>()), 1..60),
        ) {
            let mut now = any_moment();
            let mut bucket = Bucket::full(rate(per_second), now);
            let mut given = Vec::new();
            for (wait, wanted) in steps {
                now += Duration::from_nanos(wait);
                bucket.refill(now);
                let some = bucket.available().min(wanted);
                bucket.take(some);
                given.push((now, u128::from(some)));
            }
            for first in 0..given.len() {
                let mut sum = 0;
                for (at, some) in &given[first..] {
                    sum += some;
                    let window = at.duration_since(given[first].0).as_nanos();
                    let bound = u128::from(per_second) * (window + 1_000_000_000) / 1_000_000_000;
                    prop_assert!(sum <= bound, "{sum} in {window} ns, at {per_second} a second");
                }
            }
        }
    }
}
