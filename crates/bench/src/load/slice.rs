//! A load in short slices, with silence between them: several proxies stay connected and are driven in
//! turn, so that whatever else the machine does hits all of them alike.
//!
//! A slice begins and ends in silence. What is counted is all that was sent in it, and all that the proxy
//! spent on it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::meter::Watch;

/// What came out of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// Messages that were relayed in one direction, or sessions.
    pub count: u64,
    /// How long it took, with the wait for the last of them.
    pub seconds: f64,
    /// The proxy's processor time.
    pub cpu_seconds: f64,
    /// The 99th percentile, from a message's sending to its echo or of a session, in microseconds.
    pub p99_us: f64,
}

/// A load that is driven in slices.
pub(crate) trait Sliced {
    /// Drives for so long, and until nothing is under way any more; at a fixed rate of echoes per
    /// second, if there is one.
    fn slice(&mut self, time: Duration, rate: Option<f64>) -> anyhow::Result<Slice>;
}

// === impl Slice ===

impl Slice {
    /// The proxy's processor time in microseconds for each thing that was counted.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.count as f64
    }

    /// How many there were each second.
    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.seconds
    }

    /// How much of one core the proxy used.
    pub(crate) fn proxy_load(&self) -> f64 {
        self.cpu_seconds / self.seconds
    }
}

/// Observes what `work` does: it says how many it did, and the 99th percentile.
pub(super) fn observe(
    watch: &Watch,
    work: impl FnOnce() -> anyhow::Result<(u64, f64)>,
) -> anyhow::Result<Slice> {
    let meter = watch.clone().start()?;
    let (count, p99_us) = work()?;
    let observed = meter.stop()?;
    anyhow::ensure!(count > 0, "nothing came back in a slice");
    Ok(Slice {
        count,
        seconds: observed.seconds,
        cpu_seconds: observed.proxy.map_or(f64::NAN, |usage| usage.cpu_seconds),
        p99_us,
    })
}
