//! How often one source may ask for an upgrade.
//!
//! governor has the arithmetic (GCRA: a number for each source, which says when it has its whole burst
//! again). The numbers are kept here, because what it brings to keep them grows with the sources that there
//! ever were. A source that has not asked for a second has its whole burst again and need not be known any
//! more. So there are two generations: each lasts a second, and is forgotten with the end of the next.
//! A flood of other sources ends a generation early, when it has [`GENERATION`] of them: at least so many that
//! asked last are known at any time, and at most twice as many.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use tokio::time::Instant;

use super::source::Source;

/// So many sources are known at least, if as many ask within two seconds.
const GENERATION: usize = 65_536;

/// After so long a source has its whole burst again, which is what it may do in a second.
const WHOLE_AGAIN: Duration = Duration::from_secs(1);

/// A bound on upgrades a second from one source.
#[derive(Debug)]
pub(super) struct HandshakeRate {
    rate: NonZeroU32,
    limiter: RateLimiter<Source, Known, Watch, NoOpMiddleware<Duration>>,
}

/// The sources that asked of late.
#[derive(Debug)]
struct Known {
    clock: Watch,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    current: HashMap<Source, Nanos, RandomState>,
    previous: HashMap<Source, Nanos, RandomState>,
    /// When the current one began.
    began: Duration,
}

/// The time since it was made.
#[derive(Debug, Clone)]
struct Watch(Instant);

// === impl HandshakeRate ===

impl HandshakeRate {
    /// So many a second, and as many at once.
    pub(super) fn new(rate: NonZeroU32) -> Arc<Self> {
        let clock = Watch(Instant::now());
        let known = Known {
            clock: clock.clone(),
            generations: Mutex::default(),
        };
        Arc::new(Self {
            rate,
            limiter: RateLimiter::new(Quota::per_second(rate), known, clock),
        })
    }

    pub(super) fn rate(&self) -> NonZeroU32 {
        self.rate
    }

    /// Whether the source may ask once more now.
    pub(super) fn admits(&self, source: Source) -> bool {
        self.limiter.check_key(&source).is_ok()
    }
}

// === impl Known ===

impl StateStore for Known {
    type Key = Source;

    fn measure_and_replace<T, F, E>(&self, source: &Source, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let now = self.clock.now();
        let generations = self.generations.lock();
        // Nothing that is done under the lock leaves it half changed.
        let mut generations = generations.unwrap_or_else(PoisonError::into_inner);
        generations.move_on(now);
        let (passed, next) = measure(generations.find(source))?;
        generations.current.insert(*source, next);
        Ok(passed)
    }
}

// === impl Generations ===

impl Generations {
    /// Begins another generation if this one is over.
    fn move_on(&mut self, now: Duration) {
        let age = now.saturating_sub(self.began);
        if age < WHOLE_AGAIN && self.current.len() < GENERATION {
            return;
        }
        self.previous = std::mem::take(&mut self.current);
        if age >= 2 * WHOLE_AGAIN {
            // Nobody asked in the last second.
            self.previous = HashMap::default();
        }
        self.began = now;
    }

    fn find(&self, source: &Source) -> Option<Nanos> {
        let known = self.current.get(source);
        known.or_else(|| self.previous.get(source)).copied()
    }
}

// === impl Watch ===

impl Clock for Watch {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::time::advance;

    use super::*;

    fn source(bits: u32) -> Source {
        IpAddr::from(Ipv4Addr::from_bits(bits)).into()
    }

    fn rate(rate: u32) -> Arc<HandshakeRate> {
        HandshakeRate::new(NonZeroU32::new(rate).unwrap())
    }

    fn known() -> Known {
        Known {
            clock: Watch(Instant::now()),
            generations: Mutex::default(),
        }
    }

    impl Known {
        /// Says of a source that it has asked.
        fn note(&self, bits: u32) {
            let noted: Result<(), ()> =
                self.measure_and_replace(&source(bits), |_| Ok(((), Nanos::from(1))));
            noted.unwrap();
        }

        fn knows(&self, bits: u32) -> bool {
            self.generations
                .lock()
                .unwrap()
                .find(&source(bits))
                .is_some()
        }

        fn len(&self) -> usize {
            let generations = self.generations.lock().unwrap();
            generations.current.len() + generations.previous.len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_has_its_burst_and_then_its_rate() {
        let rate = rate(20);
        let asked = |times: usize| (0..times).filter(|_| rate.admits(source(1))).count();
        assert_eq!(asked(50), 20);
        assert!(rate.admits(source(2)), "another source has its own");
        advance(Duration::from_millis(50)).await;
        assert_eq!(asked(50), 1);
        advance(Duration::from_millis(500)).await;
        assert_eq!(asked(50), 10);
        advance(Duration::from_secs(60)).await;
        assert_eq!(asked(50), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_sources_has_its_bound_and_the_last_are_known() {
        const FLOOD: u32 = 300_000;
        let known = known();
        for bits in 0..FLOOD {
            known.note(bits);
        }
        assert!(known.len() <= 2 * GENERATION, "{} are known", known.len());
        let mut last = FLOOD - u32::try_from(GENERATION).unwrap()..FLOOD;
        assert!(last.all(|bits| known.knows(bits)));
        assert!(!known.knows(0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_not_asked_for_a_while_is_forgotten() {
        let known = known();
        for bits in 0..1000 {
            known.note(bits);
        }
        advance(WHOLE_AGAIN).await;
        known.note(7);
        assert_eq!(known.len(), 1001, "the second one is new");
        advance(WHOLE_AGAIN).await;
        known.note(7);
        assert_eq!(known.len(), 2);
        advance(10 * WHOLE_AGAIN).await;
        known.note(8);
        assert_eq!(known.len(), 1);
    }

    /// However a source asks, it is not forgotten before it has its whole burst again.
    #[tokio::test(start_paused = true)]
    async fn to_be_forgotten_brings_a_source_nothing() {
        let rate = rate(10);
        for step in [1, 30, 70, 99, 101, 250, 640, 999, 1001, 1999, 2001] {
            let began = Instant::now();
            let mut passed = 0;
            let mut burst = 10.0;
            let mut last = began;
            for _ in 0..200 {
                let now = Instant::now();
                let again: f64 = (now - last).as_secs_f64() * 10.0;
                burst = f64::min(10.0, burst + again);
                last = now;
                while rate.admits(source(3)) {
                    passed += 1;
                    burst -= 1.0;
                }
                assert!(burst > -0.001, "step {step}: {passed} in {:?}", now - began);
                advance(Duration::from_millis(step)).await;
            }
            advance(Duration::from_secs(5)).await;
        }
    }
}
