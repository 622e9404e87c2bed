//! Each warning where it has to be, and none just beside it.

use super::*;

/// The warnings about what [`with`] makes of `more`: kind and key.
fn warned(more: &[(&str, &str)]) -> Vec<(&'static str, String)> {
    with(more)
        .unwrap()
        .warnings
        .iter()
        .map(|warning| (warning.slug, warning.key.clone()))
        .collect()
}

/// Asserts that `more` is warned of as `slug` at `key`, and of nothing else.
#[track_caller]
pub(super) fn expect_warning(slug: &'static str, key: &str, more: &[(&str, &str)]) {
    assert_eq!(warned(more), [(slug, key.to_owned())], "{more:?}");
}

#[track_caller]
pub(super) fn expect_none(more: &[(&str, &str)]) {
    assert_eq!(warned(more), [], "{more:?}");
}

const CLIENT_INTERVAL: &str = "keepalive.client.interval";
const CLIENT_TIMEOUT: &str = "keepalive.client.timeout";
const UPSTREAM_INTERVAL: &str = "keepalive.upstream.interval";
const UPSTREAM_TIMEOUT: &str = "keepalive.upstream.timeout";
const CLIENT_ENFORCE: &str = "keepalive.client.enforce";
const UPSTREAM_ENFORCE: &str = "keepalive.upstream.enforce";
const CLIENT_WAIT: &str = "keepalive.client.boundary_wait";

#[test]
fn the_defaults_have_none() {
    expect_none(&[]);
}

#[test]
fn a_warning_names_key_value_origin_reason_and_page() {
    let config = with(&[("timeouts.write_stall", "off")]).unwrap();
    assert_eq!(
        config.warnings.to_string(),
        "the configuration has a warning\n  \
         timeouts.write_stall = \"off\" (--set): a peer that stops reading but answers at times \
         keeps its pair, and what is buffered for it, for ever\n    \
         see: lubdub explain write-stall-off"
    );
}

#[test]
fn what_routes_inherit_is_warned_of_once_and_their_own_by_its_own_key() {
    let two = [("route.x.path_prefix", "/x"), ("route.y.path_prefix", "/y")];
    let inherited = [&two[..], &[(CLIENT_INTERVAL, "1m")]].concat();
    expect_warning("interval-long", CLIENT_INTERVAL, &inherited);

    let own = "route.y.keepalive.client.interval";
    let of_one = [&two[..], &[(own, "1m")]].concat();
    expect_warning("interval-long", own, &of_one);
    // Nobody is left to whom the wrong value applies.
    let overridden = [
        (CLIENT_INTERVAL, "1m"),
        ("route.b.keepalive.client.interval", "30s"),
    ];
    expect_none(&overridden);
}

#[test]
fn intervals_that_lose_the_race_against_load_balancers() {
    expect_warning(
        "interval-long",
        CLIENT_INTERVAL,
        &[(CLIENT_INTERVAL, "55s")],
    );
    expect_warning(
        "interval-long",
        UPSTREAM_INTERVAL,
        &[(UPSTREAM_INTERVAL, "1m")],
    );
    expect_none(&[(CLIENT_INTERVAL, "54s999ms")]);
}

#[test]
fn intervals_that_cost_more_than_they_tell() {
    expect_warning(
        "interval-short",
        CLIENT_INTERVAL,
        &[(CLIENT_INTERVAL, "4s999ms")],
    );
    expect_warning(
        "interval-short",
        UPSTREAM_INTERVAL,
        &[(UPSTREAM_INTERVAL, "10ms")],
    );
    expect_none(&[(CLIENT_INTERVAL, "5s")]);
}

#[test]
fn sides_on_which_nothing_is_detected() {
    expect_warning("interval-off", CLIENT_INTERVAL, &[(CLIENT_INTERVAL, "off")]);
    let both = warned(&[(CLIENT_INTERVAL, "off"), (UPSTREAM_INTERVAL, "off")]);
    assert_eq!(both.len(), 2, "{both:?}");
}

#[test]
fn ghosts_are_left_to_limits_on_silence_or_age_only_if_these_are_short() {
    for limit in ["timeouts.data_idle", "timeouts.lifetime"] {
        expect_none(&[(UPSTREAM_INTERVAL, "off"), (limit, "10m")]);
        for long in ["10m1ms", "24h"] {
            let more = [(UPSTREAM_INTERVAL, "off"), (limit, long)];
            expect_warning("interval-off", UPSTREAM_INTERVAL, &more);
        }
    }
    let both = [
        (UPSTREAM_INTERVAL, "off"),
        ("timeouts.data_idle", "24h"),
        ("timeouts.lifetime", "12h"),
    ];
    let words = with(&both).unwrap().warnings.to_string();
    assert!(
        words.contains(
            "stays until TCP notices, if it ever does, or until timeouts.lifetime of 12h is over"
        ),
        "{words}"
    );
}

