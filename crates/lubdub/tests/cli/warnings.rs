//! `lubdub check` as a lint.

use serde_json::Value;

use super::program::{CONFIGURATION, Lubdub, MINIMAL_FILE, MINIMUM, Outcome, check};

const FILE: &str = "[keepalive.client]\ninterval = \"60s\"\n[timeouts]\nwrite_stall = \"off\"\n";

const WARNINGS: &str = "\
lubdub: the configuration has 2 warnings
  keepalive.client.interval = \"60s\" (lubdub.toml): nginx and AWS ALB forget a connection that is \
idle for 60s, and a ping that is a little late comes too late
    see: lubdub explain interval-long
  timeouts.write_stall = \"off\" (lubdub.toml): a peer that stops reading but answers at times \
keeps its pair, and what is buffered for it, for ever
    see: lubdub explain write-stall-off
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

/// `run` started without a word about what `check` warns of.
#[test]
fn run_logs_what_check_warns_of() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let listen = format!("listen.public.address={address}");
    let args = ["--config", "lubdub.toml", "--set", &listen];
    let args = [&args[..], &["--log-format", "json"]].concat();
    // It ends at once, for somebody else is there.
    let outcome = doubtful("run_warnings").run(&args);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let logged = logged(&outcome, |line| line["level"] == "warn");
    let told: Vec<_> = WARNINGS.lines().skip(1).map(str::trim).collect();
    assert_eq!(logged.len(), 2, "{}", outcome.stderr);
    for (line, told) in logged.iter().zip(told.chunks(2)) {
        let text = |field: &str| line[field].as_str().expect("text");
        let (setting, reason) = (text("setting"), text("reason"));
        assert_eq!(told[0], format!("{setting}: {reason}"));
        assert_eq!(told[1], format!("see: {}", text("see")));
        assert!(told[1].ends_with(text("warning")), "{line}");
    }
}

#[test]
fn run_logs_what_its_flags_replace() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let args = ["--config", "lubdub.toml", "--listen", &address];
    let args = [&args[..], &["--log-format", "json"]].concat();
    // It ends at once, for somebody else is there.
    let outcome = doubtful("run_replaces").run(&args);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let logged = logged(&outcome, |line| {
        line["msg"] == "a flag replaces what is set elsewhere"
    });
    let [line] = &logged[..] else {
        panic!("{}", outcome.stderr)
    };
    assert_eq!(line["flag"], "--listen");
    assert_eq!(line["replaced"], "listen.public (lubdub.toml)");
}

/// Those of the lines that were logged.
fn logged(outcome: &Outcome, which: impl Fn(&Value) -> bool) -> Vec<Value> {
    let lines = outcome.stderr.lines();
    let lines = lines.filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(which).collect()
}

#[test]
fn a_warning_is_explained_by_its_name() {
    let text = Lubdub::new("explain")
        .run(&["explain", "interval-off"])
        .expect_ok();
    assert!(text.starts_with("interval-off\n\n`keepalive.*.interval` is `\"off\"`"));
    assert!(text.contains("(but see enforce-never (lubdub explain enforce-never))"));
    assert!(!text.contains("]("), "{text}");
    let all = Lubdub::new("explain").run(&["explain"]).expect_ok();
    assert!(
        all.lines().all(|line| line.contains(": ")) && all.contains("\ninterval-off: "),
        "{all}"
    );
    let unknown = Lubdub::new("explain").run(&["explain", "interval-of"]);
    assert_eq!(unknown.code, super::program::USAGE);
    assert!(
        unknown.stderr.contains("interval-off"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn flags_of_the_whole_say_what_they_replace() {
    let file = format!("{MINIMAL_FILE}[route.chat]\nupstream = \"chat\"\n");
    let summary = Lubdub::new("replaces")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__UPSTREAM__OTHER__URL", "ws://other")
        .run(&[&["check", "--config", "lubdub.toml"], &MINIMUM[..]].concat())
        .expect_ok();
    for line in [
        "--listen replaces listen.public (lubdub.toml)",
        "--upstream replaces upstream.chat (lubdub.toml), upstream.other \
         (LUBDUB__UPSTREAM__OTHER__URL), route.chat (lubdub.toml)",
    ] {
        assert!(summary.lines().any(|said| said == line), "{summary}");
    }
}
