//! Waits without a limit, or whose limit held only the first time.

use lubdub_keepalive::Side;
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
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
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
