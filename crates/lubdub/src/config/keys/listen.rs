//! Keys that say where clients connect to, and by what they are known.

use lubdub_proxy::settings::ProxyProtocol;

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
