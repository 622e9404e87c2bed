//! `lubdub run`: the proxy itself, from start to drain.

use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use lubdub_metrics::{BuildInfo, Metrics, Names};
use lubdub_proxy::handover::{Arrival, Arrived, Departed, Lingered, Sockets};
use lubdub_proxy::{Drained, Proxy};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::admin::{self, Admin, Readiness};
use crate::certificates::Watch;
use crate::config::{self, Config, Machine, Sources};
use crate::logging::Log;
use crate::reload::{Purpose, Reloader};
use crate::upgrade::{Others, Predecessor, Program, Socket, Start, Upgrades, Wanted};
use crate::version;

/// A proxy with all that belongs to it.
pub(crate) struct Running {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) metrics: Arc<Metrics>,
    /// The admin listener, if there is one.
    admin: Option<TcpListener>,
    /// Who answers there.
    serving: Option<Serving>,
    /// The last answers, when the listener is another process's.
    answering: Option<JoinHandle<()>>,
    ready: Arc<Readiness>,
    draining: AtomicBool,
    certificates: Arc<Watch>,
}

/// Who answers operators.
struct Serving {
    /// Until this is dropped.
    open: watch::Sender<()>,
    served: JoinHandle<()>,
}

/// Signals that end the program.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

/// How often histogram samples are taken up; they pile up otherwise.
const UPKEEP: Duration = Duration::from_secs(5);

/// How long operators have to take their last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Runs the proxy until it is told to stop.
pub(crate) fn run(sources: Sources, start: Start) -> anyhow::Result<ExitCode> {
    let program = Program::of_this_process();
    let parent = Predecessor::that_started()?;
    let config = match config::load(&sources, &Machine::probe()) {
        Ok(config) => config,
        Err(mistakes) => {
            // It goes on, and can say why.
            if let Some(parent) = parent {
                parent.refuse(&mistakes.to_string());
            }
            return Err(mistakes.into());
        }
    };
    let predecessor = match (parent, start) {
        (Some(parent), _) => Some(parent),
        (None, Start::TakeOver) => Some(Predecessor::that_listens(&config.handover)?),
        (None, Start::Alone) => None,
    };
    // To the end, which waits a little for who reads it.
    let log = Log::start(config.log)?;
    // What `lubdub check` would have said.
    config.warnings.log();
    for (flag, replaced) in config.replacements() {
        info!(flag, replaced, "a flag replaces what is set elsewhere");
    }
    raise_file_limit();
    match run_logged(sources, config, &log, &program, predecessor) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            error!(error = format!("{error:#}"), "lubdub cannot go on");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn run_logged(
    sources: Sources,
    config: Config,
    log: &Log,
    program: &Program,
    predecessor: Option<Predecessor>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(sources, config, log, program, predecessor))
}

async fn serve(
    sources: Sources,
    config: Config,
    log: &Log,
    program: &Program,
    predecessor: Option<Predecessor>,
) -> anyhow::Result<()> {
    // Before anything listens: a signal that comes early must not be lost.
    let mut ending = Ending::listen()?;
    let hangup = signal(SignalKind::hangup())?;
    let mut upgrades = Upgrades::listen()?;
    let handover = config.handover.clone();
    let others = match predecessor {
        Some(_) => Others::Replaced,
        None => Others::Refused,
    };
    let (running, left) = match predecessor {
        Some(predecessor) => {
            Running::take_over(config.clone(), predecessor, &mut ending, log).await?
        }
        None => {
            let running = Running::start(config.clone())?;
            log.count_losses(&running.metrics);
            (running, Left::Everything)
        }
    };
    if let Some(path) = &handover.socket
        && left != Left::OwnPairs
    {
        upgrades.listen_at(Socket::bind(path, others)?);
    }
    let (proxy, metrics) = (Arc::clone(&running.proxy), Arc::clone(&running.metrics));
    let certificates = Arc::clone(&running.certificates);
    let reloader = Reloader::new(sources, config, proxy, metrics, certificates, log.dial());
    tokio::spawn(reload_on(hangup, Arc::new(reloader)));
    match left {
        Left::Everything => {}
        Left::OwnPairs => return running.stand_down(&mut ending, &mut upgrades).await,
        Left::Nothing => return running.end(&mut ending, &mut upgrades).await,
    }
    loop {
        let wanted = tokio::select! {
            () = ending.wait() => return running.end(&mut ending, &mut upgrades).await,
            wanted = upgrades.wanted() => wanted,
        };
        let (departed, told) =
            carry_out(wanted, &running, program, &mut ending, &mut upgrades).await?;
        match departed {
            Some(departed) => {
                if told {
                    departed.stop_successor();
                }
                return running
                    .linger(departed, handover.linger, told, &mut ending, &mut upgrades)
                    .await;
            }
            None if told => return running.end(&mut ending, &mut upgrades).await,
            None => {}
        }
    }
}

