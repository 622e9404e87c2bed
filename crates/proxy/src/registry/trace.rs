//! The trace of a heartbeat: what became of the last own pings to each side of a pair.
//!
//! Every pair keeps one, so each ping has less than six bits of it. A round trip is kept as a step on a scale on
//! which each step is 30 % longer than the one before: what is read is off by 14 % at the most. The latest is
//! known exactly.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What became of an own ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Its pong came, after so long. `None` if that cannot be told: the pong was there before the ping was known to
    /// be written, or very long after.
    Answered(Option<Duration>),
    /// The pong to a later ping answered it as well (RFC 6455 5.5.3).
    Covered,
    /// Another ping was written since, and no pong has come.
    Missed,
    /// It is the latest, and no pong has come yet.
    Waiting,
}

/// What became of the last own pings to one side. Written by the task of the pair, and read by anybody.
///
/// A ping is a digit of a number: eleven of them are in a word, which is written and read in one.
#[derive(Debug, Default)]
pub(crate) struct Trace([AtomicU64; Self::WORDS]);

/// The same as plain numbers, for another process.
pub(crate) type TraceState = [u64; Trace::WORDS];

/// What a digit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Nothing is known of the ping.
    Nothing,
    /// It was written, and is not answered.
    Written,
    Covered,
    /// Answered, in a time that cannot be told.
    Untimed,
    Timed(Duration),
}

impl Trace {
    /// So many pings are shown.
    pub(crate) const SHOWN: u64 = 64;

    const WORDS: usize = 6;
    const DIGITS: u64 = 11;
    /// As large as it can be with so many digits in a word.
    const BASE: u64 = 56;
    /// What a digit counts, by its place.
    const PLACES: [u64; Self::DIGITS as usize] = {
        let mut places = [1; Self::DIGITS as usize];
        let mut at = 1;
        while at < places.len() {
            places[at] = places[at - 1] * Self::BASE;
            at += 1;
        }
        places
    };
    /// Two more than are shown: where a ping is about to be written, it is none of those.
    const SLOTS: u64 = Self::DIGITS * Self::WORDS as u64;

    /// Ping `n` to this side is, from now on, as `mark` says.
    pub(crate) fn set(&self, n: u64, mark: Mark) {
        let (word, place) = self.digit(n);
        let digits = word.load(Relaxed);
        let before = digits / place % Self::BASE;
        let after = mark.digit();
        // Nobody else writes.
        word.store(digits - before * place + after * place, Relaxed);
    }

    /// What became of the last of `sent` pings, oldest first. `latest` is the latest round trip.
    pub(crate) fn beats(&self, sent: u64, latest: Option<Duration>) -> Vec<Beat> {
        let shown = sent.saturating_sub(Self::SHOWN)..sent;
        let beats = shown.filter_map(|n| match self.get(n) {
            Mark::Nothing => None,
            Mark::Written if n + 1 == sent => Some(Beat::Waiting),
            Mark::Written => Some(Beat::Missed),
            Mark::Covered => Some(Beat::Covered),
            Mark::Untimed => Some(Beat::Answered(None)),
            Mark::Timed(rtt) => Some(Beat::Answered(Some(rtt))),
        });
        let mut beats: Vec<_> = beats.collect();
        let mut newest_first = beats.iter_mut().rev();
        let timed = newest_first.find_map(|beat| match beat {
            Beat::Answered(Some(rtt)) => Some(rtt),
            Beat::Answered(None) | Beat::Covered | Beat::Missed | Beat::Waiting => None,
        });
        if let (Some(timed), Some(latest)) = (timed, latest) {
            // They are of one moment, or the one is newer and the other is told next time.
            if step(*timed) == step(latest) {
                *timed = latest;
            }
        }
        beats
    }

    pub(crate) fn freeze(&self) -> TraceState {
        std::array::from_fn(|at| self.0[at].load(Relaxed))
    }

    /// Whatever the numbers are, they say something.
    pub(crate) fn thaw(&self, state: &TraceState) {
        for (word, digits) in self.0.iter().zip(state) {
            word.store(*digits, Relaxed);
        }
    }

    fn get(&self, n: u64) -> Mark {
        let (word, place) = self.digit(n);
        Mark::of(word.load(Relaxed) / place % Self::BASE)
    }

    /// Where ping `n` is: the word, and the place of its digit.
    fn digit(&self, n: u64) -> (&AtomicU64, u64) {
        let slot = n % Self::SLOTS;
        let place = Self::PLACES[(slot % Self::DIGITS) as usize];
        (&self.0[(slot / Self::DIGITS) as usize], place)
    }
}

// === impl Mark ===

impl Mark {
    /// Digits from here on are round trips.
    const TIMED: u64 = 4;

