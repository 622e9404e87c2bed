//! E: how pairs end, by the endpoints, whose farewells are theirs, and by the intermediary. A case
//! about the latter begins with an own ping.

use std::time::Duration;

use lubdub_keepalive::Side;
use lubdub_testkit::frame::Frame;
use lubdub_testkit::peer::{Heard, Peer};
use lubdub_testkit::{LONG, PATIENCE, ms};
use lubdub_wire::{Close, Opcode};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::conversation::{Speech, converse};
use crate::stage::{Terms, told};

/// A heartbeat after which this side, which answers nothing more, has soon lapsed.
fn lapsing(side: Side) -> Terms {
    Terms::quiet().ping(side, ms(50), ms(150))
}

pub(crate) async fn the_closing_handshake_is_the_endpoints() {
    for side in Side::BOTH {
        let stage = Terms::quiet().raise().await;
        let farewells = [
            Frame::close(1000, ""),
            Frame::close(4321, "gone fishing"),
            Frame::close(1006, "never to be sent"),
            Frame {
                payload: Vec::new(),
                ..Frame::close(0, "")
            },
        ];
        for farewell in farewells {
            let (mut near, mut far) = stage.pair(side).await;
            let close = near.encode(&farewell);
            near.send(&close).await;
            far.expect_raw(&close).await;
            let answer = far.encode(&farewell);
            far.send(&answer).await;
            near.expect_raw(&answer).await;
            far.finish().await;
            near.expect_eof().await;
            near.finish().await;
            far.expect_eof().await;
        }
    }
}

pub(crate) async fn a_close_races_data() {
    const INTERVAL: Duration = ms(4);
    // All before the Close, that, and the beginning of what is behind it; then the rest, behind which
    // a ping that came due in between would have its place.
    const SEGMENTS: &[usize] = &[100_100, usize::MAX];
    let stage = Terms::beating(INTERVAL).raise().await;
    let before = [Frame::text("long before"), Frame::binary([])];
    let farewell = [
        Frame::text("before"),
        Frame::binary(vec![b'd'; 100_000]),
        Frame::close(4000, "bye"),
        Frame::binary(vec![b'b'; 1000]),
    ];
    for quarter in 0..8 {
        let (mut client, mut upstream) = stage.pair(Side::Client).await;
        // At any phase of the interval, and both at the same time.
        let pause = INTERVAL * quarter / 4;
        let speeches = [&mut client, &mut upstream].map(|peer| {
            Speech::new(peer, &before)
                .ending_with(&farewell, peer)
                .in_segments(SEGMENTS, pause)
        });
        converse(&stage, client, upstream, speeches).await;
    }
}

pub(crate) async fn a_half_close_is_passed_on() {
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = Terms::quiet().tiny().pair(side).await;
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
    }
}

pub(crate) async fn a_frame_that_a_fin_cuts_short() {
    for side in Side::BOTH {
        let stage = Terms::quiet().raise().await;
        // A pong is held back until it is whole, or cannot become so.
        for frame in [Frame::text("never to be finished"), Frame::pong("nor this")] {
            for len in [1, 2, 9] {
                let (mut near, mut far) = stage.pair(side).await;
                let frame = near.encode(&frame);
                near.send(&frame[..len]).await;
                near.finish().await;
                far.expect_eof_after(len).await;
                far.expect_bytes(&frame[..len]).await;
            }
        }
    }
}

pub(crate) async fn a_reset_is_passed_on() {
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = Terms::quiet().pair(side).await;
        near.send_text("hello").await;
        far.expect_text("hello").await;
        near.reset();
        far.expect_reset().await;
    }
}

pub(crate) async fn a_reset_behind_a_close() {
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = Terms::quiet().pair(side).await;
        near.close(4000, "bye").await;
        near.expect_silence(ms(20)).await;
        near.reset();
        // It may well be looked at after the reset has come.
        sleep(ms(50)).await;
        far.expect_close(4000).await;
        far.expect_eof().await;
    }
}

pub(crate) async fn a_close_races_a_ping() {
    const INTERVAL: Duration = ms(4);
    let stage = Terms::beating(INTERVAL)
        .set("timeouts.close=30s")
        .raise()
        .await;
    let mut pairs = JoinSet::new();
    for n in 0..40_u32 {
        let side = Side::BOTH[n as usize % 2];
        let (mut near, mut far) = stage.pair(side).await;
        pairs.spawn(async move {
            near.expect_ping().await;
            // At any phase of the interval.
            sleep(INTERVAL * (n % 5) / 4).await;
            let close = near.encode(&Frame::close(4000, "bye"));
            near.send(&close).await;
            loop {
                let frame = far.expect_frame().await;
                if frame.header.opcode == Opcode::CLOSE {
                    assert_eq!(frame.raw, close);
                    break;
                }
                assert!(frame.is_ping(), "{frame:?} came");
            }
            // Those that crossed the Close stand before what is said behind it.
            far.send_text("it has arrived").await;
            while near.expect_frame().await.payload != b"it has arrived" {}
            tokio::join!(
                near.expect_silence(50 * INTERVAL),
                far.expect_silence(50 * INTERVAL)
            );
        });
    }
    all(pairs).await;
}

