//! A machine, and the one that it was before it gave up its state: both must do the same.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use crate::payload::PingPayload;
use crate::{Heartbeat, Output, PerSide, Policy, PongVerdict, Reading, Side, Vitals};

pub(super) struct Twins {
    heart: Heartbeat,
    /// Never frozen.
    other: Heartbeat,
    policies: PerSide<Policy>,
    opened: Instant,
}

impl Twins {
    /// Two of what `make` makes.
    pub(super) fn new(
        make: impl Fn() -> Heartbeat,
        policies: PerSide<Policy>,
        opened: Instant,
    ) -> Self {
        Self {
            heart: make(),
            other: make(),
            policies,
            opened,
        }
    }

    pub(super) fn freeze(&mut self, now: Instant) {
        let state = self.heart.freeze();
        let thawed = Heartbeat::thaw(state, self.policies, self.opened, now);
        self.heart = thawed.expect("a heartbeat gave it up");
        assert_eq!(self.heart.freeze(), self.other.freeze());
    }

    /// The one meets the new policies as it thaws, the other as it beats.
    pub(super) fn freeze_and_change(&mut self, policies: PerSide<Policy>, now: Instant) {
        // A stall that nobody has noticed yet is noticed under the old policies, or under the new.
        let _ = self.lapse_due(Side::Client, now);
        self.policies = policies;
        self.other.set_policy(policies, now);
        self.freeze(now);
    }

    pub(super) fn set_policy(&mut self, policies: PerSide<Policy>, now: Instant) {
        self.policies = policies;
        self.both(|heart| heart.set_policy(policies, now));
    }

    pub(super) fn handle_heard(&mut self, side: Side, bytes: usize, now: Instant) {
        self.both(|heart| heart.handle_heard(side, bytes, now));
    }

    pub(super) fn handle_ping_placed(&mut self, side: Side) {
        self.both(|heart| heart.handle_ping_placed(side));
    }

    pub(super) fn handle_ping_written(&mut self, side: Side, now: Instant) -> Duration {
        self.both(|heart| heart.handle_ping_written(side, now))
    }

    pub(super) fn handle_foreign_ping(&mut self, side: Side, payload: &[u8]) {
        self.both(|heart| heart.handle_foreign_ping(side, payload));
    }

    /// Where it answers nothing the one is told of it, and the other that there was one.
    pub(super) fn handle_pong(&mut self, side: Side, payload: &[u8], now: Instant) -> PongVerdict {
        if payload.len() != PingPayload::LEN && !self.heart.awaits_pong(side) {
            let verdict = self.heart.handle_pong(side, payload, now);
            self.other.handle_idle_pongs(side, now);
            assert_eq!(self.heart.freeze(), self.other.freeze());
            return verdict;
        }
        self.both(|heart| heart.handle_pong(side, payload, now))
    }

    pub(super) fn handle_reading(&mut self, side: Side, reading: Reading, now: Instant) {
        self.both(|heart| heart.handle_reading(side, reading, now));
    }

    pub(super) fn handle_link_progress(&mut self, side: Side, now: Instant) {
        self.both(|heart| heart.handle_link_progress(side, now));
    }

    pub(super) fn handle_closing(&mut self) {
        self.both(Heartbeat::handle_closing);
    }

    pub(super) fn handle_stall(&mut self, stalled: Duration) {
        self.both(|heart| heart.handle_stall(stalled));
    }

    pub(super) fn handle_late_wake_up(&mut self, now: Instant) {
        self.both(|heart| heart.handle_late_wake_up(now));
    }

    pub(super) fn lapse_due(&mut self, side: Side, now: Instant) -> bool {
        self.both(|heart| heart.lapse_due(side, now))
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.both(|heart| heart.handle_timeout(now));
    }

    pub(super) fn poll_output(&mut self, now: Instant) -> Option<Output> {
        self.both(|heart| heart.poll_output(now))
    }

    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        self.both(|heart| heart.poll_timeout())
    }

    pub(super) fn payload(&mut self, side: Side) -> PingPayload {
        self.both(|heart| heart.payload(side))
    }

    pub(super) fn vitals(&mut self, side: Side) -> Vitals {
        self.both(|heart| heart.vitals(side))
    }

    pub(super) fn heap_size(&self) -> usize {
        self.heart.heap_size()
    }

    pub(super) fn is_pinged(&self, side: Side) -> bool {
        self.policies[side].interval().is_some()
    }

    fn both<T: PartialEq + Debug>(&mut self, call: impl Fn(&mut Heartbeat) -> T) -> T {
        let answer = call(&mut self.heart);
        assert_eq!(answer, call(&mut self.other), "frozen, and never frozen");
        answer
    }
}