/// What is left to do when a hand-over into this process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// To serve.
    Everything,
    /// To keep what came, to its end: the predecessor serves.
    OwnPairs,
    /// To end: it was told to stop meanwhile.
    Nothing,
}

/// Has an upgrade made. Signals and others wait for its end. Says as well whether it was told to stop
/// meanwhile.
async fn carry_out(
    wanted: Wanted,
    running: &Running,
    program: &Program,
    ending: &mut Ending,
    upgrades: &mut Upgrades,
) -> anyhow::Result<(Option<Departed>, bool)> {
    let mut upgrade = pin!(wanted.carry_out(running, program));
    let mut told = false;
    loop {
        tokio::select! {
            departed = upgrade.as_mut() => return Ok((departed, told)),
            () = ending.wait() => {
                anyhow::ensure!(!told, "ended at once by a second signal");
                told = true;
            }
            wanted = upgrades.wanted() => wanted.refuse_while_under_way(),
        }
    }
}

impl Running {
    /// Starts the proxy and its admin listener.
    pub(crate) fn start(config: Config) -> anyhow::Result<Self> {
        let mut running = Self::build(&config, Sockets::default())?;
        running.open(&config)?;
        Ok(running)
    }

    /// Starts in the place of another process. The predecessor answers operators until all has come.
    async fn take_over(
        config: Config,
        predecessor: Predecessor,
        ending: &mut Ending,
        log: &Log,
    ) -> anyhow::Result<(Self, Left)> {
        let began = Arrival::begin(predecessor.into_stream(), version::VERSION).await;
        let (arrival, sockets) = began.context("there is no hand-over")?;
        let mut running = match Self::build(&config, sockets) {
            Ok(running) => running,
            Err(error) => {
                arrival.refuse(format!("{error:#}")).await;
                return Err(error);
            }
        };
        log.count_losses(&running.metrics);
        let proxy = Arc::clone(&running.proxy);
        let mut taking = pin!(arrival.take(&proxy));
        let mut told = false;
        let arrived = loop {
            tokio::select! {
                arrived = taking.as_mut() => break arrived,
                () = ending.wait() => {
                    anyhow::ensure!(!told, "ended at once by a second signal");
                    told = true;
                }
            }
        };
        let left = match arrived {
            Arrived::BrokenOff => Left::OwnPairs,
            Arrived::Whole | Arrived::Orphaned => {
                running.open(&config)?;
                match told {
                    true => Left::Nothing,
                    false => Left::Everything,
                }
            }
        };
        Ok((running, left))
    }

    /// Starts the proxy, with the sockets that were given to this process.
    fn build(config: &Config, sockets: Sockets) -> anyhow::Result<Self> {
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
        let admin = match &config.admin {
            Some(settings) => Some(
                admin::listen(settings, &sockets.admin)
                    .with_context(|| format!("admin cannot listen on {}", settings.address))?,
            ),
            None => None,
        };
        let certificates = Watch::start(config.certificates.clone(), Arc::clone(&metrics))
            .context("cannot start the thread that watches certificates")?;
        let proxy = Proxy::start_with(settings, &metrics, sockets.listeners)?;
        tokio::spawn(keep_up(Arc::clone(&metrics)));
        Ok(Self {
            proxy: Arc::new(proxy),
            metrics,
            admin,
            serving: None,
            answering: None,
            ready: Arc::default(),
            draining: AtomicBool::new(false),
            certificates: Arc::new(certificates),
        })
    }

