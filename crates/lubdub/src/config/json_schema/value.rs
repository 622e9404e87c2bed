//! What each kind of key takes.
//!
//! Text that is nothing but a number is taken where a number is, as `lubdub check` does, so that a file may say
//! what a variable says. Patterns have no lookahead, and say no more than what holds everywhere.

use std::ops::RangeInclusive;

use lubdub_wire::CloseCode;

use super::super::keys::Kind;
use super::super::name;
use super::super::read::{FIELDS_OF_SERVERS, FIELDS_OF_WEBSOCKET};
use super::document::Schema;
use super::network;
use super::number::{at_least, between};
use super::words::in_any_case;

/// What `kind` takes.
pub(super) fn of(kind: Kind) -> Schema {
    match kind {
        Kind::Duration => duration("", "[1-9]"),
        Kind::DurationOrZero => duration("", "[0-9]"),
        Kind::DurationOrOff => duration("off|", "^off$|[1-9]"),
        Kind::Size(least) => size("", least),
        Kind::SizeOrOff(least) => size("off|", least),
        Kind::Count => count(""),
        Kind::CountOrOff => count("off|"),
        Kind::CountOrAuto => count("auto|"),
        Kind::RateOrOff => {
            let count = between(1, u32::MAX.into());
            Schema::text(format!("^(off|0*{count}/s)$"))
        }
        Kind::ByteRateOrOff => Schema::text(format!("^(off|0*{MANY}(B|KiB|MiB|GiB)?/s)$")),
        Kind::Switch => {
            let text = Schema {
                words: vec!["true", "false"],
                ..Schema::default()
            };
            let switch = Schema {
                kind: Some("boolean"),
                ..Schema::default()
            };
            Schema::any(vec![switch, text])
        }
        Kind::Share => share(),
        Kind::CloseCode => close_code(),
        Kind::Choice(words) => Schema {
            words: words.to_vec(),
            ..Schema::default()
        },
        Kind::Address => whole(&network::address()),
        Kind::AddressOrOff => whole(&format!("off|{}", network::address())),
        Kind::Url => whole(&network::url()),
        Kind::ServerName => whole(&network::server_name()),
        Kind::HostPattern => whole(&format!("{}|{}", network::host(), network::below())),
        Kind::HostOrKeep => {
            let (host, port) = (network::host(), network::port(1));
            whole(&format!("keep|({host})(:{port})?"))
        }
        Kind::Hosts => network::list(&network::host()),
        Kind::Field => field(),
        // Visible ASCII but for the slash, the question mark and the number sign.
        Kind::PathPrefix => Schema::text("^/$|^(/[!-\"$-.0->@-~]+)+/?$"),
        Kind::UpstreamName => Schema {
            max_length: Some(name::MAX),
            ..Schema::text(super::NAMES)
        },
        Kind::File => Schema {
            kind: Some("string"),
            min_length: Some(1),
            ..Schema::default()
        },
        Kind::SocketOrOff => Schema {
            kind: Some("string"),
            min_length: Some(1),
            max_length: Some(LONGEST_SOCKET),
            ..Schema::default()
        },
        Kind::Mode => Schema::text("^0?[0-7]{3}$"),
        Kind::Group => {
            let most = u32::MAX - 1;
            let number = Schema::integer(Some(0), Some(most.into()));
            let digits = between(0, most.into());
            let is_number = Schema {
                pattern: Some("^([+-]?[0-9]+|[0-9]+\\.[0-9]*|\\.[0-9]+)$".to_owned()),
                ..Schema::default()
            };
            let name = Schema {
                not: Some(Box::new(is_number)),
                ..Schema::text("^[^:\\n]+$")
            };
            Schema::any(vec![number, whole(&format!("\\+?0*{digits}")), name])
        }
        Kind::Networks => network::list(&network::network()),
        Kind::Origins => network::origins(),
        Kind::Trust => network::list(&format!("unix|{}", network::network())),
    }
}

