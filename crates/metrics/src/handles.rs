//! Typed handles to the series of the table: what the proxy holds and counts on.
//!
//! Resolved once, when listeners and routes are known; after that a closed label is an array index
//! and nothing hashes or compares a string. Not in here: when to count, which is the proxy's
//! business.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use metrics::{Counter, Gauge, Histogram};

use crate::labels::{
    Cause, Class, Diagnosis, Direction, Label, OpcodeClass, Outcome, Pause, Side, TlsFailure,
};
use crate::recorder::Scope;
use crate::table::{self, Metric};

/// The value of the label `route` for a handshake whose request never reached a route.
pub const NO_ROUTE: &str = "none";

/// What is counted on one listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    /// Connections of clients open now.
    pub connections: Gauge,
    name: Box<str>,
    unrouted: Handshakes,
    unrouted_requests: Requests,
    tls_failures: [Counter; TlsFailure::ALL.len()],
    pairs: RwLock<Vec<Arc<PairMetrics>>>,
}

/// What is counted for the pairs of one listener and one route, and all that is counted for that
/// route: the one handle that a pair needs.
#[derive(Debug)]
pub struct PairMetrics {
    /// What is counted for the route, whatever the listener.
    pub route: Arc<RouteMetrics>,
    /// How long pairs lived; recorded when one ends.
    pub pair_duration: Histogram,
    handshakes: Handshakes,
    requests: Requests,
    pairs_opened: Counter,
    pairs: Gauge,
}

/// What is counted for one route.
#[derive(Debug)]
pub struct RouteMetrics {
    /// All that there may be of its pairs.
    pub pairs_max: Gauge,
    /// From a client's request to its 101.
    pub handshake_duration: Histogram,
    /// From a plain request to the end of its answer.
    pub http_request_duration: Histogram,
    /// The time that a connection to the upstream took.
    pub upstream_connect_duration: Histogram,
    /// The heartbeat of the clients.
    pub client: SideMetrics,
    /// The heartbeat of the upstream.
    pub upstream: SideMetrics,
    /// What was relayed from the clients to the upstream.
    pub to_upstream: DirectionMetrics,
    /// What was relayed from the upstream to the clients.
    pub to_client: DirectionMetrics,
    name: Box<str>,
    closed: [Counter; Cause::ALL.len()],
}

/// The heartbeat of one side of a route.
#[derive(Debug)]
pub struct SideMetrics {
    /// Own pings written to the side.
    pub pings_sent: Counter,
    /// Pongs from the side that answered own pings.
    pub pongs_received: Counter,
    /// Pongs passed on in the side's name (RFC 6455 5.5.3: it may answer only the latest ping).
    pub pongs_repaired: Counter,
    /// Lapses that ended nothing, because the side is only observed.
    pub would_have_lapsed: Counter,
    /// Ends for want of progress in writing to the side.
    pub write_stalls: Counter,
    /// From a ping written to its pong read.
    pub ping_rtt: Histogram,
    /// From a ping due to the ping written.
    pub ping_delay: Histogram,
    lapses: [Counter; Diagnosis::ALL.len()],
}

/// What was relayed in one direction of a route. Injected frames are not counted here.
#[derive(Debug)]
pub struct DirectionMetrics {
    /// Bytes of frames, headers included.
    pub bytes: Counter,
    /// The endpoints' own pings.
    pub foreign_pings: Counter,
    /// The endpoints' own pongs.
    pub foreign_pongs: Counter,
    /// Frames by opcode, in the order of [`OpcodeClass::ALL`].
    pub frames: [Counter; OpcodeClass::ALL.len()],
}

/// What is used of a budget, and what there is of it.
#[derive(Debug, Clone)]
pub struct BudgetMetrics {
    /// In use now.
    pub used: Gauge,
    /// All that there is.
    pub total: Gauge,
}

