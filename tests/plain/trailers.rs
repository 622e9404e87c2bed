//! Trailers (RFC 9110 6.5): behind a chunked body those that its head announced pass, either way, and
//! an answer's only to a client that asked for them. What must never be a trailer is in
//! `tests/abuse/chunks.rs`.

use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;

const NEXT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext";

/// What a client gets behind the head of a chunked answer, and that the connection goes on behind it.
async fn as_it_comes_down(request: Request, announced: &str, body: &str, arrives: &str) {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&request, &upstreams).await;
    upstream
        .send(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{announced}\r\n{body}"
        ))
        .await;
    let (head, _) = client.expect_answer(200).await;
    assert_eq!(head.field("transfer-encoding"), Some("chunked"));
    client.expect_bytes(arrives).await;
    client.ask(&Request::get("/next")).await;
    assert_eq!(
        upstream.expect_head().await.first_line,
        "GET /next HTTP/1.1"
    );
    upstream.send(NEXT).await;
    assert_eq!(client.expect_answer(200).await.1, "next");
}

fn welcoming_trailers() -> Request {
    Request::get("/")
        .field("TE", "trailers")
        .field("Connection", "TE")
}

#[tokio::test]
async fn an_answers_trailers_reach_a_client_that_asked_for_them() {
    as_it_comes_down(
        welcoming_trailers(),
        "Trailer: X-Sum, X-Took\r\n",
        "5\r\nhello\r\n0\r\nX-Sum: 532\r\nX-Took: 3 ms\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-sum: 532\r\nx-took: 3 ms\r\n\r\n",
    )
    .await;
}

/// RFC 9110 6.5.1: whoever did not ask for trailers may not know what to do with them.
#[tokio::test]
async fn an_answers_trailers_are_kept_from_a_client_that_did_not_ask_for_them() {
    as_it_comes_down(
        Request::get("/"),
        "Trailer: X-Sum\r\n",
        "5\r\nhello\r\n0\r\nX-Sum: 532\r\n\r\n",
        "5\r\nhello\r\n0\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn an_answers_trailers_that_its_head_did_not_announce_go_no_further() {
    as_it_comes_down(
        welcoming_trailers(),
        "Trailer: X-Sum\r\n",
        "5\r\nhello\r\n0\r\nX-Sum: 532\r\nX-More: 1\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-sum: 532\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn a_requests_trailers_go_up() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let post = Request::new("POST", "/")
        .field("Transfer-Encoding", "chunked")
        .field("Trailer", "X-Sum");
    client.ask(&post).await;
    let mut upstream = upstreams.accept().await;
    let head = upstream.expect_head().await;
    assert_eq!(head.field("trailer"), Some("X-Sum"));
    client.send("5\r\nhello\r\n").await;
    upstream.expect_bytes("5\r\nhello\r\n").await;
    client.send("0\r\nX-Sum: 532\r\n\r\n").await;
    upstream.expect_bytes("0\r\nx-sum: 532\r\n\r\n").await;
    upstream.send(NEXT).await;
    assert_eq!(client.expect_answer(200).await.1, "next");
}

/// Whoever writes an answer asks for nothing behind its trailers. Such an answer was taken for one that broke off: the
/// upload behind it was ended, and it counted as failed.
#[tokio::test]
async fn an_answer_with_trailers_is_whole_and_an_upload_goes_on_behind_it() {
    const TRAILERS: &str =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 532\r\n\r\n";
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let post = Request::new("POST", "/").field("Content-Length", "11");
    let (mut client, mut upstream, _) = proxy.dial().ask(&post, &upstreams).await;
    upstream.send(TRAILERS).await;
    client.expect_answer(200).await;
    client.expect_bytes("0\r\n\r\n").await;
    for piece in ["hello ", "world"] {
        client.send(piece).await;
        upstream.expect_bytes(piece).await;
    }
    let labels = [("route", "main"), ("class", "2xx")];
    proxy
        .expect_metric("http_requests_total", &labels, 1.0)
        .await;
    assert_eq!(proxy.metric("http_requests_total", &[]), 1.0);
}
