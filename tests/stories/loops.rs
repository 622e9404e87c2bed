//! lubdub as its own upstream: one request took all descriptors.

use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Dial, Upstream};
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::way::Port;

/// A proxy whose upstream is itself connected to itself until there was no descriptor left.
#[tokio::test]
async fn a_proxy_in_front_of_itself_refuses_instead_of_going_round() {
    let port = Port::hold().expect("loopback has a free port");
    let address = port.address;
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.listen = address)
        .start_before(address);
    for request in [Request::upgrade("/"), Request::get("/")] {
        let mut client = Dial::to(address).connect().await;
        client.ask(&request).await;
        client.expect_answer(508).await;
    }
    proxy.expect_outcome("loop").await;
}

/// A loop through others is known by the `Via` that lubdub left the first time.
#[tokio::test]
async fn a_request_that_comes_back_through_others_is_refused() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.forwarded.via = true)
        .start(&upstreams);
    let (mut client, mut upstream, head) = proxy
        .dial()
        .ask(&Request::get("/").field("Via", "1.0 fred"), &upstreams)
        .await;
    let via = head.all("via").join(", ");
    assert!(via.starts_with("1.0 fred, 1.1 lubdub-"), "{via}");
    upstream.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.expect_answer(204).await;
    for request in [Request::get("/"), Request::upgrade("/")] {
        let mut back = proxy.dial().connect().await;
        back.ask(&request.field("Via", &via)).await;
        back.expect_answer(508).await;
    }
}
