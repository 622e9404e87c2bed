//! Bodies: streamed as they come, in either direction, and never piled up.

use lubdub_testkit::http::Request;
use lubdub_testkit::memory;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};

/// A client whose request has reached the upstream.
async fn asked(request: &Request) -> (RunningProxy, Peer, Peer) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(request).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    (proxy, client, upstream)
}

#[tokio::test]
async fn a_sized_body_goes_up_as_it_comes() {
    let post = Request::new("POST", "/").field("Content-Length", "11");
    let (_proxy, mut client, mut upstream) = asked(&post).await;
    client.send("hello ").await;
    upstream.expect_bytes("hello ").await;
    client.send("world").await;
    upstream.expect_bytes("world").await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    assert_eq!(client.expect_answer(200).await.1, "ok");
}

#[tokio::test]
async fn a_chunked_body_goes_up_as_it_comes() {
    let post = Request::new("POST", "/").field("Transfer-Encoding", "chunked");
    let (_proxy, mut client, mut upstream) = asked(&post).await;
    client.send("5\r\nhello\r\n").await;
    assert_eq!(upstream.expect_chunk().await, "hello");
    client.send("0\r\n\r\n").await;
    assert_eq!(upstream.expect_chunk().await, "");
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
}

#[tokio::test]
async fn the_answer_to_a_head_has_a_length_and_no_body() {
    let (_proxy, mut client, mut upstream) = asked(&Request::new("HEAD", "/")).await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        .await;
    let head = client.expect_head().await;
    assert_eq!(head.content_length(), Some(1000));
    // The connection is at once good for the next request.
    client.ask(&Request::get("/next")).await;
    assert_eq!(
        upstream.expect_head().await.first_line,
        "GET /next HTTP/1.1"
    );
}

#[tokio::test]
async fn server_sent_events_arrive_one_by_one() {
    let sse = Request::get("/events").field("Accept", "text/event-stream");
    let (_proxy, mut client, mut upstream) = asked(&sse).await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let (head, _) = client.expect_answer(200).await;
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    for n in 0..5 {
        let event = format!("data: {n}\n\n");
        upstream
            .send(format!("{:x}\r\n{event}\r\n", event.len()))
            .await;
        assert_eq!(client.expect_chunk().await, event);
    }
    // Who listens no more, takes the upstream's connection with him.
    drop(client);
    upstream.expect_end().await;
}

#[tokio::test]
async fn a_large_download_is_never_piled_up() {
    const SIZE: usize = 64 * 1024 * 1024;
    let (_proxy, mut client, mut upstream) = asked(&Request::get("/")).await;
    let before = memory::resident();
    let give = async {
        upstream
            .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n"))
            .await;
        let block = vec![b'd'; 64 * 1024];
        for _ in 0..SIZE / block.len() {
            upstream.send(&block).await;
        }
    };
    let take = async {
        assert_eq!(client.expect_head().await.content_length(), Some(SIZE));
        // Slower than the upstream gives.
        tokio::time::sleep(ms(100)).await;
        client.discard(SIZE).await;
    };
    tokio::join!(give, take);
    let grown = memory::resident().saturating_sub(before);
    assert!(grown < SIZE / 2, "{grown} bytes more than before");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_back_the_upstream() {
    let upstreams = Upstream::tiny();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().tiny().connect().await;
    client.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        .await;
    let taken = upstream.send_until_blocked(ms(200)).await;
    assert!(
        taken < 8 * 1024 * 1024,
        "{taken} bytes were taken that nobody reads"
    );
}
