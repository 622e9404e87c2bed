//! The pairs themselves on their way: frozen out of one process, thawed in the other.

use std::fmt;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use lubdub_keepalive::PerSide;
use lubdub_metrics::{Handover, Way};
use tokio::sync::mpsc;
use tracing::{debug, warn};

use super::predecessor::Store;
use super::successor::Arrivals;
use crate::front::listeners::Listeners;
use crate::frozen::{Anchor, FrozenPair, PairState};
use crate::proxy::Proxy;
use crate::registry::{Identity, PairId};
use crate::shared::Shared;
use crate::splice::{NewHome, Places, Splice};
use crate::worker::{Crew, Worker};

/// A pair that stands still in the process that it leaves.
#[derive(Debug)]
pub(crate) struct Standing {
    id: PairId,
    pair: Box<FrozenPair>,
}

/// A pair that stands still in the process that it comes to.
pub(crate) struct Coming {
    splice: Splice,
    worker: Arc<Worker>,
}

/// The pairs of this process.
#[derive(Debug)]
pub(crate) struct Pairs {
    shared: Arc<Shared>,
    crew: Arc<Crew>,
    /// Up to here they were looked at.
    looked_at: PairId,
}

/// Where pairs come in.
#[derive(Debug)]
pub(crate) struct Newcomers {
    shared: Arc<Shared>,
    listeners: Arc<Listeners>,
    crew: Arc<Crew>,
}

impl fmt::Debug for Coming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coming").finish_non_exhaustive()
    }
}

// === impl Pairs ===

impl Pairs {
    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self {
            shared: Arc::clone(proxy.shared()),
            crew: Arc::clone(proxy.crew()),
            looked_at: PairId(0),
        }
    }
}

impl Store for Pairs {
    type Frozen = Standing;

    async fn freeze(&mut self, most: usize) -> Vec<Standing> {
        loop {
            let some = self.shared.registry.behind(self.looked_at, most);
            let Some(last) = some.last() else {
                return Vec::new();
            };
            self.looked_at = last.id;
            let (freezer, mut answers) = mpsc::unbounded_channel();
            for pair in some {
                pair.freeze(freezer.clone());
            }
            drop(freezer);
            let mut frozen = Vec::new();
            // Each answers once, or takes its end of the channel along when it ends.
            while let Some(answer) = answers.recv().await {
                match answer.outcome {
                    Ok(pair) => frozen.push(Standing {
                        id: answer.pair,
                        pair,
                    }),
                    Err(kept) => {
                        debug!(pair = answer.pair.0, reason = %kept, "a pair stays");
                    }
                }
            }
            if !frozen.is_empty() {
                return frozen;
            }
        }
    }

    fn pack<'a>(&self, standing: &'a Standing) -> (Vec<u8>, [BorrowedFd<'a>; 2]) {
        let sockets = &standing.pair.sockets;
        (
            standing.pair.state.to_bytes(),
            [sockets.client.as_fd(), sockets.upstream.as_fd()],
        )
    }

    fn thaw(&mut self, standing: Standing, reason: Option<&str>) {
        let id = standing.id.0;
        if let Some(reason) = reason {
            debug!(pair = id, reason, "a pair stays");
        }
        if let Err(error) = standing.pair.thaw(self.crew.least_loaded()) {
            let handovers = self.shared.metrics.handovers();
            handovers.pairs(Way::Out, Handover::Lost).increment(1);
            warn!(pair = id, %error, "a pair cannot go on");
        }
    }

    fn forget(&mut self, standing: Standing) {
        standing.pair.forget();
    }
}

// === impl Newcomers ===

impl Newcomers {
    pub(crate) fn of(proxy: &Proxy) -> Self {
        Self {
            shared: Arc::clone(proxy.shared()),
            listeners: Arc::clone(proxy.listeners()),
            crew: Arc::clone(proxy.crew()),
        }
    }

    /// So many pairs have come.
    pub(crate) fn count(&self, taken: u64) {
        let handovers = self.shared.metrics.handovers();
        handovers.pairs(Way::In, Handover::Moved).increment(taken);
    }
}

impl Arrivals for Newcomers {
    type Frozen = Coming;

    fn unpack(&mut self, state: &[u8], [client, upstream]: [OwnedFd; 2]) -> Result<Coming, String> {
        let state: PairState = PairState::from_bytes(state).map_err(|error| error.to_string())?;
        let generation = self.shared.generation.load();
        let route = generation
            .route(&state.route)
            .ok_or_else(|| format!("there is no route {:?} any more", state.route))?;
        let entrance = (self.listeners.entrance(&state.listener))
            .ok_or_else(|| format!("there is no listener {:?} any more", state.listener))?;
        let anchor = Anchor::now();
        let opened = anchor
            .instant(state.opened)
            .map_err(|error| error.to_string())?;
        let identity = Identity {
            listener: Arc::clone(&entrance.listener.name),
            route: Arc::clone(&route.name),
            upstream_name: Arc::clone(&route.upstream.settings.name),
            client: state.client,
            upstream: state.upstream,
            request: state.request.clone().map(String::into_boxed_str),
        };
        let worker = Arc::clone(self.crew.least_loaded());
        let registry = &self.shared.registry;
        let registration = registry
            .adopt(PairId(state.id), identity, opened)
            .ok_or("a pair with its number is here already")?;
        let admission = &self.shared.admission;
        let home = NewHome {
            // Looked at behind the registration, so that no reload is missed.
            terms: route.live_terms.renewed(&route.terms),
            live_terms: Arc::clone(&route.live_terms),
            metrics: route.metrics(&entrance.listener.name).resume(),
            registration,
            drain_spread: generation.general.drain.spread,
            chance: 0.5,
            places: Places {
                _pair: admission.adopt(route, state.client.ip()),
                _client: Some(entrance.place_beyond()),
                _upstream: admission.sockets.take_beyond(),
                _load: worker.load(),
            },
        };
        let sockets = PerSide { client, upstream };
        let _runtime = worker.runtime().enter();
        let splice = Splice::thaw(state, sockets, home, &anchor);
        Ok(Coming {
            splice: splice.map_err(|error| error.to_string())?,
            worker,
        })
    }

    fn start(&mut self, coming: Coming) {
        coming.worker.spawn(coming.splice.run());
    }
}