#[test]
fn pairs_that_no_silence_ends() {
    let never = [(CLIENT_ENFORCE, "never"), (UPSTREAM_ENFORCE, "never")];
    let expected = [CLIENT_ENFORCE, UPSTREAM_ENFORCE].map(|key| ("enforce-never", key.to_owned()));
    assert_eq!(warned(&never), expected);
    let with_limit = |limit| [&never[..], &[("timeouts.data_idle", limit)]].concat();
    assert_eq!(warned(&with_limit("10m1ms")), expected);
    expect_none(&with_limit("10m"));
    // One side is enough to find out, and may have to be.
    expect_none(&[(UPSTREAM_ENFORCE, "never")]);
    expect_none(&[(CLIENT_ENFORCE, "never"), (UPSTREAM_ENFORCE, "learned")]);
    // But not one that is never asked.
    let off = [(CLIENT_INTERVAL, "off"), (UPSTREAM_ENFORCE, "never")];
    assert_eq!(
        warned(&off),
        [
            ("interval-off", CLIENT_INTERVAL.to_owned()),
            ("enforce-never", UPSTREAM_ENFORCE.to_owned())
        ]
    );
}

#[test]
fn lapses_that_take_minutes() {
    expect_warning("lapse-slow", CLIENT_TIMEOUT, &[(CLIENT_TIMEOUT, "1m30s")]);
    expect_none(&[(CLIENT_TIMEOUT, "1m29s999ms")]);
    // Without pings the timeout says nothing.
    expect_none(&[
        (UPSTREAM_INTERVAL, "off"),
        (UPSTREAM_TIMEOUT, "1h"),
        ("timeouts.data_idle", "10m"),
    ]);
    // Nor where it ends nothing.
    expect_none(&[(UPSTREAM_ENFORCE, "never"), (UPSTREAM_TIMEOUT, "10m")]);
    let learned = [(UPSTREAM_ENFORCE, "learned"), (UPSTREAM_TIMEOUT, "10m")];
    expect_warning("lapse-slow", UPSTREAM_TIMEOUT, &learned);
    let by_interval = warned(&[(CLIENT_INTERVAL, "3m")]);
    assert!(
        by_interval.contains(&("lapse-slow", CLIENT_INTERVAL.to_owned())),
        "the value that somebody has set is named: {by_interval:?}"
    );
}

#[test]
fn waits_for_a_boundary_that_outlast_the_timeout() {
    expect_warning(
        "boundary-wait-long",
        CLIENT_WAIT,
        &[(CLIENT_WAIT, "30s1ms")],
    );
    expect_warning(
        "boundary-wait-long",
        CLIENT_TIMEOUT,
        &[(CLIENT_TIMEOUT, "4s")],
    );
    expect_none(&[(CLIENT_WAIT, "30s")]);
    expect_none(&[(CLIENT_WAIT, "off"), (CLIENT_TIMEOUT, "1s")]);
}

#[test]
fn readers_that_may_stall_for_ever() {
    let key = "timeouts.write_stall";
    expect_warning("write-stall-off", key, &[(key, "off")]);
    expect_none(&[(key, "1h")]);
}

#[test]
fn a_code_that_a_common_library_refuses() {
    for key in [
        "close.to_client.upstream_lapsed",
        "close.to_upstream.data_idle",
    ] {
        expect_warning("close-1014", key, &[(key, "1014")]);
        expect_none(&[(key, "1013")]);
    }
}

#[test]
fn failures_that_are_told_as_a_normal_end() {
    for key in [
        "close.to_client.upstream_lapsed",
        "close.to_client.upstream_stalled",
        "close.to_client.drain",
        "close.to_client.lifetime",
        "close.to_upstream.client_lapsed",
        "close.to_upstream.client_stalled",
    ] {
        expect_warning("close-1000", key, &[(key, "1000")]);
        expect_none(&[(key, "1001")]);
    }
    expect_none(&[("close.to_client.data_idle", "1000")]);
    expect_none(&[("close.to_upstream.drain", "1000")]);
}

#[test]
fn drains_without_time_for_the_last_farewell() {
    let (spread, timeout) = ("drain.spread", "drain.timeout");
    expect_warning("drain-short", timeout, &[(spread, "20s"), (timeout, "24s")]);
    expect_warning("drain-short", spread, &[(spread, "26s")]);
    expect_warning(
        "drain-short",
        "timeouts.close",
        &[("timeouts.close", "31s")],
    );
    expect_none(&[(spread, "25s")]);
}

#[test]
fn upstreams_without_a_route() {
    let two = [("upstream.c.url", "ws://c"), ("route.x.upstream", "b")];
    expect_warning("upstream-unused", "upstream.c.url", &two);
    expect_none(
        &[
            &two[..],
            &[("route.y.upstream", "c"), ("route.y.host", "y")],
        ]
        .concat(),
    );
}

