//! New values of the heartbeat reach live pairs, each with its next ping.

use std::sync::Arc;

use lubdub_keepalive::Side;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms};

#[tokio::test]
async fn a_live_pair_is_pinged_at_its_new_interval() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    client.expect_silence(ms(50)).await;
    let next = ProxyBox::new().ping(Side::Client, ms(20), LONG);
    proxy.reload(next.settings(upstream.address()));
    client.answer_next_pings(3).await;
    proxy.reload(ProxyBox::new().settings(upstream.address()));
    client.send_text("still here").await;
    upstream.expect_text("still here").await;
    let sent = ("pings_sent_total", [("side", "client")]);
    let before = proxy.metric(sent.0, &sent.1);
    tokio::time::sleep(ms(100)).await;
    assert_eq!(proxy.metric(sent.0, &sent.1), before, "switched off again");
}

#[tokio::test]
async fn a_side_that_is_dead_is_found_by_a_heartbeat_that_came_later() {
    let rig = Rig::open(ProxyBox::new()).await;
    let next = ProxyBox::new().ping(Side::Upstream, ms(20), ms(50));
    rig.proxy.reload(next.settings(rig.upstream.address()));
    rig.proxy.expect_ended("upstream_lapsed").await;
}

/// Pairs of a route that went and returned kept the heartbeat that they had when it went.
#[tokio::test]
async fn pairs_of_a_route_that_returns_have_its_new_heartbeat() {
    let Rig {
        proxy,
        mut client,
        upstream,
    } = Rig::open(ProxyBox::new()).await;
    let mut gone = ProxyBox::new().settings(upstream.address());
    Arc::make_mut(&mut gone.routes[0]).name = "another".into();
    proxy.reload(gone);
    let next = ProxyBox::new().ping(Side::Client, ms(20), LONG);
    proxy.reload(next.settings(upstream.address()));
    client.answer_next_pings(2).await;
}

/// A pair whose handshake is under way takes the terms of its request, and the newest heartbeat.
#[tokio::test]
async fn a_pair_that_began_before_the_reload_and_opened_after_it_has_the_new_heartbeat() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    let mut upstream = upstreams.accept().await;
    let next = ProxyBox::new().ping(Side::Client, ms(20), LONG);
    proxy.reload(next.settings(upstreams.address()));
    upstream.accept_upgrade().await;
    client.expect_switch().await;
    client.answer_next_pings(2).await;
}
