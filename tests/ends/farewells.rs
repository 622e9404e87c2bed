//! Endings by the endpoints: Close, FIN and RST arrive as what they were.

use lubdub_keepalive::Side;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms, way};
use tokio::time::{Instant, sleep};

fn caused_by(side: Side, how: &str) -> String {
    format!("{side}_{how}")
}

#[tokio::test]
async fn a_closing_handshake_passes_untouched() {
    for side in Side::BOTH {
        let rig = Rig::open(ProxyBox::new()).await;
        let (proxy, mut near, mut far) = rig.near_and_far(side);
        let farewell = near.encode(&Frame::close(4321, "gone fishing"));
        near.send(&farewell).await;
        far.expect_raw(&farewell).await;
        let answer = far.encode(&Frame::close(4321, ""));
        far.send(&answer).await;
        near.expect_raw(&answer).await;
        far.finish().await;
        near.expect_eof().await;
        near.finish().await;
        far.expect_eof().await;
        proxy.expect_ended(&caused_by(side, "closed")).await;
    }
}

#[tokio::test]
async fn a_close_without_a_code_is_a_close() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    let mut empty = Frame::close(1000, "");
    empty.payload.clear();
    let bytes = client.encode(&empty);
    client.send(&bytes).await;
    upstream.expect_raw(&bytes).await;
    drop((client, upstream));
    proxy.expect_ended("client_closed").await;
}

#[tokio::test]
async fn there_are_no_own_pings_behind_a_close() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new()
            .ping(Side::Client, ms(10), ms(50))
            .ping(Side::Upstream, ms(10), ms(50))
            .terms(|terms| terms.close = ms(300));
        let (proxy, mut near, mut far) = Rig::open(proxy).await.polite().near_and_far(side);
        near.close(1000, "").await;
        far.expect_close(1000).await;
        // From here on nobody says anything, and nobody is dropped for it.
        near.leave_pings();
        far.leave_pings();
        let (near_end, far_end) =
            tokio::join!(near.pings_before_the_end(), far.pings_before_the_end());
        assert_eq!(far_end, 0, "pings to the side that a Close was passed to");
        assert!(
            near_end <= 1,
            "at most one was on its way to the side that closed: {near_end}"
        );
        proxy.expect_ended("close_timeout").await;
        proxy.expect_metric("lapses_total", &[], 0.0).await;
    }
}

#[tokio::test]
async fn what_an_endpoint_says_behind_its_close_is_relayed() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    client.close(1000, "").await;
    client.send_text("one more thing").await;
    upstream.expect_close(1000).await;
    upstream.expect_text("one more thing").await;
    upstream.send_text("the backlog").await;
    upstream.close(1000, "").await;
    client.expect_text("the backlog").await;
    client.expect_close(1000).await;
    drop((client, upstream));
    proxy.expect_ended("client_closed").await;
}

#[tokio::test]
async fn a_fin_is_passed_on_behind_the_backlog_and_the_other_direction_goes_on() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new().terms(|terms| terms.close = LONG);
        let upstreams = Upstream::tiny();
        let rig = Rig::open_with(proxy, &upstreams, |dial| dial.tiny()).await;
        let (proxy, mut near, mut far) = rig.near_and_far(side);
        let backlog = near.encode(&Frame::binary(vec![b'b'; 300_000]));
        let talk = async {
            near.send(&backlog).await;
            near.finish().await;
        };
        let listen = async {
            far.expect_raw(&backlog).await;
            far.expect_eof().await;
        };
        tokio::join!(talk, listen);
        far.send_text("I have not finished").await;
        near.expect_text("I have not finished").await;
        far.finish().await;
        near.expect_eof().await;
        proxy.expect_ended(&caused_by(side, "eof")).await;
    }
}

#[tokio::test]
async fn a_frame_that_a_fin_cuts_short_arrives_cut_short() {
    for side in Side::BOTH {
        let rig = Rig::open(ProxyBox::new()).await;
        let (_proxy, mut near, mut far) = rig.near_and_far(side);
        // Of a pong lubdub keeps everything back until it is whole.
        let pong = near.encode(&Frame::pong("never to be finished"));
        near.send(&pong[..9]).await;
        near.finish().await;
        far.expect_bytes(&pong[..9]).await;
        far.expect_eof().await;
    }
}

#[tokio::test]
async fn a_reset_arrives_as_a_reset() {
    for side in Side::BOTH {
        let rig = Rig::open(ProxyBox::new()).await;
        let (proxy, mut near, mut far) = rig.near_and_far(side);
        near.send_text("hello").await;
        far.expect_text("hello").await;
        near.reset();
        far.expect_reset().await;
        if way::is_unix() {
            // There is no reset: who goes has ended, and the other one may still talk.
            far.finish().await;
            proxy.expect_ended(&caused_by(side, "eof")).await;
            continue;
        }
        proxy.expect_ended(&caused_by(side, "reset")).await;
    }
}

#[tokio::test]
async fn a_reset_behind_a_close_does_not_destroy_the_close() {
    for side in Side::BOTH {
        let rig = Rig::open(ProxyBox::new()).await;
        let (proxy, mut near, mut far) = rig.near_and_far(side);
        near.close(4000, "bye").await;
        near.expect_silence(ms(20)).await;
        near.reset();
        // It may well come after the reset did.
        proxy.expect_metric("pairs", &[], 1.0).await;
        far.expect_close(4000).await;
        far.expect_eof().await;
        far.finish().await;
        proxy.expect_ended(&caused_by(side, "closed")).await;
    }
}

#[tokio::test]
async fn a_fin_that_is_not_answered_is_waited_for_only_so_long() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new().terms(|terms| terms.close = ms(200));
        let (proxy, mut near, mut far) = Rig::open(proxy).await.near_and_far(side);
        near.finish().await;
        far.expect_eof().await;
        let began = Instant::now();
        // It is absolute: whatever is said does not put it off.
        while far.try_send_text("still talking").await {
            sleep(ms(5)).await;
        }
        assert!(began.elapsed() >= ms(150), "after {:?}", began.elapsed());
        proxy.expect_ended("close_timeout").await;
    }
}

#[tokio::test]
async fn a_close_that_is_not_answered_is_waited_for_only_so_long() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new().terms(|terms| terms.close = ms(200));
        let (proxy, mut near, mut far) = Rig::open(proxy).await.near_and_far(side);
        near.close(1000, "").await;
        far.expect_close(1000).await;
        let began = Instant::now();
        tokio::join!(near.expect_end(), far.expect_end());
        assert!(began.elapsed() >= ms(150), "after {:?}", began.elapsed());
        proxy.expect_ended("close_timeout").await;
    }
}

#[tokio::test]
async fn an_ended_pair_leaves_room_for_another() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.limits.pairs = 1)
        .start(&upstreams);
    for _ in 0..3 {
        let (client, upstream) = proxy.pair(&upstreams).await;
        proxy.expect_pairs(1).await;
        drop((client, upstream));
        proxy.expect_no_pairs().await;
    }
    proxy
        .expect_metric("pair_duration_seconds_count", &[], 3.0)
        .await;
}
