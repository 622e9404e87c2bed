//! Refusals that did not get to whom they were for, or counted the wrong one.

use lubdub_proxy::settings::HostPattern;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::ProxyBox;

/// More than lubdub reads before it has an answer, and less than the kernels take.
const EARLY: usize = 40_000;

/// An upgrade with bytes behind it that nobody will ever want.
async fn ask_with_early_bytes(client: &mut Peer) {
    let request = Request::upgrade("/").encode();
    client.send([request, vec![b'x'; EARLY]].concat()).await;
}

/// The unread bytes behind the upgrade made the kernel reset the connection, and the reset made
/// the client's kernel throw away the answer.
#[tokio::test]
async fn a_refusal_is_not_reset_away_by_what_the_client_said_too_early() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    ask_with_early_bytes(&mut client).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    let body = "n".repeat(10_000);
    upstream
        .send(format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    // It goes on talking while the answer is on its way.
    client.send(vec![b'x'; EARLY]).await;
    assert_eq!(client.expect_answer(403).await.1, body);
    client.expect_eof().await;
}

/// The same of lubdub's own refusals.
#[tokio::test]
async fn lubdubs_own_refusal_is_not_reset_away_either() {
    let full = ProxyBox::new().with(|proxy| proxy.limits.pairs = 0);
    let elsewhere =
        ProxyBox::new().with(|proxy| proxy.host = Some(HostPattern::new("other.example")));
    for (proxy, status) in [(full, 503), (elsewhere, 404)] {
        let proxy = proxy.start(&Upstream::listen());
        let mut client = proxy.dial().connect().await;
        ask_with_early_bytes(&mut client).await;
        client.expect_answer(status).await;
        client.expect_eof().await;
    }
}

/// Behind a request that makes no sense the connection went on, and whatever came next was taken
/// for another request.
#[tokio::test]
async fn a_malformed_request_is_the_last_of_its_connection() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let malformed = Request::get("/").without("host").encode();
    let next = Request::get("/admin").encode();
    client.send([malformed, next].concat()).await;
    let (head, _) = client.expect_answer(400).await;
    assert_eq!(head.field("connection"), Some("close"));
    client.expect_end().await;
    drop(client);
    proxy.expect_outcome("bad_request").await;
}

/// Health checks of load balancers connect and go; each was counted as a bad request.
#[tokio::test]
async fn who_comes_and_goes_at_a_tls_listener_has_asked_nothing_bad() {
    let certs = Certs::generate();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.listener_tls = Some(certs.listening()))
        .start(&Upstream::listen());
    let client_gone = [("outcome", "client_gone")];
    // `dial` does not speak TLS unless told so.
    drop(proxy.dial().connect().await);
    proxy
        .expect_metric("handshakes_total", &client_gone, 1.0)
        .await;
    // The first bytes of a ClientHello, and no more.
    let mut client = proxy.dial().connect().await;
    client.send(b"\x16\x03\x01\x02\x00\x01").await;
    drop(client);
    proxy
        .expect_metric("handshakes_total", &client_gone, 2.0)
        .await;
    proxy
        .expect_metric("handshakes_total", &[("outcome", "bad_request")], 0.0)
        .await;
}
