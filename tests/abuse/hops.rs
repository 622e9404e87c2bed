//! Connection, and what it names (RFC 9110 7.6.1): it is removed, unless the request would be another
//! one without it.

use crate::FRONT;
use crate::stage::Fate::{GoesUp, GoesUpLast, Refused};
use crate::stage::{get, post, requests};

/// What arrives of a GET that had nothing to say.
const PLAIN: &str = "GET / HTTP/1.1\r\nHost: lubdub.example\r\n\r\n";

requests! {
    what_connection_names:
        get("Connection: X-A\r\nX-A: 1\r\nX-B: 2\r\n\r\n")
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-B: 2\r\n\r\n");
    what_connection_names_in_another_case_and_a_later_line:
        get("x-a: 1\r\nConnection: keep-alive\r\nX-A: 2\r\nConnection: , X-a ,\r\n\r\n") => GoesUp(PLAIN);
    what_is_known_to_be_of_one_connection:
        get("Keep-Alive: timeout=5\r\nProxy-Connection: X-A\r\nTE: gzip\r\nX-A: 1\r\n\r\n")
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nX-A: 1\r\n\r\n");
    /// Without it the upstream would be asked for whatever it takes for its default.
    connection_names_the_host: get("Connection: Host\r\n\r\n") => GoesUp(PLAIN);
    /// Without it the body would be the next request.
    connection_names_the_length:
        post("Connection: Content-Length\r\nContent-Length: 3\r\n\r\nabc")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 3\r\n\r\nabc");
    connection_names_the_coding:
        post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n0\r\n\r\n");
    connection_names_both_framings:
        post("Connection: Transfer-Encoding, Content-Length\r\nContent-Length: 3\r\n\
            Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        => GoesUpLast("POST / HTTP/1.1\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n0\r\n\r\n");
    connection_names_itself: get("Connection: Connection\r\n\r\n") => GoesUp(PLAIN);
    /// A field that says who the client is can be taken away by the client: where lubdub makes it,
    /// it does so afterwards.
    connection_names_a_claim:
        get("Connection: X-Forwarded-For\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n") => GoesUp(PLAIN);
    connection_names_what_is_no_name:
        get("Connection: (, X-A\r\nX-A: 1\r\n\r\n") => GoesUp(PLAIN);
    connection_names_behind_a_byte_beyond_ascii:
        get("Connection: \u{e4}, X-A\r\nX-A: 1\r\n\r\n") => GoesUp(PLAIN);
    connection_names_close:
        get("Connection: close, X-A\r\nX-A: 1\r\n\r\n") => GoesUpLast(PLAIN);

    connection_upgrade_without_an_upgrade: get("Connection: Upgrade\r\n\r\n") => GoesUp(PLAIN);
    /// RFC 9110 7.8: "A server MAY ignore a received Upgrade header field", and what is stripped cannot
    /// be answered with a 101: what is behind such a request is a request to everyone.
    an_upgrade_without_connection_upgrade:
        get("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n")
        => GoesUp("GET / HTTP/1.1\r\nHost: lubdub.example\r\nSec-WebSocket-Version: 13\r\n\r\n");
    an_upgrade_to_http_2:
        get("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
        => GoesUp(PLAIN);
    an_upgrade_to_http_2_with_a_body:
        post("Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc")
        => GoesUp("POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 3\r\n\r\nabc");
    connection_with_a_nul: get("Connection: X-A\0\r\n\r\n") => Refused(400);
}

/// What lubdub says of the client cannot be taken away by Connection.
#[tokio::test]
async fn what_lubdub_adds_is_not_for_connection_to_take() {
    if way::is_unix() {
        // There is no address to be told.
        return;
    }
    use lubdub_testkit::peer::Upstream;
    use lubdub_testkit::proxy::ProxyBox;
    use lubdub_testkit::way;

    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().front(FRONT).start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let named = "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host\r\n\r\n";
    client.send(get(named)).await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(head.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(head.field("x-forwarded-proto"), Some(FRONT.scheme()));
    assert_eq!(head.field("x-forwarded-host"), Some("lubdub.example"));
}