/// What is counted for the process as a whole.
#[derive(Debug)]
pub struct ProxyMetrics {
    /// All that there may be of `lubdub_pairs`.
    pub pairs_max: Gauge,
    /// All that there may be of `lubdub_connections`.
    pub connections_max: Gauge,
    /// Connections to upstreams.
    pub upstream_connections: BudgetMetrics,
    /// Who follows what happens at the admin listener.
    pub watchers: BudgetMetrics,
    /// Pairs that a drain under way waits for.
    pub drain_remaining_pairs: Gauge,
    /// Connections before the end of their first head.
    pub handshakes: BudgetMetrics,
    accept_paused: [Counter; Pause::ALL.len()],
}

/// One open pair and its metrics: counted in the gauge `lubdub_pairs` for as long as this lives.
///
/// A drop guard, because a pair whose task panics would otherwise be open for ever.
#[derive(Debug)]
#[must_use = "the pair is counted as open only while this is held"]
pub struct OpenPair(Arc<PairMetrics>);

/// Those who were not served without a line in the log, by outcome; and TLS handshakes that came to
/// nothing, by reason.
#[derive(Debug, Clone)]
pub struct Unlogged {
    refusals: [Counter; Outcome::ALL.len()],
    tls_failures: [Counter; TlsFailure::ALL.len()],
}

/// Handshakes by outcome.
#[derive(Debug)]
struct Handshakes([Counter; Outcome::ALL.len()]);

/// Plain requests by class.
#[derive(Debug)]
struct Requests([Counter; Class::ALL.len()]);

// === impl ListenerMetrics ===

impl ListenerMetrics {
    /// Registers the listener's series with each of the routes.
    pub(crate) fn register(scope: &Scope<'_>, name: &str, routes: &[Arc<RouteMetrics>]) -> Self {
        let scope = scope.with(Label::Listener, name);
        Self {
            connections: scope.gauge(&table::CONNECTIONS),
            name: name.into(),
            unrouted: Handshakes::register(&scope.with(Label::Route, NO_ROUTE)),
            unrouted_requests: Requests::register(&scope.with(Label::Route, NO_ROUTE)),
            tls_failures: TlsFailure::ALL.map(|reason| {
                scope
                    .with(Label::TlsFailure, reason.as_str())
                    .counter(&table::TLS_HANDSHAKE_FAILURES)
            }),
            pairs: RwLock::new(
                routes
                    .iter()
                    .map(|route| Arc::new(PairMetrics::register(&scope, Arc::clone(route))))
                    .collect(),
            ),
        }
    }

    /// Registers the listener's series with one more route.
    pub(crate) fn add(&self, scope: &Scope<'_>, route: &Arc<RouteMetrics>) {
        let scope = scope.with(Label::Listener, &self.name);
        let pair = Arc::new(PairMetrics::register(&scope, Arc::clone(route)));
        let mut pairs = self.pairs.write().unwrap_or_else(PoisonError::into_inner);
        pairs.push(pair);
    }

    /// The configured name of the listener.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Handshakes that ended with `outcome` before their request had reached a route.
    pub fn unrouted(&self, outcome: Outcome) -> &Counter {
        self.unrouted.get(outcome)
    }

    /// Plain requests that ended like this before they had reached a route.
    pub fn unrouted_request(&self, class: Class) -> &Counter {
        self.unrouted_requests.get(class)
    }

    /// TLS handshakes that came to nothing for this reason.
    pub fn tls_failure(&self, reason: TlsFailure) -> &Counter {
        &self.tls_failures[reason as usize]
    }

    /// The handle for pairs of this listener and the named route, to be looked up when their names are
    /// configured.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<Arc<PairMetrics>> {
        let pairs = self.pairs.read().unwrap_or_else(PoisonError::into_inner);
        let found = pairs.iter().find(|pair| pair.route.name() == name);
        found.map(Arc::clone)
    }
}

// === impl PairMetrics ===

