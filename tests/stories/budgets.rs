//! Budgets: one hung upstream, or those who only wait, kept everybody else out.

use std::num::NonZeroUsize;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use tokio::time::{Instant, timeout};

use crate::LONG;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client that asks, and the status of the answer that it gets at once.
async fn refused(proxy: &RunningProxy, request: &Request) -> Peer {
    let mut client = proxy.dial().connect().await;
    client.ask(request).await;
    let (head, _) = client.expect_answer(503).await;
    assert!(head.field("retry-after").is_some(), "{head:?}");
    client
}

/// 1,200 upgrades to an upstream that accepted and never answered took all places for handshakes, and
/// a client of another route waited for 19 s.
#[tokio::test]
async fn an_upstream_that_never_answers_delays_nobody_elses_clients() {
    const HUNG: usize = 40;
    let (hung, well) = (Upstream::listen(), Upstream::listen());
    let lubdub = Binary::start_with(&[
        &format!("upstream.hung.url=ws://{}", hung.address()),
        &format!("upstream.well.url=ws://{}", well.address()),
        "route.hung.path_prefix=/hung",
        "route.hung.upstream=hung",
        "route.well.upstream=well",
        "limits.handshakes=4",
    ])
    .await;
    let mut waiting = Vec::new();
    for _ in 0..HUNG {
        let mut client = lubdub.dial().connect().await;
        client.ask(&Request::upgrade("/hung")).await;
        waiting.push((client, hung.accept().await));
    }
    let began = Instant::now();
    let (_client, _upstream) = tokio::join!(lubdub.dial().websocket(), well.accept_websocket());
    let mut plain = lubdub.dial().connect().await;
    plain.ask(&Request::get("/")).await;
    let mut upstream = well.accept().await;
    upstream.expect_head().await;
    upstream.send(OK).await;
    plain.expect_answer(200).await;
    assert!(began.elapsed() < ms(2000), "after {:?}", began.elapsed());
    let scrape = lubdub.scrape().await;
    let hung = |name: &str| scrape.sum(name, &[("upstream", "hung")]);
    assert_eq!(hung("lubdub_upstream_waiting"), HUNG as f64);
    assert_eq!(hung("lubdub_upstream_waiting_max"), 1024.0);
}

/// An upstream that has as many upgrades unanswered as it may have refuses its own at once.
#[tokio::test]
async fn upgrades_beyond_those_that_an_upstream_may_have_waiting_are_refused_at_once() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .terms(|terms| terms.answer = LONG)
        .with(|proxy| proxy.waiting = 1)
        .start(&upstreams);
    let mut first = proxy.dial().connect().await;
    first.ask(&Request::upgrade("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    refused(&proxy, &Request::upgrade("/"))
        .await
        .expect_eof()
        .await;
    proxy.expect_outcome("upstream_busy").await;
    // A plain request would need a connection, and there is no place to make one.
    refused(&proxy, &Request::get("/")).await;
    upstream
        .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        .await;
    first.expect_answer(403).await;
    let (_client, _upstream) = tokio::join!(proxy.dial().websocket(), upstreams.accept_websocket());
}

/// The same of plain requests, long polls included; and the connection goes on.
#[tokio::test]
async fn plain_requests_beyond_those_that_an_upstream_may_have_are_refused_at_once() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.requests = 1)
        .start(&upstreams);
    let mut poll = proxy.dial().connect().await;
    poll.ask(&Request::get("/poll")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    let mut second = refused(&proxy, &Request::get("/")).await;
    upstream.send(OK).await;
    poll.expect_answer(200).await;
    second.ask(&Request::get("/again")).await;
    upstream.expect_head().await;
    upstream.send(OK).await;
    second.expect_answer(200).await;
}

/// 105 idle connections kept a new WebSocket out, and nothing said so.
#[tokio::test]
async fn an_idle_connection_makes_room_for_one_that_comes() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::new(2).expect("2 is not 0"))
        .start(&upstreams);
    let mut older = answered(&proxy, &upstreams).await;
    let mut younger = answered(&proxy, &upstreams).await;
    let (client, _upstream) = timeout(ms(2000), async {
        tokio::join!(proxy.dial().websocket(), upstreams.accept_websocket())
    })
    .await
    .expect("there is room");
    older.expect_end().await;
    // Whoever is busy has to stay.
    younger.ask(&Request::get("/")).await;
    younger.expect_silence(ms(100)).await;
    assert_eq!(proxy.metric("connections", &[("listener", "main")]), 2.0);
    assert_eq!(proxy.metric("connections_max", &[]), 2.0);
    drop(client);
}

/// A client whose first request has been answered.
async fn answered(proxy: &RunningProxy, upstreams: &Upstream) -> Peer {
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        .await;
    client.expect_answer(200).await;
    client
}

/// Nobody was told when places ran out, and nothing counted for how long nobody was let in.
#[tokio::test]
async fn a_listener_that_lets_nobody_in_says_for_how_long() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::MIN)
        .start(&upstreams);
    let (client, upstream) = tokio::join!(proxy.dial().websocket(), upstreams.accept_websocket());
    let waiting = proxy.dial().connect().await;
    let paused = [("reason", "connections")];
    proxy
        .expect_at_least("accept_paused_seconds_total", &paused, 2.0)
        .await;
    assert_eq!(
        proxy.metric("accept_paused_seconds_total", &[("reason", "files")]),
        0.0
    );
    drop((client, upstream, waiting));
}
