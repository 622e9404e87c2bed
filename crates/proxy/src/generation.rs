//! A generation: what a request needs to know, whole and unchanging, from one reload to the next.
//!
//! A request takes the generation of its moment and keeps to it. A pair keeps its route's part of it; what a
//! reload changes for pairs that are open, it learns through [`LiveTerms`](crate::live_terms::LiveTerms).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::http::Subjects;
use crate::route::{RouteState, RouteTable};
use crate::settings::{Drain, Forwarded, FrontTimeouts, OnRemoved, RequestDetail, Settings};
use crate::upstream::Upstream;

/// What a request needs to know.
#[derive(Debug)]
pub(crate) struct Generation {
    /// How many there were before, and one.
    pub(crate) number: u64,
    /// The names of its listeners.
    pub(crate) listeners: Vec<Arc<str>>,
    pub(crate) routes: RouteTable,
    pub(crate) upstreams: Upstreams,
    pub(crate) general: Arc<General>,
}

/// The upstreams that routes lead to, by their names: one of each, whoever leads there.
pub(crate) type Upstreams = BTreeMap<Arc<str>, Arc<Upstream>>;

/// What holds for all routes.
#[derive(Debug)]
pub(crate) struct General {
    /// The number of the generation.
    pub(crate) generation: u64,
    pub(crate) timeouts: FrontTimeouts,
    /// The largest head, in bytes.
    pub(crate) head_bytes: usize,
    pub(crate) forwarded: Forwarded,
    /// The header fields that tell whose certificate a client has.
    pub(crate) subjects: Subjects,
    /// How much of a request the log tells.
    pub(crate) request_detail: RequestDetail,
    pub(crate) drain: Drain,
}

impl Generation {
    /// What is there before the first one: nothing that a request could reach.
    pub(crate) fn none(general: General) -> Self {
        Self {
            number: 0,
            listeners: Vec::new(),
            routes: RouteTable::new(Vec::new()),
            upstreams: Upstreams::new(),
            general: Arc::new(general),
        }
    }

    /// The route with this name, if there is one.
    pub(crate) fn route(&self, name: &str) -> Option<&Arc<RouteState>> {
        self.routes.iter().find(|route| &*route.name == name)
    }

    /// Whether pairs of a route of an earlier generation have to go: it is there no more, and says so.
    pub(crate) fn ends_pairs_of(&self, route: &RouteState) -> bool {
        route.on_removed == OnRemoved::Drain && self.route(&route.name).is_none()
    }

    /// The same for those to an upstream.
    pub(crate) fn ends_pairs_to(&self, upstream: &Upstream) -> bool {
        let settings = &upstream.settings;
        settings.on_removed == OnRemoved::Drain && !self.upstreams.contains_key(&settings.name)
    }
}

impl General {
    pub(crate) fn of(settings: &Settings, generation: u64) -> Self {
        Self {
            generation,
            timeouts: settings.timeouts,
            head_bytes: settings.limits.head_bytes,
            forwarded: settings.forwarded.clone(),
            subjects: Subjects::of(&settings.listeners),
            request_detail: settings.logging.request,
            drain: settings.drain,
        }
    }
}
