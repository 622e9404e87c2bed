//! Every mistake is named with its key, its value and where it was set.

use super::program::{Lubdub, MINIMAL_FILE, MINIMUM, check};

#[test]
fn a_mistake_names_key_value_and_origin_whatever_the_origin() {
    let wrong = "needs a unit (ms, s, m, h or d), as in \"5s\", or \"off\"";

    let file = format!("{MINIMAL_FILE}[keepalive.client]\ninterval = \"5\"\n");
    let from_file = Lubdub::new("mistake_in_file")
        .file("lubdub.toml", &file)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        from_file,
        [format!(
            "keepalive.client.interval = \"5\" (lubdub.toml): {wrong}"
        )]
    );

    let from_variable = Lubdub::new("mistake_in_variable")
        .variable("LUBDUB__KEEPALIVE__CLIENT__INTERVAL", "5")
        .run(&check(&MINIMUM))
        .expect_mistakes();
    assert_eq!(
        from_variable,
        [format!(
            "keepalive.client.interval = \"5\" (LUBDUB__KEEPALIVE__CLIENT__INTERVAL): {wrong}"
        )]
    );

    let from_flag = Lubdub::new("mistake_in_set")
        .run(&check(
            &[&MINIMUM[..], &["--set", "keepalive.client.interval=5"]].concat(),
        ))
        .expect_mistakes();
    assert_eq!(
        from_flag,
        [format!(
            "keepalive.client.interval = \"5\" (--set): {wrong}"
        )]
    );

    let from_listen = Lubdub::new("mistake_in_listen")
        .run(&["check", "--listen", "localhost", "--upstream", "ws://h"])
        .expect_mistakes();
    let [mistake] = &from_listen[..] else {
        panic!("{from_listen:?}")
    };
    assert!(mistake.starts_with("listen.main.address = \"localhost\" (--listen): must be"));
}

#[test]
fn a_number_without_a_unit_is_told_about_units() {
    let file = format!("{MINIMAL_FILE}[timeouts]\nconnect = 5\n");
    let mistakes = Lubdub::new("number_for_duration")
        .file("lubdub.toml", &file)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        mistakes,
        ["timeouts.connect = 5 (lubdub.toml): needs a unit (ms, s, m, h or d), as in \"5s\""]
    );
}

#[test]
fn mistakes_of_all_layers_are_reported_at_once() {
    let file = format!("{MINIMAL_FILE}[timeouts]\nconect = \"5s\"\nclose = \"0s\"\n");
    let outcome = Lubdub::new("several_mistakes")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__LOG__LEVEL", "loud")
        .variable("LUBDUB__LIMITS__HANDSHAKES", "0")
        .run(&[
            "check",
            "--config",
            "lubdub.toml",
            "--set",
            "close.to_client.drain=1006",
        ]);
    assert!(
        outcome
            .stderr
            .starts_with("lubdub: the configuration has 5 mistakes\n")
    );
    let mut mistakes = outcome.expect_mistakes();
    mistakes.sort();
    assert_eq!(
        mistakes,
        [
            "close.to_client.drain = 1006 (--set): close code 1006 is only reported to \
             applications and must never be sent",
            "limits.handshakes = 0 (LUBDUB__LIMITS__HANDSHAKES): must be a whole number above zero",
            "log.level = \"loud\" (LUBDUB__LOG__LEVEL): must be one of \"error\", \"warn\", \
             \"info\", \"debug\", \"trace\"",
            "timeouts.close = \"0s\" (lubdub.toml): must be longer than zero",
            "timeouts.conect = \"5s\" (lubdub.toml): unknown key; did you mean timeouts.connect?",
        ]
    );
}

#[test]
fn an_unknown_variable_is_refused_with_a_suggestion() {
    let mistakes = Lubdub::new("unknown_variable")
        .variable("LUBDUB__KEEPALVIE__CLIENT__INTERVAL", "5s")
        .variable("LUBDUB__", "x")
        .run(&check(&MINIMUM))
        .expect_mistakes();
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(
        mistakes[0].contains("(LUBDUB__): unknown key"),
        "{mistakes:?}"
    );
    assert_eq!(
        mistakes[1],
        "keepalvie.client.interval = \"5s\" (LUBDUB__KEEPALVIE__CLIENT__INTERVAL): unknown key; did \
         you mean keepalive.client.interval?"
    );
}

