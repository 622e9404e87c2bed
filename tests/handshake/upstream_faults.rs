//! Upstreams that are not there, say nothing, or answer with nonsense.

use lubdub_testkit::http::{ACCEPT, Request};
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Dial, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_testkit::way;
use tokio::time::Instant;

use crate::FRONT;

/// An upgrade fails with this status and outcome; lubdub says so and ends the connection.
async fn fails(proxy: &RunningProxy, status: u16, outcome: &str) {
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    let (head, body) = client.expect_answer(status).await;
    assert_eq!(head.field("connection"), Some("close"));
    assert!(body.starts_with(&status.to_string()), "{body:?}");
    client.expect_eof().await;
    proxy.expect_outcome(outcome).await;
    proxy.expect_no_pairs().await;
}

/// The upstream gives this answer to an upgrade, which then fails.
async fn answer_fails(answer: &str, outcome: &str) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let answering = async {
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        upstream.send(answer).await;
        upstream.expect_end().await;
    };
    tokio::join!(fails(&proxy, 502, outcome), answering);
}

#[tokio::test]
async fn a_101_with_the_wrong_accept_is_no_101() {
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    answer_fails(wrong, "bad_answer").await;
}

#[tokio::test]
async fn a_101_without_upgrade_is_no_101() {
    let other = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    answer_fails(&other, "bad_answer").await;
    let none = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    answer_fails(&none, "bad_answer").await;
}

#[tokio::test]
async fn what_is_not_http_is_no_answer() {
    answer_fails("SSH-2.0-OpenSSH_9.9\r\n\r\n", "bad_answer").await;
}

#[tokio::test]
async fn an_upstream_that_goes_away_instead_of_answering_is_a_bad_one() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let going = async {
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
    };
    tokio::join!(fails(&proxy, 502, "bad_answer"), going);
}

#[tokio::test]
async fn an_upstream_that_refuses_to_connect() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    drop(upstreams);
    fails(&proxy, 502, "connect_failed").await;
    let failed = [("upstream", "main"), ("outcome", "failed")];
    assert_eq!(proxy.metric("upstream_connects_total", &failed), 1.0);
}

#[tokio::test]
async fn an_upstream_that_does_not_connect_in_time() {
    // Its accept queue is full, so the kernel drops what comes after.
    let upstreams = Upstream::bind(None, 0);
    let mut waiting = Vec::new();
    while let Ok(connected) =
        tokio::time::timeout(ms(100), Dial::to(upstreams.address()).open()).await
    {
        match connected {
            Ok(connected) => waiting.push(connected),
            // A Unix socket says that its queue is full.
            Err(_) if way::is_unix() => break,
            Err(error) => panic!("no place in the queue: {error}"),
        }
    }
    let proxy = ProxyBox::new()
        .front(FRONT)
        .terms(|terms| terms.connect = ms(200))
        .start(&upstreams);
    let began = Instant::now();
    fails(&proxy, 504, "connect_timeout").await;
    assert!(began.elapsed() >= ms(200));
    let timeout = [("upstream", "main"), ("outcome", "timeout")];
    assert_eq!(proxy.metric("upstream_connects_total", &timeout), 1.0);
}

#[tokio::test]
async fn an_upstream_that_does_not_answer_in_time() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .front(FRONT)
        .terms(|terms| terms.answer = ms(200))
        .start(&upstreams);
    let silence = async {
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        upstream.expect_end().await;
    };
    let began = Instant::now();
    tokio::join!(fails(&proxy, 504, "answer_timeout"), silence);
    assert!(began.elapsed() >= ms(200));
}
