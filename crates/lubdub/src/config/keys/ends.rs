//! Keys that say how pairs end.

use lubdub_proxy::settings::CloseReason;

use super::super::choice::Choice;
use super::{Applies, Example, Key, Kind, Preset, Section};

/// What both sides say of a cause that does not occur yet.
const LIMIT: &str = "reserved: no limit ends a pair that is open, so far";
const LIMIT_MORE: &str = "For limits other than `limits.frame_bytes`. At present pairs beyond those are refused at the \
     handshake, with an HTTP status and no Close.";

/// The words of a Close, besides its code.
const REASON: Key = Key::new(
    "reason",
    Kind::Choice(CloseReason::WORDS),
    Preset::text("cause"),
    "cause: why, in a few words | off: the code alone",
)
.per_route()
.more(
    "The cause as the log and the metrics have it, with spaces: `upstream lapsed`, `data idle`; of a drain, \
     `restarting`. Programs should go by the code.",
);

/// `close.to_client`
pub(super) static TO_CLIENT: Section = Section {
    path: "close.to_client",
    about: "The Closes that lubdub writes to the client when it is lubdub that ends the pair: the codes, \
            by cause, and the reason. 1005, 1006 and 1015 may not be sent (RFC 6455 7.4.1).",
    example: Example::Live,
    applies: Applies::NewPairs,
    keys: &[
        REASON,
        code(
            "upstream_lapsed",
            1011,
            "the upstream was silent for too long",
        ),
        code(
            "upstream_stalled",
            1011,
            "the upstream took no bytes for too long",
        ),
        code("drain", 1012, "lubdub shuts down"),
        code("lifetime", 1012, "the pair reached timeouts.lifetime"),
        code(
            "data_idle",
            1001,
            "the pair was without data for timeouts.data_idle",
        ),
        code(
            "frame_too_big",
            1009,
            "a frame was larger than limits.frame_bytes",
        ),
        code("limit", 1008, LIMIT).more(LIMIT_MORE),
    ],
};

/// `close.to_upstream`
pub(super) static TO_UPSTREAM: Section = Section {
    path: "close.to_upstream",
    about: "The same toward the upstream.",
    example: Example::Live,
    applies: Applies::NewPairs,
    keys: &[
        REASON,
        code("client_lapsed", 1001, "the client was silent for too long"),
        code(
            "client_stalled",
            1001,
            "the client took no bytes for too long",
        ),
        code("drain", 1001, "lubdub shuts down"),
        code("lifetime", 1001, "the pair reached timeouts.lifetime"),
        code(
            "data_idle",
            1001,
            "the pair was without data for timeouts.data_idle",
        ),
        code(
            "frame_too_big",
            1009,
            "a frame was larger than limits.frame_bytes",
        ),
        code("limit", 1001, LIMIT).more(LIMIT_MORE),
    ],
};

/// `drain`
pub(super) static DRAIN: Section = Section {
    path: "drain",
    about: "How a shutdown goes.",
    example: Example::Live,
    applies: Applies::AtOnce,
    keys: &[
        Key::new(
            "delay",
            Kind::DurationOrZero,
            Preset::text("0s"),
            "still accept for so long, while readiness says no",
        ),
        Key::new(
            "spread",
            Kind::DurationOrZero,
            Preset::text("0s"),
            "then close the pairs over this time",
        ),
        Key::new(
            "timeout",
            Kind::Duration,
            Preset::text("30s"),
            "from the end of delay, spread included; what is left then is cut",
        ),
    ],
};

const fn code(cause: &'static str, default: i64, help: &'static str) -> Key {
    Key::new(cause, Kind::CloseCode, Preset::integer(default), help).per_route()
}
