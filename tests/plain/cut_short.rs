//! Upstreams that close too early: an answer that was not whole is not made whole for the client (RFC
//! 9112 8), and no answer at all is a 502.

use std::time::Duration;

use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_testkit::{certs, ms, way};
use tokio::task::yield_now;
use tokio::time::sleep;

/// How an upstream leaves.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    WithFin,
    WithReset,
}

const WAYS: [Leaves; 2] = [Leaves::WithFin, Leaves::WithReset];

// === impl Leaves ===

impl Leaves {
    fn now(self, upstream: Peer) {
        match self {
            Self::WithFin => drop(upstream),
            Self::WithReset => upstream.reset(),
        }
    }
}

/// A client whose GET has reached the upstream.
async fn asked(upstreams: &Upstream) -> (RunningProxy, Peer, Peer) {
    let proxy = ProxyBox::new().start(upstreams);
    let (client, upstream, _) = proxy.dial().ask(&Request::get("/"), upstreams).await;
    (proxy, client, upstream)
}

/// Sends a head and a part of a body, and leaves once that has arrived. The client gets this part of
/// the body, in these bytes, and then nothing but the end of its connection.
async fn leaves_behind(leaves: Leaves, fields: &str, part: &str) {
    let upstreams = Upstream::listen();
    let (_proxy, mut client, mut upstream) = asked(&upstreams).await;
    upstream
        .send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n{part}"))
        .await;
    client.expect_head().await;
    client.expect_bytes(part).await;
    leaves.now(upstream);
    client.expect_eof().await;
}

#[tokio::test]
async fn a_sized_body_stays_shorter_than_its_head_says() {
    for leaves in WAYS {
        leaves_behind(leaves, "Content-Length: 11\r\n", "hello").await;
    }
}

#[tokio::test]
async fn a_chunked_body_gets_no_last_chunk() {
    for leaves in WAYS {
        leaves_behind(leaves, "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n").await;
    }
}

/// What has come of a chunk is passed on as a chunk of its own; what is missing stays missing.
#[tokio::test]
async fn a_chunk_that_is_cut_short_is_not_the_last() {
    for leaves in WAYS {
        let upstreams = Upstream::listen();
        let (_proxy, mut client, mut upstream) = asked(&upstreams).await;
        upstream
            .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello")
            .await;
        client.expect_head().await;
        client.expect_bytes("5\r\nhello\r\n").await;
        leaves.now(upstream);
        client.expect_eof().await;
    }
}

/// A body without a length ends with the connection: a FIN is its end, and a reset is not.
#[tokio::test]
async fn a_body_that_lasts_to_the_end_is_whole_only_behind_a_fin() {
    for leaves in WAYS {
        let upstreams = Upstream::listen();
        let (_proxy, mut client, mut upstream) = asked(&upstreams).await;
        upstream.send("HTTP/1.1 200 OK\r\n\r\nhello").await;
        let head = client.expect_head().await;
        assert_eq!(head.field("transfer-encoding"), Some("chunked"));
        client.expect_bytes("5\r\nhello\r\n").await;
        leaves.now(upstream);
        match leaves {
            // A Unix socket has no reset: whoever goes, has ended.
            Leaves::WithReset if way::is_unix() => client.expect_bytes("0\r\n\r\n").await,
            Leaves::WithFin => client.expect_bytes("0\r\n\r\n").await,
            Leaves::WithReset => client.expect_eof().await,
        }
    }
}

#[tokio::test]
async fn no_answer_is_a_bad_gateway_and_the_connection_goes_on() {
    for part in ["", "HTTP/1.1 200 OK\r\nContent-Le"] {
        for leaves in WAYS {
            let upstreams = Upstream::listen();
            let (_proxy, mut client, mut upstream) = asked(&upstreams).await;
            upstream.send(part).await;
            leaves.now(upstream);
            let (_, body) = client.expect_answer(502).await;
            assert_eq!(body, "502 Bad Gateway\n");
            client.ask(&Request::get("/next")).await;
            let mut upstream = upstreams.accept().await;
            assert_eq!(
                upstream.expect_head().await.first_line,
                "GET /next HTTP/1.1"
            );
            upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
            client.expect_answer(204).await;
        }
    }
}

