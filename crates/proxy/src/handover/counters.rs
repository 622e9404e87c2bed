//! Counters on their way to the next process: what was added since they were told last. And when each
//! upstream was well last.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lubdub_metrics::{Count, Metrics};

use super::message::{Counter, Success};

/// How far the counters were when they were told last.
#[derive(Debug, Default)]
pub(crate) struct Counted(BTreeMap<Series, u64>);

type Series = (String, Vec<(String, String)>);

// === impl Counted ===

impl Counted {
    /// What was added since the last time, which the next process adds to its own.
    pub(crate) fn added(&mut self, metrics: &Metrics) -> Vec<Counter> {
        let mut added = Vec::new();
        for Count {
            name,
            labels,
            value,
        } in metrics.counts()
        {
            let told = self.0.entry((name.clone(), labels.clone())).or_default();
            let more = value - (*told).min(value);
            if more > 0 {
                *told = value;
                added.push(Counter {
                    name,
                    labels,
                    value: more,
                });
            }
        }
        added
    }
}

/// Adds what an earlier process has counted.
pub(crate) fn add(metrics: &Metrics, counters: Vec<Counter>) {
    let counts: Vec<_> = counters.into_iter().map(Count::from).collect();
    metrics.add_counts(&counts);
}

/// When the upstreams were well last, as far as they ever were.
pub(crate) fn successes(metrics: &Metrics) -> Vec<Success> {
    let told = |(upstream, moment): (String, SystemTime)| {
        let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        Success {
            upstream,
            at_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX),
        }
    };
    metrics.last_successes().into_iter().map(told).collect()
}

/// Goes on from when the upstreams were well last in an earlier process, where this one knows them.
pub(crate) fn add_successes(metrics: &Metrics, successes: &[Success]) {
    for Success { upstream, at_ms } in successes {
        let moment = UNIX_EPOCH.checked_add(Duration::from_millis(*at_ms));
        if let (Some(upstream), Some(moment)) = (metrics.upstream(upstream), moment) {
            upstream.succeeded(moment);
        }
    }
}

impl From<Counter> for Count {
    fn from(counter: Counter) -> Self {
        Self {
            name: counter.name,
            labels: counter.labels,
            value: counter.value,
        }
    }
}
