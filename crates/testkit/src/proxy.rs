//! A proxy in a box: lubdub in this process, on a port of its own, with nothing going on but what
//! the test asks for. No own pings, and patience where the test says nothing else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lubdub_keepalive::{Jitter, PerSide, Policy, Side};
use lubdub_metrics::{BuildInfo, Metrics, Names};
use lubdub_proxy::registry::{PairEntry, Registry};
use lubdub_proxy::settings::{
    Access, Drain, Forwarded, ForwardedStyle, FrontTimeouts, HostPattern, Limits, Listener,
    Logging, OnRemoved, ProxyProtocol, ProxyVersion, Route, Settings, Terms, Trust,
    Upstream as UpstreamSettings,
};
use lubdub_proxy::tls::{ServerTls, UpstreamTls};
use lubdub_proxy::unix::Permissions;
use lubdub_proxy::{Address, Control, Drained, Inherited, Proxy};
use lubdub_wire::Relayed;

use crate::peer::{Dial, Peer, Upstream};
use crate::scrape::Scrape;
use crate::{certs, eventually, way};

/// What is configured, before the proxy starts.
#[derive(Debug, Clone)]
pub struct ProxyBox {
    /// The terms of its one route, `main`.
    pub terms: Terms,
    /// Waits before the route is known.
    pub timeouts: FrontTimeouts,
    /// Bounds of the process.
    pub limits: Limits,
    /// How it ends.
    pub drain: Drain,
    /// How the upstream is told about the client.
    pub forwarded: Forwarded,
    /// Where it listens; port 0 lets the kernel choose.
    pub listen: SocketAddr,
    /// The socket on which it listens instead, as somebody else does.
    pub socket: Option<Arc<TcpListener>>,
    /// The hosts that the route is for; `None` for all.
    pub host: Option<HostPattern>,
    /// The paths that the route is for.
    pub path_prefix: String,
    /// Whether the upstream gets paths without that.
    pub strip_prefix: bool,
    /// Who may come in.
    pub access: Access,
    /// The Host field that the upstream gets; `None` for the client's.
    pub host_field: Option<String>,
    /// Pairs at a time on the route.
    pub route_pairs: Option<usize>,
    /// How its own clients come in ([`RunningProxy::dial`]).
    pub front: Front,
    /// TLS toward clients.
    pub listener_tls: Option<Arc<ServerTls>>,
    /// TLS toward the upstream.
    pub upstream_tls: Option<UpstreamTls>,
    /// Whether its clients' connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// The PROXY header that the upstream is sent, if any.
    pub proxy_out: Option<ProxyVersion>,
    /// Upgrades and connects that wait for the upstream at a time.
    pub waiting: usize,
    /// Plain requests that wait for the upstream at a time.
    pub requests: usize,
    /// Whether connections to the upstream are kept for further plain requests.
    pub pool: bool,
    /// The greatest age of a connection that is kept.
    pub pool_age: Duration,
}

/// How clients come in, so that what holds of one way can be seen to hold of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Front {
    /// Over TCP.
    #[default]
    Plain,
    /// Over TLS.
    Tls,
    /// Behind a balancer that says by a PROXY header that they are at [`CLIENT`].
    Balanced,
}

/// Where a balancer is, and where it says that its clients are.
const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The address of all clients behind a balancer: that of those who come by themselves.
pub const CLIENT: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// A proxy that runs.
#[derive(Debug)]
pub struct RunningProxy {
    proxy: Proxy,
    metrics: Arc<Metrics>,
    address: SocketAddr,
    /// What its Unix socket stands for.
    _port: Option<way::Port>,
    /// How its own clients come in.
    front: Front,
    /// What they trust, if they come in over TLS.
    trust: Option<Arc<rustls::ClientConfig>>,
}

// === impl Front ===

impl Front {
    /// The scheme of what is asked for, as upstreams are told.
    #[must_use]
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Plain | Self::Balanced => "http",
            Self::Tls => "https",
        }
    }

    /// Waits until `client` has come to the end of a connection that lubdub gave up without an answer. Over TLS
    /// nothing says that this is the end.
    pub async fn expect_dropped(self, client: &mut Peer) {
        match self {
            Self::Plain | Self::Balanced => client.expect_eof().await,
            Self::Tls => client.expect_end().await,
        }
    }
}

// === impl ProxyBox ===

impl ProxyBox {
    /// Nothing but relaying.
    #[must_use]
    pub fn new() -> Self {
        Self {
            terms: Terms {
                keepalive: PerSide::from_fn(|_| without_pings().into()),
                ..Terms::default()
            },
            timeouts: FrontTimeouts::default(),
            limits: Limits {
                pairs: 1000,
                pairs_per_source: None,
                handshake_rate: None,
                handshakes: NonZeroUsize::new(512).expect("512 is not 0"),
                connections: NonZeroUsize::new(9000).expect("9000 is not 0"),
                head_bytes: 64 * 1024,
            },
            drain: Drain {
                delay: Duration::ZERO,
                spread: Duration::ZERO,
                timeout: Duration::from_secs(10),
            },
            forwarded: Forwarded {
                style: ForwardedStyle::default(),
                trust: Trust::default(),
                via: false,
                request_id: false,
            },
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            socket: None,
            host: None,
            path_prefix: "/".to_owned(),
            strip_prefix: false,
            access: Access::default(),
            host_field: None,
            route_pairs: None,
            front: Front::Plain,
            listener_tls: None,
            upstream_tls: None,
            proxy_protocol: ProxyProtocol::Off,
            proxy_out: None,
            waiting: 1024,
            requests: 1024,
            pool: true,
            pool_age: Duration::from_secs(60),
        }
    }

