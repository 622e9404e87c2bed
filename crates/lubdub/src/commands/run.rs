//! `lubdub run`: the proxy itself, from start to drain.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use lubdub_metrics::{BuildInfo, Metrics, Names};
use lubdub_proxy::{Drained, Proxy};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use crate::activation::Activation;
use crate::admin::{self, Admin, Readiness, SharedAccess};
use crate::certificates::Watch;
use crate::config::{self, Config, Machine, Sources};
use crate::logging::Log;
use crate::reload::{Again, Purpose, Reloader};
use crate::service_manager::ServiceManager;
use crate::version;

/// A proxy with all that belongs to it.
pub(crate) struct Running {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) metrics: Arc<Metrics>,
    /// Where the admin listener is, if there is one.
    pub(crate) admin: Option<std::net::SocketAddr>,
    ready: Arc<Readiness>,
    reloader: Option<Arc<Reloader>>,
    _certificates: Arc<Watch>,
}

/// Signals that end the program.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

/// How often histogram samples are taken up; they pile up otherwise.
const UPKEEP: Duration = Duration::from_secs(5);

/// Runs the proxy until it is told to stop.
pub(crate) fn run(sources: Sources) -> anyhow::Result<ExitCode> {
    let config = config::load(&sources, &Machine::probe())?;
    // Before there is another thread.
    let activation = Activation::from_environment();
    // To the end, which waits a little for who reads it.
    let log = Log::start(config.log)?;
    // What `lubdub check` would have said.
    config.warnings.log();
    for (flag, replaced) in config.replacements() {
        info!(flag, replaced, "a flag replaces what is set elsewhere");
    }
    raise_file_limit();
    let ran = activation
        .map_err(anyhow::Error::from)
        .and_then(|activation| run_logged(sources, config, activation, &log));
    match ran {
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
    activation: Activation,
    log: &Log,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(sources, config, activation, log))
}

async fn serve(
    sources: Sources,
    config: Config,
    activation: Activation,
    log: &Log,
) -> anyhow::Result<()> {
    // Before anything listens: a signal that comes early must not be lost.
    let mut ending = Ending::listen()?;
    let hangup = signal(SignalKind::hangup())?;
    let manager = Arc::new(ServiceManager::from_environment());
    let again = Again {
        sources,
        log: log.dial(),
        manager: Arc::clone(&manager),
    };
    let running = Running::start(config, activation, Some(again))?;
    log.count_losses(&running.metrics);
    if let Some(reloader) = running.reloader.clone() {
        tokio::spawn(reload_on(hangup, reloader));
    }
    manager.ready();
    let proxy = running.proxy.control();
    let service = async {
        ending.wait().await;
        tokio::select! {
            drained = running.drain() => Ok(drained),
            () = ending.wait() => Err(anyhow::anyhow!("ended at once by a second signal")),
            never = manager.tell_of_the_end() => match never {},
        }
    };
    let drained = tokio::select! {
        drained = service => drained?,
        never = manager.tell_of_pairs(&proxy) => match never {},
        never = manager.tell_of_life(async || proxy.hear_workers().await) => match never {},
    };
    if let Drained::Cut(pairs) = drained {
        warn!(pairs, "pairs were cut");
    }
    info!("lubdub ends");
    Ok(())
}

impl Running {
    /// Starts the proxy and its admin listener. The configuration can be reloaded if `again` says how.
    pub(crate) fn start(
        config: Config,
        mut activation: Activation,
        again: Option<Again>,
    ) -> anyhow::Result<Self> {
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
        let workers = settings.workers;
        let certificates = Watch::start(config.certificates.clone(), Arc::clone(&metrics))
            .context("cannot start the thread that watches certificates")?;
        let sockets = activation.for_listeners(&settings.listeners);
        let proxy = Arc::new(Proxy::start_on(settings, &metrics, sockets)?);
        let certificates = Arc::new(certificates);
        let admin = config.admin.clone();
        let access = admin.as_ref().map(SharedAccess::new).map(Arc::new);
        let reloader = again.map(|again| {
            let (proxy, metrics) = (Arc::clone(&proxy), Arc::clone(&metrics));
            let (certificates, access) = (Arc::clone(&certificates), access.clone());
            let reloader = Reloader::new(again, config, proxy, metrics, certificates, access);
            Arc::new(reloader)
        });
        let ready = Arc::<Readiness>::default();
        let mut address = None;
        if let (Some(settings), Some(access)) = (&admin, access) {
            let (metrics, ready) = (Arc::clone(&metrics), Arc::clone(&ready));
            let reloader = reloader.clone();
            let state = admin::State::new(access, metrics, proxy.control(), ready, reloader);
            let passed = activation.for_admin(settings);
            let admin = Admin::bind(settings, passed, state)
                .with_context(|| format!("admin cannot listen on {}", settings.address))?;
            let bound = admin.local_addr()?;
            address = Some(bound);
            proxy.never_connect_to(bound);
            info!(address = %bound, "admin listens");
            tokio::spawn(admin.serve());
        }
        activation.tell_of_the_rest();
        for (listener, address) in proxy.addresses() {
            info!(%listener, %address, "listening");
        }
        info!(workers, "ready");
        ready.set(true);
        tokio::spawn(keep_up(Arc::clone(&metrics)));
        Ok(Self {
            proxy,
            metrics,
            admin: address,
            ready,
            reloader,
            _certificates: certificates,
        })
    }

    /// Ends the proxy.
    pub(crate) async fn drain(&self) -> Drained {
        self.ready.set(false);
        self.proxy.drain().await
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
