//! Heads: what passes, what is rewritten, and what goes no further than one connection.

use lubdub_proxy::settings::HostPattern;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::http::{Head, Request, SWITCHING};
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::way::{self, Port};

/// An informational answer (RFC 8297).
const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";

/// A request as the upstream gets it; it answers with nothing.
async fn as_it_arrives(request: &[u8]) -> Head {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.send(request).await;
    let mut upstream = upstreams.accept().await;
    let head = upstream.expect_head().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
    head
}

#[tokio::test]
async fn a_get_arrives_as_the_client_made_it() {
    let request = Request::get("/a/../b?q=%20&q")
        .field("X-OwN", "1")
        .field("Cookie", "c=d");
    let head = as_it_arrives(&request.encode()).await;
    assert_eq!(head.first_line, "GET /a/../b?q=%20&q HTTP/1.1");
    for line in ["Host: lubdub.example", "X-OwN: 1", "Cookie: c=d"] {
        assert!(head.has_line(line), "no {line:?} in {head:#?}");
    }
    // Who comes over a Unix socket has no address to be told.
    let address = (!way::is_unix()).then_some("127.0.0.1");
    assert_eq!(head.field("x-forwarded-for"), address);
    assert_eq!(
        head.fields.len(),
        3 + 2 + address.iter().count(),
        "{head:#?}"
    );
}

#[tokio::test]
async fn an_absolute_target_becomes_a_path_and_a_host() {
    let request = Request::get("http://real.example:81/x?y=1");
    let head = as_it_arrives(&request.encode()).await;
    assert_eq!(head.first_line, "GET /x?y=1 HTTP/1.1");
    assert_eq!(head.field("host"), Some("real.example:81"));
}

/// RFC 9110 10.1.4: "A sender of TE MUST also send a "TE" connection option".
#[tokio::test]
async fn who_asks_for_trailers_asks_for_this_connection() {
    let request = Request::get("/")
        .field("TE", "trailers, deflate")
        .field("Connection", "TE, X-Hop");
    let head = as_it_arrives(&request.encode()).await;
    assert_eq!(head.field("te"), Some("trailers"));
    assert_eq!(head.field("connection"), Some("TE"));
}

/// RFC 9110 10.1.1: in a request of HTTP/1.0 nobody waits for a 100.
#[tokio::test]
async fn an_old_client_expects_nothing() {
    let request = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok";
    let head = as_it_arrives(request).await;
    assert_eq!(head.field("expect"), None);
}

#[tokio::test]
async fn what_connection_names_goes_no_further() {
    let request = Request::get("/")
        .field("Connection", "X-Hop, keep-alive")
        .field("X-Hop", "secret")
        .field("Keep-Alive", "timeout=5")
        .field("Proxy-Connection", "keep-alive")
        .field("X-End", "kept");
    let head = as_it_arrives(&request.encode()).await;
    for name in ["connection", "x-hop", "keep-alive", "proxy-connection"] {
        assert_eq!(head.field(name), None, "{head:#?}");
    }
    assert_eq!(head.field("x-end"), Some("kept"));
}

#[tokio::test]
async fn an_upgrade_to_anything_else_is_a_plain_request() {
    let request = Request::get("/")
        .field("Connection", "Upgrade, HTTP2-Settings")
        .field("Upgrade", "h2c")
        .field("HTTP2-Settings", "AAMAAABkAAQAAP__");
    let head = as_it_arrives(&request.encode()).await;
    for name in ["connection", "upgrade", "http2-settings"] {
        assert_eq!(head.field(name), None, "{head:#?}");
    }
}

#[tokio::test]
async fn a_client_of_the_last_century_is_served() {
    let head = as_it_arrives(b"GET /old HTTP/1.0\r\n\r\n").await;
    assert_eq!(head.first_line, "GET /old HTTP/1.1");
}

