//! H: own pings, whose pongs pass, and who is alive. Each case begins with an own ping, so that it
//! cannot pass where there is no heartbeat.

use std::collections::HashSet;
use std::time::Duration;

use lubdub_keepalive::Side;
use lubdub_testkit::frame::{Frame, Seen};
use lubdub_testkit::peer::Peer;
use lubdub_testkit::{LONG, ms};
use tokio::time::{Instant, sleep, sleep_until};

use crate::stage::{Terms, told};

pub(crate) async fn own_pings_are_well_made() {
    let (_stage, mut client, mut upstream) = Terms::beating(ms(20)).pair(Side::Client).await;
    let mut payloads = HashSet::new();
    let mut keys = HashSet::new();
    for _ in 0..5 {
        let to_client = client.expect_frame().await;
        let to_upstream = upstream.expect_frame().await;
        for (ping, is_to_upstream) in [(&to_client, false), (&to_upstream, true)] {
            assert!(ping.is_ping(), "{ping:?}");
            ping.assert_well_made(is_to_upstream);
        }
        keys.extend(to_upstream.header.mask);
        payloads.extend([to_client.payload, to_upstream.payload]);
    }
    assert_eq!(payloads.len(), 10, "each carries something else");
    assert_eq!(keys.len(), 5, "each has a key of its own");
}

pub(crate) async fn own_pongs_go_no_further() {
    for side in Side::BOTH {
        let terms = Terms::quiet().ping(side, ms(30), LONG);
        let (_stage, mut near, mut far) = terms.pair(side).await;
        let first = near.expect_ping().await;
        near.pong(&first).await;
        near.pong(&first).await;
        let second = near.expect_ping().await;
        near.pong(&second).await;
        near.pong(&first).await;
        near.send_text("behind four pongs").await;
        far.expect_text("behind four pongs").await;
    }
}

pub(crate) async fn other_pongs_pass() {
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = Terms::beating(ms(30)).pair(side).await;
        let of_near = near.expect_ping().await;
        let of_far = far.expect_ping().await;
        near.answer_pings();
        far.answer_pings();
        let changed = |at: usize| {
            let mut payload = of_near.clone();
            payload[at] ^= 0x80;
            payload
        };
        let still_to_come = [&of_near[..8], &[0xff; 8]].concat();
        let others = [
            Vec::new(),
            of_near[..of_near.len() - 1].to_vec(),
            [&of_near[..], b"!"].concat(),
            changed(0),
            changed(7),
            still_to_come,
            of_far,
        ];
        for other in others {
            let pong = near.encode(&Frame::pong(other));
            near.send(&pong).await;
            far.expect_raw(&pong).await;
        }
    }
}

pub(crate) async fn pings_that_look_like_own_ones_pass() {
    for side in Side::BOTH {
        let terms = Terms::quiet().ping(side, ms(30), LONG);
        let (_stage, mut near, mut far) = terms.pair(side).await;
        let own = near.expect_ping().await;
        near.answer_pings();
        let next = [&own[..15], &[own[15] ^ 1]].concat();
        for payload in [own, next, vec![0; 16], b"sixteen bytes ok".to_vec()] {
            let ping = near.encode(&Frame::ping(payload.clone()));
            near.send(&ping).await;
            far.expect_raw(&ping).await;
            let pong = far.encode(&Frame::pong(payload));
            far.send(&pong).await;
            near.expect_raw(&pong).await;
        }
    }
}

pub(crate) async fn an_endpoint_that_answers_only_the_latest_ping() {
    for side in Side::BOTH {
        let terms = Terms::quiet().ping(side, ms(50), LONG);
        let (_stage, mut near, mut far) = terms.pair(side).await;
        near.answer_next_pings(1).await;
        for round in ["first", "second"] {
            far.ping(round).await;
            // Whatever came before it, it is an own ping behind that one which gets the answer.
            while near.expect_ping().await != round.as_bytes() {}
            let own = near.expect_ping().await;
            near.pong(&own).await;
            let repaired = far.expect_pong(round).await;
            repaired.assert_well_made(side == Side::Client);
            near.pong(&own).await;
            near.send_text("and nothing else").await;
            far.expect_text("and nothing else").await;
        }
    }
}

