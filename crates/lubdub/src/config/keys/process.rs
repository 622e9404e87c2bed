//! Keys of the process: how it is looked at and what it runs on.

use lubdub_proxy::settings::RequestDetail;
use tracing::Level;

use super::super::LogFormat;
use super::super::choice::Choice;
use super::{Applies, Example, Key, Kind, Literal, Preset, Section};

/// `admin`
pub(super) static ADMIN: Section = Section {
    path: "admin",
    about: "The listener for operators. `/metrics`, `/livez` and `/readyz` are open; all else \
            only on loopback or with the token.",
    example: Example::Live,
    applies: Applies::AtOnce,
    keys: &[
        Key::new("address", Kind::AddressOrOff, Preset::text("127.0.0.1:9901"), "an IP address and a port, \"unix:/run/x.sock\", or \"off\"")
            .applies(Applies::Upgrade),
        Key::new(
            "mode",
            Kind::Mode,
            Preset::Optional(Literal::Text("0660")),
            "of a unix socket: who may connect; \"0600\" if not set",
        )
        .applies(Applies::Upgrade)
        .more("As `listen.NAME.mode`. Who may connect there may also have lubdub upgraded, without a token."),
        Key::new(
            "group",
            Kind::Group,
            Preset::Optional(Literal::Text("adm")),
            "of a unix socket: the group that it belongs to",
        )
        .applies(Applies::Upgrade)
        .more("As `listen.NAME.group`."),
        Key::new(
            "token_file",
            Kind::File,
            Preset::Optional(Literal::Text("admin-token")),
            "a file with the bearer token for use beyond loopback",
        )
        .more("Surrounding white space is ignored. The token never appears in the configuration itself."),
        Key::new(
            "hosts",
            Kind::Hosts,
            Preset::Default(Literal::Texts(&[])),
            "names in Host that are answered, as [\"lubdub.internal\"]",
        )
        .more(
            "IP addresses and `localhost` always are; others are refused, against DNS rebinding.",
        ),
    ],
};

/// `log`
pub(super) static LOG: Section = Section {
    path: "log",
    about: "What is logged, on standard error.",
    example: Example::Live,
    applies: Applies::AtOnce,
    keys: &[
        Key::new(
            "format",
            Kind::Choice(LogFormat::WORDS),
            Preset::text("text"),
            "text | json, one object a line",
        )
        .more("[The log](log.md) has every kind of line."),
        Key::new(
            "level",
            Kind::Choice(Level::WORDS),
            Preset::text("info"),
            "error | warn | info | debug | trace",
        )
        .more("Of lubdub itself; its libraries never log below `warn`."),
        Key::new(
            "request",
            Kind::Choice(RequestDetail::WORDS),
            Preset::text("path"),
            "off | host | path: what a line tells of a request",
        )
        .applies(Applies::NewPairs)
        .more("At most 256 bytes of it, and never the query. Paths can hold secrets too: where they do, say \"host\"."),
        Key::new(
            "refusals",
            Kind::RateOrOff,
            Preset::text("10/s"),
            "lines for those who are not served, for each outcome; or \"off\"",
        )
        .more("What is over it is counted: the next line of that outcome says how many were left out, and so does `lubdub_refusals_not_logged_total`."),
    ],
};

/// `handover`
pub(super) static HANDOVER: Section = Section {
    path: "handover",
    about: "How a new process takes this one's place without ending a pair (`lubdub upgrade`, SIGUSR2).",
    example: Example::Commented,
    applies: Applies::Upgrade,
    keys: &[
        Key::new(
            "socket",
            Kind::SocketOrOff,
            Preset::text("off"),
            "a unix socket for `lubdub run --take-over`, or \"off\"",
        )
        .more(
            "Only for a new process that is started from outside; an upgrade needs no socket. \
             Who connects must have the same user id.",
        ),
        Key::new(
            "mode",
            Kind::Mode,
            Preset::Optional(Literal::Text("0660")),
            "who may connect; \"0600\" if not set",
        )
        .more("As `listen.NAME.mode`."),
        Key::new(
            "group",
            Kind::Group,
            Preset::Optional(Literal::Text("lubdub")),
            "the group that the socket belongs to",
        )
        .more("As `listen.NAME.group`."),
        Key::new(
            "linger",
            Kind::DurationOrOff,
            Preset::text("off"),
            "how long the old process keeps what cannot be moved; off: to its end",
        )
        .more("These are pairs with TLS on one of their sides, those that are ending, and those whose route is not there any more."),
    ],
};

/// `runtime`
pub(super) static RUNTIME: Section = Section {
    path: "runtime",
    about: "What lubdub runs on.",
    example: Example::Live,
    applies: Applies::Upgrade,
    keys: &[
        Key::new(
            "workers",
            Kind::CountOrAuto,
            Preset::text("auto"),
            "worker threads; auto: one per core",
        ),
        Key::new(
            "io_uring",
            Kind::Switch,
            Preset::Default(Literal::Switch(true)),
            "send to many sockets in one system call, where the kernel lets us",
        )
        .more(
            "It needs Linux 6.1. Where it is forbidden (`kernel.io_uring_disabled`, a seccomp profile, most containers) \
             each send is a call of its own, and nothing else changes; the log says so at the start. Where a seccomp \
             profile ends the process for it, say false.",
        ),
    ],
};
