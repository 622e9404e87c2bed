//! The proxy as a whole: started from settings, drained at its end.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use lubdub_metrics::{ListenerMetrics, Metrics};
use tokio::time::{Duration, Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::admission::Admission;
use crate::control::Control;
use crate::drain::Drains;
use crate::entrance::Entrance;
use crate::front::listener::{Acceptor, Bound};
use crate::pseudonym::Pseudonym;
use crate::refusals::Refusals;
use crate::registry::{Order, Registry};
use crate::route::{RouteState, RouteTable};
use crate::settings::{self, Drain, Settings};
use crate::shared::Shared;
use crate::upstream::{Common, OwnAddresses, Upstream};
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
    /// Connections and pairs.
    tasks: TaskTracker,
}

/// Listening sockets that are there already, by the names of their listeners.
pub type Sockets = BTreeMap<Arc<str>, TcpListener>;

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

    /// How often it is looked whether budgets have room again.
    const SETTLING: Duration = Duration::from_secs(1);

    /// Binds every listener and starts the workers, on whose threads everything runs.
    ///
    /// # Errors
    /// If an address cannot be bound or a thread not be started; then nothing is left running.
    pub fn start(settings: Settings, metrics: &Arc<Metrics>) -> Result<Self, StartError> {
        Self::start_on(settings, metrics, Sockets::new())
    }

    /// The same, with sockets for some of the listeners that somebody else has bound, and listens on as
    /// well: these are not bound again, and what waits in their accept queues at the end is left there.
    ///
    /// # Errors
    /// As for [`Proxy::start`].
    pub fn start_on(
        settings: Settings,
        metrics: &Arc<Metrics>,
        sockets: Sockets,
    ) -> Result<Self, StartError> {
        let admission = Admission::new(&settings.limits);
        let common = Common {
            sockets: Arc::clone(&admission.sockets),
            kept: Arc::default(),
            idle: Arc::default(),
            own: Arc::default(),
            workers: settings.workers.get(),
        };
        let bound = bind(&settings.listeners, sockets, &common.own)?;
        let names = settings.listeners.iter().map(|l| Arc::clone(&l.name));
        let addresses = names.zip(bound.iter().map(Bound::address)).collect();
        let listeners = settings
            .listeners
            .iter()
            .map(|listener| {
                (metrics.listener(&listener.name)).ok_or_else(|| unregistered(&listener.name))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let upstreams = upstreams(&settings.routes, &common, metrics)?;
        let routes = routes(&settings.routes, &listeners, &upstreams)?;
        let entrances: Box<[_]> = settings
            .listeners
            .into_iter()
            .zip(listeners)
            .map(|(listener, metrics)| {
                Arc::new(Entrance {
                    listener,
                    metrics,
                    open: AtomicUsize::new(0),
                    connections: Arc::clone(&admission.connections),
                })
            })
            .collect();
        let registry = Arc::new(Registry::new(Instant::now().into_std()));
        let drains = Drains::new(Arc::clone(&registry), Arc::clone(metrics));
        let shared = Arc::new(Shared {
            routes,
            upstreams: upstreams.into_values().collect(),
            entrances,
            timeouts: settings.timeouts,
            limits: settings.limits,
            forwarded: settings.forwarded,
            pseudonym: Pseudonym::random(),
            drain: settings.drain,
            request_detail: settings.logging.request,
            refusals: Refusals::new(settings.logging.refusals, metrics),
            admission,
            idle: common.idle,
            kept: common.kept,
            own: common.own,
            registry,
            drains: Arc::new(drains),
            draining: CancellationToken::new(),
            cutting: CancellationToken::new(),
            metrics: Arc::clone(metrics),
            paused: Default::default(),
        });
        let sampled = Arc::downgrade(&shared);
        metrics.before_rendering(move || {
            if let Some(shared) = sampled.upgrade() {
                shared.sample();
            }
        });
        let tasks = TaskTracker::new();
        let workers = Workers::start(settings.workers, &tasks).map_err(StartError::Worker)?;
        let proxy = Self {
            shared,
            workers,
            addresses,
            stop: CancellationToken::new(),
            acceptors: TaskTracker::new(),
            tasks,
        };
        let crew = proxy.workers.crew();
        for (n, bound) in bound.into_iter().enumerate() {
            // Beside its pairs: a thread of its own would have to wake the worker's each time.
            let runtime = crew.on_duty(n).runtime();
            let entrance = Arc::clone(&proxy.shared.entrances[n]);
            let shared = Arc::clone(&proxy.shared);
            let acceptor =
                Acceptor::new(bound, entrance, shared, runtime).map_err(StartError::Worker)?;
            let run = acceptor.run(Arc::clone(crew), proxy.stop.clone());
            runtime.spawn(proxy.acceptors.track_future(run));
        }
        let (shared, stop) = (Arc::clone(&proxy.shared), proxy.stop.clone());
        crew.on_duty(0).runtime().spawn(async move {
            let mut ticks = interval(Self::SETTLING);
            while let Some(now) = stop.run_until_cancelled(ticks.tick()).await {
                shared.settle(now);
            }
        });
        Ok(proxy)
    }

    /// Connections to upstreams must not lead to `address`, where this process listens as well.
    pub fn never_connect_to(&self, address: SocketAddr) {
        self.shared.own.add(address);
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

    /// What an operator may do to it, or ask of it, while it runs.
    #[must_use]
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.shared), Arc::clone(self.workers.crew()))
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
        self.shared.drains.begin_last(self.shared.drain);
        info!(pairs = self.shared.registry.len(), "draining");
        sleep(delay).await;
        // Whoever is still let in meets a proxy that drains, and is told so.
        self.shared.draining.cancel();
        self.stop.cancel();
        self.acceptors.close();
        self.tasks.close();
        let everyone = async {
            // Who has to be told ends later than those who tell.
            let farewells = async {
                self.shared.drains.say_last_farewells().await;
                pending::<()>().await;
            };
            let ends = async {
                self.acceptors.wait().await;
                self.tasks.wait().await;
            };
            tokio::select! {
                () = ends => {}
                () = farewells => {}
            }
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
        let _ = timeout(Self::AFTER_CUT, self.tasks.wait()).await;
        if left == 0 {
            Drained::Clean
        } else {
            Drained::Cut(left)
        }
    }
}

