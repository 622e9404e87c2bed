//! Plain exchanges that one side does not take: each held as much as the HTTP library likes to read ahead.

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};

/// Exchanges at a time.
const EXCHANGES: usize = 100;
/// What each may hold, in bytes (the allocator's own waste among them).
const MOST: usize = 64 * 1024;
/// More than anybody holds.
const BODY: usize = 1 << 30;

/// The bytes that each of many exchanges holds while nobody takes what is sent.
async fn held(lubdub: &Binary, upstreams: &Upstream, head: &str, way: Way) -> usize {
    // What the first one loads of the program belongs to nobody.
    let _first = exchange(lubdub, upstreams, head, way).await;
    let before = lubdub.resident();
    let mut all = Vec::new();
    for _ in 0..EXCHANGES {
        all.push(exchange(lubdub, upstreams, head, way).await);
    }
    lubdub.resident().saturating_sub(before) / EXCHANGES
}

/// An exchange of which nobody takes what is sent: its client and its upstream.
async fn exchange(lubdub: &Binary, upstreams: &Upstream, head: &str, way: Way) -> (Peer, Peer) {
    let mut client = lubdub.dial().tiny().connect().await;
    let mut kept = None;
    if way == Way::UpOverKept {
        kept = Some(keep(&mut client, upstreams).await);
    }
    client.send(head).await;
    let mut upstream = match kept {
        Some(kept) => kept,
        None => upstreams.accept().await,
    };
    upstream.expect_head().await;
    match way {
        Way::Down => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
            upstream.send(head).await;
            client.expect_head().await;
            fill(&mut upstream).await;
        }
        Way::Up | Way::UpOverKept => fill(&mut client).await,
    }
    (client, upstream)
}

/// Which way a body goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Down,
    Up,
    /// Over a connection that was kept: only then a request may have to be sent once more.
    UpOverKept,
}

/// The client asks for something small, so that a connection to the upstream is kept.
async fn keep(client: &mut Peer, upstreams: &Upstream) -> Peer {
    client.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
    upstream
}

/// Each piece of a body that was kept to be sent once more kept the whole buffer that it came in: an upload
/// in small pieces held 8 KiB for each.
#[tokio::test]
async fn a_body_that_may_be_sent_once_more_keeps_no_buffers() {
    const PIECES: usize = 2000;
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &["runtime.workers=1"]).await;
    let mut client = lubdub.dial().connect().await;
    let mut upstream = keep(&mut client, &upstreams).await;
    let before = lubdub.resident();
    client
        .ask(&Request::new("PUT", "/").field("Transfer-Encoding", "chunked"))
        .await;
    upstream.expect_head().await;
    for _ in 0..PIECES {
        client.send("1\r\nx\r\n").await;
        upstream.expect_bytes("1\r\nx\r\n").await;
    }
    let held = lubdub.resident().saturating_sub(before);
    assert!(held <= 1024 * 1024, "{held} bytes");
}

/// Sends until no more is taken.
async fn fill(peer: &mut Peer) {
    peer.send_until_blocked(ms(20)).await;
}

/// 210 KiB for each download that the client did not read.
#[tokio::test]
async fn a_download_that_the_client_does_not_read_holds_little() {
    let upstreams = Upstream::tiny();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let head = "GET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n";
    let held = held(&lubdub, &upstreams, head, Way::Down).await;
    eprintln!("HELD {held}");
    assert!(held <= MOST, "{held} bytes each");
}

/// 615 KiB for each upload that the upstream did not read.
#[tokio::test]
async fn an_upload_that_the_upstream_does_not_read_holds_little() {
    let upstreams = Upstream::tiny();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let head = format!("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: {BODY}\r\n\r\n");
    let held = held(&lubdub, &upstreams, &head, Way::Up).await;
    eprintln!("HELD {held}");
    assert!(held <= MOST, "{held} bytes each");
}

/// The same of one that may have to be sent once more: what was kept of its body took twice the room that it was to.
#[tokio::test]
async fn an_upload_that_may_be_sent_once_more_holds_little_as_well() {
    let upstreams = Upstream::tiny();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let head = format!("PUT / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: {BODY}\r\n\r\n");
    let held = held(&lubdub, &upstreams, &head, Way::UpOverKept).await;
    eprintln!("HELD {held}");
    // An unoptimised program takes some KiB more for each.
    assert!(held <= MOST + 6 * 1024, "{held} bytes each");
}
