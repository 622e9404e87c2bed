//! The same of the real program: configuration, log and admin.

use lubdub_proxy::settings::ProxyVersion;
use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;

use crate::{CLIENT, expect_closed, header};

const SETTINGS: [&str; 3] = [
    "listen.main.proxy_protocol=required",
    "listen.main.trust=127.0.0.0/8,10.0.0.0/8",
    "forwarded.trust=192.0.2.1",
];

/// A header with fields.
fn said() -> Vec<u8> {
    let mut header = header(ProxyVersion::V2, "10.0.0.5:5000");
    let fields = [
        &b"\x02\x00\x0cchat.example"[..],
        b"\x01\x00\x02h2",
        b"\x05\x00\x04id 1",
        b"\x20\x00\x0f\x01\0\0\0\0\x21\x00\x07TLSv1.3",
    ];
    let fields = fields.concat();
    header[15] += u8::try_from(fields.len()).expect("they are short");
    [header, fields].concat()
}

fn upgrade() -> Request {
    Request::upgrade("/")
        .field("X-Forwarded-For", CLIENT)
        .field("X-Request-Id", "req-1")
}

#[tokio::test]
async fn log_and_admin_tell_the_true_address() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &SETTINGS).await;
    let mut client = lubdub.dial().preface(said()).connect().await;
    client.ask(&upgrade()).await;
    let mut upstream = upstreams.accept().await;
    let head = upstream.accept_upgrade().await;
    client.expect_switch().await;
    assert_eq!(head.field("x-request-id"), Some("req-1"));
    assert_eq!(head.field("x-forwarded-proto"), Some("https"));

    // A client may have its 101 a moment before its pair is there.
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
    let pairs = lubdub.told("/api/v1/pairs").await;
    let pair = &pairs["pairs"][0];
    let peer = client.address().to_string();
    assert_eq!(pair["client"]["address"], CLIENT, "{pairs}");
    assert_eq!(pair["client"]["peer"], *peer, "{pairs}");
    assert_eq!(pair["request_id"], "req-1", "{pairs}");

    client.close(1000, "").await;
    upstream.expect_close(1000).await;
    upstream.close(1000, "").await;
    let ended = lubdub.expect_logged("pair ended").await;
    assert_eq!(ended["client"], CLIENT);
    assert_eq!(ended["peer"], *peer);
    assert_eq!(ended["request_id"], "req-1");
    assert_eq!(
        ended["proxy_header"],
        "authority=chat.example alpn=h2 tls=TLSv1.3 unique_id=id%201"
    );
}

#[tokio::test]
async fn who_is_not_served_is_told_of_by_the_true_address() {
    let upstreams = Upstream::listen();
    let limited = [&SETTINGS[..], &["limits.pairs_per_source=1"]].concat();
    let lubdub = Binary::start(&upstreams, &limited).await;
    let mut first = lubdub.dial().preface(said()).connect().await;
    first.ask(&upgrade()).await;
    let _upstream = upstreams.accept_websocket().await;
    first.expect_switch().await;
    let mut second = lubdub.dial().preface(said()).connect().await;
    second.ask(&upgrade()).await;
    second.expect_answer(503).await;
    let refused = lubdub.expect_logged("not served").await;
    assert_eq!(refused["outcome"], "limited");
    assert_eq!(refused["client"], CLIENT);
    assert_eq!(refused["peer"], *second.address().to_string());
    assert_eq!(refused["request_id"], "req-1");
}

#[tokio::test]
async fn who_sends_no_header_has_a_line() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &SETTINGS).await;
    let mut client = lubdub.dial().connect().await;
    let address = client.address().to_string();
    client.ask(&upgrade()).await;
    expect_closed(client).await;
    let refused = lubdub.expect_logged("not served").await;
    assert_eq!(
        (&refused["level"], &refused["outcome"]),
        (&"info".into(), &"bad_request".into())
    );
    assert_eq!(refused["reason"], "no PROXY header");
    assert_eq!(refused["client"], *address);
}
