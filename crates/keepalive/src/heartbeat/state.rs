//! The heartbeat of a pair as plain data, with which another process goes on.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Heartbeat, Stage};
use crate::chance::Chance;
use crate::moment::{Grid, Moment};
use crate::policy::Policy;
use crate::pulse::{Pulse, PulseState};
use crate::side::{PerSide, Side};

/// All that a pair's heartbeat knows, but its policies: the clocks that run, the pings that are out,
/// the nonces of those to come. Times count from the opening of the pair, in nanoseconds.
///
/// Nonces are secrets of the pair: it is for its own process and for the one that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatState {
    woken: Moment,
    chance: Chance,
    grid: Grid,
    stage: Stage,
    pulses: PerSide<PulseState>,
    #[serde(default)]
    observed: PerSide<bool>,
}

/// No heartbeat can have given up such a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the state of a heartbeat: {0}")]
pub struct InvalidState(pub(crate) &'static str);

impl Heartbeat {
    /// Gives up all that it knows, for [`thaw`](Self::thaw).
    #[must_use]
    pub fn freeze(&self) -> HeartbeatState {
        HeartbeatState {
            woken: self.woken,
            chance: self.chance,
            grid: self.grid,
            stage: self.stage,
            pulses: PerSide::from_fn(|side| self.pulses[side].freeze()),
            observed: self.observed,
        }
    }

    /// Goes on with what a heartbeat [gave up](Self::freeze), of the pair that was opened at `opened`.
    ///
    /// With the policies that it had, nothing changes that anybody can see; others count as if they
    /// had been [set](Self::set_policy) at `now`. The time in between was like any other: what was due
    /// in it is late.
    ///
    /// # Errors
    /// If no heartbeat can have given up this state.
    pub fn thaw<P: Into<Arc<Policy>>>(
        state: HeartbeatState,
        policies: PerSide<P>,
        opened: Instant,
        now: Instant,
    ) -> Result<Self, InvalidState> {
        let now = Moment::of(now, opened);
        if state.woken > now + Self::LATE {
            return Err(InvalidState("it is of a time that is still to come"));
        }
        for side in Side::BOTH {
            state.pulses[side].check(state.woken)?;
        }
        let (chance, grid) = (state.chance, state.grid);
        let thawed = |pulse, policy| {
            let (mut pulse, moved) = Pulse::thaw(pulse, policy, now, chance);
            if moved {
                pulse.align(grid);
            }
            pulse
        };
        let mut heartbeat = Self {
            opened,
            woken: state.woken,
            next: Moment::NEVER,
            chance,
            grid,
            stage: state.stage,
            pulses: PerSide {
                client: thawed(state.pulses.client, policies.client.into()),
                upstream: thawed(state.pulses.upstream, policies.upstream.into()),
            },
            observed: state.observed,
        };
        heartbeat.reschedule();
        Ok(heartbeat)
    }
}
