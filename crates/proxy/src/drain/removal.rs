//! Farewells to the pairs of what a reload has removed, where it says `on_removed = "drain"`.
//!
//! They are no drain that an operator has ordered: several can be under way at a time, and nobody calls them off.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use crate::registry::{PairEntry, PairId};

/// What a reload has removed, as far as its pairs have to go.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    pub(crate) routes: BTreeSet<Arc<str>>,
    pub(crate) upstreams: BTreeSet<Arc<str>>,
}

/// When the pairs of a name had to go last: those who belong to it look at it when they open, since their
/// handshake may have begun before.
#[derive(Debug, Default)]
pub(crate) struct LastRemoval(AtomicU64);

/// Farewells that are to be said.
#[derive(Debug)]
pub(crate) struct Farewells {
    pub(super) id: u64,
    pub(super) removal: Removal,
    pub(super) pairs: Vec<PairId>,
    pub(super) spread: Duration,
}

/// Pairs that are told farewell, until the last of them has ended.
#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) id: u64,
    pub(super) pairs: Vec<PairId>,
}

// === impl Removal ===

impl Removal {
    /// Whether nobody has to go.
    pub(crate) fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.upstreams.is_empty()
    }

    /// Whether this pair has to go.
    pub(crate) fn takes(&self, pair: &PairEntry) -> bool {
        let names = &pair.names;
        self.routes.contains(&names.route) || self.upstreams.contains(&names.upstream)
    }

    /// The routes in one word, for the log, if there are any.
    pub(super) fn routes(&self) -> Option<String> {
        listed(&self.routes)
    }

    /// The same of the upstreams.
    pub(super) fn upstreams(&self) -> Option<String> {
        listed(&self.upstreams)
    }
}

// === impl LastRemoval ===

impl LastRemoval {
    /// Pairs of all generations before this one have to go.
    pub(crate) fn mark(&self, generation: u64) {
        self.0.store(generation, SeqCst);
    }

    /// Whether pairs whose request is of this generation have to go.
    pub(crate) fn is_behind(&self, generation: u64) -> bool {
        self.0.load(SeqCst) > generation
    }
}

fn listed(names: &BTreeSet<Arc<str>>) -> Option<String> {
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
