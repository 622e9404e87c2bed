//! The JSON Schema against the program. Whatever any test here gives to [`load`](super::load), the schema judges as
//! well: it refuses nothing that is taken, and what it does not refuse has its reason in [`CANNOT_KNOW`].

use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

use super::super::keys::{self, Kind, NAME};
use super::super::leaf::Scalar;
use super::super::tree::Tree;
use super::super::{layers, name};
use super::*;

/// A part of what `check` says, and why a schema cannot know it.
const CANNOT_KNOW: [(&str, &str); 13] = [
    ("there is no listener", ANOTHER_LAYER),
    ("there is no upstream: set", ANOTHER_LAYER),
    ("there is no route", ANOTHER_LAYER),
    ("has no certificate", ANOTHER_LAYER),
    ("must be set", ANOTHER_LAYER),
    ("there is no such upstream", ANOTHER_LAYER),
    ("its route would be called \"none\"", ANOTHER_LAYER),
    ("nobody may send the header", ANOTHER_LAYER),
    ("is also", TWO_VALUES),
    ("is for the same host and path_prefix as", TWO_VALUES),
    ("is the same name as", TWO_VALUES),
    ("that the file limit of", MACHINE_ONLY),
    ("the file limit of 90 carries no pair", MACHINE_ONLY),
];
const ANOTHER_LAYER: &str = "a variable or a flag can set what is missing";
const TWO_VALUES: &str = "a schema does not compare one value or name with another";
const MACHINE_ONLY: &str = "it is so on this machine only";

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    assert!(jsonschema::draft7::meta::is_valid(&schema));
    jsonschema::draft7::new(&schema).unwrap()
});

/// The keys that the schema refuses in `document`.
fn refused(document: &Value) -> Vec<String> {
    SCHEMA.iter_errors(document).flat_map(places).collect()
}

fn places(error: ValidationError<'_>) -> Vec<String> {
    let at = error.instance_path().to_string();
    let at = at.trim_start_matches('/').replace('/', ".");
    let inside = |name: &str| match at.as_str() {
        "" => name.to_owned(),
        at => format!("{at}.{name}"),
    };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| inside(name)).collect()
        }
        ValidationErrorKind::PropertyNames { error } => {
            vec![inside(error.instance().as_str().unwrap())]
        }
        _ => vec![at],
    }
}

/// What a file with this table would be.
fn document(table: &Table) -> Value {
    let entry = |(name, tree): (&String, &Tree)| {
        let value = match tree {
            Tree::Leaf(leaf) => json!(leaf.value),
            Tree::Table(table) => document(table),
        };
        (name.clone(), value)
    };
    Value::Object(table.entries.iter().map(entry).collect())
}

/// Whether one of the keys is the other, or below it.
fn is_about(a: &str, b: &str) -> bool {
    a.split('.')
        .zip(b.split('.'))
        .all(|(a, b)| name::same(a, b))
}

/// Holds what the program said of `sources` against the schema.
pub(super) fn compare(sources: &Sources, loaded: Result<&Config, &Mistakes>) {
    let Ok(layers) = layers::read(sources) else {
        return;
    };
    let documents: Vec<_> = layers.set.iter().map(document).collect();
    let refused: Vec<_> = documents.iter().flat_map(refused).collect();
    let Err(mistakes) = loaded else {
        assert!(
            refused.is_empty(),
            "{refused:?} can be taken: {documents:?}"
        );
        return;
    };
    for key in &refused {
        let is_mistake = mistakes.iter().any(|mistake| is_about(&mistake.what, key));
        assert!(is_mistake, "nothing is wrong with {key}: {documents:?}");
    }
    for mistake in mistakes.iter() {
        let Wrong(wrong) = &mistake.wrong;
        let is_known = refused.iter().any(|key| is_about(&mistake.what, key));
        let is_excused = CANNOT_KNOW.iter().any(|(part, _)| wrong.contains(part));
        assert!(is_known || is_excused, "the schema takes {mistake:?}");
    }
}

#[test]
fn the_committed_schema_is_made_from_the_declaration() {
    declaration::assert_committed("docs/reference/lubdub.schema.json", &json_schema());
}

/// The value at `path`, in as many tables.
fn at(path: &[&str], value: Value) -> Value {
    path.iter().rev().fold(value, |inner, segment| {
        let name = if *segment == NAME { "x" } else { segment };
        json!({ name: inner })
    })
}

#[test]
fn every_default_and_example_is_taken_and_no_value_of_another_type() {
    for place in keys::places() {
        let value = json!(place.key.preset.literal().scalar());
        assert_eq!(refused(&at(&place.path, value)), [""; 0], "{place:?}");
        for wrong in [json!({}), json!(null), json!([[]]), json!([1])] {
            let refused = refused(&at(&place.path, wrong.clone()));
            assert!(!refused.is_empty(), "{wrong} for {place:?}");
        }
        let takes_numbers = place.key.kind.takes_numbers();
        let is_refused = |value: Value| !refused(&at(&place.path, value)).is_empty();
        assert!(takes_numbers || is_refused(json!(7)), "{place:?}");
        assert!(is_refused(json!(-7)), "{place:?}");
        assert!(is_refused(json!(1.5)), "{place:?}");
        let is_switch = matches!(place.key.kind, Kind::Switch);
        assert_eq!(is_refused(json!(true)), !is_switch, "{place:?}");
        let is_free = matches!(place.key.kind, Kind::File | Kind::SocketOrOff | Kind::Group);
        assert!(is_free || is_refused(json!("a\tb c")), "{place:?}");
    }
}

