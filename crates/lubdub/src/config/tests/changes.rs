//! What a reload would say has changed.

use super::*;

/// Key, old value, new value, and from when on that holds.
fn changes(
    before: &[(&str, &str)],
    after: &[(&str, &str)],
) -> Vec<(String, String, String, Applies)> {
    let (before, after) = (with(before).unwrap(), with(after).unwrap());
    let told = |change: &Change<'_>| {
        let (before, after) = (change.written_before(), change.written_after());
        (change.key().to_owned(), before, after, change.applies)
    };
    before.changes_to(&after).iter().map(told).collect()
}

fn change(
    key: &str,
    before: &str,
    after: &str,
    applies: Applies,
) -> (String, String, String, Applies) {
    (key.to_owned(), before.to_owned(), after.to_owned(), applies)
}

#[test]
fn the_same_configuration_changes_nothing() {
    assert_eq!(changes(&[], &[]), []);
    // What was the default and is said now is the same.
    assert_eq!(changes(&[], &[("timeouts.answer", "30s")]), []);
}

#[test]
fn a_change_says_from_when_on_it_holds() {
    let all = [
        (
            "keepalive.client.interval",
            "5s",
            "\"30s\"",
            "\"5s\"",
            Applies::NextPing,
        ),
        (
            "timeouts.tls",
            "5s",
            "\"10s\"",
            "\"5s\"",
            Applies::NewConnections,
        ),
        (
            "timeouts.answer",
            "5s",
            "\"30s\"",
            "\"5s\"",
            Applies::NewPairs,
        ),
        ("limits.handshakes", "9", "512", "9", Applies::AtOnce),
        ("runtime.workers", "9", "\"auto\"", "9", Applies::Upgrade),
        (
            "admin.address",
            "127.0.0.1:1",
            "\"127.0.0.1:9901\"",
            "\"127.0.0.1:1\"",
            Applies::Upgrade,
        ),
    ];
    for (key, value, before, after, applies) in all {
        assert_eq!(
            changes(&[], &[(key, value)]),
            [change(key, before, after, applies)]
        );
    }
    let of_route = "route.r.keepalive.client.interval";
    let route = ("route.r.upstream", "b");
    assert_eq!(
        changes(&[route], &[route, (of_route, "5s")]),
        [change(of_route, "not set", "\"5s\"", Applies::NextPing)]
    );
}

#[test]
fn what_comes_and_goes_is_told_by_what_was_set_of_it() {
    let (url, route) = (("upstream.c.url", "ws://c"), ("route.r.upstream", "c"));
    let both = [url, route];
    let of_url = change("upstream.c.url", "not set", "\"ws://c\"", Applies::NewPairs);
    let of_route = change("route.r.upstream", "not set", "\"c\"", Applies::NewPairs);
    assert_eq!(changes(&[], &both), [of_route, of_url]);
}
