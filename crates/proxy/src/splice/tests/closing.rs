//! How long a closing handshake of the endpoints' may take.

use lubdub_metrics::Cause;

use super::*;

const CLOSE: Duration = Duration::from_secs(5);
const PIECE: Duration = Duration::from_secs(4);
const A_MOMENT: Duration = Duration::from_millis(1);

/// A pair whose upstream has said farewell while the client is in the middle of a message, of which
/// it has sent the first piece.
async fn half_closed() -> Pair {
    let mut pair = Pair::open(Terms {
        close: CLOSE,
        ..pinged(Side::Client, 3600 * SECOND, SECOND, Evidence::Any)
    })
    .await;
    pair.wake(1024);
    // RFC 6455 5.2: a masked binary frame of 1 MiB.
    let head = masked(0x82, &vec![0; 1024 * 1024]);
    pair.say(Side::Client, &head[..1000]);
    pair.say(Side::Upstream, &[0x88, 2, 3, 0xE8]);
    after(&mut pair, A_MOMENT).await;
    assert_eq!(pair.splice.fate.cause(), Some(Cause::UpstreamClosed));
    pair
}

/// Lets time pass, and wakes the pair at once, when it asked for it, and at the end. Returns whether
/// it is over.
async fn after(pair: &mut Pair, time: Duration) -> bool {
    let end = clock() + time;
    let mut at = clock() + A_MOMENT;
    loop {
        tokio::time::sleep_until(at.into()).await;
        let again = Arc::new(Again::default());
        let waker = Arc::clone(&again).into();
        let mut cx = Context::from_waker(&waker);
        let woken = pair.splice.wake(&mut cx, clock(), &mut [0; 1024]);
        if woken.is_ready() || at == end {
            return woken.is_ready();
        }
        at = match (again.0.load(Ordering::Relaxed), pair.splice.timer.armed()) {
            (true, _) => clock() + A_MOMENT / 100,
            (false, Some(armed)) => armed.max(clock()),
            (false, None) => end,
        };
        at = at.min(end);
    }
}

