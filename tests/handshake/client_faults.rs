//! Clients whose request is wrong, slow or unwelcome, or who do not wait for the answer.

use lubdub_proxy::Drained;
use lubdub_proxy::settings::HostPattern;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::way;
use tokio::time::Instant;

use crate::FRONT;

/// lubdub refuses this request with this status, and the upstream hears nothing of it.
async fn refused(proxy: ProxyBox, request: &[u8], status: u16, outcome: &str) {
    let upstreams = Upstream::listen();
    let proxy = proxy.start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.send(request).await;
    let (head, _) = client.expect_answer(status).await;
    assert_eq!(head.field("connection"), Some("close"));
    client.expect_end().await;
    // lubdub lingers behind its answer until the client is done.
    drop(client);
    upstreams.expect_nobody(ms(20)).await;
    proxy.expect_outcome(outcome).await;
}

#[tokio::test]
async fn an_upgrade_with_a_body_is_refused() {
    let sized = Request::upgrade("/").field("Content-Length", "5").encode();
    refused(
        ProxyBox::new().front(FRONT),
        &[&sized[..], b"hello"].concat(),
        400,
        "bad_request",
    )
    .await;
    let chunked = Request::upgrade("/")
        .field("Transfer-Encoding", "chunked")
        .encode();
    refused(
        ProxyBox::new().front(FRONT),
        &[&chunked[..], b"0\r\n\r\n"].concat(),
        400,
        "bad_request",
    )
    .await;
}

#[tokio::test]
async fn an_upgrade_without_a_host_is_refused() {
    let request = Request::upgrade("/").without("host").encode();
    refused(ProxyBox::new().front(FRONT), &request, 400, "bad_request").await;
}

#[tokio::test]
async fn an_upgrade_with_two_hosts_is_refused() {
    let request = Request::upgrade("/")
        .field("Host", "other.example")
        .encode();
    refused(ProxyBox::new().front(FRONT), &request, 400, "bad_request").await;
}

#[tokio::test]
async fn what_is_not_http_is_refused() {
    refused(
        ProxyBox::new().front(FRONT),
        b"\x01\x03\x01 this is not HTTP\r\n\r\n",
        400,
        "bad_request",
    )
    .await;
}

#[tokio::test]
async fn an_upgrade_that_no_route_covers_is_refused() {
    let proxy = ProxyBox::new()
        .front(FRONT)
        .with(|proxy| proxy.host = Some(HostPattern::new("chat.example")));
    let request = Request::upgrade("/").host("other.example").encode();
    refused(proxy, &request, 404, "no_route").await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let proxy = ProxyBox::new()
        .front(FRONT)
        .with(|proxy| proxy.limits.head_bytes = 16 * 1024);
    let request = Request::upgrade("/")
        .field("X-Large", &"x".repeat(20 * 1024))
        .encode();
    refused(proxy, &request, 431, "bad_request").await;
}

#[tokio::test]
async fn a_head_that_is_slow_is_not_waited_for() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .front(FRONT)
        .with(|proxy| proxy.timeouts.request_head = ms(300))
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let began = Instant::now();
    // A byte now and then does not put it off.
    let request = Request::upgrade("/").encode();
    for byte in &request {
        if !client.try_send(&[*byte]).await {
            break;
        }
        tokio::time::sleep(ms(20)).await;
    }
    client.expect_end().await;
    assert!(
        (ms(300)..ms(2000)).contains(&began.elapsed()),
        "after {:?}",
        began.elapsed()
    );
    proxy.expect_outcome("request_timeout").await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .front(FRONT)
        .with(|proxy| proxy.timeouts.first_byte = ms(200))
        .start(&upstreams);
    let began = Instant::now();
    let mut client = proxy.dial().connect().await;
    FRONT.expect_dropped(&mut client).await;
    assert!(began.elapsed() >= ms(200), "after {:?}", began.elapsed());
    proxy.expect_outcome("request_timeout").await;
}

#[tokio::test]
async fn there_is_no_room_for_more_pairs_than_allowed() {
    let whole = ProxyBox::new()
        .front(FRONT)
        .with(|proxy| proxy.limits.pairs = 1);
    let of_source = ProxyBox::new()
        .front(FRONT)
        .with(|proxy| proxy.limits.pairs_per_source = Some(1));
    let of_route = ProxyBox::new()
        .front(FRONT)
        .with(|proxy| proxy.route_pairs = Some(1));
    let limits = [
        (whole, "at_capacity"),
        // Who comes over a Unix socket is of no source.
        (
            if way::is_unix() {
                of_route.clone()
            } else {
                of_source
            },
            "limited",
        ),
        (of_route, "limited"),
    ];
    for (proxy, outcome) in limits {
        let upstreams = Upstream::listen();
        let proxy = proxy.start(&upstreams);
        let (client, upstream) = proxy.pair(&upstreams).await;
        let mut refused = proxy.dial().connect().await;
        refused.ask(&Request::upgrade("/")).await;
        let (head, _) = refused.expect_answer(503).await;
        assert!(head.field("retry-after").is_some(), "{head:?}");
        assert_eq!(head.field("connection"), Some("close"));
        refused.expect_eof().await;
        proxy
            .expect_metric("handshakes_total", &[("outcome", outcome)], 1.0)
            .await;
        drop((client, upstream));
        proxy.expect_no_pairs().await;
        proxy.pair(&upstreams).await;
    }
}

/// The listener had let this client in, so it is owed an answer.
#[tokio::test]
async fn who_was_about_to_ask_when_the_drain_began_is_told_to_come_back() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let request = Request::upgrade("/").encode();
    let (front, back) = request.split_at(20);
    client.send(front).await;
    client.expect_silence(ms(50)).await;
    let asks = async {
        while proxy.dial().open().await.is_ok() {}
        client.send(back).await;
        let (head, _) = client.expect_answer(503).await;
        assert!(head.field("retry-after").is_some(), "{head:?}");
        client.expect_end().await;
        drop(client);
    };
    let (drained, ()) = tokio::join!(proxy.drain(), asks);
    assert_eq!(drained, Drained::Clean);
    proxy
        .expect_metric("handshakes_total", &[("outcome", "draining")], 1.0)
        .await;
}

#[tokio::test]
async fn a_client_that_goes_before_the_answer_takes_the_upstream_with_it() {
    for reset in [false, true] {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
        let (client, mut upstream, _) = proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
        if reset {
            client.reset();
        } else {
            drop(client);
        }
        // At once, though the client that closed may still be listening for all that lubdub knows.
        upstream.expect_end().await;
        drop(upstream);
        proxy.expect_outcome("client_gone").await;
        proxy.expect_no_pairs().await;
    }
}