#[tokio::test]
async fn an_answer_arrives_as_the_upstream_made_it() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    upstream
        .send(
            "HTTP/1.1 418 I'm a teapot\r\n\
             X-TeApOt: short\r\n\
             Connection: X-Hop\r\n\
             X-Hop: secret\r\n\
             Content-Length: 5\r\n\
             \r\n\
             stout",
        )
        .await;
    let (head, body) = client.expect_answer(418).await;
    assert_eq!(body, "stout");
    assert!(head.has_line("X-TeApOt: short"), "{head:#?}");
    assert_eq!(head.field("x-hop"), None);
}

#[tokio::test]
async fn a_request_that_no_route_covers_is_answered_and_the_connection_goes_on() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.host = Some(HostPattern::new("here.example")))
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    client.expect_answer(404).await;
    client.ask(&Request::get("/").host("here.example")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
}

/// hyper's server cannot send them.
#[tokio::test]
async fn informational_answers_go_no_further() {
    const PROCESSING: &str = "HTTP/1.1 102 Processing\r\n\r\n";
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    // In one segment with the answer.
    for before in [HINTS.to_owned(), [PROCESSING, HINTS, HINTS].concat()] {
        upstream
            .send(before + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
        let (head, body) = client.expect_answer(200).await;
        assert_eq!((head.field("link"), body.as_str()), (None, "ok"));
        // Both connections go on.
        client.ask(&Request::get("/next")).await;
        upstream.expect_head().await;
    }
    // In a segment of their own.
    upstream.send(HINTS).await;
    client.expect_silence(ms(50)).await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
}

#[tokio::test]
async fn informational_answers_to_an_upgrade_go_no_further() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream, _) = proxy
        .dial()
        .ask(&Request::upgrade("/socket"), &upstreams)
        .await;
    let early = upstream.encode(&Frame::text("early"));
    let answer = [HINTS.as_bytes(), SWITCHING.as_bytes(), &early].concat();
    upstream.send(answer).await;
    assert_eq!(client.expect_switch().await.field("link"), None);
    client.expect_raw(&early).await;
}

/// RFC 9110 8.6: no more than one length goes on, be it of a body that was only asked about.
#[tokio::test]
async fn an_answer_has_one_length_or_is_none() {
    for method in ["HEAD", "GET"] {
        let body = if method == "GET" { "abc" } else { "" };
        for (fields, status) in [
            ("Content-Length: 3, 3\r\n", 200),
            ("Content-Length: 3\r\nContent-Length: 3\r\n", 200),
            ("Content-Length: 3\r\nContent-Length: 4\r\n", 502),
            ("Content-Length: abc\r\n", 502),
            ("Content-Length: -1\r\n", 502),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                502,
            ),
        ] {
            let upstreams = Upstream::listen();
            let proxy = ProxyBox::new().start(&upstreams);
            let request = Request::new(method, "/");
            let (mut client, mut upstream, _) = proxy.dial().ask(&request, &upstreams).await;
            upstream
                .send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{body}"))
                .await;
            let head = client.expect_head().await;
            assert_eq!(head.status(), status, "{method}: {fields}");
            if status == 200 {
                assert_eq!(head.content_length(), Some(3), "{method}: {fields}");
                assert!(head.has_line("Content-Length: 3"), "{head:#?}");
            }
        }
    }
}

/// RFC 9112 9.6: whoever is told that its connection ends sends no next request over it.
#[tokio::test]
async fn a_refusal_of_a_body_that_nobody_reads_ends_the_connection() {
    let nobody = Port::hold().expect("loopback has a free port");
    let proxy = ProxyBox::new().start_before(nobody.address);
    for (length, connection) in [("5", Some("close")), ("0", None)] {
        let mut client = proxy.dial().connect().await;
        let post = Request::new("POST", "/").field("Content-Length", length);
        client.ask(&post).await;
        let (head, _) = client.expect_answer(502).await;
        assert_eq!(head.field("connection"), connection);
    }
}
