//! Pages of others: a browser opens a WebSocket for any of them, with the user's cookies (RFC 6455 10.2).

use lubdub_proxy::settings::{OriginMissing, OriginPattern};
use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

use crate::{comes_in, handshakes, is_refused};

const EVIL: &str = "https://evil.test";

fn only(origins: &[&str]) -> ProxyBox {
    let parse = |it: &&str| OriginPattern::parse(it).expect("an origin");
    let origins = origins.iter().map(parse).collect();
    ProxyBox::new().with(|it| it.access.origins = origins)
}

fn from(origin: &str) -> Request {
    Request::upgrade("/").field("Origin", origin)
}

#[tokio::test]
async fn a_page_that_is_listed_comes_in_and_its_origin_goes_up() {
    let upstreams = Upstream::listen();
    let proxy = only(&["https://example.com", "https://*.example.org", "null"]).start(&upstreams);
    for origin in ["https://example.com", "https://a.b.example.org", "null"] {
        let (_client, _upstream, head) = proxy.dial().ask(&from(origin), &upstreams).await;
        assert_eq!(head.field("origin"), Some(origin));
    }
}

/// Of each of these, one part of what is compared differs, or there is more than one thing to compare.
#[tokio::test]
async fn the_upstream_never_hears_of_a_page_that_is_not_listed() {
    let upstreams = Upstream::listen();
    let proxy = only(&["https://example.com", "https://*.example.org:8443"]).start(&upstreams);
    let mut refused = 0.0;
    for origin in [
        EVIL,
        "http://example.com",
        "https://example.com:8443",
        "https://example.com.evil.test",
        "https://evil.test/https://example.com",
        "https://example.com@evil.test",
        "https://example.com/",
        "https://example.com.",
        "https://a.example.org",
        "https://example.org:8443",
        "https://.example.org:8443",
        "https://example.com https://evil.test",
        "null",
        "",
    ] {
        let head = is_refused(proxy.dial(), &from(origin), 403).await;
        let status = head.field("proxy-status");
        assert_eq!(status, Some("lubdub; error=http_request_denied"));
        assert_eq!(head.field("retry-after"), None);
        refused += 1.0;
    }
    let right = from("https://example.com");
    for request in [
        // Which of the two would the upstream take?
        right.clone().field("Origin", EVIL),
        from(EVIL).field("Origin", "https://example.com"),
        right.clone().field("Origin", "https://example.com"),
        // As the drafts called it.
        right.clone().field("Sec-WebSocket-Origin", EVIL),
        Request::upgrade("/").field("Sec-WebSocket-Origin", EVIL),
        // Named as an option of this connection it would not go up.
        from(EVIL)
            .without("connection")
            .field("Connection", "Upgrade, Origin"),
    ] {
        is_refused(proxy.dial(), &request, 403).await;
        refused += 1.0;
    }
    upstreams.expect_nobody(ms(50)).await;
    let outcome = [("outcome", "origin")];
    proxy
        .expect_metric("handshakes_total", &outcome, refused)
        .await;
}

#[tokio::test]
async fn who_tells_no_page_comes_in_unless_that_is_denied() {
    let upstreams = Upstream::listen();
    let allowing = only(&["https://example.com"]).start(&upstreams);
    comes_in(allowing.dial(), &Request::upgrade("/"), &upstreams).await;
    let denying = only(&["https://example.com"])
        .with(|it| it.access.origin_missing = OriginMissing::Deny)
        .start(&upstreams);
    is_refused(denying.dial(), &Request::upgrade("/"), 403).await;
    comes_in(denying.dial(), &from("https://example.com"), &upstreams).await;
}

/// The polling fallback of a library, or an image: the browser has rules of its own for these.
#[tokio::test]
async fn plain_requests_are_not_asked_for_their_page() {
    let upstreams = Upstream::listen();
    let proxy = only(&["https://example.com"]).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let request = Request::get("/poll").field("Origin", EVIL);
    client.ask(&request).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
    assert_eq!(handshakes(&proxy, "origin"), 0.0);
}

/// What the operator reads, and what it must not hold.
#[tokio::test]
async fn a_refused_page_has_a_line_with_its_origin_and_no_more_of_what_it_sent() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(
        &upstreams,
        &["route.main.origins=https://example.com", "log.refusals=1/s"],
    )
    .await;
    is_refused(lubdub.dial(), &from("HTTPS://Evil.test:443"), 403).await;
    let line = lubdub.expect_logged("not served").await;
    assert_eq!(line["level"], "info");
    assert_eq!(line["outcome"], "origin");
    assert_eq!(line["status"], 403);
    assert_eq!(line["route"], "main");
    assert_eq!(
        line["reason"],
        "its origin https://evil.test is not in origins"
    );
    let odd = from("https://example.com/?token=hunter2");
    for _ in 0..3 {
        is_refused(lubdub.dial(), &odd, 403).await;
    }
    let scrape = lubdub.scrape().await;
    let (route, outcome) = (("route", "main"), ("outcome", "origin"));
    let refused = scrape.sum("lubdub_handshakes_total", &[route, outcome]);
    assert_eq!(refused, 4.0);
    for line in lubdub.logged() {
        assert!(!line.to_string().contains("hunter2"), "{line}");
    }
}