#[test]
fn handshakes_that_have_fewer_files_than_they_may_take() {
    // 20000 files carry 9914 clients, pairs or not.
    let key = "limits.handshakes";
    expect_warning("limit-unreachable", key, &[(key, "9915")]);
    expect_none(&[(key, "9914")]);
    let fewer = ("limits.connections", "600");
    expect_warning("limit-unreachable", key, &[fewer, (key, "601")]);
    expect_none(&[fewer, (key, "600")]);
    // Not the number of pairs is at fault then.
    let with_pairs = [(key, "100000"), ("limits.pairs", "1000")];
    expect_warning("limit-unreachable", key, &with_pairs);

    let small = Machine {
        files: 1024,
        ..MACHINE
    };
    let warned = |more: &[(&str, &str)]| -> Vec<_> {
        let minimum = [
            ("listen.a.address", "127.0.0.1:0"),
            ("upstream.b.url", "ws://b"),
        ];
        let config = load(&flags(&[&minimum, more].concat()), &small).unwrap();
        let warnings = config.warnings.iter();
        warnings.map(|warning| warning.key.clone()).collect()
    };
    assert!(warned(&[]).is_empty(), "the default of 512 is for all");
    // Handshakes take no more than the places that are left beside pairs.
    assert!(warned(&[("limits.pairs", "426")]).is_empty());
}

#[test]
fn more_pairs_or_waiters_than_connections() {
    let few = ("limits.connections", "100");
    for key in [
        "limits.pairs",
        "upstream.b.limits.waiting",
        "upstream.b.limits.requests",
    ] {
        expect_warning("limit-unreachable", key, &[few, (key, "101")]);
        expect_none(&[few, (key, "100")]);
    }
    expect_none(&[few]);
}

#[test]
fn limits_of_sources_and_routes_above_that_of_all_pairs() {
    for key in ["limits.pairs_per_source", "route.b.limits.pairs"] {
        expect_warning("limit-unreachable", key, &[(key, "50000")]);
        expect_warning("limit-unreachable", key, &[(key, "9915")]);
        expect_none(&[(key, "9914")]);
        let pairs = ("limits.pairs", "1000");
        expect_warning("limit-unreachable", key, &[pairs, (key, "1001")]);
        expect_none(&[pairs, (key, "1000")]);
    }
}

#[test]
fn admin_listeners_beyond_loopback() {
    let key = "admin.address";
    for open in ["0.0.0.0:9901", "[::]:9901", "10.0.0.1:9901"] {
        expect_warning("admin-open", key, &[(key, open)]);
    }
    expect_warning("admin-public", key, &[(key, "203.0.113.1:9901")]);
    for closed in ["127.0.0.1:9902", "[::1]:9901", "off"] {
        expect_none(&[(key, closed)]);
    }
    // What is public by design is no matter for a warning.
    expect_none(&[("listen.a.address", "203.0.113.1:8080")]);
}

#[test]
fn a_token_guards_the_api_but_not_the_metrics() {
    let file = std::env::temp_dir().join(format!("lubdub-token-{}", std::process::id()));
    std::fs::write(&file, "s3cret").unwrap();
    let token = ("admin.token_file", file.to_str().unwrap());
    let warning = |more: &[(&str, &str)]| {
        let warnings = with(more).unwrap().warnings;
        let [warning] = &warnings[..] else {
            panic!("{warnings}")
        };
        (warning.slug, warning.reason.clone())
    };
    let mut found = Vec::new();
    for address in ["0.0.0.0:9901", "203.0.113.1:9901"] {
        let address = ("admin.address", address);
        found.push((warning(&[address]), warning(&[address, token])));
    }
    let none = warned(&[token]);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(none, [], "on loopback");
    for (((slug, without), (same, with)), expected) in
        found.into_iter().zip(["admin-open", "admin-public"])
    {
        assert_eq!((slug, same), (expected, expected));
        assert!(
            without.contains("there is no admin.token_file"),
            "{without}"
        );
        assert!(
            with.contains("/metrics is open") && with.contains("token: that guards only /api"),
            "{with}"
        );
    }
}

#[test]
fn a_trust_of_all_addresses() {
    for everybody in ["0.0.0.0/0", "::/0", "10.0.0.0/8, ::/0", "::ffff:0:0/96"] {
        expect_warning(
            "trust-everybody",
            "forwarded.trust",
            &[("forwarded.trust", everybody)],
        );
        expect_warning(
            "trust-everybody",
            "listen.a.trust",
            &[("listen.a.trust", everybody)],
        );
    }
    expect_none(&[("forwarded.trust", "0.0.0.0/1, unix")]);
}

#[test]
fn a_header_that_may_come_and_that_nobody_may_send() {
    let (header, trust) = ("listen.a.proxy_protocol", "listen.a.trust");
    expect_warning("proxy-header-untrusted", header, &[(header, "optional")]);
    let own = [
        (header, "optional"),
        ("forwarded.trust", "::1"),
        (trust, ""),
    ];
    expect_warning("proxy-header-untrusted", header, &own);
    expect_none(&[(header, "optional"), ("forwarded.trust", "::1")]);
    expect_none(&[(header, "optional"), (trust, "unix")]);
}

#[test]
fn a_pool_of_connections_that_are_for_one_client_each() {
    let (pool, header) = ("upstream.b.pool", "upstream.b.proxy_protocol");
    expect_warning("pool-unused", pool, &[(pool, "true"), (header, "v2")]);
    expect_none(&[(header, "v1")]);
    expect_none(&[(pool, "false"), (header, "v1")]);
    expect_none(&[(pool, "true"), (header, "off")]);
}
