//! Keys that bound every wait and every queue.

use super::{Applies, Example, Key, Kind, Preset, Section};

/// The smallest bound of a request head: less than this hyper cannot work with.
pub(crate) const LEAST_HEAD: u64 = 8 << 10;
/// The largest control frame's payload (RFC 6455 5.5).
pub(crate) const LEAST_FRAME: u64 = lubdub_wire::Payload::MAX_LEN as u64;

/// `timeouts`
pub(super) static TIMEOUTS: Section = Section {
    path: "timeouts",
    about: "How long lubdub waits for anything but a pong.",
    example: Example::Live,
    applies: Applies::NewPairs,
    keys: &[
        Key::new(
            "first_byte",
            Kind::Duration,
            Preset::text("10s"),
            "from accept to the client's first byte",
        )
        .applies(Applies::NewConnections),
        Key::new(
            "request_head",
            Kind::Duration,
            Preset::text("10s"),
            "from a request's first byte to the end of its head",
        )
        .applies(Applies::NewConnections),
        Key::new(
            "tls",
            Kind::Duration,
            Preset::text("10s"),
            "the TLS handshake with a client",
        )
        .applies(Applies::NewConnections),
        Key::new(
            "proxy_header",
            Kind::Duration,
            Preset::text("5s"),
            "from a PROXY header's first byte to its end",
        )
        .applies(Applies::NewConnections)
        .more("Where `listen.NAME.proxy_protocol` is not `\"off\"`."),
        Key::new(
            "connect",
            Kind::Duration,
            Preset::text("5s"),
            "TCP and TLS connect to the upstream",
        )
        .per_route(),
        Key::new(
            "answer",
            Kind::Duration,
            Preset::text("30s"),
            "the upstream's answer to an upgrade",
        )
        .per_route(),
        Key::new(
            "http_idle",
            Kind::DurationOrOff,
            Preset::text("120s"),
            "no byte of either side on a plain exchange or an idle connection",
        )
        .applies(Applies::NewConnections)
        .per_route(),
        Key::new(
            "write_stall",
            Kind::DurationOrOff,
            Preset::text("10s"),
            "a side with bytes waiting that takes none",
        )
        .per_route()
        .more("Less than 1 KiB in this time is as good as none."),
        Key::new(
            "close",
            Kind::Duration,
            Preset::text("5s"),
            "the closing handshake, once a Close was passed on",
        )
        .per_route()
        .more(
            "While data still moves it goes on, ten times as long at the most: counted anew from the \
             last data of a side that has not said Close. Pings and pongs are no data.",
        ),
        Key::new(
            "data_idle",
            Kind::DurationOrOff,
            Preset::text("off"),
            "no data frame either way; pings and pongs do not count",
        )
        .per_route()
        .more(
            "A long frame counts for as long as it comes in; pings, pongs and Closes do not, in one \
             piece or in several.",
        ),
        Key::new(
            "lifetime",
            Kind::DurationOrOff,
            Preset::text("off"),
            "the longest life of a pair",
        )
        .per_route()
        .more(
            "Shortened by up to a tenth at random, so that pairs which began together do not \
                 end together.",
        ),
    ],
};

/// `limits`
pub(super) static LIMITS: Section = Section {
    path: "limits",
    about: "Bounds of the whole process.",
    example: Example::Live,
    applies: Applies::AtOnce,
    keys: &[
        Key::new(
            "pairs",
            Kind::CountOrAuto,
            Preset::text("auto"),
            "pairs at a time; auto: as many as there can be connections",
        )
        .more(
            "With `\"auto\"` it is what `limits.connections` is. More than the hard limit on open files \
             (`ulimit -Hn`) carries is refused.",
        ),
        Key::new(
            "pairs_per_source",
            Kind::CountOrOff,
            Preset::text("off"),
            "pairs at a time from one source address",
        )
        .more(
            "For IPv6, from one /64. Behind a load balancer all clients come from one source. Where a \
             reload switches it on, pairs that came while it was off \
             do not count.",
        ),
        Key::new(
            "handshake_rate",
            Kind::RateOrOff,
            Preset::text("off"),
            "upgrades a second from one source, such as 20/s",
        )
        .more(
            "And as many at once. For IPv6, from one /64. One more is answered with 429, before the \
             upstream is asked. Every upgrade counts that reaches a route and is not kept out by `allow` or `deny`, \
             whatever becomes of it; plain requests do not. The source is the client's true address; who \
             has none (behind a unix socket) has no rate. A source is known for a second or two; in a flood \
             of sources, at least the 65,536 that were let in last are. A new value begins anew for \
             everybody.",
        ),
        Key::new(
            "handshakes",
            Kind::Count,
            Preset::integer(512),
            "handshakes in flight; the excess waits in the accept queue",
        ),
        Key::new(
            "connections",
            Kind::CountOrAuto,
            Preset::text("auto"),
            "clients' connections of every kind; auto: what files carry",
        )
        .more(
            "Pairs, plain exchanges, idle connections and handshakes together; as many again lead \
             to upstreams. The excess waits in the accept queue. More than the hard limit on open \
             files carries is refused.",
        ),
        Key::new(
            "head_bytes",
            Kind::Size(LEAST_HEAD),
            Preset::text("64KiB"),
            "the largest request head",
        )
        .applies(Applies::NewConnections)
        .more("At least 8KiB."),
        Key::new(
            "frame_bytes",
            Kind::SizeOrOff(LEAST_FRAME),
            Preset::text("off"),
            "the largest frame payload, by its header",
        )
        .applies(Applies::NewPairs)
        .more("At least 125, the size of a control frame: pongs must pass.")
        .per_route(),
    ],
};
