//! What the proxy is told to do, in typed form: nothing in here can be nonsense any more.
//!
//! Raw configuration (files, environment, flags) is parsed into this by the `lubdub` program;
//! the proxy itself reads neither files nor the environment. Settings are immutable: a pair keeps
//! the [`Arc`]s that it started with as its snapshot.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use lubdub_keepalive::{PerSide, Policy, Side};
use lubdub_wire::CloseCode;

use crate::address::Address;
use crate::tls::{ServerTls, UpstreamTls};
use crate::unix::Permissions;

pub use lubdub_wire::ProxyVersion;

pub use crate::access::{Access, InvalidOrigin, Networks, OriginMissing, OriginPattern, WebOrigin};
pub use crate::host::HostPattern;
pub use crate::trust::Trust;

/// Everything that a proxy needs to run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where clients connect. Names are unique.
    pub listeners: Vec<Listener>,
    /// Where requests go; the most specific host, then the longest path prefix wins.
    pub routes: Vec<Arc<Route>>,
    /// Waits before a request is known to belong to a route.
    pub timeouts: FrontTimeouts,
    /// Bounds of the whole process.
    pub limits: Limits,
    /// How the upstream is told about the client.
    pub forwarded: Forwarded,
    /// How a shutdown goes.
    pub drain: Drain,
    /// What the log tells of requests.
    pub logging: Logging,
    /// Worker threads; each has its own runtime and its own pairs.
    pub workers: NonZeroUsize,
    /// Whether workers send through a ring of the kernel's (io_uring), where there can be one.
    pub io_uring: bool,
    /// What each worker calls on its thread while connections or pairs come and go, once a second at the most, and a
    /// second behind the last of them: it should give back what the thread keeps of the memory that they had.
    pub tidy: fn(),
}

/// One listening socket.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its configured name: the metric label `listener`.
    pub name: Arc<str>,
    /// Where it listens; port 0 lets the kernel choose.
    pub address: Address,
    /// Whether it leaves IPv4 alone where the address is `[::]`: another listener has that.
    pub v6_only: bool,
    /// Who may connect, where it is a Unix socket.
    pub permissions: Permissions,
    /// TLS toward clients, if this listener speaks it.
    pub tls: Option<Arc<ServerTls>>,
    /// Whether connections begin with a PROXY header.
    pub proxy_protocol: ProxyProtocol,
    /// Whose word about the client counts here; `None` for that of those in [`Forwarded::trust`].
    pub trust: Option<Trust>,
}

/// Whether connections begin with a PROXY header, which only those who are trusted may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ProxyProtocol {
    /// None does.
    #[default]
    Off,
    /// Some do.
    Optional,
    /// All do; who is not trusted is refused.
    Required,
}

/// A backend.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Its configured name.
    pub name: Arc<str>,
    /// Where it is.
    pub site: Site,
    /// TLS toward the backend (`wss`, `https`), if it speaks it.
    pub tls: Option<Arc<UpstreamTls>>,
    /// The Host field that it gets; `None` for the client's.
    pub host_field: Option<HeaderValue>,
    /// The PROXY header that it is sent in front of every connection, if any. A connection is for one
    /// client then: none is kept.
    pub proxy_protocol: Option<ProxyVersion>,
    /// Upgrades that wait for it at a time, for its address, its connect or its answer, and connects
    /// for plain requests.
    pub waiting: usize,
    /// Plain requests at a time that it has not answered yet, long polls included.
    pub requests: usize,
    /// Whether connections are kept for further plain requests.
    pub pool: bool,
    /// The greatest age of a connection that is kept.
    pub pool_age: Duration,
    /// What becomes of its pairs when a reload removes it.
    pub on_removed: OnRemoved,
}

/// Where a backend is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    /// At a name, or at an IP address.
    Named {
        /// Host name or IP literal, without brackets; resolved at every connect.
        host: Arc<str>,
        /// TCP port.
        port: u16,
    },
    /// At a Unix socket.
    Unix(Arc<Path>),
}

