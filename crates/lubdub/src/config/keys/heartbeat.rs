//! Keys of the heartbeat: the same for each side.

use lubdub_keepalive::{Enforce, Evidence, Mode};

use super::super::choice::Choice;
use super::{Applies, Example, Key, Kind, Literal, Preset, Section};

/// `keepalive.client`
pub(super) static CLIENT: Section = Section {
    path: "keepalive.client",
    about: "The heartbeat toward clients: a ping every `interval`, and a lapse after `timeout` \
            without a sign of life.",
    example: Example::Live,
    applies: Applies::NextPing,
    keys: &SIDE,
};

/// `keepalive.upstream`
pub(super) static UPSTREAM: Section = Section {
    path: "keepalive.upstream",
    about: "The heartbeat toward upstreams: the same keys as for clients.",
    example: Example::Live,
    applies: Applies::NextPing,
    keys: &SIDE,
};

static SIDE: [Key; 7] = [
    Key::new(
        "interval",
        Kind::DurationOrOff,
        Preset::text("30s"),
        "from one ping to the next; \"off\": no pings to this side",
    )
    .per_route()
    .more("Many middleboxes forget connections that are idle for a minute."),
    Key::new(
        "timeout",
        Kind::Duration,
        Preset::text("30s"),
        "for a sign of life after a ping was written",
    )
    .per_route()
    .more("A side that is silent for longer has lapsed; the pair is ended."),
    Key::new(
        "mode",
        Kind::Choice(Mode::WORDS),
        Preset::text("interval"),
        "interval: always ping | idle: after a quiet interval",
    )
    .per_route()
    .more("With `idle` the interval is counted from the last byte heard, if that is later."),
    Key::new(
        "evidence",
        Kind::Choice(Evidence::WORDS),
        Preset::text("any"),
        "any: every byte heard is life | pong: only pongs are",
    )
    .per_route(),
    Key::new(
        "enforce",
        Kind::Choice(Enforce::WORDS),
        Preset::text("always"),
        "always | learned: from the first pong on | never: observe",
    )
    .per_route()
    .more(
        "Whether a lapse ends the pair. With `learned` a peer that has never answered a ping is \
         only observed; with `never` all are.",
    ),
    Key::new(
        "jitter",
        Kind::Share,
        Preset::Default(Literal::Float(0.1)),
        "the share of the interval by which a ping may come early",
    )
    .per_route(),
    Key::new(
        "boundary_wait",
        Kind::DurationOrOff,
        Preset::text("5s"),
        "a due ping's wait for a message's end; \"off\": any frame's end",
    )
    .per_route()
    .more(
        "A ping between the fragments of a message is legal (RFC 6455 5.4), but many endpoints \
         mishandle it. After this wait the end of any frame will do.",
    ),
];
