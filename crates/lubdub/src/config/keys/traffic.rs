//! Keys that say where requests come from and where they go.

use lubdub_proxy::settings::{
    ForwardedStyle, OnRemoved, OriginMissing, ProxyProtocol, ProxyVersion,
};

use super::super::ClientAuth;
use super::super::choice::Choice;
use super::{Applies, Example, Key, Kind, Literal, Preset, Section};

/// `listen.NAME`
pub(super) static LISTEN: Section = Section {
    path: "listen.NAME",
    about: "A socket that clients connect to. Any number, each with a name of its own, which is \
            the metric label `listener`.",
    example: Example::Live,
    applies: Applies::AtOnce,
    keys: &[
        Key::new(
            "address",
            Kind::Address,
            Preset::Required(Literal::Text("0.0.0.0:8080")),
            "an IP address and a port, or \"unix:/run/lubdub/in.sock\"",
        )
        .more(
            "`[::]` takes IPv6 and IPv4; IPv6 only where another listener, or the admin's, has `0.0.0.0` \
             with the same port. Other addresses that overlap are refused. Port 0 lets the kernel choose one. \
             Of a unix socket, see [unix sockets](../topics/unix.md).",
        ),
        Key::new(
            "mode",
            Kind::Mode,
            Preset::Optional(Literal::Text("0660")),
            "of a unix socket: who may connect; \"0600\" if not set",
        )
        .more("The permissions of its file, in octal digits: who may write to it may connect."),
        Key::new(
            "group",
            Kind::Group,
            Preset::Optional(Literal::Text("www-data")),
            "of a unix socket: the group that it belongs to",
        )
        .more("Its name or number. lubdub's user has to be a member of it, unless it is root. One that only a directory service knows has to be said by its number."),
        Key::new(
            "proxy_protocol",
            Kind::Choice(ProxyProtocol::WORDS),
            Preset::text("off"),
            "off | optional | required: a PROXY header from `trust`",
        )
        .applies(Applies::NewConnections)
        .more(
            "A load balancer says in it, version 1 or 2, who the client is: in front of all, TLS \
             included. Only who is in `trust` may. `required` refuses everybody else, and who has \
             none; with `optional` a header of somebody else is no header, and mostly a 400.",
        ),
        Key::new(
            "trust",
            Kind::Trust,
            Preset::Optional(Literal::Texts(&["10.0.0.0/8"])),
            "whose word about the client counts here",
        )
        .applies(Applies::NewConnections)
        .more(
            "Instead of `forwarded.trust`. `[]` trusts nobody. `\"unix\"` is whoever comes by a unix \
             socket.",
        ),
    ],
};

/// `listen.NAME.tls`
pub(super) static TLS: Section = Section {
    path: "listen.NAME.tls",
    about: "TLS toward clients. It needs a certificate at least.",
    example: Example::Commented,
    applies: Applies::AtOnce,
    keys: &[
        Key::new(
            "client_auth",
            Kind::Choice(ClientAuth::WORDS),
            Preset::text("off"),
            "off | optional | required: certificates of clients",
        )
        .applies(Applies::NewConnections)
        .more(
            "`required`: who shows none that `client_ca` vouches for does not come in. `optional`: who \
             shows none comes in as well, who shows one that is no good does not.",
        ),
        Key::new(
            "client_ca",
            Kind::File,
            Preset::Optional(Literal::Text("clients.pem")),
            "who vouches for clients, as PEM",
        )
        .applies(Applies::NewConnections)
        .more("One or more certificates of authorities. `client_auth` needs it."),
        Key::new(
            "client_crl",
            Kind::File,
            Preset::Optional(Literal::Text("revoked.pem")),
            "which certificates of clients were revoked, as PEM",
        )
        .applies(Applies::NewConnections)
        .more(
            "One or more lists (X509 CRL). With it every authority on the way to a client's certificate \
             needs a list; nobody whose authority has none is let in. A list that is out of date goes on \
             counting, with a warning.",
        ),
        Key::new(
            "subject_header",
            Kind::Field,
            Preset::Optional(Literal::Text("X-Client-Subject")),
            "tell upstreams whose certificate a client has",
        )
        .applies(Applies::NewConnections)
        .more(
            "The subject as RFC 4514 writes it: `CN=device 7,O=Example`. What clients say in this field \
             themselves is taken out, at every listener, in heads and trailers, whatever stands between \
             its letters (`X_Client_Subject`).",
        ),
        Key::new(
            "watch",
            Kind::DurationOrOff,
            Preset::text("10s"),
            "how often the files of certificates are looked at",
        )
        .more(
            "Those of clients' authorities too. What is new is taken at the second look that finds it, and \
             holds for new connections. Files that cannot be used change nothing; the log says why. \
             `\"off\"`: they are read at the start and by a reload only.",
        ),
    ],
};

/// `listen.NAME.tls.certificate.NAME`
pub(super) static CERTIFICATE: Section = Section {
    path: "listen.NAME.tls.certificate.NAME",
    about: "A certificate makes the listener speak TLS, and nothing but TLS. Any number, each with a \
            name of its own, which is the metric label `certificate`.\n\nA client is shown the one \
            that has the name that it asks for (SNI), or else one that has it with a wildcard, or \
            else the first. The names are those of the certificate's subjectAltName. The first is \
            the first in the file; certificates that only variables or flags name come after those \
            of the file, by their names.",
    example: Example::Commented,
    applies: Applies::NewConnections,
    keys: &[
        Key::new(
            "cert",
            Kind::File,
            Preset::Required(Literal::Text("cert.pem")),
            "the certificate and its chain, as PEM",
        ),
        Key::new(
            "key",
            Kind::File,
            Preset::Required(Literal::Text("key.pem")),
            "its private key, as PEM",
        )
        .more("PKCS#8, PKCS#1 or SEC1; not encrypted."),
    ],
};

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
pub(super) static UPSTREAM_LIMITS: Section = Section {
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
pub(super) static ROUTE_LIMITS: Section = Section {
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