#[test]
fn every_value_in_an_unknown_table_is_named_but_not_those_that_may_be_secrets() {
    let file = format!(
        "{MINIMAL_FILE}[keepalvie.client]\ninterval = \"5s\"\nmood = 1\n\
         [colour.red]\n\
         [upstrem.b]\nurl = \"ws://me:hunter2@b\"\n\
         [admin]\ntoken = \"hunter2\"\n"
    );
    let outcome = Lubdub::new("unknown_tables")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__UPSTREAM__C", "ws://me:hunter2@c")
        .variable("LUBDUB__UPSTREAM__D", "['ws://me:hunter2@d']")
        .run(&["check", "--config", "lubdub.toml"]);
    assert!(!outcome.stderr.contains("hunter2"), "{}", outcome.stderr);
    let mistakes = outcome.expect_mistakes();
    let expected = [
        "admin.token (lubdub.toml): unknown key; admin has address, mode, group, token_file, hosts",
        "colour (lubdub.toml): unknown key; there are listen, upstream, route",
        "keepalvie.client.interval = \"5s\" (lubdub.toml): unknown key; did you mean \
         keepalive.client.interval?",
        "keepalvie.client.mood = 1 (lubdub.toml): unknown key; did you mean keepalive?",
        "upstrem.b.url = \"ws://***@b\" (lubdub.toml): unknown key; did you mean upstream.b.url?",
        "upstream.c = \"ws://***@c\" (LUBDUB__UPSTREAM__C): is a table: set what is in it, such as \
         upstream.c.url",
        "upstream.d = [\"ws://***@d\"] (LUBDUB__UPSTREAM__D): is a table: set what is in it, such as \
         upstream.d.url",
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (mistake, expected) in mistakes.iter().zip(expected) {
        assert!(mistake.starts_with(expected), "{mistake}");
    }
}

#[test]
fn a_value_in_place_of_a_table_is_found_below_a_stronger_layer_that_has_the_table() {
    let file = format!("keepalive = 5\nlog = \"x\"\n{MINIMAL_FILE}");
    let below_variables = Lubdub::new("value_for_table_in_file")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__KEEPALIVE__CLIENT__INTERVAL", "5s")
        .variable("LUBDUB__LOG__LEVEL", "info")
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        below_variables,
        [
            "keepalive = 5 (lubdub.toml): is a table: set what is in it, such as keepalive.client",
            "log = \"x\" (lubdub.toml): is a table: set what is in it, such as log.format",
        ]
    );

    let among_variables = Lubdub::new("value_for_table_in_variable")
        .variable("LUBDUB__KEEPALIVE__CLIENT", "5s")
        .variable("LUBDUB__KEEPALIVE__CLIENT__INTERVAL", "5s")
        .run(&check(&MINIMUM))
        .expect_mistakes();
    assert_eq!(
        among_variables,
        [
            "keepalive.client = \"5s\" (LUBDUB__KEEPALIVE__CLIENT): is a table: set what is in it, \
             such as keepalive.client.interval"
        ]
    );

    // And the other way about: a table in place of a value, which a stronger layer sets.
    let file = format!("{MINIMAL_FILE}[log.level]\nx = 1\n");
    let table_for_value = Lubdub::new("table_for_value")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__LOG__LEVEL", "info")
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        table_for_value,
        ["log.level (lubdub.toml): takes a value, not a table"]
    );
}

#[test]
fn what_does_not_go_together_is_named_with_where_it_was_set() {
    let file = format!(
        "{MINIMAL_FILE}[route.a]\npath_prefix = \"/a\"\n[route.b]\nhost = \"b\"\n[route.c]\n[route.d]\n"
    );
    let mistakes = Lubdub::new("places")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__ROUTE__B__HOST", "z")
        .variable("LUBDUB__ROUTE__Z__HOST", "z")
        .run(&[
            "check",
            "--config",
            "lubdub.toml",
            "--set",
            "route.y.path_prefix=/a",
            "--set",
            "admin.address=127.0.0.1:1",
            "--set",
            "listen.public.address=127.0.0.1:1",
        ])
        .expect_mistakes();
    assert_eq!(
        mistakes,
        [
            "route.d (lubdub.toml): is for the same host and path_prefix as route.c (lubdub.toml)",
            "route.y (--set): is for the same host and path_prefix as route.a (lubdub.toml)",
            "route.z (LUBDUB__ROUTE__Z__HOST): is for the same host and path_prefix as route.b \
             (lubdub.toml)",
            "admin.address = \"127.0.0.1:1\" (--set): is also listen.public.address (--set)",
        ]
    );
}

