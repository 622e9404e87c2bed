//! The machine under any operations in any order, as a function that panics when it misbehaves.
//!
//! One body, three callers: a property test, the fuzz target `heartbeat_ops` (through the feature
//! `check`), and an ordinary test that replays the committed corpus. What the machine should
//! decide is not checked here but in `tests/sim`, which knows what the peers are up to.

mod twins;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use self::twins::Twins;
use crate::{
    Enforce, Entropy, Evidence, Heartbeat, Jitter, Mode, Output, PerSide, PingPayload, Policy,
    PongVerdict, Reading, Side,
};

/// Two policies and a seed, then operations: two bytes each, what and how much.
pub fn heartbeat_ops(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut next = || bytes.next();
    let Some(mut bench) = Bench::new(&mut next) else {
        return;
    };
    while let (Some(what), Some(how)) = (next(), next()) {
        bench.apply(what, how);
    }
}

/// The machine, and what a driver would know about it.
struct Bench {
    heart: Twins,
    now: Instant,
    legs: PerSide<Leg>,
    phase: Phase,
}

#[derive(Default)]
struct Leg {
    owed: Option<Owed>,
    /// Payloads of own pings that have a place, in order.
    own: Vec<PingPayload>,
    foreign: HashSet<Vec<u8>>,
}

struct Owed {
    payload: PingPayload,
    place: Place,
}

#[derive(PartialEq)]
enum Place {
    None,
    Taken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Beating,
    Closing,
    Lapsed,
}

impl Bench {
    fn new(next: &mut impl FnMut() -> Option<u8>) -> Option<Self> {
        let policies = PerSide {
            client: policy([next()?, next()?, next()?])?,
            upstream: policy([next()?, next()?, next()?])?,
        };
        let entropy = Entropy::from_bytes([next()?; Entropy::LEN]);
        let now = epoch();
        let make = || Heartbeat::new(policies, entropy, now);
        Some(Self {
            heart: Twins::new(make, policies, now),
            now,
            legs: PerSide::default(),
            phase: Phase::Beating,
        })
    }

    fn apply(&mut self, what: u8, how: u8) {
        let side = Side::BOTH[usize::from(what & 1)];
        match (what >> 1) % 12 {
            0 => self.now += Duration::from_micros(u64::from(how)),
            1 => self.now += Duration::from_millis(u64::from(how)),
            2 => self.now += Duration::from_millis(1 << (how % 37)),
            // From one byte to more than can stand ahead of a pong.
            3 => {
                let bytes = 1 << (how % 26);
                self.heart.handle_heard(side, bytes, self.now);
            }
            4 => self.pong(side, how),
            5 => self.foreign_ping(side, how),
            6 => self.place_or_write(side),
            7 => self.heart.handle_reading(side, Reading::Paused, self.now),
            8 => self.heart.handle_reading(side, Reading::Resumed, self.now),
            9 => self.heart.handle_link_progress(side, self.now),
            10 if how == 0 => {
                self.heart.handle_closing();
                if self.phase == Phase::Beating {
                    self.phase = Phase::Closing;
                }
            }
            10 if how == 1 => {
                // Long enough for anything to be due in it.
                let stalled = Duration::from_millis(1 << 12);
                self.heart.handle_stall(stalled);
                self.now += stalled;
            }
            10 if how == 2 => self.heart.handle_late_wake_up(self.now),
            10 if how < 64 => self.heart.freeze(self.now),
            10 if how < 128 => self.heart.set_policy(policies_of(how), self.now),
            10 if how < 160 => self.heart.freeze_and_change(policies_of(how), self.now),
            _ => self.wake(),
        }
        assert!(self.heart.heap_size() <= Heartbeat::HEAP_MAX);
        let vitals = self.heart.vitals(side);
        assert!(vitals.pongs_received <= self.legs[side].own.len() as u64);
        assert!(vitals.last_life <= self.now && vitals.last_heard <= self.now);
    }

