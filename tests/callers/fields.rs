//! Header fields that say who the client is.

use lubdub_proxy::settings::{ForwardedStyle, Trust};
use lubdub_testkit::http::{Head, Request};
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

use crate::{CLIENT, client_of_the_pair, trusting};

/// A plain request on a connection of its own, as the upstream gets it.
async fn goes_up(proxy: ProxyBox, request: &Request) -> Head {
    let upstreams = Upstream::listen();
    let proxy = proxy.start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(request).await;
    upstreams.accept().await.expect_head().await
}

fn forwarded_for(value: &str) -> Request {
    Request::get("/").field("X-Forwarded-For", value)
}

#[tokio::test]
async fn what_a_trusted_peer_says_is_who_the_pair_is_of() {
    let upstreams = Upstream::listen();
    let proxy = trusting().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let forwarded = format!("6.6.6.6, {CLIENT}, 10.0.0.7");
    client
        .ask(&Request::upgrade("/").field("X-Forwarded-For", &forwarded))
        .await;
    let mut upstream = upstreams.accept().await;
    let head = upstream.accept_upgrade().await;
    assert_eq!(
        head.field("x-forwarded-for"),
        Some(&*format!("{forwarded}, 127.0.0.1"))
    );
    client.expect_switch().await;
    assert_eq!(client_of_the_pair(&proxy).await, CLIENT);
    let caller = proxy.only_pair().caller();
    assert_eq!(caller.peer, client.address().into());
    assert!(!caller.is_peer());
}

#[tokio::test]
async fn what_a_stranger_says_has_no_effect() {
    for style in [
        ForwardedStyle::XForwarded,
        ForwardedStyle::Forwarded,
        ForwardedStyle::Both,
    ] {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new().with(|proxy| proxy.forwarded.style = style);
        let proxy = proxy.start(&upstreams);
        let mut client = proxy.dial().connect().await;
        let forged = Request::upgrade("/")
            .field("X-Forwarded-For", "6.6.6.6")
            .field("X-Forwarded-Proto", "https")
            .field("Forwarded", "for=6.6.6.6;proto=https");
        client.ask(&forged).await;
        let head = upstreams.accept().await.accept_upgrade().await;
        assert!(!format!("{head:?}").contains("6.6.6.6"), "{head:?}");
        client.expect_switch().await;
        assert_eq!(
            client_of_the_pair(&proxy).await,
            client.address().to_string()
        );
    }
}

/// A balancer keeps connections, and sends requests of all its clients over them.
#[tokio::test]
async fn one_connection_brings_several_clients() {
    let upstreams = Upstream::listen();
    let limited = trusting().with(|proxy| proxy.limits.pairs_per_source = Some(1));
    let proxy = limited.start(&upstreams);
    let mut balancer = proxy.dial().connect().await;
    let mut upstream = None;
    for client in ["203.0.113.1", "203.0.113.2"] {
        balancer.ask(&forwarded_for(client)).await;
        if upstream.is_none() {
            upstream = Some(upstreams.accept().await);
        }
        let upstream = upstream.as_mut().expect("it was accepted");
        let head = upstream.expect_head().await;
        let expected = format!("{client}, 127.0.0.1");
        assert_eq!(head.field("x-forwarded-for"), Some(&*expected));
        upstream
            .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
        balancer.expect_answer(200).await;
    }
}

#[tokio::test]
async fn limits_go_by_the_true_address() {
    let upstreams = Upstream::listen();
    let limited = trusting().with(|proxy| proxy.limits.pairs_per_source = Some(1));
    let proxy = limited.start(&upstreams);
    let upgrade = |client: &str| Request::upgrade("/").field("X-Forwarded-For", client);
    let mut pairs = Vec::new();
    for client in ["203.0.113.1", "203.0.113.2", "2001:db8::1"] {
        let mut peer = proxy.dial().connect().await;
        peer.ask(&upgrade(client)).await;
        let upstream = upstreams.accept_websocket().await;
        peer.expect_switch().await;
        pairs.push((peer, upstream));
    }
    proxy.expect_pairs(3).await;
    // The same again, and another address of the same /64.
    for client in ["203.0.113.1", "2001:db8::2"] {
        let mut peer = proxy.dial().connect().await;
        peer.ask(&upgrade(client)).await;
        peer.expect_answer(503).await;
    }
    proxy
        .expect_metric("handshakes_total", &[("outcome", "limited")], 2.0)
        .await;
}

/// `Connection: X-Forwarded-For` had the balancer's word taken out, and the backend saw the balancer.
#[tokio::test]
async fn a_client_cannot_have_the_balancers_word_taken_out() {
    let request = forwarded_for(CLIENT).field("Connection", "close, X-Forwarded-For");
    let head = goes_up(trusting(), &request).await;
    let expected = format!("{CLIENT}, 127.0.0.1");
    assert_eq!(head.field("x-forwarded-for"), Some(&*expected));
}

#[tokio::test]
async fn of_a_trusted_peer_only_the_family_that_is_read_passes() {
    let request = || forwarded_for(CLIENT).field("Forwarded", "for=6.6.6.6");
    let with = |style| trusting().with(move |proxy| proxy.forwarded.style = style);
    let head = goes_up(with(ForwardedStyle::XForwarded), &request()).await;
    assert_eq!(head.field("forwarded"), None);
    let head = goes_up(with(ForwardedStyle::Forwarded), &request()).await;
    assert_eq!(head.field("x-forwarded-for"), None);
    assert_eq!(
        head.field("forwarded"),
        Some("for=6.6.6.6, for=127.0.0.1;host=\"lubdub.example\";proto=http")
    );
    let head = goes_up(with(ForwardedStyle::Off), &request()).await;
    assert_eq!(head.field("forwarded"), Some("for=6.6.6.6"));
    assert_eq!(head.field("x-forwarded-for"), Some(CLIENT));
}

/// Thousands of entries are what a request of 64 KiB can have.
#[tokio::test]
async fn a_list_of_thousands_is_read_from_its_end() {
    let upstreams = Upstream::listen();
    let proxy = trusting().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let forwarded = format!("{}{CLIENT}, 10.0.0.7", "6.6.6.6, ".repeat(5000));
    client
        .ask(&Request::upgrade("/").field("X-Forwarded-For", &forwarded))
        .await;
    let _upstream = upstreams.accept_websocket().await;
    client.expect_switch().await;
    assert_eq!(client_of_the_pair(&proxy).await, CLIENT);
}

/// A pair of a route, then the same with trust taken away: the next request is the peer's.
#[tokio::test]
async fn a_reload_changes_who_is_trusted() {
    let upstreams = Upstream::listen();
    let proxy = trusting().start(&upstreams);
    let (mut client, mut upstream, head) =
        proxy.dial().ask(&forwarded_for(CLIENT), &upstreams).await;
    assert_eq!(
        head.field("x-forwarded-for"),
        Some(&*format!("{CLIENT}, 127.0.0.1"))
    );
    upstream
        .send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .await;
    client.expect_answer(200).await;
    proxy.reload(
        trusting()
            .with(|proxy| proxy.forwarded.trust = Trust::default())
            .settings(upstreams.address()),
    );
    client.ask(&forwarded_for(CLIENT)).await;
    let head = upstream.expect_head().await;
    assert_eq!(head.field("x-forwarded-for"), Some("127.0.0.1"));
}
