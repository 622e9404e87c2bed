//! What belongs to a name, whichever routes and upstreams have it one after the other. A name may go with one
//! reload and return with another: those who came in under it before still have their places, and live on its
//! terms.
//!
//! Nothing of it is forgotten; the metrics bound how many names there can be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lubdub_metrics::UpstreamMetrics;
use tokio::time::Instant;

use crate::budget::{Budget, Subject};
use crate::drain::LastRemoval;
use crate::live_terms::LiveTerms;
use crate::settings::{Route, Upstream};

/// Every name that a route or an upstream had in the life of this process.
#[derive(Debug, Default)]
pub(crate) struct Namesakes {
    routes: Mutex<BTreeMap<Arc<str>, OfRoute>>,
    upstreams: Mutex<BTreeMap<Arc<str>, OfUpstream>>,
}

/// What routes of one name share.
#[derive(Debug, Clone)]
pub(crate) struct OfRoute {
    /// Pairs at a time. Counted where there is no bound as well: a reload may bring one.
    pub(crate) pairs: Arc<Budget>,
    /// The terms on which its pairs live.
    pub(crate) live_terms: Arc<LiveTerms>,
    /// When its pairs had to go last.
    pub(crate) last_removal: Arc<LastRemoval>,
}

/// What upstreams of one name share.
#[derive(Debug, Clone)]
pub(crate) struct OfUpstream {
    /// Upgrades that it has not answered, and connects to it that are under way.
    pub(crate) waiting: Arc<Budget>,
    /// Plain requests that it has not answered.
    pub(crate) requests: Arc<Budget>,
    pub(crate) metrics: Arc<UpstreamMetrics>,
    /// When its pairs had to go last.
    pub(crate) last_removal: Arc<LastRemoval>,
}

// === impl Namesakes ===

impl Namesakes {
    /// What was there of this route's name, or something new.
    pub(crate) fn route(&self, route: &Route) -> OfRoute {
        let mut routes = lock(&self.routes);
        let name = Arc::clone(&route.name);
        let of_name = routes.entry(name).or_insert_with(|| OfRoute::new(route));
        of_name.clone()
    }

    /// The same for an upstream.
    pub(crate) fn upstream(
        &self,
        upstream: &Upstream,
        metrics: impl FnOnce() -> Option<Arc<UpstreamMetrics>>,
    ) -> Option<OfUpstream> {
        let mut upstreams = lock(&self.upstreams);
        if let Some(known) = upstreams.get(&upstream.name) {
            return Some(known.clone());
        }
        let new = OfUpstream::new(upstream, metrics()?);
        upstreams.insert(Arc::clone(&upstream.name), new.clone());
        Some(new)
    }

    /// Every upstream's name, with what is its.
    pub(crate) fn upstreams(&self) -> Vec<(Arc<str>, OfUpstream)> {
        let upstreams = lock(&self.upstreams);
        let all = upstreams.iter();
        all.map(|(name, of_name)| (Arc::clone(name), of_name.clone()))
            .collect()
    }

    /// Writes down what is used of the budgets.
    pub(crate) fn sample(&self) {
        for upstream in lock(&self.upstreams).values() {
            upstream.waiting.sample(&upstream.metrics.waiting);
            upstream.requests.sample(&upstream.metrics.requests);
        }
    }

    /// Looks whether exhaustions of the budgets are over.
    pub(crate) fn settle(&self, now: Instant) {
        for route in lock(&self.routes).values() {
            route.pairs.settle(now);
        }
        for upstream in lock(&self.upstreams).values() {
            upstream.waiting.settle(now);
            upstream.requests.settle(now);
        }
    }
}

// === impl OfRoute ===

impl OfRoute {
    pub(crate) fn new(route: &Route) -> Self {
        let subject = Subject {
            key: "route.limits.pairs",
            name: Some(Arc::clone(&route.name)),
            effect: "further upgrades on this route are refused",
        };
        Self {
            pairs: Budget::new(route.pairs.unwrap_or(usize::MAX), subject),
            live_terms: Arc::new(LiveTerms::new(&route.terms)),
            last_removal: Arc::default(),
        }
    }
}

// === impl OfUpstream ===

impl OfUpstream {
    pub(crate) fn new(upstream: &Upstream, metrics: Arc<UpstreamMetrics>) -> Self {
        let budget = |total, key| {
            let subject = Subject {
                key,
                name: Some(Arc::clone(&upstream.name)),
                effect: "further ones to this upstream are refused",
            };
            Budget::new(total, subject)
        };
        Self {
            waiting: budget(upstream.waiting, "upstream.limits.waiting"),
            requests: budget(upstream.requests, "upstream.limits.requests"),
            metrics,
            last_removal: Arc::default(),
        }
    }
}

fn lock<T>(names: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under the lock leaves it half changed.
    names.lock().unwrap_or_else(PoisonError::into_inner)
}