/// Whether a key of this kind takes `value`, whatever else may be wrong with that.
fn is_taken(kind: Kind, value: &Scalar) -> bool {
    let at_least = |size: Option<u64>, least| size.is_none_or(|size| size >= least);
    match kind {
        Kind::Duration => read::duration(value).is_ok(),
        Kind::DurationOrZero => read::duration_or_zero(value).is_ok(),
        Kind::DurationOrOff => read::duration_or_off(value).is_ok(),
        Kind::Size(least) => read::size(value).is_ok_and(|size| at_least(Some(size), least)),
        Kind::SizeOrOff(least) => read::size_or_off(value).is_ok_and(|size| at_least(size, least)),
        Kind::Count => read::count(value).is_ok(),
        Kind::CountOrOff => read::count_or_off(value).is_ok(),
        Kind::CountOrAuto => read::count_or_auto(value).is_ok(),
        Kind::RateOrOff => read::rate_or_off(value).is_ok(),
        Kind::ByteRateOrOff => read::byte_rate_or_off(value).is_ok(),
        Kind::Switch => read::switch(value).is_ok(),
        Kind::Share => read::jitter(value).is_ok(),
        Kind::CloseCode => read::close_code(value).is_ok(),
        Kind::Choice(words) => read::text(value).is_ok_and(|word| words.contains(&word)),
        Kind::Address => read::address(value).is_ok(),
        Kind::AddressOrOff => read::address_or_off(value).is_ok(),
        Kind::Url => read::text(value).is_ok_and(|text| parse_url(text).is_ok()),
        Kind::ServerName => read::server_name(value).is_ok(),
        Kind::HostPattern => read::host_pattern(value).is_ok(),
        Kind::HostOrKeep => read::host_or_keep(value).is_ok(),
        Kind::Hosts => read::hosts(value).is_ok(),
        Kind::Field => read::field(value).is_ok(),
        Kind::PathPrefix => read::path_prefix(value).is_ok(),
        Kind::UpstreamName => read::text(value).is_ok_and(is_name),
        Kind::File => read::text(value).is_ok(),
        Kind::SocketOrOff => read::text(value).is_ok_and(|path| path.len() <= 107),
        Kind::Mode => read::mode(value).is_ok(),
        Kind::Group => match value {
            Scalar::Integer(number) => (0..i64::from(u32::MAX)).contains(number),
            value => read::text(value).is_ok_and(|name| !name.contains([':', '\n'])),
        },
        Kind::Networks => read::networks(value).is_ok(),
        Kind::Origins => read::origins(value).is_ok(),
        Kind::Trust => read::trust(value).is_ok(),
    }
}

