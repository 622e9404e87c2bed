//! The declaration of every metric, in one place: name, kind, unit, labels and help.
//!
//! Recorder, handles and the reference page all read it. Names are spelled out in full, prefix and
//! suffix included, so that a search finds what a dashboard shows. Not in here: the `process_*`
//! metrics, which [`PROCESS`](crate::PROCESS) declares.

use crate::labels::Label;
use Label::{
    Cause, Certificate, Class, Diagnosis, Direction, Listener, Opcode, Outcome, Reason, Revision,
    Route, Side, Upstream,
};

/// The declaration of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name, as Prometheus sees it.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// What the number counts in; `None` for plain things.
    pub unit: Option<Unit>,
    /// The labels, in the order in which they are rendered.
    pub labels: &'static [Label],
    /// The HELP text.
    pub help: &'static str,
}

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at start.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram {
        /// The upper bounds of the buckets, rising, without the infinite one.
        buckets: &'static [f64],
    },
}

/// The base unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
}

/// Round trips and the delays of pings. The last bound is the default `keepalive.*.timeout`: what
/// is beyond it has lapsed.
pub const PING_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Handshakes and connects. The last bound is the default `timeouts.answer`.
const HANDSHAKE_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The lives of pairs: a second to a day.
const PAIR_SECONDS: &[f64] = &[1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0];

/// The series of a histogram that are not finite buckets: the infinite bucket, sum and count.
const BESIDE_BUCKETS: usize = 3;

/// Declares each metric as a constant of its own, for the handles, and all of them as [`TABLE`].
macro_rules! table {
    ($( $METRIC:ident = $declaration:expr; )+) => {
        $( pub(crate) const $METRIC: Metric = $declaration; )+

        /// Every metric of lubdub's own.
        pub const TABLE: &[Metric] = &[$( $METRIC, )+];
    };
}

