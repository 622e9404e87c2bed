//! The proxy as a whole: started from settings, drained at its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lubdub_metrics::Metrics;
use tokio::time::{Duration, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::admission::Admission;
use crate::front::connection::Entrance;
use crate::front::listener::{Acceptor, Bound};
use crate::registry::{Order, Registry};
use crate::route::RouteTable;
use crate::settings::{Drain, Forwarded, FrontTimeouts, Limits, RequestDetail, Settings};
use crate::worker::Workers;

/// A running proxy. It serves until [`Proxy::drain`] has ended it.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    workers: Workers,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    /// Ends the accepting.
    stop: CancellationToken,
    acceptors: TaskTracker,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) routes: RouteTable,
    pub(crate) timeouts: FrontTimeouts,
    pub(crate) limits: Limits,
    pub(crate) forwarded: Forwarded,
    pub(crate) drain: Drain,
    /// How much of a request the log tells.
    pub(crate) request_detail: RequestDetail,
    pub(crate) admission: Arc<Admission>,
    pub(crate) registry: Arc<Registry>,
    /// No new pairs, and connections end with the exchange under way.
    pub(crate) draining: CancellationToken,
    /// The time for that is over.
    pub(crate) cutting: CancellationToken,
    /// Connections and pairs.
    pub(crate) tasks: TaskTracker,
    metrics: Arc<Metrics>,
}

/// Why a proxy did not start. Each text is whole, what the operating system said included; so that
/// is not a source as well, and a chain of errors says it once.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener's address cannot be bound.
    #[error("listener {listener:?} cannot listen on {address}: {error}")]
    Bind {
        /// The listener's name.
        listener: Arc<str>,
        /// Its configured address.
        address: SocketAddr,
        /// What the operating system said.
        error: io::Error,
    },
    /// A worker thread or its runtime cannot be made.
    #[error("cannot start a worker: {0}")]
    Worker(io::Error),
    /// The metrics were built for other names.
    #[error("no metrics are registered for {0:?}")]
    Unregistered(Arc<str>),
}

/// How a drain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every pair and connection came to its own end.
    Clean,
    /// So many pairs were left after the drain timeout and were cut.
    Cut(usize),
}

impl Proxy {
    /// How long connections that were cut get to notice it.
    const AFTER_CUT: Duration = Duration::from_secs(1);

    /// Binds every listener and starts the workers, on whose threads everything runs.
    ///
    /// # Errors
    /// If an address cannot be bound or a thread not be started; then nothing is left running.
    pub fn start(settings: Settings, metrics: &Arc<Metrics>) -> Result<Self, StartError> {
        let routes = RouteTable::new(settings.routes);
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for listener in settings.listeners {
            let unregistered = |name: &Arc<str>| StartError::Unregistered(Arc::clone(name));
            let of_listener = metrics
                .listener(&listener.name)
                .ok_or_else(|| unregistered(&listener.name))?;
            let of_routes = routes
                .iter()
                .map(|route| {
                    of_listener
                        .route(&route.name)
                        .ok_or_else(|| unregistered(&route.name))
                })
                .collect::<Result<_, _>>()?;
            let (name, address) = (Arc::clone(&listener.name), listener.address);
            let bind = |error| StartError::Bind {
                listener: Arc::clone(&name),
                address,
                error,
            };
            let bound = Bound::new(Entrance {
                listener,
                metrics: of_listener,
                routes: of_routes,
            })
            .map_err(bind)?;
            addresses.push((Arc::clone(&name), bound.local_addr().map_err(bind)?));
            listeners.push(bound);
        }
        let shared = Arc::new(Shared {
            admission: Arc::new(Admission::new(&settings.limits, &routes)),
            routes,
            timeouts: settings.timeouts,
            limits: settings.limits,
            forwarded: settings.forwarded,
            drain: settings.drain,
            request_detail: settings.logging.request,
            registry: Arc::new(Registry::new(tokio::time::Instant::now().into_std())),
            draining: CancellationToken::new(),
            cutting: CancellationToken::new(),
            tasks: TaskTracker::new(),
            metrics: Arc::clone(metrics),
        });
        let workers = Workers::start(settings.workers, &shared).map_err(StartError::Worker)?;
        let proxy = Self {
            shared,
            workers,
            addresses,
            stop: CancellationToken::new(),
            acceptors: TaskTracker::new(),
        };
        let crew = proxy.workers.crew();
        for (n, bound) in listeners.into_iter().enumerate() {
            // Beside its pairs: a thread of its own would have to wake the worker's each time.
            let runtime = crew.on_duty(n).runtime();
            let acceptor = Acceptor::new(bound, runtime).map_err(StartError::Worker)?;
            let run = acceptor.run(Arc::clone(crew), proxy.stop.clone());
            runtime.spawn(proxy.acceptors.track_future(run));
        }
        Ok(proxy)
    }

    /// Each listener's name and the address that it got.
    #[must_use]
    pub fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.addresses
    }

    /// The live pairs.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.shared.registry
    }

    /// How many tasks are alive on its workers: those that accept, serve connections, shake hands
    /// and splice, and those that libraries have spawned beside them.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.workers.tasks()
    }

    /// Ends the proxy: keeps accepting for `drain.delay`, then closes the listeners, says farewell
    /// to every pair over `drain.spread`, and cuts what is left after `drain.timeout`.
    ///
    /// Readiness should say no from the call on ([`Metrics::set_draining`] does).
    pub async fn drain(&self) -> Drained {
        let Drain {
            delay,
            timeout: limit,
            ..
        } = self.shared.drain;
        self.shared.metrics.set_draining(true);
        info!(pairs = self.shared.registry.len(), "draining");
        sleep(delay).await;
        // Whoever is still let in meets a proxy that drains, and is told so.
        self.shared.draining.cancel();
        self.stop.cancel();
        self.acceptors.close();
        self.shared.registry.order_all(Order::Drain);
        self.shared.tasks.close();
        let everyone = async {
            self.acceptors.wait().await;
            self.shared.tasks.wait().await;
        };
        if timeout(limit, everyone).await.is_ok() {
            info!("drained");
            return Drained::Clean;
        }
        let left = self.shared.registry.len();
        warn!(
            pairs = left,
            "the drain timeout is over; the pairs that are left are cut"
        );
        self.shared.cutting.cancel();
        self.shared.registry.order_all(Order::Cut);
        // What is not a pair (a plain exchange, a handshake) ends with its worker.
        let _ = timeout(Self::AFTER_CUT, self.shared.tasks.wait()).await;
        if left == 0 {
            Drained::Clean
        } else {
            Drained::Cut(left)
        }
    }
}
