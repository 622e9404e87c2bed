//! `lubdub healthcheck` against an admin listener that says yes, no, or nothing.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use lubdub_testkit::way::Port;

use super::program::{CONFIGURATION, Lubdub, Outcome, USAGE};

/// Answers one request, for `path`, with `answer`.
fn admin(path: &'static str, answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
        let request = lines.next().expect("a line").expect("text");
        assert_eq!(request, format!("GET {path} HTTP/1.1"));
        assert!(
            lines.any(|line| line.expect("text").is_empty()),
            "a whole head"
        );
        stream.write_all(answer.as_bytes()).expect("it is heard");
    });
    address
}

const READY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n";
const DRAINING: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\ndraining\n";

/// Asks the admin listener that is configured at `address`.
fn configured(test: &str, address: &str) -> Outcome {
    Lubdub::new(test)
        .variable("LUBDUB__ADMIN__ADDRESS", address)
        .run(&["healthcheck"])
}

#[test]
fn ready_is_0() {
    let said = configured("ready", &admin("/readyz", READY).to_string()).expect_ok();
    assert_eq!(said, "200 OK: ready\n");
}

#[test]
fn a_wildcard_is_asked_on_loopback() {
    let port = admin("/readyz", READY).port();
    configured("ready_wildcard", &format!("0.0.0.0:{port}")).expect_ok();
}

#[test]
fn anything_but_200_is_1() {
    let address = admin("/readyz", DRAINING);
    let outcome = configured("draining", &address.to_string());
    assert_eq!(outcome.code, Some(1));
    assert_eq!(outcome.stdout, "");
    assert_eq!(
        outcome.stderr,
        format!("lubdub: http://{address}/readyz: 503 Service Unavailable: draining\n")
    );
}

#[test]
fn nobody_there_is_1() {
    let port = Port::hold().expect("a free port");
    let outcome = configured("nobody", &port.address.to_string());
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("refused"), "{}", outcome.stderr);
}

#[test]
fn no_answer_in_time_is_1() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let outcome = Lubdub::new("silent").run(&["healthcheck", "--url", &url, "--timeout", "50ms"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.ends_with("no answer within 50ms\n"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_url_goes_before_the_configuration() {
    let url = format!("http://{}/livez", admin("/livez", READY));
    Lubdub::new("url")
        .variable("LUBDUB__ADMIN__ADDRESS", "nonsense")
        .run(&["healthcheck", "--url", &url])
        .expect_ok();
}

#[test]
fn a_url_without_a_path_is_asked_for_readiness() {
    let url = format!("http://{}", admin("/readyz", READY));
    Lubdub::new("url_without_path")
        .run(&["healthcheck", "--url", &url])
        .expect_ok();
}

#[test]
fn a_url_that_no_admin_listener_has_is_wrong_usage() {
    let outcome = Lubdub::new("url_https").run(&["healthcheck", "--url", "https://127.0.0.1:1"]);
    assert_eq!(outcome.code, USAGE, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("http://"), "{}", outcome.stderr);
}

#[test]
fn nowhere_to_ask_is_said() {
    let off = configured("admin_off", "off");
    assert_eq!(off.code, Some(1));
    assert!(
        off.stderr.contains("the admin listener is off"),
        "{}",
        off.stderr
    );
    let any = configured("admin_any_port", "127.0.0.1:0");
    assert_eq!(any.code, Some(1));
    assert!(any.stderr.contains("--url"), "{}", any.stderr);
    let wrong = configured("admin_wrong", "here");
    assert_eq!(wrong.code, CONFIGURATION);
    assert!(
        wrong
            .stderr
            .contains("admin.address = \"here\" (LUBDUB__ADMIN__ADDRESS)"),
        "{}",
        wrong.stderr
    );
}
