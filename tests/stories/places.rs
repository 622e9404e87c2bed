//! Places that were kept by those who did not need them, or given to those who had none.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;

use lubdub_proxy::Proxy;
use lubdub_proxy::settings::{Listener, ProxyProtocol, Settings};
use lubdub_proxy::unix::Permissions;
use lubdub_testkit::http::{Request, SWITCHING};
use lubdub_testkit::peer::{Dial, Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy, metrics};
use lubdub_testkit::{LONG, eventually, ms};

/// A proxy with one place for handshakes, and patience with those who have it.
fn one_handshake() -> ProxyBox {
    ProxyBox::new()
        .terms(|terms| terms.answer = LONG)
        .with(|proxy| proxy.limits.handshakes = NonZeroUsize::MIN)
}

/// An upstream that refused an upgrade and never came to an end with why, kept a place among the
/// handshakes for as long as it talked.
#[tokio::test]
async fn a_refusal_without_an_end_keeps_no_handshakes_place() {
    let upstreams = Upstream::listen();
    let proxy = one_handshake().start(&upstreams);
    let (mut refused, mut talkative, _) =
        proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    talkative
        .send("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nbecause\r\n")
        .await;
    refused.expect_answer(403).await;
    assert_eq!(refused.expect_chunk().await, "because");
    let (_client, _upstream) = proxy.pair(&upstreams).await;
    talkative.send("3\r\nand\r\n").await;
    assert_eq!(refused.expect_chunk().await, "and");
}

/// An upgrade kept its place among the handshakes until its upstream answered, so that upstreams that did
/// not answer kept everybody out.
#[tokio::test]
async fn an_upgrade_that_waits_for_its_upstream_keeps_no_handshakes_place() {
    let upstreams = Upstream::listen();
    let proxy = one_handshake().start(&upstreams);
    let (mut unanswered, mut silent, _) =
        proxy.dial().ask(&Request::upgrade("/"), &upstreams).await;
    let (_client, _upstream) = proxy.pair(&upstreams).await;
    assert_eq!(proxy.metric("handshakes_in_flight", &[]), 0.0);
    silent.send(SWITCHING).await;
    unanswered.expect_switch().await;
}

/// Connections were accepted without regard to the file limit, until accepting itself failed.
#[tokio::test]
async fn who_finds_every_socket_taken_waits_until_somebody_leaves() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::MIN)
        .start(&upstreams);
    let (client, upstream) = proxy.pair(&upstreams).await;
    let mut next = proxy.dial().connect().await;
    next.ask(&Request::upgrade("/")).await;
    upstreams.expect_nobody(ms(100)).await;
    drop((client, upstream));
    upstreams.accept_websocket().await;
    next.expect_switch().await;
}

/// A client that asks for a page, which its upstream answers with `answer`, and then for an upgrade, where
/// there is a socket for one connection to an upstream.
async fn a_page_and_an_upgrade(answer: &str) -> (RunningProxy, Upstream, Peer, Peer) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::MIN)
        .start(&upstreams);
    let (mut client, mut page, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    page.send(answer).await;
    client.expect_head().await;
    client.ask(&Request::upgrade("/")).await;
    (proxy, upstreams, client, page)
}

/// A connection that was kept for the next plain request kept an upgrade out.
#[tokio::test]
async fn a_connection_that_is_kept_makes_room_for_one_that_is_needed() {
    let kept = "HTTP/1.1 204 No Content\r\n\r\n";
    let (_proxy, upstreams, mut client, mut page) = a_page_and_an_upgrade(kept).await;
    page.expect_end().await;
    upstreams.accept_websocket().await;
    client.expect_switch().await;
}

/// A kept connection that the upstream had closed was closed to make room, which made none: it had given its
/// place back already.
#[tokio::test]
async fn a_kept_connection_that_is_dead_makes_no_room_and_the_next_one_does() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::new(2).expect("2 is not 0"))
        .start(&upstreams);
    let (mut one, mut two) = (proxy.dial().connect().await, proxy.dial().connect().await);
    one.ask(&Request::get("/")).await;
    let mut older = upstreams.accept().await;
    older.expect_head().await;
    two.ask(&Request::get("/")).await;
    let mut younger = upstreams.accept().await;
    younger.expect_head().await;
    for (client, upstream) in [(&mut one, &mut older), (&mut two, &mut younger)] {
        upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        client.expect_answer(204).await;
    }
    let tasks = proxy.tasks();
    older.finish().await;
    older.expect_end().await;
    eventually("lubdub has noticed", || proxy.tasks() < tasks).await;
    one.ask(&Request::upgrade("/")).await;
    let _pair = upstreams.accept_websocket().await;
    one.expect_switch().await;
    two.ask(&Request::upgrade("/")).await;
    younger.expect_end().await;
    let _pair = upstreams.accept_websocket().await;
    two.expect_switch().await;
}

/// A client for whom there was no place had connections to upstreams closed as well, which are no places of
/// clients, and those who were there had to connect anew.
#[tokio::test]
async fn who_waits_for_a_clients_place_closes_no_connection_to_an_upstream() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.connections = NonZeroUsize::MIN)
        .start(&upstreams);
    let (mut client, mut kept, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    kept.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
    // A client that has begun to ask is not idle.
    let request = Request::get("/").encode();
    let (front, back) = request.split_at(8);
    client.send(front).await;
    let _next = proxy.dial().connect().await;
    kept.expect_silence(ms(300)).await;
    client.send(back).await;
    kept.expect_head().await;
    kept.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
}

/// What had no socket left for the upstream was told that the upstream was at fault.
#[tokio::test]
async fn who_finds_no_socket_for_the_upstream_is_told_to_come_back() {
    // It belongs to this client, and nobody may end it.
    let own = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n";
    let (proxy, _upstreams, mut client, _page) = a_page_and_an_upgrade(own).await;
    let (head, _) = client.expect_answer(503).await;
    assert!(head.field("retry-after").is_some(), "{head:?}");
    proxy.expect_outcome("at_capacity").await;
}

/// An idle listener held the last place for a handshake, in case somebody came.
#[tokio::test]
async fn an_idle_listener_does_not_keep_the_others_from_their_clients() {
    let upstreams = Upstream::listen();
    let metrics = metrics(&["one", "two"]);
    let proxy = Proxy::start(two_listeners(&upstreams), &metrics).expect("loopback has free ports");
    let mut pairs = Vec::new();
    // Whichever of them is idle, the other has one client after the other.
    for (_, address) in proxy.addresses() {
        for _ in 0..3 {
            let client = Dial::to(address.ip().expect("an IP address"));
            pairs.push(client.pair(&upstreams).await);
        }
    }
}

/// Two listeners, and one place for handshakes.
fn two_listeners(upstreams: &Upstream) -> Settings {
    let listener = |name: &str| Listener {
        name: name.into(),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
        v6_only: false,
        permissions: Permissions::default(),
        tls: None,
        proxy_protocol: ProxyProtocol::Off,
        trust: None,
    };
    let mut settings = ProxyBox::new().settings(upstreams.address());
    settings.limits.handshakes = NonZeroUsize::MIN;
    settings.listeners = vec![listener("one"), listener("two")];
    settings
}
