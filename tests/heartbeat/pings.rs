//! When pings are sent, and where in the stream they stand.

use std::time::Duration;

use lubdub_keepalive::{Mode, Side};
use lubdub_testkit::frame::{Frame, Seen};
use lubdub_testkit::peer::Peer;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms};
use tokio::time::{Instant, sleep};

/// How long a ping waits for the end of a message where nothing else is set.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// The next frame that is no ping.
async fn behind_pings(peer: &mut Peer) -> Seen {
    loop {
        let frame = peer.expect_frame().await;
        if !frame.is_ping() {
            return frame;
        }
    }
}

/// A ping that comes within so long from now; on a slow machine, no later than a sleep of that length
/// that was begun with it, give or take half a second.
async fn expect_ping_within(peer: &mut Peer, limit: Duration) {
    let from = Instant::now();
    let control = async {
        sleep(limit).await;
        from.elapsed()
    };
    let ping = async {
        peer.expect_ping().await;
        from.elapsed()
    };
    let (control, waited) = tokio::join!(control, ping);
    assert!(
        waited <= control + ms(500) && waited < DEFAULT_WAIT,
        "after {waited:?}, and a sleep of {limit:?} took {control:?}"
    );
}

#[tokio::test]
async fn both_sides_are_pinged_at_their_intervals() {
    let proxy =
        ProxyBox::new()
            .ping(Side::Client, ms(100), LONG)
            .ping(Side::Upstream, ms(150), LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let opened = Instant::now();
    let (of_client, of_upstream) = tokio::join!(
        async {
            client.answer_next_pings(1).await;
            let first = opened.elapsed();
            client.answer_next_pings(5).await;
            (first, opened.elapsed() - first)
        },
        async {
            upstream.answer_next_pings(1).await;
            let first = opened.elapsed();
            upstream.answer_next_pings(3).await;
            (first, opened.elapsed() - first)
        },
    );
    for (interval, count, (first, span)) in [(ms(100), 5, of_client), (ms(150), 3, of_upstream)] {
        assert!(
            first >= interval / 2 - ms(20),
            "the first came after {first:?}"
        );
        assert!(
            first <= interval + ms(100),
            "the first came after {first:?}"
        );
        // Each one's delay on its way is part of the span; but the delays do not add up.
        assert!(
            span >= interval * count - ms(50),
            "{count} more took {span:?}"
        );
    }
    proxy
        .expect_at_least("pings_sent_total", &[("side", "client")], 6.0)
        .await;
    proxy
        .expect_at_least("pings_sent_total", &[("side", "upstream")], 4.0)
        .await;
}

#[tokio::test]
async fn own_pings_are_well_made() {
    let proxy = ProxyBox::new()
        .ping(Side::Client, ms(20), LONG)
        .ping(Side::Upstream, ms(20), LONG);
    let Rig {
        proxy: _proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let mut payloads = Vec::new();
    let mut keys = Vec::new();
    for _ in 0..3 {
        let to_client = client.expect_frame().await;
        let to_upstream = upstream.expect_frame().await;
        for (ping, is_to_upstream) in [(&to_client, false), (&to_upstream, true)] {
            assert!(ping.is_ping(), "{ping:?}");
            ping.assert_well_made(is_to_upstream);
            assert_eq!(ping.payload.len(), 16);
            payloads.push(ping.payload.clone());
        }
        keys.push(to_upstream.header.mask);
    }
    payloads.sort();
    payloads.dedup();
    assert_eq!(payloads.len(), 6, "each carries something else");
    assert!(
        keys[0] != keys[1] && keys[1] != keys[2],
        "each has a key of its own: {keys:?}"
    );
}

#[tokio::test]
async fn a_ping_waits_for_the_end_of_a_message() {
    let proxy = ProxyBox::new()
        .ping(Side::Upstream, ms(30), LONG)
        .terms(|terms| terms.boundary_wait.upstream = Some(LONG));
    let Rig {
        proxy: _proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    client.send_frame(&Frame::text("first, ").open()).await;
    assert_eq!(upstream.expect_frame().await.payload, b"first, ");
    // Several pings would have been due.
    upstream.expect_silence(ms(150)).await;
    client.send_frame(&Frame::continuation("last")).await;
    assert_eq!(upstream.expect_frame().await.payload, b"last");
    upstream.expect_ping().await;
}

#[tokio::test]
async fn a_ping_waits_for_the_end_of_a_message_only_so_long() {
    const INTERVAL: Duration = ms(30);
    const WAIT: Duration = ms(150);
    let proxy = ProxyBox::new()
        .ping(Side::Client, INTERVAL, LONG)
        .terms(|terms| terms.boundary_wait.client = Some(WAIT));
    let Rig {
        proxy: _proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let opened = Instant::now();
    upstream.send_frame(&Frame::text("first, ").open()).await;
    assert_eq!(behind_pings(&mut client).await.payload, b"first, ");
    expect_ping_within(&mut client, INTERVAL + WAIT).await;
    assert!(
        opened.elapsed() >= WAIT,
        "between fragments after {:?}",
        opened.elapsed()
    );
    upstream.send_frame(&Frame::continuation("last")).await;
    assert_eq!(client.expect_frame().await.payload, b"last");
}

#[tokio::test]
async fn without_a_boundary_wait_a_ping_takes_the_first_gap_between_frames() {
    const INTERVAL: Duration = ms(30);
    let proxy = ProxyBox::new()
        .ping(Side::Upstream, INTERVAL, LONG)
        .terms(|terms| terms.boundary_wait.upstream = None);
    let Rig {
        proxy: _proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    client.send_frame(&Frame::text("first, ").open()).await;
    assert_eq!(behind_pings(&mut upstream).await.payload, b"first, ");
    expect_ping_within(&mut upstream, INTERVAL).await;
}

#[tokio::test]
async fn a_ping_never_stands_inside_a_frame() {
    let proxy = ProxyBox::new()
        .ping(Side::Upstream, ms(20), LONG)
        .terms(|terms| terms.boundary_wait.upstream = None);
    let Rig {
        proxy: _proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let frame = client.encode(&Frame::text("in two pieces"));
    let (front, back) = frame.split_at(9);
    client.send(front).await;
    upstream.expect_bytes(front).await;
    upstream.expect_silence(ms(100)).await;
    client.send(back).await;
    upstream.expect_bytes(back).await;
    upstream.expect_ping().await;
}

#[tokio::test]
async fn an_idle_ping_is_counted_from_the_last_byte() {
    let proxy = ProxyBox::new().policy(Side::Client, ms(150), LONG, |p| p.mode = Mode::Idle);
    let Rig {
        proxy,
        mut client,
        upstream: _upstream,
    } = Rig::open(proxy).await;
    client.answer_next_pings(1).await;
    let mut last = Instant::now();
    let mut longest = ms(0);
    for _ in 0..20 {
        sleep(ms(25)).await;
        longest = longest.max(last.elapsed());
        client.send_text("busy").await;
        last = Instant::now();
    }
    // On a machine so busy that this sleep took an interval, nothing can be said.
    if longest < ms(120) {
        proxy
            .expect_metric("pings_sent_total", &[("side", "client")], 1.0)
            .await;
    }
    client.expect_ping().await;
    assert!(
        last.elapsed() >= ms(140),
        "{:?} after the last byte",
        last.elapsed()
    );
}

#[tokio::test]
async fn a_side_that_is_not_to_be_pinged_is_not() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(20), LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    client.answer_next_pings(5).await;
    client.answer_pings();
    client
        .send_text("the first thing that the upstream hears")
        .await;
    upstream
        .expect_text("the first thing that the upstream hears")
        .await;
    proxy
        .expect_metric("pings_sent_total", &[("side", "upstream")], 0.0)
        .await;
}
