//! Whom somebody wants to see: pairs by their names and the network of their client.

use std::sync::Arc;

use super::PairEntry;
use crate::access::Networks;

/// The pairs to which all of it applies. Nothing said: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairFilter {
    /// Pairs of this route.
    pub route: Option<Arc<str>>,
    /// Pairs that lead to this upstream.
    pub upstream: Option<Arc<str>>,
    /// Pairs that came in at this listener.
    pub listener: Option<Arc<str>>,
    /// Pairs whose client's true address is in one of these. A client without an address is in none.
    pub client: Option<Networks>,
}

impl PairFilter {
    /// Whether it applies to this pair.
    #[must_use]
    pub fn takes(&self, pair: &PairEntry) -> bool {
        let is_there = |networks: &Networks| {
            let ip = pair.client().ip();
            ip.is_some_and(|ip| networks.contains(ip))
        };
        let names = &pair.names;
        names.are(&self.listener, &self.route, &self.upstream)
            && self.client.as_ref().is_none_or(is_there)
    }
}
