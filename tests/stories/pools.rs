//! Connections that are kept for plain requests: who may use them, for how long, and what happens when
//! one closes as it is used.

use std::time::Duration;

use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What a challenge of these backends looks like.
fn challenge(field: &str, scheme: &str) -> String {
    format!("HTTP/1.1 401 Unauthorized\r\n{field}: {scheme}\r\nContent-Length: 0\r\n\r\n")
}

/// Answers the next request that comes over this connection.
async fn answer(upstream: &mut Peer, answer: &str) {
    let head = upstream.expect_head().await;
    upstream
        .expect_len(head.content_length().unwrap_or(0))
        .await;
    upstream.send(answer).await;
}

/// A client that asks for `request`, which the upstream answers over a connection of its own.
async fn ask_anew(proxy: &RunningProxy, upstreams: &Upstream, request: &Request) -> (Peer, Peer) {
    let mut client = proxy.dial().connect().await;
    client.ask(request).await;
    let mut upstream = upstreams.accept().await;
    answer(&mut upstream, OK).await;
    client.expect_answer(200).await;
    (client, upstream)
}

/// After a login of one client, others got its pages: the backend had logged in the connection.
#[tokio::test]
async fn a_connection_that_a_client_logged_in_is_nobody_elses() {
    for (field, credentials) in [
        ("Authorization", "NTLM TlRMTVNTUAADAAAA"),
        ("Authorization", "Negotiate YIIB"),
        ("Proxy-Authorization", "negotiate YIIB"),
    ] {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new().start(&upstreams);
        let login = Request::get("/secret").field(field, credentials);
        let (mut client, mut own) = ask_anew(&proxy, &upstreams, &login).await;
        // Others have connections of their own.
        let (_stranger, _others) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
        // The client has its own as long as it is there.
        client.ask(&Request::get("/secret")).await;
        answer(&mut own, OK).await;
        client.expect_answer(200).await;
        drop(client);
        own.expect_end().await;
    }
}

/// The same from the challenge on: the login comes over the connection that was challenged.
#[tokio::test]
async fn a_connection_that_was_challenged_is_the_clients_own() {
    for field in ["WWW-Authenticate", "Proxy-Authenticate"] {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new().start(&upstreams);
        let mut client = proxy.dial().connect().await;
        client.ask(&Request::get("/")).await;
        let mut own = upstreams.accept().await;
        answer(&mut own, &challenge(field, "NTLM")).await;
        client.expect_answer(401).await;
        let (_stranger, _others) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
        client
            .ask(&Request::get("/").field("Authorization", "NTLM TlRM"))
            .await;
        answer(&mut own, OK).await;
        client.expect_answer(200).await;
    }
}

/// A connection of a client's own on which its end had been passed on was used for what it had asked behind that:
/// 502.
#[tokio::test]
async fn a_connection_of_a_clients_own_that_was_told_of_its_end_is_not_used_again() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let login = Request::get("/").field("Authorization", "NTLM TlRM");
    let (mut client, mut own) = ask_anew(&proxy, &upstreams, &login).await;
    let post = Request::new("POST", "/").field("Content-Length", "0");
    client.send([post.encode(), post.encode()].concat()).await;
    client.finish().await;
    own.expect_head().await;
    own.expect_eof().await;
    own.send(OK).await;
    client.expect_answer(200).await;
    let mut fresh = upstreams.accept().await;
    answer(&mut fresh, OK).await;
    client.expect_answer(200).await;
    client.expect_eof().await;
}

/// Logins of requests (Basic, Bearer) take no connection.
#[tokio::test]
async fn a_login_of_a_request_takes_no_connection() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let basic = Request::get("/").field("Authorization", "Basic dXNlcjpwYXNz");
    let (_client, mut kept) = ask_anew(&proxy, &upstreams, &basic).await;
    let mut other = proxy.dial().connect().await;
    other.ask(&Request::get("/")).await;
    answer(&mut kept, OK).await;
    other.expect_answer(200).await;
}

#[tokio::test]
async fn without_a_pool_every_request_has_a_connection_of_its_own() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.pool = false)
        .start(&upstreams);
    let (mut client, mut first) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
    first.expect_end().await;
    client.ask(&Request::get("/")).await;
    let mut second = upstreams.accept().await;
    answer(&mut second, OK).await;
    client.expect_answer(200).await;
}

