//! How a case is played: one request with another one behind it, and what becomes of both.

use lubdub_proxy::settings::ForwardedStyle;
use lubdub_testkit::PATIENCE;
use lubdub_testkit::peer::{Heard, Peer, Upstream};
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use tokio::time::timeout;

use crate::FRONT;

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    /// The client gets this status and the end of its connection; the upstream hears nothing.
    Refused(u16),
    /// The client gets the end of its connection; the upstream hears nothing.
    Dropped,
    /// The upstream hears exactly this, and then the second request as one of its own.
    GoesUp(&'static str),
    /// The upstream hears exactly this, and the client's connection ends behind the answer.
    GoesUpLast(&'static str),
    /// The upstream hears exactly this; the second request was taken for a part of it, and nobody hears
    /// of that.
    GoesUpAndTakes(&'static str),
    /// The upstream hears the beginning of this and the end of its connection: a message that is not
    /// whole to any reader. The client gets a 400 and the end of its own.
    CutOff(&'static str),
}

/// What becomes of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// The client gets exactly this, and its next request gets an answer of its own.
    GoesDown(&'static str),
    /// The client gets exactly this and the end of its connection.
    GoesDownLast(&'static str),
}

/// What stands behind every request.
pub(crate) const SECOND: &str = "GET /second HTTP/1.1\r\nHost: lubdub.example\r\n\r\n";
/// What another client asks for in the end, to see that nobody was at the upstream before it.
const CONTROL: &str = "GET /control HTTP/1.1\r\nHost: lubdub.example\r\n\r\n";
/// A refusal of lubdub's own, as far as it is about an upstream.
pub(crate) const BAD_GATEWAY: &str = "HTTP/1.1 502 Bad Gateway\r\n\
    content-type: text/plain\r\n\
    proxy-status: lubdub; error=http_protocol_error\r\n\
    content-length: 16\r\n\
    \r\n\
    502 Bad Gateway\n";
/// The same to an upgrade: nothing may follow.
pub(crate) const BAD_GATEWAY_LAST: &str = "HTTP/1.1 502 Bad Gateway\r\n\
    content-type: text/plain\r\n\
    proxy-status: lubdub; error=http_protocol_error\r\n\
    connection: close\r\n\
    content-length: 16\r\n\
    \r\n\
    502 Bad Gateway\n";

/// Makes a test of each line: a request, and what becomes of it.
macro_rules! requests {
    ($($(#[doc = $why:literal])* $name:ident: $request:expr => $fate:expr;)*) => {
        $(
            $(#[doc = $why])*
            #[tokio::test]
            async fn $name() {
                crate::stage::play($request.as_ref(), $fate).await;
            }
        )*
    };
}
pub(crate) use requests;

/// A POST to `/` with these bytes behind its Host field.
pub(crate) fn post(rest: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: lubdub.example\r\n{rest}")
}

/// A GET of `/` with these bytes behind its Host field.
pub(crate) fn get(rest: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: lubdub.example\r\n{rest}")
}

/// A proxy that adds nothing of its own to a request.
pub(crate) fn silent() -> ProxyBox {
    ProxyBox::new()
        .front(FRONT)
        .with(|proxy| proxy.forwarded.style = ForwardedStyle::Off)
}

/// Sends a request, and sees what becomes of it.
pub(crate) async fn play(request: &[u8], fate: Fate) {
    let upstreams = Upstream::listen();
    let proxy = silent().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.send([request, SECOND.as_bytes()].concat()).await;
    match fate {
        Fate::Refused(status) => {
            let (head, _) = client.expect_answer(status).await;
            assert_eq!(head.field("connection"), Some("close"), "{head:#?}");
            client.expect_eof().await;
        }
        Fate::Dropped => FRONT.expect_dropped(&mut client).await,
        Fate::GoesUp(arrives) => {
            hear(&upstreams, arrives, "first").await;
            expect_body(&mut client, "first").await;
            hear(&upstreams, SECOND, "second").await;
            expect_body(&mut client, "second").await;
        }
        Fate::GoesUpLast(arrives) => {
            hear(&upstreams, arrives, "first").await;
            expect_body(&mut client, "first").await;
            client.expect_eof().await;
        }
        Fate::GoesUpAndTakes(arrives) => {
            hear(&upstreams, arrives, "first").await;
            expect_body(&mut client, "first").await;
            client.finish().await;
            client.expect_eof().await;
        }
        Fate::CutOff(arrives) => {
            let heard = until_the_end(upstreams.accept().await).await;
            let heard = String::from_utf8_lossy(&heard);
            assert!(
                arrives.starts_with(&*heard),
                "the upstream heard {heard:?}, not the beginning of {arrives:?}"
            );
            client.expect_answer(400).await;
            client.expect_eof().await;
        }
    }
    drop(client);
    nobody_else(&proxy, &upstreams).await;
}

/// Answers a request (a plain one or an upgrade) with `answer`, and sees what becomes of that.
pub(crate) async fn play_answer(request: &str, answer: &str, outcome: Outcome) {
    let upstreams = Upstream::listen();
    let proxy = silent().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    client.send(request).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    upstream.send(answer).await;
    match outcome {
        Outcome::GoesDown(arrives) => {
            client.expect_bytes(arrives).await;
            // Whatever else there was on this connection, nobody reads it any more.
            upstream.expect_end().await;
            client.send(SECOND).await;
            hear(&upstreams, SECOND, "second").await;
            expect_body(&mut client, "second").await;
        }
        Outcome::GoesDownLast(arrives) => {
            client.send(SECOND).await;
            client.expect_bytes(arrives).await;
            client.expect_eof().await;
            upstream.expect_end().await;
        }
    }
    drop(client);
    nobody_else(&proxy, &upstreams).await;
}

/// The next connection brings these bytes and no others, and gets this answer.
async fn hear(upstreams: &Upstream, request: &str, answer: &str) {
    let mut upstream = upstreams.accept().await;
    upstream.expect_bytes(request).await;
    // It closes, so that one connection is one request, whatever is pooled.
    let len = answer.len();
    upstream
        .send(format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len}\r\n\r\n{answer}"
        ))
        .await;
    upstream.expect_eof().await;
}

/// All that comes on a connection, until it ends.
pub(crate) async fn until_the_end(upstream: Peer) -> Vec<u8> {
    let (mut ears, _mouth) = upstream.split();
    let end = async { while let Heard::Frame(_) = ears.next().await {} };
    timeout(PATIENCE, end)
        .await
        .expect("lubdub ends the connection to the upstream in time");
    ears.heard().to_vec()
}

async fn expect_body(client: &mut Peer, body: &str) {
    assert_eq!(client.expect_answer(200).await.1, body);
}

/// The next who comes to the upstream is a client that was not there before.
pub(crate) async fn nobody_else(proxy: &RunningProxy, upstreams: &Upstream) {
    let mut control = proxy.dial().connect().await;
    control.send(CONTROL).await;
    hear(upstreams, CONTROL, "control").await;
    expect_body(&mut control, "control").await;
}
