//! A proxy with all that belongs to it, from its start to its end or to its successor.

use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use lubdub_metrics::{BuildInfo, Metrics, Names};
use lubdub_proxy::handover::{Arrival, Arrived, Departed, OfferedAdmin, Sockets};
use lubdub_proxy::unix::SocketFile;
use lubdub_proxy::{Address, Drained, Inherited, Proxy};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use super::ending::Ending;
use crate::admin::{self, Admin, AdminSocket, Readiness, SharedAccess};
use crate::certificates::Watch;
use crate::config::Config;
use crate::reload::{Again, Reloader};
use crate::upgrade::{Predecessor, Upgrades};
use crate::version;

/// A proxy with all that belongs to it.
pub(crate) struct Running {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) metrics: Arc<Metrics>,
    /// The admin listener, if there is one.
    admin: Option<AdminSocket>,
    /// Who answers there; when it is the next process's, the last answers are under way.
    serving: Option<Serving>,
    ready: Arc<Readiness>,
    pub(super) reloader: Option<Arc<Reloader>>,
    _certificates: Arc<Watch>,
    is_draining: AtomicBool,
}

/// A proxy that nobody has been told of yet.
struct Built {
    running: Running,
    state: Option<admin::State>,
    /// What was given to this process for the admin listener, if that is somewhere else now.
    admin_left: Inherited,
    workers: usize,
}

/// Who answers operators.
struct Serving {
    /// Until this is dropped.
    open: Option<watch::Sender<()>>,
    served: JoinHandle<()>,
}

/// What is left to do when a hand-over into this process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// To serve.
    Everything,
    /// To keep what came, to its end: the predecessor serves.
    OwnPairs,
    /// To end: it was told to stop meanwhile.
    Nothing,
}

/// How often histogram samples are taken up; they pile up otherwise.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long operators have to take their last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

// === impl Running ===

impl Running {
    /// Starts the proxy and its admin listener. It can be reloaded and upgraded if `again` says how.
    pub(crate) fn start(
        config: Config,
        again: Option<Again>,
        sockets: Sockets,
    ) -> anyhow::Result<Self> {
        Built::new(config, again, sockets)?.open()
    }

    /// Starts in the place of another process. The predecessor answers operators until all has come.
    pub(super) async fn take_over(
        config: Config,
        again: Again,
        predecessor: Predecessor,
        ending: &mut Ending,
    ) -> anyhow::Result<(Self, Left)> {
        let began = Arrival::begin(predecessor.into_stream(), version::VERSION).await;
        let (arrival, sockets) = began.context("there is no hand-over")?;
        let built = match Built::new(config, Some(again), sockets) {
            Ok(built) => built,
            Err(error) => {
                arrival.refuse(format!("{error:#}")).await;
                return Err(error);
            }
        };
        let proxy = Arc::clone(&built.running.proxy);
        let mut taking = pin!(arrival.take(&proxy));
        let mut told = false;
        let arrived = loop {
            tokio::select! {
                arrived = taking.as_mut() => break arrived,
                () = ending.wait() => {
                    if told {
                        return Err(cut(&proxy));
                    }
                    told = true;
                }
            }
        };
        Ok(match arrived {
            Arrived::BrokenOff => (built.running, Left::OwnPairs),
            Arrived::Whole | Arrived::Orphaned if told => (built.open()?, Left::Nothing),
            Arrived::Whole | Arrived::Orphaned => (built.open()?, Left::Everything),
        })
    }

    /// Where the admin listener is, if there is one.
    pub(crate) fn admin_address(&self) -> Option<Address> {
        self.admin.as_ref().map(|admin| admin.address.clone())
    }

    /// The admin listener's socket, for the process that takes over.
    pub(crate) fn admin_socket(&self) -> io::Result<Option<OfferedAdmin>> {
        let Some(admin) = &self.admin else {
            return Ok(None);
        };
        Ok(Some(OfferedAdmin {
            address: admin.address.clone(),
            file: admin.file.as_ref().map(SocketFile::id),
            socket: admin.try_clone()?,
        }))
    }

