//! What is observed besides the load's own results: the processor time of the proxy, and that of
//! the generator, which shows whether it was the limit.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::accounting::{Pid, Sample, Usage};

/// An observation that has begun.
#[derive(Debug)]
pub(crate) struct Meter {
    proxy: Option<Pid>,
    began: Instant,
    proxy_before: Option<Sample>,
    own_before: Sample,
}

/// What was observed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observed {
    /// For how long.
    pub seconds: f64,
    /// What the proxy used, if its process is known.
    pub proxy: Option<Usage>,
    /// How much of one core the generator used: 1 is all of it.
    pub generator_load: f64,
}

// === impl Meter ===

impl Meter {
    /// Begins to observe the proxy.
    pub(crate) fn start(proxy: Option<Pid>) -> anyhow::Result<Self> {
        Ok(Self {
            proxy,
            own_before: Sample::take_own()?,
            proxy_before: proxy.map(Sample::take).transpose()?,
            began: Instant::now(),
        })
    }

    /// When it began.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// Ends the observation.
    pub(crate) fn stop(self) -> anyhow::Result<Observed> {
        let seconds = self
            .began
            .elapsed()
            .max(Duration::from_nanos(1))
            .as_secs_f64();
        let proxy = match (self.proxy, &self.proxy_before) {
            (Some(pid), Some(before)) => Some(Sample::take(pid)?.since(before)),
            _ => None,
        };
        let own = Sample::take_own()?.since(&self.own_before);
        Ok(Observed {
            seconds,
            proxy,
            generator_load: own.cpu_seconds / seconds,
        })
    }
}

// === impl Observed ===

impl Observed {
    /// The proxy's processor time in microseconds for each of `count` things.
    pub(crate) fn cpu_us_per(&self, count: u64) -> Option<f64> {
        let usage = self.proxy?;
        (count > 0).then(|| usage.cpu_seconds * 1e6 / count as f64)
    }
}
