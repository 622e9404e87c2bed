//! The declaration of every kind of line in the log, and of every field in them.
//!
//! The reference page is made from it, and a test holds it against the events that the code has: what
//! is logged is declared, and what is declared is logged. A field means the same in every line.

use tracing::Level;

/// A kind of line.
#[derive(Debug)]
pub(crate) struct Event {
    /// What it takes for it to be written.
    pub(crate) level: Level,
    /// What it begins with, behind time and level.
    pub(crate) message: &'static str,
    /// Its fields, in their order. What is not known is left out of a line.
    pub(crate) fields: &'static [&'static str],
    /// When it is written, and what to make of it.
    pub(crate) about: &'static str,
}

/// A field.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) about: &'static str,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Text: in JSON a string.
    Text,
    /// A whole number: in JSON a number.
    Number,
}

/// The line in place of those that were dropped.
pub(crate) const DROPPED: Event = warn(
    "log lines were dropped",
    &["lines"],
    "In place of lines that nobody read in time. It is written at any `log.level`. `lubdub_log_lines_dropped_total` counts them.",
);
/// The line of a panic.
pub(crate) const PANICKED: Event = error(
    "panicked",
    &["thread", "at", "reason", "backtrace"],
    "A fault of lubdub's own. Please report it, with the log around it. `backtrace` is there if `RUST_BACKTRACE` asks for it.",
);

