//! What is told of a pair's own pings: which were written, which were answered, and by what.
//!
//! The heartbeat knows up to which ping a side has answered. What is told here is how that has changed.

use lubdub_keepalive::{PongVerdict, Side};

use super::Splice;
use crate::registry::Mark;

impl Splice {
    /// A ping to `side` was written; those from `before` on were unanswered until then.
    pub(super) fn trace_ping(&self, side: Side, before: u64) {
        let sent = self.heart.pings_sent(side);
        if self.heart.oldest_unanswered(side) == sent {
            // Its pong was there before it was known to be written, and answers all before it.
            self.trace_answers(side, before..sent, Mark::Untimed);
        } else {
            self.trace(side, sent - 1, Mark::Written);
        }
    }

    /// A pong came from `side`; own pings from `before` on were unanswered until then.
    pub(super) fn trace_pong(&self, side: Side, before: u64, verdict: &PongVerdict) {
        let last = match verdict {
            PongVerdict::Ours { rtt, .. } => rtt.map_or(Mark::Untimed, Mark::Timed),
            // It answers a foreign ping behind them.
            PongVerdict::Foreign => Mark::Covered,
        };
        let now = self.heart.oldest_unanswered(side);
        self.trace_answers(side, before..now, last);
    }

    /// These pings were answered by the pong to the last of them, or to one behind that.
    fn trace_answers(&self, side: Side, pings: std::ops::Range<u64>, last: Mark) {
        for n in pings.clone() {
            let is_last = n + 1 == pings.end;
            self.trace(side, n, if is_last { last } else { Mark::Covered });
        }
    }

    fn trace(&self, side: Side, n: u64, mark: Mark) {
        self.registration.entry().publish_beat(side, n, mark);
    }
}