table! {
    BUILD_INFO = Metric::gauge(
        "lubdub_build_info",
        &[Label::Version, Revision],
        "Always 1; the labels tell the version and the source revision that runs.",
    );
    PAIRS = Metric::gauge(
        "lubdub_pairs",
        &[Listener, Route],
        "Pairs open now.",
    );
    PAIRS_OPENED = Metric::counter(
        "lubdub_pairs_opened_total",
        &[Listener, Route],
        "Pairs opened.",
    );
    PAIR_DURATION = Metric::histogram(
        "lubdub_pair_duration_seconds",
        &[Listener, Route],
        PAIR_SECONDS,
        "How long pairs lived; observed when a pair ends.",
    );
    PAIRS_CLOSED = Metric::counter(
        "lubdub_pairs_closed_total",
        &[Route, Cause],
        "Pairs that ended, by cause.",
    );
    HANDSHAKES = Metric::counter(
        "lubdub_handshakes_total",
        &[Listener, Route, Outcome],
        "WebSocket handshakes that ended, by outcome. The route none has those that reached no route, and whatever else failed before it had one: silent connections, plain requests too slow or malformed. TLS handshakes are counted apart (lubdub_tls_handshake_failures_total).",
    );
    HANDSHAKE_DURATION = Metric::histogram(
        "lubdub_handshake_duration_seconds",
        &[Route],
        HANDSHAKE_SECONDS,
        "Time from a client's request to the 101 that answered it; upgraded handshakes only.",
    );
    HTTP_REQUESTS = Metric::counter(
        "lubdub_http_requests_total",
        &[Listener, Route, Class],
        "Plain HTTP requests that ended, by the class of their answer. The route none has those that reached no route.",
    );
    HTTP_REQUEST_DURATION = Metric::histogram(
        "lubdub_http_request_duration_seconds",
        &[Route],
        HANDSHAKE_SECONDS,
        "Time from a plain HTTP request's head to the end of its answer.",
    );
    UPSTREAM_CONNECT_DURATION = Metric::histogram(
        "lubdub_upstream_connect_duration_seconds",
        &[Route],
        HANDSHAKE_SECONDS,
        "Time that connecting to the upstream took, name resolution and TLS included; successes only.",
    );
    UPSTREAM_CONNECTS = Metric::counter(
        "lubdub_upstream_connects_total",
        &[Upstream, Label::Connect],
        "Connects to the upstream that ended, by outcome; one that tries several addresses counts once. A request that goes over a connection that was kept needs none.",
    );
    UPSTREAM_LAST_SUCCESS = Metric::gauge(
        "lubdub_upstream_last_success_timestamp_seconds",
        &[Upstream],
        "When the upstream last answered a request with 101 or with another status below 500, as Unix time; 0 if it has not yet. What passes over open pairs does not count.",
    ).in_seconds();
    PINGS_SENT = Metric::counter(
        "lubdub_pings_sent_total",
        &[Route, Side],
        "Pings of lubdub's own that were written to the side.",
    );
    PONGS_RECEIVED = Metric::counter(
        "lubdub_pongs_received_total",
        &[Route, Side],
        "Pongs from the side that answered pings of lubdub's own; they are not relayed.",
    );
    PONGS_REPAIRED = Metric::counter(
        "lubdub_pongs_repaired_total",
        &[Route, Side],
        "Pongs passed on in the side's name because its one pong had answered both lubdub's ping and an older one of the other endpoint.",
    );
    LAPSES = Metric::counter(
        "lubdub_lapses_total",
        &[Route, Side, Diagnosis],
        "Times the side gave no sign of life within the time allowed after a ping and its pair was ended.",
    );
    WOULD_HAVE_LAPSED = Metric::counter(
        "lubdub_would_have_lapsed_total",
        &[Route, Side],
        "Lapses of the side that did not end the pair because the configuration says to observe.",
    );
    WRITE_STALLS = Metric::counter(
        "lubdub_write_stalls_total",
        &[Route, Side],
        "Times the side took too little of the bytes waiting for it for too long and its pair was ended.",
    );
    PING_RTT = Metric::histogram(
        "lubdub_ping_rtt_seconds",
        &[Route, Side],
        PING_SECONDS,
        "Time from a ping of lubdub's own being written to the side to its pong being read.",
    );
    PING_DELAY = Metric::histogram(
        "lubdub_ping_delay_seconds",
        &[Route, Side],
        PING_SECONDS,
        "Time from a ping of lubdub's own being due to its being written: messages in progress and back-pressure.",
    );
    FOREIGN_PINGS = Metric::counter(
        "lubdub_foreign_pings_total",
        &[Route, Direction],
        "Pings of the endpoints themselves that were relayed.",
    );
    FOREIGN_PONGS = Metric::counter(
        "lubdub_foreign_pongs_total",
        &[Route, Direction],
        "Pongs of the endpoints themselves that were relayed.",
    );
    BYTES = Metric::counter(
        "lubdub_bytes_total",
        &[Route, Direction],
        "Bytes of WebSocket frames relayed, headers included; what lubdub injects is not counted.",
    ).in_bytes();
    FRAMES = Metric::counter(
        "lubdub_frames_total",
        &[Route, Direction, Opcode],
        "Frames relayed; what lubdub injects is not counted.",
    );
    DRAINING = Metric::gauge(
        "lubdub_draining",
        &[],
        "1 while lubdub drains, else 0.",
    );
    CONFIG_RELOADS = Metric::counter(
        "lubdub_config_reloads_total",
        &[Label::Reload],
        "Reloads of the configuration, by outcome.",
    );
    CONFIG_LAST_RELOAD_SUCCESSFUL = Metric::gauge(
        "lubdub_config_last_reload_successful",
        &[],
        "1 if the last reload of the configuration was applied or there was none, 0 if it was refused.",
    );
    CONFIG_LAST_RELOAD_SUCCESS = Metric::gauge(
        "lubdub_config_last_reload_success_timestamp_seconds",
        &[],
        "When the configuration that is in effect was read: at the last reload that was applied, or at the start.",
    )
    .in_seconds();
    TLS_HANDSHAKE_FAILURES = Metric::counter(
        "lubdub_tls_handshake_failures_total",
        &[Listener, Label::TlsFailure],
        "TLS handshakes with clients that came to nothing, by what the client did wrong. Those who go without a word are not counted here.",
    );
    TLS_HANDSHAKE_FAILURES_NOT_LOGGED = Metric::counter(
        "lubdub_tls_handshake_failures_not_logged_total",
        &[Label::TlsFailure],
        "TLS handshakes that came to nothing and have no line of their own in the log, because log.refusals or log.level allows no more; over all listeners.",
    );
    TLS_CERTIFICATE_EXPIRY = Metric::gauge(
        "lubdub_tls_certificate_expiry_timestamp_seconds",
        &[Listener, Certificate],
        "When the certificate that clients are shown expires, as Unix time: that of the certificate itself, not of those between it and an authority.",
    ).in_seconds();
    CONNECTIONS = Metric::gauge(
        "lubdub_connections",
        &[Listener],
        "Connections of clients open now, those of pairs among them.",
    );
    CONNECTIONS_MAX = Metric::gauge(
        "lubdub_connections_max",
        &[],
        "Connections of clients that there may be in all: limits.connections.",
    );
    PAIRS_MAX = Metric::gauge(
        "lubdub_pairs_max",
        &[],
        "Pairs that there may be in all: limits.pairs.",
    );
    PAIRS_LIMIT = Metric::gauge(
        "lubdub_pairs_limit",
        &[Route],
        "Pairs that the route may have: route.NAME.limits.pairs; +Inf where that is not set.",
    );
    UPSTREAM_CONNECTIONS = Metric::gauge(
        "lubdub_upstream_connections",
        &[],
        "Connections to upstreams open now or under way, those of pairs among them.",
    );
    UPSTREAM_CONNECTIONS_MAX = Metric::gauge(
        "lubdub_upstream_connections_max",
        &[],
        "What lubdub_upstream_connections may be at the most: limits.connections.",
    );
    ADMIN_WATCHERS = Metric::gauge(
        "lubdub_admin_watchers",
        &[],
        "Who follows /api/v1/events now.",
    );
    ADMIN_WATCHERS_MAX = Metric::gauge(
        "lubdub_admin_watchers_max",
        &[],
        "What lubdub_admin_watchers may be at the most.",
    );
    HANDSHAKES_IN_FLIGHT = Metric::gauge(
        "lubdub_handshakes_in_flight",
        &[],
        "Connections of clients between their accept and the end of their first request head.",
    );
    HANDSHAKES_MAX = Metric::gauge(
        "lubdub_handshakes_max",
        &[],
        "What lubdub_handshakes_in_flight may be at the most: limits.handshakes.",
    );
    UPSTREAM_WAITING = Metric::gauge(
        "lubdub_upstream_waiting",
        &[Upstream],
        "Upgrades that the upstream has not answered, and connects to it that are under way.",
    );
    UPSTREAM_WAITING_MAX = Metric::gauge(
        "lubdub_upstream_waiting_max",
        &[Upstream],
        "What lubdub_upstream_waiting may be at the most: upstream.NAME.limits.waiting.",
    );
    UPSTREAM_REQUESTS = Metric::gauge(
        "lubdub_upstream_requests",
        &[Upstream],
        "Plain requests that the upstream has not answered.",
    );
    UPSTREAM_REQUESTS_MAX = Metric::gauge(
        "lubdub_upstream_requests_max",
        &[Upstream],
        "What lubdub_upstream_requests may be at the most: upstream.NAME.limits.requests.",
    );
    ACCEPT_PAUSED = Metric::counter(
        "lubdub_accept_paused_seconds_total",
        &[Reason],
        "Time for which a listener accepted nobody though somebody was there, by what there was no room for; over all listeners.",
    ).in_seconds();
    LOG_LINES_DROPPED = Metric::counter(
        "lubdub_log_lines_dropped_total",
        &[],
        "Lines of the log that were dropped because nobody read it, or because it could not be written.",
    );
    REFUSALS_NOT_LOGGED = Metric::counter(
        "lubdub_refusals_not_logged_total",
        &[Outcome],
        "Requests and connections that were not served and have no line of their own in the log, because log.refusals or log.level allows no more.",
    );
    DRAIN_REMAINING_PAIRS = Metric::gauge(
        "lubdub_drain_remaining_pairs",
        &[],
        "Pairs that a drain under way is about, or that a reload sends away, and that are still open, told or not; 0 if there are none.",
    );
    HANDOVER_PAIRS = Metric::counter(
        "lubdub_handover_pairs_total",
        &[Label::Way, Label::Handover],
        "Pairs in hand-overs from one process to the next, by what became of them.",
    );
    LINGERING_PAIRS = Metric::gauge(
        "lubdub_lingering_pairs",
        &[],
        "Pairs that could not be handed over and go on in earlier processes; lubdub_pairs leaves them out.",
    );
}

