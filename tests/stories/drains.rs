//! Shutdowns that did not end, or ended somebody who was owed an answer.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use lubdub_proxy::Drained;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::{LONG, PATIENCE, ms};
use tokio::time::{Instant, sleep, timeout};

/// Clients that wait in the accept queue.
const CROWD: usize = 16;
/// So many of them are taken at a time though there is no place for them.
const BEYOND: usize = 16;

/// A listener that was being closed took what was in its accept queue only when a handshake had
/// ended, and went on for as long as others came.
#[tokio::test]
async fn a_drain_under_load_ends_in_time() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .terms(|terms| terms.answer = LONG)
        .with(|proxy| {
            proxy.limits.handshakes = NonZeroUsize::MIN;
            proxy.drain.timeout = ms(300);
        })
        .start(&upstreams);
    let (_slow, _upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    let mut crowd = VecDeque::new();
    for _ in 0..CROWD {
        crowd.push_back(proxy.dial().connect().await);
    }
    let comers = async {
        // Until nobody listens any more; who has waited longest makes room.
        while let Ok(client) = proxy.dial().open().await {
            crowd.push_back(client);
            crowd.pop_front();
            sleep(ms(1)).await;
        }
    };
    let began = Instant::now();
    let drained = timeout(PATIENCE, async { tokio::join!(proxy.drain(), comers) }).await;
    assert!(drained.is_ok(), "the drain goes on and on");
    assert!(began.elapsed() >= ms(300), "after {:?}", began.elapsed());
}

/// Who had connected and was still in the accept queue, was reset by the closing of the listener.
#[tokio::test]
async fn who_connected_just_before_a_drain_is_told_to_come_back() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::MIN)
        .start(&upstreams);
    let (mut slow, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    // There is no place for these: the kernel has accepted them, and lubdub has not.
    let mut eager = proxy.dial().connect().await;
    eager.ask(&Request::upgrade("/")).await;
    let mut hesitant = proxy.dial().connect().await;
    let comers = async {
        eager.expect_answer(503).await;
        eager.expect_eof().await;
        hesitant.ask(&Request::upgrade("/")).await;
        hesitant.expect_answer(503).await;
        hesitant.expect_eof().await;
        upstream
            .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .await;
        slow.expect_answer(403).await;
        drop((eager, hesitant, slow));
    };
    let (drained, ()) = tokio::join!(proxy.drain(), comers);
    assert_eq!(drained, Drained::Clean);
    proxy
        .expect_metric("handshakes_total", &[("outcome", "draining")], 2.0)
        .await;
}

/// A listener that was being closed took all that was in its accept queue at once: each took a descriptor,
/// and those who were being served got none.
#[tokio::test]
async fn a_drain_takes_few_at_a_time_beyond_the_places_that_there_are() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .terms(|terms| terms.answer = LONG)
        .with(|proxy| {
            proxy.limits.connections = NonZeroUsize::MIN;
            proxy.drain.timeout = LONG;
        })
        .start(&upstreams);
    let (mut slow, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    // All of these wait in the accept queue, in this order. Who has begun to ask is not idle.
    let request = Request::upgrade("/").encode();
    let (front, back) = request.split_at(8);
    let mut crowd = VecDeque::new();
    for _ in 0..BEYOND {
        let mut client = proxy.dial().connect().await;
        client.send(front).await;
        crowd.push_back(client);
    }
    let mut last = proxy.dial().connect().await;
    last.ask(&Request::upgrade("/")).await;
    let comers = async {
        let taken = (1 + BEYOND) as f64;
        proxy.expect_at_least("connections", &[], taken).await;
        last.expect_silence(ms(300)).await;
        assert_eq!(proxy.metric("connections", &[]), taken);
        // One leaves, and the next is taken.
        let mut first = crowd.pop_front().expect("there is a crowd");
        first.send(back).await;
        first.expect_answer(503).await;
        first.expect_eof().await;
        drop(first);
        last.expect_answer(503).await;
        upstream
            .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .await;
        slow.expect_answer(403).await;
        drop((slow, last, crowd));
    };
    let (drained, ()) = tokio::join!(proxy.drain(), comers);
    assert_eq!(drained, Drained::Clean);
}

/// Those who said nothing kept the few places that a drain gives beyond those that there are, and others
/// waited for `first_byte` to be told.
#[tokio::test]
async fn who_says_nothing_goes_so_that_others_are_told_of_a_drain() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .terms(|terms| terms.answer = LONG)
        .with(|proxy| {
            proxy.limits.connections = NonZeroUsize::MIN;
            proxy.timeouts.first_byte = LONG;
            proxy.drain.timeout = LONG;
        })
        .start(&upstreams);
    let (mut slow, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    let mut silent = VecDeque::new();
    for _ in 0..BEYOND {
        silent.push_back(proxy.dial().connect().await);
    }
    let mut last = proxy.dial().connect().await;
    last.ask(&Request::upgrade("/")).await;
    let comers = async {
        last.expect_answer(503).await;
        silent.pop_front().expect("one of them").expect_end().await;
        upstream
            .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            .await;
        slow.expect_answer(403).await;
        drop((slow, last, silent));
    };
    let (drained, ()) = tokio::join!(proxy.drain(), comers);
    assert_eq!(drained, Drained::Clean);
}

/// An answer whose head had left before the drain could not say that the connection would end, so
/// the connection was kept until the drain timeout.
#[tokio::test]
async fn a_connection_in_mid_answer_at_a_drain_ends_behind_its_answer() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.drain.timeout = LONG)
        .start(&upstreams);
    let (mut idle, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    idle.expect_answer(204).await;
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    upstream.expect_head().await;
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        .await;
    client.expect_head().await;
    client.expect_bytes("first").await;
    let exchange = async {
        // A connection on which nothing goes on is let go of as soon as lubdub drains.
        idle.expect_eof().await;
        upstream.send(" last").await;
        client.expect_bytes(" last").await;
        client.expect_eof().await;
    };
    let (drained, ()) = tokio::join!(proxy.drain(), exchange);
    assert_eq!(drained, Drained::Clean);
}
