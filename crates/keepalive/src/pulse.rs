//! The heartbeat of one side: when it is pinged next, and until when it has to give a sign of
//! life. Its pings and pongs are kept by the [`Ledger`].

mod change;
mod state;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::state::PulseState;
use crate::chance::Chance;
use crate::foreign::PingRow;
use crate::ledger::{Answer, Ledger, Reply, Written};
use crate::moment::{Grid, Moment, Span};
use crate::payload::{Nonce, PingPayload};
use crate::policy::{Enforce, Evidence, Mode, Policy};
use crate::rtt::Rtt;

/// One side's heartbeat.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// Shared by all pairs that have the same.
    policy: Arc<Policy>,
    ledger: Ledger,
    rtt: Option<Rtt>,
    /// Matched pongs.
    answered: u64,
    /// Since when the one own ping that may be under way was due; `None` if there is none.
    due: Option<Moment>,
    /// It was handed out, and the driver is looking for a place or for room in the socket.
    owed: bool,
    /// The next ping is due `wait` after `base`. Both sides of a pair draw the same share of what
    /// jitter leaves: where their intervals are the same, so are the moments of their pings, and one
    /// wake-up serves both.
    base: Moment,
    wait: Span,
    last_heard: Moment,
    last_life: Moment,
    /// So many own pings, or more, were written after the last sign of life (or after the last deadline that was only
    /// observed): they run the clock.
    running: u8,
    deadline: Option<Deadline>,
    /// Since when lubdub does not read this side.
    paused: Option<Moment>,
    /// A matched pong was seen: under [`Enforce::Learned`], lapses count from here on.
    learned: bool,
    /// The present silence was already reported as a lapse that would have been.
    observed: bool,
}

/// Where the one own ping that may be owed stands, as it goes along to another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OwnPing {
    /// Not due.
    Resting,
    /// Due since then, to be handed out.
    Due(Moment),
    /// Handed out, and the driver is looking for a place or for room in the socket.
    Owed(Moment),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Deadline {
    at: Moment,
    /// When the ping was written that runs this clock.
    since: Moment,
    /// Bytes read since then that were no sign of life.
    read: u32,
    /// It was re-armed after a late wake-up already: once per own ping.
    rearmed: bool,
}

impl Deadline {
    /// More was read than can have stood ahead of the pong: that the side is not read at times
    /// excuses nothing any more. Else one that sends faster than the other reads would be paused,
    /// and so excused, for ever.
    fn is_unexcused(&self) -> bool {
        self.read >= Pulse::AHEAD_MAX
    }
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
    /// After a pause of at least this length a deadline is never nearer than this. A shorter pause moves it
    /// by its own length and no more: else who is not read every now and then would never be found dead.
    const AFTER_PAUSE: Duration = Duration::from_secs(1);

    /// What kernels may hold of one connection, on both hosts together.
    pub(crate) const AHEAD_MAX: u32 = 16 * 1024 * 1024;

    /// The grid on which pings fall is this share of the time that jitter leaves them, and at most
    /// [`Pulse::COARSEST`].
    const STEPS: u32 = 10;
    const COARSEST: Duration = Duration::from_millis(10);

