//! Connections: used again on both sides, and let go of when nothing happens on them.

use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use tokio::time::Instant;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[tokio::test]
async fn a_connection_is_used_for_one_request_after_the_other() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/0")).await;
    let mut upstream = upstreams.accept().await;
    for n in 0..3 {
        if n > 0 {
            client.ask(&Request::get(&format!("/{n}"))).await;
        }
        assert_eq!(
            upstream.expect_head().await.first_line,
            format!("GET /{n} HTTP/1.1")
        );
        upstream.send(OK).await;
        client.expect_answer(200).await;
    }
    // Another client finds the upstream's connection in the pool.
    let mut other = proxy.dial().connect().await;
    other.ask(&Request::get("/other")).await;
    assert_eq!(
        upstream.expect_head().await.first_line,
        "GET /other HTTP/1.1"
    );
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let requests = ["/first", "/second", "/third"].map(|target| Request::get(target).encode());
    client.send(requests.concat()).await;
    let mut upstream = upstreams.accept().await;
    for target in ["/first", "/second", "/third"] {
        assert_eq!(
            upstream.expect_head().await.first_line,
            format!("GET {target} HTTP/1.1")
        );
        upstream
            .send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{target}",
                target.len()
            ))
            .await;
        assert_eq!(client.expect_answer(200).await.1, target);
    }
}

#[tokio::test]
async fn an_upgrade_may_follow_a_plain_request() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut polled, _) = proxy.dial().ask(&Request::get("/poll"), &upstreams).await;
    polled.send(OK).await;
    client.expect_answer(200).await;
    client.ask(&Request::upgrade("/socket")).await;
    let mut upstream = upstreams.accept_websocket().await;
    client.expect_switch().await;
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
}

#[tokio::test]
async fn an_idle_connection_is_let_go() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.timeouts.http_idle = Some(ms(200)))
        .start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    upstream.send(OK).await;
    client.expect_answer(200).await;
    let answered = Instant::now();
    client.expect_eof().await;
    assert!(
        answered.elapsed() >= ms(180),
        "after {:?}",
        answered.elapsed()
    );
}

#[tokio::test]
async fn an_exchange_in_which_nothing_happens_is_ended() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .terms(|terms| terms.http_idle = Some(ms(200)))
        .start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    upstream
        .send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.expect_head().await;
    // As long as something comes, it goes on.
    for _ in 0..5 {
        tokio::time::sleep(ms(100)).await;
        upstream.send("2\r\nok\r\n").await;
        assert_eq!(client.expect_chunk().await, "ok");
    }
    tokio::join!(client.expect_end(), upstream.expect_end());
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_bad_gateway() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    drop(upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    client.expect_answer(502).await;
}

#[tokio::test]
async fn a_drain_lets_an_exchange_end_and_no_other_begin() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let (mut client, mut upstream, _) = proxy.dial().ask(&Request::get("/"), &upstreams).await;
    let exchange = async {
        while proxy.dial().open().await.is_ok() {}
        upstream.send(OK).await;
        let (head, body) = client.expect_answer(200).await;
        assert_eq!(
            (head.field("connection"), body.as_str()),
            (Some("close"), "ok")
        );
        client.expect_eof().await;
    };
    tokio::join!(proxy.drain(), exchange);
}
