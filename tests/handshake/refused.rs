//! Answers of the upstream's other than 101: the client gets them, and nothing that it said behind
//! its request can be taken for another.

use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

use crate::FRONT;

#[tokio::test]
async fn a_refusal_arrives_with_its_body_and_ends_the_connection() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let smuggled = Request::get("/admin").encode();
    client
        .send([Request::upgrade("/").encode(), smuggled].concat())
        .await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream
        .send(
            "HTTP/1.1 403 Forbidden\r\n\
             Content-Type: text/x-refusal\r\n\
             Content-Length: 9\r\n\
             \r\n\
             not today",
        )
        .await;
    let (head, body) = client.expect_answer(403).await;
    assert_eq!(body, "not today");
    assert_eq!(head.field("content-type"), Some("text/x-refusal"));
    assert_eq!(head.field("connection"), Some("close"));
    client.expect_end().await;
    // Neither on this connection nor on another one.
    upstream.expect_eof().await;
    upstreams.expect_nobody(ms(50)).await;
    proxy.expect_outcome("refused").await;
    proxy.expect_no_pairs().await;
}

#[tokio::test]
async fn a_refusal_without_a_length_arrives_whole() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    upstream
        .send(
            "HTTP/1.1 401 Unauthorized\r\n\
             WWW-Authenticate: Basic\r\n\
             Transfer-Encoding: chunked\r\n\
             \r\n\
             4\r\nwho \r\n9\r\nare you?\n\r\n0\r\n\r\n",
        )
        .await;
    let (head, _) = client.expect_answer(401).await;
    assert_eq!(head.field("www-authenticate"), Some("Basic"));
    assert_eq!(head.field("connection"), Some("close"));
    assert_eq!(head.field("transfer-encoding"), Some("chunked"));
    assert_eq!(client.expect_chunks().await, "who are you?\n");
    client.expect_eof().await;
    proxy.expect_outcome("refused").await;
}

#[tokio::test]
async fn a_redirect_is_the_clients_to_follow() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    upstream
        .send("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        .await;
    let (head, _) = client.expect_answer(302).await;
    assert_eq!(head.field("location"), Some("/elsewhere"));
    client.expect_eof().await;
    upstreams.expect_nobody(ms(50)).await;
}
