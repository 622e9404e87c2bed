//! The heartbeat of one side: when it is pinged next, and until when it has to give a sign of
//! life. Its pings and pongs are kept by the [`Ledger`].

use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::ledger::{Answer, Ledger, Written};
use crate::payload::PingPayload;
use crate::policy::{Enforce, Evidence, Mode, Policy};
use crate::rtt::Rtt;

/// One side's heartbeat.
#[derive(Debug)]
pub(crate) struct Pulse {
    policy: Policy,
    ledger: Ledger,
    rtt: Option<Rtt>,
    /// Matched pongs.
    answered: u64,
    own: OwnPing,
    /// The next ping is due `wait` after `base`.
    base: Instant,
    wait: Duration,
    last_heard: Instant,
    last_life: Instant,
    /// Own pings from this sequence number on were written after the last sign of life (or after
    /// the last deadline that was only observed): they run the clock.
    mark: u64,
    deadline: Option<Deadline>,
    /// Since when lubdub does not read this side.
    paused: Option<Instant>,
    /// A matched pong was seen: under [`Enforce::Learned`], lapses count from here on.
    learned: bool,
    /// The present silence was already reported as a lapse that would have been.
    observed: bool,
}

/// Where the one own ping that may be owed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OwnPing {
    /// Not due.
    Resting,
    /// Due since then, to be handed out.
    Due(Instant),
    /// Handed out, and the driver is looking for a place or for room in the socket.
    Owed(Instant),
}

#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Instant,
    /// When the ping was written that runs this clock.
    since: Instant,
    /// It was re-armed after a late wake-up already: once per own ping.
    rearmed: bool,
}

/// What [`Pulse::expire`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// No deadline has passed.
    None,
    /// The side has lapsed.
    Lapsed,
    /// It would have, were lapses enforced; reported once per silence.
    Observed,
}

impl Pulse {
    /// "Never nearer than 1 s after reading resumes."
    const AFTER_PAUSE: Duration = Duration::from_secs(1);

    pub(crate) fn new(policy: Policy, nonce: [u8; 8], now: Instant, chance: &mut Chance) -> Self {
        let wait = policy
            .interval()
            .map(|interval| chance.between(interval / 2, interval));
        Self {
            policy,
            ledger: Ledger::new(nonce),
            rtt: None,
            answered: 0,
            own: OwnPing::Resting,
            base: now,
            wait: wait.unwrap_or_default(),
            last_heard: now,
            last_life: now,
            mark: 0,
            deadline: None,
            paused: None,
            learned: false,
            observed: false,
        }
    }

    // --- getters

    pub(crate) fn rtt(&self) -> Option<Rtt> {
        self.rtt
    }

    pub(crate) fn last_heard(&self) -> Instant {
        self.last_heard
    }

    pub(crate) fn last_life(&self) -> Instant {
        self.last_life
    }