/// The upstream is told of the client's end, and ends as well, as it would without lubdub between them: then the client
/// hears what it would have heard. It went before its answer, and that is nobody's fault.
#[tokio::test]
async fn a_client_that_has_ended_and_gets_no_answer_hears_the_end() {
    for (request, metric, label) in [
        (
            Request::get("/"),
            "http_requests_total",
            ("class", "failed"),
        ),
        (
            Request::upgrade("/"),
            "handshakes_total",
            ("outcome", "client_gone"),
        ),
    ] {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new().start(&upstreams);
        let (mut client, mut upstream, _) = proxy.dial().ask(&request, &upstreams).await;
        client.finish().await;
        upstream.expect_end().await;
        drop(upstream);
        client.expect_eof().await;
        proxy
            .expect_metric(metric, &[("route", "main"), label], 1.0)
            .await;
        assert_eq!(proxy.metric(metric, &[]), 1.0);
    }
}

/// What was said, and cannot be read, is the upstream's fault, whatever the client has ended.
#[tokio::test]
async fn a_client_that_has_ended_is_told_of_a_bad_answer() {
    for request in [Request::get("/"), Request::upgrade("/")] {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new().start(&upstreams);
        let (mut client, mut upstream, _) = proxy.dial().ask(&request, &upstreams).await;
        client.finish().await;
        upstream.expect_end().await;
        upstream.send("220 ready\r\n").await;
        drop(upstream);
        client.expect_answer(502).await;
    }
}

/// A small server refuses an upload, and closes with the rest of it unread: its kernel resets the connection (RFC
/// 9112 9.6). The answer is there all the same.
#[tokio::test]
async fn an_answer_before_the_end_of_an_upload_is_not_lost() {
    const REFUSAL: &str =
        "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 6\r\n\r\nlarge\n";
    let theirs = certs::Certs::generate();
    let piece = vec![b'x'; 10_000];
    for with_tls in [false, true] {
        let upstreams = match with_tls {
            true => Upstream::listen().tls(theirs.accepting()),
            false => Upstream::listen(),
        };
        let verifying = with_tls.then(|| theirs.verifying());
        let proxy = ProxyBox::new()
            .with(|proxy| proxy.upstream_tls = verifying)
            .start(&upstreams);
        let post = Request::new("POST", "/").field("Content-Length", "10000000");
        for _ in 0..20 {
            let (mut client, mut upstream, _) = proxy.dial().ask(&post, &upstreams).await;
            let uploading = async {
                // Until the connection ends, or the answer is there.
                while client.try_send(&piece).await {
                    yield_now().await;
                }
            };
            let refusing = async {
                upstream.expect_bytes(&piece).await;
                upstream.send(REFUSAL).await;
                drop(upstream);
                sleep(ms(10)).await;
            };
            tokio::select! {
                () = uploading => {}
                () = refusing => {}
            }
            assert_eq!(client.expect_answer(413).await.1, "large\n");
        }
    }
}

/// That it is over when the connection ends does not make a cut an end.
#[tokio::test]
async fn an_answer_without_a_length_that_a_reset_cuts_under_an_upload_is_not_whole() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let post = Request::new("POST", "/").field("Content-Length", "10000000");
    let piece = vec![b'x'; 10_000];
    for _ in 0..10 {
        let (mut client, mut upstream, _) = proxy.dial().ask(&post, &upstreams).await;
        upstream.send("HTTP/1.1 200 OK\r\n\r\nhello").await;
        client.expect_answer(200).await;
        client.expect_bytes("5\r\nhello\r\n").await;
        client.send(&piece).await;
        upstream.reset();
        for _ in 0..3 {
            let _ = client.try_send(&piece).await;
        }
        // A Unix socket has no reset.
        if !way::is_unix() {
            client.expect_end().await;
        }
    }
}

/// A head that is on its way is something, as is an answer before the answer (RFC 9110 15.2).
#[tokio::test]
async fn an_answer_that_is_on_its_way_is_waited_for() {
    const IDLE: Duration = ms(400);
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.terms.http_idle = Some(IDLE))
        .start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    for piece in [
        "HTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "Content-Length: 2\r\n",
        "\r\nok",
    ] {
        sleep(IDLE / 2).await;
        upstream.send(piece).await;
    }
    assert_eq!(client.expect_answer(200).await.1, "ok");
    // One that says nothing is not.
    client.ask(&Request::get("/")).await;
    upstream.expect_head().await;
    client.expect_answer(504).await;
}

/// It is the client that is waited for, not the upstream.
#[tokio::test]
async fn a_body_that_stops_is_the_clients_doing() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.terms.http_idle = Some(ms(300)))
        .start(&upstreams);
    let post = Request::new("POST", "/").field("Content-Length", "11");
    let (mut client, mut upstream, _) = proxy.dial().ask(&post, &upstreams).await;
    client.send("hello").await;
    upstream.expect_bytes("hello").await;
    let (head, _) = client.expect_answer(408).await;
    assert_eq!(head.field("connection"), Some("close"));
    client.expect_eof().await;
    upstream.expect_end().await;
}
