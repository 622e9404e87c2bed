//! Who comes to a port and speaks something else, or speaks TLS as nobody should.

use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use rustls::ClientConnection;
use tokio::time::Instant;

use crate::files::Files;

const FAILURES: &str = "tls_handshake_failures_total";

/// lubdub with TLS.
fn start(certs: &Certs, upstreams: &Upstream) -> RunningProxy {
    ProxyBox::new()
        .with(|proxy| proxy.listener_tls = Some(certs.listening()))
        .start(upstreams)
}

async fn expect_failure(proxy: &RunningProxy, reason: &str) {
    proxy
        .expect_metric(FAILURES, &[("reason", reason)], 1.0)
        .await;
    let all = proxy
        .scrape()
        .nonzero(&format!("lubdub_{FAILURES}"), "reason");
    assert_eq!(all, [(reason.to_owned(), 1.0)]);
    let outcomes = proxy.scrape().nonzero("lubdub_handshakes_total", "outcome");
    assert!(outcomes.is_empty(), "{outcomes:?}");
}

/// A ClientHello in its record.
fn hello(certs: &Certs) -> Vec<u8> {
    let name = lubdub_testkit::certs::NAME.try_into().expect("a name");
    let mut client = ClientConnection::new(certs.connecting(), name).expect("a client");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("memory takes it");
    hello
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_answered_in_words() {
    let certs = Certs::generate();
    for request in [
        Request::upgrade("/").encode(),
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        // What nobody will read must not destroy the answer.
        [
            &b"POST / HTTP/1.1\r\nContent-Length: 300000\r\n\r\n"[..],
            &[b'x'; 300_000],
        ]
        .concat(),
    ] {
        let upstreams = Upstream::listen();
        let proxy = start(&certs, &upstreams);
        let mut client = proxy.dial().connect().await;
        client.try_send(&request).await;
        let (head, body) = client.expect_answer(400).await;
        assert!(body.contains("this port speaks TLS"), "{head:#?}: {body}");
        assert_eq!(head.field("connection"), Some("close"));
        client.expect_eof().await;
        client.finish().await;
        upstreams.expect_nobody(ms(20)).await;
        expect_failure(&proxy, "plain_http").await;
    }
}

#[tokio::test]
async fn what_is_neither_is_ended_at_once() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let proxy = start(&certs, &upstreams);
    let mut client = proxy.dial().connect().await;
    client.send([0, 1, 2, 3, 4, 5]).await;
    client.expect_eof().await;
    drop(client);
    expect_failure(&proxy, "not_tls").await;
}

#[tokio::test]
async fn tls_on_a_plain_port_is_ended_at_once_and_has_a_line() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let lubdub = lubdub_testkit::binary::Binary::start(&upstreams, &[]).await;
    let mut client = lubdub.dial().connect().await;
    client.send(hello(&certs)).await;
    client.expect_end().await;
    let line = lubdub.expect_logged("not served").await;
    assert_eq!(
        (&line["outcome"], &line["reason"]),
        (
            &"bad_request".into(),
            &"it speaks TLS to a plain port".into()
        )
    );
}

/// Old clients are told apart by the version in their hello, not by that of its record.
#[tokio::test]
async fn an_old_client_has_a_line_with_its_version() {
    let certs = Certs::generate();
    let files = Files::new("old_client");
    files.put("main", &certs);
    let upstreams = Upstream::listen();
    let lubdub = files.lubdub(&upstreams, &["main"]).await;
    let mut client = lubdub.dial().connect().await;
    // A ClientHello of TLS 1.1 with two cipher suites and nothing else.
    let body = [&[3, 2][..], &[7; 32], &[0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]].concat();
    let len = u8::try_from(body.len()).expect("it is short");
    let message = [&[1, 0, 0, len][..], &body].concat();
    client
        .send([&[22, 3, 1, 0, len + 4][..], &message].concat())
        .await;
    let line = lubdub.expect_logged("TLS handshake failed").await;
    assert_eq!(
        (&line["failure"], &line["reason"]),
        (
            &"protocol_version".into(),
            &"it offers only TLS 1.1; lubdub speaks TLS 1.2 and 1.3".into()
        )
    );
    // It is told as well: an alert, and it is fatal.
    let alert = client.expect_len(7).await;
    assert_eq!((alert[0], alert[5]), (21, 2), "{alert:?}");
    client.expect_eof().await;
}

/// The record layer may cut a handshake message anywhere (RFC 8446 5.1).
#[tokio::test]
async fn a_hello_in_records_of_one_byte_is_a_hello() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let proxy = start(&certs, &upstreams);
    let mut client = proxy.dial().connect().await;
    let hello = hello(&certs);
    let records = hello[5..].iter().map(|byte| [22, 3, 1, 0, 1, *byte]);
    client.send(records.collect::<Vec<_>>().concat()).await;
    // A ServerHello in its record.
    let answer = client.expect_len(6).await;
    assert_eq!((answer[0], answer[5]), (22, 2), "{answer:?}");
    drop(client);
    proxy
        .expect_metric(FAILURES, &[("reason", "gone")], 1.0)
        .await;
    proxy.expect_outcome("client_gone").await;
}

#[tokio::test]
async fn a_hello_without_an_end_is_refused() {
    let certs = Certs::generate();
    for record in [
        // A message of 16 MiB is announced, and goes on and on.
        [&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 0x3ffc]].concat(),
        // One of 60 KiB, which nobody needs.
        [&[22, 3, 1, 0x40, 0, 1, 0, 0xf0, 0][..], &[0; 0x3ffc]].concat(),
    ] {
        let upstreams = Upstream::listen();
        let proxy = start(&certs, &upstreams);
        let mut client = proxy.dial().connect().await;
        for _ in 0..3 {
            client.try_send(&record).await;
        }
        client.expect_end().await;
        drop(client);
        expect_failure(&proxy, "malformed").await;
    }
}

#[tokio::test]
async fn who_shakes_hands_a_byte_at_a_time_is_waited_for_only_so_long() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| {
            proxy.listener_tls = Some(certs.listening());
            proxy.timeouts.tls = ms(200);
        })
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let began = Instant::now();
    for byte in hello(&certs) {
        tokio::time::sleep(ms(10)).await;
        if !client.try_send([byte]).await || began.elapsed() > ms(1000) {
            break;
        }
    }
    client.expect_end().await;
    assert!(began.elapsed() >= ms(200), "after {:?}", began.elapsed());
    proxy.expect_outcome("request_timeout").await;
    proxy
        .expect_metric(FAILURES, &[("reason", "timeout")], 1.0)
        .await;
}

#[tokio::test]
async fn who_connects_and_goes_is_no_failure() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let proxy = start(&certs, &upstreams);
    drop(proxy.dial().connect().await);
    proxy.expect_outcome("client_gone").await;
    let all = proxy
        .scrape()
        .nonzero(&format!("lubdub_{FAILURES}"), "reason");
    assert!(all.is_empty(), "{all:?}");
}

/// An error behind the handshake ends the connection, and what was said before it arrives.
#[tokio::test]
async fn what_was_said_before_a_broken_record_arrives() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let proxy = start(&certs, &upstreams);
    let (client, mut upstream) = proxy.dial().tls(certs.connecting()).pair(&upstreams).await;
    let mut client: Peer = client;
    client.send_text("whole").await;
    client.send_below_tls(&[23, 3, 3, 0, 32, 0, 0, 0]);
    client.send_below_tls(&[0; 29]);
    upstream.expect_text("whole").await;
    upstream.expect_end().await;
    proxy.expect_ended("client_reset").await;
}
