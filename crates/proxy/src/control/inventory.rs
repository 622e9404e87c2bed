//! What there is of a proxy, and how much of it is in use: for whoever shows it to an operator.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

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

    /// How many live pairs lead to this upstream.
    #[must_use]
    pub fn pairs_to(&self, upstream: &str) -> usize {
        self.shared.registry.census().of_upstream(upstream)
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
