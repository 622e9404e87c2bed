//! `route.NAME.rate`: a pair has the rates that it came with.

use lubdub_testkit::PATIENCE;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::Peer;
use serde_json::Value;
use tokio::time::timeout;

use super::stage::{Place, Stage};
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "route.NAME.rate.to_client.bytes" => bytes,
    "route.NAME.rate.to_client.messages" => messages,
    "route.NAME.rate.to_upstream.bytes" => bytes,
    "route.NAME.rate.to_upstream.messages" => messages,
};

/// At either rate these take a minute, which nobody waits for.
const MESSAGES: usize = 64;
const LEN: usize = 1024;

async fn bytes(place: Place) {
    holds_those_who_come(place, "1KiB/s").await;
}

async fn messages(place: Place) {
    holds_those_who_come(place, "1/s").await;
}

async fn holds_those_who_come(place: Place, rate: &str) {
    let mut stage = place.stage_at("off", &[]).await;
    let mut early = stage.pair().await;
    stage.set(place, rate).await;
    let mut slow = stage.pair().await;
    let (slow_sender, slow_receiver) = ends(place, &mut slow);
    send_all(slow_sender).await;
    expect_held(&stage, place, 1).await;
    // Neither the other way of it, nor who was there before.
    send_all(slow_receiver).await;
    receive_all(slow_sender).await;
    relays(place, &mut early).await;
    expect_held(&stage, place, 1).await;
    // Who comes when there is none any more has none; who has one keeps it.
    stage.set(place, "off").await;
    let mut late = stage.pair().await;
    relays(place, &mut late).await;
    relays(place, &mut early).await;
    expect_held(&stage, place, 1).await;
}

/// Who sends in the direction that the key is about, and who receives.
fn ends(place: Place, (client, upstream): &mut (Peer, Peer)) -> (&mut Peer, &mut Peer) {
    match is_to_client(place) {
        true => (upstream, client),
        false => (client, upstream),
    }
}

fn is_to_client(place: Place) -> bool {
    place.key.contains(".to_client.")
}

/// All of it comes through, both ways.
async fn relays(place: Place, pair: &mut (Peer, Peer)) {
    let (sender, receiver) = ends(place, pair);
    let all = async {
        send_all(sender).await;
        receive_all(receiver).await;
        send_all(receiver).await;
        receive_all(sender).await;
    };
    let relayed = timeout(PATIENCE, all).await;
    relayed.unwrap_or_else(|_| panic!("{}: a pair without a rate is slow", place.key()));
}

async fn send_all(sender: &mut Peer) {
    for _ in 0..MESSAGES {
        sender.send_frame(&Frame::binary([b'x'; LEN])).await;
    }
}

async fn receive_all(receiver: &mut Peer) {
    for _ in 0..MESSAGES {
        let frame = receiver.expect_frame().await;
        assert_eq!(frame.payload, [b'x'; LEN]);
    }
}

/// Waits until so many pairs are held, each in the direction that the key is about.
async fn expect_held(stage: &Stage, place: Place, count: usize) {
    let (sender, receiver) = match is_to_client(place) {
        true => ("upstream", "client"),
        false => ("client", "upstream"),
    };
    let held = |said: &Value, side: &str| {
        let pairs = said["pairs"].as_array().expect("a list").iter();
        pairs.filter(|pair| pair[side]["held"] == true).count()
    };
    let said = (stage.lubdub)
        .told_when("/api/v1/pairs", |said| held(said, sender) == count)
        .await;
    assert_eq!(held(&said, receiver), 0, "{said:#}");
}