pub(crate) async fn an_endpoint_that_answers_only_the_latest_of_a_thousand() {
    for side in Side::BOTH {
        let terms = Terms::quiet().ping(side, ms(50), LONG);
        let (_stage, mut near, mut far) = terms.pair(side).await;
        near.answer_next_pings(1).await;
        let pings: Vec<u8> = (0..1000_u16)
            .flat_map(|n| far.encode(&Frame::ping(n.to_be_bytes())))
            .collect();
        let latest = 999_u16.to_be_bytes();
        tokio::join!(far.send(&pings), async {
            while near.expect_ping().await != latest {}
        });
        let own = near.expect_ping().await;
        near.pong(own).await;
        far.expect_pong(latest).await;
        near.send_text("and nothing else").await;
        far.expect_text("and nothing else").await;
    }
}

pub(crate) async fn the_pong_to_a_later_ping_is_life() {
    for side in Side::BOTH {
        let terms = Terms::quiet()
            .ping(side, ms(50), ms(250))
            .side(side, "evidence=pong");
        let (stage, mut near, mut far) = terms.pair(side).await;
        let opened = Instant::now();
        while opened.elapsed() < ms(600) {
            // The own ping stays unanswered, and the foreign one behind it is answered.
            near.expect_ping().await;
            far.ping("latest").await;
            while near.expect_ping().await != b"latest" {}
            near.pong("latest").await;
            far.expect_pong("latest").await;
        }
        stage.expect_no_lapse().await;
    }
}

/// The frame with these bytes, and behind how many pings.
async fn behind_pings(peer: &mut Peer, raw: &[u8]) -> usize {
    let mut pings = 0;
    loop {
        let frame = peer.expect_frame().await;
        if frame.raw == raw {
            return pings;
        }
        assert!(frame.is_ping(), "{frame:?} came");
        pings += 1;
    }
}

pub(crate) async fn never_inside_a_frame() {
    for side in Side::BOTH {
        let terms = Terms::quiet()
            .ping(side, ms(20), LONG)
            .side(side, "boundary_wait=off");
        let (_stage, mut near, mut far) = terms.pair(side).await;
        near.answer_next_pings(1).await;
        let frame = far.encode(&Frame::text("in three pieces"));
        for piece in [&frame[..1], &frame[1..9], &frame[9..]] {
            far.send(piece).await;
            // Several are due by the next piece.
            sleep(ms(80)).await;
        }
        behind_pings(&mut near, &frame).await;
        near.expect_ping().await;
    }
}

pub(crate) async fn not_between_fragments() {
    for side in Side::BOTH {
        let terms = Terms::quiet()
            .ping(side, ms(20), LONG)
            .side(side, "boundary_wait=30s");
        let (_stage, mut near, mut far) = terms.pair(side).await;
        near.answer_next_pings(1).await;
        let fragments = [
            Frame::text("first, ").open(),
            Frame::continuation("second, ").open(),
            Frame::continuation("last"),
        ];
        let fragments = fragments.map(|fragment| far.encode(&fragment));
        for fragment in &fragments {
            far.send(fragment).await;
            sleep(ms(80)).await;
        }
        behind_pings(&mut near, &fragments[0]).await;
        near.expect_raw(&fragments[1]).await;
        near.expect_raw(&fragments[2]).await;
        near.expect_ping().await;
    }
}

/// What comes of this, and how long it took: no longer than so long; on a slow machine, than a sleep of
/// that length that was begun with it, give or take half a second.
async fn within<T>(limit: Duration, awaited: impl Future<Output = T>) -> (T, Duration) {
    let from = Instant::now();
    let control = async {
        sleep(limit).await;
        from.elapsed()
    };
    let awaited = async { (awaited.await, from.elapsed()) };
    let (control, (came, waited)) = tokio::join!(control, awaited);
    assert!(
        waited <= control + ms(500),
        "after {waited:?}, and a sleep of {limit:?} took {control:?}"
    );
    (came, waited)
}

