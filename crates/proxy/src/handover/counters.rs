//! Counters on their way to the next process: what was added since they were told last.

use std::collections::BTreeMap;

use lubdub_metrics::{Count, Metrics};

use super::message::Counter;

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

impl From<Counter> for Count {
    fn from(counter: Counter) -> Self {
        Self {
            name: counter.name,
            labels: counter.labels,
            value: counter.value,
        }
    }
}
