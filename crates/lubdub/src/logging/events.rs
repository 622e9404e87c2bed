//! The declaration of every kind of line in the log; the fields in them are in `fields.rs`.
//!
//! The reference page is made from it, and a test holds it against the events that the code has: what
//! is logged is declared, and what is declared is logged.

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
    error(
        "the reload is refused: all is as it was",
        &["reason"],
        "One for each mistake. `lubdub check` says the same.",
    ),
    warn(
        "budget used up",
        &["budget", "name", "places", "effect"],
        "The first who found no place. It is said once, until there is room again.",
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
        "the configuration has a warning",
        &["warning", "setting", "reason", "see"],
        "What `lubdub check` says too. lubdub runs with it.",
    ),
    warn(
        "a socket that was passed belongs to no listener",
        &["name", "address"],
        "By socket activation. No listener has its name or its address. It is closed; whoever passed it may go on listening, and clients wait in vain.",
    ),
    warn(
        "the service manager cannot be told (NOTIFY_SOCKET)",
        &["error"],
        "lubdub goes on. It is said once until it can be told again.",
    ),
    warn(
        "a worker does not answer; the watchdog is told nothing until it does",
        &[],
        "If it lasts, the service manager ends lubdub (`WatchdogSec`).",
    ),
    warn(
        "the files of a certificate cannot be used; the one before stays in use",
        &["listener", "certificate", "reason"],
        "They have changed, and were like this at two looks in a row. It is told once, until they change again.",
    ),
    warn(
        "the files of clients' authorities cannot be used; those before stay in use",
        &["listener", "reason"],
        "`client_ca` and `client_crl` of the listener. As of a certificate.",
    ),
    warn(
        "a list of revoked certificates is out of date; it goes on counting",
        &["listener", "since"],
        "`client_crl` of the listener: nobody has made a new one. What was revoked in the meantime is let in.",
    ),
    warn(
        "the upgrade has failed: lubdub goes on",
        &["reason"],
        "Every pair that had not moved yet goes on in this process, and connections are accepted here.",
    ),
    warn(
        "the file limit of the new process carries fewer pairs than there are; the others stay here",
        &["successor", "room", "pairs"],
        "It has room for so many. The others go on in this process, to their end.",
    ),
    warn(
        "a process that asks to take over is refused",
        &["reason"],
        "It connected to `handover.socket`, and may not.",
    ),
    warn(
        "no process can take over from outside",
        &["reason"],
        "`handover.socket` cannot be listened at. Upgrades go on working.",
    ),
    warn(
        "the hand-over broke off: the predecessor goes on, and this process ends with the pairs that it has",
        &["predecessor", "reason"],
        "The line of the new process; the old one says why in its own.",
    ),
    warn(
        "the predecessor has died in the middle of the hand-over",
        &["predecessor", "saved"],
        "What had not moved yet is lost. `saved` pairs were on their way and go on here; this process serves.",
    ),
    warn(
        "the successor of this process is lost; its own pairs go on",
        &["successor", "reason"],
        "What lingers here goes on to its end, and nobody counts it any more.",
    ),
    warn(
        "the connection to an earlier process is lost; its pairs go on there",
        &["predecessor", "reason"],
        "What lingers there goes on to its end, and is not counted here any more.",
    ),
    warn(
        "the successor asks for a drain that cannot be",
        &["reason"],
        "This process lingers. What it has goes on.",
    ),
    warn(
        "a pair cannot go on",
        &["pair", "error"],
        "It was lost in a hand-over: the new process could not use its sockets.",
    ),
    warn(
        "a listening socket was given to lubdub that no listener is configured for",
        &["address"],
        "It is closed.",
    ),
    warn(
        "who may connect could not be changed",
        &["address", "error"],
        "In an upgrade, for a Unix socket that the process before had: the operating system does not let lubdub give it the `mode` or `group` of the new configuration. It is as it was.",
    ),
    warn(
        "who may connect could not be changed back",
        &["listener", "address", "error"],
        "A reload had another `mode` or `group` for the Unix socket of a listener that stays, and was refused for something else. The operating system does not let lubdub undo it.",
    ),
    info(
        "lubdub starts",
        &["version", "revision"],
        "The first line of a run.",
    ),
    info(
        "a flag replaces what is set elsewhere",
        &["flag", "replaced"],
        "`--listen` and `--upstream` together are a whole configuration.",
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
    info(
        "listening on a socket that was passed",
        &["name", "address"],
        "By socket activation, for a listener or the admin listener: it was not bound again.",
    ),
    info(
        "a new certificate is in use",
        &["listener", "certificate", "not_after", "names"],
        "Its files have changed. New connections are shown it; those that are open go on.",
    ),
    info(
        "the files of a certificate hold the one in use again",
        &["listener", "certificate"],
        "After a warning that they cannot be used.",
    ),
    info(
        "new authorities of clients are in use",
        &["listener", "authorities", "lists"],
        "`client_ca` or `client_crl` of the listener has changed. It holds for new connections; those that are open go on, and no session from before is resumed.",
    ),
    info(
        "the files of clients' authorities hold those in use again",
        &["listener"],
        "After a warning that they cannot be used.",
    ),
    info("ready", &["workers"], "Connections are accepted."),
    info(
        "io_uring is not used",
        &["error"],
        "The kernel has none, or forbids it: each send is a system call of its own. `runtime.io_uring = false` says that this is meant.",
    ),
    warn(
        "io_uring is not used any more",
        &["error"],
        "The kernel failed where it must not. Nothing is lost: each send of this worker is a system call of its own from now on.",
    ),
    info(
        "every worker answers again",
        &[],
        "The watchdog is told so again.",
    ),
    info(
        "told to reload by SIGHUP",
        &[],
        "The configuration is read again.",
    ),
    info(
        "a setting has changed",
        &["setting", "before", "after", "origin", "applies"],
        "One for each key that a reload has changed.",
    ),
    info(
        "the content of a file has changed",
        &["setting", "file", "applies"],
        "The same for a file that holds something else than before: a token, authorities, a certificate. What it holds is not told.",
    ),
    info(
        "configuration reloaded",
        &["generation", "changes"],
        "What was read is in effect. No live pair has ended, unless it belongs to what was removed with `on_removed = \"drain\"`.",
    ),
    info(
        "pair ended",
        &[
            "pair",
            "listener",
            "route",
            "client",
            "peer",
            "upstream_address",
            "request",
            "request_id",
            "proxy_header",
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
            "client_held_ms",
            "upstream_bytes",
            "upstream_frames",
            "upstream_pings",
            "upstream_pongs",
            "upstream_rtt_us",
            "upstream_rtt_min_us",
            "upstream_rtt_max_us",
            "upstream_silent_ms",
            "upstream_held_ms",
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
            "peer",
            "listener",
            "route",
            "upstream",
            "method",
            "request",
            "request_id",
            "proxy_header",
            "status",
            "reason",
            "not_logged",
        ],
        "Somebody did not get what it asked for. At most `log.refusals` lines for each outcome; the next one says how many were left out.",
    ),
    info(
        "TLS handshake failed",
        &[
            "failure",
            "client",
            "peer",
            "listener",
            "reason",
            "not_logged",
        ],
        "A client came to a listener with TLS and could not come in; `reason` says what it did. At most `log.refusals` lines for each `failure`; the next one says how many were left out.",
    ),
    info(
        "told to upgrade by SIGUSR2",
        &[],
        "The program on disk is started, and takes over.",
    ),
    info(
        "told by SIGUSR1 to upgrade if the program on disk is another one, and else to reload",
        &[],
        "What it is to be is found out next.",
    ),
    info(
        "the program on disk is the one that runs: there is nothing to upgrade to",
        &[],
        "After SIGUSR1, `lubdub reload --upgrade-if-new` or `only_if_new`. After the first two the configuration is read again.",
    ),
    info(
        "told to upgrade by an operator",
        &[],
        "The same by `lubdub upgrade` or `POST /api/v1/upgrade`; or only a check of the new program.",
    ),
    info(
        "a new process asks to take over",
        &["successor"],
        "By `lubdub run --take-over`, at `handover.socket`.",
    ),
    info(
        "hand-over begins",
        &["successor", "version", "pairs"],
        "The new process is there, and its configuration is good.",
    ),
    info(
        "hand-over ends",
        &["successor", "moved", "kept", "lasted_ms"],
        "The new process serves. What could not move lingers here.",
    ),
    info(
        "the successor is told to stop as well",
        &["successor"],
        "A signal to stop came in the middle of the hand-over.",
    ),
    info(
        "lubdub lingers",
        &["pairs", "successor"],
        "This process ends with the last of these pairs, or after `handover.linger`.",
    ),
    info(
        "taking over",
        &["predecessor", "version", "listeners"],
        "The line of the new process: it has the listening sockets.",
    ),
    info(
        "taken over",
        &["predecessor", "pairs", "refused", "lasted_ms"],
        "The line of the new process: all has come that could.",
    ),
    info(
        "an earlier process that lingered has ended",
        &["predecessor", "pairs", "saved"],
        "With so many pairs that were left, by what it said last.",
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
        "lubdub was told to stop: so many pairs are told to go elsewhere.",
    ),
    info(
        "admin was asked for a change",
        &["client", "path", "by", "status"],
        "By somebody who may. `status` says what became of it.",
    ),
    info(
        "admin refused a change",
        &["client", "path", "status", "reason", "not_logged"],
        "Somebody may not ask for it, not so often, or not from a page of another site. At most ten lines a second.",
    ),
    info(
        "drain begins",
        &[
            "drain",
            "route",
            "upstream",
            "listener",
            "older_than_ms",
            "pairs",
            "spread_ms",
        ],
        "An operator asked for it. It is about so many pairs: all of them, or those to which every one of these fields applies.",
    ),
    info(
        "drain ends",
        &["drain", "pairs", "told", "lasted_ms"],
        "All pairs that it was about have ended; so many were told by it, and the others ended before.",
    ),
    info(
        "drain called off",
        &["drain", "pairs", "told", "lasted_ms"],
        "By an operator, or because lubdub was told to stop. Who was not told goes on.",
    ),
    info(
        "pairs of what was removed are told farewell",
        &["routes", "upstreams", "pairs", "spread_ms"],
        "A reload has removed these routes and upstreams, which say `on_removed = \"drain\"`. So many pairs are told, over this time.",
    ),
    info(
        "pairs of what was removed have ended",
        &["routes", "upstreams", "pairs", "told", "lasted_ms"],
        "All of them have; so many were told, and the others ended before.",
    ),
    info("drained", &[], "Every pair and connection has ended."),
    info("lubdub ends", &[], "The last line before exit code 0."),
    debug(
        "pair opened",
        &["pair", "client", "route"],
        "A client has its 101.",
    ),
    debug(
        "a pair stays",
        &["pair", "reason"],
        "It does not move in the hand-over.",
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
        "Its client went before there was a request, as health checks do.",
    ),
    debug(
        "idle connection closed",
        &["client", "listener"],
        "Nothing had moved on it for `timeouts.http_idle`.",
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
        "another worker cannot accept",
        &["listener", "error"],
        "The kernel has no room for it. The worker that accepted goes on.",
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