pub(crate) async fn between_fragments_after_the_bounded_wait() {
    const INTERVAL: Duration = ms(30);
    const WAIT: Duration = ms(150);
    const DEFAULT_WAIT: Duration = Duration::from_secs(5);
    for side in Side::BOTH {
        let terms = Terms::quiet()
            .ping(side, INTERVAL, LONG)
            .side(side, format!("boundary_wait={}ms", WAIT.as_millis()));
        let (_stage, mut near, mut far) = terms.pair(side).await;
        near.answer_next_pings(1).await;
        let first = far.encode(&Frame::text("first, ").open());
        let sent = Instant::now();
        far.send(&first).await;
        behind_pings(&mut near, &first).await;
        let (_, waited) = within(INTERVAL + WAIT, near.expect_ping()).await;
        assert!(waited < DEFAULT_WAIT, "between fragments after {waited:?}");
        let waited = sent.elapsed();
        assert!(waited >= WAIT, "between fragments after {waited:?}");
        let last = far.encode(&Frame::continuation("last"));
        far.send(&last).await;
        behind_pings(&mut near, &last).await;
    }
}

pub(crate) async fn a_huge_frame_owes_one_ping() {
    const INTERVAL: Duration = ms(20);
    const PIECES: usize = 16;
    for side in Side::BOTH {
        let terms = Terms::quiet().ping(side, INTERVAL, LONG);
        let (_stage, mut near, mut far) = terms.pair(side).await;
        near.answer_next_pings(1).await;
        let huge = far.encode(&Frame::binary(vec![b'h'; 2 * 1024 * 1024]));
        let (pieces, last) = huge.split_at(huge.len() / PIECES * (PIECES - 1));
        let talk = async {
            for piece in pieces.chunks(huge.len() / PIECES) {
                far.send(piece).await;
                sleep(INTERVAL).await;
            }
            let behind = Instant::now();
            far.send(last).await;
            far.send_text("behind it").await;
            behind
        };
        let listen = async {
            behind_pings(&mut near, &huge).await;
            let mut pings = 0;
            loop {
                let frame = near.expect_frame().await;
                if frame.payload == b"behind it" {
                    return (pings, near);
                }
                assert!(frame.is_ping(), "{frame:?} came");
                pings += 1;
            }
        };
        let (behind, (mut pings, mut near)) = tokio::join!(talk, listen);
        if pings == 0 {
            near.expect_ping().await;
            pings = 1;
        }
        // Those that came due since then are no debt of the frame's.
        let new = behind.elapsed().as_millis() / INTERVAL.as_millis();
        assert!(
            pings <= 1 + new,
            "{pings} pings behind the frame, {new} new"
        );
    }
}

pub(crate) async fn a_pong_stuck_behind_data() {
    const TIMEOUT: Duration = ms(1000);
    /// How long each pong is stuck.
    const STUCK: Duration = ms(200);
    const PIECES: u32 = 8;
    for side in Side::BOTH {
        // No data is life here, so that it is the pong that has to be found behind them.
        let terms = Terms::quiet()
            .ping(side, STUCK, TIMEOUT)
            .side(side, "evidence=pong");
        let (stage, mut near, mut far) = terms.pair(side).await;
        near.answer_next_pings(1).await;
        let opened = Instant::now();
        // Twice as long as whoever is not heard may live.
        while opened.elapsed() < 2 * TIMEOUT {
            let data = near.encode(&Frame::binary(vec![b'd'; 256 * 1024]));
            let (begun, rest) = data.split_at(data.len() / PIECES as usize);
            near.send(begun).await;
            // From here on the pong is behind the rest of that frame.
            let stuck = near.expect_ping().await;
            let talk = async {
                for piece in rest.chunks(begun.len()) {
                    sleep(STUCK / PIECES).await;
                    near.send(piece).await;
                }
                near.pong(&stuck).await;
                near.send_text("behind the pong").await;
            };
            let listen = async {
                far.expect_raw(&data).await;
                far.expect_text("behind the pong").await;
            };
            tokio::join!(talk, listen);
        }
        stage.expect_no_lapse().await;
    }
}

