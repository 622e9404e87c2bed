//! `lubdub check` as a lint.

use super::program::{CONFIGURATION, Lubdub, MINIMAL_FILE, MINIMUM, check};

const FILE: &str = "[keepalive.client]\ninterval = \"60s\"\n[timeouts]\nwrite_stall = \"off\"\n";

const WARNINGS: &str = "\
lubdub: the configuration has 2 warnings
  keepalive.client.interval = \"60s\" (lubdub.toml): nginx and AWS ALB forget a connection that is \
idle for 60s, and a ping that is a little late comes too late
    see docs/topics/checks.md#interval-long
  timeouts.write_stall = \"off\" (lubdub.toml): a peer that stops reading but answers at times \
keeps its pair, and what is buffered for it, for ever
    see docs/topics/checks.md#write-stall-off
";

fn doubtful(test: &str) -> Lubdub {
    Lubdub::new(test).file("lubdub.toml", &format!("{MINIMAL_FILE}{FILE}"))
}

#[test]
fn warnings_are_told_beside_the_summary() {
    let outcome = doubtful("warnings").run(&["check", "--config", "lubdub.toml"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, WARNINGS);
    assert!(outcome.stdout.starts_with("ok\n"), "{}", outcome.stdout);
}

#[test]
fn denied_warnings_are_mistakes() {
    let args = ["check", "--config", "lubdub.toml", "--deny-warnings"];
    let outcome = doubtful("denied_warnings").run(&args);
    assert_eq!(outcome.code, CONFIGURATION, "{}", outcome.stderr);
    assert_eq!(outcome.stderr, WARNINGS);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn the_defaults_and_the_example_have_nothing_to_deny() {
    let defaults = Lubdub::new("deny_defaults");
    defaults
        .run(&[&check(&MINIMUM)[..], &["--deny-warnings"]].concat())
        .expect_ok();

    let example = Lubdub::new("deny_example")
        .run(&["config", "example"])
        .expect_ok();
    Lubdub::new("deny_example_file")
        .file("lubdub.toml", &example)
        .run(&["check", "--config", "lubdub.toml", "--deny-warnings"])
        .expect_ok();
}

#[test]
fn a_mistake_is_told_before_any_warning() {
    let outcome = doubtful("mistake_and_warning").run(&[
        "check",
        "--config",
        "lubdub.toml",
        "--set",
        "route.none.path_prefix=/x",
    ]);
    let mistakes = outcome.expect_mistakes();
    assert_eq!(
        mistakes,
        [
            "route.none (--set): this name stands in metrics for requests that reach no route; \
             choose another"
        ]
    );
}