    pub(crate) fn sent(&self) -> u64 {
        self.ledger.next()
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// When the next ping is due; `None` while one is owed, or none may be sent.
    pub(crate) fn ping_due(&self) -> Option<Instant> {
        self.policy.interval()?;
        if self.own != OwnPing::Resting || self.ledger.is_full(self.mark) {
            return None;
        }
        let base = match self.policy.mode {
            Mode::Interval => self.base,
            Mode::Idle => self.base.max(self.last_heard),
        };
        Some(base + self.wait)
    }

    /// Until when the side has to give a sign of life; `None` if it owes none, or while it is not
    /// read.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match (self.deadline, self.paused) {
            (Some(deadline), None) => Some(deadline.at),
            _ => None,
        }
    }

    // --- input

    pub(crate) fn heard(&mut self, now: Instant) {
        self.last_heard = now;
        if self.policy.evidence == Evidence::Any {
            self.on_life(now);
        }
    }

    pub(crate) fn pong(&mut self, payload: &[u8], now: Instant, age: Duration) -> Answer {
        self.on_life(now);
        let answer = self.ledger.pong(payload, age);
        if let Answer::Own {
            rtt: Some(sample), ..
        } = &answer
        {
            self.learned = true;
            self.answered += 1;
            match &mut self.rtt {
                Some(rtt) => rtt.update(*sample),
                None => self.rtt = Some(Rtt::first(*sample)),
            }
        }
        answer
    }

    pub(crate) fn foreign_ping(&mut self, payload: &[u8]) {
        self.ledger.foreign_ping(payload);
    }

    /// The ping that is owed took its place in the stream.
    pub(crate) fn placed(&mut self) {
        self.ledger.place();
    }

    /// The owed ping was written. Returns how long it was due.
    pub(crate) fn written(&mut self, now: Instant, age: Duration, chance: &mut Chance) -> Duration {
        let delay = match self.own {
            OwnPing::Due(due) | OwnPing::Owed(due) => now.saturating_duration_since(due),
            OwnPing::Resting => Duration::ZERO,
        };
        self.own = OwnPing::Resting;
        self.base = now;
        if let Some(interval) = self.policy.interval() {
            let least = interval.mul_f64(1.0 - self.policy.jitter().share());
            self.wait = chance.between(least.min(interval), interval);
        }
        match self.ledger.written(age) {
            Written::Answered => self.mark = self.ledger.next(),
            Written::Unanswered if self.deadline.is_none() => {
                self.deadline = Some(Deadline {
                    at: now + self.policy.timeout(),
                    since: now,
                    rearmed: false,
                });
            }
            Written::Unanswered => {}
        }
        delay
    }

    pub(crate) fn pause(&mut self, now: Instant) {
        self.paused.get_or_insert(now);
    }

    pub(crate) fn resume(&mut self, now: Instant) {
        let Some(paused) = self.paused.take() else {
            return;
        };
        if let Some(deadline) = &mut self.deadline {
            // Of the pause, only what lies after the ping was time that it ran.
            let lost = now.saturating_duration_since(paused.max(deadline.since));
            deadline.at = (deadline.at + lost).max(now + Self::AFTER_PAUSE);
        }
    }

    // --- time

    /// A due ping becomes ready to be handed out.
    pub(crate) fn ring(&mut self, now: Instant) {
        if let Some(due) = self.ping_due().filter(|due| *due <= now) {
            self.own = OwnPing::Due(due);
        }
    }

    /// Hands out the ping that is due, once.
    pub(crate) fn take_ping(&mut self) -> Option<PingPayload> {
        let OwnPing::Due(due) = self.own else {
            return None;
        };
        self.own = OwnPing::Owed(due);
        Some(self.ledger.payload())
    }

    /// After a late wake-up the clock of a ping starts anew, once.
    pub(crate) fn rearm(&mut self, now: Instant) {
        if let Some(deadline) = self.deadline.as_mut().filter(|deadline| !deadline.rearmed) {
            deadline.at = deadline.at.max(now + self.policy.timeout());
            deadline.rearmed = true;
        }
    }

    /// Whether [`Pulse::expire`] would find a lapse.
    pub(crate) fn would_lapse(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|at| at <= now) && self.is_enforced()
    }

    pub(crate) fn expire(&mut self, now: Instant) -> Expiry {
        if self.deadline().is_none_or(|at| at > now) {
            return Expiry::None;
        }
        if self.is_enforced() {
            return Expiry::Lapsed;
        }
        // The pings so far are given up, so that the pinging goes on.
        self.deadline = None;
        self.mark = self.ledger.next();
        if std::mem::replace(&mut self.observed, true) {
            Expiry::None
        } else {
            Expiry::Observed
        }
    }

    fn is_enforced(&self) -> bool {
        match self.policy.enforce {
            Enforce::Always => true,
            Enforce::Learned => self.learned,
            Enforce::Never => false,
        }
    }

    fn on_life(&mut self, now: Instant) {
        self.last_life = now;
        self.mark = self.ledger.next();
        self.deadline = None;
        self.observed = false;
    }
}