    /// Whether it has been told to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Relaxed)
    }

    /// It has been told to end, and does so when it has done what it is doing.
    pub(super) fn is_to_end(&self) {
        self.is_draining.store(true, Relaxed);
        self.ready.set(false);
    }

    /// A second signal ends it at once. What is left is to know why it ends.
    pub(super) fn cut(&self) -> anyhow::Error {
        cut(&self.proxy)
    }

    /// Ends the proxy.
    pub(crate) async fn drain(&self) -> Drained {
        self.is_to_end();
        self.proxy.drain().await
    }

    /// Ends the proxy, and the program with it, as it was told by a signal.
    pub(super) async fn end(
        self,
        ending: &mut Ending,
        upgrades: &mut Upgrades,
    ) -> anyhow::Result<()> {
        self.end_after(1, ending, upgrades).await
    }

    /// The same after so many signals. The second one ends it at once.
    async fn end_after(
        self,
        mut signals: u32,
        ending: &mut Ending,
        upgrades: &mut Upgrades,
    ) -> anyhow::Result<()> {
        let mut draining = pin!(self.drain());
        loop {
            tokio::select! {
                drained = draining.as_mut() => {
                    if let Drained::Cut(pairs) = drained {
                        warn!(pairs, "pairs were cut");
                    }
                    info!("lubdub ends");
                    return Ok(());
                }
                () = ending.wait() => {
                    if signals > 0 {
                        return Err(self.cut());
                    }
                    signals += 1;
                }
                wanted = upgrades.wanted() => wanted.refuse_while_draining(),
            }
        }
    }

    /// Keeps what could not be handed over, to its end. Another process has the listeners, and answers
    /// operators.
    pub(super) async fn linger(
        mut self,
        departed: Departed,
        limit: Option<Duration>,
        ending: &mut Ending,
        upgrades: &mut Upgrades,
    ) -> anyhow::Result<()> {
        if let Some(admin) = &self.admin {
            // It is the successor's by now.
            admin.set_file_ours(false);
        }
        self.close_admin();
        let proxy = Arc::clone(&self.proxy);
        let (says_so, mut time_is_up) = oneshot::channel();
        let mut lingering = pin!(departed.linger(&proxy, limit, says_so));
        let signals = loop {
            tokio::select! {
                () = lingering.as_mut() => {
                    self.last_answers().await;
                    info!("lubdub ends");
                    return Ok(());
                }
                // A service manager may tell this process as well as the successor, which has passed it on.
                Ok(()) = &mut time_is_up => break 0,
                () = ending.wait() => break 1,
                wanted = upgrades.wanted() => wanted.refuse_while_lingering(),
            }
        };
        // The successor goes on hearing how it is here.
        let told = async {
            lingering.await;
            pending().await
        };
        tokio::select! {
            ended = self.end_after(signals, ending, upgrades) => ended,
            () = told => Ok(()),
        }
    }

    /// Keeps what came in a hand-over that broke off, to its end.
    pub(super) async fn stand_down(
        mut self,
        ending: &mut Ending,
        upgrades: &mut Upgrades,
    ) -> anyhow::Result<()> {
        self.close_admin();
        let proxy = Arc::clone(&self.proxy);
        let mut standing_down = pin!(proxy.stand_down());
        loop {
            tokio::select! {
                () = standing_down.as_mut() => {
                    info!("lubdub ends");
                    return Ok(());
                }
                () = ending.wait() => return self.end(ending, upgrades).await,
                wanted = upgrades.wanted() => wanted.refuse_while_lingering(),
            }
        }
    }

    fn close_admin(&mut self) {
        self.ready.set(false);
        self.admin = None;
        if let Some(serving) = &mut self.serving {
            serving.open = None;
        }
    }

    /// Waits a little for the answers that are on their way to operators.
    async fn last_answers(&mut self) {
        if let Some(serving) = self.serving.take() {
            let _ = timeout(LAST_ANSWERS, serving.served).await;
        }
    }
}

