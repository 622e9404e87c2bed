//! How often something may happen: so many times a second, and as many at once after a pause.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A bound on how often something happens.
#[derive(Debug)]
pub(super) struct Rate {
    /// From one to the next.
    gap: Duration,
    burst: u32,
    /// When all that was taken would have been given back.
    full_at: Mutex<Option<Instant>>,
}

impl Rate {
    pub(super) const fn per_second(count: u32) -> Self {
        Self {
            gap: Duration::from_nanos(1_000_000_000 / count as u64),
            burst: count,
            full_at: Mutex::new(None),
        }
    }

    /// Whether it may happen now; then it counts.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let next = full_at.map_or(now, |at| at.max(now)) + self.gap;
        let is_allowed = next <= now + self.gap * self.burst;
        if is_allowed {
            *full_at = Some(next);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_at_a_time() {
        let rate = Rate::per_second(10);
        let now = Instant::now();
        assert!((0..10).all(|_| rate.take(now)));
        assert!(!rate.take(now));
        let later = now + Duration::from_millis(100);
        assert!(rate.take(later));
        assert!(!rate.take(later));
        let calm = now + Duration::from_secs(60);
        assert_eq!((0..20).filter(|_| rate.take(calm)).count(), 10);
    }
}
