//! What must hold at the end of a wake-up, and of what was swallowed.

use lubdub_keepalive::{Heartbeat, Side};

use super::{ForeignPing, Phase, Proxy};
use crate::payload::Payload;
use crate::script::{Answers, Payloads, Time};

impl Proxy {
    /// The machine wants to be woken no later than for what is due next, and not again for what
    /// was.
    pub(super) fn check_schedule(&self, now: Time) {
        assert!(self.heart.heap_size() <= Heartbeat::HEAP_MAX);
        if self.phase != Phase::Beating {
            assert_eq!(self.asked, None, "a pair that ends has no heartbeat");
            return;
        }
        for side in Side::BOTH {
            let oracle = self.oracle(side);
            if let Some(deadline) = oracle.deadline() {
                assert!(
                    self.asked.is_some_and(|at| at <= deadline),
                    "{side}: sleeps over {deadline:?}"
                );
            }
            let is_held_back = self.legs[side].owed.is_some() || oracle.unanswered() >= 16;
            if let Some((_, latest)) = oracle.next_ping().filter(|_| !is_held_back) {
                assert!(
                    latest > now,
                    "{side}: no ping at {now:?}, due at {latest:?}"
                );
                assert!(
                    self.asked.is_some_and(|at| at <= latest),
                    "{side}: sleeps over {latest:?}"
                );
            }
        }
    }

    /// What was swallowed had to be made up for exactly when it spoke for a foreign ping.
    pub(super) fn check_repair(
        &self,
        side: Side,
        repair: Option<Payload>,
        speaks_for: Option<usize>,
    ) {
        let peers = &self.script.peers;
        let conforms = matches!(peers[side].answers, Answers::Every | Answers::Latest);
        let outstanding = |ping: &&ForeignPing| repair.is_none_or(|repair| ping.payload == repair);
        assert!(
            repair.is_none() || self.foreign.iter().any(|ping| outstanding(&ping)),
            "invented"
        );
        if !conforms {
            return;
        }
        if let Some(id) = speaks_for {
            let ping = &self.foreign[id];
            // More gaps than are remembered: the repair may be lost.
            if self.legs[side].own.len() - ping.own_before <= 16 {
                assert_eq!(
                    repair,
                    Some(ping.payload),
                    "{side}: the repair of ping {id}"
                );
            }
            return;
        }
        let far = peers[side.other()].pings.map(|pings| pings.payload);
        if peers[side].answers == Answers::Every || far == Some(Payloads::Unique) {
            assert_eq!(repair, None, "{side}: a repair that nobody misses");
        }
    }
}