/// Text that is all of what `pattern` matches.
fn whole(pattern: &str) -> Schema {
    Schema::text(format!("^({pattern})$"))
}

/// As many as can be counted, and more.
const MANY: &str = "[1-9][0-9]{0,19}";
/// A path of a Unix socket has no more characters, since it has no more bytes.
const LONGEST_SOCKET: usize = lubdub_proxy::Address::UNIX_MAX;

/// Of units that fall, with no more of each than a year has, and nothing beside a whole one. `has` is what it needs
/// besides: a digit, or one above zero.
fn duration(word: &str, has: &str) -> Schema {
    let pattern = |pattern: String| Schema {
        pattern: Some(pattern),
        ..Schema::default()
    };
    // Behind m there may be an s.
    let years = [
        (365, "d"),
        (8760, "h"),
        (525_600, "m([^s]|$)"),
        (31_536_000, "s"),
        (31_536_000_000, "ms"),
    ];
    let more = years.map(|(year, unit)| format!("{}{unit}", at_least(year + 1, 20)));
    let whole = years.map(|(year, unit)| format!("{year}{unit}")).join("|");
    let before = format!("[1-9][0-9]*[dhms].*({whole})");
    let behind = years.map(|(year, unit)| format!("{year}{}", &unit[..1]));
    let behind = format!("({}).*[1-9]", behind[..4].join("|"));
    let more = [&more[..], &[before, behind]].concat();
    // What most mistakes are told by is short: programs show the pattern.
    let parts = ["d", "h", "m", "s", "ms"].map(|unit| format!("([0-9]+{unit})?"));
    Schema {
        all_of: vec![pattern(has.to_owned())],
        not: Some(Box::new(pattern(more.join("|")))),
        ..Schema::text(format!("^({word}{})$", parts.concat()))
    }
}

fn size(word: &str, least: u64) -> Schema {
    let units = [
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let with_units = units.map(|(unit, scale)| {
        let least = least.div_ceil(scale);
        format!("0*{}{unit}", at_least(least, 20))
    });
    let bare = at_least(least, 19);
    let text = format!("^({word}\\+?0*{bare}|{})$", with_units.join("|"));
    let number = Schema::integer(i64::try_from(least).ok(), None);
    Schema::any(vec![number, Schema::text(text)])
}

fn count(word: &str) -> Schema {
    let text = format!("^({word}\\+?0*[1-9][0-9]{{0,18}})$");
    Schema::any(vec![Schema::integer(Some(1), None), Schema::text(text)])
}

fn share() -> Schema {
    let number = Schema {
        kind: Some("number"),
        minimum: Some(0),
        maximum: Some(1),
        ..Schema::default()
    };
    // With an exponent it may be any number.
    let text = "^([+-]?0+|\\+?0*1|0*\\.[0-9]*|0*1\\.0*|[0-9]*\\.?[0-9]*[eE][+-]?[0-9]+)$";
    Schema::any(vec![number, Schema::text(text)])
}

fn close_code() -> Schema {
    let ranges = CloseCode::SENDABLE.map(RangeInclusive::into_inner);
    let text = ranges.map(|(least, most)| between(least.into(), most.into()));
    let text = text.join("|");
    let numbers =
        ranges.map(|(least, most)| Schema::integer(Some(least.into()), Some(most.into())));
    let mut all = Vec::from(numbers);
    all.push(Schema::text(format!("^\\+?0*({text})$")));
    Schema::any(all)
}

/// A token (RFC 9110 5.6.2), but for those that mean something to every server.
fn field() -> Schema {
    let taken = FIELDS_OF_SERVERS.map(in_any_case).join("|");
    let websocket = in_any_case(FIELDS_OF_WEBSOCKET);
    let means_something = Schema {
        pattern: Some(format!("^({taken}|{websocket}.*)$")),
        ..Schema::default()
    };
    Schema {
        not: Some(Box::new(means_something)),
        ..Schema::text("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
    }
}
