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
        "keepalvie (LUBDUB__KEEPALVIE__CLIENT__INTERVAL): unknown key; did you mean keepalive?"
    );
}