pub(crate) async fn a_wrong_pong_is_life() {
    const TIMEOUT: Duration = ms(250);
    for side in Side::BOTH {
        let terms = Terms::quiet()
            .ping(side, ms(50), TIMEOUT)
            .side(side, "evidence=pong");
        let (stage, mut near, mut far) = terms.pair(side).await;
        let opened = Instant::now();
        for wrong in ["", "wrong"].into_iter().cycle() {
            near.expect_ping().await;
            near.pong(wrong).await;
            far.expect_pong(wrong).await;
            if opened.elapsed() > 2 * TIMEOUT {
                break;
            }
        }
        stage.expect_no_lapse().await;
    }
}

pub(crate) async fn talk_is_life() {
    const TIMEOUT: Duration = ms(250);
    for side in Side::BOTH {
        let terms = Terms::quiet().ping(side, ms(50), TIMEOUT);
        let (stage, mut near, mut far) = terms.pair(side).await;
        near.expect_ping().await;
        let asked = Instant::now();
        while asked.elapsed() < 2 * TIMEOUT {
            near.send_text("busy").await;
            far.expect_text("busy").await;
            sleep(TIMEOUT / 10).await;
        }
        stage.expect_no_lapse().await;
    }
}

pub(crate) async fn a_side_that_is_not_read_is_not_silent() {
    const TIMEOUT: Duration = ms(150);
    for side in Side::BOTH {
        let terms = Terms::quiet()
            .ping(side, ms(50), TIMEOUT)
            .set("timeouts.write_stall=off")
            .tiny();
        let (stage, mut near, mut far) = terms.pair(side).await;
        near.answer_next_pings(1).await;
        // The far side does not read. What this one says behind all that is stuck.
        let sent = near.send_until_blocked(3 * TIMEOUT).await;
        far.expect_len(sent).await;
        near.answer_pings();
        far.send_text("are you alive?").await;
        near.expect_text("are you alive?").await;
        stage.expect_no_lapse().await;
    }
}

pub(crate) async fn a_zero_window_that_stays_is_found() {
    tokio::join!(
        a_zero_window_is_found(Side::Client),
        a_zero_window_is_found(Side::Upstream)
    );
}

async fn a_zero_window_is_found(side: Side) {
    /// So long that what a slow machine is allowed on top is little.
    const STALL: Duration = ms(2000);
    /// When no byte was taken for so long, none will be.
    const QUIET: Duration = ms(50);
    let terms = Terms::quiet()
        .ping(side, ms(20), LONG)
        .set(format!("timeouts.write_stall={}ms", STALL.as_millis()))
        .tiny();
    let (_stage, mut near, mut far) = terms.pair(side).await;
    near.answer_next_pings(1).await;
    let began = Instant::now();
    far.send_until_blocked(QUIET).await;
    let left = STALL + STALL / 10 - QUIET;
    let (close, _) = within(left, far.expect_close(told(side))).await;
    close.assert_well_made(side == Side::Client);
    let waited = began.elapsed();
    assert!(waited >= STALL, "given up after {waited:?}");
    near.expect_reset_behind_frames().await;
}

pub(crate) async fn a_silent_side_is_dropped_at_its_deadline() {
    const TIMEOUT: Duration = ms(300);
    for side in Side::BOTH {
        let terms = Terms::quiet().ping(side, ms(100), TIMEOUT);
        let (_stage, mut near, mut far) = terms.pair(side).await;
        near.expect_ping().await;
        // It was written a moment before it was read.
        let read = Instant::now();
        let control = async {
            sleep_until(read + TIMEOUT).await;
            Instant::now()
        };
        let told = async {
            let close = far.expect_close(told(side)).await;
            (close, Instant::now())
        };
        let (control, (close, told)): (_, (Seen, _)) = tokio::join!(control, told);
        close.assert_well_made(side == Side::Client);
        let after = told - read;
        assert!(after + ms(50) >= TIMEOUT, "told {after:?} after the ping");
        let late = told.saturating_duration_since(control);
        assert!(
            late <= ms(100),
            "{late:?} later than a sleep of that length"
        );
        near.expect_reset_behind_frames().await;
    }
}
