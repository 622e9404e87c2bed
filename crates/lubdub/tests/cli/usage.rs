//! How it is called, and what its exit codes are.

use std::process::Stdio;

use super::program::{Lubdub, USAGE};

#[test]
fn the_version_is_short_or_long() {
    let short = Lubdub::new("version").run(&["-V"]).expect_ok();
    assert_eq!(short, format!("lubdub {}\n", env!("CARGO_PKG_VERSION")));
    let long = Lubdub::new("long_version").run(&["--version"]).expect_ok();
    let revision = long
        .strip_prefix(&format!("lubdub {} (", env!("CARGO_PKG_VERSION")))
        .and_then(|rest| rest.strip_suffix(")\n"));
    assert!(
        revision.is_some_and(|revision| !revision.is_empty()),
        "{long}"
    );
}

#[test]
fn wrong_usage_is_64() {
    for args in [
        &["--nonsense"][..],
        &["nonsense"],
        &["--set", "novalue"],
        &["config"],
    ] {
        let outcome = Lubdub::new("usage").run(args);
        assert_eq!(outcome.code, USAGE, "{args:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
    }
    assert!(
        Lubdub::new("help")
            .run(&["--help"])
            .expect_ok()
            .contains("--config")
    );
}

#[test]
fn nothing_to_run_is_a_wrong_configuration() {
    let mistakes = Lubdub::new("nothing").run(&[]).expect_mistakes();
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(mistakes[0].starts_with("listen: there is no listener"));
    assert!(mistakes[1].starts_with("upstream: there is no upstream"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut lubdub = Lubdub::new("broken_pipe");
    let mut child = lubdub
        .command
        .args(["config", "reference"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whether this comes before or after the writing, it must not matter.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