    /// Answers operators from now on, and says that it is ready.
    fn open(&mut self, config: &Config) -> anyhow::Result<()> {
        if let (Some(settings), Some(listener)) = (&config.admin, &self.admin) {
            let bound = listener.local_addr()?;
            self.proxy.never_connect_to(bound);
            info!(address = %bound, "admin listens");
            let (metrics, ready) = (Arc::clone(&self.metrics), Arc::clone(&self.ready));
            let state = admin::State::new(settings, metrics, self.proxy.control(), ready);
            let admin = Admin::new(listener.try_clone()?, state)?;
            let (open, closing) = watch::channel(());
            let served = tokio::spawn(admin.serve(closing));
            self.serving = Some(Serving { open, served });
        }
        for (listener, address) in self.proxy.addresses() {
            info!(%listener, %address, "listening");
        }
        info!(workers = config.settings.workers, "ready");
        self.ready.set(true);
        Ok(())
    }

    /// Where the admin listener is, if there is one.
    pub(crate) fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }

    /// The admin listener's socket, for the process that takes over.
    pub(crate) fn admin_socket(&self) -> io::Result<Option<(SocketAddr, OwnedFd)>> {
        let Some(listener) = &self.admin else {
            return Ok(None);
        };
        Ok(Some((listener.local_addr()?, listener.try_clone()?.into())))
    }

    /// Whether it has been told to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Ends the proxy.
    pub(crate) async fn drain(&self) -> Drained {
        self.draining.store(true, Relaxed);
        self.ready.set(false);
        self.proxy.drain().await
    }

    /// Ends the proxy, and the program with it.
    async fn end(self, ending: &mut Ending, upgrades: &mut Upgrades) -> anyhow::Result<()> {
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
                () = ending.wait() => anyhow::bail!("ended at once by a second signal"),
                wanted = upgrades.wanted() => wanted.refuse_while_draining(),
            }
        }
    }

    /// Keeps what could not be handed over, to its end. Another process has the listeners, and answers
    /// operators.
    async fn linger(
        mut self,
        departed: Departed,
        limit: Option<Duration>,
        told: bool,
        ending: &mut Ending,
        upgrades: &mut Upgrades,
    ) -> anyhow::Result<()> {
        self.close_admin();
        if told {
            return self.end(ending, upgrades).await;
        }
        let proxy = Arc::clone(&self.proxy);
        let mut lingering = pin!(departed.linger(&proxy, limit));
        tokio::select! {
            lingered = lingering.as_mut() => match lingered {
                Lingered::Done => {
                    self.last_answers().await;
                    info!("lubdub ends");
                    Ok(())
                }
                Lingered::TimeUp => self.end(ending, upgrades).await,
            },
            () = ending.wait() => {
                // The successor goes on hearing how it is here.
                let told = async {
                    lingering.await;
                    pending().await
                };
                tokio::select! {
                    ended = self.end(ending, upgrades) => ended,
                    () = told => Ok(()),
                }
            }
        }
    }

    /// Keeps what came in a hand-over that broke off, to its end.
    async fn stand_down(
        mut self,
        ending: &mut Ending,
        upgrades: &mut Upgrades,
    ) -> anyhow::Result<()> {
        self.close_admin();
        let proxy = Arc::clone(&self.proxy);
        tokio::select! {
            () = proxy.stand_down() => {
                info!("lubdub ends");
                Ok(())
            }
            () = ending.wait() => self.end(ending, upgrades).await,
        }
    }

    fn close_admin(&mut self) {
        self.ready.set(false);
        self.admin = None;
        if let Some(Serving { open, served }) = self.serving.take() {
            drop(open);
            self.answering = Some(served);
        }
    }

    /// Waits a little for the answers that are on their way to operators.
    async fn last_answers(&mut self) {
        if let Some(answering) = self.answering.take() {
            let _ = timeout(LAST_ANSWERS, answering).await;
        }
    }
}

impl Ending {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => info!("told to stop by SIGTERM"),
            _ = self.interrupt.recv() => info!("told to stop by SIGINT"),
        }
    }
}

/// Reads the configuration again with each SIGHUP.
async fn reload_on(mut hangup: Signal, reloader: Arc<Reloader>) {
    while hangup.recv().await.is_some() {
        info!("told to reload by SIGHUP");
        let reloader = Arc::clone(&reloader);
        // It has said what happened.
        let _ = spawn_blocking(move || reloader.reload(Purpose::Apply)).await;
    }
}

async fn keep_up(metrics: Arc<Metrics>) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        metrics.upkeep();
    }
}

/// Every pair is two descriptors, so the soft limit is of no use below the hard one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "cannot raise the soft limit of open files to the hard one");
    }
}