/// Binds every listener that has no socket yet, and notes where.
fn bind(
    listeners: &[settings::Listener],
    mut sockets: Sockets,
    own: &OwnAddresses,
) -> Result<Vec<Bound>, StartError> {
    let mut bind_one = |listener: &settings::Listener| {
        let wrong = |error| StartError::Bind {
            listener: Arc::clone(&listener.name),
            address: listener.address,
            error,
        };
        let bound = match sockets.remove(&listener.name) {
            Some(socket) => Bound::lent(socket),
            None => Bound::new(listener),
        };
        let bound = bound.map_err(wrong)?;
        own.add(bound.address());
        Ok(bound)
    };
    listeners.iter().map(&mut bind_one).collect()
}

/// The upstreams that routes lead to, by their names: one of each, whoever leads there.
type Upstreams = BTreeMap<Arc<str>, Arc<Upstream>>;

fn upstreams(
    routes: &[Arc<settings::Route>],
    common: &Common,
    metrics: &Metrics,
) -> Result<Upstreams, StartError> {
    let mut upstreams = Upstreams::new();
    for settings in routes.iter().map(|route| &route.upstream) {
        let name = &settings.name;
        if !upstreams.contains_key(name) {
            let of_upstream = metrics.upstream(name).ok_or_else(|| unregistered(name))?;
            let upstream = Upstream::new(Arc::clone(settings), of_upstream, common);
            upstreams.insert(Arc::clone(name), Arc::new(upstream));
        }
    }
    Ok(upstreams)
}

fn routes(
    routes: &[Arc<settings::Route>],
    listeners: &[Arc<ListenerMetrics>],
    upstreams: &Upstreams,
) -> Result<RouteTable, StartError> {
    let state = |route: &Arc<settings::Route>| {
        let counted_on = |listener: &Arc<ListenerMetrics>| {
            let metrics = listener.route(&route.name);
            let metrics = metrics.ok_or_else(|| unregistered(&route.name))?;
            Ok((Arc::from(listener.name()), metrics))
        };
        let metrics = listeners.iter().map(counted_on).collect::<Result<_, _>>()?;
        let upstream = Arc::clone(&upstreams[&route.upstream.name]);
        Ok(Arc::new(RouteState::new(route, upstream, metrics)))
    };
    let states: Result<_, _> = routes.iter().map(state).collect();
    states.map(RouteTable::new)
}

fn unregistered(name: &Arc<str>) -> StartError {
    StartError::Unregistered(Arc::clone(name))
}
