//! What a change of the configuration does to a pair that is open.

use std::sync::Arc;
use std::time::Instant;

use super::Heartbeat;
use crate::policy::Policy;
use crate::side::{PerSide, Side};

impl Heartbeat {
    /// New values of the configuration reach the pair. They hold from the next ping on:
    ///
    /// - The **next ping** comes no later than it was to come, and earlier if the new interval asks
    ///   for that. One that should have been sent already comes within the time that is left, at a
    ///   moment of its own in each pair: a thousand pairs are not pinged at once. A longer interval
    ///   holds from that ping on.
    /// - A **deadline that runs** keeps its end: the ping that is out has the timeout that it was sent
    ///   with. (After a stall of the process, or while its link moves, it gets a new one.)
    /// - **Pings switched off** end it all for that side: its deadline is gone, for who is not pinged
    ///   any more has nothing to prove. A ping that was handed out already may still be written, and
    ///   its pong is still taken back, but nobody waits for it.
    /// - **Switched on** (again), the side is pinged within an interval, and no ping of before counts.
    /// - What counts as a **sign of life**, and whether a lapse is **enforced**, changes at once. Whether
    ///   a side has shown that it answers pings was learned whatever the values were.
    ///
    /// A side whose values are the same notices nothing.
    pub fn set_policy<P: Into<Arc<Policy>>>(&mut self, policies: PerSide<P>, now: Instant) {
        let policies = policies.map(Into::into);
        let now = self.on_wake(now);
        for side in Side::BOTH {
            let pulse = &mut self.pulses[side];
            let moved = pulse.set_policy(Arc::clone(&policies[side]), now, self.chance);
            if moved {
                pulse.align(self.grid);
            }
        }
        self.reschedule();
    }
}
