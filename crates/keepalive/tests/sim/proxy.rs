//! lubdub, as far as the machine is concerned: follows the call order that `Heartbeat` documents,
//! and checks every answer.

mod rules;

use std::collections::{HashSet, VecDeque};
use std::time::Instant;

use lubdub_keepalive::{
    Entropy, Heartbeat, Output, PerSide, PingPayload, PongVerdict, Reading, Side,
};

use crate::journal::{Event, Journal};
use crate::link::{Frame, Link};
use crate::oracle::Oracle;
use crate::script::{Flush, Script, Time, Window};

pub(crate) struct Proxy {
    pub(crate) heart: Heartbeat,
    pub(crate) journals: PerSide<Journal>,
    /// Payloads of the foreign pings, by their tags.
    pub(crate) foreign: Vec<ForeignPing>,
    /// When the machine asked to be woken.
    asked: Option<Time>,
    /// The runtime knows nothing yet of what became readable during a stall.
    readiness: Readiness,
    phase: Phase,
    legs: PerSide<Leg>,
    epoch: Instant,
    script: Script,
}

#[derive(Debug, Clone)]
pub(crate) struct ForeignPing {
    pub(crate) payload: Vec<u8>,
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
    own: HashSet<Vec<u8>>,
    paused: bool,
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
        let epoch = epoch();
        let entropy = Entropy::from_bytes(std::array::from_fn(|n| {
            script.seed.wrapping_mul(31).wrapping_add(n as u8)
        }));
        let heart = Heartbeat::new(script.policies, entropy, epoch);
        let mut proxy = Self {
            asked: None,
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

    pub(crate) fn next_wake(&self, links: &Links<'_>, now: Time) -> Option<Time> {
        let sides = Side::BOTH.into_iter().flat_map(|side| {
            let leg = &self.legs[side];
            let arrival = links.from_peer[side].next_arrival().filter(|_| !leg.paused);
            let owed = leg
                .owed
                .as_ref()
                .map(|owed| if owed.placed { owed.write } else { owed.place });
            self.next_switch(side, now)
                .into_iter()
                .chain(arrival)
                .chain(owed)
        });
        let next = sides.chain(self.asked).min()?;
        Some(Window::after(&self.script.proxy.stalls, next.max(now)))
    }

    /// One wake-up, in the documented order.
    pub(crate) fn wake(&mut self, now: Time, links: &mut Links<'_>) {
        if self
            .asked
            .is_some_and(|asked| now > asked + Heartbeat::LATE)
        {
            self.note_both(now, Event::Late);
        }
        let stalls = &self.script.proxy.stalls;
        let stalled = stalls.iter().any(|stall| stall.to == now);
        self.readiness = match self.readiness {
            Readiness::Known if stalled => Readiness::Stale,
            Readiness::Known | Readiness::Stale => Readiness::Known,
        };

        for side in Side::BOTH {
            self.switch_reading(side, now);
            if self.readiness == Readiness::Known {
                self.read(side, now, links);
            }
        }
        self.write_owed(now, links);
        for side in Side::BOTH {
            if self.heart.lapse_due(side, self.at(now)) {
                self.read(side, now, links);
            }
        }
        self.heart.handle_timeout(self.at(now));
        self.carry_out(now);
        self.write_owed(now, links);
        self.asked = self.poll_timeout();
        self.check_schedule(now);
        if self.readiness == Readiness::Stale {
            // The runtime's news are on their way.
            self.asked = Some(now);
        }
    }

    /// What the machine still wants, long after it said what ended the pair.
    pub(crate) fn after_the_end(&mut self, now: Time) -> Option<Output> {
        assert_eq!(self.heart.poll_timeout(), None);
        self.heart.handle_timeout(self.at(now));
        self.heart.poll_output(self.at(now))
    }

    // --- private steps

    /// When reading pauses or resumes.
    fn next_switch(&self, side: Side, now: Time) -> Option<Time> {
        if self.is_to_pause(side, now) != self.legs[side].paused {
            return Some(now);
        }
        let pauses = self.script.proxy.pauses[side].iter();
        let edges = pauses.flat_map(|window| [window.from, window.to]);
        edges.filter(|at| *at > now).min()
    }

    fn is_to_pause(&self, side: Side, now: Time) -> bool {
        let mut pauses = self.script.proxy.pauses[side].iter();
        pauses.any(|window| window.contains(now))
    }

    fn switch_reading(&mut self, side: Side, now: Time) {
        let paused = self.is_to_pause(side, now);
        if paused == self.legs[side].paused {
            return;
        }
        self.legs[side].paused = paused;
        let (reading, event) = if paused {
            (Reading::Paused, Event::Paused)
        } else {
            (Reading::Resumed, Event::Resumed)
        };
        self.journals[side].push(now, event);
        self.heart.handle_reading(side, reading, self.at(now));
    }

    fn read(&mut self, side: Side, now: Time, links: &mut Links<'_>) {
        if self.legs[side].paused {
            return;
        }
        while let Some(frame) = links.from_peer[side].receive(now) {
            self.journals[side].push(now, Event::Heard);
            self.heart.handle_heard(side, self.at(now));
            match frame {
                Frame::Pong {
                    payload,
                    speaks_for,
                } => {
                    self.judge_pong(side, payload, speaks_for, now, links);
                }
                Frame::Close | Frame::Fin => {
                    self.heart.handle_closing();
                    self.phase = Phase::Closing;
                    for leg in [&mut self.legs.client, &mut self.legs.upstream] {
                        leg.owed.take_if(|owed| !owed.placed);
                    }
                    self.legs[side.other()].closed |= frame == Frame::Close;
                    self.forward(side.other(), frame, now, links);
                }
                Frame::Ping { .. } | Frame::Data => self.forward(side.other(), frame, now, links),
            }
        }
    }

    fn judge_pong(
        &mut self,
        side: Side,
        payload: Vec<u8>,
        speaks_for: Option<usize>,
        now: Time,
        links: &mut Links<'_>,
    ) {
        self.journals[side].push(now, Event::Pong);
        let verdict = self.heart.handle_pong(side, &payload, self.at(now));
        let own = self.legs[side].own.contains(&payload);
        match verdict {
            PongVerdict::Ours { rtt, repair } => {
                assert!(own, "a foreign pong was swallowed");
                self.journals[side].push(now, Event::Swallowed(rtt));
                self.check_repair(side, repair.as_deref(), speaks_for);
                if let Some(payload) = repair {
                    self.journals[side].push(now, Event::Repaired);
                    if !self.legs[side.other()].closed {
                        let speaks_for = None;
                        self.forward(
                            side.other(),
                            Frame::Pong {
                                payload,
                                speaks_for,
                            },
                            now,
                            links,
                        );
                    }
                }
            }
            PongVerdict::Foreign => {
                assert!(!own, "an own pong was passed to the other end");
                self.forward(
                    side.other(),
                    Frame::Pong {
                        payload,
                        speaks_for,
                    },
                    now,
                    links,
                );
            }
        }
    }

    fn forward(&mut self, side: Side, frame: Frame, now: Time, links: &mut Links<'_>) {
        if let Frame::Ping {
            payload,
            id: Some(id),
        } = &frame
        {
            self.heart.handle_foreign_ping(side, payload);
            self.foreign[*id].own_before = self.legs[side].own.len();
        }
        let is_behind = self.legs[side]
            .owed
            .as_ref()
            .is_some_and(|owed| owed.placed)
            && self.script.proxy.flush == Flush::Prompt;
        if is_behind {
            self.legs[side].backlog.push_back(frame);
        } else {
            links.to_peer[side].send(frame, now);
        }
    }

    fn write_owed(&mut self, now: Time, links: &mut Links<'_>) {
        for side in Side::BOTH {
            let leg = &mut self.legs[side];
            let Some(owed) = leg.owed.as_mut().filter(|owed| owed.place <= now) else {
                continue;
            };
            let ping = Frame::Ping {
                payload: owed.payload.as_bytes().to_vec(),
                id: None,
            };
            if !std::mem::replace(&mut owed.placed, true) {
                self.heart.handle_ping_placed(side);
                self.journals[side].push(now, Event::Placed);
                leg.own.insert(owed.payload.as_bytes().to_vec());
                if self.script.proxy.flush == Flush::Late {
                    links.to_peer[side].send(ping.clone(), now);
                }
            }
            if owed.write > now {
                continue;
            }
            leg.owed = None;
            if self.script.proxy.flush == Flush::Prompt {
                links.to_peer[side].send(ping, now);
            }
            for frame in leg.backlog.drain(..) {
                links.to_peer[side].send(frame, now);
            }
            self.journals[side].push(now, Event::Written);
            let now = self.at(now);
            let _ = self.heart.handle_ping_written(side, now);
            let unanswered = self.oracle(side).unanswered();
            assert!(
                unanswered <= 16,
                "{side}: {unanswered} pings are unanswered"
            );
        }
    }

    /// Carries out what the machine wants, after checking that it had to, and may.
    fn carry_out(&mut self, now: Time) {
        let due = PerSide::from_fn(|side| self.deadline_passed(side, now));
        while let Some(output) = self.heart.poll_output(self.at(now)) {
            assert_eq!(self.phase, Phase::Beating, "nothing follows an end");
            match output {
                Output::SendPing { side, payload } => self.owe(side, payload, now),
                Output::Lapsed { side, silent_for } => {
                    assert!(
                        due[side] && self.oracle(side).is_enforced(),
                        "{side}: lapsed early"
                    );
                    assert_eq!(silent_for, now - self.oracle(side).last_life());
                    self.journals[side].push(now, Event::Lapsed { silent_for });
                    self.phase = Phase::Over;
                }
                Output::WouldHaveLapsed { side, silent_for } => {
                    assert!(due[side] && !self.oracle(side).is_enforced());
                    assert!(!self.oracle(side).is_observed(), "{side}: reported twice");
                    assert_eq!(silent_for, now - self.oracle(side).last_life());
                    self.journals[side].push(now, Event::WouldHaveLapsed);
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
        let in_turn = |delays: &[Time], n: usize| {
            let turn = n.checked_rem(delays.len());
            turn.map_or(Time::ZERO, |turn| delays[turn])
        };
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

    fn deadline_passed(&self, side: Side, now: Time) -> bool {
        self.phase == Phase::Beating && self.oracle(side).deadline().is_some_and(|at| at <= now)
    }

    fn note_both(&mut self, now: Time, event: Event) {
        for side in Side::BOTH {
            self.journals[side].push(now, event);
        }
    }

    pub(crate) fn new_foreign_ping(&mut self, payload: &[u8]) -> usize {
        self.foreign.push(ForeignPing {
            payload: payload.to_vec(),
            own_before: 0,
        });
        self.foreign.len() - 1
    }

    fn poll_timeout(&self) -> Option<Time> {
        Some(self.heart.poll_timeout()?.duration_since(self.epoch))
    }

    fn at(&self, now: Time) -> Instant {
        self.epoch + now
    }
}

/// An `Instant` can be had of the clock only; which one it is makes no difference.
#[expect(clippy::disallowed_methods, reason = "the origin of virtual time")]
fn epoch() -> Instant {
    Instant::now()
}
