//! What is counted for one upstream, whatever the routes that lead to it.
//!
//! Connects and the last success are read by the admin interface as well, which a handle of the
//! recorder does not allow: so each is kept twice, as a plain number and as its series.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge};

use crate::handles::BudgetMetrics;
use crate::labels::{Connect, Label};
use crate::recorder::Scope;
use crate::table;

/// What is counted for one upstream.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// Upgrades not yet answered, and connects under way.
    pub waiting: BudgetMetrics,
    /// Plain requests not yet answered.
    pub requests: BudgetMetrics,
    connects: [ReadableCounter; Connect::ALL.len()],
    last_success: LastSuccess,
    name: Box<str>,
}

/// A counter that can be read.
#[derive(Debug)]
struct ReadableCounter {
    count: AtomicU64,
    series: Counter,
}

/// When it was well last.
#[derive(Debug)]
struct LastSuccess {
    /// Milliseconds since 1970; 0 for never.
    millis: AtomicU64,
    series: Gauge,
}

// === impl UpstreamMetrics ===

impl UpstreamMetrics {
    /// Registers the series of the upstream.
    pub(crate) fn register(scope: &Scope<'_>, name: &str) -> Self {
        let scope = scope.with(Label::Upstream, name);
        Self {
            waiting: BudgetMetrics::register(
                &scope,
                &table::UPSTREAM_WAITING,
                &table::UPSTREAM_WAITING_MAX,
            ),
            requests: BudgetMetrics::register(
                &scope,
                &table::UPSTREAM_REQUESTS,
                &table::UPSTREAM_REQUESTS_MAX,
            ),
            connects: Connect::ALL.map(|outcome| ReadableCounter {
                count: AtomicU64::new(0),
                series: scope
                    .with(Label::Connect, outcome.as_str())
                    .counter(&table::UPSTREAM_CONNECTS),
            }),
            last_success: LastSuccess {
                millis: AtomicU64::new(0),
                series: scope.gauge(&table::UPSTREAM_LAST_SUCCESS),
            },
            name: name.into(),
        }
    }

    /// The configured name of the upstream.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts a connect to it that ended like this.
    pub fn connect(&self, outcome: Connect) {
        self.add_connects(outcome, 1);
    }

    /// So many more connects ended like this.
    pub(crate) fn add_connects(&self, outcome: Connect, more: u64) {
        let ReadableCounter { count, series } = &self.connects[outcome as usize];
        count.fetch_add(more, Relaxed);
        series.increment(more);
    }

    /// How many connects ended like this.
    #[must_use]
    pub fn connects(&self, outcome: Connect) -> u64 {
        self.connects[outcome as usize].count.load(Relaxed)
    }

    /// It was well at `moment`. An earlier moment than the last one that was told of changes nothing.
    pub fn succeeded(&self, moment: SystemTime) {
        let LastSuccess { millis, series } = &self.last_success;
        let since_epoch = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
        let new = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        // Of many answers in a millisecond one is enough to write down.
        if millis.fetch_max(new, Relaxed) < new {
            series.set(since_epoch.as_secs_f64());
        }
    }

    /// When it was well last, to the millisecond, if ever.
    #[must_use]
    pub fn last_success(&self) -> Option<SystemTime> {
        let millis = self.last_success.millis.load(Relaxed);
        (millis > 0).then(|| UNIX_EPOCH + Duration::from_millis(millis))
    }
}
