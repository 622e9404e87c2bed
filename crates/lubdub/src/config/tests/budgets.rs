//! How much there is of what, and what is kept.

use super::*;

#[test]
fn an_upstream_has_places_for_those_who_wait_for_it() {
    let upstream = |more: &[(&str, &str)]| {
        let settings = with(more).unwrap().settings;
        let upstream = &settings.routes[0].upstream;
        (upstream.waiting, upstream.requests)
    };
    assert_eq!(upstream(&[]), (1024, CARRIED / 2));
    let small = [("limits.pairs", "1000"), ("limits.connections", "3000")];
    assert_eq!(upstream(&small), (250, 1500));
    let least = [("limits.pairs", "1"), ("limits.connections", "1")];
    assert_eq!(upstream(&least), (1, 1));
    let set = [
        ("upstream.b.limits.waiting", "7"),
        ("upstream.b.limits.requests", "9"),
    ];
    assert_eq!(upstream(&set), (7, 9));
    assert_eq!(
        mistakes(&[("upstream.b.limits.waiting", "0")]),
        ["upstream.b.limits.waiting = 0 (--set): must be a whole number above zero, or \"auto\""]
    );
}

#[test]
fn there_are_no_more_connections_than_the_file_limit_carries() {
    let limits = |more: &[(&str, &str)]| with(more).unwrap().settings.limits;
    assert_eq!(limits(&[]).connections.get(), CARRIED);
    let few = limits(&[("limits.connections", "100")]);
    assert_eq!((few.connections.get(), few.pairs), (100, 100));
    assert_eq!(
        mistakes(&[("limits.connections", "20000")]),
        [
            "limits.connections = 20000 (--set): is more than the 9914 that the file limit of 20000 \
          carries beside 1 worker and 1 listener"
        ]
    );
}

#[test]
fn a_switch_is_true_or_false_wherever_it_is_set() {
    let variables = [
        ("LUBDUB__UPSTREAM__B__POOL", "false"),
        ("LUBDUB__UPSTREAM__B__POOL_AGE", "1h"),
        ("LUBDUB__FORWARDED__VIA", "true"),
    ];
    let sources = Sources {
        variables: variables
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        ..flags(&[
            ("listen.a.address", "127.0.0.1:0"),
            ("upstream.b.url", "ws://b"),
        ])
    };
    let settings = load(&sources, &MACHINE).unwrap().settings;
    let upstream = &settings.routes[0].upstream;
    assert_eq!(
        (upstream.pool, upstream.pool_age),
        (false, Duration::from_secs(3600))
    );
    assert!(settings.forwarded.via);

    let settings = with(&[]).unwrap().settings;
    let upstream = &settings.routes[0].upstream;
    assert_eq!(
        (upstream.pool, upstream.pool_age),
        (true, Duration::from_secs(60))
    );
    assert!(!settings.forwarded.via);
    assert_eq!(
        mistakes(&[("forwarded.via", "yes")]),
        ["forwarded.via = \"yes\" (--set): must be true or false"]
    );
}
