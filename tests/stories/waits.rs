//! Waits without a limit, or whose limit held only the first time.

use lubdub_keepalive::Side;
use lubdub_testkit::binary::Binary;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use tokio::time::{Instant, sleep};

/// A connection that had been served once could be slow with its next head for as long as it
/// liked.
#[tokio::test]
async fn a_second_head_that_is_slow_is_not_waited_for_either() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.timeouts.request_head = ms(300))
        .start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
    let began = Instant::now();
    for byte in Request::get("/")
        .field("X-Long", &"x".repeat(1000))
        .encode()
    {
        if !client.try_send([byte]).await {
            break;
        }
        sleep(ms(20)).await;
    }
    client.expect_end().await;
    assert!(began.elapsed() >= ms(300), "after {:?}", began.elapsed());
    proxy.expect_outcome("request_timeout").await;
}

/// Empty lines now and then held a connection for as long as the client liked, past every limit: a
/// first one, and one that had been served.
#[tokio::test]
async fn empty_lines_hold_no_connection() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| {
            proxy.timeouts.request_head = ms(300);
            proxy.timeouts.http_idle = Some(ms(400));
        })
        .start(&upstreams);
    for served in [false, true] {
        let mut client = proxy.dial().connect().await;
        if served {
            client.ask(&Request::get("/")).await;
            let mut upstream = upstreams.accept().await;
            upstream.expect_head().await;
            upstream
                .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
                .await;
            client.expect_answer(200).await;
        }
        let began = Instant::now();
        while client.try_send("\r\n").await {
            assert!(began.elapsed() < ms(5000), "it is still there");
            sleep(ms(20)).await;
        }
        assert!(began.elapsed() >= ms(300), "after {:?}", began.elapsed());
    }
}

/// And lubdub kept them all, up to the size of a head.
#[tokio::test]
async fn empty_lines_before_a_request_are_not_kept() {
    const CLIENTS: usize = 100;
    const LINES: usize = 30 * 1024;
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = lubdub.dial().connect().await;
        client.send("\r\n").await;
        clients.push(client);
    }
    let before = lubdub.resident();
    for client in &mut clients {
        client.send("\r\n".repeat(LINES)).await;
    }
    // A request behind them is answered: so they have been read.
    for client in &mut clients {
        client.ask(&Request::get("/")).await;
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        let grown = lubdub.resident().saturating_sub(before);
        assert!(
            // The exchange itself takes some; the lines would take 60 KiB more.
            grown < CLIENTS * 48 * 1024,
            "{grown} bytes more than before"
        );
    }
}

/// A plain request to an upstream that never answered was waited for until the client gave up.
#[tokio::test]
async fn an_upstream_that_is_silent_is_a_gateway_timeout() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .terms(|terms| terms.http_idle = Some(ms(300)))
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let began = Instant::now();
    client.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    client.expect_answer(504).await;
    assert!(began.elapsed() >= ms(300), "after {:?}", began.elapsed());
    upstream.expect_end().await;
}

/// A turn that had used up the runtime's budget to the last unit asked for its wake-up in vain, and
/// the pair slept until somebody spoke: it was neither pinged nor called dead. A client brought that
/// about with as many small frames behind its request as there are units (128 of Tokio 1.54).
#[tokio::test]
async fn a_pair_that_begins_with_a_hundred_frames_is_pinged_like_any_other() {
    const FRAMES: std::ops::RangeInclusive<usize> = 100..=150;
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .ping(Side::Client, ms(100), ms(100))
        .start(&upstreams);
    let mut peers = Vec::new();
    for frames in FRAMES {
        let mut client = proxy.dial().connect().await;
        let mut bytes = Request::upgrade("/").encode();
        for _ in 0..frames {
            bytes.extend(client.encode(&Frame::ping("")));
        }
        client.send(bytes).await;
        let mut upstream = upstreams.accept().await;
        upstream.accept_upgrade().await;
        peers.push((client, upstream));
    }
    let lapsed = FRAMES.count() as f64;
    let series = [("cause", "client_lapsed")];
    proxy
        .expect_metric("pairs_closed_total", &series, lapsed)
        .await;
}

/// An answer that stood still was cut by lubdub, and the log knew of it at `debug` only.
#[tokio::test]
async fn an_answer_that_stands_still_is_told_of_as_one() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &["timeouts.http_idle=300ms"]).await;
    let (mut client, mut upstream, _) = lubdub
        .dial()
        .ask(&Request::get("/slow?token=hunter2"), &upstreams)
        .await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nnot")
        .await;
    client.expect_head().await;
    let line = lubdub.expect_logged("not served").await;
    assert_eq!(line["outcome"], "answer_timeout", "{line}");
    assert_eq!(line["request"], "lubdub.example/slow", "{line}");
    assert_eq!(line["reason"], "nothing moved for timeouts.http_idle");
}