    /// What a wake-up does after reading; or only at the time that was asked for.
    fn wake(&mut self) {
        for side in Side::BOTH {
            let due = self.heart.lapse_due(side, self.now);
            assert!(!due || self.phase == Phase::Beating);
        }
        self.heart.handle_timeout(self.now);
        while let Some(output) = self.heart.poll_output(self.now) {
            assert_eq!(self.phase, Phase::Beating, "nothing follows an end");
            match output {
                Output::SendPing { side } => {
                    assert!(self.heart.is_pinged(side), "pings are off");
                    let payload = self.heart.payload(side);
                    let place = Place::None;
                    let owed = self.legs[side].owed.replace(Owed { payload, place });
                    assert!(owed.is_none(), "one ping at a time");
                }
                Output::Lapsed { .. } => self.phase = Phase::Lapsed,
                Output::WouldHaveLapsed { .. } => {}
            }
        }
        let next = self.heart.poll_timeout();
        assert!(next.is_none_or(|next| next > self.now), "wants the past");
        assert!(next.is_none() || self.phase == Phase::Beating);
    }

    fn place_or_write(&mut self, side: Side) {
        let leg = &mut self.legs[side];
        match &mut leg.owed {
            Some(owed) if owed.place == Place::None => {
                owed.place = Place::Taken;
                leg.own.push(owed.payload);
                self.heart.handle_ping_placed(side);
            }
            Some(_) => {
                leg.owed = None;
                self.heart.handle_ping_written(side, self.now);
            }
            None => {}
        }
    }

    fn foreign_ping(&mut self, side: Side, how: u8) {
        let payload = payload_of(how);
        self.heart.handle_foreign_ping(side, &payload);
        self.legs[side].foreign.insert(payload);
    }

    fn pong(&mut self, side: Side, how: u8) {
        let leg = &self.legs[side];
        let recent = leg.own.iter().rev().nth(usize::from(how >> 1));
        let payload = match (how & 1, recent, &leg.owed) {
            (0, Some(own), _) => own.as_bytes().to_vec(),
            // One that was made but is not in the stream yet.
            (0, None, Some(owed)) => owed.payload.as_bytes().to_vec(),
            _ => payload_of(how >> 1),
        };
        let own = leg.own.iter().any(|own| own.as_bytes()[..] == payload);
        match self.heart.handle_pong(side, &payload, self.now) {
            PongVerdict::Ours { repair, .. } => {
                assert!(own, "a foreign pong was swallowed");
                assert!(repair.is_none_or(|repair| leg.foreign.contains(&repair)));
            }
            PongVerdict::Foreign => assert!(!own, "an own pong was passed on"),
        }
    }
}

/// A payload of a foreign ping: few, so that they recur; empty and of full length among them.
fn payload_of(how: u8) -> Vec<u8> {
    match how % 16 {
        0 => Vec::new(),
        1 => vec![how; 125],
        tail => vec![how; usize::from(tail)],
    }
}

/// Other policies, off among them.
fn policies_of(how: u8) -> PerSide<Policy> {
    let of = |how: u8| policy([how.wrapping_mul(37), how % 29, how]).unwrap_or_default();
    PerSide {
        client: of(how),
        upstream: of(how / 3),
    }
}

fn policy([interval, timeout, rest]: [u8; 3]) -> Option<Policy> {
    let millis = |byte: u8| Duration::from_millis(1 << (byte % 35));
    let interval = (interval < 240).then(|| millis(interval));
    let jitter = Jitter::try_new([0.0, 0.1, 0.5, 1.0][usize::from(rest & 3)]).ok()?;
    let mut policy = Policy::try_new(interval, millis(timeout), jitter).ok()?;
    policy.mode = [Mode::Interval, Mode::Idle][usize::from(rest >> 2 & 1)];
    policy.evidence = [Evidence::Any, Evidence::Pong][usize::from(rest >> 3 & 1)];
    policy.enforce = match rest >> 4 & 3 {
        0 | 1 => Enforce::Always,
        2 => Enforce::Learned,
        _ => Enforce::Never,
    };
    Some(policy)
}

/// An `Instant` can be had of the clock only; which one it is makes no difference.
#[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
fn epoch() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(512)
        })]

        #[test]
        fn any_operations_in_any_order(data in vec(any::<u8>(), 0..2000)) {
            heartbeat_ops(&data);
        }
    }

    #[test]
    fn replays_the_corpus() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/heartbeat_ops");
        let mut inputs = 0;
        for entry in fs::read_dir(&corpus).expect("the corpus is committed") {
            heartbeat_ops(&fs::read(entry.unwrap().path()).unwrap());
            inputs += 1;
        }
        assert!(inputs > 0, "{} is empty", corpus.display());
    }
}
