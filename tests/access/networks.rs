//! Networks that may come in, and networks that may not.

use lubdub_proxy::settings::Networks;
use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

use crate::{comes_in, handshakes, is_refused};

fn networks(all: &[&str]) -> Networks {
    let parse = |text: &&str| -> ipnet::IpNet { text.parse().expect("a network") };
    all.iter().map(parse).collect()
}

#[tokio::test]
async fn deny_goes_before_allow_for_upgrades() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|it| {
            it.access.allow = networks(&["127.0.0.0/8"]);
            it.access.deny = networks(&["127.0.0.2/32", "127.9.0.0/16"]);
        })
        .start(&upstreams);
    let upgrade = Request::upgrade("/");
    for denied in [[127, 0, 0, 2], [127, 9, 1, 1]] {
        let head = is_refused(proxy.dial().from(denied), &upgrade, 403).await;
        let status = head.field("proxy-status");
        assert_eq!(status, Some("lubdub; error=http_request_denied"));
    }
    upstreams.expect_nobody(ms(50)).await;
    comes_in(proxy.dial().from([127, 0, 0, 3]), &upgrade, &upstreams).await;
    let forbidden = [("outcome", "forbidden")];
    proxy
        .expect_metric("handshakes_total", &forbidden, 2.0)
        .await;
}

#[tokio::test]
async fn only_who_is_allowed_comes_in_and_plain_requests_are_no_way_around() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|it| it.access.allow = networks(&["127.0.0.2/32", "fd00::/8"]))
        .start(&upstreams);
    let mut stranger = proxy.dial().connect().await;
    for _ in 0..2 {
        // The connection goes on: what is refused is the request.
        stranger.ask(&Request::get("/")).await;
        let (head, _) = stranger.expect_answer(403).await;
        let status = head.field("proxy-status");
        assert_eq!(status, Some("lubdub; error=http_request_denied"));
    }
    upstreams.expect_nobody(ms(50)).await;
    assert_eq!(
        proxy.metric("http_requests_total", &[("class", "own")]),
        2.0
    );
    let with_body = Request::upgrade("/").field("Content-Length", "1");
    is_refused(proxy.dial(), &with_body, 403).await;
    let mut friend = proxy.dial().from([127, 0, 0, 2]).connect().await;
    friend.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    friend.expect_answer(204).await;
    assert_eq!(handshakes(&proxy, "forbidden"), 1.0);
}

/// A refusal for its network costs nobody a place of the upstream's, and says so in the log.
#[tokio::test]
async fn who_is_kept_out_has_a_line_that_says_why() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &["route.main.deny=127.0.0.0/8"]).await;
    is_refused(lubdub.dial(), &Request::upgrade("/"), 403).await;
    let line = lubdub.expect_logged("not served").await;
    assert_eq!(line["outcome"], "forbidden");
    assert_eq!(line["reason"], "its address is in deny");
    assert_eq!(line["status"], 403);
}

/// Behind a proxy that is trusted the client's address counts, and not the proxy's; who is not trusted can
/// say what it likes.
#[tokio::test]
async fn it_is_the_true_address_that_counts() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|it| {
            it.access.deny = networks(&["203.0.113.0/24"]);
            it.access.allow = networks(&["198.51.100.0/24", "203.0.113.0/24"]);
            it.forwarded.trust.networks = vec!["127.0.0.1/32".parse().expect("a network")];
        })
        .start(&upstreams);
    let upgrade = |client| Request::upgrade("/").field("X-Forwarded-For", client);
    comes_in(proxy.dial(), &upgrade("198.51.100.7"), &upstreams).await;
    comes_in(proxy.dial(), &upgrade("::ffff:198.51.100.7"), &upstreams).await;
    for client in ["203.0.113.7", "192.0.2.7", "198.51.100.7, 203.0.113.7"] {
        is_refused(proxy.dial(), &upgrade(client), 403).await;
    }
    // Two clients over one connection of the proxy's.
    let mut between = proxy.dial().connect().await;
    let request = Request::get("/").field("X-Forwarded-For", "203.0.113.7");
    between.ask(&request).await;
    between.expect_answer(403).await;
    let request = Request::get("/").field("X-Forwarded-For", "198.51.100.7");
    between.ask(&request).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    between.expect_answer(204).await;
    // 127.0.0.2 is trusted by nobody.
    let stranger = proxy.dial().from([127, 0, 0, 2]);
    is_refused(stranger, &upgrade("198.51.100.7"), 403).await;
}