/// Values of all kinds, good and bad.
fn values() -> Vec<Scalar> {
    let long = [
        "a".repeat(63),
        "a".repeat(64),
        format!("/{}", "b".repeat(107)),
    ];
    let texts = [
        "",
        " ",
        "0",
        "1",
        "+1",
        "-1",
        "007",
        "5",
        "off",
        "auto",
        "true",
        "True",
        "yes",
        "0.5",
        ".5",
        "1.0",
        "1.5",
        "1e-3",
        "nan",
        "inf",
        "0x10",
        "keep",
        "unix",
        "null",
        "*",
        "a",
        "A-b_c",
        "a__b",
        "-a",
        "a b",
        "a,b",
        "a, b",
        ",",
        "a,,b",
        "\u{e4}",
        "a\nb",
        // Durations.
        "0s",
        "1ms",
        "5s",
        "1m30s",
        "2h",
        "1d2h3m4s5ms",
        "365d",
        "366d",
        "8760h",
        "8761h",
        "0d0s",
        "s",
        "5x",
        "5S",
        "5 s",
        "1.5s",
        "30s1m",
        "5s5s",
        "5s ",
        "\u{661}s",
        "1m30",
        "99999999999999999999s",
        "-5s",
        "010s",
        // Sizes and rates.
        "124",
        "125",
        "8191",
        "8192",
        "65536",
        "124B",
        "125B",
        "7KiB",
        "8KiB",
        "64KiB",
        "1MiB",
        "2GiB",
        "0KiB",
        "64KB",
        "64k",
        "64kib",
        "1.5MiB",
        "64 KiB",
        "KiB",
        "/s",
        "1/s",
        "20/s",
        "4294967295/s",
        "4294967296/s",
        "0/s",
        "20/m",
        "20 /s",
        "20/s/s",
        "1MiB/s",
        "1B/s",
        "0KiB/s",
        "1MB/s",
        "+1/s",
        // Close codes and permissions.
        "999",
        "1000",
        "1003",
        "1004",
        "1005",
        "1006",
        "1007",
        "1014",
        "1015",
        "2999",
        "3000",
        "4999",
        "5000",
        "70000",
        "600",
        "0600",
        "0777",
        "1777",
        "0888",
        "00600",
        "4294967295",
        // Addresses, hosts and URLs.
        "0.0.0.0:8080",
        "127.0.0.1:0",
        "127.0.0.1:65535",
        "127.0.0.1:65536",
        "256.0.0.1:1",
        "1.2.3:1",
        "01.2.3.4:1",
        "[::]:8080",
        "[::1]:00080",
        "[fe80::1%3]:80",
        "[::ffff:10.0.0.1]:1",
        "::1:80",
        ":8080",
        "127.0.0.1",
        "localhost:80",
        "unix:/run/a.sock",
        "unix:/run/",
        "unix:run/a",
        "unix:",
        "unix:@a",
        "UNIX:/a",
        "unix:///a",
        "chat.internal",
        "Chat.Internal:8080",
        "a.",
        "a..b",
        "a:",
        "a:0",
        "a:80:80",
        "[::1]",
        "[::1",
        "::1",
        "1:2",
        "*.example.com",
        "*.",
        "a.*",
        "*a.b",
        "*.*.b",
        "*.0.0.1",
        "*.[::1]",
        "*.a:80",
        "123",
        "1.2.3.4",
        "u@a",
        "ws://b",
        "WS://b:80/",
        "wss://b",
        "http://b",
        "https://[::1]:8443",
        "ws://::1",
        "ws://h/chat",
        "ws://h?x",
        "ws://u:p@h",
        "ws://h:0",
        "ws://h:+80",
        "ws://h:99999",
        "ws://",
        "ws://:80",
        "ws://1.2.3.4.5",
        "ws://1.a",
        "ws://1.2.3.4",
        "tcp://h",
        "wss+unix:/a",
        "Wss+Unix:/a",
        "http+unix:/a",
        "unix:/a?b#c@d",
        "ws://b\u{fc}cher",
        // Fields, paths, networks and origins.
        "X-Client-Subject",
        "Host",
        "TE",
        "sec-websocket-key",
        "x y",
        "x:",
        "/",
        "/chat",
        "/chat/",
        "//",
        "/a//b",
        "/a?b",
        "/a#b",
        "/a b",
        "/\u{e4}",
        "chat",
        "/%2e~!$",
        "10.0.0.0/8",
        "10.0.0.0/33",
        "10.0.0.0/",
        "10.0.0.0/8, ::1",
        "::/0",
        "fd00::/8",
        "fd00::/129",
        "10.0.0.0/8 ::1",
        "10.0.0.0/8,unix",
        "::ffff:10.0.0.0/104",
        "https://a",
        "https://a/",
        "https://a:0",
        "https://a:8443",
        "https://*.a.com",
        "https://*",
        "https://a.*.com",
        "file://",
        "https://",
        "https://a, null",
        "capacitor://localhost",
        "https://b\u{fc}cher",
        "https://u@a",
        "//a",
        "Null",
        "HTTPS://A",
        "https://[::1]:3000",
        "https://a:*",
    ];
    let texts = texts.map(str::to_owned).into_iter().chain(long);
    let texts: Vec<_> = texts.map(Scalar::Text).collect();
    let lists = texts.iter().map(|text| Scalar::List(vec![text.clone()]));
    let lists: Vec<_> = lists.chain([Scalar::List(Vec::new())]).collect();
    let numbers = [
        -1,
        0,
        1,
        124,
        125,
        1000,
        1004,
        3000,
        5000,
        8191,
        8192,
        i64::MAX,
    ];
    let numbers = numbers.map(Scalar::Integer);
    let others = [Scalar::Bool(true), Scalar::Float(0.5), Scalar::Float(1.5)];
    [texts, lists, numbers.into(), others.into()].concat()
}

/// Whether the schema takes `value` although its key does not, and may: a pattern that tells it apart would be no
/// pattern that a person reads.
fn may_pass(kind: Kind, value: &Scalar) -> bool {
    let Scalar::Text(text) = value else {
        return false;
    };
    match kind {
        // A number as programs write it, and a name that is none of a host's.
        Kind::Group => text == "1e-3",
        Kind::ServerName => text == "0x10" || text.len() > 63,
        _ => false,
    }
}

/// The readers are the measure: the schema takes all that they take, and refuses what they refuse.
#[test]
fn the_schema_judges_single_values_as_the_program_does() {
    for place in keys::places() {
        let kind = place.key.kind;
        for value in values() {
            let read = match kind {
                kind if kind.takes_numbers() => value.clone().into_number(),
                Kind::Switch => value.clone().into_switch(),
                _ => value.clone(),
            };
            let is_taken = is_taken(kind, &read) || may_pass(kind, &value);
            let refused = refused(&at(&place.path, json!(value)));
            let said = format!("{}: {value}, {kind:?}", place.path.join("."));
            assert_eq!(refused.is_empty(), is_taken, "{said}: {refused:?}");
        }
    }
}
