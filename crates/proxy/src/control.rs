//! What an operator may do to a running proxy, or ask of it, from outside.

mod inventory;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use self::inventory::{ListenerView, RouteView, UpstreamView};
use crate::drain::{DrainError, Progress, Selection};
use crate::front::listeners::Listeners;
use crate::handover::Ask;
use crate::registry::{Closing, Farewell, NoSuchPair, PairId, Registry};
use crate::shared::Shared;
use crate::worker::Crew;

/// A running proxy, as an operator holds it.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
    crew: Arc<Crew>,
    listeners: Arc<Listeners>,
}

/// The names by which parts of a proxy can be chosen: those in its settings, and those of live pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // said above
pub struct Names {
    pub listeners: BTreeSet<Arc<str>>,
    pub routes: BTreeSet<Arc<str>>,
    pub upstreams: BTreeSet<Arc<str>>,
}

/// Why a pair is not told to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// There is none.
    #[error(transparent)]
    NoSuchPair(#[from] NoSuchPair),
    /// Another process takes over.
    #[error("lubdub is being handed over to a new process; ask that one")]
    HandingOver,
    /// It lingers in an earlier process, which does not listen.
    #[error("the pair goes on in an earlier process, which takes no orders just now; ask again")]
    Deaf,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>, crew: Arc<Crew>, listeners: Arc<Listeners>) -> Self {
        Self {
            shared,
            crew,
            listeners,
        }
    }

    /// Waits until every worker has shown that it does not hang.
    pub async fn hear_workers(&self) {
        self.crew.answer().await;
    }

    /// The live pairs.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.shared.registry
    }

    /// The names that there are.
    #[must_use]
    pub fn names(&self) -> Names {
        let mut names = Names::default();
        let generation = self.shared.generation.load();
        names.listeners.extend(generation.listeners.iter().cloned());
        for route in generation.routes.iter() {
            names.routes.insert(Arc::clone(&route.name));
            let upstream = &route.upstream.settings.name;
            names.upstreams.insert(Arc::clone(upstream));
        }
        let of_pairs = self.shared.registry.names();
        names.listeners.extend(of_pairs.listeners);
        names.routes.extend(of_pairs.routes);
        names.upstreams.extend(of_pairs.upstreams);
        names
    }

    /// Begins a drain: says farewell to the pairs that it is about, evenly over `spread`
    /// (`drain.spread` if not said). A whole one refuses new pairs from then on, after `drain.delay`,
    /// and until it is called off. It runs on the runtime of who calls.
    ///
    /// # Errors
    /// If there is one already.
    pub fn drain(
        &self,
        selection: Selection,
        spread: Option<Duration>,
    ) -> Result<Progress, DrainError> {
        let shared = &self.shared;
        let change = shared.changing.change();
        if change.is_handing_over() || shared.leaving.is_cancelled() {
            return Err(DrainError::HandingOver);
        }
        let mut terms = shared.generation.load().general.drain;
        terms.spread = spread.unwrap_or(terms.spread);
        let text = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
        let ask = Ask::Drain {
            route: text(&selection.route),
            upstream: text(&selection.upstream),
            listener: text(&selection.listener),
            older_than_ms: selection.older_than.map(millis),
            spread_ms: millis(terms.spread),
        };
        let progress = shared.drains.start(selection, terms)?;
        // Pairs that linger in earlier processes are meant as well.
        shared.lingerers.ask(&ask);
        Ok(progress)
    }

    /// Calls a drain off: who was not told yet goes on.
    ///
    /// # Errors
    /// If there is none, or it belongs to the end of the process.
    pub fn call_off_drain(&self) -> Result<Progress, DrainError> {
        let progress = self.shared.drains.call_off()?;
        self.shared.lingerers.ask(&Ask::CallOffDrain);
        Ok(progress)
    }

    /// Ends one pair by a Close with this farewell to both sides; its cause is then `admin`. One that is coming to
    /// its end already goes on with that. One that lingers in an earlier process is ended there.
    ///
    /// # Errors
    /// If there is no such pair, or not any more here.
    pub fn close(&self, pair: PairId, farewell: Farewell) -> Result<Closing, CloseError> {
        let shared = &self.shared;
        let change = shared.changing.change();
        // A pair on its way to another process would not hear of it.
        if change.is_handing_over() || shared.leaving.is_cancelled() {
            return Err(CloseError::HandingOver);
        }
        match shared.registry.close(pair, farewell.clone()) {
            Ok(closing) => Ok(closing),
            Err(none) => match shared.lingerers.close(pair, &farewell) {
                Some(true) => Ok(Closing::Told),
                Some(false) => Err(CloseError::Deaf),
                None => Err(none.into()),
            },
        }
    }

    /// The earlier process that a pair lingers in, if it does, as of a second ago.
    #[must_use]
    pub fn lingers_in(&self, pair: PairId) -> Option<u32> {
        self.shared.lingerers.process_of(pair)
    }

    /// Waits until the process that this one takes over from has done what it does before it lingers.
    pub async fn has_taken_over(&self) {
        self.shared.lingerers.settled().await;
    }

    /// What is known of the latest drain.
    #[must_use]
    pub fn latest_drain(&self) -> Option<Progress> {
        self.shared.drains.progress()
    }

    /// Whether all of it is drained, or about to be: it is not ready for anybody new.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.shared.drains.is_whole()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
