//! What is observed besides the load's own results: the processor time of the proxy, and that of
//! the generator, which shows whether it was the limit.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::accounting::{Pid, Processes, Sample, Usage};

/// Who will be observed.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    proxy: Option<Processes>,
    own: Processes,
}

/// An observation that has begun.
#[derive(Debug)]
pub(crate) struct Meter {
    watch: Watch,
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

// === impl Watch ===

impl Watch {
    /// Finds the processes. This takes a while: an observation that began with it would begin
    /// with a stall of the load.
    pub(crate) fn on(proxy: Option<Pid>) -> anyhow::Result<Self> {
        Ok(Self {
            proxy: proxy.map(Processes::of).transpose()?,
            own: Processes::own(),
        })
    }

    /// The private memory of the proxy.
    pub(crate) fn memory(&self) -> anyhow::Result<Option<u64>> {
        self.proxy
            .as_ref()
            .map(Processes::private_memory)
            .transpose()
    }

    /// Begins to observe.
    pub(crate) fn start(self) -> anyhow::Result<Meter> {
        Ok(Meter {
            own_before: Sample::take(&self.own)?,
            proxy_before: self.proxy.as_ref().map(Sample::take).transpose()?,
            began: Instant::now(),
            watch: self,
        })
    }
}

// === impl Meter ===

impl Meter {
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
        let proxy = match (&self.watch.proxy, &self.proxy_before) {
            (Some(proxy), Some(before)) => Some(Sample::take(proxy)?.since(before)),
            _ => None,
        };
        let own = Sample::take(&self.watch.own)?.since(&self.own_before);
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

    /// How much of one core the proxy used: 1 is all of it, and with one worker on a core of its
    /// own it then was the proxy that limited the rate.
    pub(crate) fn proxy_load(&self) -> Option<f64> {
        Some(self.proxy?.cpu_seconds / self.seconds)
    }
}
