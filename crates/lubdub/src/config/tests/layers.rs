//! Variables and flags: how they are read, and what they go before.

use super::*;

#[test]
fn variables_are_text_until_the_key_says_how_to_read_it() {
    let variables = [
        ("LUBDUB__LISTEN__A__ADDRESS", "[::1]:0"),
        ("LUBDUB__UPSTREAM__B__URL", "'ws://b'"),
        ("LUBDUB__KEEPALIVE__CLIENT__JITTER", "0"),
        ("LUBDUB__LIMITS__PAIRS", "100"),
        ("LUBDUB__CLOSE__TO_CLIENT__DRAIN", "1013"),
        ("LUBDUB__FORWARDED__TRUST", "[\"10.0.0.0/8\"]"),
        ("LUBDUB__ADMIN__HOSTS", "a.example, b.example"),
        ("LUBDUB__ROUTE__X__HOST", "123"),
        // Kubernetes makes these for a service that is called lubdub.
        ("LUBDUB_PORT", "tcp://10.0.0.1:8080"),
        ("LUBDUB_SERVICE_HOST", "10.0.0.1"),
    ];
    let variables = variables
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec();
    let config = load(
        &Sources {
            variables,
            ..Sources::default()
        },
        &MACHINE,
    )
    .unwrap();
    let settings = &config.settings;
    assert_eq!(settings.listeners[0].address.to_string(), "[::1]:0");
    assert_eq!(settings.limits.pairs, 100);
    let trust = &settings.forwarded.trust;
    assert_eq!(trust.networks, ["10.0.0.0/8".parse().unwrap()]);
    let terms = &settings.routes[0].terms;
    assert_eq!(
        terms.keepalive.client.jitter(),
        lubdub_keepalive::Jitter::NONE
    );
    assert_eq!(terms.close_codes.to_client.drain.get(), 1013);
    assert_eq!(settings.routes[0].host, Some(HostPattern::new("123")));
    assert_eq!(config.admin.unwrap().hosts, ["a.example", "b.example"]);
}

/// They were ignored without a word, or, some of them, refused.
#[test]
fn variables_that_nobody_reads_are_warned_of_unless_they_are_others() {
    let warnings = |name: &str| {
        let sources = Sources {
            variables: vec![(name.into(), "s3cret".into())],
            ..flags(&[
                ("listen.a.address", "127.0.0.1:0"),
                ("upstream.b.url", "ws://b"),
            ])
        };
        load(&sources, &MACHINE).unwrap().warnings
    };
    for (name, meant) in [
        ("LUBDUB_LOG__LEVEL", "LUBDUB__LOG__LEVEL"),
        ("LUBDUB_LOG_LEVEL", "LUBDUB__LOG__LEVEL"),
        ("LUBDUB_LISTEN", "LUBDUB__LISTEN__NAME__ADDRESS"),
        ("LUBDUB_ADMIN_TOKEN", "LUBDUB__ADMIN__ADDRESS"),
        ("lubdub__log__level", "LUBDUB__LOG__LEVEL"),
        ("Lubdub__Log__Level", "LUBDUB__LOG__LEVEL"),
    ] {
        assert_eq!(
            warnings(name).to_string(),
            format!(
                "the configuration has a warning\n  {name}: nobody reads this variable; did you \
                 mean {meant}?\n    see: lubdub explain variable-unread"
            )
        );
    }
    for name in [
        "LUBDUB_CONFIG_DIR",
        "LUBDUB_PORT",
        "LUBDUB_PORT_8080_TCP_ADDR",
        "LUBDUB_SERVICE_HOST",
        "LUBDUB_ADMIN_PORT",
        "LUBDUB_ADMIN_SERVICE_PORT_METRICS",
        "LUBDUB_LISTENERS",
        "lubdub_log_level",
        "LUBDUBX__LOG__LEVEL",
    ] {
        assert_eq!(warnings(name).len(), 0, "{name}");
    }
}

#[test]
fn flags_of_the_whole_replace_what_is_below_them_only() {
    let variables = [
        ("LUBDUB__LISTEN__A__ADDRESS", "nonsense"),
        ("LUBDUB__UPSTREAM__B__URL", "ws://b"),
        ("LUBDUB__LOG__LEVEL", "debug"),
    ];
    let sources = Sources {
        variables: variables
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        replaced: vec![("listen", "--listen")],
        ..flags(&[("listen.main.address", "127.0.0.1:1")])
    };
    let config = load(&sources, &MACHINE).unwrap();
    assert_eq!(config.settings.listeners.len(), 1);
    assert_eq!(
        config.replacements(),
        [(
            "--listen",
            "listen.a (LUBDUB__LISTEN__A__ADDRESS)".to_owned()
        )]
    );
    assert_eq!(&*config.settings.routes[0].name, "b");
    assert_eq!(config.log.level, Level::DEBUG);
}
