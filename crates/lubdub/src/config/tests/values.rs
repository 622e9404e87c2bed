//! Values to try with every key, and what the readers of values say of them.

use super::super::keys::Kind;
use super::super::leaf::Scalar;
use super::*;

/// Durations, sizes, rates, close codes, permissions, addresses, hosts, URLs, names of fields, paths, networks and
/// origins, good and bad.
const WORDS: &str = "\
    0 1 +1 -1 007 5 off auto true True yes 0.5 .5 1.0 1.5 1e-3 nan inf 0x10 keep unix null * a A-b_c \
    a__b -a a,b , a,,b \u{e4} 0s 1ms 5s 1m30s 2h 1d2h3m4s5ms 365d 366d 8760h 8761h 0d0s s 5x 5S 1.5s \
    365d1ms 0365d0h1s 365d0s 8760h1m 1d8760h 1m525600m 525600m 525600ms 1h525600ms 364d25h 31536000s1ms \
    9999999999999999999 99999999999999999999B 99999999999999999999B/s 30s1m 5s5s \u{661}s 1m30 99999999999999999999s -5s 010s 124 125 8191 8192 65536 124B 125B 7KiB 8KiB \
    64KiB 1MiB 2GiB 0KiB 64KB 64k 64kib 1.5MiB KiB /s 1/s 20/s 4294967295/s 4294967296/s 0/s 20/m 20/s/s \
    1MiB/s 1B/s 0KiB/s 1MB/s +1/s 999 1000 1003 1004 1005 1006 1007 1014 1015 2999 3000 4999 5000 70000 \
    600 0600 0777 1777 0888 00600 4294967295 0.0.0.0:8080 127.0.0.1:0 127.0.0.1:65535 127.0.0.1:65536 \
    256.0.0.1:1 1.2.3:1 01.2.3.4:1 [::]:8080 [::1]:00080 [fe80::1%3]:80 [::ffff:10.0.0.1]:1 ::1:80 :8080 \
    127.0.0.1 localhost:80 unix:/run/a.sock unix:/run/ unix:run/a unix: unix:@a UNIX:/a unix:///a \
    chat.internal Chat.Internal:8080 a. a..b a: a:0 a:80:80 [::1] [::1 ::1 1:2 *.example.com *. a.* *a.b \
    *.*.b *.0.0.1 *.[::1] *.a:80 123 1.2.3.4 u@a ws://b WS://b:80/ wss://b http://b https://[::1]:8443 \
    ws://::1 ws://h/chat ws://h?x ws://u:p@h ws://h:0 ws://h:+80 ws://h:99999 ws:// ws://:80 \
    ws://1.2.3.4.5 ws://1.a ws://1.2.3.4 tcp://h wss+unix:/a Wss+Unix:/a http+unix:/a unix:/a?b#c@d \
    ws://b\u{fc}cher X-Client-Subject Host TE sec-websocket-key x: / /chat /chat/ // /a//b /a?b /a#b \
    /\u{e4} chat /%2e~!$ 10.0.0.0/8 10.0.0.0/33 10.0.0.0/ ::/0 fd00::/8 fd00::/129 10.0.0.0/8,unix \
    ::ffff:10.0.0.0/104 https://a https://a/ https://a:0 https://a:8443 https://*.a.com https://* \
    https://a.*.com file:// https:// capacitor://localhost https://b\u{fc}cher https://u@a //a Null \
    HTTPS://A https://[::1]:3000 https://a:*";

/// The same, with white space in them.
const SPACED: [&str; 14] = [
    "",
    " ",
    "a b",
    "a, b",
    "a\nb",
    "5 s",
    "5s ",
    "64 KiB",
    "20 /s",
    "x y",
    "/a b",
    "10.0.0.0/8, ::1",
    "10.0.0.0/8 ::1",
    "https://a, null",
];

const LABEL: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// One more than a part of a host's name may have.
pub(super) const LABEL_TOO_LONG: &str =
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// All of them, as text, in a list, and as numbers.
pub(super) fn all() -> Vec<Scalar> {
    let path = format!("/{}", "b".repeat(107));
    let words = WORDS.split_whitespace().chain(SPACED);
    let texts = words.chain([LABEL, LABEL_TOO_LONG, &path]);
    let texts: Vec<_> = texts.map(|text| Scalar::Text(text.to_owned())).collect();
    let lists = texts.iter().map(|text| Scalar::List(vec![text.clone()]));
    let lists: Vec<_> = lists.chain([Scalar::List(Vec::new())]).collect();
    let numbers = [
        "-1", "0", "1", "124", "125", "1000", "1004", "5000", "8191", "8192",
    ];
    let numbers = numbers.map(|number| Scalar::Text(number.to_owned()).into_number());
    let floats = [0.5, 1.5, 5.0, 1e3, 1e6, f64::NAN, f64::INFINITY].map(Scalar::Float);
    [
        texts,
        lists,
        numbers.into(),
        floats.into(),
        vec![Scalar::Bool(true)],
    ]
    .concat()
}

/// Whether a key of this kind takes `value`, whatever else may be wrong with that.
pub(super) fn is_taken(kind: Kind, value: &Scalar) -> bool {
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
        // Whether there is a group of that name only the machine knows.
        Kind::Group => match value {
            Scalar::Integer(number) => (0..i64::from(u32::MAX)).contains(number),
            Scalar::Text(_) | Scalar::Bool(_) | Scalar::Float(_) | Scalar::List(_) => {
                read::text(value).is_ok_and(|name| !name.contains([':', '\n']))
            }
        },
        Kind::Networks => read::networks(value).is_ok(),
        Kind::Origins => read::origins(value).is_ok(),
        Kind::Trust => read::trust(value).is_ok(),
    }
}
