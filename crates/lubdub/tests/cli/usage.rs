//! How it is called, and what its exit codes are.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Stdio;

use lubdub_testkit::way::Port;

use super::program::{CONFIGURATION, Lubdub, MINIMAL_FILE, MINIMUM, USAGE};

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
        &["-c"],
        &["reload", "--upgrade-if-new", "--dry-run"],
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
fn the_short_flag_names_the_file_wherever_it_stands() {
    for args in [
        &["check", "-c", "given.toml"][..],
        &["-c", "given.toml", "check"],
        &["check", "-cgiven.toml"],
    ] {
        Lubdub::new("short_flag")
            .file("given.toml", MINIMAL_FILE)
            .run(args)
            .expect_ok();
    }
    // Of every command that reads it.
    for args in [
        &["run"][..],
        &["check"],
        &["config", "effective"],
        &["healthcheck"],
        &["drain"],
        &["reload"],
        &["upgrade"],
    ] {
        let args = [args, &["-c", "given.toml"]].concat();
        let outcome = Lubdub::new("short_flag")
            .file("given.toml", "[admin]\naddress = \"nowhere\"\n")
            .run(&args);
        assert_eq!(outcome.code, CONFIGURATION, "{args:?}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("given.toml"), "{}", outcome.stderr);
    }
}

#[test]
fn nobody_who_answers_is_1() {
    let port = Port::hold().expect("a free port");
    let address = port.address.to_string();
    for command in ["drain", "reload", "upgrade"] {
        let outcome = Lubdub::new("nobody").run(&[command, "--admin", &address]);
        assert_eq!(outcome.code, Some(1), "{command}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(&address), "{}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
    }
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

#[test]
fn a_failure_tells_its_cause_once() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let upstream = "ws://127.0.0.1:9";
    for [listen, admin] in [[address.as_str(), "off"], ["127.0.0.1:0", &address]] {
        let admin = format!("admin.address={admin}");
        let outcome = Lubdub::new("taken").run(&[
            "--listen",
            listen,
            "--upstream",
            upstream,
            "--set",
            &admin,
        ]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        let last = outcome.stderr.lines().last().unwrap_or_default();
        assert!(
            last.contains(&format!("cannot listen on {address}: ")),
            "{last}"
        );
        assert_eq!(last.matches("(os error ").count(), 1, "{last}");
        // It is in the log, as all that happens once there is one.
        assert!(
            last.contains("level=error msg=\"lubdub cannot go on\" error="),
            "{last}"
        );
    }

    let garbage = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let outcome = Lubdub::new("garbage").file("ca.pem", garbage).run(&[
        "probe",
        "wss://127.0.0.1:1",
        "--ca",
        "ca.pem",
    ]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    assert_eq!(
        outcome.stderr.matches("BadEncoding").count(),
        1,
        "{}",
        outcome.stderr
    );
}

#[test]
fn numbers_in_the_log_are_numbers() {
    let mut lubdub = Lubdub::new("log_of_numbers");
    let mut child = lubdub
        .command
        .args(MINIMUM)
        .args(["--set", "admin.address=off", "--set", "runtime.workers=1"])
        .args(["--log-format", "json"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let ready = lines
        .map(|line| line.expect("text"))
        .find(|line| line.contains("\"ready\""));
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    let ready: serde_json::Value =
        serde_json::from_str(&ready.expect("it gets ready")).expect("a line is an object");
    assert_eq!(ready["workers"], 1, "{ready}");
}
