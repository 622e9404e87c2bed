//! What a change of the configuration does to a heartbeat that is beating.

use std::sync::Arc;
use std::time::Duration;

use super::Pulse;
use crate::chance::Chance;
use crate::moment::{Moment, Span};
use crate::policy::{Mode, Policy};

impl Pulse {
    /// Goes on under another policy. Returns whether that moved the next ping.
    pub(crate) fn set_policy(&mut self, policy: Arc<Policy>, now: Moment, chance: Chance) -> bool {
        let before = std::mem::replace(&mut self.policy, policy);
        let mode = before.interval().map(|_| before.mode);
        before != self.policy && self.adapt(mode, now, chance)
    }

    /// The next ping was scheduled in this mode, or not at all, and perhaps for another interval.
    /// Returns whether it was moved.
    pub(super) fn adapt(&mut self, before: Option<Mode>, now: Moment, chance: Chance) -> bool {
        let Some(interval) = self.policy.interval() else {
            if before.is_some() {
                self.fall_silent(now);
            }
            return false;
        };
        let latest = match before {
            Some(mode) => self.scheduled_in(mode).max(now),
            None => now + interval,
        };
        let is_drawn = before.is_none() || Duration::from(self.wait) > interval;
        if is_drawn {
            self.draw(chance);
        }
        if !is_drawn && before == Some(self.policy.mode) {
            return false;
        }
        if self.scheduled() < now {
            // It should have been sent already. Of all pairs that find this at once, each takes a
            // moment of its own.
            let within = latest.since(now).min(interval);
            self.base = now;
            self.wait = chance
                .draw(self.ledger.next(), Duration::ZERO, within)
                .into();
        }
        true
    }

    /// Pings were switched off: who is not pinged any more need not prove anything.
    fn fall_silent(&mut self, now: Moment) {
        if !self.owed {
            self.due = None;
        }
        self.settle(now);
        self.wait = Span::default();
    }
}
