//! What there is of a proxy, and how much of it is in use: for whoever shows it to an operator.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;

use lubdub_metrics::Connect;

use super::Control;
use crate::address::Address;
use crate::budget::BudgetUse;
use crate::registry::Overview;

/// A listener that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerView {
    /// Its configured name.
    pub name: Arc<str>,
    /// Where it listens; the kernel may have chosen the port.
    pub address: Address,
    /// Whether clients speak TLS there.
    pub is_tls: bool,
    /// Connections that came in there and are open.
    pub connections: usize,
}

/// A route that requests can take now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteView {
    /// Its configured name.
    pub name: Arc<str>,
    /// The name of the upstream that it leads to.
    pub upstream: Arc<str>,
    /// Its live pairs.
    pub pairs: usize,
}

/// An upstream, as it is used now.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamView {
    /// Its configured name.
    pub name: Arc<str>,
    /// Where it is; `None` if it is not configured any more, and has live pairs.
    pub url: Option<String>,
    /// Its live pairs.
    pub pairs: usize,
    /// Upgrades that it has not answered, and connects to it that are under way.
    pub waiting: usize,
    /// How many those may be.
    pub waiting_max: usize,
    /// Plain requests that it has not answered.
    pub requests: usize,
    /// How many those may be.
    pub requests_max: usize,
    /// How many connects to it ended like this, for every outcome.
    pub connects: Vec<(Connect, u64)>,
    /// When it answered a request last with 101 or another status below 500, if ever.
    pub last_success: Option<SystemTime>,
}

impl Control {
    /// The number of the generation that is in effect: 1 at the start, and one more with each reload.
    #[must_use]
    pub fn generation_number(&self) -> u64 {
        self.shared.generation.load().number
    }

    /// Every budget with an end, and what is used of it: those of the whole process, then those of routes and
    /// upstreams by their names.
    #[must_use]
    pub fn budgets(&self) -> Vec<BudgetUse> {
        let generation = self.shared.generation.load();
        let mut budgets = Vec::from(self.shared.admission.usage());
        let of_routes = generation.routes.iter().map(|route| &route.pairs);
        let bounded = of_routes.filter(|pairs| pairs.is_bounded());
        budgets.extend(bounded.map(|pairs| pairs.usage("route_pairs")));
        for upstream in generation.upstreams.values() {
            budgets.push(upstream.waiting.usage("waiting"));
            budgets.push(upstream.requests.usage("requests"));
        }
        budgets
    }

    /// The listeners that are open.
    #[must_use]
    pub fn listeners(&self) -> Vec<ListenerView> {
        let entrances = self.listeners.entrances().into_iter();
        let view = entrances.map(|(entrance, address)| ListenerView {
            name: Arc::clone(&entrance.listener.name),
            address,
            is_tls: entrance.listener.tls.is_some(),
            connections: entrance.open.load(Relaxed),
        });
        view.collect()
    }

    /// The routes, in the order in which a request is compared with them.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteView> {
        let generation = self.shared.generation.load();
        let census = self.shared.registry.census();
        let view = generation.routes.iter().map(|route| RouteView {
            name: Arc::clone(&route.name),
            upstream: Arc::clone(&route.upstream.settings.name),
            pairs: census.of_route(&route.name),
        });
        view.collect()
    }

    /// The upstreams that are configured, and those that have live pairs still, by name.
    #[must_use]
    pub fn upstreams(&self) -> Vec<UpstreamView> {
        let shared = &self.shared;
        let generation = shared.generation.load();
        let census = shared.registry.census();
        let mut all = Vec::new();
        for (name, of_name) in shared.namesakes.upstreams() {
            let configured = generation.upstreams.get(&name);
            let pairs = census.of_upstream(&name);
            if configured.is_none() && pairs == 0 {
                continue;
            }
            let connects = |outcome| (outcome, of_name.metrics.connects(outcome));
            all.push(UpstreamView {
                url: configured.map(|upstream| upstream.settings.url()),
                pairs,
                waiting: of_name.waiting.taken(),
                waiting_max: of_name.waiting.total(),
                requests: of_name.requests.taken(),
                requests_max: of_name.requests.total(),
                connects: Connect::ALL.map(connects).to_vec(),
                last_success: of_name.metrics.last_success(),
                name,
            });
        }
        all
    }

    /// What pairs have come to since this process started.
    #[must_use]
    pub fn overview(&self) -> Overview {
        self.shared.registry.overview()
    }

    /// Pairs that earlier processes go on with.
    #[must_use]
    pub fn lingering_pairs(&self) -> u64 {
        self.shared.lingerers.pairs()
    }
}