    fn digit(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Written => 1,
            Self::Covered => 2,
            Self::Untimed => 3,
            Self::Timed(rtt) => Self::TIMED + step(rtt),
        }
    }

    fn of(digit: u64) -> Self {
        match digit {
            0 => Self::Nothing,
            1 => Self::Written,
            2 => Self::Covered,
            3 => Self::Untimed,
            timed => Self::Timed(length(timed - Self::TIMED)),
        }
    }
}

/// The steps of the scale in microseconds: from 100 us to 65 s, each 30 % longer than the one before.
const SCALE: [u32; (Trace::BASE - Mark::TIMED) as usize] = {
    let mut scale = [100; (Trace::BASE - Mark::TIMED) as usize];
    let mut at = 1;
    while at < scale.len() {
        scale[at] = (scale[at - 1] as u64 * 13 / 10) as u32;
        at += 1;
    }
    scale
};

/// The step of the scale that is nearest to a round trip: none is off by more than 14 %.
fn step(rtt: Duration) -> u64 {
    let micros = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX);
    // In the middle between two steps, as 1.14 is between 1 and 1.3.
    let is_passed = |step: &u32| u64::from(*step) * 114 / 100 < u64::from(micros);
    let passed = SCALE.partition_point(is_passed);
    passed.min(SCALE.len() - 1) as u64
}

/// The round trip at a step of the scale.
fn length(step: u64) -> Duration {
    Duration::from_micros(SCALE[step as usize].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_digits_of_a_word_fit_into_it() {
        let most = u128::from(Trace::BASE).pow(Trace::DIGITS as u32);
        assert!(most <= 1 << 64);
        const { assert!(Trace::SLOTS > Trace::SHOWN) };
        assert_eq!(Mark::Timed(ms(1_000_000)).digit(), Trace::BASE - 1);
    }

    #[test]
    fn each_ping_is_as_it_was_said_last_whatever_becomes_of_others() {
        let trace = Trace::default();
        let marks = [
            Mark::Written,
            Mark::Covered,
            Mark::Untimed,
            Mark::Timed(ms(60_000)),
        ];
        for n in 0..500_u64 {
            trace.set(n, Mark::Timed(ms(60_000)));
            trace.set(n, marks[n as usize % marks.len()]);
            for known in (n + 1).saturating_sub(Trace::SLOTS)..=n {
                let said = marks[known as usize % marks.len()].digit();
                assert_eq!(trace.get(known).digit(), said, "{known} of {n}");
            }
        }
    }

    #[test]
    fn a_round_trip_is_off_by_a_seventh_at_the_most() {
        let mut rtt = Duration::from_micros(100);
        while rtt < ms(60_000) {
            let told = length(step(rtt));
            let off = told.as_secs_f64() / rtt.as_secs_f64();
            assert!((0.86..1.15).contains(&off), "{told:?} of {rtt:?}");
            assert_eq!(step(told), step(rtt), "what was told is told again");
            rtt = rtt.mul_f64(1.01);
        }
        assert_eq!(length(step(Duration::ZERO)), Duration::from_micros(100));
        let longest = length(step(ms(1_000_000)));
        assert!(longest > ms(60_000), "{longest:?}");
    }

    #[test]
    fn the_last_pings_are_told_oldest_first() {
        let trace = Trace::default();
        assert_eq!(trace.beats(0, None), []);
        for n in 0..4 {
            trace.set(n, Mark::Written);
        }
        assert_eq!(
            trace.beats(4, None),
            [Beat::Missed, Beat::Missed, Beat::Missed, Beat::Waiting]
        );
        trace.set(1, Mark::Covered);
        trace.set(2, Mark::Timed(ms(123)));
        assert_eq!(
            trace.beats(4, Some(ms(123))),
            [
                Beat::Missed,
                Beat::Covered,
                Beat::Answered(Some(ms(123))),
                Beat::Waiting
            ]
        );
        trace.set(3, Mark::Untimed);
        assert_eq!(trace.beats(4, Some(ms(123)))[3], Beat::Answered(None));
        for n in 4..200 {
            trace.set(n, Mark::Written);
        }
        assert_eq!(trace.beats(200, None).len(), 64);
    }

    /// The pings that another process has sent, of a release that did not tell of them, all looked missed.
    #[test]
    fn of_pings_that_nothing_is_known_of_nothing_is_told() {
        let trace = Trace::default();
        trace.set(99, Mark::Written);
        assert_eq!(trace.beats(100, None), [Beat::Waiting]);
    }

    #[test]
    fn it_goes_along_to_another_process() {
        let (old, new) = (Trace::default(), Trace::default());
        for n in 0..70 {
            old.set(n, Mark::Timed(ms(n)));
        }
        new.thaw(&old.freeze());
        assert_eq!(new.beats(70, None), old.beats(70, None));
        new.thaw(&[u64::MAX; Trace::WORDS]);
        assert_eq!(new.beats(70, None).len(), 64, "any numbers say something");
    }
}
