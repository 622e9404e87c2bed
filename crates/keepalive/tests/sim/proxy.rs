//! lubdub, as far as the machine is concerned: follows the call order that `Heartbeat` documents,
//! and checks every answer.

mod freeze;
mod rules;
mod stream;

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use lubdub_keepalive::{Entropy, Heartbeat, Output, PerSide, PingPayload, Policy, Reading, Side};

use crate::dice::Dice;
use crate::journal::{Event, Journal};
use crate::link::{Frame, Link};
use crate::oracle::Oracle;
use crate::payload::Payload;
use crate::script::{History, NEVER, Script, Time};

pub(crate) struct Proxy {
    pub(crate) heart: Heartbeat,
    pub(crate) journals: PerSide<Journal>,
    /// Payloads of the foreign pings, by their tags.
    pub(crate) foreign: Vec<ForeignPing>,
    /// When the pair lapsed, or the first goodbye passed.
    pub(crate) ended: Option<Time>,
    /// The deadline by which nothing was heard of a side that lapsed, or would have.
    pub(crate) run_out: PerSide<Option<Time>>,
    /// When the machine asked to be woken.
    asked: Option<Time>,
    /// How often it was.
    wakes: usize,
    /// Which are in force.
    policies: PerSide<Policy>,
    /// How many changes of them there were.
    changed: usize,
    /// How often another process has gone on.
    pub(crate) frozen: u64,
    /// Says when one does.
    dice: Dice,
    /// The runtime knows nothing yet of what became readable during a stall.
    readiness: Readiness,
    phase: Phase,
    legs: PerSide<Leg>,
    epoch: Instant,
    script: Script,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ForeignPing {
    pub(crate) payload: Payload,
    /// Own pings that stood before it when it was forwarded.
    own_before: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Beating,
    Closing,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Readiness {
    Known,
    Stale,
}

#[derive(Debug, Default)]
struct Leg {
    owed: Option<Owed>,
    /// Stands behind a placed ping that is not written yet.
    backlog: VecDeque<Frame>,
    /// The payloads of the own pings that have a place.
    own: HashSet<Payload>,
    paused: bool,
    /// When reading may pause or resume.
    next_switch: Time,
    closed: bool,
    /// How many own pings were handed out.
    asked: usize,
}

#[derive(Debug)]
struct Owed {
    payload: PingPayload,
    place: Time,
    write: Time,
    placed: bool,
}

/// Both links of a side, as the proxy sees them.
pub(crate) struct Links<'a> {
    pub(crate) to_peer: PerSide<&'a mut Link>,
    pub(crate) from_peer: PerSide<&'a mut Link>,
}

impl Proxy {
    pub(crate) fn new(script: Script) -> Self {
        let started = now();
        let epoch = started + script.proxy.grid.unwrap_or_default();
        let mut dice = Dice::new(script.seed);
        let entropy = Entropy::from_bytes(std::array::from_fn(|_| dice.below(256) as u8));
        let mut heart = Heartbeat::new(script.policies, entropy, epoch);
        if script.proxy.grid.is_some() {
            heart = heart.on_grid(started);
        }
        let mut proxy = Self {
            ended: None,
            run_out: PerSide::default(),
            asked: None,
            wakes: 0,
            policies: script.policies,
            changed: 0,
            frozen: 0,
            dice,
            heart,
            journals: PerSide::default(),
            foreign: Vec::new(),
            readiness: Readiness::Known,
            phase: Phase::Beating,
            legs: PerSide::default(),
            epoch,
            script,
        };
        proxy.asked = proxy.poll_timeout();
        proxy
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    pub(crate) fn oracle(&self, side: Side) -> Oracle<'_> {
        Oracle {
            policy: &self.script.policies[side],
            journal: &self.journals[side],
        }
    }

    pub(crate) fn next_wake(&self, links: &Links<'_>, now: Time) -> Time {
        let mut next = match (self.readiness, self.asked) {
            // The runtime's news are on their way.
            (Readiness::Stale, _) => now,
            (Readiness::Known, Some(asked)) => asked + in_turn(&self.script.proxy.lags, self.wakes),
            (Readiness::Known, None) => NEVER,
        };
        if let Some(change) = self.script.proxy.changes.get(self.changed) {
            next = next.min(change.at);
        }
        for side in Side::BOTH {
            let leg = &self.legs[side];
            next = next.min(leg.next_switch);
            if !leg.paused {
                next = next.min(links.from_peer[side].next_arrival());
            }
            if let Some(owed) = &leg.owed {
                next = next.min(if owed.placed { owed.write } else { owed.place });
            }
        }
        self.script.proxy.stalls.after(next.max(now))
    }

    /// One wake-up, in the documented order.
    pub(crate) fn wake(&mut self, now: Time, links: &mut Links<'_>) {
        if self
            .asked
            .is_some_and(|asked| now > asked + Heartbeat::LATE)
        {
            self.note_both(now, Event::Late);
        }
        self.wakes += 1;
        self.readiness = match self.readiness {
            Readiness::Known if self.script.proxy.stalls.ends_at(now) => Readiness::Stale,
            Readiness::Known | Readiness::Stale => Readiness::Known,
        };

        self.change_policies(now);
        self.freeze(now);
        for side in Side::BOTH {
            self.switch_reading(side, now);
            if self.readiness == Readiness::Known {
                self.read(side, now, links);
            }
        }
        self.freeze(now);
        self.write_owed(now, links);
        for side in Side::BOTH {
            if self.heart.lapse_due(side, self.at(now)) {
                self.read(side, now, links);
            }
        }
        for side in Side::BOTH {
            if self.heart.lapse_due(side, self.at(now)) {
                self.look_at_link(side, now, links);
            }
        }
        self.freeze(now);
        self.heart.handle_timeout(self.at(now));
        self.freeze(now);
        self.carry_out(now);
        self.write_owed(now, links);
        self.freeze(now);
        self.asked = self.poll_timeout();
        self.check_schedule(now);
        if self.script.history == History::Recent {
            self.forget();
        }
    }

