//! Endings by lubdub for reasons of its own: lifetime, idleness, frames that are too big.

use lubdub_keepalive::Side;
use lubdub_testkit::frame::{Frame, Seen};
use lubdub_testkit::peer::Peer;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::{PATIENCE, ms};
use tokio::time::{Instant, sleep};

/// An end is told, and answers.
async fn told(peer: &mut Peer, code: u16) -> Seen {
    let close = peer.expect_close(code).await;
    peer.close(code, "").await;
    peer.expect_eof().await;
    close
}

#[tokio::test]
async fn a_pair_lives_for_its_lifetime_at_most() {
    let proxy = ProxyBox::new().terms(|terms| terms.lifetime = Some(ms(300)));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let opened = Instant::now();
    let (to_client, to_upstream) = tokio::join!(told(&mut client, 1012), told(&mut upstream, 1001));
    to_client.assert_well_made(false);
    to_upstream.assert_well_made(true);
    assert_eq!(to_client.close().1, "lifetime");
    assert_eq!(to_upstream.close().1, "lifetime");
    let lived = opened.elapsed();
    assert!(
        (ms(240)..ms(2000)).contains(&lived),
        "{lived:?}, of 300 ms less a tenth"
    );
    drop((client, upstream));
    proxy.expect_ended("lifetime").await;
}

#[tokio::test]
async fn a_pair_without_data_is_ended_whatever_else_passes() {
    let proxy = ProxyBox::new()
        .ping(Side::Client, ms(20), ms(1000))
        .terms(|terms| terms.data_idle = Some(ms(300)));
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await.polite();
    let opened = Instant::now();
    // Data puts it off, foreign pings do not.
    sleep(ms(100)).await;
    upstream.send_text("data").await;
    client.expect_text("data").await;
    upstream.ping("no data").await;
    tokio::join!(told(&mut client, 1001), async {
        upstream.expect_pong("no data").await;
        assert_eq!(told(&mut upstream, 1001).await.close().1, "data idle");
    });
    assert!(opened.elapsed() >= ms(395), "after {:?}", opened.elapsed());
    drop((client, upstream));
    proxy.expect_ended("data_idle").await;
}

#[tokio::test]
async fn nothing_passes_of_a_frame_that_is_too_big() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new().terms(|terms| terms.frame_bytes = Some(100));
        let (proxy, mut near, mut far) = Rig::open(proxy).await.near_and_far(side);
        near.send_frame(&Frame::binary([b'x'; 100])).await;
        assert_eq!(far.expect_frame().await.payload, [b'x'; 100]);
        near.send_frame(&Frame::binary([b'x'; 101])).await;
        let close = near.expect_close(1009).await;
        assert_eq!(close.close().1, "frame too big");
        told(&mut far, 1009).await;
        near.finish().await;
        near.expect_eof().await;
        drop((near, far));
        proxy.expect_ended("frame_too_big").await;
    }
}

/// What a header announces is enough: none of the payload has to come.
#[tokio::test]
async fn a_header_that_announces_too_much_ends_the_pair() {
    let top_bit = [&[127], &(1_u64 << 63).to_be_bytes()[..]].concat();
    let announced = [
        vec![101],
        vec![126, 0, 101],
        vec![126, 0xFF, 0xFF],
        [&[127], &101_u64.to_be_bytes()[..]].concat(),
        top_bit,
        [&[127], &u64::MAX.to_be_bytes()[..]].concat(),
    ];
    // A message of one frame, and one whose first fragment has passed; a control frame of a length that
    // there is not (RFC 6455 5.5).
    for first in [0x82, 0x80, 0x89] {
        for length in &announced {
            for side in Side::BOTH {
                let proxy = ProxyBox::new().terms(|terms| terms.frame_bytes = Some(100));
                let (proxy, mut near, mut far) = Rig::open(proxy).await.near_and_far(side);
                if first == 0x80 {
                    near.send_frame(&Frame::text("begun").open()).await;
                    assert_eq!(far.expect_frame().await.payload, b"begun");
                }
                let mut header = [&[first], &length[..]].concat();
                if side == Side::Client {
                    header[1] |= 0x80;
                    header.extend([0; 4]);
                }
                near.send(&header).await;
                near.expect_close(1009).await;
                told(&mut far, 1009).await;
                near.finish().await;
                near.expect_eof().await;
                drop((near, far));
                proxy.expect_ended("frame_too_big").await;
            }
        }
    }
}

/// The Close that stands behind the frame was not seen, and its sender waited for the end of its
/// connection until `timeouts.close` had passed.
#[tokio::test]
async fn the_sender_of_a_frame_that_is_too_big_is_let_go_of_when_it_has_answered() {
    for side in Side::BOTH {
        let proxy = ProxyBox::new().terms(|terms| {
            terms.frame_bytes = Some(100);
            terms.close = 10 * PATIENCE;
        });
        let (proxy, mut near, mut far) = Rig::open(proxy).await.near_and_far(side);
        // In pieces: of its first, the length is not even known.
        let big = near.encode(&Frame::binary([b'x'; 70_000]));
        for piece in [&big[..1], &big[1..9], &big[9..50_000], &big[50_000..]] {
            near.send(piece).await;
        }
        near.ping("in between").await;
        tokio::join!(told(&mut near, 1009), told(&mut far, 1009));
        drop((near, far));
        proxy.expect_ended("frame_too_big").await;
    }
}
