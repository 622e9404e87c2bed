//! What pairs have come to in the life of this process, as plain numbers: for a page that shows it as it changes.
//! The metrics count the same by name; these can be read without writing all of them out.
//!
//! They are touched when a pair opens, ends or lapses, and when an own ping is answered; never by what is relayed.

use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lubdub_keepalive::{PerSide, Side};
use lubdub_metrics::{Cause, Diagnosis, PING_SECONDS};

/// What pairs have come to.
#[derive(Debug)]
pub(crate) struct Totals {
    opened: AtomicU64,
    ended: [AtomicU64; Cause::ALL.len()],
    sides: PerSide<SideTotals>,
}

#[derive(Debug)]
struct SideTotals {
    lapses: [AtomicU64; Diagnosis::ALL.len()],
    rtts: [AtomicU64; RTT_BUCKETS],
}

/// Round trips are counted by length: one bucket for each bound of `lubdub_ping_rtt_seconds` that they do not
/// exceed, and one for those beyond all.
pub const RTT_BUCKETS: usize = PING_SECONDS.len() + 1;

/// What pairs have come to since this process started, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Live pairs.
    pub pairs: u64,
    /// Pairs that opened here.
    pub opened: u64,
    /// Pairs that ended here, by cause: `ended[cause as usize]`.
    pub ended: [u64; Cause::ALL.len()],
    /// What concerns one side each.
    pub sides: PerSide<SideOverview>,
}

/// The same of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SideOverview {
    /// Lapses that ended a pair: `lapses[diagnosis as usize]`.
    pub lapses: [u64; Diagnosis::ALL.len()],
    /// Round trips by length; see [`RTT_BUCKETS`].
    pub rtts: [u64; RTT_BUCKETS],
}

// === impl Totals ===

impl Totals {
    pub(super) fn new() -> Self {
        Self {
            opened: AtomicU64::new(0),
            ended: zeros(),
            sides: PerSide::from_fn(|_| SideTotals {
                lapses: zeros(),
                rtts: zeros(),
            }),
        }
    }

    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    pub(super) fn ended(&self, cause: Cause) {
        self.ended[cause as usize].fetch_add(1, Relaxed);
    }

    /// A lapse of `side` ends its pair.
    pub(crate) fn lapsed(&self, side: Side, diagnosis: Diagnosis) {
        self.sides[side].lapses[diagnosis as usize].fetch_add(1, Relaxed);
    }

    /// An own ping to `side` was answered.
    pub(crate) fn answered(&self, side: Side, rtt: Duration) {
        self.sides[side].rtts[bucket(rtt)].fetch_add(1, Relaxed);
    }

    /// As it is now. Each number is true, all of them together may be of two moments.
    pub(super) fn overview(&self, pairs: u64) -> Overview {
        Overview {
            pairs,
            opened: self.opened.load(Relaxed),
            ended: loaded(&self.ended),
            sides: PerSide::from_fn(|side| SideOverview {
                lapses: loaded(&self.sides[side].lapses),
                rtts: loaded(&self.sides[side].rtts),
            }),
        }
    }
}

fn zeros<const N: usize>() -> [AtomicU64; N] {
    from_fn(|_| AtomicU64::new(0))
}

fn loaded<const N: usize>(counts: &[AtomicU64; N]) -> [u64; N] {
    from_fn(|at| counts[at].load(Relaxed))
}

/// A bound belongs to what lies below it, as with Prometheus.
fn bucket(rtt: Duration) -> usize {
    let seconds = rtt.as_secs_f64();
    PING_SECONDS.partition_point(|bound| *bound < seconds)
}

// === impl Overview ===

impl Overview {
    /// What came since `earlier`; the pairs are those of now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            pairs: self.pairs,
            opened: self.opened.saturating_sub(earlier.opened),
            ended: less(&self.ended, &earlier.ended),
            sides: PerSide::from_fn(|side| SideOverview {
                lapses: less(&self.sides[side].lapses, &earlier.sides[side].lapses),
                rtts: less(&self.sides[side].rtts, &earlier.sides[side].rtts),
            }),
        }
    }
}

fn less<const N: usize>(now: &[u64; N], earlier: &[u64; N]) -> [u64; N] {
    from_fn(|at| now[at].saturating_sub(earlier[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_is_counted_where_prometheus_has_it() {
        let millis = Duration::from_millis;
        for (rtt, bucket) in [
            (Duration::ZERO, 0),
            (millis(1), 0),
            (Duration::from_micros(1001), 1),
            (millis(10), 3),
            (millis(30_000), RTT_BUCKETS - 2),
            (millis(30_001), RTT_BUCKETS - 1),
        ] {
            assert_eq!(super::bucket(rtt), bucket, "{rtt:?}");
        }
    }

    #[test]
    fn what_came_since_is_what_was_counted_since() {
        let totals = Totals::new();
        totals.opened();
        totals.answered(Side::Client, Duration::from_millis(3));
        let earlier = totals.overview(1);
        totals.opened();
        totals.ended(Cause::Drain);
        totals.lapsed(Side::Upstream, Diagnosis::Network);
        totals.answered(Side::Client, Duration::from_millis(3));
        let now = totals.overview(1);
        assert_eq!((now.opened, now.sides.client.rtts[2]), (2, 2));
        let since = now.since(&earlier);
        assert_eq!(since.opened, 1);
        assert_eq!(since.ended[Cause::Drain as usize], 1);
        assert_eq!(since.ended.iter().sum::<u64>(), 1);
        assert_eq!(since.sides.client.rtts.iter().sum::<u64>(), 1);
        let lapses = &since.sides.upstream.lapses;
        assert_eq!(lapses[Diagnosis::Network as usize], 1);
        assert_eq!(lapses.iter().sum::<u64>(), 1);
    }
}