/// A client in the middle of a long message when its upstream said farewell was cut after
/// `timeouts.close`, though the message was still coming in.
#[tokio::test(start_paused = true)]
async fn who_is_in_the_middle_of_a_message_may_go_on_after_the_others_close() {
    let mut pair = half_closed().await;
    for piece in 1..=5 {
        pair.say(Side::Client, &[0; 1000]);
        assert!(!after(&mut pair, PIECE).await, "cut at piece {piece}");
    }
    // Nothing more comes; the last piece came 4 s ago.
    assert!(!after(&mut pair, CLOSE - PIECE - A_MOMENT).await);
    assert!(after(&mut pair, 3 * A_MOMENT).await, "silent, and not cut");
    assert_eq!(pair.splice.fate.cause(), Some(Cause::CloseTimeout));
    assert_eq!(pair.splice.tally.from.client.bytes, 6000);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_never_ends_holds_a_closing_pair_ten_times_as_long_and_no_longer() {
    let mut pair = half_closed().await;
    let began = clock();
    loop {
        pair.say(Side::Client, &[0; 100]);
        if after(&mut pair, PIECE).await {
            break;
        }
        assert!(clock() - began < 11 * CLOSE, "held for ever");
    }
    assert!(clock() - began >= 10 * CLOSE - PIECE, "cut early");
    assert_eq!(pair.splice.fate.cause(), Some(Cause::CloseTimeout));
}

/// What waits for a slow reader moves too, while nothing more is read meanwhile.
#[tokio::test(start_paused = true)]
async fn what_a_slow_reader_takes_after_a_close_is_data_that_moves() {
    let mut pair = Pair::open(Terms {
        close: CLOSE,
        write_stall: None,
        ..pinged(Side::Client, 3600 * SECOND, SECOND, Evidence::Any)
    })
    .await;
    pair.back_up().await;
    pair.say(Side::Upstream, &[0x88, 2, 3, 0xE8]);
    assert!(!after(&mut pair, A_MOMENT).await);
    // As if the last of what was taken had been taken later than the last was read.
    let outlet = &mut pair.splice.ends.upstream.outlet;
    outlet.postpone(PIECE);
    let taken = outlet.stuck_since().expect("a backlog");
    assert!(taken > pair.splice.seldom.deadlines.data.instant());
    assert_eq!(pair.splice.closing_deadline(), Some(taken + CLOSE));

    pair.far.upstream.set_nonblocking(true).unwrap();
    // Its kernel and ours hold much; it takes that slowly, and keeps the client waiting.
    for _ in 0..4 {
        let read = pair.far.upstream.read(&mut vec![0; 512 * 1024]);
        assert!(read.unwrap() > 0);
        assert!(!after(&mut pair, PIECE).await, "cut while it was read");
    }
    assert!(after(&mut pair, 2 * CLOSE).await, "not cut at all");
}

/// Pings are no data: who does nothing else does not hold a pair that closes.
#[tokio::test(start_paused = true)]
async fn pings_do_not_hold_a_closing_pair() {
    let mut pair = closing_by(Side::Upstream).await;
    let ping = masked_control(0x89, b"still here");
    does_not_hold(&mut pair, &ping).await;
}

/// Nor does data from who has said farewell itself (RFC 6455 5.5.1).
#[tokio::test(start_paused = true)]
async fn data_behind_ones_own_close_does_not_hold_a_closing_pair() {
    let mut pair = closing_by(Side::Client).await;
    does_not_hold(&mut pair, &masked(0x82, b"still here")).await;
}

async fn closing_by(side: Side) -> Pair {
    let mut pair = Pair::open(Terms {
        close: CLOSE,
        ..pinged(Side::Client, 3600 * SECOND, SECOND, Evidence::Any)
    })
    .await;
    match side {
        Side::Client => pair.say(side, &masked_control(0x88, &[3, 0xE8])),
        Side::Upstream => pair.say(side, &[0x88, 2, 3, 0xE8]),
    }
    assert!(!after(&mut pair, A_MOMENT).await);
    pair
}

/// The client says this 4 s after the Close, and the pair ends a second later.
async fn does_not_hold(pair: &mut Pair, said: &[u8]) {
    assert!(!after(pair, PIECE).await);
    pair.say(Side::Client, said);
    assert!(!after(pair, SECOND / 2).await);
    assert!(after(pair, SECOND).await, "it held the pair");
}

/// A server's Close with the end of its connection took two packets on its way to the client, and the end of the
/// other connection a system call more than its closing.
#[tokio::test(start_paused = true)]
async fn an_end_right_behind_a_close_leaves_with_it() {
    let mut pair = Pair::open(Terms::default()).await;
    pair.wake(1024);
    let sent = |pair: &Pair| {
        let leg = pair.splice.ends.client.leg.as_ref();
        leg.expect("a leg").socket().packets_sent()
    };
    let before = sent(&pair);
    pair.say_last(Side::Upstream, &[0x88, 2, 3, 0xE8]);
    after(&mut pair, A_MOMENT).await;
    assert_eq!(pair.heard_to_the_end(Side::Client), [0x88, 2, 3, 0xE8]);
    assert_eq!(sent(&pair), before + 1, "packets to the client");

    let answer = masked_control(0x88, &[3, 0xE8]);
    pair.say_last(Side::Client, &answer);
    after(&mut pair, A_MOMENT).await;
    assert!(
        pair.splice.ends.upstream.leg.is_none(),
        "nothing is left to do there"
    );
    assert_eq!(pair.heard_to_the_end(Side::Upstream), answer);
}

/// A server that closes over what it has not read resets its connection behind its Close. To look for its end took the
/// reset away, and what the client said then was relayed to nobody.
#[tokio::test(start_paused = true)]
async fn a_reset_right_behind_a_close_is_a_reset() {
    let mut pair = Pair::open(Terms::default()).await;
    pair.wake(1024);
    pair.say(Side::Client, &masked_control(0x89, b"unread"));
    after(&mut pair, A_MOMENT).await;
    pair.say(Side::Upstream, &[0x88, 2, 3, 0xE8]);
    let (_, replacement) = connection().await;
    drop(std::mem::replace(&mut pair.far.upstream, replacement));
    pair.wait_for_end(Side::Upstream);
    after(&mut pair, A_MOMENT).await;
    assert!(pair.splice.ends.upstream.leg.is_none(), "nobody is there");
    assert_eq!(pair.splice.fate.cause(), Some(Cause::UpstreamClosed));
    assert_eq!(pair.heard_to_the_end(Side::Client), [0x88, 2, 3, 0xE8]);
}
