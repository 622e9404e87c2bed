//! What `check` and `config` print.

use super::program::{Lubdub, MINIMAL_FILE, MINIMUM, check};

/// The keys that the design promises, with the values that it calls defaults.
const DESIGN: &str = r#"
[listen.public]
address = "0.0.0.0:8080"
proxy_protocol = "off"

[upstream.chat]
url = "ws://127.0.0.1:9000"
host = "keep"
proxy_protocol = "off"
insecure_skip_verify = false
pool = true
pool_age = "60s"
on_removed = "keep"

[upstream.chat.limits]
waiting = "auto"
requests = "auto"

[route.chat]
path_prefix = "/"
strip_prefix = false
origin_missing = "allow"
on_removed = "keep"
upstream = "chat"

[route.chat.rate.to_client]
bytes = "off"
messages = "off"

[route.chat.rate.to_upstream]
bytes = "off"
messages = "off"

[keepalive.client]
interval = "30s"
timeout  = "30s"
mode     = "interval"
evidence = "any"
enforce  = "always"
jitter   = 0.1
boundary_wait = "5s"

[keepalive.upstream]
interval = "30s"
timeout  = "30s"
mode     = "interval"
evidence = "any"
enforce  = "always"
jitter   = 0.1
boundary_wait = "5s"

[timeouts]
first_byte = "10s"
request_head = "10s"
tls = "10s"
proxy_header = "5s"
connect = "5s"
answer = "30s"
http_idle = "120s"
write_stall = "10s"
close = "5s"
data_idle = "off"
lifetime = "off"

[limits]
pairs = "auto"
pairs_per_source = "off"
handshake_rate = "off"
handshakes = 512
connections = "auto"
head_bytes = "64KiB"
frame_bytes = "off"

[close.to_client]
reason = "cause"
upstream_lapsed = 1011
upstream_stalled = 1011
drain = 1012
lifetime = 1012
data_idle = 1001
frame_too_big = 1009
limit = 1008

[close.to_upstream]
reason = "cause"
client_lapsed = 1001
client_stalled = 1001
drain = 1001
lifetime = 1001
data_idle = 1001
frame_too_big = 1009
limit = 1001

[drain]
delay = "0s"
spread = "0s"
timeout = "30s"

[forwarded]
style = "x-forwarded"
via = false
request_id = true

[admin]
address = "127.0.0.1:9901"

[log]
format = "text"
level = "info"
request = "path"
refusals = "10/s"

[handover]
socket = "off"
linger = "off"

[runtime]
workers = "auto"
"#;

/// What is said in TOML, without the comments that tell origins.
fn values(text: &str) -> Vec<String> {
    let value = |line: &str| {
        let value = line.split("  #").next().unwrap_or_default();
        value.trim().to_owned()
    };
    text.lines().map(value).collect()
}

#[test]
fn the_keys_of_the_design_are_taken_and_have_its_defaults() {
    let effective = |test: &str, file: &str| {
        Lubdub::new(test)
            .file("lubdub.toml", file)
            .run(&["config", "effective", "--config", "lubdub.toml"])
            .expect_ok()
    };
    Lubdub::new("design_check")
        .file("lubdub.toml", DESIGN)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_ok();
    let said = effective("design_said", DESIGN);
    // Only what has no default.
    let minimum = DESIGN.split("[route.chat]").next().unwrap_or_default();
    let implied = effective("design_implied", minimum);
    assert_eq!(values(&said), values(&implied));
    let built_in = |text: &str| {
        text.lines()
            .filter(|line| line.ends_with("  # default"))
            .count()
    };
    assert_eq!(
        built_in(&said),
        6,
        "forwarded.trust, admin.hosts, runtime.io_uring, and of the route origins, allow and deny\n{said}"
    );
    assert!(built_in(&implied) > 50, "{implied}");
}

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
        "url = \"ws://127.0.0.1:9000\"   # --upstream",
        "upstream = \"main\"         # default",
        "level = \"debug\"    # lubdub.toml",
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
