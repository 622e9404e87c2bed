//! Whose pongs pass, and which one is put in the place of one that was left out (RFC 6455 5.5.3).

use lubdub_keepalive::{Evidence, Side};
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::Peer;
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms};

/// Both ends of a pair of which this side is pinged: that side's first, then the other's.
async fn pinged(side: Side) -> (RunningProxy, Peer, Peer) {
    let rig = Rig::open(ProxyBox::new().ping(side, ms(100), LONG)).await;
    match side {
        Side::Client => (rig.proxy, rig.client, rig.upstream),
        Side::Upstream => (rig.proxy, rig.upstream, rig.client),
    }
}

#[tokio::test]
async fn own_pongs_go_no_further() {
    for side in Side::BOTH {
        let (proxy, mut near, mut far) = pinged(side).await;
        let first = near.expect_ping().await;
        near.pong(&first).await;
        near.pong(&first).await;
        let second = near.expect_ping().await;
        near.pong(&second).await;
        // A late duplicate, of one that was answered long ago.
        near.pong(&first).await;
        near.send_text("after four pongs").await;
        far.expect_text("after four pongs").await;
        let of_side = [("side", side.as_str())];
        proxy
            .expect_metric("pongs_received_total", &of_side, 2.0)
            .await;
        proxy
            .expect_metric("ping_rtt_seconds_count", &of_side, 2.0)
            .await;
    }
}

#[tokio::test]
async fn foreign_pings_and_pongs_go_end_to_end() {
    let proxy = ProxyBox::new()
        .ping(Side::Client, ms(10), LONG)
        .ping(Side::Upstream, ms(10), LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let full = [b'f'; 125];
    let like_lubdubs = *b"12345678\0\0\0\0\0\0\0\0";
    let payloads: [&[u8]; 4] = [b"", b"hello", &full, &like_lubdubs];
    for payload in payloads {
        relayed(&mut client, &mut upstream, payload).await;
        relayed(&mut upstream, &mut client, payload).await;
    }
    client.close(1000, "").await;
    upstream.close(1000, "").await;
    drop((client, upstream));
    proxy.expect_no_pairs().await;
    for direction in ["to_client", "to_upstream"] {
        let counted = [("direction", direction)];
        proxy
            .expect_metric("foreign_pings_total", &counted, 4.0)
            .await;
        proxy
            .expect_metric("foreign_pongs_total", &counted, 8.0)
            .await;
    }
}

/// A ping, its pong, and a pong that nobody asked for, byte for byte.
async fn relayed(near: &mut Peer, far: &mut Peer, payload: &[u8]) {
    let ping = near.encode(&Frame::ping(payload));
    near.send(&ping).await;
    hear(far, &ping).await;
    let pong = far.encode(&Frame::pong(payload));
    far.send(&pong).await;
    hear(near, &pong).await;
    let unsolicited = far.encode(&Frame::pong(payload));
    far.send(&unsolicited).await;
    hear(near, &unsolicited).await;
}

/// Answers lubdub's own pings until these bytes come.
async fn hear(peer: &mut Peer, raw: &[u8]) {
    loop {
        let frame = peer.expect_frame().await;
        if frame.raw == raw {
            return;
        }
        assert!(
            frame.is_ping() && frame.payload.len() == 16,
            "not expected: {frame:?}"
        );
        peer.pong(&frame.payload).await;
    }
}

#[tokio::test]
async fn an_endpoint_that_answers_only_the_latest_of_two_pings_does_not_cost_the_other_its_pong() {
    for side in Side::BOTH {
        let (proxy, mut near, mut far) = pinged(side).await;
        far.ping("an older one").await;
        far.ping("are you there?").await;
        assert_eq!(near.expect_ping().await, b"an older one");
        assert_eq!(near.expect_ping().await, b"are you there?");
        let own = near.expect_ping().await;
        near.pong(own).await;
        let repaired = far.expect_pong("are you there?").await;
        repaired.assert_well_made(side == Side::Client);
        near.send_text("and nothing else").await;
        far.expect_text("and nothing else").await;
        let of_side = [("side", side.as_str())];
        proxy
            .expect_metric("pongs_repaired_total", &of_side, 1.0)
            .await;
    }
}

#[tokio::test]
async fn nothing_is_repaired_if_every_ping_was_answered() {
    for side in Side::BOTH {
        let (proxy, mut near, mut far) = pinged(side).await;
        far.ping("are you there?").await;
        assert_eq!(near.expect_ping().await, b"are you there?");
        let own = near.expect_ping().await;
        near.pong("are you there?").await;
        near.pong(own).await;
        far.expect_pong("are you there?").await;
        near.send_text("and nothing else").await;
        far.expect_text("and nothing else").await;
        proxy.expect_metric("pongs_repaired_total", &[], 0.0).await;
    }
}

#[tokio::test]
async fn the_pong_to_a_later_foreign_ping_is_a_sign_of_life() {
    let policy = ProxyBox::new().policy(Side::Client, ms(100), ms(300), |policy| {
        policy.evidence = Evidence::Pong;
    });
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(policy).await;
    for round in 0..5 {
        // The client leaves the own ping unanswered, and answers the foreign one behind it.
        let own = client.expect_ping().await;
        assert_eq!(own.len(), 16, "round {round}");
        upstream.ping("latest").await;
        assert_eq!(client.expect_ping().await, b"latest");
        client.pong("latest").await;
        upstream.expect_pong("latest").await;
    }
    proxy.expect_metric("lapses_total", &[], 0.0).await;
    assert_eq!(proxy.registry().len(), 1);
}
