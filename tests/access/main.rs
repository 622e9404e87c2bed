//! Who may come in, to which route, and what the upstream then gets.

mod networks;
mod pages;
mod rate;
mod routes;

use lubdub_testkit::http::{Head, Request};
use lubdub_testkit::peer::{Dial, Peer, Upstream};
use lubdub_testkit::proxy::RunningProxy;

/// An upgrade that is refused, with this status and by lubdub.
async fn is_refused(dial: Dial, request: &Request, status: u16) -> Head {
    let mut client = dial.connect().await;
    client.ask(request).await;
    let (head, body) = client.expect_answer(status).await;
    assert_eq!(head.field("connection"), Some("close"), "{head:#?}");
    assert!(body.starts_with(&format!("{status} ")), "{body:?}");
    client.expect_eof().await;
    head
}

/// An upgrade that becomes a pair.
async fn comes_in(dial: Dial, request: &Request, upstreams: &Upstream) -> (Peer, Peer) {
    let client = async {
        let mut client = dial.connect().await;
        client.ask(request).await;
        client.expect_switch().await;
        client
    };
    tokio::join!(client, upstreams.accept_websocket())
}

/// How many handshakes had this outcome.
fn handshakes(proxy: &RunningProxy, outcome: &str) -> f64 {
    proxy.metric("handshakes_total", &[("outcome", outcome)])
}
