//! An upstream, as all routes and workers share it: its budgets, the look-ups of its name, and the
//! connections that are kept for plain requests.
//!
//! Connecting is apart from asking: [`Upstream::connect`] brings a connection, and who has a request
//! may try it over several, one after the other.

mod carrier;
mod connect;
mod link;
mod lookup;
mod own;
mod pool;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use hyper::client::conn::http1;
use lubdub_metrics::UpstreamMetrics;

pub(crate) use self::carrier::{Body, Carrier, SendError};
pub(crate) use self::connect::{ConnectError, Connected};
pub(crate) use self::link::{Link, LinkState, Turn};
use self::lookup::Lookup;
pub(crate) use self::own::OwnAddresses;
pub(crate) use self::pool::Kept;
use self::pool::Pool;
use crate::budget::{Budget, Permit};
use crate::drain::LastRemoval;
use crate::idle::IdleConnections;
use crate::namesakes::OfUpstream;
use crate::settings::{self, Site};
use crate::tls::UpstreamTls;

/// An upstream.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) settings: Arc<settings::Upstream>,
    /// As in the settings, or from an earlier generation whose settings were equal: then with the sessions
    /// that can be resumed.
    tls: Option<Arc<UpstreamTls>>,
    /// Upgrades that it has not answered, and connects to it that are under way.
    pub(crate) waiting: Arc<Budget>,
    /// Plain requests that it has not answered.
    pub(crate) requests: Arc<Budget>,
    metrics: Arc<UpstreamMetrics>,
    /// When its pairs had to go last.
    pub(crate) last_removal: Arc<LastRemoval>,
    whereabouts: Whereabouts,
    pool: Arc<Pool>,
    sockets: Arc<Budget>,
    kept: Arc<Kept>,
    idle: Arc<IdleConnections>,
    own: Arc<OwnAddresses>,
}

/// Where an upstream is found.
#[derive(Debug, Clone)]
enum Whereabouts {
    /// By asking for the addresses of its name.
    Name(Arc<Lookup>),
    /// At a Unix socket.
    Path(Arc<Path>),
}

/// What all upstreams share.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    /// Connections to all of them, as far as the file limit carries.
    pub(crate) sockets: Arc<Budget>,
    pub(crate) kept: Arc<Kept>,
    /// Clients' connections, some of which keep connections to upstreams of their own.
    pub(crate) idle: Arc<IdleConnections>,
    pub(crate) own: Arc<OwnAddresses>,
    /// How many workers there are.
    pub(crate) workers: usize,
}

impl Upstream {
    /// How old the addresses of a name may be for which a kept connection is used. They are looked up
    /// again meanwhile, so that a request waits for no name server.
    const RECENT: Duration = Duration::from_secs(1);

    pub(crate) fn new(
        settings: Arc<settings::Upstream>,
        of_name: OfUpstream,
        common: &Common,
    ) -> Self {
        Self {
            waiting: of_name.waiting,
            requests: of_name.requests,
            metrics: of_name.metrics,
            last_removal: of_name.last_removal,
            whereabouts: Whereabouts::of(&settings.site),
            pool: Arc::new(Pool::new(common.workers, &common.kept)),
            sockets: Arc::clone(&common.sockets),
            kept: Arc::clone(&common.kept),
            idle: Arc::clone(&common.idle),
            own: Arc::clone(&common.own),
            tls: settings.tls.clone(),
            settings,
        }
    }

    /// The same upstream with other settings, in the next generation. Who waits for it keeps the place, and
    /// connections that are kept stay, unless it has moved.
    pub(crate) fn next(&self, settings: Arc<settings::Upstream>, common: &Common) -> Self {
        let has_moved = !self.settings.is_at_the_place_of(&settings);
        Self {
            waiting: Arc::clone(&self.waiting),
            requests: Arc::clone(&self.requests),
            metrics: Arc::clone(&self.metrics),
            last_removal: Arc::clone(&self.last_removal),
            whereabouts: if has_moved {
                Whereabouts::of(&settings.site)
            } else {
                self.whereabouts.clone()
            },
            pool: if has_moved {
                Arc::new(Pool::new(common.workers, &common.kept))
            } else {
                Arc::clone(&self.pool)
            },
            sockets: Arc::clone(&common.sockets),
            kept: Arc::clone(&common.kept),
            idle: Arc::clone(&common.idle),
            own: Arc::clone(&common.own),
            tls: if self.tls == settings.tls {
                self.tls.clone()
            } else {
                settings.tls.clone()
            },
            settings,
        }
    }

