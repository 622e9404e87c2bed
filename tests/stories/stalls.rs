//! Stalls of the whole process (a debugger, a suspended machine), for which others were made to
//! pay: what they had done meanwhile was there, and nobody looked.

use std::time::Duration;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::{Request, SWITCHING};
use lubdub_testkit::ms;
use lubdub_testkit::peer::{Peer, Upstream};
use rustix::process::Signal;
use tokio::time::sleep;

/// Every timeout of these tests.
const TIMEOUT: Duration = ms(1000);
/// Longer than that, by more than a busy machine is late.
const STALL: Duration = ms(2000);

/// A lubdub whose timeouts are shorter than its stalls.
async fn start(upstreams: &Upstream) -> Binary {
    let settings = ["timeouts.data_idle", "timeouts.close", "timeouts.answer"]
        .map(|key| format!("{key}={}ms", TIMEOUT.as_millis()));
    Binary::start(upstreams, &settings.each_ref().map(String::as_str)).await
}

/// The time that nobody could use was counted as time in which nothing was said.
#[tokio::test]
async fn a_pair_with_data_is_not_idle_because_lubdub_stood_still() {
    let upstreams = Upstream::listen();
    let lubdub = start(&upstreams).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
    talk(&mut client, &mut upstream).await;
    lubdub.signal(Signal::STOP);
    // The endpoints stand still as well, as they do if they are on the same machine.
    sleep(STALL).await;
    lubdub.signal(Signal::CONT);
    talk(&mut client, &mut upstream).await;
}

/// Data passes now and then.
async fn talk(client: &mut Peer, upstream: &mut Peer) {
    for _ in 0..4 {
        sleep(TIMEOUT / 5).await;
        client.send_text("busy").await;
        upstream.expect_text("busy").await;
    }
}

/// The time for a closing handshake went on while nobody could take part in it.
#[tokio::test]
async fn a_half_closed_pair_delivers_what_was_sent_while_lubdub_stood_still() {
    let upstreams = Upstream::listen();
    let lubdub = start(&upstreams).await;
    let (mut client, mut upstream) = lubdub.pair(&upstreams).await;
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
    let (mut client, mut upstream, _) = lubdub.dial().ask(&Request::upgrade("/"), &upstreams).await;
    lubdub.signal(Signal::STOP);
    upstream.send(SWITCHING).await;
    sleep(STALL).await;
    lubdub.signal(Signal::CONT);
    client.expect_switch().await;
}
