//! Endings by lubdub, seen by the side that is still there: its Close arrives whole, at a frame
//! boundary, or not at all.

use lubdub_keepalive::Side;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{LONG, ms};
use tokio::time::Instant;

#[tokio::test]
async fn a_survivor_that_is_left_inside_a_frame_is_cut_and_told_nothing() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(50), ms(100));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let frame = client.encode(&Frame::text("never to be finished"));
    client.send(&frame[..10]).await;
    upstream.expect_bytes(&frame[..10]).await;
    // A Close in here would be taken for payload.
    upstream.expect_reset().await;
    client.expect_reset_behind_frames().await;
    proxy.expect_ended("client_lapsed").await;
}

#[tokio::test]
async fn a_client_that_is_left_inside_a_frame_is_cut_and_told_nothing() {
    let proxy = ProxyBox::new().ping(Side::Upstream, ms(50), ms(100));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let frame = upstream.encode(&Frame::text("never to be finished"));
    upstream.send(&frame[..10]).await;
    client.expect_bytes(&frame[..10]).await;
    client.expect_reset().await;
    proxy.expect_ended("upstream_lapsed").await;
}

#[tokio::test]
async fn a_survivor_within_a_fragmented_message_is_told() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(50), ms(100));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    client.send_frame(&Frame::text("more to come").open()).await;
    assert_eq!(upstream.expect_frame().await.payload, b"more to come");
    upstream.expect_close(1001).await;
    upstream.finish().await;
    proxy.expect_ended("client_lapsed").await;
}

#[tokio::test]
async fn what_the_survivor_still_says_does_not_destroy_its_close() {
    let proxy = ProxyBox::new()
        .ping(Side::Upstream, ms(50), ms(100))
        .terms(|terms| terms.close = LONG);
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    upstream.expect_reset_behind_frames().await;
    // A lot for lubdub to throw away, all of it before the client looks.
    for _ in 0..100 {
        client
            .send_frame(&Frame::binary(vec![b'l'; 16 * 1024]))
            .await;
    }
    client.expect_close(1011).await;
    client.close(1011, "").await;
    client.expect_eof().await;
    drop(client);
    proxy.expect_ended("upstream_lapsed").await;
}

#[tokio::test]
async fn a_survivor_that_does_not_answer_its_close_is_waited_for_only_so_long() {
    let proxy = ProxyBox::new()
        .ping(Side::Client, ms(50), ms(100))
        .terms(|terms| terms.close = ms(200));
    let Rig {
        proxy,
        client,
        mut upstream,
    } = Rig::open(proxy).await;
    upstream.expect_close(1001).await;
    let told = Instant::now();
    upstream.expect_eof().await;
    assert!(told.elapsed() >= ms(180), "after {:?}", told.elapsed());
    proxy.expect_ended("client_lapsed").await;
    drop(client);
}

#[tokio::test]
async fn the_close_stands_behind_the_backlog() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(100), ms(200));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open_with(proxy, &Upstream::tiny(), |dial| dial).await;
    let mut sent = Vec::new();
    for n in 0..20_u8 {
        let frame = client.encode(&Frame::binary(vec![n; 4096]));
        client.send(&frame).await;
        sent.push(frame);
    }
    // All that the client had said before it fell silent arrives before the bad news.
    for frame in &sent {
        upstream.expect_raw(frame).await;
    }
    upstream.expect_close(1001).await;
    upstream.finish().await;
    proxy.expect_ended("client_lapsed").await;
}
