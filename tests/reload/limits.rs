//! Limits grow and shrink under those who are in: nobody has to go.

use std::sync::Arc;

use lubdub_proxy::settings::Settings;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};

/// An upgrade that is refused.
async fn is_refused(proxy: &RunningProxy) {
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    client.expect_answer(503).await;
}

/// One pair is open. The limit is set, one pair below what there is, and lifted again.
async fn a_limit_comes_and_goes(limit: impl Fn(usize) -> ProxyBox) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let with = |most| -> Settings { limit(most).settings(upstreams.address()) };
    let mut first = proxy.pair(&upstreams).await;
    let second = proxy.pair(&upstreams).await;
    proxy.expect_pairs(2).await;
    proxy.reload(with(1));
    is_refused(&proxy).await;
    drop(second);
    proxy.expect_pairs(1).await;
    is_refused(&proxy).await;
    proxy.reload(with(2));
    let _third = proxy.pair(&upstreams).await;
    proxy.expect_pairs(2).await;
    is_refused(&proxy).await;
    first.0.send_text("still here").await;
    first.1.expect_text("still here").await;
}

#[tokio::test]
async fn the_limit_of_pairs_counts_those_that_are_open() {
    a_limit_comes_and_goes(|most| ProxyBox::new().with(|it| it.limits.pairs = most)).await;
}

#[tokio::test]
async fn the_limit_of_a_route_that_had_none_counts_those_that_are_open() {
    a_limit_comes_and_goes(|most| ProxyBox::new().with(|it| it.route_pairs = Some(most))).await;
}

/// A route that went and returned counted from 0: twice as many pairs as its limit could be open.
#[tokio::test]
async fn the_limit_of_a_route_that_returns_counts_those_that_are_open() {
    let upstreams = Upstream::listen();
    let limited = || {
        let limited = ProxyBox::new().with(|it| it.route_pairs = Some(1));
        limited.settings(upstreams.address())
    };
    let mut gone = ProxyBox::new().settings(upstreams.address());
    Arc::make_mut(&mut gone.routes[0]).name = "another".into();
    let proxy = ProxyBox::new().start(&upstreams);
    proxy.reload(limited());
    let mut first = proxy.pair(&upstreams).await;
    proxy.expect_pairs(1).await;
    proxy.reload(gone);
    proxy.reload(limited());
    is_refused(&proxy).await;
    first.0.send_text("still here").await;
    first.1.expect_text("still here").await;
}

#[tokio::test]
async fn the_gauges_say_what_there_is_now() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let next = ProxyBox::new().with(|it| {
        it.limits.pairs = 7;
        it.waiting = 3;
    });
    proxy.reload(next.settings(upstreams.address()));
    proxy.expect_metric("pairs_max", &[], 7.0).await;
    let waiting = "upstream_waiting_max";
    proxy.expect_metric(waiting, &[], 3.0).await;
}
