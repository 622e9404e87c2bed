//! Keys that say where requests go.

use lubdub_proxy::settings::{OnRemoved, ProxyVersion};

use super::super::choice::Choice;
use super::{Applies, Example, Key, Kind, Literal, Preset, Section};

/// `upstream.NAME`
pub(super) static UPSTREAM: Section = Section {
    path: "upstream.NAME",
    about: "A backend. Any number, each with a name of its own.",
    example: Example::Live,
    applies: Applies::NewPairs,
    keys: &[
        Key::new(
            "url",
            Kind::Url,
            Preset::Required(Literal::Text("ws://127.0.0.1:9000")),
            "ws, wss, http or https, a host and perhaps a port; or \"unix:/path\"",
        )
        .more(
            "A request keeps its own path and query. `ws` and `http` are the same, and so are \
             `wss` and `https`. Host names are resolved at every connect. `unix:/run/app.sock` is a \
             unix socket, and `wss+unix:/run/app.sock` one that speaks TLS. An upstream that is a \
             listener of this very lubdub, or the admin's, is refused.",
        ),
        Key::new(
            "ca",
            Kind::File,
            Preset::Optional(Literal::Text("ca.pem")),
            "trust these certificates instead of the platform's",
        )
        .more(
            "One or more as PEM; only for `wss`, `https` and `wss+unix`. They are authorities, whose signature counts, \
             and each stands for itself as well: a backend that has signed its own certificate is trusted \
             by naming that certificate.",
        ),
        Key::new(
            "certificate",
            Kind::File,
            Preset::Optional(Literal::Text("lubdub.pem")),
            "what lubdub shows to a backend that asks for a certificate",
        )
        .more(
            "The certificate and its chain as PEM; only for `wss`, `https` and `wss+unix`, and with `key`. A reload reads \
             both files again.",
        ),
        Key::new(
            "key",
            Kind::File,
            Preset::Optional(Literal::Text("lubdub-key.pem")),
            "the private key of certificate, as PEM",
        )
        .more("PKCS#8, PKCS#1 or SEC1; not encrypted."),
        Key::new(
            "server_name",
            Kind::ServerName,
            Preset::Optional(Literal::Text("chat.internal")),
            "whose certificate the backend must have, if not the url's host",
        )
        .more(
            "A host name or an IP address; only for `wss`, `https`, and `wss+unix`, which needs it. A host name \
             is asked for as well (SNI).",
        ),
        Key::new(
            "insecure_skip_verify",
            Kind::Switch,
            Preset::switch(false),
            "take any certificate: only to try something out",
        )
        .more(
            "Whoever is in the way can read and change everything then. It is \
             [warned of](../topics/checks.md#upstream-unverified) at every start and reload. \
             `ca` does without: it takes any certificate that is named, however it was made.",
        ),
        Key::new(
            "host",
            Kind::HostOrKeep,
            Preset::text("keep"),
            "the Host field that it gets; keep: the client's",
        )
        .more(
            "For a backend that answers only to a name of its own. What the client had is in \
             `X-Forwarded-Host` or `Forwarded`. It changes neither where lubdub connects to (`url`) nor \
             the name that it asks for by TLS (`server_name`).",
        ),
        Key::new(
            "proxy_protocol",
            Kind::Choice(<Option<ProxyVersion>>::WORDS),
            Preset::text("off"),
            "off | v1 | v2: send a PROXY header, before TLS",
        )
        .more(
            "It tells the client's true address, and the address that the client connected to. Where \
             one of them is not known, or they are of IPv4 and IPv6, it tells none (`UNKNOWN`, \
             `UNSPEC`). No connection is kept for further plain requests then: it could be another \
             client's.",
        ),
        Key::new(
            "pool",
            Kind::Switch,
            Preset::switch(true),
            "keep connections for further plain requests",
        )
        .more(
            "`false` gives each plain request a connection of its own. A WebSocket always has its \
             own.",
        ),
        Key::new(
            "pool_age",
            Kind::Duration,
            Preset::text("60s"),
            "the greatest age of a connection that is kept",
        )
        .more("So that plain requests follow a name that has moved to another address."),
        Key::new(
            "on_removed",
            Kind::Choice(OnRemoved::WORDS),
            Preset::text("keep"),
            "keep | drain: its pairs, when a reload removes it",
        )
        .applies(Applies::AtOnce)
        .more("With `drain` they are told farewell over `drain.spread`; with `keep` they go on to their own end. \
             An upstream that no route leads to any more counts as removed."),
    ],
};

/// `upstream.NAME.limits`
pub(super) static LIMITS: Section = Section {
    path: "upstream.NAME.limits",
    about: "Who may wait for this upstream at a time. One more is refused at once, with 503 and \
            `Retry-After`, so that an upstream that hangs holds up nobody else's requests.",
    example: Example::Commented,
    applies: Applies::AtOnce,
    keys: &[
        Key::new(
            "waiting",
            Kind::CountOrAuto,
            Preset::text("auto"),
            "upgrades not yet answered, and connects under way",
        )
        .more("`\"auto\"`: 1024, or a quarter of `limits.pairs` if that is less."),
        Key::new(
            "requests",
            Kind::CountOrAuto,
            Preset::text("auto"),
            "plain requests not yet answered; long polls count",
        )
        .more("`\"auto\"`: half of `limits.connections`."),
    ],
};
