//! How often one source may ask for an upgrade.

use std::num::NonZeroU32;

use futures_util::future::join_all;
use lubdub_proxy::settings::{Networks, OriginPattern};
use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::{Head, Request};
use lubdub_testkit::peer::{Dial, Upstream};
use lubdub_testkit::proxy::ProxyBox;

use crate::{comes_in, handshakes, is_refused};

/// Asks until it is asked too often: on a slow machine a second may pass between two.
async fn until_limited(dial: Dial, request: &Request, upstreams: &Upstream) -> Head {
    for _ in 0..50 {
        let mut client = dial.clone().connect().await;
        client.ask(request).await;
        tokio::select! {
            head = client.expect_head() => match head.status() {
                429 => return head,
                status => assert_eq!(status, 403, "or it is let in"),
            },
            _ = upstreams.accept_websocket() => {}
        }
    }
    panic!("no rate is kept");
}

fn once_a_second() -> ProxyBox {
    ProxyBox::new().with(|it| it.limits.handshake_rate = Some(NonZeroU32::MIN))
}

#[tokio::test]
async fn a_source_that_asks_too_often_is_told_when_to_ask_again_and_others_are_not() {
    let upstreams = Upstream::listen();
    let proxy = once_a_second().start(&upstreams);
    let upgrade = Request::upgrade("/");
    let _pair = comes_in(proxy.dial(), &upgrade, &upstreams).await;
    let head = until_limited(proxy.dial(), &upgrade, &upstreams).await;
    assert_eq!(head.field("connection"), Some("close"));
    assert_eq!(head.field("retry-after"), Some("1"));
    let status = head.field("proxy-status");
    assert_eq!(status, Some("lubdub; error=http_request_denied"));
    let another = proxy.dial().from([127, 0, 0, 2]);
    let _other = comes_in(another, &upgrade, &upstreams).await;
    let limited = [("outcome", "rate_limited")];
    proxy.expect_metric("handshakes_total", &limited, 1.0).await;
}

/// Who is turned away for its page has asked all the same: the next try is not free.
#[tokio::test]
async fn upgrades_count_whatever_becomes_of_them_and_nothing_else_does() {
    let upstreams = Upstream::listen();
    let page = OriginPattern::parse("https://example.com").expect("an origin");
    let denied: ipnet::IpNet = "127.0.0.9/32".parse().expect("a network");
    let proxy = once_a_second()
        .with(|it| {
            it.access.origins = vec![page];
            it.access.deny = Networks::from_iter([denied]);
        })
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    for _ in 0..3 {
        client.ask(&Request::get("/")).await;
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        let gone = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
        upstream.send(gone).await;
        client.expect_answer(204).await;
    }
    let evil = Request::upgrade("/").field("Origin", "https://evil.test");
    is_refused(proxy.dial(), &evil, 403).await;
    until_limited(proxy.dial(), &evil, &upstreams).await;
    let nobody = proxy.dial().from([127, 0, 0, 9]);
    for _ in 0..3 {
        is_refused(nobody.clone(), &Request::upgrade("/"), 403).await;
    }
    assert_eq!(handshakes(&proxy, "rate_limited"), 1.0);
    assert_eq!(handshakes(&proxy, "forbidden"), 3.0);
    assert!(handshakes(&proxy, "origin") >= 1.0);
}

/// All come from one proxy, and are as many sources as they have addresses; of IPv6, networks.
#[tokio::test]
async fn a_source_is_the_true_address_and_of_ipv6_its_network() {
    let upstreams = Upstream::listen();
    let proxy = once_a_second()
        .with(|it| it.forwarded.trust.networks = vec!["127.0.0.1/32".parse().expect("a network")])
        .start(&upstreams);
    let upgrade = |client: &str| Request::upgrade("/").field("X-Forwarded-For", client);
    for client in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"] {
        comes_in(proxy.dial(), &upgrade(client), &upstreams).await;
    }
    for client in ["192.0.2.1", "::ffff:192.0.2.2", "2001:db8::ffff:2"] {
        until_limited(proxy.dial(), &upgrade(client), &upstreams).await;
    }
}

#[tokio::test]
async fn a_flood_of_one_source_is_counted_and_sampled_in_the_log() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(
        &upstreams,
        &["limits.handshake_rate=1/s", "log.refusals=1/s"],
    )
    .await;
    let upgrade = Request::upgrade("/");
    let upgrade = &upgrade;
    let ask = |_| async {
        let mut client = lubdub.dial().connect().await;
        client.ask(upgrade).await;
        let head = client.expect_head().await;
        (head.status() == 429, client)
    };
    let welcome = async {
        loop {
            upstreams.accept_websocket().await;
        }
    };
    let asked = tokio::select! {
        asked = join_all((0..50).map(ask)) => asked,
        () = welcome => unreachable!("it never ends"),
    };
    let limited = asked.iter().filter(|(limited, _)| *limited).count() as f64;
    assert!(limited > 10.0, "{limited}");
    let line = lubdub.expect_logged("not served").await;
    assert_eq!(line["outcome"], "rate_limited");
    assert_eq!(line["status"], 429);
    let scrape = lubdub.scrape().await;
    let outcome = [("outcome", "rate_limited")];
    assert_eq!(scrape.sum("lubdub_handshakes_total", &outcome), limited);
    let unlogged = scrape.sum("lubdub_refusals_not_logged_total", &outcome);
    assert!(
        0.0 < unlogged && unlogged < limited,
        "{unlogged} of {limited}"
    );
}
