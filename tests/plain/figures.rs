//! What is counted: plain requests by how they ended, connects to the upstream, and when it was well.

use std::net::SocketAddr;

use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_testkit::way::Port;
use lubdub_testkit::{certs, ms};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\n\r\nok")
}

fn connects(proxy: &RunningProxy) -> Vec<(String, f64)> {
    let scrape = proxy.scrape();
    let sums = scrape.sums("lubdub_upstream_connects_total", "outcome");
    sums.into_iter().collect()
}

fn last_success(proxy: &RunningProxy) -> f64 {
    proxy.metric("upstream_last_success_timestamp_seconds", &[])
}

/// Asks for something plain and is refused by lubdub itself.
async fn refused(proxy: &RunningProxy, status: u16) {
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    client.expect_answer(status).await;
}

#[tokio::test]
async fn a_plain_request_counts_once_by_the_class_of_its_answer() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let mut upstream = None;
    for status in [204, 302, 404, 503] {
        client.ask(&Request::get("/")).await;
        if upstream.is_none() {
            upstream = Some(upstreams.accept().await);
        }
        let upstream = upstream.as_mut().expect("it has connected");
        upstream.expect_head().await;
        // An answer in between is none of its own.
        upstream.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
        match status {
            204 => upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await,
            _ => upstream.send(answer(status)).await,
        }
        client.expect_answer(status).await;
    }
    // A 101 that nobody asked for is not passed on, and one that breaks off has failed.
    client.ask(&Request::get("/")).await;
    let mut upstream = upstream.expect("it has connected");
    upstream.expect_head().await;
    upstream
        .send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        .await;
    client.expect_answer(502).await;
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
        .await;
    drop(upstream);
    client.expect_end().await;

    for class in ["2xx", "3xx", "4xx", "5xx", "own", "failed"] {
        let labels = [("route", "main"), ("class", class)];
        proxy
            .expect_metric("http_requests_total", &labels, 1.0)
            .await;
    }
    assert_eq!(proxy.metric("http_requests_total", &[]), 6.0);
    let durations = "http_request_duration_seconds_count";
    assert_eq!(proxy.metric(durations, &[]), 6.0);
}

#[tokio::test]
async fn a_plain_request_that_reaches_no_route_counts_as_that() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.path_prefix = "/chat".to_owned())
        .start(&upstreams);
    refused(&proxy, 404).await;
    let labels = [("route", "none"), ("class", "own")];
    assert_eq!(proxy.metric("http_requests_total", &labels), 1.0);
}

#[tokio::test]
async fn a_connection_that_is_used_again_was_connected_once() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    for n in 0..3 {
        if n > 0 {
            client.ask(&Request::get("/")).await;
        }
        upstream.expect_head().await;
        upstream.send(OK).await;
        client.expect_answer(200).await;
    }
    assert_eq!(connects(&proxy), [("connected".to_owned(), 1.0)]);
    let durations = "upstream_connect_duration_seconds_count";
    assert_eq!(proxy.metric(durations, &[]), 1.0);
}

#[tokio::test]
async fn an_upstream_is_well_when_it_answers_with_less_than_500() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    assert_eq!(last_success(&proxy), 0.0, "never");
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    assert_eq!(last_success(&proxy), 0.0, "it is connected, and no more");
    upstream.send(answer(503)).await;
    client.expect_answer(503).await;
    assert_eq!(last_success(&proxy), 0.0, "it says that it is not well");
    client.ask(&Request::get("/")).await;
    upstream.expect_head().await;
    upstream.send(answer(404)).await;
    client.expect_answer(404).await;
    let answered = last_success(&proxy);
    assert!(answered > 1.7e9, "Unix time: {answered}");

    // A handshake says so as well, and what passes over a pair does not. Moments are told to the millisecond.
    tokio::time::sleep(ms(2)).await;
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    let mut upstream = upstreams.accept_websocket().await;
    client.expect_switch().await;
    let switched = last_success(&proxy);
    assert!(switched > answered, "{switched} after {answered}");
    tokio::time::sleep(ms(2)).await;
    upstream.send_text("hello").await;
    client.expect_text("hello").await;
    assert_eq!(last_success(&proxy), switched);
}

/// Each ends in another way; whoever may be asked of the upstream is told the same.
#[tokio::test]
async fn connects_count_by_how_they_ended() {
    let nobody = Port::hold().expect("loopback has a free port");
    let before = |settings: ProxyBox, upstream: SocketAddr| settings.start_before(upstream);

    let proxy = before(ProxyBox::new(), nobody.address);
    refused(&proxy, 502).await;
    assert_eq!(connects(&proxy), [("failed".to_owned(), 1.0)]);

    let (theirs, ours) = (certs::Certs::generate(), certs::Certs::generate());
    let upstreams = Upstream::listen().tls(theirs.accepting());
    let settings = ProxyBox::new().with(|proxy| proxy.upstream_tls = Some(ours.verifying()));
    let proxy = settings.start(&upstreams);
    tokio::join!(refused(&proxy, 502), upstreams.expect_no_handshake());
    assert_eq!(connects(&proxy), [("tls_failed".to_owned(), 1.0)]);
    assert_eq!(last_success(&proxy), 0.0);

    let upstream = &proxy.control().upstreams()[0];
    assert_eq!((&*upstream.name, upstream.pairs), ("main", 0));
    assert_eq!(upstream.last_success, None);
    let told: u64 = upstream.connects.iter().map(|(_, count)| count).sum();
    assert_eq!(told, 1);
}