/// What becomes of the pairs of a route or an upstream when a reload removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRemoved {
    /// They go on.
    #[default]
    Keep,
    /// They are told farewell, over `drain.spread`.
    Drain,
}

impl Upstream {
    /// What its own `Host` is: `host:port`, with an IPv6 address in brackets. A Unix socket has no name, and is on
    /// this machine.
    #[must_use]
    pub fn authority(&self) -> String {
        match &self.site {
            Site::Named { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Site::Named { host, port } => format!("{host}:{port}"),
            Site::Unix(_) => "localhost".to_owned(),
        }
    }

    /// Where it is, as an URL: with its port, and with `ws` and `wss` for `http` and `https` as well.
    #[must_use]
    pub fn url(&self) -> String {
        match (&self.site, &self.tls) {
            (Site::Named { .. }, None) => format!("ws://{}", self.authority()),
            (Site::Named { .. }, Some(_)) => format!("wss://{}", self.authority()),
            (Site::Unix(path), None) => format!("unix:{}", path.display()),
            (Site::Unix(path), Some(_)) => format!("wss+unix:{}", path.display()),
        }
    }

    /// Whether a connection to the one is a connection to the other.
    pub(crate) fn is_at_the_place_of(&self, other: &Self) -> bool {
        self.site == other.site
            && self.proxy_protocol == other.proxy_protocol
            && self.tls == other.tls
    }
}

/// A share of the requests, the upstream that answers them, and the terms on which pairs live.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its configured name: the metric label `route`.
    pub name: Arc<str>,
    /// Only requests for these hosts; `None` for all.
    pub host: Option<HostPattern>,
    /// Only requests whose path begins with these segments; starts with `/`.
    pub path_prefix: String,
    /// Whether the upstream gets the path without that.
    pub strip_prefix: bool,
    /// Who may come in.
    pub access: Access,
    /// Who answers.
    pub upstream: Arc<Upstream>,
    /// The terms on which this route's pairs live.
    pub terms: Arc<Terms>,
    /// Pairs at a time on this route; `None` for no limit of its own.
    pub pairs: Option<usize>,
    /// What becomes of its pairs when a reload removes it.
    pub on_removed: OnRemoved,
}

/// The terms on which a pair lives: a pair's snapshot of its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The heartbeat of each side.
    pub keepalive: PerSide<Arc<Policy>>,
    /// How long a due ping waits for a message boundary before it takes a frame boundary
    /// (RFC 6455 5.4 allows both); `None` takes the first frame boundary.
    pub boundary_wait: PerSide<Option<Duration>>,
    /// Codes of the Closes that lubdub writes.
    pub close_codes: CloseCodes,
    /// What those to each side say besides.
    pub close_reasons: PerSide<CloseReason>,
    /// TCP and TLS connect to the upstream.
    pub connect: Duration,
    /// The upstream's answer to an upgrade, counted from the request.
    pub answer: Duration,
    /// No byte either way on a plain exchange; `None` for no limit.
    pub http_idle: Option<Duration>,
    /// A side with bytes waiting that takes none (or under 1 KiB) for so long is stalled.
    pub write_stall: Option<Duration>,
    /// The closing handshake, from when the Close or FIN was passed on.
    pub close: Duration,
    /// No data frame either way for so long ends the pair; pings and pongs do not count.
    pub data_idle: Option<Duration>,
    /// A pair's longest life, shortened by up to a tenth at random so that pairs which
    /// began together do not end together.
    pub lifetime: Option<Duration>,
    /// The largest frame payload, as announced by its header; `None` for any.
    pub frame_bytes: Option<u64>,
    /// How fast a pair relays.
    pub rates: Rates,
}

/// How fast a pair relays in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// From the upstream to the client.
    pub to_client: Rate,
    /// From the client to the upstream.
    pub to_upstream: Rate,
}

/// How fast a pair relays in one direction; `None` for as fast as it goes. What is beyond it waits in
/// the socket that it comes from. A burst may be what a second brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    /// Bytes a second, with the headers of frames.
    pub bytes: Option<NonZeroU64>,
    /// Messages a second.
    pub messages: Option<NonZeroU32>,
}