pub(crate) async fn a_close_races_a_lapse() {
    const TIMEOUT: Duration = ms(150);
    for side in Side::BOTH {
        let stage = Terms::quiet()
            .ping(side, ms(50), TIMEOUT)
            .set("timeouts.close=300ms")
            .raise()
            .await;
        let mut pairs = JoinSet::new();
        for n in 0..20 {
            let (mut near, far) = stage.pair(side).await;
            pairs.spawn(async move {
                near.expect_ping().await;
                let lapses = Instant::now() + TIMEOUT;
                let close = near.encode(&Frame::close(4000, "bye"));
                let codes = [4000, told(side)];
                let say = async {
                    sleep_until(lapses - ms(10) + ms(n)).await;
                    // It may be too late.
                    near.try_send(close).await
                };
                tokio::join!(say, told_once(far, &codes));
            });
        }
        // One that says nothing at all, so that there is a lapse among them.
        let (mut near, far) = stage.pair(side).await;
        pairs.spawn(async move {
            near.expect_ping().await;
            told_once(far, &[told(side)]).await;
        });
        all(pairs).await;
    }
}

/// Checks that a survivor gets one Close, with one of these codes, and then the end.
async fn told_once(survivor: Peer, codes: &[u16]) {
    let (mut ears, mut mouth) = survivor.split();
    let mut closes = 0;
    loop {
        let heard = timeout(PATIENCE, ears.next()).await;
        match heard.expect("the pair ends") {
            Heard::Frame(frame) => {
                assert_eq!(frame.header.opcode, Opcode::CLOSE, "{frame:?} came");
                let code = Close::parse(&frame.payload).code;
                assert!(code.is_some_and(|code| codes.contains(&code)), "{frame:?}");
                closes += 1;
                mouth.finish().await;
            }
            Heard::Fin(rest) | Heard::Reset(rest) => {
                assert_eq!((closes, rest), (1, 0), "Closes, and part of a frame");
                return;
            }
        }
    }
}

/// Waits for all of them; the first panic is this one's.
async fn all(mut pairs: JoinSet<()>) {
    while let Some(pair) = pairs.join_next().await {
        if let Err(error) = pair {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

pub(crate) async fn half_closed_is_not_silent() {
    for side in Side::BOTH {
        let terms = lapsing(side).set("timeouts.close=30s");
        let (stage, mut near, mut far) = terms.pair(side).await;
        near.expect_ping().await;
        near.finish().await;
        far.expect_eof().await;
        // One may have crossed the FIN, and nothing is due behind it.
        far.send_text("still talking").await;
        while near.expect_frame().await.payload != b"still talking" {}
        near.expect_silence(ms(400)).await;
        far.send_text("still talking").await;
        near.expect_text("still talking").await;
        stage.expect_no_lapse().await;
    }
}

pub(crate) async fn the_close_stands_behind_all_data() {
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = lapsing(side).tiny().pair(side).await;
        near.expect_ping().await;
        let frames: Vec<Vec<u8>> = (0..20)
            .map(|n| near.encode(&Frame::binary(vec![n; 4096])))
            .collect();
        let talk = async {
            for frame in &frames {
                near.send(frame).await;
            }
        };
        let listen = async {
            for frame in &frames {
                far.expect_raw(frame).await;
                sleep(ms(5)).await;
            }
            let close = far.expect_close(told(side)).await;
            close.assert_well_made(side == Side::Client);
        };
        tokio::join!(talk, listen);
    }
}

pub(crate) async fn no_close_inside_a_frame() {
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = lapsing(side).pair(side).await;
        near.expect_ping().await;
        let frame = near.encode(&Frame::text("never to be finished"));
        near.send(&frame[..10]).await;
        far.expect_bytes(&frame[..10]).await;
        far.expect_reset().await;
        near.expect_reset_behind_frames().await;
    }
}

pub(crate) async fn a_close_between_fragments() {
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = lapsing(side).pair(side).await;
        near.expect_ping().await;
        let fragment = near.encode(&Frame::text("more to come").open());
        near.send(&fragment).await;
        far.expect_raw(&fragment).await;
        far.expect_close(told(side)).await;
        near.expect_reset_behind_frames().await;
    }
}

pub(crate) async fn the_close_arrives_though_the_survivor_talks() {
    for side in Side::BOTH {
        let terms = lapsing(side)
            .ping(side.other(), ms(10), LONG)
            .set("timeouts.close=30s");
        let (_stage, mut near, mut far) = terms.pair(side).await;
        near.expect_ping().await;
        near.expect_reset_behind_frames().await;
        // A lot to be thrown away, before the survivor looks at what it was told.
        for _ in 0..50 {
            far.send_frame(&Frame::binary(vec![b'l'; 16 * 1024])).await;
        }
        loop {
            let frame = far.expect_frame().await;
            if frame.header.opcode == Opcode::CLOSE {
                assert_eq!(Close::parse(&frame.payload).code, Some(told(side)));
                break;
            }
            assert!(frame.is_ping(), "{frame:?} came");
        }
        far.expect_silence(ms(50)).await;
        far.close(told(side), "").await;
        far.expect_eof().await;
    }
}
