//! What passes, and as what.

use lubdub_testkit::frame::Frame;
use lubdub_testkit::http::{ACCEPT, KEY, Request, SWITCHING};
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::way;

use crate::FRONT;

#[tokio::test]
async fn the_request_arrives_as_the_client_made_it() {
    if way::is_unix() {
        // There is no address to be told or trusted.
        return;
    }
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let request = Request::upgrade("/chat/room%201?token=a%2Fb&x=1&x=2")
        .host("chat.example:8080")
        .field("Origin", "https://Example.com")
        .field("Sec-WebSocket-Protocol", "graphql-ws, chat;v=1")
        .field(
            "Sec-WebSocket-Extensions",
            "permessage-deflate; client_max_window_bits",
        )
        .field("Cookie", "a=b; c=\"d\"")
        .field("X-mIxEd-CaSe", "kept")
        .field("X-Twice", "one")
        .field("X-Twice", "two");
    client.ask(&request).await;
    let mut upstream = upstreams.accept().await;
    let head = upstream.expect_head().await;
    assert_eq!(
        head.first_line,
        "GET /chat/room%201?token=a%2Fb&x=1&x=2 HTTP/1.1"
    );
    for line in [
        "Host: chat.example:8080",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Origin: https://Example.com",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: graphql-ws, chat;v=1",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "Cookie: a=b; c=\"d\"",
        "X-mIxEd-CaSe: kept",
        "X-Twice: one",
        "X-Twice: two",
    ] {
        assert!(head.has_line(line), "no {line:?} in {head:#?}");
    }
    assert_eq!(head.field("sec-websocket-key"), Some(KEY));
    // What lubdub adds, and nothing else.
    assert_eq!(head.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.field("x-forwarded-proto"), Some(FRONT.scheme()));
    assert_eq!(head.field("x-forwarded-host"), Some("chat.example:8080"));
    assert_eq!(head.fields.len(), 12 + 3, "{head:#?}");
}

#[tokio::test]
async fn claims_about_where_a_request_came_from_are_not_believed() {
    if way::is_unix() {
        // There is no address to be told or trusted.
        return;
    }
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let request = Request::upgrade("/")
        .field("X-Forwarded-For", "203.0.113.9")
        .field("X-Forwarded-Proto", "https")
        .field("Forwarded", "for=203.0.113.9");
    client.ask(&request).await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(head.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.field("x-forwarded-proto"), Some(FRONT.scheme()));
    assert_eq!(head.field("forwarded"), None);
}

#[tokio::test]
async fn claims_of_a_trusted_proxy_are_added_to() {
    if way::is_unix() {
        // There is no address to be told or trusted.
        return;
    }
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .front(FRONT)
        .with(|proxy| {
            proxy.forwarded.trust.networks = vec!["127.0.0.0/8".parse().expect("a network")]
        })
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let request = Request::upgrade("/")
        .field("X-Forwarded-For", "203.0.113.9")
        .field("X-Forwarded-Proto", "https");
    client.ask(&request).await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(
        head.field("x-forwarded-for"),
        Some("203.0.113.9, 127.0.0.1")
    );
    assert_eq!(head.field("x-forwarded-proto"), Some("https"));
}

#[tokio::test]
async fn the_answer_arrives_as_the_upstream_made_it() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    upstream
        .send(format!(
            "HTTP/1.1 101 Switching Protocols\r\n\
             Upgrade: WebSocket\r\n\
             Connection: keep-alive, Upgrade\r\n\
             Sec-WebSocket-Accept: {ACCEPT}\r\n\
             Sec-WebSocket-Protocol: chat\r\n\
             Sec-WebSocket-Extensions: permessage-deflate\r\n\
             X-bAcKeNd: seven\r\n\
             Set-Cookie: a=1\r\n\
             Set-Cookie: b=2\r\n\
             \r\n"
        ))
        .await;
    let head = client.expect_switch().await;
    assert!(head.first_line.starts_with("HTTP/1.1 101 "), "{head:?}");
    for line in [
        "Upgrade: WebSocket",
        "Sec-WebSocket-Protocol: chat",
        "Sec-WebSocket-Extensions: permessage-deflate",
        "X-bAcKeNd: seven",
        "Set-Cookie: a=1",
        "Set-Cookie: b=2",
    ] {
        assert!(head.has_line(line), "no {line:?} in {head:#?}");
    }
    assert_eq!(head.field("sec-websocket-accept"), Some(ACCEPT));
    assert_eq!(head.field("connection"), Some("Upgrade"));
    assert_eq!(head.fields.len(), 8, "{head:#?}");
    proxy.expect_outcome("upgraded").await;
    proxy
        .expect_metric("handshake_duration_seconds_count", &[], 1.0)
        .await;
    proxy
        .expect_metric("upstream_connect_duration_seconds_count", &[], 1.0)
        .await;
}

#[tokio::test]
async fn an_upgrade_is_known_by_any_spelling() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let request = Request::upgrade("/")
        .without("upgrade")
        .without("connection")
        .field("upgrade", "WEBSOCKET")
        .field("CONNECTION", "keep-alive")
        .field("connection", "foo , upGRADE");
    client.ask(&request).await;
    upstreams.accept_websocket().await;
    client.expect_switch().await;
}

#[tokio::test]
async fn bytes_behind_the_request_wait_for_the_101_and_are_not_lost() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let early = client.encode(&Frame::text("early"));
    client
        .send([Request::upgrade("/").encode(), early.clone()].concat())
        .await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.expect_silence(ms(50)).await;
    upstream.send(SWITCHING).await;
    client.expect_switch().await;
    upstream.expect_raw(&early).await;
}

#[tokio::test]
async fn bytes_behind_the_101_are_not_lost() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    let early = upstream.encode(&Frame::text("early"));
    let (front, back) = early.split_at(4);
    upstream.send([SWITCHING.as_bytes(), front].concat()).await;
    client.expect_switch().await;
    upstream.send(back).await;
    client.expect_raw(&early).await;
}
