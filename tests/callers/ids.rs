//! What requests are called.

use lubdub_testkit::http::{Head, Request};
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

use crate::trusting;

fn naming(proxy: ProxyBox) -> ProxyBox {
    proxy.with(|proxy| proxy.forwarded.request_id = true)
}

/// The head that a request goes up with.
async fn goes_up(proxy: ProxyBox, request: Request) -> Head {
    let upstreams = Upstream::listen();
    let proxy = proxy.start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&request).await;
    upstreams.accept().await.expect_head().await
}

fn called(id: &str) -> Request {
    Request::get("/").field("X-Request-Id", id)
}

#[tokio::test]
async fn what_a_trusted_peer_calls_a_request_is_kept() {
    let head = goes_up(naming(trusting()), called("abc-1.2_3")).await;
    assert_eq!(head.field("x-request-id"), Some("abc-1.2_3"));
}

#[tokio::test]
async fn a_stranger_names_nothing() {
    let head = goes_up(naming(ProxyBox::new()), called("abc")).await;
    let made = head.field("x-request-id").expect("it is called something");
    assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()));
    // Neither does a trusted peer that says what cannot stand everywhere.
    let head = goes_up(naming(trusting()), called("a b")).await;
    assert_ne!(head.field("x-request-id"), Some("a b"));
}

/// Some backends take `X_Request_Id` for `X-Request-Id`.
#[tokio::test]
async fn there_is_one_name_in_every_spelling() {
    let request = || Request::get("/").field("X_Request_Id", "abc");
    for proxy in [ProxyBox::new(), trusting()] {
        let head = goes_up(naming(proxy), request()).await;
        assert_eq!(head.field("x_request_id"), None);
        assert!(head.field("x-request-id").is_some());
    }
    let head = goes_up(ProxyBox::new(), request()).await;
    assert_eq!(head.field("x_request_id"), Some("abc"));
}

#[tokio::test]
async fn off_leaves_it_to_others() {
    let head = goes_up(ProxyBox::new(), called("a b")).await;
    assert_eq!(head.field("x-request-id"), Some("a b"));
    let head = goes_up(ProxyBox::new(), Request::get("/")).await;
    assert_eq!(head.field("x-request-id"), None);
}

#[tokio::test]
async fn a_pair_knows_what_its_request_is_called() {
    for (proxy, id) in [
        (naming(trusting()), "abc"),
        (naming(ProxyBox::new()), "abc"),
    ] {
        let upstreams = Upstream::listen();
        let proxy = proxy.start(&upstreams);
        let mut client = proxy.dial().connect().await;
        client
            .ask(&Request::upgrade("/").field("X-Request-Id", id))
            .await;
        let head = upstreams.accept().await.accept_upgrade().await;
        client.expect_switch().await;
        proxy.expect_pairs(1).await;
        let known = proxy.only_pair().request_id();
        assert_eq!(known.as_deref(), head.field("x-request-id"));
    }
}

#[tokio::test]
async fn no_trailer_names_a_request() {
    let upstreams = Upstream::listen();
    let proxy = naming(trusting()).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let post = Request::new("POST", "/")
        .field("Transfer-Encoding", "chunked")
        .field("Trailer", "X-Request-Id, X-Sum");
    client.ask(&post).await;
    client
        .send("0\r\nX-Request-Id: forged\r\nX-Sum: 1\r\n\r\n")
        .await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.expect_bytes("0\r\nx-sum: 1\r\n\r\n").await;
}
