//! Keys that say who may come in, and to which route.

use lubdub_proxy::settings::{HostPattern, OriginMissing, OriginPattern};

use super::warnings::{expect_none, expect_warning};
use super::*;

#[test]
fn by_default_everybody_comes_in() {
    let config = with(&[("route.x.path_prefix", "/x")]).unwrap();
    let [route] = &config.settings.routes[..] else {
        panic!("{:?}", config.settings.routes)
    };
    assert_eq!(route.access, Default::default());
    assert!(!route.strip_prefix);
    assert_eq!(route.upstream.host_field, None);
    assert_eq!(config.settings.limits.handshake_rate, None);
}

#[test]
fn who_may_come_in_is_said_for_each_route() {
    let config = with(&[
        ("limits.handshake_rate", "20/s"),
        ("upstream.b.host", "b.internal:8080"),
        ("route.x.host", "*.Example.com"),
        ("route.x.path_prefix", "/x"),
        ("route.x.strip_prefix", "true"),
        ("route.x.origins", "https://example.com, null"),
        ("route.x.origin_missing", "deny"),
        ("route.x.allow", "10.0.0.0/8, ::1"),
        ("route.x.deny", "::ffff:10.9.0.0/112"),
        ("route.y.path_prefix", "/y"),
    ])
    .unwrap();
    let [x, y] = &config.settings.routes[..] else {
        panic!("{:?}", config.settings.routes)
    };
    assert_eq!(x.host, Some(HostPattern::new("*.example.com")));
    assert!(x.strip_prefix && !y.strip_prefix);
    let origins = ["https://example.com", "null"].map(|it| OriginPattern::parse(it).unwrap());
    assert_eq!(x.access.origins, origins);
    assert_eq!(x.access.origin_missing, OriginMissing::Deny);
    let (allow, deny) = (&x.access.allow, &x.access.deny);
    assert!(allow.contains([10, 1, 1, 1].into()) && !allow.contains([11, 1, 1, 1].into()));
    assert!(allow.contains("::1".parse().unwrap()));
    assert!(deny.contains([10, 9, 1, 1].into()) && !deny.contains([10, 8, 1, 1].into()));
    assert_eq!(y.access, Default::default());
    assert_eq!(x.upstream.host_field.as_ref().unwrap(), "b.internal:8080");
    assert_eq!(config.settings.limits.handshake_rate, NonZeroU32::new(20));
}

#[test]
fn a_wildcard_differs_from_the_name_that_it_is_below_and_not_from_itself() {
    let both = [
        ("route.x.host", "*.example.com"),
        ("route.y.host", "example.com"),
    ];
    with(&both).unwrap();
    let twice = mistakes(&[
        ("route.x.host", "*.example.com"),
        ("route.y.host", "*.EXAMPLE.com"),
    ]);
    assert_eq!(
        twice,
        ["route.y (--set): is for the same host and path_prefix as route.x (--set)"]
    );
}

#[test]
fn a_prefix_that_is_none_cannot_be_stripped() {
    let (strip, prefix) = ("route.x.strip_prefix", "route.x.path_prefix");
    expect_warning("strip-nothing", strip, &[(strip, "true")]);
    expect_none(&[(strip, "true"), (prefix, "/x")]);
    expect_none(&[(strip, "false")]);
}

#[test]
fn pages_that_come_in_clear_text() {
    let origins = "route.x.origins";
    for plain in [
        "http://example.com",
        "http://*.example.com:8080",
        "http://10.0.0.1",
    ] {
        let both = format!("https://example.com, {plain}");
        expect_warning("origin-plain", origins, &[(origins, &both)]);
    }
    for fine in [
        "https://example.com",
        "null",
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://[::1]:3000",
        "http://app.localhost",
        "capacitor://localhost",
    ] {
        expect_none(&[(origins, fine)]);
    }
}

#[test]
fn networks_that_are_allowed_and_denied() {
    let (allow, deny) = ("route.x.allow", "route.x.deny");
    let all = (deny, "10.0.0.0/9, 10.128.0.0/9");
    expect_warning("allow-denied", allow, &[(allow, "10.0.0.0/8"), all]);
    expect_none(&[(allow, "10.0.0.0/7"), all]);
    expect_none(&[(allow, "fd00::/8"), all]);
}
