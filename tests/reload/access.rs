//! Who may come in changes for those who come from now on, and not for those who are in.

use std::num::NonZeroU32;

use ipnet::IpNet;
use lubdub_proxy::settings::{HostPattern, Networks, OriginPattern};
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};

/// An upgrade is answered with `status`, by a client that tells a page.
async fn is_refused(proxy: &RunningProxy, status: u16) {
    let mut client = proxy.dial().connect().await;
    let request = Request::upgrade("/").field("Origin", "https://evil.test");
    client.ask(&request).await;
    client.expect_answer(status).await;
}

/// A pair is open, `next` keeps others out with `status`, and lets them in again when it has gone.
async fn keeps_out_who_comes_then(next: impl FnOnce(&mut ProxyBox), status: u16) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut before = proxy.pair(&upstreams).await;
    // A client that has its connection already is one who comes then, if it asks then.
    let mut waiting = proxy.dial().connect().await;
    proxy.reload(ProxyBox::new().with(next).settings(upstreams.address()));
    is_refused(&proxy, status).await;
    let request = Request::upgrade("/").field("Origin", "https://evil.test");
    waiting.ask(&request).await;
    waiting.expect_answer(status).await;
    before.0.send_text("still here").await;
    before.1.expect_text("still here").await;
    proxy.reload(ProxyBox::new().settings(upstreams.address()));
    proxy.pair(&upstreams).await;
}

fn loopback() -> Networks {
    let network: IpNet = "127.0.0.0/8".parse().expect("a network");
    Networks::from_iter([network])
}

#[tokio::test]
async fn networks_that_are_denied() {
    keeps_out_who_comes_then(|it| it.access.deny = loopback(), 403).await;
}

#[tokio::test]
async fn networks_that_are_allowed() {
    let another: IpNet = "192.0.2.0/24".parse().expect("a network");
    let another = Networks::from_iter([another]);
    keeps_out_who_comes_then(|it| it.access.allow = another, 403).await;
}

#[tokio::test]
async fn pages_that_are_listed() {
    let page = OriginPattern::parse("https://example.com").expect("an origin");
    keeps_out_who_comes_then(|it| it.access.origins = vec![page], 403).await;
}

#[tokio::test]
async fn hosts_of_a_route() {
    let host = HostPattern::new("*.other.example");
    keeps_out_who_comes_then(|it| it.host = Some(host), 404).await;
}

/// Asks until it is asked too often: on a slow machine a second may pass between two.
async fn is_limited(proxy: &RunningProxy, upstreams: &Upstream) {
    for _ in 0..50 {
        let mut client = proxy.dial().connect().await;
        client.ask(&Request::upgrade("/")).await;
        tokio::select! {
            head = client.expect_head() => return assert_eq!(head.status(), 429),
            _ = upstreams.accept_websocket() => {}
        }
    }
    panic!("no rate is kept");
}

/// One that stays the same keeps what it knows; another begins anew for everybody.
#[tokio::test]
async fn a_rate_that_stays_knows_its_sources_and_a_new_one_begins_anew() {
    let upstreams = Upstream::listen();
    let with = |rate: u32| {
        let with = ProxyBox::new().with(|it| it.limits.handshake_rate = NonZeroU32::new(rate));
        with.settings(upstreams.address())
    };
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(with(1));
    let _first = proxy.pair(&upstreams).await;
    proxy.reload(with(1));
    is_limited(&proxy, &upstreams).await;
    proxy.reload(with(2));
    let _both = [proxy.pair(&upstreams).await, proxy.pair(&upstreams).await];
    is_limited(&proxy, &upstreams).await;
    proxy.reload(ProxyBox::new().settings(upstreams.address()));
    proxy.pair(&upstreams).await;
}

#[tokio::test]
async fn the_path_and_the_host_that_the_upstream_gets() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let next = ProxyBox::new().with(|it| {
        "/chat".clone_into(&mut it.path_prefix);
        it.strip_prefix = true;
        it.host_field = Some("chat.internal".to_owned());
    });
    let mut client = proxy.dial().connect().await;
    for (line, host) in [
        ("GET /chat/room HTTP/1.1", "lubdub.example"),
        ("GET /room HTTP/1.1", "chat.internal"),
    ] {
        client.ask(&Request::get("/chat/room")).await;
        let mut upstream = upstreams.accept().await;
        let head = upstream.expect_head().await;
        assert_eq!((&*head.first_line, head.field("host")), (line, Some(host)));
        let gone = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        upstream.send(gone).await;
        client.expect_answer(204).await;
        proxy.reload(next.clone().settings(upstreams.address()));
    }
}
