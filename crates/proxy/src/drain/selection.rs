//! Whom a drain is about.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::registry::PairEntry;

/// Whom a drain is about: the pairs to which all of it applies. Nothing said: everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Pairs of this route.
    pub route: Option<Arc<str>>,
    /// Pairs that lead to this upstream.
    pub upstream: Option<Arc<str>>,
    /// Pairs that came in at this listener.
    pub listener: Option<Arc<str>>,
    /// Pairs that opened so long ago, or longer.
    pub older_than: Option<Duration>,
}

impl Selection {
    /// Whether it is about everybody.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it is about this pair.
    pub(crate) fn takes(&self, pair: &PairEntry, now: Instant) -> bool {
        let age = now.saturating_duration_since(pair.opened);
        let names = &pair.names;
        names.are(&self.listener, &self.route, &self.upstream)
            && self.older_than.is_none_or(|least| age >= least)
    }
}