impl PairMetrics {
    fn register(listener: &Scope<'_>, route: Arc<RouteMetrics>) -> Self {
        let scope = listener.with(Label::Route, route.name());
        Self {
            pair_duration: scope.histogram(&table::PAIR_DURATION),
            handshakes: Handshakes::register(&scope),
            requests: Requests::register(&scope),
            pairs_opened: scope.counter(&table::PAIRS_OPENED),
            pairs: scope.gauge(&table::PAIRS),
            route,
        }
    }

    /// Handshakes on this listener and route that ended with `outcome`.
    pub fn handshake(&self, outcome: Outcome) -> &Counter {
        self.handshakes.get(outcome)
    }

    /// Plain requests on this listener and route that ended like this.
    pub fn request(&self, class: Class) -> &Counter {
        self.requests.get(class)
    }

    /// Counts a pair as opened, and as open until the guard is dropped.
    pub fn open(self: &Arc<Self>) -> OpenPair {
        self.pairs_opened.increment(1);
        self.resume()
    }

    /// The same for a pair that another process has opened, and counted so.
    pub fn resume(self: &Arc<Self>) -> OpenPair {
        self.pairs.increment(1);
        OpenPair(Arc::clone(self))
    }
}

// === impl RouteMetrics ===

impl RouteMetrics {
    /// Registers the series of the route that do not depend on a listener.
    pub(crate) fn register(scope: &Scope<'_>, name: &str) -> Self {
        let scope = scope.with(Label::Route, name);
        Self {
            pairs_max: scope.gauge(&table::PAIRS_LIMIT),
            handshake_duration: scope.histogram(&table::HANDSHAKE_DURATION),
            http_request_duration: scope.histogram(&table::HTTP_REQUEST_DURATION),
            upstream_connect_duration: scope.histogram(&table::UPSTREAM_CONNECT_DURATION),
            client: SideMetrics::register(&scope, Side::Client),
            upstream: SideMetrics::register(&scope, Side::Upstream),
            to_upstream: DirectionMetrics::register(&scope, Direction::ToUpstream),
            to_client: DirectionMetrics::register(&scope, Direction::ToClient),
            name: name.into(),
            closed: Cause::ALL.map(|cause| {
                scope
                    .with(Label::Cause, cause.as_str())
                    .counter(&table::PAIRS_CLOSED)
            }),
        }
    }

    /// The configured name of the route.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pairs of the route that ended for `cause`.
    pub fn closed(&self, cause: Cause) -> &Counter {
        &self.closed[cause as usize]
    }
}

// === impl SideMetrics ===

impl SideMetrics {
    fn register(route: &Scope<'_>, side: Side) -> Self {
        let scope = route.with(Label::Side, side.as_str());
        Self {
            pings_sent: scope.counter(&table::PINGS_SENT),
            pongs_received: scope.counter(&table::PONGS_RECEIVED),
            pongs_repaired: scope.counter(&table::PONGS_REPAIRED),
            would_have_lapsed: scope.counter(&table::WOULD_HAVE_LAPSED),
            write_stalls: scope.counter(&table::WRITE_STALLS),
            ping_rtt: scope.histogram(&table::PING_RTT),
            ping_delay: scope.histogram(&table::PING_DELAY),
            lapses: Diagnosis::ALL.map(|diagnosis| {
                scope
                    .with(Label::Diagnosis, diagnosis.as_str())
                    .counter(&table::LAPSES)
            }),
        }
    }

    /// Lapses of the side that ended the pair, by what the kernel could tell.
    pub fn lapses(&self, diagnosis: Diagnosis) -> &Counter {
        &self.lapses[diagnosis as usize]
    }
}

// === impl DirectionMetrics ===

impl DirectionMetrics {
    fn register(route: &Scope<'_>, direction: Direction) -> Self {
        let scope = route.with(Label::Direction, direction.as_str());
        Self {
            bytes: scope.counter(&table::BYTES),
            foreign_pings: scope.counter(&table::FOREIGN_PINGS),
            foreign_pongs: scope.counter(&table::FOREIGN_PONGS),
            frames: OpcodeClass::ALL.map(|class| {
                scope
                    .with(Label::Opcode, class.as_str())
                    .counter(&table::FRAMES)
            }),
        }
    }
}