/// Each was told what is true, and not what to do.
#[test]
fn what_has_the_wrong_shape_is_told_the_right_one() {
    for (file, expected) in [
        (
            "[upstream]\nurl = \"ws://b\"\n",
            "upstream.url = \"ws://b\" (lubdub.toml): the table lacks a name: write [upstream.chat] \
             instead of [upstream]",
        ),
        (
            "listen = \"0.0.0.0:80\"\n",
            "listen = \"0.0.0.0:80\" (lubdub.toml): is a table of tables with names: write \
             [listen.public], and below it address = \"0.0.0.0:8080\"",
        ),
        (
            "[[listen]]\naddress = \"0.0.0.0:80\"\n",
            "listen = [\"{..}\"] (lubdub.toml): here tables have names: write [listen.public] instead \
             of [[listen]]",
        ),
        (
            "[[listen.a.tls.certificate]]\ncert = \"a\"\n",
            "listen.a.tls.certificate = [\"{..}\"] (lubdub.toml): here tables have names: write \
             [listen.a.tls.certificate.main] instead of [[listen.a.tls.certificate]]",
        ),
        (
            "[[keepalive]]\nx = 1\n",
            "keepalive = [\"{..}\"] (lubdub.toml): is one table: write [keepalive] instead of \
             [[keepalive]]",
        ),
        (
            "[upstream]\nlimits.waiting = 5\n",
            "upstream.limits.waiting = 5 (lubdub.toml): unknown key; did you mean \
             upstream.chat.limits.waiting?",
        ),
        (
            "[keepalive.client]\ninterval = 0\n",
            "keepalive.client.interval = 0 (lubdub.toml): must be longer than zero; \"off\" switches \
             it off",
        ),
        (
            "[route.x]\nhost = \"*\"\n",
            "route.x.host = \"*\" (lubdub.toml): is every host: leave it out, for what is not set is for \
             every host",
        ),
        (
            "[route.x]\nhost = \"chat.*\"\n",
            "route.x.host = \"chat.*\" (lubdub.toml): must be one whole host, or \"*.\" and the name that \
             hosts are below, such as \"*.example.com\"",
        ),
        (
            "[route.x]\norigins = [\"https://example.com/chat\"]\n",
            "route.x.origins = [\"https://example.com/chat\"] (lubdub.toml): \"https://example.com/chat\" \
             has something behind the host: write \"https://example.com\"",
        ),
        (
            "[route.x]\norigins = \"*\"\n",
            "route.x.origins = \"*\" (lubdub.toml): \"*\" is every page: leave it out, or list the pages \
             that may, such as [\"https://example.com\"]",
        ),
        (
            "[route.x]\norigin_missing = \"no\"\n",
            "route.x.origin_missing = \"no\" (lubdub.toml): must be one of \"allow\", \"deny\"",
        ),
        (
            "[route.x]\nallow = [\"10.0.0.0/33\"]\n",
            "route.x.allow = [\"10.0.0.0/33\"] (lubdub.toml): must be a list of networks, such as \
             [\"10.0.0.0/8\", \"fd00::/8\"]",
        ),
        (
            "[limits]\nhandshake_rate = \"20/m\"\n",
            "limits.handshake_rate = \"20/m\" (lubdub.toml): must be a whole number above zero a second, \
             such as \"10/s\", or \"off\"",
        ),
        (
            "[upstream.chat]\nhost = \"http://chat.internal\"\n",
            "upstream.chat.host = \"http://chat.internal\" (lubdub.toml): must be a host, perhaps with a \
             port, such as \"chat.internal:8080\", or \"keep\"",
        ),
    ] {
        let mistakes = Lubdub::new("shapes")
            .file("lubdub.toml", file)
            .run(&["check", "--config", "lubdub.toml"])
            .expect_mistakes();
        assert!(
            mistakes.iter().any(|mistake| mistake == expected),
            "{expected}\n{mistakes:#?}"
        );
    }
}
