//! Where bytes are easily lost: one at a time, at the borders of the handshake, and in frames that
//! announce more than there is.

use lubdub_keepalive::{PerSide, Side};
use lubdub_testkit::frame::{Frame, LengthForm, Seen};
use lubdub_testkit::http::{Request, SWITCHING};
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;
use lubdub_testkit::way;
use lubdub_testkit::{memory, ms, tap};
use lubdub_wire::Opcode;

/// Frames of every kind, of which several could be taken for something else while they are not
/// whole.
fn frames() -> Vec<Frame> {
    let reserved = Frame {
        rsv: 7,
        opcode: Opcode::from_bits(0xf),
        ..Frame::binary("reserved")
    };
    let long_pong = Frame {
        length: LengthForm::SixtyFour,
        ..Frame::pong("a pong in fourteen bytes")
    };
    let oversized = Frame::ping(vec![b'p'; 126]);
    vec![
        Frame::text("frag").open(),
        Frame::ping("between"),
        Frame::continuation("ments"),
        long_pong,
        reserved,
        oversized,
        Frame::binary([]),
    ]
}

#[tokio::test]
async fn bytes_that_trickle_in_over_many_intervals_arrive() {
    let proxy = ProxyBox::new()
        .ping(Side::Client, ms(10), ms(60_000))
        .ping(Side::Upstream, ms(10), ms(60_000))
        .terms(|terms| terms.boundary_wait = PerSide::from_fn(|_| Some(ms(20))));
    let Rig {
        proxy: _proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await;
    let up: Vec<u8> = frames()
        .iter()
        .flat_map(|frame| client.encode(frame))
        .collect();
    let down: Vec<u8> = frames()
        .iter()
        .flat_map(|frame| upstream.encode(frame))
        .collect();
    tokio::join!(client.trickle(&up, ms(1)), upstream.trickle(&down, ms(1)));
    tokio::join!(client.finish(), upstream.finish());
    for (peer, said, to_upstream) in [(&mut client, &down, false), (&mut upstream, &up, true)] {
        let heard = peer.expect_all().await;
        let injected =
            tap::injected(&heard, said).expect("nothing but own pings between the frames");
        assert!(!injected.is_empty(), "the trickle took many intervals");
        for frame in injected {
            frame.assert_well_made(to_upstream);
            assert!(frame.is_ping(), "{frame:?}");
        }
    }
}

#[tokio::test]
async fn a_frame_may_announce_more_than_there_can_be() {
    for side in Side::BOTH {
        let Rig {
            proxy,
            client,
            upstream,
        } = Rig::open(ProxyBox::new()).await;
        let (mut near, mut far) = match side {
            Side::Client => (client, upstream),
            Side::Upstream => (upstream, client),
        };
        let before = memory::resident();
        let mut huge = vec![0x82, if side == Side::Client { 0xff } else { 0x7f }];
        huge.extend((1_u64 << 63).to_be_bytes());
        if side == Side::Client {
            huge.extend([1, 2, 3, 4]);
        }
        assert_eq!(Seen::decode(&huge), None);
        near.send(&huge).await;
        far.expect_bytes(&huge).await;
        for _ in 0..100 {
            near.send(vec![b'h'; 10_000]).await;
            far.discard(10_000).await;
        }
        near.reset();
        far.expect_reset().await;
        let mut how = "reset";
        if way::is_unix() {
            // There is none: who goes has ended, and the other one may still talk.
            far.finish().await;
            how = "eof";
        }
        proxy.expect_ended(&format!("{side}_{how}")).await;
        let grown = memory::resident().saturating_sub(before);
        assert!(grown < 64 * 1024 * 1024, "{grown} bytes more than before");
    }
}

#[tokio::test]
async fn the_largest_length_of_all_is_relayed_too() {
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(ProxyBox::new()).await;
    let huge = [
        &[0x89, 0xff][..],
        &[0xff; 8],
        &[1, 2, 3, 4],
        b"and its payload begins",
    ]
    .concat();
    client.send(&huge).await;
    upstream.expect_bytes(&huge).await;
    client.finish().await;
    upstream.expect_eof().await;
    upstream.finish().await;
    proxy.expect_ended("client_eof").await;
}

#[tokio::test]
async fn early_bytes_of_both_ends_arrive() {
    let upstreams = Upstream::listen();
    let proxy = ProxyBox::new().start(&upstreams);
    let mut client = proxy.dial().connect().await;
    let up: Vec<u8> = frames()
        .iter()
        .flat_map(|frame| client.encode(frame))
        .collect();
    client
        .send([Request::upgrade("/").encode(), up.clone()].concat())
        .await;
    let mut upstream = upstreams.accept().await;
    upstream.expect_head().await;
    let down: Vec<u8> = frames()
        .iter()
        .flat_map(|frame| upstream.encode(frame))
        .collect();
    upstream.send([SWITCHING.as_bytes(), &down].concat()).await;
    client.expect_switch().await;
    tokio::join!(client.expect_bytes(&down), upstream.expect_bytes(&up));
}

#[tokio::test]
async fn what_is_counted_is_what_was_relayed() {
    let proxy = ProxyBox::new().ping(Side::Client, ms(10), ms(60_000)).ping(
        Side::Upstream,
        ms(10),
        ms(60_000),
    );
    let Rig {
        proxy,
        mut client,
        mut upstream,
    } = Rig::open(proxy).await.polite();
    let up = client.encode(&Frame::text("seven"));
    for _ in 0..7 {
        client.send(&up).await;
        upstream.expect_text("seven").await;
        client.expect_silence(ms(10)).await;
    }
    client.finish().await;
    upstream.expect_eof().await;
    upstream.finish().await;
    client.expect_eof().await;
    proxy.expect_ended("client_eof").await;
    let scrape = proxy.scrape();
    let counted = |name: &str, labels: &[(&str, &str)]| scrape.sum(name, labels);
    let to_upstream = ("direction", "to_upstream");
    let near = |value: f64, expected: usize| (value - expected as f64).abs() < 0.5;
    assert!(near(
        counted("lubdub_bytes_total", &[to_upstream]),
        7 * up.len()
    ));
    assert!(near(counted("lubdub_frames_total", &[to_upstream]), 7));
    assert!(near(
        counted("lubdub_frames_total", &[to_upstream, ("opcode", "text")]),
        7
    ));
    assert!(near(
        counted("lubdub_bytes_total", &[("direction", "to_client")]),
        0
    ));
    assert!(near(
        counted("lubdub_frames_total", &[("direction", "to_client")]),
        0
    ));
    assert!(
        counted("lubdub_pongs_received_total", &[]) > 0.0,
        "there was a heartbeat meanwhile"
    );
}