// === impl BudgetMetrics ===

impl BudgetMetrics {
    /// Registers the gauges of what is used and of what there is.
    pub(crate) fn register(scope: &Scope<'_>, used: &Metric, total: &Metric) -> Self {
        Self {
            used: scope.gauge(used),
            total: scope.gauge(total),
        }
    }
}

// === impl ProxyMetrics ===

impl ProxyMetrics {
    /// Registers the series that depend on no name.
    pub(crate) fn register(scope: &Scope<'_>) -> Self {
        Self {
            pairs_max: scope.gauge(&table::PAIRS_MAX),
            connections_max: scope.gauge(&table::CONNECTIONS_MAX),
            upstream_connections: BudgetMetrics::register(
                scope,
                &table::UPSTREAM_CONNECTIONS,
                &table::UPSTREAM_CONNECTIONS_MAX,
            ),
            watchers: BudgetMetrics::register(
                scope,
                &table::ADMIN_WATCHERS,
                &table::ADMIN_WATCHERS_MAX,
            ),
            drain_remaining_pairs: scope.gauge(&table::DRAIN_REMAINING_PAIRS),
            handshakes: BudgetMetrics::register(
                scope,
                &table::HANDSHAKES_IN_FLIGHT,
                &table::HANDSHAKES_MAX,
            ),
            accept_paused: Pause::ALL.map(|pause| {
                scope
                    .with(Label::Reason, pause.as_str())
                    .counter(&table::ACCEPT_PAUSED)
            }),
        }
    }

    /// Whole seconds for which nobody was accepted for this reason.
    pub fn accept_paused(&self, pause: Pause) -> &Counter {
        &self.accept_paused[pause as usize]
    }
}

// === impl OpenPair ===

impl Deref for OpenPair {
    type Target = PairMetrics;

    fn deref(&self) -> &PairMetrics {
        &self.0
    }
}

impl Drop for OpenPair {
    fn drop(&mut self) {
        self.0.pairs.decrement(1);
    }
}

// === impl Unlogged ===

impl Unlogged {
    pub(crate) fn register(scope: &Scope<'_>) -> Self {
        Self {
            refusals: Outcome::ALL.map(|outcome| {
                scope
                    .with(Label::Outcome, outcome.as_str())
                    .counter(&table::REFUSALS_NOT_LOGGED)
            }),
            tls_failures: TlsFailure::ALL.map(|reason| {
                scope
                    .with(Label::TlsFailure, reason.as_str())
                    .counter(&table::TLS_HANDSHAKE_FAILURES_NOT_LOGGED)
            }),
        }
    }

    /// Those of one outcome.
    pub fn get(&self, outcome: Outcome) -> &Counter {
        &self.refusals[outcome as usize]
    }

    /// TLS handshakes that came to nothing for this reason.
    pub fn tls_failure(&self, reason: TlsFailure) -> &Counter {
        &self.tls_failures[reason as usize]
    }
}

// === impl Handshakes ===

impl Handshakes {
    fn register(listener_and_route: &Scope<'_>) -> Self {
        Self(Outcome::ALL.map(|outcome| {
            listener_and_route
                .with(Label::Outcome, outcome.as_str())
                .counter(&table::HANDSHAKES)
        }))
    }

    fn get(&self, outcome: Outcome) -> &Counter {
        &self.0[outcome as usize]
    }
}

// === impl Requests ===

impl Requests {
    fn register(listener_and_route: &Scope<'_>) -> Self {
        Self(Class::ALL.map(|class| {
            listener_and_route
                .with(Label::Class, class.as_str())
                .counter(&table::HTTP_REQUESTS)
        }))
    }

    fn get(&self, class: Class) -> &Counter {
        &self.0[class as usize]
    }
}
