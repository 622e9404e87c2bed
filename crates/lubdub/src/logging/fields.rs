//! The declaration of every field of the log. A field means the same in every line.

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

/// Every field, in the order of the alphabet.
pub(crate) const FIELDS: &[Field] = &[
    text("address", "Where something listens."),
    text("after", "The new value of a setting."),
    text(
        "applies",
        "From when on a new value holds ([in words](config.md#reloads)).",
    ),
    text("at", "The place in the source."),
    number("authorities", "How many authorities vouch for clients."),
    text("backtrace", "The calls that led there."),
    text("before", "The old value of a setting."),
    text("budget", "The key of the budget, such as `limits.pairs`."),
    text(
        "by",
        "What gave the right to ask: `token`, or `loopback` where no token is set.",
    ),
    number(
        "bytes",
        "The length of a payload, as its header announces it.",
    ),
    text(
        "cause",
        "Why the pair ended ([all of them](../topics/troubleshooting.md#why-a-pair-ended)).",
    ),
    text("certificate", "The certificate's configured name."),
    number("changes", "Keys whose value is another one."),
    text(
        "client",
        "The client's true address, with its port where that is known; `unix` for one that has none ([how it is found](../topics/load-balancers.md#addresses)).",
    ),
    number("client_bytes", "Relayed from the client."),
    number("client_frames", "Relayed from the client."),
    number(
        "client_held_ms",
        "How long the client was not read, because it had used up the rate of its route; left out if there is none.",
    ),
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
    number(
        "drain",
        "The drain's number, from 1 on in each run; `id` in the admin's answers.",
    ),
    number("duration_ms", "From the 101 to the end."),
    text("effect", "What becomes of those who find no place."),
    text("error", "What the operating system or a library said."),
    text(
        "failure",
        "Why TLS failed ([all of them](metrics.md#lubdub_tls_handshake_failures_total)).",
    ),
    text("file", "A file that the configuration names."),
    text("flag", "The flag."),
    number(
        "generation",
        "The number of the configuration that is in effect: 1 at the start, one more with each reload.",
    ),
    number("handshake_us", "From the client's request to the 101."),
    text(
        "hint",
        "What to look at. After a lapse of a side that never answered a ping, that it never did.",
    ),
    number(
        "kept",
        "Pairs that stay with the old process in a hand-over.",
    ),
    number(
        "lapsed_after_ms",
        "For a lapse: how long the side had been silent.",
    ),
    number(
        "lasted_ms",
        "From the first who found no place to the last; of a drain, from its order to its end.",
    ),
    number("late_ms", "How late the wake-up was."),
    number("lines", "How many lines are missing here."),
    text("listener", "The listener's configured name."),
    number("listeners", "Listening sockets that came in a hand-over."),
    number("lists", "How many lists of revoked certificates there are."),
    text("method", "The method of the request."),
    number("missed", "So many found no place."),
    number("moved", "Pairs that moved in a hand-over."),
    text(
        "name",
        "Whose budget it is, where each upstream or route has its own; what whoever passed a socket calls it.",
    ),
    text("names", "The first of the host names in it."),
    text("not_after", "When it expires."),
    number(
        "not_logged",
        "So many like this one were not written since the last that was.",
    ),
    number(
        "older_than_ms",
        "It is about pairs that opened so long ago, or longer.",
    ),
    text(
        "origin",
        "Where a value was set: a file, a variable or a flag.",
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
    text("path", "What was asked for, at the admin listener."),
    text(
        "peer",
        "Address and port of the other end of the client's connection: behind a load balancer the balancer's; `unix` for a Unix socket.",
    ),
    number("places", "How many places it has."),
    number(
        "predecessor",
        "The process id of the one whose place this process takes.",
    ),
    text(
        "proxy_header",
        "What a PROXY header has told beyond addresses: `authority`, `alpn`, `tls`, `cn` (of a verified certificate), `unique_id`; each with at most 128 bytes.",
    ),
    text("reading", "`Paused` or `Resumed`."),
    text("reason", "Why, in words."),
    number(
        "refused",
        "Pairs that the new process does not take; they stay with the old one.",
    ),
    text("replaced", "What no longer counts."),
    text(
        "request",
        "The request's host and path, as far as `log.request` allows: at most 256 bytes, never the query.",
    ),
    text(
        "request_id",
        "What the request is called: `X-Request-Id` ([forwarded.request_id](config.md#forwarded)).",
    ),
    text(
        "revision",
        "The source revision that the program was built from.",
    ),
    number(
        "room",
        "For how many pairs the limit of open files of a process has room.",
    ),
    text("route", "The route's configured name."),
    text("routes", "The names of routes, with commas between them."),
    number("rtt_us", "The round trip of this ping."),
    number(
        "saved",
        "Pairs that were on their way when the old process died.",
    ),
    text("see", "Where more is said."),
    text("setting", "The setting that it is about."),
    text("side", "`client` or `upstream`."),
    number("silent_ms", "Since the side was last heard."),
    text(
        "since",
        "When a list of revoked certificates should have been followed by the next.",
    ),
    number("spread_ms", "Over which time the farewells are spread."),
    number("stalled_ms", "How long the process stood still."),
    number(
        "status",
        "The status that the client got; left out if it got none, or one for a head that is no HTTP (400, 414, 431).",
    ),
    number(
        "successor",
        "The process id of the one that takes the place of this process.",
    ),
    text("thread", "The name of the thread."),
    number("told", "How many pairs were told."),
    text("upstream", "The upstream's configured name."),
    text(
        "upstream_address",
        "Address and port of the upstream's end of the connection.",
    ),
    number("upstream_bytes", "As for the client."),
    number("upstream_frames", "As for the client."),
    number("upstream_held_ms", "As for the client."),
    number("upstream_pings", "As for the client."),
    number("upstream_pongs", "As for the client."),
    number("upstream_rtt_max_us", "As for the client."),
    number("upstream_rtt_min_us", "As for the client."),
    number("upstream_rtt_us", "As for the client."),
    number("upstream_silent_ms", "As for the client."),
    text("upstreams", "The same of upstreams."),
    text("version", "The version of the program."),
    text("warning", "Its name, for `lubdub explain`."),
    number("workers", "Worker threads."),
];

/// The declaration of a field.
pub(crate) fn field(name: &str) -> &'static Field {
    FIELDS
        .iter()
        .find(|field| field.name == name)
        .unwrap_or_else(|| panic!("the field {name} is not declared"))
}

const fn text(name: &'static str, about: &'static str) -> Field {
    let kind = Kind::Text;
    Field { name, kind, about }
}

const fn number(name: &'static str, about: &'static str) -> Field {
    let kind = Kind::Number;
    Field { name, kind, about }
}
