//! Keys that say which requests go to which upstream, and who may send them.

use lubdub_proxy::settings::{OnRemoved, OriginMissing};

use super::super::choice::Choice;
use super::{Applies, Example, Key, Kind, Literal, Preset, Section};

/// `route.NAME`
pub(super) static ROUTE: Section = Section {
    path: "route.NAME",
    about: "A share of the requests and the upstream that answers them; its name is the metric \
            label `route`. The most specific host and path prefix win, so that there is no order \
            to get wrong. With one upstream and no route, every request goes to that upstream, by \
            a route of its name.\n\nThe keys marked *per route* can be set for one route as well: \
            `route.NAME.keepalive.client.interval` is `keepalive.client.interval` for this route \
            only.",
    example: Example::Live,
    applies: Applies::NewPairs,
    keys: &[
        Key::new(
            "host",
            Kind::HostPattern,
            Preset::Optional(Literal::Text("chat.example.com")),
            "only requests for this host, or below it; all if not set",
        )
        .more(
            "`\"*.example.com\"` is for all hosts below `example.com`, by one label or more, and not for \
             `example.com` itself. One host goes before a `*`, and behind that the longest name wins; only \
             then `path_prefix` is compared. Ports, case and a dot at the end of what a client sends do not \
             count.",
        ),
        Key::new(
            "path_prefix",
            Kind::PathPrefix,
            Preset::text("/"),
            "only requests whose path begins with these segments",
        )
        .more("`/chat` takes `/chat` and `/chat/room`, but not `/chatter`."),
        Key::new(
            "strip_prefix",
            Kind::Switch,
            Preset::switch(false),
            "send the upstream the path without path_prefix",
        )
        .more(
            "With `path_prefix = \"/chat\"`, `/chat/room?q` goes up as `/room?q`, and `/chat` as `/`. What is \
             behind the prefix stays as it is, byte for byte (`//`, `..` and `%2e` too). Answers are not \
             changed: an upstream that sends a `Location`, a cookie with a path or links has to know its \
             prefix.",
        ),
        Key::new(
            "origins",
            Kind::Origins,
            Preset::Default(Literal::Texts(&[])),
            "pages that may open a WebSocket, as [\"https://example.com\"]; [] is all",
        )
        .more(
            "A browser lets every page of every site open a WebSocket to anywhere, with the user's cookies \
             ([Cross-Site WebSocket Hijacking](../topics/access.md#other-peoples-pages)). An upgrade whose \
             `Origin` is not listed is answered with 403. Scheme, host and port are compared; \
             `https://*.example.com` is for all hosts below `example.com`; `null`, which sandboxed \
             frames and files send, is let in only if it is listed. Plain requests are not looked at.",
        ),
        Key::new(
            "origin_missing",
            Kind::Choice(OriginMissing::WORDS),
            Preset::text("allow"),
            "allow | deny: upgrades without Origin",
        )
        .more("Browsers always send it; other clients need not, and can send whatever they like."),
        Key::new(
            "allow",
            Kind::Networks,
            Preset::Default(Literal::Texts(&[])),
            "only clients in these networks; [] is all",
        )
        .more(
            "By the client's true address, for plain requests too; others are answered with 403. A client \
             without an address (behind a unix socket) is in no network.",
        ),
        Key::new(
            "deny",
            Kind::Networks,
            Preset::Default(Literal::Texts(&[])),
            "no clients in these networks, be they in allow or not",
        ),
        Key::new(
            "upstream",
            Kind::UpstreamName,
            Preset::Optional(Literal::Text("chat")),
            "who answers; may be left out if there is one upstream",
        ),
        Key::new(
            "on_removed",
            Kind::Choice(OnRemoved::WORDS),
            Preset::text("keep"),
            "keep | drain: its pairs, when a reload removes it",
        )
        .applies(Applies::AtOnce)
        .more("As of an upstream. Pairs are told farewell if either their route or their upstream says so."),
        Key::new(
            "boundary_wait",
            Kind::DurationOrOff,
            Preset::Optional(Literal::Text("5s")),
            "short for boundary_wait of both sides of this route",
        )
        .applies(Applies::NextPing)
        .more("The route's own `keepalive.client.boundary_wait` and its like go before it."),
    ],
};

/// `route.NAME.limits`, where it is not `limits` for one route.
pub(super) static LIMITS: Section = Section {
    path: "route.NAME.limits",
    about: "Bounds of one route.",
    example: Example::Commented,
    applies: Applies::AtOnce,
    keys: &[Key::new(
        "pairs",
        Kind::CountOrOff,
        Preset::Optional(Literal::Integer(1000)),
        "pairs at a time on this route; no limit of its own if not set",
    )],
};
