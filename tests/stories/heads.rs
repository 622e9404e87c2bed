//! Heads that lubdub passed on as it must not, or did not as it must.

use lubdub_testkit::http::{Head, Request};
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

/// A request as it arrives at the upstream, and the upstream's address.
async fn as_it_arrives(request: impl AsRef<[u8]>) -> (Head, String) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.send(request).await;
    let head = upstreams.accept().await.expect_head().await;
    (head, upstreams.address().to_string())
}

/// An upgrade that named several protocols went up with all of them, so that the upstream could
/// choose one that lubdub would then take for WebSocket.
#[tokio::test]
async fn of_several_protocols_only_websocket_goes_up() {
    let upgrade = || Request::upgrade("/").without("upgrade");
    let one_line = upgrade().field("Upgrade", "h2c, websocket");
    let two_lines = upgrade()
        .field("Upgrade", "h2c")
        .field("Upgrade", "websocket");
    for request in [one_line, two_lines] {
        let (head, _) = as_it_arrives(request.encode()).await;
        assert_eq!(head.field("upgrade"), Some("websocket"), "{head:#?}");
    }
}

/// HTTP/1.0 may do without a Host, and what went up was HTTP/1.1, which may not.
#[tokio::test]
async fn a_client_without_a_host_goes_up_with_one() {
    let (head, upstream) = as_it_arrives("GET /old HTTP/1.0\r\n\r\n").await;
    assert_eq!(head.first_line, "GET /old HTTP/1.1");
    assert_eq!(head.field("host"), Some(&*upstream));
}

/// The target of `OPTIONS *` became a path.
#[tokio::test]
async fn an_asterisk_stays_an_asterisk() {
    let (head, _) = as_it_arrives(Request::new("OPTIONS", "*").encode()).await;
    assert_eq!(head.first_line, "OPTIONS * HTTP/1.1");
}

/// The upstream was never told that trailers are welcome.
#[tokio::test]
async fn a_wish_for_trailers_goes_up_and_no_other_coding() {
    let te = |value| {
        Request::get("/")
            .field("TE", value)
            .field("Connection", "TE")
    };
    for (value, arrives) in [
        ("trailers", Some("trailers")),
        ("gzip;q=0.5, Trailers", Some("trailers")),
        ("gzip", None),
    ] {
        let (head, _) = as_it_arrives(te(value).encode()).await;
        assert_eq!(head.field("te"), arrives, "{head:#?}");
    }
}

/// An answer that was framed twice went down with both lengths, or not at all.
#[tokio::test]
async fn an_answer_that_is_framed_twice_arrives_framed_once() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    upstream
        .send(
            "HTTP/1.1 200 OK\r\n\
             Transfer-Encoding: chunked\r\n\
             Content-Length: 3\r\n\
             \r\n\
             5\r\nhello\r\n0\r\n\r\n",
        )
        .await;
    let head = client.expect_head().await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.field("transfer-encoding"), Some("chunked"));
    assert_eq!(head.field("content-length"), None);
    assert_eq!(client.expect_chunks().await, "hello");
}

/// What is no host went up as one, user information and all.
#[tokio::test]
async fn a_host_that_is_none_is_a_bad_request() {
    let with_host = |host| Request::get("/").host(host);
    let requests = [
        with_host("user@lubdub.example"),
        with_host("user:secret@lubdub.example"),
        with_host("two words"),
        Request::get("http://user:secret@lubdub.example/"),
    ];
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    for request in requests {
        let mut client = proxy.dial().connect().await;
        client.ask(&request).await;
        client.expect_answer(400).await;
        client.expect_eof().await;
    }
    upstreams.expect_nobody(ms(20)).await;
}
