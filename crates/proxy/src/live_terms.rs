//! What a reload changes for pairs that are open: the heartbeat of their route.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::settings::Terms;

/// The terms of one route, from generation to generation. The pairs of the route share it, also those that
/// outlive the route.
#[derive(Debug)]
pub(crate) struct LiveTerms(Mutex<State>);

#[derive(Debug)]
struct State {
    newest: Arc<Terms>,
    /// What the newest make of older terms, so that pairs which began together still share theirs.
    renewed: Vec<(Arc<Terms>, Arc<Terms>)>,
}

impl LiveTerms {
    pub(crate) fn new(terms: &Arc<Terms>) -> Self {
        Self(Mutex::new(State {
            newest: Arc::clone(terms),
            renewed: Vec::new(),
        }))
    }

    /// The route has these terms from now on. Says whether pairs that are open have something of it.
    pub(crate) fn renew(&self, terms: &Arc<Terms>) -> bool {
        let mut state = self.state();
        let is_other = !has_same_heartbeat(&state.newest, terms);
        state.newest = Arc::clone(terms);
        state.renewed.clear();
        is_other
    }

    /// The terms of a pair that has had `own` so far: the newest heartbeat, and all else as it is.
    pub(crate) fn renewed(&self, own: &Arc<Terms>) -> Arc<Terms> {
        let mut state = self.state();
        if has_same_heartbeat(own, &state.newest) {
            return Arc::clone(own);
        }
        let mut known = state.renewed.iter();
        if let Some((_, renewed)) = known.find(|(old, _)| Arc::ptr_eq(old, own)) {
            return Arc::clone(renewed);
        }
        let renewed = Arc::new(Terms {
            keepalive: state.newest.keepalive.clone(),
            boundary_wait: state.newest.boundary_wait,
            ..Terms::clone(own)
        });
        let both = (Arc::clone(own), Arc::clone(&renewed));
        state.renewed.push(both);
        renewed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_same_heartbeat(a: &Terms, b: &Terms) -> bool {
    a.keepalive == b.keepalive && a.boundary_wait == b.boundary_wait
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Terms that differ from the defaults in the heartbeat's boundary and in something else.
    fn terms(boundary: u64, close: u64) -> Arc<Terms> {
        let mut terms = Terms::default();
        terms.boundary_wait.client = Some(Duration::from_secs(boundary));
        terms.close = Duration::from_secs(close);
        Arc::new(terms)
    }

    #[test]
    fn a_pair_that_is_open_has_the_new_heartbeat_and_all_else_as_it_was() {
        let old = terms(1, 1);
        let live = LiveTerms::new(&old);
        assert!(live.renew(&terms(2, 2)));
        let renewed = live.renewed(&old);
        assert_eq!(renewed, terms(2, 1));
        assert!(Arc::ptr_eq(&renewed, &live.renewed(&old)), "pairs share it");
        assert!(live.renew(&terms(3, 3)));
        assert_eq!(live.renewed(&renewed), terms(3, 1));
    }

    #[test]
    fn a_reload_that_leaves_the_heartbeat_alone_wakes_nobody() {
        let old = terms(1, 1);
        let live = LiveTerms::new(&old);
        assert!(!live.renew(&terms(1, 2)));
        assert!(Arc::ptr_eq(&live.renewed(&old), &old));
    }
}