/// Every kind of line, the gravest first.
pub(crate) const EVENTS: &[Event] = &[
    error(
        "lubdub cannot go on",
        &["error"],
        "The last line before exit code 1.",
    ),
    PANICKED,
    error(
        "a pair's task panicked: a bug of lubdub's, please report it",
        &["pair"],
        "Which pair the panic ended; `panicked` says where it was.",
    ),
    error(
        "a pair that panicked has lost its line",
        &[],
        "Its books could not be closed. Its count was.",
    ),
    DROPPED,
    warn(
        "budget used up",
        &["budget", "name", "places", "effect"],
        "The first who found no place. It is said once, until there is room again.",
    ),
    warn(
        "handshake failed",
        &["client", "route", "upstream", "reason"],
        "The upstream could not be asked, or gave no answer that could be used; the client got 502 or 504.",
    ),
    warn(
        "plain request failed",
        &["client", "upstream", "reason"],
        "The same of a request that is no WebSocket handshake.",
    ),
    warn(
        "plain request not answered in time",
        &["client", "route"],
        "Nothing moved for `timeouts.http_idle`; the client got 504.",
    ),
    warn(
        "cannot accept; live pairs go on, new connections wait",
        &["listener", "error"],
        "Mostly no file descriptor is left. It is said once, and again after a minute of calm.",
    ),
    warn(
        "the drain timeout is over; the pairs that are left are cut",
        &["pairs"],
        "`drain.timeout` was too short for them, or they did not answer their Close.",
    ),
    warn(
        "pairs were cut",
        &["pairs"],
        "So many did not come to their own end in the drain.",
    ),
    warn(
        "cannot raise the soft limit of open files to the hard one",
        &["error"],
        "lubdub goes on with what it has.",
    ),
    warn(
        "SIGHUP is ignored: the configuration is read at start only",
        &[],
        "Nothing has changed.",
    ),
    info(
        "lubdub starts",
        &["version", "revision"],
        "The first line of a run.",
    ),
    info(
        "admin listens",
        &["address"],
        "Where the admin listener is.",
    ),
    info(
        "listening",
        &["listener", "address"],
        "One for each listener.",
    ),
    info("ready", &["workers"], "Connections are accepted."),
    info(
        "pair ended",
        &[
            "pair",
            "listener",
            "route",
            "client",
            "upstream_address",
            "request",
            "cause",
            "close_code",
            "close_by",
            "lapsed_after_ms",
            "diagnosis",
            "hint",
            "duration_ms",
            "handshake_us",
            "client_bytes",
            "client_frames",
            "client_pings",
            "client_pongs",
            "client_rtt_us",
            "client_rtt_min_us",
            "client_rtt_max_us",
            "client_silent_ms",
            "upstream_bytes",
            "upstream_frames",
            "upstream_pings",
            "upstream_pongs",
            "upstream_rtt_us",
            "upstream_rtt_min_us",
            "upstream_rtt_max_us",
            "upstream_silent_ms",
        ],
        "One for each pair.",
    ),
    info(
        "budget has room again",
        &["budget", "name", "places", "missed", "lasted_ms"],
        "For a while now everybody has found a place.",
    ),
    info(
        "not served",
        &[
            "outcome",
            "client",
            "listener",
            "route",
            "upstream",
            "method",
            "request",
            "status",
            "reason",
            "not_logged",
        ],
        "Somebody did not get what it asked for. At most `log.refusals` lines for each outcome; the next one says how many were left out.",
    ),
    info(
        "told to stop by SIGTERM",
        &[],
        "A second signal ends it at once.",
    ),
    info(
        "told to stop by SIGINT",
        &[],
        "A second signal ends it at once.",
    ),
    info(
        "draining",
        &["pairs"],
        "So many pairs are told to go elsewhere.",
    ),
    info("drained", &[], "Every pair and connection has ended."),
    info("lubdub ends", &[], "The last line before exit code 0."),
    debug(
        "pair opened",
        &["pair", "client", "route"],
        "A client has its 101.",
    ),
    debug(
        "ping written",
        &["pair", "side", "delay_us"],
        "An own ping is on its way.",
    ),
    debug(
        "pong received",
        &["pair", "side", "rtt_us"],
        "The answer to an own ping.",
    ),
    debug(
        "the link is slow: another timeout",
        &["pair", "side"],
        "The ping is still on its way, and something arrives there.",
    ),
    debug(
        "lapsed",
        &["pair", "side", "silent_ms", "diagnosis"],
        "The side gave no sign of life in time; the pair ends.",
    ),
    debug(
        "would have lapsed",
        &["pair", "side", "silent_ms"],
        "The same of a side that is only observed (`enforce`); the pair goes on.",
    ),
    debug(
        "write stalled",
        &["pair", "side"],
        "The side took next to nothing for `timeouts.write_stall`; the pair ends.",
    ),
    debug(
        "connection broke",
        &["pair", "side", "error"],
        "A reset, or an error of the socket's.",
    ),
    debug(
        "frame too big",
        &["side", "bytes"],
        "A frame from that side is over `limits.frame_bytes`.",
    ),
    debug(
        "late wake-up",
        &["pair", "late_ms"],
        "The process stood still; the pair's clocks start anew.",
    ),
    debug(
        "long turn",
        &["pair", "stalled_ms"],
        "The process stood still in the middle of its work on this pair; its clocks were moved.",
    ),
    debug(
        "connection not served",
        &["client", "listener", "reason"],
        "It ended before there was a request.",
    ),
    debug(
        "connection timed out",
        &["client", "listener", "expired"],
        "No whole request came in time, or nothing more after the last one.",
    ),
    debug(
        "connection ended with an error",
        &["client", "listener", "error"],
        "A client's: malformed requests are among these.",
    ),
    debug(
        "connection of a handshake to the upstream ended with an error",
        &["error"],
        "The handshake's own line says more.",
    ),
    debug(
        "connection to the upstream ended with an error",
        &["error"],
        "One that was kept for plain requests.",
    ),
    debug("connection reset", &["client"], "The client reset it."),
    debug(
        "idle connection closed to make room",
        &["client"],
        "Places ran short, and this one had been idle for the longest.",
    ),
    debug(
        "client went before its 101",
        &["client", "error"],
        "There is no pair.",
    ),
    debug(
        "a connection went before it was accepted",
        &["listener", "error"],
        "Ordinary.",
    ),
    debug(
        "admin listener cannot accept",
        &["error"],
        "It tries again.",
    ),
    debug(
        "admin connection ended with an error",
        &["client", "error"],
        "A scraper that stopped reading is among these.",
    ),
    trace(
        "reading",
        &["side", "reading"],
        "A side is read again, or no longer because the other one is slow.",
    ),
];

