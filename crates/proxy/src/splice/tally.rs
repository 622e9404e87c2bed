//! What a pair counts in plain integers, and how it reaches the shared counters.
//!
//! Shared counters are contended cache lines; a pair adds to them only now and then, and at its
//! end.

use std::time::{Duration, Instant};

use lubdub_keepalive::{PerSide, Side};
use lubdub_metrics::{DirectionMetrics, OpcodeClass, RouteMetrics, SideMetrics};
use lubdub_wire::FrameCounts;

use super::stamp::Stamp;

/// The pair's own counts, by the side that the bytes came from.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) from: PerSide<Relayed>,
    flush_at: Option<Stamp>,
}

/// What was relayed from a side.
#[derive(Debug, Default)]
pub(super) struct Relayed {
    pub(super) bytes: u64,
    flushed_bytes: u64,
    /// Frames that the scanner has handed over.
    flushed_frames: u64,
    // The rest is what came since the last flush.
    pub(super) foreign_pings: u32,
    pub(super) foreign_pongs: u32,
    /// lubdub's own, which the scanner saw but which went no further.
    pub(super) swallowed_pongs: u32,
}

impl Tally {
    /// How far the shared counters may be behind.
    const DELAY: Duration = Duration::from_secs(10);

    /// When the shared counters are to be brought up to date.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.flush_at.map(Stamp::instant)
    }

    /// Whether there is something to add, and no moment is set at which it will be.
    pub(super) fn is_to_be_scheduled(&self) -> bool {
        let new = |relayed: &Relayed| relayed.bytes != relayed.flushed_bytes;
        self.flush_at.is_none() && (new(&self.from.client) || new(&self.from.upstream))
    }

    /// Sets that moment, if there is something to add.
    pub(super) fn observe(&mut self, now: Instant) {
        if self.is_to_be_scheduled() {
            self.flush_at = Some((now + Self::DELAY).into());
        }
    }

    /// The shared counters are up to date.
    pub(super) fn flushed(&mut self) {
        self.flush_at = None;
    }
}

impl Relayed {
    /// So much was relayed elsewhere, and counted there.
    pub(super) fn resume(&mut self, bytes: u64, frames: u64) {
        (self.bytes, self.flushed_bytes) = (bytes, bytes);
        self.flushed_frames = frames;
    }

    /// All frames so far, `pending` of which the scanner still counts.
    pub(super) fn frames(&self, pending: u64) -> u64 {
        self.flushed_frames + pending - u64::from(self.swallowed_pongs)
    }

    /// Adds what is new to the shared counters; `frames` is what the scanner has counted since.
    pub(super) fn flush(&mut self, counters: &DirectionMetrics, frames: &FrameCounts) {
        let swallowed = u64::from(std::mem::take(&mut self.swallowed_pongs));
        let mut added = frames.to_array();
        added[OpcodeClass::Pong as usize] -= swallowed;
        for (counter, n) in counters.frames.iter().zip(added) {
            if n > 0 {
                counter.increment(n);
            }
        }
        self.flushed_frames += frames.total() - swallowed;
        counters.bytes.increment(self.bytes - self.flushed_bytes);
        self.flushed_bytes = self.bytes;
        let (pings, pongs) = (&mut self.foreign_pings, &mut self.foreign_pongs);
        counters
            .foreign_pings
            .increment(std::mem::take(pings).into());
        counters
            .foreign_pongs
            .increment(std::mem::take(pongs).into());
    }
}

/// The counters of what comes from `side`.
pub(super) fn direction(route: &RouteMetrics, side: Side) -> &DirectionMetrics {
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