    pub(crate) fn new(policy: Arc<Policy>, nonce: Nonce, chance: Chance) -> Self {
        let wait = policy
            .interval()
            .map(|interval| chance.draw(0, interval / 2, interval));
        Self {
            policy,
            ledger: Ledger::new(nonce),
            rtt: None,
            answered: 0,
            due: None,
            owed: false,
            base: Moment::OPENED,
            wait: wait.unwrap_or_default().into(),
            last_heard: Moment::OPENED,
            last_life: Moment::OPENED,
            running: 0,
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

    pub(crate) fn last_heard(&self) -> Moment {
        self.last_heard
    }

    pub(crate) fn last_life(&self) -> Moment {
        self.last_life
    }

    pub(crate) fn sent(&self) -> u64 {
        self.ledger.next()
    }

    pub(crate) fn oldest_unanswered(&self) -> u64 {
        self.ledger.oldest()
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    pub(crate) fn owes_ping(&self) -> bool {
        self.owed
    }

    fn own(&self) -> OwnPing {
        match self.due {
            None => OwnPing::Resting,
            Some(due) if self.owed => OwnPing::Owed(due),
            Some(due) => OwnPing::Due(due),
        }
    }

    /// What the next ping to be written carries.
    pub(crate) fn payload(&self) -> PingPayload {
        self.ledger.payload()
    }

    pub(crate) fn heap_size(&self) -> usize {
        self.ledger.heap_size()
    }

    /// When the next ping is due; `None` while one is owed, or none may be sent.
    pub(crate) fn ping_due(&self) -> Option<Moment> {
        self.policy.interval()?;
        if self.due.is_some() || self.is_full() {
            return None;
        }
        Some(self.scheduled())
    }

    /// When the ping was written that runs the clock.
    pub(crate) fn clock_since(&self) -> Option<Moment> {
        Some(self.deadline?.since)
    }

    /// Until when the side has to give a sign of life; `None` if it owes none, or while it is not
    /// read.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        let deadline = self.deadline?;
        (self.pause_of(&deadline).is_none()).then_some(deadline.at)
    }

    /// Since when the clock of `deadline` stands because the side is not read.
    fn pause_of(&self, deadline: &Deadline) -> Option<Moment> {
        self.paused.filter(|_| !deadline.is_unexcused())
    }

    /// When something is due next.
    pub(crate) fn next(&self) -> Moment {
        let [ping, lapse] = [self.ping_due(), self.deadline()];
        ping.unwrap_or(Moment::NEVER)
            .min(lapse.unwrap_or(Moment::NEVER))
    }

    // --- input

    /// Returns whether that changed what is due when.
    pub(crate) fn heard(&mut self, bytes: usize, now: Moment) -> bool {
        self.last_heard = now;
        match self.policy.evidence {
            Evidence::Any => {
                if self.on_life(now) {
                    return true;
                }
            }
            Evidence::Pong => {
                if let Some(deadline) = &mut self.deadline {
                    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                    deadline.read = deadline.read.saturating_add(bytes);
                    if self.paused.is_some() {
                        // Its clock may have stood until now.
                        return true;
                    }
                }
            }
        }
        self.policy.mode == Mode::Idle
    }

    /// Says also whether that changed what is due when.
    pub(crate) fn pong(&mut self, payload: &[u8], now: Moment) -> (Answer, bool) {
        let settled = self.on_life(now);
        let answer = self.ledger.pong(payload, now);
        if let Answer::Own { reply, .. } = answer {
            self.on_reply(reply);
        }
        (answer, settled)
    }

    /// See [`Ledger::awaits_pong`].
    pub(crate) fn awaits_pong(&self) -> bool {
        self.ledger.awaits_pong()
    }

    /// Pongs came that answer nothing in particular. Says whether that changed what is due when.
    pub(crate) fn idle_pongs(&mut self, now: Moment) -> bool {
        self.on_life(now)
    }

    pub(crate) fn foreign_pings(&mut self, payload: &[u8], row: PingRow) {
        self.ledger.foreign_pings(payload, row);
    }

    /// The ping that is owed took its place in the stream.
    pub(crate) fn placed(&mut self) {
        self.ledger.place();
    }

    /// The owed ping was written. Returns how long it was due.
    pub(crate) fn written(&mut self, now: Moment, chance: Chance) -> Duration {
        let delay = self.due.take().map(|due| now.since(due));
        self.owed = false;
        match self.ledger.written(now) {
            Written::Excused => self.running = 0,
            // It was on its way already when pings were switched off.
            Written::Unanswered if !self.is_pinged() => self.running = 0,
            Written::Unanswered if self.deadline.is_none() => {
                self.running = self.running.saturating_add(1);
                self.deadline = Some(Deadline {
                    at: now + self.policy.timeout(),
                    since: now,
                    read: 0,
                    rearmed: false,
                });
            }
            Written::Unanswered => self.running = self.running.saturating_add(1),
        }
        self.base = now;
        self.draw(chance);
        delay.unwrap_or_default()
    }

    pub(crate) fn pause(&mut self, now: Moment) {
        self.paused.get_or_insert(now);
    }

    pub(crate) fn resume(&mut self, now: Moment) {
        let Some(paused) = self.paused.take() else {
            return;
        };
        if let Some(deadline) = self.deadline.as_mut().filter(|at| !at.is_unexcused()) {
            // Of the pause, only what lies after the ping was time that it ran.
            let lost = now.since(paused.max(deadline.since));
            deadline.at = deadline.at + lost;
            if now.since(paused) >= Self::AFTER_PAUSE {
                deadline.at = deadline.at.max(now + Self::AFTER_PAUSE);
            }
        }
    }

    // --- time

    /// A due ping becomes ready to be handed out.
    pub(crate) fn ring(&mut self, now: Moment) {
        if let Some(due) = self.ping_due().filter(|due| *due <= now) {
            self.due = Some(due);
        }
    }

    /// Moves the next ping onto the grid, unless that would be earlier than jitter allows.
    pub(crate) fn align(&mut self, grid: Grid) {
        let Some(interval) = self.policy.interval() else {
            return;
        };
        let least = self.least(interval);
        let step = ((interval - least) / Self::STEPS).min(Self::COARSEST);
        let aligned = grid.before(self.base + self.wait, step.into());
        if aligned >= self.base + least {
            self.wait = aligned.span_since(self.base);
        }
    }

    /// Hands out the ping that is due, once.
    pub(crate) fn take_ping(&mut self) -> bool {
        let is_new = self.due.is_some() && !self.owed;
        self.owed |= is_new;
        is_new
    }

    /// After a late wake-up the clock of a ping starts anew, once.
    pub(crate) fn rearm(&mut self, now: Moment) {
        let Some(mut deadline) = self.deadline.filter(|deadline| !deadline.rearmed) else {
            return;
        };
        // The clock of a side that is not read stands since the pause began.
        let pause = self.pause_of(&deadline);
        let clock = pause.map_or(now, |paused| paused.max(deadline.since));
        deadline.at = deadline.at.max(clock + self.policy.timeout());
        deadline.rearmed = true;
        self.deadline = Some(deadline);
    }

    /// Time that the process stood still does not count.
    pub(crate) fn postpone(&mut self, stalled: Duration) {
        let paused = self.paused;
        if let Some(deadline) = &mut self.deadline {
            // The clock of a side that is not read stands anyway.
            if paused.is_none() || deadline.is_unexcused() {
                deadline.at = deadline.at + stalled;
            }
        }
    }

    /// The side gets another timeout.
    pub(crate) fn extend(&mut self, now: Moment) {
        if let Some(deadline) = &mut self.deadline {
            deadline.at = deadline.at.max(now + self.policy.timeout());
        }
    }

    /// Whether the deadline has passed.
    pub(crate) fn is_overdue(&self, now: Moment) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }

    /// Whether [`Pulse::expire`] would find a lapse.
    pub(crate) fn would_lapse(&self, now: Moment) -> bool {
        self.is_overdue(now) && self.is_enforced()
    }

    pub(crate) fn expire(&mut self, now: Moment) -> Expiry {
        if !self.is_overdue(now) {
            return Expiry::None;
        }
        if self.is_enforced() {
            return Expiry::Lapsed;
        }
        // The pings so far are given up, so that the pinging goes on.
        self.settle(now);
        if std::mem::replace(&mut self.observed, true) {
            Expiry::None
        } else {
            Expiry::Observed
        }
    }

    fn is_pinged(&self) -> bool {
        self.policy.interval().is_some()
    }

    /// How long after its base the next ping is due is a matter of chance.
    fn draw(&mut self, chance: Chance) {
        if let Some(interval) = self.policy.interval() {
            let least = self.least(interval);
            self.wait = chance.draw(self.ledger.next(), least, interval).into();
        }
    }

    /// The next ping is due no earlier than this after its base.
    fn least(&self, interval: Duration) -> Duration {
        match self.ledger.next() {
            0 => interval / 2,
            _ => interval
                .mul_f64(1.0 - self.policy.jitter().share())
                .min(interval),
        }
    }

    fn is_enforced(&self) -> bool {
        match self.policy.enforce {
            Enforce::Always => true,
            Enforce::Learned => self.learned,
            Enforce::Never => false,
        }
    }

    /// Returns whether that changed what is due when: with every message of a busy side it is so that
    /// no ping waits for its pong.
    fn on_life(&mut self, now: Moment) -> bool {
        self.last_life = now;
        self.observed = false;
        let is_owed = self.deadline.is_some() || self.running > 0;
        if is_owed {
            self.settle(now);
        }
        is_owed
    }

    fn on_reply(&mut self, reply: Reply) {
        // Also a late one shows that this peer answers.
        self.learned = true;
        if reply != Reply::Late {
            self.answered += 1;
        }
        if let Some(sample) = reply.rtt() {
            match &mut self.rtt {
                Some(rtt) => rtt.update(sample),
                None => self.rtt = Some(Rtt::first(sample)),
            }
        }
    }

    /// The pings so far run no clock any more, and hold back no further one.
    fn settle(&mut self, now: Moment) {
        if self.is_full() && self.scheduled() < now {
            // The one that was held back is due from now on: nobody was late for it.
            self.base = now;
            self.wait = Span::default();
        }
        self.running = 0;
        self.deadline = None;
    }

    /// From this sequence number on they run the clock, or from an earlier one.
    fn mark(&self) -> u64 {
        self.ledger.next().saturating_sub(self.running.into())
    }

    /// Whether as many are unanswered as may be.
    fn is_full(&self) -> bool {
        self.ledger.is_full(self.mark())
    }

    /// When the next ping is due, unless something holds it back.
    fn scheduled(&self) -> Moment {
        self.scheduled_in(self.policy.mode)
    }

    fn scheduled_in(&self, mode: Mode) -> Moment {
        let base = match mode {
            Mode::Interval => self.base,
            Mode::Idle => self.base.max(self.last_heard),
        };
        base + self.wait
    }
}