/// The code of a Close that lubdub writes, by the direction it goes and its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseCodes {
    /// Closes to the client.
    pub to_client: ToClientCodes,
    /// Closes to the upstream.
    pub to_upstream: ToUpstreamCodes,
}

/// What a Close that lubdub writes says besides its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CloseReason {
    /// A few plain words: why lubdub ends the pair.
    #[default]
    Cause,
    /// Nothing.
    Off,
}

/// Codes of Closes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // named after their causes
pub struct ToClientCodes {
    pub upstream_lapsed: CloseCode,
    pub upstream_stalled: CloseCode,
    pub drain: CloseCode,
    pub lifetime: CloseCode,
    pub data_idle: CloseCode,
    pub frame_too_big: CloseCode,
    pub limit: CloseCode,
}

/// Codes of Closes to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // named after their causes
pub struct ToUpstreamCodes {
    pub client_lapsed: CloseCode,
    pub client_stalled: CloseCode,
    pub drain: CloseCode,
    pub lifetime: CloseCode,
    pub data_idle: CloseCode,
    pub frame_too_big: CloseCode,
    pub limit: CloseCode,
}

/// Waits that pass before a route is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrontTimeouts {
    /// From accept to the client's first byte.
    pub first_byte: Duration,
    /// From a request's first byte to the end of its head.
    pub request_head: Duration,
    /// The TLS handshake with a client.
    pub tls: Duration,
    /// From a PROXY header's first byte to its end.
    pub proxy_header: Duration,
    /// No byte either way on an idle connection; `None` for no limit.
    pub http_idle: Option<Duration>,
}

/// Bounds of the whole process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Pairs at a time.
    pub pairs: usize,
    /// Pairs at a time from one source address (IPv6: one /64); `None` for no limit.
    pub pairs_per_source: Option<usize>,
    /// Upgrades a second from one source, and as many at once; `None` for no limit.
    pub handshake_rate: Option<NonZeroU32>,
    /// Handshakes in flight; the excess waits in the accept queue.
    pub handshakes: NonZeroUsize,
    /// Connections of clients at a time, of every kind, and as many to upstreams, pairs included. The
    /// excess waits in the accept queue.
    pub connections: NonZeroUsize,
    /// The largest request head, in bytes.
    pub head_bytes: usize,
}

/// How the upstream is told about the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Which header fields are written.
    pub style: ForwardedStyle,
    /// Whose own such fields are read, kept and added to; from others they are dropped first.
    pub trust: Trust,
    /// Whether `Via` names this process, by a pseudonym, and what names it already is refused.
    pub via: bool,
    /// Whether each request has an id (`X-Request-Id`).
    pub request_id: bool,
}

/// Which header fields tell the upstream about the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedStyle {
    /// `X-Forwarded-For` (appended to), `X-Forwarded-Proto` and `X-Forwarded-Host` (set).
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// Both families.
    Both,
    /// Neither; what came in passes as it is.
    Off,
}

/// What the log tells of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// How much of a request a line tells.
    pub request: RequestDetail,
    /// Lines a second for each outcome of those who are not served; `None` for no lines.
    pub refusals: Option<NonZeroU32>,
}

/// How much of a request a line tells. Never the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestDetail {
    /// Nothing.
    Off,
    /// The host.
    Host,
    /// Host and path.
    #[default]
    Path,
}

/// How a shutdown goes: for `delay` new connections are still accepted while readiness already
/// says no; then pairs are closed over `spread`; what is left after `timeout` is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // said above
pub struct Drain {
    pub delay: Duration,
    pub spread: Duration,
    pub timeout: Duration,
}

