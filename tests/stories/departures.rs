//! Clients that left, or only said that they would say no more.

use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A POST whose body is whole.
fn post() -> String {
    "POST /poll HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 4\r\n\r\nbody".to_owned()
}

fn get() -> String {
    "GET /poll HTTP/1.1\r\nHost: lubdub.example\r\n\r\n".to_owned()
}

fn upgrade() -> String {
    String::from_utf8(Request::upgrade("/").encode()).expect("heads are text")
}

/// What stands behind a request: nothing, the empty line of old clients, a pipelined request.
const BEHIND: [&str; 3] = [
    "",
    "\r\n",
    "GET /next HTTP/1.1\r\nHost: lubdub.example\r\n\r\n",
];

/// A client that sends this, and the upstream that has heard its first request.
async fn asked(proxy: &RunningProxy, upstreams: &Upstream, bytes: &str) -> (Peer, Peer) {
    let mut client = proxy.dial().connect().await;
    client.send(bytes).await;
    let mut upstream = upstreams.accept().await;
    let head = upstream.expect_head().await;
    upstream
        .expect_len(head.content_length().unwrap_or(0))
        .await;
    (client, upstream)
}

/// BusyBox's wget and `nc -N` say that they will send no more, and wait for the answer; they got none.
#[tokio::test]
async fn a_client_that_has_said_all_gets_its_answer() {
    for request in [get(), post()] {
        for behind in ["", "\r\n"] {
            let upstreams = Upstream::listen();
            let proxy = ProxyBox::new().start(&upstreams);
            let bytes = [&*request, behind].concat();
            let (mut client, mut upstream) = asked(&proxy, &upstreams, &bytes).await;
            client.finish().await;
            // The upstream is told, and answers all the same.
            upstream.expect_eof().await;
            upstream.send(OK).await;
            assert_eq!(client.expect_answer(200).await.1, "ok");
            client.expect_eof().await;
        }
    }
}

/// The same while the answer is on its way already.
#[tokio::test]
async fn a_client_that_says_its_end_in_the_middle_of_its_answer_gets_the_rest() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream) = asked(&proxy, &upstreams, &get()).await;
    upstream
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        .await;
    client.expect_head().await;
    assert_eq!(client.expect_chunk().await, "one");
    client.finish().await;
    upstream.expect_eof().await;
    upstream.send("3\r\ntwo\r\n0\r\n\r\n").await;
    assert_eq!(client.expect_chunk().await, "two");
    client.expect_bytes("0\r\n\r\n").await;
    client.expect_eof().await;
}

/// A byte behind the request hid the client's end from lubdub: the upstream went on for 120 s.
#[tokio::test]
async fn an_upstream_is_told_at_once_that_its_client_has_gone() {
    for request in [get(), post(), upgrade()] {
        for behind in BEHIND {
            for reset in [false, true] {
                let upstreams = Upstream::listen();
                let proxy = ProxyBox::new().start(&upstreams);
                let bytes = [&*request, behind].concat();
                let (client, mut upstream) = asked(&proxy, &upstreams, &bytes).await;
                if reset {
                    client.reset();
                } else {
                    drop(client);
                }
                upstream.expect_end().await;
            }
        }
    }
}

/// The connection over which an end was passed on carries no other request.
#[tokio::test]
async fn a_connection_that_was_told_of_an_end_is_not_kept() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream) = asked(&proxy, &upstreams, &get()).await;
    client.finish().await;
    upstream.expect_eof().await;
    upstream.send(OK).await;
    client.expect_answer(200).await;
    let (_another, _fresh) = asked(&proxy, &upstreams, &get()).await;
}

/// An end within a body is no end of a request: both sides are over.
#[tokio::test]
async fn an_end_within_a_body_ends_both() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let begun = "POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 10\r\n\r\nbegun";
    client.send(begun).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.expect_bytes("begun").await;
    client.finish().await;
    upstream.expect_end().await;
    client.expect_end().await;
}

/// An upgrade whose client has said its end is still answered.
#[tokio::test]
async fn an_upgrade_behind_which_the_client_said_its_end_is_answered() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream) = asked(&proxy, &upstreams, &upgrade()).await;
    client.finish().await;
    upstream.expect_eof().await;
    upstream
        .send("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!")
        .await;
    assert_eq!(client.expect_answer(403).await.1, "no!");
    client.expect_eof().await;
    proxy.expect_outcome("refused").await;
}

/// A request that is whole is not taken for gone because its client is quiet.
#[tokio::test]
async fn a_client_that_only_waits_has_not_gone() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream) = asked(&proxy, &upstreams, &[&post(), "\r\n"].concat()).await;
    upstream.expect_silence(ms(100)).await;
    upstream.send(OK).await;
    client.expect_answer(200).await;
}

/// What was left of an upload waited in lubdub for an upstream that took nothing, with a descriptor that was
/// in no budget: a client that came again and again took them all.
#[tokio::test]
async fn an_upload_that_nobody_reads_ends_with_its_client() {
    for reset in [true, false] {
        let upstreams = Upstream::tiny();
        let proxy = ProxyBox::new()
            .terms(|terms| terms.http_idle = Some(ms(if reset { 60_000 } else { 300 })))
            .start(&upstreams);
        let head = "POST / HTTP/1.1\r\nHost: lubdub.example\r\nContent-Length: 100000000\r\n\r\n";
        let mut client = proxy.dial().tiny().connect().await;
        client.send(head).await;
        let mut upstream = upstreams.accept().await;
        upstream.expect_head().await;
        client.send_until_blocked(ms(50)).await;
        if reset {
            client.reset();
        } else {
            client.expect_answer(504).await;
        }
        upstream.expect_broken().await;
    }
}
