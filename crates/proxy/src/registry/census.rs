//! How many live pairs there are of each name. It is kept as they come and go: who asks need not look at all of
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use lubdub_metrics::NamesInUse;

use super::PairNames;

/// Live pairs by the names that they have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Census {
    listeners: Count,
    routes: Count,
    upstreams: Count,
}

/// Only names that somebody has.
type Count = BTreeMap<Arc<str>, usize>;

impl Census {
    /// One more pair.
    pub(super) fn enter(&mut self, names: &PairNames) {
        for (count, name) in self.each(names) {
            if let Some(pairs) = count.get_mut(name) {
                *pairs += 1;
            } else {
                count.insert(Arc::clone(name), 1);
            }
        }
    }

    /// One less.
    pub(super) fn leave(&mut self, names: &PairNames) {
        for (count, name) in self.each(names) {
            if let Some(pairs) = count.get_mut(name) {
                *pairs -= 1;
                if *pairs == 0 {
                    count.remove(name);
                }
            }
        }
    }

    /// Pairs whose request took this route.
    pub(crate) fn of_route(&self, name: &str) -> usize {
        self.routes.get(name).copied().unwrap_or(0)
    }

    /// Pairs that lead to this upstream.
    pub(crate) fn of_upstream(&self, name: &str) -> usize {
        self.upstreams.get(name).copied().unwrap_or(0)
    }

    /// The names that somebody has.
    pub(crate) fn names(&self) -> NamesInUse {
        let names = |count: &Count| count.keys().cloned().collect();
        NamesInUse {
            listeners: names(&self.listeners),
            routes: names(&self.routes),
            upstreams: names(&self.upstreams),
        }
    }

    fn each<'a>(&'a mut self, names: &'a PairNames) -> [(&'a mut Count, &'a Arc<str>); 3] {
        [
            (&mut self.listeners, &names.listener),
            (&mut self.routes, &names.route),
            (&mut self.upstreams, &names.upstream),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_there_for_as_long_as_a_pair_has_it() {
        let names = |route: &str| PairNames {
            listener: "public".into(),
            route: route.into(),
            upstream: "main".into(),
        };
        let mut census = Census::default();
        for route in ["chat", "live", "chat"] {
            census.enter(&names(route));
        }
        assert_eq!(census.of_route("chat"), 2);
        assert_eq!(census.of_upstream("main"), 3);
        census.leave(&names("live"));
        assert_eq!(census.of_route("live"), 0);
        let in_use = census.names();
        assert_eq!(in_use.routes.len(), 1, "{in_use:?}");
        assert_eq!(in_use.upstreams.len(), 1, "{in_use:?}");
        census.leave(&names("chat"));
        census.leave(&names("chat"));
        assert!(census.names().upstreams.is_empty());
    }
}
