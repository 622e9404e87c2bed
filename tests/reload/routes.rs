//! Routes and upstreams that change, come and go under live pairs and connections.

use std::sync::Arc;

use lubdub_proxy::settings::{OnRemoved, Settings};
use lubdub_testkit::LONG;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Upstream, expect_alive};
use lubdub_testkit::proxy::ProxyBox;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n";

/// What a box would do, with its route under another name.
fn renamed(upstream: &Upstream, name: &str, on_removed: OnRemoved) -> Settings {
    let mut settings = ProxyBox::new().settings(upstream.address());
    for route in &mut settings.routes {
        let route = Arc::make_mut(route);
        route.name = name.into();
        route.on_removed = on_removed;
    }
    settings
}

#[tokio::test]
async fn a_live_pair_stays_with_its_upstream_and_the_next_one_goes_to_the_new() {
    let (old, new) = (Upstream::listen(), Upstream::listen());
    let proxy = ProxyBox::new().start(&old);
    let mut before = proxy.pair(&old).await;
    proxy.reload(ProxyBox::new().settings(new.address()));
    let mut after = proxy.pair(&new).await;
    expect_alive(&mut before).await;
    expect_alive(&mut after).await;
}

/// A connection that was kept for the old place of an upstream must not carry requests for the new one.
#[tokio::test]
async fn the_next_request_of_an_open_connection_goes_to_the_new_upstream() {
    let (old, new) = (Upstream::listen(), Upstream::listen());
    let proxy = ProxyBox::new().start(&old);
    let mut client = proxy.dial().connect().await;
    for upstreams in [&old, &new] {
        proxy.reload(ProxyBox::new().settings(upstreams.address()));
        client.send(GET).await;
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        upstream.send(OK).await;
        assert_eq!(client.expect_answer(200).await.1, "ok");
    }
}

/// A reload that leaves an upstream where it is leaves the connections that are kept for it.
#[tokio::test]
async fn connections_that_are_kept_outlive_a_reload() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.send(GET).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.send(OK).await;
    client.expect_answer(200).await;
    let next = ProxyBox::new().with(|it| it.waiting = 7);
    proxy.reload(next.settings(upstreams.address()));
    client.send(GET).await;
    upstream.expect_head().await;
    upstream.send(OK).await;
    client.expect_answer(200).await;
}

#[tokio::test]
async fn pairs_of_a_route_that_is_removed_go_on() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(renamed(&upstreams, "first", OnRemoved::Keep));
    let mut pair = proxy.pair(&upstreams).await;
    proxy.reload(renamed(&upstreams, "second", OnRemoved::Keep));
    expect_alive(&mut pair).await;
    proxy.reload(renamed(&upstreams, "third", OnRemoved::Keep));
    expect_alive(&mut pair).await;
    assert_eq!(proxy.metric("pairs", &[("route", "first")]), 1.0);
}

#[tokio::test]
async fn pairs_of_a_route_that_says_drain_are_told_farewell_when_it_is_removed() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(renamed(&upstreams, "first", OnRemoved::Drain));
    let (mut client, mut upstream) = proxy.pair(&upstreams).await;
    // A reload that leaves it where it is tells nobody.
    proxy.reload(renamed(&upstreams, "first", OnRemoved::Drain));
    client.send_text("up").await;
    upstream.expect_text("up").await;
    proxy.reload(renamed(&upstreams, "second", OnRemoved::Keep));
    client.expect_close(1012).await;
    upstream.expect_close(1001).await;
    // The proxy itself goes on.
    let mut other = proxy.pair(&upstreams).await;
    expect_alive(&mut other).await;
}

/// Its handshake was under way when all who were there were told.
#[tokio::test]
async fn a_pair_that_opens_when_its_route_is_removed_is_told_farewell() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(renamed(&upstreams, "first", OnRemoved::Drain));
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    let mut upstream = upstreams.accept().await;
    proxy.reload(renamed(&upstreams, "second", OnRemoved::Keep));
    upstream.accept_upgrade().await;
    client.expect_switch().await;
    client.expect_close(1012).await;
}

/// It looked at what its own request had known: `keep`. Those who were open were told.
#[tokio::test]
async fn a_pair_in_handshake_goes_by_the_last_word_of_its_route() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(renamed(&upstreams, "first", OnRemoved::Keep));
    let (mut open_before, _upstream) = proxy.pair(&upstreams).await;
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    let mut upstream = upstreams.accept().await;
    proxy.reload(renamed(&upstreams, "first", OnRemoved::Drain));
    proxy.reload(renamed(&upstreams, "second", OnRemoved::Keep));
    // And it has come back before the handshake ends.
    proxy.reload(renamed(&upstreams, "first", OnRemoved::Keep));
    open_before.expect_close(1012).await;
    upstream.accept_upgrade().await;
    client.expect_switch().await;
    client.expect_close(1012).await;
    let mut after = proxy.pair(&upstreams).await;
    expect_alive(&mut after).await;
}

#[tokio::test]
async fn pairs_of_what_was_removed_are_counted_until_they_have_ended() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(renamed(&upstreams, "first", OnRemoved::Drain));
    let (mut client, mut upstream) = proxy.pair(&upstreams).await;
    proxy.expect_pairs(1).await;
    let remaining = || proxy.metric("drain_remaining_pairs", &[]);
    assert_eq!(remaining(), 0.0);
    let mut next = renamed(&upstreams, "second", OnRemoved::Keep);
    next.drain.spread = LONG;
    proxy.reload(next);
    assert_eq!(remaining(), 1.0, "nobody has been told yet");
    client.close(1000, "").await;
    upstream.expect_close(1000).await;
    upstream.close(1000, "").await;
    proxy.expect_metric("drain_remaining_pairs", &[], 0.0).await;
}

#[tokio::test]
async fn pairs_of_an_upstream_that_says_drain_are_told_farewell_when_it_is_removed() {
    let upstreams = Upstream::listen();
    let settings = |name: &str| {
        let mut settings = ProxyBox::new().settings(upstreams.address());
        for route in &mut settings.routes {
            let upstream = &mut Arc::make_mut(route).upstream;
            let upstream = Arc::make_mut(upstream);
            upstream.name = name.into();
            upstream.on_removed = OnRemoved::Drain;
        }
        settings
    };
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(settings("first"));
    let (mut client, _upstream) = proxy.pair(&upstreams).await;
    proxy.reload(settings("second"));
    client.expect_close(1012).await;
}