fn cut(proxy: &Proxy) -> anyhow::Error {
    proxy.cut();
    anyhow::anyhow!("ended at once by a second signal")
}

// === impl Built ===

impl Built {
    /// Starts the proxy, with the sockets that were given to this process.
    fn new(config: Config, again: Option<Again>, sockets: Sockets) -> anyhow::Result<Self> {
        info!(
            version = version::VERSION,
            revision = version::REVISION,
            "lubdub starts"
        );
        let settings = config.settings.clone();
        let listeners: Vec<&str> = settings
            .listeners
            .iter()
            .map(|listener| &*listener.name)
            .collect();
        let routes: Vec<&str> = settings.routes.iter().map(|route| &*route.name).collect();
        let upstreams: BTreeSet<&str> = settings
            .routes
            .iter()
            .map(|route| &*route.upstream.name)
            .collect();
        let upstreams: Vec<&str> = upstreams.into_iter().collect();
        let build = BuildInfo {
            version: version::VERSION,
            revision: version::REVISION,
        };
        let names = Names {
            listeners: &listeners,
            routes: &routes,
            upstreams: &upstreams,
        };
        let metrics = Arc::new(Metrics::new(build, names)?);
        let workers = settings.workers.get();
        let (certificates, clients) = (config.certificates.clone(), config.clients.clone());
        let certificates = Watch::start(certificates, clients, Arc::clone(&metrics))
            .context("cannot start the thread that watches certificates")?;
        let listen = |settings| {
            admin::listen(settings, &sockets.admin)
                .with_context(|| format!("admin cannot listen on {}", settings.address))
        };
        let admin = config.admin.as_ref().map(listen).transpose()?;
        sockets.admin.close();
        let proxy = Arc::new(Proxy::start_with(settings, &metrics, sockets.listeners)?);
        let certificates = Arc::new(certificates);
        let access = config.admin.as_ref().map(SharedAccess::new).map(Arc::new);
        let upgrader = again.as_ref().map(|again| again.upgrader.clone());
        let reloader = again.map(|again| {
            let (proxy, metrics) = (Arc::clone(&proxy), Arc::clone(&metrics));
            let (certificates, access) = (Arc::clone(&certificates), access.clone());
            let reloader = Reloader::new(again, config, proxy, metrics, certificates, access);
            Arc::new(reloader)
        });
        let ready = Arc::<Readiness>::default();
        let state = access.map(|access| {
            let (metrics, ready) = (Arc::clone(&metrics), Arc::clone(&ready));
            let (control, reloader) = (proxy.control(), reloader.clone());
            admin::State::new(access, metrics, control, ready, reloader, upgrader)
        });
        tokio::spawn(keep_up(Arc::clone(&metrics)));
        let running = Running {
            proxy,
            metrics,
            admin,
            serving: None,
            ready,
            reloader,
            _certificates: certificates,
            is_draining: AtomicBool::new(false),
        };
        Ok(Self {
            running,
            state,
            admin_left: sockets.admin,
            workers,
        })
    }

    /// Answers operators from now on, and says that it is ready.
    fn open(self) -> anyhow::Result<Running> {
        let Self {
            mut running,
            state,
            admin_left,
            workers,
        } = self;
        admin_left.remove_files_left();
        if let (Some(socket), Some(state)) = (&running.admin, state) {
            socket.set_file_ours(true);
            running.proxy.never_connect_to(socket.address.clone());
            info!(address = %socket.address, "admin listens");
            let admin = Admin::new(socket, state)?;
            let (open, closing) = watch::channel(());
            running.serving = Some(Serving {
                open: Some(open),
                served: tokio::spawn(admin.serve(closing)),
            });
        }
        for (listener, address) in running.proxy.addresses() {
            info!(%listener, %address, "listening");
        }
        info!(workers, "ready");
        running.ready.set(true);
        Ok(running)
    }
}

async fn keep_up(metrics: Arc<Metrics>) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}
