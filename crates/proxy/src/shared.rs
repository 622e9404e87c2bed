//! What all connections share, whoever accepts them and whatever they ask for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use lubdub_metrics::{ListenerMetrics, Metrics, Pause};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::drain::Drains;
use crate::front::gates::Gates;
use crate::generation::Generation;
use crate::handover::{Changing, Lingerers};
use crate::idle::IdleConnections;
use crate::namesakes::Namesakes;
use crate::pseudonym::Pseudonym;
use crate::refusals::Refusals;
use crate::registry::Registry;
use crate::upstream::{Kept, OwnAddresses};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// What is in effect now.
    pub(crate) generation: ArcSwap<Generation>,
    /// Every name that a listener had in the life of this process.
    pub(crate) doors: Mutex<BTreeMap<Arc<str>, Door>>,
    /// The same of routes and upstreams.
    pub(crate) namesakes: Namesakes,
    /// The name of this process in `Via`.
    pub(crate) pseudonym: Pseudonym,
    pub(crate) refusals: Refusals,
    pub(crate) admission: Admission,
    /// Clients' connections that can go when places run short.
    pub(crate) idle: Arc<IdleConnections>,
    /// Connections to upstreams that can.
    pub(crate) kept: Arc<Kept>,
    /// Where connections to upstreams must not lead.
    pub(crate) own: Arc<OwnAddresses>,
    pub(crate) registry: Arc<Registry>,
    /// The listening sockets.
    pub(crate) gates: Gates,
    /// One change of the whole at a time: a reload, the beginning of a drain or of a hand-over.
    pub(crate) changing: Changing,
    /// Earlier processes that go on with what could not be handed over.
    pub(crate) lingerers: Arc<Lingerers>,
    /// Another process has the listeners: connections end with the exchange under way, unless that is
    /// an upgrade.
    pub(crate) leaving: CancellationToken,
    pub(crate) drains: Arc<Drains>,
    /// The last drain: no new pairs, and connections end with the exchange under way.
    pub(crate) draining: CancellationToken,
    /// The time for that is over.
    pub(crate) cutting: CancellationToken,
    pub(crate) metrics: Arc<Metrics>,
    /// Microseconds for which nobody was accepted, but for those in the metrics already.
    pub(crate) paused: [AtomicU64; Pause::ALL.len()],
}

/// What is counted of the listeners of one name, whichever there were.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) metrics: Arc<ListenerMetrics>,
    /// Connections that came in there and are open.
    pub(crate) open: Arc<AtomicUsize>,
}

impl Shared {
    /// How often a pause is written down while it lasts.
    const PAUSE_STEP: Duration = Duration::from_secs(1);

    /// Waits for `wait`, and counts the time as one in which nobody was accepted.
    pub(crate) async fn paused<F: Future>(&self, pause: Pause, wait: F) -> F::Output {
        let mut wait = std::pin::pin!(wait);
        loop {
            let began = Instant::now();
            let waited = timeout(Self::PAUSE_STEP, wait.as_mut()).await;
            let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.paused[pause as usize].fetch_add(micros, Relaxed);
            if let Ok(waited) = waited {
                return waited;
            }
        }
    }

    /// No new pairs, and whoever asks for something else is to do so elsewhere from now on.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled() || self.drains.is_refusing()
    }

    /// Closes a connection that nobody uses at the moment, if there is one: the oldest of the clients',
    /// or else of those to upstreams.
    pub(crate) fn make_room(&self) -> bool {
        self.idle.close_oldest() || self.kept.close_oldest()
    }

    /// Writes down what is kept as plain numbers.
    pub(crate) fn sample(&self) {
        let metrics = self.metrics.proxy();
        let lingering = u32::try_from(self.lingerers.pairs()).unwrap_or(u32::MAX);
        self.metrics.handovers().lingering.set(lingering);
        self.admission.sample(metrics);
        let remaining = u32::try_from(self.drains.remaining()).unwrap_or(u32::MAX);
        metrics.drain_remaining_pairs.set(remaining);
        self.namesakes.sample();
        for route in self.generation.load().routes.iter() {
            if let Some(metrics) = self.metrics.route(&route.name) {
                route.pairs.sample_total(&metrics.pairs_max);
            }
        }
        let doors = self.doors.lock().unwrap_or_else(PoisonError::into_inner);
        for door in doors.values() {
            let open = u32::try_from(door.open.load(Relaxed)).unwrap_or(u32::MAX);
            door.metrics.connections.set(open);
        }
        for pause in Pause::ALL {
            // Whole seconds are added, and the rest waits: the counter may have begun with those of an
            // earlier process.
            let paused = &self.paused[pause as usize];
            let seconds = paused.load(Relaxed) / 1_000_000;
            paused.fetch_sub(seconds * 1_000_000, Relaxed);
            metrics.accept_paused(pause).increment(seconds);
        }
    }

    /// Looks whether exhaustions of budgets are over.
    pub(crate) fn settle(&self, now: Instant) {
        self.admission.settle(now);
        self.namesakes.settle(now);
    }
}