    /// What the machine still wants, long after it said what ended the pair.
    pub(crate) fn after_the_end(&mut self, now: Time) -> Option<Output> {
        assert_eq!(self.heart.poll_timeout(), None);
        self.heart.handle_timeout(self.at(now));
        self.heart.poll_output(self.at(now))
    }

    // --- private steps

    fn switch_reading(&mut self, side: Side, now: Time) {
        let (pauses, leg) = (&self.script.proxy.pauses[side], &mut self.legs[side]);
        if now < leg.next_switch {
            return;
        }
        leg.next_switch = pauses.next_edge(now);
        let paused = pauses.contains(now);
        if std::mem::replace(&mut leg.paused, paused) == paused {
            return;
        }
        let (reading, event) = if paused {
            (Reading::Paused, Event::Paused)
        } else {
            (Reading::Resumed, Event::Resumed)
        };
        self.journals[side].push(now, event);
        self.heart.handle_reading(side, reading, self.at(now));
    }

    fn change_policies(&mut self, now: Time) {
        while let Some(change) = self.script.proxy.changes.get(self.changed) {
            if change.at > now {
                return;
            }
            self.changed += 1;
            for side in Side::BOTH {
                let policy = change.policies[side];
                if policy != self.policies[side] {
                    self.journals[side].push(now, Event::Changed(policy));
                }
            }
            self.policies = change.policies;
            let at = self.at(now);
            self.heart.set_policy(self.policies, at);
        }
    }

    /// Carries out what the machine wants, after checking that it had to, and may.
    fn carry_out(&mut self, now: Time) {
        let due = PerSide::from_fn(|side| self.has_run_out(side, now));
        while let Some(output) = self.heart.poll_output(self.at(now)) {
            assert_eq!(self.phase, Phase::Beating, "nothing follows an end");
            match output {
                Output::SendPing { side } => self.owe(side, self.heart.payload(side), now),
                Output::Lapsed { side, silent_for } => {
                    assert!(
                        due[side] && self.oracle(side).is_enforced(),
                        "{side}: lapsed early"
                    );
                    let [deadline, other] =
                        [side, side.other()].map(|side| self.oracle(side).deadline());
                    let others = due[side.other()] && self.oracle(side.other()).is_enforced();
                    assert!(
                        !others || deadline <= other,
                        "{side}: the other one was first"
                    );
                    assert_eq!(silent_for, now - self.oracle(side).last_life());
                    self.accuse(side, now, Event::Lapsed { silent_for });
                    self.phase = Phase::Over;
                    self.ended = Some(now);
                }
                Output::WouldHaveLapsed { side, silent_for } => {
                    assert!(due[side] && !self.oracle(side).is_enforced());
                    assert!(!self.oracle(side).is_observed(), "{side}: reported twice");
                    assert_eq!(silent_for, now - self.oracle(side).last_life());
                    self.accuse(side, now, Event::WouldHaveLapsed);
                }
            }
        }
        if self.phase != Phase::Beating {
            return;
        }
        for side in Side::BOTH.into_iter().filter(|side| due[*side]) {
            assert!(
                !self.oracle(side).is_enforced(),
                "{side}: should have lapsed"
            );
            assert!(
                self.oracle(side).is_observed(),
                "{side}: should have been reported"
            );
            self.journals[side].push(now, Event::GivenUp);
        }
    }

    fn owe(&mut self, side: Side, payload: PingPayload, now: Time) {
        let (earliest, _) = self.oracle(side).next_ping().expect("this side is pinged");
        assert!(
            now >= earliest,
            "{side}: pinged at {now:?}, before {earliest:?}"
        );
        assert!(self.legs[side].owed.is_none(), "{side}: one ping at a time");
        self.journals[side].push(now, Event::Asked);
        let n = self.legs[side].asked;
        let place = now + in_turn(&self.script.proxy.place_delays, n);
        let write = place + in_turn(&self.script.proxy.write_delays, n);
        self.legs[side].asked += 1;
        self.legs[side].owed = Some(Owed {
            payload,
            place,
            write,
            placed: false,
        });
    }

    fn has_run_out(&self, side: Side, now: Time) -> bool {
        self.phase == Phase::Beating && self.oracle(side).deadline().is_some_and(|at| at <= now)
    }

    /// The side lapsed, or would have.
    fn accuse(&mut self, side: Side, now: Time, event: Event) {
        self.run_out[side] = self.oracle(side).deadline();
        self.journals[side].push(now, event);
    }

    /// Leaves the journals what the rules still ask for.
    fn forget(&mut self) {
        for side in Side::BOTH {
            if self.journals[side].is_long() {
                let settled = self.oracle(side).settled();
                self.journals[side].fold(settled);
            }
        }
    }

    fn note_both(&mut self, now: Time, event: Event) {
        for side in Side::BOTH {
            self.journals[side].push(now, event);
        }
    }

    fn poll_timeout(&self) -> Option<Time> {
        Some(self.heart.poll_timeout()?.duration_since(self.epoch))
    }

    fn at(&self, now: Time) -> Instant {
        self.epoch + now
    }
}

fn in_turn(delays: &[Time], n: usize) -> Time {
    let turn = n.checked_rem(delays.len());
    turn.map_or(Time::ZERO, |turn| delays[turn])
}

/// An `Instant` can be had of the clock only; which one it is makes no difference.
#[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
fn now() -> Instant {
    Instant::now()
}
