//! What `check` and `config` print.

use super::program::{Lubdub, MINIMAL_FILE, MINIMUM, check};

#[test]
fn two_flags_are_a_whole_configuration() {
    let summary = Lubdub::new("two_flags").run(&check(&MINIMUM)).expect_ok();
    for line in [
        "ok",
        "listen main: ws://127.0.0.1:0",
        "route main: */ to main",
        "upstream main: ws://127.0.0.1:9000",
    ] {
        assert!(
            summary.lines().any(|said| said == line),
            "{line}\n{summary}"
        );
    }
}

#[test]
fn two_flags_replace_the_listeners_upstreams_and_routes_below() {
    let file =
        format!("{MINIMAL_FILE}[route.chat]\nupstream = \"chat\"\n[log]\nlevel = \"debug\"\n");
    let effective = Lubdub::new("replaced")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__UPSTREAM__OTHER__URL", "nonsense")
        .run(
            &[
                &["config", "effective", "--config", "lubdub.toml"],
                &MINIMUM[..],
            ]
            .concat(),
        )
        .expect_ok();
    for gone in ["chat", "public", "other"] {
        assert!(!effective.contains(gone), "{gone}\n{effective}");
    }
    for line in [
        "address = \"127.0.0.1:0\"  # --listen",
        "url = \"ws://127.0.0.1:9000\"  # --upstream",
        "upstream = \"main\"  # default",
        "level = \"debug\"  # lubdub.toml",
    ] {
        assert!(effective.contains(line), "{line}\n{effective}");
    }
}

#[test]
fn the_effective_configuration_is_a_file_with_the_same_effect() {
    let first = Lubdub::new("effective")
        .variable("LUBDUB__LIMITS__PAIRS", "100")
        .variable("LUBDUB__FORWARDED__TRUST", "10.0.0.0/8")
        .run(&[&["config", "effective"], &MINIMUM[..]].concat())
        .expect_ok();
    let again = Lubdub::new("effective_again")
        .file("lubdub.toml", &first)
        .run(&["config", "effective", "--config", "lubdub.toml"])
        .expect_ok();
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| {
                line.split("  #")
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(values(&first), values(&again));
}

#[test]
fn the_defaults_are_a_file_that_changes_nothing() {
    let defaults = Lubdub::new("defaults")
        .run(&["config", "defaults"])
        .expect_ok();
    let with = Lubdub::new("defaults_file")
        .file("lubdub.toml", &defaults)
        .run(&[&["check", "--config", "lubdub.toml"], &MINIMUM[..]].concat())
        .expect_ok();
    let without = Lubdub::new("no_file").run(&check(&MINIMUM)).expect_ok();
    assert_eq!(with, without);
}

#[test]
fn the_example_runs_as_it_is() {
    let example = Lubdub::new("example")
        .run(&["config", "example"])
        .expect_ok();
    let summary = Lubdub::new("example_file")
        .file("lubdub.toml", &example)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_ok();
    assert!(summary.contains("route chat: */ to chat"), "{summary}");
}
