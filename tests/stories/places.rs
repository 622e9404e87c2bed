//! Places that were kept by those who did not need them, or given to those who had none.

use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lubdub_metrics::{BuildInfo, Metrics, Names};
use lubdub_proxy::Proxy;
use lubdub_proxy::settings::{Listener, Logging, Route, Settings, Upstream as Backend};
use lubdub_testkit::http::{Request, SWITCHING};
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Dial, Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};

/// A proxy with one place for handshakes, and patience with those who have it.
fn one_handshake() -> ProxyBox {
    ProxyBox::new()
        .terms(|terms| terms.answer = crate::LONG)
        .with(|proxy| proxy.limits.handshakes = NonZeroUsize::MIN)
}

/// A pair comes about.
async fn pair(proxy: &RunningProxy, upstreams: &Upstream) -> (Peer, Peer) {
    tokio::join!(proxy.dial().websocket(), upstreams.accept_websocket())
}

/// An upstream that refused an upgrade and never came to an end with why, kept a place among the
/// handshakes for as long as it talked.
#[tokio::test]
async fn a_refusal_without_an_end_keeps_no_handshakes_place() {
    let upstreams = Upstream::listen();
    let proxy = one_handshake().start(&upstreams);
    let mut refused = proxy.dial().connect().await;
    refused.ask(&Request::upgrade("/")).await;
    let mut talkative = upstreams.accept().await;
    talkative.expect_head().await;
    talkative
        .send("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nbecause\r\n")
        .await;
    refused.expect_answer(403).await;
    assert_eq!(refused.expect_chunk().await, "because");
    let (_client, _upstream) = pair(&proxy, &upstreams).await;
    talkative.send("3\r\nand\r\n").await;
    assert_eq!(refused.expect_chunk().await, "and");
}

/// A silent client gives its place back, and then upgraded without one.
#[tokio::test]
async fn who_was_silent_needs_a_place_again_to_upgrade() {
    let upstreams = Upstream::listen();
    let proxy = one_handshake().start(&upstreams);
    let mut silent = proxy.dial().connect().await;
    let mut slow = proxy.dial().connect().await;
    slow.ask(&Request::upgrade("/")).await;
    // There is one place, so the silent client, who came first, has none any more.
    let mut first = upstreams.accept().await;
    first.expect_head().await;
    needs_a_place(&mut silent, &mut first, &upstreams).await;
    slow.expect_switch().await;
}

/// So does a client that asks for something else first.
#[tokio::test]
async fn who_asked_for_something_else_needs_a_place_again_to_upgrade() {
    let upstreams = Upstream::listen();
    let proxy = one_handshake().start(&upstreams);
    let mut polite = proxy.dial().connect().await;
    polite.ask(&Request::get("/")).await;
    let mut pooled = upstreams.accept().await;
    pooled.expect_head().await;
    pooled.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    polite.expect_answer(204).await;
    let mut slow = proxy.dial().connect().await;
    slow.ask(&Request::upgrade("/")).await;
    let mut first = upstreams.accept().await;
    first.expect_head().await;
    needs_a_place(&mut polite, &mut first, &upstreams).await;
    slow.expect_switch().await;
}

/// The client's upgrade reaches the upstream when that of another, which has the place, is done.
async fn needs_a_place(client: &mut Peer, other: &mut Peer, upstreams: &Upstream) {
    client.ask(&Request::upgrade("/")).await;
    upstreams.expect_nobody(ms(100)).await;
    other.send(SWITCHING).await;
    upstreams.accept_websocket().await;
    client.expect_switch().await;
}

/// Connections were accepted without regard to the file limit, until accepting itself failed.
#[tokio::test]
async fn who_finds_every_socket_taken_waits_until_somebody_leaves() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.sockets = NonZeroUsize::MIN)
        .start(&upstreams);
    let (client, upstream) = pair(&proxy, &upstreams).await;
    let mut next = proxy.dial().connect().await;
    next.ask(&Request::upgrade("/")).await;
    upstreams.expect_nobody(ms(100)).await;
    drop((client, upstream));
    upstreams.accept_websocket().await;
    next.expect_switch().await;
}

/// What had no socket left for the upstream was told that the upstream was at fault.
#[tokio::test]
async fn who_finds_no_socket_for_the_upstream_is_told_to_come_back() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.sockets = NonZeroUsize::MIN)
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    let mut pooled = upstreams.accept().await;
    pooled.expect_head().await;
    pooled.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
    // That connection is kept for the next request, and there is no other.
    client.ask(&Request::upgrade("/")).await;
    let (head, _) = client.expect_answer(503).await;
    assert!(head.field("retry-after").is_some(), "{head:?}");
    proxy.expect_outcome("at_capacity").await;
}

/// An idle listener held the last place for a handshake, in case somebody came.
#[tokio::test]
async fn an_idle_listener_does_not_keep_the_others_from_their_clients() {
    let upstreams = Upstream::listen();
    let names = Names {
        listeners: &["one", "two"],
        routes: &["main"],
    };
    let build = BuildInfo {
        version: "0",
        revision: "test",
    };
    let metrics = Arc::new(Metrics::new(build, names).expect("names are told apart"));
    let proxy = Proxy::start(two_listeners(&upstreams), &metrics).expect("loopback has free ports");
    let mut pairs = Vec::new();
    // Whichever of them is idle, the other has one client after the other.
    for &(_, address) in proxy.addresses() {
        for _ in 0..3 {
            let client = Dial::to(address);
            pairs.push(tokio::join!(
                client.websocket(),
                upstreams.accept_websocket()
            ));
        }
    }
}

/// Two listeners, and one place for handshakes.
fn two_listeners(upstreams: &Upstream) -> Settings {
    let of_box = ProxyBox::new();
    let listener = |name: &str| Listener {
        name: name.into(),
        address: (Ipv4Addr::LOCALHOST, 0).into(),
        tls: None,
    };
    let address = upstreams.address();
    let backend = Backend {
        name: "main".into(),
        host: address.ip().to_string().into(),
        port: address.port(),
        tls: None,
    };
    let route = Route {
        name: "main".into(),
        host: None,
        path_prefix: "/".to_owned(),
        upstream: Arc::new(backend),
        terms: Arc::new(of_box.terms),
        pairs: None,
    };
    let mut limits = of_box.limits;
    limits.handshakes = NonZeroUsize::MIN;
    Settings {
        listeners: vec![listener("one"), listener("two")],
        routes: vec![Arc::new(route)],
        timeouts: of_box.timeouts,
        limits,
        forwarded: of_box.forwarded,
        drain: of_box.drain,
        logging: Logging::default(),
        workers: NonZeroUsize::MIN,
    }
}
