//! Stalls of the whole process (a debugger, a suspended machine), for which others were made to
//! pay: what they had done meanwhile was there, and nobody looked.

use std::time::Duration;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::{Request, SWITCHING};
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use rustix::process::Signal;
use tokio::time::sleep;

/// Longer than every timeout of these tests, by more than a busy machine is late.
const STALL: Duration = ms(2500);

/// A lubdub whose timeouts are shorter than its stalls.
async fn start(upstreams: &Upstream) -> Binary {
    let settings = [
        "timeouts.data_idle=1500ms",
        "timeouts.close=1500ms",
        "timeouts.answer=1500ms",
    ];
    Binary::start(upstreams, &settings).await
}

async fn pair(lubdub: &Binary, upstreams: &Upstream) -> (Peer, Peer) {
    tokio::join!(lubdub.dial().websocket(), upstreams.accept_websocket())
}

/// The data that had come in meanwhile lay unread when the pair was called idle.
#[tokio::test]
async fn a_pair_with_data_is_not_idle_because_lubdub_stood_still() {
    let upstreams = Upstream::listen();
    let lubdub = start(&upstreams).await;
    let (mut client, mut upstream) = pair(&lubdub, &upstreams).await;
    client.send_text("before").await;
    upstream.expect_text("before").await;
    lubdub.signal(Signal::STOP);
    let pause = ms(300);
    for _ in 0..STALL.as_millis() / pause.as_millis() {
        client.send_text("meanwhile").await;
        sleep(pause).await;
    }
    lubdub.signal(Signal::CONT);
    for _ in 0..STALL.as_millis() / pause.as_millis() {
        upstream.expect_text("meanwhile").await;
    }
    client.send_text("after").await;
    upstream.expect_text("after").await;
    upstream.send_text("the same to you").await;
    client.expect_text("the same to you").await;
}

/// The time for a closing handshake went on while nobody could take part in it.
#[tokio::test]
async fn a_half_closed_pair_delivers_what_was_sent_while_lubdub_stood_still() {
    let upstreams = Upstream::listen();
    let lubdub = start(&upstreams).await;
    let (mut client, mut upstream) = pair(&lubdub, &upstreams).await;
    client.finish().await;
    upstream.expect_eof().await;
    lubdub.signal(Signal::STOP);
    upstream.send_text("my last words").await;
    upstream.finish().await;
    sleep(STALL).await;
    lubdub.signal(Signal::CONT);
    client.expect_text("my last words").await;
    client.expect_eof().await;
    let ended = lubdub.expect_logged("pair ended").await;
    assert_eq!(ended["cause"], "client_eof");
}

/// The time for an answer was over before anybody looked whether it was there.
#[tokio::test]
async fn an_upgrade_that_was_answered_while_lubdub_stood_still_is_one() {
    let upstreams = Upstream::listen();
    let lubdub = start(&upstreams).await;
    let mut client = lubdub.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    lubdub.signal(Signal::STOP);
    upstream.send(SWITCHING).await;
    sleep(STALL).await;
    lubdub.signal(Signal::CONT);
    client.expect_switch().await;
}