/// A name that had moved was asked at its old address for as long as there was always something to ask.
#[tokio::test]
async fn a_connection_is_kept_no_longer_than_its_age_however_busy_it_is() {
    const AGE: Duration = ms(300);
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.pool_age = AGE)
        .start(&upstreams);
    let (mut client, mut first) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
    first.expect_end().await;

    // One that is busy when it comes of age carries nothing of what is asked behind that.
    let get = Request::get("/").encode();
    client.send([get.clone(), get].concat()).await;
    let mut second = upstreams.accept().await;
    second.expect_head().await;
    second.expect_silence(AGE).await;
    second.send(OK).await;
    client.expect_answer(200).await;
    second.expect_end().await;
    let mut third = upstreams.accept().await;
    answer(&mut third, OK).await;
    client.expect_answer(200).await;
}

/// A kept connection that the backend closed as it was used: 502.
#[tokio::test]
async fn a_request_over_a_connection_that_closes_as_it_is_used_is_sent_once_more() {
    let body = "GET HEAD OPTIONS DELETE PUT";
    for method in body.split(' ') {
        let upstreams = Upstream::listen();
        let proxy = ProxyBox::new().start(&upstreams);
        let (mut client, mut kept) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
        let request = if method == "PUT" {
            let head = Request::new(method, "/once-more").field("Content-Length", "4");
            [head.encode(), b"body".to_vec()].concat()
        } else {
            Request::new(method, "/once-more").encode()
        };
        client.send(&request).await;
        let first = kept.expect_head().await;
        drop(kept);
        let mut fresh = upstreams.accept().await;
        let second = fresh.expect_head().await;
        assert_eq!(first, second, "as it was");
        let len = second.content_length().unwrap_or(0);
        let sent = fresh.expect_len(len).await;
        assert_eq!(sent, &b"body"[..len]);
        fresh.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        client.expect_head().await;
        upstreams.expect_nobody(ms(50)).await;
    }
}

/// What may have been done must not be done twice (RFC 9110 9.2.2).
#[tokio::test]
async fn a_post_is_never_sent_twice() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut kept) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
    client
        .ask(&Request::new("POST", "/pay").field("Content-Length", "0"))
        .await;
    kept.expect_head().await;
    drop(kept);
    client.expect_answer(502).await;
    upstreams.expect_nobody(ms(100)).await;
}

/// Neither is a request whose answer has begun, nor one that had a connection of its own.
#[tokio::test]
async fn only_a_kept_connection_without_an_answer_is_a_reason_to_ask_again() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut kept) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
    client.ask(&Request::get("/")).await;
    kept.expect_head().await;
    kept.send("HTTP/1.1 2").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(kept);
    client.expect_answer(502).await;
    upstreams.expect_nobody(ms(100)).await;

    let (mut another, fresh, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    drop(fresh);
    another.expect_answer(502).await;
    upstreams.expect_nobody(ms(100)).await;
}

/// Whoever waits to be asked for its body would have been made to wait twice.
#[tokio::test]
async fn a_request_that_expects_to_be_asked_for_its_body_is_not_sent_twice() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut kept) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
    let upload = Request::new("PUT", "/")
        .field("Content-Length", "4")
        .field("Expect", "100-continue");
    client.ask(&upload).await;
    kept.expect_head().await;
    drop(kept);
    client.expect_answer(502).await;
    upstreams.expect_nobody(ms(100)).await;
}

/// Of a body no more is kept than is little.
#[tokio::test]
async fn a_request_whose_body_is_long_is_not_sent_twice() {
    const BODY: usize = 20_000;
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut kept) = ask_anew(&proxy, &upstreams, &Request::get("/")).await;
    client
        .ask(&Request::new("PUT", "/").field("Content-Length", &BODY.to_string()))
        .await;
    client.send(vec![b'x'; BODY]).await;
    kept.expect_head().await;
    kept.expect_len(BODY).await;
    drop(kept);
    client.expect_answer(502).await;
    upstreams.expect_nobody(ms(100)).await;
}
