//! Uploads for which the client waits to be told to send them (RFC 9110 10.1.1): it was lubdub
//! that told it, whatever the upstream thought of it.

use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use tokio::time::Instant;

/// A client that waits with its body, and the upstream that has its head.
async fn waiting() -> (RunningProxy, Peer, Peer) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let request = Request::new("POST", "/")
        .field("Content-Length", "5")
        .field("Expect", "100-continue");
    client.ask(&request).await;
    let mut upstream = upstreams.accept().await;
    let head = upstream.expect_head().await;
    assert_eq!(head.field("expect"), Some("100-continue"));
    (proxy, client, upstream)
}

/// The client sends its body, which arrives and is answered.
async fn upload(mut client: Peer, mut upstream: Peer) {
    client.send("hello").await;
    upstream.expect_bytes("hello").await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
}

/// The client was told to continue before the upstream had said so.
#[tokio::test]
async fn a_client_is_told_to_continue_when_the_upstream_says_so() {
    let (_proxy, mut client, mut upstream) = waiting().await;
    client.expect_silence(ms(100)).await;
    upstream.send("HTTP/1.1 100 Continue\r\n\r\n").await;
    client.expect_answer(100).await;
    upload(client, upstream).await;
}

/// A client whose upload was not wanted was told to send all of it before it heard so.
#[tokio::test]
async fn a_client_whose_upload_is_refused_keeps_it() {
    let (_proxy, mut client, mut upstream) = waiting().await;
    upstream
        .send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        .await;
    client.expect_answer(417).await;
}

/// An upstream that knows nothing of expectations waits for the body, and must get it.
#[tokio::test]
async fn an_upstream_that_says_nothing_gets_the_body_after_a_second() {
    let (_proxy, mut client, upstream) = waiting().await;
    let began = Instant::now();
    client.expect_answer(100).await;
    assert!(began.elapsed() >= ms(800), "after {:?}", began.elapsed());
    upload(client, upstream).await;
}
