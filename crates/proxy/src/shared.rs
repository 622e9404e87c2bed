//! What all connections share, whoever accepts them and whatever they ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lubdub_metrics::{Metrics, Pause};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::drain::Drains;
use crate::entrance::Entrance;
use crate::idle::IdleConnections;
use crate::pseudonym::Pseudonym;
use crate::refusals::Refusals;
use crate::registry::Registry;
use crate::route::RouteTable;
use crate::settings::{Drain, Forwarded, FrontTimeouts, Limits, RequestDetail};
use crate::upstream::{Kept, OwnAddresses, Upstream};

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) routes: RouteTable,
    pub(crate) upstreams: Box<[Arc<Upstream>]>,
    pub(crate) entrances: Box<[Arc<Entrance>]>,
    pub(crate) timeouts: FrontTimeouts,
    pub(crate) limits: Limits,
    pub(crate) forwarded: Forwarded,
    /// The name of this process in `Via`.
    pub(crate) pseudonym: Pseudonym,
    pub(crate) drain: Drain,
    /// How much of a request the log tells.
    pub(crate) request_detail: RequestDetail,
    pub(crate) refusals: Refusals,
    pub(crate) admission: Admission,
    /// Clients' connections that can go when places run short.
    pub(crate) idle: Arc<IdleConnections>,
    /// Connections to upstreams that can.
    pub(crate) kept: Arc<Kept>,
    /// Where connections to upstreams must not lead.
    pub(crate) own: Arc<OwnAddresses>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) drains: Arc<Drains>,
    /// The last drain: no new pairs, and connections end with the exchange under way.
    pub(crate) draining: CancellationToken,
    /// The time for that is over.
    pub(crate) cutting: CancellationToken,
    pub(crate) metrics: Arc<Metrics>,
    /// Microseconds for which nobody was accepted.
    pub(crate) paused: [AtomicU64; Pause::ALL.len()],
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
        self.admission.sample(metrics);
        let remaining = u32::try_from(self.drains.remaining()).unwrap_or(u32::MAX);
        metrics.drain_remaining_pairs.set(remaining);
        for upstream in &self.upstreams {
            upstream.sample();
        }
        for entrance in &self.entrances {
            let open = u32::try_from(entrance.open.load(Relaxed)).unwrap_or(u32::MAX);
            entrance.metrics.connections.set(open);
        }
        for pause in Pause::ALL {
            let seconds = self.paused[pause as usize].load(Relaxed) / 1_000_000;
            metrics.accept_paused(pause).absolute(seconds);
        }
    }

    /// Looks whether exhaustions of budgets are over.
    pub(crate) fn settle(&self, now: Instant) {
        self.admission.settle(now);
        self.routes.iter().for_each(|route| route.settle(now));
        self.upstreams
            .iter()
            .for_each(|upstream| upstream.settle(now));
    }
}
