//! The configuration as a whole: from sources to settings.

mod access;
mod budgets;
mod callers;
mod changes;
mod declaration;
mod json_schema;
mod layers;
mod names;
mod rates;
mod values;
mod warnings;

use std::num::NonZeroU32;
use std::time::Duration;

use lubdub_proxy::settings::{
    CloseReason, FrontTimeouts, HostPattern, Logging, RequestDetail, Terms,
};
use lubdub_proxy::tls::Moment;

use super::*;

const MACHINE: Machine = Machine {
    files: 20_000,
    cores: std::num::NonZeroUsize::MIN,
    now: NOW,
};

/// In January 2027.
const NOW: Moment = Moment::from_timestamp(1_800_000_000);

/// Pairs that it carries beside a listener and an upstream with a name.
const CARRIED: usize = 9914;

/// Sources that set these keys on the command line.
fn flags(keys: &[(&str, &str)]) -> Sources {
    let flag = |&(key, value): &(&str, &str)| FlagValue {
        flag: "--set",
        key: key.to_owned(),
        value: value.to_owned(),
    };
    Sources {
        flags: keys.iter().map(flag).collect(),
        ..Sources::default()
    }
}

/// What the program makes of `sources`; the JSON Schema has to think the same.
fn load(sources: &Sources, machine: &Machine) -> Result<Config, Mistakes> {
    let loaded = super::load(sources, machine);
    json_schema::compare(sources, loaded.as_ref());
    loaded
}

/// The configuration of a listener, an upstream and `more`.
fn with(more: &[(&str, &str)]) -> Result<Config, Mistakes> {
    let minimum = [
        ("listen.a.address", "127.0.0.1:0"),
        ("upstream.b.url", "ws://b:9000"),
    ];
    load(&flags(&[&minimum, more].concat()), &MACHINE)
}

