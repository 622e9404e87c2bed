//! Who is given up for being silent, when, and what the other end is told.

use lubdub_keepalive::{Enforce, Evidence, Side};
use lubdub_testkit::frame::Frame;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, eventually, ms, way};
use tokio::time::{Instant, sleep, sleep_until};

use crate::SHORT;

#[tokio::test]
async fn when_the_client_lapses_the_upstream_is_told_and_the_client_is_reset() {
    let proxy =
        ProxyBox::new()
            .ping(Side::Client, ms(50), SHORT)
            .ping(Side::Upstream, ms(50), LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    upstream.answer_pings();
    let close = upstream.expect_close(1001).await;
    close.assert_well_made(true);
    assert_eq!(close.close().1, "client lapsed");
    upstream.close(1001, "").await;
    upstream.expect_eof().await;
    drop(upstream);
    client.expect_reset_behind_frames().await;
    proxy.expect_ended("client_lapsed").await;
    proxy
        .expect_metric("lapses_total", &[("side", "client")], 1.0)
        .await;
    proxy
        .expect_metric("lapses_total", &[("side", "upstream")], 0.0)
        .await;
    proxy.expect_metric("pairs_opened_total", &[], 1.0).await;
}

#[tokio::test]
async fn when_the_upstream_lapses_the_client_is_told_and_the_upstream_is_reset() {
    let proxy =
        ProxyBox::new()
            .ping(Side::Client, ms(50), LONG)
            .ping(Side::Upstream, ms(50), SHORT);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    client.answer_pings();
    let close = client.expect_close(1011).await;
    close.assert_well_made(false);
    assert_eq!(close.close().1, "upstream lapsed");
    client.close(1011, "").await;
    client.expect_eof().await;
    drop(client);
    upstream.expect_reset_behind_frames().await;
    proxy.expect_ended("upstream_lapsed").await;
    proxy
        .expect_metric("lapses_total", &[("side", "upstream")], 1.0)
        .await;
    proxy
        .expect_metric("lapses_total", &[("side", "client")], 0.0)
        .await;
}

#[tokio::test]
async fn the_survivor_of_a_lapse_is_not_pinged_any_more() {
    let proxy = ProxyBox::new()
        .ping(Side::Client, ms(50), SHORT)
        .ping(Side::Upstream, ms(10), LONG)
        .terms(|terms| terms.close = ms(300));
    let Rig {
        proxy,
        client,
        mut upstream,
    } = Rig::open(proxy).await;
    upstream.answer_pings();
    upstream.expect_close(1001).await;
    // It does not answer the Close, so lubdub waits for the length of many intervals.
    upstream.leave_pings();
    upstream.expect_eof().await;
    proxy.expect_ended("client_lapsed").await;
    drop(client);
}

#[tokio::test]
async fn a_silent_side_is_dropped_at_its_deadline() {
    const TIMEOUT: std::time::Duration = ms(400);
    let proxy = ProxyBox::new().ping(Side::Client, ms(100), TIMEOUT);
    let Rig {
        proxy: _proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    client.expect_ping().await;
    // It was written a moment before it was read.
    let read = Instant::now();
    let control = async {
        sleep_until(read + TIMEOUT).await;
        Instant::now()
    };
    let told = async {
        upstream.expect_close(1001).await;
        Instant::now()
    };
    let (control, told) = tokio::join!(control, told);
    assert!(
        told + ms(50) >= read + TIMEOUT,
        "{:?} after the ping",
        told - read
    );
    let late = told.saturating_duration_since(control);
    assert!(
        late <= ms(100),
        "{late:?} later than a sleep of the same length"
    );
}

#[tokio::test]
async fn a_side_that_talks_and_never_pongs_is_alive() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(50), SHORT);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let opened = Instant::now();
    while opened.elapsed() < 4 * SHORT {
        client.send_text("busy").await;
        upstream.expect_text("busy").await;
        sleep(ms(20)).await;
    }
    assert_eq!(proxy.registry().len(), 1);
    proxy.expect_metric("lapses_total", &[], 0.0).await;
    proxy.expect_metric("pongs_received_total", &[], 0.0).await;
}

#[tokio::test]
async fn talk_is_no_sign_of_life_where_only_pongs_are() {
    let proxy = ProxyBox::new().policy(Side::Client, ms(50), SHORT, |policy| {
        policy.evidence = Evidence::Pong;
    });
    let Rig {
        proxy,
        client,
        mut upstream,
    } = Rig::open(proxy).await;
    let (_ears, mut mouth) = client.split();
    let text = mouth.encode(&Frame::text("busy"));
    let talk = async {
        while mouth.try_send(&text).await.is_ok() {
            sleep(ms(20)).await;
        }
    };
    let listen = async {
        loop {
            let frame = upstream.expect_frame().await;
            if frame.payload != b"busy" {
                break frame;
            }
        }
    };
    let ((), last) = tokio::join!(talk, listen);
    assert_eq!(last.close().0, Some(1001), "{last:?}");
    upstream.close(1001, "").await;
    drop(upstream);
    proxy.expect_ended("client_lapsed").await;
}

#[tokio::test]
async fn a_side_that_is_only_observed_is_never_dropped() {
    let proxy = ProxyBox::new().policy(Side::Upstream, ms(30), ms(60), |policy| {
        policy.enforce = Enforce::Never;
    });
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let of_side = [("side", "upstream")];
    proxy
        .expect_metric("would_have_lapsed_total", &of_side, 1.0)
        .await;
    // The pinging goes on, and the silence is reported once.
    for _ in 0..20 {
        upstream.expect_ping().await;
    }
    proxy
        .expect_metric("would_have_lapsed_total", &of_side, 1.0)
        .await;
    upstream.send_text("still here").await;
    client.expect_text("still here").await;
    // Another silence is another report.
    proxy
        .expect_metric("would_have_lapsed_total", &of_side, 2.0)
        .await;
    proxy.expect_metric("lapses_total", &[], 0.0).await;
}

#[tokio::test]
async fn a_side_that_has_never_answered_is_not_dropped_where_that_is_learned() {
    let proxy = ProxyBox::new().policy(Side::Client, ms(30), ms(60), |policy| {
        policy.enforce = Enforce::Learned;
    });
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    proxy
        .expect_metric("would_have_lapsed_total", &[("side", "client")], 1.0)
        .await;
    assert_eq!(proxy.registry().len(), 1);
    // From its first pong on it is known to answer.
    let ping = client.expect_ping().await;
    client.pong(ping).await;
    upstream.expect_close(1001).await;
    upstream.close(1001, "").await;
    drop(upstream);
    proxy.expect_ended("client_lapsed").await;
}

#[tokio::test]
async fn the_registry_tells_how_alive_each_side_is() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(30), LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let pair = proxy.only_pair();
    if !way::is_unix() {
        assert_eq!(
            pair.client(),
            lubdub_proxy::Peer::Ip(client.address()).into()
        );
        assert_eq!(pair.upstream(), upstream.address().into());
    }
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
    client.answer_next_pings(3).await;
    client.answer_pings();
    let status = |side| pair.status(side, Instant::now().into_std());
    eventually("three pongs are known of", || {
        status(Side::Client).pongs_received == 3
    })
    .await;
    let of_client = status(Side::Client);
    assert!(of_client.last_rtt.is_some());
    assert_eq!((of_client.frames, of_client.bytes), (1, 11));
    let of_upstream = status(Side::Upstream);
    assert_eq!((of_upstream.pings_sent, of_upstream.frames), (0, 0));
    assert!(of_upstream.silent_for >= of_client.silent_for);
}
