//! Bodies: streamed as they come, in either direction, and never piled up.

use std::cell::Cell;
use std::time::Duration;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use tokio::time::sleep;

/// The length of a body that is far larger than all buffers on its way.
const LARGE: usize = 64 * 1024 * 1024;

/// A client whose request has reached the upstream.
async fn asked(request: &Request) -> (RunningProxy, Peer, Peer) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (client, upstream, _) = proxy.dial().ask(request, &upstreams).await;
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
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let (mut client, mut upstream, _) = lubdub.dial().ask(&Request::get("/"), &upstreams).await;
    upstream
        .send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"
        ))
        .await;
    assert_eq!(client.expect_head().await.content_length(), Some(LARGE));
    passes_in_constant_memory(&lubdub, &mut upstream, &mut client).await;
}

#[tokio::test]
async fn a_large_upload_is_never_piled_up() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut client = lubdub.dial().connect().await;
    let post = Request::new("POST", "/").field("Content-Length", &LARGE.to_string());
    client.ask(&post).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    passes_in_constant_memory(&lubdub, &mut client, &mut upstream).await;
}

/// Passes a body of [`LARGE`] bytes to a taker who takes none of it before no more can be given, and
/// looks at lubdub's memory at each block. What is piled up in there has to come out past the taker:
/// but for what the kernel holds, it cannot come and go between two looks.
async fn passes_in_constant_memory(lubdub: &Binary, giver: &mut Peer, taker: &mut Peer) {
    const BLOCK: usize = 64 * 1024;
    /// When nothing was given for so long, nothing more will be.
    const QUIET: Duration = ms(50);
    /// What lubdub may grow by; it was 1.5 MB at most.
    const GROWTH: usize = 4 * 1024 * 1024;
    let before = lubdub.resident();
    let peak = Cell::new(before);
    let given = Cell::new(0);
    let look = || peak.set(peak.get().max(lubdub.resident()));
    let give = async {
        let block = vec![b'd'; BLOCK];
        while given.get() < LARGE {
            giver.send(&block).await;
            given.set(given.get() + BLOCK);
            look();
        }
    };
    let take = async {
        let mut so_far = usize::MAX;
        while given.get() != so_far {
            so_far = given.get();
            sleep(QUIET).await;
        }
        look();
        for _ in 0..LARGE / BLOCK {
            taker.discard(BLOCK).await;
            look();
        }
        so_far
    };
    let ((), ahead) = tokio::join!(give, take);
    let grown = peak.get() - before;
    assert!(grown < GROWTH, "{grown} bytes more than before");
    assert!(ahead < LARGE, "all of it was given before any was taken");
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