    /// Pings `side`, without jitter.
    #[must_use]
    pub fn ping(self, side: Side, interval: Duration, timeout: Duration) -> Self {
        self.policy(side, interval, timeout, |_| {})
    }

    /// Pings `side`, without jitter, on these terms.
    ///
    /// # Panics
    /// If a duration is too short.
    #[must_use]
    pub fn policy(
        mut self,
        side: Side,
        interval: Duration,
        timeout: Duration,
        adjust: impl FnOnce(&mut Policy),
    ) -> Self {
        let mut policy = Policy::try_new(Some(interval), timeout, Jitter::NONE)
            .expect("a test's interval and timeout are at least 1 ms");
        adjust(&mut policy);
        self.terms.keepalive[side] = policy.into();
        self
    }

    /// Has its own clients come in like this.
    #[must_use]
    pub fn front(self, front: Front) -> Self {
        Self { front, ..self }
    }

    /// Changes the terms of its pairs.
    #[must_use]
    pub fn terms(mut self, adjust: impl FnOnce(&mut Terms)) -> Self {
        adjust(&mut self.terms);
        self
    }

    /// Changes anything.
    #[must_use]
    pub fn with(mut self, adjust: impl FnOnce(&mut Self)) -> Self {
        adjust(&mut self);
        self
    }

    /// Starts in front of `upstream`.
    ///
    /// # Panics
    /// If it cannot.
    #[must_use]
    pub fn start(self, upstream: &Upstream) -> RunningProxy {
        self.start_before(upstream.address())
    }

    /// Starts in front of whoever is at `upstream`.
    ///
    /// # Panics
    /// If it cannot.
    #[must_use]
    pub fn start_before(mut self, upstream: SocketAddr) -> RunningProxy {
        let front = self.front;
        let trust = match front {
            Front::Plain => None,
            Front::Balanced => {
                self.proxy_protocol = ProxyProtocol::Required;
                let trusted = &mut self.forwarded.trust.networks;
                trusted.push(IpAddr::from(BALANCER).into());
                None
            }
            Front::Tls => {
                let certs = certs::Certs::generate();
                self.listener_tls = Some(certs.listening());
                Some(certs.connecting())
            }
        };
        let metrics = metrics(&["main"]);
        let sockets = Inherited::default();
        if let Some(socket) = &self.socket {
            let socket = socket.try_clone().expect("there is a descriptor");
            let lent = sockets.lend(Some("main"), socket.into());
            lent.expect("it listens");
        }
        let port = (way::is_unix() && self.socket.is_none() && self.listen.port() == 0)
            .then(|| way::Port::hold().expect("loopback has a free port"));
        let mut settings = self.settings(upstream);
        if let Some(port) = &port {
            settings.listeners[0].address = Address::Unix(way::path(port.address).into());
        }
        let proxy = Proxy::start_with(settings, &metrics, sockets)
            .unwrap_or_else(|error| panic!("the proxy does not start: {error}"));
        let addresses = proxy.addresses();
        let address = match (&addresses[..], &port) {
            (_, Some(port)) => port.address,
            ([(_, Address::Ip(address))], None) => *address,
            _ => unreachable!("there is one listener"),
        };
        RunningProxy {
            address,
            _port: port,
            proxy,
            metrics,
            front,
            trust,
        }
    }

    /// What it is told to do in front of whoever is at `upstream`.
    #[must_use]
    pub fn settings(self, upstream: SocketAddr) -> Settings {
        let host = match self.upstream_tls {
            Some(_) => certs::NAME.to_owned(),
            None => upstream.ip().to_string(),
        };
        let upstream = UpstreamSettings {
            name: "main".into(),
            site: way::site(upstream, host),
            tls: self.upstream_tls.map(Arc::new),
            host_field: (self.host_field).map(|host| host.parse().expect("a test's host is one")),
            proxy_protocol: self.proxy_out,
            waiting: self.waiting,
            requests: self.requests,
            pool: self.pool,
            pool_age: self.pool_age,
            on_removed: OnRemoved::Keep,
        };
        Settings {
            listeners: vec![Listener {
                name: "main".into(),
                address: self.listen.into(),
                permissions: Permissions::default(),
                v6_only: false,
                tls: self.listener_tls,
                proxy_protocol: self.proxy_protocol,
                trust: None,
            }],
            routes: vec![Arc::new(Route {
                name: "main".into(),
                host: self.host,
                path_prefix: self.path_prefix,
                strip_prefix: self.strip_prefix,
                access: self.access,
                upstream: Arc::new(upstream),
                terms: Arc::new(self.terms),
                pairs: self.route_pairs,
                on_removed: OnRemoved::Keep,
            })],
            timeouts: self.timeouts,
            limits: self.limits,
            forwarded: self.forwarded,
            drain: self.drain,
            logging: Logging::default(),
            workers: NonZeroUsize::MIN,
            io_uring: true,
            tidy: || (),
        }
    }
}

