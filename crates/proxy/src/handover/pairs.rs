//! The pairs themselves on their way: frozen out of one process, thawed in the other.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use lubdub_keepalive::PerSide;
use lubdub_metrics::{Handover, Way};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::predecessor::Store;
use super::successor::Arrivals;
use crate::entrance::Entrance;
use crate::front::listeners::Listeners;
use crate::frozen::{Anchor, FrozenPair, InvalidPair, PairState};
use crate::proxy::Proxy;
use crate::registry::{Ends, Identity, PairEntry, PairId, Registry};
use crate::request_id::RequestId;
use crate::route::RouteState;
use crate::shared::Shared;
use crate::splice::{NewHome, Places, Splice};
use crate::worker::Crew;

/// A pair that stands still in the process that it leaves.
#[derive(Debug)]
pub(crate) struct Standing {
    id: PairId,
    pair: Box<FrozenPair>,
}

/// A pair that stands still in the process that it comes to.
#[derive(Debug)]
pub(crate) struct Coming {
    state: PairState,
    sockets: PerSide<OwnedFd>,
    route: Arc<RouteState>,
    entrance: Arc<Entrance>,
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
            let frozen = stand_still(&self.shared.registry, &some).await;
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

/// Has pairs stand still, as far as they can. Waits for all: who is asked and not waited for is lost.
async fn stand_still(registry: &Registry, pairs: &[Arc<PairEntry>]) -> Vec<Standing> {
    /// How often it is looked for those that ended before they were asked: they do not answer.
    const LOOK: Duration = Duration::from_millis(20);
    let mut asked: BTreeSet<_> = pairs.iter().map(|pair| pair.id).collect();
    let (freezer, mut answers) = mpsc::unbounded_channel();
    registry.freeze(pairs, freezer);
    let mut frozen = Vec::with_capacity(pairs.len());
    while !asked.is_empty() {
        let Ok(answer) = timeout(LOOK, answers.recv()).await else {
            asked.retain(|id| registry.pair(*id).is_some());
            continue;
        };
        let answer = answer.expect("the registry holds an end of it");
        let id = PairId(answer.pair);
        asked.remove(&id);
        match answer.outcome {
            Ok(pair) => frozen.push(Standing { id, pair }),
            Err(kept) => debug!(pair = answer.pair, reason = %kept, "a pair stays"),
        }
    }
    registry.forget_freezer();
    frozen
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

    /// The last ends, where those of another process belong.
    pub(crate) fn ends(&self) -> &Ends {
        self.shared.registry.ends()
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
        let state = PairState::from_bytes(state).map_err(|error| error.to_string())?;
        let generation = self.shared.generation.load();
        let route = generation
            .route(&state.route)
            .ok_or_else(|| format!("there is no route {:?} any more", state.route))?;
        let entrance = (self.listeners.entrance(&state.listener))
            .ok_or_else(|| format!("there is no listener {:?} any more", state.listener))?;
        if self.shared.registry.pair(PairId(state.id)).is_some() {
            return Err("a pair with its number is here already".to_owned());
        }
        let anchor = Anchor::now();
        let is_whole = state.caller().map(drop);
        is_whole
            .and_then(|()| Splice::check(&state, &route.terms, &anchor))
            .map_err(|error| error.to_string())?;
        Ok(Coming {
            state,
            sockets: PerSide { client, upstream },
            route: Arc::clone(route),
            entrance,
        })
    }

    fn start(&mut self, coming: Coming) {
        let id = coming.state.id;
        if let Err(error) = self.go_on(coming) {
            let handovers = self.shared.metrics.handovers();
            handovers.pairs(Way::In, Handover::Lost).increment(1);
            warn!(pair = id, %error, "a pair cannot go on");
        }
    }
}

impl Newcomers {
    fn go_on(&self, coming: Coming) -> Result<(), InvalidPair> {
        let Coming {
            state,
            sockets,
            route,
            entrance,
        } = coming;
        let anchor = Anchor::now();
        let opened = anchor.instant(state.opened)?;
        let caller = state.caller()?;
        let identity = Identity {
            names: Arc::clone(route.names(&entrance.listener.name)),
            caller,
            upstream: state.upstream.clone(),
            request: state.request.clone().map(String::into_boxed_str),
            request_id: state.request_id.as_deref().and_then(RequestId::kept),
            proxy_header: state.proxy_header.clone().map(String::into_boxed_str),
        };
        let id = PairId(state.id);
        let registration = self.shared.registry.adopt(id, identity, opened);
        let registration = registration.ok_or(InvalidPair::Senseless("a number twice"))?;
        let worker = self.crew.least_loaded();
        let admission = &self.shared.admission;
        let home = NewHome {
            // Looked at behind the registration, so that no reload is missed.
            terms: route.live_terms.renewed(&route.terms),
            live_terms: Arc::clone(&route.live_terms),
            metrics: route.metrics(&entrance.listener.name).resume(),
            registration,
            places: Places {
                _pair: admission.adopt(&route, caller.client_ip()),
                _client: Some(entrance.place_beyond()),
                _upstream: admission.sockets.take_beyond(),
                _load: worker.load(),
            },
        };
        let _runtime = worker.runtime().enter();
        worker.spawn(Splice::thaw(state, sockets, home, &anchor)?.run());
        Ok(())
    }
}
