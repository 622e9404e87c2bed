//! The heartbeat of one side as plain data.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Deadline, OwnPing, Pulse};
use crate::chance::Chance;
use crate::heartbeat::InvalidState;
use crate::ledger::{Ledger, LedgerState};
use crate::moment::{Moment, Span};
use crate::policy::{Mode, Policy};
use crate::rtt::Rtt;

/// All that a side's heartbeat knows, but its policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PulseState {
    ledger: LedgerState,
    rtt: Option<Rtt>,
    answered: u64,
    own: OwnPing,
    base: Moment,
    wait: Span,
    /// How the next ping was scheduled; `None` if pings were off.
    mode: Option<Mode>,
    last_heard: Moment,
    last_life: Moment,
    mark: u64,
    deadline: Option<Deadline>,
    paused: Option<Moment>,
    learned: bool,
    observed: bool,
}

impl Pulse {
    pub(crate) fn freeze(&self) -> PulseState {
        PulseState {
            ledger: self.ledger.freeze(),
            rtt: self.rtt,
            answered: self.answered,
            own: self.own(),
            base: self.base,
            wait: self.wait,
            mode: self.policy.interval().map(|_| self.policy.mode),
            last_heard: self.last_heard,
            last_life: self.last_life,
            mark: self.mark(),
            deadline: self.deadline,
            paused: self.paused,
            learned: self.learned,
            observed: self.observed,
        }
    }

    /// Goes on from a state that was [checked](PulseState::check). Returns also whether another
    /// policy has moved the next ping.
    pub(crate) fn thaw(
        state: PulseState,
        policy: Arc<Policy>,
        now: Moment,
        chance: Chance,
    ) -> (Self, bool) {
        let running = state.ledger.next.saturating_sub(state.mark);
        let (due, owed) = match state.own {
            OwnPing::Resting => (None, false),
            OwnPing::Due(due) => (Some(due), false),
            OwnPing::Owed(due) => (Some(due), true),
        };
        let mut pulse = Self {
            policy,
            ledger: Ledger::thaw(state.ledger),
            rtt: state.rtt,
            answered: state.answered,
            due,
            owed,
            base: state.base,
            wait: state.wait,
            last_heard: state.last_heard,
            last_life: state.last_life,
            running: u8::try_from(running).unwrap_or(u8::MAX),
            deadline: state.deadline,
            paused: state.paused,
            learned: state.learned,
            observed: state.observed,
        };
        let moved = pulse.adapt(state.mode, now, chance);
        (pulse, moved)
    }
}

impl PulseState {
    /// Whether it can be the state of a heartbeat that was last called at `woken`.
    pub(crate) fn check(&self, woken: Moment) -> Result<(), InvalidState> {
        self.ledger.check()?;
        let sent = self.ledger.next;
        // One more than were written: its pong may come before that is known.
        if self.mark > sent || self.answered > sent + 1 {
            return Err(InvalidState("more pongs than pings"));
        }
        let due = match self.own {
            OwnPing::Resting => None,
            OwnPing::Due(due) | OwnPing::Owed(due) => Some(due),
        };
        let since = self.deadline.map(|deadline| deadline.since);
        let past = [self.base, self.last_heard, self.last_life];
        let past = past.into_iter().chain(due).chain(since).chain(self.paused);
        if past.max() > Some(woken) {
            return Err(InvalidState("something has happened that is still to come"));
        }
        Ok(())
    }
}