impl Default for CloseCodes {
    fn default() -> Self {
        let going_away = CloseCode::GOING_AWAY;
        Self {
            to_client: ToClientCodes {
                upstream_lapsed: CloseCode::INTERNAL_ERROR,
                upstream_stalled: CloseCode::INTERNAL_ERROR,
                drain: CloseCode::SERVICE_RESTART,
                lifetime: CloseCode::SERVICE_RESTART,
                data_idle: going_away,
                frame_too_big: CloseCode::MESSAGE_TOO_BIG,
                limit: CloseCode::POLICY_VIOLATION,
            },
            to_upstream: ToUpstreamCodes {
                client_lapsed: going_away,
                client_stalled: going_away,
                drain: going_away,
                lifetime: going_away,
                data_idle: going_away,
                frame_too_big: CloseCode::MESSAGE_TOO_BIG,
                limit: going_away,
            },
        }
    }
}

impl Rates {
    /// The rate of what comes from a side.
    #[must_use]
    pub fn from(&self, side: Side) -> Rate {
        match side {
            Side::Client => self.to_upstream,
            Side::Upstream => self.to_client,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn are_off(&self) -> bool {
        *self == Self::default()
    }
}

/// The classic recipe: ping every 30 s, write deadline 10 s, read deadline 60 s (docs/adr/0006).
impl Default for Terms {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            keepalive: PerSide::default(),
            boundary_wait: PerSide::from_fn(|_| Some(seconds(5))),
            close_codes: CloseCodes::default(),
            close_reasons: PerSide::default(),
            connect: seconds(5),
            answer: seconds(30),
            http_idle: Some(seconds(120)),
            write_stall: Some(seconds(10)),
            close: seconds(5),
            data_idle: None,
            lifetime: None,
            frame_bytes: None,
            rates: Rates::default(),
        }
    }
}

impl Default for Logging {
    fn default() -> Self {
        Self {
            request: RequestDetail::default(),
            refusals: NonZeroU32::new(10),
        }
    }
}

impl Default for Forwarded {
    fn default() -> Self {
        Self {
            style: ForwardedStyle::default(),
            trust: Trust::default(),
            via: false,
            request_id: true,
        }
    }
}

impl Default for FrontTimeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            first_byte: seconds(10),
            request_head: seconds(10),
            tls: seconds(10),
            proxy_header: seconds(5),
            http_idle: Some(seconds(120)),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Settings for unit tests.

    use std::net::SocketAddr;

    use super::*;

    /// A shutdown at once.
    pub(crate) fn drain() -> Drain {
        Drain {
            delay: Duration::ZERO,
            spread: Duration::ZERO,
            timeout: Duration::from_secs(30),
        }
    }

    /// A route for everything, to an upstream that is not there.
    pub(crate) fn route(name: &str) -> Route {
        Route {
            name: name.into(),
            host: None,
            path_prefix: "/".to_owned(),
            strip_prefix: false,
            access: Access::default(),
            upstream: Arc::new(Upstream {
                name: "upstream".into(),
                site: Site::Named {
                    host: "127.0.0.1".into(),
                    port: 9,
                },
                tls: None,
                host_field: None,
                proxy_protocol: None,
                waiting: 1024,
                requests: 1024,
                pool: true,
                pool_age: Duration::from_secs(60),
                on_removed: OnRemoved::Keep,
            }),
            terms: Arc::new(Terms::default()),
            pairs: None,
            on_removed: OnRemoved::Keep,
        }
    }

    /// One route, and these listeners.
    pub(crate) fn settings(listeners: &[(&str, SocketAddr)]) -> Settings {
        let listener = |&(name, address): &(&str, SocketAddr)| Listener {
            name: name.into(),
            address: address.into(),
            v6_only: false,
            permissions: Permissions::default(),
            tls: None,
            proxy_protocol: ProxyProtocol::Off,
            trust: None,
        };
        let some = NonZeroUsize::new(64).unwrap();
        Settings {
            listeners: listeners.iter().map(listener).collect(),
            routes: vec![Arc::new(route("main"))],
            timeouts: FrontTimeouts::default(),
            limits: Limits {
                pairs: 64,
                pairs_per_source: None,
                handshake_rate: None,
                handshakes: some,
                connections: some,
                head_bytes: 65_536,
            },
            forwarded: Forwarded::default(),
            drain: drain(),
            logging: Logging::default(),
            workers: NonZeroUsize::MIN,
            io_uring: true,
            tidy: || (),
        }
    }
}