/// Every field, in the order of the alphabet.
pub(crate) const FIELDS: &[Field] = &[
    text("address", "Where something listens."),
    text("at", "The place in the source."),
    text("backtrace", "The calls that led there."),
    text("budget", "The key of the budget, such as `limits.pairs`."),
    number(
        "bytes",
        "The length of a payload, as its header announces it.",
    ),
    text(
        "cause",
        "Why the pair ended ([all of them](../topics/troubleshooting.md#why-a-pair-ended)).",
    ),
    text(
        "client",
        "Address and port of the client; behind a load balancer [the balancer's](../topics/load-balancers.md#addresses).",
    ),
    number("client_bytes", "Relayed from the client."),
    number("client_frames", "Relayed from the client."),
    number("client_pings", "Own pings that were written to the client."),
    number("client_pongs", "Own pings that the client answered."),
    number(
        "client_rtt_max_us",
        "The longest round trip of an own ping to the client.",
    ),
    number("client_rtt_min_us", "The shortest."),
    number("client_rtt_us", "The latest."),
    number(
        "client_silent_ms",
        "How long nothing had been read from the client.",
    ),
    text(
        "close_by",
        "Who sent the first Close: `client`, `upstream` or `lubdub`.",
    ),
    number("close_code", "Its code; left out if it carried none."),
    number(
        "delay_us",
        "From when the ping was due to when it was written.",
    ),
    text(
        "diagnosis",
        "For a lapse: `network`, `application` or `unknown` ([what that says](../topics/troubleshooting.md#why-a-pair-ended)).",
    ),
    number("duration_ms", "From the 101 to the end."),
    text("effect", "What becomes of those who find no place."),
    text("error", "What the operating system or a library said."),
    text(
        "expired",
        "What was not there in time: `FirstByte`, `Head` or `Idle`.",
    ),
    number("handshake_us", "From the client's request to the 101."),
    text(
        "hint",
        "What to look at. After a lapse of a side that never answered a ping, that it never did.",
    ),
    number(
        "lapsed_after_ms",
        "For a lapse: how long the side had been silent.",
    ),
    number(
        "lasted_ms",
        "From the first who found no place to the last.",
    ),
    number("late_ms", "How late the wake-up was."),
    number("lines", "How many lines are missing here."),
    text("listener", "The listener's configured name."),
    text("method", "The method of the request."),
    number("missed", "So many found no place."),
    text(
        "name",
        "Whose budget it is, where each upstream or route has its own.",
    ),
    number(
        "not_logged",
        "So many like this one were not written since the last that was.",
    ),
    text(
        "outcome",
        "What became of it ([all of them](../topics/troubleshooting.md#why-a-handshake-failed)).",
    ),
    number(
        "pair",
        "The pair's number, from 1 on in each run; `id` in the admin's answers.",
    ),
    number("pairs", "How many pairs."),
    number("places", "How many places it has."),
    text("reading", "`Paused` or `Resumed`."),
    text("reason", "Why, in words."),
    text(
        "request",
        "The request's host and path, as far as `log.request` allows: at most 256 bytes, never the query.",
    ),
    text(
        "revision",
        "The source revision that the program was built from.",
    ),
    text("route", "The route's configured name."),
    number("rtt_us", "The round trip of this ping."),
    text("side", "`client` or `upstream`."),
    number("silent_ms", "Since the side was last heard."),
    number("stalled_ms", "How long the process stood still."),
    number(
        "status",
        "The status that the client got; left out if it got none.",
    ),
    text("thread", "The name of the thread."),
    text("upstream", "The upstream's configured name."),
    text(
        "upstream_address",
        "Address and port of the upstream's end of the connection.",
    ),
    number("upstream_bytes", "As for the client."),
    number("upstream_frames", "As for the client."),
    number("upstream_pings", "As for the client."),
    number("upstream_pongs", "As for the client."),
    number("upstream_rtt_max_us", "As for the client."),
    number("upstream_rtt_min_us", "As for the client."),
    number("upstream_rtt_us", "As for the client."),
    number("upstream_silent_ms", "As for the client."),
    text("version", "The version of the program."),
    number("workers", "Worker threads."),
];

/// The declaration of a field.
#[cfg(test)]
pub(crate) fn field(name: &str) -> &'static Field {
    FIELDS
        .iter()
        .find(|field| field.name == name)
        .unwrap_or_else(|| panic!("the field {name} is not declared"))
}

macro_rules! levels {
    ($($name:ident = $LEVEL:ident,)+) => {
        $(const fn $name(
            message: &'static str,
            fields: &'static [&'static str],
            about: &'static str,
        ) -> Event {
            Event { level: Level::$LEVEL, message, fields, about }
        })+
    };
}

levels! {
    error = ERROR,
    warn = WARN,
    info = INFO,
    debug = DEBUG,
    trace = TRACE,
}

const fn text(name: &'static str, about: &'static str) -> Field {
    let kind = Kind::Text;
    Field { name, kind, about }
}

const fn number(name: &'static str, about: &'static str) -> Field {
    let kind = Kind::Number;
    Field { name, kind, about }
}