impl Default for ProxyBox {
    fn default() -> Self {
        Self::new()
    }
}

/// What is counted of a proxy with these listeners, whose one route and one upstream are `main`.
///
/// # Panics
/// If two of them have the same name.
#[must_use]
pub fn metrics(listeners: &[&str]) -> Arc<Metrics> {
    let names = Names {
        listeners,
        routes: &["main"],
        upstreams: &["main"],
    };
    let build = BuildInfo {
        version: "0",
        revision: "test",
    };
    Arc::new(Metrics::new(build, names).expect("each has a name of its own"))
}

fn without_pings() -> Policy {
    Policy::try_new(None, Duration::from_secs(30), Jitter::NONE).expect("30 s is a timeout")
}

// === impl RunningProxy ===

impl RunningProxy {
    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client for it.
    #[must_use]
    pub fn dial(&self) -> Dial {
        let dial = Dial::to(self.address);
        if self.front == Front::Balanced {
            let header = Relayed::Ip {
                source: (CLIENT, 40_000).into(),
                destination: self.address,
            };
            return dial
                .from(BALANCER)
                .preface(header.to_header(ProxyVersion::V2));
        }
        match &self.trust {
            None => dial,
            Some(trust) => dial.tls(Arc::clone(trust)),
        }
    }

    /// A client of it and its upstream.
    pub async fn pair(&self, upstreams: &Upstream) -> (Peer, Peer) {
        self.dial().pair(upstreams).await
    }

    /// The live pairs.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.proxy.registry()
    }

    /// The one pair that there is, as others may know it.
    ///
    /// # Panics
    /// If there are others, or none.
    #[must_use]
    pub fn only_pair(&self) -> Arc<PairEntry> {
        let [pair] = &self.registry().pairs()[..] else {
            panic!("there is one pair");
        };
        Arc::clone(pair)
    }

    /// It, as an operator holds it.
    #[must_use]
    pub fn control(&self) -> Control {
        self.proxy.control()
    }

    /// Goes on as `next` says.
    ///
    /// # Panics
    /// If it cannot.
    pub fn reload(&self, next: Settings) {
        let reloaded = self.proxy.reload(next);
        reloaded.unwrap_or_else(|error| panic!("the reload is refused: {error}"));
    }

    /// How many tasks are alive on its worker.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.proxy.tasks()
    }

    /// Its metrics now.
    #[must_use]
    pub fn scrape(&self) -> Scrape {
        Scrape::parse(&self.metrics.render())
    }

    /// The sum of the series of a metric that have these labels; the name is without `lubdub_`.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.scrape().sum(&format!("lubdub_{name}"), labels)
    }

    /// Ends it.
    pub async fn drain(&self) -> Drained {
        self.proxy.drain().await
    }

    /// Waits until a metric has a value.
    pub async fn expect_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let what = format!("{name} with {labels:?} is {value}");
        eventually(what, || (self.metric(name, labels) - value).abs() < 0.5).await;
    }

    /// Waits until a metric is at least so much: a frame may be read by an endpoint a moment before
    /// it is counted.
    pub async fn expect_at_least(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        let what = format!("{name} with {labels:?} is at least {value}");
        eventually(what, || self.metric(name, labels) >= value).await;
    }

    /// Waits until the only pair that there was has ended, for this cause, and checks that nothing
    /// of it is left.
    ///
    /// # Panics
    /// If it ended for another cause.
    pub async fn expect_ended(&self, cause: &str) {
        self.expect_no_pairs().await;
        let causes = self.scrape().nonzero("lubdub_pairs_closed_total", "cause");
        assert_eq!(causes, [(cause.to_owned(), 1.0)], "why the pair ended");
    }

    /// Waits until there are so many pairs: a client may have its 101 a moment before its pair is
    /// there.
    pub async fn expect_pairs(&self, count: usize) {
        eventually(format!("{count} pairs"), || self.registry().len() == count).await;
    }

    /// Waits until there are no pairs: none in the registry, and none in the gauge.
    pub async fn expect_no_pairs(&self) {
        eventually("the registry is empty", || {
            self.registry().is_empty() && self.registry().pairs().is_empty()
        })
        .await;
        self.expect_metric("pairs", &[], 0.0).await;
    }

    /// Waits until one more handshake, and no other one, has had this outcome.
    ///
    /// # Panics
    /// If there were other outcomes.
    pub async fn expect_outcome(&self, outcome: &str) {
        self.expect_metric("handshakes_total", &[("outcome", outcome)], 1.0)
            .await;
        let outcomes = self.scrape().nonzero("lubdub_handshakes_total", "outcome");
        assert_eq!(outcomes, [(outcome.to_owned(), 1.0)], "how handshakes went");
    }
}