    /// Its budgets are as its settings say from now on.
    pub(crate) fn resize_budgets(&self) {
        self.waiting.resize(self.settings.waiting);
        self.requests.resize(self.settings.requests);
    }

    /// Whether connections of the one serve the other as well.
    pub(crate) fn shares_connections_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.pool, &other.pool)
    }

    /// It has answered a request with this status. One of the class 5xx says that it is not well (RFC 9110
    /// 15.6: "the server is aware that it has erred or is incapable of performing the requested method").
    pub(crate) fn answered(&self, status: StatusCode) {
        if !status.is_server_error() {
            self.metrics.succeeded(SystemTime::now());
        }
    }

    /// Whether connections are kept for further plain requests. One with a PROXY header in front of it is
    /// for the client that this has told of.
    pub(crate) fn keeps_connections(&self) -> bool {
        self.settings.pool && self.settings.proxy_protocol.is_none()
    }

    /// A connection that was kept by this worker, if there is one of use.
    pub(crate) fn kept(&self, worker: usize) -> Option<Carrier> {
        if !self.keeps_connections() {
            return None;
        }
        let addresses = match &self.whereabouts {
            Whereabouts::Name(lookup) => lookup.recent(Self::RECENT),
            Whereabouts::Path(_) => None,
        };
        self.pool.take(worker, addresses.as_deref())
    }

    /// Keeps a connection for the next plain request of this worker, if it can carry one.
    pub(crate) fn keep(&self, worker: usize, carrier: Carrier) {
        let can_go_on = !carrier.link.is_ending() && carrier.is_ready();
        if self.keeps_connections() && can_go_on {
            self.pool.put(worker, carrier, self.settings.pool_age);
        }
    }
}

impl Whereabouts {
    fn of(site: &Site) -> Self {
        match site {
            Site::Named { host, port } => Self::Name(Lookup::new(host, *port)),
            Site::Unix(path) => Self::Path(Arc::clone(path)),
        }
    }
}

/// How lubdub speaks HTTP with upstreams: with heads of up to `head_bytes`, or of as many as there may
/// be by default.
pub(crate) fn http1(head_bytes: usize) -> http1::Builder {
    const HEAD: usize = 64 * 1024;
    let mut builder = http1::Builder::new();
    builder
        .preserve_header_case(true)
        // RFC 9112 5.1: "A proxy MUST remove any such whitespace from a response message before
        // forwarding the message downstream", and 5.2 lets it replace a folded line.
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .max_buf_size(head_bytes.max(HEAD));
    builder
}

#[cfg(test)]
pub(crate) mod testing {
    //! Upstreams for unit tests.

    use lubdub_metrics::{BuildInfo, Metrics, Names};

    use super::*;
    use crate::budget;

    /// An upstream by itself.
    pub(crate) fn upstream(settings: &Arc<settings::Upstream>) -> Upstream {
        let build = BuildInfo {
            version: "0",
            revision: "test",
        };
        let names = Names {
            listeners: &[],
            routes: &[],
            upstreams: &[&settings.name],
        };
        let metrics = Metrics::new(build, names).expect("one name");
        let metrics = metrics.upstream(&settings.name).expect("it is registered");
        let common = Common {
            sockets: budget::testing::budget(100),
            kept: Arc::default(),
            idle: Arc::default(),
            own: Arc::default(),
            workers: 1,
        };
        let of_name = OfUpstream::new(settings, metrics);
        Upstream::new(Arc::clone(settings), of_name, &common)
    }
}
