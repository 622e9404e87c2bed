//! Keys that say what upstreams are told about clients.

use lubdub_proxy::settings::ForwardedStyle;

use super::super::choice::Choice;
use super::{Applies, Example, Key, Kind, Literal, Preset, Section};

/// `forwarded`
pub(super) static FORWARDED: Section = Section {
    path: "forwarded",
    about: "How the upstream is told about the client.",
    example: Example::Live,
    applies: Applies::NewPairs,
    keys: &[
        Key::new(
            "style",
            Kind::Choice(ForwardedStyle::WORDS),
            Preset::text("x-forwarded"),
            "x-forwarded | forwarded | both | off",
        )
        .more(
            "`x-forwarded` appends to `X-Forwarded-For` and sets `X-Forwarded-Proto` and \
             `X-Forwarded-Host`; `forwarded` writes `Forwarded` (RFC 7239); with `off` what came \
             in passes as it is.",
        ),
        Key::new(
            "trust",
            Kind::Trust,
            Preset::Default(Literal::Texts(&[])),
            "whose word about the client counts, as [\"10.0.0.0/8\"]",
        )
        .more(
            "Such a peer's fields of the style's family are kept and added to, and the client's true \
             address is the rightmost in them that is not trusted itself. From all others these \
             fields are dropped before lubdub writes its own. `\"unix\"` is whoever comes by a unix \
             socket. A listener can have its own: `listen.NAME.trust`.",
        ),
        Key::new(
            "via",
            Kind::Switch,
            Preset::switch(false),
            "add Via, and refuse a request that comes back",
        )
        .more(
            "`Via` (RFC 9110 7.6.3) names this process by a pseudonym. A request that names it \
             already goes in a circle, and is answered with 508.",
        ),
        Key::new(
            "request_id",
            Kind::Switch,
            Preset::switch(true),
            "give each request an id: X-Request-Id",
        )
        .more(
            "It goes to the upstream, and into the log and `/api/v1/pairs`. One that comes from who is \
             trusted is kept, if it has 1 to 128 letters, digits, dots, hyphens and underscores. With \
             `false` what comes passes as it is.",
        ),
    ],
};
