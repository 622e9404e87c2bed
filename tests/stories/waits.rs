//! Waits without a limit, or whose limit held only the first time.

use lubdub_testkit::http::Request;
use lubdub_testkit::ms;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use tokio::time::{Instant, sleep};

/// A connection that had been served once could be slow with its next head for as long as it
/// liked.
#[tokio::test]
async fn a_second_head_that_is_slow_is_not_waited_for_either() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.timeouts.request_head = ms(300))
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
    let began = Instant::now();
    for byte in Request::get("/")
        .field("X-Long", &"x".repeat(1000))
        .encode()
    {
        if !client.try_send([byte]).await {
            break;
        }
        sleep(ms(20)).await;
    }
    client.expect_end().await;
    assert!(began.elapsed() >= ms(300), "after {:?}", began.elapsed());
    proxy.expect_outcome("request_timeout").await;
}

/// A plain request to an upstream that never answered was waited for until the client gave up.
#[tokio::test]
async fn an_upstream_that_is_silent_is_a_gateway_timeout() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .terms(|terms| terms.http_idle = Some(ms(300)))
        .start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let began = Instant::now();
    client.ask(&Request::get("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    client.expect_answer(504).await;
    assert!(began.elapsed() >= ms(300), "after {:?}", began.elapsed());
    upstream.expect_end().await;
}