/// The mistakes in what [`with`] makes, a line each.
fn mistakes(more: &[(&str, &str)]) -> Vec<String> {
    let mistakes = with(more).expect_err("a mistake").to_string();
    mistakes
        .lines()
        .skip(1)
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn a_listener_and_an_upstream_are_a_configuration_with_the_proxys_defaults() {
    let config = with(&[]).unwrap();
    let settings = &config.settings;
    let [route] = &settings.routes[..] else {
        panic!("{:?}", settings.routes)
    };
    assert_eq!(
        (&*route.name, &*route.path_prefix, &route.host),
        ("b", "/", &None)
    );
    assert_eq!(route.upstream.authority(), "b:9000");
    assert_eq!(route.pairs, None);
    assert_eq!(*route.terms, Terms::default());
    assert_eq!(settings.timeouts, FrontTimeouts::default());
    assert_eq!(settings.limits.pairs, CARRIED);
    assert_eq!(settings.limits.pairs_per_source, None);
    assert_eq!(settings.limits.handshakes.get(), 512);
    assert_eq!(settings.limits.head_bytes, 64 * 1024);
    assert_eq!(settings.drain.delay, Duration::ZERO);
    assert_eq!(settings.drain.timeout, Duration::from_secs(30));
    assert_eq!(settings.workers, MACHINE.cores);
    assert_eq!(config.admin.unwrap().address.to_string(), "127.0.0.1:9901");
    assert_eq!(
        config.log,
        LogSettings {
            format: LogFormat::Text,
            level: Level::INFO
        }
    );
    assert_eq!(settings.logging, Logging::default());
}

#[test]
fn what_the_log_tells_of_requests_can_be_less_or_nothing() {
    let logging = |request: &str, refusals: &str| {
        let settings = [("log.request", request), ("log.refusals", refusals)];
        with(&settings).unwrap().settings.logging
    };
    let host = Logging {
        request: RequestDetail::Host,
        refusals: NonZeroU32::new(1),
    };
    assert_eq!(logging("host", "1/s"), host);
    let off = Logging {
        request: RequestDetail::Off,
        refusals: None,
    };
    assert_eq!(logging("off", "off"), off);
    for key in ["log.request", "log.refusals"] {
        with(&[(key, "10")]).unwrap_err();
    }
}

#[test]
fn a_route_goes_before_what_holds_for_all() {
    let config = with(&[
        ("keepalive.client.interval", "7s"),
        ("keepalive.client.timeout", "8s"),
        ("close.to_client.drain", "4001"),
        ("timeouts.data_idle", "1h"),
        ("limits.frame_bytes", "1MiB"),
        ("route.x.keepalive.client.interval", "9ms"),
        ("close.to_client.reason", "off"),
        ("route.x.close.to_upstream.drain", "4002"),
        ("route.x.close.to_client.reason", "cause"),
        ("route.x.close.to_upstream.reason", "off"),
        ("route.x.timeouts.lifetime", "1d"),
        ("route.x.limits.frame_bytes", "off"),
        ("route.x.limits.pairs", "5"),
        ("route.y.path_prefix", "/y/"),
        ("route.y.host", "Y.example"),
    ])
    .unwrap();
    let [x, y] = &config.settings.routes[..] else {
        panic!("{:?}", config.settings.routes)
    };
    assert_eq!(
        x.terms.keepalive.client.interval(),
        Some(Duration::from_millis(9))
    );
    assert_eq!(x.terms.keepalive.client.timeout(), Duration::from_secs(8));
    assert_eq!(x.terms.close_codes.to_client.drain.get(), 4001);
    assert_eq!(x.terms.close_codes.to_upstream.drain.get(), 4002);
    let reasons = (CloseReason::Cause, CloseReason::Off);
    let of = |terms: &Terms| (terms.close_reasons.client, terms.close_reasons.upstream);
    assert_eq!(of(&x.terms), reasons);
    assert_eq!(of(&y.terms), (reasons.1, reasons.0));
    assert_eq!(x.terms.data_idle, Some(Duration::from_secs(3600)));
    assert_eq!(x.terms.lifetime, Some(Duration::from_secs(86400)));
    assert_eq!(x.terms.frame_bytes, None);
    assert_eq!(x.pairs, Some(5));
    assert_eq!(
        y.terms.keepalive.client.interval(),
        Some(Duration::from_secs(7))
    );
    assert_eq!(y.terms.frame_bytes, Some(1 << 20));
    assert_eq!(
        (&y.host, &*y.path_prefix),
        (&Some(HostPattern::new("y.example")), "/y")
    );
    assert_eq!(y.pairs, None);
}

#[test]
fn the_boundary_wait_of_a_route_is_that_of_its_sides_unless_they_say_so_themselves() {
    let config = with(&[
        ("keepalive.upstream.boundary_wait", "1s"),
        ("route.x.boundary_wait", "2s"),
        ("route.x.keepalive.client.boundary_wait", "off"),
    ])
    .unwrap();
    let wait = config.settings.routes[0].terms.boundary_wait;
    assert_eq!(
        (wait.client, wait.upstream),
        (None, Some(Duration::from_secs(2)))
    );
}

#[test]
fn a_value_is_told_of_in_one_line_that_is_no_book() {
    let line = |value: &str| mistakes(&[("keepalive.client.interval", value)]).remove(0);
    let told = line("5s\n");
    assert!(told.contains(r#" = "5s\n" ("#), "{told}");
    let told = line(&"x".repeat(100_000));
    assert!(
        told.len() < 400 && told.contains("x... (100002 bytes)"),
        "{told}"
    );
}

#[test]
fn every_mistake_is_found_at_once() {
    let mistakes = mistakes(&[
        ("keepalive.client.interval", "5"),
        ("timeouts.conect", "5s"),
        ("close.to_client.drain", "1005"),
        ("route.x.upstream", "c"),
        ("limits.pairs", "20000"),
        ("listen.bad-.address", "127.0.0.1:1"),
        ("admin", "off"),
        ("log.level.x", "info"),
        ("keepalive.client.jitter", "2"),
    ]);
    let expected = [
        "keepalive.client.interval = \"5\" (--set): needs a unit (ms, s, m, h or d), as in \"5s\", or \"off\"",
        "timeouts.conect = \"5s\" (--set): unknown key; did you mean timeouts.connect?",
        "close.to_client.drain = 1005 (--set): close code 1005 is only reported",
        "route.x.upstream = \"c\" (--set): there is no such upstream; did you mean \"b\"?",
        "limits.pairs = 20000 (--set): is more than the 9914 that the file limit of 20000 carries beside 1 worker \
         and 1 listener",
        "listen.bad- (--set): a name is at most 63",
        "admin = \"off\" (--set): is a table: set what is in it, such as admin.address",
        "log.level (--set): takes a value, not a table",
        "keepalive.client.jitter = 2 (--set): must be a number from 0 to 1",
    ];
    for line in expected {
        assert!(
            mistakes.iter().any(|mistake| mistake.starts_with(line)),
            "{line}\n{mistakes:#?}"
        );
    }
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
}

#[test]
fn routes_must_differ_and_name_their_upstream() {
    let same = mistakes(&[
        ("route.x.path_prefix", "/a"),
        ("route.y.path_prefix", "/a/"),
        ("route.z.path_prefix", "/a"),
        ("route.z.host", "z"),
    ]);
    assert_eq!(
        same,
        ["route.y (--set): is for the same host and path_prefix as route.x (--set)"]
    );

    let two = [("upstream.c.url", "ws://c")];
    let unsaid = mistakes(&[&two[..], &[("route.x.path_prefix", "/")]].concat());
    assert_eq!(unsaid, ["route.x.upstream: must be set: there is b, c"]);
    assert_eq!(
        mistakes(&two),
        ["route: there is no route: with several upstreams they must be set"]
    );
}

#[test]
fn no_route_can_have_the_name_that_metrics_give_to_none() {
    let wrong = "this name stands in metrics for requests that reach no route; choose another";
    assert_eq!(
        mistakes(&[("route.none.path_prefix", "/x")]),
        [format!("route.none (--set): {wrong}")]
    );
    let sources = flags(&[
        ("listen.a.address", "127.0.0.1:0"),
        ("upstream.none.url", "ws://b"),
    ]);
    let mistakes = load(&sources, &MACHINE).unwrap_err().to_string();
    assert!(
        mistakes.contains("  upstream.none (--set): its route would be called \"none\" as well"),
        "{mistakes}"
    );
    let advice = [
        ("route.x.upstream", "none"),
        ("upstream.none.url", "ws://c"),
    ];
    assert!(with(&advice).is_ok());
    assert_eq!(
        self::mistakes(&[("route.None.path_prefix", "/x")]),
        [format!("route.None (--set): {wrong}")]
    );
    assert!(with(&[("route.none_at_all.path_prefix", "/x")]).is_ok());
}

#[test]
fn a_bound_of_frames_spares_control_frames() {
    let key = "limits.frame_bytes";
    let mistakes = mistakes(&[(key, "124"), ("route.b.limits.frame_bytes", "64B")]);
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(
        mistakes[0]
            .starts_with("limits.frame_bytes = 124 (--set): must be at least 125, what control"),
        "{mistakes:?}"
    );
    assert!(with(&[(key, "125")]).is_ok());
}

#[test]
fn the_admin_address_is_known_whatever_else_is_wrong() {
    let address = |keys: &[(&str, &str)]| admin_address(&flags(keys));
    let found = address(&[
        ("admin.address", "10.0.0.1:1"),
        ("log.level", "loud"),
        ("x", "y"),
    ]);
    assert_eq!(found, Ok("10.0.0.1:1".parse().ok()));
    assert_eq!(address(&[]), Ok("127.0.0.1:9901".parse().ok()));
    assert_eq!(address(&[("admin.address", "off")]), Ok(None));
    let mistakes = address(&[("admin.address", "here")])
        .unwrap_err()
        .to_string();
    assert!(
        mistakes.contains("admin.address = \"here\" (--set)"),
        "{mistakes}"
    );
}

#[test]
fn nothing_at_all_is_not_enough() {
    let mistakes = load(&Sources::default(), &MACHINE).unwrap_err().to_string();
    assert!(
        mistakes.contains("listen: there is no listener"),
        "{mistakes}"
    );
    assert!(
        mistakes.contains("upstream: there is no upstream"),
        "{mistakes}"
    );
}

#[test]
fn addresses_are_used_once() {
    let twice = mistakes(&[("listen.z.address", "127.0.0.1:9901")]);
    assert_eq!(
        twice,
        ["admin.address = \"127.0.0.1:9901\" (default): is also listen.z.address (--set)"]
    );
    assert!(with(&[("listen.z.address", "127.0.0.1:0")]).is_ok());
}

#[test]
fn a_secret_in_a_url_is_not_repeated() {
    let mistakes = mistakes(&[("upstream.b.url", "ws://user:hunter2@b")]);
    assert_eq!(
        mistakes,
        ["upstream.b.url = \"ws://***@b\" (--set): must not name a user or a password"]
    );
}

#[test]
fn a_file_limit_that_carries_nothing_is_a_mistake() {
    let machine = Machine {
        files: 90,
        ..MACHINE
    };
    let minimum = [
        ("listen.a.address", "127.0.0.1:0"),
        ("upstream.b.url", "ws://b"),
    ];
    let mistakes = load(&flags(&minimum), &machine).unwrap_err().to_string();
    assert!(
        mistakes.contains("limits.pairs = \"auto\" (default)"),
        "{mistakes}"
    );
}
