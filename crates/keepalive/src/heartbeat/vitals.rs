//! What may be asked of a heartbeat: how alive each side is, and what is known of its pings.

use std::time::{Duration, Instant};

use super::Heartbeat;
use crate::moment::Moment;
use crate::payload::PingPayload;
use crate::rtt::Rtt;
use crate::side::Side;

/// How alive a side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// When bytes were last read from the side, or the pair opened.
    pub last_heard: Instant,
    /// The last sign of life, or when the pair opened.
    pub last_life: Instant,
    /// Own pings written.
    pub pings_sent: u64,
    /// Own pings whose pong was matched.
    pub pongs_received: u64,
    /// Round trips, once there was one.
    pub rtt: Option<Rtt>,
}

impl Heartbeat {
    /// When the ping was written that runs the clock of `side`; `None` while no clock runs.
    #[must_use]
    pub fn clock_since(&self, side: Side) -> Option<Instant> {
        let since = self.pulses[side].clock_since()?;
        Some(since.instant(self.opened))
    }

    /// How long after the pair opened bytes were last read from `side`.
    #[must_use]
    pub fn heard_after(&self, side: Side) -> Duration {
        self.pulses[side].last_heard().since(Moment::OPENED)
    }

    /// Whether a ping to `side` was handed out and is not known to be written.
    #[must_use]
    pub fn owes_ping(&self, side: Side) -> bool {
        self.pulses[side].owes_ping()
    }

    /// What the ping to `side` carries that is [owed](Self::owes_ping), for as long as it is.
    #[must_use]
    pub fn payload(&self, side: Side) -> PingPayload {
        self.pulses[side].payload()
    }

    /// Own pings written to `side`.
    #[must_use]
    pub fn pings_sent(&self, side: Side) -> u64 {
        self.pulses[side].sent()
    }

    /// Own pings to `side` whose pong was matched.
    #[must_use]
    pub fn pongs_received(&self, side: Side) -> u64 {
        self.pulses[side].answered()
    }

    /// The number of the oldest own ping to `side` that no pong has answered; as many as were written if there is
    /// none. Own pings are numbered from 0 on.
    ///
    /// It rises with a pong, whosever that is (RFC 6455 5.5.3); with a ping as it is known to be written, if its pong
    /// was there before; and where so many are unanswered that the oldest is given up.
    #[must_use]
    pub fn oldest_unanswered(&self, side: Side) -> u64 {
        self.pulses[side].oldest_unanswered()
    }

    /// How alive `side` is.
    #[must_use]
    pub fn vitals(&self, side: Side) -> Vitals {
        let pulse = &self.pulses[side];
        Vitals {
            last_heard: pulse.last_heard().instant(self.opened),
            last_life: pulse.last_life().instant(self.opened),
            pings_sent: pulse.sent(),
            pongs_received: pulse.answered(),
            rtt: pulse.rtt(),
        }
    }

    /// Bytes that it keeps on the heap: none while no foreign ping is outstanding and each side has answered all own
    /// ones but the latest, and never more than [`Heartbeat::HEAP_MAX`].
    #[must_use]
    pub fn heap_size(&self) -> usize {
        let [client, upstream] = Side::BOTH.map(|side| self.pulses[side].heap_size());
        client + upstream
    }
}
