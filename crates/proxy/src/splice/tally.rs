//! What a pair counts in plain integers, and how it reaches the shared counters.
//!
//! Shared counters are contended cache lines; a pair adds to them only now and then, and at its
//! end.

use std::time::{Duration, Instant};

use lubdub_keepalive::{PerSide, Side};
use lubdub_metrics::{DirectionMetrics, OpcodeClass, RouteMetrics, SideMetrics};
use lubdub_wire::FrameCounts;

/// The pair's own counts, by the side that the bytes came from.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) from: PerSide<Relayed>,
    flushed: PerSide<Relayed>,
    flushed_frames: PerSide<FrameCounts>,
    flush_at: Option<Instant>,
}

/// What was relayed from a side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Relayed {
    pub(super) bytes: u64,
    pub(super) foreign_pings: u64,
    pub(super) foreign_pongs: u64,
    /// lubdub's own, which the scanner saw but which went no further.
    pub(super) swallowed_pongs: u64,
}

impl Tally {
    /// How far the shared counters may be behind.
    const DELAY: Duration = Duration::from_secs(10);

    /// When the shared counters are to be brought up to date.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Whether that moment is set: what is added until then goes with it.
    pub(super) fn is_scheduled(&self) -> bool {
        self.flush_at.is_some()
    }

    /// Notes whether there is something to add.
    pub(super) fn observe(&mut self, now: Instant) {
        if self.flush_at.is_none() && self.from != self.flushed {
            self.flush_at = Some(now + Self::DELAY);
        }
    }

    /// Adds what is new to the shared counters.
    pub(super) fn flush(&mut self, route: &RouteMetrics, frames: &PerSide<FrameCounts>) {
        self.flush_at = None;
        for side in Side::BOTH {
            let counters = direction(route, side);
            let (now, before) = (self.from[side], self.flushed[side]);
            counters.bytes.increment(now.bytes - before.bytes);
            counters
                .foreign_pings
                .increment(now.foreign_pings - before.foreign_pings);
            counters
                .foreign_pongs
                .increment(now.foreign_pongs - before.foreign_pongs);
            let mut added = frames[side].since(&self.flushed_frames[side]).to_array();
            added[OpcodeClass::Pong as usize] -= now.swallowed_pongs - before.swallowed_pongs;
            for (counter, n) in counters.frames.iter().zip(added) {
                if n > 0 {
                    counter.increment(n);
                }
            }
        }
        self.flushed = self.from;
        self.flushed_frames = *frames;
    }
}

/// The counters of what comes from `side`.
fn direction(route: &RouteMetrics, side: Side) -> &DirectionMetrics {
    match side {
        Side::Client => &route.to_upstream,
        Side::Upstream => &route.to_client,
    }
}

/// The counters of the heartbeat of `side`.
pub(super) fn heartbeat(route: &RouteMetrics, side: Side) -> &SideMetrics {
    match side {
        Side::Client => &route.client,
        Side::Upstream => &route.upstream,
    }
}