// === impl Metric ===

impl Metric {
    /// How many series one combination of the open labels (listener, route, build) has: the
    /// product of its closed labels, and for a histogram times what each is made of.
    #[must_use]
    pub fn series(&self) -> usize {
        let combinations: usize = self
            .labels
            .iter()
            .filter_map(|label| label.values())
            .map(<[_]>::len)
            .product();
        combinations
            * match self.kind {
                Kind::Counter | Kind::Gauge => 1,
                Kind::Histogram { buckets } => buckets.len() + BESIDE_BUCKETS,
            }
    }

    /// Whether the metric has the label.
    #[must_use]
    pub fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }

    pub(crate) const fn counter(
        name: &'static str,
        labels: &'static [Label],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind: Kind::Counter,
            unit: None,
            labels,
            help,
        }
    }

    pub(crate) const fn gauge(
        name: &'static str,
        labels: &'static [Label],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind: Kind::Gauge,
            unit: None,
            labels,
            help,
        }
    }

    /// A histogram of durations; there are no others.
    const fn histogram(
        name: &'static str,
        labels: &'static [Label],
        buckets: &'static [f64],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind: Kind::Histogram { buckets },
            unit: Some(Unit::Seconds),
            labels,
            help,
        }
    }

    pub(crate) const fn in_bytes(mut self) -> Self {
        self.unit = Some(Unit::Bytes);
        self
    }

    pub(crate) const fn in_seconds(mut self) -> Self {
        self.unit = Some(Unit::Seconds);
        self
    }
}

// === impl Kind ===

impl Kind {
    /// The word of the TYPE line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram { .. } => "histogram",
        }
    }
}

// === impl Unit ===

impl Unit {
    /// The word that ends the name of a metric in this unit.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Bytes => "bytes",
        }
    }
}
